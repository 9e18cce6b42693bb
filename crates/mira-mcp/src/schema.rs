//! JSON Schemas of tools' arguments, as far as they decide something here: whether a tool can be offered at all, and
//! whether arguments are worth sending. Types, required properties, listed values and what is inside of objects and lists
//! are checked; everything finer is the server's to judge.

use serde_json::{Map, Value};

/// Deeper than this nothing is looked at.
pub(crate) const DEEPEST: usize = 16;

/// Why a tool's schema cannot be used, if it cannot: arguments are an object, so its schema must be one of an object.
pub(crate) fn refusal(schema: &Value) -> Option<&'static str> {
    let Some(fields) = schema.as_object() else {
        return Some("its schema is no object");
    };
    match fields.get("type") {
        Some(Value::String(kind)) if kind == "object" => {}
        // Some servers of tools without arguments say nothing.
        None if fields.is_empty() || fields.contains_key("properties") => {}
        Some(_) | None => return Some("its schema is not that of an object"),
    }
    if fields
        .get("properties")
        .is_some_and(|properties| !properties.is_object())
    {
        return Some("the properties of its schema are no object");
    }
    let listed = |names: &Value| names.as_array().is_some_and(|names| names.iter().all(Value::is_string));
    if fields
        .get("required")
        .is_some_and(|names| !names.is_null() && !listed(names))
    {
        return Some("the required properties of its schema are no list of names");
    }
    None
}

/// Whether arguments fit a schema, as far as it is read here; else what is wrong, with its place.
pub fn check_arguments(schema: &Map<String, Value>, arguments: &Value) -> Result<(), String> {
    if !arguments.is_object() {
        return Err("they are no object".to_owned());
    }
    let mut place = Vec::new();
    check(schema, schema, arguments, &mut place)
}

fn check<'a>(
    root: &'a Map<String, Value>,
    schema: &'a Map<String, Value>,
    value: &Value,
    place: &mut Vec<String>,
) -> Result<(), String> {
    if place.len() > DEEPEST {
        return Ok(());
    }
    let schema = resolve(root, schema).unwrap_or(schema);
    if let Some(kinds) = kinds(schema)
        && !kinds.iter().any(|kind| is_of(value, kind))
    {
        return Err(format!("{} must be of type {}", shown(place), kinds.join(" or ")));
    }
    if let Some(Value::Array(allowed)) = schema.get("enum")
        && !allowed.contains(value)
    {
        return Err(format!("{} is not one of the listed values", shown(place)));
    }
    match value {
        Value::Object(fields) => check_fields(root, schema, fields, place),
        Value::Array(items) => {
            let Some(Value::Object(inner)) = schema.get("items") else {
                return Ok(());
            };
            for (n, item) in items.iter().enumerate() {
                place.push(n.to_string());
                check(root, inner, item, place)?;
                place.pop();
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn check_fields<'a>(
    root: &'a Map<String, Value>,
    schema: &'a Map<String, Value>,
    fields: &Map<String, Value>,
    place: &mut Vec<String>,
) -> Result<(), String> {
    for name in required(schema) {
        if !fields.contains_key(name) {
            place.push(name.to_owned());
            return Err(format!("{} is missing", shown(place)));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, value) in fields {
        place.push(name.clone());
        match properties.and_then(|properties| properties.get(name)) {
            Some(Value::Object(inner)) => check(root, inner, value, place)?,
            None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                return Err(format!("there is no {}", shown(place)));
            }
            Some(_) | None => {}
        }
        place.pop();
    }
    Ok(())
}

/// The names of required properties.
pub(crate) fn required(schema: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// The types a schema names; none if it names none.
pub(crate) fn kinds(schema: &Map<String, Value>) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(kind) => Some(vec![kind]),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

/// What a reference within the same schema leads to; none if there is no reference, or it leads nowhere or elsewhere.
pub(crate) fn resolve<'a>(root: &'a Map<String, Value>, schema: &Map<String, Value>) -> Option<&'a Map<String, Value>> {
    let mut target = schema.get("$ref")?.as_str()?;
    for _ in 0..DEEPEST {
        let mut steps = target.strip_prefix("#/")?.split('/');
        let first = root.get(&unescape(steps.next()?))?;
        let found = steps
            .try_fold(first, |value, step| value.get(unescape(step)))?
            .as_object()?;
        match found.get("$ref").and_then(Value::as_str) {
            Some(next) => target = next,
            None => return Some(found),
        }
    }
    None
}

/// A step of a JSON pointer (RFC 6901).
fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        // A word this reads nothing into.
        _ => true,
    }
}

fn shown(place: &[String]) -> String {
    if place.is_empty() {
        return "all of it".to_owned();
    }
    format!("`{}`", crate::error::tame(&place.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_checked_before_they_are_sent() {
        let schema = json!({
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "depth": {"type": ["integer", "null"]},
                "mode": {"enum": ["a", "b"]},
                "at": {"$ref": "#/$defs/Place"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "any": true,
            },
            "required": ["path"],
            "additionalProperties": false,
            "$defs": {"Place": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}, "Loop": {"$ref": "#/$defs/Loop"}},
        });
        let check = |arguments: Value, expect: &str| {
            let found = check_arguments(schema.as_object().unwrap(), &arguments);
            assert_eq!(found.err().unwrap_or_default(), expect, "{arguments}");
        };
        check(
            json!({"path": "x", "depth": 2.0, "mode": "a", "at": {"x": 1}, "tags": ["t"], "any": []}),
            "",
        );
        check(json!({"path": "x", "depth": null}), "");
        check(json!([]), "they are no object");
        check(json!({}), "`path` is missing");
        check(json!({"path": 1}), "`path` must be of type string");
        check(
            json!({"path": "x", "depth": 1.5}),
            "`depth` must be of type integer or null",
        );
        check(
            json!({"path": "x", "mode": "c"}),
            "`mode` is not one of the listed values",
        );
        check(json!({"path": "x", "at": {}}), "`at.x` is missing");
        check(
            json!({"path": "x", "tags": ["a", 1]}),
            "`tags.1` must be of type string",
        );
        check(json!({"path": "x", "else": 1}), "there is no `else`");
    }

    #[test]
    fn schemas_that_go_in_circles_end() {
        let schema = json!({
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/L"}, "b": {"$ref": "#/$defs/T"}},
            "$defs": {"L": {"$ref": "#/$defs/L"}, "T": {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}}},
        });
        let mut deep = json!({});
        for _ in 0..40 {
            deep = json!({ "t": deep });
        }
        let arguments = json!({"a": 1, "b": deep});
        assert_eq!(check_arguments(schema.as_object().unwrap(), &arguments), Ok(()));
    }

    #[test]
    fn only_schemas_of_objects_are_taken() {
        for good in [json!({}), json!({"type": "object"}), json!({"properties": {}})] {
            assert_eq!(refusal(&good), None, "{good}");
        }
        for bad in [
            json!(true),
            json!("object"),
            json!({"type": "array"}),
            json!({"type": ["object"]}),
            json!({"oneOf": []}),
            json!({"type": "object", "properties": []}),
            json!({"type": "object", "required": "x"}),
        ] {
            assert!(refusal(&bad).is_some(), "{bad}");
        }
    }
}
