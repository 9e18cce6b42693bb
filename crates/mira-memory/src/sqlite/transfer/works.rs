//! Projects and artifacts as lines of the export, both ways.
//!
//! A version names the hash of the one before it and is taken where it follows what is there: so an import that broke off
//! goes on where it ended, and a history that has gone another way meanwhile stays as it is.

use super::{AccountId, MessageId, ProjectId, Row, SqliteConnection, SqliteRow, StoreError, Timestamp, blob};
use crate::sqlite::{
    artifacts::{self, Origin, VersionRow, content_columns, read_content, version_columns},
    projects,
    rows::Columns,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use mira_core::{
    approval::Asks,
    ids::ArtifactId,
    project::{Artifact, ArtifactContent, ArtifactKind, Author, ImageFormat, Project, hex, tidy_tags},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Versions read at once: each may hold megabytes.
pub(super) const VERSIONS_AT_ONCE: usize = 4;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProjectLine {
    id: ProjectId,
    name: String,
    description: String,
    tags: Vec<String>,
    instructions: String,
    #[serde(default)]
    approvals: Asks,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ArtifactLine {
    id: ArtifactId,
    project_id: ProjectId,
    name: String,
    kind: String,
    language: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A version. `text`, or `image` in base64; `previous` is the hash of the version before it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct VersionLine {
    artifact_id: ArtifactId,
    version: u32,
    previous: Option<String>,
    sha256: String,
    text: Option<String>,
    image: Option<String>,
    author: String,
    message_id: Option<MessageId>,
    created_at: Timestamp,
}

/// A name as it is stored.
fn check_name(name: &str, most: usize) -> Result<(), String> {
    let chars = name.chars().count();
    if name.trim().is_empty() || chars > most || name.chars().any(char::is_control) {
        return Err(format!("{name:?} is no name of 1 to {most} characters"));
    }
    Ok(())
}

impl ProjectLine {
    pub(super) fn check(&self) -> Result<(), String> {
        check_name(&self.name, Project::MAX_NAME_CHARS)?;
        let tags: Vec<String> = tidy_tags(self.tags.iter().map(String::as_str));
        if tags != self.tags || tags.len() > Project::MAX_TAGS {
            return Err("the tags are not as they are kept".to_owned());
        }
        if self.instructions.len() > Project::MAX_INSTRUCTIONS_BYTES {
            return Err(format!(
                "instructions of at most {} bytes",
                Project::MAX_INSTRUCTIONS_BYTES
            ));
        }
        Ok(())
    }
}

impl ArtifactLine {
    fn kind(&self) -> Result<ArtifactKind, String> {
        ArtifactKind::parse(&self.kind).ok_or_else(|| format!("{:?} is no kind of artifact", self.kind))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        check_name(&self.name, Artifact::MAX_NAME_CHARS)?;
        self.kind().map(drop)
    }
}

impl VersionLine {
    fn content(&self) -> Result<ArtifactContent, String> {
        match (&self.text, &self.image) {
            (Some(text), None) if text.len() <= ArtifactContent::MAX_TEXT_BYTES => {
                Ok(ArtifactContent::Text(text.clone()))
            }
            (None, Some(image)) => {
                let bytes = STANDARD.decode(image).map_err(|error| error.to_string())?;
                if bytes.len() > ArtifactContent::MAX_IMAGE_BYTES || ImageFormat::of(&bytes).is_none() {
                    return Err("no picture that is taken".to_owned());
                }
                Ok(ArtifactContent::Image(bytes))
            }
            _ => Err("a version has a text or a picture, of the sizes that are taken".to_owned()),
        }
    }

    fn author(&self) -> Result<Author, String> {
        Author::parse(&self.author).ok_or_else(|| format!("{:?} is no author", self.author))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.author()?;
        let content = self.content()?;
        if hex(&Sha256::digest(content.bytes()).into()) != self.sha256 {
            return Err("the content is not that of the hash".to_owned());
        }
        Ok(())
    }
}

// ---- out ----------------------------------------------------------------------------------------------------------

pub(super) const EXPORT_PROJECTS: &str = "
    SELECT recency, id, name, description, tags, instructions, approvals, created_at, updated_at
      FROM projects WHERE account_id = ?1 AND recency > ?2 ORDER BY recency LIMIT (?3 + 0)";

pub(super) fn read_project(row: &SqliteRow) -> Result<(i64, ProjectLine), StoreError> {
    let mut c = Columns::new("projects", row);
    let recency = c.take("recency")?;
    let id = ProjectId(c.uuid("id")?);
    c.named(id);
    let line = ProjectLine {
        id,
        name: c.take("name")?,
        description: c.take("description")?,
        tags: c.parsed("tags", |text| serde_json::from_str(text))?,
        instructions: c.take("instructions")?,
        approvals: c.parsed("approvals", projects::parse_asks)?,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
    };
    Ok((recency, line))
}

pub(super) const EXPORT_ARTIFACTS: &str = "
    SELECT recency, id, project_id, name, kind, language, created_at, updated_at
      FROM artifacts WHERE account_id = ?1 AND recency > ?2 ORDER BY recency LIMIT (?3 + 0)";

pub(super) fn read_artifact(row: &SqliteRow) -> Result<(i64, ArtifactLine), StoreError> {
    let mut c = Columns::new("artifacts", row);
    let recency = c.take("recency")?;
    let id = ArtifactId(c.uuid("id")?);
    c.named(id);
    let line = ArtifactLine {
        id,
        project_id: ProjectId(c.uuid("project_id")?),
        name: c.take("name")?,
        kind: c.take("kind")?,
        language: c.take("language")?,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
    };
    Ok((recency, line))
}

/// How many columns stand before the version's own.
const BEFORE_VERSION: usize = 4;
/// And how many before the content's.
const BEFORE_CONTENT: usize = BEFORE_VERSION + 6;

/// All versions, in the order they were made.
pub(in crate::sqlite) const EXPORT_VERSIONS: &str = concat!(
    "SELECT v.ord, v.artifact_id, a.kind,
            (SELECT q.sha256 FROM artifact_versions q
              WHERE q.account_id = v.account_id AND q.artifact_id = v.artifact_id AND q.version = v.version - 1), ",
    version_columns!(),
    ", ",
    content_columns!(),
    " FROM artifact_versions v
     CROSS JOIN artifacts a ON a.account_id = v.account_id AND a.id = v.artifact_id
     CROSS JOIN artifact_blobs b ON b.account_id = v.account_id AND b.sha256 = v.sha256
     WHERE +v.account_id = ?1 AND v.ord > ?2 ORDER BY v.ord LIMIT (?3 + 0)"
);

pub(super) fn read_version(row: &SqliteRow) -> Result<(i64, VersionLine), StoreError> {
    let mut c = Columns::new("artifact_versions", row);
    let ord: i64 = c.take("ord")?;
    c.named(ord);
    let artifact_id = ArtifactId(c.uuid("artifact_id")?);
    let kind = c.parsed("kind", |text| ArtifactKind::parse(text).ok_or("unknown"))?;
    let previous: Option<&[u8]> = c.take("sha256")?;
    let previous = previous
        .map(<[u8; 32]>::try_from)
        .transpose()
        .map_err(|error| c.bad("sha256", error))?;
    let version = artifacts::read_version(row, BEFORE_VERSION, artifact_id)?;
    let (text, image) = match read_content(row, BEFORE_CONTENT, kind)? {
        ArtifactContent::Text(text) => (Some(text), None),
        ArtifactContent::Image(bytes) => (None, Some(STANDARD.encode(bytes))),
    };
    let line = VersionLine {
        artifact_id,
        version: version.version,
        previous: previous.as_ref().map(hex),
        sha256: hex(&version.sha256),
        text,
        image,
        author: version.author.as_str().to_owned(),
        message_id: version.message_id,
        created_at: version.created_at,
    };
    Ok((ord, line))
}

// ---- in -----------------------------------------------------------------------------------------------------------

/// A line that was checked before does not fit what is there.
pub(super) fn unfit(detail: impl Into<String>) -> StoreError {
    StoreError::Constraint(detail.into())
}

pub(super) async fn import_project(
    conn: &mut SqliteConnection,
    account: AccountId,
    line: &ProjectLine,
) -> Result<bool, StoreError> {
    let project = Project {
        id: line.id,
        name: line.name.clone(),
        description: line.description.clone(),
        tags: line.tags.clone(),
        instructions: line.instructions.clone(),
        approvals: line.approvals,
        created_at: line.created_at,
        updated_at: line.updated_at,
    };
    projects::insert(conn, account, &project).await
}

pub(super) async fn import_artifact(
    conn: &mut SqliteConnection,
    account: AccountId,
    line: &ArtifactLine,
) -> Result<bool, StoreError> {
    let artifact = Artifact {
        id: line.id,
        project_id: line.project_id,
        name: line.name.clone(),
        kind: line.kind().map_err(unfit)?,
        language: line.language.clone(),
        version: 0,
        sha256: [0; 32],
        size: 0,
        author: Author::Owner,
        message_id: None,
        content: None,
        created_at: line.created_at,
        updated_at: line.updated_at,
    };
    artifacts::insert(conn, account, &artifact).await
}

pub(super) async fn import_version(
    conn: &mut SqliteConnection,
    account: AccountId,
    line: &VersionLine,
) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "SELECT a.kind, a.version, hex(v.sha256) FROM artifacts a LEFT JOIN artifact_versions v
             ON v.account_id = a.account_id AND v.artifact_id = a.id AND v.version = a.version
          WHERE a.account_id = ?1 AND a.id = ?2",
    )
    .bind(account.0)
    .bind(blob(&line.artifact_id.0))
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Err(unfit("there is no such artifact"));
    };
    let (kind, newest, sha256): (String, u32, Option<String>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    // SQLite's hex() of nothing is an empty text.
    let known = sha256.filter(|_| newest > 0).map(|hash| hash.to_lowercase());
    if newest.checked_add(1) != Some(line.version) || known != line.previous {
        return Ok(false);
    }
    let content = line.content().map_err(unfit)?;
    if (kind == ArtifactKind::Image.as_str()) != matches!(content, ArtifactContent::Image(_)) {
        return Err(unfit("the content is not of the artifact's kind"));
    }
    let version = VersionRow {
        artifact_id: line.artifact_id,
        version: line.version,
        sha256: Sha256::digest(content.bytes()).into(),
        content: &content,
        origin: Origin {
            author: line.author().map_err(unfit)?,
            message_id: line.message_id,
            now: line.created_at,
        },
    };
    artifacts::insert_version(conn, account, &version).await?;
    Ok(true)
}
