//! The stream of the Responses API, event by event. Deltas take the short way: one pass over borrowed JSON. Unknown
//! events and items are passed over; the end is `completed`, `incomplete`, `failed` or `error`.

use super::{
    hosted::{self, HostedCalls},
    output::{self, Asked, ItemHead},
};
use crate::{
    calls::{Calls, Piece},
    speech::Speech,
    wire::{self, Trouble, WireEnd, Words},
};
use mira_core::reply::FUNCTION_NAME;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::{borrow::Cow, sync::Arc};

/// Reads one response.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Output items whose words are not the reply: commentary.
    hidden: Vec<u64>,
    calls: Calls,
    /// Calls of the provider's own tools.
    hosted: HostedCalls,
    /// Finished items with their places, kept while calls may come: they go back unchanged with the outputs.
    done: Vec<(Option<u64>, Arc<str>)>,
    /// What the kept items weigh.
    kept: usize,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    delta: Words<'a>,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(default)]
    content_index: Option<u64>,
}

#[derive(Deserialize)]
struct ItemEvent<'a> {
    #[serde(borrow)]
    item: &'a RawValue,
}

#[derive(Deserialize)]
struct ArgumentsDone<'a> {
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// A terminal event. Its output is read for calls, and for words only where none were streamed.
#[derive(Deserialize)]
struct Terminal<'a> {
    #[serde(borrow, default)]
    response: Option<Tail<'a>>,
}

#[derive(Default, Deserialize)]
struct Tail<'a> {
    #[serde(default)]
    model: Option<Value>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    incomplete_details: Option<Value>,
    #[serde(default)]
    status: Option<Value>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
}

impl Tail<'_> {
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
            ..WireEnd::default()
        }
    }

    /// The final output, item by item.
    fn items(&self) -> Vec<&RawValue> {
        let list = self.output.map(|output| serde_json::from_str(output.get()));
        list.and_then(Result::ok).unwrap_or_default()
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
            ("response.output_text.delta", Some(delta)) if !hidden() => {
                if speech.is_hosted() {
                    self.hosted
                        .citations
                        .part(event.output_index, event.content_index, speech);
                }
                speech.text(delta);
            }
            ("response.output_text.annotation.added", _) if speech.is_hosted() && !hidden() => {
                self.hosted.citations.added(data, speech);
            }
            ("response.function_call_arguments.delta", Some(delta)) => {
                self.arguments(event.output_index, delta, speech)?;
            }
            ("response.function_call_arguments.done", _) => {
                let done: ArgumentsDone<'_> = serde_json::from_slice(data)?;
                self.arguments_done(event.output_index, done.arguments, speech)?;
            }
            ("response.refusal.delta", Some(delta)) => speech.refusal(delta),
            ("response.output_item.added", _) => self.begun(data, event.output_index, speech)?,
            ("response.output_item.done", _) => self.finished(data, event.output_index, speech)?,
            ("response.completed" | "response.incomplete", _) => {
                let terminal: Terminal<'_> = serde_json::from_slice(data)?;
                let tail = terminal.response.unwrap_or_default();
                self.hear_calls(&tail.items(), speech)?;
                if !speech.begun {
                    let whole: Value = serde_json::from_slice(data)?;
                    hear_output(whole.get("response"), speech);
                }
                self.hosted.citations.finish(speech);
                self.hosted.finish(speech);
                let (calls, carry) = self.asked(&tail.items(), speech)?;
                return Ok(Some(WireEnd {
                    calls,
                    carry,
                    ..tail.end(event.kind == "response.incomplete")
                }));
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
            ("response.image_generation_call.partial_image", _) => {
                self.hosted.sketched(data, event.output_index, speech);
            }
            (kind, _) if kind.starts_with("response.reasoning") => speech.thinking(),
            (kind, _) => {
                if let Some(detail) = hosted::progress_of(kind) {
                    self.hosted.progress(data, event.output_index, detail, speech);
                }
            }
        }
        Ok(None)
    }

    /// Calls of the provider's own tools that stand in the final output and were not heard of before.
    fn hear_calls(&mut self, items: &[&RawValue], speech: &mut Speech) -> Result<(), Trouble> {
        if !speech.is_hosted() {
            return Ok(());
        }
        for (place, item) in (0_u64..).zip(items) {
            if let Ok(head) = serde_json::from_str::<ItemHead<'_>>(item.get()) {
                self.hosted.ended(&head, item, Some(place), speech)?;
            }
        }
        Ok(())
    }

    /// An item begins. One that does not look as expected is an unknown one.
    fn begun(&mut self, data: &[u8], index: Option<u64>, speech: &mut Speech) -> Result<(), Trouble> {
        let Ok(ItemEvent { item }) = serde_json::from_slice::<ItemEvent<'_>>(data) else {
            return Ok(());
        };
        let Ok(head) = serde_json::from_str::<ItemHead<'_>>(item.get()) else {
            return Ok(());
        };
        match head.kind.get() {
            Some("reasoning") => speech.thinking(),
            Some("function_call") => self.calls.take(head.piece(index), speech)?,
            _ if head.is_hidden() => self.hidden.extend(index),
            _ => self.hosted.begun(&head, item, index, speech)?,
        }
        Ok(())
    }

    /// Arguments go to their call; without one that was announced they are the answer's.
    fn arguments(&mut self, index: Option<u64>, delta: &str, speech: &mut Speech) -> Result<(), Trouble> {
        if !self.calls.knows(index) {
            speech.arguments(delta);
            return Ok(());
        }
        let piece = Piece {
            place: index,
            arguments: Some(delta),
            ..Piece::default()
        };
        self.calls.take(piece, speech)
    }

    /// The arguments in one, from servers that send no deltas.
    fn arguments_done(
        &mut self,
        index: Option<u64>,
        arguments: Option<&RawValue>,
        speech: &mut Speech,
    ) -> Result<(), Trouble> {
        match arguments {
            Some(arguments) if self.calls.waits_for_arguments(index, speech) => {
                self.arguments(index, &wire::text_or_json(arguments), speech)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// An item is whole: kept for the way back.
    fn finished(&mut self, data: &[u8], index: Option<u64>, speech: &mut Speech) -> Result<(), Trouble> {
        if !speech.offered() && !speech.is_hosted() {
            return Ok(());
        }
        let Ok(ItemEvent { item }) = serde_json::from_slice::<ItemEvent<'_>>(data) else {
            return Ok(());
        };
        let head = serde_json::from_str::<ItemHead<'_>>(item.get());
        if let Ok(head) = &head {
            self.hosted.ended(head, item, index, speech)?;
            if speech.is_hosted() && head.kind.get() == Some("message") && !head.is_hidden() {
                self.hosted.citations.message(item.get(), index, speech);
            }
        }
        if !speech.offered() {
            return Ok(());
        }
        self.kept = self.kept.saturating_add(output::carried_bytes(item.get()));
        if self.kept > output::MOST_CARRIED_BYTES {
            return Err(Trouble::TooLarge(output::MOST_CARRIED_BYTES));
        }
        if let Ok(head) = &head
            && head.kind.get() == Some("function_call")
            && let Some(name) = head.name.get()
            && !speech.is_answer(name)
        {
            speech.other_call();
        }
        self.done.push((index, item.get().into()));
        Ok(())
    }

    /// The calls of the whole response and what goes back with them: out of the final output if there is one, else out
    /// of the items as they came.
    fn asked(&mut self, last: &[&RawValue], speech: &Speech) -> Result<Asked, Trouble> {
        let begun = self.calls.finish(speech);
        let done = std::mem::take(&mut self.done);
        if !speech.offered() {
            return Ok(Asked::default());
        }
        if !last.is_empty() {
            return output::asked(last.iter().map(|item| item.get()), speech);
        }
        let never_done = begun
            .iter()
            .filter(|(place, _)| !done.iter().any(|(index, _)| index == place))
            .map(|(_, call)| output::item_of(call));
        let items: Vec<Arc<str>> = done
            .iter()
            .map(|(_, item)| Arc::clone(item))
            .chain(never_done)
            .collect();
        output::asked(items.iter().map(AsRef::as_ref), speech)
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
    let tail: Tail<'_> = serde_json::from_slice(body)?;
    let cut = wire::text(tail.status.as_ref()).is_some_and(|status| status != "completed");
    let (calls, carry) = output::asked(tail.items().iter().map(|item| item.get()), speech)?;
    let mut decoder = Decoder::default();
    decoder.hear_calls(&tail.items(), speech)?;
    hear_output(Some(&response), speech);
    if speech.is_hosted() {
        for (place, item) in (0_u64..).zip(tail.items()) {
            decoder.hosted.citations.message(item.get(), Some(place), speech);
        }
    }
    decoder.hosted.finish(speech);
    Ok(WireEnd {
        calls,
        carry,
        ..tail.end(cut)
    })
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
            Some("function_call") if head.name.get() != Some(FUNCTION_NAME) => speech.other_call(),
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
