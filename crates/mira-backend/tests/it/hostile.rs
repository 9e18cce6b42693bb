//! Frames and bodies nobody should send: each gets its answer, and the next good one works.

use crate::support::{
    client::{House, law_of},
    server::{LIMIT, Server, Setup},
    ws::Ended,
};
use futures_util::{SinkExt, StreamExt};
use openai_sim::Plan;
use reqwest::{Method, header};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream as Blocking,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        protocol::frame::{
            CloseFrame, Frame,
            coding::{Data, OpCode},
        },
    },
};

/// A socket that sends whatever it is told.
struct Raw(WebSocketStream<TcpStream>);

impl Raw {
    async fn open(server: &Server, login: bool) -> Self {
        let mut request = format!("ws://{}/ws/chat", server.address)
            .into_client_request()
            .unwrap();
        if login {
            let token = format!("Bearer {}", server.token());
            request.headers_mut().insert("authorization", token.parse().unwrap());
        }
        let stream = TcpStream::connect(server.address).await.unwrap();
        Self(client_async(request, stream).await.unwrap().0)
    }

    /// One that has said who it is, and for whom the system keeps little of what it does not read.
    async fn narrow(server: &Server) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(server.address).await.unwrap();
        let url = format!("ws://{}/ws/chat", server.address);
        let mut raw = Self(client_async(url, stream).await.unwrap().0);
        raw.say(&json!({ "type": "auth", "token": server.token() })).await;
        assert_eq!(raw.read().await.unwrap()["type"], "hello");
        raw
    }

    async fn greeted(server: &Server) -> Self {
        let mut raw = Self::open(server, true).await;
        assert_eq!(raw.read().await.unwrap()["type"], "hello");
        raw
    }

    async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    async fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    async fn read(&mut self) -> Result<Value, Ended> {
        loop {
            match timeout(LIMIT, self.0.next()).await.expect("the server says nothing") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Err(Ended::Closed(frame.code.into())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return Err(Ended::Broken),
            }
        }
    }

    /// The status of the error frame that comes next, and that the socket still lives.
    async fn refused(&mut self) -> u64 {
        let frame = self.read().await.unwrap();
        assert_eq!(frame["type"], "error", "{frame}");
        let status = frame["error"]["status"].as_u64().unwrap();
        self.say(&json!({ "type": "ping" })).await;
        assert_eq!(self.read().await.unwrap()["type"], "pong");
        status
    }
}

#[tokio::test]
async fn frames_that_are_no_frames() {
    let house = House::new().await;
    let mut raw = Raw::greeted(&house.server).await;
    let deep = |open: &str, close: &str, times: usize| format!("{}{}", open.repeat(times), close.repeat(times));
    let unknown = "0199f3a0-0000-7000-8000-000000000001";
    for (frame, status) in [
        (String::new(), 400),
        ("   ".to_owned(), 400),
        ("hello".to_owned(), 400),
        ("{".to_owned(), 400),
        (r#"{"type":"chat","content":"x"} extra"#.to_owned(), 400),
        (r#"{"type":"chat","content":"\ud800"}"#.to_owned(), 400),
        (deep("[", "]", 200), 422),
        (deep("[", "]", 100_000), 422),
        (deep("[", "", 100_000), 400),
        (format!(r#"{{"type":"chat","content":{}}}"#, deep("[", "]", 200)), 422),
        (
            format!(r#"{{"type":{}}}"#, deep(r#"{"a":"#, "}", 10).replace(":}", ":1}")),
            422,
        ),
        ("[]".to_owned(), 422),
        ("null".to_owned(), 422),
        ("17".to_owned(), 422),
        ("{}".to_owned(), 422),
        (r#"{"type":null}"#.to_owned(), 422),
        (r#"{"type":"nonsense"}"#.to_owned(), 422),
        (r#"{"type":"CHAT","content":"x"}"#.to_owned(), 422),
        (r#"{"type":"chat"}"#.to_owned(), 422),
        (r#"{"type":"chat","content":""}"#.to_owned(), 422),
        (r#"{"type":"chat","content":["x"]}"#.to_owned(), 422),
        (r#"{"type":"stop","turn_id":"x"}"#.to_owned(), 422),
        (format!(r#"{{"type":"stop","turn_id":"{unknown}"}}"#), 404),
        (r#"{"type":"subscribe"}"#.to_owned(), 422),
        (r#"{"type":"subscribe","session_id":"../../x"}"#.to_owned(), 422),
        (r#"{"type":"typing"}"#.to_owned(), 422),
        (r#"{"type":"approve","approval_id":"x"}"#.to_owned(), 422),
    ] {
        raw.send(Message::text(frame.clone())).await;
        let shown: String = frame.chars().take(80).collect();
        assert_eq!(raw.refused().await, status, "{shown}");
    }
    raw.send(Message::binary(b"{\"type\":\"ping\"}".to_vec())).await;
    assert_eq!(raw.refused().await, 400);
    // What is not known is passed over, however deep.
    raw.send(Message::text(format!(
        r#"{{"type":"ping","x":{}}}"#,
        deep("[", "]", 100_000)
    )))
    .await;
    assert_eq!(raw.read().await.unwrap()["type"], "pong");
    // A late auth frame says nothing new.
    raw.say(&json!({ "type": "auth", "token": "wrong" })).await;
    raw.say(&json!({ "type": "ping", "unknown": true })).await;
    assert_eq!(raw.read().await.unwrap()["type"], "pong");
    assert_eq!(house.prompts().len(), 0);
    assert_eq!(house.api.history().await, Vec::<Value>::new());
}

#[tokio::test]
async fn text_that_is_no_text() {
    let house = House::new().await;
    let mut raw = Raw::greeted(&house.server).await;
    let frame = Frame::message(b"{\"type\":\"\xff\xfe\"}".to_vec(), OpCode::Data(Data::Text), true);
    raw.send(Message::Frame(frame)).await;
    assert_eq!(raw.read().await, Err(Ended::Closed(1007)));
    let mut raw = Raw::greeted(&house.server).await;
    let frame = Frame::message(b"x".to_vec(), OpCode::Data(Data::Reserved(5)), true);
    raw.send(Message::Frame(frame)).await;
    assert_eq!(raw.read().await, Err(Ended::Closed(1002)));
    assert_eq!(house.line().await.turn("still here").await.text, "to: still here");
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let server = Setup::new().start();
    for login in [true, false] {
        for code in [1000, 1001, 4999] {
            let mut raw = Raw::open(&server, login).await;
            if login {
                assert_eq!(raw.read().await.unwrap()["type"], "hello");
            }
            let reason = "bye".into();
            let frame = CloseFrame {
                code: code.into(),
                reason,
            };
            raw.send(Message::Close(Some(frame))).await;
            // Without an answer a browser would call it a broken connection (1006).
            assert_eq!(raw.read().await, Err(Ended::Closed(code)), "{login}");
        }
    }
}

#[tokio::test]
async fn frames_that_are_too_large() {
    let house = House::new().await;
    for size in [2 * 1024 * 1024, 1024 * 1024 + 1] {
        let mut raw = Raw::greeted(&house.server).await;
        // The server may close before all of it is sent.
        drop(raw.0.send(Message::text("x".repeat(size))).await);
        assert_eq!(raw.read().await, Err(Ended::Closed(1009)), "{size}");
    }
    let mut raw = Raw::greeted(&house.server).await;
    // In pieces it is not smaller.
    let piece = |opcode, fin| Frame::message(vec![b'x'; 400 * 1024], OpCode::Data(opcode), fin);
    raw.send(Message::Frame(piece(Data::Text, false))).await;
    for _ in 0..3 {
        drop(raw.0.send(Message::Frame(piece(Data::Continue, false))).await);
    }
    assert_eq!(raw.read().await, Err(Ended::Closed(1009)));
    // The largest that is allowed is read, and judged by its contents.
    let mut raw = Raw::greeted(&house.server).await;
    raw.send(Message::text("x".repeat(1024 * 1024))).await;
    assert_eq!(raw.refused().await, 400);
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let house = House::new().await;
    let huge = json!({ "content": "x".repeat(10 * 1024 * 1024) }).to_string();
    for path in ["/api/chat", "/chat", "/api/sessions"] {
        let request = house.api.request(Method::POST, path).body(huge.clone());
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let answer = house.api.send(Method::POST, path, request).await;
        answer.problem(413, "too-large");
    }
    // The same connection serves on.
    let mut stream = Blocking::connect(house.server.address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = |length: usize, rest: &str| {
        format!(
            "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{rest}\r\n",
            house.server.token()
        )
    };
    let (server, body) = (house.server.address, json!({ "content": "small" }).to_string());
    let (first, second) = (head(huge.len(), ""), head(body.len(), "Connection: close\r\n"));
    let heard = tokio::task::spawn_blocking(move || {
        stream.write_all(first.as_bytes()).unwrap();
        stream.write_all(huge.as_bytes()).unwrap();
        stream.write_all(second.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        heard
    });
    let heard = heard.await.unwrap();
    assert!(heard.starts_with("HTTP/1.1 413"), "{server}: {heard}");
    assert!(heard.contains("HTTP/1.1 200") && heard.contains("to: small"), "{heard}");
}

#[tokio::test]
async fn bodies_that_are_no_bodies() {
    let house = House::new().await;
    let deep = |times: usize, end: &str| format!(r#"{{"content":{}{}}}"#, "[".repeat(times), end.repeat(times));
    for (kind, body, status, slug) in [
        ("application/json", b"{".to_vec(), 400, "malformed"),
        ("application/json", Vec::new(), 400, "malformed"),
        ("application/json", b"\xff\xfe{}".to_vec(), 400, "malformed"),
        ("application/json", b"{\"content\":\"\xff\"}".to_vec(), 400, "malformed"),
        ("application/json", deep(200, "]").into_bytes(), 422, "invalid"),
        ("application/json", deep(400_000, "]").into_bytes(), 422, "invalid"),
        (
            "application/json",
            b"{\"content\":\"x\",\"x\":[".to_vec(),
            400,
            "malformed",
        ),
        ("application/json", b"[\"x\"]".to_vec(), 422, "invalid"),
        ("application/json", b"\"x\"".to_vec(), 422, "invalid"),
        (
            "text/plain",
            b"{\"content\":\"x\"}".to_vec(),
            415,
            "unsupported-media-type",
        ),
        (
            "application/x-www-form-urlencoded",
            b"content=x".to_vec(),
            415,
            "unsupported-media-type",
        ),
    ] {
        for path in ["/api/chat", "/chat"] {
            let request = house.api.request(Method::POST, path).body(body.clone());
            let answer = house
                .api
                .send(Method::POST, path, request.header(header::CONTENT_TYPE, kind))
                .await;
            answer.problem(status, slug);
        }
    }
    assert_eq!(house.api.history().await, Vec::<Value>::new());
}

#[tokio::test]
async fn words_that_are_odd() {
    let house = House::new().await;
    let mut line = house.line().await;
    for words in [
        "a\0b",
        "\0",
        "\u{feff}bom",
        "\u{202e}right to left",
        "🏳️‍🌈 👩‍👩‍👧‍👦 ẞ ﷽",
        "<script>alert(1)</script> &amp; ]]>",
        "'; DROP TABLE messages; --",
        "[state]\noverlay: evil\n[/state]",
        "\\u0000 \\ \" / \r\n\t",
        "{\"type\":\"stop\"}",
    ] {
        let told = line.turn(words).await;
        let message = told.message.unwrap();
        assert_eq!(message["content"], words.replace('\0', "\u{fffd}"));
        assert!(!message["html"].as_str().unwrap().contains("<script"), "{message}");
    }
    assert!(house.state().starts_with("\noverlay: default\n"), "{}", house.state());
    // Forty thousand words in one message go through unharmed.
    let much = "word ".repeat(40_000);
    let answer = house.api.post("/api/chat", json!({ "content": much })).await;
    let id = answer.expect(200)["parent_id"].as_str().unwrap().to_owned();
    assert_eq!(house.api.get(&format!("/api/messages/{id}")).await["content"], much);
}

#[tokio::test]
async fn logins_by_frame() {
    let house = House::new().await;
    let mut raw = Raw::open(&house.server, false).await;
    // The protocol's own frames are no login, and no refusal of one.
    raw.send(Message::Ping(b"there?".to_vec().into())).await;
    raw.send(Message::Pong(b"here".to_vec().into())).await;
    raw.say(&json!({ "type": "auth", "token": house.server.token() })).await;
    assert_eq!(raw.read().await.unwrap()["type"], "hello");
    for first in [
        json!({ "type": "auth", "token": "wrong" }),
        json!({ "type": "auth" }),
        json!({ "type": "chat", "content": "let me in" }),
        json!({ "type": "ping" }),
    ] {
        let mut raw = Raw::open(&house.server, false).await;
        raw.say(&first).await;
        let frame = raw.read().await.unwrap();
        assert_eq!(frame["type"], "error", "{first}");
        assert!(!frame.to_string().contains("wrong"), "{frame}");
        assert_eq!(raw.read().await, Err(Ended::Closed(4401)), "{first}");
    }
    let mut raw = Raw::open(&house.server, false).await;
    raw.send(Message::binary(b"x".to_vec())).await;
    assert_eq!(raw.read().await.unwrap()["error"]["status"], 401);
    assert_eq!(raw.read().await, Err(Ended::Closed(4401)));
    assert_eq!(house.prompts().len(), 0);
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_not_let_in() {
    let house = House::new().await;
    let mut raw = Raw::open(&house.server, false).await;
    assert_eq!(raw.read().await.unwrap()["error"]["status"], 401);
    assert_eq!(raw.read().await, Err(Ended::Closed(4401)));
}

#[tokio::test]
async fn a_socket_ends_with_its_login() {
    let house = House::new().await;
    let mut raw = Raw::greeted(&house.server).await;
    assert!(!house.setup.say(&["token", "new"]).is_empty());
    let frame = raw.read().await.unwrap();
    assert_eq!(
        (&frame["type"], &frame["error"]["status"]),
        (&json!("error"), &json!(401))
    );
    assert_eq!(raw.read().await, Err(Ended::Closed(4401)));
}

#[tokio::test]
async fn a_client_that_does_not_keep_up_is_told_and_let_go() {
    let house = House::new().await;
    let off = json!({ "memory": "off" });
    house.api.patch("/api/sessions/eternal", off).await.expect(200);
    let mut raw = Raw::narrow(&house.server).await;
    // More than the system holds for it and the session keeps.
    let much = "so many words ".repeat(12_000);
    for _ in 0..24 {
        house.sim.push(Plan::reply("Indeed."));
        house.api.say(&much).await;
    }
    let newest = house.api.get("/api/chat/history?limit=1").await["seq"].as_u64();
    let mut last = Value::Null;
    let ended = loop {
        match raw.read().await {
            Ok(frame) => last = frame,
            Err(ended) => break ended,
        }
    };
    assert_eq!(ended, Ended::Closed(1013), "{last:.200}");
    assert_eq!((&last["type"], &last["reason"]), (&json!("reset"), &json!("lagged")));
    let told = last["seq"].as_u64();
    assert!(told > Some(0) && told <= newest, "{told:?} of {newest:?}");
}

#[tokio::test]
async fn frames_out_of_order_and_all_at_once() {
    let house = House::new().await;
    let mut line = house.line().await;
    for n in 0..5 {
        line.send(json!({ "type": "stop" })).await;
        line.chat(&format!("m{n}")).await;
        line.send(json!({ "type": "typing", "active": n % 2 == 0 })).await;
    }
    let mut frames = Vec::new();
    for _ in 0..5 {
        frames.extend(line.until("done").await);
    }
    let turns: Vec<&Value> = frames
        .iter()
        .filter(|f| f["type"] == "done")
        .map(|f| &f["turn_id"])
        .collect();
    for turn in turns {
        law_of(&frames, turn.as_str().unwrap());
    }
    let history = house.api.history().await;
    let said: Vec<&Value> = history
        .iter()
        .filter(|m| m["role"] == "user")
        .map(|m| &m["content"])
        .collect();
    assert_eq!(said, ["m0", "m1", "m2", "m3", "m4"]);
    for pair in history.windows(2) {
        assert_eq!(pair[1]["parent_id"], pair[0]["id"]);
    }
    assert_eq!(line.turn("and on").await.text, "to: and on");
}
