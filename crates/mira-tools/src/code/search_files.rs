//! `search_files`: lines of a repository that hold a text.

use super::{CodeDoor, Place, named, untrusted};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::tool::Effect;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The most lines of one call.
const MOST: usize = 100;

/// The tool.
pub struct SearchFiles(pub Arc<dyn CodeDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// The repository's id; null where the project has only one.
    repository: Option<String>,
    /// The text, literally; case counts only if it has capitals.
    query: String,
}

impl Tool for SearchFiles {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "search_files",
            description: "Finds lines in the files of a repository attached to this project: lines `path:line: text`.",
            effect: Effect::Read,
            concurrency: Concurrency::Together,
            timeout: Duration::from_secs(30),
        }
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        if arguments.query.trim().is_empty() {
            return Err(ToolError::Arguments("the query is empty".to_owned()));
        }
        let repository = self.0.choose(context, named(arguments.repository)).await?;
        let at = Place::new(&repository, None, None);
        let hits = self.0.search(context, at.clone(), arguments.query, MOST).await?;
        let mut lines: Vec<String> = hits
            .iter()
            .map(|hit| format!("{}:{}: {}", hit.path, hit.line, hit.text))
            .collect();
        if lines.is_empty() {
            lines.push("nothing".to_owned());
        } else if lines.len() >= MOST {
            lines.push("(there may be more)".to_owned());
        }
        let kept = format!("{} lines were found", hits.len());
        Ok(untrusted(
            lines.join("\n"),
            kept,
            at.data(json!({ "results": hits.len() })),
        ))
    }
}
