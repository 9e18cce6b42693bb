//! The common checks: known keys, types, ranges, values; with the messages and codes of the API.

use serde_json::Value;

use super::Verdict;
use crate::error::ApiError;

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value of the wrong type.
pub(super) fn wrong_type(param: &str, expected: &str, got: &Value) -> ApiError {
    let got = describe(got);
    ApiError::invalid(
        param,
        format!("Invalid type for '{param}': expected {expected}, but got {got} instead."),
    )
    .code("invalid_type")
}

/// A required key that is not there.
pub(super) fn missing(param: &str) -> ApiError {
    ApiError::invalid(param, format!("Missing required parameter: '{param}'.")).code("missing_required_parameter")
}

/// A parameter that does not exist.
pub(super) fn unknown(param: &str) -> ApiError {
    ApiError::invalid(param, format!("Unknown parameter: '{param}'.")).code("unknown_parameter")
}

/// A value outside the list of those that exist.
pub(super) fn invalid_value(param: &str, got: &str, supported: &[&str]) -> ApiError {
    let list = supported
        .iter()
        .map(|value| format!("'{value}'"))
        .collect::<Vec<_>>()
        .join(", ");
    ApiError::invalid(param, format!("Invalid value: '{got}'. Supported values are: {list}.")).code("invalid_value")
}

/// A path below `parent`: `parent.key`, or `key` at the top.
pub(super) fn path(parent: &str, key: &str) -> String {
    if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}

/// Every key of the object is one of `known`.
pub(super) fn known(value: &Value, parent: &str, known: &[&str]) -> Verdict {
    let keys = value.as_object().into_iter().flat_map(serde_json::Map::keys);
    match keys.into_iter().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(unknown(&path(parent, key))),
        None => Ok(()),
    }
}

/// The value under `key` unless absent or null.
pub(super) fn given<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.get(key).filter(|value| !value.is_null())
}

/// A string that must be there and not be empty.
pub(super) fn required_string<'a>(value: &'a Value, key: &str, param: &str) -> Result<&'a str, ApiError> {
    match value.get(key) {
        None => Err(missing(param)),
        Some(Value::String(text)) if text.is_empty() => Err(ApiError::invalid(
            param,
            format!(
                "Invalid '{param}': empty string. Expected a string with minimum length 1, but got an empty string \
                 instead."
            ),
        )
        .code("empty_string")),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(wrong_type(param, "a string", other)),
    }
}

/// A string or nothing.
pub(super) fn string<'a>(value: &'a Value, parent: &str, key: &str) -> Result<Option<&'a str>, ApiError> {
    match given(value, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(&path(parent, key), "a string", other)),
    }
}

/// A string of at most so many characters, or nothing.
pub(super) fn short_string(value: &Value, key: &str, longest: usize) -> Verdict {
    let length = string(value, "", key)?.map_or(0, |text| text.chars().count());
    if length <= longest {
        return Ok(());
    }
    let message = format!(
        "Invalid '{key}': string too long. Expected a string with maximum length {longest}, but got a string with \
         length {length} instead."
    );
    Err(ApiError::invalid(key, message).code("string_above_max_length"))
}

/// One of these strings, or nothing.
pub(super) fn one_of(value: &Value, parent: &str, key: &str, supported: &[&str]) -> Verdict {
    match string(value, parent, key)? {
        Some(text) if !supported.contains(&text) => Err(invalid_value(&path(parent, key), text, supported)),
        Some(_) | None => Ok(()),
    }
}

/// A boolean or nothing.
pub(super) fn boolean(value: &Value, parent: &str, key: &str) -> Verdict {
    match given(value, key) {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(other) => Err(wrong_type(&path(parent, key), "a boolean", other)),
    }
}

/// An integer of this range, or nothing.
pub(super) fn integer(value: &Value, parent: &str, key: &str, least: i64, most: i64) -> Verdict {
    let Some(got) = given(value, key) else { return Ok(()) };
    let param = path(parent, key);
    let Some(number) = got.as_i64() else {
        return Err(wrong_type(&param, "an integer", got));
    };
    let (bound, relation, code) = if number < least {
        ("below minimum", format!(">= {least}"), "integer_below_min_value")
    } else if number > most {
        ("above maximum", format!("<= {most}"), "integer_above_max_value")
    } else {
        return Ok(());
    };
    let message =
        format!("Invalid '{param}': integer {bound} value. Expected a value {relation}, but got {number} instead.");
    Err(ApiError::invalid(param, message).code(code))
}

/// A number of this range, or nothing.
pub(super) fn decimal(value: &Value, key: &str, least: f64, most: f64) -> Verdict {
    let Some(got) = given(value, key) else { return Ok(()) };
    let Some(number) = got.as_f64() else {
        return Err(wrong_type(key, "a decimal number", got));
    };
    let (bound, relation, code) = if number < least {
        ("below minimum", format!(">= {least}"), "decimal_below_min_value")
    } else if number > most {
        ("above maximum", format!("<= {most}"), "decimal_above_max_value")
    } else {
        return Ok(());
    };
    let message =
        format!("Invalid '{key}': decimal {bound} value. Expected a value {relation}, but got {number} instead.");
    Err(ApiError::invalid(key, message).code(code))
}

/// An array or nothing (which gives an empty one).
pub(super) fn array<'a>(value: &'a Value, parent: &str, key: &str) -> Result<&'a [Value], ApiError> {
    match given(value, key) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(wrong_type(&path(parent, key), "an array", other)),
    }
}

/// An object or nothing.
pub(super) fn object<'a>(value: &'a Value, parent: &str, key: &str) -> Result<Option<&'a Value>, ApiError> {
    match given(value, key) {
        None => Ok(None),
        Some(object @ Value::Object(_)) => Ok(Some(object)),
        Some(other) => Err(wrong_type(&path(parent, key), "an object", other)),
    }
}

/// A name of a function or a schema.
pub(super) fn name<'a>(value: &'a Value, parent: &str) -> Result<&'a str, ApiError> {
    let param = path(parent, "name");
    let name = required_string(value, "name", &param)?;
    if name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        let message = format!(
            "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern \
             '^[a-zA-Z0-9_-]+$' of at most 64 characters."
        );
        return Err(ApiError::invalid(param, message).code("invalid_value"));
    }
    Ok(name)
}

/// `metadata`: at most 16 strings.
pub(super) fn metadata(body: &Value) -> Verdict {
    let Some(metadata) = object(body, "", "metadata")? else {
        return Ok(());
    };
    let entries = metadata.as_object().into_iter().flatten();
    for (key, value) in entries.clone() {
        if !value.is_string() {
            return Err(wrong_type(&format!("metadata.{key}"), "a string", value));
        }
    }
    let count = entries.count();
    if count > 16 {
        let message = format!("Invalid 'metadata': too many properties. Expected at most 16, but got {count} instead.");
        return Err(ApiError::invalid("metadata", message).code("object_above_max_properties"));
    }
    Ok(())
}

/// Content as a string or as parts.
pub(super) fn parts<'a>(message: &'a Value, param: &str) -> Result<&'a [Value], ApiError> {
    match message.get("content") {
        None => Err(missing(&path(param, "content"))),
        Some(Value::String(_)) => Ok(&[]),
        Some(Value::Array(parts)) => Ok(parts),
        Some(other) => Err(wrong_type(
            &path(param, "content"),
            "one of a string or array of objects",
            other,
        )),
    }
}
