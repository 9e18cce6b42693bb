//! What a reply points at: found while it streams, told, stored, told again.

use crate::{
    support::client::{House, Line, Told, law},
    web::peer::{Server, ok},
};
use openai_sim::{Call, Gate, Plan};
use serde_json::{Value, json};

/// A SearXNG that finds two pages, and a house that searches with it.
async fn house() -> (Server, House) {
    let web = Server::start("127.0.0.1", 0, |_| {
        let hit = |name: &str, words: &str| {
            json!({ "url": format!("https://{name}.example/"), "title": format!("The {name}"), "content": words })
        };
        let hits = [hit("otter", "It holds hands."), hit("beaver", "It builds dams.")];
        ok(
            "Content-Type: application/json\r\n",
            json!({ "results": hits }).to_string().as_bytes(),
        )
    })
    .await;
    let (base, host) = (web.url("/").to_string(), web.address.to_string());
    let house = House::with(|setup| {
        // There the provider brings no search of its own.
        setup
            .env("MIRA_LLM_API", "chat")
            .env("MIRA_SEARXNG_URL", base)
            .env("MIRA_ALLOW_PRIVATE_HOSTS", host)
    })
    .await;
    (web, house)
}

fn search(query: &str) -> Call {
    Call::new("web_search", &json!({ "query": query, "count": null }))
}

const SAID: &str = "Ötter hold hands [1], beavers build [2]; both [2, 1] swim. Not `[1]`, not [7].";

fn push(house: &House) {
    house.sim.push(Plan::calls([search("otters"), search("otters again")]));
    house.sim.push(Plan::reply(SAID));
}

/// Index, place and what stands there, of each citation.
fn places(citations: &[Value]) -> Vec<(u64, String)> {
    let text: Vec<char> = SAID.chars().collect();
    let place = |citation: &Value| {
        let at = |field: &str| usize::try_from(citation[field].as_u64().unwrap()).unwrap();
        let there: String = text[at("start")..at("end")].iter().collect();
        (citation["index"].as_u64().unwrap(), there)
    };
    citations.iter().map(place).collect()
}

fn check(told: &Told) {
    assert_eq!((told.outcome.as_str(), told.text.as_str()), ("complete", SAID));
    assert!(told.results.iter().all(|result| result["status"] == "ok"), "{told:?}");
    // The second search brought the same pages: they keep their numbers.
    let expect = [(1, "[1]"), (2, "[2]"), (2, "[2, 1]"), (1, "[2, 1]")];
    assert_eq!(places(&told.citations), expect.map(|(n, there)| (n, there.to_owned())));
    let first = &told.citations[0];
    assert_eq!(
        (&first["url"], &first["title"]),
        (&json!("https://otter.example/"), &json!("The otter"))
    );
    assert!(first["snippet"].as_str().unwrap().contains("holds hands"), "{first}");
}

/// What is stored of the citations that were told.
fn stored(told: &Told) -> Vec<Value> {
    let outer = ["type", "session_id", "seq", "turn_id", "message_id"];
    let bare = |citation: &Value| {
        let mut citation = citation.clone();
        citation
            .as_object_mut()
            .unwrap()
            .retain(|name, _| !outer.contains(&name.as_str()));
        citation
    };
    told.citations.iter().map(bare).collect()
}

#[tokio::test]
async fn what_is_pointed_at_is_told_on_every_door_and_kept() {
    let (_web, house) = house().await;
    push(&house);
    let mut line = house.line().await;
    let told = line.turn("How do they live?").await;
    check(&told);
    let citations = stored(&told);
    assert_eq!(told.complete.unwrap()["citations"], json!(citations));
    let history = house.api.history().await;
    assert_eq!(history.last().unwrap()["citations"], json!(citations));
    let asked = house.prompts().pop().unwrap().body.to_string();
    assert!(
        asked.contains("[1] The otter") && asked.contains("[2] The beaver"),
        "{asked}"
    );

    push(&house);
    let mut events = house.api.stream(json!({ "content": "Again?" })).await;
    let frames = events.rest().await;
    check(&law(&frames));
    // A citation follows the chunk that completes its place.
    let mut said = 0;
    for frame in &frames {
        match frame["type"].as_str().unwrap() {
            "chunk" => said += frame["content"].as_str().unwrap().chars().count() as u64,
            "citation" => assert!(frame["end"].as_u64().unwrap() <= said, "{frame}"),
            _ => {}
        }
    }

    push(&house);
    let body = json!({ "message": "And again?", "session_id": "eternal" });
    let answer = house.api.post("/chat", body).await.expect(200);
    assert_eq!(answer["citations"], json!(citations));
}

#[tokio::test]
async fn the_places_are_marked_in_the_html_too() {
    let (_web, house) = house().await;
    push(&house);
    let mut line = Line::open(&house.server, "render=html").await;
    line.chat("How do they live?").await;
    let frames = line.until("done").await;
    let told = law(&frames);
    let html = told.reply()["html"].as_str().unwrap();
    let span = |numbers: &str, text: &str| format!("<span class=\"cites\" data-cites=\"{numbers}\">{text}</span>");
    let marked = [span("1", "[1]"), span("2", "[2]"), span("2 1", "[2, 1]")];
    assert_eq!(
        html,
        format!(
            "<p>Ötter hold hands {}, beavers build {}; both {} swim. Not <code>[1]</code>, not [7].</p>\n",
            marked[0], marked[1], marked[2]
        )
    );
    let mut blocks = frames.iter().filter(|frame| frame["type"] == "html");
    assert_eq!(blocks.next_back().unwrap()["html"], html);
}

/// Begins a reply that has pointed at both sources and waits behind a gate.
async fn half_said(house: &House, line: &mut Line) -> Gate {
    house
        .sim
        .push(Plan::reply("One moment.").then_calls([search("otters")]));
    let (first, rest) = SAID.split_once("; ").unwrap();
    house.sim.push(Plan::reply(first).then_calls([search("more")]));
    let gate = house.gated(Plan::reply(rest));
    line.chat("How do they live?").await;
    let mut results = 0;
    line.until_that(|frame| {
        results += u32::from(frame["type"] == "tool_result");
        results == 2
    })
    .await;
    gate
}

#[tokio::test]
async fn a_crash_keeps_them() {
    let (_web, mut house) = house().await;
    let mut line = house.line().await;
    // What was said before a tool is stored before the tool is called.
    let _gate = half_said(&house, &mut line).await;
    let told = house.api.get("/api/chat/history").await["active_turn"].clone();
    assert_eq!(told["citations"].as_array().unwrap().len(), 2, "{told}");
    house.server.signal("KILL");
    house.server.wait();
    house.restart().await;
    let kept = house.api.history().await.pop().unwrap();
    assert_eq!(
        (&kept["status"], &kept["content"], &kept["citations"]),
        (&json!("interrupted"), &told["content"], &told["citations"])
    );
}

#[tokio::test]
async fn a_page_loaded_in_mid_reply_sees_them() {
    let (_web, house) = house().await;
    let mut line = house.line().await;
    let gate = half_said(&house, &mut line).await;
    let active = house.api.get("/api/chat/history").await["active_turn"].clone();
    let seen: Vec<&Value> = active["citations"].as_array().unwrap().iter().collect();
    assert_eq!(seen.len(), 2, "{active}");
    assert_eq!(
        house.line().await.hello["active_turn"]["citations"],
        active["citations"]
    );
    gate.open();
    line.until("done").await;
}
