//! The conversation as items of a request, the same for both APIs: messages, the state of the moment, and what the two
//! calls of the two-step form add. Whatever changes from turn to turn comes last, so that a provider's prompt cache and
//! a local server's key-value cache hold.

use crate::dialect::{Ask, Dialect, Stage, TailPlace, TopRole};
use mira_core::{chat::Role, model::ModelRequest, reply};
use serde::Serialize;
use std::borrow::Cow;

/// One message of a request.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    pub role: &'static str,
    pub content: Cow<'a, str>,
}

/// Added to the state of the moment where the reply is plain text, since the system text speaks of an object.
const PLAIN_REPLY: &str = "For this answer write only what you say, the text of `output` itself, without an object around it. The \
    other fields are asked for afterwards.";
/// Asks for the metadata of a reply that was plain text.
const METADATA: &str =
    "Now fill in the other fields of the answer you have just given, as one JSON object without `output`.";

/// The role of the system text.
pub(crate) fn top_role(dialect: &Dialect) -> &'static str {
    match dialect.top_role {
        TopRole::Developer => "developer",
        TopRole::System => "system",
    }
}

/// Everything after the system text.
pub(crate) fn items<'a>(dialect: &Dialect, request: &'a ModelRequest, stage: Stage<'a>) -> Vec<Item<'a>> {
    let mut items: Vec<Item<'a>> = Vec::with_capacity(request.messages.len() + 3);
    for message in &request.messages {
        push(
            dialect,
            &mut items,
            message.role.as_str(),
            Cow::Borrowed(&*message.text),
        );
    }
    let plain = match stage {
        Stage::Reply => dialect.reply_ask == Ask::Words,
        Stage::Metadata { .. } => true,
        Stage::Side { .. } => false,
    };
    let tail = match (request.tail.is_empty(), plain) {
        (_, false) => Cow::Borrowed(request.tail.as_str()),
        (true, true) => Cow::Borrowed(PLAIN_REPLY),
        (false, true) => Cow::Owned(format!("{}\n\n{PLAIN_REPLY}", request.tail)),
    };
    push_directive(dialect, &mut items, tail);
    if let Stage::Metadata { said } = stage {
        push(dialect, &mut items, Role::Assistant.as_str(), Cow::Borrowed(said));
        let question = match dialect.metadata_ask {
            Ask::Schema | Ask::Tool | Ask::LegacyFunction => Cow::Borrowed(METADATA),
            Ask::Words => {
                let schema = reply::metadata_schema(&request.personas);
                Cow::Owned(format!(
                    "{METADATA} Nothing before or after it. Its JSON Schema: {schema}"
                ))
            }
        };
        push_directive(dialect, &mut items, question);
    }
    items
}

/// Adds a message; where a server's template wants the roles to alternate, two of one role in a row become one.
fn push<'a>(dialect: &Dialect, items: &mut Vec<Item<'a>>, role: &'static str, content: Cow<'a, str>) {
    match (dialect.tail, items.last_mut()) {
        (TailPlace::LastUserMessage, Some(last)) if last.role == role => {
            let text = last.content.to_mut();
            text.push_str("\n\n");
            text.push_str(&content);
        }
        _ => items.push(Item { role, content }),
    }
}

/// Adds words of Mira's house, not of the owner.
fn push_directive<'a>(dialect: &Dialect, items: &mut Vec<Item<'a>>, content: Cow<'a, str>) {
    if content.is_empty() {
        return;
    }
    match dialect.tail {
        TailPlace::OwnItem => items.push(Item {
            role: top_role(dialect),
            content,
        }),
        TailPlace::LastUserMessage => push(dialect, items, Role::User.as_str(), content),
    }
}
