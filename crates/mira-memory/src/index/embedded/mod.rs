//! The embedded index: vectors are rows of the store, and searched by a scan of all of them in a compact copy in memory
//! whose best candidates are compared again more exactly: small vectors by all bits of the copy (cosines are exact but
//! for rounding), large ones by their full vectors in the rows, the best [`MOST_EXACT`] of them (the cosines beyond are
//! within about 0.005).
//!
//! [`codes`] is the arithmetic, [`compact`] the copy, [`scan`] the search in it, [`keeper`] the one task that changes
//! anything. The rows are the truth: the copy is read from them at start, in the background, while searches answer with
//! what is there. A memory that is deleted takes its row along, but not its place in the copy: whoever deletes it says so
//! ([`VectorIndex::remove`]).
//!
//! An index is opened on one account and one space; a change of the model is a new index on a new space.

pub(crate) mod codes;
mod compact;
mod keeper;
mod scan;

use super::{Filter, Hit, IndexError, IndexStatus, Point, Vector, VectorIndex};
use crate::sqlite::{Store, error::StoreError, outbox::SpaceId, spaces::Space, vectors::vector_of_bytes};
use codes::{Form, Query};
use compact::Compact;
use futures_util::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use keeper::Order;
use mira_core::ids::{AccountId, MemoryId};
use scan::{Candidate, scan};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
};

/// Scans at the same time: they are bound by the memory's bandwidth, more would only wait for each other.
const SCANS: usize = 2;
/// The most hits of one search.
const MAX_HITS: usize = 10_000;
/// Candidates beyond the wanted hits that are compared more exactly.
const SPARE: usize = 32;
/// The most full vectors read for a search. Each is kilobytes, in several pages of the file.
const MOST_EXACT: usize = 96;
/// Bytes of codes that are compared at once where the question is asked (some 30 microseconds): another thread would take
/// longer to wake than to do it.
const INLINE_BYTES: usize = 256 << 10;

/// What searches and the keeper share.
#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    account: AccountId,
    space: SpaceId,
    dimension: usize,
    opened_at: Timestamp,
    copy: Mutex<Compact>,
    status: watch::Sender<IndexStatus>,
}

impl Shared {
    /// So many rows are to be read.
    fn progress(&self, total: u64) {
        self.status.send_replace(IndexStatus::Building { done: 0, total });
    }

    /// More was read.
    fn advance(&self) {
        let done = self.copy.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        self.status.send_modify(|status| {
            if let IndexStatus::Building { done: was, total } = status {
                *was = done;
                *total = done.max(*total);
            }
        });
    }
}

/// The index in this process.
#[derive(Debug)]
pub struct EmbeddedIndex {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    scans: Arc<Semaphore>,
    task: Mutex<JoinSet<()>>,
}

impl EmbeddedIndex {
    /// The index of an account in a space of this store. It answers at once, with what it has read so far. `now` is the
    /// time at which damaged rows are queued to be embedded again. Must be called inside a runtime.
    pub fn open(store: Arc<Store>, account: AccountId, space: &Space, now: Timestamp) -> Self {
        let shared = Arc::new(Shared {
            store,
            account,
            space: space.id,
            dimension: space.dimension,
            opened_at: now,
            copy: Mutex::new(Compact::new(space.dimension)),
            status: watch::Sender::new(IndexStatus::Building { done: 0, total: 0 }),
        });
        let (orders, queue) = mpsc::channel(keeper::ORDERS);
        let mut task = JoinSet::new();
        task.spawn(keeper::run(Arc::clone(&shared), queue));
        Self {
            shared,
            orders,
            scans: Arc::new(Semaphore::new(SCANS)),
            task: Mutex::new(task),
        }
    }

    /// The space it is opened on.
    pub fn space(&self) -> SpaceId {
        self.shared.space
    }

    /// How its status changes.
    pub fn watch(&self) -> watch::Receiver<IndexStatus> {
        self.shared.status.subscribe()
    }

    /// Waits until everything is read.
    pub async fn ready(&self) {
        let mut status = self.watch();
        // It cannot fail: the sender lives in `self`.
        drop(status.wait_for(|status| *status == IndexStatus::Ready).await);
    }

    /// Ends the keeper after what it was asked before; later changes are refused.
    pub async fn close(&self) {
        // An error means that it has ended already.
        drop(self.orders.send(Order::Close).await);
        let mut task = std::mem::take(&mut *self.task.lock().unwrap_or_else(PoisonError::into_inner));
        while let Some(ended) = task.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the keeper of the vectors did not end well");
            }
        }
    }

    async fn order(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<(), IndexError>>) -> Order,
    ) -> Result<(), IndexError> {
        let ended = || IndexError::Store("it is closed".to_owned());
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    fn fits(&self, vector: &[f32]) -> Result<(), IndexError> {
        if vector.len() != self.shared.dimension {
            return Err(IndexError::Dimension {
                expected: vector.len(),
                found: self.shared.dimension,
            });
        }
        if vector.iter().map(|x| x * x).sum::<f32>().is_finite() {
            Ok(())
        } else {
            Err(IndexError::Refused("a vector has a number that is none".to_owned()))
        }
    }

    /// The best rows by their codes.
    async fn candidates(&self, query: &Arc<Query>, filter: Filter, keep: usize) -> Result<Vec<Candidate>, IndexError> {
        let permit = Arc::clone(&self.scans)
            .acquire_owned()
            .await
            .map_err(|_| IndexError::Store("it is closed".to_owned()))?;
        let view = {
            let copy = self.shared.copy.lock().unwrap_or_else(PoisonError::into_inner);
            copy.view(&filter)
        };
        let Some(view) = view else { return Ok(Vec::new()) };
        if view.bytes() <= INLINE_BYTES {
            return Ok(scan(&view, query, keep));
        }
        let query = Arc::clone(query);
        blocking(move || {
            // Held by the scan itself: a caller that goes away does not make room for another.
            let _permit = permit;
            scan(&view, &query, keep)
        })
        .await
    }

    /// The cosines of candidates by their full vectors. A row that is gone is left out; damaged ones too, and they are
    /// queued to be made again.
    async fn exact(&self, query: &Arc<Query>, candidates: Vec<Candidate>) -> Result<Vec<Hit>, IndexError> {
        let keys: Vec<i64> = candidates.iter().map(|candidate| candidate.key).collect();
        let rows = self
            .shared
            .store
            .vectors_by_key(self.shared.space, &keys)
            .await
            .map_err(store_error)?;
        let (query, dimension) = (Arc::clone(query), self.shared.dimension);
        let (hits, damaged) = blocking(move || {
            let ids: HashMap<i64, MemoryId> = candidates.iter().map(|c| (c.key, c.id)).collect();
            let mut hits = Vec::with_capacity(rows.len());
            let mut damaged = Vec::new();
            for (key, bytes) in rows {
                let Some(&id) = ids.get(&key) else { continue };
                match vector_of_bytes(&bytes, dimension) {
                    Some(vector) => hits.push(Hit {
                        id,
                        cosine: query.with(&vector),
                    }),
                    None => damaged.push(id),
                }
            }
            (hits, damaged)
        })
        .await?;
        if !damaged.is_empty() && self.orders.try_send(Order::Renew(damaged)).is_err() {
            tracing::debug!("damaged vectors are left for the next search");
        }
        Ok(hits)
    }

    async fn find(&self, query: Vector, filter: Filter, limit: usize) -> Result<Vec<Hit>, IndexError> {
        self.fits(&query)?;
        let limit = limit.min(MAX_HITS);
        if limit == 0 || is_zero(&query) {
            return Ok(Vec::new());
        }
        let form = Form::of(self.shared.dimension);
        let query = Arc::new(Query::new(form, &query));
        let mut hits = match form {
            Form::Bytes => {
                let keep = limit + limit / 8 + SPARE;
                hits(&self.candidates(&query, filter, keep).await?)
            }
            Form::Nibbles => {
                let keep = limit + limit / 2 + 2 * SPARE;
                let mut best = self.candidates(&query, filter, keep).await?;
                best.sort_unstable_by(|a, b| b.near.total_cmp(&a.near));
                let rest = best.split_off(best.len().min(MOST_EXACT));
                let mut found = self.exact(&query, best).await?;
                found.extend(hits(&rest));
                found
            }
        };
        sort(&mut hits);
        hits.truncate(limit);
        Ok(hits)
    }

    /// Whether the index serves this account.
    fn is_of(&self, account: AccountId) -> bool {
        account == self.shared.account
    }

    fn foreign<T>() -> Result<T, IndexError> {
        Err(IndexError::Refused("it is open for another account".to_owned()))
    }
}

impl VectorIndex for EmbeddedIndex {
    fn dimension(&self) -> usize {
        self.shared.dimension
    }

    fn upsert(&self, account: AccountId, points: Vec<Point>) -> BoxFuture<'_, Result<(), IndexError>> {
        async move { self.upsert_queued(account, points, Vec::new()).await.map(|_| ()) }.boxed()
    }

    fn upsert_queued(
        &self,
        account: AccountId,
        points: Vec<Point>,
        outbox: Vec<i64>,
    ) -> BoxFuture<'_, Result<Vec<i64>, IndexError>> {
        async move {
            if !self.is_of(account) {
                return Self::foreign();
            }
            for point in &points {
                self.fits(&point.vector)?;
            }
            if points.is_empty() {
                return Ok(outbox);
            }
            self.order(|reply| Order::Upsert(points, outbox, reply)).await?;
            Ok(Vec::new())
        }
        .boxed()
    }

    fn remove(&self, account: AccountId, ids: Vec<MemoryId>) -> BoxFuture<'_, Result<(), IndexError>> {
        async move {
            // What another account has is not here.
            if !self.is_of(account) || ids.is_empty() {
                return Ok(());
            }
            self.order(|reply| Order::Remove(ids, reply)).await
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
            if self.is_of(account) {
                self.find(query, filter, limit).await
            } else {
                Ok(Vec::new())
            }
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
            self.fits(&query)?;
            if !self.is_of(account) || ids.is_empty() || is_zero(&query) {
                return Ok(Vec::new());
            }
            let query = Query::new(Form::of(self.shared.dimension), &query);
            let picked = {
                let copy = self.shared.copy.lock().unwrap_or_else(PoisonError::into_inner);
                copy.pick(&ids)
            };
            if picked.bytes() <= INLINE_BYTES {
                return Ok(picked.score(&query));
            }
            blocking(move || picked.score(&query)).await
        }
        .boxed()
    }

    fn count(&self, account: AccountId) -> BoxFuture<'_, Result<u64, IndexError>> {
        async move {
            self.shared
                .store
                .count_vectors(account, self.shared.space)
                .await
                .map_err(store_error)
        }
        .boxed()
    }

    fn clear(&self, account: AccountId) -> BoxFuture<'_, Result<(), IndexError>> {
        async move {
            if !self.is_of(account) {
                return Ok(());
            }
            self.order(Order::Clear).await
        }
        .boxed()
    }

    fn status(&self) -> IndexStatus {
        self.shared.status.borrow().clone()
    }
}

/// Candidates as they are.
fn hits(candidates: &[Candidate]) -> Vec<Hit> {
    let hit = |candidate: &Candidate| Hit {
        id: candidate.id,
        cosine: candidate.near.clamp(-1.0, 1.0),
    };
    candidates.iter().map(hit).collect()
}

/// Best first, ties by id.
pub(super) fn sort(hits: &mut [Hit]) {
    hits.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.id.cmp(&b.id)));
}

/// The embedding of nothing.
pub(super) fn is_zero(vector: &[f32]) -> bool {
    vector.iter().all(|&x| x == 0.0)
}

/// Work that does not belong on the runtime's own threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, IndexError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| IndexError::Store("a scan ended unexpectedly".to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn store_error(error: StoreError) -> IndexError {
    IndexError::Store(error.to_string())
}
