//! Rules of the input items of Responses: each by itself, and how they follow each other.

use std::collections::HashSet;

use serde_json::Value;

use super::Verdict;
use super::shape::{given, invalid_value, known, missing, one_of, parts, path, required_string, wrong_type};
use crate::compose;
use crate::error::ApiError;

const ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];
const INPUT_PARTS: [&str; 3] = ["input_text", "input_image", "input_file"];
const OUTPUT_PARTS: [&str; 2] = ["output_text", "refusal"];
/// Item types that may be sent. Those not checked further below are taken as they are.
const KINDS: [&str; 31] = [
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "item_reference",
    "compaction",
    "compaction_trigger",
    "file_search_call",
    "web_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "computer_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "custom_tool_call",
    "custom_tool_call_output",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "program",
    "program_output",
    "namespace",
];

/// Checks `input`.
pub(super) fn check(body: &Value) -> Verdict {
    let items = match given(body, "input") {
        None if given(body, "prompt").is_some() || given(body, "context_management").is_some() => return Ok(()),
        None => return Err(missing("input")),
        Some(Value::String(text)) if text.is_empty() => {
            let message = "Invalid 'input': empty string. Expected a string with minimum length 1.";
            return Err(ApiError::invalid("input", message).code("empty_string"));
        }
        Some(Value::String(_)) => return Ok(()),
        Some(Value::Array(items)) if items.is_empty() => {
            let message = "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty \
                           array instead.";
            return Err(ApiError::invalid("input", message).code("empty_array"));
        }
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong_type("input", "one of a string or array of input items", other)),
    };
    let stored = body.get("store").and_then(Value::as_bool).unwrap_or(true);
    for (index, item) in items.iter().enumerate() {
        let param = format!("input[{index}]");
        if !item.is_object() {
            return Err(wrong_type(&param, "an object", item));
        }
        match kind(item) {
            "message" => message(item, &param)?,
            "function_call" => function_call(item, &param)?,
            "function_call_output" => function_call_output(item, &param)?,
            "reasoning" => reasoning(item, &param, stored)?,
            "web_search_call" => hosted_call(item, &param, "ws", &["action"])?,
            "code_interpreter_call" => hosted_call(item, &param, "ci", &["container_id", "code", "outputs"])?,
            "file_search_call" => hosted_call(item, &param, "fs", &["queries"])?,
            "image_generation_call" => hosted_call(item, &param, "ig", &["result"])?,
            // The emulator's own unknown item, sent back unchanged as a client should.
            "hologram" => {}
            other if KINDS.contains(&other) => {}
            other => return Err(invalid_value(&path(&param, "type"), other, &KINDS)),
        }
    }
    calls_have_outputs(items)?;
    reasoning_is_followed(items)?;
    calls_have_reasoning(items)
}

fn kind(item: &Value) -> &str {
    item.get("type")
        .map_or("message", |kind| kind.as_str().unwrap_or_default())
}

fn text<'a>(item: &'a Value, key: &str) -> &'a str {
    item.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn message(item: &Value, param: &str) -> Verdict {
    known(item, param, &["type", "role", "content", "phase", "id", "status"])?;
    let role = required_string(item, "role", &path(param, "role"))?;
    if !ROLES.contains(&role) {
        return Err(invalid_value(&path(param, "role"), role, &ROLES));
    }
    one_of(item, param, "phase", &["commentary", "final_answer"])?;
    id(item, param, "msg")?;
    let supported: &[&str] = if role == "assistant" {
        &OUTPUT_PARTS
    } else {
        &INPUT_PARTS
    };
    for (index, part) in parts(item, param)?.iter().enumerate() {
        let param = format!("{param}.content[{index}]");
        let kind = required_string(part, "type", &path(&param, "type"))?;
        if !supported.contains(&kind) {
            return Err(invalid_value(&path(&param, "type"), kind, supported));
        }
        match kind {
            "input_text" | "output_text" if !part.get("text").is_some_and(Value::is_string) => {
                return Err(missing(&path(&param, "text")));
            }
            "refusal" if !part.get("refusal").is_some_and(Value::is_string) => {
                return Err(missing(&path(&param, "refusal")));
            }
            "input_image" => {
                if given(part, "detail").is_none() {
                    return Err(missing(&path(&param, "detail")));
                }
                one_of(part, &param, "detail", &["low", "high", "auto", "original"])?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Ids carry the prefix of their kind: a call is not referred to by another's.
fn id(item: &Value, param: &str, prefix: &str) -> Verdict {
    match given(item, "id") {
        None => Ok(()),
        Some(Value::String(id)) if id.starts_with(prefix) => Ok(()),
        Some(got) => {
            let param = path(param, "id");
            let message = format!("Invalid '{param}': {got}. Expected an ID that begins with '{prefix}'.");
            Err(ApiError::invalid(param, message).code("invalid_value"))
        }
    }
}

fn function_call(item: &Value, param: &str) -> Verdict {
    let keys = [
        "type",
        "id",
        "call_id",
        "name",
        "arguments",
        "status",
        "caller",
        "namespace",
    ];
    known(item, param, &keys)?;
    required_string(item, "call_id", &path(param, "call_id"))?;
    required_string(item, "name", &path(param, "name"))?;
    match item.get("arguments") {
        None => return Err(missing(&path(param, "arguments"))),
        Some(Value::String(_)) => {}
        Some(other) => return Err(wrong_type(&path(param, "arguments"), "a string", other)),
    }
    id(item, param, "fc")
}

fn function_call_output(item: &Value, param: &str) -> Verdict {
    known(
        item,
        param,
        &[
            "type",
            "id",
            "call_id",
            "output",
            "status",
            "name",
            "namespace",
            "caller",
        ],
    )?;
    required_string(item, "call_id", &path(param, "call_id"))?;
    match item.get("output") {
        None => Err(missing(&path(param, "output"))),
        Some(Value::String(_) | Value::Array(_)) => Ok(()),
        Some(other) => Err(wrong_type(
            &path(param, "output"),
            "one of a string or array of objects",
            other,
        )),
    }
}

fn reasoning(item: &Value, param: &str, stored: bool) -> Verdict {
    known(
        item,
        param,
        &["type", "id", "summary", "content", "encrypted_content", "status"],
    )?;
    let id_param = path(param, "id");
    let id_text = required_string(item, "id", &id_param)?;
    id(item, param, "rs")?;
    match item.get("summary") {
        Some(Value::Array(_)) => {}
        Some(other) => return Err(wrong_type(&path(param, "summary"), "an array", other)),
        None => return Err(missing(&path(param, "summary"))),
    }
    match given(item, "encrypted_content") {
        None if stored => Ok(()),
        None => {
            let message = format!(
                "Item with id '{id_text}' not found. Items are not persisted when `store` is set to false. Try again \
                 with `store` set to true, or remove this item from your input."
            );
            Err(ApiError::invalid("input", message).status(404))
        }
        Some(Value::String(encrypted)) if compose::is_sealed(encrypted, id_text) => Ok(()),
        Some(_) => {
            let message = format!("The encrypted content for item {id_text} could not be verified.");
            Err(ApiError::invalid(path(param, "encrypted_content"), message).code("invalid_encrypted_content"))
        }
    }
}

/// A call of a tool the server runs, sent back: with the id it had and the fields of its kind, null or not.
fn hosted_call(item: &Value, param: &str, prefix: &str, keys: &[&str]) -> Verdict {
    required_string(item, "id", &path(param, "id"))?;
    id(item, param, prefix)?;
    required_string(item, "status", &path(param, "status"))?;
    match keys.iter().find(|key| item.get(**key).is_none()) {
        Some(key) => Err(missing(&path(param, key))),
        None => Ok(()),
    }
}

fn calls_have_outputs(items: &[Value]) -> Verdict {
    let of = |wanted: &'static str| {
        items
            .iter()
            .filter(move |item| kind(item) == wanted)
            .map(|item| text(item, "call_id"))
    };
    let calls: HashSet<&str> = of("function_call").collect();
    let outputs: HashSet<&str> = of("function_call_output").collect();
    if let Some(call) = of("function_call").find(|id| !outputs.contains(id)) {
        return Err(ApiError::invalid(
            "input",
            format!("No tool output found for function call {call}."),
        ));
    }
    let mut seen = HashSet::new();
    for item in items {
        match kind(item) {
            "function_call" => drop(seen.insert(text(item, "call_id"))),
            "function_call_output"
                if !seen.contains(text(item, "call_id")) || !calls.contains(text(item, "call_id")) =>
            {
                let id = text(item, "call_id");
                let message = format!("No tool call found for function call output with call_id {id}.");
                return Err(ApiError::invalid("input", message));
            }
            _ => {}
        }
    }
    Ok(())
}

fn reasoning_is_followed(items: &[Value]) -> Verdict {
    for (index, item) in items.iter().enumerate().filter(|(_, item)| kind(item) == "reasoning") {
        let followed = items.get(index + 1).is_some_and(|next| match kind(next) {
            "message" => text(next, "role") == "assistant",
            "function_call_output" => false,
            _ => true,
        });
        if !followed {
            let message = format!(
                "Item '{}' of type 'reasoning' was provided without its required following item.",
                text(item, "id")
            );
            return Err(ApiError::invalid("input", message));
        }
    }
    Ok(())
}

/// A call the emulator made after reasoning is marked in its id and may not come back without it.
fn calls_have_reasoning(items: &[Value]) -> Verdict {
    let mut reasoned = HashSet::new();
    for item in items {
        let id = text(item, "id");
        if kind(item) == "reasoning" {
            reasoned.insert(id.trim_start_matches("rs_"));
        }
        let prefixes = ["fc_", "ws_", "ci_", "fs_", "ig_"];
        let rest = prefixes.iter().find_map(|prefix| id.strip_prefix(prefix));
        let marked = rest.and_then(|rest| rest.split_at_checked(32));
        if let Some((hex, mark)) = marked
            && mark.starts_with('r')
            && !reasoned.contains(hex)
        {
            let message = format!(
                "Item '{id}' of type '{}' was provided without its required 'reasoning' item: 'rs_{hex}'.",
                kind(item)
            );
            return Err(ApiError::invalid("input", message));
        }
    }
    Ok(())
}
