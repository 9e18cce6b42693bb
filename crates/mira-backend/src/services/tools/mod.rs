//! The tools a turn may use: which are offered where, and the doors that open the rest of Mira to them. Calls are run by
//! `services::chat`; what each tool does is in `mira-tools`, what MCP servers can do comes beside it.

pub(super) mod artifacts;
mod code;
pub(super) mod memory;

use crate::services::{
    files,
    hub::{Hub, HubRef},
    images::{self, Images},
    python::{self, Python},
    web::{self, Web},
};
use mira_core::{ids::TurnId, tool::ToolOffer};
use mira_memory::StoreError;
use mira_tools::{
    Registry, Tool, ToolError,
    artifacts::{ArtifactDoor, CreateArtifact, EditArtifact, ListArtifacts, ReadArtifact},
    code::{CodeDoor, GitDiff, GitLog, ListFiles, ReadFile, SearchFiles, WriteFile},
    files::{FileSearch, FilesDoor, ReadDocument},
    images::{ImageDoor, ImageGeneration},
    memory::{Forget, MemoryDoor, Recall, Remember},
    python::{CodeInterpreter, PythonDoor},
    web::{FetchUrl, WebDoor, WebSearch},
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
    /// Whether there are files to search.
    pub files: bool,
}

impl Setting {
    /// Whether a tool that needs this is offered here.
    fn allows(self, need: Need) -> bool {
        match need {
            Need::Nothing => true,
            Need::MemoryRead => self.memory != MemoryUse::None,
            Need::MemoryWrite => self.memory == MemoryUse::Write,
            Need::Project => self.project,
            Need::Files => self.files,
        }
    }
}

/// What a tool needs of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    MemoryRead,
    MemoryWrite,
    Project,
    Files,
}

/// What the tools work with that is made at the start.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The web.
    pub web: Web,
    /// The box for Python.
    pub python: Python,
    /// Drawing.
    pub images: Images,
    /// Whether files may be searched.
    pub file_search: bool,
}

/// All tools. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Toolbox {
    registry: Arc<Registry>,
    /// Of each tool, in the registry's order.
    needs: Arc<[Need]>,
    web: Web,
    hub: Arc<OnceLock<HubRef>>,
}

/// Tools and what each needs, in the order models are told of them.
#[derive(Debug, Default)]
struct Shelf {
    registry: Registry,
    needs: Vec<Need>,
}

impl Shelf {
    fn with<T: Tool>(mut self, need: Need, tool: T) -> Self {
        self.registry = self.registry.with(tool);
        self.needs.push(need);
        self
    }
}

impl Toolbox {
    /// Every tool this Mira has. They work once [`Toolbox::attach`] has been called.
    pub fn new(workshop: Workshop) -> Self {
        let hub = Arc::new(OnceLock::new());
        let memory: Arc<dyn MemoryDoor> = Arc::new(memory::Door::new(Arc::clone(&hub)));
        let artifacts: Arc<dyn ArtifactDoor> = Arc::new(artifacts::Door(Arc::clone(&hub)));
        let code: Arc<dyn CodeDoor> = Arc::new(code::Door(Arc::clone(&hub)));
        let web: Arc<dyn WebDoor> = Arc::new(web::Door::new(workshop.web.clone(), Arc::clone(&hub)));
        let python: Arc<dyn PythonDoor> = Arc::new(python::Door::new(workshop.python, Arc::clone(&hub)));
        let files: Arc<dyn FilesDoor> = Arc::new(files::door::Door::new(workshop.file_search, Arc::clone(&hub)));
        let images: Arc<dyn ImageDoor> = Arc::new(images::Door::new(workshop.images, Arc::clone(&hub)));
        let shelf = Shelf::default()
            .with(Need::MemoryRead, Recall(Arc::clone(&memory)))
            .with(Need::MemoryWrite, Remember(Arc::clone(&memory)))
            .with(Need::MemoryWrite, Forget(memory))
            .with(Need::Project, ListArtifacts(Arc::clone(&artifacts)))
            .with(Need::Project, ReadArtifact(Arc::clone(&artifacts)))
            .with(Need::Project, CreateArtifact(Arc::clone(&artifacts)))
            .with(Need::Project, EditArtifact(artifacts))
            .with(Need::Project, ListFiles(Arc::clone(&code)))
            .with(Need::Project, ReadFile(Arc::clone(&code)))
            .with(Need::Project, SearchFiles(Arc::clone(&code)))
            .with(Need::Project, WriteFile(Arc::clone(&code)))
            .with(Need::Project, GitLog(Arc::clone(&code)))
            .with(Need::Project, GitDiff(code))
            .with(Need::Nothing, WebSearch(Arc::clone(&web)))
            .with(Need::Nothing, FetchUrl(web))
            .with(Need::Files, FileSearch(Arc::clone(&files)))
            .with(Need::Files, ReadDocument(files))
            .with(Need::Nothing, CodeInterpreter(python))
            .with(Need::Nothing, ImageGeneration(images));
        Self {
            registry: Arc::new(shelf.registry),
            needs: shelf.needs.into(),
            web: workshop.web,
            hub,
        }
    }

    /// Tells the tools of the live sessions, which hold this toolbox themselves.
    pub fn attach(&self, hub: &Hub) {
        // A second time would be the same hub.
        self.hub.get_or_init(|| hub.downgrade());
    }

    /// What the owner said in a turn: addresses in it may be read without asking.
    pub fn hear(&self, turn: TurnId, words: &str) {
        self.web.hear(turn, words);
    }

    /// All of them.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What a model is offered in a turn, always in the same order.
    pub fn offers(&self, setting: Setting) -> Vec<ToolOffer> {
        let entries = self.registry.entries().iter().zip(self.needs.iter());
        entries
            .filter(|(entry, need)| setting.allows(**need) && entry.unavailable().is_none())
            .map(|(entry, _)| entry.offer.clone())
            .collect()
    }
}

/// The live sessions, as the doors reach them.
pub(super) fn hub_of(hub: &OnceLock<HubRef>) -> Result<Hub, ToolError> {
    let hub = hub.get().and_then(HubRef::upgrade);
    hub.ok_or_else(|| ToolError::Unavailable("Mira is being shut down".to_owned()))
}

/// What a model is told of a failed database.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
pub(super) fn store_failed(error: StoreError) -> ToolError {
    tracing::error!(%error, "a tool could not use the database");
    ToolError::Failed("the database failed; Mira's log says why".to_owned())
}
