//! What she remembers: told in one session, known in another, shown with its reasons, corrected, pinned, forgotten
//! everywhere.

use crate::support::{client::House, server::Setup};
use openai_sim::{Plan, Reply};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const TOLD: &str = "My sister Anna plays the violin in the Graz orchestra.";
const FACT: &str = "The owner's sister Anna plays the violin.";

fn learns(words: &str, about: &str, topic: &str, text: &str) -> Plan {
    Plan::structured(Reply::new(words).remember(about, topic, text, None))
}

/// Tells her of Anna; the stored message and the fact learnt from it.
async fn tell(house: &House) -> (Value, Value) {
    let mut line = house.line().await;
    house.sim.push(learns("How lovely.", "owner", "sister", FACT));
    let told = line.turn(TOLD).await;
    house.indexed().await;
    let facts = house.api.get("/api/memories?kind=fact").await;
    let facts = facts["memories"].as_array().unwrap().clone();
    assert_eq!(facts.len(), 1, "{facts:?}");
    (told.message.unwrap(), facts[0].clone())
}

async fn new_session(house: &House, id: &str) {
    house.api.post("/api/sessions", json!({ "id": id })).await.expect(201);
}

/// The tail of the latest prompt: memories and state.
fn tail(house: &House) -> String {
    let prompts = house.prompts();
    let items = prompts.last().unwrap().body["input"].as_array().unwrap().clone();
    items.last().unwrap()["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn told_here_known_there_and_the_receipt_agrees_with_the_prompt() {
    let house = House::new().await;
    let (message, fact) = tell(&house).await;
    assert_eq!(
        (&fact["text"], &fact["about"], &fact["topic"], &fact["source"]),
        (&json!(FACT), &json!("owner"), &json!("sister"), &json!("conversation"))
    );
    assert_eq!(fact["message_id"], message["id"], "the evidence");

    new_session(&house, "elsewhere").await;
    let mut line = house.line_on("elsewhere").await;
    let told = line.turn("Which instrument does she play, the sister of mine?").await;
    assert!(told.stages.contains(&"thinking".to_owned()));
    let recall = told.recall.as_ref().expect("something comes up");
    assert!(recall.get("degraded").is_none(), "{recall}");
    let memories = recall["memories"].as_array().unwrap();
    let ids: Vec<&str> = memories.iter().map(|m| m["id"].as_str().unwrap()).collect();
    for wanted in [&message["id"], &fact["id"]] {
        assert!(ids.contains(&wanted.as_str().unwrap()), "{wanted} in {recall}");
    }
    for memory in memories {
        assert!(memory["score"].is_number() && !memory["why"].as_str().unwrap().is_empty());
    }
    let tail = tail(&house);
    assert!(tail.contains(FACT) && tail.contains(TOLD), "{tail}");

    let receipt = house.api.get(&format!("/api/messages/{}/receipt", told.reply_id)).await;
    let used: Vec<&str> = receipt["used"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["memory_id"].as_str().unwrap())
        .collect();
    assert_eq!(used, ids, "the event and the receipt tell the same");
    // From a fact one step to the message it came from.
    let items = receipt["used"].as_array().unwrap();
    for (list, key) in [(memories, "id"), (items, "memory_id")] {
        let item = list.iter().find(|item| item[key] == fact["id"]).unwrap();
        assert_eq!(item["message_id"], message["id"], "{item}");
    }
    for item in receipt["used"].as_array().unwrap() {
        let text = item["text"].as_str().unwrap();
        assert!(tail.contains(text), "{text} stands in the prompt");
    }
    // The hash is that of the bytes that were sent.
    let prompt = house.prompts().pop().unwrap().body;
    let mut hash = Sha256::new();
    let mut part = |text: &Value| {
        hash.update(text.as_str().unwrap());
        hash.update([0]);
    };
    part(&prompt["instructions"]);
    let items = prompt["input"].as_array().unwrap();
    let (state, talk) = items.split_last().unwrap();
    for item in talk {
        part(&item["role"]);
        part(&item["content"]);
    }
    part(&state["content"]);
    let hash = hash.finalize();
    let hex: Vec<String> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(receipt["prompt_hash"], json!(hex.concat()));
    house
        .api
        .try_get(&format!("/api/messages/{}/receipt", message["id"].as_str().unwrap()))
        .await
        .problem(404, "not-found");
}

/// What was considered, used and dropped, each with its reason, and the prompt that agrees.
#[tokio::test]
async fn the_receipt_tells_what_was_left_out_and_why() {
    let house = House::with(|setup| setup.env("MIRA_RECALL_RESULTS", "2")).await;
    // Her answer says the same: one of the two stands for both.
    house.sim.push(Plan::reply("My violin is from Cremona."));
    house.line().await.turn("My violin is from Cremona.").await;
    for text in [
        "The owner's violin teacher is called Rosa.",
        "The owner's violin case is blue.",
        "The owner practises the violin on Mondays.",
        "The owner lent the violin to Tom.",
    ] {
        house.api.fact(text).await;
    }
    house.indexed().await;
    new_session(&house, "later").await;
    let told = house.line_on("later").await.turn("Tell me about my violin.").await;
    let receipt = house.api.get(&format!("/api/messages/{}/receipt", told.reply_id)).await;
    let part = |name: &str| receipt[name].as_array().unwrap().clone();
    let (used, considered, dropped) = (part("used"), part("considered"), part("dropped"));
    assert_eq!(used.len(), 2, "{receipt}");
    let because = |items: &[Value], why: &str| {
        let reason = |item: &Value| item["reason"].as_str().unwrap().starts_with(why);
        assert!(!items.is_empty() && items.iter().all(reason), "{why}: {receipt}");
    };
    because(&considered, "others answered better (");
    because(&dropped, "another says the same (");
    let tail = tail(&house);
    let total = |item: &Value| item["scores"]["total"].as_f64().unwrap();
    for item in &used {
        assert!(tail.contains(item["text"].as_str().unwrap()), "{item} in {tail}");
        assert!(item["tokens"].as_u64().unwrap() > 0, "{item}");
        assert!(considered.iter().all(|other| total(other) <= total(item)), "{receipt}");
    }
    for item in &considered {
        assert!(!tail.contains(item["text"].as_str().unwrap()), "{item} in {tail}");
    }
}

#[tokio::test]
async fn the_receipt_tells_what_there_was_no_room_for() {
    let long = |setup: Setup| setup.env("MIRA_HISTORY_MESSAGES", "40");
    let house = House::with(|setup| long(setup).env("MIRA_CONTEXT_TOKENS", "16384")).await;
    for n in 0..12 {
        let pinned = house.api.fact(&format!("Recipe {n}: {}", "盐和水".repeat(125))).await;
        let path = format!("/api/memories/{}", pinned["id"].as_str().unwrap());
        house.api.patch(&path, json!({ "pinned": true })).await.expect(200);
    }
    let mut line = house.line().await;
    let mut last = line.turn("Hello.").await;
    let receipt = async |of: &str| house.api.get(&format!("/api/messages/{of}/receipt")).await;
    let first = receipt(&last.reply_id).await;
    assert_eq!(first["left_out"], json!({ "messages": 0, "notes": 0 }));
    let full = "no room: the memories' share of the budget was full";
    let (used, dropped) = (first["used"].as_array().unwrap(), first["dropped"].as_array().unwrap());
    assert_eq!(used.len() + dropped.len(), 12, "{first}");
    assert!(!used.is_empty() && !dropped.is_empty(), "{first}");
    assert!(dropped.iter().all(|item| item["reason"] == full), "{first}");
    for n in 0..18 {
        last = line
            .turn(&format!("Day {n}: {}", "we walked along the shore ".repeat(120)))
            .await;
    }
    let left_out = receipt(&last.reply_id).await["left_out"].clone();
    let sent = house.prompts().pop().unwrap().body["input"].as_array().unwrap().len();
    assert!(
        left_out["messages"].as_u64().unwrap() >= 16 && sent < 38,
        "{left_out}, {sent}"
    );
}

#[tokio::test]
async fn what_a_full_budget_leaves_out_comes_up_and_is_noted() {
    const TOLD: &str = "My bicycle is called Rocinante.";
    let long = |setup: Setup| setup.env("MIRA_HISTORY_MESSAGES", "60");
    let house = House::with(|setup| long(setup).env("MIRA_CONTEXT_TOKENS", "16384")).await;
    let mut line = house.line().await;
    line.turn(TOLD).await;
    for n in 0..20 {
        let words = "we walked along the shore ".repeat(100);
        line.turn(&format!("Day {n}: {words}")).await;
        house.indexed().await;
    }
    let deadline = std::time::Instant::now() + crate::support::server::LIMIT;
    while house.api.get("/api/memory").await["counts"]["summaries"] == 0 {
        assert!(std::time::Instant::now() < deadline, "no summary");
        tokio::task::yield_now().await;
    }
    let told = line.turn("What is my bicycle called?").await;
    let sent = house.prompts().pop().unwrap().body;
    let shown = sent["input"].as_array().unwrap();
    let (last, before) = shown.split_last().unwrap();
    assert!(!before.iter().any(|item| item.to_string().contains(TOLD)), "{before:?}");
    assert!(last.to_string().contains(TOLD), "{last}");
    let memories = told.recall.unwrap()["memories"].clone();
    assert_eq!(memories[0]["text"], TOLD, "{memories}");
    assert!(
        sent["instructions"].as_str().unwrap().contains("# What came before"),
        "{sent}"
    );
    let is_note = |prompt: &openai_sim::Captured| prompt.body["instructions"].to_string().contains("# Summarise");
    let notes: Vec<String> = house
        .prompts()
        .iter()
        .filter(|prompt| is_note(prompt))
        .map(|prompt| prompt.body.to_string())
        .collect();
    assert!(notes[0].contains(TOLD), "{notes:?}");
}

#[tokio::test]
async fn what_is_in_the_prompt_is_not_recalled_too() {
    let house = House::new().await;
    tell(&house).await;
    let mut line = house.line().await;
    let told = line
        .turn("My sister Anna plays the violin in the Graz orchestra.")
        .await;
    let ids: Vec<Value> = house
        .api
        .history()
        .await
        .iter()
        .map(|message| message["id"].clone())
        .collect();
    let recalled = told.recall.map(|event| event["memories"].clone()).unwrap_or_default();
    for memory in recalled.as_array().into_iter().flatten() {
        assert!(!ids.contains(&memory["id"]), "{memory}");
    }
}

#[tokio::test]
async fn off_the_record_neither_reads_nor_writes() {
    let house = House::new().await;
    tell(&house).await;
    let before = house.api.get("/api/memory").await["counts"].clone();
    for (mode, reads) in [("off", false), ("read_only", true)] {
        let session = json!({ "id": mode, "memory": mode });
        house.api.post("/api/sessions", session).await.expect(201);
        let mut line = house.line_on(mode).await;
        house
            .sim
            .push(learns("Noted.", "owner", "secret", "The owner hides a diary."));
        let told = line.turn("I hide a diary. What does my sister Anna play?").await;
        assert_eq!(told.recall.is_some(), reads, "{mode}");
        assert_eq!(tail(&house).contains(FACT), reads, "{mode}");
        house.indexed().await;
        assert_eq!(house.api.get("/api/memory").await["counts"], before, "{mode}");
    }
    // Paused: what is known is used, nothing is added.
    house
        .api
        .patch("/api/memory", json!({ "paused": true }))
        .await
        .expect(200);
    let mut line = house.line().await;
    house
        .sim
        .push(learns("Noted.", "owner", "secret", "The owner hides a diary."));
    line.turn("I hide a diary.").await;
    house.indexed().await;
    let after = house.api.get("/api/memory").await;
    assert_eq!((&after["paused"], &after["counts"]), (&json!(true), &before));
}

#[tokio::test]
async fn facts_are_added_corrected_pinned_and_superseded() {
    let house = House::new().await;
    let body = json!({ "text": "  Lives in\nGraz. ", "about": "The User", "topic": "Home Town" });
    let summary = json!({ "text": "Much was said.", "kind": "summary" });
    let refused = house.api.post("/api/memories", summary).await.problem(422, "invalid");
    assert_eq!(refused["errors"][0]["field"], "kind");
    let fact = house.api.post("/api/memories", body.clone()).await.expect(201);
    assert_eq!(
        (&fact["text"], &fact["about"], &fact["topic"], &fact["source"]),
        (
            &json!("Lives in Graz."),
            &json!("owner"),
            &json!("home town"),
            &json!("owner")
        )
    );
    let again = house.api.post("/api/memories", body).await.expect(200);
    assert_eq!(again["id"], fact["id"], "known already");
    let path = format!("/api/memories/{}", fact["id"].as_str().unwrap());
    let patched = house
        .api
        .patch(&path, json!({ "text": "Lives in Vienna.", "pinned": true }))
        .await
        .expect(200);
    assert_eq!(
        (&patched["text"], &patched["pinned"]),
        (&json!("Lives in Vienna."), &json!(true))
    );
    assert_eq!(house.api.get(&path).await, patched);
    // Pinned: in every prompt, whatever is said.
    let mut line = house.line().await;
    let told = line.turn("Tell me a joke.").await;
    assert_eq!(told.recall.unwrap()["memories"][0]["why"], "pinned");
    assert!(tail(&house).contains("Lives in Vienna."));
    let found = house.api.get("/api/memories?q=vienna").await;
    assert_eq!(found["memories"][0]["id"], fact["id"]);
    let gone = house.api.get("/api/memories?q=graz&kind=fact").await;
    assert_eq!(gone["memories"], json!([]));

    // It may belong to a session, and is listed with it.
    let of = json!({ "text": "Keeps bees.", "session_id": "eternal" });
    let kept = house.api.post("/api/memories", of).await.expect(201);
    assert_eq!(kept["session_id"], "eternal");
    let listed = house.api.get("/api/memories?kind=fact&session_id=eternal").await;
    assert_eq!(listed["memories"], json!([kept]));
    let unknown = json!({ "text": "Keeps ants.", "session_id": "nobody" });
    house.api.post("/api/memories", unknown).await.problem(404, "not-found");

    for (body, field) in [
        (json!({ "text": "" }), "text"),
        (json!({ "text": "x".repeat(401) }), "text"),
        (json!({ "text": "x", "about": "y".repeat(49) }), "about"),
        (json!({ "text": "x", "project_id": "nonsense" }), "project_id"),
        (json!({ "text": "x", "session_id": "NOT ONE" }), "session_id"),
    ] {
        let problem = house.api.post("/api/memories", body).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    house
        .api
        .try_get("/api/memories?kind=dream")
        .await
        .problem(422, "invalid");
    house
        .api
        .try_get("/api/memories/nonsense")
        .await
        .problem(404, "not-found");
    let message = house.api.history().await[0]["id"].as_str().unwrap().to_owned();
    house.indexed().await;
    let path = format!("/api/memories/{message}");
    house
        .api
        .patch(&path, json!({ "text": "I never said that" }))
        .await
        .problem(422, "invalid");
    let pinned = house.api.patch(&path, json!({ "pinned": true })).await.expect(200);
    assert_eq!((&pinned["kind"], &pinned["pinned"]), (&json!("message"), &json!(true)));
}

#[tokio::test]
async fn a_forgotten_message_is_nowhere_and_stays_away() {
    let house = House::new().await;
    let (message, fact) = tell(&house).await;
    let mut line = house.line().await;
    line.turn("And she has a cat.").await;
    line.turn("A grey one.").await;
    house.indexed().await;
    let id = message["id"].as_str().unwrap();
    house.api.delete(&format!("/api/memories/{id}")).await.expect(204);
    house
        .api
        .delete(&format!("/api/memories/{id}"))
        .await
        .problem(404, "not-found");
    let stored = house.api.get(&format!("/api/messages/{id}")).await;
    assert_eq!(
        (&stored["status"], &stored["content"]),
        (&json!("forgotten"), &json!(""))
    );
    assert_eq!(house.api.get("/api/search?q=violin").await["results"], json!([]));
    assert_eq!(house.api.get("/api/memories?q=violin").await["memories"], json!([]));
    // What was learnt from it is gone with it, and is not learnt again.
    let gone = format!("/api/memories/{}", fact["id"].as_str().unwrap());
    house.api.try_get(&gone).await.problem(404, "not-found");
    house.sim.push(learns("Yes.", "owner", "sister", FACT));
    let told = line.turn("My sister: you know her, the musician.").await;
    assert!(!tail(&house).contains("violin"), "{}", tail(&house));
    assert_eq!(told.outcome, "complete");
    house.indexed().await;
    assert_eq!(house.api.get("/api/memories?kind=fact").await["memories"], json!([]));
    // Beside the running server: no table, no file holds it.
    let output = house.setup.run(&["doctor", "--forgotten", "violin"]);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let output = house.setup.run(&["doctor", "--forgotten", "grey one"]);
    assert_eq!(output.status.code(), Some(1), "what was not forgotten is found");
}

#[tokio::test]
async fn no_embedder_costs_nobody_an_answer() {
    let house = House::with(|setup| {
        setup
            .env("MIRA_EMBEDDINGS_URL", "http://127.0.0.1:9")
            .env("QDRANT_EMBEDDING_DIM", "8")
    })
    .await;
    let mut line = house.line().await;
    line.turn(TOLD).await;
    new_session(&house, "later").await;
    let mut line = house.line_on("later").await;
    let (told, recall) = loop {
        let told = line.turn("Does Anna play the violin?").await;
        let recall = told.recall.clone().unwrap();
        assert!(recall["degraded"].as_str().unwrap().contains("embeddings"), "{recall}");
        // Behind the conversation the words are taken up a moment after they were said.
        if !recall["memories"].as_array().unwrap().is_empty() {
            break (told, recall);
        }
        tokio::task::yield_now().await;
    };
    // Her reply says the same here; one of the two stands for both.
    let first = recall["memories"][0]["text"].as_str().unwrap();
    assert!(first.ends_with(TOLD), "words alone find it: {first}");
    assert_eq!(told.outcome, "complete");
    let health = house.api.get("/health").await;
    assert_eq!(health["components"]["embeddings"]["status"], "degraded", "{health}");
    assert_eq!(health["status"], "degraded", "{health}");
}

#[tokio::test]
async fn memory_outlives_a_restart_and_a_lost_index() {
    let mut house = House::new().await;
    tell(&house).await;
    house.server.signal("KILL");
    house.server.wait();
    house.restart().await;
    new_session(&house, "later").await;
    let mut line = house.line_on("later").await;
    let told = line.turn("What does my sister play?").await;
    assert!(told.recall.is_some(), "{told:?}");
    let begun = house.api.post("/api/admin/reindex", json!({})).await.expect(202);
    assert!(begun["queued"].as_u64().unwrap() >= 3, "{begun}");
    house.indexed().await;
    let told = line.turn("And her name, my sister's?").await;
    assert!(told.recall.unwrap()["memories"].to_string().contains("Anna"));
}

#[tokio::test]
async fn long_conversations_are_summarised_and_the_prefix_holds() {
    let house = House::with(|setup| setup.env("MIRA_HISTORY_MESSAGES", "8")).await;
    let mut line = house.line().await;
    let (mut input, mut fixed, mut largest) = (0_u64, 0_u64, 0_u64);
    for turn in 0..50 {
        let told = line
            .turn(&format!(
                "Turn {turn}: today I walked to the lake again and thought about the boat, the weather and my old job."
            ))
            .await;
        if turn < 2 {
            continue;
        }
        let usage = &told.reply()["usage"];
        let receipt = house.api.get(&format!("/api/messages/{}/receipt", told.reply_id)).await;
        let part = |name: &str| {
            let parts = receipt["tokens"].as_array().unwrap();
            parts.iter().find(|part| part["part"] == name).unwrap()["tokens"]
                .as_u64()
                .unwrap()
        };
        largest = largest.max(part("memories"));
        let new = part("message") + part("memories");
        input += usage["input_tokens"].as_u64().unwrap().saturating_sub(new);
        fixed += usage["cached_tokens"].as_u64().unwrap();
    }
    println!("{fixed} of {input} tokens that need not change came from the cache; recall took up to {largest}");
    assert!(fixed * 100 >= input * 90, "{fixed} of {input}");
    let summaries = house.api.get("/api/memories?kind=summary").await;
    assert!(!summaries["memories"].as_array().unwrap().is_empty());
    let system = house.prompts().pop().unwrap().body["instructions"].to_string();
    assert!(system.contains("# What came before"), "the notes are in the prompt");
    let figures = house.server.get("/metrics").await.text().await.unwrap();
    let side_calls = figures
        .lines()
        .find_map(|line| line.strip_prefix("mira_side_calls_total "));
    assert!(side_calls.unwrap().parse::<u64>().unwrap() > 0, "they are counted");
    let roles: Vec<Value> = house.api.history().await.iter().map(|m| m["role"].clone()).collect();
    assert!(roles.iter().all(|role| role == "user" || role == "assistant"));
}

#[tokio::test]
async fn what_this_turn_says_otherwise_is_not_recalled_for_it() {
    let house = House::new().await;
    let mut line = house.line().await;
    let told = line.turn(TOLD).await;
    house.indexed().await;
    let id = |frame: &Value| frame["id"].as_str().unwrap().to_owned();
    let (message, reply) = (id(told.message.as_ref().unwrap()), id(told.reply()));
    let ids = |recall: Option<Value>| recall.map(|event| event["memories"].to_string()).unwrap_or_default();
    for of in [&reply, &message] {
        let again = line.ask(json!({ "type": "regenerate", "message_id": of })).await;
        assert!(!ids(again.recall.clone()).contains(&reply), "{again:?}");
        house.indexed().await;
    }
    let edit = json!({ "type": "edit", "message_id": message, "content": "My sister Anna plays the violin in Graz." });
    let edited = line.ask(edit).await;
    assert!(!ids(edited.recall.clone()).contains(&message), "{edited:?}");
    // What is pinned and stands in the prompt already needs no second place there.
    let path = format!("/api/memories/{}", id(edited.message.as_ref().unwrap()));
    house.api.patch(&path, json!({ "pinned": true })).await.expect(200);
    let next = line.turn("Which town was that, with the violin?").await;
    assert!(
        !ids(next.recall.clone()).contains(&id(edited.message.as_ref().unwrap())),
        "{next:?}"
    );
}

#[tokio::test]
async fn no_other_log_repeats_what_is_forgotten() {
    let house = House::new().await;
    let (_, fact) = tell(&house).await;
    new_session(&house, "elsewhere").await;
    let mut line = house.line_on("elsewhere").await;
    let told = line.turn("Which instrument does my sister Anna play?").await;
    assert!(told.recall.unwrap().to_string().contains(FACT));
    let seq = line.hello["seq"].as_u64().unwrap();
    let mut back = house.line_on(&format!("elsewhere&after={seq}")).await;
    assert!(back.wait("recall").await.to_string().contains(FACT), "kept until then");
    let path = format!("/api/memories/{}", fact["id"].as_str().unwrap());
    house.api.delete(&path).await.expect(204);
    let mut back = house.line_on(&format!("elsewhere&after={seq}")).await;
    assert_eq!(back.next().await["type"], "reset");
}

#[tokio::test]
async fn a_message_forgotten_while_it_waits_or_is_answered_leaves_nothing() {
    let house = House::new().await;
    let mut line = house.line().await;
    let said = Reply::new("I see.").mood("worried", Some("the diary under the bed"));
    let gate = house.gated(Plan::structured(said));
    line.chat("My diary lies under the bed.").await;
    let running = line.wait("message").await["message"]["id"].as_str().unwrap().to_owned();
    line.chat("And its key in the vase.").await;
    let queued = line.wait("message").await["message"]["id"].as_str().unwrap().to_owned();
    for id in [&queued, &running] {
        house.api.delete(&format!("/api/memories/{id}")).await.expect(204);
    }
    let asked = house.prompts().len();
    gate.open();
    let done = line.wait("done").await;
    assert_eq!(done["outcome"], "complete", "{done}");
    let reply = house
        .api
        .get(&format!("/api/messages/{}", done["message_id"].as_str().unwrap()))
        .await;
    assert_eq!(reply["mood_cause"], Value::Null, "{reply}");
    let done = line.wait("done").await;
    assert_eq!(done["outcome"], "stopped", "{done}");
    assert_eq!(house.prompts().len(), asked, "there was nothing to ask");
    line.send(json!({ "type": "regenerate", "message_id": running })).await;
    line.refused(422).await;
    assert_eq!(line.turn("Good night.").await.outcome, "complete");
}

#[tokio::test]
async fn what_was_off_the_record_is_in_no_summary() {
    let house = House::with(|setup| setup.env("MIRA_HISTORY_MESSAGES", "4")).await;
    let mut line = house.line().await;
    for turn in 0..14 {
        let memory = if turn == 3 { "off" } else { "on" };
        house
            .api
            .patch("/api/sessions/eternal", json!({ "memory": memory }))
            .await
            .expect(200);
        let words = if turn == 3 {
            "my ring lies in the vase"
        } else {
            "the lake was calm"
        };
        line.turn(&format!("Turn {turn}: {words}.")).await;
        house.indexed().await;
    }
    let off = house.api.history().await[6].clone();
    assert!(off["content"].as_str().unwrap().contains("vase"), "{off}");
    // To change nothing of it does not make it a memory.
    let path = format!("/api/memories/{}", off["id"].as_str().unwrap());
    for body in [json!({}), json!({ "pinned": false })] {
        house.api.patch(&path, body).await.problem(404, "not-found");
    }
    let deadline = std::time::Instant::now() + crate::support::server::LIMIT;
    while house.api.get("/api/memory").await["counts"]["summaries"] == 0 {
        assert!(std::time::Instant::now() < deadline, "no summary");
        tokio::task::yield_now().await;
    }
    let asked = house.prompts();
    let side = |prompt: &&openai_sim::Captured| prompt.body["instructions"].to_string().contains("# Summarise");
    let summarised: Vec<String> = asked
        .iter()
        .filter(side)
        .map(|prompt| prompt.body.to_string())
        .collect();
    assert!(!summarised.is_empty());
    for prompt in summarised {
        assert!(prompt.contains("lake") && !prompt.contains("vase"), "{prompt}");
    }
}

#[tokio::test]
async fn vectors_of_a_model_nobody_speaks_any_more_are_made_anew() {
    let sim_embeds = |setup: Setup| {
        setup
            .env("MIRA_EMBEDDINGS", "openai")
            .env("QDRANT_EMBEDDING_DIM", "256")
    };
    let mut house = House::with(sim_embeds).await;
    tell(&house).await;
    house.server.signal("TERM");
    house.server.wait();
    house.setup = std::mem::replace(&mut house.setup, Setup::new()).env("MIRA_EMBEDDINGS", "local");
    house.restart().await;
    let mut line = house.line().await;
    line.turn("I also have a cat.").await;
    let deadline = std::time::Instant::now() + crate::support::server::LIMIT;
    while house.api.get("/api/memory").await["index"]["rebuilding"] == json!(true) {
        assert!(std::time::Instant::now() < deadline, "the new vectors are never whole");
        tokio::task::yield_now().await;
    }
    new_session(&house, "later").await;
    let told = house.line_on("later").await.turn("What does my sister play?").await;
    let recall = told.recall.unwrap();
    assert!(recall.get("degraded").is_none(), "{recall}");
    assert!(recall["memories"][0]["score"].as_f64().unwrap() > 0.0);
}
