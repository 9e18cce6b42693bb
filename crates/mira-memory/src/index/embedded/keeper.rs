//! The keeper: one task that makes every change of the index, in the rows first and then in the compact copy, one change
//! after the other. At start it reads the rows into the copy, slice by slice, and takes orders in between.
//!
//! Because there is one, a change never races with another or with the reading: what is in the copy is in the rows, or
//! was a moment ago.

use super::{
    super::{IndexError, IndexStatus, Point},
    Shared, blocking,
    codes::Form,
    compact::Row,
    is_zero, store_error,
};
use crate::sqlite::{
    error::StoreError,
    vectors::{VectorRow, vector_of_bytes},
};
use mira_core::ids::MemoryId;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Changes waiting for the keeper: a few batches of the indexer and removals; beyond this callers wait.
pub(super) const ORDERS: usize = 64;
/// Points that are put into the copy at once where the order was taken: those of a turn.
const FEW: usize = 8;
/// Bytes of vectors read at once at start.
const SLICE_BYTES: usize = 4 << 20;
/// The first wait after reading failed; doubles up to [`RETRY_CAP`].
const RETRY: Duration = Duration::from_millis(250);
const RETRY_CAP: Duration = Duration::from_secs(30);

type Reply = oneshot::Sender<Result<(), IndexError>>;

/// What the keeper is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Points, and the rows of the outbox that are done with them.
    Upsert(Vec<Point>, Vec<i64>, Reply),
    Remove(Vec<MemoryId>, Reply),
    Clear(Reply),
    /// These rows do not parse: away with them, and let them be made again.
    Renew(Vec<MemoryId>),
    Close,
}

/// How far the reading is.
struct Reading {
    after: i64,
    limit: u32,
    retry: Duration,
}

pub(super) async fn run(shared: Arc<Shared>, mut orders: mpsc::Receiver<Order>) {
    let limit = (SLICE_BYTES / (4 * shared.dimension.max(1))).clamp(64, 4096);
    let mut reading = Some(Reading {
        after: 0,
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        retry: RETRY,
    });
    if let Ok(total) = shared.store.count_vectors(shared.account, shared.space).await {
        shared.progress(total);
    }
    loop {
        let more = match &mut reading {
            None => obey(&shared, orders.recv().await).await,
            Some(at) => match orders.try_recv() {
                Ok(order) => obey(&shared, Some(order)).await,
                Err(mpsc::error::TryRecvError::Disconnected) => false,
                Err(mpsc::error::TryRecvError::Empty) => match slice(&shared, at).await {
                    Ok(true) => true,
                    Ok(false) => {
                        reading = None;
                        shared.status.send_replace(IndexStatus::Ready);
                        true
                    }
                    Err(StoreError::Closed) => false,
                    Err(error) => {
                        tracing::warn!(%error, "reading the vectors failed; trying again");
                        let wait = at.retry;
                        at.retry = (wait * 2).min(RETRY_CAP);
                        match tokio::time::timeout(wait, orders.recv()).await {
                            Ok(order) => obey(&shared, order).await,
                            Err(_) => true,
                        }
                    }
                },
            },
        };
        if !more {
            return;
        }
    }
}

/// Carries out an order; answers whether there may be more.
async fn obey(shared: &Arc<Shared>, order: Option<Order>) -> bool {
    let Some(order) = order else { return false };
    let (done, reply) = match order {
        Order::Upsert(points, outbox, reply) => (upsert(shared, points, outbox).await, reply),
        Order::Remove(ids, reply) => (remove(shared, ids).await, reply),
        Order::Clear(reply) => (clear(shared).await, reply),
        Order::Renew(ids) => {
            renew(shared, ids).await;
            return true;
        }
        Order::Close => return false,
    };
    // Nobody may be waiting any more; the change is made all the same.
    drop(reply.send(done));
    true
}

async fn upsert(shared: &Arc<Shared>, points: Vec<Point>, outbox: Vec<i64>) -> Result<(), IndexError> {
    let vectors = points
        .iter()
        .map(|point| (point.id, Arc::clone(&point.vector)))
        .collect();
    let keys: HashMap<MemoryId, i64> = shared
        .store
        .put_vectors(shared.account, shared.space, vectors, outbox)
        .await
        .map_err(store_error)?
        .into_iter()
        .collect();
    let form = Form::of(shared.dimension);
    let few = points.len() <= FEW;
    let shared = Arc::clone(shared);
    let put = move || {
        let mut rows = Vec::with_capacity(points.len());
        let mut gone = Vec::new();
        for point in points {
            match keys.get(&point.id) {
                Some(&key) if !is_zero(&point.vector) => rows.push(Row {
                    id: point.id,
                    key,
                    at: point.at.as_millisecond(),
                    session: point.session,
                    project: point.project,
                    kind: point.kind,
                    code: form.encode(&point.vector),
                }),
                _ => gone.push(point.id),
            }
        }
        apply(&shared, rows, &gone);
    };
    if few {
        put();
        return Ok(());
    }
    blocking(put).await
}

/// Changes the copy.
fn apply(shared: &Shared, rows: Vec<Row>, gone: &[MemoryId]) {
    let mut copy = shared.copy.lock().unwrap_or_else(PoisonError::into_inner);
    for id in gone {
        copy.remove(*id);
    }
    for row in rows {
        copy.put(row);
    }
}

async fn remove(shared: &Arc<Shared>, ids: Vec<MemoryId>) -> Result<(), IndexError> {
    shared
        .store
        .delete_vectors(shared.account, shared.space, &ids)
        .await
        .map_err(store_error)?;
    let shared = Arc::clone(shared);
    blocking(move || apply(&shared, Vec::new(), &ids)).await
}

async fn clear(shared: &Arc<Shared>) -> Result<(), IndexError> {
    shared
        .store
        .clear_vectors(shared.account, shared.space)
        .await
        .map_err(store_error)?;
    let shared = Arc::clone(shared);
    blocking(move || shared.copy.lock().unwrap_or_else(PoisonError::into_inner).clear()).await
}

async fn renew(shared: &Arc<Shared>, ids: Vec<MemoryId>) {
    // Several scans may have met the same rows; those made anew since are left alone.
    let found = shared.store.vectors_of(shared.account, shared.space, &ids).await;
    let damaged: Vec<MemoryId> = found
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, bytes)| vector_of_bytes(bytes, shared.dimension).is_none())
        .map(|(id, _)| id)
        .collect();
    if damaged.is_empty() {
        return;
    }
    let done = shared
        .store
        .renew_vectors(shared.account, shared.space, &damaged, shared.opened_at)
        .await;
    match done {
        Ok(rows) => tracing::warn!(rows, "damaged vectors were dropped; their memories are embedded again"),
        Err(error) => tracing::warn!(%error, "damaged vectors could not be queued to be embedded again"),
    }
    let cleared = Arc::clone(shared);
    if let Err(error) = blocking(move || apply(&cleared, Vec::new(), &damaged)).await {
        tracing::warn!(%error, "damaged vectors");
    }
}

/// Reads the next slice; answers whether there may be more.
async fn slice(shared: &Arc<Shared>, at: &mut Reading) -> Result<bool, StoreError> {
    let rows = shared
        .store
        .read_vectors(shared.account, shared.space, at.after, at.limit)
        .await?;
    let Some(last) = rows.last() else { return Ok(false) };
    at.after = last.key;
    at.retry = RETRY;
    let form = Form::of(shared.dimension);
    let whole = rows.len() >= at.limit as usize;
    let into = Arc::clone(shared);
    let damaged = blocking(move || {
        let (rows, damaged) = encode(form, into.dimension, rows);
        apply(&into, rows, &[]);
        damaged
    })
    .await
    .map_err(|_| StoreError::Panicked)?;
    if !damaged.is_empty() {
        renew(shared, damaged.into_iter().collect()).await;
    }
    shared.advance();
    Ok(whole)
}

/// Rows of the copy, and the memories whose stored vector is none.
fn encode(form: Form, dimension: usize, stored: Vec<VectorRow>) -> (Vec<Row>, HashSet<MemoryId>) {
    let mut rows = Vec::with_capacity(stored.len());
    let mut damaged = HashSet::new();
    for row in stored {
        match vector_of_bytes(&row.bytes, dimension) {
            None => {
                damaged.insert(row.id);
            }
            Some(vector) if is_zero(&vector) => {}
            Some(vector) => rows.push(Row {
                id: row.id,
                key: row.key,
                at: row.at.as_millisecond(),
                session: row.session,
                project: row.project,
                kind: row.kind,
                code: form.encode(&vector),
            }),
        }
    }
    (rows, damaged)
}
