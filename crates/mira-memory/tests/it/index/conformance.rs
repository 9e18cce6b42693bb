//! The conformance suite: what every vector index does. It runs on the embedded side, on Qdrant through the emulator, and
//! on a real Qdrant wherever `QDRANT_TEST_URL` names one (with `QDRANT_TEST_API_KEY` if it wants a key).

use super::{Bed, Dice, OTHER, assert_same, corpus, exact, filters, memory};
use crate::support::ME;
use mira_memory::index::{
    Filter, IndexError, IndexStatus, Point, Vector, VectorIndex,
    qdrant::{ApiKey, QdrantConfig, QdrantIndex},
};
use qdrant_sim::{Sim, SimConfig};
use std::{sync::Arc, time::Duration};

const DIMENSION: usize = 48;
const POINTS: u64 = 700;

/// Every law of [`VectorIndex`], on an empty index of [`DIMENSION`] whose account has the memories of [`corpus`].
async fn conforms(index: &dyn VectorIndex, points: Vec<Point>) {
    assert_eq!(index.dimension(), DIMENSION);
    has_nothing(index).await;
    index.upsert(ME, points.clone()).await.unwrap();
    assert_eq!(index.count(ME).await.unwrap(), POINTS);
    finds_as_a_list(index, &points).await;
    scores(index, &points).await;
    refuses_what_does_not_fit(index, &points).await;
    belongs_to_its_account(index, &points).await;
    let points = replaces(index, points).await;
    let points = never_finds_nothing(index, points).await;
    let points = removes(index, points).await;
    finds_as_a_list(index, &points).await;
    index.clear(ME).await.unwrap();
    has_nothing(index).await;
    index.upsert(ME, points[..3].to_vec()).await.unwrap();
    finds_as_a_list(index, &points[..3]).await;
    assert_eq!(index.status(), IndexStatus::Ready);
}

async fn has_nothing(index: &dyn VectorIndex) {
    let query = Dice(1).unit(DIMENSION);
    let found = index.search(ME, Arc::clone(&query), Filter::default(), 10).await;
    assert_eq!(found, Ok(Vec::new()));
    assert_eq!(index.score(ME, query, vec![memory(1)]).await, Ok(Vec::new()));
    assert_eq!(index.count(ME).await, Ok(0));
    assert_eq!(index.remove(ME, vec![memory(1)]).await, Ok(()));
    assert_eq!(index.upsert(ME, Vec::new()).await, Ok(()));
    assert_eq!(index.remove(ME, Vec::new()).await, Ok(()));
}

async fn finds_as_a_list(index: &dyn VectorIndex, points: &[Point]) {
    let mut dice = Dice(99);
    let mut queries: Vec<Vector> = (0..3).map(|_| dice.unit(DIMENSION)).collect();
    queries.push(Arc::clone(&points[0].vector));
    for query in queries {
        for filter in filters() {
            let all = exact(points, &query, &filter);
            for limit in [0, 1, 10, 200, 5000] {
                let found = index
                    .search(ME, Arc::clone(&query), filter.clone(), limit)
                    .await
                    .unwrap();
                assert_same(&found, &all[..limit.min(all.len())], &format!("{filter:?} {limit}"));
            }
        }
    }
}

async fn scores(index: &dyn VectorIndex, points: &[Point]) {
    let query = Dice(5).unit(DIMENSION);
    let ids = vec![memory(3), memory(999_999), memory(600), memory(0)];
    let mut found = index.score(ME, Arc::clone(&query), ids.clone()).await.unwrap();
    found.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
    let asked: Vec<Point> = points.iter().filter(|point| ids.contains(&point.id)).cloned().collect();
    assert_same(&found, &exact(&asked, &query, &Filter::default()), "score");
    assert_eq!(index.score(ME, query, Vec::new()).await, Ok(Vec::new()));
}

async fn refuses_what_does_not_fit(index: &dyn VectorIndex, points: &[Point]) {
    let short: Vector = [1.0, 0.0].into();
    let error = Err(IndexError::Dimension {
        expected: 2,
        found: DIMENSION,
    });
    assert_eq!(index.search(ME, Arc::clone(&short), Filter::default(), 5).await, error);
    assert_eq!(index.score(ME, Arc::clone(&short), vec![memory(1)]).await, error);
    let with = |vector: Vector| Point {
        vector,
        ..points[1].clone()
    };
    let moved = Point {
        vector: Dice(8).unit(DIMENSION),
        ..points[0].clone()
    };
    let refused = index.upsert(ME, vec![moved, with(short)]).await;
    assert_eq!(refused.map_err(drop), Err(()));
    let mut numbers = vec![0.1; DIMENSION];
    numbers[7] = f32::NAN;
    let refused = index.upsert(ME, vec![with(numbers.into())]).await;
    assert!(matches!(refused, Err(IndexError::Refused(_))), "{refused:?}");
    // Nothing of it was written.
    let found = index
        .score(ME, Arc::clone(&points[0].vector), vec![memory(0), memory(1)])
        .await;
    assert!(
        found
            .unwrap()
            .iter()
            .any(|hit| hit.id == memory(0) && hit.cosine > 0.999)
    );
}

async fn belongs_to_its_account(index: &dyn VectorIndex, points: &[Point]) {
    let query = &points[0].vector;
    let found = index.search(OTHER, Arc::clone(query), Filter::default(), 10).await;
    assert_eq!(found, Ok(Vec::new()));
    assert_eq!(
        index.score(OTHER, Arc::clone(query), vec![memory(0)]).await,
        Ok(Vec::new())
    );
    assert_eq!(index.count(OTHER).await, Ok(0));
    index.remove(OTHER, vec![memory(0)]).await.unwrap();
    index.clear(OTHER).await.unwrap();
    assert_eq!(index.count(ME).await, Ok(POINTS));
}

/// Writing a point twice is writing it once; a changed one is found as it is now.
async fn replaces(index: &dyn VectorIndex, mut points: Vec<Point>) -> Vec<Point> {
    let mut dice = Dice(6);
    for n in [0, 1, 300, 699] {
        points[n].vector = dice.unit(DIMENSION);
        points[n].session = Some("moved".parse().unwrap());
        points[n].project = None;
    }
    let written: Vec<Point> = points.iter().step_by(3).chain(&points[1..2]).cloned().collect();
    index.upsert(ME, written.clone()).await.unwrap();
    index.upsert(ME, written).await.unwrap();
    index.upsert(ME, points[699..].to_vec()).await.unwrap();
    assert_eq!(index.count(ME).await, Ok(POINTS));
    let moved = Filter {
        session: Some("moved".parse().unwrap()),
        ..Filter::default()
    };
    let query = Arc::clone(&points[300].vector);
    let found = index.search(ME, Arc::clone(&query), moved.clone(), 10).await.unwrap();
    assert_same(&found, &exact(&points, &query, &moved), "moved");
    points
}

/// A zero vector is never found, whatever stood there before, and finds nothing.
async fn never_finds_nothing(index: &dyn VectorIndex, mut points: Vec<Point>) -> Vec<Point> {
    let zero: Vector = vec![0.0; DIMENSION].into();
    points[5].vector = Arc::clone(&zero);
    index
        .upsert(ME, vec![points[5].clone(), points[6].clone()])
        .await
        .unwrap();
    let found = index.search(ME, Arc::clone(&zero), Filter::default(), 10).await;
    assert_eq!(found, Ok(Vec::new()));
    let query = Arc::clone(&points[6].vector);
    let all = index
        .search(ME, Arc::clone(&query), Filter::default(), 5000)
        .await
        .unwrap();
    assert!(all.len() == 699 && all.iter().all(|hit| hit.id != memory(5)));
    let scored = index.score(ME, query, vec![memory(5), memory(6)]).await.unwrap();
    assert_eq!(scored.iter().map(|hit| hit.id).collect::<Vec<_>>(), [memory(6)]);
    points
}

async fn removes(index: &dyn VectorIndex, mut points: Vec<Point>) -> Vec<Point> {
    let gone: Vec<_> = (0..POINTS)
        .step_by(7)
        .chain([699, 698, 5, 123_456])
        .map(memory)
        .collect();
    index.remove(ME, gone.clone()).await.unwrap();
    index.remove(ME, gone.clone()).await.unwrap();
    points.retain(|point| !gone.contains(&point.id));
    assert_eq!(index.count(ME).await, Ok(points.len() as u64));
    points
}

#[tokio::test]
async fn the_embedded_index_conforms() {
    let points = corpus(POINTS, DIMENSION, 7);
    let bed = Bed::new(&points, DIMENSION).await;
    conforms(&bed.open().await, points).await;
}

#[tokio::test]
async fn qdrant_conforms_through_the_emulator() {
    let sim = Sim::start(SimConfig::default()).await.unwrap();
    let index = QdrantIndex::open(QdrantConfig::new(sim.url(), "mira-memory", "m", DIMENSION)).unwrap();
    assert!(index.ensure().await.unwrap().created);
    conforms(&index, corpus(POINTS, DIMENSION, 7)).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "names a server for tests; no setting of Mira's"
)]
fn test_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[tokio::test]
async fn a_real_qdrant_conforms() {
    let Some(url) = test_variable("QDRANT_TEST_URL") else {
        // Past the test runner's capture: that it did not run must be seen.
        let words = "\nNOT RUN against a real Qdrant: set QDRANT_TEST_URL\n";
        std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes()).unwrap();
        return;
    };
    let key = test_variable("QDRANT_TEST_API_KEY").and_then(ApiKey::new);
    // A name of its own for each run; nothing of an owner's is touched.
    let alias = format!("mira-conformance-{}", std::process::id());
    let open = |model: &str| {
        QdrantIndex::open(QdrantConfig {
            key: key.clone(),
            read_timeout: Duration::from_secs(10),
            ..QdrantConfig::new(&url, &alias, model, DIMENSION)
        })
        .unwrap()
    };
    let (index, next) = (open("first"), open("second"));
    let first = index.ensure().await.unwrap();
    assert!(first.created && first.active);
    assert!(!index.ensure().await.unwrap().created);
    conforms(&index, corpus(POINTS, DIMENSION, 7)).await;
    let second = next.ensure().await.unwrap();
    assert!(second.created && !second.active);
    assert_eq!(next.swap_alias().await.unwrap(), Some(first.collection.clone()));
    assert!(next.delete_model("first", DIMENSION).await.unwrap());
    let gone = index.count(ME).await;
    assert_eq!(gone, Err(IndexError::Missing(first.collection)));
    assert!(index.delete_model("second", DIMENSION).await.unwrap());
}

/// Both sides on the same corpus: the same ids in the same order.
#[tokio::test]
async fn both_sides_agree() {
    const WIDE: usize = 640;
    let points = corpus(1500, WIDE, 11);
    let bed = Bed::new(&points, WIDE).await;
    let embedded = bed.open().await;
    let sim = Sim::start(SimConfig::default()).await.unwrap();
    let qdrant = QdrantIndex::open(QdrantConfig {
        read_timeout: Duration::from_secs(20),
        ..QdrantConfig::new(sim.url(), "mira-memory", "m", WIDE)
    })
    .unwrap();
    qdrant.ensure().await.unwrap();
    embedded.upsert(ME, points.clone()).await.unwrap();
    qdrant.upsert(ME, points.clone()).await.unwrap();
    let mut dice = Dice(3);
    for _ in 0..3 {
        let query = dice.near(&points[77].vector, 2.0);
        for filter in filters() {
            let here = embedded
                .search(ME, Arc::clone(&query), filter.clone(), 50)
                .await
                .unwrap();
            let there = qdrant.search(ME, Arc::clone(&query), filter.clone(), 50).await.unwrap();
            assert_same(&here, &there, &format!("{filter:?}"));
        }
    }
}
