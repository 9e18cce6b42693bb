//! Rules of `/v1/chat/completions`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::responses::says_json;
use super::schema::{self, Place};
use super::shape::{
    array, boolean, given, integer, invalid_value, known, metadata, missing, name, object, one_of, parts, path,
    required_string, short_string, string, unknown, wrong_type,
};
use super::{Verdict, family, tools};
use crate::error::ApiError;

const PARAMETERS: [&str; 39] = [
    "messages",
    "model",
    "stream",
    "stream_options",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "max_completion_tokens",
    "max_tokens",
    "reasoning_effort",
    "verbosity",
    "temperature",
    "top_p",
    "logprobs",
    "top_logprobs",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "n",
    "stop",
    "seed",
    "store",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "modalities",
    "audio",
    "prediction",
    "web_search_options",
    "moderation",
    "image",
    "access_programs",
];
const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

pub(super) fn known_parameters(body: &Value) -> Verdict {
    // The names of Responses are the likeliest mistake.
    if let Some(key) = [
        "input",
        "max_output_tokens",
        "text",
        "reasoning",
        "include",
        "instructions",
    ]
    .into_iter()
    .find(|key| body.get(*key).is_some())
    {
        return Err(unknown(key));
    }
    known(body, "", &PARAMETERS)
}

pub(super) fn check(body: &Value) -> Verdict {
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
    plain_fields(body)?;
    streaming(body)?;
    family::max_tokens(model, body)?;
    family::effort(model, body, "", "reasoning_effort")?;
    family::verbosity(model, body, "", "verbosity")?;
    family::sampling(model, body, body.get("reasoning_effort").and_then(Value::as_str))?;
    response_format(body)?;
    tools::of_chat(body)?;
    messages(body)
}

fn plain_fields(body: &Value) -> Verdict {
    integer(body, "", "max_completion_tokens", 1, i64::MAX)?;
    integer(body, "", "max_tokens", 1, i64::MAX)?;
    integer(body, "", "n", 1, 128)?;
    if body.get("n").and_then(Value::as_u64).is_some_and(|count| count > 1) {
        return Err(ApiError::invalid("n", "More than one choice is not available here."));
    }
    for key in ["stream", "store", "parallel_tool_calls", "logprobs"] {
        boolean(body, "", key)?;
    }
    string(body, "", "prompt_cache_key")?;
    short_string(body, "safety_identifier", 64)?;
    one_of(
        body,
        "",
        "service_tier",
        &["auto", "default", "flex", "scale", "priority", "fast"],
    )?;
    metadata(body)
}

fn streaming(body: &Value) -> Verdict {
    let Some(options) = object(body, "", "stream_options")? else {
        return Ok(());
    };
    known(options, "stream_options", &["include_usage", "include_obfuscation"])?;
    boolean(options, "stream_options", "include_usage")?;
    boolean(options, "stream_options", "include_obfuscation")?;
    if body.get("stream") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
    Err(ApiError::invalid("stream_options", message))
}

fn response_format(body: &Value) -> Verdict {
    let Some(format) = object(body, "", "response_format")? else {
        return Ok(());
    };
    match required_string(format, "type", "response_format.type")? {
        "text" => Ok(()),
        "json_object" => says_json(body.get("messages"), None, "response_format"),
        "json_schema" => {
            let param = "response_format.json_schema";
            let inner = object(format, "response_format", "json_schema")?.ok_or_else(|| missing(param))?;
            let name = name(inner, param)?;
            known(inner, param, &["name", "schema", "strict", "description"])?;
            boolean(inner, param, "strict")?;
            if inner.get("strict") != Some(&Value::Bool(true)) {
                return Ok(());
            }
            let schema_param = path(param, "schema");
            let schema = given(inner, "schema").ok_or_else(|| missing(&schema_param))?;
            let owner = format!("response_format '{name}'");
            // The live service names the whole format as the parameter here.
            schema::strict(
                Place {
                    param: "response_format",
                    owner: &owner,
                    code: "invalid_json_schema",
                },
                schema,
            )
        }
        other => Err(invalid_value(
            "response_format.type",
            other,
            &["text", "json_object", "json_schema"],
        )),
    }
}

fn messages(body: &Value) -> Verdict {
    let messages = match body.get("messages") {
        None => return Err(missing("messages")),
        Some(_) => array(body, "", "messages")?,
    };
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty \
                       array instead.";
        return Err(ApiError::invalid("messages", message).code("empty_array"));
    }
    // Calls that still wait for their tool message.
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for (index, message) in messages.iter().enumerate() {
        let param = format!("messages[{index}]");
        let role = required_string(message, "role", &path(&param, "role"))?;
        if !ROLES.contains(&role) {
            return Err(invalid_value(&path(&param, "role"), role, &ROLES));
        }
        if role != "tool" {
            answered(&open, &param)?;
            open.clear();
        }
        match role {
            "assistant" => assistant(message, &param, &mut open)?,
            "tool" => tool(message, &param, &mut open)?,
            "function" => {
                required_string(message, "name", &path(&param, "name"))?;
                content(message, &param, &[])?;
            }
            "user" => content(message, &param, &["text", "image_url", "input_audio", "file"])?,
            _ => content(message, &param, &["text"])?,
        }
    }
    answered(&open, &format!("messages[{}]", messages.len()))
}

fn answered(open: &BTreeSet<&str>, param: &str) -> Verdict {
    if open.is_empty() {
        return Ok(());
    }
    let ids = open.iter().copied().collect::<Vec<_>>().join(", ");
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
         The following tool_call_ids did not have response messages: {ids}"
    );
    Err(ApiError::invalid(path(param, "role"), message))
}

fn content(message: &Value, param: &str, supported: &[&str]) -> Verdict {
    for (index, part) in parts(message, param)?.iter().enumerate() {
        let param = format!("{param}.content[{index}]");
        let kind = required_string(part, "type", &path(&param, "type"))?;
        if !supported.contains(&kind) {
            return Err(invalid_value(&path(&param, "type"), kind, supported));
        }
    }
    Ok(())
}

fn assistant<'a>(message: &'a Value, param: &str, open: &mut BTreeSet<&'a str>) -> Verdict {
    let calls = array(message, param, "tool_calls")?;
    let calls_function = given(message, "function_call").is_some();
    if given(message, "content").is_some() {
        content(message, param, &["text", "refusal"])?;
    } else if calls.is_empty() && !calls_function && given(message, "refusal").is_none() {
        let param = path(param, "content");
        return Err(wrong_type(&param, "a string", &Value::Null));
    }
    for (index, call) in calls.iter().enumerate() {
        let param = format!("{param}.tool_calls[{index}]");
        let id = required_string(call, "id", &path(&param, "id"))?;
        required_string(call, "type", &path(&param, "type"))?;
        let function = object(call, &param, "function")?.ok_or_else(|| missing(&path(&param, "function")))?;
        arguments(function, &path(&param, "function"))?;
        open.insert(id);
    }
    match object(message, param, "function_call")? {
        Some(call) => arguments(call, &path(param, "function_call")),
        None => Ok(()),
    }
}

fn arguments(function: &Value, param: &str) -> Verdict {
    required_string(function, "name", &path(param, "name"))?;
    match function.get("arguments") {
        None => Err(missing(&path(param, "arguments"))),
        Some(Value::String(_)) => Ok(()),
        Some(other) => Err(wrong_type(&path(param, "arguments"), "a string", other)),
    }
}

fn tool(message: &Value, param: &str, open: &mut BTreeSet<&str>) -> Verdict {
    let id = required_string(message, "tool_call_id", &path(param, "tool_call_id"))?;
    content(message, param, &["text"])?;
    if open.remove(id) {
        return Ok(());
    }
    let text =
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.";
    Err(ApiError::invalid(path(param, "role"), text))
}
