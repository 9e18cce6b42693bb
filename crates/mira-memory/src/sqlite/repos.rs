//! Tables `repos` and `repo_leftovers`: repositories attached to projects. The clones themselves are folders, and
//! credentials are files; neither is known here.
//!
//! Invariants: a row that goes leaves its id among the leftovers, in the same transaction and whoever removes it (a
//! trigger sees to it), until somebody says that folder and credentials are gone too; whatever names an attachment on
//! behalf of a client names its project as well.

use super::{
    Listed, Page, Store,
    error::StoreError,
    messages::{json, unknown},
    ord_cursor, projects,
    rows::{Columns, blob, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, AttachmentId, ProjectId},
    repo::{Repo, RepoProgress, RepoStatus, WriteMode},
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::sync::Arc;

ord_cursor! {
    /// A place in the list of a project's repositories.
    RepoCursor
}

/// A repository to attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRepo {
    /// Its id.
    pub id: AttachmentId,
    /// The project.
    pub project_id: ProjectId,
    /// Its address, without credentials.
    pub repo_url: String,
    /// The branch asked for.
    pub branch: Option<String>,
    /// When.
    pub now: Timestamp,
}

/// What to change of an attached repository; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepoPatch {
    /// Only where it stands like this; else nothing is changed.
    pub only_if: Option<RepoStatus>,
    /// How it stands.
    pub status: Option<RepoStatus>,
    /// The branch that is checked out, or none.
    pub branch: Option<Option<String>>,
    /// How far it is, or nothing under way.
    pub progress: Option<Option<RepoProgress>>,
    /// Why it failed, or that it did not.
    pub error: Option<Option<String>>,
    /// What becomes of Mira's changes.
    pub writes: Option<WriteMode>,
    /// When it was in step with its remote.
    pub last_sync_at: Option<Timestamp>,
}

/// The columns of a repository `r`, as [`read`] takes them.
macro_rules! repo_columns {
    () => {
        "r.id, r.project_id, r.repo_url, r.branch, r.status, r.progress, r.error, r.writes, r.last_sync_at,
         r.created_at, r.updated_at, r.key"
    };
}

fn read(row: &SqliteRow) -> Result<(Repo, RepoCursor), StoreError> {
    let mut c = Columns::new("repos", row);
    let id = AttachmentId(c.uuid("id")?);
    c.named(id);
    let repo = Repo {
        id,
        project_id: ProjectId(c.uuid("project_id")?),
        repo_url: c.take("repo_url")?,
        branch: c.take("branch")?,
        status: c.parsed("status", |text| RepoStatus::parse(text).ok_or_else(|| unknown(text)))?,
        progress: c.parsed_or_null("progress", |text| serde_json::from_str(text))?,
        error: c.take("error")?,
        writes: c.parsed("writes", |text| WriteMode::parse(text).ok_or_else(|| unknown(text)))?,
        last_sync_at: c.time_or_null("last_sync_at")?,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
    };
    Ok((repo, RepoCursor(c.take("key")?)))
}

async fn find(conn: &mut SqliteConnection, account: AccountId, id: AttachmentId) -> Result<Option<Repo>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        repo_columns!(),
        " FROM repos r WHERE r.account_id = ?1 AND r.id = ?2"
    ))
    .bind(account.0)
    .bind(blob(&id.0))
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(|row| Ok(read(row)?.0)).transpose()
}

const INSERT: &str = "
    INSERT INTO repos (account_id, id, project_id, repo_url, branch, status, writes, created_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) ON CONFLICT (account_id, id) DO NOTHING";

async fn insert(conn: &mut SqliteConnection, account: AccountId, new: &NewRepo) -> Result<Option<Repo>, StoreError> {
    if !projects::exists(&mut *conn, account, new.project_id).await? {
        return Ok(None);
    }
    sqlx::query(INSERT)
        .bind(account.0)
        .bind(blob(&new.id.0))
        .bind(blob(&new.project_id.0))
        .bind(new.repo_url.as_str())
        .bind(new.branch.as_deref())
        .bind(RepoStatus::Cloning.as_str())
        .bind(WriteMode::Propose.as_str())
        .bind(ms(new.now))
        .execute(&mut *conn)
        .await?;
    find(conn, account, new.id).await
}

const UPDATE: &str = "
    UPDATE repos SET status = ?3, branch = ?4, progress = ?5, error = ?6, writes = ?7, last_sync_at = ?8,
           updated_at = ?9
     WHERE account_id = ?1 AND id = ?2";

async fn update(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: AttachmentId,
    patch: &RepoPatch,
    now: Timestamp,
) -> Result<Option<Repo>, StoreError> {
    let Some(old) = find(&mut *conn, account, id).await? else {
        return Ok(None);
    };
    if patch.only_if.is_some_and(|status| status != old.status) {
        return Ok(None);
    }
    let patch = patch.clone();
    let new = Repo {
        status: patch.status.unwrap_or(old.status),
        branch: patch.branch.unwrap_or(old.branch),
        progress: patch.progress.unwrap_or(old.progress),
        error: patch.error.unwrap_or(old.error),
        writes: patch.writes.unwrap_or(old.writes),
        last_sync_at: patch.last_sync_at.or(old.last_sync_at),
        updated_at: now,
        ..old
    };
    sqlx::query(UPDATE)
        .bind(account.0)
        .bind(blob(&id.0))
        .bind(new.status.as_str())
        .bind(new.branch.as_deref())
        .bind(new.progress.as_ref().map(json).transpose()?)
        .bind(new.error.as_deref())
        .bind(new.writes.as_str())
        .bind(new.last_sync_at.map(ms))
        .bind(ms(now))
        .execute(conn)
        .await?;
    Ok(Some(new))
}

async fn delete(
    conn: &mut SqliteConnection,
    account: AccountId,
    project: ProjectId,
    id: AttachmentId,
) -> Result<Option<Repo>, StoreError> {
    let found = find(&mut *conn, account, id).await?;
    let Some(repo) = found.filter(|repo| repo.project_id == project) else {
        return Ok(None);
    };
    sqlx::query("DELETE FROM repos WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&id.0))
        .execute(conn)
        .await?;
    Ok(Some(repo))
}

/// What a crash left: `?2` is told of clones that were under way.
const RECOVER: [&str; 2] = [
    "UPDATE repos SET status = 'failed', progress = NULL, error = ?2, updated_at = ?3
      WHERE account_id = ?1 AND status = 'cloning'",
    "UPDATE repos SET status = 'ready', progress = NULL, error = ?2, updated_at = ?3
      WHERE account_id = ?1 AND status = 'syncing'",
];

const LIST: &str = concat!(
    "SELECT ",
    repo_columns!(),
    " FROM repos r WHERE r.account_id = ?1 AND r.project_id = ?2 AND r.key > ?3 ORDER BY r.key LIMIT (?4 + 0)"
);

const LIST_OF: &str = concat!(
    "SELECT ",
    repo_columns!(),
    " FROM repos r WHERE r.account_id = ?1 AND r.project_id = ?2 ORDER BY r.key"
);

/// All repositories of a project.
pub(super) async fn list_of(
    conn: &mut SqliteConnection,
    account: AccountId,
    project: ProjectId,
) -> Result<Vec<Repo>, StoreError> {
    let rows = sqlx::query(LIST_OF)
        .bind(account.0)
        .bind(blob(&project.0))
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok(read(row)?.0)).collect()
}

const LIST_ALL: &str = concat!(
    "SELECT ",
    repo_columns!(),
    " FROM repos r WHERE r.account_id = ?1 ORDER BY r.key"
);

impl Store {
    /// Attaches a repository, as one that is being cloned. `None` if there is no such project.
    pub async fn insert_repo(&self, account: AccountId, new: NewRepo) -> Result<Option<Repo>, StoreError> {
        let new = Arc::new(new);
        self.write(Class::Acknowledged, move |conn| {
            let new = Arc::clone(&new);
            async move { insert(conn, account, &new).await }.boxed()
        })
        .await
    }

    /// A repository of this project.
    pub async fn find_repo(
        &self,
        account: AccountId,
        project: ProjectId,
        id: AttachmentId,
    ) -> Result<Option<Repo>, StoreError> {
        let found = find(&mut *self.read().await?, account, id).await?;
        Ok(found.filter(|repo| repo.project_id == project))
    }

    /// The repositories of a project, in the order they were attached in. An unknown project gives an empty page.
    pub async fn list_repos(
        &self,
        account: AccountId,
        project: ProjectId,
        page: Page<RepoCursor>,
    ) -> Result<Listed<Repo, RepoCursor>, StoreError> {
        let limit = page.rows();
        let rows = sqlx::query(LIST)
            .bind(account.0)
            .bind(blob(&project.0))
            .bind(page.cursor.map_or(0, |cursor| cursor.0))
            .bind(int(limit as u64 + 1))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let rows: Result<Vec<_>, _> = rows.iter().map(read).collect();
        Ok(Listed::cut(rows?, limit))
    }

    /// Every repository of the account: what a start has to look at.
    pub async fn list_all_repos(&self, account: AccountId) -> Result<Vec<Repo>, StoreError> {
        let rows = sqlx::query(LIST_ALL)
            .bind(account.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(|row| Ok(read(row)?.0)).collect()
    }

    /// Changes what is known of a repository. `None` if there is no such, or it does not stand as the patch demands.
    pub async fn update_repo(
        &self,
        account: AccountId,
        id: AttachmentId,
        patch: RepoPatch,
        now: Timestamp,
    ) -> Result<Option<Repo>, StoreError> {
        // How far something is may be lost with the power; that it began or ended may not.
        let class = match patch.status {
            None if patch.writes.is_none() => Class::Partial,
            None | Some(_) => Class::Acknowledged,
        };
        let patch = Arc::new(patch);
        self.write(class, move |conn| {
            let patch = Arc::clone(&patch);
            async move { update(conn, account, id, &patch, now).await }.boxed()
        })
        .await
    }

    /// Detaches a repository of this project, with its proposals; it is among the leftovers then. Answers it as it was.
    pub async fn delete_repo(
        &self,
        account: AccountId,
        project: ProjectId,
        id: AttachmentId,
    ) -> Result<Option<Repo>, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move { delete(conn, account, project, id).await }.boxed()
        })
        .await
    }

    /// After a crash: clones that were under way have failed, with this reason; what was being synced is as it was.
    /// Answers whether there were any.
    pub async fn recover_repos(&self, account: AccountId, reason: &str, now: Timestamp) -> Result<bool, StoreError> {
        let reason: Arc<str> = reason.into();
        self.write(Class::Acknowledged, move |conn| {
            let reason = Arc::clone(&reason);
            async move {
                let mut changed = 0;
                for statement in RECOVER {
                    let done = sqlx::query(statement)
                        .bind(account.0)
                        .bind(&*reason)
                        .bind(ms(now))
                        .execute(&mut *conn)
                        .await?;
                    changed += done.rows_affected();
                }
                Ok(changed > 0)
            }
            .boxed()
        })
        .await
    }

    /// Detached repositories whose folder may still be there.
    pub async fn list_repo_leftovers(&self, account: AccountId) -> Result<Vec<AttachmentId>, StoreError> {
        let rows = sqlx::query("SELECT l.id FROM repo_leftovers l WHERE l.account_id = ?1")
            .bind(account.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| Columns::new("repo_leftovers", row).uuid("id").map(AttachmentId))
            .collect()
    }

    /// Nothing is left of a detached repository.
    pub async fn delete_repo_leftover(&self, account: AccountId, id: AttachmentId) -> Result<(), StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                sqlx::query("DELETE FROM repo_leftovers WHERE account_id = ?1 AND id = ?2")
                    .bind(account.0)
                    .bind(blob(&id.0))
                    .execute(conn)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }
}
