//! What forgetting costs: milliseconds for one message and its scrubbing, and for turns that pass meanwhile.
//! `cargo run --release -p mira-memory --example forget_cost [messages to fill in first]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for the terminal")]

use jiff::Timestamp;
use mira_core::{
    chat::MemoryMode,
    ids::{AccountId, MemoryId},
    persona::PersonaName,
};
use mira_memory::{Durability, NewSession, Store, StoreOptions, TombstoneKey};
use sqlx::{Connection, SqliteConnection};
use std::time::Instant;
use uuid::Uuid;

const ME: AccountId = AccountId::OWNER;

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000).unwrap()
}

/// A branch of `?1` messages of thirty words each, a few hundred of them common.
const FILL: &str = "
    WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < ?1)
    INSERT INTO messages (account_id, session_id, id, parent_id, depth, role, content, status, created_at)
    SELECT 1, 's', unhex(printf('%032x', v)), CASE WHEN v > 1 THEN unhex(printf('%032x', v - 1)) END, v - 1,
           CASE v % 2 WHEN 1 THEN 'user' ELSE 'assistant' END,
           (WITH RECURSIVE w (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM w WHERE k < 30)
            SELECT group_concat(printf('w%x', CAST(50000.0 / (1 + abs(random() % 5000)) AS INTEGER) * 7 + k % 3), ' ') FROM w
             WHERE n.v IS NOT NULL),
           'complete', 1800000000000 + v
      FROM n";

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

#[tokio::main]
async fn main() {
    let messages: i64 = std::env::args().nth(1).map_or(20_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        path: dir.path().join("mira.db"),
        readers: 3,
        durability: Durability::Full,
        backup_dir: dir.path().join("backups"),
        default_persona: PersonaName::parse("default").unwrap(),
    };
    let store = Store::open(options, now()).await.unwrap();
    let session = NewSession {
        id: "s".parse().unwrap(),
        title: None,
        pinned_persona: None,
        project_id: None,
        memory: MemoryMode::On,
        now: now(),
    };
    store.insert_session(ME, session).await.unwrap();
    let mut conn = SqliteConnection::connect(store.path().to_str().unwrap()).await.unwrap();
    sqlx::query(FILL).bind(messages).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    store.queue_everything(ME, now()).await.unwrap();
    let start = Instant::now();
    while store.write_documents(ME, 1000, now()).await.unwrap().left {}
    println!("{messages} messages, documents written in {:.0} ms", ms(start));
    let bytes = std::fs::metadata(store.path()).unwrap().len();
    println!("file {} MiB", bytes >> 20);
    for n in 0..4_i64 {
        let id = MemoryId(Uuid::from_u128(u128::try_from(messages / 2 + n * 50).unwrap()));
        let start = Instant::now();
        store
            .forget(ME, id, &TombstoneKey::new([1; 32]), now())
            .await
            .unwrap()
            .unwrap();
        let forgot = ms(start);
        let start = Instant::now();
        let scrub = store.scrub();
        tokio::pin!(scrub);
        // A write that comes in between waits for one slice at most.
        let (mut longest, mut writes) = (0.0_f64, 0);
        let report = loop {
            let waited = Instant::now();
            tokio::select! {
                report = &mut scrub => break report.unwrap(),
                done = store.set_memory_paused(ME, false) => {
                    done.unwrap();
                    longest = longest.max(ms(waited));
                    writes += 1;
                }
            }
        };
        println!(
            "forget {forgot:.1} ms, scrub {:.0} ms ({report:?}); {writes} writes meanwhile, the longest {longest:.1} ms",
            ms(start)
        );
    }
    let start = Instant::now();
    let found = store.search_forgotten("no such words").await.unwrap();
    println!("search by query {:.0} ms ({} places)", ms(start), found.len());
    let start = Instant::now();
    let found = mira_memory::search_files(dir.path(), "no such words").await.unwrap();
    println!("search by bytes {:.0} ms ({} files)", ms(start), found.len());
    store.close().await;
}
