//! Rules of `/v1/responses`.

use serde_json::Value;

use super::schema::{self, Place};
use super::shape::{
    array, boolean, given, integer, invalid_value, known, metadata, missing, name, object, one_of, short_string, string,
};
use super::{Verdict, family, items, tools};
use crate::error::ApiError;

/// Parameters that exist, the deprecated ones and those of newer clients included.
const PARAMETERS: [&str; 33] = [
    "model",
    "input",
    "instructions",
    "stream",
    "stream_options",
    "store",
    "include",
    "text",
    "reasoning",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_tool_calls",
    "max_output_tokens",
    "metadata",
    "temperature",
    "top_p",
    "top_logprobs",
    "truncation",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "previous_response_id",
    "conversation",
    "context_management",
    "background",
    "prompt",
    "moderation",
    "image",
    "access_programs",
];
/// Names of Chat, and what they are called here.
const MOVED: [(&str, &str); 5] = [
    ("messages", "input"),
    ("response_format", "text.format"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("reasoning_effort", "reasoning.effort"),
];
const INCLUDES: [&str; 8] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

pub(super) fn known_parameters(body: &Value) -> Verdict {
    if let Some((old, new)) = MOVED.into_iter().find(|(old, _)| body.get(*old).is_some()) {
        let message = format!("Unknown parameter: '{old}'. In the Responses API, this parameter has moved to '{new}'.");
        return Err(ApiError::invalid(old, message).code("unknown_parameter"));
    }
    known(body, "", &PARAMETERS)
}

pub(super) fn check(body: &Value) -> Verdict {
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
    plain_fields(body)?;
    state(body)?;
    streaming(body)?;
    let reasoning = object(body, "", "reasoning")?;
    if let Some(reasoning) = reasoning {
        known(
            reasoning,
            "reasoning",
            &["effort", "summary", "generate_summary", "context", "mode"],
        )?;
        family::effort(model, reasoning, "reasoning", "effort")?;
        one_of(reasoning, "reasoning", "summary", &["auto", "concise", "detailed"])?;
        one_of(
            reasoning,
            "reasoning",
            "generate_summary",
            &["auto", "concise", "detailed"],
        )?;
        one_of(
            reasoning,
            "reasoning",
            "context",
            &["auto", "current_turn", "all_turns"],
        )?;
        one_of(reasoning, "reasoning", "mode", &["standard", "pro"])?;
    }
    let effort = reasoning
        .and_then(|reasoning| reasoning.get("effort"))
        .and_then(Value::as_str);
    family::sampling(model, body, effort)?;
    includes(model, body)?;
    text_options(model, body)?;
    tools::of_responses(body)?;
    tools::choice_of_responses(body)?;
    items::check(body)
}

fn plain_fields(body: &Value) -> Verdict {
    integer(body, "", "max_output_tokens", 16, i64::MAX)?;
    integer(body, "", "max_tool_calls", 1, i64::MAX)?;
    string(body, "", "instructions")?;
    string(body, "", "prompt_cache_key")?;
    string(body, "", "user")?;
    for key in ["store", "stream", "background", "parallel_tool_calls"] {
        boolean(body, "", key)?;
    }
    short_string(body, "safety_identifier", 64)?;
    one_of(body, "", "truncation", &["auto", "disabled"])?;
    one_of(body, "", "prompt_cache_retention", &["in_memory", "in-memory", "24h"])?;
    let tiers = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
    one_of(body, "", "service_tier", &tiers)?;
    if let Some(options) = object(body, "", "prompt_cache_options")? {
        known(options, "prompt_cache_options", &["ttl", "mode"])?;
        one_of(options, "prompt_cache_options", "mode", &["implicit", "explicit"])?;
    }
    metadata(body)
}

/// The emulator keeps nothing between requests, so what refers to a kept thing is refused as not found.
fn state(body: &Value) -> Verdict {
    let previous = string(body, "", "previous_response_id")?;
    if previous.is_some() && given(body, "conversation").is_some() {
        let message = "Mutually exclusive parameters: Ensure you are only providing one of: 'previous_response_id' or \
                       'conversation'.";
        return Err(ApiError::invalid("previous_response_id", message).code("mutually_exclusive_parameters"));
    }
    if let Some(id) = previous {
        let message = format!("Previous response with id '{id}' not found.");
        return Err(ApiError::invalid("previous_response_id", message).code("previous_response_not_found"));
    }
    if given(body, "conversation").is_some() {
        let message = "Conversation not found.";
        return Err(ApiError::invalid("conversation", message).status(404));
    }
    if body.get("background") == Some(&Value::Bool(true)) {
        let message = if body.get("store") == Some(&Value::Bool(false)) {
            "Background mode requires 'store' to be true."
        } else {
            "Background mode is not available here."
        };
        return Err(ApiError::invalid("background", message));
    }
    for (index, entry) in array(body, "", "context_management")?.iter().enumerate() {
        integer(
            entry,
            &format!("context_management[{index}]"),
            "compact_threshold",
            1000,
            i64::MAX,
        )?;
    }
    Ok(())
}

fn streaming(body: &Value) -> Verdict {
    let Some(options) = object(body, "", "stream_options")? else {
        return Ok(());
    };
    known(options, "stream_options", &["include_obfuscation"])?;
    boolean(options, "stream_options", "include_obfuscation")?;
    if body.get("stream") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
    Err(ApiError::invalid("stream_options", message))
}

fn includes(model: &str, body: &Value) -> Verdict {
    for (index, include) in array(body, "", "include")?.iter().enumerate() {
        let param = format!("include[{index}]");
        match include.as_str() {
            Some("reasoning.encrypted_content") => family::encrypted_reasoning(model, &param)?,
            Some(known) if INCLUDES.contains(&known) => {}
            Some(other) => return Err(invalid_value(&param, other, &INCLUDES)),
            None => return Err(super::shape::wrong_type(&param, "a string", include)),
        }
    }
    Ok(())
}

fn text_options(model: &str, body: &Value) -> Verdict {
    let Some(text) = object(body, "", "text")? else {
        return Ok(());
    };
    known(text, "text", &["format", "verbosity"])?;
    family::verbosity(model, text, "text", "verbosity")?;
    let Some(format) = object(text, "text", "format")? else {
        return Ok(());
    };
    match super::shape::required_string(format, "type", "text.format.type")? {
        "text" => Ok(()),
        "json_object" => says_json(body.get("input"), body.get("instructions"), "text.format"),
        "json_schema" => {
            let name = name(format, "text.format")?;
            known(
                format,
                "text.format",
                &["type", "name", "schema", "strict", "description"],
            )?;
            boolean(format, "text.format", "strict")?;
            let schema = given(format, "schema").ok_or_else(|| missing("text.format.schema"))?;
            let owner = format!("response_format '{name}'");
            let place = Place {
                param: "text.format.schema",
                owner: &owner,
                code: "invalid_json_schema",
            };
            if format.get("strict") == Some(&Value::Bool(true)) {
                schema::strict(place, schema)
            } else {
                Ok(())
            }
        }
        other => Err(invalid_value(
            "text.format.type",
            other,
            &["text", "json_object", "json_schema"],
        )),
    }
}

/// JSON without a schema is given only to a prompt that says so.
pub(super) fn says_json(prompt: Option<&Value>, more: Option<&Value>, param: &str) -> Verdict {
    let says = |value: Option<&Value>| value.is_some_and(|value| value.to_string().to_lowercase().contains("json"));
    if says(prompt) || says(more) {
        return Ok(());
    }
    let message = format!(
        "Response input messages must contain the word 'json' in some form to use '{param}' of type 'json_object'."
    );
    Err(ApiError::invalid(param, message))
}
