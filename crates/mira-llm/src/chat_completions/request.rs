//! The body of `POST /chat/completions`. What stays the same from turn to turn is written first, so that two bodies of
//! one conversation share their beginning byte for byte.

use crate::{
    dialect::{Ask, Dialect, LimitName, Stage},
    error::LlmError,
    prompt_items::{self, Item},
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
    tools: Option<[Tool<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    functions: Option<[Function<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Named>,
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
    name: &'static str,
    description: &'static str,
    /// Not a field of the legacy form.
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    parameters: &'a RawValue,
}

#[derive(Serialize)]
struct ToolChoice {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Named,
}

#[derive(Serialize)]
struct Named {
    name: &'static str,
}

/// The body of one call.
pub(crate) fn body(
    dialect: &Dialect,
    model: &str,
    request: &ModelRequest,
    stage: Stage<'_>,
) -> Result<Bytes, LlmError> {
    const NAMED: Named = Named { name: FUNCTION_NAME };
    let ask = dialect.ask(stage);
    let streamed = stage == Stage::Reply;
    let schema = wire::raw(two_step::schema(request, stage))?;
    let limit = |name| two_step::limit(dialect, stage).filter(|_| dialect.limit_name == name);
    let function = |strict| Function {
        name: FUNCTION_NAME,
        description: two_step::FUNCTION_DESCRIPTION,
        strict,
        parameters: &schema,
    };
    let mut messages = Vec::with_capacity(request.messages.len() + 4);
    messages.push(Item {
        role: prompt_items::top_role(dialect),
        content: Cow::Borrowed(&*request.system),
    });
    messages.extend(prompt_items::items(dialect, request, stage));
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
        tools: (ask == Ask::Tool).then(|| {
            [Tool {
                kind: "function",
                function: function(Some(true)),
            }]
        }),
        tool_choice: (ask == Ask::Tool).then_some(ToolChoice {
            kind: "function",
            function: NAMED,
        }),
        functions: (ask == Ask::LegacyFunction).then(|| [function(None)]),
        function_call: (ask == Ask::LegacyFunction).then_some(NAMED),
        messages,
    })
}
