//! `forget`: has memories forgotten everywhere, because the owner asked for it.

use super::{MemoryDoor, ids, line, reference};
use crate::{About, CallContext, Output, Tool, ToolError};
use mira_core::{ids::MemoryId, tool::Effect};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The most memories of one call: whoever wants everything gone deletes sessions in the page.
const MOST: usize = 10;

/// The tool.
pub struct Forget(pub Arc<dyn MemoryDoor>);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Arguments {
    /// The ids of what is to be forgotten, as `recall` gave them; at most 10.
    memories: Vec<String>,
}

impl Tool for Forget {
    type Arguments = Arguments;

    fn about(&self) -> About {
        About {
            name: "forget",
            description: "Forgets facts or messages for good, everywhere: it cannot be undone. Use it only when the owner \
                asks you in their own words to forget something; look the ids up with `recall` first and take only what \
                they mean. The answer names messages that still say it; forget those too if the owner wants the words \
                themselves gone.",
            effect: Effect::Write,
            timeout: Duration::from_mins(1),
        }
    }

    fn is_final(&self) -> bool {
        true
    }

    async fn run(&self, context: &CallContext, arguments: Arguments) -> Result<Output, ToolError> {
        // Whoever runs tools asks the owner first; this holds where somebody does not.
        if context.meets_strangers() && !context.approved {
            return Err(ToolError::Denied(
                "this turn has read text that others may have written, so nothing is forgotten in it unless the owner \
                 is asked"
                    .to_owned(),
            ));
        }
        let wanted: BTreeSet<MemoryId> = arguments
            .memories
            .iter()
            .map(|id| {
                id.trim()
                    .parse()
                    .map_err(|error| ToolError::Arguments(format!("{id:?}: {error}")))
            })
            .collect::<Result<_, _>>()?;
        if wanted.is_empty() || wanted.len() > MOST {
            return Err(ToolError::Arguments(format!("between 1 and {MOST} ids are wanted")));
        }
        let gone = self.0.forget(context, wanted.into_iter().collect()).await?;
        let mut lines = vec![format!("forgotten: {}", gone.forgotten.len())];
        if !gone.unknown.is_empty() {
            lines.push(format!("nothing has these ids: {}", ids(&gone.unknown).join(", ")));
        }
        let kept = lines.join("\n");
        if !gone.sources.is_empty() {
            lines.push("these messages still say it:".to_owned());
            lines.extend(gone.sources.iter().map(|memory| line(memory, &context.zone)));
        }
        let sources: Vec<Value> = gone.sources.iter().map(reference).collect();
        Ok(Output {
            text: lines.join("\n"),
            kept: Some(kept),
            data: json!({ "forgotten": ids(&gone.forgotten), "unknown": ids(&gone.unknown), "sources": sources }),
            untrusted: false,
            sources: Vec::new(),
        })
    }
}
