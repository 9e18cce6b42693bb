//! Calls that wait for the owner's word: asked before they run, answered once from anywhere, kept through a stop, a
//! restart and a second thought.

use crate::support::{
    client::{House, Line, Told, law},
    server::Setup,
};
use openai_sim::{Call, Plan, Reply};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStderr, Command, Stdio},
};

/// A house whose default session is in a project that asks before anything is changed.
async fn careful() -> (House, Value) {
    careful_with(|setup| setup).await
}

/// The same with more variables.
async fn careful_with(more: impl FnOnce(Setup) -> Setup) -> (House, Value) {
    let house = House::with(more).await;
    let fields = json!({ "name": "Lamp", "approvals": "writes" });
    let project = house.api.post("/api/projects", fields).await.expect(201);
    assert_eq!(project["approvals"], "writes");
    let member = json!({ "project_id": project["id"] });
    { house.api.patch("/api/sessions/eternal", member).await }.expect(200);
    (house, project)
}

fn make(name: &str, content: &str) -> Call {
    let arguments = json!({ "name": name, "type": "note", "language": null, "content": content });
    Call::new("create_artifact", &arguments)
}

fn recall(question: &str) -> Call {
    Call::new("recall", &json!({ "question": question, "limit": null }))
}

async fn artifacts(house: &House, project: &Value) -> Vec<String> {
    let list = house
        .api
        .get(&format!("/api/projects/{}/artifacts", project["id"].as_str().unwrap()))
        .await;
    let names = list["artifacts"].as_array().unwrap().iter();
    names
        .map(|artifact| artifact["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn pending(house: &House) -> Vec<Value> {
    let list = house.api.get("/api/approvals").await;
    list["approvals"].as_array().unwrap().clone()
}

async fn answer(house: &House, id: &Value, word: &str) -> crate::support::client::Answer {
    let path = format!("/api/approvals/{}/{word}", id.as_str().unwrap());
    house.api.post(&path, json!({})).await
}

fn result_of<'t>(told: &'t Told, call: &Value) -> &'t Value {
    let same = |result: &&Value| result["tool_call_id"] == call["tool_call_id"];
    told.results.iter().find(same).expect("a result")
}

/// Says something whose turn comes to a call that waits; the frames up to the question.
async fn until_asked(line: &mut Line, content: &str) -> (Vec<Value>, Value) {
    line.chat(content).await;
    let frames = line.until("approval").await;
    let asked = frames.last().unwrap().clone();
    (frames, asked)
}

#[tokio::test]
async fn an_approved_call_runs_in_its_turn() {
    let (house, project) = careful().await;
    house.sim.push(Plan::reply("May I?").then_calls([make("lamp", "on")]));
    house.sim.push(Plan::reply("Made."));
    let (mut line, mut second) = (house.line().await, house.line().await);
    let (mut frames, asked) = until_asked(&mut line, "Make me a lamp.").await;
    second.until("approval").await;
    let waiting = pending(&house).await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(
        (&waiting[0]["id"], &waiting[0]["tool_call_id"], &waiting[0]["status"]),
        (&asked["approval_id"], &asked["tool_call_id"], &json!("pending"))
    );
    assert_eq!(waiting[0]["arguments"]["content"], "on");
    assert_eq!(waiting[0]["effect"], "write");
    assert_eq!(waiting[0]["reason"], asked["reason"]);
    // Whoever comes now sees it too.
    let active = house.api.get("/api/chat/history").await["active_turn"].clone();
    assert_eq!(active["approvals"], json!(waiting), "{active}");
    let third = house.line().await;
    assert_eq!(third.hello["active_turn"]["approvals"], json!(waiting));
    assert_eq!(artifacts(&house, &project).await, [""; 0], "nothing has run");

    second
        .send(json!({ "type": "approve", "approval_id": asked["approval_id"] }))
        .await;
    frames.extend(line.until("done").await);
    let told = law(&frames);
    assert_eq!(
        (told.outcome.as_str(), told.text.as_str()),
        ("complete", "May I?\n\nMade.")
    );
    assert_eq!(result_of(&told, &asked)["status"], "ok", "{told:?}");
    assert!(
        frames
            .iter()
            .any(|frame| frame["detail"] == "approved: create_artifact"),
        "{frames:#?}"
    );
    assert_eq!(artifacts(&house, &project).await, ["lamp"]);
    assert_eq!(pending(&house).await, [] as [Value; 0]);

    // The same word again is fine, another one comes too late.
    let path = format!("/api/approvals/{}", asked["approval_id"].as_str().unwrap());
    let found = house.api.get(&path).await;
    assert_eq!(
        (&found["status"], &found["outcome"]["status"]),
        (&json!("approved"), &json!("ok"))
    );
    assert_eq!(
        answer(&house, &asked["approval_id"], "approve").await.expect(200),
        found
    );
    answer(&house, &asked["approval_id"], "deny")
        .await
        .problem(409, "conflict");
    let nobody = json!("01890000-0000-7000-8000-000000000000");
    answer(&house, &nobody, "approve").await.problem(404, "not-found");
    answer(&house, &json!("nonsense"), "deny")
        .await
        .problem(404, "not-found");
    line.send(json!({ "type": "approve", "approval_id": nobody })).await;
    line.refused(404).await;
    line.send(json!({ "type": "deny", "approval_id": asked["approval_id"] }))
        .await;
    line.refused(409).await;
    line.settle().await;
    let all = house.api.get("/api/approvals?status=all").await;
    assert_eq!(all["approvals"], json!([found]));
    house
        .api
        .try_get("/api/approvals?status=maybe")
        .await
        .problem(422, "invalid");
}

/// A socket on a session where nothing happens.
async fn elsewhere(house: &House) -> Line {
    { house.api.post("/api/sessions", json!({ "id": "elsewhere" })).await }.expect(201);
    house.line_on("elsewhere").await
}

/// The next news of an approval: what happened, and how it stands.
async fn news(line: &mut Line) -> (Value, Value) {
    let frame = line.wait("approval_state").await;
    assert!(frame.get("seq").is_none() && frame.get("turn_id").is_none(), "{frame}");
    (frame["action"].clone(), frame["object"].clone())
}

#[tokio::test]
async fn every_page_hears_at_once() {
    let (house, _project) = careful().await;
    let mut other = elsewhere(&house).await;
    let mut line = house.line().await;
    for (name, word, status) in [("lamp", "approve", "approved"), ("moon", "deny", "denied")] {
        house.sim.push(Plan::calls([make(name, "on")]));
        house.sim.push(Plan::reply("Well."));
        let (_, asked) = until_asked(&mut line, "Make it.").await;
        let (action, object) = news(&mut other).await;
        assert_eq!(action, "created");
        assert_eq!(object, pending(&house).await[0], "as REST tells it");
        answer(&house, &asked["approval_id"], word).await.expect(200);
        // When the word is given, and when the call is over.
        for _ in 0..2 {
            let (action, object) = news(&mut other).await;
            assert_eq!(
                (&action, &object["id"], &object["status"]),
                (&json!("updated"), &asked["approval_id"], &json!(status))
            );
        }
        line.until("done").await;
    }
    // A stop makes it void; long arguments are not sent to everybody.
    house.sim.push(Plan::calls([make("book", &"word ".repeat(8000))]));
    let (_, asked) = until_asked(&mut line, "Write a book.").await;
    let (_, object) = news(&mut other).await;
    assert_eq!(
        (&object["id"], &object["arguments"]),
        (&asked["approval_id"], &Value::Null)
    );
    line.send(json!({ "type": "stop" })).await;
    assert_eq!(news(&mut other).await.1["status"], "void");
}

#[tokio::test]
async fn nobody_answers_in_time() {
    let (house, project) = careful_with(|setup| setup.env("MIRA_APPROVAL_SECONDS", "1")).await;
    let mut other = elsewhere(&house).await;
    let mut line = house.line().await;
    house.sim.push(Plan::reply("May I?").then_calls([make("lamp", "on")]));
    house.sim.push(Plan::reply("Another time, then."));
    let (mut frames, asked) = until_asked(&mut line, "Make me a lamp.").await;
    let waited = |approval: &Value| {
        let at = |field: &str| approval[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        at("expires_at").duration_since(at("created_at")).as_secs()
    };
    assert_eq!(waited(&news(&mut other).await.1), 1);
    frames.extend(line.until("done").await);
    let told = law(&frames);
    assert_eq!(
        (told.outcome.as_str(), told.text.as_str()),
        ("complete", "May I?\n\nAnother time, then.")
    );
    let result = result_of(&told, &asked);
    assert_eq!(
        (&result["status"], &result["data"]["approval"]),
        (&json!("denied"), &json!("expired")),
        "{result}"
    );
    let prompt = house.prompts().pop().unwrap().body.to_string();
    assert!(prompt.contains("did not answer in time"), "{prompt}");
    let (action, object) = news(&mut other).await;
    assert_eq!((&action, &object["status"]), (&json!("updated"), &json!("expired")));
    let late = answer(&house, &asked["approval_id"], "approve")
        .await
        .problem(409, "conflict");
    assert!(late["detail"].as_str().unwrap().contains("time was over"), "{late}");
    assert_eq!(pending(&house).await, [] as [Value; 0]);
    assert_eq!(artifacts(&house, &project).await, [""; 0], "it has not run");
}

/// The client in a terminal.
struct Terminal {
    child: Child,
    asking: BufReader<ChildStderr>,
    /// What it asked so far.
    asked: String,
}

impl Terminal {
    fn new(mut command: Command) -> Self {
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        Self {
            asking: BufReader::new(child.stderr.take().unwrap()),
            child,
            asked: String::new(),
        }
    }

    fn write(&mut self, lines: &str) {
        self.child.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// Reads on to the next question; what an answer names it by.
    fn question(&mut self) -> String {
        loop {
            let from = self.asked.len();
            assert_ne!(
                self.asking.read_line(&mut self.asked).unwrap(),
                0,
                "no question: {}",
                self.asked
            );
            if let Some(choice) = self.asked.split_at(from).1.strip_prefix("/yes ") {
                return choice.split(' ').next().unwrap().to_owned();
            }
        }
    }

    /// All it said and all it asked, once it is over.
    fn end(mut self) -> (String, String) {
        self.asking.read_to_string(&mut self.asked).unwrap();
        let output = self.child.wait_with_output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), self.asked)
    }
}

/// What a terminal says and asks in which somebody types so.
async fn terminal(house: &House, types: impl FnOnce(&mut Terminal) + Send + 'static) -> (String, String) {
    let command = house.setup.command(&["chat"]);
    // The model answers on this thread.
    let talk = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::new(command);
        types(&mut terminal);
        terminal.end()
    });
    talk.await.unwrap()
}

#[tokio::test]
async fn a_terminal_answers_too() {
    let (house, project) = careful().await;
    house.sim.push(Plan::calls([make("lamp", "on")]));
    house.sim.push(Plan::reply("Made."));
    let types = |terminal: &mut Terminal| {
        terminal.write("Make me a lamp.\nperhaps\n/yes\n");
        let name = terminal.question();
        terminal.write(&format!("/yes {name}\n/no {name}\n/quit\n"));
    };
    let (said, asked) = terminal(&house, types).await;
    assert!(said.contains("Made."), "{said} {asked}");
    for part in [
        "may she call create_artifact?",
        r#""content":"on""#,
        "she waits: /yes ",
        "allowed: create_artifact",
        "nothing waits for an answer",
    ] {
        assert!(asked.contains(part), "{asked}");
    }
    assert_eq!(artifacts(&house, &project).await, ["lamp"]);
}

#[tokio::test]
async fn a_terminal_asks_for_one_call_at_a_time() {
    let (house, project) = careful().await;
    house
        .sim
        .push(Plan::calls([make("one", "first"), make("two", "second")]));
    house.sim.push(Plan::reply("So be it."));
    let types = |terminal: &mut Terminal| {
        terminal.write("Make two.\n");
        let first = terminal.question();
        // The second line was typed before the next question was there.
        terminal.write(&format!("/yes {first}\n/yes {first}\n"));
        let second = terminal.question();
        assert_ne!(first, second);
        terminal.write(&format!("/no {second}\n/quit\n"));
    };
    let (said, asked) = terminal(&house, types).await;
    assert!(said.contains("So be it."), "{said} {asked}");
    assert_eq!(asked.matches("allowed:").count(), 1, "{asked}");
    // The question, its answer, the next question, its answer.
    let at = |part: &str| asked.find(part).unwrap_or_else(|| panic!("no {part:?} in {asked}"));
    let (first, second) = (at(r#""content":"first""#), at(r#""content":"second""#));
    let (allowed, refused) = (at("allowed: create_artifact"), at("refused: create_artifact"));
    assert!(allowed < refused, "{asked}");
    assert!(
        first.min(second) < allowed && allowed < first.max(second) && first.max(second) < refused,
        "{asked}"
    );
    assert_eq!(
        artifacts(&house, &project).await,
        [if first < second { "one" } else { "two" }]
    );
}

#[tokio::test]
async fn others_of_the_round_go_on_and_a_no_is_told() {
    let (house, project) = careful().await;
    house
        .sim
        .push(Plan::calls([make("one", "1"), recall("lamps"), make("two", "2")]));
    house.sim.push(Plan::reply("So be it."));
    let mut events = house.api.stream(json!({ "content": "Make two." })).await;
    let mut frames = events.until("tool_result").await;
    let asked: Vec<Value> = frames
        .iter()
        .filter(|frame| frame["type"] == "approval")
        .cloned()
        .collect();
    assert_eq!(asked.len(), 2);
    assert_eq!(frames.last().unwrap()["tool_type"], "recall", "it did not have to wait");
    answer(&house, &asked[0]["approval_id"], "deny").await.expect(200);
    frames.extend(events.until("tool_result").await);
    answer(&house, &asked[1]["approval_id"], "approve").await.expect(200);
    frames.extend(events.rest().await);
    let told = law(&frames);
    assert_eq!(told.outcome, "complete");
    assert_eq!(result_of(&told, &asked[0])["status"], "denied");
    assert_eq!(result_of(&told, &asked[1])["status"], "ok");
    assert_eq!(artifacts(&house, &project).await, ["two"]);
    let prompt = house.prompts().pop().unwrap().body.to_string();
    assert!(prompt.contains("the owner was asked and said no"), "{prompt}");
}

#[tokio::test]
async fn a_plain_answer_waits_for_the_word() {
    let (house, project) = careful().await;
    house.sim.push(Plan::calls([make("lamp", "on")]));
    house.sim.push(Plan::reply("Made."));
    let say = house
        .api
        .post("/chat", json!({ "message": "Make it.", "session_id": "eternal" }));
    let decide = async {
        let mut line = house.line().await;
        // The question may have come before the line was open.
        if pending(&house).await.is_empty() {
            line.wait("approval").await;
        }
        answer(&house, &pending(&house).await[0]["id"], "approve")
            .await
            .expect(200);
    };
    let (answered, ()) = tokio::join!(say, decide);
    let answered = answered.expect(200);
    assert_eq!(
        (&answered["output"], &answered["tool_results"][0]["status"]),
        (&json!("Made."), &json!("ok"))
    );
    assert_eq!(artifacts(&house, &project).await, ["lamp"]);
}

#[tokio::test]
async fn what_cannot_be_undone_waits_once_strangers_were_read() {
    let house = House::new().await;
    let project = house.api.project("Lamp").await;
    let member = json!({ "project_id": project["id"] });
    { house.api.patch("/api/sessions/eternal", member).await }.expect(200);
    let mut line = house.line().await;
    house.sim.push(Plan::calls([make("lamp", "on")]));
    let reply = Reply::new("Made.").remember("owner", "sister", "The owner's sister Anna plays the violin.", None);
    house.sim.push(Plan::structured(reply));
    let told = line.turn("Make a lamp. My sister Anna plays the violin.").await;
    assert_eq!(
        (told.outcome.as_str(), told.approvals.len()),
        ("complete", 0),
        "{told:?}"
    );
    house.indexed().await;
    let fact = house.api.get("/api/memories?kind=fact").await["memories"][0].clone();
    let list = house
        .api
        .get(&format!("/api/projects/{}/artifacts", project["id"].as_str().unwrap()))
        .await;
    let artifact = &list["artifacts"][0]["id"];

    // What she wrote herself may be copied from anywhere.
    let forget = || Call::new("forget", &json!({ "memories": [fact["id"]] }));
    house.sim.push(Plan::calls([Call::new(
        "read_artifact",
        &json!({ "artifact": artifact }),
    )]));
    house.sim.push(Plan::calls([forget()]));
    house.sim.push(Plan::reply("Kept."));
    let (mut frames, asked) = until_asked(&mut line, "Read it.").await;
    assert!(
        asked["reason"].as_str().unwrap().contains("cannot be undone"),
        "{asked}"
    );
    answer(&house, &asked["approval_id"], "deny").await.expect(200);
    frames.extend(line.until("done").await);
    assert_eq!(result_of(&law(&frames), &asked)["status"], "denied");
    // It stands in the conversation: the next turn asks too.
    house.sim.push(Plan::calls([forget()]));
    house.sim.push(Plan::reply("Gone."));
    let (mut frames, asked) = until_asked(&mut line, "And now forget it.").await;
    line.send(json!({ "type": "approve", "approval_id": asked["approval_id"] }))
        .await;
    frames.extend(line.until("done").await);
    let told = law(&frames);
    let result = result_of(&told, &asked);
    assert_eq!(result["data"]["forgotten"], json!([fact["id"]]), "{result}");
}

/// What she once said of strangers' words brings them into another conversation, where nobody reads them again.
#[tokio::test]
async fn what_came_of_strangers_words_is_met_again_in_another_session() {
    let (house, project) = careful().await;
    let mut line = house.line().await;
    house.sim.push(Plan::calls([make("lamp", "on")]));
    house.sim.push(Plan::reply("Made."));
    let (mut frames, asked) = until_asked(&mut line, "Make a lamp.").await;
    answer(&house, &asked["approval_id"], "approve").await.expect(200);
    frames.extend(line.until("done").await);
    assert_eq!(law(&frames).outcome, "complete");
    let list = house
        .api
        .get(&format!("/api/projects/{}/artifacts", project["id"].as_str().unwrap()))
        .await;
    let read = Call::new("read_artifact", &json!({ "artifact": list["artifacts"][0]["id"] }));
    let forget = || {
        Call::new(
            "forget",
            &json!({ "memories": ["01890000-0000-7000-8000-000000000001"] }),
        )
    };
    let elsewhere = async |id: &str| {
        house.api.post("/api/sessions", json!({ "id": id })).await.expect(201);
        house.line_on(id).await
    };
    let question = "My sister Anna plays the violin. What holds the brass hinge of the lamp?";

    house.sim.push(Plan::calls([forget()]));
    house.sim.push(Plan::reply("I do not know."));
    let told = elsewhere("before").await.turn(question).await;
    assert_eq!(
        (told.outcome.as_str(), told.approvals.len()),
        ("complete", 0),
        "{told:?}"
    );

    let said = "The brass hinge of the lamp is held by two rusty screws.";
    house.sim.push(Plan::calls([read]));
    house.sim.push(Plan::reply(said));
    line.turn("Read it.").await.reply();
    house.indexed().await;

    let mut line = elsewhere("after").await;
    house.sim.push(Plan::calls([forget()]));
    let reply = Reply::new("Screws.").remember("owner", "sister", "The owner's sister Anna plays the violin.", None);
    house.sim.push(Plan::structured(reply));
    let (mut frames, asked) = until_asked(&mut line, question).await;
    assert!(
        asked["reason"].as_str().unwrap().contains("cannot be undone"),
        "{asked}"
    );
    answer(&house, &asked["approval_id"], "deny").await.expect(200);
    frames.extend(line.until("done").await);
    let told = law(&frames);
    let recall = told.recall.expect("her words come up");
    let recalled = recall["memories"].as_array().unwrap();
    assert!(recalled.iter().any(|memory| memory["text"] == said), "{recall}");
    house.indexed().await;
    let all = house.api.get("/api/memories?kind=message").await;
    for memory in all["memories"].as_array().unwrap() {
        // Her account of it is marked as well.
        let by_herself = memory["text"] != said && memory["text"] != "Screws.";
        assert_eq!(memory["trusted"], json!(by_herself), "{memory}");
    }
    // What the owner says beside it is the owner's.
    let facts = house.api.get("/api/memories?kind=fact").await;
    assert_eq!(facts["memories"][0]["source"], "conversation", "{facts}");
}

#[tokio::test]
async fn a_stopped_turn_asks_no_more() {
    let (house, project) = careful().await;
    house.sim.push(Plan::reply("May I?").then_calls([make("lamp", "on")]));
    let mut line = house.line().await;
    let (mut frames, asked) = until_asked(&mut line, "Make me a lamp.").await;
    line.send(json!({ "type": "stop" })).await;
    frames.extend(line.until("done").await);
    let told = law(&frames);
    assert_eq!(told.outcome, "stopped");
    let result = result_of(&told, &asked);
    assert_eq!(result["status"], "denied");
    assert!(
        result["data"]["error"].as_str().unwrap().contains("has not run"),
        "{result}"
    );
    assert_eq!(pending(&house).await, [] as [Value; 0]);
    let void = answer(&house, &asked["approval_id"], "approve")
        .await
        .problem(409, "conflict");
    assert!(void["detail"].as_str().unwrap().contains("is gone"), "{void}");
    assert_eq!(artifacts(&house, &project).await, [""; 0]);
}

#[tokio::test]
async fn a_call_whose_words_are_forgotten_waits_no_longer() {
    let (house, project) = careful().await;
    let words = "My sister Anna plays the violin in Graz";
    house.sim.push(Plan::reply("May I?").then_calls([make("anna", words)]));
    house.sim.push(Plan::reply("Then not."));
    let mut line = house.line().await;
    let (mut frames, asked) = until_asked(&mut line, &format!("{words}.")).await;
    let message = house.api.history().await[0]["id"].clone();
    let path = format!("/api/memories/{}", message.as_str().unwrap());
    house.api.delete(&path).await.expect(204);
    // Nobody has to answer, and nobody can.
    frames.extend(line.until("done").await);
    let told = law(&frames);
    let result = result_of(&told, &asked);
    assert_eq!(
        (told.outcome.as_str(), &result["status"]),
        ("complete", &json!("denied")),
        "{told:?}"
    );
    assert_eq!(result["data"]["approval"], "void", "{result}");
    let reply = told.reply();
    assert_eq!(
        reply["tool_calls"][0]["arguments"],
        json!({}),
        "not a word of it is left"
    );
    assert_eq!(pending(&house).await, [] as [Value; 0]);
    answer(&house, &asked["approval_id"], "approve")
        .await
        .problem(409, "conflict");
    assert_eq!(artifacts(&house, &project).await, [""; 0]);
}

#[tokio::test]
async fn of_two_answers_at_once_one_counts() {
    let (house, project) = careful().await;
    let (yes, no) = ("approve", "deny");
    for (round, words) in [[yes, no], [no, yes], [yes, yes], [no, no]].into_iter().enumerate() {
        let name = format!("lamp {round}");
        house.sim.push(Plan::calls([make(&name, "on")]));
        house.sim.push(Plan::reply("Well."));
        let mut line = house.line().await;
        let (mut frames, asked) = until_asked(&mut line, "Make it.").await;
        let id = &asked["approval_id"];
        let (one, other) = tokio::join!(answer(&house, id, words[0]), answer(&house, id, words[1]));
        let mut statuses = [one.status, other.status];
        let approved = (0..2).any(|n| words[n] == yes && statuses[n] == 200);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, if words[0] == words[1] { 200 } else { 409 }]);
        frames.extend(line.until("done").await);
        let status = if approved { "ok" } else { "denied" };
        assert_eq!(result_of(&law(&frames), &asked)["status"], status);
        let made = artifacts(&house, &project).await;
        let times = made.iter().filter(|made| **made == name).count();
        assert_eq!(times, usize::from(approved), "{words:?}");
    }
}

#[tokio::test]
async fn what_waited_can_be_answered_after_a_crash_or_a_restart() {
    let (mut house, project) = careful_with(|setup| setup.env("MIRA_SHUTDOWN_GRACE_SECONDS", "1")).await;
    for (words, name, word, signal) in [
        ("May I?", "spoken", "approve", "KILL"),
        ("", "silent", "approve", "KILL"),
        ("Well?", "patient", "approve", "TERM"),
        ("Or not?", "refused", "deny", "TERM"),
    ] {
        let plan = if words.is_empty() {
            Plan::calls([make(name, "on")])
        } else {
            Plan::reply(words).then_calls([make(name, "on")])
        };
        house.sim.push(plan);
        let mut line = house.line().await;
        let (_, asked) = until_asked(&mut line, "Make me a lamp.").await;
        house.server.signal(signal);
        house.server.wait();
        house.restart().await;
        let waiting = pending(&house).await;
        assert_eq!((waiting.len(), &waiting[0]["id"]), (1, &asked["approval_id"]));
        let kept = |history: Vec<Value>| history.into_iter().find(|message| message["content"] == words);
        if !words.is_empty() {
            let reply = kept(house.api.history().await).unwrap();
            assert_eq!(reply["tool_calls"][0]["status"], "denied", "{reply}");
            let why = reply["tool_calls"][0]["data"]["error"].as_str().unwrap();
            assert!(why.contains("has not run"), "{why}");
        }
        let answered = answer(&house, &asked["approval_id"], word).await.expect(200);
        if word == "deny" {
            assert_eq!(answered["status"], "denied");
            continue;
        }
        assert_eq!(answered["outcome"]["status"], "ok", "{answered}");
        assert!(artifacts(&house, &project).await.contains(&name.to_owned()));
        assert_eq!(
            answer(&house, &asked["approval_id"], "approve").await.expect(200),
            answered
        );
        if !words.is_empty() {
            let reply = kept(house.api.history().await).unwrap();
            assert_eq!(reply["tool_calls"][0]["status"], "ok", "{reply}");
            // The next prompt tells of it.
            house.sim.push(Plan::reply("I see."));
            house.line().await.turn("And?").await;
            let prompt = house.prompts().pop().unwrap().body.to_string();
            assert!(!prompt.contains("has not run") && prompt.contains(name), "{prompt}");
        }
    }
    assert_eq!(artifacts(&house, &project).await.len(), 3);
}

#[tokio::test]
async fn a_session_that_is_deleted_takes_its_questions_along() {
    let (mut house, project) = careful().await;
    for (id, crash) in [("soon", false), ("late", true)] {
        let path = format!("/api/sessions/{id}");
        house.api.post("/api/sessions", json!({ "id": id })).await.expect(201);
        let member = json!({ "project_id": project["id"] });
        house.api.patch(&path, member).await.expect(200);
        house.sim.push(Plan::reply("May I?").then_calls([make(id, "on")]));
        let mut line = house.line_on(id).await;
        let (_, asked) = until_asked(&mut line, "Make me a lamp.").await;
        if crash {
            house.server.signal("KILL");
            house.server.wait();
            house.restart().await;
        }
        assert_eq!(pending(&house).await.len(), 1);
        house.api.delete(&path).await.expect(204);
        assert_eq!(pending(&house).await, [Value::Null; 0], "{id}");
        for word in ["approve", "deny"] {
            answer(&house, &asked["approval_id"], word)
                .await
                .problem(404, "not-found");
        }
        assert_eq!(artifacts(&house, &project).await, [""; 0], "{id}");
    }
}
