//! The tree of messages: another reply, other words, the chosen branch, and how the history pages along it.

use crate::{
    files::upload,
    support::client::{House, Line},
};
use openai_sim::{Plan, Reply};
use serde_json::{Value, json};

async fn said(house: &House) -> Vec<String> {
    let history = house.api.history().await;
    let words = history
        .iter()
        .map(|message| message["content"].as_str().unwrap().to_owned());
    words.collect()
}

async fn told_again(house: &House, line: &mut Line, id: &Value, words: &str) -> Value {
    house.sim.push(Plan::reply(words));
    let told = line.ask(json!({ "type": "regenerate", "message_id": id })).await;
    assert_eq!(told.message, None, "no message of the owner's");
    assert_eq!(told.text, words);
    told.reply().clone()
}

#[tokio::test]
async fn another_reply_is_a_sibling() {
    let house = House::new().await;
    let mut line = house.line().await;
    let first = line.turn("hello").await;
    let (message, old) = (first.message.as_ref().unwrap(), first.reply());
    let new = told_again(&house, &mut line, &old["id"], "or this way").await;
    assert_eq!(new["sibling_ids"], json!([old["id"], new["id"]]));
    assert_eq!(new["parent_id"], message["id"]);
    assert_eq!(said(&house).await, ["hello", "or this way"]);
    let third = told_again(&house, &mut line, &message["id"], "or that").await;
    assert_eq!(third["sibling_ids"], json!([old["id"], new["id"], third["id"]]));
    // The model is asked the same question: her old answers are not in its prompt.
    let last = house.prompts().pop().unwrap().body["input"].to_string();
    assert!(last.contains("hello") && !last.contains("or this way"), "{last}");

    line.send(json!({ "type": "select", "message_id": old["id"] })).await;
    let event = line
        .until_that(|frame| frame["type"] == "session" && frame["object"]["head_id"] == old["id"])
        .await;
    assert_eq!(event.last().unwrap()["action"], "updated");
    assert_eq!(said(&house).await, ["hello", "to: hello"]);
    let session = house
        .api
        .patch("/api/sessions/eternal", json!({ "head_id": new["id"] }))
        .await
        .expect(200);
    assert_eq!(session["head_id"], new["id"]);
    assert_eq!(said(&house).await, ["hello", "or this way"]);
    line.turn("go on").await;
    assert_eq!(said(&house).await, ["hello", "or this way", "go on", "to: go on"]);
}

fn files_of(message: &Value) -> Vec<&Value> {
    let files = message["files"].as_array().unwrap().iter();
    files.map(|file| &file["id"]).collect()
}

#[tokio::test]
async fn other_words_keep_or_change_the_files() {
    let house = House::new().await;
    let (milk, eggs) = (
        upload(&house, "milk.txt", b"Milk").await,
        upload(&house, "eggs.txt", b"Eggs").await,
    );
    let mut line = house.line().await;
    let first = json!({ "type": "chat", "content": "Look.", "file_ids": [milk["id"]] });
    let first = line.ask(first).await.message.unwrap();
    let others = json!([eggs["id"], eggs["id"]]);
    for (file_ids, expect) in [
        (None, vec![&milk]),
        (Some(others), vec![&eggs]),
        (Some(json!([])), vec![]),
    ] {
        let mut edit = json!({ "type": "edit", "message_id": first["id"], "content": "Look again." });
        if let Some(ids) = file_ids {
            edit["file_ids"] = ids;
        }
        let edited = line.ask(edit).await.message.unwrap();
        let expect: Vec<&Value> = expect.iter().map(|file| &file["id"]).collect();
        assert_eq!(files_of(&edited), expect);
        let stored = house.api.history().await[0].clone();
        assert_eq!((&stored["id"], files_of(&stored)), (&edited["id"], expect.clone()));
        // Not what the model has said of it: the memory of an earlier version's reply is left out, but not her mood.
        let prompt = house.prompts().pop().unwrap().body["input"][0].to_string();
        for file in [&milk, &eggs] {
            let marker = format!("[file {}", file["id"].as_str().unwrap());
            assert_eq!(prompt.contains(&marker), expect.contains(&&file["id"]), "{prompt}");
        }
    }
    let old = house
        .api
        .get(&format!("/api/messages/{}", first["id"].as_str().unwrap()))
        .await;
    assert_eq!(files_of(&old), [&milk["id"]], "the old one is as it was");
    let unknown = json!({ "type": "edit", "message_id": first["id"], "content": "x", "file_ids": [first["id"]] });
    line.send(unknown).await;
    let refused = line.refused(422).await;
    assert_eq!(refused["error"]["errors"][0]["field"], "file_ids");
}

#[tokio::test]
async fn a_failed_turn_is_tried_again() {
    let house = House::new().await;
    let mut line = house.line().await;
    house.sim.push(Plan::status(401));
    let failed = line.turn("are you there?").await;
    assert_eq!(failed.outcome, "failed");
    let id = failed.message.unwrap()["id"].clone();
    told_again(&house, &mut line, &id, "I am").await;
    assert_eq!(said(&house).await, ["are you there?", "I am"]);
}

#[tokio::test]
async fn other_words_are_a_branch_and_the_old_one_stays() {
    let house = House::new().await;
    let mut line = house.line().await;
    line.turn("one").await;
    let second = line.turn("two").await;
    line.turn("three").await;
    let (old, old_reply) = (second.message.as_ref().unwrap(), second.reply());
    let edited = line
        .ask(json!({ "type": "edit", "message_id": old["id"], "content": "zwei" }))
        .await;
    let new = edited.message.as_ref().unwrap();
    assert_eq!(new["sibling_ids"], json!([old["id"], new["id"]]));
    assert_eq!(said(&house).await, ["one", "to: one", "zwei", "to: zwei"]);
    let prompt = house.prompts().pop().unwrap().body;
    let words: Vec<&Value> = prompt["input"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["content"])
        .collect();
    assert_eq!(words[..words.len() - 1], ["one", "to: one", "zwei"]);

    // Any message of the old branch brings back all of it.
    line.send(json!({ "type": "select", "message_id": old["id"] })).await;
    line.until("session").await;
    let all = ["one", "to: one", "two", "to: two", "three", "to: three"];
    assert_eq!(said(&house).await, all);
    // The first message can be said differently too.
    let root = house.api.history().await[0]["id"].clone();
    line.ask(json!({ "type": "edit", "message_id": root, "content": "eins" }))
        .await;
    assert_eq!(said(&house).await, ["eins", "to: eins"]);

    line.send(json!({ "type": "edit", "message_id": old_reply["id"], "content": "her words" }))
        .await;
    line.refused(422).await;
    let unknown = "0199f3a0-0000-7000-8000-000000000001";
    for kind in ["edit", "regenerate", "select"] {
        line.send(json!({ "type": kind, "message_id": unknown, "content": "x" }))
            .await;
        line.refused(404).await;
    }
    house
        .api
        .patch("/api/sessions/eternal", json!({ "head_id": unknown }))
        .await
        .problem(422, "invalid");
    // A message of another session is none of this one's.
    house
        .api
        .post("/api/sessions", json!({ "id": "other" }))
        .await
        .expect(201);
    let elsewhere = house
        .api
        .post("/api/chat", json!({ "content": "x", "session_id": "other" }))
        .await;
    let elsewhere = elsewhere.expect(200)["id"].clone();
    for kind in ["edit", "regenerate", "select"] {
        line.send(json!({ "type": kind, "message_id": elsewhere, "content": "x" }))
            .await;
        line.refused(404).await;
    }
}

#[tokio::test]
async fn an_answer_to_an_older_message_branches_there() {
    let house = House::new().await;
    let mut line = house.line().await;
    let first = line.turn("one").await;
    line.turn("two").await;
    let parent = first.reply()["id"].clone();
    let told = line
        .ask(json!({ "type": "chat", "content": "not two", "parent_id": parent }))
        .await;
    assert_eq!(told.message.unwrap()["parent_id"], parent);
    assert_eq!(said(&house).await, ["one", "to: one", "not two", "to: not two"]);
}

#[tokio::test]
async fn the_history_pages_backwards() {
    let house = House::with(|setup| setup.env("MIRA_DURABILITY", "normal")).await;
    // Notes on what leaves the window would take answers that are meant for turns.
    let off = json!({ "memory": "off" });
    house.api.patch("/api/sessions/eternal", off).await.expect(200);
    for n in 0..60 {
        let mut reply = Reply::new(format!("r{n}"));
        if n % 20 == 7 {
            reply.tags = vec!["rare".to_owned(), "chat".to_owned()];
        }
        house.sim.push(Plan::structured(reply));
        house.api.say(&format!("u{n}")).await;
    }
    let mut all: Vec<Value> = Vec::new();
    let mut sizes = Vec::new();
    let mut path = "/api/chat/history".to_owned();
    loop {
        let page = house.api.get(&path).await;
        let messages = page["messages"].as_array().unwrap();
        sizes.push(messages.len());
        all.splice(0..0, messages.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/chat/history?cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(sizes, [50, 50, 20]);
    let expect: Vec<String> = (0..60).flat_map(|n| [format!("u{n}"), format!("r{n}")]).collect();
    assert!(all.iter().map(|message| &message["content"]).eq(expect.iter()));

    let tagged = house.api.get("/api/chat/history?tag=rare").await;
    let words: Vec<&Value> = tagged["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["content"])
        .collect();
    assert_eq!(words, ["r7", "r27", "r47"]);
    let page = house.api.get("/api/chat/history?tag=rare&limit=2").await;
    assert_eq!(page["messages"][0]["content"], "r27");
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = house
        .api
        .get(&format!("/api/chat/history?tag=rare&limit=2&cursor={cursor}"))
        .await;
    assert_eq!(
        (&page["messages"][0]["content"], &page["next_cursor"]),
        (&json!("r7"), &Value::Null)
    );

    let most = house.api.get("/api/chat/history?limit=100000").await;
    assert_eq!(most["messages"].as_array().unwrap().len(), 120);
    for query in ["limit=0", "limit=x", "limit=-1", "cursor=x"] {
        let answer = house
            .api
            .call(reqwest::Method::GET, &format!("/api/chat/history?{query}"), None)
            .await;
        answer.problem(422, "invalid");
    }
    let nowhere = house
        .api
        .call(reqwest::Method::GET, "/api/chat/history?session_id=nowhere", None)
        .await;
    nowhere.problem(404, "not-found");
}
