//! The day's tokens: whatever is spent beside the replies counts too.

use crate::support::client::House;
use openai_sim::{Call, Plan};
use serde_json::json;

const LARGE: &str = "100000000";

async fn refused(house: &House) {
    let before = house.prompts().len();
    let answer = house.api.post("/api/chat", json!({ "content": "Hello?" })).await;
    let problem = answer.problem(429, "too-many-requests");
    assert!(problem["detail"].as_str().unwrap().contains("is used up"), "{problem}");
    assert_eq!(house.prompts().len(), before);
}

#[tokio::test]
async fn vectors_of_an_endpoint_count_and_a_restart_forgets_none() {
    let mut house = House::with(|setup| {
        setup
            .env("MIRA_EMBEDDINGS", "openai")
            .env("QDRANT_EMBEDDING_DIM", "256")
            .env("MIRA_DAILY_TOKEN_BUDGET", "100")
    })
    .await;
    for pet in [
        "cat", "dog", "parrot", "pony", "tortoise", "goldfish", "canary", "hamster",
    ] {
        let text = format!("The owner once had a {pet} that was called Tom and liked to look out of the window.");
        house.api.fact(&text).await;
    }
    house.indexed().await;
    house.server.signal("TERM");
    house.server.wait();
    house.restart().await;
    // There has not been a single reply, nor a vector since.
    refused(&house).await;
}

#[tokio::test]
async fn notes_count_and_a_restart_forgets_none() {
    let mut house = House::with(|setup| {
        setup
            .env("MIRA_HISTORY_MESSAGES", "4")
            .env("MIRA_DAILY_TOKEN_BUDGET", LARGE)
    })
    .await;
    let (mut line, mut spent, mut turns) = (house.line().await, 0, 0);
    let noted = |house: &House| {
        let last = house.prompts().pop().unwrap().body["instructions"].to_string();
        last.contains("# What came before")
    };
    while turns == 0 || !noted(&house) {
        let told = line.turn("The lake was calm.").await;
        let usage = &told.reply()["usage"];
        spent += usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap();
        house.indexed().await;
        turns += 1;
        assert!(turns < 40, "nothing was summarised");
    }
    house.server.signal("TERM");
    house.server.wait();
    house.setup.set("MIRA_DAILY_TOKEN_BUDGET", &(spent + 1).to_string());
    house.restart().await;
    refused(&house).await;
}

#[tokio::test]
async fn the_days_tokens_end_a_loop_of_tools() {
    let house = House::with(|setup| setup.env("MIRA_DAILY_TOKEN_BUDGET", "1")).await;
    house.sim.push(Plan::calls([Call::new(
        "recall",
        &json!({ "question": "anything", "limit": null }),
    )]));
    house.sim.push(Plan::reply("That is all."));
    let mut line = house.line().await;
    let told = line.turn("Look around.").await;
    assert_eq!((told.outcome.as_str(), told.calls.len()), ("complete", 1), "{told:?}");
    assert_eq!(house.prompts().pop().unwrap().body["tool_choice"], "none");
    line.chat("More.").await;
    // Refused at once, or behind the end of the turn before it, where it has already been stored.
    let refused = line.wait("error").await;
    assert_eq!(refused["error"]["status"], 429, "{refused}");
    assert_eq!(house.prompts().len(), 2);
}
