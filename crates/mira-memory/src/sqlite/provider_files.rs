//! Table `provider_files`: copies of the owner's files that lie with the provider of hosted tools, and the vector stores
//! they are in. Sending and deleting them is the backend's business.
//!
//! Invariants: a row says what is sent before it is sent, so that it is found even where the answer never came; once a
//! file is gone its row says `doomed` (a trigger sees to it) and nothing makes it anything else; lists begin with what
//! was left alone longest, so that nothing that fails stands before the rest.

use super::{
    Store,
    error::StoreError,
    messages::unknown,
    rows::{Columns, blob, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::ids::{AccountId, FileId, ProjectId};
use sqlx::sqlite::SqliteRow;
use std::sync::Arc;

/// Where a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyState {
    /// It is to be sent, or to be put into a store.
    Wanted,
    /// It is in a store, which makes it ready.
    Sent,
    /// It can be searched.
    Ready,
    /// The provider cannot search it.
    Failed,
}

/// What a copy was sent as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentAs {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When the sending began.
    pub at: Timestamp,
}

impl CopyState {
    fn parse(text: &str) -> Result<Self, String> {
        [Self::Wanted, Self::Sent, Self::Ready, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| unknown(text))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Sent => "sent",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// A copy with work to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderCopy {
    /// The file.
    pub file_id: FileId,
    /// Its project.
    pub project_id: Option<ProjectId>,
    /// The provider's id of it.
    pub remote_id: Option<String>,
    /// The store it is in, or is being put into.
    pub store_id: Option<String>,
    /// Where it stands; of one that is doomed, where it stood.
    pub state: CopyState,
    /// What it was last sent as; without a `remote_id` it may be there or not.
    pub sent: Option<SentAs>,
}

/// The columns of a copy `p`, as [`read`] takes them, after the file's id and project.
macro_rules! copy_columns {
    () => {
        "p.remote_id, p.store_id, coalesce(nullif(p.state, 'doomed'), 'wanted'), p.sent_name, p.sent_bytes, p.sent_at"
    };
}

fn read(row: &SqliteRow) -> Result<ProviderCopy, StoreError> {
    let mut c = Columns::new("provider_files", row);
    let file_id = FileId(c.uuid("file_id")?);
    c.named(file_id);
    let project_id = c.uuid_or_null("project_id")?.map(ProjectId);
    let (remote_id, store_id) = (c.take("remote_id")?, c.take("store_id")?);
    let state = c.parsed("state", CopyState::parse)?;
    let name: Option<String> = c.take("sent_name")?;
    let bytes: Option<i64> = c.take("sent_bytes")?;
    let at = c.time_or_null("sent_at")?;
    let sent = match (name, bytes.map(u64::try_from), at) {
        (Some(name), Some(Ok(bytes)), Some(at)) => Some(SentAs { name, bytes, at }),
        _ => None,
    };
    Ok(ProviderCopy {
        file_id,
        project_id,
        remote_id,
        store_id,
        state,
        sent,
    })
}

/// What of a provider's can be used from one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderScope {
    /// The stores that hold every document of the place; empty where one is missing.
    pub stores: Vec<String>,
    /// The newest copies, by the provider's ids.
    pub copies: Vec<String>,
}

/// The documents a provider is given: what has text.
macro_rules! is_document {
    () => {
        "f.size > 0 AND (f.media_type LIKE 'text/%' OR f.media_type IN ('application/pdf', 'application/json',
            'application/vnd.openxmlformats-officedocument.wordprocessingml.document'))"
    };
}
/// What a conversation sees: documents of its project ?3, and those in none.
macro_rules! seen {
    () => {
        "(f.project_id IS NULL OR f.project_id IS ?3)"
    };
}
/// The most copies of one place.
const MOST_COPIES: i64 = 20;

impl Store {
    /// Documents that have to be sent, or whose way is not over: what was never begun first, oldest first.
    pub async fn list_provider_wanted(
        &self,
        account: AccountId,
        provider: &str,
        limit: u32,
    ) -> Result<Vec<ProviderCopy>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT f.id, f.project_id, ",
            copy_columns!(),
            " FROM files f LEFT JOIN provider_files p
                 ON p.account_id = f.account_id AND p.file_id = f.id AND p.provider = ?2
              WHERE f.account_id = ?1 AND ",
            is_document!(),
            " AND (p.state IS NULL OR p.state IN ('wanted', 'sent'))
              ORDER BY coalesce(p.updated_at, 0), f.recency LIMIT (?3 + 0)"
        ))
        .bind(account.0)
        .bind(provider.to_owned())
        .bind(int(u64::from(limit)))
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Notes what is known of a copy. False where its file is gone: the copy is doomed then, and its row keeps what is
    /// known of it.
    pub async fn put_provider_copy(
        &self,
        account: AccountId,
        provider: &str,
        copy: &ProviderCopy,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (provider, copy): (Arc<str>, Arc<ProviderCopy>) = (provider.into(), Arc::new(copy.clone()));
        self.write(Class::Acknowledged, move |conn| {
            let (provider, copy) = (provider.to_string(), Arc::clone(&copy));
            async move {
                let sent = copy.sent.as_ref();
                sqlx::query(
                    "INSERT INTO provider_files (account_id, file_id, provider, remote_id, store_id, state, updated_at,
                                                 sent_name, sent_bytes, sent_at)
                     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
                      WHERE EXISTS (SELECT 1 FROM files WHERE account_id = ?1 AND id = ?2)
                         OR EXISTS (SELECT 1 FROM provider_files WHERE account_id = ?1 AND file_id = ?2 AND provider = ?3)
                     ON CONFLICT (account_id, file_id, provider) DO UPDATE SET
                        remote_id = excluded.remote_id, store_id = excluded.store_id, updated_at = excluded.updated_at,
                        sent_name = excluded.sent_name, sent_bytes = excluded.sent_bytes, sent_at = excluded.sent_at,
                        state = CASE state WHEN 'doomed' THEN 'doomed' ELSE excluded.state END",
                )
                .bind(account.0)
                .bind(blob(&copy.file_id.0))
                .bind(provider)
                .bind(copy.remote_id.as_deref())
                .bind(copy.store_id.as_deref())
                .bind(copy.state.as_str())
                .bind(ms(now))
                .bind(sent.map(|sent| sent.name.as_str()))
                .bind(sent.map(|sent| int(sent.bytes)))
                .bind(sent.map(|sent| ms(sent.at)))
                .execute(&mut *conn)
                .await?;
                let there: i64 =
                    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM files WHERE account_id = ?1 AND id = ?2)")
                        .bind(account.0)
                        .bind(blob(&copy.file_id.0))
                        .fetch_one(conn)
                        .await?;
                Ok(there != 0)
            }
            .boxed()
        })
        .await
    }

    /// A copy was tried in vain: what waits comes before it from now on.
    pub async fn touch_provider_copy(
        &self,
        account: AccountId,
        provider: &str,
        file: FileId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let provider: Arc<str> = provider.into();
        self.write(Class::Acknowledged, move |conn| {
            let provider = provider.to_string();
            async move {
                sqlx::query(
                    "UPDATE provider_files SET updated_at = ?4 WHERE account_id = ?1 AND provider = ?2 AND file_id = ?3",
                )
                .bind(account.0)
                .bind(provider)
                .bind(blob(&file.0))
                .bind(ms(now))
                .execute(conn)
                .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// The copies that lie with the provider, those of deleted files apart.
    pub async fn list_provider_copies(
        &self,
        account: AccountId,
        provider: &str,
    ) -> Result<Vec<ProviderCopy>, StoreError> {
        let sql = concat!(
            "SELECT f.id, f.project_id, ",
            copy_columns!(),
            " FROM provider_files p CROSS JOIN files f ON f.account_id = p.account_id AND f.id = p.file_id
              WHERE p.account_id = ?1 AND p.provider = ?2 AND p.remote_id IS NOT NULL AND p.state <> 'doomed'",
        );
        self.list(sql, account, provider).await
    }

    async fn list(
        &self,
        sql: &'static str,
        account: AccountId,
        provider: &str,
    ) -> Result<Vec<ProviderCopy>, StoreError> {
        let rows = sqlx::query(sql)
            .bind(account.0)
            .bind(provider.to_owned())
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Copies that were never put into a store, because nobody was to search them when they were sent, are wanted in one.
    pub async fn want_provider_stores(
        &self,
        account: AccountId,
        provider: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let provider: Arc<str> = provider.into();
        self.write(Class::Acknowledged, move |conn| {
            let provider = provider.to_string();
            async move {
                sqlx::query(
                    "UPDATE provider_files SET state = 'wanted', updated_at = ?3
                      WHERE account_id = ?1 AND provider = ?2 AND state = 'failed'
                        AND remote_id IS NOT NULL AND store_id IS NULL",
                )
                .bind(account.0)
                .bind(provider)
                .bind(ms(now))
                .execute(conn)
                .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// Whether a copy of that id is known, whatever became of it.
    pub async fn is_provider_copy(
        &self,
        account: AccountId,
        provider: &str,
        remote_id: &str,
    ) -> Result<bool, StoreError> {
        let known: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM provider_files WHERE account_id = ?1 AND provider = ?2 AND remote_id = ?3)",
        )
        .bind(account.0)
        .bind(provider.to_owned())
        .bind(remote_id.to_owned())
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(known != 0)
    }

    /// Whether no other copy is in the store of this one.
    pub async fn is_alone_in_provider_store(
        &self,
        account: AccountId,
        provider: &str,
        copy: &ProviderCopy,
    ) -> Result<bool, StoreError> {
        let others: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM provider_files
                             WHERE account_id = ?1 AND provider = ?2 AND store_id IS ?3 AND file_id <> ?4)",
        )
        .bind(account.0)
        .bind(provider.to_owned())
        .bind(copy.store_id.clone())
        .bind(blob(&copy.file_id.0))
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(others == 0)
    }

    /// Copies whose files are gone.
    pub async fn list_provider_doomed(
        &self,
        account: AccountId,
        provider: &str,
    ) -> Result<Vec<ProviderCopy>, StoreError> {
        let sql = concat!(
            "SELECT p.file_id, NULL, ",
            copy_columns!(),
            " FROM provider_files p WHERE p.account_id = ?1 AND p.provider = ?2 AND p.state = 'doomed'
              ORDER BY p.updated_at LIMIT 200",
        );
        self.list(sql, account, provider).await
    }

    /// A copy is gone.
    pub async fn delete_provider_copy(
        &self,
        account: AccountId,
        provider: &str,
        file: FileId,
    ) -> Result<(), StoreError> {
        let provider: Arc<str> = provider.into();
        self.write(Class::Acknowledged, move |conn| {
            let provider = provider.to_string();
            async move {
                sqlx::query("DELETE FROM provider_files WHERE account_id = ?1 AND file_id = ?2 AND provider = ?3")
                    .bind(account.0)
                    .bind(blob(&file.0))
                    .bind(provider)
                    .execute(conn)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// The store that holds documents of this place.
    pub async fn find_provider_store(
        &self,
        account: AccountId,
        provider: &str,
        project: Option<ProjectId>,
    ) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT p.store_id FROM provider_files p
               CROSS JOIN files f ON f.account_id = p.account_id AND f.id = p.file_id
              WHERE p.account_id = ?1 AND p.provider = ?2 AND p.store_id IS NOT NULL AND f.project_id IS ?3
              LIMIT 1",
        )
        .bind(account.0)
        .bind(provider.to_owned())
        .bind(project.as_ref().map(|project| blob(&project.0)))
        .fetch_optional(&mut *self.read().await?)
        .await?)
    }

    /// Every store.
    pub async fn list_provider_stores(&self, account: AccountId, provider: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT DISTINCT store_id FROM provider_files
              WHERE account_id = ?1 AND provider = ?2 AND store_id IS NOT NULL",
        )
        .bind(account.0)
        .bind(provider.to_owned())
        .fetch_all(&mut *self.read().await?)
        .await?)
    }

    /// A store is gone: what was in it is wanted in another.
    pub async fn forget_provider_store(
        &self,
        account: AccountId,
        provider: &str,
        store: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (provider, store): (Arc<str>, Arc<str>) = (provider.into(), store.into());
        self.write(Class::Acknowledged, move |conn| {
            let (provider, store) = (provider.to_string(), store.to_string());
            async move {
                sqlx::query(
                    "UPDATE provider_files SET store_id = NULL, updated_at = ?4,
                            state = CASE state WHEN 'doomed' THEN 'doomed' ELSE 'wanted' END
                      WHERE account_id = ?1 AND provider = ?2 AND store_id = ?3",
                )
                .bind(account.0)
                .bind(provider)
                .bind(store)
                .bind(ms(now))
                .execute(conn)
                .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    /// What a conversation in this project, or in none, can use: documents of the project and those in none.
    pub async fn find_provider_scope(
        &self,
        account: AccountId,
        provider: &str,
        project: Option<ProjectId>,
    ) -> Result<ProviderScope, StoreError> {
        let mut conn = self.read().await?;
        let rows = sqlx::query(concat!(
            "SELECT p.store_id, p.state IS 'ready' AS ready
               FROM files f LEFT JOIN provider_files p
                 ON p.account_id = f.account_id AND p.file_id = f.id AND p.provider = ?2
              WHERE f.account_id = ?1 AND ",
            seen!(),
            " AND ",
            is_document!(),
            " GROUP BY 1, 2"
        ))
        .bind(account.0)
        .bind(provider.to_owned())
        .bind(project.as_ref().map(|project| blob(&project.0)))
        .fetch_all(&mut *conn)
        .await?;
        let mut scope = ProviderScope::default();
        let mut whole = true;
        for row in &rows {
            let mut c = Columns::new("provider_files", row);
            let store: Option<String> = c.take("store_id")?;
            let ready: i64 = c.take("ready")?;
            match store.filter(|_| ready != 0) {
                Some(store) => scope.stores.push(store),
                None => whole = false,
            }
        }
        if !whole {
            scope.stores.clear();
        }
        scope.stores.sort_unstable();
        scope.copies = sqlx::query_scalar(concat!(
            "SELECT p.remote_id FROM files f CROSS JOIN provider_files p
                 ON p.account_id = f.account_id AND p.file_id = f.id AND p.provider = ?2
              WHERE f.account_id = ?1 AND p.remote_id IS NOT NULL AND p.state <> 'doomed' AND ",
            seen!(),
            " ORDER BY f.recency DESC LIMIT (?4 + 0)"
        ))
        .bind(account.0)
        .bind(provider.to_owned())
        .bind(project.as_ref().map(|project| blob(&project.0)))
        .bind(MOST_COPIES)
        .fetch_all(&mut *conn)
        .await?;
        // Stable while nothing is added, so that a provider's prompt cache holds.
        scope.copies.sort_unstable();
        Ok(scope)
    }

    /// The file of a copy, by the provider's id.
    pub async fn find_file_of_copy(
        &self,
        account: AccountId,
        provider: &str,
        remote_id: &str,
    ) -> Result<Option<FileId>, StoreError> {
        let row = sqlx::query(
            "SELECT file_id FROM provider_files
              WHERE account_id = ?1 AND provider = ?2 AND remote_id = ?3 AND state <> 'doomed'",
        )
        .bind(account.0)
        .bind(provider.to_owned())
        .bind(remote_id.to_owned())
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.map(|row| Columns::new("provider_files", &row).uuid("file_id").map(FileId))
            .transpose()
    }
}
