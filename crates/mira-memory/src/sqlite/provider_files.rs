//! Table `provider_files`: copies of the owner's files that lie with the provider of hosted tools, and the vector stores
//! they are in. Sending and deleting them is the backend's business.
//!
//! Invariants: a row stands before anything is sent, so that what is sent is known; once a file is gone its row says
//! `doomed` (a trigger sees to it) and nothing makes it anything else.

use super::{
    Store,
    error::StoreError,
    rows::{Columns, blob, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::ids::{AccountId, FileId, ProjectId};
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

impl CopyState {
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
    /// The store it is in.
    pub store_id: Option<String>,
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

fn optional(text: Option<String>) -> Option<Arc<str>> {
    text.map(Into::into)
}

impl Store {
    /// Documents that have to be sent, or whose way is not over, oldest first.
    pub async fn list_provider_wanted(
        &self,
        account: AccountId,
        provider: &str,
        limit: u32,
    ) -> Result<Vec<ProviderCopy>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT f.id, f.project_id, p.remote_id, p.store_id
               FROM files f LEFT JOIN provider_files p
                 ON p.account_id = f.account_id AND p.file_id = f.id AND p.provider = ?2
              WHERE f.account_id = ?1 AND ",
            is_document!(),
            " AND (p.state IS NULL OR p.state IN ('wanted', 'sent'))
              ORDER BY f.recency LIMIT (?3 + 0)"
        ))
        .bind(account.0)
        .bind(provider.to_owned())
        .bind(int(u64::from(limit)))
        .fetch_all(&mut *self.read().await?)
        .await?;
        let rows = rows.iter().map(|row| {
            let mut c = Columns::new("provider_files", row);
            let file_id = FileId(c.uuid("id")?);
            c.named(file_id);
            Ok(ProviderCopy {
                file_id,
                project_id: c.uuid_or_null("project_id")?.map(ProjectId),
                remote_id: c.take("remote_id")?,
                store_id: c.take("store_id")?,
            })
        });
        rows.collect()
    }

    /// Notes where a copy stands. False where its file is gone: the copy is doomed then, and its row keeps what is known
    /// of it.
    pub async fn put_provider_copy(
        &self,
        account: AccountId,
        provider: &str,
        copy: &ProviderCopy,
        state: CopyState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (provider, file_id): (Arc<str>, FileId) = (provider.into(), copy.file_id);
        let (remote, store) = (optional(copy.remote_id.clone()), optional(copy.store_id.clone()));
        self.write(Class::Acknowledged, move |conn| {
            let (provider, remote, store) = (provider.to_string(), remote.clone(), store.clone());
            async move {
                sqlx::query(
                    "INSERT INTO provider_files (account_id, file_id, provider, remote_id, store_id, state, updated_at)
                     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
                      WHERE EXISTS (SELECT 1 FROM files WHERE account_id = ?1 AND id = ?2)
                         OR EXISTS (SELECT 1 FROM provider_files WHERE account_id = ?1 AND file_id = ?2 AND provider = ?3)
                     ON CONFLICT (account_id, file_id, provider) DO UPDATE SET
                        remote_id = excluded.remote_id, store_id = excluded.store_id, updated_at = excluded.updated_at,
                        state = CASE state WHEN 'doomed' THEN 'doomed' ELSE excluded.state END",
                )
                .bind(account.0)
                .bind(blob(&file_id.0))
                .bind(provider)
                .bind(remote.as_deref().map(str::to_owned))
                .bind(store.as_deref().map(str::to_owned))
                .bind(state.as_str())
                .bind(ms(now))
                .execute(&mut *conn)
                .await?;
                let there: i64 =
                    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM files WHERE account_id = ?1 AND id = ?2)")
                        .bind(account.0)
                        .bind(blob(&file_id.0))
                        .fetch_one(conn)
                        .await?;
                Ok(there != 0)
            }
            .boxed()
        })
        .await
    }

    /// Copies whose files are gone.
    pub async fn list_provider_doomed(
        &self,
        account: AccountId,
        provider: &str,
    ) -> Result<Vec<ProviderCopy>, StoreError> {
        let rows = sqlx::query(
            "SELECT file_id, remote_id, store_id FROM provider_files
              WHERE account_id = ?1 AND provider = ?2 AND state = 'doomed' LIMIT 200",
        )
        .bind(account.0)
        .bind(provider.to_owned())
        .fetch_all(&mut *self.read().await?)
        .await?;
        let rows = rows.iter().map(|row| {
            let mut c = Columns::new("provider_files", row);
            Ok(ProviderCopy {
                file_id: FileId(c.uuid("file_id")?),
                project_id: None,
                remote_id: c.take("remote_id")?,
                store_id: c.take("store_id")?,
            })
        });
        rows.collect()
    }

    /// A copy is gone. True where its store holds nothing any more.
    pub async fn delete_provider_copy(
        &self,
        account: AccountId,
        provider: &str,
        copy: &ProviderCopy,
    ) -> Result<bool, StoreError> {
        let (provider, file_id): (Arc<str>, FileId) = (provider.into(), copy.file_id);
        let store = optional(copy.store_id.clone());
        self.write(Class::Acknowledged, move |conn| {
            let (provider, store) = (provider.to_string(), store.as_deref().map(str::to_owned));
            async move {
                sqlx::query("DELETE FROM provider_files WHERE account_id = ?1 AND file_id = ?2 AND provider = ?3")
                    .bind(account.0)
                    .bind(blob(&file_id.0))
                    .bind(provider.clone())
                    .execute(&mut *conn)
                    .await?;
                let held: i64 = sqlx::query_scalar(
                    "SELECT EXISTS (SELECT 1 FROM provider_files
                                     WHERE account_id = ?1 AND provider = ?2 AND store_id IS ?3)",
                )
                .bind(account.0)
                .bind(provider)
                .bind(store.clone())
                .fetch_one(conn)
                .await?;
                Ok(store.is_some() && held == 0)
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
