//! Artifacts and their versions, read. Lists come without contents.

use super::{ArtifactCursor, VersionCursor};
use crate::sqlite::{
    Listed, Page, Store,
    error::StoreError,
    messages::unknown,
    rows::{Columns, blob, int},
};
use mira_core::{
    ids::{AccountId, ArtifactId, MessageId, ProjectId},
    project::{Artifact, ArtifactContent, ArtifactKind, ArtifactVersion, Author},
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};

/// The columns of an artifact `a` with its newest version `v`, as [`read`] takes them.
macro_rules! artifact_columns {
    () => {
        "a.id, a.project_id, a.name, a.kind, a.language, a.version, v.sha256, v.size, v.author, v.message_id,
         a.created_at, a.updated_at, a.recency"
    };
}

/// How many columns [`artifact_columns`] names.
const ARTIFACT_COLUMNS: usize = 13;

/// The columns of a version `v`, as [`read_version`] takes them.
macro_rules! version_columns {
    () => {
        "v.version, v.sha256, v.size, v.author, v.message_id, v.created_at"
    };
}
pub(in crate::sqlite) use version_columns;

/// How many columns [`version_columns`] names.
const VERSION_COLUMNS: usize = 6;

/// The columns of a content `b`, as [`read_content`] takes them.
macro_rules! content_columns {
    () => {
        "b.text, b.bytes"
    };
}
pub(in crate::sqlite) use content_columns;

fn parse_kind(text: &str) -> Result<ArtifactKind, String> {
    ArtifactKind::parse(text).ok_or_else(|| unknown(text))
}

fn parse_author(text: &str) -> Result<Author, String> {
    Author::parse(text).ok_or_else(|| unknown(text))
}

fn sha256(c: &mut Columns<'_>) -> Result<[u8; 32], StoreError> {
    let bytes: &[u8] = c.take("sha256")?;
    bytes
        .try_into()
        .map_err(|_| c.bad("sha256", format!("{} bytes instead of 32", bytes.len())))
}

fn version(c: &mut Columns<'_>) -> Result<u32, StoreError> {
    let n: i64 = c.take("version")?;
    u32::try_from(n).map_err(|error| c.bad("version", error))
}

fn read(row: &SqliteRow) -> Result<(Artifact, ArtifactCursor), StoreError> {
    let mut c = Columns::new("artifacts", row);
    let id = ArtifactId(c.uuid("id")?);
    c.named(id);
    let artifact = Artifact {
        id,
        project_id: ProjectId(c.uuid("project_id")?),
        name: c.take("name")?,
        kind: c.parsed("kind", parse_kind)?,
        language: c.take("language")?,
        version: version(&mut c)?,
        sha256: sha256(&mut c)?,
        size: c.count("size")?,
        author: c.parsed("author", parse_author)?,
        message_id: c.uuid_or_null("message_id")?.map(MessageId),
        content: None,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
    };
    Ok((artifact, ArtifactCursor(c.take("recency")?)))
}

/// A version from columns that begin at `first`.
pub(in crate::sqlite) fn read_version(
    row: &SqliteRow,
    first: usize,
    artifact_id: ArtifactId,
) -> Result<ArtifactVersion, StoreError> {
    let mut c = Columns::at("artifact_versions", row, first);
    c.named(artifact_id);
    Ok(ArtifactVersion {
        artifact_id,
        version: version(&mut c)?,
        sha256: sha256(&mut c)?,
        size: c.count("size")?,
        author: c.parsed("author", parse_author)?,
        message_id: c.uuid_or_null("message_id")?.map(MessageId),
        content: None,
        created_at: c.time("created_at")?,
    })
}

/// A content from columns that begin at `first`. A picture whose bytes are text lies as text where some text came first,
/// and the other way round: the kind decides.
pub(in crate::sqlite) fn read_content(
    row: &SqliteRow,
    first: usize,
    kind: ArtifactKind,
) -> Result<ArtifactContent, StoreError> {
    let mut c = Columns::at("artifact_blobs", row, first);
    let text: Option<String> = c.take("text")?;
    let bytes: Option<Vec<u8>> = c.take("bytes")?;
    if kind == ArtifactKind::Image {
        let bytes = text.map(String::into_bytes).or(bytes);
        return bytes
            .map(ArtifactContent::Image)
            .ok_or_else(|| c.bad("bytes", "is null"));
    }
    match (text, bytes) {
        (Some(text), _) => Ok(ArtifactContent::Text(text)),
        (None, Some(bytes)) => String::from_utf8(bytes)
            .map(ArtifactContent::Text)
            .map_err(|error| c.bad("bytes", error)),
        (None, None) => Err(c.bad("text", "is null")),
    }
}

/// Joins an artifact `a` with its newest version `v`.
macro_rules! newest {
    () => {
        " FROM artifacts a CROSS JOIN artifact_versions v
            ON v.account_id = a.account_id AND v.artifact_id = a.id AND v.version = a.version "
    };
}

/// Joins a version `v` with its content `b`.
macro_rules! held {
    () => {
        " CROSS JOIN artifact_blobs b ON b.account_id = v.account_id AND b.sha256 = v.sha256 "
    };
}

/// The artifact with its newest content.
pub(in crate::sqlite) async fn find(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ArtifactId,
) -> Result<Option<Artifact>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        artifact_columns!(),
        ", ",
        content_columns!(),
        newest!(),
        held!(),
        "WHERE a.account_id = ?1 AND a.id = ?2"
    ))
    .bind(account.0)
    .bind(blob(&id.0))
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (mut artifact, _) = read(&row)?;
    artifact.content = Some(read_content(&row, ARTIFACT_COLUMNS, artifact.kind)?);
    Ok(Some(artifact))
}

/// The artifact without its content.
pub(super) async fn find_bare(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ArtifactId,
) -> Result<Option<Artifact>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        artifact_columns!(),
        newest!(),
        "WHERE a.account_id = ?1 AND a.id = ?2"
    ))
    .bind(account.0)
    .bind(blob(&id.0))
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(|row| Ok(read(row)?.0)).transpose()
}

/// One version with its content.
pub(super) async fn find_version(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ArtifactId,
    version: u32,
) -> Result<Option<ArtifactVersion>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        version_columns!(),
        ", ",
        content_columns!(),
        ", a.kind FROM artifacts a CROSS JOIN artifact_versions v ON v.account_id = a.account_id AND v.artifact_id = a.id",
        held!(),
        "WHERE a.account_id = ?1 AND a.id = ?2 AND v.version = ?3"
    ))
    .bind(account.0)
    .bind(blob(&id.0))
    .bind(version)
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let kind = Columns::at("artifacts", &row, VERSION_COLUMNS + 2).parsed("kind", parse_kind)?;
    let mut found = read_version(&row, 0, id)?;
    found.content = Some(read_content(&row, VERSION_COLUMNS, kind)?);
    Ok(Some(found))
}

const LIST: &str = concat!(
    "SELECT ",
    artifact_columns!(),
    newest!(),
    "WHERE a.account_id = ?1 AND a.project_id = ?2 AND a.recency < ?3 ORDER BY a.recency DESC LIMIT (?4 + 0)"
);

const LIST_VERSIONS: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM artifact_versions v WHERE v.account_id = ?1 AND v.artifact_id = ?2 AND v.version < ?3
      ORDER BY v.version DESC LIMIT (?4 + 0)"
);

impl Store {
    /// The artifact with this id, with its newest content.
    pub async fn find_artifact(&self, account: AccountId, id: ArtifactId) -> Result<Option<Artifact>, StoreError> {
        find(&mut *self.read().await?, account, id).await
    }

    /// The artifact with this id, without its content.
    pub async fn find_artifact_bare(&self, account: AccountId, id: ArtifactId) -> Result<Option<Artifact>, StoreError> {
        find_bare(&mut *self.read().await?, account, id).await
    }

    /// The artifacts of a project, the last changed first, without contents. An unknown project gives an empty page.
    pub async fn list_artifacts(
        &self,
        account: AccountId,
        project: ProjectId,
        page: Page<ArtifactCursor>,
    ) -> Result<Listed<Artifact, ArtifactCursor>, StoreError> {
        let limit = page.rows();
        let rows = sqlx::query(LIST)
            .bind(account.0)
            .bind(blob(&project.0))
            .bind(page.cursor.map_or(i64::MAX, |cursor| cursor.0))
            .bind(int(limit as u64 + 1))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let rows: Result<Vec<_>, _> = rows.iter().map(read).collect();
        Ok(Listed::cut(rows?, limit))
    }

    /// The versions of an artifact, the newest first, without contents. An unknown artifact gives an empty page.
    pub async fn list_versions(
        &self,
        account: AccountId,
        id: ArtifactId,
        page: Page<VersionCursor>,
    ) -> Result<Listed<ArtifactVersion, VersionCursor>, StoreError> {
        let limit = page.rows();
        let rows = sqlx::query(LIST_VERSIONS)
            .bind(account.0)
            .bind(blob(&id.0))
            .bind(page.cursor.map_or(i64::MAX, |cursor| cursor.0))
            .bind(int(limit as u64 + 1))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let rows: Result<Vec<_>, StoreError> = rows
            .iter()
            .map(|row| {
                let version = read_version(row, 0, id)?;
                let cursor = VersionCursor(i64::from(version.version));
                Ok((version, cursor))
            })
            .collect();
        Ok(Listed::cut(rows?, limit))
    }

    /// One version of an artifact, with its content.
    pub async fn find_version(
        &self,
        account: AccountId,
        id: ArtifactId,
        version: u32,
    ) -> Result<Option<ArtifactVersion>, StoreError> {
        find_version(&mut *self.read().await?, account, id, version).await
    }
}
