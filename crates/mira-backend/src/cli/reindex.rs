//! `reindex`: makes recall documents and vectors anew from the database, by the server that runs, else here.

use super::{
    CliError,
    client::{Server, answer, http_client},
    progress, say,
};
use crate::{
    config::Config,
    datadir::{DataDir, DataDirError},
    lifecycle::Lifecycle,
    services::{memory, metrics::Metrics},
    store_options,
};
use mira_core::{
    clock::{Clock, SystemClock},
    ids::AccountId,
};
use mira_memory::Store;
use serde::Deserialize;
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior};

/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long nothing may move before it is given up; the work stays queued for the server.
const STANDSTILL: Duration = Duration::from_mins(2);
/// How long the worker may take to put away what it has in hand.
const WORKER_GRACE: Duration = Duration::from_secs(5);
/// Width of the bar.
const BAR: u64 = 40;

/// How far it is.
struct Progress {
    pending: u64,
    /// What is wrong with index or embedder, as far as known.
    trouble: Option<String>,
}

pub(super) async fn run(config: &Config) -> Result<ExitCode, CliError> {
    match DataDir::take(config) {
        Ok(held) => {
            let done = alone(config).await;
            drop(held);
            done?;
        }
        Err(DataDirError::Held { path, holder }) => match Server::running(config)? {
            Some(server) => ask(&server).await?,
            None => return Err(DataDirError::Held { path, holder }.into()),
        },
        Err(e) => return Err(e.into()),
    }
    say("the index is whole")?;
    Ok(ExitCode::SUCCESS)
}

/// Without a server: the same worker as the server's, until nothing is left.
async fn alone(config: &Config) -> Result<(), CliError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(Store::open(store_options(config), clock.now()).await?);
    let done = index_all(config, &store, &clock).await;
    store.close().await;
    done
}

async fn index_all(config: &Config, store: &Arc<Store>, clock: &Arc<dyn Clock>) -> Result<(), CliError> {
    let owner = AccountId::OWNER;
    let metrics = Arc::new(Metrics::default());
    let memories = memory::open(config, owner, store, clock, &metrics)
        .await
        .map_err(|e| CliError::Plain(e.to_string()))?;
    let queued = memories.reindex(owner).await?;
    let life = Lifecycle::new();
    life.spawn(memories.clone().run_indexer(owner, life.clone()));
    let watched = watch(queued, async || {
        let status = memories.status(owner).await?;
        let parts = [status.index, status.embeddings];
        let trouble = parts
            .into_iter()
            .find(|part| part.condition != crate::services::health::Condition::Ok);
        Ok(Progress {
            pending: status.outbox.depth(),
            trouble: trouble.map(|part| part.detail),
        })
    })
    .await;
    if !life.drain(WORKER_GRACE).await {
        progress("the worker did not end in time; what it had in hand is done again at the next start");
    }
    watched
}

#[derive(Deserialize)]
struct Queued {
    queued: u64,
}

/// What `GET /api/memory` says, as far as it matters here.
#[derive(Deserialize)]
struct MemoryState {
    index: Part,
    embeddings: Part,
}

#[derive(Deserialize)]
struct Part {
    status: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    pending: u64,
}

async fn ask(server: &Server) -> Result<(), CliError> {
    progress(&format!("asking the server at {}", server.base));
    let client = http_client()?;
    let sent = server
        .request(&client, reqwest::Method::POST, "api/admin/reindex")?
        .send()
        .await;
    let Queued { queued } = answer(sent, server, "the reindexing").await?;
    watch(queued, async || {
        let sent = server
            .request(&client, reqwest::Method::GET, "api/memory")?
            .send()
            .await;
        let MemoryState { index, embeddings } = answer(sent, server, "the question how far it is").await?;
        let pending = index.pending;
        let trouble = [index, embeddings].into_iter().find(|part| part.status != "ok");
        Ok(Progress {
            pending,
            trouble: trouble.map(|part| part.detail),
        })
    })
    .await
}

/// Shows the progress until nothing is left.
async fn watch(queued: u64, mut look: impl AsyncFnMut() -> Result<Progress, CliError>) -> Result<(), CliError> {
    let mut bar = Bar::new(queued);
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut least, mut moved) = (u64::MAX, Instant::now());
    loop {
        ticks.tick().await;
        let Progress { pending, trouble } = look().await?;
        bar.show(pending);
        if pending == 0 {
            bar.end();
            return Ok(());
        }
        if pending < least {
            (least, moved) = (pending, Instant::now());
        } else if moved.elapsed() > STANDSTILL {
            bar.end();
            let reason = trouble.unwrap_or_else(|| "nothing moves".to_owned());
            return Err(CliError::Plain(format!(
                "{pending} memories still wait ({reason}); a running server goes on with them"
            )));
        }
    }
}

/// A bar on a terminal, a line for each tenth elsewhere.
struct Bar {
    total: u64,
    terminal: bool,
    shown: Option<u64>,
}

impl Bar {
    fn new(total: u64) -> Self {
        progress(&format!("{total} memories are taken up anew"));
        Self {
            total,
            terminal: io::stderr().is_terminal(),
            shown: None,
        }
    }

    fn show(&mut self, pending: u64) {
        // A conversation beside it queues more.
        self.total = self.total.max(pending);
        let done = self.total - pending;
        if self.terminal {
            let full = (done * BAR).checked_div(self.total).unwrap_or(BAR);
            let bar: String = (0..BAR).map(|place| if place < full { '#' } else { '.' }).collect();
            // Progress nobody can see is no reason to stop.
            write!(io::stderr(), "\r[{bar}] {done} of {}", self.total).unwrap_or_default();
        } else {
            let tenth = (done * 10).checked_div(self.total).unwrap_or(10);
            if self.shown != Some(tenth) {
                self.shown = Some(tenth);
                progress(&format!("{done} of {}", self.total));
            }
        }
    }

    fn end(&self) {
        if self.terminal {
            progress("");
        }
    }
}
