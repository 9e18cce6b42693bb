//! Mira's real services in this process: store, memory with the embedder in the binary, conversations, forgetting. Only
//! the clock and the model are ours.

use crate::{Outcome, model::Model};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use mira_backend::{
    config::{Config, Env, LlmApi, ModelChoice},
    lifecycle::Lifecycle,
    open_hub,
    services::{
        forget,
        hub::{
            Hub,
            actor::{Accepted, Ask},
        },
        memory::{self, Gathered, Memories, RecallAsk},
        metrics::Metrics,
        model,
    },
    store_options,
};
use mira_core::{
    chat::ChatRequest,
    clock::Clock,
    ids::{AccountId, MemoryId, SessionId},
    memory::{Memory, MemoryKind},
};
use mira_memory::{MemoryFilter, NewFact, Page, Store};
use openai_sim::{Brain, Sim, SimConfig};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

const ME: AccountId = AccountId::OWNER;
/// The first morning: 1 March 2026, 08:00 UTC.
const FIRST_MORNING_MS: i64 = 1_772_352_000_000;
/// Between two messages.
const BETWEEN: SignedDuration = SignedDuration::from_mins(50);
/// From the last message of a day to the first of the next.
const NIGHT: SignedDuration = SignedDuration::from_hours(14);
/// How often to look whether the indexer is through, and how long at most.
const LOOK_EVERY: Duration = Duration::from_millis(4);
const LOOKS: usize = 15_000;

/// A clock that goes when it is told to.
#[derive(Debug)]
pub struct SimulatedClock {
    now_ms: AtomicI64,
    drawn: AtomicU64,
}

impl SimulatedClock {
    fn forward(&self, by: SignedDuration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(0);
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn new_uuid(&self) -> Uuid {
        // Version 7: time first, then a count, so that ids are ordered.
        let ms = u128::try_from(self.now_ms.load(Ordering::Relaxed)).unwrap_or(0);
        let n = u128::from(self.drawn.fetch_add(1, Ordering::Relaxed));
        Uuid::from_u128((ms << 80) | (0x7 << 76) | (0b10 << 62) | n)
    }

    fn random_bytes(&self) -> [u8; 16] {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mixed = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        mixed.to_be_bytes()
    }
}

/// Everything that runs.
pub struct House {
    hub: Hub,
    store: Arc<Store>,
    memories: Memories,
    clock: Arc<SimulatedClock>,
    session: SessionId,
    life: Lifecycle,
    sim: Sim,
    dir: tempfile::TempDir,
}

impl House {
    /// Opens it with this model.
    pub async fn open(model: Arc<Model>) -> Outcome<Self> {
        let dir = tempfile::tempdir()?;
        let brain = Brain::Respond(Arc::new(move |body| model.answer(body)));
        let sim = Sim::start(SimConfig {
            brain,
            capture: 0,
            ..SimConfig::default()
        })
        .await?;
        let config = configured(dir.path(), &sim)?;
        fs::create_dir_all(config.database.path.parent().unwrap_or(dir.path()))?;
        let life = Lifecycle::new();
        let own = Arc::new(SimulatedClock {
            now_ms: AtomicI64::new(FIRST_MORNING_MS),
            drawn: AtomicU64::new(1),
        });
        let clock: Arc<dyn Clock> = Arc::clone(&own) as Arc<dyn Clock>;
        let store = Arc::new(Store::open(store_options(&config), clock.now()).await?);
        let metrics = Arc::new(Metrics::default());
        let opened = model::open(&config.llm, &*clock, Arc::clone(&metrics)).await?;
        let memories = memory::open(&config, ME, &store, &clock, &metrics).await?;
        life.spawn(memories.clone().run_indexer(ME, life.clone()));
        let session = config.chat.session_id.clone();
        let hub = open_hub(&config, &store, &clock, &metrics, &opened, memories.clone(), &life).await?;
        Ok(Self {
            hub,
            store,
            memories,
            clock: own,
            session,
            life,
            sim,
            dir,
        })
    }

    /// The owner says something; returns when the reply is stored and what it taught is, too.
    pub async fn say(&self, text: &str) -> Outcome<()> {
        self.clock.forward(BETWEEN);
        let live = self.hub.live(ME, &self.session).await?.ok_or("the session is gone")?;
        let ask = Ask::Send(ChatRequest {
            content: text.to_owned(),
            project_id: None,
            client_id: None,
            persona: None,
            parent_id: None,
            file_ids: Vec::new(),
            tz: None,
            metadata: None,
        });
        let Accepted::Turn { end, .. } = self.hub.ask(&live, ask).await? else {
            return Err("a message was taken for an earlier one".into());
        };
        let end = end.await?;
        match end.failure {
            None => self.settle().await,
            Some(failure) => Err(format!("a turn failed: {failure:?}").into()),
        }
    }

    /// The night passes.
    pub fn sleep(&self) {
        self.clock.forward(NIGHT);
    }

    /// Waits until the indexer is through.
    async fn settle(&self) -> Outcome<()> {
        for _ in 0..LOOKS {
            let left = self.store.outbox_stats(ME).await?;
            if left.depth() == 0 {
                return Ok(());
            }
            self.memories.wake();
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err("the indexer does not come to an end".into())
    }

    /// Stores a note as it is: what a house without a gate does. `outdated` is the value it says it replaces.
    pub async fn keep_ungated(&self, about: &str, topic: &str, text: &str, outdated: Option<&str>) -> Outcome<()> {
        let supersedes = match outdated {
            None => Vec::new(),
            Some(old) => {
                let live = self.facts().await?.into_iter();
                live.filter(|fact| fact.superseded_by.is_none() && fact.text.contains(old))
                    .map(|fact| fact.id)
                    .take(1)
                    .collect()
            }
        };
        let now = self.clock.now();
        let fact = NewFact {
            id: MemoryId(self.clock.new_uuid()),
            about: about.to_owned(),
            topic: Some(topic.to_owned()),
            text: text.to_owned(),
            source: mira_core::memory::MemorySource::Conversation,
            session_id: Some(self.session.clone()),
            project_id: None,
            message_id: None,
            valid_from: now,
            salience: None,
            pinned: false,
            supersedes,
        };
        self.store
            .insert_facts(ME, vec![fact], self.memories.tombstone_key(), now)
            .await?;
        self.settle().await
    }

    /// All facts, superseded ones too.
    pub async fn facts(&self) -> Outcome<Vec<Memory>> {
        self.list(None, Some(MemoryKind::Fact)).await
    }

    /// Memories of any kind that hold a word.
    pub async fn search(&self, word: &str) -> Outcome<Vec<Memory>> {
        self.list(Some(word), None).await
    }

    async fn list(&self, q: Option<&str>, kind: Option<MemoryKind>) -> Outcome<Vec<Memory>> {
        let mut all = Vec::new();
        let mut page = Page::first(Page::<mira_memory::MemoryCursor>::MAX);
        loop {
            let filter = MemoryFilter {
                q: q.map(str::to_owned),
                kind,
                session_id: None,
                project_id: None,
            };
            let listed = self.store.list_memories(ME, filter, page).await?;
            all.extend(listed.items);
            match listed.next {
                Some(next) => page.cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// What memory has to say to a question.
    pub async fn recall(&self, question: &str) -> Gathered {
        let ask = RecallAsk {
            text: question.to_owned(),
            message: None,
            exclude: HashSet::new(),
            project: None,
            zone: TimeZone::UTC,
        };
        self.memories.gather(ME, ask).await
    }

    /// Forgets a memory as the owner would.
    pub async fn forget(&self, id: MemoryId) -> Outcome<()> {
        forget::forget(&self.hub, ME, id).await?;
        self.settle().await
    }

    /// The files of the data directory that hold one of the words, in any case.
    pub fn files_with(&self, words: &[String]) -> Outcome<Vec<PathBuf>> {
        let mut found = Vec::new();
        look_through(self.dir.path(), words, &mut found)?;
        Ok(found)
    }

    /// Ends everything.
    pub async fn close(self) {
        self.life.soft().cancel();
        self.life.drain(Duration::from_secs(5)).await;
        self.hub.release_all().await;
        self.sim.shutdown().await;
        self.store.close().await;
    }
}

fn configured(dir: &Path, sim: &Sim) -> Outcome<Config> {
    let mut config = Config::from_env(&Env::default())?;
    dir.clone_into(&mut config.data_dir);
    config.database.path = dir.join("mira.db");
    config.chat.persona_dir = dir.join("personas");
    config.llm.api = LlmApi::Responses;
    config.llm.base_url = Some(sim.url().parse()?);
    config.llm.model = ModelChoice::Named("gpt-5".to_owned());
    Ok(config)
}

fn look_through(dir: &Path, words: &[String], found: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            look_through(&path, words, found)?;
            continue;
        }
        let bytes = fs::read(&path)?.to_ascii_lowercase();
        let holds = |word: &String| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        if words.iter().any(holds) {
            found.push(path);
        }
    }
    Ok(())
}
