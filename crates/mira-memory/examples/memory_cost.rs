//! What memory costs a turn, step by step: processor time of the whole process (sqlx's threads included) and wall time.
//!
//! `cargo run --release -p mira-memory --example memory_cost -- [--past N] [--turns N] [--varied] [--qdrant]
//! [--dimension N] [--qdrant-url URL [--unsettled]]`
//!
//! A conversation is led whose turns all say the same, as the load driver's do (`--varied`: words with Zipf's
//! frequencies), after a past of so many varied messages. With `--qdrant` the vectors lie behind the emulator of Qdrant's
//! REST API, in this process: its exact search is counted in, and is no measure of a real server's. With `--qdrant-url`
//! they lie on a real one, in a collection of this run's own (`mira-cost-...`), which stays there; the turns begin when its
//! graph is built (at once with `--unsettled`). With `--dimension` the vectors are those of the table, said over until they
//! are so long: their angles stay what they are.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement for the terminal"
)]

use jiff::{Timestamp, tz::TimeZone};
use mira_core::{
    chat::{MemoryMode, MessageStatus, Mood, ReplyMeta},
    ids::{AccountId, MemoryId, MessageId, MoodId, SessionId, TurnId},
    memory::{Fate, LeftOut, Receipt, ReceiptItem},
    persona::PersonaName,
};
use mira_llm::embeddings::{Embedder, LocalEmbedder};
use mira_memory::{
    BeginKind, BeginTurn, Durability, EMBEDDED, FinishTurn, MiraChange, NewReply, NewSession, NoFiles, SendParent,
    SpeakerNames, Store, StoreOptions, TurnState,
    index::{
        Point, VectorIndex,
        embedded::EmbeddedIndex,
        qdrant::{QdrantConfig, QdrantIndex},
    },
    recall::{RecallOutcome, RecallQuery, recall, warm_up},
};
use qdrant_sim::{Sim, SimConfig};
use std::{
    collections::HashSet,
    fmt::Write as _,
    fs,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use uuid::Uuid;

const ME: AccountId = AccountId::OWNER;
/// Words known; used as people use them, the n-th 1 / n as often as the first.
const WORDS: f64 = 30_000.0;
const SESSION_MESSAGES: usize = 200;
/// What a turn of the server considers.
const CONSIDERED: usize = 36;
/// Messages in the prompt already.
const WINDOW: usize = 16;
const STEPS: [&str; 6] = ["begin_turn", "embed", "recall", "finish_turn", "documents", "vectors"];

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000).unwrap()
}

fn names() -> SpeakerNames {
    SpeakerNames {
        owner: "User".to_owned(),
        mira: "Mira".to_owned(),
    }
}

fn persona() -> PersonaName {
    PersonaName::parse("default").unwrap()
}

/// Nanoseconds all threads of this process have run.
fn cpu_ns() -> u64 {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let read = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
    threads
        .map(|thread| {
            read(thread.unwrap())
                .split(' ')
                .next()
                .and_then(|ns| ns.parse::<u64>().ok())
                .unwrap_or(0)
        })
        .sum()
}

/// A figure of this process's `/proc/self/status`, in KiB.
fn kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// Wall and processor time of one step over all turns.
#[derive(Default)]
struct Step {
    wall: Vec<Duration>,
    cpu_ns: u64,
}

impl Step {
    async fn time<T>(&mut self, work: impl Future<Output = T>) -> T {
        let (clock, before) = (Instant::now(), cpu_ns());
        let done = work.await;
        self.wall.push(clock.elapsed());
        self.cpu_ns += cpu_ns().saturating_sub(before);
        done
    }

    fn report(&mut self, what: &str) {
        self.wall.sort();
        let at = |per_mille: usize| self.wall[self.wall.len() * per_mille / 1000].as_micros();
        println!(
            "{what:<14} cpu {:>6} us   wall p50 {:>6} p99 {:>6} us",
            self.cpu_ns / 1000 / self.wall.len() as u64,
            at(500),
            at(990)
        );
    }
}

/// A small generator, the same numbers each time.
struct Numbers {
    state: u64,
    /// Milliseconds since the Unix epoch of the next id.
    at: u64,
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.state >> 33
    }

    /// An id of version 7, as all of Mira's are: in the order of time.
    fn id(&mut self) -> Uuid {
        self.at += 1;
        let random = u128::from(self.next()) << 31 | u128::from(self.next());
        Uuid::from_u128(u128::from(self.at) << 80 | 7 << 76 | 2 << 62 | random)
    }

    /// So many words, after Zipf.
    fn text(&mut self, words: usize) -> String {
        let mut text = String::new();
        for _ in 0..words {
            let share = self.next() as f64 / f64::from(1u32 << 31);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small and positive"
            )]
            let rank = (share * WORDS.ln()).exp() as usize;
            write!(text, "w{} ", rank * 7919 % 100_003).unwrap();
        }
        text
    }
}

/// Imports a past of varied messages.
async fn fill(store: &Store, numbers: &mut Numbers, messages: usize) {
    let (sender, lines) = mpsc::channel(1024);
    let feed = async move {
        let header = r#"{"type":"header","format":"mira-export","version":2,"exported_at":"2026-01-01T00:00:00Z"}"#;
        sender.send(header.to_owned()).await.unwrap();
        let mut parent = "null".to_owned();
        for n in 0..messages {
            let session = n / SESSION_MESSAGES;
            if n % SESSION_MESSAGES == 0 {
                "null".clone_into(&mut parent);
                let line = format!(
                    r#"{{"type":"session","id":"s{session}","memory":"on","pinned":false,"archived":false,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}}"#
                );
                sender.send(line).await.unwrap();
            }
            let (id, text) = (numbers.id(), numbers.text(20));
            let role = if n % 2 == 0 { "user" } else { "assistant" };
            let line = format!(
                r#"{{"type":"message","id":"{id}","session_id":"s{session}","parent_id":{parent},"role":"{role}","content":"{text}","status":"complete","created_at":"2026-01-01T00:00:00Z"}}"#,
            );
            parent = format!("\"{id}\"");
            sender.send(line).await.unwrap();
        }
        let end = r#"{"type":"end","sessions":0,"messages":0,"moods":0}"#;
        sender.send(end.to_owned()).await.unwrap();
    };
    let ((), report) = tokio::join!(feed, store.import(ME, &NoFiles, lines, |_| ()));
    report.unwrap();
}

/// The table's vectors, as long as wanted.
struct Long {
    table: LocalEmbedder,
    dimension: usize,
}

impl Long {
    async fn embed(&self, texts: Vec<String>) -> Vec<Arc<[f32]>> {
        let vectors = self.table.embed(texts).await.unwrap();
        if self.dimension == self.table.dimension() {
            return vectors;
        }
        let long = |vector: Arc<[f32]>| vector.iter().copied().cycle().take(self.dimension).collect();
        vectors.into_iter().map(long).collect()
    }
}

/// Embeds what waits for it; answers how much that was.
async fn embed_due(store: &Store, index: &dyn VectorIndex, embedder: &Long) -> usize {
    let jobs = store.due_work(ME, 128, now()).await.unwrap().1;
    if jobs.is_empty() {
        return 0;
    }
    let texts = jobs.iter().map(|job| job.text.clone()).collect();
    let vectors = embedder.embed(texts).await;
    let points = jobs.iter().zip(vectors).map(|(job, vector)| Point {
        id: job.id,
        kind: job.kind,
        session: job.session.clone(),
        project: job.project,
        at: job.at,
        vector,
    });
    let done = jobs.iter().map(|job| job.outbox_id).collect();
    let left = index.upsert_queued(ME, points.collect(), done).await.unwrap();
    if !left.is_empty() {
        store.finish_outbox(ME, left).await.unwrap();
    }
    jobs.len()
}

fn receipt(message_id: MessageId, outcome: &RecallOutcome) -> Receipt {
    let items = outcome.items.iter().chain(&outcome.merged).enumerate();
    let item = |(rank, one): (usize, &mira_core::memory::Recalled)| ReceiptItem {
        memory_id: one.memory.id,
        kind: one.memory.kind,
        fate: Fate::Used,
        scores: one.scores,
        rank: u32::try_from(rank).unwrap(),
        tokens: 10,
        reason: one.why.clone(),
    };
    Receipt {
        message_id,
        items: items.map(item).collect(),
        degraded: None,
        prompt_hash: [0; 32],
        parts: Vec::new(),
        left_out: LeftOut::default(),
        created_at: now(),
    }
}

fn reply(content: String) -> NewReply {
    NewReply {
        content,
        meta: Some(ReplyMeta {
            persona: persona(),
            mood: Mood::from_text("amused").unwrap(),
            mood_cause: None,
            intent: Some("to answer".to_owned()),
            owner_mood: None,
            tags: vec!["day".to_owned()],
            salience: None,
            remember: Vec::new(),
        }),
        status: MessageStatus::Complete,
        model: Some("measured".to_owned()),
        usage: None,
        tool_calls: Vec::new(),
        citations: Vec::new(),
        exposure: Some(mira_core::chat::Exposure::Clear),
    }
}

/// Everything a measured conversation needs.
struct Talk {
    store: Arc<Store>,
    index: Arc<dyn VectorIndex>,
    embedder: Long,
    numbers: Numbers,
    session: SessionId,
    recent: Vec<MemoryId>,
    varied: bool,
    found: usize,
}

impl Talk {
    fn said(&mut self) -> (String, String) {
        if self.varied {
            (self.numbers.text(12), self.numbers.text(40))
        } else {
            let reply = "I had a quiet day and thought of what you said about yours, so tell me how it went.";
            ("How was your day?".to_owned(), reply.to_owned())
        }
    }

    async fn turn(&mut self, steps: &mut [Step; 6]) {
        let [begin, embed, ask, finish, documents, vectors] = steps;
        let (text, answer) = self.said();
        let (turn_id, own, reply_id) = (
            TurnId(self.numbers.id()),
            MessageId(self.numbers.id()),
            MessageId(self.numbers.id()),
        );
        let turn = BeginTurn {
            files: Vec::new(),
            turn_id,
            session: self.session.clone(),
            kind: BeginKind::Send {
                message_id: own,
                content: text.clone(),
                client_id: None,
                parent: SendParent::Head,
                project_id: None,
                metadata: None,
            },
            reply_id,
            after: None,
            reserve_seq_to: None,
            title_if_none: None,
            now: now(),
        };
        begin.time(self.store.begin_turn(ME, turn)).await.unwrap();
        self.recent.push(own.into());
        let vector = embed.time(self.embedder.embed(vec![text.clone()])).await.pop();
        let query = RecallQuery {
            text,
            vector,
            exclude: self.recent.iter().rev().take(WINDOW).copied().collect::<HashSet<_>>(),
            project: None,
            names: names(),
            now: now().to_zoned(TimeZone::UTC),
            considered: CONSIDERED,
        };
        let outcome = ask
            .time(recall(&self.store, Some(&*self.index), ME, query))
            .await
            .unwrap();
        self.found += outcome.items.len() + outcome.merged.len();
        let end = FinishTurn {
            turn_id,
            reply: Some(reply(answer)),
            state: TurnState::Complete,
            tokens: None,
            mira: Some(MiraChange {
                persona: Some(persona()),
                mood: Mood::from_text("amused").unwrap(),
                cause: None,
                entry: MoodId(self.numbers.id()),
            }),
            told_nudge: None,
            receipt: Some(receipt(reply_id, &outcome)),
            now: now(),
        };
        finish.time(self.store.finish_turn(ME, end)).await.unwrap();
        self.recent.push(reply_id.into());
        documents
            .time(self.store.write_documents(ME, 256, now()))
            .await
            .unwrap();
        vectors.time(embed_due(&self.store, &*self.index, &self.embedder)).await;
    }
}

/// Waits until a collection's optimizers have nothing more to do.
async fn settled(collection: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    loop {
        // What was just written is looked at a moment later.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let answer = client.get(collection).send().await.unwrap().text().await.unwrap();
        let info: serde_json::Value = serde_json::from_str(&answer).unwrap();
        if info["result"]["status"] == "green" {
            return;
        }
    }
}

fn argument<T: FromStr>(name: &str) -> Option<T> {
    let mut all = std::env::args().skip_while(|it| it != name);
    all.nth(1).and_then(|n| n.parse().ok())
}

#[tokio::main]
async fn main() {
    let (past, turns) = (argument("--past").unwrap_or(0), argument("--turns").unwrap_or(1000));
    let dir = tempfile::tempdir_in(".").unwrap();
    let options = StoreOptions {
        path: dir.path().join("mira.db"),
        readers: 4,
        durability: Durability::Normal,
        backup_dir: dir.path().join("backups"),
        default_persona: persona(),
    };
    let store = Arc::new(Store::open(options, now()).await.unwrap());
    let mut numbers = Numbers {
        state: 1,
        at: 1_700_000_000_000,
    };
    let table = LocalEmbedder::new();
    let dimension = argument("--dimension").unwrap_or(table.dimension());
    let embedder = Long { table, dimension };
    let space = store
        .open_space(EMBEDDED, embedder.table.model(), dimension, now())
        .await
        .unwrap();
    let embedded = Arc::new(EmbeddedIndex::open(Arc::clone(&store), ME, &space, now()));
    embedded.ready().await;
    let emulator = Sim::start(SimConfig {
        capture: 0,
        ..SimConfig::default()
    });
    let emulator = emulator.await.unwrap();
    let qdrant_url = argument("--qdrant-url").or_else(|| {
        let emulated = std::env::args().any(|it| it == "--qdrant");
        emulated.then(|| emulator.url())
    });
    let mut graph = None;
    let index: Arc<dyn VectorIndex> = match qdrant_url {
        Some(url) => {
            let alias = format!("mira-cost-{}", std::process::id());
            let config = QdrantConfig::new(url.clone(), alias, embedder.table.model(), dimension);
            let qdrant = QdrantIndex::open(config).unwrap();
            let made = qdrant.ensure().await.unwrap();
            graph = Some(format!("{url}/collections/{}", made.collection));
            Arc::new(qdrant)
        }
        None => Arc::clone(&embedded) as Arc<dyn VectorIndex>,
    };
    let clock = Instant::now();
    fill(&store, &mut numbers, past).await;
    println!("{past} messages imported: {:.1} s", clock.elapsed().as_secs_f64());
    // By the tenth, so that growth shows.
    let (mut clock, mut written) = (Instant::now(), 0);
    loop {
        let report = store.write_documents(ME, 256, now()).await.unwrap();
        written += report.written as usize;
        if !report.left || written >= past / 10 {
            println!("{written} documents: {:.1} s", clock.elapsed().as_secs_f64());
            (clock, written) = (Instant::now(), 0);
        }
        if !report.left {
            break;
        }
    }
    let clock = Instant::now();
    while embed_due(&store, &*index, &embedder).await > 0 {}
    println!("vectors: {:.1} s", clock.elapsed().as_secs_f64());
    if let Some(collection) = graph.filter(|_| !std::env::args().any(|it| it == "--unsettled")) {
        let clock = Instant::now();
        settled(&collection).await;
        println!("Qdrant's graph: {:.1} s", clock.elapsed().as_secs_f64());
    }
    let session: SessionId = "measured".parse().unwrap();
    let new = NewSession {
        id: session.clone(),
        title: None,
        pinned_persona: None,
        project_id: None,
        memory: MemoryMode::On,
        now: now(),
    };
    store.insert_session(ME, new).await.unwrap();
    let mut talk = Talk {
        store,
        index,
        embedder,
        numbers,
        session,
        recent: Vec::new(),
        varied: std::env::args().any(|it| it == "--varied"),
        found: 0,
    };
    let clock = Instant::now();
    let zoned = now().to_zoned(TimeZone::UTC);
    warm_up(&talk.store, ME, &names(), &zoned).await.unwrap();
    println!("as after a start, warmed up: {:.1} s", clock.elapsed().as_secs_f64());
    // Twice, so that growth with the conversation shows.
    for part in 1..=2 {
        let mut steps: [Step; 6] = Default::default();
        talk.found = 0;
        for _ in 0..turns / 2 {
            talk.turn(&mut steps).await;
        }
        println!(
            "--- turns to {}: {} memories came up a turn",
            part * turns / 2,
            talk.found / (turns / 2)
        );
        for (name, step) in STEPS.iter().zip(&mut steps) {
            step.report(name);
        }
    }
    println!(
        "resident: {} MiB, at most {} MiB",
        kib("VmRSS:") / 1024,
        kib("VmHWM:") / 1024
    );
    embedded.close().await;
    talk.store.close().await;
}
