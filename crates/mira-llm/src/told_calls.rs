//! Calls and their outputs as they stand in a request, in each of the forms that servers take. Not here: where in the
//! request they stand (`prompt_items`) and which form it is (`offers`).
//!
//! Invariant: the same call is told in the same bytes every time, and every call told has its output.

use crate::{
    error::LlmError,
    offers::{Offers, Told},
    wire,
};
use mira_core::tool::{PastCall, Round};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt::Write};

/// A call with what came of it.
pub(crate) struct Call<'a> {
    id: Cow<'a, str>,
    name: &'a str,
    arguments: &'a str,
    output: &'a str,
}

impl<'a> Call<'a> {
    /// A call of an earlier reply; the provider's name for it is not kept, so it goes by Mira's.
    pub fn past(call: &'a PastCall) -> Self {
        Self {
            id: format!("call_{}", call.id.0.as_simple()).into(),
            name: &call.name,
            arguments: &call.arguments,
            output: &call.output,
        }
    }

    /// The calls of a round of this reply.
    pub fn of_round(round: &'a Round) -> Vec<Self> {
        let outputs = round.outputs.iter().map(String::as_str);
        let calls = round.asked.calls.iter();
        // A call without an output would be refused; the driver gives each one.
        calls
            .zip(outputs.chain(std::iter::repeat("")))
            .map(|(call, output)| Self {
                id: Cow::Borrowed(&call.call_id),
                name: &call.name,
                arguments: &call.arguments,
                output,
            })
            .collect()
    }

    /// Its arguments as JSON: templates of chat servers parse them and fail on anything else.
    fn json(&self) -> &'a str {
        match serde_json::from_str::<IgnoredAny>(self.arguments) {
            Ok(_) => self.arguments,
            Err(_) => "{}",
        }
    }
}

/// One item that stands for calls or for an output.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Called<'a> {
    /// A call in the Responses API.
    Item {
        #[serde(rename = "type")]
        kind: &'static str,
        call_id: Cow<'a, str>,
        name: &'a str,
        arguments: &'a str,
    },
    /// Its output.
    Output {
        #[serde(rename = "type")]
        kind: &'static str,
        call_id: Cow<'a, str>,
        output: &'a str,
    },
    /// Calls in Chat Completions.
    Message {
        role: &'static str,
        content: Option<&'a str>,
        tool_calls: Vec<ToolCall<'a>>,
    },
    /// The output of one.
    Tool {
        role: &'static str,
        tool_call_id: Cow<'a, str>,
        content: &'a str,
    },
    /// A call in the legacy form, which knows one at a time.
    Legacy {
        role: &'static str,
        content: Option<&'a str>,
        function_call: Function<'a>,
    },
    /// Its output.
    Function {
        role: &'static str,
        name: &'a str,
        content: &'a str,
    },
}

/// A call inside a message.
#[derive(Debug, Serialize)]
pub(crate) struct ToolCall<'a> {
    id: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

/// What is called.
#[derive(Debug, Serialize)]
pub(crate) struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// Calls and their outputs after what was `said`; nothing where they are told in words.
pub(crate) fn called<'a>(told: Told, offers: &Offers, said: &'a str, calls: &[Call<'a>]) -> Option<Vec<Called<'a>>> {
    let content = Some(said).filter(|said| !said.is_empty() || !offers.null_content);
    let silent = Some("").filter(|_| !offers.null_content);
    let mut items = Vec::with_capacity(calls.len() * 2);
    match told {
        Told::Words => return None,
        Told::Items => {
            items.extend(calls.iter().map(|call| Called::Item {
                kind: "function_call",
                call_id: call.id.clone(),
                name: call.name,
                arguments: call.arguments,
            }));
            items.extend(outputs(calls));
        }
        Told::Tools => {
            items.push(Called::Message {
                role: "assistant",
                content,
                tool_calls: calls
                    .iter()
                    .map(|call| ToolCall {
                        id: call.id.clone(),
                        kind: "function",
                        function: Function {
                            name: call.name,
                            arguments: call.json(),
                        },
                    })
                    .collect(),
            });
            items.extend(calls.iter().map(|call| Called::Tool {
                role: "tool",
                tool_call_id: call.id.clone(),
                content: call.output,
            }));
        }
        Told::Functions => {
            for (index, call) in calls.iter().enumerate() {
                items.push(Called::Legacy {
                    role: "assistant",
                    content: if index == 0 { content } else { silent },
                    function_call: Function {
                        name: call.name,
                        arguments: call.json(),
                    },
                });
                items.push(Called::Function {
                    role: "function",
                    name: call.name,
                    content: call.output,
                });
            }
        }
    }
    Some(items)
}

/// The outputs alone, as the Responses API takes them.
pub(crate) fn outputs<'a>(calls: &[Call<'a>]) -> impl Iterator<Item = Called<'a>> {
    calls.iter().map(|call| Called::Output {
        kind: "function_call_output",
        call_id: call.id.clone(),
        output: call.output,
    })
}

/// What was called, in words, before the text that followed.
pub(crate) fn words(calls: &[Call<'_>], text: &str) -> String {
    let mut words = String::new();
    for call in calls {
        if !words.is_empty() {
            words.push('\n');
        }
        // Writing to a string does not fail.
        if write!(
            words,
            "[called {} {}: {}]",
            call.name,
            call.arguments.trim(),
            call.output.trim()
        )
        .is_err()
        {
            break;
        }
    }
    if !text.is_empty() {
        words.push_str("\n\n");
        words.push_str(text);
    }
    words
}

/// The provider's items of a round.
pub(crate) struct Carried<'a> {
    /// As they came.
    pub items: Vec<&'a RawValue>,
    /// Whether what was said stands among them.
    pub has_message: bool,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
}

/// The provider's items of a round, to be sent back as they came.
pub(crate) fn carried(round: &Round) -> Result<Carried<'_>, LlmError> {
    let items: Vec<&RawValue> = round
        .asked
        .carry
        .iter()
        .map(|item| wire::raw_ref(item))
        .collect::<Result<_, _>>()?;
    let is_message =
        |item: &&RawValue| serde_json::from_str::<Kind<'_>>(item.get()).is_ok_and(|head| head.kind == "message");
    let has_message = items.iter().any(is_message);
    Ok(Carried { items, has_message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(arguments: &'a str, output: &'a str) -> Call<'a> {
        Call {
            id: "call_1".into(),
            name: "recall",
            arguments,
            output,
        }
    }

    fn check(told: Told, calls: &[Call<'_>], expect: &str) {
        let told = called(told, &Offers::default(), "", calls).unwrap();
        assert_eq!(serde_json::to_string(&told).unwrap(), expect);
    }

    #[test]
    fn every_form_has_its_bytes() {
        check(
            Told::Items,
            &[call("{\"a\":1}", "x")],
            r#"[{"type":"function_call","call_id":"call_1","name":"recall","arguments":"{\"a\":1}"},{"type":"function_call_output","call_id":"call_1","output":"x"}]"#,
        );
        check(
            Told::Tools,
            &[call("not JSON", "x")],
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"recall","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"x"}]"#,
        );
        check(
            Told::Functions,
            &[call("{}", "x")],
            r#"[{"role":"assistant","content":null,"function_call":{"name":"recall","arguments":"{}"}},{"role":"function","name":"recall","content":"x"}]"#,
        );
    }

    #[test]
    fn words_are_compact() {
        let calls = [call("{\"a\":1}", "x\n"), call("{}", "y")];
        assert_eq!(
            words(&calls, "So."),
            "[called recall {\"a\":1}: x]\n[called recall {}: y]\n\nSo."
        );
        assert_eq!(words(&calls[..1], ""), "[called recall {\"a\":1}: x]");
    }
}
