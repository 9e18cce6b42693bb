//! Memory with Qdrant beside her: the same recall, and no failed turn whatever becomes of it.

use crate::{
    memory_trouble::{recalled, says, until},
    support::{
        client::House,
        server::{Server, Setup},
    },
};
use mira_llm::embeddings::{Embedder, LocalEmbedder};
use qdrant_sim::{Fault, Sim, SimConfig};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const TOLD: &str = "I have a cat named Biscuit.";
const ASKED: &str = "What pets do I own?";

async fn qdrant() -> Sim {
    Sim::start(SimConfig {
        api_key: Some("qk".to_owned()),
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

async fn house(qdrant: &Sim, key: &str) -> House {
    House::with(|setup| setup.env("QDRANT_URL", qdrant.url()).env("QDRANT_API_KEY", key)).await
}

/// Whether what was told came up, in her words or the owner's: they say the same here, and one of them stands for both.
fn holds(found: &[Value]) -> bool {
    says(found, TOLD)
}

/// What was told comes up, and nothing is lacking; no word of it is in the question.
async fn knows(house: &House, session: &str) {
    let (found, degraded) = recalled(house, session, ASKED).await;
    assert!(holds(&found), "{found:?}");
    assert_eq!(degraded, None);
}

/// What somebody else does to a collection.
async fn change(qdrant: &Sim, verb: Method, path: &str, body: &Value) {
    let answer = Server::client()
        .request(verb, format!("{}/collections/{path}", qdrant.url()))
        .header("api-key", "qk")
        .header("content-type", "application/json")
        .body(body.to_string())
        .send();
    assert_eq!(answer.await.unwrap().status().as_u16(), 200);
}

/// Points of the collection that the alias names.
fn points(qdrant: &Sim) -> Option<usize> {
    qdrant.alias("mira-memory").and_then(|name| qdrant.points(&name))
}

async fn index(house: &House) -> Value {
    house.api.get("/health").await["components"]["vector_index"].clone()
}

#[tokio::test]
async fn meaning_is_found_in_qdrant() {
    let qdrant = qdrant().await;
    let house = house(&qdrant, "qk").await;
    house.line().await.turn(TOLD).await;
    house.indexed().await;
    knows(&house, "later").await;
    assert_eq!(index(&house).await["status"], "ok");
    let alias = qdrant.alias("mira-memory").unwrap();
    assert!(qdrant.points(&alias).unwrap() >= 2, "both sides of the turn");
    // Forgotten there too.
    house.indexed().await;
    let id = house.api.history().await[0]["id"].as_str().unwrap().to_owned();
    let before = qdrant.points(&alias).unwrap();
    house.api.delete(&format!("/api/memories/{id}")).await.expect(204);
    house.indexed().await;
    assert_eq!(qdrant.points(&alias).unwrap(), before - 1);
}

#[tokio::test]
async fn an_outage_costs_no_turn_and_is_caught_up() {
    let mut qdrant = qdrant().await;
    let house = house(&qdrant, "qk").await;
    house.line().await.turn("Hello there.").await;
    house.indexed().await;
    qdrant.go_down().await;
    house.line().await.turn(TOLD).await;
    let (_, degraded) = recalled(&house, "during", ASKED).await;
    assert!(degraded.unwrap().contains("index"));
    let health = index(&house).await;
    assert_eq!(health["status"], "degraded", "{health}");
    qdrant.come_back().await.unwrap();
    house.indexed().await;
    knows(&house, "after").await;
    assert_eq!(index(&house).await["status"], "ok");
}

#[tokio::test]
async fn a_slow_a_full_and_a_babbling_server_cost_no_turn() {
    let qdrant = qdrant().await;
    let house = house(&qdrant, "qk").await;
    house.line().await.turn(TOLD).await;
    house.indexed().await;
    for (n, fault) in [
        Fault::Slow(Duration::from_secs(20)),
        Fault::Garbage,
        Fault::Nonsense,
        Fault::CutBody,
        Fault::Internal,
    ]
    .into_iter()
    .enumerate()
    {
        qdrant.fault(fault.clone(), 10_000);
        let (_, degraded) = recalled(&house, &format!("fault{n}"), ASKED).await;
        assert!(degraded.is_some(), "{fault:?}");
        qdrant.heal();
    }
    qdrant.set_full(true);
    house.line().await.turn("And a parrot called Rio.").await;
    qdrant.set_full(false);
    house.indexed().await;
    let (found, degraded) = recalled(&house, "after", ASKED).await;
    assert_eq!(degraded, None);
    assert!(says(&found, "Rio"), "{found:?}");
}

#[tokio::test]
async fn a_wiped_server_is_filled_anew() {
    let qdrant = qdrant().await;
    let house = house(&qdrant, "qk").await;
    house.line().await.turn(TOLD).await;
    house.indexed().await;
    qdrant.wipe();
    let (_, degraded) = recalled(&house, "during", ASKED).await;
    assert!(degraded.is_some(), "its collection is gone");
    until("it is not filled", async || {
        house.indexed().await;
        points(&qdrant) >= Some(4)
    })
    .await;
    let (found, _) = recalled(&house, "after", ASKED).await;
    assert!(holds(&found), "{found:?}");
}

/// A server that was filled from another database, or an older copy of this one.
#[tokio::test]
async fn points_of_others_do_not_hide_what_is_lacking() {
    let mut qdrant = qdrant().await;
    let house = house(&qdrant, "qk").await;
    house.line().await.turn(TOLD).await;
    house.indexed().await;
    let name = qdrant.alias("mira-memory").unwrap();
    let own = qdrant.points(&name).unwrap();
    assert!(own >= 2);
    let points: Vec<Value> = (0..20)
        .map(|n| {
            let id = format!("00000000-0000-7000-8000-{n:012}");
            json!({ "id": id, "vector": vec![1.0; 256], "payload": { "account": 1, "kind": "message", "at": 1 } })
        })
        .collect();
    let all = json!({ "filter": { "must": [{ "key": "account", "match": { "value": 1 } }] } });
    change(&qdrant, Method::POST, &format!("{name}/points/delete?wait=true"), &all).await;
    let points = json!({ "points": points });
    change(&qdrant, Method::PUT, &format!("{name}/points?wait=true"), &points).await;
    qdrant.go_down().await;
    let (_, degraded) = recalled(&house, "during", ASKED).await;
    assert!(degraded.is_some());
    qdrant.come_back().await.unwrap();
    until("what is lacking does not come back", async || {
        qdrant.points(&name) >= Some(20 + own + 2)
    })
    .await;
    house.indexed().await;
    knows(&house, "after").await;
}

/// Two databases on one server, or a new data directory: what is in it already is not hers, and takes no places.
#[tokio::test]
async fn what_others_left_on_a_server_does_not_disturb() {
    let qdrant = qdrant().await;
    let other = house(&qdrant, "qk").await;
    other.line().await.turn(TOLD).await;
    other.indexed().await;
    let theirs = qdrant.alias("mira-memory").unwrap();
    let vectors = LocalEmbedder::new().embed(vec![ASKED.to_owned()]).await.unwrap();
    let point = |n: usize| {
        let id = format!("00000000-0000-7000-8000-{n:012}");
        json!({ "id": id, "vector": &vectors[0][..], "payload": { "account": 1, "kind": "message", "at": 1 } })
    };
    let nearest = json!({ "points": (0..1000).map(point).collect::<Vec<_>>() });
    change(&qdrant, Method::PUT, &format!("{theirs}/points?wait=true"), &nearest).await;
    let before = qdrant.points(&theirs);
    let house = house(&qdrant, "qk").await;
    house.line().await.turn(TOLD).await;
    house.indexed().await;
    knows(&house, "later").await;
    assert_eq!(qdrant.points(&theirs), before);
    assert_eq!(qdrant.alias("mira-memory"), Some(theirs));
}

/// Another embedder: a collection of its own is filled, the alias names it, and the one before goes; not another database's.
#[tokio::test]
async fn a_change_of_the_model_swaps_her_collections() {
    let qdrant = qdrant().await;
    let neighbour = house(&qdrant, "qk").await;
    let mut house = house(&qdrant, "qk").await;
    for house in [&neighbour, &house] {
        house.line().await.turn(TOLD).await;
        house.indexed().await;
    }
    let theirs = qdrant.alias("mira-memory").unwrap();
    let ours = qdrant
        .collection_names()
        .into_iter()
        .find(|name| *name != theirs)
        .unwrap();
    house.server.signal("TERM");
    house.server.wait();
    let setup = std::mem::replace(&mut house.setup, Setup::new());
    house.setup = setup.env("MIRA_EMBEDDINGS", "openai").env("QDRANT_EMBEDDING_DIM", "64");
    house.restart().await;
    until("the collection of the model before does not go", async || {
        !qdrant.collection_names().contains(&ours)
    })
    .await;
    let new = qdrant.alias("mira-memory").unwrap();
    assert!(new.ends_with("-text-embedding-3-large-64"), "{new}");
    assert_eq!(ours.split('-').nth(2), new.split('-').nth(2), "the database's name");
    assert!(qdrant.points(&new) >= Some(2));
    assert_eq!(qdrant.points(&theirs), Some(2));
    knows(&neighbour, "later").await;
}

/// Somebody made the collection anew, for another model's vectors.
#[tokio::test]
async fn a_collection_of_another_dimension_costs_no_turn() {
    let qdrant = qdrant().await;
    let house = house(&qdrant, "qk").await;
    house.line().await.turn(TOLD).await;
    house.indexed().await;
    let name = qdrant.alias("mira-memory").unwrap();
    qdrant.wipe();
    let narrow = json!({ "vectors": { "size": 8, "distance": "Cosine" } });
    change(&qdrant, Method::PUT, &name, &narrow).await;
    let (found, degraded) = recalled(&house, "during", "Biscuit, the cat").await;
    assert!(degraded.is_some() && holds(&found), "by its words: {found:?}");
    until("why it is degraded is not told", async || {
        let health = index(&house).await;
        health["status"] == "degraded" && health["detail"].as_str().unwrap().contains("8 numbers")
    })
    .await;
    // Out of the way again, everything is caught up with.
    change(&qdrant, Method::DELETE, &name, &json!({})).await;
    until("nothing is caught up with", async || points(&qdrant) >= Some(4)).await;
    house.indexed().await;
    knows(&house, "after").await;
}

#[tokio::test]
async fn a_wrong_key_is_said() {
    let qdrant = qdrant().await;
    let house = house(&qdrant, "another").await;
    house.line().await.turn(TOLD).await;
    // Its document is written although its vector must wait.
    until("its document is not written", async || {
        house.api.get("/api/memories?q=biscuit").await["memories"] != json!([])
    })
    .await;
    let (found, degraded) = recalled(&house, "later", "Biscuit, the cat").await;
    assert!(degraded.is_some());
    assert!(holds(&found), "by its words: {found:?}");
    let health = index(&house).await;
    assert!(
        health["detail"].as_str().unwrap().contains("QDRANT_API_KEY"),
        "{health}"
    );
    // Set right, everything is caught up with.
    qdrant.set_key(Some("another"));
    until("nothing is caught up with", async || points(&qdrant) >= Some(4)).await;
}
