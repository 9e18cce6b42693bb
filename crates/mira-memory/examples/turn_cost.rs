//! What a turn costs in the store: microseconds per begin, checkpoint, finish and read, alone and 64 at a time.
//! `cargo run --release -p mira-memory --example turn_cost [messages to fill in first]`

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement for the terminal"
)]

use jiff::Timestamp;
use mira_core::{
    chat::{MemoryMode, MessageStatus, Mood, ReplyMeta, Usage},
    ids::{AccountId, MessageId, MoodId, SessionId, TurnId},
    persona::PersonaName,
};
use mira_memory::{
    BeginKind, BeginTurn, BranchFrom, CheckpointPart, Durability, FinishTurn, MiraChange, NewReply, NewSession, Page,
    SendParent, Store, StoreOptions, TurnState,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use uuid::Uuid;

const ME: AccountId = AccountId::OWNER;
const TURNS: usize = 1000;
const SESSIONS: usize = 64;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Ids that grow as UUIDv7 do.
fn id() -> Uuid {
    Uuid::from_u128(u128::from(NEXT.fetch_add(1, Relaxed)) << 64 | 0x8000_0000_0000_0000)
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000).unwrap()
}

fn persona() -> PersonaName {
    PersonaName::parse("default").unwrap()
}

fn begin(session: &SessionId) -> BeginTurn {
    BeginTurn {
        files: Vec::new(),
        turn_id: TurnId(id()),
        session: session.clone(),
        kind: BeginKind::Send {
            message_id: MessageId(id()),
            content: "What did we say about the garden, and when do the tomatoes have to go out?".to_owned(),
            client_id: Some(format!("c{}", NEXT.load(Relaxed)).parse().unwrap()),
            parent: SendParent::Head,
            project_id: None,
            metadata: None,
        },
        reply_id: MessageId(id()),
        after: None,
        reserve_seq_to: None,
        title_if_none: None,
        now: now(),
    }
}

fn finish(turn_id: TurnId, text: &str) -> FinishTurn {
    let mood = Mood::from_text("amused").unwrap();
    FinishTurn {
        turn_id,
        reply: Some(NewReply {
            content: text.to_owned(),
            meta: Some(ReplyMeta {
                persona: persona(),
                mood: mood.clone(),
                mood_cause: Some("tomatoes".to_owned()),
                intent: Some("to plan the garden".to_owned()),
                owner_mood: Some("busy".to_owned()),
                tags: vec!["garden".to_owned(), "spring".to_owned()],
                salience: None,
                remember: Vec::new(),
            }),
            status: MessageStatus::Complete,
            model: Some("measured".to_owned()),
            usage: Some(Usage {
                input_tokens: 900,
                cached_tokens: 800,
                output_tokens: 200,
                reasoning_tokens: 0,
            }),
            tool_calls: Vec::new(),
            citations: Vec::new(),
            exposure: Some(mira_core::chat::Exposure::Clear),
        }),
        state: TurnState::Complete,
        tokens: None,
        mira: Some(MiraChange {
            persona: Some(persona()),
            mood,
            cause: Some("tomatoes".to_owned()),
            entry: MoodId(id()),
        }),
        told_nudge: None,
        receipt: None,
        now: now(),
    }
}

/// About 200 tokens.
fn reply_text() -> String {
    let words: Vec<String> = (0..150).map(|n| format!("word{}", (n * 7919) % 1000)).collect();
    words.join(" ")
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_micros();
    println!("{what:<32} p50 {:>6} us   p99 {:>6} us", at(50), at(99));
}

async fn one_at_a_time(store: &Store, session: &SessionId) {
    let text = reply_text();
    let mut times: [Vec<Duration>; 5] = Default::default();
    for _ in 0..TURNS {
        let turn = begin(session);
        let turn_id = turn.turn_id;
        let clock = Instant::now();
        store.begin_turn(ME, turn).await.unwrap();
        times[0].push(clock.elapsed());
        let part = CheckpointPart {
            n: 0,
            text: text.clone(),
            citations: Vec::new(),
            head: None,
        };
        let clock = Instant::now();
        store.checkpoint_turn(ME, turn_id, part).await.unwrap();
        times[1].push(clock.elapsed());
        let clock = Instant::now();
        store.branch(ME, session, BranchFrom::Head, 30, None).await.unwrap();
        times[2].push(clock.elapsed());
        let clock = Instant::now();
        store.find_session(ME, session).await.unwrap();
        times[3].push(clock.elapsed());
        let clock = Instant::now();
        store.finish_turn(ME, finish(turn_id, &text)).await.unwrap();
        times[4].push(clock.elapsed());
    }
    let names = [
        "begin_turn",
        "checkpoint_turn",
        "branch of 30",
        "find_session",
        "finish_turn",
    ];
    for (name, times) in names.into_iter().zip(times) {
        report(name, times);
    }
}

async fn many_at_a_time(store: &Arc<Store>, sessions: &[SessionId]) {
    let before = store.writer_stats();
    let clock = Instant::now();
    let mut tasks = JoinSet::new();
    for session in sessions {
        let (store, session) = (Arc::clone(store), session.clone());
        tasks.spawn(async move {
            let text = reply_text();
            for _ in 0..TURNS / 20 {
                let turn = begin(&session);
                let turn_id = turn.turn_id;
                store.begin_turn(ME, turn).await.unwrap();
                store.finish_turn(ME, finish(turn_id, &text)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let took = clock.elapsed();
    let after = store.writer_stats();
    let (turns, commits) = (sessions.len() * (TURNS / 20), after.commits - before.commits);
    println!(
        "{} sessions: {:.0} turns/s, {:.1} jobs per commit, {} commits, mean commit {} us",
        sessions.len(),
        turns as f64 / took.as_secs_f64(),
        (after.jobs - before.jobs) as f64 / commits as f64,
        commits,
        (after.commit_us - before.commit_us) / commits,
    );
}

async fn measure(durability: Durability, fill: usize) {
    let dir = tempfile::tempdir_in(".").unwrap();
    let options = StoreOptions {
        path: dir.path().join("mira.db"),
        readers: 4,
        durability,
        backup_dir: dir.path().join("backups"),
        default_persona: persona(),
    };
    let store = Arc::new(Store::open(options.clone(), now()).await.unwrap());
    let mut sessions = Vec::new();
    for n in 0..SESSIONS {
        let id: SessionId = format!("s{n}").parse().unwrap();
        let new = NewSession {
            id: id.clone(),
            title: None,
            pinned_persona: None,
            project_id: None,
            memory: MemoryMode::On,
            now: now(),
        };
        store.insert_session(ME, new).await.unwrap();
        sessions.push(id);
    }
    while store.stats(ME).await.unwrap().messages < fill as u64 {
        many_at_a_time(&store, &sessions).await;
    }
    println!(
        "--- {durability:?}, {} messages",
        store.stats(ME).await.unwrap().messages
    );
    one_at_a_time(&store, &sessions[0]).await;
    many_at_a_time(&store, &sessions).await;
    for query in ["garden tomatoes ", "word123 word456 ", "word99"] {
        let clock = Instant::now();
        let hits = store.search(ME, query, Page::first(50)).await.unwrap().items.len();
        println!("search {query:?}: {hits} hits in {} us", clock.elapsed().as_micros());
    }
    store.close().await;
    let clock = Instant::now();
    let store = Store::open(options, now()).await.unwrap();
    let opened = clock.elapsed();
    let recovered = store.recover_turns(ME, now()).await.unwrap();
    println!(
        "open {} us, with recovery {} us, {recovered:?}",
        opened.as_micros(),
        clock.elapsed().as_micros()
    );
    store.close().await;
}

#[tokio::main]
async fn main() {
    let fill = std::env::args().nth(1).and_then(|fill| fill.parse().ok()).unwrap_or(0);
    measure(Durability::Normal, fill).await;
    measure(Durability::Full, 0).await;
}
