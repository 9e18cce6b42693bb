//! Sockets and event streams: who hears what, joining and coming back without gap or overlap.

use crate::support::client::{House, Line, SOME, chunks, law, long};
use openai_sim::Plan;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn numbered(frames: Vec<Value>) -> Vec<Value> {
    frames.into_iter().filter(|frame| frame["seq"].is_u64()).collect()
}

#[tokio::test]
async fn every_client_hears_the_same() {
    let house = House::new().await;
    let (mut one, mut two) = (house.line().await, house.line().await);
    let mut events = house.api.events("eternal", "").await;
    one.chat("to all").await;
    let heard = numbered(one.until("done").await);
    assert_eq!(numbered(two.until("done").await), heard);
    assert_eq!(events.until("done").await, heard);
    // And what is said by the others.
    two.chat("and back").await;
    assert_eq!(numbered(one.until("done").await), numbered(two.until("done").await));
}

#[tokio::test]
async fn joining_in_mid_stream_misses_and_repeats_nothing() {
    let house = House::new().await;
    let mut line = house.line().await;
    let words = long("join");
    let gate = house.gated(Plan::reply(&words));
    line.chat("talk").await;
    gate.release(SOME);
    line.until("chunk").await;
    let mut joined: Vec<(String, Line)> = Vec::new();
    for _ in 0..4 {
        let history = house.api.get("/api/chat/history").await;
        let active = &history["active_turn"];
        assert_eq!(active["from_seq"], history["seq"]);
        let after = history["seq"].as_u64().unwrap();
        gate.release(20);
        let resumed = Line::open(&house.server, &format!("after={after}")).await;
        joined.push((active["content"].as_str().unwrap().to_owned(), resumed));
        // Without `after` the greeting says how far she is.
        let fresh = house.line().await;
        let active = &fresh.hello["active_turn"];
        assert_eq!(active["from_seq"], fresh.hello["seq"]);
        joined.push((active["content"].as_str().unwrap().to_owned(), fresh));
        line.until("chunk").await;
    }
    gate.open();
    let mut last = line.until("done").await;
    let done = last.pop();
    for (before, mut socket) in joined {
        assert!(!before.is_empty() && before.len() < words.len());
        let mut frames = socket.until("done").await;
        assert_eq!(frames.pop(), done);
        assert_eq!(before + &chunks(&frames), words);
    }
    let after = house.api.get("/api/chat/history").await;
    assert_eq!(
        (&after["active_turn"], &after["seq"]),
        (&Value::Null, &done.unwrap()["seq"])
    );
}

#[tokio::test]
async fn coming_back_after_a_number() {
    let house = House::new().await;
    let mut line = house.line().await;
    line.chat("one").await;
    let first = numbered(line.until("done").await);
    let middle = first[first.len() / 2]["seq"].as_u64().unwrap();
    drop(line);
    house.api.say("two").await;
    let mut line = Line::open(&house.server, &format!("after={middle}")).await;
    let mut missed = numbered(line.until("done").await);
    missed.extend(numbered(line.until("done").await));
    assert_eq!(
        missed[..first.len() - first.len() / 2 - 1],
        first[first.len() / 2 + 1..]
    );
    assert_eq!(law(&missed[first.len() - first.len() / 2 - 1..]).text, "to: two");
    let mut events = house.api.events("eternal", &format!("after={middle}")).await;
    let mut again = events.until("done").await;
    again.extend(events.until("done").await);
    assert_eq!(again, missed);
    let mut events = house.api.events_after("eternal", middle).await;
    assert_eq!(events.until("done").await[0], missed[0]);
    // A number of the future is no number of this log.
    let mut line = Line::open(&house.server, "after=999999").await;
    assert_eq!(line.next().await["reason"], "expired");
}

#[tokio::test]
async fn after_a_kill_a_client_is_told_to_refetch() {
    let mut house = House::new().await;
    house.api.say("before").await;
    let seq = house.api.get("/api/chat/history").await["seq"].as_u64().unwrap();
    house.server.signal("KILL");
    house.server.wait();
    let server = house.setup.start();
    let mut line = Line::open(&server, &format!("after={seq}")).await;
    let reset = line.next().await;
    assert_eq!((&reset["type"], &reset["reason"]), (&json!("reset"), &json!("expired")));
    assert!(reset["seq"].as_u64().unwrap() >= seq);
    assert_eq!(reset["seq"], line.hello["seq"]);
    let told = line.turn("after").await;
    assert_eq!(told.text, "to: after");
}

#[tokio::test]
async fn after_a_clean_restart_a_client_goes_on() {
    let mut house = House::new().await;
    house.api.say("before").await;
    let seq = house.api.get("/api/chat/history").await["seq"].as_u64().unwrap();
    house.server.signal("TERM");
    assert!(house.server.wait().success());
    let server = house.setup.start();
    let mut line = Line::open(&server, &format!("after={seq}")).await;
    assert_eq!(line.hello["seq"], seq);
    assert_eq!(line.settle().await, Vec::<Value>::new(), "no reset");
    line.chat("after").await;
    let frames = numbered(line.until("done").await);
    assert_eq!(frames[0]["seq"], seq + 1, "the numbering goes on");
}

#[tokio::test]
async fn a_socket_moves_between_sessions() {
    let house = House::new().await;
    for id in ["work", "play"] {
        house.api.post("/api/sessions", json!({ "id": id })).await.expect(201);
    }
    let mut line = house.line().await;
    assert_eq!(line.hello["session_id"], "eternal");
    assert_eq!(
        (&line.hello["protocol"], &line.hello["rehearsal"]),
        (&json!("mira.v1"), &json!(false))
    );
    line.send(json!({ "type": "subscribe", "session_id": "work" })).await;
    assert_eq!(line.wait("hello").await["session"]["id"], "work");
    line.turn("at work").await;
    line.send(json!({ "type": "chat", "content": "at play", "session_id": "play" }))
        .await;
    assert_eq!(line.next().await["type"], "hello");
    let told = law(&line.until("done").await);
    assert_eq!(told.reply()["session_id"], "play");
    // What happens where it was is not heard any more.
    house
        .api
        .post("/api/chat", json!({ "content": "x", "session_id": "work" }))
        .await
        .expect(200);
    assert!(line.settle().await.iter().all(|frame| frame["session_id"] != "work"));
    line.send(json!({ "type": "subscribe", "session_id": "work", "after": 0 }))
        .await;
    let hello = line.wait("hello").await;
    let mut frames = numbered(line.until("done").await);
    frames.extend(numbered(line.until("done").await));
    assert_eq!(frames.last().unwrap()["seq"], hello["seq"]);
    assert_eq!(frames[0]["seq"], 1, "from the very beginning");

    for frame in [
        json!({ "type": "subscribe", "session_id": "nowhere" }),
        json!({ "type": "chat", "content": "x", "session_id": "nowhere" }),
    ] {
        line.send(frame).await;
        line.refused(404).await;
    }
    let told = line.turn("still at work").await;
    assert_eq!(told.reply()["session_id"], "work", "the socket stays where it was");
    let mut there = Line::open(&house.server, "session_id=play").await;
    assert_eq!(there.hello["session_id"], "play");
    assert_eq!(there.turn("hi").await.reply()["session_id"], "play");
}

#[tokio::test]
async fn a_repeated_chat_on_the_same_session_gets_no_second_hello() {
    let house = House::new().await;
    let mut line = house.line().await;
    line.send(json!({ "type": "chat", "content": "x", "session_id": "eternal" }))
        .await;
    let frames = line.until("done").await;
    assert!(frames.iter().all(|frame| frame["type"] != "hello"), "{frames:#?}");
}

#[tokio::test]
async fn typing_goes_to_the_others() {
    let house = House::new().await;
    let (mut one, mut two) = (house.line().await, house.line().await);
    for active in [true, false] {
        one.send(json!({ "type": "typing", "active": active })).await;
        let frame = two.wait("typing").await;
        assert_eq!(
            (&frame["active"], &frame["session_id"]),
            (&json!(active), &json!("eternal"))
        );
    }
    assert_eq!(one.settle().await, Vec::<Value>::new(), "no echo");
}

#[tokio::test]
async fn rendered_blocks_become_the_final_html() {
    let house = House::new().await;
    let mut plain = house.line().await;
    let mut rich = Line::open(&house.server, "render=html").await;
    let mut events = house.api.events("eternal", "render=html").await;
    let words = "# Title\n\nSome **bold** words and <script>alert(1)</script> more.\n\n- a\n- b\n\n```rust\nfn main() {}\n```\n\nThe end.";
    let gate = house.gated(Plan::reply(words));
    rich.chat("show me").await;
    gate.release(SOME - 30);
    let mut heard = [rich.until("html").await, events.until("html").await];
    gate.open();
    heard[0].extend(rich.until("done").await);
    heard[1].extend(events.until("done").await);
    for frames in &heard {
        let told = law(frames);
        let mut blocks: BTreeMap<u64, String> = BTreeMap::new();
        for frame in frames.iter().filter(|frame| frame["type"] == "html") {
            assert_eq!(frame["message_id"], told.reply_id);
            let html = frame["html"].as_str().unwrap();
            assert!(!html.contains("<script"), "{html}");
            blocks.insert(frame["block"].as_u64().unwrap(), html.to_owned());
        }
        let whole: String = blocks.into_values().collect();
        assert_eq!(whole, told.reply()["html"].as_str().unwrap());
    }
    assert!(plain.until("done").await.iter().all(|frame| frame["type"] != "html"));
    // One that is there at once has its blocks too.
    house.sim.push(Plan::reply("*Yes.*"));
    rich.chat("and this").await;
    let blocks = rich.until("html").await;
    assert_eq!(blocks.last().unwrap()["html"], "<p><em>Yes.</em></p>\n");
    rich.until("done").await;
    let bare = house.server.get("/ws/chat?render=pdf").await;
    assert!(bare.status().is_client_error());
}

#[tokio::test]
async fn changes_of_sessions_reach_every_socket() {
    let house = House::new().await;
    let mut line = house.line().await;
    house
        .api
        .post("/api/sessions", json!({ "id": "new" }))
        .await
        .expect(201);
    let created = line.wait("session").await;
    assert_eq!(
        (&created["action"], &created["object"]["id"]),
        (&json!("created"), &json!("new"))
    );
    house
        .api
        .patch("/api/sessions/new", json!({ "title": "Named" }))
        .await
        .expect(200);
    assert_eq!(line.wait("session").await["object"]["title"], "Named");
    house.api.delete("/api/sessions/new").await.expect(204);
    let deleted = line.wait("session").await;
    assert_eq!(
        (&deleted["action"], &deleted["object"]),
        (&json!("deleted"), &json!({ "id": "new" }))
    );
}
