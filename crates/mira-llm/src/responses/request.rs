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
    model::{HostedTool, ModelRequest},
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
    include: Option<Vec<&'static str>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tool_calls: Option<u32>,
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
#[serde(tag = "type", rename_all = "snake_case")]
enum Tool<'a> {
    Function {
        name: &'a str,
        description: &'a str,
        strict: bool,
        parameters: &'a RawValue,
    },
    WebSearch,
    CodeInterpreter {
        container: Container<'a>,
    },
    FileSearch {
        vector_store_ids: &'a [String],
    },
    ImageGeneration {
        #[serde(skip_serializing_if = "Option::is_none")]
        partial_images: Option<u8>,
    },
}

/// The place where a provider runs code: a fresh one with these files in it.
#[derive(Serialize)]
struct Container<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    file_ids: Vec<&'a str>,
}

/// How often a picture is shown while it is drawn; each time costs some tokens.
const SKETCHES: u8 = 2;

/// The most calls of its own tools that a provider may make in one answer; it refuses none and counts no functions.
const MOST_HOSTED_CALLS: u32 = 32;

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

/// A tool the provider runs.
fn hosted<'a>(dialect: &Dialect, tool: &'a HostedTool) -> Tool<'a> {
    match tool {
        HostedTool::WebSearch => Tool::WebSearch,
        HostedTool::CodeInterpreter { files } => Tool::CodeInterpreter {
            container: Container {
                kind: "auto",
                file_ids: dialect.hosted.container_files(files),
            },
        },
        HostedTool::FileSearch { stores } => Tool::FileSearch {
            vector_store_ids: stores,
        },
        HostedTool::ImageGeneration => Tool::ImageGeneration {
            partial_images: dialect.hosted.sketches.then_some(SKETCHES),
        },
    }
}

/// What is to be told besides, in the order of the tools.
fn include(dialect: &Dialect, hosted: &[&HostedTool]) -> Vec<&'static str> {
    let mut include = Vec::new();
    if dialect.encrypted_reasoning {
        include.push("reasoning.encrypted_content");
    }
    if dialect.hosted.includes {
        include.extend(hosted.iter().filter_map(|tool| match tool {
            HostedTool::WebSearch => Some("web_search_call.action.sources"),
            HostedTool::CodeInterpreter { .. } => Some("code_interpreter_call.outputs"),
            HostedTool::FileSearch { .. } => Some("file_search_call.results"),
            HostedTool::ImageGeneration => None,
        }));
    }
    include
}

/// The tools of a request: those of the provider's own, what is offered, then the answer itself where it is one.
fn tools<'a>(
    dialect: &Dialect,
    request: &'a ModelRequest,
    stage: Stage<'_>,
    schema: &'a RawValue,
) -> Result<Vec<Tool<'a>>, LlmError> {
    let own = dialect.offers_hosted(stage, request).into_iter();
    let mut tools: Vec<Tool<'a>> = own.map(|tool| hosted(dialect, tool)).collect();
    for (tool, strict) in dialect.offered(stage, request) {
        tools.push(Tool::Function {
            name: &tool.name,
            description: &tool.description,
            // The API has no tool without it.
            strict,
            parameters: wire::raw_ref(&tool.parameters)?,
        });
    }
    if dialect.ask(stage).is_function() {
        tools.push(Tool::Function {
            name: FUNCTION_NAME,
            description: two_step::FUNCTION_DESCRIPTION,
            strict: dialect.offers.strict,
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
    let hosted = dialect.offers_hosted(stage, request);
    let include = include(dialect, &hosted);
    let tools = Some(tools(dialect, request, stage, &schema)?).filter(|list| !list.is_empty());
    let verbosity = dialect.verbosity.as_deref();
    wire::encode(&Body {
        model,
        stream: streamed,
        stream_options: (streamed && dialect.stream_options).then_some(StreamOptions {
            include_obfuscation: false,
        }),
        store: dialect.store.then_some(false),
        include: Some(include).filter(|list| !list.is_empty()),
        prompt_cache_key: dialect.cache_key.then_some(&request.cache_key),
        max_output_tokens: two_step::limit(dialect, stage),
        reasoning: dialect.effort.as_deref().map(|effort| Reasoning { effort }),
        text: (format.is_some() || verbosity.is_some()).then_some(Text { format, verbosity }),
        tool_choice: tools
            .as_ref()
            .and_then(|_: &Vec<Tool<'_>>| tool_choice(dialect.choice(stage, request))),
        tools,
        max_tool_calls: (!hosted.is_empty() && dialect.hosted.cap).then_some(MOST_HOSTED_CALLS),
        instructions: &request.system,
        input: prompt_items::items(dialect, request, stage)?,
    })
}
