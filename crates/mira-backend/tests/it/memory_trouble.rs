//! Memory when something about it goes wrong or changes: an embedder that is away for a while, an index that was emptied,
//! another model, a clock that goes back. No turn fails, the trouble is seen, and all of it is caught up.

use crate::support::{
    client::{Api, House},
    server::{LIMIT, Setup},
};
use jiff::SignedDuration;
use openai_sim::{EmbeddingsManner, Gate, HttpFault, Plan, Reply, Target};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use std::time::Instant;

const TOLD: &str = "I have a cat named Biscuit.";
const ASKED: &str = "What pets do I own?";

/// One whose vectors come from the emulated provider.
async fn remote() -> House {
    House::with(|setup| {
        setup
            .env("MIRA_EMBEDDINGS", "openai")
            .env("QDRANT_EMBEDDING_DIM", "256")
    })
    .await
}

fn down() -> EmbeddingsManner {
    EmbeddingsManner {
        down: Some(HttpFault::new(503)),
        ..EmbeddingsManner::default()
    }
}

/// What comes up in a session of its own, and why that was not all.
pub async fn recalled(house: &House, session: &str, words: &str) -> (Vec<Value>, Option<String>) {
    let made = house.api.post("/api/sessions", json!({ "id": session })).await;
    made.expect(201);
    let told = house.line_on(session).await.turn(words).await;
    assert_eq!(told.outcome, "complete", "no failed turn");
    let recall = told.recall.unwrap_or_default();
    let memories = recall["memories"].as_array().cloned().unwrap_or_default();
    (memories, recall["degraded"].as_str().map(str::to_owned))
}

pub fn says(memories: &[Value], words: &str) -> bool {
    memories
        .iter()
        .any(|memory| memory["text"].as_str().unwrap().contains(words))
}

/// A figure of `/metrics`.
async fn figure(house: &House, name: &str) -> f64 {
    let figures = house.server.get("/metrics").await.text().await.unwrap();
    let value = figures.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    let value = value.unwrap_or_else(|| panic!("no {name} in {figures}"));
    value.parse().unwrap()
}

async fn index_detail(house: &House) -> String {
    let health = house.api.get("/health").await;
    health["components"]["vector_index"]["detail"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// One number out of the database.
async fn number(house: &House, sql: &'static str) -> i64 {
    let url = format!("sqlite://{}", house.setup.data_dir().join("mira.db").display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    let found = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    found
}

/// Asks until it is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

/// The same house with the server ended and started anew, at the real time.
async fn anew(house: House) -> House {
    let House { sim, setup, server, .. } = house;
    drop(server);
    let server = setup.start();
    let api = Api::new(&server).await;
    House {
        sim,
        setup,
        server,
        api,
    }
}

#[tokio::test]
async fn an_embedder_that_was_away_is_caught_up_with() {
    let house = remote().await;
    house.line().await.turn("Hello there.").await;
    house.indexed().await;
    assert!(figure(&house, "mira_outbox_depth").await <= 0.0);
    house.sim.set_embeddings(down());
    house.line().await.turn(TOLD).await;
    let (found, degraded) = recalled(&house, "during", "Biscuit, the cat").await;
    assert!(says(&found, TOLD), "by its words: {found:?}");
    assert!(degraded.unwrap().contains("embeddings"));
    // How much waits, and for how long, is seen.
    until("nothing waits for long", async || {
        figure(&house, "mira_outbox_lag_seconds").await >= 1.0
    })
    .await;
    assert!(figure(&house, "mira_outbox_depth").await >= 2.0);
    let detail = index_detail(&house).await;
    assert!(
        detail.contains("memories wait to be indexed, the oldest for "),
        "{detail}"
    );
    assert!(!detail.contains("for 0 s"), "{detail}");
    let health = house.api.get("/health").await;
    assert_eq!(health["components"]["embeddings"]["status"], "degraded", "{health}");

    house.sim.set_embeddings(EmbeddingsManner::default());
    house.indexed().await;
    assert!(figure(&house, "mira_outbox_depth").await <= 0.0);
    assert!(figure(&house, "mira_outbox_lag_seconds").await <= 0.0);
    assert!(!index_detail(&house).await.contains("wait"));
    let vectors = number(&house, "SELECT count(*) FROM vectors").await;
    let memories = number(&house, "SELECT count(*) FROM memories WHERE kind <> 'summary'").await;
    assert_eq!(vectors, memories, "nothing was left out");
    let health = house.api.get("/health").await;
    assert_eq!(health["components"]["embeddings"]["status"], "ok", "{health}");
    // Turns leave an embedder alone for a moment that has failed one of them.
    let mut tries = 0;
    until("recall is never whole again", async || {
        tries += 1;
        let (_, degraded) = recalled(&house, &format!("after-{tries}"), ASKED).await;
        degraded.is_none()
    })
    .await;
}

#[tokio::test]
async fn an_index_that_was_emptied_fills_itself() {
    const VECTORS: &str = "SELECT count(*) FROM vectors";
    let mut house = House::new().await;
    house.line().await.turn(TOLD).await;
    house.indexed().await;
    house.server.signal("TERM");
    house.server.wait();
    let had = number(&house, VECTORS).await;
    assert!(had >= 2);
    number(&house, "DELETE FROM vectors RETURNING 0").await;
    assert_eq!(number(&house, VECTORS).await, 0);
    house.restart().await;
    until("the vectors do not come back", async || {
        number(&house, VECTORS).await == had
    })
    .await;
    house.indexed().await;
    let (found, degraded) = recalled(&house, "later", ASKED).await;
    assert!(says(&found, "Biscuit") && degraded.is_none(), "{found:?} {degraded:?}");
}

/// While another model's index is filled the old one answers; how far it is, is told on every socket and in the figures.
#[tokio::test]
async fn how_far_another_model_is_is_told() {
    let mut house = House::new().await;
    house.line().await.turn(TOLD).await;
    house.indexed().await;
    house.server.signal("TERM");
    house.server.wait();
    let gate = Gate::closed();
    house.sim.push(Plan::reply("").target(Target::Embeddings).gated(&gate));
    let setup = std::mem::replace(&mut house.setup, Setup::new());
    house.setup = setup
        .env("MIRA_EMBEDDINGS", "openai")
        .env("QDRANT_EMBEDDING_DIM", "256");
    house.restart().await;
    assert!(figure(&house, "mira_index_rebuilding").await > 0.0);
    until("nothing is queued for the new model", async || {
        let state = house.api.get("/api/memory").await;
        assert_eq!(state["index"]["rebuilding"], true, "{state}");
        state["index"]["pending"].as_u64().unwrap() >= 2
    })
    .await;
    let (found, degraded) = recalled(&house, "during", "Is Biscuit a cat?").await;
    assert!(says(&found, TOLD), "{found:?}");
    assert!(degraded.unwrap().contains("being built"));

    let mut line = house.line().await;
    gate.open();
    let whole = |frame: &Value| frame["type"] == "index" && frame["object"]["rebuilding"] == false;
    let told = line.until_that(whole).await.pop().unwrap();
    assert_eq!(
        (&told["action"], &told["object"]["pending"]),
        (&json!("updated"), &json!(0))
    );
    assert!(figure(&house, "mira_index_rebuilding").await <= 0.0);
    let (found, degraded) = recalled(&house, "after", "Was Biscuit a cat?").await;
    assert!(!found.is_empty() && degraded.is_none(), "{found:?} {degraded:?}");
}

/// A week ahead, and back: what was put off is done, what was told is known in the order it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_goes_back_holds_nothing_up() {
    let mut house = remote().await;
    house.server.signal("TERM");
    house.server.wait();
    house.sim.set_embeddings(down());
    house.restart_ahead(SignedDuration::from_hours(7 * 24)).await;
    let lives = |town: &str| {
        let reply = Reply::new("Good to know.");
        Plan::structured(reply.remember("owner", "home town", &format!("The owner lives in {town}."), None))
    };
    house.sim.push(lives("Graz"));
    house.line().await.turn("I live in Graz.").await;
    until("nothing was put off", async || {
        number(&house, "SELECT count(*) FROM outbox WHERE attempts > 0").await > 0
    })
    .await;

    let house = anew(house).await;
    house.sim.set_embeddings(EmbeddingsManner::default());
    house.sim.push(lives("Vienna"));
    house.line().await.turn("I live in Vienna now.").await;
    house.indexed().await;
    let contents: Vec<Value> = house
        .api
        .history()
        .await
        .iter()
        .map(|one| one["content"].clone())
        .collect();
    assert_eq!(
        (&contents[0], &contents[2]),
        (&json!("I live in Graz."), &json!("I live in Vienna now."))
    );
    let facts = house.api.get("/api/memories?kind=fact").await;
    let fact = |town: &str| {
        let all = facts["memories"].as_array().unwrap();
        all.iter()
            .find(|fact| fact["text"].as_str().unwrap().contains(town))
            .unwrap()
            .clone()
    };
    assert_eq!(fact("Graz")["superseded_by"], fact("Vienna")["id"], "{facts}");
    let mut tries = 0;
    until("the newer fact does not come up", async || {
        tries += 1;
        let (found, degraded) = recalled(&house, &format!("asked-{tries}"), "Which city is my home?").await;
        assert!(
            !found.iter().any(|memory| memory["id"] == fact("Graz")["id"]),
            "{found:?}"
        );
        found.iter().any(|memory| memory["id"] == fact("Vienna")["id"]) && degraded.is_none()
    })
    .await;
}
