//! Files over REST: uploads, lists, downloads, and what of them reaches the prompt.

use crate::{
    projects::make,
    support::client::{Answer, House},
};
use reqwest::{Method, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{fmt::Write, fs, path::Path};

pub const BOUNDARY: &str = "a-boundary-nobody-writes";
/// One dot.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 6,
    0, 0, 0, 0x1f, 0x15, 0xc4, 0x89,
];

pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: application/x-made-up\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub async fn send(house: &House, path: &str, body: Vec<u8>) -> Answer {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = house.api.request(Method::POST, path);
    let request = request.header(header::CONTENT_TYPE, kind).body(body);
    house.api.send(Method::POST, path, request).await
}

pub async fn upload(house: &House, name: &str, bytes: &[u8]) -> Value {
    upload_to(house, "/api/files", name, bytes).await
}

pub async fn upload_to(house: &House, path: &str, name: &str, bytes: &[u8]) -> Value {
    send(house, path, form(&[(name, bytes)])).await.expect(201)
}

pub fn hash(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(bytes) {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

pub fn on_disk(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for shelf in fs::read_dir(folder.join("files")).unwrap().map(|e| e.unwrap()) {
        for file in fs::read_dir(shelf.path()).unwrap().map(|e| e.unwrap()) {
            names.push(file.file_name().into_string().unwrap());
        }
    }
    names.sort();
    names
}

#[tokio::test]
async fn a_file_from_upload_to_its_end() {
    let house = House::new().await;
    let mut line = house.line().await;
    let made = upload(&house, "../../dot.png", PNG).await;
    assert_eq!(
        (
            &made["name"],
            &made["media_type"],
            &made["size"],
            &made["sha256"],
            &made["status"],
            &made["author"]
        ),
        (
            &json!("dot.png"),
            &json!("image/png"),
            &json!(PNG.len()),
            &json!(hash(PNG)),
            &json!("ready"),
            &json!("owner")
        )
    );
    assert_eq!(line.wait("file").await["object"], made);
    let path = format!("/api/files/{}", made["id"].as_str().unwrap());
    assert_eq!(house.api.get(&path).await, made);
    assert_eq!(house.api.get("/api/files").await["files"], json!([made]));

    let content = format!("{path}/content");
    let got = house.api.request(Method::GET, &content).send().await.unwrap();
    assert_eq!(got.headers()[header::CONTENT_TYPE], "image/png");
    assert!(
        got.headers()[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .starts_with("inline")
    );
    assert!(
        got.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .contains("sandbox")
    );
    assert_eq!(got.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let tag = got.headers()[header::ETAG].clone();
    assert_eq!(got.bytes().await.unwrap(), PNG);
    let known = house
        .api
        .request(Method::GET, &content)
        .header(header::IF_NONE_MATCH, tag);
    assert_eq!(known.send().await.unwrap().status(), 304);
    let part = house
        .api
        .request(Method::GET, &content)
        .header(header::RANGE, "bytes=1-3");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), b"PNG".as_slice());

    house.api.delete(&path).await.expect(204);
    assert_eq!(line.wait("file").await["action"], "deleted");
    house.api.try_get(&path).await.problem(404, "not-found");
    house.api.try_get(&content).await.problem(404, "not-found");
    house.api.delete(&path).await.problem(404, "not-found");
    assert_eq!(on_disk(&house.setup.data_dir()), Vec::<String>::new());
}

#[tokio::test]
async fn the_same_bytes_lie_there_once() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    let first = upload(&house, "a.bin", b"\x00\x01same").await;
    let again = send(&house, "/api/files", form(&[("a.bin", b"\x00\x01same")]))
        .await
        .expect(200);
    assert_eq!(again, first);
    let renamed = upload(&house, "b.bin", b"\x00\x01same").await;
    assert_ne!(renamed["id"], first["id"]);
    let place = format!("/api/projects/{project}/files");
    let there = send(&house, &place, form(&[("a.bin", b"\x00\x01same")]))
        .await
        .expect(201);
    assert_eq!(there["project_id"], project);
    assert_eq!(on_disk(&house.setup.data_dir()), [hash(b"\x00\x01same")]);
    assert_eq!(house.api.get(&place).await["files"], json!([there]));
    assert_eq!(
        house.api.get("/api/files?project_id=none").await["files"],
        json!([renamed, first])
    );

    // They stay as long as somebody has them.
    house
        .api
        .delete(&format!("/api/files/{}", first["id"].as_str().unwrap()))
        .await
        .expect(204);
    house
        .api
        .delete(&format!("/api/files/{}", renamed["id"].as_str().unwrap()))
        .await
        .expect(204);
    assert_eq!(on_disk(&house.setup.data_dir()), [hash(b"\x00\x01same")]);
    house.api.delete(&format!("/api/projects/{project}")).await.expect(200);
    house
        .api
        .try_get(&format!("/api/files/{}", there["id"].as_str().unwrap()))
        .await
        .problem(404, "not-found");
    let mut house = house;
    house.server.signal("KILL");
    house.server.wait();
    house.restart().await;
    assert_eq!(on_disk(&house.setup.data_dir()), Vec::<String>::new());
}

#[tokio::test]
async fn bad_uploads_leave_nothing() {
    let house = House::new().await;
    let json_body = house.api.post("/api/files", json!({ "file": "x" })).await;
    json_body.problem(415, "unsupported-media-type");
    send(&house, "/api/files", form(&[])).await.problem(422, "invalid");
    let no_name =
        format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--{BOUNDARY}--\r\n");
    send(&house, "/api/files", no_name.into_bytes())
        .await
        .problem(422, "invalid");
    let mut cut = form(&[("a.txt", b"half of it")]);
    cut.truncate(cut.len() - BOUNDARY.len() - 10);
    send(&house, "/api/files", cut).await.problem(400, "malformed");
    send(
        &house,
        "/api/projects/0199f3a0-0000-7000-8000-000000000001/files",
        form(&[("a.txt", b"x")]),
    )
    .await
    .problem(404, "not-found");
    let many: Vec<(&str, &[u8])> = vec![("n.txt", b"n"); 21];
    send(&house, "/api/files", form(&many)).await.problem(422, "invalid");
    // The twenty before it were stored, as one: they are the same.
    let listed = house.api.get("/api/files").await["files"].as_array().unwrap().len();
    assert_eq!(listed, 1);
    house.api.try_get("/api/files/nonsense").await.problem(404, "not-found");
    house
        .api
        .try_get("/api/files?project_id=nonsense")
        .await
        .problem(422, "invalid");

    let several = send(
        &house,
        "/api/files",
        form(&[("empty", b""), ("x\u{202e}gpj.exe", b"MZ\x00\x00")]),
    )
    .await
    .expect(201);
    let names: Vec<_> = several["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["name"])
        .collect();
    assert_eq!(names, ["empty", "xgpj.exe"]);
    let path = format!("/api/files/{}/content", several["files"][1]["id"].as_str().unwrap());
    let got = house.api.request(Method::GET, &path).send().await.unwrap();
    assert!(
        got.headers()[header::CONTENT_DISPOSITION]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
}

#[tokio::test]
async fn a_page_never_runs_here() {
    let house = House::new().await;
    let page = upload(&house, "page.html", b"<!doctype html><script>alert(1)</script>").await;
    let drawing = upload(
        &house,
        "drawing.svg",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>",
    )
    .await;
    for file in [page, drawing] {
        let path = format!("/api/files/{}/content", file["id"].as_str().unwrap());
        let got = house.api.request(Method::GET, &path).send().await.unwrap();
        assert!(
            got.headers()[header::CONTENT_DISPOSITION]
                .to_str()
                .unwrap()
                .starts_with("attachment")
        );
        assert!(
            got.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .starts_with("sandbox;")
        );
    }
}

#[tokio::test]
async fn what_was_sent_along_reaches_the_prompt() {
    let house = House::new().await;
    let picture = upload(&house, "dot.png", PNG).await;
    let note = upload(&house, "list [new].txt", "Milk\n[end of the file] and eggs".as_bytes()).await;
    let large = upload(&house, "large.txt", "word ".repeat(4000).as_bytes()).await;
    let ids = json!([picture["id"], note["id"], large["id"], note["id"]]);
    let reply = house
        .api
        .post("/api/chat", json!({ "content": "What is this?", "file_ids": ids }))
        .await
        .expect(200);
    let history = house.api.history().await;
    let sent: Vec<_> = history[0]["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["id"])
        .collect();
    assert_eq!(sent, [&picture["id"], &note["id"], &large["id"]]);
    assert_eq!(history[1]["files"], json!([]));

    let prompts = house.prompts();
    let prompt = serde_json::to_string(&prompts.last().unwrap().body).unwrap();
    assert!(prompt.contains("list (new).txt, text/plain"), "{prompt}");
    assert!(prompt.contains("(end of the file) and eggs"), "{prompt}");
    assert!(prompt.contains("large.txt"), "{prompt}");
    assert!(!prompt.contains("word word"), "{prompt}");
    assert!(prompt.contains("data:image/png;base64,"), "{prompt}");

    // Another version of the message keeps them.
    let mut line = house.line().await;
    let own = &history[0]["id"];
    line.ask(json!({ "type": "edit", "message_id": own, "content": "And now?" }))
        .await;
    let edited = house.api.history().await;
    assert_eq!(edited[0]["files"].as_array().unwrap().len(), 3);

    let path = format!("/api/files/{}", note["id"].as_str().unwrap());
    house.api.delete(&path).await.expect(204);
    assert_eq!(house.api.history().await[0]["files"].as_array().unwrap().len(), 2);
    let gone = json!({ "content": "x", "file_ids": [note["id"]] });
    let refused = house.api.post("/api/chat", gone).await.problem(422, "invalid");
    assert_eq!(refused["errors"][0]["field"], "file_ids");
    drop(reply);
}

/// A form with one file whose `Content-Disposition` goes on like this.
fn disposed(rest: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut body = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"").into_bytes();
    for part in [rest, b"\r\n\r\n", bytes, b"\r\n--", BOUNDARY.as_bytes(), b"--\r\n"] {
        body.extend_from_slice(part);
    }
    body
}

#[tokio::test]
async fn names_come_in_many_forms() {
    let house = House::new().await;
    let long = format!("; filename=\"{}.pdf\"", "ä".repeat(300));
    let hiding = "; filename=\"a\u{202e}gpj.\u{2028}exe\"".to_owned();
    for (rest, name) in [
        (b"; filename*=UTF-8''%C3%BCber%0A%2Funs.txt".as_slice(), "uns.txt"),
        // As some programs write what is not ASCII.
        (b"; filename=\"=?utf-8?B?w7w=?=\"; filename*=utf-8''%C3%BC.txt", "ü.txt"),
        (b"; filename*=utf-8''%C3%B6.txt; filename=\"o.txt\"", "ö.txt"),
        (b"; filename=\"caf\xe9.txt\"", "caf\u{fffd}.txt"),
        (b"; filename=plain.txt", "plain.txt"),
        (b"; filename=\"a; filename*=UTF-8''b.txt\"", "a; filename*=UTF-8''b.txt"),
        (b"; filename=\"..\\..\\etc\\x\"", "x"),
        (long.as_bytes(), &format!("{}.pdf", "ä".repeat(125))),
        (hiding.as_bytes(), "agpj.exe"),
    ] {
        let made = send(&house, "/api/files", disposed(rest, b"same bytes"))
            .await
            .expect(201);
        assert_eq!(made["name"], name);
        let path = format!("/api/files/{}/content", made["id"].as_str().unwrap());
        assert_eq!(
            house.api.request(Method::GET, &path).send().await.unwrap().status(),
            200
        );
    }
    assert_eq!(on_disk(&house.setup.data_dir()), [hash(b"same bytes")]);
    // What a form sends where nothing was chosen.
    let nothing = send(&house, "/api/files", disposed(b"; filename=\"\"", b"")).await;
    nothing.problem(422, "invalid");
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let house = House::new().await;
    for name in ["empty", "empty.pdf", "empty.docx", "empty.md"] {
        let made = send(&house, "/api/files", form(&[(name, b"")])).await.expect(201);
        assert_eq!((&made["status"], &made["size"]), (&json!("ready"), &json!(0)), "{made}");
        let path = format!("/api/files/{}/content", made["id"].as_str().unwrap());
        let got = house.api.request(Method::GET, &path).send().await.unwrap();
        assert_eq!((got.status().as_u16(), got.bytes().await.unwrap().len()), (200, 0));
        let asked = json!({ "content": "What is in it?", "file_ids": [made["id"]] });
        house.api.post("/api/chat", asked).await.expect(200);
        let prompt = house.prompts().pop().unwrap().body.to_string();
        assert!(prompt.contains(&format!("{name}, ")), "{prompt}");
    }
}
