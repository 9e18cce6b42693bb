//! The schema's history. The same files serve the sqlx command line (`sqlx migrate run` in the project's root) and are
//! embedded here; both keep their books in `_sqlx_migrations` with the same version, description and checksum.
//!
//! Invariants: an older schema is copied before it is touched; a newer one is refused untouched; each migration is one
//! transaction, so that a failed one leaves the file as it was.

use super::{StoreOptions, backup_file, connect_options, error::StoreError, open_writer, reader_options};
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Connection, SqlSafeStr, SqliteConnection,
    migrate::{Migrate, Migration, MigrationType, Migrator},
};
use std::{borrow::Cow, collections::HashMap, path::Path};

/// Version, description (as in the file's name) and both texts of every migration, in order.
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "conversation",
        include_str!("../../../../migrations/0001_conversation.up.sql"),
        include_str!("../../../../migrations/0001_conversation.down.sql"),
    ),
    (
        2,
        "memory",
        include_str!("../../../../migrations/0002_memory.up.sql"),
        include_str!("../../../../migrations/0002_memory.down.sql"),
    ),
    (
        3,
        "tools",
        include_str!("../../../../migrations/0003_tools.up.sql"),
        include_str!("../../../../migrations/0003_tools.down.sql"),
    ),
    (
        4,
        "projects",
        include_str!("../../../../migrations/0004_projects.up.sql"),
        include_str!("../../../../migrations/0004_projects.down.sql"),
    ),
    (
        5,
        "repositories",
        include_str!("../../../../migrations/0005_repositories.up.sql"),
        include_str!("../../../../migrations/0005_repositories.down.sql"),
    ),
    (
        6,
        "files",
        include_str!("../../../../migrations/0006_files.up.sql"),
        include_str!("../../../../migrations/0006_files.down.sql"),
    ),
    (
        7,
        "file texts",
        include_str!("../../../../migrations/0007_file_texts.up.sql"),
        include_str!("../../../../migrations/0007_file_texts.down.sql"),
    ),
    (
        8,
        "approvals",
        include_str!("../../../../migrations/0008_approvals.up.sql"),
        include_str!("../../../../migrations/0008_approvals.down.sql"),
    ),
    (
        9,
        "file tries",
        include_str!("../../../../migrations/0009_file_tries.up.sql"),
        include_str!("../../../../migrations/0009_file_tries.down.sql"),
    ),
    (
        10,
        "file vectors",
        include_str!("../../../../migrations/0010_file_vectors.up.sql"),
        include_str!("../../../../migrations/0010_file_vectors.down.sql"),
    ),
    (
        11,
        "citations",
        include_str!("../../../../migrations/0011_citations.up.sql"),
        include_str!("../../../../migrations/0011_citations.down.sql"),
    ),
    (
        12,
        "provider sends",
        include_str!("../../../../migrations/0012_provider_sends.up.sql"),
        include_str!("../../../../migrations/0012_provider_sends.down.sql"),
    ),
    (
        13,
        "replies and lookups",
        include_str!("../../../../migrations/0013_replies_and_lookups.up.sql"),
        include_str!("../../../../migrations/0013_replies_and_lookups.down.sql"),
    ),
    (
        14,
        "exposed replies",
        include_str!("../../../../migrations/0014_exposed_replies.up.sql"),
        include_str!("../../../../migrations/0014_exposed_replies.down.sql"),
    ),
    (
        15,
        "file readings",
        include_str!("../../../../migrations/0015_file_readings.up.sql"),
        include_str!("../../../../migrations/0015_file_readings.down.sql"),
    ),
    (
        16,
        "spent tokens",
        include_str!("../../../../migrations/0016_spent_tokens.up.sql"),
        include_str!("../../../../migrations/0016_spent_tokens.down.sql"),
    ),
    (
        17,
        "left out",
        include_str!("../../../../migrations/0017_left_out.up.sql"),
        include_str!("../../../../migrations/0017_left_out.down.sql"),
    ),
    (
        18,
        "instances",
        include_str!("../../../../migrations/0018_instances.up.sql"),
        include_str!("../../../../migrations/0018_instances.down.sql"),
    ),
];

/// The table sqlx keeps its books in.
const BOOKS: &str = "_sqlx_migrations";

/// `application_id` of our files: "Mira" in ASCII.
pub(super) const APPLICATION_ID: i64 = 0x4D69_7261;

/// One migration and whether the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationInfo {
    /// Its number.
    pub version: i64,
    /// What it brings.
    pub description: String,
    /// Whether the file has it.
    pub applied: bool,
    /// Whether this program knows it; an unknown one means a newer schema.
    pub known: bool,
}

fn migrator() -> Migrator {
    let both = MIGRATIONS.iter().flat_map(|&(version, description, up, down)| {
        let one = |kind, sql: &'static str| {
            Migration::new(version, Cow::Borrowed(description), kind, sql.into_sql_str(), false)
        };
        [
            one(MigrationType::ReversibleUp, up),
            one(MigrationType::ReversibleDown, down),
        ]
    });
    Migrator::with_migrations(both.collect())
}

/// The newest migration this program knows.
pub(super) fn newest_known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.0).max().unwrap_or_default()
}

/// The migrations found in the file; nothing is written.
async fn list_applied(conn: &mut SqliteConnection) -> Result<Vec<(i64, String)>, StoreError> {
    let books: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1")
        .bind(BOOKS)
        .fetch_one(&mut *conn)
        .await?;
    if books == 0 {
        return Ok(Vec::new());
    }
    Ok(
        sqlx::query_as("SELECT version, description FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(conn)
            .await?,
    )
}

/// Refuses a file of another program and a schema newer than ours.
pub(super) async fn check(conn: &mut SqliteConnection, path: &Path) -> Result<i64, StoreError> {
    let application_id: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *conn)
        .await?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name <> ?1 AND name NOT LIKE 'sqlite%'")
            .bind(BOOKS)
            .fetch_one(&mut *conn)
            .await?;
    let applied = list_applied(conn).await?;
    let ours = application_id == APPLICATION_ID || (application_id == 0 && (tables == 0 || !applied.is_empty()));
    if !ours {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
            application_id,
        });
    }
    let (found, known) = (applied.last().map_or(0, |last| last.0), newest_known());
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    Ok(found)
}

/// Brings the schema up to date; an older one is copied to the backup folder first.
pub(super) async fn run(conn: &mut SqliteConnection, options: &StoreOptions, now: Timestamp) -> Result<(), StoreError> {
    let found = check(conn, &options.path).await?;
    if found == newest_known() {
        // Checksums are compared all the same: a migration edited after its release must not go unnoticed.
        return Ok(migrator().run_direct(None, conn, false).await?);
    }
    if found > 0 {
        copy_before(conn, options, found, now).await?;
    }
    migrator().run_direct(None, conn, false).await?;
    tracing::info!(from = found, to = newest_known(), "database migrated");
    Ok(())
}

/// Copies the file before its schema changes.
async fn copy_before(
    conn: &mut SqliteConnection,
    options: &StoreOptions,
    version: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let name = format!("pre-migration-{version}-{}.db", now.strftime("%Y%m%dT%H%M%S%3fZ"));
    tokio::fs::create_dir_all(&options.backup_dir)
        .await
        .map_err(|source| StoreError::Io {
            what: options.backup_dir.display().to_string(),
            source,
        })?;
    let target = options.backup_dir.join(name);
    backup_file(conn, &target, None).await?;
    tracing::info!(path = %target.display(), "database copied before its schema changes");
    Ok(())
}

/// Undoes the newest migration, after a copy of the file; answers which one, `None` if there was none. For the command
/// line; the store must not be open.
pub async fn revert_last(options: &StoreOptions, now: Timestamp) -> Result<Option<i64>, StoreError> {
    let mut conn = open_writer(options).await?;
    let reverted = revert_on(&mut conn, options, now).await;
    conn.close().await?;
    reverted
}

async fn revert_on(
    conn: &mut SqliteConnection,
    options: &StoreOptions,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let found = check(conn, &options.path).await?;
    let migrator = migrator();
    let down = migrator
        .iter()
        .find(|m| m.version == found && m.migration_type == MigrationType::ReversibleDown);
    let Some(down) = down else { return Ok(None) };
    copy_before(conn, options, found, now).await?;
    conn.revert(BOOKS, down).await?;
    Ok(Some(found))
}

/// The migrations this program knows and those the file has. Reads only; usable beside a running server.
pub async fn migration_info(path: &Path) -> Result<Vec<MigrationInfo>, StoreError> {
    let mut applied = HashMap::new();
    if path.exists() {
        let mut conn = reader_options(&connect_options(path)).connect().await?;
        applied.extend(list_applied(&mut conn).await?);
        conn.close().await?;
    }
    let mut all: Vec<MigrationInfo> = MIGRATIONS
        .iter()
        .map(|&(version, description, ..)| MigrationInfo {
            version,
            description: description.to_owned(),
            applied: applied.remove(&version).is_some(),
            known: true,
        })
        .collect();
    all.extend(applied.into_iter().map(|(version, description)| MigrationInfo {
        version,
        description,
        applied: true,
        known: false,
    }));
    all.sort_by_key(|migration| migration.version);
    Ok(all)
}
