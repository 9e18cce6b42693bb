//! What a request asks for, the same for both model endpoints. Lenient: it reads what it understands and leaves
//! judging to `rules`.

use std::borrow::Cow;

use serde_json::Value;

use crate::cache::Prompt;

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
    },
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
        for message in messages {
            if let Some(role) = text(message, "role") {
                self.note(role, content_text(field(message, "content")));
            }
        }
    }

    fn note(&mut self, role: &str, words: Cow<'a, str>) {
        if self.instructions.is_empty() && matches!(role, "system" | "developer") {
            self.instructions = words.clone();
        }
        match role {
            "user" => self.user_words.push(words.clone()),
            "system" | "developer" if words.lines().any(|line| line.trim() == "[state]") => {
                self.state = Some(words.clone());
            }
            _ => {}
        }
        self.last_text = words;
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

fn want_of_response(body: &Value) -> Want<'_> {
    let tools = items(body, "tools");
    let functions = || tools.iter().filter(|tool| text(tool, "type") == Some("function"));
    let choice = field(body, "tool_choice");
    let allowed = choice.get("mode").and_then(Value::as_str) == Some("required");
    let named = text(choice, "name").or_else(|| {
        let first = items(choice, "tools").iter().find_map(|tool| text(tool, "name"));
        first.filter(|_| allowed)
    });
    let tool = match named {
        Some(name) => functions().find(|tool| text(tool, "name") == Some(name)),
        None if choice == "required" => functions().next(),
        None => None,
    };
    if let Some(tool) = tool {
        let name = text(tool, "name").unwrap_or_default();
        return Want::Function {
            name,
            parameters: field(tool, "parameters"),
            named: named.is_some(),
        };
    }
    let format = field(field(body, "text"), "format");
    match text(format, "type") {
        Some("json_schema") => Want::Json(format.get("schema")),
        Some("json_object") => Want::Json(None),
        _ => Want::Text,
    }
}

fn want_of_chat(body: &Value) -> Want<'_> {
    let choice = field(body, "tool_choice");
    let named = field(choice, "function").get("name").and_then(Value::as_str);
    let legacy = text(field(body, "function_call"), "name");
    let mut tools = items(body, "tools").iter().map(|tool| field(tool, "function"));
    let function = match (named, legacy) {
        (Some(name), _) => tools.find(|function| text(function, "name") == Some(name)),
        (None, Some(name)) => items(body, "functions")
            .iter()
            .find(|function| text(function, "name") == Some(name)),
        (None, None) if choice == "required" => tools.next(),
        (None, None) => None,
    };
    if let Some(function) = function {
        let name = text(function, "name").unwrap_or_default();
        return Want::Function {
            name,
            parameters: field(function, "parameters"),
            named: choice != "required",
        };
    }
    let format = field(body, "response_format");
    match text(format, "type") {
        Some("json_schema") => Want::Json(field(format, "json_schema").get("schema")),
        Some("json_object") => Want::Json(None),
        _ => Want::Text,
    }
}
