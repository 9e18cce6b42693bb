//! What memory costs in the store: messages per second through the document step, and the latency of what recall asks.
//! `cargo run --release -p mira-memory --example recall_cost [messages, 100000 by default]`

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement for the terminal"
)]

use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, MemoryId},
    persona::PersonaName,
};
use mira_memory::{Durability, LexicalQuery, MemoryFilter, NoFiles, Page, Store, StoreOptions};
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

const ME: AccountId = AccountId::OWNER;
/// Words known; used as people use them, the n-th 1 / n as often as the first.
const WORDS: usize = 30_000;
const TURN_WORDS: usize = 20;
const SESSION_MESSAGES: usize = 200;
const QUERIES: usize = 1000;

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000).unwrap()
}

/// A small generator, the same numbers each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A rank from `first` on, after Zipf.
    fn word(&mut self, first: usize) -> String {
        let share = self.next() as f64 / f64::from(1u32 << 31);
        let (low, high) = ((first as f64).ln(), (WORDS as f64).ln());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small and positive"
        )]
        let rank = (low + share * (high - low)).exp() as usize;
        format!("w{}", rank * 7919 % 100_003)
    }
}

async fn fill(store: &Store, messages: usize) {
    let (sender, lines) = mpsc::channel(1024);
    let feed = async move {
        let mut numbers = Numbers(1);
        let header = r#"{"type":"header","format":"mira-export","version":2,"exported_at":"2026-01-01T00:00:00Z"}"#;
        sender.send(header.to_owned()).await.unwrap();
        for n in 0..messages {
            let session = n / SESSION_MESSAGES;
            if n % SESSION_MESSAGES == 0 {
                let line = format!(
                    r#"{{"type":"session","id":"s{session}","memory":"on","pinned":false,"archived":false,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}}"#
                );
                sender.send(line).await.unwrap();
            }
            let parent = if n % SESSION_MESSAGES == 0 {
                "null".to_owned()
            } else {
                format!("\"{}\"", id(n - 1))
            };
            let mut text = String::new();
            for _ in 0..TURN_WORDS {
                write!(text, "{} ", numbers.word(1)).unwrap();
            }
            let role = if n % 2 == 0 { "user" } else { "assistant" };
            let line = format!(
                r#"{{"type":"message","id":"{}","session_id":"s{session}","parent_id":{parent},"role":"{role}","content":"{text}","status":"complete","created_at":"2026-01-01T00:00:00Z"}}"#,
                id(n)
            );
            sender.send(line).await.unwrap();
        }
        sender
            .send(r#"{"type":"end","sessions":0,"messages":0,"moods":0}"#.to_owned())
            .await
            .unwrap();
    };
    let ((), report) = tokio::join!(feed, store.import(ME, &NoFiles, lines, |_| ()));
    report.unwrap();
}

fn id(n: usize) -> MemoryId {
    MemoryId(uuid::Uuid::from_u128((n as u128 + 1) << 64 | 0x8000_0000_0000_0000))
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_micros();
    println!("{what:<44} p50 {:>6} us  p99 {:>6} us", at(50), at(99));
}

/// Questions of five words; `first` leaves the most common words out, as the dropping of stop words does.
async fn ask(store: &Store, what: &str, first: usize) {
    let mut numbers = Numbers(99);
    let (mut cold, mut times, mut scored, mut terms) = (Vec::new(), Vec::new(), 0, 0);
    for round in 0..2 {
        for _ in 0..QUERIES {
            let query = LexicalQuery {
                terms: (0..5).map(|_| numbers.word(first)).collect(),
                limit: 200,
                ..LexicalQuery::default()
            };
            let clock = Instant::now();
            let found = store.find_lexical(ME, query).await.unwrap();
            if round == 0 {
                cold.push(clock.elapsed());
                continue;
            }
            times.push(clock.elapsed());
            terms += found.terms.len();
            scored += found.df.len();
        }
    }
    report(&format!("find_lexical, {what}, first 1000"), cold);
    report(&format!("find_lexical, {what}, next 1000"), times);
    println!("  of {terms} terms {scored} were scored");
}

#[tokio::main]
async fn main() {
    let messages = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir_in(".").unwrap();
    let options = StoreOptions {
        path: dir.path().join("mira.db"),
        readers: 4,
        durability: Durability::Normal,
        backup_dir: dir.path().join("backups"),
        default_persona: PersonaName::parse("default").unwrap(),
    };
    let store = Store::open(options, now()).await.unwrap();
    let clock = Instant::now();
    fill(&store, messages).await;
    println!(
        "import: {:.0} messages/s",
        messages as f64 / clock.elapsed().as_secs_f64()
    );
    let (clock, mut steps) = (Instant::now(), Vec::new());
    loop {
        let step = Instant::now();
        let left = store.write_documents(ME, 256, now()).await.unwrap().left;
        steps.push(step.elapsed());
        if !left {
            break;
        }
    }
    println!(
        "documents: {:.0} messages/s",
        messages as f64 / clock.elapsed().as_secs_f64()
    );
    report("write_documents, 256 messages", steps);
    let stats = store.stats(ME).await.unwrap();
    println!("database {} MB", stats.database_bytes >> 20);
    ask(&store, "content words", 60).await;
    ask(&store, "any words", 1).await;
    let (mut found, mut listed, mut searched) = (Vec::new(), Vec::new(), Vec::new());
    let mut numbers = Numbers(7);
    for n in 0..200 {
        let ids: Vec<MemoryId> = (0..20).map(|i| id((n * 31 + i * 977) % messages)).collect();
        let clock = Instant::now();
        store.find_memories(ME, &ids).await.unwrap();
        found.push(clock.elapsed());
        let clock = Instant::now();
        store
            .list_memories(ME, MemoryFilter::default(), Page::first(50))
            .await
            .unwrap();
        listed.push(clock.elapsed());
        let filter = MemoryFilter {
            q: Some(numbers.word(20)),
            ..MemoryFilter::default()
        };
        let clock = Instant::now();
        store.list_memories(ME, filter, Page::first(50)).await.unwrap();
        searched.push(clock.elapsed());
    }
    report("find_memories, 20 ids", found);
    report("list_memories, 50", listed);
    report("list_memories, one word", searched);
    let clock = Instant::now();
    store.memory_counts(ME).await.unwrap();
    println!("memory_counts: {} us", clock.elapsed().as_micros());
    let clock = Instant::now();
    store.outbox_stats(ME).await.unwrap();
    println!(
        "outbox_stats with all vectors waiting: {} us",
        clock.elapsed().as_micros()
    );
    let clock = Instant::now();
    store.due_vectors(ME, 256, now()).await.unwrap();
    println!("due_vectors, 256: {} us", clock.elapsed().as_micros());
    let clock = Instant::now();
    store.queue_everything(ME, now()).await.unwrap();
    println!("queue_everything: {} ms", clock.elapsed().as_millis());
    let clock = Instant::now();
    while store.write_documents(ME, 256, now()).await.unwrap().left {}
    println!(
        "documents again: {:.0} messages/s",
        messages as f64 / clock.elapsed().as_secs_f64()
    );
    store.close().await;
}
