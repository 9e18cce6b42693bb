//! What a request asks for, the same for both model endpoints. Lenient: it reads what it understands and leaves
//! judging to `rules`.

use std::borrow::Cow;

use serde_json::Value;

use crate::cache::Prompt;
use crate::rehearsal::Offer;

/// Which of the model endpoints was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Responses,
    Chat,
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want<'a> {
    Text,
    /// JSON, of this schema if one was given.
    Json(Option<&'a Value>),
    /// A forced call. `named` when the request names this very function.
    Function {
        name: &'a str,
        parameters: &'a Value,
        named: bool,
        /// Whether it must be called. It is the answer's own function where not: a model told so calls it anyway.
        forced: bool,
    },
}

/// A call made since the owner's last words, with its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done<'a> {
    call_id: &'a str,
    pub name: &'a str,
    pub output: Cow<'a, str>,
}

/// A request, read.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub api: Api,
    pub body: &'a Value,
    pub model: &'a str,
    pub stream: bool,
    pub want: Want<'a>,
    /// Chat's old `functions` form.
    pub legacy: bool,
    pub obfuscation: bool,
    pub include_usage: bool,
    pub encrypted_reasoning: bool,
    pub reasoning_summary: bool,
    /// Chat servers other than OpenAI's show reasoning as `reasoning_content`; the server sets this.
    pub reasoning_content: bool,
    pub max_tokens: Option<usize>,
    pub user_words: Vec<Cow<'a, str>>,
    /// The last developer or system message with a state block.
    pub state: Option<Cow<'a, str>>,
    /// The first developer or system text; empty when there is none.
    pub instructions: Cow<'a, str>,
    /// The text of the last message, whoever wrote it.
    pub last_text: Cow<'a, str>,
    /// The functions that may be called; none where the request says so or names one itself.
    pub offered: Vec<Offer<'a>>,
    /// What was called for the owner's last words.
    pub done: Vec<Done<'a>>,
    /// In how many rounds.
    pub rounds: usize,
}

static NULL: Value = Value::Null;

/// A field of an object, null when absent.
pub(crate) fn field<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&NULL)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// Items of an array field, nothing when it is none.
pub(crate) fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text of a message's content: a string, or its text parts joined.
fn content_text(content: &Value) -> Cow<'_, str> {
    match content {
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(parts) => match parts.as_slice() {
            [part] => Cow::Borrowed(text(part, "text").unwrap_or_default()),
            parts => Cow::Owned(
                parts
                    .iter()
                    .filter_map(|part| text(part, "text"))
                    .collect::<Vec<_>>()
                    .join("\n"),
            ),
        },
        _ => Cow::Borrowed(""),
    }
}

/// Whether a picture is among the parts of a message's content.
fn has_picture(content: &Value) -> bool {
    let parts = content.as_array().map_or(&[][..], Vec::as_slice);
    parts
        .iter()
        .any(|part| matches!(text(part, "type"), Some("input_image" | "image_url")))
}

/// Whether this is what came of a call.
fn is_output(item: &Value) -> bool {
    text(item, "type") == Some("function_call_output") || matches!(text(item, "role"), Some("tool" | "function"))
}

impl<'a> Asked<'a> {
    /// Reads a request of `api`.
    pub(crate) fn read(api: Api, body: &'a Value) -> Self {
        let options = field(body, "stream_options");
        let max_keys: &[&str] = match api {
            Api::Responses => &["max_output_tokens"],
            Api::Chat => &["max_completion_tokens", "max_tokens"],
        };
        let max_tokens = max_keys.iter().find_map(|key| body.get(*key).and_then(Value::as_u64));
        let mut asked = Self {
            api,
            body,
            model: text(body, "model").unwrap_or_default(),
            stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
            want: match api {
                Api::Responses => want_of_response(body),
                Api::Chat => want_of_chat(body),
            },
            legacy: api == Api::Chat && body.get("functions").is_some(),
            obfuscation: options
                .get("include_obfuscation")
                .and_then(Value::as_bool)
                .unwrap_or(true),
            include_usage: options.get("include_usage").and_then(Value::as_bool).unwrap_or(false),
            encrypted_reasoning: items(body, "include")
                .iter()
                .any(|item| item == "reasoning.encrypted_content"),
            reasoning_summary: field(body, "reasoning")
                .get("summary")
                .is_some_and(|summary| !summary.is_null()),
            reasoning_content: false,
            max_tokens: max_tokens.and_then(|most| usize::try_from(most).ok()),
            user_words: Vec::new(),
            state: None,
            instructions: Cow::Borrowed(""),
            last_text: Cow::Borrowed(""),
            offered: offered(api, body),
            done: Vec::new(),
            rounds: 0,
        };
        asked.read_messages();
        asked
    }

    fn read_messages(&mut self) {
        let body = self.body;
        let messages = match self.api {
            Api::Responses => {
                match field(body, "input") {
                    Value::String(words) => {
                        self.user_words.push(Cow::Borrowed(words));
                        self.last_text = Cow::Borrowed(words);
                    }
                    _ => self.note("system", content_text(field(body, "instructions"))),
                }
                items(body, "input")
            }
            Api::Chat => items(body, "messages"),
        };
        let (mut calling, mut told) = (false, false);
        for message in messages {
            let calls = self.note_calls(message);
            self.rounds += usize::from(calls && !calling);
            calling = calls;
            let content = field(message, "content");
            let role = text(message, "role");
            // What tools have shown comes with nobody's words.
            let shown = told && role == Some("user") && has_picture(content);
            if let Some(role) = role.filter(|_| !shown) {
                self.note(role, content_text(content));
            }
            told = shown || is_output(message);
        }
    }

    fn note(&mut self, role: &str, words: Cow<'a, str>) {
        if self.instructions.is_empty() && matches!(role, "system" | "developer") {
            self.instructions = words.clone();
        }
        match role {
            "user" => {
                self.user_words.push(words.clone());
                self.done.clear();
                self.rounds = 0;
            }
            // What a tool says is nobody's message.
            "tool" | "function" => return,
            "system" | "developer" if words.lines().any(|line| line.trim() == "[state]") => {
                self.state = Some(words.clone());
            }
            _ => {}
        }
        self.last_text = words;
    }

    /// Takes calls and outputs, in whichever form; whether the item is a call.
    fn note_calls(&mut self, item: &'a Value) -> bool {
        let mut called = |call_id: Option<&'a str>, function: &'a Value| {
            self.done.push(Done {
                call_id: call_id.unwrap_or_default(),
                name: text(function, "name").unwrap_or_default(),
                output: Cow::Borrowed(""),
            });
        };
        match (text(item, "type"), text(item, "role")) {
            (Some("function_call"), _) => {
                called(text(item, "call_id"), item);
                return true;
            }
            (Some("function_call_output"), _) => {
                self.note_output(text(item, "call_id"), content_text(field(item, "output")));
            }
            (_, Some("assistant")) => {
                let calls = items(item, "tool_calls");
                for call in calls {
                    called(text(call, "id"), field(call, "function"));
                }
                let legacy = field(item, "function_call");
                if legacy.is_object() {
                    called(text(legacy, "name"), legacy);
                }
                return !calls.is_empty() || legacy.is_object();
            }
            (_, Some("tool")) => self.note_output(text(item, "tool_call_id"), content_text(field(item, "content"))),
            (_, Some("function")) => self.note_output(text(item, "name"), content_text(field(item, "content"))),
            _ => {}
        }
        false
    }

    fn note_output(&mut self, call_id: Option<&str>, output: Cow<'a, str>) {
        let call = self
            .done
            .iter_mut()
            .rfind(|done| Some(done.call_id) == call_id && done.output.is_empty());
        if let Some(call) = call {
            call.output = output;
        }
    }

    /// The last user message, empty when there is none.
    pub(crate) fn owner_words(&self) -> &str {
        self.user_words.last().map_or("", |words| words)
    }

    /// The prompt as the model sees it, for counting and caching.
    pub(crate) fn prompt(&self) -> Prompt {
        let mut prompt = Prompt::default();
        for key in ["model", "tools", "functions", "response_format", "text", "instructions"] {
            prompt.add(field(self.body, key));
        }
        match field(self.body, "input") {
            Value::Array(items) => {
                for item in items {
                    prompt.add(item);
                }
            }
            other => prompt.add(other),
        }
        for message in items(self.body, "messages") {
            prompt.add(message);
        }
        prompt
    }
}

/// The functions of a request, whichever form it has.
fn functions(api: Api, body: &Value) -> Vec<&Value> {
    let tools = items(body, "tools").iter();
    match api {
        Api::Responses => tools.filter(|tool| text(tool, "type") == Some("function")).collect(),
        Api::Chat => {
            let nested = tools.filter_map(|tool| tool.get("function"));
            nested.chain(items(body, "functions")).collect()
        }
    }
}

/// The functions the model may choose among.
fn offered(api: Api, body: &Value) -> Vec<Offer<'_>> {
    let choice = match field(body, "tool_choice") {
        Value::Null => field(body, "function_call"),
        choice => choice,
    };
    match choice {
        Value::Null => {}
        Value::String(mode) if mode != "none" => {}
        _ => return Vec::new(),
    }
    functions(api, body)
        .into_iter()
        .filter_map(|function| {
            Some(Offer {
                name: text(function, "name")?,
                description: text(function, "description").unwrap_or_default(),
                parameters: field(function, "parameters"),
            })
        })
        .collect()
}

/// The function that takes a whole reply, if there is one among those that may be called.
fn reply_function(api: Api, body: &Value) -> Option<&Value> {
    let takes_reply = |function: &&Value| {
        field(field(function, "parameters"), "properties")
            .get("output")
            .is_some()
    };
    if offered(api, body).is_empty() {
        return None;
    }
    functions(api, body).into_iter().find(takes_reply)
}

/// A choice that names no function: the reply's own one if there is one, else the first that must be called.
fn unnamed(api: Api, body: &Value) -> Option<Want<'_>> {
    let forced = field(body, "tool_choice") == "required";
    let reply = reply_function(api, body);
    let function = reply.or_else(|| functions(api, body).into_iter().next().filter(|_| forced))?;
    Some(Want::Function {
        name: text(function, "name").unwrap_or_default(),
        parameters: field(function, "parameters"),
        named: false,
        forced,
    })
}

fn want_of_response(body: &Value) -> Want<'_> {
    let choice = field(body, "tool_choice");
    let allowed = choice.get("mode").and_then(Value::as_str) == Some("required");
    let named = text(choice, "name").or_else(|| {
        let first = items(choice, "tools").iter().find_map(|tool| text(tool, "name"));
        first.filter(|_| allowed)
    });
    let format = field(field(body, "text"), "format");
    let json = || match text(format, "type") {
        Some("json_schema") => Some(Want::Json(format.get("schema"))),
        Some("json_object") => Some(Want::Json(None)),
        _ => None,
    };
    want(Api::Responses, body, named, json)
}

fn want_of_chat(body: &Value) -> Want<'_> {
    let named = field(field(body, "tool_choice"), "function")
        .get("name")
        .and_then(Value::as_str);
    let named = named.or_else(|| text(field(body, "function_call"), "name"));
    let format = field(body, "response_format");
    let json = || match text(format, "type") {
        Some("json_schema") => Some(Want::Json(field(format, "json_schema").get("schema"))),
        Some("json_object") => Some(Want::Json(None)),
        _ => None,
    };
    want(Api::Chat, body, named, json)
}

/// A named function, one that must be called, JSON, the reply's own function, or text.
fn want<'a>(api: Api, body: &'a Value, named: Option<&str>, json: impl Fn() -> Option<Want<'a>>) -> Want<'a> {
    if let Some(named) = named
        && let Some(function) = functions(api, body)
            .into_iter()
            .find(|function| text(function, "name") == Some(named))
    {
        return Want::Function {
            name: text(function, "name").unwrap_or_default(),
            parameters: field(function, "parameters"),
            named: true,
            forced: true,
        };
    }
    let required = field(body, "tool_choice") == "required";
    unnamed(api, body)
        .filter(|_| required)
        .or_else(json)
        .or_else(|| unnamed(api, body))
        .unwrap_or(Want::Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_tools_have_shown_is_not_said_by_the_owner() {
        let said = json!({ "role": "user", "content": "Look at it." });
        let picture =
            json!([{ "type": "input_text", "text": "Pictures." }, { "type": "input_image", "image_url": "data:" }]);
        let shown = json!({ "role": "user", "content": picture });
        let call = json!({ "type": "function_call", "call_id": "1", "name": "see", "arguments": "{}" });
        let output = json!({ "type": "function_call_output", "call_id": "1", "output": "seen" });
        let read = |input: &[&Value]| {
            let body = json!({ "model": "m", "input": input });
            let asked = Asked::read(Api::Responses, &body);
            (asked.owner_words().to_owned(), asked.done.len(), asked.rounds)
        };
        assert_eq!(read(&[&said, &call, &output, &shown]), ("Look at it.".to_owned(), 1, 1));
        assert_eq!(
            read(&[&said, &call, &output, &shown, &call, &output]),
            ("Look at it.".to_owned(), 2, 2)
        );
        // The owner's own pictures are.
        assert_eq!(read(&[&said, &shown]), ("Pictures.".to_owned(), 0, 0));
    }
}
