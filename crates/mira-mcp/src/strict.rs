//! Schemas in the strict form models are held to (every object closed, every property required, optional ones nullable),
//! made of the schemas servers write, and arguments back from it. What has no strict form is offered as one text that
//! holds the arguments as JSON: a model can write that everywhere, and the schema is checked afterwards all the same.

use crate::schema::{DEEPEST, required, resolve};
use serde_json::{Map, Value, json};

/// Keywords with a meaning that no strict schema has.
const WITHOUT_FORM: [&str; 9] = [
    "not",
    "if",
    "then",
    "else",
    "patternProperties",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "prefixItems",
];
/// What is said of a value in words, because not every model takes it as a keyword.
const TOLD: [&str; 9] = [
    "default",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
];
/// The longest hint about one value, in characters.
const HINT_CHARS: usize = 200;
/// The most properties of one strict schema in all.
const MOST_PROPERTIES: usize = 100;
/// The most parts of one strict schema, references unfolded: each may stand for many, and those for many again.
const MOST_PARTS: usize = 1000;
/// The longest schema that is shown in words, in bytes.
const SHOWN_BYTES: usize = 6 * 1024;

/// What a strict form has come to so far.
#[derive(Default)]
struct Count {
    properties: usize,
    parts: usize,
}

/// How a tool's arguments are asked of a model.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// As they are, by a strict schema.
    Strict(Value),
    /// As a text of JSON in `arguments`, by the schema of that one property.
    Text(Value),
}

impl Shape {
    /// The schema a model is given.
    pub fn parameters(&self) -> &Value {
        match self {
            Self::Strict(schema) | Self::Text(schema) => schema,
        }
    }

    /// The arguments a server expects, out of what a model wrote for this shape.
    pub fn unfold(&self, schema: &Map<String, Value>, written: Value) -> Result<Value, String> {
        match (self, written) {
            (Self::Strict(_), mut written) => {
                relax(schema, schema, &mut written, 0);
                Ok(written)
            }
            (Self::Text(_), Value::Object(mut fields)) => match fields.shift_remove("arguments") {
                Some(Value::String(text)) if text.trim().is_empty() => Ok(json!({})),
                Some(Value::String(text)) => {
                    serde_json::from_str(&text).map_err(|error| format!("`arguments` is no JSON: {error}"))
                }
                Some(whole @ Value::Object(_)) => Ok(whole),
                Some(_) => Err("`arguments` must be a text that holds a JSON object".to_owned()),
                // The model wrote them as they are.
                None => Ok(Value::Object(fields)),
            },
            (Self::Text(_), _) => Err("they are no object".to_owned()),
        }
    }
}

/// The shape of a tool's arguments.
pub fn shape(schema: &Map<String, Value>) -> Shape {
    let mut count = Count::default();
    let strict = object(schema, schema, 0, true, &mut count);
    strict.map_or_else(|| as_text(schema), Shape::Strict)
}

fn as_text(schema: &Map<String, Value>) -> Shape {
    let shown = Value::Object(schema.clone()).to_string();
    let cut = shown.char_indices().map(|(at, sign)| at + sign.len_utf8());
    let end = cut.take_while(|end| *end <= SHOWN_BYTES).last().unwrap_or(0);
    let (shown, rest) = shown.split_at(end);
    let more = if rest.is_empty() { "" } else { " ... (cut)" };
    let description = format!("The arguments: the text of one JSON object that fits this JSON Schema: {shown}{more}");
    Shape::Text(json!({
        "type": "object",
        "properties": {"arguments": {"type": "string", "description": description}},
        "required": ["arguments"],
        "additionalProperties": false,
    }))
}

/// The strict form of a schema, or none.
fn strict(root: &Map<String, Value>, schema: &Value, depth: usize, count: &mut Count) -> Option<Value> {
    fields_strict(root, schema.as_object()?, depth, count)
}

fn fields_strict(
    root: &Map<String, Value>,
    fields: &Map<String, Value>,
    depth: usize,
    count: &mut Count,
) -> Option<Value> {
    count.parts += 1;
    // The limit of models is lower than ours.
    if depth > DEEPEST / 2 || count.parts > MOST_PARTS {
        return None;
    }
    if WITHOUT_FORM.iter().any(|word| fields.contains_key(*word)) {
        return None;
    }
    if fields.contains_key("$ref") {
        let target = resolve(root, fields)?;
        return fields_strict(root, target, depth + 1, count).map(|inner| described(inner, fields));
    }
    if let Some(Value::Array(parts)) = fields.get("allOf") {
        let [only] = parts.as_slice() else { return None };
        return strict(root, only, depth + 1, count).map(|inner| described(inner, fields));
    }
    if let Some(Value::Array(choices)) = fields.get("anyOf").or_else(|| fields.get("oneOf")) {
        let choices = choices.iter().map(|choice| strict(root, choice, depth + 1, count));
        let choices: Vec<Value> = choices.collect::<Option<_>>()?;
        return (!choices.is_empty()).then(|| described(json!({ "anyOf": choices }), fields));
    }
    let mut out = Map::new();
    for word in ["enum", "const"] {
        if let Some(value) = fields.get(word) {
            out.insert(word.to_owned(), value.clone());
        }
    }
    match fields.get("type") {
        Some(Value::String(kind)) => match kind.as_str() {
            "object" => return object(root, fields, depth, false, count).map(|inner| described(inner, fields)),
            "array" => {
                out.insert(
                    "items".to_owned(),
                    strict(root, fields.get("items")?, depth + 1, count)?,
                );
            }
            "string" | "number" | "integer" | "boolean" | "null" => {}
            _ => return None,
        },
        Some(Value::Array(kinds)) => {
            let plain = |kind: &Value| {
                matches!(
                    kind.as_str(),
                    Some("string" | "number" | "integer" | "boolean" | "null")
                )
            };
            if kinds.is_empty() || !kinds.iter().all(plain) {
                return None;
            }
        }
        None if fields.contains_key("properties") => {
            return object(root, fields, depth, false, count).map(|inner| described(inner, fields));
        }
        None if out.is_empty() => return None,
        None => {}
        Some(_) => return None,
    }
    if let Some(kind) = fields.get("type") {
        out.insert("type".to_owned(), kind.clone());
    }
    Some(described(Value::Object(out), fields))
}

fn object(
    root: &Map<String, Value>,
    fields: &Map<String, Value>,
    depth: usize,
    outermost: bool,
    count: &mut Count,
) -> Option<Value> {
    let composed = ["allOf", "anyOf", "oneOf", "$ref"]
        .iter()
        .any(|word| fields.contains_key(*word));
    if composed || WITHOUT_FORM.iter().any(|word| fields.contains_key(*word)) {
        return None;
    }
    let none = Map::new();
    let properties = fields.get("properties").and_then(Value::as_object).unwrap_or(&none);
    // An object of any keys has no strict form. At the outermost it means a tool without arguments.
    let open = fields.get("additionalProperties").is_some_and(Value::is_object);
    if open
        || (properties.is_empty() && !(outermost || fields.get("additionalProperties") == Some(&Value::Bool(false))))
    {
        return None;
    }
    let needed: Vec<&str> = required(fields).collect();
    let mut out = Map::new();
    for (name, schema) in properties {
        count.properties += 1;
        if count.properties > MOST_PROPERTIES {
            return None;
        }
        let inner = strict(root, schema, depth + 1, count)?;
        let inner = if needed.contains(&name.as_str()) {
            inner
        } else {
            nullable(inner)
        };
        out.insert(name.clone(), inner);
    }
    let names: Vec<Value> = out.keys().cloned().map(Value::String).collect();
    Some(json!({
        "type": "object",
        "properties": out,
        "required": names,
        "additionalProperties": false,
    }))
}

/// The same, or null.
fn nullable(schema: Value) -> Value {
    let Value::Object(mut fields) = schema else {
        return schema;
    };
    let null = Value::String("null".to_owned());
    let constant = fields.contains_key("const");
    match fields.get("type").cloned() {
        Some(Value::Array(mut kinds)) => {
            if !kinds.contains(&null) {
                kinds.push(null);
            }
            fields.insert("type".to_owned(), Value::Array(kinds));
        }
        // Objects are easier understood as one of two things.
        Some(Value::String(kind)) if kind != "object" && !constant => {
            let kinds = if kind == "null" {
                vec![null]
            } else {
                vec![Value::String(kind), null]
            };
            fields.insert("type".to_owned(), Value::Array(kinds));
        }
        _ => {
            let description = fields.shift_remove("description");
            let mut choices = match fields.shift_remove("anyOf") {
                Some(Value::Array(choices)) if fields.is_empty() => choices,
                _ => vec![Value::Object(fields)],
            };
            let none = json!({ "type": "null" });
            if !choices.contains(&none) {
                choices.push(none);
            }
            let mut out = json!({ "anyOf": choices });
            if let (Value::Object(out), Some(description)) = (&mut out, description) {
                out.insert("description".to_owned(), description);
            }
            return out;
        }
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    Value::Object(fields)
}

/// With the description of the original, and its hints in words.
fn described(mut schema: Value, original: &Map<String, Value>) -> Value {
    let own = original.get("description").and_then(Value::as_str);
    let hints: Vec<String> = TOLD
        .iter()
        .filter_map(|word| Some((word, original.get(*word)?)))
        .filter(|(_, value)| !value.is_null())
        .map(|(word, value)| format!("{word}: {value}"))
        .collect();
    let hints: String = hints.join(", ").chars().take(HINT_CHARS).collect();
    let text = match (own, hints.is_empty()) {
        (None, true) => return schema,
        (Some(own), true) => own.to_owned(),
        (None, false) => hints,
        (Some(own), false) => format!("{own} ({hints})"),
    };
    if let Value::Object(fields) = &mut schema {
        fields.insert("description".to_owned(), Value::String(text));
    }
    schema
}

/// Takes out the nulls that only stood for something left out.
fn relax(root: &Map<String, Value>, schema: &Map<String, Value>, value: &mut Value, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    let schema = resolve(root, schema).unwrap_or(schema);
    if let Some(Value::Array(parts)) = ["allOf", "anyOf", "oneOf"].iter().find_map(|word| schema.get(*word)) {
        let fits = |part: &&Map<String, Value>| match &*value {
            Value::Object(fields) => {
                let properties = resolve(root, part)
                    .unwrap_or(part)
                    .get("properties")
                    .and_then(Value::as_object);
                properties.is_some_and(|properties| fields.keys().all(|name| properties.contains_key(name)))
            }
            Value::Array(_) => part.contains_key("items"),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        if let Some(part) = parts.iter().filter_map(Value::as_object).find(fits) {
            relax(root, part, value, depth + 1);
        }
        return;
    }
    match value {
        Value::Object(fields) => {
            let needed: Vec<&str> = required(schema).collect();
            fields.retain(|name, inner| !inner.is_null() || needed.contains(&name.as_str()));
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, inner) in fields {
                if let Some(Value::Object(schema)) = properties.and_then(|properties| properties.get(name)) {
                    relax(root, schema, inner, depth + 1);
                }
            }
        }
        Value::Array(items) => {
            if let Some(Value::Object(schema)) = schema.get("items") {
                for item in items {
                    relax(root, schema, item, depth + 1);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("{value}") };
        map
    }

    #[expect(clippy::needless_pass_by_value, reason = "json! makes values")]
    fn check(schema: Value, expect: Value) {
        let Shape::Strict(found) = shape(&map(schema.clone())) else {
            panic!("no strict form of {schema}")
        };
        assert_eq!(found, expect);
    }

    #[test]
    fn what_servers_write_becomes_strict() {
        check(
            json!({}),
            json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false}),
        );
        check(
            json!({
                "$schema": "http://json-schema.org/draft-07/schema#", "title": "read", "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "Where", "title": "Path"},
                    "lines": {"type": "integer", "default": 10, "minimum": 1},
                    "mode": {"type": "string", "enum": ["a", "b"]},
                    "at": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": null},
                    "place": {"$ref": "#/$defs/P", "description": "There"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["path", "place"],
                "$defs": {"P": {"type": "object", "properties": {"x": {"type": "number"}}}},
            }),
            json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "Where"},
                    "lines": {"type": ["integer", "null"], "description": "default: 10, minimum: 1"},
                    "mode": {"enum": ["a", "b", null], "type": ["string", "null"]},
                    "at": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                    "place": {
                        "type": "object", "properties": {"x": {"type": ["number", "null"]}},
                        "required": ["x"], "additionalProperties": false, "description": "There",
                    },
                    "tags": {"items": {"type": "string"}, "type": ["array", "null"]},
                },
                "required": ["path", "lines", "mode", "at", "place", "tags"],
                "additionalProperties": false,
            }),
        );
    }

    #[test]
    fn what_has_no_strict_form_is_a_text() {
        for property in [
            json!({}),
            json!(true),
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "array"}),
            json!({"not": {"type": "string"}}),
            json!({"allOf": [{"type": "string"}, {"type": "number"}]}),
            json!({"$ref": "#/$defs/T"}),
            json!({"$ref": "https://elsewhere.example/schema"}),
        ] {
            let schema = map(json!({
                "type": "object", "properties": {"p": property},
                "$defs": {"T": {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}}},
            }));
            let shape = shape(&schema);
            assert!(matches!(shape, Shape::Text(_)), "{property} {shape:?}");
            let written = json!({"arguments": r#"{"p": {"a": null}}"#});
            assert_eq!(shape.unfold(&schema, written), Ok(json!({"p": {"a": null}})));
            assert_eq!(shape.unfold(&schema, json!({"p": 1})), Ok(json!({"p": 1})));
            assert_eq!(shape.unfold(&schema, json!({"arguments": " "})), Ok(json!({})));
            assert!(shape.unfold(&schema, json!({"arguments": "{"})).is_err());
            assert!(shape.unfold(&schema, json!([])).is_err());
        }
    }

    #[test]
    fn references_do_not_multiply() {
        let many = |name: &str| json!({"anyOf": vec![json!({"$ref": format!("#/$defs/{name}")}); 900]});
        let schema = map(json!({
            "type": "object", "properties": {"p": many("A")},
            "$defs": {"A": many("B"), "B": many("C"), "C": many("D"), "D": {"type": "string"}},
        }));
        assert!(matches!(shape(&schema), Shape::Text(_)));
    }

    #[test]
    fn nulls_that_mean_nothing_are_not_sent() {
        let schema = map(json!({
            "type": "object",
            "properties": {
                "a": {"type": "string"}, "b": {"type": ["string", "null"]}, "c": {"type": "number"},
                "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}, "required": ["x"]}},
                "either": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"z": {"type": "string"}}}]},
            },
            "required": ["a", "b"],
        }));
        let written = json!({"a": "x", "b": null, "c": null, "list": [{"x": 1, "y": null}], "either": {"z": null}});
        assert_eq!(
            shape(&schema).unfold(&schema, written),
            Ok(json!({"a": "x", "b": null, "list": [{"x": 1}], "either": {}}))
        );
    }
}
