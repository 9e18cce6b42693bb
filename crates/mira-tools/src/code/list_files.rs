//! `list_files`: one folder of a repository.

use super::{CodeDoor, Place, named, untrusted};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::tool::Effect;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The most entries a model is shown.
const MOST: usize = 500;

/// The tool.
pub struct ListFiles(pub Arc<dyn CodeDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// The repository's id; null where the project has only one.
    repository: Option<String>,
    /// The folder, from the root; null for the root.
    path: Option<String>,
    /// A branch, tag or commit; null for what is there now.
    r#ref: Option<String>,
}

impl Tool for ListFiles {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "list_files",
            description: "Lists one folder of a repository attached to this project: lines `path | kind | bytes`.",
            effect: Effect::Read,
            concurrency: Concurrency::Together,
            timeout: Duration::from_secs(20),
        }
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        let repository = self.0.choose(context, named(arguments.repository)).await?;
        let at = Place::new(&repository, arguments.path, arguments.r#ref);
        let entries = self.0.list(context, at.clone()).await?;
        let mut lines: Vec<String> = entries
            .iter()
            .take(MOST)
            .map(|entry| match entry.size {
                Some(size) => format!("{} | {} | {size}", entry.path, entry.kind),
                None => format!("{} | {}", entry.path, entry.kind),
            })
            .collect();
        if entries.len() > MOST {
            lines.push(format!("(and {} more; use search_files)", entries.len() - MOST));
        }
        let kept = format!("{} entries of {:?}", entries.len(), at.path);
        Ok(untrusted(
            lines.join("\n"),
            kept,
            at.data(json!({ "entries": entries.len() })),
        ))
    }
}
