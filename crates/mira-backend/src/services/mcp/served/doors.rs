//! Memory and artifacts as another program reaches them: the same services as everywhere else, no conversation.

use crate::services::{
    artifacts::{self, ArtifactFields, Maker},
    deps::Deps,
    facts,
    hub::{Hub, HubRef},
    memory::RecallAsk,
};
use futures_util::FutureExt;
use mira_core::{
    chat::one_line,
    gate::{GateInput, LiveFact, Verdict, judge},
    ids::{ArtifactId, MemoryId, ProjectId},
    memory::FactNote,
    project::{Artifact, ArtifactKind, Author},
};
use mira_memory::{ArtifactPatch, Expected, FactOutcome, NewFact, Page, StoreError, VersionOutcome};
use mira_tools::{
    CallContext, Doorway, ToolError,
    artifacts::{ArtifactDoor, Draft},
    memory::{Found, Gone, Kept, MemoryDoor},
};
use std::collections::HashSet;

/// The most live facts about one person a new one is compared with.
const COMPARED: u32 = 400;

/// Not the owner's hand, and in no message of hers.
const MAKER: Maker = Maker {
    author: Author::Mira,
    message_id: None,
};

/// Both doors.
pub(super) struct Door(pub(super) HubRef);

/// The live sessions.
pub(super) fn open(hub: &HubRef) -> Result<Hub, ToolError> {
    hub.upgrade()
        .ok_or_else(|| ToolError::Unavailable("Mira is being shut down".to_owned()))
}

/// What a program is told of a failed database.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
pub(super) fn store_failed(error: StoreError) -> ToolError {
    tracing::error!(%error, "a call over /mcp could not use the database");
    ToolError::Failed("the database failed; Mira's log says why".to_owned())
}

impl MemoryDoor for Door {
    fn recall<'a>(&'a self, context: &'a CallContext, question: String, limit: usize) -> Doorway<'a, Found> {
        async move {
            let hub = open(&self.0)?;
            let ask = RecallAsk {
                text: question,
                message: None,
                exclude: HashSet::new(),
            };
            let gathered = hub.deps().memories.look_up(context.account, ask, limit).await;
            let mut memories = gathered.items;
            memories.truncate(limit);
            Ok(Found {
                memories,
                degraded: gathered.degraded,
            })
        }
        .boxed()
    }

    fn remember<'a>(
        &'a self,
        context: &'a CallContext,
        note: FactNote,
        replaces: Option<MemoryId>,
    ) -> Doorway<'a, Kept> {
        async move {
            let hub = open(&self.0)?;
            let deps = hub.deps();
            if deps.memories.is_paused() {
                return Err(ToolError::Denied("the owner has paused memory".to_owned()));
            }
            learn(deps, context, &note, replaces).await.map_err(store_failed)
        }
        .boxed()
    }

    fn forget<'a>(&'a self, _: &'a CallContext, _: Vec<MemoryId>) -> Doorway<'a, Gone> {
        let denied = ToolError::Denied("forgetting is the owner's own to do".to_owned());
        std::future::ready(Err(denied)).boxed()
    }
}

/// Stores a fact that passes the same gate as any other; its only evidence is that a program says so, so it is marked
/// as learnt from a tool.
async fn learn(
    deps: &Deps,
    context: &CallContext,
    note: &FactNote,
    replaces: Option<MemoryId>,
) -> Result<Kept, StoreError> {
    let memories = &deps.memories;
    let known = memories
        .store()
        .live_facts(context.account, &note.about, COMPARED)
        .await?;
    let live: Vec<LiveFact> = known
        .into_iter()
        .map(|fact| LiveFact {
            id: fact.id,
            about: fact.about.unwrap_or_default(),
            topic: fact.topic.unwrap_or_default(),
            text: fact.text,
            pinned: fact.pinned,
        })
        .collect();
    // That somebody logged in as the owner asks for it is all the evidence there is; form, secrets and what is known are
    // judged as ever.
    let asked = format!("I say that {}", note.text);
    let verdict = judge(
        note,
        &GateInput {
            owner_text: &asked,
            recalled: &[],
            reply: "",
            live: &live,
            replaces: replaces.filter(|id| live.iter().any(|fact| fact.id == *id)),
            untrusted: true,
        },
    );
    let (supersedes, source) = match verdict {
        Verdict::Keep { supersedes, source } => (supersedes, source),
        Verdict::Merge(known) => return Ok(Kept::Known(known)),
        Verdict::Reject(why) => return Ok(Kept::Rejected(why.as_str().to_owned())),
    };
    let now = memories.clock().now();
    let fact = NewFact {
        id: MemoryId(memories.clock().new_uuid()),
        about: note.about.clone(),
        topic: Some(note.topic.clone()).filter(|topic| !topic.is_empty()),
        text: note.text.clone(),
        source,
        session_id: None,
        project_id: None,
        message_id: None,
        valid_from: now,
        salience: None,
        pinned: false,
        supersedes: supersedes.clone(),
    };
    let stored = memories
        .store()
        .insert_facts(context.account, vec![fact], memories.tombstone_key(), now)
        .await?;
    match stored.into_iter().next() {
        Some(FactOutcome::Stored(fact)) => {
            let superseded = memories.store().find_memories(context.account, &supersedes).await?;
            facts::announce(deps, std::slice::from_ref(&fact), &superseded);
            memories.wake();
            Ok(Kept::Stored {
                fact: Box::new(fact),
                superseded: supersedes,
            })
        }
        Some(FactOutcome::Merged(known)) => Ok(Kept::Known(known)),
        Some(FactOutcome::Forgotten) => Ok(Kept::Rejected("the owner wanted it forgotten".to_owned())),
        None => Err(StoreError::Closed),
    }
}

fn project(context: &CallContext) -> Result<ProjectId, ToolError> {
    let none = || ToolError::Arguments("`project_id` is missing".to_owned());
    context.project.ok_or_else(none)
}

fn no_artifact() -> ToolError {
    ToolError::Failed("there is no such artifact; `list_artifacts` knows them".to_owned())
}

fn no_project() -> ToolError {
    ToolError::Failed("there is no such project; `list_projects` knows them".to_owned())
}

impl ArtifactDoor for Door {
    fn list<'a>(&'a self, context: &'a CallContext) -> Doorway<'a, Vec<Artifact>> {
        async move {
            let (hub, project) = (open(&self.0)?, project(context)?);
            let store = &hub.deps().store;
            let known = store
                .find_project(context.account, project)
                .await
                .map_err(store_failed)?;
            known.ok_or_else(no_project)?;
            let page = Page::first(Page::<()>::MAX);
            let listed = store.list_artifacts(context.account, project, page).await;
            Ok(listed.map_err(store_failed)?.items)
        }
        .boxed()
    }

    fn read<'a>(&'a self, context: &'a CallContext, id: ArtifactId) -> Doorway<'a, Artifact> {
        async move {
            let hub = open(&self.0)?;
            let found = hub.deps().store.find_artifact(context.account, id).await;
            found.map_err(store_failed)?.ok_or_else(no_artifact)
        }
        .boxed()
    }

    fn create<'a>(&'a self, context: &'a CallContext, new: Draft) -> Doorway<'a, Artifact> {
        async move {
            let (hub, project_id) = (open(&self.0)?, project(context)?);
            let name = one_line(&new.name, Artifact::MAX_NAME_CHARS);
            if name.is_empty() {
                return Err(ToolError::Arguments("the name is empty".to_owned()));
            }
            let language = new.language.filter(|_| new.kind == ArtifactKind::Code);
            let content = artifacts::parse_content(new.kind, new.content)
                .map_err(|error| ToolError::Arguments(error.to_string()))?;
            let fields = ArtifactFields {
                project_id,
                name,
                kind: new.kind,
                language: language.map(|language| one_line(&language, Artifact::MAX_LANGUAGE_CHARS)),
                content,
            };
            let made = artifacts::create(&hub, context.account, fields, MAKER).await;
            made.map_err(store_failed)?.ok_or_else(no_project)
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        context: &'a CallContext,
        id: ArtifactId,
        content: String,
        expected: u32,
    ) -> Doorway<'a, Artifact> {
        async move {
            let hub = open(&self.0)?;
            let artifact = self.read(context, id).await?;
            let content = artifacts::parse_content(artifact.kind, content)
                .map_err(|error| ToolError::Arguments(error.to_string()))?;
            let (expected, patch) = (Expected::Version(expected), ArtifactPatch::default());
            let outcome = artifacts::add_version(&hub, context.account, id, content, expected, patch, MAKER).await;
            match outcome.map_err(store_failed)? {
                VersionOutcome::Added(artifact) | VersionOutcome::Renamed(artifact) => Ok(artifact),
                VersionOutcome::Unchanged(_) => Err(ToolError::Failed(
                    "nothing would change: the text is this already".to_owned(),
                )),
                VersionOutcome::Mismatch { version } => Err(ToolError::Failed(format!(
                    "it was changed meanwhile and is at version {version}; read it again"
                ))),
                VersionOutcome::WrongContent => Err(ToolError::Failed("a picture has no text to edit".to_owned())),
                VersionOutcome::NoSuchVersion | VersionOutcome::NoSuchArtifact => Err(no_artifact()),
            }
        }
        .boxed()
    }
}
