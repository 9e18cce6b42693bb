//! The body of `POST /responses`. What stays the same from turn to turn is written first, so that two bodies of one
//! conversation share their beginning byte for byte.

use crate::{
    dialect::{Ask, Dialect, Stage},
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

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    /// Sent as false on purpose: the default keeps every conversation at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Tool<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoice>,
    instructions: &'a str,
    input: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_obfuscation: bool,
}

#[derive(Serialize)]
struct Reasoning<'a> {
    effort: &'a str,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
}

#[derive(Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    strict: bool,
    schema: &'a RawValue,
}

#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    description: &'static str,
    strict: bool,
    parameters: &'a RawValue,
}

#[derive(Serialize)]
struct ToolChoice {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
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
    let format = (ask == Ask::Schema).then_some(Format {
        kind: "json_schema",
        name: SCHEMA_NAME,
        strict: true,
        schema: &schema,
    });
    let verbosity = dialect.verbosity.as_deref();
    wire::encode(&Body {
        model,
        stream: streamed,
        stream_options: (streamed && dialect.stream_options).then_some(StreamOptions {
            include_obfuscation: false,
        }),
        store: dialect.store.then_some(false),
        include: dialect.encrypted_reasoning.then_some(["reasoning.encrypted_content"]),
        prompt_cache_key: dialect.cache_key.then_some(&request.cache_key),
        max_output_tokens: two_step::limit(dialect, stage),
        reasoning: dialect.effort.as_deref().map(|effort| Reasoning { effort }),
        text: (format.is_some() || verbosity.is_some()).then_some(Text { format, verbosity }),
        tools: ask.is_function().then_some([Tool {
            kind: "function",
            name: FUNCTION_NAME,
            description: two_step::FUNCTION_DESCRIPTION,
            strict: true,
            parameters: &schema,
        }]),
        tool_choice: ask.is_function().then_some(ToolChoice {
            kind: "function",
            name: FUNCTION_NAME,
        }),
        instructions: &request.system,
        input: prompt_items::items(dialect, request, stage),
    })
}
