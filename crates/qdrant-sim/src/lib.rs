//! An emulator of the part of Qdrant's REST API that Mira uses, on loopback, for tests and load runs.
//!
//! It is held to what a real server answered: `recorded/qdrant.json` has requests and answers of Qdrant 1.18.3, taken down
//! by `examples/record.rs`, and the tests ask the emulator the same. Where the two differ, a real server is right; the
//! conformance suite of `mira-memory` runs against one wherever `QDRANT_TEST_URL` names it.
//!
//! Lives here: collections with one unnamed vector, aliases, payload indexes, points, an exact cosine search in memory
//! (a real server's may be approximate), filters of the forms `match` (`value`, `any`), `range` and `has_id`, and faults
//! on purpose. Anything else is refused with a clear error, never half answered; so is a field nobody documented, which
//! a real server mostly ignores.
//!
//! Visibility: a write with `wait=true` is visible when it is answered, with all writes before it; one without is
//! acknowledged and becomes visible with the next that waits, or by [`Sim::settle`].
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use qdrant_sim::{Fault, Sim, SimConfig};
//! let mut sim = Sim::start(SimConfig::default()).await?;
//! sim.fault(Fault::TooMany { retry_after_seconds: Some(1) }, 2); // the next two requests
//! println!("{}", sim.url()); // http://127.0.0.1:PORT
//! sim.go_down().await; // refuses connections
//! sim.come_back().await?; // the same port, the same data
//! # Ok(())
//! # }
//! ```

mod collections;
mod error;
mod filter;
mod routes;
mod server;
mod shape;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use server::Captured;

/// How an emulator is set up.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where it listens; port 0 picks a free one.
    pub addr: SocketAddr,
    /// The only key let in; `None` lets everyone in.
    pub api_key: Option<String>,
    /// How many of the latest requests are kept for [`Sim::requests`].
    pub capture: usize,
    /// Whether filters on fields without an index are refused, as Qdrant's strict mode does.
    pub strict_mode: bool,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: None,
            capture: 256,
            strict_mode: true,
        }
    }
}

/// Something that goes wrong with requests, on purpose, before they do anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 500 `Service internal error`.
    Internal,
    /// 503 `Shard temporarily unavailable`.
    Unavailable,
    /// 429 `Rate limiting exceeded`.
    TooMany {
        /// The header `retry-after`.
        retry_after_seconds: Option<u32>,
    },
    /// The connection opens, but the answer comes only after this long (or never, if the emulator ends first).
    Slow(Duration),
    /// 200 with a body that is no JSON.
    Garbage,
    /// 200 with JSON that is not what was asked for.
    Nonsense,
    /// 200 with half of the answer it would have been; then the connection is cut. The request takes effect.
    CutBody,
    /// The connection is cut without an answer.
    Cut,
}

/// A running emulator. Dropping it stops it.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    shared: Arc<server::Shared>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    fn begin(listener: TcpListener, shared: &Arc<server::Shared>) -> Self {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(server::accept(
            listener,
            Arc::clone(shared),
            stop.clone(),
            tasks.clone(),
        ));
        tasks.close();
        Self { stop, tasks }
    }
}

impl Sim {
    /// Binds and serves.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(config: SimConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.addr).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(server::Shared::new(config));
        let running = Running::begin(listener, &shared);
        Ok(Self {
            addr,
            shared,
            running: Some(running),
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops listening and cuts every connection, as a killed server does; its data stay. Connections are refused.
    pub async fn go_down(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.cancel();
            running.tasks.wait().await;
        }
    }

    /// Serves again, on the same port.
    ///
    /// # Errors
    /// When somebody else has taken the port meanwhile.
    pub async fn come_back(&mut self) -> io::Result<()> {
        if self.running.is_none() {
            let listener = TcpListener::bind(self.addr).await?;
            self.running = Some(Running::begin(listener, &self.shared));
        }
        Ok(())
    }

    /// The next `times` requests meet this fault. Faults queue.
    pub fn fault(&self, fault: Fault, times: u32) {
        self.shared.push_fault(fault, times);
    }

    /// Forgets the faults that have not happened yet.
    pub fn heal(&self) {
        self.shared.clear_faults();
    }

    /// Whether its disk is full: then every write of points is refused as Qdrant does (500, `No space left on device`).
    pub fn set_full(&self, full: bool) {
        self.shared.set_full(full);
    }

    /// Lets only this key in from now on; `None` lets everyone in.
    pub fn set_key(&self, key: Option<&str>) {
        self.shared.set_key(key.map(str::to_owned));
    }

    /// Forgets everything: collections, aliases, points.
    pub fn wipe(&self) {
        self.shared.collections().wipe();
    }

    /// Makes visible what was acknowledged.
    pub fn settle(&self) {
        self.shared.collections().settle();
    }

    /// Visible points of a collection or alias; `None` if there is no such.
    pub fn points(&self, name: &str) -> Option<usize> {
        self.shared.collections().visible(name)
    }

    /// The collections, by name.
    pub fn collection_names(&self) -> Vec<String> {
        self.shared.collections().names()
    }

    /// What an alias names.
    pub fn alias(&self, name: &str) -> Option<String> {
        self.shared.collections().alias(name)
    }

    /// The latest requests, oldest first.
    pub fn requests(&self) -> Vec<Captured> {
        self.shared.captured()
    }

    /// Stops and waits until every connection is closed.
    pub async fn shutdown(mut self) {
        self.go_down().await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.stop.cancel();
        }
    }
}
