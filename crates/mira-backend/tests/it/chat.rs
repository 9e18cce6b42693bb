//! A turn on every door: its law, its words, what repeats, what waits, what is stopped.

use crate::support::client::{Answer, House, Line, SOME, Told, chunks, law, law_of, long};
use futures_util::future::join_all;
use openai_sim::Plan;
use reqwest::Method;
use serde_json::{Value, json};

/// The words arrive, and are the same everywhere they can be read.
async fn same_everywhere(house: &House, told: &Told, expect: &str) {
    assert_eq!(told.text, expect);
    assert!(told.chunks > 1, "word by word");
    // Where memory takes a moment she says so first.
    assert_eq!(told.stages.last().map(String::as_str), Some("thinking"));
    let reply = told.reply();
    let history = house.api.history().await;
    let [.., message, stored] = history.as_slice() else {
        panic!("two messages: {history:#?}")
    };
    assert_eq!(stored, reply);
    assert_eq!(Some(message), told.message.as_ref());
    let id = reply["id"].as_str().unwrap();
    assert_eq!(house.api.get(&format!("/api/messages/{id}")).await, *reply);
}

#[tokio::test]
async fn a_turn_over_a_socket() {
    let house = House::new().await;
    let mut line = house.line().await;
    let words = long("a");
    let gate = house.gated(Plan::reply(&words));
    line.chat("hello").await;
    gate.release(SOME);
    let mut frames = line.until("chunk").await;
    assert_eq!(house.sim.counts().finished, 0, "the model is still writing");
    gate.open();
    frames.extend(line.until("done").await);
    same_everywhere(&house, &law(&frames), &words).await;
}

#[tokio::test]
async fn a_turn_over_an_event_stream() {
    let house = House::new().await;
    let words = long("b");
    let gate = house.gated(Plan::reply(&words));
    gate.release(SOME);
    let mut events = house.api.stream(json!({ "content": "hello" })).await;
    let mut frames = events.until("chunk").await;
    assert_eq!(house.sim.counts().finished, 0, "the model is still writing");
    gate.open();
    // The stream is of one turn and ends with it.
    frames.extend(events.rest().await);
    assert_eq!(frames.last().unwrap()["type"], "done");
    same_everywhere(&house, &law(&frames), &words).await;
}

#[tokio::test]
async fn a_turn_heard_over_a_sessions_events() {
    let house = House::new().await;
    let words = long("c");
    let gate = house.gated(Plan::reply(&words));
    let mut events = house.api.events("eternal", "").await;
    let said = house.api.say("hello");
    let hear = async {
        gate.release(SOME);
        let mut frames = events.until("chunk").await;
        assert_eq!(house.sim.counts().finished, 0, "the model is still writing");
        gate.open();
        frames.extend(events.until("done").await);
        law(&frames)
    };
    let (reply, told) = tokio::join!(said, hear);
    assert_eq!(reply, *told.reply());
    same_everywhere(&house, &told, &words).await;
}

#[tokio::test]
async fn a_turn_over_the_simple_door() {
    let house = House::new().await;
    let mut line = house.line().await;
    let words = long("d");
    let gate = house.gated(Plan::reply(&words));
    let body = json!({ "message": "hello", "session_id": "eternal" });
    let said = house.api.post("/chat", body);
    let hear = async {
        gate.release(SOME);
        let mut frames = line.until("chunk").await;
        assert_eq!(house.sim.counts().finished, 0, "the model is still writing");
        gate.open();
        frames.extend(line.until("done").await);
        law(&frames)
    };
    let (answer, told) = tokio::join!(said, hear);
    let reply = told.reply();
    let expect = json!({
        "output": words, "persona": reply["persona"], "mood": reply["mood"], "session_id": "eternal",
        "message_id": reply["id"], "tool_results": [], "citations": [],
    });
    assert_eq!(answer.expect(200), expect);
    same_everywhere(&house, &told, &words).await;
}

#[tokio::test]
async fn a_message_is_stored_before_it_is_told() {
    let house = House::new().await;
    let mut line = house.line().await;
    let gate = house.gated(Plan::reply("yes"));
    line.send(json!({ "type": "chat", "content": "durable?", "client_id": "c-1" }))
        .await;
    let event = line.wait("message").await;
    assert_eq!(event["client_id"], "c-1");
    let id = event["message_id"].as_str().unwrap();
    assert_eq!(house.api.get(&format!("/api/messages/{id}")).await, event["message"]);
    assert_eq!(event["message"]["status"], "complete");
    gate.open();
    line.until("done").await;
}

#[tokio::test]
async fn a_repeated_message_is_the_same_message() {
    let house = House::new().await;
    let mut line = house.line().await;
    let frame = json!({ "type": "chat", "content": "once", "client_id": "same" });
    line.send(frame.clone()).await;
    let frames = line.until("done").await;
    let first = frames.iter().find(|frame| frame["type"] == "message").unwrap().clone();
    let reply = law(&frames).reply().clone();

    line.send(frame).await;
    assert_eq!(line.wait("message").await, first, "the original event");
    line.send(json!({ "type": "chat", "content": "twice", "client_id": "same" }))
        .await;
    let refused = line.refused(409).await;
    assert_eq!(refused["client_id"], "same");
    assert_eq!(refused["retryable"], false);

    let body = json!({ "content": "once", "client_id": "same" });
    assert_eq!(house.api.post("/api/chat", body.clone()).await.expect(200), reply);
    let simple = house
        .api
        .post(
            "/chat",
            json!({ "message": "once", "client_id": "same", "session_id": "eternal" }),
        )
        .await
        .expect(200);
    assert_eq!(simple["message_id"], reply["id"]);
    let mut events = house.api.stream(body).await;
    let again: Vec<Value> = events.rest().await;
    let kinds: Vec<&str> = again.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "complete", "done"]);
    assert_eq!(
        (&again[0]["message"], &again[1]["message"]),
        (&first["message"], &reply)
    );
    assert_eq!(again[2]["outcome"], "complete");
    house
        .api
        .post("/api/chat", json!({ "content": "other", "client_id": "same" }))
        .await
        .problem(409, "conflict");

    assert_eq!(line.settle().await, Vec::<Value>::new(), "nothing of it reached others");
    assert_eq!(house.prompts().len(), 1);
    assert_eq!(house.api.history().await.len(), 2);
}

#[tokio::test]
async fn twenty_at_once_are_one() {
    let house = House::new().await;
    let gate = house.gated(Plan::reply("one answer"));
    let body = json!({ "content": "all at once", "client_id": "crowd" });
    let crowd = join_all((0..20).map(|_| house.api.post("/api/chat", body.clone())));
    let release = async {
        house.sim.wait_requests(1).await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(crowd, release);
    let replies: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200)).collect();
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    assert_eq!(house.prompts().len(), 1, "one call of the model");
    assert_eq!(house.api.history().await.len(), 2);
}

#[tokio::test]
async fn a_repeat_joins_the_running_turn() {
    let house = House::new().await;
    let words = long("j");
    let gate = house.gated(Plan::reply(&words));
    let body = json!({ "content": "still there?", "client_id": "retry" });
    gate.release(SOME);
    let mut first = house.api.stream(body.clone()).await;
    first.until("chunk").await;
    // The same message again, as after a broken connection: the whole turn, from its beginning.
    let mut second = house.api.stream(body).await;
    gate.open();
    let told = law(&second.rest().await);
    assert_eq!(told.text, words);
    assert!(told.message.is_some());
    assert_eq!(house.prompts().len(), 1);
}

#[tokio::test]
async fn a_repeat_of_a_turn_without_a_whole_reply_says_so() {
    let house = House::new().await;
    let body = |words: &str| json!({ "content": words, "client_id": words });
    let failing = "[[sim: status=401]] no";
    let cut = "[[sim: output=\"one two three four five six seven eight nine ten eleven twelve\" cut=45]] half";
    for (words, outcome) in [(failing, "failed"), (cut, "interrupted")] {
        let told = law(&house.api.stream(body(words)).await.rest().await);
        assert_eq!(told.outcome, outcome);
        let again = house.api.stream(body(words)).await.rest().await;
        let kinds: Vec<&Value> = again.iter().map(|frame| &frame["type"]).collect();
        assert_eq!(kinds, ["message", "error", "done"]);
        assert_eq!(
            again[1].get("message").is_some(),
            outcome == "interrupted",
            "{again:#?}"
        );
        assert_eq!(again[2]["outcome"], outcome, "{again:#?}");
    }
    house
        .api
        .post("/api/chat", body(failing))
        .await
        .problem(409, "conflict");
}

#[tokio::test]
async fn what_is_typed_ahead_waits_its_turn() {
    let house = House::new().await;
    let mut line = house.line().await;
    let gate = house.gated(Plan::reply("r1").only_for("u1"));
    line.chat("u1").await;
    let first = line.wait("message").await;
    line.chat("u2").await;
    let queued = line.until_that(|frame| frame["stage"] == "queued").await;
    assert_eq!(queued.iter().filter(|frame| frame["type"] == "message").count(), 1);
    let second = queued.last().unwrap()["turn_id"].as_str().unwrap().to_owned();
    assert!(house.prompts().len() <= 1, "she has not been asked yet");
    gate.open();
    let mut frames = vec![first.clone()];
    frames.extend(queued);
    frames.extend(line.until("done").await);
    frames.extend(line.until("done").await);
    let (one, two) = (
        law_of(&frames, first["turn_id"].as_str().unwrap()),
        law_of(&frames, &second),
    );
    assert_eq!((one.text.as_str(), two.text.as_str()), ("r1", "to: u2"));
    assert_eq!(two.stages, ["queued", "recalling", "thinking"]);
    let history = house.api.history().await;
    let said: Vec<&str> = history.iter().map(|m| m["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["u1", "r1", "u2", "to: u2"]);
    for pair in history.windows(2) {
        assert_eq!(pair[1]["parent_id"], pair[0]["id"]);
    }
    assert_eq!(history[0]["parent_id"], Value::Null);
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when() {
    let house = House::new().await;
    let mut line = house.line().await;
    let gate = house.gated(Plan::reply("slow").only_for("m0"));
    for n in 0..9 {
        line.send(json!({ "type": "chat", "content": format!("m{n}"), "client_id": format!("c{n}") }))
            .await;
        line.wait("message").await;
    }
    line.send(json!({ "type": "chat", "content": "too many", "client_id": "c9" }))
        .await;
    let refused = line.refused(429).await;
    assert_eq!(
        (&refused["client_id"], &refused["retryable"]),
        (&json!("c9"), &json!(true))
    );
    let answer = house.api.post("/api/chat", json!({ "content": "more" })).await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(429, "too-many-requests");
    // A repeat of one that waits takes no place.
    line.send(json!({ "type": "chat", "content": "m5", "client_id": "c5" }))
        .await;
    assert_eq!(line.wait("message").await["message"]["content"], "m5");
    gate.open();
    for _ in 0..9 {
        line.until("done").await;
    }
    assert_eq!(
        house.api.history().await.len(),
        18,
        "nothing refused was kept, nothing taken was lost"
    );
}

/// A turn that has spoken some words and waits.
async fn speaking(house: &House, line: &mut Line) -> Vec<Value> {
    let gate = house.gated(Plan::reply(long("s")));
    line.chat("talk").await;
    gate.release(SOME);
    line.until("chunk").await
}

#[tokio::test]
async fn stop_keeps_what_was_said() {
    let house = House::new().await;
    let mut line = house.line().await;
    let mut frames = speaking(&house, &mut line).await;
    line.send(json!({ "type": "stop" })).await;
    frames.extend(line.until("done").await);
    let told = law(&frames);
    assert_eq!(told.outcome, "stopped");
    assert!(long("s").starts_with(&told.text));
    assert_eq!(house.api.history().await[1], *told.complete.as_ref().unwrap());
    house.sim.wait_counts(|counts| counts.abandoned == 1).await;
    assert_eq!(line.turn("and now?").await.text, "to: and now?");
}

#[tokio::test]
async fn stop_before_the_first_word() {
    let house = House::new().await;
    let mut line = house.line().await;
    let gate = house.gated(Plan::reply("never said"));
    line.chat("quick").await;
    let mut frames = line.until("status").await;
    gate.wait_waiting().await;
    let turn = frames[0]["turn_id"].clone();
    let session = house
        .api
        .post("/api/sessions/eternal/stop", json!({}))
        .await
        .expect(200);
    assert_eq!(session["turn_id"], frames.last().unwrap()["turn_id"]);
    frames.extend(line.until("done").await);
    let told = law(&frames);
    assert_eq!((told.outcome.as_str(), &told.complete), ("stopped", &None), "{turn}");
    assert_eq!(house.api.history().await.len(), 1);
    // Nothing runs: nothing to stop, and no error.
    let idle = house.api.call(Method::POST, "/api/sessions/eternal/stop", None).await;
    assert_eq!(idle.expect(200)["turn_id"], Value::Null);
    line.send(json!({ "type": "stop" })).await;
    assert_eq!(line.settle().await, Vec::<Value>::new());
    assert_eq!(line.turn("again").await.text, "to: again");
}

#[tokio::test]
async fn stop_of_a_waiting_turn() {
    let house = House::new().await;
    let mut line = house.line().await;
    let gate = house.gated(Plan::reply("first").only_for("one"));
    line.chat("one").await;
    line.until("message").await;
    line.chat("two").await;
    let queued = line.until_that(|frame| frame["stage"] == "queued").await;
    let turn = queued.last().unwrap()["turn_id"].clone();
    line.send(json!({ "type": "stop", "turn_id": turn })).await;
    let done = line.wait("done").await;
    assert_eq!((&done["turn_id"], &done["outcome"]), (&turn, &json!("stopped")));
    line.send(json!({ "type": "stop", "turn_id": turn })).await;
    line.refused(404).await;
    gate.open();
    assert_eq!(line.wait("done").await["outcome"], "complete");
    let history = house.api.history().await;
    let said: Vec<&str> = history.iter().map(|m| m["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["one", "first", "two"], "the message stays");
    // Its words are answered when asked for.
    let id = history[2]["id"].clone();
    let told = line.ask(json!({ "type": "regenerate", "message_id": id })).await;
    assert_eq!(told.text, "to: two");
}

#[tokio::test]
async fn a_rest_caller_hears_of_a_stop() {
    let house = House::new().await;
    let mut line = house.line().await;
    let gate = house.gated(Plan::reply("never"));
    let waiting = house
        .api
        .post("/chat", json!({ "message": "wait", "session_id": "eternal" }));
    let stop = async {
        line.until("status").await;
        gate.wait_waiting().await;
        line.send(json!({ "type": "stop" })).await;
    };
    let (answer, ()) = tokio::join!(waiting, stop);
    let answer: Answer = answer;
    answer.problem(409, "conflict");

    let gate = house.gated(Plan::reply(long("k")));
    gate.release(SOME);
    let waiting = house.api.post("/api/chat", json!({ "content": "talk" }));
    let stop = async {
        line.until("chunk").await;
        line.send(json!({ "type": "stop" })).await;
    };
    let (answer, ()) = tokio::join!(waiting, stop);
    assert_eq!(answer.expect(200)["status"], "stopped");
}

#[tokio::test]
async fn a_client_that_leaves_stops_nothing() {
    let house = House::new().await;
    let mut line = house.line().await;
    let gate = house.gated(Plan::reply(long("g")));
    let mut events = house.api.stream(json!({ "content": "bye" })).await;
    gate.release(SOME);
    events.until("chunk").await;
    drop(events);
    gate.open();
    let frames = line.until("done").await;
    assert_eq!(chunks(&frames), long("g"));
    assert_eq!(law(&frames).outcome, "complete");
}

#[tokio::test]
async fn values_that_are_not_valid() {
    let house = House::new().await;
    let unknown = "0199f3a0-0000-7000-8000-000000000001";
    for (body, field) in [
        (json!({ "content": " \n\t" }), "content"),
        (json!({ "message": " ", "zzz": 1 }), "message"),
        (json!({ "content": 7 }), "content"),
        (json!({ "content": "x", "session_id": "NO SUCH" }), "session_id"),
        (json!({ "content": "x", "persona": "No Name" }), "persona"),
        (json!({ "content": "x", "persona": "nobody" }), "persona"),
        (json!({ "content": "x", "client_id": "" }), "client_id"),
        (json!({ "content": "x", "client_id": "c".repeat(129) }), "client_id"),
        (json!({ "content": "x", "parent_id": "nope" }), "parent_id"),
        (json!({ "content": "x", "tz": "Mars/Base" }), "tz"),
        (json!({ "content": "x", "file_ids": [unknown] }), "file_ids"),
        (json!({ "content": "x", "project_id": unknown }), "project_id"),
        (
            json!({ "content": "x", "metadata": { "selection": { "start_line": 4, "end_line": 3 } } }),
            "metadata.selection.end_line",
        ),
    ] {
        for path in ["/api/chat", "/chat"] {
            let problem = house.api.post(path, body.clone()).await.problem(422, "invalid");
            assert_eq!(problem["errors"][0]["field"], field, "{body}");
        }
    }
    let missing = json!({ "content": "x", "session_id": "nowhere" });
    house
        .api
        .post("/api/chat", missing.clone())
        .await
        .problem(404, "not-found");
    house.api.post("/chat", missing).await.problem(404, "not-found");
    let orphan = json!({ "content": "x", "parent_id": unknown });
    house.api.post("/api/chat", orphan).await.problem(404, "not-found");
    assert_eq!(house.api.history().await, Vec::<Value>::new());
    // Whatever began before a refusal was found costs no stored word; the house still talks.
    assert_eq!(house.api.say("fine").await["content"], "to: fine");
}

#[tokio::test]
async fn too_long_for_a_prompt_is_refused_whole() {
    let house = House::with(|setup| setup.env("MIRA_CONTEXT_TOKENS", "16384")).await;
    let much = "word ".repeat(40_000);
    house
        .api
        .post("/api/chat", json!({ "content": much }))
        .await
        .problem(413, "too-large");
    assert_eq!(house.prompts().len(), 0);
    assert_eq!(house.api.history().await, Vec::<Value>::new());
}
