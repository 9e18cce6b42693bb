//! Memory and artifacts as another program reaches them: the same services as everywhere else, no conversation.

use crate::services::{
    artifacts::Maker,
    facts::Lesson,
    hub::{Hub, HubRef},
    tools::{self, store_failed},
};
use futures_util::FutureExt;
use mira_core::{
    ids::{ArtifactId, MemoryId, ProjectId},
    memory::FactNote,
    project::{Artifact, Author},
};
use mira_memory::Page;
use mira_tools::{
    CallContext, Doorway, ToolError,
    artifacts::{ArtifactDoor, Draft},
    memory::{Found, Gone, Kept, Lookup, MemoryDoor},
};

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

impl MemoryDoor for Door {
    fn recall<'a>(&'a self, context: &'a CallContext, lookup: Lookup) -> Doorway<'a, Found> {
        async move {
            let hub = open(&self.0)?;
            Ok(tools::memory::look_up(hub.deps(), context, lookup).await)
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
            // That somebody logged in as the owner asks for it is all the evidence there is; form, secrets and what is
            // known are judged as ever, and it is marked as learnt from a tool.
            let lesson = Lesson {
                session: None,
                project: None,
                evidence: None,
                owner_text: format!("I say that {}", note.text),
                recalled: Vec::new(),
                untrusted: true,
                exposed: true,
            };
            tools::memory::keep(deps, context.account, &lesson, &note, replaces).await
        }
        .boxed()
    }

    fn forget<'a>(&'a self, _: &'a CallContext, _: Vec<MemoryId>) -> Doorway<'a, Gone> {
        let denied = ToolError::Denied("forgetting is the owner's own to do".to_owned());
        std::future::ready(Err(denied)).boxed()
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
            let made = tools::artifacts::create(&hub, context.account, project_id, new, MAKER).await?;
            made.ok_or_else(no_project)
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
            let written = tools::artifacts::write(&hub, context.account, &artifact, content, expected, MAKER).await?;
            written.ok_or_else(no_artifact)
        }
        .boxed()
    }
}
