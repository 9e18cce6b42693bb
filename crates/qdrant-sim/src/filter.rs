//! Filters: `{"must": [...]}` of conditions on the payload and on ids.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::Refusal;
use crate::shape::{field, id, list, object, text};

/// One condition.
#[derive(Debug)]
enum Condition {
    /// The field has one of these values.
    Any(String, Vec<Value>),
    Range {
        key: String,
        gte: Option<f64>,
        gt: Option<f64>,
        lt: Option<f64>,
        lte: Option<f64>,
    },
    Ids(HashSet<Uuid>),
}

/// All conditions must hold.
#[derive(Debug, Default)]
pub(crate) struct Filter(Vec<Condition>);

impl Filter {
    /// Reads a filter. Conditions ask only for fields of `indexed`, unless that is `None`.
    pub(crate) fn read(value: &Value, indexed: Option<&BTreeMap<String, String>>) -> Result<Self, Refusal> {
        let filter = object(value, "filter", &["must"])?;
        let conditions: Result<Vec<Condition>, Refusal> =
            list(field(filter, "must")?, "must")?.iter().map(condition).collect();
        let filter = Self(conditions?);
        if let Some(indexed) = indexed {
            filter.check_indexes(indexed)?;
        }
        Ok(filter)
    }

    fn check_indexes(&self, indexed: &BTreeMap<String, String>) -> Result<(), Refusal> {
        for condition in &self.0 {
            let (key, fits): (&str, &[&str]) = match condition {
                Condition::Any(key, values) if values.iter().all(Value::is_string) => (key, &["keyword", "uuid"]),
                Condition::Any(key, _) => (key, &["integer"]),
                Condition::Range { key, .. } => (key, &["integer", "float"]),
                Condition::Ids(_) => continue,
            };
            if !indexed.get(key).is_some_and(|schema| fits.contains(&schema.as_str())) {
                return Err(Refusal::bad_request(format!(
                    "Index required but not found for \"{key}\" of one of the following types: [{}]. Help: Create an \
                     index for this key or use a different filter.",
                    fits.join(", ")
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn takes(&self, point: Uuid, payload: &Map<String, Value>) -> bool {
        self.0.iter().all(|condition| match condition {
            Condition::Any(key, values) => payload.get(key).is_some_and(|has| values.contains(has)),
            Condition::Range { key, gte, gt, lt, lte } => payload.get(key).and_then(Value::as_f64).is_some_and(|has| {
                gte.is_none_or(|bound| has >= bound)
                    && gt.is_none_or(|bound| has > bound)
                    && lt.is_none_or(|bound| has < bound)
                    && lte.is_none_or(|bound| has <= bound)
            }),
            Condition::Ids(ids) => ids.contains(&point),
        })
    }
}

fn condition(value: &Value) -> Result<Condition, Refusal> {
    let condition = object(value, "condition", &["key", "match", "range", "has_id"])?;
    if let Some(ids) = condition.get("has_id") {
        object(value, "condition", &["has_id"])?;
        return Ok(Condition::Ids(
            list(ids, "has_id")?.iter().map(id).collect::<Result<_, _>>()?,
        ));
    }
    let key = text(field(condition, "key")?, "key")?.to_owned();
    match (condition.get("match"), condition.get("range")) {
        (Some(value), None) => matching(key, value),
        (None, Some(value)) => range(key, value),
        (None, None) => Err(Refusal::new(
            422,
            "Validation error in JSON body: [internal.filter.must[0].__all__: Validation error: At least one field \
             condition must be specified [{}]]",
        )),
        _ => Err(Refusal::format("the emulator knows one condition on a field, not two")),
    }
}

fn matching(key: String, value: &Value) -> Result<Condition, Refusal> {
    let form = object(value, "match", &["value", "any"])?;
    let scalar = |value: &Value| value.is_string() || value.is_i64() || value.is_u64() || value.is_boolean();
    let values = match (form.get("value"), form.get("any")) {
        (Some(value), None) => vec![value.clone()],
        (None, Some(values)) => list(values, "any")?.to_vec(),
        _ => return Err(Refusal::format("data did not match any variant of untagged enum Match")),
    };
    if values.iter().all(scalar) {
        Ok(Condition::Any(key, values))
    } else {
        Err(Refusal::format("match: expected a string, an integer or a boolean"))
    }
}

fn range(key: String, value: &Value) -> Result<Condition, Refusal> {
    let form = object(value, "range", &["gte", "gt", "lt", "lte"])?;
    let bound = |name: &str| match form.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .ok_or_else(|| Refusal::format(format!("{name}: expected a number"))),
    };
    Ok(Condition::Range {
        gte: bound("gte")?,
        gt: bound("gt")?,
        lt: bound("lt")?,
        lte: bound("lte")?,
        key,
    })
}
