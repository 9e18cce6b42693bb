//! The body of `POST /responses`. What stays the same from turn to turn is written first, so that two bodies of one
//! conversation share their beginning byte for byte.

use crate::{
    dialect::{Ask, Dialect, Stage},
    error::LlmError,
    offers::Choice,
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
    tools: Option<Vec<Tool<'a>>>,
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
    name: &'a str,
    description: &'a str,
    strict: bool,
    parameters: &'a RawValue,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ToolChoice {
    Mode(&'static str),
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'static str,
    },
}

/// The tools of a request: what is offered, then the answer itself where it is one.
fn tools<'a>(
    dialect: &Dialect,
    request: &'a ModelRequest,
    stage: Stage<'_>,
    schema: &'a RawValue,
) -> Result<Vec<Tool<'a>>, LlmError> {
    // The API has no tool without it.
    let strict = dialect.offers.strict;
    let mut tools = Vec::new();
    if dialect.offers_tools(stage, request) {
        for tool in request.tools.iter() {
            tools.push(Tool {
                kind: "function",
                name: &tool.name,
                description: &tool.description,
                strict,
                parameters: wire::raw_ref(&tool.parameters)?,
            });
        }
    }
    if dialect.ask(stage).is_function() {
        tools.push(Tool {
            kind: "function",
            name: FUNCTION_NAME,
            description: two_step::FUNCTION_DESCRIPTION,
            strict,
            parameters: schema,
        });
    }
    Ok(tools)
}

fn tool_choice(choice: Choice) -> Option<ToolChoice> {
    match choice {
        Choice::Unsaid | Choice::Auto => None,
        Choice::Required => Some(ToolChoice::Mode("required")),
        Choice::None => Some(ToolChoice::Mode("none")),
        Choice::Answer => Some(ToolChoice::Function {
            kind: "function",
            name: FUNCTION_NAME,
        }),
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
    let format = (ask == Ask::Schema).then_some(Format {
        kind: "json_schema",
        name: SCHEMA_NAME,
        strict: true,
        schema: &schema,
    });
    let tools = Some(tools(dialect, request, stage, &schema)?).filter(|list| !list.is_empty());
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
        tool_choice: tools
            .as_ref()
            .and_then(|_: &Vec<Tool<'_>>| tool_choice(dialect.choice(stage, request))),
        tools,
        instructions: &request.system,
        input: prompt_items::items(dialect, request, stage)?,
    })
}
