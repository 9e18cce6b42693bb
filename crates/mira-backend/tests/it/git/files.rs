//! Files: read, written by commits, never overwritten unseen, never outside.

use super::Desk;
use crate::support::server::LIMIT;
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

#[tokio::test]
async fn files_are_listed_and_read() {
    let desk = Desk::new().await;
    let tree = desk.house.api.get(&desk.of("files", "/tree")).await;
    let names: Vec<(&str, &str)> = { tree["entries"].as_array().unwrap().iter() }
        .map(|entry| (entry["name"].as_str().unwrap(), entry["type"].as_str().unwrap()))
        .collect();
    assert_eq!(names, [("src", "dir"), ("README.md", "file"), ("notes.txt", "file")]);
    assert_eq!(tree["commit"], desk.git(&["rev-parse", "HEAD"]));
    for (query, shown, next) in [
        ("limit=2", &names[..2], json!("2")),
        ("limit=2&cursor=2", &names[2..], Value::Null),
    ] {
        let part = desk.house.api.get(&desk.of("files", &format!("/tree?{query}"))).await;
        let entries = part["entries"].as_array().unwrap();
        assert!(
            entries
                .iter()
                .map(|entry| &entry["name"])
                .eq(shown.iter().map(|(name, _)| name)),
            "{part}"
        );
        assert_eq!((&part["total"], &part["next_cursor"]), (&json!(3), &next));
    }
    for kind in ["branches", "status"] {
        let refused = desk.house.api.try_get(&desk.of(kind, "?limit=0")).await;
        refused.problem(422, "invalid");
    }
    let src = desk.house.api.get(&desk.of("files", "/tree?path=src&ref=HEAD~1")).await;
    assert_eq!(src["entries"][0]["path"], "src/main.rs");
    assert_eq!(src["entries"][0]["sha"], desk.git(&["rev-parse", "HEAD:src/main.rs"]));

    let file = desk.read("src/main.rs").await;
    assert_eq!(
        (&file["encoding"], &file["language"]),
        (&json!("utf-8"), &json!("rust"))
    );
    assert_eq!(file["sha"], src["entries"][0]["sha"]);
    assert_eq!((&file["modified"], &file["ref"]), (&json!(false), &Value::Null));
    std::fs::write(desk.clone_dir().join("notes.txt"), [0, 159, 146, 150]).unwrap();
    let edited = desk.read("notes.txt").await;
    assert_eq!(
        (&edited["encoding"], &edited["content"]),
        (&json!("base64"), &json!("AJ+Slg=="))
    );
    assert_eq!(edited["modified"], true);
    let committed = desk.read("notes.txt?ref=main").await;
    assert_eq!(
        (&committed["content"], &committed["ref"]),
        (&json!("first\nsecond\nthird\n"), &json!("main"))
    );
    for (path, status) in [
        ("none", 404),
        ("src", 404),
        ("src?ref=HEAD", 404),
        ("README.md?ref=none", 404),
        ("README.md?ref=--x", 422),
    ] {
        let answer = desk.house.api.try_get(&desk.content(path)).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    for path in [
        desk.of("files", "/tree?path=none"),
        desk.of("files", "/tree?path=README.md"),
        desk.of("file-at-commit", "/HEAD/src"),
        desk.of("blame", "/src"),
    ] {
        desk.house.api.try_get(&path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn each_write_is_a_commit_and_no_update_is_lost() {
    let desk = Desk::new().await;
    let api = &desk.house.api;
    let body = json!({ "content": "made\n", "commit_message": "A new file" });
    let made = api.post(&desk.content("new/größe.txt"), body.clone()).await;
    let place = made.headers["location"].to_str().unwrap().to_owned();
    let made = made.expect(201);
    assert_eq!(api.get(&place).await["sha"], made["sha"]);
    assert_eq!(made["commit"], desk.git(&["rev-parse", "HEAD"]));
    assert_eq!(made["sha"], desk.git(&["rev-parse", "HEAD:new/größe.txt"]));
    assert_eq!(
        desk.git(&["log", "-1", "--format=%s %an <%ae>"]),
        "A new file Mira <mira@localhost>"
    );
    let problem = api
        .post(&desk.content("new/größe.txt"), body)
        .await
        .problem(409, "conflict");
    assert_eq!(problem["paths"], json!(["new/größe.txt"]));

    let seen = desk.read("README.md").await["sha"].clone();
    let first = json!({ "content": "# First\n", "expected_sha": seen });
    let first = api.put(&desk.content("README.md"), first).await.expect(200);
    let second = json!({ "content": "# Second\n", "expected_sha": seen });
    api.put(&desk.content("README.md"), second)
        .await
        .problem(409, "conflict");
    let same = json!({ "content": "# First\n", "expected_sha": first["sha"] });
    let same = api.put(&desk.content("README.md"), same).await.expect(200);
    assert_eq!((&same["commit"], &same["changed"]), (&first["commit"], &json!(false)));
    let bytes = json!({ "content": "AAEC", "encoding": "base64" });
    api.put(&desk.content("bytes.bin"), bytes).await.expect(200);
    assert_eq!(std::fs::read(desk.clone_dir().join("bytes.bin")).unwrap(), [0, 1, 2]);

    let rename = json!({ "from": "notes.txt", "to": "doc/notes.txt" });
    let renamed = api.post(&desk.of("files", "/rename"), rename.clone()).await.expect(200);
    assert_eq!(renamed["path"], "doc/notes.txt");
    api.post(&desk.of("files", "/rename"), rename)
        .await
        .problem(404, "not-found");
    let wrong = format!("doc/notes.txt?expected_sha={}", "0".repeat(40));
    api.delete(&desk.content(&wrong)).await.problem(409, "conflict");
    let sha = renamed["sha"].as_str().unwrap();
    let path = format!("doc/notes.txt?expected_sha={sha}&commit_message=Away");
    let gone = api.delete(&desk.content(&path)).await.expect(200);
    assert_eq!((&gone["sha"], &gone["path"]), (&Value::Null, &json!("doc/notes.txt")));
    assert_eq!(desk.git(&["log", "-1", "--format=%s"]), "Away");
    desk.is_clean();

    // What the owner edits by hand is never overwritten.
    std::fs::write(desk.clone_dir().join("README.md"), "by hand").unwrap();
    let problem = api
        .put(&desk.content("README.md"), json!({ "content": "x" }))
        .await
        .problem(409, "conflict");
    assert_eq!(problem["paths"], json!(["README.md"]));
    assert_eq!(
        std::fs::read_to_string(desk.clone_dir().join("README.md")).unwrap(),
        "by hand"
    );
}

#[tokio::test]
async fn sixteen_at_once_lose_nothing() {
    const WRITERS: usize = 16;
    const EACH: usize = 4;
    let desk = Desk::new().await;
    let before: usize = desk.git(&["rev-list", "--count", "HEAD"]).parse().unwrap();
    let writer = async |n: usize| {
        let mut commits = Vec::new();
        for round in 0..EACH {
            // Half of them fight for one file, the others have one each.
            let path = if n.is_multiple_of(2) {
                "shared.txt".to_owned()
            } else {
                format!("own/{n}.txt")
            };
            let seen = desk.house.api.try_get(&desk.content(&path)).await;
            let sha = if seen.status == 200 {
                seen.body["sha"].clone()
            } else {
                Value::Null
            };
            let body = json!({ "content": format!("{n} {round}\n"), "expected_sha": sha });
            let answer = desk.house.api.put(&desk.content(&path), body).await;
            match answer.status {
                200 if answer.body["changed"] == true => {
                    commits.push(answer.body["commit"].as_str().unwrap().to_owned());
                }
                409 | 503 => {}
                other => panic!("{other}: {}", answer.body),
            }
        }
        commits
    };
    let all = futures_util::future::join_all((0..WRITERS).map(writer)).await;
    let mut told: Vec<String> = all.into_iter().flatten().collect();
    told.sort();
    let count: usize = desk.git(&["rev-list", "--count", "HEAD"]).parse().unwrap();
    assert_eq!(count - before, told.len(), "each commit was told to one client");
    let newest = desk.git(&["rev-list", &format!("--max-count={}", told.len()), "HEAD"]);
    let mut there: Vec<String> = newest.lines().map(str::to_owned).collect();
    there.sort();
    assert_eq!(there, told);
    assert!(
        told.len() >= WRITERS / 2 * EACH,
        "those with a file of their own are in nobody's way"
    );
    desk.is_clean();
}

/// A request as it is, without a client that tidies its path.
fn raw(desk: &Desk, method: &str, path: &str, body: &str) -> (u16, Value) {
    let server = &desk.house.server;
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        server.address,
        server.token(),
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn no_path_leads_outside() {
    let desk = Desk::new().await;
    let outside = desk.house.setup.dir().join("outside.txt");
    std::fs::write(&outside, "outside").unwrap();
    std::os::unix::fs::symlink(desk.house.setup.dir(), desk.clone_dir().join("link")).unwrap();
    let body = json!({ "content": "pwned" }).to_string();
    for path in [
        "../outside.txt",
        "%2e%2e/outside.txt",
        "..%2foutside.txt",
        "src/..%2f..%2f..%2foutside.txt",
        "%2fetc/passwd",
        "/etc/passwd",
        ".git/config",
        ".GIT/config",
        ".git%20/config",
        "git~1/config",
        ".g%E2%80%8Cit/config",
        "src/.git/hooks/post-commit",
        "a%00b",
        "a%0ab",
        "a%5cb",
        "a//b",
        "./a",
        "%2e",
    ] {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            let (status, problem) = raw(&desk, method, &desk.content(path), &body);
            assert_eq!(status, 422, "{method} {path}: {problem}");
            assert_eq!(problem["errors"][0]["field"], "path", "{method} {path}: {problem}");
        }
        let (status, _) = raw(&desk, "GET", &desk.of("blame", &format!("/{path}")), "");
        assert_eq!(status, 422, "{path}");
    }
    // Decoded once: what is still encoded then is a name like any other.
    assert_eq!(raw(&desk, "GET", &desk.content("%252e%252e/outside.txt"), "").0, 404);
    for (method, path) in [
        ("GET", "link/outside.txt"),
        ("PUT", "link/outside.txt"),
        ("PUT", "link/new.txt"),
    ] {
        let (status, answer) = raw(&desk, method, &desk.content(path), &body);
        assert!(matches!(status, 404 | 409), "{method} {path}: {status} {answer}");
    }
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "outside");
    assert!(!desk.house.setup.dir().join("new.txt").exists());
    let config = desk.git(&["config", "--list", "--local"]);
    assert!(!config.contains("pwned"), "{config}");
    let folders = desk.house.api.try_get(&desk.of("files", "/tree?path=../..")).await;
    folders.problem(422, "invalid");
}

#[tokio::test]
async fn what_is_too_large_or_odd_is_refused() {
    let desk = Desk::new().await;
    let api = &desk.house.api;
    let put = async |body: Value| api.put(&desk.content("a.txt"), body).await;
    put(json!({ "content": "x".repeat(6 * 1024 * 1024) }))
        .await
        .problem(413, "too-large");
    put(json!({ "content": "x".repeat(9 * 1024 * 1024) }))
        .await
        .problem(413, "too-large");
    put(json!({ "content": "x", "expected_sha": "main" }))
        .await
        .problem(422, "invalid");
    put(json!({ "content": "!", "encoding": "base64" }))
        .await
        .problem(422, "invalid");
    put(json!({ "content": "!", "encoding": "rot13" }))
        .await
        .problem(422, "invalid");
    put(json!({ "content": "x", "commit_message": "a\0b" }))
        .await
        .problem(422, "invalid");
    put(json!({ "commit_message": "a" })).await.problem(422, "invalid");
    desk.is_clean();
    put(json!({ "content": "" })).await.expect(200);
    assert_eq!(desk.read("a.txt").await["size"], 0);
}
