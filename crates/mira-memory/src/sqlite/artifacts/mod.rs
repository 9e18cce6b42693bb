//! Tables `artifacts`, `artifact_versions` and `artifact_blobs`: what is worked on in a project, version by version.
//! Making and changing is here, reading in [`read`].
//!
//! Invariants: a version, once there, stays as it is until its artifact goes; an artifact's `version` is its newest; a
//! content lies once however many versions hold it, and goes with the last (a trigger sees to it). Who changes a content
//! says which version they know, so that no update is lost.

mod read;

pub(super) use read::{content_columns, find, read_content, read_version, version_columns};

use super::{
    Store,
    error::StoreError,
    ord_cursor,
    projects::{self, next_recency},
    rows::{blob, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, ArtifactId, MessageId, ProjectId},
    project::{Artifact, ArtifactContent, ArtifactKind, Author},
};
use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;
use std::sync::Arc;

ord_cursor! {
    /// A place in the list of a project's artifacts.
    ArtifactCursor
}

ord_cursor! {
    /// A place in the list of an artifact's versions.
    VersionCursor
}

/// Contents larger than this are hashed where blocking is allowed.
const HASH_INLINE_BYTES: u64 = 64 * 1024;

/// Who made a version, from what, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub author: Author,
    /// The message it was made in.
    pub message_id: Option<MessageId>,
    /// When.
    pub now: Timestamp,
}

/// An artifact to make. What its fields may hold is the caller's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// Its id.
    pub id: ArtifactId,
    /// The project it goes to.
    pub project_id: ProjectId,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// The language of code.
    pub language: Option<String>,
    /// The first version's content.
    pub content: ArtifactContent,
    /// Where that comes from.
    pub origin: Origin,
}

/// What to change of an artifact beside its content; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtifactPatch {
    /// Its name.
    pub name: Option<String>,
    /// The language, or none.
    pub language: Option<Option<String>>,
}

/// What whoever changes an artifact takes it to be. It is compared where the change is made, so that nothing comes in
/// between; an artifact that is another refuses the change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    #[default]
    Anything,
    /// At this version, under whatever name.
    Version(u32),
    /// This, name and language included.
    Exactly {
        /// The newest version's number.
        version: u32,
        /// Its name.
        name: String,
        /// The language of code.
        language: Option<String>,
    },
}

impl Expected {
    /// That it is what it was when this was read.
    pub fn exactly(artifact: &Artifact) -> Self {
        Self::Exactly {
            version: artifact.version,
            name: artifact.name.clone(),
            language: artifact.language.clone(),
        }
    }

    fn is(&self, found: &Artifact) -> bool {
        match self {
            Self::Anything => true,
            Self::Version(version) => *version == found.version,
            Self::Exactly {
                version,
                name,
                language,
            } => *version == found.version && *name == found.name && *language == found.language,
        }
    }
}

/// A new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Its content.
    pub content: ArtifactContent,
    /// What its maker knows.
    pub expected: Expected,
    /// What else changes.
    pub patch: ArtifactPatch,
    /// Where it comes from.
    pub origin: Origin,
}

/// What became of a change of an artifact. An artifact is answered with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionOutcome {
    /// There is a new version.
    Added(Artifact),
    /// The content was this already: no new version, but another name or language.
    Renamed(Artifact),
    /// Everything was this already.
    Unchanged(Artifact),
    /// The artifact is another than was expected.
    Mismatch {
        /// The newest.
        version: u32,
    },
    /// The content is of another sort: text for a picture, or a picture for text.
    WrongContent,
    /// There is no such version to go back to.
    NoSuchVersion,
    /// There is no such artifact.
    NoSuchArtifact,
}

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// It is gone from this project.
    Deleted(ProjectId),
    /// The artifact is another than was expected.
    Mismatch {
        /// The newest.
        version: u32,
    },
    /// There is no such artifact.
    NoSuchArtifact,
}

/// The SHA-256 of a content; a large one is hashed off the runtime.
async fn digest(content: &Arc<ArtifactContent>) -> Result<[u8; 32], StoreError> {
    let hash = |content: &ArtifactContent| Sha256::digest(content.bytes()).into();
    if content.size() <= HASH_INLINE_BYTES {
        return Ok(hash(content));
    }
    let content = Arc::clone(content);
    tokio::task::spawn_blocking(move || hash(&content))
        .await
        .map_err(|_| StoreError::Panicked)
}

const INSERT: &str = concat!(
    "INSERT INTO artifacts (account_id, id, project_id, name, kind, language, version, created_at, updated_at, recency)
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ",
    next_recency!("artifacts"),
    " WHERE true ON CONFLICT (account_id, id) DO NOTHING"
);

/// Makes an artifact's row, without any version yet, unless it is there; answers whether it was made.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    account: AccountId,
    artifact: &Artifact,
) -> Result<bool, StoreError> {
    let done = sqlx::query(INSERT)
        .bind(account.0)
        .bind(blob(&artifact.id.0))
        .bind(blob(&artifact.project_id.0))
        .bind(artifact.name.as_str())
        .bind(artifact.kind.as_str())
        .bind(artifact.language.as_deref())
        .bind(0)
        .bind(ms(artifact.created_at))
        .bind(ms(artifact.updated_at))
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A version on its way into its table.
pub(super) struct VersionRow<'a> {
    pub(super) artifact_id: ArtifactId,
    pub(super) version: u32,
    pub(super) sha256: [u8; 32],
    pub(super) content: &'a ArtifactContent,
    pub(super) origin: Origin,
}

/// Stores a version and makes it the newest.
pub(super) async fn insert_version(
    conn: &mut SqliteConnection,
    account: AccountId,
    row: &VersionRow<'_>,
) -> Result<(), StoreError> {
    let (text, bytes) = match row.content {
        ArtifactContent::Text(text) => (Some(text.as_str()), None),
        ArtifactContent::Image(bytes) => (None, Some(bytes.as_slice())),
    };
    sqlx::query(
        "INSERT INTO artifact_blobs (account_id, sha256, text, bytes) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account_id, sha256) DO NOTHING",
    )
    .bind(account.0)
    .bind(row.sha256.as_slice())
    .bind(text)
    .bind(bytes)
    .execute(&mut *conn)
    .await?;
    insert_version_row(conn, account, row, row.content.size()).await
}

/// The same where its content is there already.
async fn insert_version_row(
    conn: &mut SqliteConnection,
    account: AccountId,
    row: &VersionRow<'_>,
    size: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO artifact_versions
             (account_id, artifact_id, version, sha256, size, author, message_id, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(account.0)
    .bind(blob(&row.artifact_id.0))
    .bind(row.version)
    .bind(row.sha256.as_slice())
    .bind(int(size))
    .bind(row.origin.author.as_str())
    .bind(row.origin.message_id.as_ref().map(|id| blob(&id.0)))
    .bind(ms(row.origin.now))
    .execute(&mut *conn)
    .await?;
    sqlx::query("UPDATE artifacts SET version = ?3 WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&row.artifact_id.0))
        .bind(row.version)
        .execute(conn)
        .await?;
    Ok(())
}

async fn create(
    conn: &mut SqliteConnection,
    account: AccountId,
    new: &NewArtifact,
    sha256: [u8; 32],
) -> Result<Option<Artifact>, StoreError> {
    if !projects::exists(&mut *conn, account, new.project_id).await? {
        return Ok(None);
    }
    let origin = new.origin;
    let artifact = Artifact {
        id: new.id,
        project_id: new.project_id,
        name: new.name.clone(),
        kind: new.kind,
        language: new.language.clone(),
        version: 1,
        sha256,
        size: new.content.size(),
        author: origin.author,
        message_id: origin.message_id,
        content: None,
        created_at: origin.now,
        updated_at: origin.now,
    };
    if insert(&mut *conn, account, &artifact).await? {
        let row = VersionRow {
            artifact_id: new.id,
            version: 1,
            sha256,
            content: &new.content,
            origin,
        };
        insert_version(&mut *conn, account, &row).await?;
    }
    find(conn, account, new.id).await
}

const UPDATE: &str = concat!(
    "UPDATE artifacts SET name = ?3, language = ?4, updated_at = ?5, recency = ",
    next_recency!("artifacts"),
    " WHERE account_id = ?1 AND id = ?2"
);

/// Changes name and language, and moves the artifact to the top of its list.
async fn update(
    conn: &mut SqliteConnection,
    account: AccountId,
    old: &Artifact,
    patch: &ArtifactPatch,
    now: Timestamp,
) -> Result<(), StoreError> {
    let language = patch.language.as_ref().unwrap_or(&old.language);
    sqlx::query(UPDATE)
        .bind(account.0)
        .bind(blob(&old.id.0))
        .bind(patch.name.as_ref().unwrap_or(&old.name).as_str())
        .bind(language.as_deref())
        .bind(ms(now))
        .execute(conn)
        .await?;
    Ok(())
}

impl ArtifactPatch {
    fn changes(&self, old: &Artifact) -> bool {
        self.name.as_ref().is_some_and(|name| *name != old.name)
            || self.language.as_ref().is_some_and(|language| *language != old.language)
    }
}

fn fits(kind: ArtifactKind, content: &ArtifactContent) -> bool {
    (kind == ArtifactKind::Image) == matches!(content, ArtifactContent::Image(_))
}

async fn add(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ArtifactId,
    new: &NewVersion,
    sha256: [u8; 32],
) -> Result<VersionOutcome, StoreError> {
    let Some(old) = read::find_bare(&mut *conn, account, id).await? else {
        return Ok(VersionOutcome::NoSuchArtifact);
    };
    if !new.expected.is(&old) {
        return Ok(VersionOutcome::Mismatch { version: old.version });
    }
    if !fits(old.kind, &new.content) {
        return Ok(VersionOutcome::WrongContent);
    }
    let same = old.sha256 == sha256;
    if !same {
        let row = VersionRow {
            artifact_id: id,
            version: old.version + 1,
            sha256,
            content: &new.content,
            origin: new.origin,
        };
        insert_version(&mut *conn, account, &row).await?;
    }
    let renames = new.patch.changes(&old);
    if !same || renames {
        update(&mut *conn, account, &old, &new.patch, new.origin.now).await?;
    }
    Ok(match answer(conn, account, id, same).await? {
        VersionOutcome::Unchanged(artifact) if renames => VersionOutcome::Renamed(artifact),
        outcome => outcome,
    })
}

async fn answer(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ArtifactId,
    same: bool,
) -> Result<VersionOutcome, StoreError> {
    Ok(match find(conn, account, id).await? {
        Some(artifact) if same => VersionOutcome::Unchanged(artifact),
        Some(artifact) => VersionOutcome::Added(artifact),
        None => VersionOutcome::NoSuchArtifact,
    })
}

async fn restore(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ArtifactId,
    version: u32,
    expected: &Expected,
    origin: Origin,
) -> Result<VersionOutcome, StoreError> {
    let Some(old) = read::find_bare(&mut *conn, account, id).await? else {
        return Ok(VersionOutcome::NoSuchArtifact);
    };
    if !expected.is(&old) {
        return Ok(VersionOutcome::Mismatch { version: old.version });
    }
    let Some(wanted) = read::find_version(&mut *conn, account, id, version).await? else {
        return Ok(VersionOutcome::NoSuchVersion);
    };
    let same = wanted.sha256 == old.sha256;
    if !same && let Some(content) = &wanted.content {
        let row = VersionRow {
            artifact_id: id,
            version: old.version + 1,
            sha256: wanted.sha256,
            content,
            origin,
        };
        insert_version_row(&mut *conn, account, &row, wanted.size).await?;
        update(&mut *conn, account, &old, &ArtifactPatch::default(), origin.now).await?;
    }
    answer(conn, account, id, same).await
}

async fn rename(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ArtifactId,
    patch: &ArtifactPatch,
    expected: &Expected,
    now: Timestamp,
) -> Result<VersionOutcome, StoreError> {
    let Some(old) = read::find_bare(&mut *conn, account, id).await? else {
        return Ok(VersionOutcome::NoSuchArtifact);
    };
    if !expected.is(&old) {
        return Ok(VersionOutcome::Mismatch { version: old.version });
    }
    let changes = patch.changes(&old);
    if changes {
        update(&mut *conn, account, &old, patch, now).await?;
    }
    Ok(match find(conn, account, id).await? {
        Some(artifact) if changes => VersionOutcome::Renamed(artifact),
        Some(artifact) => VersionOutcome::Unchanged(artifact),
        None => VersionOutcome::NoSuchArtifact,
    })
}

async fn delete(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ArtifactId,
    expected: &Expected,
) -> Result<DeleteOutcome, StoreError> {
    let Some(old) = read::find_bare(&mut *conn, account, id).await? else {
        return Ok(DeleteOutcome::NoSuchArtifact);
    };
    if !expected.is(&old) {
        return Ok(DeleteOutcome::Mismatch { version: old.version });
    }
    sqlx::query("DELETE FROM artifacts WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&id.0))
        .execute(conn)
        .await?;
    Ok(DeleteOutcome::Deleted(old.project_id))
}

impl Store {
    /// Makes an artifact with its first version. `None` if there is no such project.
    pub async fn create_artifact(&self, account: AccountId, new: NewArtifact) -> Result<Option<Artifact>, StoreError> {
        let content = Arc::new(new.content);
        let sha256 = digest(&content).await?;
        let new = Arc::new(NewArtifact {
            content: Arc::unwrap_or_clone(content),
            ..new
        });
        self.write(Class::Acknowledged, move |conn| {
            let new = Arc::clone(&new);
            async move { create(conn, account, &new, sha256).await }.boxed()
        })
        .await
    }

    /// Adds a version, unless its content is the newest one's already.
    pub async fn add_version(
        &self,
        account: AccountId,
        id: ArtifactId,
        new: NewVersion,
    ) -> Result<VersionOutcome, StoreError> {
        let content = Arc::new(new.content);
        let sha256 = digest(&content).await?;
        let new = Arc::new(NewVersion {
            content: Arc::unwrap_or_clone(content),
            ..new
        });
        self.write(Class::Acknowledged, move |conn| {
            let new = Arc::clone(&new);
            async move { add(conn, account, id, &new, sha256).await }.boxed()
        })
        .await
    }

    /// Makes an old version's content the newest, as a version of its own.
    pub async fn restore_version(
        &self,
        account: AccountId,
        id: ArtifactId,
        version: u32,
        expected: Expected,
        origin: Origin,
    ) -> Result<VersionOutcome, StoreError> {
        let expected = Arc::new(expected);
        self.write(Class::Acknowledged, move |conn| {
            let expected = Arc::clone(&expected);
            async move { restore(conn, account, id, version, &expected, origin).await }.boxed()
        })
        .await
    }

    /// Changes name or language: [`VersionOutcome::Renamed`], or [`VersionOutcome::Unchanged`] where both were this
    /// already.
    pub async fn update_artifact(
        &self,
        account: AccountId,
        id: ArtifactId,
        patch: ArtifactPatch,
        expected: Expected,
        now: Timestamp,
    ) -> Result<VersionOutcome, StoreError> {
        let change = Arc::new((patch, expected));
        self.write(Class::Acknowledged, move |conn| {
            let change = Arc::clone(&change);
            async move { rename(conn, account, id, &change.0, &change.1, now).await }.boxed()
        })
        .await
    }

    /// Removes an artifact with all its versions. [`Store::scrub`] wipes out the bytes.
    pub async fn delete_artifact(
        &self,
        account: AccountId,
        id: ArtifactId,
        expected: Expected,
    ) -> Result<DeleteOutcome, StoreError> {
        let expected = Arc::new(expected);
        self.write(Class::Acknowledged, move |conn| {
            let expected = Arc::clone(&expected);
            async move { delete(conn, account, id, &expected).await }.boxed()
        })
        .await
    }
}
