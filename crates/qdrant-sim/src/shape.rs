//! Reading requests strictly: every field is documented, has the right type, and none is missing.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::Refusal;

/// An object with only these fields.
pub(crate) fn object<'v>(value: &'v Value, what: &str, known: &[&str]) -> Result<&'v Map<String, Value>, Refusal> {
    let Some(object) = value.as_object() else {
        return Err(Refusal::format(format!("{what}: expected an object")));
    };
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Refusal::format(format!("{what}: unknown field `{key}`"))),
        None => Ok(object),
    }
}

/// A field that must be there.
pub(crate) fn field<'v>(object: &'v Map<String, Value>, key: &str) -> Result<&'v Value, Refusal> {
    object
        .get(key)
        .ok_or_else(|| Refusal::format(format!("missing field `{key}`")))
}

pub(crate) fn text<'v>(value: &'v Value, what: &str) -> Result<&'v str, Refusal> {
    value
        .as_str()
        .ok_or_else(|| Refusal::format(format!("{what}: expected a string")))
}

pub(crate) fn list<'v>(value: &'v Value, what: &str) -> Result<&'v [Value], Refusal> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| Refusal::format(format!("{what}: expected a sequence")))
}

pub(crate) fn count(value: &Value, what: &str) -> Result<usize, Refusal> {
    value
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| Refusal::format(format!("{what}: expected an unsigned integer")))
}

/// A field that is false unless said otherwise.
pub(crate) fn flag(object: &Map<String, Value>, key: &str, default: bool) -> Result<bool, Refusal> {
    match object.get(key) {
        None => Ok(default),
        Some(value) => value
            .as_bool()
            .ok_or_else(|| Refusal::format(format!("{key}: expected a boolean"))),
    }
}

/// A point's id. Mira's are UUIDs; Qdrant's may be numbers too, which are not emulated.
pub(crate) fn id(value: &Value) -> Result<Uuid, Refusal> {
    value
        .as_str()
        .and_then(|text| Uuid::try_parse(text).ok())
        .ok_or_else(|| {
            Refusal::format(format!(
                "value {value} is not a valid point ID, valid values are either an unsigned integer or a UUID"
            ))
        })
}

/// A dense vector of finite numbers.
#[expect(clippy::cast_possible_truncation, reason = "as f32 is what the API stores")]
pub(crate) fn vector(value: &Value, what: &str) -> Result<Vec<f32>, Refusal> {
    list(value, what)?
        .iter()
        .map(|number| {
            number
                .as_f64()
                .map(|number| number as f32)
                .ok_or_else(|| Refusal::format(format!("{what}: expected numbers")))
        })
        .collect()
}
