//! Rules of tools and the choice among them: flat on Responses, nested on Chat.

use serde_json::Value;

use super::Verdict;
use super::schema::{self, Place};
use super::shape::{
    array, boolean, given, integer, invalid_value, known, missing, name, object, path, required_string, string,
};
use crate::error::ApiError;

/// Tool types of Responses.
const KINDS: [&str; 18] = [
    "function",
    "custom",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
    "shell",
    "local_shell",
    "apply_patch",
    "computer",
    "computer_use_preview",
    "namespace",
    "tool_search",
    "programmatic_tool_calling",
];
/// Hosted tools that can be forced by `{"type": ...}`. Web search is in it under its old name only.
const HOSTED_CHOICES: [&str; 8] = [
    "file_search",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "computer",
    "computer_use_preview",
    "computer_use",
    "image_generation",
    "code_interpreter",
];

/// A function's parameters: strict ones must be a strict schema.
fn parameters(function: &Value, param: &str, name: &str) -> Verdict {
    boolean(function, param, "strict")?;
    string(function, param, "description")?;
    let place = path(param, "parameters");
    let Some(parameters) = object(function, param, "parameters")? else {
        return Ok(());
    };
    let owner = format!("function '{name}'");
    let place = Place {
        param: &place,
        owner: &owner,
        code: "invalid_function_parameters",
    };
    if function.get("strict") == Some(&Value::Bool(true)) {
        schema::strict(place, parameters)
    } else {
        Ok(())
    }
}

/// `tools` of Responses.
pub(super) fn of_responses(body: &Value) -> Verdict {
    for (index, tool) in array(body, "", "tools")?.iter().enumerate() {
        let param = format!("tools[{index}]");
        let kind = required_string(tool, "type", &path(&param, "type"))?;
        if !KINDS.contains(&kind) {
            return Err(invalid_value(&path(&param, "type"), kind, &KINDS));
        }
        match kind {
            "function" => function_tool(tool, &param)?,
            "code_interpreter" => container(tool, &param)?,
            "file_search" => {
                if given(tool, "vector_store_ids").is_none() {
                    return Err(missing(&path(&param, "vector_store_ids")));
                }
                array(tool, &param, "vector_store_ids")?;
                integer(tool, &param, "max_num_results", 1, 50)?;
            }
            "image_generation" => integer(tool, &param, "partial_images", 0, 3)?,
            "custom" => drop(name(tool, &param)?),
            _ => {}
        }
    }
    Ok(())
}

fn function_tool(tool: &Value, param: &str) -> Verdict {
    let named = name(tool, param)?;
    let keys = [
        "type",
        "name",
        "description",
        "parameters",
        "strict",
        "output_schema",
        "defer_loading",
        "allowed_callers",
    ];
    known(tool, param, &keys)?;
    for key in ["parameters", "strict"] {
        if tool.get(key).is_none() {
            return Err(missing(&path(param, key)));
        }
    }
    parameters(tool, param, named)
}

fn container(tool: &Value, param: &str) -> Verdict {
    let param = path(param, "container");
    match tool.get("container") {
        None | Some(Value::Null) => Err(missing(&param)),
        Some(Value::String(_)) => Ok(()),
        Some(container) => {
            let kind = required_string(container, "type", &path(&param, "type"))?;
            if kind != "auto" {
                return Err(invalid_value(&path(&param, "type"), kind, &["auto"]));
            }
            if array(container, &param, "file_ids")?.len() > 50 {
                let message = format!("Invalid '{param}.file_ids': array too long. Expected at most 50.");
                return Err(ApiError::invalid(path(&param, "file_ids"), message).code("array_above_max_length"));
            }
            super::shape::one_of(container, &param, "memory_limit", &["1g", "4g", "16g", "64g"])
        }
    }
}

fn choice_not_found(param: &str, what: &str) -> ApiError {
    ApiError::invalid(param, format!("Tool choice '{what}' not found in 'tools' parameter."))
}

/// `tool_choice` of Responses.
pub(super) fn choice_of_responses(body: &Value) -> Verdict {
    let tools = array(body, "", "tools")?;
    match given(body, "tool_choice") {
        None => Ok(()),
        Some(Value::String(mode)) => match mode.as_str() {
            "none" | "auto" => Ok(()),
            "required" if tools.is_empty() => Err(ApiError::invalid(
                "tool_choice",
                "Tool choice 'required' must be specified with 'tools' parameter.",
            )),
            "required" => Ok(()),
            other => Err(invalid_value("tool_choice", other, &["none", "auto", "required"])),
        },
        Some(choice) => {
            let kind = required_string(choice, "type", "tool_choice.type")?;
            let has = |key: &str, value: &str| tools.iter().any(|tool| tool.get(key).is_some_and(|got| got == value));
            match kind {
                "function" | "custom" => {
                    let name = required_string(choice, "name", "tool_choice.name")?;
                    if has("name", name) {
                        Ok(())
                    } else {
                        Err(choice_not_found("tool_choice", name))
                    }
                }
                "allowed_tools" => allowed(choice, "tool_choice"),
                "mcp" | "shell" | "apply_patch" => Ok(()),
                hosted if HOSTED_CHOICES.contains(&hosted) => {
                    if has("type", hosted) {
                        Ok(())
                    } else {
                        Err(choice_not_found("tool_choice", hosted))
                    }
                }
                other => Err(invalid_value("tool_choice.type", other, &HOSTED_CHOICES)),
            }
        }
    }
}

fn allowed(choice: &Value, param: &str) -> Verdict {
    let mode = required_string(choice, "mode", &path(param, "mode"))?;
    if mode != "auto" && mode != "required" {
        return Err(invalid_value(&path(param, "mode"), mode, &["auto", "required"]));
    }
    if array(choice, param, "tools")?.is_empty() {
        return Err(missing(&path(param, "tools")));
    }
    Ok(())
}

/// `tools`, `tool_choice`, `functions` and `function_call` of Chat.
pub(super) fn of_chat(body: &Value) -> Verdict {
    let tools = array(body, "", "tools")?;
    for (index, tool) in tools.iter().enumerate() {
        let param = format!("tools[{index}]");
        let kind = required_string(tool, "type", &path(&param, "type"))?;
        match kind {
            "function" => {
                let Some(function) = object(tool, &param, "function")? else {
                    return Err(missing(&path(&param, "function")));
                };
                known(tool, &param, &["type", "function"])?;
                nested_function(function, &path(&param, "function"))?;
            }
            "custom" => {
                if object(tool, &param, "custom")?.is_none() {
                    return Err(missing(&path(&param, "custom")));
                }
            }
            other => return Err(invalid_value(&path(&param, "type"), other, &["function", "custom"])),
        }
    }
    if given(body, "tools").is_some() && tools.is_empty() {
        let message = "Invalid 'tools': empty array. Expected an array with minimum length 1.";
        return Err(ApiError::invalid("tools", message).code("empty_array"));
    }
    choice_of_chat(body, tools)?;
    legacy(body)
}

fn nested_function(function: &Value, param: &str) -> Verdict {
    let named = name(function, param)?;
    known(function, param, &["name", "description", "parameters", "strict"])?;
    parameters(function, param, named)
}

fn choice_of_chat(body: &Value, tools: &[Value]) -> Verdict {
    let Some(choice) = given(body, "tool_choice") else {
        return Ok(());
    };
    if tools.is_empty() {
        let message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.";
        return Err(ApiError::invalid("tool_choice", message));
    }
    match choice {
        Value::String(mode) if ["none", "auto", "required"].contains(&mode.as_str()) => Ok(()),
        Value::String(other) => Err(invalid_value("tool_choice", other, &["none", "auto", "required"])),
        choice => match required_string(choice, "type", "tool_choice.type")? {
            "function" => {
                let Some(function) = object(choice, "tool_choice", "function")? else {
                    return Err(missing("tool_choice.function"));
                };
                let name = required_string(function, "name", "tool_choice.function.name")?;
                let found = |tool: &Value| tool.pointer("/function/name").is_some_and(|got| got == name);
                if tools.iter().any(found) {
                    Ok(())
                } else {
                    Err(choice_not_found("tool_choice", name))
                }
            }
            "allowed_tools" => match object(choice, "tool_choice", "allowed_tools")? {
                Some(inner) => allowed(inner, "tool_choice.allowed_tools"),
                None => Err(missing("tool_choice.allowed_tools")),
            },
            "custom" => Ok(()),
            other => Err(invalid_value(
                "tool_choice.type",
                other,
                &["function", "allowed_tools", "custom"],
            )),
        },
    }
}

fn legacy(body: &Value) -> Verdict {
    let functions = array(body, "", "functions")?;
    if given(body, "functions").is_some() {
        if functions.is_empty() {
            let message = "Invalid 'functions': empty array. Expected an array with minimum length 1.";
            return Err(ApiError::invalid("functions", message).code("empty_array"));
        }
        if given(body, "tools").is_some() {
            let message = "'functions' and 'tools' are not allowed together; 'functions' is the deprecated form.";
            return Err(ApiError::invalid("functions", message));
        }
    }
    for (index, function) in functions.iter().enumerate() {
        let param = format!("functions[{index}]");
        name(function, &param)?;
        known(function, &param, &["name", "description", "parameters"])?;
        object(function, &param, "parameters")?;
    }
    let Some(call) = given(body, "function_call") else {
        return Ok(());
    };
    if functions.is_empty() {
        let message =
            "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified.";
        return Err(ApiError::invalid("function_call", message));
    }
    match call {
        Value::String(mode) if mode == "none" || mode == "auto" => Ok(()),
        Value::String(other) => Err(invalid_value("function_call", other, &["none", "auto"])),
        call => {
            let name = required_string(call, "name", "function_call.name")?;
            let found = functions
                .iter()
                .any(|function| function.get("name").is_some_and(|got| got == name));
            if found {
                return Ok(());
            }
            let message =
                format!("Invalid value for 'function_call': no function named '{name}' is specified in 'functions'.");
            Err(ApiError::invalid("function_call", message))
        }
    }
}
