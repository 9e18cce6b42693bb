//! `list_artifacts`: what there is in the project.

use super::{ArtifactDoor, reference};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::tool::Effect;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// The tool.
pub struct ListArtifacts(pub Arc<dyn ArtifactDoor>);

/// A call says nothing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {}

impl Tool for ListArtifacts {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "list_artifacts",
            description: "Lists the artifacts of this project: lines `id | type | version | name`.",
            effect: Effect::Read,
            concurrency: Concurrency::Together,
            timeout: Duration::from_secs(10),
        }
    }

    async fn run(&self, context: &CallContext, _: Arguments) -> Result<Output, ToolError> {
        let artifacts = self.0.list(context).await?;
        let lines: Vec<String> = artifacts
            .iter()
            .map(|a| format!("{} | {} | {} | {}", a.id, a.kind.as_str(), a.version, a.name))
            .collect();
        let text = if lines.is_empty() {
            "there are none".to_owned()
        } else {
            lines.join("\n")
        };
        let data: Vec<Value> = artifacts.iter().map(reference).collect();
        Ok(Output::new(text, json!({ "artifacts": data })))
    }
}
