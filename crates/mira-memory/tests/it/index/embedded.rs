//! The embedded index: its rows, its copy in memory, and what happens when they are damaged, gone or not read yet.

use super::{Bed, Dice, corpus, exact, execute, memory, point};
use crate::support::{ME, now};
use mira_core::ids::MemoryId;
use mira_memory::index::{Filter, Hit, IndexError, IndexStatus, Point, Vector, VectorIndex, embedded::EmbeddedIndex};
use std::{collections::HashSet, sync::Arc};

async fn search(index: &EmbeddedIndex, query: &Vector, limit: usize) -> Vec<Hit> {
    index
        .search(ME, Arc::clone(query), Filter::default(), limit)
        .await
        .unwrap()
}

#[tokio::test]
async fn it_is_read_again_at_start() {
    let points = corpus(3000, 16, 1);
    let bed = Bed::new(&points, 16).await;
    let index = bed.open().await;
    index.upsert(ME, points[..2500].to_vec()).await.unwrap();
    let query = Dice(2).unit(16);
    let before = search(&index, &query, 100).await;
    index.close().await;
    assert!(matches!(
        index.upsert(ME, points[..1].to_vec()).await,
        Err(IndexError::Store(_))
    ));
    // Not ready yet, but it answers and takes changes.
    let index = EmbeddedIndex::open(Arc::clone(&bed.store), ME, &bed.space, now());
    index.upsert(ME, points[2500..].to_vec()).await.unwrap();
    index
        .remove(ME, points[2500..].iter().map(|point| point.id).collect())
        .await
        .unwrap();
    assert!(search(&index, &query, 10).await.len() <= 10);
    index.ready().await;
    assert_eq!(index.status(), IndexStatus::Ready);
    assert_eq!(search(&index, &query, 100).await, before);
    assert_eq!(index.count(ME).await, Ok(2500));
}

#[tokio::test]
async fn reading_says_how_far_it_is() {
    let points = corpus(5000, 4, 1);
    let bed = Bed::new(&points, 4).await;
    let first = bed.open().await;
    first.upsert(ME, points).await.unwrap();
    first.close().await;
    let index = EmbeddedIndex::open(Arc::clone(&bed.store), ME, &bed.space, now());
    let mut status = index.watch();
    let mut seen = Vec::new();
    while *status.borrow_and_update() != IndexStatus::Ready {
        status.changed().await.unwrap();
        if let IndexStatus::Building { done, total } = *status.borrow() {
            seen.push((done, total));
        }
    }
    assert!(
        seen.iter().all(|(done, total)| done <= total && *total == 5000),
        "{seen:?}"
    );
    assert!(seen.is_sorted());
}

/// The memories whose vectors wait to be made.
async fn due(bed: &Bed) -> Vec<MemoryId> {
    let due = bed.store.due_vectors(ME, 10, now()).await.unwrap();
    assert!(due.iter().all(|job| job.space_id.is_none()));
    let mut due: Vec<_> = due.iter().map(|job| job.id).collect();
    due.sort();
    due
}

#[tokio::test]
async fn damaged_rows_are_left_out_and_made_again() {
    let points = corpus(50, 16, 1);
    let bed = Bed::new(&points, 16).await;
    let index = bed.open().await;
    index.upsert(ME, points.clone()).await.unwrap();
    index.close().await;
    // Too short, too long, not a number.
    execute(&bed.store, "UPDATE vectors SET vector = zeroblob(60) WHERE key = 5").await;
    execute(&bed.store, "UPDATE vectors SET vector = zeroblob(68) WHERE key = 6").await;
    execute(
        &bed.store,
        "UPDATE vectors SET vector = unhex(replace(hex(zeroblob(16)), '00', '0000C07F')) WHERE key = 7",
    )
    .await;
    let index = bed.open().await;
    let query = Arc::clone(&points[4].vector);
    let found: HashSet<_> = search(&index, &query, 50).await.iter().map(|hit| hit.id).collect();
    assert_eq!(found.len(), 47);
    assert!([4, 5, 6].iter().all(|&n| !found.contains(&memory(n))));
    assert_eq!(due(&bed).await, [4, 5, 6].map(memory));
    assert_eq!(index.count(ME).await, Ok(47));
    // What the indexer makes of it.
    index.upsert(ME, points.clone()).await.unwrap();
    assert_eq!(search(&index, &query, 1).await[0].id, memory(4));
}

/// Large vectors are compared by their rows, so that damage is met while it runs.
#[tokio::test]
async fn a_row_that_breaks_later_is_made_again() {
    let points = corpus(20, 520, 1);
    let bed = Bed::new(&points, 520).await;
    let index = bed.open().await;
    index.upsert(ME, points.clone()).await.unwrap();
    execute(&bed.store, "UPDATE vectors SET vector = x'0102' WHERE key = 3").await;
    let query = Arc::clone(&points[2].vector);
    assert!(search(&index, &query, 50).await.iter().all(|hit| hit.id != memory(2)));
    index.close().await;
    assert_eq!(due(&bed).await, [memory(2)]);
    assert_eq!(bed.store.count_vectors(ME, bed.space.id).await.unwrap(), 19);
}

#[tokio::test]
async fn a_memory_that_is_gone_is_not_found() {
    for dimension in [16, 520] {
        let points = corpus(50, dimension, 1);
        let bed = Bed::new(&points, dimension).await;
        let index = bed.open().await;
        let stranger = Point {
            id: memory(1_000_000),
            ..points[0].clone()
        };
        index
            .upsert(ME, points.iter().chain([&stranger]).cloned().collect())
            .await
            .unwrap();
        assert_eq!(index.count(ME).await, Ok(50));
        // Forgotten: its row goes with it, its place in the copy when the index is told, or at the next start.
        execute(&bed.store, "DELETE FROM memories WHERE key IN (1, 2)").await;
        assert_eq!(index.count(ME).await, Ok(48));
        index.remove(ME, vec![memory(0)]).await.unwrap();
        let ids = vec![memory(0), stranger.id];
        assert_eq!(
            index.score(ME, Arc::clone(&points[0].vector), ids).await,
            Ok(Vec::new())
        );
        index.close().await;
        let again = bed.open().await;
        for (index, gone) in [(&index, vec![memory(0)]), (&again, vec![memory(0), memory(1)])] {
            let found = search(index, &points[0].vector, 100).await;
            assert!(found.iter().all(|hit| !gone.contains(&hit.id)), "{dimension}");
        }
        assert_eq!(search(&again, &points[0].vector, 100).await.len(), 48);
    }
}

#[tokio::test]
async fn another_account_cannot_write() {
    let points = corpus(1, 16, 1);
    let bed = Bed::new(&points, 16).await;
    let index = bed.open().await;
    let refused = index.upsert(super::OTHER, points).await;
    assert!(matches!(refused, Err(IndexError::Refused(_))), "{refused:?}");
}

/// Of the ten nearest by an exact search, how many the index finds, over some queries.
async fn recall(points: Vec<Point>, queries: Vec<Vector>) -> f64 {
    let dimension = points[0].vector.len();
    let bed = Bed::new(&points, dimension).await;
    let index = bed.open().await;
    index.upsert(ME, points.clone()).await.unwrap();
    let (mut found, mut wanted) = (0, 0);
    for query in queries {
        let expect: HashSet<_> = exact(&points, &query, &Filter::default())[..10]
            .iter()
            .map(|hit| hit.id)
            .collect();
        let got = search(&index, &query, 10).await;
        found += got.iter().filter(|hit| expect.contains(&hit.id)).count();
        wanted += 10;
    }
    f64::from(u32::try_from(found).unwrap()) / f64::from(wanted)
}

/// Directions around a few centres, and queries near some of them.
fn clustered(points: u64, dimension: usize) -> (Vec<Point>, Vec<Vector>) {
    let mut dice = Dice(17);
    let centres: Vec<Vector> = (0..20).map(|_| dice.unit(dimension)).collect();
    let around = |dice: &mut Dice, n: u64| {
        let centre = &centres[usize::try_from(n % 20).unwrap()];
        dice.near(centre, 0.8)
    };
    let all = (0..points)
        .map(|n| {
            let vector = around(&mut dice, n);
            point(n, vector, &mut dice)
        })
        .collect();
    let queries = (0..10).map(|n| around(&mut dice, n)).collect();
    (all, queries)
}

#[tokio::test]
async fn small_codes_lose_no_neighbours() {
    let mut dice = Dice(4);
    let queries = (0..10).map(|_| dice.unit(256)).collect();
    assert!(recall(corpus(2000, 256, 3), queries).await >= 0.99);
    let (points, queries) = clustered(2000, 256);
    assert!(recall(points, queries).await >= 0.99);
}

/// More rows than the second pass takes at least, so that the signs decide.
#[tokio::test]
async fn sign_bits_lose_no_neighbours() {
    let (points, queries) = clustered(4800, 520);
    assert!(recall(points, queries).await >= 0.99);
}
