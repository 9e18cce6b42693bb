//! Fits an answer to the schema a request asks for: exactly its keys, in its order, with values it allows.
//!
//! Known keys take the planned reply's values where their type is allowed; anything else gets the simplest value
//! the schema admits (null before an invented one). This is no validator: a schema is trusted to be one, and
//! `rules::schema` refuses those OpenAI refuses.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::json;
use crate::plan::Reply;

/// How deep a schema may nest before the emulator answers null.
const DEEPEST: usize = 16;
/// Most items made up for an array that asks for a minimum.
const MOST_ITEMS: u64 = 16;
/// The reply's keys in the order Mira asks for them; used where JSON is asked without a schema.
const KEYS: [&str; 9] = [
    "persona",
    "mood",
    "mood_cause",
    "output",
    "intent",
    "owner_mood",
    "tags",
    "salience",
    "remember",
];

/// JSON text, and where in it the words of the reply stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fitted {
    pub text: String,
    pub words: Option<Range<usize>>,
}

/// The reply as JSON for `schema`; `words` are the owner's, used where a text must be made up.
pub(crate) fn fit(schema: Option<&Value>, reply: &Reply, words: &str) -> Fitted {
    let fitter = Fitter {
        root: schema.unwrap_or(&Value::Null),
        reply,
        words,
    };
    let Some(schema) = schema else {
        return fitter.object(
            KEYS.into_iter()
                .map(|key| (key, fitter.known(key).unwrap_or(Value::Null))),
        );
    };
    let resolved = fitter.resolve(schema);
    match resolved.get("properties").and_then(Value::as_object) {
        Some(properties) => fitter.object(properties.iter().map(|(key, inner)| {
            let value = fitter.value(inner, fitter.known(key), 0);
            (key.as_str(), value)
        })),
        None => Fitted {
            text: fitter.value(resolved, None, 0).to_string(),
            words: None,
        },
    }
}

struct Fitter<'a> {
    root: &'a Value,
    reply: &'a Reply,
    words: &'a str,
}

impl<'a> Fitter<'a> {
    /// Writes an object and notes where `output` stands.
    fn object<'k>(&self, entries: impl Iterator<Item = (&'k str, Value)>) -> Fitted {
        let mut out = Vec::with_capacity(self.reply.output.len() + 256);
        let mut words = None;
        out.push(b'{');
        for (index, (key, value)) in entries.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::push(&mut out, key);
            out.push(b':');
            let start = out.len();
            json::push(&mut out, &value);
            if key == "output" && value.is_string() {
                words = Some(start + 1..out.len() - 1);
            }
        }
        out.push(b'}');
        // serde_json writes UTF-8 only.
        let text = String::from_utf8(out).unwrap_or_default();
        Fitted { text, words }
    }

    fn known(&self, key: &str) -> Option<Value> {
        let reply = self.reply;
        Some(match key {
            "persona" => Value::from(reply.persona.as_str()),
            "mood" => Value::from(reply.mood.as_str()),
            "mood_cause" => reply.mood_cause.as_deref().map_or(Value::Null, Value::from),
            "output" => Value::from(reply.output.as_str()),
            "intent" => Value::from(reply.intent.as_str()),
            "owner_mood" => Value::from(reply.owner_mood.as_str()),
            "tags" => Value::from(reply.tags.clone()),
            "salience" => Value::from(reply.salience),
            "remember" => reply.remember.clone(),
            other => return reply.more.get(other).cloned(),
        })
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..DEEPEST {
            let target = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix('#'));
            match target.and_then(|pointer| self.root.pointer(pointer)) {
                Some(found) => schema = found,
                None => break,
            }
        }
        schema
    }

    /// A value the schema allows: the known one if it does, else the simplest.
    fn value(&self, schema: &'a Value, known: Option<Value>, depth: usize) -> Value {
        let schema = self.resolve(schema);
        if depth > DEEPEST {
            return Value::Null;
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            let fits = known.filter(|value| choices.contains(value));
            let null = choices.iter().find(|choice| choice.is_null());
            return fits
                .or_else(|| null.or_else(|| choices.first()).cloned())
                .unwrap_or(Value::Null);
        }
        if let Some(branches) = schema
            .get("anyOf")
            .or_else(|| schema.get("oneOf"))
            .and_then(Value::as_array)
        {
            return self.branch(branches, known, depth);
        }
        let kinds = kinds(schema);
        if let Some(value) = known.and_then(|value| self.accept(schema, &kinds, value, depth)) {
            return value;
        }
        self.made_up(schema, &kinds, depth)
    }

    fn branch(&self, branches: &'a [Value], known: Option<Value>, depth: usize) -> Value {
        if let Some(known) = known.filter(|value| !value.is_null()) {
            let fitting = branches.iter().map(|branch| self.resolve(branch)).find(|branch| {
                kinds(branch).iter().any(|kind| is_kind(&known, kind))
                    && branch
                        .get("enum")
                        .and_then(Value::as_array)
                        .is_none_or(|choices| choices.contains(&known))
            });
            if let Some(branch) = fitting {
                return self.value(branch, Some(known), depth + 1);
            }
        }
        if branches
            .iter()
            .any(|branch| kinds(self.resolve(branch)).contains(&"null"))
        {
            return Value::Null;
        }
        branches
            .first()
            .map_or(Value::Null, |branch| self.value(branch, None, depth + 1))
    }

    fn accept(&self, schema: &'a Value, kinds: &[&str], value: Value, depth: usize) -> Option<Value> {
        let kind = kinds.iter().find(|kind| is_kind(&value, kind))?;
        if *kind == "number" || *kind == "integer" {
            let number = value.as_f64()?;
            let least = schema.get("minimum").and_then(Value::as_f64).unwrap_or(number);
            let most = schema.get("maximum").and_then(Value::as_f64).unwrap_or(number);
            if number < least || number > most {
                return Some(Value::from(number.max(least).min(most)));
            }
        }
        if let (Value::Array(items), Some(item_schema)) = (&value, schema.get("items")) {
            let fitted = items.iter().map(|item| self.item(item_schema, item, depth + 1));
            return Some(Value::Array(fitted.collect()));
        }
        Some(value)
    }

    /// An item of a known array: itself with exactly the schema's keys, or the simplest the schema allows.
    fn item(&self, schema: &'a Value, item: &Value, depth: usize) -> Value {
        let schema = self.resolve(schema);
        match (item, schema.get("properties").and_then(Value::as_object)) {
            (Value::Object(known), Some(properties)) => {
                let filled = properties
                    .iter()
                    .map(|(key, inner)| (key.clone(), self.value(inner, known.get(key).cloned(), depth)));
                Value::Object(filled.collect())
            }
            _ => fitting_item(schema, item),
        }
    }

    fn made_up(&self, schema: &'a Value, kinds: &[&str], depth: usize) -> Value {
        if kinds.contains(&"null") {
            return Value::Null;
        }
        let minimum = |key: &str| schema.get(key).and_then(Value::as_f64);
        match kinds.first().copied() {
            Some("object") => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let filled = properties.into_iter().flatten().map(|(key, inner)| {
                    let value = self.value(inner, self.known(key), depth + 1);
                    (key.clone(), value)
                });
                Value::Object(filled.collect::<Map<_, _>>())
            }
            Some("array") => {
                let wanted = schema
                    .get("minItems")
                    .and_then(Value::as_u64)
                    .unwrap_or(0)
                    .min(MOST_ITEMS);
                let items = schema.get("items").unwrap_or(&Value::Null);
                Value::Array((0..wanted).map(|_| self.value(items, None, depth + 1)).collect())
            }
            Some("number") => Value::from(minimum("minimum").unwrap_or(0.0)),
            Some("integer") => schema.get("minimum").cloned().unwrap_or_else(|| Value::from(0)),
            Some("boolean") => Value::Bool(false),
            Some("string") => Value::from(shorten(self.words, 12)),
            Some(_) | None => Value::Null,
        }
    }
}

/// The first words of a text, for strings that must be made up.
pub(crate) fn shorten(words: &str, most: usize) -> String {
    let mut out = String::new();
    for word in words.split_whitespace().take(most) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if out.is_empty() { "nothing said".to_owned() } else { out }
}

/// An item that is no object: itself, or the first of those the schema allows.
fn fitting_item(schema: &Value, item: &Value) -> Value {
    match schema.get("enum").and_then(Value::as_array) {
        Some(choices) if !choices.contains(item) => choices.first().cloned().unwrap_or(Value::Null),
        Some(_) | None => item.clone(),
    }
}

fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind.as_str()],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        _ => Vec::new(),
    }
}

fn is_kind(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// Finds a JSON schema written out in a text: what a client does that asks for JSON in words, because its server
/// takes no schema.
pub(crate) fn schema_in(text: &str) -> Option<Value> {
    if !text.contains("\"properties\"") {
        return None;
    }
    text.match_indices('{').take(8).find_map(|(at, _)| {
        let (_, from) = text.split_at_checked(at)?;
        let value = serde_json::Deserializer::from_str(from)
            .into_iter::<Value>()
            .next()?
            .ok()?;
        value.get("properties").is_some().then_some(value)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::string_slice, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn reply() -> Reply {
        Reply::new("Say \"hi\"\n").persona("haven").mood("soft", Some("rain"))
    }

    fn check(schema: &Value, expect: &str) {
        assert_eq!(fit(Some(schema), &reply(), "these are words").text, expect);
    }

    #[test]
    fn keys_and_order_are_those_of_the_schema() {
        let schema = json!({"type": "object", "properties": {
            "mood": {"type": "string"}, "persona": {"type": "string", "enum": ["default", "haven"]},
            "output": {"type": "string"}, "salience": {"type": "number", "minimum": 0, "maximum": 0.25},
            "tags": {"type": "array", "items": {"type": "string"}}}});
        check(
            &schema,
            r#"{"mood":"soft","persona":"haven","output":"Say \"hi\"\n","salience":0.25,"tags":["chat"]}"#,
        );
        let fitted = fit(Some(&schema), &reply(), "");
        assert_eq!(&fitted.text[fitted.words.unwrap()], "Say \\\"hi\\\"\\n");
    }

    #[test]
    fn unknown_keys_get_the_simplest_value() {
        check(
            &json!({"type": "object", "properties": {
                "a": {"type": ["string", "null"]}, "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "c": {"type": "integer", "minimum": 3}, "d": {"type": "boolean"}, "e": {"const": "x"},
                "f": {"type": "array", "items": {"$ref": "#/$defs/one"}, "minItems": 1}, "g": {"type": "string"},
                "persona": {"enum": ["hallow"]}, "h": {"anyOf": [{"$ref": "#/$defs/one"}]}},
                "$defs": {"one": {"type": "object", "properties": {"mood": {"type": "string"}}}}}),
            r#"{"a":null,"b":null,"c":3,"d":false,"e":"x","f":[{"mood":"soft"}],"g":"these are words","persona":"hallow","h":{"mood":"soft"}}"#,
        );
    }

    #[test]
    fn nullable_known_keys_keep_their_value_where_its_type_fits() {
        check(
            &json!({"properties": {
                "mood_cause": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "remember": {"type": ["array", "null"], "items": {"type": "string"}},
                "mood": {"type": "integer"}}}),
            r#"{"mood_cause":"rain","remember":[],"mood":0}"#,
        );
    }

    #[test]
    fn notes_are_fitted_key_by_key() {
        let schema = json!({"type": "object", "properties": {"remember": {"type": "array", "items": {
            "type": "object", "properties": {
                "about": {"type": "string"}, "replaces": {"type": ["integer", "null"]}, "text": {"type": "string"}}}}}});
        let reply =
            reply()
                .remember("owner", "job", "The owner bakes.", None)
                .remember("Anna", "job", "Anna sings.", Some(2));
        assert_eq!(
            fit(Some(&schema), &reply, "").text,
            r#"{"remember":[{"about":"owner","replaces":null,"text":"The owner bakes."},{"about":"Anna","replaces":2,"text":"Anna sings."}]}"#
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(fit(Some(&schema), &reply(), "").text.ends_with("}}"));
    }

    #[test]
    fn schemas_are_found_in_text() {
        let schema = json!({"type": "object", "properties": {"mood": {"type": "string"}}});
        let text = format!("Answer {{only}} with JSON like {schema} and nothing else.");
        assert_eq!(schema_in(&text), Some(schema));
        assert_eq!(schema_in("no {\"properties\" here"), None);
    }
}
