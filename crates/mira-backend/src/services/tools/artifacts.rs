//! Artifacts as her tools reach them: those of the conversation's project, made and changed in the name of her reply.

use super::{hub_of, store_failed};
use crate::services::{
    artifacts::{self, ArtifactFields, Maker},
    hub::{Hub, HubRef},
};
use futures_util::FutureExt;
use mira_core::{
    chat::one_line,
    ids::{AccountId, ArtifactId, ProjectId},
    project::{Artifact, ArtifactContent, ArtifactKind, Author},
};
use mira_memory::{ArtifactPatch, Expected, Page, VersionOutcome};
use mira_tools::{
    CallContext, Doorway, ToolError,
    artifacts::{ArtifactDoor, Draft},
};
use std::sync::{Arc, OnceLock};

/// The door to artifacts.
pub(super) struct Door(pub(super) Arc<OnceLock<HubRef>>);

fn project(context: &CallContext) -> Result<ProjectId, ToolError> {
    let none = || ToolError::Denied("this conversation belongs to no project; the owner can choose one".to_owned());
    context.project.ok_or_else(none)
}

fn maker(context: &CallContext) -> Maker {
    Maker {
        author: Author::Mira,
        message_id: Some(context.reply),
    }
}

fn missing() -> ToolError {
    ToolError::Failed("there is no such artifact in this project; `list_artifacts` knows them".to_owned())
}

impl ArtifactDoor for Door {
    fn list<'a>(&'a self, context: &'a CallContext) -> Doorway<'a, Vec<Artifact>> {
        async move {
            let (hub, project) = (hub_of(&self.0)?, project(context)?);
            let store = &hub.deps().store;
            let page = Page {
                limit: Page::<()>::MAX,
                cursor: None,
            };
            let listed = store.list_artifacts(context.account, project, page).await;
            Ok(listed.map_err(store_failed)?.items)
        }
        .boxed()
    }

    fn read<'a>(&'a self, context: &'a CallContext, id: ArtifactId) -> Doorway<'a, Artifact> {
        async move {
            let (hub, project) = (hub_of(&self.0)?, project(context)?);
            let found = hub.deps().store.find_artifact(context.account, id).await;
            let found = found.map_err(store_failed)?;
            found
                .filter(|artifact| artifact.project_id == project)
                .ok_or_else(missing)
        }
        .boxed()
    }

    fn create<'a>(&'a self, context: &'a CallContext, new: Draft) -> Doorway<'a, Artifact> {
        async move {
            let (hub, project_id) = (hub_of(&self.0)?, project(context)?);
            let made = create(&hub, context.account, project_id, new, maker(context)).await?;
            made.ok_or_else(|| ToolError::Failed("the project is gone".to_owned()))
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
            let hub = hub_of(&self.0)?;
            let artifact = self.read(context, id).await?;
            let written = write(&hub, context.account, &artifact, content, expected, maker(context)).await?;
            written.ok_or_else(missing)
        }
        .boxed()
    }
}

fn content_of(kind: ArtifactKind, text: String) -> Result<ArtifactContent, ToolError> {
    artifacts::parse_content(kind, text).map_err(|error| ToolError::Arguments(error.to_string()))
}

/// Makes an artifact of a draft; none where its project is gone.
pub(in crate::services) async fn create(
    hub: &Hub,
    account: AccountId,
    project_id: ProjectId,
    new: Draft,
    maker: Maker,
) -> Result<Option<Artifact>, ToolError> {
    let name = one_line(&new.name, Artifact::MAX_NAME_CHARS);
    if name.is_empty() {
        return Err(ToolError::Arguments("the name is empty".to_owned()));
    }
    let language = new.language.filter(|_| new.kind == ArtifactKind::Code);
    let fields = ArtifactFields {
        project_id,
        name,
        kind: new.kind,
        language: language.map(|language| one_line(&language, Artifact::MAX_LANGUAGE_CHARS)),
        content: content_of(new.kind, new.content)?,
    };
    let made = artifacts::create(hub, account, fields, maker).await;
    made.map_err(store_failed)
}

/// Writes a new version over the expected one; none where the artifact is gone.
pub(in crate::services) async fn write(
    hub: &Hub,
    account: AccountId,
    artifact: &Artifact,
    content: String,
    expected: u32,
    maker: Maker,
) -> Result<Option<Artifact>, ToolError> {
    let content = content_of(artifact.kind, content)?;
    // A new name does not matter to an edit.
    let (expected, patch) = (Expected::Version(expected), ArtifactPatch::default());
    let outcome = artifacts::add_version(hub, account, artifact.id, content, expected, patch, maker).await;
    let failed = |why: String| Err(ToolError::Failed(why));
    match outcome.map_err(store_failed)? {
        VersionOutcome::Added(artifact) | VersionOutcome::Renamed(artifact) => Ok(Some(artifact)),
        VersionOutcome::Unchanged(_) => failed("nothing would change: the text is this already".to_owned()),
        VersionOutcome::Mismatch { version } => failed(format!(
            "it was changed meanwhile and is at version {version}; read it again"
        )),
        VersionOutcome::WrongContent => failed("a picture has no text to edit".to_owned()),
        VersionOutcome::NoSuchVersion | VersionOutcome::NoSuchArtifact => Ok(None),
    }
}
