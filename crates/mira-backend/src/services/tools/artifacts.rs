//! Artifacts as her tools reach them: those of the conversation's project, made and changed in the name of her reply.

use super::{hub_of, store_failed};
use crate::services::{
    artifacts::{self, ArtifactFields, Maker},
    hub::HubRef,
};
use futures_util::FutureExt;
use mira_core::{
    chat::one_line,
    ids::{ArtifactId, ProjectId},
    project::{Artifact, ArtifactKind, Author},
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
            let made = artifacts::create(&hub, context.account, fields, maker(context)).await;
            let gone = || ToolError::Failed("the project is gone".to_owned());
            made.map_err(store_failed)?.ok_or_else(gone)
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
            let content = artifacts::parse_content(artifact.kind, content)
                .map_err(|error| ToolError::Arguments(error.to_string()))?;
            // A new name does not matter to an edit.
            let expected = Expected::Version(expected);
            let (patch, maker) = (ArtifactPatch::default(), maker(context));
            let outcome = artifacts::add_version(&hub, context.account, id, content, expected, patch, maker).await;
            match outcome.map_err(store_failed)? {
                VersionOutcome::Added(artifact) | VersionOutcome::Renamed(artifact) => Ok(artifact),
                VersionOutcome::Unchanged(_) => Err(ToolError::Failed(
                    "nothing would change: the text is this already".to_owned(),
                )),
                VersionOutcome::Mismatch { version } => Err(ToolError::Failed(format!(
                    "it was changed meanwhile and is at version {version}; read it again"
                ))),
                VersionOutcome::WrongContent => Err(ToolError::Failed("a picture has no text to edit".to_owned())),
                VersionOutcome::NoSuchVersion | VersionOutcome::NoSuchArtifact => Err(missing()),
            }
        }
        .boxed()
    }
}
