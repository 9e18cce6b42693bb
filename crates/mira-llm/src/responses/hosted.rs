//! Calls of the provider's own tools as they stand in a stream, item by item: begun, at work, over. What an item says
//! when it is over is read in `hosted_items`, where a reply points in `citations`.
//!
//! Invariants: each call begins once and ends once, one that the stream forgot too, if the stream itself ends well;
//! items are told apart by their ids, by their places where they have none.

use super::{
    citations::Citations,
    hosted_items::{self, Over},
    output::ItemHead,
};
use crate::{
    speech::Speech,
    wire::{Trouble, Words},
};
use mira_core::{
    model::{HostedEvent, HostedKind},
    tool::{CallOutcome, CallStatus},
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The most calls of one answer.
const MOST_CALLS: usize = 128;

/// The calls of one answer.
#[derive(Debug, Default)]
pub(super) struct HostedCalls {
    calls: Vec<HostedCall>,
    pub citations: Citations,
}

#[derive(Debug)]
struct HostedCall {
    key: String,
    place: Option<u64>,
    ended: bool,
}

/// An event about an item.
#[derive(Deserialize)]
struct About<'a> {
    #[serde(borrow, default)]
    item_id: Words<'a>,
}

/// A picture that is not whole yet.
#[derive(Deserialize)]
struct Sketch<'a> {
    #[serde(borrow, default)]
    item_id: Words<'a>,
    #[serde(default)]
    partial_image_index: Option<u32>,
    #[serde(borrow, default)]
    partial_image_b64: Words<'a>,
}

/// The tool of an item.
pub(super) fn kind_of(item_type: &str) -> Option<HostedKind> {
    match item_type {
        "web_search_call" => Some(HostedKind::WebSearch),
        "code_interpreter_call" => Some(HostedKind::CodeInterpreter),
        "file_search_call" => Some(HostedKind::FileSearch),
        "image_generation_call" => Some(HostedKind::ImageGeneration),
        _ => None,
    }
}

/// What an event says of a call at work.
pub(super) fn progress_of(event: &str) -> Option<&'static str> {
    match event {
        "response.web_search_call.searching" | "response.file_search_call.searching" => Some("searching"),
        "response.code_interpreter_call_code.done" => Some("has written the code"),
        "response.code_interpreter_call.interpreting" => Some("running"),
        "response.image_generation_call.generating" => Some("drawing"),
        _ => None,
    }
}

impl HostedCalls {
    /// An item begins.
    pub fn begun(
        &mut self,
        head: &ItemHead<'_>,
        item: &RawValue,
        place: Option<u64>,
        speech: &mut Speech,
    ) -> Result<(), Trouble> {
        let Some(kind) = head.kind.get().and_then(kind_of) else {
            return Ok(());
        };
        if !speech.is_hosted() || self.find(head.id(), place).is_some() {
            return Ok(());
        }
        if self.calls.len() >= MOST_CALLS {
            return Err(Trouble::Garbage(format!("more than {MOST_CALLS} calls in one answer")));
        }
        let key = match head.id() {
            Some(id) => id.to_owned(),
            None => format!("#{}", place.unwrap_or(self.calls.len() as u64)),
        };
        self.calls.push(HostedCall {
            key: key.clone(),
            place,
            ended: false,
        });
        speech.working += 1;
        speech.hosted(HostedEvent::Begun {
            key,
            tool: kind.name().to_owned(),
            arguments: hosted_items::arguments(kind, item.get()),
        });
        Ok(())
    }

    /// A call is at work.
    pub fn progress(&mut self, data: &[u8], place: Option<u64>, detail: &str, speech: &mut Speech) {
        let Ok(about) = serde_json::from_slice::<About<'_>>(data) else {
            return;
        };
        let call = self.find(about.item_id.get(), place).and_then(|at| self.calls.get(at));
        if let Some(call) = call.filter(|call| !call.ended) {
            speech.hosted(HostedEvent::Progress {
                key: call.key.clone(),
                detail: detail.to_owned(),
            });
        }
    }

    /// A picture can be looked at while a call draws it. One that cannot be read is passed over: the whole one comes.
    pub fn sketched(&mut self, data: &[u8], place: Option<u64>, speech: &mut Speech) {
        let Ok(sketch) = serde_json::from_slice::<Sketch<'_>>(data) else {
            return;
        };
        let call = self.find(sketch.item_id.get(), place).and_then(|at| self.calls.get(at));
        let bytes = sketch.partial_image_b64.get().and_then(hosted_items::sketch);
        if let (Some(call), Some(bytes)) = (call.filter(|call| !call.ended), bytes) {
            speech.hosted(HostedEvent::Sketched {
                key: call.key.clone(),
                n: sketch.partial_image_index.unwrap_or_default().saturating_add(1),
                bytes: bytes.into(),
            });
        }
    }

    /// An item is whole; one that never began begins now.
    pub fn ended(
        &mut self,
        head: &ItemHead<'_>,
        item: &RawValue,
        place: Option<u64>,
        speech: &mut Speech,
    ) -> Result<(), Trouble> {
        let Some(kind) = head.kind.get().and_then(kind_of).filter(|_| speech.is_hosted()) else {
            return Ok(());
        };
        self.begun(head, item, place, speech)?;
        let found = self.find(head.id(), place);
        let Some(call) = found.and_then(|at| self.calls.get_mut(at)).filter(|call| !call.ended) else {
            return Ok(());
        };
        call.ended = true;
        speech.working = speech.working.saturating_sub(1);
        let Over {
            outcome,
            files,
            container,
        } = hosted_items::over(kind, item.get());
        speech.hosted(HostedEvent::Ended {
            key: call.key.clone(),
            arguments: hosted_items::arguments(kind, item.get()),
            outcome,
            files,
            container,
        });
        Ok(())
    }

    /// The stream came to its end.
    pub fn finish(&mut self, speech: &mut Speech) {
        for call in self.calls.iter_mut().filter(|call| !call.ended) {
            call.ended = true;
            speech.hosted(HostedEvent::Ended {
                key: call.key.clone(),
                arguments: String::new(),
                // The model may have read what nobody here heard of.
                outcome: CallOutcome {
                    untrusted: true,
                    ..CallOutcome::unsuccessful(CallStatus::Failed, "the provider did not say what came of it")
                },
                files: Vec::new(),
                container: None,
            });
        }
        speech.working = 0;
    }

    fn find(&self, id: Option<&str>, place: Option<u64>) -> Option<usize> {
        let same = |call: &HostedCall| match id {
            Some(id) => call.key == id,
            None => place.is_some() && call.place == place,
        };
        self.calls.iter().position(same)
    }
}
