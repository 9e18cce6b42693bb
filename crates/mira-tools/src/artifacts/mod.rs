//! What she makes and edits in the project of the conversation: `list_artifacts`, `read_artifact`, `create_artifact`,
//! `edit_artifact`.

mod create;
mod edit;
mod elided;
mod form;
mod list;
mod read;

pub use create::CreateArtifact;
pub use edit::EditArtifact;
pub use list::ListArtifacts;
pub use read::ReadArtifact;

pub(crate) use edit::{Passage, changed};

use crate::{CallContext, Doorway, ToolError};
use mira_core::{
    ids::ArtifactId,
    project::{Artifact, ArtifactKind},
};
use serde_json::{Value, json};

/// What the tools need of artifacts. All of it is about the conversation's project; an artifact of another one is not
/// there.
pub trait ArtifactDoor: Send + Sync + 'static {
    /// The artifacts, the last changed first, without contents.
    fn list<'a>(&'a self, context: &'a CallContext) -> Doorway<'a, Vec<Artifact>>;

    /// One of them with its newest content.
    fn read<'a>(&'a self, context: &'a CallContext, id: ArtifactId) -> Doorway<'a, Artifact>;

    /// Makes one.
    fn create<'a>(&'a self, context: &'a CallContext, new: Draft) -> Doorway<'a, Artifact>;

    /// Gives it a new version; `expected` is the one that was read.
    fn write<'a>(
        &'a self,
        context: &'a CallContext,
        id: ArtifactId,
        content: String,
        expected: u32,
    ) -> Doorway<'a, Artifact>;
}

/// An artifact to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// The language of code.
    pub language: Option<String>,
    /// All of its text.
    pub content: String,
}

fn parse_id(text: &str) -> Result<ArtifactId, ToolError> {
    text.trim()
        .parse()
        .map_err(|error| ToolError::Arguments(format!("{text:?}: {error}; `list_artifacts` knows the ids")))
}

/// An artifact as a client finds it again.
fn reference(artifact: &Artifact) -> Value {
    json!({
        "artifact_id": artifact.id.to_string(),
        "name": artifact.name,
        "type": artifact.kind.as_str(),
        "version": artifact.version,
    })
}
