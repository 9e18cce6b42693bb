//! Sessions: made, changed, listed, cleared, removed; the cookie of the simple door; full-text search.

use crate::support::client::{House, Line, law};
use openai_sim::Plan;
use reqwest::{Method, header};
use serde_json::{Value, json};

fn ids(list: &Value) -> Vec<&str> {
    let sessions = list["sessions"].as_array().unwrap();
    sessions.iter().map(|session| session["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_session_from_its_making_to_its_end() {
    let house = House::new().await;
    let made = house
        .api
        .post("/api/sessions", json!({ "id": "work", "title": "  Work\n and more " }))
        .await;
    assert_eq!(made.headers[header::LOCATION], "/api/sessions/work");
    let made = made.expect(201);
    assert_eq!(
        (&made["title"], &made["memory"]),
        (&json!("Work and more"), &json!("on"))
    );
    assert_eq!(house.api.get("/api/sessions/work").await, made);
    house
        .api
        .post("/api/sessions", json!({ "id": "work" }))
        .await
        .problem(409, "conflict");
    let unnamed = house.api.call(Method::POST, "/api/sessions", None).await.expect(201);
    assert_eq!(
        (&unnamed["title"], unnamed["id"].as_str().unwrap().len()),
        (&Value::Null, 36)
    );

    let change = json!({ "title": null, "pinned": true, "memory": "read_only" });
    let changed = house.api.patch("/api/sessions/work", change).await.expect(200);
    assert_eq!(changed["title"], Value::Null);
    assert_eq!(
        (&changed["pinned"], &changed["memory"]),
        (&json!(true), &json!("read_only"))
    );
    assert_eq!(ids(&house.api.get("/api/sessions").await)[0], "work", "pinned first");
    house
        .api
        .patch("/api/sessions/work", json!({ "archived": true }))
        .await
        .expect(200);
    assert_eq!(ids(&house.api.get("/api/sessions?archived=true").await), ["work"]);
    assert!(!ids(&house.api.get("/api/sessions?archived=false").await).contains(&"work"));

    house
        .api
        .post("/api/chat", json!({ "content": "x", "session_id": "work" }))
        .await
        .expect(200);
    assert_eq!(house.api.get("/api/sessions/work").await["message_count"], 2);
    house.api.delete("/api/sessions/work").await.expect(204);
    for (method, path) in [
        (Method::GET, "/api/sessions/work"),
        (Method::DELETE, "/api/sessions/work"),
        (Method::GET, "/api/sessions/work/moods"),
        (Method::GET, "/api/sessions/work/events"),
        (Method::POST, "/api/sessions/work/stop"),
        (Method::GET, "/api/sessions/%2e%2e"),
        (Method::GET, "/api/sessions/UPPER"),
        (Method::GET, "/api/chat/history?session_id=work"),
    ] {
        house.api.call(method, path, None).await.problem(404, "not-found");
    }
    house
        .api
        .patch("/api/sessions/work", json!({}))
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn values_that_are_not_valid() {
    let house = House::new().await;
    for (body, field) in [
        (json!({ "id": "No Spaces" }), "id"),
        (json!({ "id": "x".repeat(65) }), "id"),
        (json!({ "title": "t".repeat(201) }), "title"),
        (json!({ "memory": "sometimes" }), "memory"),
        (
            json!({ "project_id": "0199f3a0-0000-7000-8000-000000000001" }),
            "project_id",
        ),
    ] {
        let problem = house
            .api
            .post("/api/sessions", body.clone())
            .await
            .problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    for (body, field) in [
        (json!({ "pinned": null }), "pinned"),
        (json!({ "pinned": "yes" }), "pinned"),
        (json!({ "head_id": "x" }), "head_id"),
    ] {
        let problem = house
            .api
            .patch("/api/sessions/eternal", body.clone())
            .await
            .problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    for query in ["limit=0", "cursor=%00", "archived=maybe"] {
        let answer = house
            .api
            .call(Method::GET, &format!("/api/sessions?{query}"), None)
            .await;
        answer.problem(422, "invalid");
    }
}

#[tokio::test]
async fn the_list_pages() {
    let house = House::new().await;
    for n in 0..7 {
        house
            .api
            .post("/api/sessions", json!({ "id": format!("s{n}") }))
            .await
            .expect(201);
    }
    let mut all: Vec<String> = Vec::new();
    let mut path = "/api/sessions?limit=3".to_owned();
    loop {
        let page = house.api.get(&path).await;
        all.extend(ids(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/sessions?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(all, ["s6", "s5", "s4", "s3", "s2", "s1", "s0", "eternal"]);
}

#[tokio::test]
async fn history_takes_its_own_cursors_only() {
    let house = House::new().await;
    let mut line = house.line().await;
    for n in 0..3 {
        line.turn(&format!("number {n}")).await;
    }
    house
        .api
        .post("/api/sessions", json!({ "id": "other" }))
        .await
        .expect(201);
    house.line_on("other").await.turn("elsewhere").await;
    let page = house.api.get("/api/chat/history?limit=2").await;
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    let older = house
        .api
        .get(&format!("/api/chat/history?limit=200&cursor={cursor}"))
        .await;
    assert_eq!(
        (older["messages"].as_array().unwrap().len(), &older["next_cursor"]),
        (4, &json!(null))
    );
    let of_other = format!("/api/chat/history?session_id=other&cursor={cursor}");
    let refused = house.api.try_get(&of_other).await.problem(400, "malformed");
    assert!(
        refused["detail"].as_str().unwrap().contains("another session"),
        "{refused}"
    );
    // Above the first message, and above one that is gone, stands nothing.
    let first = older["messages"][0]["id"].as_str().unwrap();
    for at in [first, "01890000-0000-7000-8000-000000000001"] {
        let empty = house.api.get(&format!("/api/chat/history?cursor={at}")).await;
        assert_eq!(empty["messages"], json!([]), "{at}");
    }
}

#[tokio::test]
async fn the_default_session_is_cleared_and_stays() {
    let house = House::new().await;
    let mut line = house.line().await;
    line.turn("forget this").await;
    assert_eq!(house.api.get("/api/sessions/eternal").await["title"], "forget this");
    let seq = house.api.get("/api/chat/history").await["seq"].as_u64().unwrap();
    // Also while she speaks: the turn ends first.
    let gate = house.gated(Plan::reply("never"));
    line.chat("and this").await;
    line.until("status").await;
    gate.wait_waiting().await;
    house.api.delete("/api/sessions/eternal").await.expect(204);
    assert_eq!(line.wait("done").await["outcome"], "stopped");
    let session = house.api.get("/api/sessions/eternal").await;
    assert_eq!(
        (&session["message_count"], &session["head_id"], &session["title"]),
        (&json!(0), &Value::Null, &Value::Null),
        "its title was words of the first message"
    );
    let cleared = line
        .until_that(|frame| frame["type"] == "session" && frame["object"]["head_id"].is_null())
        .await;
    let told = cleared.last().unwrap();
    assert_eq!((&told["action"], &told["object"]), (&json!("updated"), &session));
    assert_eq!(house.api.history().await, Vec::<Value>::new());
    let told = line.turn("hello again").await;
    assert_eq!(told.message.unwrap()["parent_id"], Value::Null);
    assert_eq!(house.api.get("/api/sessions/eternal").await["title"], "hello again");
    let prompt = house.prompts().pop().unwrap().body;
    assert_eq!(
        prompt["input"].as_array().unwrap().len(),
        2,
        "her words and her state: {}",
        prompt["input"]
    );
    let mut back = Line::open(&house.server, &format!("after={seq}")).await;
    assert_eq!(back.next().await["reason"], "expired");
}

#[tokio::test]
async fn a_removed_session_is_gone_for_its_sockets_too() {
    let house = House::new().await;
    house
        .api
        .post("/api/sessions", json!({ "id": "brief" }))
        .await
        .expect(201);
    let mut line = Line::open(&house.server, "session_id=brief").await;
    let mut events = house.api.events("brief", "").await;
    let gate = house.gated(Plan::reply("never"));
    line.chat("hello").await;
    line.until("status").await;
    gate.wait_waiting().await;
    house.api.delete("/api/sessions/brief").await.expect(204);
    line.until("session").await;
    line.chat("anybody?").await;
    line.refused(404).await;
    // Another of that name is another session: who was in the old one is not in it.
    house
        .api
        .post("/api/sessions", json!({ "id": "brief" }))
        .await
        .expect(201);
    line.chat("me again").await;
    line.refused(404).await;
    assert_eq!(
        events.rest().await.last().unwrap()["type"],
        "done",
        "the stream has ended"
    );
    line.send(json!({ "type": "switch_persona", "mood": "odd" })).await;
    line.refused(404).await;
    let page = house.api.get("/api/chat/history?session_id=brief").await;
    assert_eq!(page["messages"], json!([]));
    // Who names it is in it.
    line.send(json!({ "type": "chat", "content": "by name", "session_id": "brief" }))
        .await;
    assert_eq!(line.next().await["type"], "hello");
    assert_eq!(law(&line.until("done").await).text, "to: by name");
    for session in ["brief", "eternal"] {
        line.send(json!({ "type": "subscribe", "session_id": session })).await;
        line.wait("hello").await;
        assert_eq!(line.turn("here").await.text, "to: here");
    }
}

#[tokio::test]
async fn the_cookie_keeps_the_session_of_the_simple_door() {
    let house = House::new().await;
    let say = async |cookie: Option<&str>, body: Value| {
        let mut request = house.api.request(Method::POST, "/chat").body(body.to_string());
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, format!("other=1; {cookie}"));
        }
        let answer = house.api.send(Method::POST, "/chat", request).await;
        let set = answer.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
        for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(part), "{part} in {set}");
        }
        let cookie = set.split(';').next().unwrap().to_owned();
        let session = answer.expect(200)["session_id"].as_str().unwrap().to_owned();
        assert_eq!(cookie, format!("mira_session={session}"));
        (session, cookie)
    };
    let (first, cookie) = say(None, json!({ "message": "hello" })).await;
    let (again, _) = say(Some(&cookie), json!({ "message": "and again" })).await;
    assert_eq!(first, again);
    let page = house.api.get(&format!("/api/chat/history?session_id={first}")).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 4);
    let (other, _) = say(None, json!({ "message": "who?" })).await;
    assert_ne!(first, other, "no cookie, a new session");
    let (named, _) = say(Some(&cookie), json!({ "message": "here", "session_id": "eternal" })).await;
    assert_eq!(named, "eternal", "a named one wins");
    for door in ["/chat", "/api/chat"] {
        let place = format!("{door}?session_id={other}");
        let there = house.api.post(&place, json!({ "message": "there" })).await.expect(200);
        assert_eq!(there["session_id"], other, "{door}");
        let body = json!({ "message": "here", "session_id": "eternal" });
        let here = house.api.post(&place, body).await.expect(200);
        assert_eq!(here["session_id"], "eternal", "{door}: what the body says goes before");
        let nowhere = format!("{door}?session_id=nowhere");
        let refused = house.api.post(&nowhere, json!({ "message": "x" })).await;
        refused.problem(404, "not-found");
    }
    // What is wrong is told under the name that the door has for it.
    for (door, name) in [("/chat", "message"), ("/api/chat", "content")] {
        for body in [
            json!({}),
            json!({ name: " " }),
            json!({ name: 7 }),
            json!({ name: null }),
        ] {
            let problem = house.api.post(door, body).await.problem(422, "invalid");
            assert_eq!(problem["errors"][0]["field"], name, "{problem}");
        }
    }
    house.api.delete(&format!("/api/sessions/{first}")).await.expect(204);
    let (fresh, _) = say(Some(&cookie), json!({ "message": "still?" })).await;
    assert_ne!(fresh, first, "a cookie of a session that is gone");
    for odd in [
        "mira_session=../../etc",
        "mira_session=",
        "mira_session=%00; mira_session",
    ] {
        say(Some(odd), json!({ "message": "odd" })).await;
    }
}

#[tokio::test]
async fn the_first_words_are_the_title() {
    let house = House::new().await;
    let made = house.api.post("/api/sessions", json!({ "id": "t" })).await.expect(201);
    assert_eq!(made["title"], Value::Null);
    let mut line = house.line().await;
    house
        .api
        .post(
            "/api/chat",
            json!({ "content": "A walk\nin the rain", "session_id": "t" }),
        )
        .await
        .expect(200);
    let title = house.api.get("/api/sessions/t").await["title"].clone();
    assert!(title.as_str().unwrap().starts_with("A walk"), "{title}");
    line.until_that(|frame| frame["type"] == "session" && frame["object"]["title"] == title)
        .await;
}

async fn found(house: &House, query: &str) -> Vec<Value> {
    let mut url = reqwest::Url::parse("http://x/api/search").unwrap();
    url.query_pairs_mut().append_pair("q", query);
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    house.api.get(&path).await["results"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_word_finds_its_message() {
    let house = House::new().await;
    house
        .api
        .post("/api/sessions", json!({ "id": "finds", "title": "Finds" }))
        .await
        .expect(201);
    let words = "Zwölf Boxkämpfer don't jagen AND OR NOT NEAR \"quoted phrase\" 東京タワー 🦊 C++ foo_bar x-y (paren* ^caret: 3.14";
    house
        .api
        .post("/api/chat", json!({ "content": words, "session_id": "finds" }))
        .await
        .expect(200);
    // A word without a letter or a digit is nothing to look for.
    for word in words
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
    {
        let results = found(&house, word).await;
        let hit = results.iter().find(|result| result["message"]["content"] == words);
        let hit = hit.unwrap_or_else(|| panic!("{word:?} finds {results:#?}"));
        assert_eq!(
            (&hit["session_id"], &hit["session_title"]),
            (&json!("finds"), &json!("Finds"))
        );
    }
    for part in ["zwolf", "東京", "boxkampfer jagen", "quoted", "🦊 jagen", "タワー🦊"] {
        assert!(!found(&house, part).await.is_empty(), "{part}");
    }
    assert!(found(&house, "nowheretobefound").await.is_empty());
    house.api.delete("/api/sessions/finds").await.expect(204);
    for word in ["Boxkämpfer", "東京タワー", "quoted"] {
        assert!(found(&house, word).await.is_empty(), "{word} of a session that is gone");
    }
}

#[tokio::test]
async fn any_text_is_a_query() {
    let house = House::new().await;
    house.api.say("something to find").await;
    for query in [
        "",
        " ",
        "\"",
        "\"\"\"",
        "'",
        "*",
        "^",
        "(",
        ")",
        "AND",
        "NOT",
        "NEAR(",
        "a AND",
        "col:x",
        "{a b}",
        "-",
        "+",
        "\\",
        "%",
        "_",
        ";",
        "--",
        "\u{0}",
        "\u{fffd}",
        "\u{202e}abc",
        "𝔘𝔫𝔦",
        "a\nb\tc",
        "content : x",
        "x*",
        "\"x",
    ] {
        found(&house, query).await;
    }
    found(&house, &"word ".repeat(500)).await;
    let none = house.api.get("/api/search").await;
    assert!(none["results"].is_array());
    let answer = house.api.call(Method::GET, "/api/search?q=x&limit=0", None).await;
    answer.problem(422, "invalid");
}
