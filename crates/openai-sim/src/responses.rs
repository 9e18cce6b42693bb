//! The wire form of `/v1/responses`: the event sequence of a stream, and the whole object.
//!
//! Source: the official OpenAPI document (August 2026), `ResponseStreamEvent` and `Response`.

use serde_json::{Value, json};

use crate::asked::{Asked, field};
use crate::cache::CacheUse;
use crate::compose::{self, Composition, Item, Pieces, Stamp};
use crate::hosted::Annotation;
use crate::json::{push, push_number, push_raw};
use crate::plan::Ending;
use crate::player::{Events, Pace};

/// What a request cost on its way in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InputUse {
    pub tokens: u64,
    pub cache: CacheUse,
}

/// An answer ready to be written.
pub(crate) struct Written<'a> {
    pub asked: &'a Asked<'a>,
    pub composition: &'a Composition,
    pub stamp: &'a Stamp,
    pub input: InputUse,
    /// Mixes in events nobody knows.
    pub unknown: bool,
}

impl Written<'_> {
    fn usage(&self) -> Value {
        let output = self.composition.output_tokens;
        json!({
            "input_tokens": self.input.tokens,
            "input_tokens_details": {
                "cached_tokens": self.input.cache.read,
                "cache_write_tokens": self.input.cache.written,
            },
            "output_tokens": output,
            "output_tokens_details": { "reasoning_tokens": self.composition.reasoning_tokens },
            "total_tokens": self.input.tokens + output,
        })
    }

    fn status(&self) -> &'static str {
        match self.composition.ending {
            Ending::Completed => "completed",
            Ending::Incomplete(_) => "incomplete",
            Ending::Failed { .. } | Ending::ErrorFlat | Ending::ErrorNested => "failed",
        }
    }

    fn error(&self) -> Value {
        match &self.composition.ending {
            Ending::Failed { code, message } => json!({ "code": code, "message": message }),
            Ending::ErrorFlat | Ending::ErrorNested => json!({ "code": "server_error", "message": ERROR_MESSAGE }),
            Ending::Completed | Ending::Incomplete(_) => Value::Null,
        }
    }

    /// The object at the end.
    fn push_ended(&self, out: &mut Vec<u8>, echo: &Echo) {
        let status = self.status();
        let incomplete = match &self.composition.ending {
            Ending::Incomplete(reason) => json!({ "reason": reason }),
            Ending::Completed | Ending::Failed { .. } | Ending::ErrorFlat | Ending::ErrorNested => Value::Null,
        };
        let completed = if status == "completed" {
            Value::from(self.stamp.created)
        } else {
            Value::Null
        };
        push_raw(out, &echo.head);
        push(out, status);
        push_raw(out, ",\"background\":false");
        let pairs = [
            ("completed_at", &completed),
            ("error", &self.error()),
            ("incomplete_details", &incomplete),
        ];
        compose::push_pairs(out, &pairs);
        out.extend_from_slice(&echo.before);
        push_raw(out, ",\"output\":[");
        let last = self.composition.items.len().saturating_sub(1);
        for (index, item) in self.composition.items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let status = if index == last && status != "completed" {
                "incomplete"
            } else {
                "completed"
            };
            self.push_item(out, item, status);
        }
        out.push(b']');
        out.extend_from_slice(&echo.behind);
        compose::push_pairs(out, &[("usage", &self.usage())]);
        out.push(b'}');
    }

    fn push_item(&self, out: &mut Vec<u8>, item: &Item, status: &str) {
        let begun = status == "in_progress";
        match item {
            Item::Reasoning { id, summary, encrypted } => {
                let shown = self.asked.reasoning_summary && !begun;
                let parts = if shown {
                    json!([{ "type": "summary_text", "text": summary }])
                } else {
                    json!([])
                };
                let mut value = json!({ "id": id, "type": "reasoning", "summary": parts });
                if let (Some(encrypted), Some(object)) = (encrypted, value.as_object_mut()) {
                    object.insert("encrypted_content".to_owned(), Value::from(encrypted.as_str()));
                }
                push(out, &value);
            }
            Item::Unknown { id } => {
                push(
                    out,
                    &json!({ "id": id, "type": "hologram", "status": status, "depth": [1, { "z": null }] }),
                );
            }
            Item::Hosted(call) => push(out, if begun { &call.begun } else { &call.done }),
            Item::Message {
                id,
                pieces,
                refusal,
                annotations,
            } => {
                push_raw(out, "{\"id\":");
                push(out, id);
                push_raw(out, ",\"type\":\"message\",\"status\":");
                push(out, status);
                push_raw(out, ",\"content\":[");
                if !begun {
                    push_part(out, &pieces.text, *refusal, annotations);
                }
                push_raw(out, "],\"role\":\"assistant\"}");
            }
            Item::Call {
                id,
                call_id,
                name,
                pieces,
            } => {
                let arguments = if begun { "" } else { &pieces.text };
                push(
                    out,
                    &json!({ "id": id, "type": "function_call", "status": status, "arguments": arguments,
                             "call_id": call_id, "name": name }),
                );
            }
        }
    }
}

/// The object before anything came out.
fn push_begun(out: &mut Vec<u8>, echo: &Echo) {
    push_raw(out, &echo.head);
    push_raw(
        out,
        "\"in_progress\",\"background\":false,\"completed_at\":null,\"error\":null,",
    );
    push_raw(out, "\"incomplete_details\":null");
    out.extend_from_slice(&echo.before);
    push_raw(out, ",\"output\":[]");
    out.extend_from_slice(&echo.behind);
    push_raw(out, ",\"usage\":null}");
}

const ERROR_MESSAGE: &str = "The server had an error while processing your request.";

fn push_part(out: &mut Vec<u8>, text: &str, refusal: bool, annotations: &[Annotation]) {
    if refusal {
        push_raw(out, "{\"type\":\"refusal\",\"refusal\":");
        push(out, text);
    } else {
        push_raw(out, "{\"type\":\"output_text\",\"annotations\":[");
        let length = text.chars().count();
        for (index, annotation) in annotations
            .iter()
            .filter(|annotation| annotation.end <= length)
            .enumerate()
        {
            if index > 0 {
                out.push(b',');
            }
            push(out, &annotation.value);
        }
        push_raw(out, "],\"logprobs\":[],\"text\":");
        push(out, text);
    }
    out.push(b'}');
}

/// The parts of the response object that repeat the request; written three times per stream, made once.
struct Echo {
    head: String,
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Echo {
    fn new(asked: &Asked<'_>, stamp: &Stamp) -> Self {
        let body = asked.body;
        let head = format!(
            "{{\"id\":\"resp_{}\",\"object\":\"response\",\"created_at\":{},\"status\":",
            stamp.hex, stamp.created
        );
        let or = |key: &str, fallback: Value| match field(body, key) {
            Value::Null => fallback,
            given => given.clone(),
        };
        let mut before = Vec::new();
        for key in ["instructions", "max_output_tokens", "max_tool_calls"] {
            compose::push_pairs(&mut before, &[(key, field(body, key))]);
        }
        compose::push_pairs(&mut before, &[("model", &Value::from(asked.model))]);
        let mut behind = Vec::new();
        let reasoning = field(body, "reasoning");
        let text = field(body, "text");
        let format = match field(text, "format") {
            Value::Null => json!({ "type": "text" }),
            given => given.clone(),
        };
        let verbosity = match field(text, "verbosity") {
            Value::Null => Value::from("medium"),
            given => given.clone(),
        };
        let pairs = [
            ("parallel_tool_calls", or("parallel_tool_calls", true.into())),
            ("previous_response_id", Value::Null),
            ("prompt_cache_key", field(body, "prompt_cache_key").clone()),
            (
                "reasoning",
                json!({ "effort": field(reasoning, "effort"), "summary": field(reasoning, "summary") }),
            ),
            ("safety_identifier", field(body, "safety_identifier").clone()),
            ("service_tier", or("service_tier", "default".into())),
            ("store", or("store", true.into())),
            ("temperature", or("temperature", 1.0.into())),
            ("text", json!({ "format": format, "verbosity": verbosity })),
            ("tool_choice", or("tool_choice", "auto".into())),
            ("tools", or("tools", json!([]))),
            ("top_logprobs", or("top_logprobs", 0.into())),
            ("top_p", or("top_p", 1.0.into())),
            ("truncation", or("truncation", "disabled".into())),
            ("user", Value::Null),
            ("metadata", or("metadata", json!({}))),
        ];
        for (key, value) in &pairs {
            compose::push_pairs(&mut behind, &[(key, value)]);
        }
        Self { head, before, behind }
    }
}

/// The answer as one object.
pub(crate) fn whole(written: &Written<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(written.composition.size().1);
    written.push_ended(&mut out, &Echo::new(written.asked, written.stamp));
    out
}

/// The answer as the events of a stream.
pub(crate) fn stream(written: &Written<'_>) -> Events {
    let (events, bytes) = written.composition.size();
    let echo = Echo::new(written.asked, written.stamp);
    let size = bytes + 3 * (echo.before.len() + echo.behind.len());
    let mut writer = Writer {
        events: Events::with_capacity(events, size),
        number: 0,
        written,
        deltas: 0,
    };
    writer.begin(&echo);
    let last = written.composition.items.len().saturating_sub(1);
    for (index, item) in written.composition.items.iter().enumerate() {
        let cut = index == last && written.composition.ending != Ending::Completed;
        writer.item(index, item, cut);
    }
    writer.end(&echo);
    writer.events
}

struct Writer<'a> {
    events: Events,
    number: u64,
    written: &'a Written<'a>,
    deltas: u64,
}

impl Writer<'_> {
    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.events.bytes
    }

    fn open(&mut self, kind: &str) {
        let number = self.number;
        self.number += 1;
        let out = self.out();
        push_raw(out, "event: ");
        push_raw(out, kind);
        push_raw(out, "\ndata: {\"type\":\"");
        push_raw(out, kind);
        push_raw(out, "\",\"sequence_number\":");
        push_number(out, number);
    }

    fn close(&mut self, pace: Pace) {
        push_raw(self.out(), "}\n\n");
        self.events.close(pace);
    }

    fn begin(&mut self, echo: &Echo) {
        for kind in ["response.created", "response.in_progress"] {
            self.open(kind);
            push_raw(self.out(), ",\"response\":");
            push_begun(self.out(), echo);
            self.close(Pace::Now);
        }
        if self.written.unknown {
            push_raw(self.out(), ": keep-alive\n\n");
            self.events.close(Pace::Now);
            self.unknown_event();
        }
    }

    fn unknown_event(&mut self) {
        self.open("response.hologram.shimmering");
        push_raw(
            self.out(),
            ",\"hologram\":{\"delta\":\"not text\",\"output\":[]},\"delta\":7",
        );
        self.close(Pace::Now);
    }

    /// `output_item.added`/`.done`.
    fn item_event(&mut self, kind: &str, index: usize, item: &Item, status: &str, pace: Pace) {
        self.open(kind);
        let written = self.written;
        let out = self.out();
        push_raw(out, ",\"output_index\":");
        push(out, &index);
        push_raw(out, ",\"item\":");
        written.push_item(out, item, status);
        self.close(pace);
    }

    /// An event about an item, with a tail already written as JSON pairs.
    fn part_event(&mut self, kind: &str, place: &str, tail: &[(&str, &Value)]) {
        self.open(kind);
        let out = self.out();
        push_raw(out, place);
        compose::push_pairs(out, tail);
        self.close(Pace::Now);
    }

    fn deltas(&mut self, kind: &str, place: &str, pieces: &Pieces, logprobs: bool) {
        let salt = self.written.stamp.created;
        for (text, piece) in pieces.iter() {
            self.open(kind);
            let obfuscated = self.written.asked.obfuscation;
            let deltas = self.deltas;
            let out = self.out();
            push_raw(out, place);
            push_raw(out, ",\"delta\":");
            push(out, text);
            if logprobs {
                push_raw(out, ",\"logprobs\":[]");
            }
            if obfuscated {
                compose::push_obfuscation(out, salt ^ deltas);
            }
            self.close(if piece.paced { Pace::Token } else { Pace::Now });
            self.deltas += 1;
            if self.written.unknown && self.deltas.is_multiple_of(3) {
                self.unknown_event();
            }
        }
    }

    fn item(&mut self, index: usize, item: &Item, cut: bool) {
        let pace = if index == 0 { Pace::First } else { Pace::Now };
        self.item_event("response.output_item.added", index, item, "in_progress", pace);
        match item {
            Item::Unknown { .. } => {}
            Item::Reasoning { id, summary, .. } => self.reasoning(index, id, summary),
            Item::Hosted(call) => {
                let place = format!(",\"output_index\":{index},\"item_id\":\"{}\"", call.id);
                for (kind, tail) in &call.events {
                    let pairs: Vec<(&str, &Value)> = tail.iter().map(|(key, value)| (*key, value)).collect();
                    self.part_event(kind, &place, &pairs);
                }
            }
            Item::Message {
                id,
                pieces,
                refusal,
                annotations,
            } => self.message(index, id, pieces, *refusal, annotations),
            Item::Call { id, name, pieces, .. } => {
                let place = format!(",\"item_id\":\"{id}\",\"output_index\":{index}");
                self.deltas("response.function_call_arguments.delta", &place, pieces, false);
                if !cut {
                    let tail = [
                        ("arguments", &Value::from(pieces.text.as_str())),
                        ("name", &Value::from(name.as_str())),
                    ];
                    self.part_event("response.function_call_arguments.done", &place, &tail);
                }
            }
        }
        match (&self.written.composition.ending, cut) {
            (Ending::Failed { .. } | Ending::ErrorFlat | Ending::ErrorNested, true) => {}
            (_, true) => self.item_event("response.output_item.done", index, item, "incomplete", Pace::Now),
            (_, false) => self.item_event("response.output_item.done", index, item, "completed", Pace::Now),
        }
    }

    fn reasoning(&mut self, index: usize, id: &str, summary: &str) {
        if !self.written.asked.reasoning_summary {
            return;
        }
        let place = format!(",\"item_id\":\"{id}\",\"output_index\":{index},\"summary_index\":0");
        let begun = json!({ "type": "summary_text", "text": "" });
        self.part_event("response.reasoning_summary_part.added", &place, &[("part", &begun)]);
        let pieces = Pieces {
            text: summary.to_owned(),
            cut: crate::tokens::pieces(summary, None),
        };
        self.deltas("response.reasoning_summary_text.delta", &place, &pieces, false);
        let text = Value::from(summary);
        self.part_event("response.reasoning_summary_text.done", &place, &[("text", &text)]);
        let ended = json!({ "type": "summary_text", "text": summary });
        self.part_event("response.reasoning_summary_part.done", &place, &[("part", &ended)]);
    }

    fn message(&mut self, index: usize, id: &str, pieces: &Pieces, refusal: bool, annotations: &[Annotation]) {
        let place = format!(",\"item_id\":\"{id}\",\"output_index\":{index},\"content_index\":0");
        self.part("response.content_part.added", &place, "", refusal, &[]);
        let failed = matches!(
            self.written.composition.ending,
            Ending::Failed { .. } | Ending::ErrorFlat | Ending::ErrorNested
        );
        let text = Value::from(pieces.text.as_str());
        if refusal {
            self.deltas("response.refusal.delta", &place, pieces, false);
            if !failed {
                self.part_event("response.refusal.done", &place, &[("refusal", &text)]);
            }
        } else {
            self.cited_deltas(&place, pieces, annotations);
            if !failed {
                let tail = [("text", &text), ("logprobs", &json!([]))];
                self.part_event("response.output_text.done", &place, &tail);
            }
        }
        if !failed {
            self.part("response.content_part.done", &place, &pieces.text, refusal, annotations);
        }
    }

    /// The text, each annotation as soon as its words are out.
    fn cited_deltas(&mut self, place: &str, pieces: &Pieces, annotations: &[Annotation]) {
        let mut chars = 0;
        let mut told = 0;
        let mut begun = 0;
        for piece in &pieces.cut {
            let text = pieces.text.get(begun..piece.end).unwrap_or_default();
            begun = piece.end;
            chars += text.chars().count();
            let one = Pieces {
                text: text.to_owned(),
                cut: vec![crate::tokens::Piece {
                    end: text.len(),
                    paced: piece.paced,
                }],
            };
            self.deltas("response.output_text.delta", place, &one, true);
            for annotation in annotations
                .iter()
                .skip(told)
                .take_while(|annotation| annotation.end <= chars)
            {
                let tail = [
                    ("annotation_index", &Value::from(told)),
                    ("annotation", &annotation.value),
                ];
                self.part_event("response.output_text.annotation.added", place, &tail);
                told += 1;
            }
        }
    }

    fn part(&mut self, kind: &str, place: &str, text: &str, refusal: bool, annotations: &[Annotation]) {
        self.open(kind);
        let out = self.out();
        push_raw(out, place);
        push_raw(out, ",\"part\":");
        push_part(out, text, refusal, annotations);
        self.close(Pace::Now);
    }

    fn end(&mut self, echo: &Echo) {
        let kind = match self.written.composition.ending {
            Ending::Completed => "response.completed",
            Ending::Incomplete(_) => "response.incomplete",
            Ending::Failed { .. } => "response.failed",
            Ending::ErrorFlat => {
                self.open("error");
                let pairs = [
                    ("code", &Value::from("server_error")),
                    ("message", &Value::from(ERROR_MESSAGE)),
                    ("param", &Value::Null),
                ];
                compose::push_pairs(self.out(), &pairs);
                return self.close(Pace::Now);
            }
            Ending::ErrorNested => {
                self.open("error");
                let error =
                    json!({ "type": "server_error", "code": "server_error", "message": ERROR_MESSAGE, "param": null });
                compose::push_pairs(self.out(), &[("error", &error)]);
                return self.close(Pace::Now);
            }
        };
        self.open(kind);
        push_raw(self.out(), ",\"response\":");
        let written = self.written;
        written.push_ended(self.out(), echo);
        self.close(Pace::Now);
    }
}
