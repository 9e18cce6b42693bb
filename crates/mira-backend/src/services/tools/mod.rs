//! The tools a turn may use: which are offered where, and the doors that open the rest of Mira to them. Calls are run by
//! `services::chat`; what each tool does is in `mira-tools`.

mod artifacts;
mod code;
mod memory;

use crate::services::hub::{Hub, HubRef};
use mira_core::tool::ToolOffer;
use mira_memory::StoreError;
use mira_tools::{
    Registry, ToolError,
    artifacts::{ArtifactDoor, CreateArtifact, EditArtifact, ListArtifacts, ReadArtifact},
    code::{CodeDoor, GitDiff, GitLog, ListFiles, ReadFile, SearchFiles, WriteFile},
    memory::{Forget, MemoryDoor, Recall, Remember},
};
use std::sync::{Arc, OnceLock};

/// What of memory the tools of a turn may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryUse {
    /// Nothing: the session is off the record.
    None,
    /// They may look.
    Read,
    /// They may look, keep and forget.
    Write,
}

/// What a turn is, as far as it decides which tools are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// What of memory may be touched.
    pub memory: MemoryUse,
    /// Whether the conversation belongs to a project.
    pub project: bool,
}

impl Setting {
    /// Whether a tool that needs this is offered here.
    fn allows(self, need: Need) -> bool {
        match need {
            Need::MemoryRead => self.memory != MemoryUse::None,
            Need::MemoryWrite => self.memory == MemoryUse::Write,
            Need::Project => self.project,
        }
    }
}

/// What a tool needs of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    MemoryRead,
    MemoryWrite,
    Project,
}

/// All tools. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Toolbox {
    registry: Arc<Registry>,
    /// Of each tool, in the registry's order.
    needs: Arc<[Need]>,
    hub: Arc<OnceLock<HubRef>>,
}

impl Default for Toolbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Toolbox {
    /// Every tool this Mira has. They work once [`Toolbox::attach`] has been called.
    pub fn new() -> Self {
        let hub = Arc::new(OnceLock::new());
        let memory: Arc<dyn MemoryDoor> = Arc::new(memory::Door(Arc::clone(&hub)));
        let artifacts: Arc<dyn ArtifactDoor> = Arc::new(artifacts::Door(Arc::clone(&hub)));
        let code: Arc<dyn CodeDoor> = Arc::new(code::Door(Arc::clone(&hub)));
        let registry = Registry::default()
            .with(Recall(Arc::clone(&memory)))
            .with(Remember(Arc::clone(&memory)))
            .with(Forget(memory))
            .with(ListArtifacts(Arc::clone(&artifacts)))
            .with(ReadArtifact(Arc::clone(&artifacts)))
            .with(CreateArtifact(Arc::clone(&artifacts)))
            .with(EditArtifact(artifacts))
            .with(ListFiles(Arc::clone(&code)))
            .with(ReadFile(Arc::clone(&code)))
            .with(SearchFiles(Arc::clone(&code)))
            .with(WriteFile(Arc::clone(&code)))
            .with(GitLog(Arc::clone(&code)))
            .with(GitDiff(code));
        let needs = registry.entries().iter().map(|entry| need(&entry.offer.name)).collect();
        Self {
            registry: Arc::new(registry),
            needs,
            hub,
        }
    }

    /// Tells the tools of the live sessions, which hold this toolbox themselves.
    pub fn attach(&self, hub: &Hub) {
        // A second time would be the same hub.
        self.hub.get_or_init(|| hub.downgrade());
    }

    /// All of them.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What a model is offered in a turn, always in the same order.
    pub fn offers(&self, setting: Setting) -> Arc<[ToolOffer]> {
        let entries = self.registry.entries().iter().zip(self.needs.iter());
        entries
            .filter(|(entry, need)| setting.allows(**need) && entry.unavailable().is_none())
            .map(|(entry, _)| entry.offer.clone())
            .collect()
    }
}

fn need(tool: &str) -> Need {
    match tool {
        "recall" => Need::MemoryRead,
        "remember" | "forget" => Need::MemoryWrite,
        _ => Need::Project,
    }
}

/// The live sessions, as the doors reach them.
fn hub_of(hub: &OnceLock<HubRef>) -> Result<Hub, ToolError> {
    let hub = hub.get().and_then(HubRef::upgrade);
    hub.ok_or_else(|| ToolError::Unavailable("Mira is being shut down".to_owned()))
}

/// What a model is told of a failed database.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn store_failed(error: StoreError) -> ToolError {
    tracing::error!(%error, "a tool could not use the database");
    ToolError::Failed("the database failed; Mira's log says why".to_owned())
}
