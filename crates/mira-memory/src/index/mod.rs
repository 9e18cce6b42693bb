//! The vector index: unit vectors by memory, found by cosine. Derived from SQLite and rebuilt by one command; what it
//! answers is looked up in the store before anybody sees it, so that an index that lags shows nothing that is gone.
//!
//! Two sides behind one door, held to one conformance suite: [`embedded`] (rows in SQLite and an exact scan of a compact
//! copy in memory) and [`qdrant`] (its REST API).

pub mod embedded;
pub mod qdrant;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, MemoryId, ProjectId, SessionId},
    memory::MemoryKind,
};
use std::sync::Arc;

/// A unit vector.
pub type Vector = Arc<[f32]>;

/// A memory's place in the index.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The memory; also the point's id, so that writing it twice is writing it once.
    pub id: MemoryId,
    /// What kind of memory it is.
    pub kind: MemoryKind,
    /// Where it was said or learnt.
    pub session: Option<SessionId>,
    /// The project it belongs to.
    pub project: Option<ProjectId>,
    /// When it was said or learnt.
    pub at: Timestamp,
    /// Its embedding.
    pub vector: Vector,
}

/// Which points may be found. Empty lists and `None` allow all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of these kinds.
    pub kinds: Vec<MemoryKind>,
    /// Of this session.
    pub session: Option<SessionId>,
    /// Of this project.
    pub project: Option<ProjectId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// A found point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The memory.
    pub id: MemoryId,
    /// Cosine, -1..=1.
    pub cosine: f32,
}

/// Whether the index can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexStatus {
    /// All of it.
    Ready,
    /// It answers, but not yet with everything.
    Building {
        /// Points it has.
        done: u64,
        /// Points it will have.
        total: u64,
    },
    /// It does not answer; why, readable and without secrets.
    Unavailable(String),
}

/// What an index can fail with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It could not be reached or did not answer in time. Trying again later may help.
    #[error("the vector index cannot be reached: {0}")]
    Unreachable(String),
    /// It answers that it is overloaded or out of room. Trying again later may help.
    #[error("the vector index takes nothing at present: {0}")]
    Busy(String),
    /// The key is wrong or missing.
    #[error("the vector index refuses the key (QDRANT_API_KEY)")]
    Denied,
    /// The collection is gone: everything has to be written again.
    #[error("the collection {0} does not exist")]
    Missing(String),
    /// Its vectors have another length.
    #[error("the index holds vectors of {found} numbers, the embedder makes {expected}")]
    Dimension {
        /// What the embedder makes.
        expected: usize,
        /// What the index holds.
        found: usize,
    },
    /// It refuses the request.
    #[error("the vector index refuses: {0}")]
    Refused(String),
    /// It answered something else than its documentation says.
    #[error("the vector index answered nonsense: {0}")]
    Garbage(String),
    /// The store below the embedded index failed.
    #[error("the embedded index: {0}")]
    Store(String),
}

/// The door. Every function acts for one account. Vectors have the index's dimension and length 1 (a zero vector, the
/// embedding of nothing, is never found).
pub trait VectorIndex: Send + Sync + std::fmt::Debug {
    /// The vectors' dimension.
    fn dimension(&self) -> usize;

    /// Writes points; those it has are replaced. All or an error, after which any part may be written.
    fn upsert(&self, account: AccountId, points: Vec<Point>) -> BoxFuture<'_, Result<(), IndexError>>;

    /// The same, for points that were waited for in the outbox of the store: answers which of its rows are still to be
    /// taken off. An index that is in the store's own file does that in the same transaction.
    fn upsert_queued(
        &self,
        account: AccountId,
        points: Vec<Point>,
        outbox: Vec<i64>,
    ) -> BoxFuture<'_, Result<Vec<i64>, IndexError>> {
        let written = self.upsert(account, points);
        Box::pin(async move { written.await.map(|()| outbox) })
    }

    /// Takes points out; those it has not are no error.
    fn remove(&self, account: AccountId, ids: Vec<MemoryId>) -> BoxFuture<'_, Result<(), IndexError>>;

    /// The `limit` nearest points by cosine, best first; ties by id. Nearly: an index may miss a neighbour now and then
    /// (at most one in a hundred of the ten nearest).
    fn search(
        &self,
        account: AccountId,
        query: Vector,
        filter: Filter,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Hit>, IndexError>>;

    /// The cosines of the given points, those it has, in any order; within 0.01.
    fn score(
        &self,
        account: AccountId,
        query: Vector,
        ids: Vec<MemoryId>,
    ) -> BoxFuture<'_, Result<Vec<Hit>, IndexError>>;

    /// Points of the account.
    fn count(&self, account: AccountId) -> BoxFuture<'_, Result<u64, IndexError>>;

    /// Takes everything of the account out.
    fn clear(&self, account: AccountId) -> BoxFuture<'_, Result<(), IndexError>>;

    /// Whether it can answer, from what is known without asking.
    fn status(&self) -> IndexStatus;
}
