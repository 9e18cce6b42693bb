//! Whether memory's parts answer: asked by `doctor`, which writes nothing and makes nothing.

use super::open::{configured, describe, qdrant_config};
use crate::{
    config::Config,
    services::health::{Condition, PartHealth},
};
use mira_core::ids::AccountId;
use mira_llm::embeddings::embed_within;
use mira_memory::{
    EMBEDDED, SpaceState, Store, StoreError,
    index::{VectorIndex, qdrant::QdrantIndex},
};
use std::time::Duration;

/// How long a part may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

fn fine(detail: String) -> PartHealth {
    let condition = Condition::Ok;
    PartHealth { condition, detail }
}

fn broken(detail: String) -> PartHealth {
    let condition = Condition::Unavailable;
    PartHealth { condition, detail }
}

/// Asks the embedder for one vector.
pub async fn probe_embeddings(config: &Config) -> PartHealth {
    let embedder = match configured(&config.memory.embeddings) {
        Ok(embedder) => embedder,
        Err(error) => return broken(error.to_string()),
    };
    match embed_within(&*embedder, vec!["hello".to_owned()], ANSWER_WITHIN).await {
        Ok(_) => fine(describe(&*embedder)),
        Err(error) => broken(format!("{}: {error}", describe(&*embedder))),
    }
}

/// Asks the index how much it holds. `store` is the database, where there is one already.
pub async fn probe_index(config: &Config, store: Option<&Store>) -> Result<PartHealth, StoreError> {
    let spaces = match store {
        Some(store) => store.list_spaces().await?,
        None => Vec::new(),
    };
    let waiting = match store {
        Some(store) => {
            let outbox = store.outbox_stats(AccountId::OWNER).await?;
            outbox.depth()
        }
        None => 0,
    };
    let tail = match waiting {
        0 => String::new(),
        waiting => format!("; {waiting} memories wait to be indexed"),
    };
    let Some(settings) = &config.memory.qdrant else {
        let active = spaces
            .iter()
            .find(|space| space.place == EMBEDDED && space.state == SpaceState::Active);
        let model = active.map_or("filled at the first start".to_owned(), |space| {
            format!("{}, {} dimensions", space.model, space.dimension)
        });
        return Ok(fine(format!("embedded, in the database ({model}){tail}")));
    };
    let embedder = match configured(&config.memory.embeddings) {
        Ok(embedder) => embedder,
        Err(error) => return Ok(broken(error.to_string())),
    };
    let (model, dimension) = (embedder.model(), embedder.dimension());
    let known = spaces
        .iter()
        .any(|space| space.place == settings.collection && space.model == model && space.dimension == dimension);
    // Before the first start there is no name, and no collection either.
    let instance = spaces.first().map_or("none", |space| space.instance.as_str());
    let index = match QdrantIndex::open(qdrant_config(settings, model, dimension, instance)) {
        Ok(index) => index,
        Err(error) => return Ok(broken(error.to_string())),
    };
    let host = settings.host();
    Ok(
        match tokio::time::timeout(ANSWER_WITHIN, index.count(AccountId::OWNER)).await {
            Ok(Ok(points)) => fine(format!(
                "Qdrant at {host}: {points} points in {}{tail}",
                index.collection()
            )),
            Ok(Err(mira_memory::index::IndexError::Missing(_))) if !known => fine(format!(
                "Qdrant at {host} answers; the collection is made at the next start"
            )),
            Ok(Err(error)) => broken(format!("Qdrant at {host}: {error}")),
            Err(_) => broken(format!("Qdrant at {host} does not answer")),
        },
    )
}
