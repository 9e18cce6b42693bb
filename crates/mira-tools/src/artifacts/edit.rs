//! `edit_artifact`: changes passages of an artifact, or all of it.

use super::{ArtifactDoor, elided::elision, form::Form, parse_id, reference};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::{
    project::{
        ArtifactContent,
        edit::{self, Edit},
    },
    tool::Effect,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// The tool.
pub struct EditArtifact(pub Arc<dyn ArtifactDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// Its id.
    artifact: String,
    /// The changes, made one after the other, all or none; null where `content` replaces everything.
    edits: Option<Vec<Passage>>,
    /// The whole new text, nothing left out; null where `edits` says what changes.
    content: Option<String>,
}

/// One change.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Passage {
    /// The passage as it stands, to the last space; it must stand there exactly once.
    old: String,
    /// What takes its place.
    new: String,
}

/// The text that edits or a whole new content make of `old`. It keeps the byte order mark and the line ends of `old`.
pub(crate) fn changed(old: &str, edits: Option<Vec<Passage>>, content: Option<String>) -> Result<String, ToolError> {
    let form = Form::of(old);
    let old = form.plain(old);
    let new = match (edits.filter(|edits| !edits.is_empty()), content) {
        (Some(_), Some(_)) | (None, None) => {
            return Err(ToolError::Arguments(
                "either `edits` or `content`, the other null".to_owned(),
            ));
        }
        (None, Some(content)) => form.plain(&content).into_owned(),
        (Some(edits), None) => {
            let edits: Vec<Edit> = edits
                .into_iter()
                .map(|passage| Edit {
                    old: form.plain(&passage.old).into_owned(),
                    new: form.plain(&passage.new).into_owned(),
                })
                .collect();
            edit::apply(&old, &edits, ArtifactContent::MAX_TEXT_BYTES)
                .map_err(|error| ToolError::Failed(error.to_string()))?
        }
    };
    match elision(&new, &old) {
        Some(line) => Err(ToolError::Arguments(format!(
            "the new text leaves something out ({line:?}); write all of it, or use `edits`"
        ))),
        None => Ok(form.dressed(&new)),
    }
}

impl Tool for EditArtifact {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "edit_artifact",
            description: "Changes an artifact and keeps the old version. Prefer `edits`: passages copied exactly from \
                what `read_artifact` showed, and what takes their place.",
            effect: Effect::Write,
            concurrency: Concurrency::InTurn,
            timeout: Duration::from_secs(10),
        }
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        let id = parse_id(&arguments.artifact)?;
        let artifact = self.0.read(context, id).await?;
        let old = artifact
            .content
            .as_ref()
            .and_then(|content| content.text())
            .ok_or_else(|| ToolError::Failed("it is a picture and has no text to edit".to_owned()))?;
        let new = changed(old, arguments.edits, arguments.content)?;
        let artifact = self.0.write(context, id, new, artifact.version).await?;
        Ok(Output::new(
            format!("saved as version {}", artifact.version),
            reference(&artifact),
        ))
    }
}
