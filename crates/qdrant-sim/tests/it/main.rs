//! The emulator through its own door: what it takes, what it refuses, how it fails.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use qdrant_sim::{Fault, Sim, SimConfig};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Once;

mod exchange;
mod recorded;

const A: &str = "00000000-0000-7000-8000-000000000001";
const B: &str = "00000000-0000-7000-8000-000000000002";

/// The client of this test: building one is slow, and tests do not share a runtime.
fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    // It fails only if it is there already, which is what is wanted.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn ask(sim: &Sim, method: Method, path: &str, body: Value) -> (u16, Value) {
    let mut request = client().request(method, format!("{}{path}", sim.url()));
    if !body.is_null() {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
}

async fn ok(sim: &Sim, method: Method, path: &str, body: Value) -> Value {
    let (status, mut answer) = ask(sim, method, path, body).await;
    assert_eq!((status, &answer["status"]), (200, &json!("ok")), "{answer}");
    answer["result"].take()
}

async fn refused(sim: &Sim, method: Method, path: &str, body: Value) -> (u16, String) {
    let (status, answer) = ask(sim, method, path, body).await;
    let words = answer["status"]["error"].as_str().unwrap_or_else(|| panic!("{answer}"));
    (status, words.to_owned())
}

fn points() -> Value {
    json!({ "points": [
        { "id": A, "vector": [3.0, 4.0], "payload": { "kind": "fact", "at": 5 } },
        { "id": B, "vector": [0.0, -1.0], "payload": { "kind": "message", "at": 6 } },
    ] })
}

async fn filled() -> Sim {
    let sim = Sim::start(SimConfig::default()).await.unwrap();
    let made = ok(
        &sim,
        Method::PUT,
        "/collections/c",
        json!({ "vectors": { "size": 2, "distance": "Cosine" }, "on_disk_payload": true }),
    );
    assert_eq!(made.await, json!(true));
    for (field, schema) in [("kind", "keyword"), ("at", "integer")] {
        let index = json!({ "field_name": field, "field_schema": schema });
        ok(&sim, Method::PUT, "/collections/c/index?wait=true", index).await;
    }
    let done = ok(&sim, Method::PUT, "/collections/c/points?wait=true", points()).await;
    assert_eq!(done["status"], json!("completed"));
    sim
}

#[tokio::test]
async fn points_are_found_by_cosine_and_filter() {
    let sim = filled().await;
    let query = json!({ "query": [0.0, 2.0], "limit": 5, "params": { "exact": true } });
    let found = ok(&sim, Method::POST, "/collections/c/points/query", query).await;
    let near = |i: usize| {
        (
            found["points"][i]["id"].clone(),
            found["points"][i]["score"].as_f64().unwrap(),
        )
    };
    assert_eq!(near(0).0, json!(A));
    assert!((near(0).1 - 0.8).abs() < 1e-6);
    assert_eq!(near(1), (json!(B), -1.0));
    let count = async |filter: Value| {
        let body = json!({ "filter": filter, "exact": true });
        ok(&sim, Method::POST, "/collections/c/points/count", body).await["count"].clone()
    };
    let kind = json!({ "key": "kind", "match": { "any": ["fact", "summary"] } });
    assert_eq!(count(json!({ "must": [kind] })).await, json!(1));
    let at = |range: Value| json!({ "must": [{ "key": "at", "range": range }] });
    assert_eq!(count(at(json!({ "gte": 5, "lt": 6 }))).await, json!(1));
    assert_eq!(count(at(json!({ "gte": 7 }))).await, json!(0));
    assert_eq!(count(json!({ "must": [{ "has_id": [A, B] }] })).await, json!(2));
    let delete = json!({ "filter": { "must": [{ "has_id": [A] }] } });
    ok(&sim, Method::POST, "/collections/c/points/delete?wait=true", delete).await;
    assert_eq!(sim.points("c"), Some(1));
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let sim = filled().await;
    let missing = refused(&sim, Method::GET, "/collections/x", Value::Null).await;
    assert_eq!(missing, (404, "Not found: Collection `x` doesn't exist!".to_owned()));
    let again = json!({ "vectors": { "size": 2, "distance": "Cosine" } });
    let again = refused(&sim, Method::PUT, "/collections/c", again).await;
    assert_eq!(again, (409, "Wrong input: Collection `c` already exists!".to_owned()));
    let long = json!({ "points": [{ "id": A, "vector": [1.0, 2.0, 3.0] }] });
    let long = refused(&sim, Method::PUT, "/collections/c/points?wait=true", long).await;
    assert_eq!(
        long,
        (
            400,
            "Wrong input: Vector dimension error: expected dim: 2, got 3".to_owned()
        )
    );
    for (path, body) in [
        (
            "/collections/c/points/query",
            json!({ "vector": [1.0, 2.0], "limit": 3 }),
        ),
        (
            "/collections/c/points/query",
            json!({ "query": [1.0, "2"], "limit": 3 }),
        ),
        (
            "/collections/c/points/query",
            json!({ "query": [1.0, 2.0], "filter": { "most": [] } }),
        ),
        (
            "/collections/c/points/count",
            json!({ "filter": { "must": [{ "key": "kind", "match": "fact" }] } }),
        ),
        (
            "/collections/c/points/count",
            json!({ "filter": { "must": [{ "key": "kind", "match": { "value": 1.5 } }] } }),
        ),
        (
            "/collections/c/points/delete?wait=true",
            json!({ "points": ["nobody"] }),
        ),
        ("/collections/aliases", json!({ "actions": [{ "make_alias": {} }] })),
    ] {
        let (status, words) = refused(&sim, Method::POST, path, body.clone()).await;
        assert_eq!(status, 400, "{body}");
        assert!(words.starts_with("Format error in JSON body"), "{body}: {words}");
    }
    let unindexed = json!({ "filter": { "must": [{ "key": "mood", "match": { "value": "x" } }] } });
    let (status, words) = refused(&sim, Method::POST, "/collections/c/points/count", unindexed).await;
    assert!(status == 400 && words.starts_with("Bad request: Index required but not found for \"mood\""));
    let zero = json!({ "query": [1.0, 2.0], "limit": 0 });
    assert_eq!(
        refused(&sim, Method::POST, "/collections/c/points/query", zero).await.0,
        422
    );
}

#[tokio::test]
async fn aliases_swap_in_one_step() {
    let sim = filled().await;
    let create = |to: &str| json!({ "create_alias": { "collection_name": to, "alias_name": "a" } });
    let change = |actions: Value| {
        ok(
            &sim,
            Method::POST,
            "/collections/aliases",
            json!({ "actions": actions }),
        )
    };
    assert_eq!(change(json!([create("c")])).await, json!(true));
    assert_eq!(sim.points("a"), Some(2));
    let bad = json!({ "actions": [{ "delete_alias": { "alias_name": "a" } }, create("x")] });
    assert_eq!(refused(&sim, Method::POST, "/collections/aliases", bad).await.0, 404);
    assert_eq!(sim.alias("a").as_deref(), Some("c"));
    let listed = ok(&sim, Method::GET, "/collections/c/aliases", Value::Null).await;
    assert_eq!(
        listed,
        json!({ "aliases": [{ "alias_name": "a", "collection_name": "c" }] })
    );
    assert_eq!(
        ok(&sim, Method::DELETE, "/collections/c", Value::Null).await,
        json!(true)
    );
    assert_eq!((sim.points("a"), sim.alias("a")), (None, None));
}

#[tokio::test]
async fn what_is_not_waited_for_is_seen_later() {
    let sim = filled().await;
    let delete = json!({ "points": [A] });
    let done = ok(&sim, Method::POST, "/collections/c/points/delete", delete).await;
    assert_eq!(done["status"], json!("acknowledged"));
    assert_eq!(sim.points("c"), Some(2));
    sim.settle();
    assert_eq!(sim.points("c"), Some(1));
}

#[tokio::test]
async fn faults_come_when_ordered() {
    let mut sim = filled().await;
    let get = || ask(&sim, Method::GET, "/collections/c", Value::Null);
    sim.fault(Fault::Internal, 1);
    sim.fault(
        Fault::TooMany {
            retry_after_seconds: Some(3),
        },
        1,
    );
    assert_eq!(get().await.0, 500);
    assert_eq!(get().await.0, 429);
    assert_eq!(get().await.0, 200);
    sim.fault(Fault::Garbage, 1);
    assert!(get().await.1.is_string());
    let raw = || client().get(format!("{}/collections/c", sim.url())).send();
    sim.fault(Fault::Cut, 1);
    assert!(match raw().await {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    });
    sim.fault(Fault::CutBody, 1);
    assert!(match raw().await {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    });
    sim.set_full(true);
    let (status, words) = refused(&sim, Method::PUT, "/collections/c/points?wait=true", points()).await;
    assert!(status == 500 && words.contains("No space left on device"));
    sim.set_full(false);
    sim.set_key(Some("k"));
    assert_eq!(get().await.0, 401);
    let wrong = client()
        .get(format!("{}/collections/c", sim.url()))
        .header("api-key", "x");
    assert_eq!(wrong.send().await.unwrap().status().as_u16(), 401);
    let right = client()
        .get(format!("{}/collections/c", sim.url()))
        .header("api-key", "k");
    assert_eq!(right.send().await.unwrap().status().as_u16(), 200);
    sim.set_key(None);
    sim.go_down().await;
    assert!(client().get(sim.url()).send().await.unwrap_err().is_connect());
    sim.come_back().await.unwrap();
    assert_eq!(sim.points("c"), Some(2));
    assert_eq!(ask(&sim, Method::GET, "/collections/c", Value::Null).await.0, 200);
    sim.wipe();
    assert_eq!(ask(&sim, Method::GET, "/collections/c", Value::Null).await.0, 404);
    assert_eq!(sim.requests().last().unwrap().status, Some(404));
}
