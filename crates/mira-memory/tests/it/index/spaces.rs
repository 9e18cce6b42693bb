//! Spaces: which model's vectors answer, and what a new model lacks.

use super::{Bed, corpus, execute, memory};
use crate::support::{ME, now};
use mira_memory::{
    EMBEDDED, SpaceState,
    index::{Filter, VectorIndex, embedded::EmbeddedIndex},
};
use std::sync::Arc;

#[tokio::test]
async fn a_new_model_is_built_beside_the_old_one() {
    let points = corpus(5000, 4, 1);
    let bed = Bed::new(&points, 4).await;
    assert_eq!((bed.space.state, bed.space.dimension), (SpaceState::Active, 4));
    let again = bed.store.open_space(EMBEDDED, "m", 4, now()).await.unwrap();
    assert_eq!(again, bed.space);
    let next = bed.store.open_space(EMBEDDED, "m", 8, now()).await.unwrap();
    let other = bed.store.open_space(EMBEDDED, "n", 4, now()).await.unwrap();
    let outside = bed.store.open_space("a-collection", "n", 4, now()).await.unwrap();
    assert_eq!((next.state, other.state), (SpaceState::Building, SpaceState::Building));
    assert_eq!(outside.state, SpaceState::Active);
    let old = bed.open().await;
    old.upsert(ME, points.clone()).await.unwrap();
    let index = EmbeddedIndex::open(Arc::clone(&bed.store), ME, &next, now());
    let wide = corpus(10, 8, 2);
    index.upsert(ME, wide.clone()).await.unwrap();
    // Both answer.
    assert_eq!((old.count(ME).await, index.count(ME).await), (Ok(5000), Ok(10)));
    let went = bed.store.activate_space(next.id).await.unwrap().unwrap();
    assert_eq!(
        went.iter().map(|space| space.id).collect::<Vec<_>>(),
        [bed.space.id, other.id]
    );
    assert_eq!(bed.store.activate_space(next.id).await.unwrap(), Some(Vec::new()));
    assert_eq!(bed.store.activate_space(bed.space.id).await.unwrap(), None);
    let spaces = bed.store.list_spaces().await.unwrap();
    let left: Vec<_> = spaces.iter().map(|space| (space.id, space.state)).collect();
    assert_eq!(left, [(next.id, SpaceState::Active), (outside.id, SpaceState::Active)]);
    assert_eq!(bed.store.count_vectors(ME, bed.space.id).await.unwrap(), 0);
    let found = index
        .search(ME, Arc::clone(&wide[3].vector), Filter::default(), 1)
        .await
        .unwrap();
    assert_eq!(found[0].id, memory(3));
    assert!(bed.store.delete_space(next.id).await.unwrap());
    assert!(!bed.store.delete_space(next.id).await.unwrap());
}

#[tokio::test]
async fn finished_work_leaves_with_the_vectors() {
    let points = corpus(10, 4, 1);
    let bed = Bed::new(&points, 4).await;
    execute(
        &bed.store,
        "INSERT INTO recall_fts (rowid, text) SELECT key, 'words' FROM memories WHERE key <> 7",
    )
    .await;
    let (store, space) = (&bed.store, bed.space.id);
    assert_eq!(store.queue_missing_vectors(ME, space, now()).await.unwrap(), 9);
    assert_eq!(store.queue_missing_vectors(ME, space, now()).await.unwrap(), 0);
    let due = store.due_vectors(ME, 100, now()).await.unwrap();
    assert!(due.len() == 9 && due.iter().all(|job| job.space_id.is_none() && job.id != memory(6)));
    let vectors = |n: usize| (points[n].id, Arc::clone(&points[n].vector));
    let unknown = (memory(77), Arc::clone(&points[0].vector));
    let mut keys = store
        .put_vectors(
            ME,
            space,
            vec![vectors(0), unknown, vectors(1)],
            vec![due[0].outbox_id, due[1].outbox_id],
        )
        .await
        .unwrap();
    keys.sort_unstable();
    assert_eq!(keys, [(memory(0), 1), (memory(1), 2)]);
    assert_eq!(store.outbox_stats(ME).await.unwrap().vectors, 7);
    let next = store.open_space(EMBEDDED, "n", 4, now()).await.unwrap();
    assert_eq!(store.queue_missing_vectors(ME, next.id, now()).await.unwrap(), 9);
    let building = store.due_vectors(ME, 100, now()).await.unwrap();
    assert_eq!(building.iter().filter(|job| job.space_id == Some(next.id)).count(), 9);
    store.delete_space(next.id).await.unwrap();
    assert_eq!(store.outbox_stats(ME).await.unwrap().vectors, 7);
    let rows = store.read_vectors(ME, space, 1, 10).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.key, row.id)).collect::<Vec<_>>(),
        [(2, memory(1))]
    );
    assert_eq!(
        (rows[0].kind, &rows[0].session, rows[0].project, rows[0].at),
        (points[1].kind, &points[1].session, points[1].project, points[1].at)
    );
    let read = mira_memory::vector_of_bytes(&rows[0].bytes, 4).unwrap();
    assert_eq!(read, points[1].vector.to_vec());
    let mut of = store
        .vectors_of(ME, space, &[memory(0), memory(1), memory(5)])
        .await
        .unwrap();
    of.sort();
    assert_eq!(of.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [memory(0), memory(1)]);
    assert_eq!(of[1].1, rows[0].bytes);
    assert_eq!(store.vectors_of(super::OTHER, space, &[memory(0)]).await.unwrap(), []);
}
