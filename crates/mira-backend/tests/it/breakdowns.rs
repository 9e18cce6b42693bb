//! Tools that go wrong, each in its way and side by side with one that works: on every door, with both APIs, over rounds.

use crate::{
    mcp::{fault, ready, with_servers},
    support::client::{House, law},
};
use openai_sim::{Call, Plan};
use serde_json::{Value, json};

fn recall(question: &str) -> Call {
    Call::new("recall", &json!({ "question": question, "limit": null }))
}

/// Two rounds and the words after them.
fn push(house: &House) {
    let half = Call {
        arguments: r#"{"question": "An"#.to_owned(),
        ..recall("")
    };
    let nobody = Call::new("no_such_tool", &json!({}));
    let breaks = Call::new("mcp__bad__good", &json!({}));
    house
        .sim
        .push(Plan::calls([half.clone(), nobody, breaks, recall("Anna")]));
    house.sim.push(Plan::calls([half, recall("violin")]));
    house.sim.push(Plan::reply("So be it."));
}

fn check(results: &[Value]) {
    let mut ended: Vec<(&str, &str)> = results
        .iter()
        .map(|result| {
            let status = result["status"].as_str().unwrap();
            assert_eq!(result["data"]["error"].is_string(), status != "ok", "{result}");
            (result["tool_type"].as_str().unwrap(), status)
        })
        .collect();
    ended.sort_unstable();
    // It breaks down in the first turn, and is perhaps not back in the next.
    let broken = ended.remove(0);
    assert!(
        matches!(broken, ("mcp__bad__good", "failed" | "unavailable")),
        "{broken:?}"
    );
    let recalled = |status| ("recall", status);
    let expect = [
        ("no_such_tool", "unavailable"),
        recalled("failed"),
        recalled("failed"),
        recalled("ok"),
        recalled("ok"),
    ];
    assert_eq!(ended, expect);
}

#[tokio::test]
async fn what_goes_wrong_ends_well_on_every_door() {
    for api in ["responses", "chat"] {
        let mut bad = fault("crashes");
        bad["approval"] = json!("never");
        let servers = json!({ "bad": bad });
        let house = House::with(|setup| with_servers(setup.env("MIRA_LLM_API", api), &servers)).await;
        ready(&house, "bad");
        push(&house);
        let mut line = house.line().await;
        line.chat("Look it up.").await;
        let told = law(&line.until("done").await);
        assert_eq!((told.outcome.as_str(), told.text.as_str()), ("complete", "So be it."));
        check(&told.results);

        push(&house);
        let told = law(&house.api.stream(json!({ "content": "Again." })).await.rest().await);
        check(&told.results);

        push(&house);
        let said = json!({ "message": "And again.", "session_id": "eternal" });
        let answer = house.api.post("/chat", said).await.expect(200);
        assert_eq!(answer["output"], "So be it.", "{answer}");
        check(answer["tool_results"].as_array().unwrap());

        // What was handed back was well-formed each time: the calls as they were written, and why they came to nothing.
        let wrong = house.refused();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let last = house.prompts().pop().unwrap().body.to_string();
        for part in ["no tool called", "arguments are wrong"] {
            assert!(last.contains(part), "{api}: {part} in {last}");
        }
    }
}
