//! A hub over a fresh data directory, for tests beside the code: its model first says what the test wants.

use super::Hub;
use crate::{
    config::{Config, Env},
    datadir,
    lifecycle::Lifecycle,
    services::{
        memory,
        model::{self, OpenedModel},
    },
    store_options,
};
use futures_util::{future::BoxFuture, stream::BoxStream};
use mira_core::{
    clock::{Clock, SystemClock},
    ids::AccountId,
    model::{ModelEvent, ModelRequest},
};
use mira_llm::{ChatModel, LlmError, SideReply};
use mira_memory::Store;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What a model says.
pub type Said = BoxStream<'static, Result<ModelEvent, LlmError>>;

/// A model that says these things first; after them it is the one it wraps.
struct Scripted {
    first: Mutex<VecDeque<Said>>,
    inner: Arc<dyn ChatModel>,
}

impl ChatModel for Scripted {
    fn stream(&self, request: ModelRequest) -> Said {
        let next = self.first.lock().unwrap().pop_front();
        next.unwrap_or_else(|| self.inner.stream(request))
    }

    fn complete(&self, request: ModelRequest, most: u32) -> BoxFuture<'static, Result<SideReply, LlmError>> {
        self.inner.complete(request, most)
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}

/// Everything a turn needs, in rehearsal.
pub struct Rig {
    pub hub: Hub,
    pub store: Arc<Store>,
    pub config: Config,
    life: Lifecycle,
    /// The rehearsal's model is in it.
    _opened: OpenedModel,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub async fn open(first: impl IntoIterator<Item = Said>) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        let data = dir.path().join("data");
        let env = Env::from_pairs(&[("MIRA_DATA_DIR", data.to_str().unwrap()), ("MIRA_LLM_API", "rehearsal")]);
        let config = Config::from_env(&env).unwrap();
        datadir::make(&data).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Arc::new(Store::open(store_options(&config), clock.now()).await.unwrap());
        let (life, metrics) = (Lifecycle::new(), Arc::default());
        let mut opened = model::open(&config.llm, &*clock, Arc::clone(&metrics)).await.unwrap();
        opened.model = Arc::new(Scripted {
            first: Mutex::new(first.into_iter().collect()),
            inner: Arc::clone(&opened.model),
        });
        let memories = memory::open(&config, AccountId::OWNER, &store, &clock, &metrics)
            .await
            .unwrap();
        let hub = crate::open_hub(&config, &store, &clock, &metrics, &opened, memories, &life)
            .await
            .unwrap();
        Self {
            hub,
            store,
            config,
            life,
            _opened: opened,
            _dir: dir,
        }
    }

    pub async fn end(self) {
        assert!(self.life.drain(Duration::from_secs(5)).await);
        self.store.close().await;
    }
}
