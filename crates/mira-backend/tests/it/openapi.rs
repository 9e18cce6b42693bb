//! The served OpenAPI document as the judge of all other tests. That no change of it goes unseen is held by a snapshot
//! in `edge.rs`.

use crate::support::{contract::contract, server::Setup};
use serde_json::Value;

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|inner| walk(inner, found));
            }
            Value::Array(list) => list.iter().for_each(|inner| walk(inner, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let server = Setup::new().start();
    let document = contract(&server).await.document();
    let mut references = Vec::new();
    walk(document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_judge_does_refuse() {
    let server = Setup::new().start();
    let contract = contract(&server).await;
    let session = serde_json::json!({ "id": 7 });
    let judged = std::panic::catch_unwind(|| contract.object("Session", &session));
    assert!(judged.is_err(), "a session whose id is a number");
}
