//! `git_diff`: what a commit changed.

use super::{CodeDoor, Place, named, untrusted};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::tool::Effect;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The tool.
pub struct GitDiff(pub Arc<dyn CodeDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// The repository's id; null where the project has only one.
    repository: Option<String>,
    /// The commit.
    commit: String,
}

impl Tool for GitDiff {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "git_diff",
            description: "Shows what a commit of a repository attached to this project changed, as a unified diff.",
            effect: Effect::Read,
            concurrency: Concurrency::Together,
            timeout: Duration::from_secs(30),
        }
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        let repository = self.0.choose(context, named(arguments.repository)).await?;
        let at = Place::new(&repository, None, None);
        let text = self.0.diff(context, at.clone(), arguments.commit.clone()).await?;
        let kept = format!("the diff of {} was read", arguments.commit);
        Ok(untrusted(text, kept, at.data(json!({ "commit": arguments.commit }))))
    }
}
