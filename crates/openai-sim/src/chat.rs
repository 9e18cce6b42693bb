//! The wire form of `/v1/chat/completions`: chunks with `[DONE]`, and the whole object; calls as `tool_calls` or
//! as the old `function_call`.
//!
//! Source: the official OpenAPI document (August 2026), `CreateChatCompletionStreamResponse`.

use serde_json::{Map, Value, json};

use crate::asked::Want;
use crate::compose::{self, Item, Pieces};
use crate::json::{push, push_raw};
use crate::plan::Ending;
use crate::player::{Events, Pace};
use crate::responses::Written;

impl Written<'_> {
    fn chat_usage(&self) -> Value {
        let output = self.composition.output_tokens;
        json!({
            "prompt_tokens": self.input.tokens,
            "completion_tokens": output,
            "total_tokens": self.input.tokens + output,
            "prompt_tokens_details": {
                "cached_tokens": self.input.cache.read, "cache_write_tokens": self.input.cache.written,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.composition.reasoning_tokens, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }

    /// A call of a function the request itself named ends with `stop`, one the model chose does not.
    fn finish_reason(&self) -> &'static str {
        let called = self
            .composition
            .items
            .iter()
            .any(|item| matches!(item, Item::Call { .. }));
        match &self.composition.ending {
            Ending::Incomplete(reason) if reason == "content_filter" => "content_filter",
            Ending::Incomplete(_) => "length",
            Ending::Completed | Ending::Failed { .. } | Ending::ErrorFlat | Ending::ErrorNested => {
                if !called || matches!(self.asked.want, Want::Function { named: true, .. }) {
                    "stop"
                } else if self.asked.legacy {
                    "function_call"
                } else {
                    "tool_calls"
                }
            }
        }
    }

    fn chat_error(&self) -> Value {
        let (code, message) = match &self.composition.ending {
            Ending::Failed { code, message } => (code.as_str(), message.as_str()),
            Ending::Completed | Ending::Incomplete(_) | Ending::ErrorFlat | Ending::ErrorNested => {
                ("server_error", "The server had an error while processing your request.")
            }
        };
        json!({ "message": message, "type": "server_error", "param": null, "code": code })
    }

    fn message(&self) -> Value {
        let mut message = Map::new();
        message.insert("role".to_owned(), "assistant".into());
        message.insert("content".to_owned(), Value::Null);
        message.insert("refusal".to_owned(), Value::Null);
        let mut calls = Vec::new();
        for item in &self.composition.items {
            match item {
                Item::Reasoning { summary, .. } => {
                    if self.asked.reasoning_content {
                        message.insert("reasoning_content".to_owned(), summary.as_str().into());
                    }
                }
                // Chat has no such tools.
                Item::Hosted(_) => {}
                Item::Unknown { id } => {
                    message.insert("hologram".to_owned(), json!({ "id": id, "depth": [1, null] }));
                }
                Item::Message { pieces, refusal, .. } => {
                    let key = if *refusal { "refusal" } else { "content" };
                    message.insert(key.to_owned(), pieces.text.as_str().into());
                }
                Item::Call {
                    call_id, name, pieces, ..
                } => {
                    let function = json!({ "name": name, "arguments": pieces.text });
                    if self.asked.legacy {
                        message.insert("function_call".to_owned(), function);
                    } else {
                        calls.push(json!({ "id": call_id, "type": "function", "function": function }));
                    }
                }
            }
        }
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), calls.into());
        }
        if !self.asked.legacy {
            message.insert("annotations".to_owned(), json!([]));
        }
        Value::Object(message)
    }
}

/// The answer as one object.
pub(crate) fn whole(written: &Written<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(written.composition.size().1);
    match written.composition.ending {
        Ending::Completed | Ending::Incomplete(_) => push(
            &mut out,
            &json!({
                "id": format!("chatcmpl-{}", written.stamp.hex),
                "object": "chat.completion",
                "created": written.stamp.created,
                "model": written.asked.model,
                "choices": [{
                    "index": 0, "message": written.message(), "logprobs": null,
                    "finish_reason": written.finish_reason(),
                }],
                "usage": written.chat_usage(),
                "service_tier": "default",
                "system_fingerprint": null,
            }),
        ),
        Ending::Failed { .. } | Ending::ErrorFlat | Ending::ErrorNested => {
            push(&mut out, &json!({ "error": written.chat_error() }));
        }
    }
    out
}

/// The answer as the chunks of a stream.
pub(crate) fn stream(written: &Written<'_>) -> Events {
    let (events, bytes) = written.composition.size();
    let mut head = Vec::new();
    push_raw(&mut head, "data: {\"id\":\"chatcmpl-");
    push_raw(&mut head, &written.stamp.hex);
    push_raw(&mut head, "\",\"object\":\"chat.completion.chunk\",\"created\":");
    push(&mut head, &written.stamp.created);
    push_raw(&mut head, ",\"model\":");
    push(&mut head, written.asked.model);
    push_raw(&mut head, ",\"service_tier\":\"default\",\"system_fingerprint\":null");
    let mut writer = Writer {
        events: Events::with_capacity(events, bytes),
        head,
        written,
        chunks: 0,
    };
    writer.begin();
    let mut calls = 0;
    for item in &written.composition.items {
        writer.item(item, &mut calls);
    }
    writer.end();
    writer.events
}

struct Writer<'a> {
    events: Events,
    head: Vec<u8>,
    written: &'a Written<'a>,
    chunks: u64,
}

impl Writer<'_> {
    /// Opens a chunk up to and including `"delta":`.
    fn open(&mut self) {
        self.events.bytes.extend_from_slice(&self.head);
        push_raw(&mut self.events.bytes, ",\"choices\":[{\"index\":0,\"delta\":");
    }

    fn close(&mut self, finish: Option<&str>, pace: Pace) {
        let obfuscated = self.written.asked.obfuscation;
        let out = &mut self.events.bytes;
        push_raw(out, ",\"logprobs\":null,\"finish_reason\":");
        push(out, &finish);
        push_raw(out, "}]");
        if self.written.asked.include_usage {
            push_raw(out, ",\"usage\":null");
        }
        if obfuscated {
            compose::push_obfuscation(out, self.written.stamp.created ^ self.chunks);
        }
        if self.written.unknown {
            push_raw(out, ",\"hologram\":{\"choices\":[]}");
        }
        push_raw(out, "}\n\n");
        self.events.close(pace);
        self.chunks += 1;
    }

    fn chunk(&mut self, delta: &Value, finish: Option<&str>, pace: Pace) {
        self.open();
        push(&mut self.events.bytes, delta);
        self.close(finish, pace);
    }

    fn begin(&mut self) {
        if self.written.unknown {
            push_raw(&mut self.events.bytes, ": keep-alive\n\n");
            self.events.close(Pace::Now);
            // Some servers open with a chunk that has no choice.
            self.events.bytes.extend_from_slice(&self.head);
            push_raw(
                &mut self.events.bytes,
                ",\"choices\":[],\"prompt_filter_results\":[]}\n\n",
            );
            self.events.close(Pace::Now);
        }
        let content = match self
            .written
            .composition
            .items
            .iter()
            .find(|item| !matches!(item, Item::Unknown { .. } | Item::Hosted(_)))
        {
            Some(Item::Call { .. }) => Value::Null,
            Some(_) | None => Value::from(""),
        };
        self.chunk(
            &json!({ "role": "assistant", "content": content, "refusal": null }),
            None,
            Pace::First,
        );
    }

    /// Deltas whose text stands between `before` and `behind`.
    fn deltas(&mut self, before: &str, pieces: &Pieces, behind: &str) {
        for (text, piece) in pieces.iter() {
            self.open();
            push_raw(&mut self.events.bytes, before);
            push(&mut self.events.bytes, text);
            push_raw(&mut self.events.bytes, behind);
            self.close(None, if piece.paced { Pace::Token } else { Pace::Now });
        }
    }

    fn item(&mut self, item: &Item, calls: &mut usize) {
        match item {
            Item::Hosted(_) => {}
            Item::Unknown { id } => self.chunk(&json!({ "hologram": { "id": id } }), None, Pace::Now),
            Item::Reasoning { summary, .. } => {
                if self.written.asked.reasoning_content {
                    let pieces = Pieces {
                        text: summary.clone(),
                        cut: crate::tokens::pieces(summary, None),
                    };
                    self.deltas("{\"reasoning_content\":", &pieces, "}");
                }
            }
            Item::Message {
                pieces, refusal: true, ..
            } => self.deltas("{\"refusal\":", pieces, "}"),
            Item::Message {
                pieces, refusal: false, ..
            } => self.deltas("{\"content\":", pieces, "}"),
            Item::Call { name, pieces, .. } if self.written.asked.legacy => {
                self.chunk(
                    &json!({ "function_call": { "name": name, "arguments": "" } }),
                    None,
                    Pace::Now,
                );
                self.deltas("{\"function_call\":{\"arguments\":", pieces, "}}");
            }
            Item::Call {
                call_id, name, pieces, ..
            } => {
                let index = *calls;
                *calls += 1;
                let function = json!({ "name": name, "arguments": "" });
                let call = json!({ "index": index, "id": call_id, "type": "function", "function": function });
                self.chunk(&json!({ "tool_calls": [call] }), None, Pace::Now);
                let before = format!("{{\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":");
                self.deltas(&before, pieces, "}}]}");
            }
        }
    }

    fn end(&mut self) {
        match self.written.composition.ending {
            Ending::Failed { .. } | Ending::ErrorFlat | Ending::ErrorNested => {
                push_raw(&mut self.events.bytes, "data: ");
                push(&mut self.events.bytes, &json!({ "error": self.written.chat_error() }));
                push_raw(&mut self.events.bytes, "\n\n");
                return self.events.close(Pace::Now);
            }
            Ending::Completed | Ending::Incomplete(_) => {}
        }
        let finish = self.written.finish_reason();
        self.chunk(&json!({}), Some(finish), Pace::Now);
        if self.written.asked.include_usage {
            self.events.bytes.extend_from_slice(&self.head);
            push_raw(&mut self.events.bytes, ",\"choices\":[]");
            compose::push_pairs(&mut self.events.bytes, &[("usage", &self.written.chat_usage())]);
            push_raw(&mut self.events.bytes, "}\n\n");
            self.events.close(Pace::Now);
        }
        push_raw(&mut self.events.bytes, "data: [DONE]\n\n");
        self.events.close(Pace::Now);
    }
}
