//! A restore: what must not go back in time with the database. A backup is old: its logins may have been ended since,
//! its one-time codes used, its sequence numbers given out again, what had to be forgotten was still known, and of copies
//! sent to a provider since it knows nothing.

use super::{connect_options, error::StoreError, migrate, reader_options, writer_options};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::path::Path;

/// Sequence numbers left out by a restore: more than were given out since any backup, so that none comes twice and
/// every client that resumes is told to refetch.
const SEQ_JUMP: i64 = 1 << 24;

/// A row of `logins`.
type LoginRow = (Vec<u8>, i64, Vec<u8>, Vec<u8>, String, i64, i64, i64);

/// A row of `provider_files`: account, file, provider, its id there, its store, state, change, and what it was sent as.
type CopyRow = (
    i64,
    Vec<u8>,
    String,
    Option<String>,
    Option<String>,
    String,
    i64,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

/// What the database before the restore knows better than the backup.
#[derive(Debug, Default)]
struct Newer {
    logins: Vec<LoginRow>,
    used_codes: Vec<(Vec<u8>, i64, i64)>,
    seqs: Vec<(i64, String, i64)>,
    tombstones: Vec<(i64, Vec<u8>, i64)>,
    copies: Vec<CopyRow>,
    /// Of its spaces, if it remembers anything.
    instance: Option<String>,
}

/// Prepares a backup's copy (of this program's schema, opened by nobody) to take the place of `current`: today's logins
/// and used codes instead of the backup's, sequence numbers beyond those given out, everything that must stay forgotten,
/// what lies with providers (copies of files the backup does not have are to be removed there), and the name of its
/// collections in Qdrant. Where `current` cannot be read, all logins end.
pub async fn hand_over(current: &Path, copy: &Path) -> Result<(), StoreError> {
    let newer = match read(current).await {
        Ok(newer) => newer,
        Err(error) => {
            tracing::warn!(%error, "the database before the restore cannot be read; all logins end");
            Newer::default()
        }
    };
    let mut conn = writer_options(&connect_options(copy)).connect().await?;
    let mut tx = conn.begin().await?;
    write(&mut tx, &newer).await?;
    tx.commit().await?;
    fold(&mut conn).await?;
    conn.close().await?;
    Ok(())
}

/// Folds a database's log into its file, so that the file alone is the whole of it. Nobody may write to it meanwhile.
pub async fn settle(path: &Path) -> Result<(), StoreError> {
    let mut conn = connect_options(path).create_if_missing(false).connect().await?;
    fold(&mut conn).await?;
    conn.close().await?;
    Ok(())
}

async fn fold(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(conn).await?;
    Ok(())
}

async fn read(current: &Path) -> Result<Newer, StoreError> {
    if !current.exists() {
        return Ok(Newer::default());
    }
    let mut conn = reader_options(&connect_options(current)).connect().await?;
    let found = migrate::check(&mut conn, current).await?;
    if found != migrate::newest_known() {
        return Err(StoreError::Schema(format!(
            "it has {found}, this program {}",
            migrate::newest_known()
        )));
    }
    let newer = Newer {
        logins: sqlx::query_as(
            "SELECT id, account_id, token_hash, token_fingerprint, label, created_at, last_seen_at, expires_at
               FROM logins",
        )
        .fetch_all(&mut conn)
        .await?,
        used_codes: sqlx::query_as("SELECT code_hash, account_id, expires_at FROM used_codes")
            .fetch_all(&mut conn)
            .await?,
        seqs: sqlx::query_as("SELECT account_id, id, seq_reserved FROM sessions")
            .fetch_all(&mut conn)
            .await?,
        tombstones: sqlx::query_as("SELECT account_id, digest, created_at FROM tombstones")
            .fetch_all(&mut conn)
            .await?,
        copies: sqlx::query_as(
            "SELECT account_id, file_id, provider, remote_id, store_id, state, updated_at, sent_name, sent_bytes, sent_at
               FROM provider_files",
        )
        .fetch_all(&mut conn)
        .await?,
        instance: sqlx::query_scalar("SELECT max(instance) FROM spaces WHERE EXISTS (SELECT 1 FROM memories)")
            .fetch_one(&mut conn)
            .await?,
    };
    conn.close().await?;
    Ok(newer)
}

async fn write(conn: &mut SqliteConnection, newer: &Newer) -> Result<(), StoreError> {
    if let Some(instance) = &newer.instance {
        sqlx::query("UPDATE spaces SET instance = ?1")
            .bind(instance)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::query("DELETE FROM logins").execute(&mut *conn).await?;
    for (id, account, hash, fingerprint, label, created, seen, expires) in &newer.logins {
        sqlx::query(
            "INSERT INTO logins (id, account_id, token_hash, token_fingerprint, label, created_at, last_seen_at,
                                 expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(id)
        .bind(account)
        .bind(hash)
        .bind(fingerprint)
        .bind(label)
        .bind(created)
        .bind(seen)
        .bind(expires)
        .execute(&mut *conn)
        .await?;
    }
    for (hash, account, expires) in &newer.used_codes {
        sqlx::query("INSERT OR IGNORE INTO used_codes (code_hash, account_id, expires_at) VALUES (?1, ?2, ?3)")
            .bind(hash)
            .bind(account)
            .bind(expires)
            .execute(&mut *conn)
            .await?;
    }
    for (account, id, seq) in &newer.seqs {
        sqlx::query("UPDATE sessions SET seq_reserved = max(seq_reserved, ?3) WHERE account_id = ?1 AND id = ?2")
            .bind(account)
            .bind(id)
            .bind(seq)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::query("UPDATE sessions SET seq_reserved = seq_reserved + ?1")
        .bind(SEQ_JUMP)
        .execute(&mut *conn)
        .await?;
    for (account, digest, created) in &newer.tombstones {
        sqlx::query("INSERT OR IGNORE INTO tombstones (account_id, digest, created_at) VALUES (?1, ?2, ?3)")
            .bind(account)
            .bind(digest)
            .bind(created)
            .execute(&mut *conn)
            .await?;
    }
    write_copies(conn, &newer.copies).await
}

/// Where the backup has a row of its own that today's database has not, it stays: whoever looks after the copies finds
/// out whether it still holds.
async fn write_copies(conn: &mut SqliteConnection, copies: &[CopyRow]) -> Result<(), StoreError> {
    for (account, file, provider, remote, store, state, updated, name, bytes, at) in copies {
        sqlx::query(
            "INSERT OR REPLACE INTO provider_files (account_id, file_id, provider, remote_id, store_id, state, updated_at,
                                                    sent_name, sent_bytes, sent_at)
             SELECT ?1, ?2, ?3, ?4, ?5,
                    CASE WHEN NOT EXISTS (SELECT 1 FROM files WHERE account_id = ?1 AND id = ?2) THEN 'doomed'
                         ELSE coalesce(nullif(?6, 'doomed'), 'wanted') END,
                    ?7, ?8, ?9, ?10",
        )
        .bind(account)
        .bind(file)
        .bind(provider)
        .bind(remote)
        .bind(store)
        .bind(state)
        .bind(updated)
        .bind(name)
        .bind(bytes)
        .bind(at)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
