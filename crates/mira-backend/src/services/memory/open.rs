//! Memory from its configuration. Nothing here waits for a network.

use super::{Inner, Memories, Side, Sides, spent::Spent};
use crate::{
    config::{self, Config, EmbeddingsConfig, QdrantSettings},
    services::{
        health::{Condition, PartHealth},
        metrics::Metrics,
    },
};
use mira_core::{clock::Clock, ids::AccountId};
use mira_llm::{
    Secret,
    embeddings::{EmbedError, Embedder, EmbeddingEndpoint, LocalEmbedder, RemoteEmbedder},
};
use mira_memory::{
    EMBEDDED, Space, SpaceState, Store, StoreError, TombstoneKey,
    index::{
        IndexError, VectorIndex,
        embedded::EmbeddedIndex,
        qdrant::{ApiKey, QdrantConfig, QdrantIndex},
    },
};
use reqwest::Url;
use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{Arc, Mutex, RwLock, atomic::AtomicBool},
};
use tokio::sync::{Notify, watch};

/// Why memory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index's configuration cannot work.
    #[error("the vector index: {0}")]
    Index(#[from] IndexError),
    /// The embedder's configuration cannot work.
    #[error("the embedder: {0}")]
    Embedder(#[from] EmbedError),
    /// The key file of the tombstones.
    #[error("{path}: {source}")]
    Key {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// What all of memory is made of.
struct Parts<'a> {
    config: &'a Config,
    store: &'a Arc<Store>,
    account: AccountId,
    now: jiff::Timestamp,
}

/// Opens memory: the configured model's vectors, and those of the model before where they are still needed.
pub async fn open(
    config: &Config,
    account: AccountId,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Result<Memories, MemoryError> {
    let parts = Parts {
        config,
        store,
        account,
        now: clock.now(),
    };
    let embedder = configured(&config.memory.embeddings)?;
    let place = config
        .memory
        .qdrant
        .as_ref()
        .map_or(EMBEDDED, |qdrant| qdrant.collection.as_str());
    let space = store
        .open_space(place, embedder.model(), embedder.dimension(), clock.now())
        .await?;
    let (active, building) = match space.state {
        SpaceState::Active => (parts.side(&space, embedder)?, None),
        SpaceState::Building => {
            let old = store.list_spaces().await?.into_iter();
            let old = old
                .filter(|old| old.place == place)
                .find(|old| old.state == SpaceState::Active);
            let new = parts.side(&space, embedder)?;
            match old.map(|old| parts.old_side(&old)).transpose() {
                Ok(Some(Some(old))) => (old, Some(new)),
                // Nobody here embeds for the model before: what the new one has answers from the start.
                Ok(Some(None)) => (new.clone(), Some(new)),
                Ok(None) => (new, None),
                Err(error) => {
                    tracing::warn!(%error, "the index of the model before cannot be used while the new one is filled");
                    (new.clone(), Some(new))
                }
            }
        }
    };
    let fine = |detail: String| {
        Mutex::new(PartHealth {
            condition: Condition::Ok,
            detail,
        })
    };
    let embeddings = fine(describe(&*active.embedder));
    let place = match &config.memory.qdrant {
        Some(qdrant) => format!("Qdrant at {}", qdrant.host()),
        None => "embedded".to_owned(),
    };
    let vectors = fine(place.clone());
    let key = tombstone_key(&config.tombstone_key_file(), &**clock).map_err(|source| MemoryError::Key {
        path: config.tombstone_key_file().display().to_string(),
        source,
    })?;
    Ok(Memories(Arc::new(Inner {
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        metrics: Arc::clone(metrics),
        sides: RwLock::new(Sides { active, building }),
        wake: Notify::new(),
        fresh: Mutex::new(VecDeque::new()),
        paused: AtomicBool::new(store.memory_paused(account).await?),
        limit: config.memory.recall_results,
        names: store.find_speaker_names(account).await?,
        tombstone_key: key,
        backup_dir: config.data_dir.join("backups"),
        place,
        embeddings,
        embedder_rests: Mutex::default(),
        vectors,
        moved: watch::Sender::default(),
        spent: Spent::default(),
    })))
}

pub(super) fn describe(embedder: &dyn Embedder) -> String {
    let place = if embedder.is_local() {
        "in the binary, English"
    } else {
        "remote"
    };
    format!("{} ({place}, {} dimensions)", embedder.model(), embedder.dimension())
}

/// The embedder the configuration names.
pub(super) fn configured(config: &EmbeddingsConfig) -> Result<Arc<dyn Embedder>, EmbedError> {
    match config {
        EmbeddingsConfig::Local => Ok(Arc::new(LocalEmbedder::new())),
        EmbeddingsConfig::Remote {
            url,
            key,
            model,
            dimension,
        } => {
            let dimension = usize::try_from(*dimension).unwrap_or(usize::MAX);
            remote(url, key.as_ref(), model, dimension)
        }
    }
}

fn remote(
    url: &Url,
    key: Option<&config::Secret>,
    model: &str,
    dimension: usize,
) -> Result<Arc<dyn Embedder>, EmbedError> {
    Ok(Arc::new(RemoteEmbedder::new(EmbeddingEndpoint {
        api_key: key.map(|key| Secret::new(key.expose())),
        ..EmbeddingEndpoint::new(url.as_str(), model, dimension)
    })?))
}

impl Parts<'_> {
    fn side(&self, space: &Space, embedder: Arc<dyn Embedder>) -> Result<Side, IndexError> {
        let (index, qdrant): (Arc<dyn VectorIndex>, _) = match &self.config.memory.qdrant {
            None => {
                let index = EmbeddedIndex::open(Arc::clone(self.store), self.account, space, self.now);
                (Arc::new(index), None)
            }
            Some(settings) => {
                let index = Arc::new(QdrantIndex::open(qdrant_config(
                    settings,
                    &space.model,
                    space.dimension,
                    &space.instance,
                ))?);
                (Arc::clone(&index) as Arc<dyn VectorIndex>, Some(index))
            }
        };
        Ok(Side {
            space: space.id,
            embedder,
            index,
            qdrant,
        })
    }

    /// The side of the model before: the table, or the same server under the old name; `None` where no server is
    /// configured any more, as no other model's vectors may be compared with it.
    fn old_side(&self, space: &Space) -> Result<Option<Side>, MemoryError> {
        let local: Arc<dyn Embedder> = Arc::new(LocalEmbedder::new());
        let embedder = if (local.model(), local.dimension()) == (space.model.as_str(), space.dimension) {
            local
        } else if let EmbeddingsConfig::Remote { url, key, .. } = &self.config.memory.embeddings {
            remote(url, key.as_ref(), &space.model, space.dimension)?
        } else {
            return Ok(None);
        };
        Ok(Some(self.side(space, embedder)?))
    }
}

/// How Qdrant is spoken to for one model's vectors.
pub(super) fn qdrant_config(settings: &QdrantSettings, model: &str, dimension: usize, instance: &str) -> QdrantConfig {
    QdrantConfig {
        instance: instance.to_owned(),
        key: settings.key.as_ref().and_then(|key| ApiKey::new(key.expose())),
        ..QdrantConfig::new(settings.url.as_str(), &settings.collection, model, dimension)
    }
}

/// Reads the key of the tombstones, or makes it (mode 0600). It lies outside the database, so that a copy of that alone
/// does not tell what was forgotten.
pub(crate) fn tombstone_key(path: &Path, clock: &dyn Clock) -> io::Result<TombstoneKey> {
    crate::datadir::key_file(path, clock).map(TombstoneKey::new)
}
