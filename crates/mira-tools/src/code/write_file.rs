//! `write_file`: changes or makes a file of a repository. The owner applies it, unless the repository says otherwise.

use super::{Change, CodeDoor, Place, Written, named};
use crate::{
    About, CallContext, Concurrency, Output, Tool, ToolError,
    artifacts::{Passage, changed},
};
use mira_core::tool::Effect;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The tool.
pub struct WriteFile(pub Arc<dyn CodeDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// The repository's id; null where the project has only one.
    repository: Option<String>,
    /// The file, from the root.
    path: String,
    /// Changes of an existing file, made one after the other, all or none; null where `content` is the whole text.
    edits: Option<Vec<Passage>>,
    /// The whole text of the file, nothing left out; null where `edits` says what changes.
    content: Option<String>,
    /// Why, as a commit message: one line, then more if needed.
    message: Option<String>,
}

impl Tool for WriteFile {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "write_file",
            description: "Changes or makes a file of a repository attached to this project. Prefer `edits`: passages \
                copied exactly from what `read_file` showed (without the line numbers), and what takes their place. As \
                a rule it becomes a proposal that the owner applies or discards: say so.",
            effect: Effect::Write,
            concurrency: Concurrency::InTurn,
            timeout: Duration::from_secs(30),
        }
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        let repository = self.0.choose(context, named(arguments.repository)).await?;
        let at = Place::new(&repository, Some(arguments.path), None);
        let old = self.0.read(context, at.clone()).await?;
        if old.is_none() && arguments.edits.as_ref().is_some_and(|edits| !edits.is_empty()) {
            let why = format!(
                "there is no file {:?}; a new one is written whole, with `content`",
                at.path
            );
            return Err(ToolError::Failed(why));
        }
        let before = old.as_ref().map_or("", |file| file.text.as_str());
        let change = Change {
            content: changed(before, arguments.edits, arguments.content)?,
            message: named(arguments.message),
            expected_sha: old.and_then(|file| file.sha),
        };
        Ok(match self.0.write(context, at.clone(), change).await? {
            Written::Proposed { proposal } => Output::new(
                format!("proposed as {proposal}; nothing is changed until the owner applies it"),
                at.data(json!({ "proposal_id": proposal })),
            ),
            Written::Committed { commit } => {
                Output::new(format!("committed as {commit}"), at.data(json!({ "commit": commit })))
            }
        })
    }
}
