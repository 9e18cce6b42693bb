//! The body of `POST /chat/completions`. What stays the same from turn to turn is written first, so that two bodies of
//! one conversation share their beginning byte for byte.

use crate::{
    dialect::{Ask, Dialect, LimitName, Stage},
    error::LlmError,
    offers::Choice,
    pictures::Content,
    prompt_items::{self, Item, Said},
    two_step, wire,
};
use bytes::Bytes;
use mira_core::{
    model::ModelRequest,
    reply::{FUNCTION_NAME, SCHEMA_NAME},
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Vec<Tool<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    functions: Option<Vec<Function<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall>,
    messages: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct ResponseFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'static str,
    strict: bool,
    schema: &'a RawValue,
}

#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    /// Not a field of the legacy form.
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    parameters: &'a RawValue,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ToolChoice {
    Mode(&'static str),
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        function: Named,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum FunctionCall {
    Mode(&'static str),
    Function(Named),
}

#[derive(Serialize)]
struct Named {
    name: &'static str,
}

const NAMED: Named = Named { name: FUNCTION_NAME };

/// The functions of a request: what is offered, then the answer itself where it is one.
fn functions<'a>(
    dialect: &Dialect,
    request: &'a ModelRequest,
    stage: Stage<'_>,
    schema: &'a RawValue,
) -> Result<Vec<Function<'a>>, LlmError> {
    let ask = dialect.ask(stage);
    let strict = |strict: bool| (ask != Ask::LegacyFunction && strict).then_some(true);
    let mut functions = Vec::new();
    for (tool, is_strict) in dialect.offered(stage, request) {
        functions.push(Function {
            name: &tool.name,
            description: &tool.description,
            strict: strict(is_strict),
            parameters: wire::raw_ref(&tool.parameters)?,
        });
    }
    if ask.is_function() {
        functions.push(Function {
            name: FUNCTION_NAME,
            description: two_step::FUNCTION_DESCRIPTION,
            strict: strict(dialect.offers.strict),
            parameters: schema,
        });
    }
    Ok(functions)
}

fn tool_choice(choice: Choice) -> Option<ToolChoice> {
    match choice {
        Choice::Unsaid | Choice::Auto => None,
        Choice::Required => Some(ToolChoice::Mode("required")),
        Choice::None => Some(ToolChoice::Mode("none")),
        Choice::Answer => Some(ToolChoice::Function {
            kind: "function",
            function: NAMED,
        }),
    }
}

fn function_call(choice: Choice) -> FunctionCall {
    match choice {
        Choice::Unsaid | Choice::Auto | Choice::Required | Choice::None => FunctionCall::Mode("auto"),
        Choice::Answer => FunctionCall::Function(NAMED),
    }
}

/// The body of one call.
pub(crate) fn body(
    dialect: &Dialect,
    model: &str,
    request: &ModelRequest,
    stage: Stage<'_>,
) -> Result<Bytes, LlmError> {
    let ask = dialect.ask(stage);
    let streamed = stage == Stage::Reply;
    let schema = wire::raw(two_step::schema(request, stage))?;
    let limit = |name| two_step::limit(dialect, stage).filter(|_| dialect.limit_name == name);
    let choice = dialect.choice(stage, request);
    let functions = Some(functions(dialect, request, stage, &schema)?).filter(|list| !list.is_empty());
    let (tools, functions) = match ask {
        Ask::LegacyFunction => (None, functions),
        Ask::Schema | Ask::Tool | Ask::Words => {
            let tool = |function| Tool {
                kind: "function",
                function,
            };
            (functions.map(|list| list.into_iter().map(tool).collect()), None)
        }
    };
    let mut messages = Vec::with_capacity(request.messages.len() + 4);
    messages.push(Item::Said(Said {
        role: prompt_items::top_role(dialect),
        content: Content::Text(Cow::Borrowed(&*request.system)),
    }));
    messages.extend(prompt_items::items(dialect, request, stage)?);
    wire::encode(&Body {
        model,
        stream: streamed,
        stream_options: (streamed && dialect.stream_options).then_some(StreamOptions { include_usage: true }),
        prompt_cache_key: dialect.cache_key.then_some(&request.cache_key),
        max_completion_tokens: limit(LimitName::MaxCompletionTokens),
        max_tokens: limit(LimitName::MaxTokens),
        reasoning_effort: dialect.effort.as_deref(),
        verbosity: dialect.verbosity.as_deref(),
        response_format: (ask == Ask::Schema).then_some(ResponseFormat {
            kind: "json_schema",
            json_schema: JsonSchema {
                name: SCHEMA_NAME,
                strict: true,
                schema: &schema,
            },
        }),
        tool_choice: tools.as_ref().and_then(|_: &Vec<Tool<'_>>| tool_choice(choice)),
        tools,
        function_call: functions.is_some().then(|| function_call(choice)),
        functions,
        messages,
    })
}
