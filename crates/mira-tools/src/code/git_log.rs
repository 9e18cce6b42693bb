//! `git_log`: commits of a repository.

use super::{CodeDoor, Place, named, untrusted};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::tool::Effect;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// Commits where the call does not say how many.
const USUAL: u32 = 20;
/// The most commits.
const MOST: u32 = 100;

/// The tool.
pub struct GitLog(pub Arc<dyn CodeDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// The repository's id; null where the project has only one.
    repository: Option<String>,
    /// Only commits that changed this file or folder; null for all.
    path: Option<String>,
    /// A branch, tag or commit to begin at; null for the present branch.
    r#ref: Option<String>,
    /// How many commits at most, from 1 to 100; null for 20.
    limit: Option<u32>,
}

impl Tool for GitLog {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "git_log",
            description: "Lists commits of a repository attached to this project, newest first: lines \
                `commit | date | author | summary`.",
            effect: Effect::Read,
            concurrency: Concurrency::Together,
            timeout: Duration::from_secs(30),
        }
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        let repository = self.0.choose(context, named(arguments.repository)).await?;
        let at = Place::new(&repository, arguments.path, arguments.r#ref);
        let limit = arguments.limit.unwrap_or(USUAL).clamp(1, MOST) as usize;
        let commits = self.0.log(context, at.clone(), limit).await?;
        let lines: Vec<String> = commits
            .iter()
            .map(|commit| {
                format!(
                    "{} | {} | {} | {}",
                    commit.sha, commit.date, commit.author, commit.summary
                )
            })
            .collect();
        let kept = format!("{} commits were listed", commits.len());
        Ok(untrusted(
            lines.join("\n"),
            kept,
            at.data(json!({ "commits": commits.len() })),
        ))
    }
}
