//! The calls: which there are, what each takes, does and answers. One function a call, named after it.

use hyper::Method;
use serde_json::{Value, json};

use crate::collections::{AliasChange, Collection, Collections, Point, Write, normalised};
use crate::error::Refusal;
use crate::filter::Filter;
use crate::shape::{count as number, field, flag, id, list, object, text, vector};

/// A request, read as far as HTTP goes.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub method: &'a Method,
    /// Path segments, unescaped.
    pub path: Vec<String>,
    /// `wait=true` stands in the query.
    pub wait: bool,
    pub body: &'a Value,
    /// Its disk is full.
    pub full: bool,
    pub strict_mode: bool,
}

const SCHEMAS: [&str; 8] = ["keyword", "integer", "float", "geo", "text", "bool", "datetime", "uuid"];
/// Bytes a collection's name must not have.
const FORBIDDEN: &str = "<>:\"/\\|?*\0\u{1F}";

/// Carries a request out; answers the `result`.
pub(crate) fn answer(all: &mut Collections, asked: &Asked<'_>) -> Result<Value, Refusal> {
    let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
    match (asked.method.as_str(), path.as_slice()) {
        ("GET", ["aliases"]) => Ok(list_aliases(all, |_| true)),
        ("POST", ["collections", "aliases"]) => change_aliases(all, asked.body),
        ("GET", ["collections", name]) => Ok(describe(all.find(name)?)),
        ("PUT", ["collections", name]) => create(all, name, asked.body),
        ("DELETE", ["collections", name]) => Ok(json!(all.delete(name))),
        ("GET", ["collections", name, "aliases"]) => {
            all.find(name)?;
            Ok(list_aliases(all, |target| target == *name))
        }
        ("PUT", ["collections", name, "index"]) => index(all.find(name)?, asked),
        ("PUT", ["collections", name, "points"]) => upsert(all.find(name)?, asked),
        ("POST", ["collections", name, "points", "query"]) => query(all.find(name)?, asked),
        ("POST", ["collections", name, "points", "count"]) => count(all.find(name)?, asked),
        ("POST", ["collections", name, "points", "delete"]) => delete(all.find(name)?, asked),
        _ => Err(Refusal::plain(404, "")),
    }
}

fn list_aliases(all: &Collections, wanted: impl Fn(&str) -> bool) -> Value {
    let aliases: Vec<Value> = all
        .aliases()
        .iter()
        .filter(|(_, target)| wanted(target))
        .map(|(alias, target)| json!({ "alias_name": alias, "collection_name": target }))
        .collect();
    json!({ "aliases": aliases })
}

fn change_aliases(all: &mut Collections, body: &Value) -> Result<Value, Refusal> {
    let body = object(body, "body", &["actions"])?;
    let mut changes = Vec::new();
    for action in list(field(body, "actions")?, "actions")? {
        let action = object(action, "action", &["create_alias", "delete_alias"])?;
        let change = match (action.get("create_alias"), action.get("delete_alias")) {
            (Some(create), None) => {
                let create = object(create, "create_alias", &["collection_name", "alias_name"])?;
                AliasChange::Create {
                    alias: text(field(create, "alias_name")?, "alias_name")?.to_owned(),
                    collection: text(field(create, "collection_name")?, "collection_name")?.to_owned(),
                }
            }
            (None, Some(delete)) => {
                let delete = object(delete, "delete_alias", &["alias_name"])?;
                AliasChange::Delete {
                    alias: text(field(delete, "alias_name")?, "alias_name")?.to_owned(),
                }
            }
            _ => {
                return Err(Refusal::format(
                    "data did not match any variant of untagged enum AliasOperations",
                ));
            }
        };
        changes.push(change);
    }
    all.change(changes)?;
    Ok(json!(true))
}

fn describe(collection: &Collection) -> Value {
    let schema: serde_json::Map<String, Value> = collection
        .indexes
        .iter()
        .map(|(field, schema)| {
            (
                field.clone(),
                json!({ "data_type": schema, "points": collection.len() }),
            )
        })
        .collect();
    json!({
        "status": "green",
        "optimizer_status": "ok",
        "indexed_vectors_count": 0,
        "points_count": collection.len(),
        "segments_count": 2,
        "config": {
            "params": {
                "vectors": { "size": collection.size, "distance": "Cosine" },
                "shard_number": 1,
                "replication_factor": 1,
                "write_consistency_factor": 1,
                "on_disk_payload": collection.on_disk_payload,
            },
            "hnsw_config": {
                "m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0, "on_disk": false,
            },
            "optimizer_config": {
                "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
            "wal_config": { "wal_capacity_mb": 32, "wal_segments_ahead": 0 },
            "quantization_config": null,
        },
        "payload_schema": schema,
    })
}

fn create(all: &mut Collections, name: &str, body: &Value) -> Result<Value, Refusal> {
    if name.is_empty() || name.len() > 255 || name.chars().any(|c| FORBIDDEN.contains(c)) {
        return Err(Refusal::new(
            422,
            format!("Validation error in path parameters: [collection_name: value {name:?} invalid]"),
        ));
    }
    let body = object(body, "body", &["vectors", "on_disk_payload"])?;
    let vectors = object(field(body, "vectors")?, "vectors", &["size", "distance"])?;
    let size = number(field(vectors, "size")?, "size")?;
    if size == 0 {
        return Err(Refusal::format(
            "data did not match any variant of untagged enum VectorsConfig",
        ));
    }
    if size > 65_536 {
        return Err(Refusal::new(
            422,
            format!("Validation error in JSON body: [vectors.size: value {size} invalid, must be from 1 to 65536]"),
        ));
    }
    let distance = text(field(vectors, "distance")?, "distance")?;
    if distance != "Cosine" {
        return Err(Refusal::format(format!("the emulator knows Cosine, not {distance:?}")));
    }
    all.create(name, size, flag(body, "on_disk_payload", true)?)?;
    Ok(json!(true))
}

fn index(collection: &mut Collection, asked: &Asked<'_>) -> Result<Value, Refusal> {
    let body = object(asked.body, "body", &["field_name", "field_schema"])?;
    let name = text(field(body, "field_name")?, "field_name")?;
    let schema = text(field(body, "field_schema")?, "field_schema")?;
    if !SCHEMAS.contains(&schema) {
        return Err(Refusal::format(
            "data did not match any variant of untagged enum PayloadFieldSchema",
        ));
    }
    collection.indexes.insert(name.to_owned(), schema.to_owned());
    let operation = collection.write(Write::DeleteIds(Vec::new()), asked.wait);
    Ok(update(operation, asked.wait))
}

/// The answer to a write.
fn update(operation: u64, waited: bool) -> Value {
    let status = if waited { "completed" } else { "acknowledged" };
    json!({ "operation_id": operation, "status": status })
}

fn fits(collection: &Collection, vector: &[f32]) -> Result<(), Refusal> {
    if vector.len() == collection.size {
        Ok(())
    } else {
        Err(Refusal::wrong_input(format!(
            "Vector dimension error: expected dim: {}, got {}",
            collection.size,
            vector.len()
        )))
    }
}

fn upsert(collection: &mut Collection, asked: &Asked<'_>) -> Result<Value, Refusal> {
    let body = object(asked.body, "body", &["points"])?;
    let asked_points = list(field(body, "points")?, "points")?;
    if asked_points.is_empty() {
        return Err(Refusal::bad_request("Empty update request"));
    }
    let mut points = Vec::with_capacity(asked_points.len());
    for point in asked_points {
        let point = object(point, "point", &["id", "vector", "payload"])?;
        let vector = vector(field(point, "vector")?, "vector")?;
        fits(collection, &vector)?;
        let payload = match point.get("payload") {
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(Value::Object(payload)) => payload.clone(),
            Some(_) => return Err(Refusal::format("payload: expected an object")),
        };
        points.push(Point {
            id: id(field(point, "id")?)?,
            vector: normalised(vector),
            payload,
        });
    }
    if asked.full {
        return Err(Refusal::full());
    }
    let operation = collection.write(Write::Upsert(points), asked.wait);
    Ok(update(operation, asked.wait))
}

fn read_filter(collection: &Collection, asked: &Asked<'_>, value: Option<&Value>) -> Result<Filter, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(Filter::default()),
        Some(value) => Filter::read(value, asked.strict_mode.then_some(&collection.indexes)),
    }
}

fn query(collection: &Collection, asked: &Asked<'_>) -> Result<Value, Refusal> {
    let known = ["query", "filter", "params", "limit", "with_payload", "with_vector"];
    let body = object(asked.body, "body", &known)?;
    let query = vector(field(body, "query")?, "query")?;
    fits(collection, &query)?;
    if let Some(params) = body.get("params") {
        let params = object(params, "params", &["hnsw_ef", "exact"])?;
        flag(params, "exact", false)?;
        if let Some(width) = params.get("hnsw_ef") {
            number(width, "hnsw_ef")?;
        }
    }
    let limit = match body.get("limit") {
        None => 10,
        Some(limit) => number(limit, "limit")?,
    };
    if limit == 0 {
        return Err(Refusal::new(
            422,
            "Validation error in JSON body: [internal.limit: value 0 invalid, must be 1 or larger]",
        ));
    }
    let filter = read_filter(collection, asked, body.get("filter"))?;
    let (with_payload, with_vector) = (flag(body, "with_payload", false)?, flag(body, "with_vector", false)?);
    let points: Vec<Value> = collection
        .query(&query, &filter, limit)
        .into_iter()
        .map(|(id, score, point)| {
            let mut found = json!({ "id": id, "version": 0, "score": score });
            if let Some(found) = found.as_object_mut() {
                if with_payload {
                    found.insert("payload".to_owned(), Value::Object(point.payload.clone()));
                }
                if with_vector {
                    found.insert("vector".to_owned(), json!(point.vector));
                }
            }
            found
        })
        .collect();
    Ok(json!({ "points": points }))
}

fn count(collection: &Collection, asked: &Asked<'_>) -> Result<Value, Refusal> {
    let body = object(asked.body, "body", &["filter", "exact"])?;
    flag(body, "exact", true)?;
    let filter = read_filter(collection, asked, body.get("filter"))?;
    Ok(json!({ "count": collection.count(&filter) }))
}

fn delete(collection: &mut Collection, asked: &Asked<'_>) -> Result<Value, Refusal> {
    let body = object(asked.body, "body", &["points", "filter"])?;
    let write = match (body.get("points"), body.get("filter")) {
        (Some(points), None) => {
            let ids: Result<Vec<_>, Refusal> = list(points, "points")?.iter().map(id).collect();
            Write::DeleteIds(ids?)
        }
        (None, filter @ Some(_)) => Write::DeleteWhere(read_filter(collection, asked, filter)?),
        _ => {
            return Err(Refusal::format(
                "data did not match any variant of untagged enum PointsSelector",
            ));
        }
    };
    if asked.full {
        return Err(Refusal::full());
    }
    let operation = collection.write(write, asked.wait);
    Ok(update(operation, asked.wait))
}
