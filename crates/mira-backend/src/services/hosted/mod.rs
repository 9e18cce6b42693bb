//! Tools that the model's provider runs itself: which of them a turn may use, and what they need of Mira. Files are given
//! to the provider in the background ([`copies`]). What is heard of their calls is `services::chat`'s business.
//!
//! Invariants: a tool the owner switched off is never offered; where the provider's tool is offered, Mira's own of the
//! same name is not; giving files to the provider delays no turn.

mod copies;
mod sketches;

pub use sketches::{Shown, Sketches};

use crate::{
    config::{HostedConfig, LlmApi},
    lifecycle::Lifecycle,
    services::{files::Files, images::Images, metrics::Metrics},
};
use mira_core::{
    clock::Clock,
    ids::{AccountId, FileId, ProjectId},
    model::{HostedKind, HostedTool},
};
use mira_llm::{ChatModel, Endpoint, LlmError, provider_files::ProviderFiles};
use mira_memory::{ProviderScope, Store};
use std::{fmt, sync::Arc};

/// The provider's tools. Cheap to clone.
#[derive(Clone)]
pub struct HostedTools(Arc<Inner>);

struct Inner {
    config: HostedConfig,
    /// Whether the endpoint is one that may run tools at all.
    possible: bool,
    /// Whose copies these are: the endpoint's address.
    provider: String,
    remote: ProviderFiles,
    model: Arc<dyn ChatModel>,
    images: Images,
    sketches: Sketches,
    store: Arc<Store>,
    files: Files,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for HostedTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostedTools").finish_non_exhaustive()
    }
}

/// What the tools need of the rest of Mira.
pub struct Needs {
    /// What is switched on.
    pub config: HostedConfig,
    /// The API that is spoken.
    pub api: LlmApi,
    /// Where the model is.
    pub endpoint: Endpoint,
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// Pictures.
    pub images: Images,
    /// The truth.
    pub store: Arc<Store>,
    /// Files.
    pub files: Files,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Figures.
    pub metrics: Arc<Metrics>,
}

/// How one of the provider's tools is shown among all tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub kind: HostedKind,
    /// Whether the owner lets it be used.
    pub enabled: bool,
    /// Why the provider's own cannot be used, if it cannot.
    pub lack: Option<Lack>,
}

/// Why a tool of the provider's cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The model's API has no such tools.
    Api,
    /// The endpoint has refused it in this process.
    Refused,
}

impl HostedTools {
    /// The tools of the model's endpoint. Nothing is sent.
    ///
    /// # Errors
    /// Where the endpoint's configuration cannot work.
    pub fn new(needs: Needs) -> Result<Self, LlmError> {
        let Needs {
            config,
            api,
            endpoint,
            model,
            images,
            store,
            files,
            clock,
            metrics,
        } = needs;
        Ok(Self(Arc::new(Inner {
            config,
            possible: api == LlmApi::Responses,
            provider: endpoint.base_url.clone(),
            remote: ProviderFiles::new(endpoint)?,
            model,
            images,
            sketches: Sketches::default(),
            store,
            files,
            clock,
            metrics,
        })))
    }

    /// Pictures, and fetching them.
    pub fn images(&self) -> &Images {
        &self.0.images
    }

    /// Pictures while they are drawn.
    pub fn sketches(&self) -> &Sketches {
        &self.0.sketches
    }

    /// Whether the provider's tool may be used now.
    fn takes(&self, kind: HostedKind) -> bool {
        self.0.possible && self.0.config.enabled(kind) && self.0.model.takes_hosted(kind)
    }

    /// The provider's tools that a turn in this project may use, always in the same order.
    pub async fn tools(&self, account: AccountId, project: Option<ProjectId>) -> Arc<[HostedTool]> {
        let kinds: Vec<HostedKind> = HostedKind::ALL.into_iter().filter(|kind| self.takes(*kind)).collect();
        let needs_files = |kind: &HostedKind| matches!(kind, HostedKind::CodeInterpreter | HostedKind::FileSearch);
        let scope = if kinds.iter().any(needs_files) {
            let inner = &self.0;
            match inner.store.find_provider_scope(account, &inner.provider, project).await {
                Ok(scope) => scope,
                Err(error) => {
                    tracing::warn!(%error, "what the provider has of the files could not be read");
                    ProviderScope::default()
                }
            }
        } else {
            ProviderScope::default()
        };
        let tool = |kind: HostedKind| match kind {
            HostedKind::WebSearch => Some(HostedTool::WebSearch),
            HostedKind::CodeInterpreter => Some(HostedTool::CodeInterpreter {
                files: scope.copies.clone(),
            }),
            // Where a document is missing there, Mira's own search knows more.
            HostedKind::FileSearch => (!scope.stores.is_empty()).then(|| HostedTool::FileSearch {
                stores: scope.stores.clone(),
            }),
            HostedKind::ImageGeneration => Some(HostedTool::ImageGeneration),
        };
        kinds.into_iter().filter_map(tool).collect()
    }

    /// Where each of the provider's tools stands.
    pub fn standings(&self) -> Vec<Standing> {
        let standing = |kind: HostedKind| Standing {
            kind,
            enabled: self.0.config.enabled(kind),
            lack: if !self.0.possible {
                Some(Lack::Api)
            } else if !self.0.model.takes_hosted(kind) {
                Some(Lack::Refused)
            } else {
                None
            },
        };
        HostedKind::ALL.into_iter().map(standing).collect()
    }

    /// Mira's own file of a copy, and its name.
    pub async fn own_file(&self, account: AccountId, remote_id: &str) -> Option<(FileId, String)> {
        let inner = &self.0;
        let found = async {
            let Some(id) = inner
                .store
                .find_file_of_copy(account, &inner.provider, remote_id)
                .await?
            else {
                return Ok(None);
            };
            inner.store.find_file(account, id).await
        };
        match found.await {
            Ok(file) => file.map(|file| (file.id, file.name)),
            Err(error) => {
                tracing::warn!(%error, "the file of a copy could not be found");
                None
            }
        }
    }

    /// Keeps the provider's copies in step with the owner's files until the soft end. `changes` tells that something
    /// about the account has changed.
    pub async fn keep_copies(
        self,
        account: AccountId,
        changes: tokio::sync::broadcast::Receiver<bytes::Bytes>,
        life: Lifecycle,
    ) {
        // What was given before is taken back even where nothing is given any more.
        if self.0.possible {
            copies::run(&self.0, account, changes, &life).await;
        }
    }
}
