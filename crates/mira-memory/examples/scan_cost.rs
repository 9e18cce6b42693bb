//! What a search in the embedded index costs: p50 and p99 in milliseconds over the whole way (scan, rows, full vectors),
//! how many of the ten nearest it finds, how fast it is written and read, and the memory it takes. With random and with
//! clustered vectors, and with a filter that leaves one row in twenty.
//! `cargo run --release -p mira-memory --example scan_cost [ROWSxDIMENSION ...]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for the terminal")]

use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, MemoryId, SessionId},
    memory::MemoryKind,
    persona::PersonaName,
};
use mira_memory::{
    Durability, EMBEDDED, Space, Store, StoreOptions,
    index::{Filter, Point, Vector, VectorIndex, embedded::EmbeddedIndex},
};
use sqlx::{Connection, SqliteConnection};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

const ME: AccountId = AccountId::OWNER;
/// What recall asks for.
const LIMIT: usize = 200;
const QUERIES: usize = 50;
const ROUNDS: usize = 6;
const BATCH: usize = 256;
const SESSIONS: usize = 20;
const CENTRES: usize = 500;

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000).unwrap()
}

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Roughly normal, spread 1.
    fn normal(&mut self) -> f32 {
        let bits = self.next();
        let part = |shift: u32| ((bits >> shift) & 0xFFFF) as f32 / 65_535.0 - 0.5;
        (part(0) + part(16) + part(32) + part(48)) * 3_f32.sqrt()
    }

    fn unit(&mut self, dimension: usize) -> Vec<f32> {
        unit(&(0..dimension).map(|_| self.normal()).collect::<Vec<_>>())
    }
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / norm).collect()
}

/// Where vectors come from.
struct Source {
    dice: Dice,
    dimension: usize,
    /// Empty: random in all directions.
    centres: Vec<Vec<f32>>,
}

impl Source {
    fn new(dimension: usize, clustered: bool) -> Self {
        let mut dice = Dice(7);
        let centres = if clustered { CENTRES } else { 0 };
        let centres = (0..centres).map(|_| dice.unit(dimension)).collect();
        Self {
            dice,
            dimension,
            centres,
        }
    }

    fn vector(&mut self) -> Vec<f32> {
        let noise = self.dice.unit(self.dimension);
        let pick = usize::try_from(self.dice.next()).unwrap_or(0) % self.centres.len().max(1);
        match self.centres.get(pick) {
            Some(centre) => unit(&centre.iter().zip(&noise).map(|(c, n)| c + 0.9 * n).collect::<Vec<_>>()),
            None => noise,
        }
    }
}

/// Sixteen sums at once, so that the judge is quick.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (a.as_chunks::<16>().0, b.as_chunks::<16>().0);
    let mut sums = [0_f32; 16];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

fn memory(row: usize) -> MemoryId {
    MemoryId(Uuid::from_u128(row as u128 + 1))
}

fn session(row: usize) -> SessionId {
    format!("s{}", row % SESSIONS).parse().unwrap()
}

fn resident_mb() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0.0);
    pages * 4096.0 / 1e6
}

async fn store(dir: &Path) -> Arc<Store> {
    let options = StoreOptions {
        path: dir.join("mira.db"),
        readers: 2,
        durability: Durability::Normal,
        backup_dir: dir.join("backups"),
        default_persona: PersonaName::parse("default").unwrap(),
    };
    Arc::new(Store::open(options, now()).await.unwrap())
}

/// The memories the vectors are of.
async fn insert_memories(store: &Store, rows: usize) {
    let mut conn = SqliteConnection::connect(store.path().to_str().unwrap()).await.unwrap();
    sqlx::query(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT INTO memories (account_id, id, kind, session_id, about, source, valid_from, created_at, updated_at)
         SELECT 1, unhex(printf('%032x', i)), 'message', 's' || ((i - 1) % ?2), 'owner', 'conversation', i, i, i FROM n",
    )
    .bind(i64::try_from(rows).unwrap())
    .bind(i64::try_from(SESSIONS).unwrap())
    .execute(&mut conn)
    .await
    .unwrap();
    conn.close().await.unwrap();
}

/// Writes the vectors; answers the ten nearest rows of each query.
async fn fill(
    index: &EmbeddedIndex,
    source: &mut Source,
    rows: usize,
    queries: &[Vector],
) -> (Vec<Vec<MemoryId>>, Duration) {
    let mut nearest: Vec<Vec<(f32, MemoryId)>> = vec![Vec::new(); queries.len()];
    let mut spent = Duration::ZERO;
    let mut batch = Vec::with_capacity(BATCH);
    for row in 0..rows {
        let vector = source.vector();
        for (query, best) in queries.iter().zip(&mut nearest) {
            best.push((dot(query, &vector), memory(row)));
            if best.len() >= 500 {
                best.sort_by(|a, b| b.0.total_cmp(&a.0));
                best.truncate(10);
            }
        }
        batch.push(Point {
            id: memory(row),
            kind: MemoryKind::Message,
            session: Some(session(row)),
            project: None,
            at: now(),
            vector: vector.into(),
        });
        if batch.len() == BATCH || row + 1 == rows {
            let start = Instant::now();
            index.upsert(ME, std::mem::take(&mut batch)).await.unwrap();
            spent += start.elapsed();
        }
    }
    let ids = nearest.into_iter().map(|mut best| {
        best.sort_by(|a, b| b.0.total_cmp(&a.0));
        best.into_iter().take(10).map(|(_, id)| id).collect()
    });
    (ids.collect(), spent)
}

/// Milliseconds below which a share of the times lies.
fn percentile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a short list"
    )]
    let place = ((times.len() - 1) as f64 * share).round() as usize;
    times.get(place).copied().unwrap_or_default().as_secs_f64() * 1e3
}

async fn measure(index: &EmbeddedIndex, queries: &[Vector], filter: &Filter) -> (f64, f64) {
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        for query in queries {
            let start = Instant::now();
            index
                .search(ME, Arc::clone(query), filter.clone(), LIMIT)
                .await
                .unwrap();
            if round > 0 {
                times.push(start.elapsed());
            }
        }
    }
    (percentile(&mut times, 0.5), percentile(&mut times, 0.99))
}

async fn found(index: &EmbeddedIndex, queries: &[Vector], nearest: &[Vec<MemoryId>], limit: usize) -> f64 {
    let mut hits = 0;
    for (query, nearest) in queries.iter().zip(nearest) {
        let found = index
            .search(ME, Arc::clone(query), Filter::default(), limit)
            .await
            .unwrap();
        hits += found.iter().take(10).filter(|hit| nearest.contains(&hit.id)).count();
    }
    hits as f64 / (10 * queries.len()) as f64
}

async fn run(rows: usize, dimension: usize, clustered: bool) {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    insert_memories(&store, rows).await;
    let space: Space = store.open_space(EMBEDDED, "m", dimension, now()).await.unwrap();
    let mut source = Source::new(dimension, clustered);
    let queries: Vec<Vector> = (0..QUERIES).map(|_| source.vector().into()).collect();
    let index = EmbeddedIndex::open(Arc::clone(&store), ME, &space, now());
    index.ready().await;
    let (nearest, written) = fill(&index, &mut source, rows, &queries).await;
    index.close().await;
    drop(index);
    let before = resident_mb();
    let start = Instant::now();
    let index = EmbeddedIndex::open(Arc::clone(&store), ME, &space, now());
    index.ready().await;
    let read = start.elapsed();
    let resident = resident_mb();
    let (p50, p99) = measure(&index, &queries, &Filter::default()).await;
    let one_session = Filter {
        session: Some(session(3)),
        ..Filter::default()
    };
    let (few50, few99) = measure(&index, &queries, &one_session).await;
    let ten = found(&index, &queries, &nearest, 10).await;
    let many = found(&index, &queries, &nearest, LIMIT).await;
    println!(
        "{rows:>8} x {dimension:<5} {:<9} | {p50:>7.2} {p99:>7.2} | {few50:>6.2} {few99:>6.2} | {ten:.4} {many:.4} | \
         {:>8.0} | {:>6.2} | {:>6.0} {:>6.0}",
        if clustered { "clustered" } else { "random" },
        rows as f64 / written.as_secs_f64(),
        read.as_secs_f64(),
        resident - before,
        resident,
    );
    index.close().await;
    store.close().await;
}

fn parse(text: &str) -> Option<(usize, usize)> {
    let (rows, dimension) = text.split_once('x')?;
    Some((rows.parse().ok()?, dimension.parse().ok()?))
}

#[tokio::main]
async fn main() {
    let mut sizes: Vec<(usize, usize)> = std::env::args().skip(1).filter_map(|text| parse(&text)).collect();
    if sizes.is_empty() {
        sizes = vec![(10_000, 256), (100_000, 256), (1_000_000, 256), (100_000, 3072)];
    }
    println!("limit {LIMIT}; ms; recall@10 of the exact answer at limit 10 and {LIMIT}; rows/s; s; MB");
    println!(
        "    rows x dim    vectors   |    p50     p99 | 5%: p50   p99 | recall        | written  | read   | +RSS  RSS"
    );
    for (rows, dimension) in sizes {
        for clustered in [false, true] {
            run(rows, dimension, clustered).await;
        }
    }
}
