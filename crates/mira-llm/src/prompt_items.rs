//! The conversation as items of a request, the same for both APIs: messages, the calls made on the way to them, the
//! state of the moment, the calls of this reply so far, and what the two calls of the two-step form add. Whatever
//! changes from turn to turn comes last, so that a provider's prompt cache and a local server's key-value cache hold.

use crate::{
    dialect::{Ask, Dialect, Stage, TailPlace, TopRole},
    error::LlmError,
    offers::Told,
    pictures::Content,
    told_calls::{self, Call},
};
use mira_core::{
    chat::Role,
    model::{ModelRequest, PromptMessage},
    reply,
    tool::Round,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One item of a request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Item<'a> {
    /// A message.
    Said(Said<'a>),
    /// What stands for calls and their outputs.
    Called(told_calls::Called<'a>),
    /// An item of the provider's own, as it came.
    Carried(&'a RawValue),
}

/// A message.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    pub role: &'static str,
    pub content: Content<'a>,
}

/// Added to the state of the moment where the reply is plain text, since the system text speaks of an object.
const PLAIN_REPLY: &str = "For this answer write only what you say, the text of `output` itself, without an object around it. The \
    other fields are asked for afterwards.";
/// Asks for the metadata of a reply that was plain text.
const METADATA: &str =
    "Now fill in the other fields of the answer you have just given, as one JSON object without `output`.";
/// Follows calls that are told in words.
const GO_ON: &str = "That is what came of your calls. Go on from there.";

/// The role of the system text.
pub(crate) fn top_role(dialect: &Dialect) -> &'static str {
    match dialect.top_role {
        TopRole::Developer => "developer",
        TopRole::System => "system",
    }
}

/// Everything after the system text.
pub(crate) fn items<'a>(
    dialect: &Dialect,
    request: &'a ModelRequest,
    stage: Stage<'a>,
) -> Result<Vec<Item<'a>>, LlmError> {
    let mut items: Vec<Item<'a>> = Vec::with_capacity(request.messages.len() + 2 * request.rounds.len() + 3);
    let told_before = dialect.told_before(stage);
    for message in &request.messages {
        push_message(dialect, &mut items, message, told_before);
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
    for round in &request.rounds {
        push_round(dialect, &mut items, round, dialect.told(stage))?;
    }
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
    Ok(items)
}

/// A message with the calls made on the way to it.
fn push_message<'a>(dialect: &Dialect, items: &mut Vec<Item<'a>>, message: &'a PromptMessage, told: Told) {
    let role = message.role.as_str();
    let said = Content::of(dialect, message);
    let calls: Vec<Call<'a>> = message.calls.iter().map(Call::past).collect();
    if calls.is_empty() {
        return push_content(dialect, items, role, said);
    }
    match told_calls::called(told, &dialect.offers, "", &calls) {
        Some(called) => {
            items.extend(called.into_iter().map(Item::Called));
            push_content(dialect, items, role, said);
        }
        None => push(dialect, items, role, told_calls::words(&calls, &message.text).into()),
    }
}

/// A round of this reply, and what its calls brought to look at.
fn push_round<'a>(dialect: &Dialect, items: &mut Vec<Item<'a>>, round: &'a Round, told: Told) -> Result<(), LlmError> {
    push_calls(dialect, items, round, told)?;
    if let Some(pictures) = Content::of_round(dialect, round) {
        push_content(dialect, items, Role::User.as_str(), pictures);
    }
    Ok(())
}

fn push_calls<'a>(dialect: &Dialect, items: &mut Vec<Item<'a>>, round: &'a Round, told: Told) -> Result<(), LlmError> {
    let calls: Vec<Call<'a>> = Call::of_round(round);
    if told == Told::Items && !round.asked.carry.is_empty() {
        let carried = told_calls::carried(round)?;
        if !round.said.is_empty() && !carried.has_message {
            push(dialect, items, Role::Assistant.as_str(), Cow::Borrowed(&round.said));
        }
        items.extend(carried.items.into_iter().map(Item::Carried));
        items.extend(told_calls::outputs(&calls).map(Item::Called));
        return Ok(());
    }
    if let Some(called) = told_calls::called(told, &dialect.offers, &round.said, &calls) {
        items.extend(called.into_iter().map(Item::Called));
    } else {
        let words = match told_calls::words(&calls, "") {
            words if round.said.is_empty() => words,
            words => format!("{}\n\n{words}", round.said),
        };
        push(dialect, items, Role::Assistant.as_str(), words.into());
        push_directive(dialect, items, Cow::Borrowed(GO_ON));
    }
    Ok(())
}

/// Adds a message of text.
fn push<'a>(dialect: &Dialect, items: &mut Vec<Item<'a>>, role: &'static str, content: Cow<'a, str>) {
    push_content(dialect, items, role, Content::Text(content));
}

/// Adds a message; where a server's template wants the roles to alternate, two of one role in a row become one.
fn push_content<'a>(dialect: &Dialect, items: &mut Vec<Item<'a>>, role: &'static str, content: Content<'a>) {
    match (dialect.tail, items.last_mut(), content) {
        (TailPlace::LastUserMessage, Some(Item::Said(last)), Content::Text(more)) if last.role == role => {
            last.content.push_paragraph(&more);
        }
        (TailPlace::LastUserMessage, Some(Item::Said(last)), Content::Parts(parts)) if last.role == role => {
            last.content.push_parts(parts);
        }
        (_, _, content) => items.push(Item::Said(Said { role, content })),
    }
}

/// Adds words of Mira's house, not of the owner.
fn push_directive<'a>(dialect: &Dialect, items: &mut Vec<Item<'a>>, content: Cow<'a, str>) {
    if content.is_empty() {
        return;
    }
    match dialect.tail {
        TailPlace::OwnItem => items.push(Item::Said(Said {
            role: top_role(dialect),
            content: Content::Text(content),
        })),
        TailPlace::LastUserMessage => push(dialect, items, Role::User.as_str(), content),
    }
}
