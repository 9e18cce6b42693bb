//! Recall on conversations of the LoCoMo format, through the real store, documents, index and ranking.
//!
//! `cargo bench -p mira-memory --bench locomo -- FILE [--no-embedder] [--json]`
//!
//! The file (a list of conversations with `speakers`, `sessions` of dated `turns`, and `questions` with the `evidence`
//! turns) is given as an argument and is not part of the project. Each conversation is imported into a store of its own:
//! the first speaker is the owner, the second Mira. Recall@k, reciprocal rank and binary nDCG@10 are means over the
//! questions of a conversation, then over conversations; `all` is categories 1 to 4. Questions without evidence are
//! skipped.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement for the terminal"
)]

#[path = "locomo/figures.rs"]
mod figures;
#[path = "locomo/file.rs"]
mod file;

use figures::{Figures, Table, Times};
use file::Conversation;
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, MemoryId},
    persona::PersonaName,
};
use mira_llm::embeddings::{Embedder, LocalEmbedder};
use mira_memory::{
    Durability, EMBEDDED, NoFiles, SpeakerNames, Store, StoreOptions,
    index::{Point, VectorIndex, embedded::EmbeddedIndex},
    recall::{RecallQuery, recall},
};
use std::{collections::HashSet, sync::Arc, time::Instant};
use tokio::sync::mpsc;

const ME: AccountId = AccountId::OWNER;
/// More than a prompt takes, so that a late first hit counts for the reciprocal rank.
const CONSIDERED: usize = 100;

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000).unwrap()
}

fn main() {
    let mut path = None;
    let (mut embed, mut json) = (true, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--no-embedder" => embed = false,
            "--json" => json = true,
            // What `cargo bench` itself adds.
            "--bench" => {}
            _ => path = Some(argument),
        }
    }
    let Some(path) = path else {
        println!("usage: cargo bench -p mira-memory --bench locomo -- FILE [--no-embedder] [--json]");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let conversations = file::read(&path).unwrap();
    let embedder = embed.then(LocalEmbedder::new);
    let mut table = Table::default();
    let mut times = Times::default();
    for conversation in &conversations {
        runtime.block_on(measure(conversation, embedder.as_ref(), &mut table, &mut times));
    }
    if json {
        println!("{}", table.json(&times));
    } else {
        println!(
            "{} conversations, embedder {}",
            conversations.len(),
            if embed { "local" } else { "off" }
        );
        println!("{}", table.text());
        println!("{}", times.text());
    }
}

async fn measure(conversation: &Conversation, embedder: Option<&LocalEmbedder>, table: &mut Table, times: &mut Times) {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        path: dir.path().join("mira.db"),
        readers: 3,
        durability: Durability::Normal,
        backup_dir: dir.path().join("backups"),
        default_persona: PersonaName::parse("default").unwrap(),
    };
    let store = Arc::new(Store::open(options, now()).await.unwrap());
    let names = SpeakerNames {
        owner: conversation.speakers[0].clone(),
        mira: conversation.speakers[1].clone(),
    };
    store.set_speaker_names(ME, names.clone()).await.unwrap();
    let started = Instant::now();
    fill(&store, conversation).await;
    let index = match embedder {
        Some(embedder) => Some(index(&store, embedder).await),
        None => None,
    };
    times.indexed(conversation.turns.len(), started.elapsed());
    let mut figures = Figures::default();
    for question in &conversation.questions {
        let started = Instant::now();
        let vector = match embedder {
            Some(embedder) => embedder.embed(vec![question.text.clone()]).await.unwrap().pop(),
            None => None,
        };
        let query = RecallQuery {
            text: question.text.clone(),
            vector,
            exclude: HashSet::new(),
            project: None,
            names: names.clone(),
            now: conversation.end(),
            considered: CONSIDERED,
        };
        let side = index.as_ref().map(|index| index as &dyn VectorIndex);
        let outcome = recall(&store, side, ME, query).await.unwrap();
        times.asked(started.elapsed());
        assert_eq!(outcome.degraded, None);
        let order: Vec<MemoryId> = outcome.items.iter().map(|item| item.memory.id).collect();
        figures.add(question.category, &order, &question.evidence);
    }
    table.add(&figures);
    if let Some(index) = index {
        index.close().await;
    }
    store.close().await;
}

/// The conversation as messages, and their documents.
async fn fill(store: &Store, conversation: &Conversation) {
    let (sender, receiver) = mpsc::channel(8);
    let feed = async move {
        for line in conversation.lines() {
            sender.send(line).await.unwrap();
        }
    };
    let ((), report) = tokio::join!(feed, store.import(ME, &NoFiles, receiver, |_| ()));
    assert_eq!(report.unwrap().messages, conversation.turns.len() as u64);
    while store.write_documents(ME, 500, now()).await.unwrap().left {}
}

/// The index of everything that waits to be embedded.
async fn index(store: &Arc<Store>, embedder: &LocalEmbedder) -> EmbeddedIndex {
    let space = store
        .open_space(EMBEDDED, embedder.model(), embedder.dimension(), now())
        .await
        .unwrap();
    let index = EmbeddedIndex::open(Arc::clone(store), ME, &space, now());
    index.ready().await;
    loop {
        let jobs = store.due_vectors(ME, 256, now()).await.unwrap();
        if jobs.is_empty() {
            return index;
        }
        let texts = jobs.iter().map(|job| job.text.clone()).collect();
        let vectors = embedder.embed(texts).await.unwrap();
        let points = jobs.iter().zip(vectors).map(|(job, vector)| Point {
            id: job.id,
            kind: job.kind,
            session: job.session.clone(),
            project: job.project,
            at: job.at,
            vector,
        });
        index.upsert(ME, points.collect()).await.unwrap();
        let done = jobs.iter().map(|job| job.outbox_id).collect();
        store.finish_outbox(ME, done).await.unwrap();
    }
}
