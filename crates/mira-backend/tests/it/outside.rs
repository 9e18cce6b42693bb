//! What a reader of the contract tries from outside where it is silent: lists in parts, filters that name nothing, bodies
//! in another coding, nulls, places of what is new, and which message a refusal is about.

use crate::{
    files::{form, send, upload},
    projects::make,
    support::{
        client::House,
        server::{Setup, problem},
    },
};
use reqwest::{Method, header};
use serde_json::{Value, json};
use std::fs;

/// Walks a list in parts of `limit`; all of its items.
async fn walk(house: &House, path: &str, plural: &str, limit: usize) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = house.api.get(&format!("{path}?limit={limit}{cursor}")).await;
        let items = page[plural].as_array().unwrap();
        assert!((1..=limit).contains(&items.len()), "{path}: {page}");
        found.extend(items.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn lists_that_are_whole_also_come_in_parts() {
    let house = House::new().await;
    for (path, plural) in [("/api/personas", "personas"), ("/api/tools", "tools")] {
        let whole = house.api.get(path).await;
        assert_eq!(whole["next_cursor"], Value::Null);
        let items = whole[plural].as_array().unwrap();
        assert!(items.len() > 2, "{whole}");
        for limit in [1, 2, items.len()] {
            assert_eq!(&walk(&house, path, plural, limit).await, items, "{path} {limit}");
        }
        for query in ["limit=0", "limit=-1", "limit=x", "cursor=x", "limit=1&limit=2"] {
            let refused = house.api.try_get(&format!("{path}?{query}")).await;
            let refused = refused.problem(422, "invalid");
            let field = query.split('=').next().unwrap();
            assert_eq!(refused["errors"][0]["field"], field, "{query}: {refused}");
        }
    }
    // One list's own bound is no reason to refuse either.
    assert_eq!(
        house.api.get("/api/files/search?q=x&limit=200").await["results"],
        json!([])
    );
}

#[tokio::test]
async fn a_refusal_names_the_message_it_is_about() {
    let house = House::new().await;
    let mut line = house.line().await;
    for (frame, status) in [
        (json!({ "type": "chat", "content": " ", "client_id": "mine" }), 422),
        (json!({ "type": "chat", "content": 7, "client_id": "mine" }), 422),
        (
            json!({ "type": "chat", "content": "x", "session_id": "../x", "client_id": "mine" }),
            422,
        ),
        (
            json!({ "type": "chat", "content": "x", "session_id": "nowhere", "client_id": "mine" }),
            404,
        ),
        (
            json!({ "type": "chat", "content": "x", "persona": "nobody", "client_id": "mine" }),
            422,
        ),
    ] {
        line.send(frame.clone()).await;
        assert_eq!(line.refused(status).await["client_id"], "mine", "{frame}");
    }
    for frame in [
        json!({ "type": "chat", "content": "x", "client_id": "" }),
        json!({ "type": "regenerate", "message_id": "x", "client_id": "mine" }),
    ] {
        line.send(frame.clone()).await;
        assert_eq!(line.refused(422).await.get("client_id"), None, "{frame}");
    }
    // The socket stayed where it was.
    assert_eq!(line.turn("still here").await.text, "to: still here");
}

#[tokio::test]
async fn a_body_comes_as_it_is() {
    let house = House::new().await;
    let body = json!({ "content": "hello" }).to_string();
    for (coding, status) in [("gzip", 415), ("br", 415), ("identity", 200), ("Identity", 200)] {
        let request = house.api.request(Method::POST, "/api/chat").body(body.clone());
        let request = request.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        let request = request.header(header::CONTENT_ENCODING, coding);
        let answer = house.api.send(Method::POST, "/api/chat", request).await;
        if status == 200 {
            answer.expect(200);
        } else {
            answer.problem(status, "unsupported-media-type");
        }
    }
    // A parameter of a type is no other type.
    let request = house.api.request(Method::POST, "/api/admin/import").body("");
    let request = request.header(header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8");
    let imported = house.api.send(Method::POST, "/api/admin/import", request).await;
    assert_ne!(imported.status, 415, "{}", imported.body);
}

#[tokio::test]
async fn null_is_no_value_and_no_session_no_filter() {
    let house = House::new().await;
    let fact = json!({ "text": "The owner plays the cello." });
    let fact = house.api.post("/api/memories", fact).await.expect(201);
    let place = format!("/api/memories/{}", fact["id"].as_str().unwrap());
    for field in ["text", "about", "pinned"] {
        let refused = house.api.patch(&place, json!({ (field): null })).await;
        assert_eq!(refused.problem(422, "invalid")["errors"][0]["field"], field);
    }
    // The topic may go.
    house.api.patch(&place, json!({ "topic": null })).await.expect(200);
    let refused = house.api.patch("/api/memory", json!({ "paused": null })).await;
    refused.problem(422, "invalid");

    let of = async |session: &str| house.api.try_get(&format!("/api/memories?session_id={session}")).await;
    of("nowhere").await.problem(404, "not-found");
    of("No Id").await.problem(422, "invalid");
    of("eternal").await.expect(200);
}

#[tokio::test]
async fn what_is_new_has_a_place() {
    let house = House::new().await;
    let kept = send(&house, "/api/files", form(&[("a.txt", b"words")])).await;
    let place = kept.headers[header::LOCATION].to_str().unwrap().to_owned();
    let file = kept.expect(201);
    assert_eq!(house.api.get(&place).await["id"], file["id"]);
    // What was there already is not new.
    let again = send(&house, "/api/files", form(&[("a.txt", b"words")])).await;
    assert!(!again.headers.contains_key(header::LOCATION));
    assert_eq!(again.expect(200)["id"], file["id"]);
    // In a project it is another file, at a place of its own.
    let project = make(&house, "Garden").await;
    let path = format!("/api/projects/{project}/files");
    let kept = send(&house, &path, form(&[("a.txt", b"words")])).await;
    assert_eq!(kept.status, 201);
    assert_ne!(kept.headers[header::LOCATION].to_str().unwrap(), place);
    assert_ne!(upload(&house, "b.txt", b"other words").await["id"], file["id"]);
}

#[tokio::test]
async fn part_of_a_file_is_part_of_that_file() {
    let house = House::new().await;
    let file = upload(&house, "a.bin", b"0123456789\0").await;
    let path = format!("/api/files/{}/content", file["id"].as_str().unwrap());
    let ask = async |headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(house.api.request(Method::GET, &path), |request, (name, value)| {
                request.header(*name, *value)
            });
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        (status, tag, answer.bytes().await.unwrap().to_vec())
    };
    let (status, tag, whole) = ask(&[]).await;
    assert_eq!((status, &*whole), (200, &b"0123456789\0"[..]));
    let weak = format!("W/{tag}");
    for (range, condition, part) in [
        ("bytes=2-4", None, Some(&b"234"[..])),
        ("bytes=-2", None, Some(b"9\0")),
        ("bytes=2-4", Some(&*tag), Some(b"234")),
        ("bytes=2-4", Some("\"other\""), None),
        ("bytes=2-4", Some(&weak), None),
        ("bytes=0-1,4-5", None, None),
        ("lines=1-2", None, None),
    ] {
        let condition = condition.map(|tag| ("if-range", tag));
        let headers: Vec<_> = [("range", range)].into_iter().chain(condition).collect();
        let expect = part.map_or((200, &*whole), |part| (206, part));
        let (status, _, bytes) = ask(&headers).await;
        assert_eq!((status, &*bytes), expect, "{headers:?}");
    }
    let behind = house.api.request(Method::GET, &path).header("range", "bytes=99-");
    problem(behind.send().await.unwrap(), 416, "refused").await;
}

#[tokio::test]
async fn the_sockets_path_says_what_it_speaks() {
    let server = Setup::new().start();
    for path in ["/ws/chat", "/api/ws/chat"] {
        let plain = server.get(path).await;
        assert_eq!(plain.headers()["upgrade"], "websocket");
        assert_eq!(plain.headers()["sec-websocket-version"], "13");
        problem(plain, 426, "upgrade-required").await;
    }
}

#[tokio::test]
async fn an_export_of_nothing_leaves_nothing() {
    let setup = Setup::new();
    let exported = setup.run(&["export", "all.jsonl"]);
    assert_eq!(exported.status.code(), Some(1), "{exported:?}");
    let left: Vec<_> = fs::read_dir(setup.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("jsonl"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let server = setup.start();
    problem(server.get("/api/sessions?cursor=x").await, 422, "invalid").await;
    setup.say(&["export", "all.jsonl"]);
    assert!(setup.dir().join("all.jsonl").exists());
}
