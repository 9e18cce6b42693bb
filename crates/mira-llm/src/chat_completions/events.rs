//! The stream of Chat Completions, chunk by chunk, one pass over borrowed JSON each. The end is `[DONE]`, or a close
//! after a `finish_reason` (not every server sends `[DONE]`); usage may come between the two. An answer that is not a
//! stream has the same form with `message` in the place of `delta`.

use crate::{
    calls::{Calls, Piece},
    speech::Speech,
    wire::{self, First, Many, Trouble, WireEnd, Words},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// Reads one completion.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    end: WireEnd,
    finish_reason: Option<String>,
    calls: Calls,
    /// The one call of the legacy form.
    legacy: Calls,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    object: Words<'a>,
    #[serde(borrow, default)]
    model: Words<'a>,
    #[serde(borrow, default)]
    choices: First<Choice<'a>>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    message: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Words<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Words<'a>,
    #[serde(borrow, default)]
    refusal: Words<'a>,
    #[serde(borrow, default)]
    reasoning_content: Words<'a>,
    #[serde(borrow, default)]
    reasoning: Words<'a>,
    #[serde(borrow, default)]
    tool_calls: Many<ToolCall<'a>>,
    #[serde(borrow, default)]
    function_call: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    id: Words<'a>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Words<'a>,
    /// A string; an object from some servers.
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl Decoder {
    /// Takes one event's name and data; the end, if it is the last.
    pub fn event(&mut self, name: &[u8], data: &[u8], speech: &mut Speech) -> Result<Option<WireEnd>, Trouble> {
        if data.trim_ascii() == b"[DONE]" {
            return Ok(Some(self.finish(speech)));
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data)?;
        let failed = chunk.error.as_ref().is_some_and(|error| !error.is_null());
        if failed || name == b"error" || chunk.object.get() == Some("error") {
            return Err(Trouble::fault(&serde_json::from_slice(data)?));
        }
        if self.end.model.is_none() {
            self.end.model = chunk.model.get().map(str::to_owned);
        }
        if let Some(counts) = chunk.usage.as_ref().filter(|usage| usage.is_object()) {
            self.end.usage = wire::usage(Some(counts));
        }
        if let Some(choice) = chunk.choices.0 {
            if let Some(delta) = choice.delta.or(choice.message) {
                self.delta(&delta, speech)?;
            }
            if let Some(reason) = choice.finish_reason.get() {
                self.finish_reason = Some(reason.to_owned());
            }
        }
        Ok(None)
    }

    fn delta(&mut self, delta: &Delta<'_>, speech: &mut Speech) -> Result<(), Trouble> {
        if delta.reasoning_content.get().or(delta.reasoning.get()).is_some() {
            speech.thinking();
        }
        if let Some(text) = delta.content.get() {
            speech.text(text);
        }
        if let Some(words) = delta.refusal.get() {
            speech.refusal(words);
        }
        for call in &delta.tool_calls.0 {
            let Some(function) = &call.function else { continue };
            let arguments = function.arguments.map(wire::text_or_json);
            let piece = Piece {
                place: call.index,
                id: call.id.get(),
                name: function.name.get(),
                arguments: arguments.as_deref(),
            };
            self.calls.take(piece, speech)?;
        }
        match &delta.function_call {
            Some(function) => self.legacy(function, speech),
            None => Ok(()),
        }
    }

    /// A piece of the one call of the legacy form; where nothing else was offered it is the answer, named or not.
    fn legacy(&mut self, function: &Function<'_>, speech: &mut Speech) -> Result<(), Trouble> {
        let arguments = function.arguments.map(wire::text_or_json);
        if speech.offered() {
            let piece = Piece {
                place: Some(0),
                id: None,
                name: function.name.get(),
                arguments: arguments.as_deref(),
            };
            return self.legacy.take(piece, speech);
        }
        if let Some(arguments) = arguments.filter(|arguments| !arguments.is_empty()) {
            speech.arguments(&arguments);
        }
        Ok(())
    }

    /// Whether the reply is whole, even if more is to come (usage, `[DONE]`).
    pub fn is_finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// The end of what came.
    pub fn finish(&mut self, speech: &Speech) -> WireEnd {
        let cut = match self.finish_reason.as_deref() {
            Some("length" | "max_tokens" | "model_length") => Some("max_output_tokens"),
            Some("content_filter") => Some("content_filter"),
            Some("error") => Some("error"),
            _ => None,
        };
        let mut calls = self.calls.finish(speech);
        if calls.is_empty() {
            calls = self.legacy.finish(speech);
        }
        WireEnd {
            cut: cut.map(str::to_owned),
            calls: calls.into_iter().map(|(_, call)| call).collect(),
            ..std::mem::take(&mut self.end)
        }
    }
}

/// An answer that is not a stream.
pub(crate) fn whole(body: &[u8], speech: &mut Speech) -> Result<WireEnd, Trouble> {
    let mut decoder = Decoder::default();
    decoder.event(b"", body, speech)?;
    if decoder.is_finished() || speech.begun {
        Ok(decoder.finish(speech))
    } else {
        Err(Trouble::Garbage("a completion without choices".to_owned()))
    }
}
