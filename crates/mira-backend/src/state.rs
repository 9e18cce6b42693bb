//! What every handler can reach. One `Arc`; cloning is cheap.

use crate::{
    config::{Config, LlmApi},
    lifecycle::Lifecycle,
    services::{
        artifacts::preview::Previews, auth::Auth, health::ModelHealth, hub::Hub, mcp::served::Served, metrics::Metrics,
    },
};
use mira_core::{clock::Clock, ids::SessionId};
use mira_llm::ChatModel;
use mira_memory::Store;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::time::Instant;

/// Handle on the running server.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// What the server is made of.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// Where it listens.
    pub address: SocketAddr,
    /// When it began.
    pub started: Instant,
    /// The store.
    pub store: Arc<Store>,
    /// Now, and fresh ids.
    pub clock: Arc<dyn Clock>,
    /// Who may come in.
    pub auth: Auth,
    /// Links to previews.
    pub previews: Previews,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// How the model endpoint did when last used.
    pub model_health: Arc<ModelHealth>,
    /// How it ends.
    pub life: Lifecycle,
    /// The conversations.
    pub hub: Hub,
    /// What other programs may ask for.
    pub served: Served,
    /// Counts the sockets, for their ids.
    pub sockets: AtomicU64,
}

impl From<Parts> for AppState {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl AppState {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The path below which the owner's browsers see her; empty where there is none.
    pub fn sub_path(&self) -> &str {
        let public = self.0.config.access.public_url.as_ref();
        public.map_or("", |url| url.path.as_str())
    }

    /// When the server began, monotonic.
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// Now, and fresh ids.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Who may come in.
    pub fn auth(&self) -> &Auth {
        &self.0.auth
    }

    /// Links to previews.
    pub fn previews(&self) -> &Previews {
        &self.0.previews
    }

    /// Figures.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn ChatModel> {
        &self.0.model
    }

    /// How the model endpoint did when last used.
    pub fn model_health(&self) -> &Arc<ModelHealth> {
        &self.0.model_health
    }

    /// Whether the model is the built-in rehearsal.
    pub fn is_rehearsal(&self) -> bool {
        self.0.config.llm.api == LlmApi::Rehearsal
    }

    /// The conversations.
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// What other programs may ask for.
    pub fn served(&self) -> &Served {
        &self.0.served
    }

    /// The session of a request that names none.
    pub fn default_session(&self) -> &SessionId {
        &self.0.config.chat.session_id
    }

    /// A number for a socket, unique in this process.
    pub fn next_socket_id(&self) -> u64 {
        self.0.sockets.fetch_add(1, Ordering::Relaxed)
    }

    /// How the process ends.
    pub fn life(&self) -> &Lifecycle {
        &self.0.life
    }
}
