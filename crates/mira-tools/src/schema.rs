//! JSON Schemas in the strict form models are held to: every object closed, every property required (optional ones are
//! nullable), nothing a strict validator refuses. Source: the documentation of structured outputs.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

/// Keys that say nothing to a model or are not allowed in the strict form.
const DROPPED: [&str; 5] = ["$schema", "title", "default", "format", "$defs"];

/// The strict schema of `T`, as the bytes that are sent.
pub(crate) fn strict<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tighten(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        // What the arguments are as a whole, the tool's own description says.
        object.shift_remove("description");
    }
    schema.to_string()
}

fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for key in DROPPED {
                object.shift_remove(key);
            }
            if let Some(Value::Object(properties)) = object.get("properties") {
                let names: Vec<Value> = properties.keys().cloned().map(Value::String).collect();
                object.insert("required".to_owned(), Value::Array(names));
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            } else if object.get("type").is_some_and(|kind| kind == "object") {
                object.insert("properties".to_owned(), Value::Object(Map::new()));
                object.insert("required".to_owned(), Value::Array(Vec::new()));
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            for (key, inner) in object.iter_mut() {
                // A property may be called like a keyword.
                if key == "properties" {
                    if let Value::Object(properties) = inner {
                        properties.values_mut().for_each(tighten);
                    }
                } else {
                    tighten(inner);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tighten),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Arguments {
        /// The words.
        title: String,
        /// At most so many.
        limit: Option<u32>,
        edits: Vec<Edit>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is read")]
    struct Edit {
        old: String,
    }

    #[derive(Deserialize, JsonSchema)]
    struct Nothing {}

    #[test]
    fn schemas_are_strict() {
        insta::assert_snapshot!(strict::<Arguments>());
        insta::assert_snapshot!(strict::<Nothing>());
    }
}
