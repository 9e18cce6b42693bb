//! `remember`: keeps a fact the owner asked her to keep.

use super::{Kept, MemoryDoor, ids, reference};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::{ids::MemoryId, memory::FactNote, tool::Effect};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The tool.
pub struct Remember(pub Arc<dyn MemoryDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// Whom it is about: owner, mira, or a name.
    about: String,
    /// The attribute it tells of, in one to four words, such as job, home town or sister.
    topic: String,
    /// One plain sentence that is true by itself, with names and dates in place of pronouns and words like today.
    text: String,
    /// The id of the fact that this makes untrue, as `recall` gave it; else null.
    replaces: Option<String>,
}

impl Tool for Remember {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "remember",
            description: "Keeps one fact for good and says whether it was kept. Use it when the owner asks you to \
                remember something or corrects a fact by its id; what they merely tell you goes into `remember` of your \
                answer instead, never into both.",
            effect: Effect::Write,
            concurrency: Concurrency::InTurn,
            timeout: Duration::from_secs(10),
        }
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        let Arguments {
            about,
            topic,
            text,
            replaces,
        } = arguments;
        let note = FactNote::tidy(&about, &topic, &text, None)
            .ok_or_else(|| ToolError::Arguments("the text is empty".to_owned()))?;
        let replaces = match replaces.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(id) => Some(
                id.parse::<MemoryId>()
                    .map_err(|error| ToolError::Arguments(format!("replaces: {error}")))?,
            ),
        };
        Ok(match self.0.remember(context, note, replaces).await? {
            Kept::Stored { fact, superseded } => {
                let mut text = format!("kept as {}", fact.id);
                if !superseded.is_empty() {
                    text = format!("{text}; no longer true: {}", ids(&superseded).join(", "));
                }
                Output::new(
                    text,
                    json!({ "kept": true, "memory": reference(&fact), "superseded": ids(&superseded) }),
                )
            }
            Kept::Known(id) => Output::new(
                format!("known already as {id}"),
                json!({ "kept": false, "known": id.to_string() }),
            ),
            Kept::Rejected(why) => Output::new(format!("not kept: {why}"), json!({ "kept": false, "reason": why })),
        })
    }
}
