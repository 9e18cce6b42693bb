//! Tables `logins` and `used_codes`: browser logins by the hash of their token, and one-time codes that were used.
//! Tokens and codes themselves never get here.

use super::{
    Listed, Page, Store,
    error::StoreError,
    rows::{Columns, blob, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::ids::{AccountId, LoginId};
use sqlx::sqlite::SqliteRow;
use std::sync::Arc;

/// The most characters of a label that are kept.
const LABEL_CHARS: usize = 200;

/// A login to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLogin {
    /// Its id.
    pub id: LoginId,
    /// The hash of its token.
    pub token_hash: [u8; 32],
    /// The fingerprint of the owner's token it was given for.
    pub token_fingerprint: Vec<u8>,
    /// What the owner recognises it by (the browser's name); cut at 200 characters.
    pub label: String,
    /// When.
    pub now: Timestamp,
    /// When it ends unless used.
    pub expires_at: Timestamp,
}

/// A stored login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its id.
    pub id: LoginId,
    /// Whose.
    pub account_id: AccountId,
    /// The fingerprint of the owner's token it was given for.
    pub token_fingerprint: Vec<u8>,
    /// What the owner recognises it by.
    pub label: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_seen_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

macro_rules! login_columns {
    () => {
        "id, account_id, token_fingerprint, label, created_at, last_seen_at, expires_at"
    };
}

fn read(row: &SqliteRow) -> Result<Login, StoreError> {
    let mut c = Columns::new("logins", row);
    let id = LoginId(c.uuid("id")?);
    c.named(id);
    Ok(Login {
        id,
        account_id: AccountId(c.take("account_id")?),
        token_fingerprint: c.take("token_fingerprint")?,
        label: c.take("label")?,
        created_at: c.time("created_at")?,
        last_seen_at: c.time("last_seen_at")?,
        expires_at: c.time("expires_at")?,
    })
}

impl Store {
    /// Stores a login.
    pub async fn insert_login(&self, account: AccountId, new: NewLogin) -> Result<(), StoreError> {
        let new = Arc::new(new);
        self.write(Class::Acknowledged, move |conn| {
            let new = Arc::clone(&new);
            async move {
                let label: String = new.label.chars().take(LABEL_CHARS).collect();
                sqlx::query(
                    "INSERT INTO logins (id, account_id, token_hash, token_fingerprint, label, created_at,
                                         last_seen_at, expires_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
                )
                .bind(blob(&new.id.0))
                .bind(account.0)
                .bind(new.token_hash.as_slice())
                .bind(new.token_fingerprint.as_slice())
                .bind(label)
                .bind(ms(new.now))
                .bind(ms(new.expires_at))
                .execute(conn)
                .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// The login of this id, expired or not.
    pub async fn find_login_by_id(&self, account: AccountId, id: LoginId) -> Result<Option<Login>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            login_columns!(),
            " FROM logins WHERE account_id = ?1 AND id = ?2"
        ))
        .bind(account.0)
        .bind(blob(&id.0))
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// The login with this token, expired or not; it says whose it is.
    pub async fn find_login(&self, token_hash: &[u8; 32]) -> Result<Option<Login>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            login_columns!(),
            " FROM logins WHERE token_hash = ?1"
        ))
        .bind(token_hash.as_slice())
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// Notes that a login was used, and until when it is good now; answers whether it is there.
    pub async fn touch_login(
        &self,
        account: AccountId,
        id: LoginId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(Class::Partial, move |conn| {
            async move {
                let done = sqlx::query(
                    "UPDATE logins SET last_seen_at = ?3, expires_at = ?4 WHERE account_id = ?1 AND id = ?2",
                )
                .bind(account.0)
                .bind(blob(&id.0))
                .bind(ms(now))
                .bind(ms(expires_at))
                .execute(conn)
                .await?;
                Ok(done.rows_affected() == 1)
            }
            .boxed()
        })
        .await
    }

    /// Logins, newest first; the cursor is the last one's id.
    pub async fn list_logins(
        &self,
        account: AccountId,
        page: Page<LoginId>,
    ) -> Result<Listed<Login, LoginId>, StoreError> {
        let limit = page.rows();
        let rows = sqlx::query(concat!(
            "SELECT ",
            login_columns!(),
            " FROM logins WHERE account_id = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT (?3 + 0)"
        ))
        .bind(account.0)
        .bind(page.cursor.as_ref().map(|id| blob(&id.0)))
        .bind(int(limit as u64 + 1))
        .fetch_all(&mut *self.read().await?)
        .await?;
        let rows: Result<Vec<_>, StoreError> = rows
            .iter()
            .map(|row| read(row).map(|login| (login.clone(), login.id)))
            .collect();
        Ok(Listed::cut(rows?, limit))
    }

    /// Ends a login; answers whether it was there.
    pub async fn delete_login(&self, account: AccountId, id: LoginId) -> Result<bool, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                let done = sqlx::query("DELETE FROM logins WHERE account_id = ?1 AND id = ?2")
                    .bind(account.0)
                    .bind(blob(&id.0))
                    .execute(conn)
                    .await?;
                Ok(done.rows_affected() == 1)
            }
            .boxed()
        })
        .await
    }

    /// Ends all logins of an account; answers how many.
    pub async fn delete_all_logins(&self, account: AccountId) -> Result<u64, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                let done = sqlx::query("DELETE FROM logins WHERE account_id = ?1")
                    .bind(account.0)
                    .execute(conn)
                    .await?;
                Ok(done.rows_affected())
            }
            .boxed()
        })
        .await
    }

    /// Uses up a one-time code: true for the first, false ever after. `expires_at` is when the code would be refused
    /// anyway and need not be remembered any longer.
    pub async fn claim_code(
        &self,
        account: AccountId,
        code_hash: [u8; 32],
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(Class::Acknowledged, move |conn| {
            async move {
                let done = sqlx::query(
                    "INSERT INTO used_codes (code_hash, account_id, expires_at) VALUES (?1, ?2, ?3)
                         ON CONFLICT (code_hash) DO NOTHING",
                )
                .bind(code_hash.as_slice())
                .bind(account.0)
                .bind(ms(expires_at))
                .execute(conn)
                .await?;
                Ok(done.rows_affected() == 1)
            }
            .boxed()
        })
        .await
    }

    /// Removes logins and used codes that have expired, of every account; answers how many logins.
    pub async fn purge_logins(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(Class::Partial, move |conn| {
            async move {
                sqlx::query("DELETE FROM used_codes WHERE expires_at <= ?1")
                    .bind(ms(now))
                    .execute(&mut *conn)
                    .await?;
                let done = sqlx::query("DELETE FROM logins WHERE expires_at <= ?1")
                    .bind(ms(now))
                    .execute(conn)
                    .await?;
                Ok(done.rows_affected())
            }
            .boxed()
        })
        .await
    }
}
