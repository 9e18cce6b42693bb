//! `read_artifact`: the newest content of an artifact.

use super::{ArtifactDoor, parse_id, reference};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::{project::Author, tool::Effect};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// The tool.
pub struct ReadArtifact(pub Arc<dyn ArtifactDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// Its id.
    artifact: String,
}

impl Tool for ReadArtifact {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "read_artifact",
            description: "Reads an artifact whole. Read before you edit: the owner may have changed it.",
            effect: Effect::Read,
            concurrency: Concurrency::Together,
            timeout: Duration::from_secs(10),
        }
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        let artifact = self.0.read(context, parse_id(&arguments.artifact)?).await?;
        let text = artifact
            .content
            .as_ref()
            .and_then(|content| content.text())
            .ok_or_else(|| ToolError::Failed("it is a picture; its text cannot be read".to_owned()))?;
        let kept = format!("{} (version {}) was read", artifact.name, artifact.version);
        Ok(Output {
            text: format!("{} | version {}\n{text}", artifact.name, artifact.version),
            kept: Some(kept),
            data: reference(&artifact),
            // She may have copied it from anywhere.
            untrusted: artifact.author == Author::Mira,
            sources: Vec::new(),
        })
    }
}
