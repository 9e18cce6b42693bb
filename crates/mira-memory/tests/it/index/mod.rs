//! The vector index: one conformance suite for both sides, and what each side has of its own.

#![expect(clippy::indexing_slicing, reason = "tests")]

mod conformance;
mod embedded;
mod qdrant;
mod spaces;

use crate::support::{ME, now, options};
use jiff::{SignedDuration, Timestamp};
use mira_core::{
    ids::{AccountId, MemoryId, ProjectId},
    memory::MemoryKind,
};
use mira_memory::{
    EMBEDDED, Space, Store,
    index::{Filter, Hit, Point, Vector, embedded::EmbeddedIndex},
};
use sqlx::{Connection, SqliteConnection};
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;

/// An account that owns nothing.
const OTHER: AccountId = AccountId(2);

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Roughly normal: the sum of four uniform numbers.
    fn normal(&mut self) -> f32 {
        let bits = self.next();
        let part = |shift: u32| ((bits >> shift) & 0xFFFF) as f32 / 65_535.0 - 0.5;
        part(0) + part(16) + part(32) + part(48)
    }

    fn unit(&mut self, dimension: usize) -> Vector {
        unit(&(0..dimension).map(|_| self.normal()).collect::<Vec<_>>())
    }

    /// A direction near another: `share` of noise.
    fn near(&mut self, centre: &[f32], share: f32) -> Vector {
        let noise = self.unit(centre.len());
        unit(
            &centre
                .iter()
                .zip(noise.iter())
                .map(|(c, n)| c + share * n)
                .collect::<Vec<_>>(),
        )
    }
}

fn unit(vector: &[f32]) -> Vector {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / norm).collect()
}

fn memory(n: u64) -> MemoryId {
    MemoryId(Uuid::from_u128(
        0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(n),
    ))
}

fn project(n: u64) -> ProjectId {
    ProjectId(Uuid::from_u128(
        0x0191_0000_0000_7000_8000_0000_0000_0000 + u128::from(n),
    ))
}

fn at(hours: u64) -> Timestamp {
    now() + SignedDuration::from_hours(i64::try_from(hours).unwrap())
}

/// A corpus of points with all kinds of tags, random in all directions.
fn corpus(points: u64, dimension: usize, seed: u64) -> Vec<Point> {
    let mut dice = Dice(seed);
    (0..points)
        .map(|n| {
            let vector = dice.unit(dimension);
            point(n, vector, &mut dice)
        })
        .collect()
}

fn point(n: u64, vector: Vector, dice: &mut Dice) -> Point {
    Point {
        id: memory(n),
        kind: if dice.below(4) == 0 {
            MemoryKind::Fact
        } else {
            MemoryKind::Message
        },
        session: (dice.below(8) > 0).then(|| format!("s{}", dice.below(5)).parse().unwrap()),
        project: (dice.below(2) > 0).then(|| project(dice.below(3))),
        at: at(dice.below(1000)),
        vector,
    }
}

/// What an exact search in a list finds, all of it.
fn exact(points: &[Point], query: &[f32], filter: &Filter) -> Vec<Hit> {
    let takes = |point: &&Point| {
        (filter.kinds.is_empty() || filter.kinds.contains(&point.kind))
            && (filter.session.is_none() || point.session == filter.session)
            && (filter.project.is_none() || point.project == filter.project)
            && filter.from.is_none_or(|from| point.at >= from)
            && filter.until.is_none_or(|until| point.at < until)
            && point.vector.iter().any(|&x| x != 0.0)
    };
    let mut hits: Vec<Hit> = points
        .iter()
        .filter(takes)
        .map(|point| Hit {
            id: point.id,
            cosine: point.vector.iter().zip(query).map(|(a, b)| a * b).sum(),
        })
        .collect();
    hits.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.id.cmp(&b.id)));
    hits
}

/// Filters of all forms.
fn filters() -> Vec<Filter> {
    let all = Filter::default;
    vec![
        all(),
        Filter {
            kinds: vec![MemoryKind::Fact],
            ..all()
        },
        Filter {
            kinds: vec![MemoryKind::Fact, MemoryKind::Message],
            ..all()
        },
        Filter {
            kinds: vec![MemoryKind::Summary],
            ..all()
        },
        Filter {
            session: Some("s2".parse().unwrap()),
            ..all()
        },
        Filter {
            session: Some("nowhere".parse().unwrap()),
            ..all()
        },
        Filter {
            project: Some(project(1)),
            ..all()
        },
        Filter {
            project: Some(project(77)),
            ..all()
        },
        Filter {
            from: Some(at(500)),
            ..all()
        },
        Filter {
            until: Some(at(500)),
            ..all()
        },
        Filter {
            from: Some(at(200)),
            until: Some(at(300)),
            ..all()
        },
        Filter {
            kinds: vec![MemoryKind::Message],
            session: Some("s1".parse().unwrap()),
            project: Some(project(0)),
            from: Some(at(100)),
            until: Some(at(900)),
        },
    ]
}

/// The same hits in the same order, but for cosines that differ by rounding.
fn assert_same(got: &[Hit], expect: &[Hit], what: &str) {
    const ROUNDING: f32 = 3e-5;
    assert_eq!(got.len(), expect.len(), "{what}");
    for (got, wanted) in got.iter().zip(expect) {
        assert!(
            (got.cosine - wanted.cosine).abs() < ROUNDING,
            "{what}: {got:?} for {wanted:?}"
        );
        let tied = |hit: &&Hit| hit.id == got.id && (hit.cosine - wanted.cosine).abs() < 2.0 * ROUNDING;
        assert!(
            got.id == wanted.id || expect.iter().any(|hit| tied(&hit)),
            "{what}: {got:?} for {wanted:?}"
        );
    }
}

/// Rows of the table `memories` for points, written beside the store.
async fn insert_memories(store: &Store, points: &[Point]) {
    let mut conn = SqliteConnection::connect(store.path().to_str().unwrap()).await.unwrap();
    let mut transaction = conn.begin().await.unwrap();
    for point in points {
        sqlx::query(
            "INSERT INTO memories (account_id, id, kind, session_id, project_id, about, text, source, valid_from,
                                   created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 'owner', CASE ?3 WHEN 'message' THEN NULL ELSE 'x' END, 'conversation', ?6,
                     ?6, ?6)",
        )
        .bind(ME.0)
        .bind(point.id.0.as_bytes().as_slice())
        .bind(point.kind.as_str())
        .bind(point.session.as_ref().map(|session| session.as_str().to_owned()))
        .bind(point.project.map(|project| project.0.as_bytes().to_vec()))
        .bind(point.at.as_millisecond())
        .execute(&mut *transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
    conn.close().await.unwrap();
}

/// Runs a statement beside the store.
async fn execute(store: &Store, sql: &'static str) {
    let mut conn = SqliteConnection::connect(store.path().to_str().unwrap()).await.unwrap();
    sqlx::query("PRAGMA foreign_keys = ON")
        .execute(&mut conn)
        .await
        .unwrap();
    sqlx::query(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// A store with memories and an empty space for their vectors.
struct Bed {
    _dir: TempDir,
    store: Arc<Store>,
    space: Space,
}

impl Bed {
    async fn new(points: &[Point], dimension: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(options(&dir), now()).await.unwrap());
        insert_memories(&store, points).await;
        let space = store.open_space(EMBEDDED, "m", dimension, now()).await.unwrap();
        Self {
            _dir: dir,
            store,
            space,
        }
    }

    async fn open(&self) -> EmbeddedIndex {
        let index = EmbeddedIndex::open(Arc::clone(&self.store), ME, &self.space, now());
        index.ready().await;
        index
    }
}
