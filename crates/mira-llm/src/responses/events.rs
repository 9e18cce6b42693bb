//! The stream of the Responses API, event by event. Deltas take the short way: one pass over borrowed JSON. Unknown
//! events and items are passed over; the end is `completed`, `incomplete`, `failed` or `error`.

use crate::{
    speech::Speech,
    wire::{self, Trouble, WireEnd, Words},
};
use mira_core::reply::FUNCTION_NAME;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// Reads one response.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Output items whose words are not the reply: commentary, calls of other functions.
    hidden: Vec<u64>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    delta: Words<'a>,
    #[serde(default)]
    output_index: Option<u64>,
}

#[derive(Deserialize)]
struct ItemEvent<'a> {
    #[serde(borrow)]
    item: ItemHead<'a>,
}

#[derive(Deserialize)]
struct ItemHead<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Words<'a>,
    #[serde(borrow, default)]
    phase: Words<'a>,
    #[serde(borrow, default)]
    name: Words<'a>,
}

impl ItemHead<'_> {
    /// Whether its words are not the reply.
    fn is_hidden(&self) -> bool {
        match self.kind.get() {
            Some("message") => self.phase.get().is_some_and(|phase| phase != "final_answer"),
            Some("function_call") => self.name.get() != Some(FUNCTION_NAME),
            _ => false,
        }
    }
}

/// A terminal event without its output, which is read only where nothing was streamed.
#[derive(Deserialize)]
struct Terminal {
    #[serde(default)]
    response: Option<Tail>,
}

#[derive(Default, Deserialize)]
struct Tail {
    #[serde(default)]
    model: Option<Value>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    incomplete_details: Option<Value>,
    #[serde(default)]
    status: Option<Value>,
}

impl Tail {
    fn end(&self, cut: bool) -> WireEnd {
        let reason = wire::text(
            self.incomplete_details
                .as_ref()
                .and_then(|details| details.get("reason")),
        );
        WireEnd {
            model: wire::text(self.model.as_ref()),
            usage: wire::usage(self.usage.as_ref()),
            cut: cut.then(|| reason.unwrap_or_else(|| "incomplete".to_owned())),
        }
    }
}

impl Decoder {
    /// Takes one event's data; the end, if it is the last.
    pub fn event(&mut self, data: &[u8], speech: &mut Speech) -> Result<Option<WireEnd>, Trouble> {
        if data.trim_ascii() == b"[DONE]" {
            return Ok(None);
        }
        let event: Event<'_> = serde_json::from_slice(data)?;
        let hidden = || event.output_index.is_some_and(|index| self.hidden.contains(&index));
        let delta = event.delta.get();
        match (&*event.kind, delta) {
            ("response.output_text.delta", Some(delta)) if !hidden() => speech.text(delta),
            ("response.function_call_arguments.delta", Some(delta)) if !hidden() => speech.arguments(delta),
            ("response.refusal.delta", Some(delta)) => speech.refusal(delta),
            ("response.output_item.added", _) => self.item(data, event.output_index, speech),
            ("response.completed" | "response.incomplete", _) => {
                let terminal: Terminal = serde_json::from_slice(data)?;
                if !speech.begun {
                    let whole: Value = serde_json::from_slice(data)?;
                    hear_output(whole.get("response"), speech);
                }
                return Ok(Some(
                    terminal
                        .response
                        .unwrap_or_default()
                        .end(event.kind == "response.incomplete"),
                ));
            }
            ("response.cancelled", _) => {
                return Ok(Some(WireEnd {
                    cut: Some("cancelled".into()),
                    ..WireEnd::default()
                }));
            }
            ("response.failed", _) => {
                let whole: Value = serde_json::from_slice(data)?;
                return Err(Trouble::fault(whole.get("response").unwrap_or(&Value::Null)));
            }
            ("error", _) => return Err(Trouble::fault(&serde_json::from_slice(data)?)),
            ("", _) => {
                let whole: Value = serde_json::from_slice(data)?;
                if whole.get("error").is_some_and(|error| !error.is_null()) {
                    return Err(Trouble::fault(&whole));
                }
            }
            (kind, _) if kind.starts_with("response.reasoning") => speech.thinking(),
            _ => {}
        }
        Ok(None)
    }

    /// An item begins. One that does not look as expected is an unknown one.
    fn item(&mut self, data: &[u8], index: Option<u64>, speech: &mut Speech) {
        let Ok(ItemEvent { item }) = serde_json::from_slice::<ItemEvent<'_>>(data) else {
            return;
        };
        if item.kind.get() == Some("reasoning") {
            speech.thinking();
        }
        if item.is_hidden() {
            self.hidden.extend(index);
        }
    }
}

/// An answer that is not a stream.
pub(crate) fn whole(body: &[u8], speech: &mut Speech) -> Result<WireEnd, Trouble> {
    let response: Value = serde_json::from_slice(body)?;
    if response.get("error").is_some_and(|error| !error.is_null()) {
        return Err(Trouble::fault(&response));
    }
    if !response.get("output").is_some_and(Value::is_array) {
        return Err(Trouble::Garbage("a response without output".to_owned()));
    }
    hear_output(Some(&response), speech);
    let tail: Tail = serde_json::from_slice(body)?;
    let cut = wire::text(tail.status.as_ref()).is_some_and(|status| status != "completed");
    Ok(tail.end(cut))
}

/// The reply in a response's final output.
fn hear_output(response: Option<&Value>, speech: &mut Speech) {
    let list = |value: Option<&Value>, key: &str| {
        value
            .and_then(|value| value.get(key))
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    for item in &list(response, "output") {
        let Ok(head) = ItemHead::deserialize(item) else {
            continue;
        };
        match head.kind.get() {
            _ if head.is_hidden() => {}
            Some("function_call") => {
                if let Some(arguments) = wire::text(item.get("arguments")) {
                    speech.arguments(&arguments);
                }
            }
            Some("message") => {
                for part in &list(Some(item), "content") {
                    if let Some(text) = wire::text(part.get("text")) {
                        speech.text(&text);
                    }
                    if let Some(words) = wire::text(part.get("refusal")) {
                        speech.refusal(&words);
                    }
                }
            }
            _ => {}
        }
    }
}
