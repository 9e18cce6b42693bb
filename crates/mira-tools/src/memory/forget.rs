//! `forget`: has memories forgotten everywhere, because the owner asked for it.

use super::{Gone, MemoryDoor, ids, line, reference};
use crate::{About, CallContext, Concurrency, Output, Tool, ToolError};
use mira_core::{ids::MemoryId, memory::Memory, tool::Effect};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The most memories of one call: whoever wants everything gone deletes sessions in the page.
const MOST: usize = 10;
/// What stands before those that the owner has to choose from.
const UNCLEAR: &str = "not forgotten, because the owner's words do not plainly mean it; show them which, and ask:";

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
                they mean. What their words do not plainly say is not forgotten at once: the answer lists it, you show the \
                owner that list with its ids, and call this again with those they choose in their next message. The \
                answer also names messages that still say it; forget those too if the owner wants the words themselves \
                gone.",
            effect: Effect::Write,
            concurrency: Concurrency::InTurn,
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
        Ok(output(&gone, context))
    }
}

/// What the model reads, what is kept of it without a text, what clients are told.
fn output(gone: &Gone, context: &CallContext) -> Output {
    let mut lines = vec![format!("forgotten: {}", gone.forgotten.len())];
    if !gone.unknown.is_empty() {
        lines.push(format!("nothing has these ids: {}", ids(&gone.unknown).join(", ")));
    }
    if gone.question {
        lines.push("the question that listed them is forgotten too".to_owned());
    }
    let mut kept = lines.clone();
    if !gone.unclear.is_empty() {
        let unclear: Vec<_> = gone.unclear.iter().map(|memory| memory.id).collect();
        kept.push(format!("{UNCLEAR} {}", ids(&unclear).join(", ")));
        lines.push(UNCLEAR.to_owned());
        lines.extend(gone.unclear.iter().map(|memory| line(memory, &context.zone)));
    }
    if !gone.sources.is_empty() {
        lines.push("these messages still say it:".to_owned());
        lines.extend(gone.sources.iter().map(|memory| line(memory, &context.zone)));
    }
    let references = |memories: &[Memory]| memories.iter().map(reference).collect::<Vec<Value>>();
    Output {
        text: lines.join("\n"),
        kept: Some(kept.join("\n")),
        data: json!({
            "forgotten": ids(&gone.forgotten),
            "unknown": ids(&gone.unknown),
            "sources": references(&gone.sources),
            "unclear": references(&gone.unclear),
        }),
        untrusted: false,
        sources: Vec::new(),
    }
}
