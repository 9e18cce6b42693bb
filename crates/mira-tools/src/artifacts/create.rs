//! `create_artifact`: makes something the owner keeps.

use super::{ArtifactDoor, Draft, elided::elision, reference};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::{project::ArtifactKind, tool::Effect};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// The tool.
pub struct CreateArtifact(pub Arc<dyn ArtifactDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// A file's name or a title.
    name: String,
    /// What it is.
    r#type: Kind,
    /// The programming language of code, in lower case; else null.
    language: Option<String>,
    /// All of it, nothing left out.
    content: String,
}

/// The types she can write.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Code,
    Markdown,
    Html,
    Svg,
    Note,
    Log,
    Json,
}

impl From<Kind> for ArtifactKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Code => Self::Code,
            Kind::Markdown => Self::Markdown,
            Kind::Html => Self::Html,
            Kind::Svg => Self::Svg,
            Kind::Note => Self::Note,
            Kind::Log => Self::Log,
            Kind::Json => Self::Json,
        }
    }
}

impl Tool for CreateArtifact {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "create_artifact",
            description: "Makes an artifact in this project: a file, page, drawing or note that the owner keeps and can \
                edit. Use it for anything longer than a few lines that will be used again; say in your answer what you \
                made instead of repeating it.",
            effect: Effect::Write,
            concurrency: Concurrency::InTurn,
            timeout: Duration::from_secs(10),
        }
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        if let Some(line) = elision(&arguments.content, "") {
            return Err(ToolError::Arguments(format!(
                "the content leaves something out ({line:?}); write all of it"
            )));
        }
        let draft = Draft {
            name: arguments.name,
            kind: arguments.r#type.into(),
            language: arguments.language.filter(|language| !language.trim().is_empty()),
            content: arguments.content,
        };
        let artifact = self.0.create(context, draft).await?;
        Ok(Output::new(
            format!("made as {}, version {}", artifact.id, artifact.version),
            reference(&artifact),
        ))
    }
}
