//! The index on a Qdrant server, over its REST API.
//!
//! `QDRANT_COLLECTION` is an alias. The vectors of a model are in a collection of their own,
//! `<alias>-<instance>-<model>-<dimension>`; the alias names the one that answers, so that a re-embedding fills another and
//! then swaps in one step ([`QdrantIndex::swap_alias`]). Databases on the same server have each their own, by the instance;
//! of theirs the alias names the one that came first, or swapped last. Where an owner has made a plain collection of the
//! alias's name, that one is used, if its vectors have the right length.
//!
//! Mira works on the collections by their own names; the alias is for whoever else looks. She deletes only collections
//! that she named ([`QdrantIndex::delete_model`]).

mod client;
mod wire;

pub use client::ApiKey;
pub use mira_core::retry::RetryPolicy;

use super::{
    Filter, Hit, IndexError, IndexStatus, Point, Vector, VectorIndex,
    embedded::{is_zero, sort},
};
use client::{Call, Server};
use futures_util::{FutureExt, future::BoxFuture};
use mira_core::ids::{AccountId, MemoryId};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use wire::{Aliases, CollectionInfo, CountResult, FIELDS, QueryRequest, QueryResult};

/// The most points of one request.
const BATCH_POINTS: usize = 128;
/// The most bytes of one request; Qdrant takes 32 MiB unless told otherwise.
const BATCH_BYTES: usize = 8 << 20;
/// Ids of one request that takes points out or scores them.
const BATCH_IDS: usize = 1000;
/// The most hits of one search.
const MAX_HITS: usize = 10_000;
/// The longest alias: a collection's name has 255 characters at most.
const ALIAS_CHARS: usize = 128;
/// The most characters of a model's name in a collection's name.
const MODEL_CHARS: usize = 64;
/// How wide the graph of each segment is searched at least, where Qdrant's own default would be 100; as wide as hits are
/// wanted finds all of the ten nearest and 98 in 100 of the 216 nearest of 100,000 texts.
const SEARCH_WIDTH: usize = 128;
/// The longest [`QdrantConfig::instance`].
const INSTANCE_CHARS: usize = 16;

/// Where the index is and what is in it.
#[derive(Debug, Clone)]
pub struct QdrantConfig {
    /// The server's REST address (`QDRANT_URL`).
    pub url: String,
    /// The key (`QDRANT_API_KEY`).
    pub key: Option<ApiKey>,
    /// The alias (`QDRANT_COLLECTION`): 1 to 128 of letters, digits, `_`, `.` and `-`.
    pub collection: String,
    /// The model that makes the vectors.
    pub model: String,
    /// Their length.
    pub dimension: usize,
    /// What tells the collections of this database from another's: up to 16 letters and digits. Empty: nothing does.
    pub instance: String,
    /// For a search, a count or a look at the server.
    pub read_timeout: Duration,
    /// For a batch of points, or a change of collections.
    pub write_timeout: Duration,
    /// How writes are repeated.
    pub retry: RetryPolicy,
}

impl QdrantConfig {
    /// Default of [`Self::read_timeout`].
    pub const READ_TIMEOUT: Duration = Duration::from_secs(1);
    /// Default of [`Self::write_timeout`].
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

    /// Default of [`Self::retry`]. Every write is idempotent. Searches are not repeated: they are under the turn's
    /// deadline.
    pub const RETRY: RetryPolicy = RetryPolicy {
        attempts: 4,
        base: Duration::from_millis(200),
        cap: Duration::from_secs(2),
        retry_after_cap: Duration::from_secs(5),
    };

    /// A server without a key, with the defaults.
    pub fn new(
        url: impl Into<String>,
        collection: impl Into<String>,
        model: impl Into<String>,
        dimension: usize,
    ) -> Self {
        Self {
            url: url.into(),
            key: None,
            collection: collection.into(),
            model: model.into(),
            dimension,
            instance: String::new(),
            read_timeout: Self::READ_TIMEOUT,
            write_timeout: Self::WRITE_TIMEOUT,
            retry: Self::RETRY,
        }
    }
}

/// What [`QdrantIndex::ensure`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensured {
    /// The collection the vectors are in.
    pub collection: String,
    /// It was made just now: everything has to be written.
    pub created: bool,
    /// The alias names it (or the owner's plain collection is used).
    pub active: bool,
}

/// The index on a server.
#[derive(Debug)]
pub struct QdrantIndex {
    server: Server,
    alias: String,
    instance: String,
    /// The model's collection, whose name Mira made.
    own: String,
    /// The owner's plain collection of the alias's name is used instead.
    plain: Mutex<bool>,
    dimension: usize,
    read_timeout: Duration,
    write_timeout: Duration,
    retry: RetryPolicy,
    status: Mutex<IndexStatus>,
}

impl QdrantIndex {
    /// An index; nothing is asked of the server yet. Refuses an address, name or key that cannot be right.
    pub fn open(config: QdrantConfig) -> Result<Self, IndexError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let alias = config.collection;
        if alias.is_empty() || alias.len() > ALIAS_CHARS || !alias.chars().all(legal) {
            return Err(IndexError::Refused(format!(
                "QDRANT_COLLECTION: 1 to {ALIAS_CHARS} of letters, digits, `_`, `.` and `-`"
            )));
        }
        let instance = &config.instance;
        if instance.len() > INSTANCE_CHARS || !instance.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(IndexError::Refused(format!(
                "an instance's name: up to {INSTANCE_CHARS} letters and digits"
            )));
        }
        Ok(Self {
            server: Server::new(&config.url, config.key, config.dimension)?,
            own: named(&alias, &config.instance, &config.model, config.dimension),
            alias,
            instance: config.instance,
            plain: Mutex::new(false),
            dimension: config.dimension,
            read_timeout: config.read_timeout,
            write_timeout: config.write_timeout,
            retry: config.retry,
            status: Mutex::new(IndexStatus::Unavailable("it was not asked yet".to_owned())),
        })
    }

    /// The collection the vectors are in.
    pub fn collection(&self) -> String {
        if *self.plain.lock().unwrap_or_else(PoisonError::into_inner) {
            self.alias.clone()
        } else {
            self.own.clone()
        }
    }

    /// Makes what is missing: the collection, the indexes over its payload, and the alias unless it names another
    /// model's collection, which goes on answering until [`Self::swap_alias`].
    pub async fn ensure(&self) -> Result<Ensured, IndexError> {
        let done = self.ensure_all().await;
        self.note(done.as_ref().err());
        done
    }

    async fn ensure_all(&self) -> Result<Ensured, IndexError> {
        let aliased = self.aliased().await?;
        if aliased.is_none()
            && let Some(info) = self.describe(&self.alias).await?
        {
            self.fits(&info)?;
            self.set_plain(true);
            self.ensure_fields(&self.alias, &info).await?;
            return Ok(Ensured {
                collection: self.alias.clone(),
                created: false,
                active: true,
            });
        }
        self.set_plain(false);
        let mut created = false;
        let info = if let Some(info) = self.describe(&self.own).await? {
            info
        } else {
            created = self.create().await?;
            self.describe(&self.own)
                .await?
                .ok_or_else(|| IndexError::Missing(self.own.clone()))?
        };
        self.fits(&info)?;
        self.ensure_fields(&self.own, &info).await?;
        let active = if let Some(target) = aliased {
            target == self.own
        } else {
            self.change_alias(false).await?;
            true
        };
        Ok(Ensured {
            collection: self.own.clone(),
            created,
            active,
        })
    }

    /// Makes the alias name this model's collection, in one step; answers the collection it named before, if another.
    pub async fn swap_alias(&self) -> Result<Option<String>, IndexError> {
        if *self.plain.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(None);
        }
        let before = self.aliased().await?;
        if before.as_deref() == Some(&self.own) {
            return Ok(None);
        }
        self.change_alias(before.is_some()).await?;
        Ok(before)
    }

    /// Deletes the collection of another model; answers whether it was there.
    pub async fn delete_model(&self, model: &str, dimension: usize) -> Result<bool, IndexError> {
        let name = named(&self.alias, &self.instance, model, dimension);
        if name == self.own {
            return Ok(false);
        }
        let path = vec!["collections".to_owned(), name];
        self.write(Method::DELETE, path, None).await
    }

    fn set_plain(&self, plain: bool) {
        *self.plain.lock().unwrap_or_else(PoisonError::into_inner) = plain;
    }

    /// Keeps what the last call says about the server.
    fn note(&self, error: Option<&IndexError>) {
        let status = match error {
            None => IndexStatus::Ready,
            Some(error) => IndexStatus::Unavailable(error.to_string()),
        };
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    fn fits(&self, info: &CollectionInfo) -> Result<(), IndexError> {
        match info.vectors() {
            Some((found, _)) if found != self.dimension => Err(IndexError::Dimension {
                expected: self.dimension,
                found,
            }),
            Some((_, "Cosine")) => Ok(()),
            Some((_, other)) => Err(IndexError::Refused(format!(
                "the collection compares by {other}, which must be Cosine"
            ))),
            None => Err(IndexError::Refused(
                "the collection's vectors have names; one without a name is needed".to_owned(),
            )),
        }
    }

    /// The collection the alias names.
    async fn aliased(&self) -> Result<Option<String>, IndexError> {
        let all: Aliases = self.read(Method::GET, vec!["aliases".to_owned()], None).await?;
        Ok(all
            .aliases
            .into_iter()
            .find(|alias| alias.alias_name == self.alias)
            .map(|alias| alias.collection_name))
    }

    async fn describe(&self, name: &str) -> Result<Option<CollectionInfo>, IndexError> {
        let path = vec!["collections".to_owned(), name.to_owned()];
        match self.read(Method::GET, path, None).await {
            Ok(info) => Ok(Some(info)),
            Err(IndexError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the model's collection; answers false if somebody else was quicker.
    async fn create(&self) -> Result<bool, IndexError> {
        let body = json!({
            "vectors": { "size": self.dimension, "distance": "Cosine" },
            "on_disk_payload": true,
        });
        let path = vec!["collections".to_owned(), self.own.clone()];
        match self.write(Method::PUT, path, Some(&body)).await {
            Ok(made) => Ok(made),
            // 409; older servers say 400.
            Err(IndexError::Refused(why)) if why.contains("already exists") => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn ensure_fields(&self, collection: &str, info: &CollectionInfo) -> Result<(), IndexError> {
        for (field, schema) in FIELDS {
            if info.payload_schema.contains_key(field) {
                continue;
            }
            let path = vec!["collections".to_owned(), collection.to_owned(), "index".to_owned()];
            let body = json!({ "field_name": field, "field_schema": schema });
            let _done: Value = self.send(Method::PUT, path, true, Some(to_bytes(&body)?)).await?;
        }
        Ok(())
    }

    async fn change_alias(&self, delete: bool) -> Result<(), IndexError> {
        let mut actions = Vec::new();
        if delete {
            actions.push(json!({ "delete_alias": { "alias_name": self.alias } }));
        }
        actions.push(json!({ "create_alias": { "collection_name": self.own, "alias_name": self.alias } }));
        let path = vec!["collections".to_owned(), "aliases".to_owned()];
        let changed: bool = self
            .write(Method::POST, path, Some(&json!({ "actions": actions })))
            .await?;
        if changed {
            Ok(())
        } else {
            Err(IndexError::Garbage("it did not change the alias".to_owned()))
        }
    }

    /// A question: asked once.
    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: Vec<String>,
        body: Option<Vec<u8>>,
    ) -> Result<T, IndexError> {
        let call = Call {
            method,
            path,
            wait: false,
            body,
            timeout: self.read_timeout,
        };
        self.server.call(&call, &RetryPolicy::ONCE).await
    }

    /// A change of collections.
    async fn write(&self, method: Method, path: Vec<String>, body: Option<&Value>) -> Result<bool, IndexError> {
        let body = body.map(to_bytes).transpose()?;
        self.send(method, path, false, body).await
    }

    /// A change: repeated by the policy.
    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: Vec<String>,
        wait: bool,
        body: Option<Vec<u8>>,
    ) -> Result<T, IndexError> {
        let call = Call {
            method,
            path,
            wait,
            body,
            timeout: self.write_timeout,
        };
        self.server.call(&call, &self.retry).await
    }

    /// The path of the points.
    fn points(&self, verb: Option<&str>) -> Vec<String> {
        let mut path = vec!["collections".to_owned(), self.collection(), "points".to_owned()];
        path.extend(verb.map(str::to_owned));
        path
    }

    fn fits_vector(&self, vector: &[f32]) -> Result<(), IndexError> {
        if vector.len() != self.dimension {
            return Err(IndexError::Dimension {
                expected: vector.len(),
                found: self.dimension,
            });
        }
        if vector.iter().map(|x| x * x).sum::<f32>().is_finite() {
            Ok(())
        } else {
            Err(IndexError::Refused("a vector has a number that is none".to_owned()))
        }
    }

    async fn put(&self, account: AccountId, points: Vec<Point>) -> Result<(), IndexError> {
        // Qdrant would find a zero vector, with a cosine of 0.
        let (zeros, points): (Vec<Point>, Vec<Point>) = points.into_iter().partition(|point| is_zero(&point.vector));
        self.take_out(account, zeros.into_iter().map(|point| point.id).collect())
            .await?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for point in &points {
            let json = wire::point(account, point).map_err(|error| IndexError::Refused(error.to_string()))?;
            if batch.len() >= BATCH_POINTS || (bytes + json.len() > BATCH_BYTES && !batch.is_empty()) {
                self.put_batch(&std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += json.len() + 1;
            batch.push(json);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.put_batch(&batch).await
    }

    async fn put_batch(&self, batch: &[Vec<u8>]) -> Result<(), IndexError> {
        let done: Value = self
            .send(Method::PUT, self.points(None), true, Some(wire::points(batch)))
            .await?;
        completed(&done)
    }

    async fn take_out(&self, account: AccountId, ids: Vec<MemoryId>) -> Result<(), IndexError> {
        for ids in ids.chunks(BATCH_IDS) {
            self.delete(&wire::of_ids(account, ids)).await?;
        }
        Ok(())
    }

    async fn delete(&self, filter: &Value) -> Result<(), IndexError> {
        let body = to_bytes(&json!({ "filter": filter }))?;
        let done: Value = self
            .send(Method::POST, self.points(Some("delete")), true, Some(body))
            .await?;
        completed(&done)
    }

    async fn query(&self, query: &[f32], filter: Value, params: Value, limit: usize) -> Result<Vec<Hit>, IndexError> {
        let body = serde_json::to_vec(&QueryRequest {
            query,
            filter,
            params,
            limit,
            with_payload: false,
            with_vector: false,
        })
        .map_err(|error| IndexError::Refused(error.to_string()))?;
        let found: QueryResult = self.read(Method::POST, self.points(Some("query")), Some(body)).await?;
        let mut hits: Vec<Hit> = found
            .points
            .into_iter()
            .map(|point| Hit {
                id: MemoryId(point.id),
                cosine: point.score.clamp(-1.0, 1.0),
            })
            .collect();
        sort(&mut hits);
        Ok(hits)
    }

    /// Notes how a call went.
    fn noted<T>(&self, done: Result<T, IndexError>) -> Result<T, IndexError> {
        self.note(done.as_ref().err());
        done
    }
}

impl VectorIndex for QdrantIndex {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn upsert(&self, account: AccountId, points: Vec<Point>) -> BoxFuture<'_, Result<(), IndexError>> {
        async move {
            for point in &points {
                self.fits_vector(&point.vector)?;
            }
            if points.is_empty() {
                return Ok(());
            }
            self.noted(self.put(account, points).await)
        }
        .boxed()
    }

    fn remove(&self, account: AccountId, ids: Vec<MemoryId>) -> BoxFuture<'_, Result<(), IndexError>> {
        async move {
            if ids.is_empty() {
                return Ok(());
            }
            self.noted(self.take_out(account, ids).await)
        }
        .boxed()
    }

    fn search(
        &self,
        account: AccountId,
        query: Vector,
        filter: Filter,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Hit>, IndexError>> {
        async move {
            self.fits_vector(&query)?;
            let limit = limit.min(MAX_HITS);
            if limit == 0 || is_zero(&query) {
                return Ok(Vec::new());
            }
            let params = json!({ "hnsw_ef": SEARCH_WIDTH.max(limit) });
            self.noted(self.query(&query, wire::filter(account, &filter), params, limit).await)
        }
        .boxed()
    }

    fn score(
        &self,
        account: AccountId,
        query: Vector,
        ids: Vec<MemoryId>,
    ) -> BoxFuture<'_, Result<Vec<Hit>, IndexError>> {
        async move {
            self.fits_vector(&query)?;
            if is_zero(&query) {
                return Ok(Vec::new());
            }
            let mut hits = Vec::with_capacity(ids.len());
            for ids in ids.chunks(BATCH_IDS) {
                let filter = wire::of_ids(account, ids);
                let found = self.query(&query, filter, json!({ "exact": true }), ids.len()).await;
                hits.extend(self.noted(found)?);
            }
            Ok(hits)
        }
        .boxed()
    }

    fn count(&self, account: AccountId) -> BoxFuture<'_, Result<u64, IndexError>> {
        async move {
            let body = to_bytes(&json!({ "filter": wire::of_account(account), "exact": true }))?;
            let found = self.read(Method::POST, self.points(Some("count")), Some(body)).await;
            self.noted(found.map(|found: CountResult| found.count))
        }
        .boxed()
    }

    fn clear(&self, account: AccountId) -> BoxFuture<'_, Result<(), IndexError>> {
        async move { self.noted(self.delete(&wire::of_account(account)).await) }.boxed()
    }

    fn status(&self) -> IndexStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The collection of a model.
fn named(alias: &str, instance: &str, model: &str, dimension: usize) -> String {
    let dash = if instance.is_empty() { "" } else { "-" };
    format!("{alias}-{instance}{dash}{}-{dimension}", slug(model))
}

/// A model's name as part of a collection's name.
fn slug(model: &str) -> String {
    let mut slug = String::new();
    for c in model.chars().take(MODEL_CHARS) {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "model".to_owned()
    } else {
        slug.to_owned()
    }
}

fn to_bytes(body: &Value) -> Result<Vec<u8>, IndexError> {
    serde_json::to_vec(body).map_err(|error| IndexError::Refused(error.to_string()))
}

/// A change that was waited for is made, or will be: both are in the server's log.
fn completed(done: &Value) -> Result<(), IndexError> {
    match done.get("status").and_then(Value::as_str) {
        Some("completed" | "acknowledged" | "wait_timeout") => Ok(()),
        other => Err(IndexError::Garbage(format!("a change ended as {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(model: &str, expect: &str) {
        assert_eq!(slug(model), expect);
    }

    #[test]
    fn models_in_names() {
        check("text-embedding-3-large", "text-embedding-3-large");
        check("BAAI/bge-m3:latest", "baai-bge-m3-latest");
        check("../../é", "model");
        check(&"x".repeat(100), &"x".repeat(64));
    }

    #[test]
    fn bad_names_are_refused() {
        let open = |name: &str| QdrantIndex::open(QdrantConfig::new("http://127.0.0.1:6333", name, "m", 2)).err();
        assert_eq!(open("mira-memory"), None);
        for bad in ["", "a b", "a/b", "é", &"x".repeat(129)] {
            assert!(matches!(open(bad), Some(IndexError::Refused(_))), "{bad}");
        }
    }
}
