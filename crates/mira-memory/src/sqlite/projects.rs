//! Table `projects`. The order of the list is `recency`, a counter, as with sessions. A search compares runs of letters
//! and digits in lower case (column `words`): there are few projects, so that a scan is as quick as an index would be.

use super::{
    Listed, Page, Store,
    error::StoreError,
    files,
    messages::{json, unknown},
    ord_cursor, repos,
    rows::{Columns, blob, int, ms},
    search,
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    approval::Asks,
    file::StoredFile,
    ids::{AccountId, ProjectId, SessionId},
    project::{Project, ProjectDeletion},
    repo::Repo,
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::sync::Arc;

ord_cursor! {
    /// A place in the list of projects.
    ProjectCursor
}

/// A project to make. What its fields may hold is the caller's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its tags, tidied.
    pub tags: Vec<String>,
    /// What she is told in it.
    pub instructions: String,
    /// What the owner wants to be asked about.
    pub approvals: Asks,
    /// When.
    pub now: Timestamp,
}

/// What to change of a project; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectPatch {
    /// Its name.
    pub name: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// Its tags, tidied.
    pub tags: Option<Vec<String>>,
    /// What she is told in it.
    pub instructions: Option<String>,
    /// What the owner wants to be asked about.
    pub approvals: Option<Asks>,
}

/// Which projects to list. Empty allows all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFilter {
    /// Those whose name, description or tags hold all of its runs of letters and digits.
    pub q: Option<String>,
    /// Those that have this tag.
    pub tag: Option<String>,
}

/// A project that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedProject {
    /// What went, and how much stayed.
    pub counts: ProjectDeletion,
    /// The sessions that are in no project now.
    pub sessions: Vec<SessionId>,
    /// The repositories that were attached to it, as they were; they are among the leftovers now.
    pub repos: Vec<Repo>,
    /// Its files, as they were; their bytes are among the leftovers now.
    pub files: Vec<StoredFile>,
}

/// The columns of a project `p`, as [`read`] takes them.
macro_rules! project_columns {
    () => {
        "p.id, p.name, p.description, p.tags, p.instructions, p.approvals, p.created_at, p.updated_at, p.recency"
    };
}

/// The counter's next value in a table of `?1`'s rows.
macro_rules! next_recency {
    ($table:literal) => {
        concat!(
            "coalesce((SELECT r.recency + 1 FROM ",
            $table,
            " r WHERE r.account_id = ?1 ORDER BY r.recency DESC LIMIT 1), 1)"
        )
    };
}
pub(super) use next_recency;

fn read(row: &SqliteRow) -> Result<(Project, ProjectCursor), StoreError> {
    let mut c = Columns::new("projects", row);
    let id = ProjectId(c.uuid("id")?);
    c.named(id);
    let project = Project {
        id,
        name: c.take("name")?,
        description: c.take("description")?,
        tags: c.parsed("tags", |text| serde_json::from_str(text))?,
        instructions: c.take("instructions")?,
        approvals: c.parsed("approvals", parse_asks)?,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
    };
    Ok((project, ProjectCursor(c.take("recency")?)))
}

pub(super) fn parse_asks(text: &str) -> Result<Asks, String> {
    Asks::parse(text).ok_or_else(|| unknown(text))
}

/// What a project is searched by.
pub(super) fn words(name: &str, description: &str, tags: &[String]) -> String {
    let texts = [name, description].into_iter().chain(tags.iter().map(String::as_str));
    let runs: Vec<String> = texts.flat_map(search::runs).map(String::from_iter).collect();
    runs.join(" ")
}

pub(super) async fn find(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ProjectId,
) -> Result<Option<Project>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        project_columns!(),
        " FROM projects p WHERE p.account_id = ?1 AND p.id = ?2"
    ))
    .bind(account.0)
    .bind(blob(&id.0))
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(|row| Ok(read(row)?.0)).transpose()
}

/// Whether the account has this project.
pub(super) async fn exists(conn: &mut SqliteConnection, account: AccountId, id: ProjectId) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM projects WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&id.0))
        .fetch_optional(conn)
        .await?;
    Ok(found.is_some())
}

const INSERT: &str = concat!(
    "INSERT INTO projects (account_id, id, name, description, tags, instructions, words, created_at, updated_at, approvals,
                           recency)
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ",
    next_recency!("projects"),
    " WHERE true ON CONFLICT (account_id, id) DO NOTHING"
);

/// Makes the project unless it is there; answers whether it was made.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    account: AccountId,
    project: &Project,
) -> Result<bool, StoreError> {
    let done = sqlx::query(INSERT)
        .bind(account.0)
        .bind(blob(&project.id.0))
        .bind(project.name.as_str())
        .bind(project.description.as_str())
        .bind(json(&project.tags)?)
        .bind(project.instructions.as_str())
        .bind(words(&project.name, &project.description, &project.tags))
        .bind(ms(project.created_at))
        .bind(ms(project.updated_at))
        .bind(project.approvals.as_str())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

const UPDATE: &str = concat!(
    "UPDATE projects SET name = ?3, description = ?4, tags = ?5, instructions = ?6, words = ?7, updated_at = ?8,
            approvals = ?9, recency = ",
    next_recency!("projects"),
    " WHERE account_id = ?1 AND id = ?2"
);

async fn update(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ProjectId,
    patch: &ProjectPatch,
    now: Timestamp,
) -> Result<Option<Project>, StoreError> {
    let Some(old) = find(&mut *conn, account, id).await? else {
        return Ok(None);
    };
    let patch = patch.clone();
    let mut new = Project {
        name: patch.name.unwrap_or_else(|| old.name.clone()),
        description: patch.description.unwrap_or_else(|| old.description.clone()),
        tags: patch.tags.unwrap_or_else(|| old.tags.clone()),
        instructions: patch.instructions.unwrap_or_else(|| old.instructions.clone()),
        approvals: patch.approvals.unwrap_or(old.approvals),
        ..old.clone()
    };
    if new == old {
        return Ok(Some(old));
    }
    new.updated_at = now;
    sqlx::query(UPDATE)
        .bind(account.0)
        .bind(blob(&id.0))
        .bind(new.name.as_str())
        .bind(new.description.as_str())
        .bind(json(&new.tags)?)
        .bind(new.instructions.as_str())
        .bind(words(&new.name, &new.description, &new.tags))
        .bind(ms(now))
        .bind(new.approvals.as_str())
        .execute(conn)
        .await?;
    Ok(Some(new))
}

/// What goes with a project.
const COUNT: &str = "
    SELECT (SELECT count(*) FROM artifacts a WHERE a.account_id = ?1 AND a.project_id = p.id),
           (SELECT count(*) FROM artifacts a CROSS JOIN artifact_versions v
                ON v.account_id = a.account_id AND v.artifact_id = a.id
             WHERE a.account_id = ?1 AND a.project_id = p.id),
           (SELECT count(*) FROM sessions s WHERE s.account_id = ?1 AND s.project_id = p.id),
           (SELECT count(*) FROM repos r WHERE r.account_id = ?1 AND r.project_id = p.id),
           (SELECT count(*) FROM files f WHERE f.account_id = ?1 AND f.project_id = p.id)
      FROM projects p WHERE p.account_id = ?1 AND p.id = ?2";

async fn count(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ProjectId,
) -> Result<Option<ProjectDeletion>, StoreError> {
    let row = sqlx::query(COUNT)
        .bind(account.0)
        .bind(blob(&id.0))
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut c = Columns::new("projects", &row);
    c.named(id);
    Ok(Some(ProjectDeletion {
        artifacts: c.count("artifacts")?,
        versions: c.count("versions")?,
        sessions: c.count("sessions")?,
        repos: c.count("repos")?,
        files: c.count("files")?,
    }))
}

/// In this order: what stays leaves the project, then it goes, its artifacts and files with it.
const DELETE: [&str; 4] = [
    "UPDATE sessions SET project_id = NULL WHERE account_id = ?1 AND project_id = ?2",
    "UPDATE messages SET project_id = NULL WHERE account_id = ?1 AND project_id = ?2",
    "UPDATE memories SET project_id = NULL WHERE account_id = ?1 AND project_id = ?2",
    "DELETE FROM projects WHERE account_id = ?1 AND id = ?2",
];

async fn delete(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ProjectId,
) -> Result<Option<DeletedProject>, StoreError> {
    let Some(counts) = count(&mut *conn, account, id).await? else {
        return Ok(None);
    };
    let rows = sqlx::query("SELECT id FROM sessions WHERE account_id = ?1 AND project_id = ?2 ORDER BY recency DESC")
        .bind(account.0)
        .bind(blob(&id.0))
        .fetch_all(&mut *conn)
        .await?;
    let sessions: Result<Vec<SessionId>, _> = rows
        .iter()
        .map(|row| Columns::new("sessions", row).parsed("id", str::parse))
        .collect();
    let repos = repos::list_of(&mut *conn, account, id).await?;
    let files = files::list_of(&mut *conn, account, id).await?;
    for statement in DELETE {
        sqlx::query(statement)
            .bind(account.0)
            .bind(blob(&id.0))
            .execute(&mut *conn)
            .await?;
    }
    Ok(Some(DeletedProject {
        counts,
        sessions: sessions?,
        repos,
        files,
    }))
}

/// `?2` below this place, `?3` the most, `?4` a tag, `?5` runs as a JSON list.
const LIST: &str = concat!(
    "SELECT ",
    project_columns!(),
    " FROM projects p INDEXED BY projects_recency
      WHERE p.account_id = ?1 AND p.recency < ?2
        AND (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(p.tags) t WHERE t.value = ?4))
        AND NOT EXISTS (SELECT 1 FROM json_each(?5) r WHERE instr(p.words, r.value) = 0)
      ORDER BY p.recency DESC LIMIT (?3 + 0)"
);

/// The most runs of a query that count.
const MAX_RUNS: usize = 32;

impl Store {
    /// Makes a project.
    pub async fn insert_project(&self, account: AccountId, new: NewProject) -> Result<Project, StoreError> {
        let project = Arc::new(Project {
            id: new.id,
            name: new.name,
            description: new.description,
            tags: new.tags,
            instructions: new.instructions,
            approvals: new.approvals,
            created_at: new.now,
            updated_at: new.now,
        });
        self.write(Class::Acknowledged, move |conn| {
            let project = Arc::clone(&project);
            async move {
                insert(&mut *conn, account, &project).await?;
                find(conn, account, project.id).await?.ok_or(StoreError::Closed)
            }
            .boxed()
        })
        .await
    }

    /// The project with this id.
    pub async fn find_project(&self, account: AccountId, id: ProjectId) -> Result<Option<Project>, StoreError> {
        find(&mut *self.read().await?, account, id).await
    }

    /// Projects, the last changed first. Any text is a valid query; one without a letter or digit finds nothing.
    pub async fn list_projects(
        &self,
        account: AccountId,
        filter: ProjectFilter,
        page: Page<ProjectCursor>,
    ) -> Result<Listed<Project, ProjectCursor>, StoreError> {
        let limit = page.rows();
        let mut runs: Vec<String> = Vec::new();
        if let Some(q) = &filter.q {
            runs.extend(search::runs(q).into_iter().map(String::from_iter).take(MAX_RUNS));
            if runs.is_empty() {
                return Ok(Listed {
                    items: Vec::new(),
                    next: None,
                });
            }
        }
        let rows = sqlx::query(LIST)
            .bind(account.0)
            .bind(page.cursor.map_or(i64::MAX, |cursor| cursor.0))
            .bind(int(limit as u64 + 1))
            .bind(filter.tag)
            .bind(json(&runs)?)
            .fetch_all(&mut *self.read().await?)
            .await?;
        let rows: Result<Vec<_>, _> = rows.iter().map(read).collect();
        Ok(Listed::cut(rows?, limit))
    }

    /// Changes a project; what stays the same changes nothing. `None` if there is no such project.
    pub async fn update_project(
        &self,
        account: AccountId,
        id: ProjectId,
        patch: ProjectPatch,
        now: Timestamp,
    ) -> Result<Option<Project>, StoreError> {
        let patch = Arc::new(patch);
        self.write(Class::Acknowledged, move |conn| {
            let patch = Arc::clone(&patch);
            async move { update(conn, account, id, &patch, now).await }.boxed()
        })
        .await
    }

    /// What would go with a project. `None` if there is no such project.
    pub async fn count_project(
        &self,
        account: AccountId,
        id: ProjectId,
    ) -> Result<Option<ProjectDeletion>, StoreError> {
        count(&mut *self.read().await?, account, id).await
    }

    /// Removes a project with its artifacts. Sessions, messages and memories stay, outside of any project.
    /// [`Store::scrub`] wipes out the bytes.
    pub async fn delete_project(
        &self,
        account: AccountId,
        id: ProjectId,
    ) -> Result<Option<DeletedProject>, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move { delete(conn, account, id).await }.boxed()
        })
        .await
    }
}
