//! Tools: what is called, what came of it, what of it is kept, how it ends when it goes wrong.

use crate::support::{
    client::{House, Told, law},
    server::Setup,
};
use mira_core::budget::estimate_tokens;
use openai_sim::{Call, Plan, Reply, SimConfig};
use serde_json::{Value, json};

const FACT: &str = "The owner's sister Anna plays the violin.";
const TOLD: &str = "My sister Anna plays the violin.";

#[expect(clippy::needless_pass_by_value, reason = "json! makes values")]
fn call(name: &str, arguments: Value) -> Call {
    Call::new(name, &arguments)
}

fn recall(question: &str) -> Call {
    call("recall", json!({ "question": question, "limit": null }))
}

/// Tells her a fact in one session; the stored message and the fact.
async fn tell(house: &House) -> (Value, Value) {
    let mut line = house.line().await;
    let reply = Reply::new("How lovely.").remember("owner", "sister", FACT, None);
    house.sim.push(Plan::structured(reply));
    let told = line.turn(TOLD).await;
    house.indexed().await;
    let facts = house.api.get("/api/memories?kind=fact").await;
    (told.message.unwrap(), facts["memories"][0].clone())
}

/// The outputs the latest request hands back.
fn outputs(house: &House) -> Vec<String> {
    let body = house.prompts().pop().unwrap().body;
    let items = body["input"].as_array().unwrap().clone();
    let outputs = items.iter().filter(|item| item["type"] == "function_call_output");
    outputs
        .map(|item| item["output"].as_str().unwrap().to_owned())
        .collect()
}

/// The tools of memory among those the latest request offers.
fn offered(house: &House) -> Vec<String> {
    let body = house.prompts().pop().unwrap().body;
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    tools
        .iter()
        // The provider's own have only a type.
        .filter_map(|tool| tool["name"].as_str().map(str::to_owned))
        .filter(|name| ["recall", "remember", "forget"].contains(&name.as_str()))
        .collect()
}

#[tokio::test]
async fn a_call_is_seen_answered_stored_and_remembered() {
    let house = House::new().await;
    let (_, fact) = tell(&house).await;
    house
        .api
        .post("/api/sessions", json!({ "id": "later" }))
        .await
        .expect(201);
    let mut line = house.line_on("later").await;
    house
        .sim
        .push(Plan::calls([recall("Which instrument does Anna play?")]));
    house.sim.push(Plan::reply("The violin."));
    let told = line.turn("Look up what Anna plays.").await;
    assert_eq!((told.outcome.as_str(), told.text.as_str()), ("complete", "The violin."));
    assert!(told.stages.contains(&"tool".to_owned()), "{told:?}");
    let (asked, answered) = (&told.calls[0], &told.results[0]);
    assert_eq!((&asked["tool"], &asked["effect"]), (&json!("recall"), &json!("read")));
    assert_eq!(asked["arguments"]["question"], "Which instrument does Anna play?");
    assert_eq!(
        (&answered["tool_type"], &answered["status"]),
        (&json!("recall"), &json!("ok"))
    );
    let found = answered["data"]["memories"].as_array().unwrap();
    assert!(found.iter().any(|memory| memory["id"] == fact["id"]), "{answered}");
    assert!(outputs(&house)[0].contains(FACT), "{:?}", outputs(&house));

    // Stored with the reply, without the texts that may have to be forgotten.
    let stored = house.api.get("/api/chat/history?session_id=later").await["messages"][1].clone();
    assert_eq!(stored["tool_calls"][0]["tool_call_id"], asked["tool_call_id"]);
    assert_eq!(stored["tool_calls"][0]["data"], answered["data"]);
    assert_eq!(stored["tool_calls"], told.complete.unwrap()["tool_calls"]);
    assert!(!stored["tool_calls"].to_string().contains("violin."), "{stored}");

    // And the next prompt tells of it.
    line.turn("Thanks.").await;
    let kept = outputs(&house);
    assert_eq!(kept.len(), 1);
    assert!(
        kept[0].contains(fact["id"].as_str().unwrap()) && !kept[0].contains(FACT),
        "{kept:?}"
    );
}

#[tokio::test]
async fn calls_run_side_by_side_over_several_rounds_on_every_door() {
    let house = House::new().await;
    tell(&house).await;
    let plans = || {
        [
            Plan::reply("Let me look.").then_calls([recall("Anna"), recall("violin"), call("no_such_tool", json!({}))]),
            Plan::calls([call("recall", json!({ "question": 7 })), recall("sister")]),
            Plan::reply("There it is."),
        ]
    };
    let push = |plans: [Plan; 3]| {
        for plan in plans {
            house.sim.push(plan);
        }
    };
    let check = |frames: &[Value]| {
        let told = law(frames);
        assert_eq!(told.text, "Let me look.\n\nThere it is.");
        let mut statuses: Vec<&str> = told.results.iter().map(|r| r["status"].as_str().unwrap()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, ["failed", "ok", "ok", "ok", "unavailable"]);
    };
    push(plans());
    let mut line = house.line().await;
    line.chat("Look it up.").await;
    check(&line.until("done").await);

    push(plans());
    let mut events = house.api.stream(json!({ "content": "Look it up again." })).await;
    check(&events.rest().await);

    push(plans());
    let answer = house
        .api
        .post("/chat", json!({ "message": "And again.", "session_id": "eternal" }))
        .await
        .expect(200);
    assert_eq!(answer["output"], "Let me look.\n\nThere it is.");
    let results = answer["tool_results"].as_array().unwrap();
    assert_eq!(results.len(), 5);
    assert_eq!(results[2]["tool_type"], "no_such_tool");
    let said = outputs(&house);
    assert!(said.iter().any(|output| output.contains("no tool called")), "{said:?}");
    assert!(
        said.iter().any(|output| output.contains("arguments are wrong")),
        "{said:?}"
    );
}

#[tokio::test]
async fn endless_rounds_end() {
    let house = House::new().await;
    for n in 0..11 {
        house.sim.push(Plan::calls([recall(&format!("round {n}"))]));
    }
    let mut line = house.line().await;
    let told = line.turn("Never stop.").await;
    assert_eq!((told.outcome.as_str(), told.calls.len()), ("failed", 10), "{told:?}");
    let last = house.prompts().pop().unwrap().body;
    assert_eq!(last["tool_choice"], "none", "the last request wants an answer");
    // The next turn is an ordinary one.
    assert_eq!(line.turn("Hello?").await.outcome, "complete");
}

#[tokio::test]
async fn too_many_calls_at_once_are_told_so() {
    let house = House::new().await;
    house
        .sim
        .push(Plan::calls((0..50).map(|n| recall(&format!("call {n}")))));
    house.sim.push(Plan::reply("Enough."));
    let told = house.line().await.turn("Everything at once.").await;
    assert_eq!((told.outcome.as_str(), told.text.as_str()), ("complete", "Enough."));
    let of = |status: &str| told.results.iter().filter(|result| result["status"] == status).count();
    assert_eq!((told.results.len(), of("ok"), of("denied")), (50, 48, 2));
    let last = house.prompts().pop().unwrap().body;
    assert_eq!(last["tool_choice"], "none", "the last request wants an answer");
    let refused = |output: &&String| output.contains("the limit of 48 calls for one reply is reached");
    assert_eq!(outputs(&house).iter().filter(refused).count(), 2);
}

#[tokio::test]
async fn what_is_kept_on_request_passes_the_gate() {
    let house = House::new().await;
    let remember = |text: &str| {
        call(
            "remember",
            json!({ "about": "owner", "topic": "allergy", "text": text, "replaces": null }),
        )
    };
    let mut line = house.line().await;
    house.sim.push(Plan::calls([
        remember("The owner is allergic to hazelnuts."),
        remember("The owner wants the text translated now?"),
    ]));
    house.sim.push(Plan::reply("I will."));
    let told = line.turn("Please remember that I am allergic to hazelnuts.").await;
    let data: Vec<&Value> = told
        .calls
        .iter()
        .map(|call| {
            let same = |result: &&Value| result["tool_call_id"] == call["tool_call_id"];
            &told.results.iter().find(same).unwrap()["data"]
        })
        .collect();
    assert_eq!(
        (&data[0]["kept"], &data[1]["kept"]),
        (&json!(true), &json!(false)),
        "{data:?}"
    );
    let facts = house.api.get("/api/memories?kind=fact").await;
    let facts = facts["memories"].as_array().unwrap();
    assert_eq!(facts.len(), 1, "{facts:?}");
    assert_eq!(facts[0]["id"], data[0]["memory"]["id"]);
    assert_eq!(facts[0]["message_id"], told.message.unwrap()["id"], "the evidence");
}

#[tokio::test]
async fn what_she_forgets_on_request_is_nowhere() {
    let house = House::new().await;
    let (message, fact) = tell(&house).await;
    let forget = |ids: &[&Value]| call("forget", json!({ "memories": ids }));
    let mut line = house.line().await;
    house.sim.push(Plan::calls([recall("Anna"), forget(&[&fact["id"]])]));
    house.sim.push(Plan::calls([
        forget(&[&message["id"], &fact["id"]]),
        forget(&[&json!("nonsense")]),
        forget(&[]),
    ]));
    house.sim.push(Plan::reply("It is gone."));
    let told = line.turn("Forget everything I told you about Anna.").await;
    let of = |n: usize| {
        let same = |result: &&Value| result["tool_call_id"] == told.calls[n]["tool_call_id"];
        told.results.iter().find(same).unwrap()
    };
    assert_eq!(of(1)["data"]["forgotten"], json!([fact["id"]]));
    assert_eq!(
        of(1)["data"]["sources"][0]["id"],
        message["id"],
        "where the words still stand"
    );
    assert_eq!(of(2)["data"]["forgotten"], json!([message["id"]]));
    assert_eq!(
        (&of(3)["status"], &of(4)["status"]),
        (&json!("failed"), &json!("failed"))
    );
    // What goes with another is forgotten too, not unknown.
    let reply = Reply::new("Noted.").remember("owner", "pet", "The owner has a grey cat called Tom.", None);
    house.sim.push(Plan::structured(reply));
    let message = line.turn("I have a grey cat called Tom.").await.message.unwrap();
    let fact = house.api.get("/api/memories?kind=fact").await["memories"][0].clone();
    house.sim.push(Plan::calls([forget(&[&message["id"], &fact["id"]])]));
    house.sim.push(Plan::reply("Gone again."));
    let told = line.turn("Forget that I have a grey cat called Tom, too.").await;
    assert_eq!(
        told.results[0]["data"]["forgotten"].as_array().unwrap().len(),
        2,
        "{told:?}"
    );
    house.indexed().await;
    let doctor = house.setup.run(&["doctor", "--forgotten", "plays the violin"]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success(), "{said}");
}

/// Across everything, or what belongs to the project alone, where that is asked.
#[tokio::test]
async fn a_project_can_be_looked_into_alone() {
    let house = House::new().await;
    let project = house.api.project("Lamp").await;
    let kept = async |text: &str, project: &Value| {
        let body = json!({ "text": text, "project_id": project });
        house.api.post("/api/memories", body).await.expect(201)["id"].clone()
    };
    let own = kept("The hinge of the lamp is made of brass.", &project["id"]).await;
    let other = kept("The hinge of the door is made of iron.", &Value::Null).await;
    house.indexed().await;
    let session = json!({ "id": "inside", "project_id": project["id"] });
    house.api.post("/api/sessions", session).await.expect(201);
    let look = |project: Value| {
        let question = "What is the hinge made of?";
        let arguments = json!({ "question": question, "limit": null, "project": project });
        house.sim.push(Plan::calls([call("recall", arguments)]));
        house.sim.push(Plan::reply("I see."));
    };
    let ids = |told: &Told| {
        let memories = told.results[0]["data"]["memories"].as_array().unwrap();
        memories.iter().map(|memory| memory["id"].clone()).collect::<Vec<_>>()
    };
    let mut line = house.line_on("inside").await;
    look(json!(true));
    let alone = ids(&line.turn("The hinge?").await);
    assert!(alone.contains(&own) && !alone.contains(&other), "{alone:?}");
    look(Value::Null);
    let all = ids(&line.turn("And all hinges?").await);
    assert!(all.contains(&own) && all.contains(&other), "{all:?}");
    look(json!(true));
    let outside = house.line().await.turn("The hinge?").await;
    assert_eq!(outside.results[0]["status"], "failed", "{outside:?}");
}

/// What is merely near goes only when the owner has been asked and has spoken; the question, which had its words, goes
/// with it.
#[tokio::test]
async fn what_is_merely_near_is_asked_about_first() {
    let house = House::new().await;
    let (_, fact) = tell(&house).await;
    let near = json!({ "text": "The owner's sister Anna lives in Rome.", "topic": "sister" });
    let near = house.api.post("/api/memories", near).await.expect(201);
    let path = format!("/api/memories/{}", near["id"].as_str().unwrap());
    let forget = |ids: &[&Value]| call("forget", json!({ "memories": ids }));
    let mut line = house.line().await;
    house.sim.push(Plan::calls([forget(&[&fact["id"], &near["id"]])]));
    // To insist within the turn is no answer of the owner's.
    house.sim.push(Plan::calls([forget(&[&near["id"]])]));
    house.sim.push(Plan::reply("And that she lives in Rome?"));
    let told = line.turn("Forget that my sister Anna plays the violin.").await;
    let data = |told: &Told, n: usize| told.results[n]["data"].clone();
    assert_eq!(data(&told, 0)["forgotten"], json!([fact["id"]]), "{told:?}");
    for n in [0, 1] {
        assert_eq!(data(&told, n)["unclear"][0]["id"], near["id"], "{told:?}");
    }
    assert_eq!(data(&told, 1)["forgotten"], json!([]), "{told:?}");
    let shown = outputs(&house);
    assert!(shown.iter().any(|output| output.contains("lives in Rome")), "{shown:?}");
    assert_eq!(house.api.get(&path).await["id"], near["id"]);

    // Nor is to be asked again for the same words.
    house.sim.push(Plan::calls([forget(&[&near["id"]])]));
    house.sim.push(Plan::reply("And that she lives in Rome?"));
    let again = line
        .ask(json!({ "type": "regenerate", "message_id": told.reply_id }))
        .await;
    assert_eq!(data(&again, 0)["forgotten"], json!([]), "{again:?}");

    // Another conversation has asked nobody.
    house
        .api
        .post("/api/sessions", json!({ "id": "other" }))
        .await
        .expect(201);
    house.sim.push(Plan::calls([forget(&[&near["id"]])]));
    house.sim.push(Plan::reply("Which?"));
    let other = house.line_on("other").await.turn("Yes, that one too.").await;
    assert_eq!(data(&other, 0)["forgotten"], json!([]), "{other:?}");

    house.sim.push(Plan::calls([forget(&[&near["id"]])]));
    house.sim.push(Plan::reply("Gone."));
    let chosen = line.turn("Yes, that one too.").await;
    assert_eq!(data(&chosen, 0)["forgotten"], json!([near["id"]]), "{chosen:?}");
    house.api.try_get(&path).await.problem(404, "not-found");
    for question in [&told.reply_id, &again.reply_id] {
        let question = house.api.get(&format!("/api/messages/{question}")).await;
        assert_eq!(
            (&question["status"], &question["content"]),
            (&json!("forgotten"), &json!(""))
        );
    }
    house.indexed().await;
    let doctor = house.setup.run(&["doctor", "--forgotten", "lives in Rome"]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success(), "{said}");
}

#[tokio::test]
async fn in_rehearsal_she_asks_before_what_is_near_goes() {
    let house = House::with(|_| Setup::new()).await;
    for text in [
        "The owner's sister is called Anna.",
        "The owner's sister Anna plays the violin.",
    ] {
        house.api.fact(text).await;
    }
    house.indexed().await;
    let facts = async || {
        let facts = house.api.get("/api/memories?kind=fact").await["memories"].clone();
        let one = |fact: &Value| {
            (
                fact["text"].as_str().unwrap().to_owned(),
                fact["id"].as_str().unwrap().to_owned(),
            )
        };
        facts.as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    let before = facts().await;
    assert_eq!(before.len(), 2, "{before:?}");
    house
        .api
        .post("/api/sessions", json!({ "id": "later" }))
        .await
        .expect(201);
    let mut line = house.line_on("later").await;
    let asked = line.turn("Forget that my sister is called Anna.").await;
    let left = facts().await;
    assert_eq!(left.len(), 1, "{left:?}");
    let (text, id) = &left[0];
    assert_eq!(text, "The owner's sister Anna plays the violin.");
    assert!(
        asked.text.contains("gone from me") && asked.text.contains(id),
        "{asked:?}"
    );

    let chosen = line.turn(&format!("Forget {id}, please.")).await;
    assert_eq!(chosen.results[0]["data"]["forgotten"], json!([id]), "{chosen:?}");
    assert_eq!(facts().await, []);
    let question = house.api.get(&format!("/api/messages/{}", asked.reply_id)).await;
    assert_eq!(question["status"], "forgotten", "{question}");
}

#[tokio::test]
async fn off_the_record_nothing_of_memory_is_offered() {
    let house = House::new().await;
    house.api.say("Hello.").await;
    assert_eq!(offered(&house), ["recall", "remember", "forget"]);
    for (mode, wanted) in [("read_only", &["recall"][..]), ("off", &[])] {
        let session = json!({ "id": mode, "memory": mode });
        house.api.post("/api/sessions", session).await.expect(201);
        let mut line = house.line_on(mode).await;
        house.sim.push(Plan::calls([call("forget", json!({ "memories": [] }))]));
        house.sim.push(Plan::reply("No."));
        let told = line.turn("Forget it all.").await;
        assert_eq!(offered(&house), wanted, "{mode}");
        if !wanted.is_empty() {
            assert_eq!(told.results[0]["status"], "unavailable", "{told:?}");
        }
    }
    let tools = house.api.get("/api/tools").await;
    let names: Vec<&Value> = tools["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    assert_eq!(names[..3], ["recall", "remember", "forget"]);
    assert_eq!(tools["tools"][2]["effect"], "write");
}

#[tokio::test]
async fn a_turn_killed_between_its_rounds_keeps_what_was_said_and_called() {
    let mut house = House::new().await;
    house.sim.push(Plan::reply("One moment.").then_calls([recall("Anna")]));
    let gate = house.gated(Plan::reply("Never said."));
    let mut line = house.line().await;
    line.chat("Look it up.").await;
    let frames = line.until("tool_result").await;
    assert!(frames.iter().any(|frame| frame["type"] == "tool_call"));
    // Somebody who comes now sees the call too.
    let history = house.api.get("/api/chat/history").await;
    assert_eq!(history["active_turn"]["tool_calls"][0]["tool"], "recall", "{history}");
    house.server.signal("KILL");
    house.server.wait();
    drop(gate);
    house.restart().await;
    let history = house.api.history().await;
    let reply = history.last().unwrap();
    assert_eq!(
        (&reply["status"], &reply["content"]),
        (&json!("interrupted"), &json!("One moment."))
    );
    assert_eq!(reply["tool_calls"][0]["tool"], "recall", "{reply}");
}

#[tokio::test]
async fn a_stop_between_rounds_is_a_stop() {
    let house = House::new().await;
    house.sim.push(Plan::reply("One moment.").then_calls([recall("Anna")]));
    let gate = house.gated(Plan::reply("Never said."));
    let mut line = house.line().await;
    line.chat("Look it up.").await;
    let mut frames = line.until("tool_result").await;
    line.send(json!({ "type": "stop" })).await;
    frames.extend(line.until("done").await);
    drop(gate);
    let told = law(&frames);
    assert_eq!((told.outcome.as_str(), told.text.as_str()), ("stopped", "One moment."));
    assert_eq!(told.complete.unwrap()["tool_calls"][0]["status"], "ok");
}

#[tokio::test]
async fn she_makes_and_edits_artifacts_and_loses_nothing() {
    let house = House::new().await;
    let project = house.api.project("Lamp").await;
    let member = json!({ "project_id": project["id"] });
    { house.api.patch("/api/sessions/eternal", member).await }.expect(200);
    let make = |content: &str| {
        let arguments = json!({ "name": "lamp.py", "type": "code", "language": "python", "content": content });
        call("create_artifact", arguments)
    };
    let mut line = house.line().await;
    house.sim.push(Plan::calls([
        make("on = True\noff = False\n"),
        make("def f():\n    # ... rest of the code unchanged ...\n"),
    ]));
    house.sim.push(Plan::reply("Made."));
    line.chat("Make me a lamp.").await;
    let frames = line.until("done").await;
    let told = law(&frames);
    let live = frames
        .iter()
        .find(|frame| frame["type"] == "artifact")
        .expect("seen live");
    assert_eq!(
        told.results.iter().filter(|result| result["status"] == "ok").count(),
        1,
        "{told:?}"
    );
    let id = live["object"]["id"].as_str().unwrap();
    assert_eq!(
        live["object"]["message_id"].as_str().unwrap(),
        told.reply_id,
        "the message that made it"
    );

    let edit = |old: &str, new: &str| {
        call(
            "edit_artifact",
            json!({ "artifact": id, "edits": [{ "old": old, "new": new }], "content": null }),
        )
    };
    house.sim.push(Plan::calls([
        call("read_artifact", json!({ "artifact": id })),
        edit("on = True", "on = 1"),
        edit("off = False", "off = 0"),
        edit("nowhere", "x"),
        call(
            "edit_artifact",
            json!({ "artifact": id, "edits": null, "content": "# ... existing code ...\n" }),
        ),
        call("read_artifact", json!({ "artifact": project["id"] })),
    ]));
    house.sim.push(Plan::reply("Edited."));
    let told = line.turn("Use numbers.").await;
    let mut statuses: Vec<&str> = told.results.iter().map(|r| r["status"].as_str().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["failed", "failed", "failed", "ok", "ok", "ok"], "{told:?}");
    let artifact = house.api.get(&format!("/api/artifacts/{id}")).await;
    assert_eq!(
        (&artifact["content"], &artifact["version"]),
        (&json!("on = 1\noff = 0\n"), &json!(3))
    );
    let first = house.api.get(&format!("/api/artifacts/{id}/versions/1")).await;
    assert_eq!(first["content"], "on = True\noff = False\n");
}

#[tokio::test]
async fn a_made_up_name_breaks_neither_the_turn_nor_the_next_one() {
    let name = format!("functions.recall now{}", "ü".repeat(100));
    for api in ["responses", "chat"] {
        let house = House::with(|setup| setup.env("MIRA_LLM_API", api)).await;
        let mut line = house.line().await;
        house
            .sim
            .push(Plan::reply("Well.").then_calls([call(&name, json!({}))]));
        house.sim.push(Plan::reply("Never mind."));
        let told = line.turn("Use a tool.").await;
        assert_eq!(told.outcome, "complete", "{api}: {told:?}");
        assert_eq!(told.results[0]["status"], "unavailable", "{told:?}");
        assert_eq!(line.turn("And now?").await.outcome, "complete", "{api}");
        let tools = house.api.get("/api/tools").await;
        assert_eq!(tools["tools"][0]["available"], true, "{api}: {tools}");
    }
}

#[tokio::test]
async fn many_long_results_fit_the_context_and_say_what_is_missing() {
    let house = House::with(|setup| setup.env("MIRA_CONTEXT_TOKENS", "16384")).await;
    let project = { house.api.post("/api/projects", json!({ "name": "Lamp" })).await }.expect(201);
    let member = json!({ "project_id": project["id"] });
    { house.api.patch("/api/sessions/eternal", member).await }.expect(200);
    let mut reads = Vec::new();
    for n in 0..8 {
        let content = if n == 3 {
            "short".to_owned()
        } else {
            "a long line\n".repeat(9_000)
        };
        let new =
            json!({ "project_id": project["id"], "name": format!("{n}.txt"), "type": "note", "content": content });
        let made = house.api.post("/api/artifacts", new).await.expect(201);
        reads.push(call("read_artifact", json!({ "artifact": made["id"] })));
    }
    house.sim.push(Plan::calls(reads));
    house.sim.push(Plan::reply("Read."));
    let told = house.line().await.turn("Read them all.").await;
    assert_eq!(told.outcome, "complete", "{told:?}");
    let outputs = outputs(&house);
    let cost: usize = outputs.iter().map(|output| estimate_tokens(output)).sum();
    assert!((2_000..16_384).contains(&cost), "{cost}");
    for (n, output) in outputs.iter().enumerate() {
        assert_eq!(output.contains("characters left out"), n != 3, "{n}: {output}");
        assert!(output.starts_with(&format!("{n}.txt | version 1")), "{output}");
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_as_such() {
    let config = SimConfig {
        refused_tools: vec!["web_search".to_owned()],
        refused_functions: vec!["forget".to_owned()],
        ..SimConfig::default()
    };
    let house = House::of(config, |setup| setup).await;
    let about = async |name: &str| {
        let tools = house.api.get("/api/tools").await;
        let mut tools = tools["tools"].as_array().unwrap().iter();
        tools.find(|tool| tool["name"] == name).unwrap().clone()
    };
    assert_eq!(about("forget").await["available"], true, "nobody has asked yet");
    assert_eq!(house.line().await.turn("Hello.").await.outcome, "complete");
    let sent = house.prompts().pop().unwrap().body["tools"].to_string();
    assert!(!sent.contains("\"forget\"") && sent.contains("\"recall\""), "{sent}");
    for (name, why) in [("forget", "has refused it"), ("web_search", "has refused its own")] {
        let tool = about(name).await;
        assert_eq!(
            (&tool["enabled"], &tool["available"]),
            (&json!(true), &json!(false)),
            "{tool}"
        );
        assert!(tool["reason"].as_str().unwrap().contains(why), "{tool}");
    }
    assert_eq!(about("recall").await["available"], true);
}
