//! What a strict JSON schema must look like.

use serde_json::Value;

use super::Verdict;
use super::shape::wrong_type;
use crate::error::ApiError;

/// Deepest nesting the API takes.
const DEEPEST: usize = 10;
/// Keywords strict schemas do not have.
const REFUSED: [&str; 9] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
];

/// Where a schema stands, for its error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// E.g. `text.format.schema`.
    pub param: &'a str,
    /// E.g. `response_format 'reply'`.
    pub owner: &'a str,
    /// The error's code.
    pub code: &'a str,
}

impl Place<'_> {
    fn refuse(self, context: &[&str], what: &str) -> ApiError {
        let path = context
            .iter()
            .map(|step| format!("'{step}'"))
            .collect::<Vec<_>>()
            .join(", ");
        let message = format!("Invalid schema for {}: In context=({path}), {what}", self.owner);
        ApiError::invalid(self.param, message).code(self.code)
    }
}

/// Checks a strict schema; its root must be an object.
pub(super) fn strict(place: Place<'_>, schema: &Value) -> Verdict {
    if !schema.is_object() {
        return Err(wrong_type(place.param, "an object", schema));
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        let got = schema.get("type").map_or_else(|| "None".to_owned(), Value::to_string);
        return Err(place.refuse(
            &[],
            &format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: {got}'."),
        ));
    }
    node(place, schema, &mut Vec::new())
}

fn node<'a>(place: Place<'_>, schema: &'a Value, context: &mut Vec<&'a str>) -> Verdict {
    let Some(object) = schema.as_object() else {
        return Err(place.refuse(context, "a schema must be an object."));
    };
    if let Some(keyword) = REFUSED.into_iter().find(|keyword| object.contains_key(*keyword)) {
        return Err(place.refuse(context, &format!("'{keyword}' is not permitted.")));
    }
    if context.len() > 2 * DEEPEST {
        return Err(place.refuse(context, "the schema nests deeper than 10 levels."));
    }
    let describes = ["type", "anyOf", "enum", "const", "$ref"]
        .iter()
        .any(|keyword| object.contains_key(*keyword));
    if !describes {
        return Err(place.refuse(context, "schema must have a 'type' key."));
    }
    if object.get("properties").is_some() || has_type(schema, "object") {
        properties(place, schema, context)?;
    }
    if has_type(schema, "array") && object.get("items").is_none() {
        return Err(place.refuse(context, "array schema missing items."));
    }
    let nested = [
        ("properties", true),
        ("$defs", true),
        ("definitions", true),
        ("items", false),
    ];
    for (keyword, named) in nested {
        let Some(inner) = object.get(keyword) else { continue };
        if named {
            for (name, schema) in inner.as_object().into_iter().flatten() {
                inside(place, context, &[keyword, name], schema)?;
            }
        } else {
            inside(place, context, &[keyword], inner)?;
        }
    }
    for branch in object.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        inside(place, context, &["anyOf"], branch)?;
    }
    Ok(())
}

fn inside<'a>(place: Place<'_>, context: &mut Vec<&'a str>, steps: &[&'a str], schema: &'a Value) -> Verdict {
    context.extend_from_slice(steps);
    let verdict = node(place, schema, context);
    context.truncate(context.len().saturating_sub(steps.len()));
    verdict
}

fn has_type(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        _ => false,
    }
}

fn properties(place: Place<'_>, schema: &Value, context: &[&str]) -> Verdict {
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err(place.refuse(
            context,
            "'additionalProperties' is required to be supplied and to be false.",
        ));
    }
    let empty = serde_json::Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let lacking = properties
        .keys()
        .find(|key| !required.iter().any(|name| name == key.as_str()));
    if let Some(key) = lacking {
        let what = format!(
            "'required' is required to be supplied and to be an array including every key in properties. Missing \
             '{key}'."
        );
        return Err(place.refuse(context, &what));
    }
    let extra = required
        .iter()
        .find(|name| !name.as_str().is_some_and(|name| properties.contains_key(name)));
    match extra {
        Some(name) => Err(place.refuse(context, &format!("'required' names {name}, which is no property."))),
        None => Ok(()),
    }
}
