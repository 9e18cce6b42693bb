//! Artifacts over REST: versions that are never lost, differences, downloads, and previews in a box.

use crate::{
    projects::make,
    support::{
        client::{Answer, House},
        held::at_once,
    },
};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};

const UNKNOWN: &str = "0199f3a0-0000-7000-8000-000000000001";
const GIF: &str = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";

async fn create(house: &House, project: &str, kind: &str, name: &str, content: &str) -> Value {
    let body = json!({ "project_id": project, "type": kind, "name": name, "content": content });
    house.api.post("/api/artifacts", body).await.expect(201)
}

fn path(artifact: &Value) -> String {
    format!("/api/artifacts/{}", artifact["id"].as_str().unwrap())
}

async fn with_tag(house: &House, method: Method, path: &str, name: &str, tag: &str, body: Option<Value>) -> Answer {
    let mut request = house.api.request(method.clone(), path).header(name, tag);
    if let Some(body) = body {
        request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
    }
    house.api.send(method, path, request).await
}

async fn put(house: &House, artifact: &Value, content: &str) -> Answer {
    let tag = artifact["etag"].as_str().unwrap();
    let body = json!({ "content": content });
    with_tag(house, Method::PUT, &path(artifact), "if-match", tag, Some(body)).await
}

#[tokio::test]
async fn an_artifact_from_its_making_to_its_end() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    let mut line = house.line().await;
    let body = json!({
        "project_id": project, "type": "code", "name": " main.rs ", "language": "rust", "content": "fn main() {}\n",
    });
    let made = house.api.post("/api/artifacts", body).await;
    let tag = made.headers[header::ETAG].to_str().unwrap().to_owned();
    let place = made.headers[header::LOCATION].to_str().unwrap().to_owned();
    let made = made.expect(201);
    assert_eq!(place, path(&made));
    assert_eq!(
        (
            &made["name"],
            &made["type"],
            &made["version"],
            &made["content"],
            &made["etag"],
            &made["author"]
        ),
        (
            &json!("main.rs"),
            &json!("code"),
            &json!(1),
            &json!("fn main() {}\n"),
            &json!(tag),
            &json!("owner")
        )
    );
    assert_eq!(line.wait("artifact").await["object"], made);

    let got = house.api.try_get(&place).await;
    assert_eq!(got.headers[header::ETAG], tag.as_str());
    assert_eq!(got.expect(200), made);
    let same = with_tag(
        &house,
        Method::GET,
        &place,
        "if-none-match",
        &format!("\"x\", {tag}"),
        None,
    )
    .await;
    assert_eq!(same.headers[header::ETAG], tag.as_str());
    assert_eq!(same.expect(304), Value::Null);

    // Without the tag, with a strange one, with the right one; then the right one is old.
    let body = json!({ "content": "fn main() { two(); }\n" });
    house
        .api
        .put(&place, body.clone())
        .await
        .problem(428, "precondition-required");
    for wrong in ["\"1-0000000000000000\"", "x", "", &format!("W/{tag}")] {
        let answer = with_tag(&house, Method::PUT, &place, "if-match", wrong, Some(body.clone())).await;
        answer.problem(412, "precondition-failed");
    }
    let second = put(&house, &made, "fn main() { two(); }\n").await;
    assert_ne!(second.headers[header::ETAG], tag.as_str());
    let second = second.expect(200);
    assert_eq!(
        (&second["version"], &second["created_at"]),
        (&json!(2), &made["created_at"])
    );
    let event = line.wait("artifact").await;
    assert_eq!((&event["action"], &event["object"]), (&json!("updated"), &second));
    put(&house, &made, "lost").await.problem(412, "precondition-failed");
    // The same content is no new version, and no news.
    assert_eq!(put(&house, &second, "fn main() { two(); }\n").await.expect(200), second);
    assert!(line.settle().await.iter().all(|frame| frame["type"] != "artifact"));

    let renamed = house
        .api
        .patch(&place, json!({ "name": "lib.rs", "language": null }))
        .await
        .expect(200);
    assert_eq!(
        (&renamed["name"], &renamed["language"], &renamed["version"]),
        (&json!("lib.rs"), &Value::Null, &json!(2))
    );
    assert_eq!(line.wait("artifact").await["object"], renamed);
    let stale = with_tag(
        &house,
        Method::GET,
        &place,
        "if-none-match",
        second["etag"].as_str().unwrap(),
        None,
    )
    .await;
    stale.expect(200);

    let restored = house
        .api
        .post(&format!("{place}/restore"), json!({ "version": 1 }))
        .await
        .expect(200);
    assert_eq!(
        (&restored["version"], &restored["content"]),
        (&json!(3), &made["content"])
    );
    assert_eq!(restored["sha256"], made["sha256"]);
    let answer = house
        .api
        .post(&format!("{place}/restore"), json!({ "version": 9 }))
        .await;
    assert_eq!(answer.problem(422, "invalid")["errors"][0]["field"], "version");
    let stale = json!({ "version": 2 });
    with_tag(
        &house,
        Method::POST,
        &format!("{place}/restore"),
        "if-match",
        &tag,
        Some(stale),
    )
    .await
    .problem(412, "precondition-failed");

    let versions = house.api.get(&format!("{place}/versions?limit=2")).await;
    let numbers: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].clone())
        .collect();
    assert_eq!(
        (numbers, &versions["versions"][0]["content"]),
        (vec![json!(3), json!(2)], &Value::Null)
    );
    let cursor = versions["next_cursor"].as_str().unwrap();
    let rest = house
        .api
        .get(&format!("{place}/versions?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(
        (&rest["versions"][0]["version"], &rest["next_cursor"]),
        (&json!(1), &Value::Null)
    );
    let first = house.api.get(&format!("{place}/versions/1")).await;
    assert_eq!(
        (&first["content"], &first["sha256"]),
        (&made["content"], &made["sha256"])
    );

    let list = house.api.get(&format!("/api/projects/{project}/artifacts")).await;
    assert_eq!(
        (&list["artifacts"][0]["version"], &list["artifacts"][0]["content"]),
        (&json!(3), &Value::Null)
    );
    let view = house.api.get(&format!("/api/projects/{project}")).await;
    assert_eq!(view["artifacts"], list["artifacts"]);

    with_tag(&house, Method::DELETE, &place, "if-match", &tag, None)
        .await
        .problem(412, "precondition-failed");
    house.api.delete(&place).await.expect(204);
    let event = { line.until_that(|frame| frame["type"] == "artifact" && frame["action"] == "deleted") }.await;
    let expect = json!({ "id": made["id"], "project_id": project });
    assert_eq!(event.last().unwrap()["object"], expect);
    let below = ["", "/versions", "/versions/1", "/diff", "/raw", "/preview"];
    for below in below {
        house
            .api
            .try_get(&format!("{place}{below}"))
            .await
            .problem(404, "not-found");
    }
    house.api.delete(&place).await.problem(404, "not-found");
}

#[tokio::test]
async fn of_two_who_know_one_version_one_wins() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    let artifact = create(&house, &project, "note", "n", "start").await;
    let (left, right) = tokio::join!(put(&house, &artifact, "left"), put(&house, &artifact, "right"));
    let mut found = [left.status, right.status];
    found.sort_unstable();
    assert_eq!(found, [200, 412]);
    let now = house.api.get(&path(&artifact)).await;
    assert_eq!(now["version"], 2);
    let winner = if left.status == 200 { "left" } else { "right" };
    assert_eq!(now["content"], winner);
}

#[tokio::test]
async fn a_tag_is_compared_where_the_change_is_made() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    for other in [Method::PUT, Method::PATCH, Method::DELETE] {
        let artifact = create(&house, &project, "note", "n", "start").await;
        let (place, tag) = (path(&artifact), artifact["etag"].as_str().unwrap());
        let rename = json!({ "name": "another" });
        let rename = with_tag(&house, Method::PATCH, &place, "if-match", tag, Some(rename));
        let body = match other {
            Method::PUT => Some(json!({ "content": "late" })),
            Method::PATCH => Some(json!({ "name": "a third" })),
            _ => None,
        };
        let other = with_tag(&house, other, &place, "if-match", tag, body);
        // Both have seen what is there before either of them has changed it.
        let (rename, other) = at_once(&house, Box::pin(async { tokio::join!(rename, other) })).await;
        let (won, lost) = if rename.status == 200 {
            (rename, other)
        } else {
            (other, rename)
        };
        assert!(matches!(won.status, 200 | 204), "{}", won.body);
        // Of what was deleted there is nothing left to change.
        assert!(matches!(lost.status, 412 | 404), "{}", lost.body);
        if lost.status == 412 {
            assert_eq!(house.api.get(&place).await, won.body);
        }
    }
    // A star is for whatever there is, whoever was faster.
    let artifact = create(&house, &project, "note", "n", "start").await;
    let place = path(&artifact);
    let star = |name: &str| {
        let body = json!({ "content": "new", "name": name });
        with_tag(&house, Method::PUT, &place, "if-match", "*", Some(body))
    };
    let stars = Box::pin(async { tokio::join!(star("left"), star("right")) });
    let (left, right) = at_once(&house, stars).await;
    assert_eq!((left.status, right.status), (200, 200));
}

#[tokio::test]
async fn a_body_that_may_be_left_out_is_json_all_the_same() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    let artifact = create(&house, &project, "note", "n", "x").await;
    let link = format!("{}/preview-link", path(&artifact));
    for path in [link.as_str(), "/api/sessions/eternal/stop"] {
        house.api.call(Method::POST, path, None).await.expect(200);
        house.api.post(path, json!({})).await.expect(200);
        let request = house.api.request(Method::POST, path);
        let request = request.header(header::CONTENT_TYPE, "text/plain").body("{}");
        let answer = house.api.send(Method::POST, path, request).await;
        answer.problem(415, "unsupported-media-type");
        let answer = {
            house
                .api
                .send(Method::POST, path, house.api.request(Method::POST, path).body("{}"))
        }
        .await;
        answer.problem(415, "unsupported-media-type");
    }
}

#[tokio::test]
async fn values_that_are_not_valid() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    let whole = json!({ "project_id": project, "type": "note", "name": "n", "content": "" });
    house.api.post("/api/artifacts", whole.clone()).await.expect(201);
    let with = |field: &str, value: Value| {
        let mut body = whole.clone();
        body[field] = value;
        body
    };
    for (body, field) in [
        (with("project_id", json!(UNKNOWN)), "project_id"),
        (with("project_id", json!("../..")), "project_id"),
        (with("name", json!(" \n\u{0} ")), "name"),
        (with("name", json!("n".repeat(201))), "name"),
        (with("type", json!("exe")), "type"),
        (with("type", json!("Code")), "type"),
        (with("type", json!("image")), "content"),
        (with("content", json!("a\u{0}b")), "content"),
        (with("content", json!(7)), "content"),
        (with("language", json!("l".repeat(41))), "language"),
    ] {
        let problem = house
            .api
            .post("/api/artifacts", body.clone())
            .await
            .problem(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    let svg =
        json!({ "project_id": project, "type": "image", "name": "n", "content": "data:image/svg+xml;base64,PHN2Zy8+" });
    house.api.post("/api/artifacts", svg).await.problem(422, "invalid");

    // Sizes: the largest is taken, one byte more is not; a body beyond all of them is not read.
    let largest = "x".repeat(2 * 1024 * 1024);
    let made = create(&house, &project, "log", "l", &largest).await;
    assert_eq!(
        (&made["size"], made["content"].as_str().unwrap().len()),
        (&json!(largest.len()), largest.len())
    );
    house
        .api
        .post("/api/artifacts", with("content", json!(format!("{largest}x"))))
        .await
        .problem(413, "too-large");
    put(&house, &made, &format!("{largest}x"))
        .await
        .problem(413, "too-large");
    let beyond = with("content", json!("x".repeat(13 * 1024 * 1024)));
    house.api.post("/api/artifacts", beyond).await.problem(413, "too-large");
    // Other bodies are as small as ever.
    house
        .api
        .post("/api/projects", json!({ "name": "x", "description": largest }))
        .await
        .problem(413, "too-large");

    for (query, field) in [
        ("from=1&to=9", "to"),
        ("from=9", "from"),
        ("from=x", "from"),
        ("to=-1", "to"),
    ] {
        let answer = house.api.try_get(&format!("{}/diff?{query}", path(&made))).await;
        assert_eq!(answer.problem(422, "invalid")["errors"][0]["field"], field, "{query}");
    }
    for below in [
        "/versions/0",
        "/versions/2",
        "/versions/x",
        "/raw?version=9",
        "/preview?version=9",
    ] {
        house
            .api
            .try_get(&format!("{}{below}", path(&made)))
            .await
            .problem(404, "not-found");
    }
    for id in [UNKNOWN, "nonsense", "%2e%2e%2fetc"] {
        house
            .api
            .try_get(&format!("/api/artifacts/{id}"))
            .await
            .problem(404, "not-found");
    }
}

#[tokio::test]
async fn any_two_versions_are_compared() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    let first = create(&house, &project, "code", "c", "one\ntwo\nthree\n").await;
    let second = put(&house, &first, "one\n2\nthree\n").await.expect(200);
    put(&house, &second, "one\n2\nthree\nfour").await.expect(200);
    let place = path(&first);
    let diff = house.api.get(&format!("{place}/diff?from=1&to=3")).await;
    assert_eq!(
        diff["unified"],
        "--- version 1\n+++ version 3\n@@ -1,3 +1,4 @@\n one\n-two\n+2\n three\n+four\n\\ No newline at end of file\n"
    );
    assert_eq!(
        (&diff["added"], &diff["removed"], &diff["binary"]),
        (&json!(2), &json!(1), &json!(false))
    );
    let lines = &diff["hunks"][0]["lines"];
    assert_eq!(
        lines[1],
        json!({ "kind": "removed", "old_number": 2, "new_number": null, "text": "two", "no_newline": false })
    );
    assert_eq!(
        lines[4],
        json!({ "kind": "added", "old_number": null, "new_number": 4, "text": "four", "no_newline": true })
    );
    let back = house.api.get(&format!("{place}/diff?from=3&to=1")).await;
    assert_eq!((&back["added"], &back["removed"]), (&json!(1), &json!(2)));
    let last = house.api.get(&format!("{place}/diff")).await;
    assert_eq!(
        (&last["from"], &last["to"], &last["added"]),
        (&json!(2), &json!(3), &json!(1))
    );
    let same = house.api.get(&format!("{place}/diff?from=2&to=2")).await;
    assert_eq!((&same["hunks"], &same["unified"]), (&json!([]), &json!("")));

    let image = create(&house, &project, "image", "i", GIF).await;
    assert_eq!((&image["content"], &image["size"]), (&json!(GIF), &json!(14)));
    put(&house, &image, "text").await.problem(422, "invalid");
    let diff = house.api.get(&format!("{}/diff", path(&image))).await;
    assert_eq!((&diff["binary"], &diff["hunks"]), (&json!(true), &json!([])));
}

async fn raw(house: &House, artifact: &Value) -> Response {
    let path = format!("{}/raw", path(artifact));
    house.api.request(Method::GET, &path).send().await.unwrap()
}

fn head<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
        .unwrap_or_default()
}

#[tokio::test]
async fn downloads_are_attachments() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    for (kind, name, content, media_type, file) in [
        (
            "html",
            "../../evil\r\nX: y.html",
            "<script>alert(1)</script>",
            "text/html; charset=utf-8",
            "_.._evil X_ y.html",
        ),
        (
            "svg",
            "drawing",
            "<svg onload='alert(1)'/>",
            "image/svg+xml",
            "drawing.svg",
        ),
        (
            "code",
            "main.rs",
            "fn main() {}",
            "text/plain; charset=utf-8",
            "main.rs",
        ),
        ("json", "con", "{}", "application/json", "_con.json"),
        ("markdown", "a\"b", "# x", "text/markdown; charset=utf-8", "a_b.md"),
        ("image", "p", GIF, "image/gif", "p.gif"),
    ] {
        let made = create(&house, &project, kind, name, content).await;
        let response = raw(&house, &made).await;
        assert_eq!(response.status(), 200);
        assert_eq!(head(&response, "content-type"), media_type);
        let disposition = head(&response, "content-disposition").to_owned();
        assert!(
            disposition.starts_with(&format!("attachment; filename=\"{file}\";")),
            "{disposition}"
        );
        assert_eq!(head(&response, "x-content-type-options"), "nosniff");
        assert_eq!(
            head(&response, "content-security-policy"),
            "sandbox; default-src 'none'; frame-ancestors 'none'"
        );
        assert_eq!(response.headers().get("x"), None);
        let bytes = response.bytes().await.unwrap();
        assert_eq!(bytes.len() as u64, made["size"].as_u64().unwrap());
        if kind != "image" {
            assert_eq!(bytes, content.as_bytes());
        }
    }
}

/// A request without token or cookie.
async fn stranger(house: &House, path: &str) -> Response {
    let client = crate::support::server::Server::client();
    client.get(house.server.url(path)).send().await.unwrap()
}

async fn link(house: &House, artifact: &Value) -> String {
    let link = house
        .api
        .post(&format!("{}/preview-link", path(artifact)), json!({}))
        .await
        .expect(200);
    link["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn previews_are_boxed() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    let scripted = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; ";
    let still = "sandbox; default-src 'none'; style-src 'unsafe-inline'; ";
    for (kind, content, media_type, policy, part) in [
        (
            "html",
            "<p>hi</p><script>fetch('/api/sessions')</script>",
            "text/html",
            scripted,
            "<script>fetch",
        ),
        (
            "svg",
            "<svg xmlns='http://www.w3.org/2000/svg'/>",
            "image/svg+xml",
            scripted,
            "<svg",
        ),
        (
            "markdown",
            "# Title\n<script>alert(1)</script>",
            "text/html",
            still,
            "<h1>Title</h1>",
        ),
        (
            "code",
            "</code></pre><script>alert(1)</script>",
            "text/html",
            still,
            "<pre",
        ),
        (
            "note",
            "</pre><script>alert(1)</script>",
            "text/html",
            still,
            "&lt;script&gt;",
        ),
        ("log", "<b>", "text/html", still, "<pre>&lt;b&gt;</pre>"),
        ("json", "{\"a\": \"</pre><script>\"}", "text/html", still, "<pre"),
        ("image", GIF, "image/gif", still, "GIF89a"),
    ] {
        let made = create(&house, &project, kind, "</title><script>alert(1)</script>", content).await;
        let url = link(&house, &made).await;
        let response = stranger(&house, &url).await;
        assert_eq!(response.status(), 200, "{kind}");
        assert!(head(&response, "content-type").starts_with(media_type), "{kind}");
        let found = head(&response, "content-security-policy");
        assert!(
            found.starts_with(policy) && found.ends_with("frame-ancestors 'self'"),
            "{kind}: {found}"
        );
        assert!(
            !found.contains("allow-same-origin") && !found.contains("connect-src"),
            "{found}"
        );
        assert_eq!(head(&response, "x-content-type-options"), "nosniff");
        assert_eq!(head(&response, "referrer-policy"), "no-referrer");
        // A browser may refuse a sandboxed document with another policy in a tab of its own.
        assert_eq!(head(&response, "cross-origin-opener-policy"), "unsafe-none");
        assert_eq!(head(&response, "cross-origin-resource-policy"), "same-origin");
        assert!(!found.contains("allow-top") && !found.contains("allow-popups") && !found.contains("allow-forms"));
        assert_eq!(head(&response, "cache-control"), "no-store");
        assert_eq!(response.headers().get("set-cookie"), None);
        let body = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        assert!(body.contains(part), "{kind}: {body}");
        if policy == still && kind != "image" {
            assert!(!body.contains("<script"), "{kind}: {body}");
        }
    }
    // What runs in the box is of origin `null`: nothing of it changes anything or opens a socket.
    let body = json!({ "name": "from the box" }).to_string();
    let request = house
        .api
        .request(Method::POST, "/api/projects")
        .header("origin", "null");
    let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
    { house.api.send(Method::POST, "/api/projects", request) }
        .await
        .problem(403, "forbidden");
}

#[tokio::test]
async fn only_a_fresh_link_of_hers_opens_a_preview() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    let made = create(&house, &project, "html", "a", "<p>secret</p>").await;
    let other = create(&house, &project, "html", "b", "<p>other</p>").await;
    let second = put(&house, &made, "<p>second</p>").await.expect(200);
    let url = link(&house, &second).await;
    assert!(stranger(&house, &url).await.text().await.unwrap().contains("second"));

    let (id, other_id) = (made["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    let expires = url.split("expires=").nth(1).unwrap().split('&').next().unwrap();
    let later = (expires.parse::<i64>().unwrap() + 1).to_string();
    for spoilt in [
        url.replace(id, other_id),
        url.replace("version=2", "version=1"),
        url.replace(expires, &later),
        url.replace("signature=1.", "signature=2."),
        url.replace("signature=1.", "signature=1.0"),
        url.replace("version=2&", ""),
        format!("/api/artifacts/{id}/preview?version=2&expires={expires}&signature="),
    ] {
        // Not even the owner's token helps a link that is wrong.
        for response in [
            stranger(&house, &spoilt).await,
            house.api.request(Method::GET, &spoilt).send().await.unwrap(),
        ] {
            assert_eq!(response.status(), 403, "{spoilt}");
            assert_eq!(head(&response, "content-type"), "application/problem+json");
            assert!(!response.text().await.unwrap().contains("second"));
        }
    }
    // Without a link: strangers are told to log in, the owner is sent to a fresh one.
    let plain = format!("/api/artifacts/{id}/preview");
    assert_eq!(stranger(&house, &plain).await.status(), 401);
    let sent = house
        .api
        .request(Method::GET, &format!("{plain}?version=1"))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 303);
    let to = head(&sent, "location").to_owned();
    assert!(stranger(&house, &to).await.text().await.unwrap().contains("secret"));
    let answer = house.api.post(&format!("{plain}-link"), json!({ "version": 9 })).await;
    assert_eq!(answer.problem(422, "invalid")["errors"][0]["field"], "version");
    // What is deleted is not shown by an old link.
    house.api.delete(&format!("/api/artifacts/{id}")).await.expect(204);
    assert_eq!(stranger(&house, &url).await.status(), 404);
    // Nor does a link open anything else.
    let query = url.split('?').nth(1).unwrap();
    for elsewhere in ["/raw", "", "/versions"] {
        let response = stranger(&house, &format!("/api/artifacts/{other_id}{elsewhere}?{query}")).await;
        assert_eq!(response.status(), 401, "{elsewhere}");
    }
}

#[tokio::test]
async fn an_event_carries_what_is_small() {
    let house = House::new().await;
    let project = make(&house, "p").await;
    let mut line = house.line().await;
    create(&house, &project, "note", "small", &"x".repeat(32 * 1024)).await;
    assert!(line.wait("artifact").await["object"]["content"].is_string());
    let large = create(&house, &project, "note", "large", &"x".repeat(32 * 1024 + 1)).await;
    let event = line.wait("artifact").await;
    assert_eq!(
        (&event["object"]["content"], &event["object"]["etag"]),
        (&Value::Null, &large["etag"])
    );
}

#[tokio::test]
async fn an_export_brings_them_along() {
    let house = House::new().await;
    let project = make(&house, "Travelling").await;
    let made = create(&house, &project, "note", "n", "one").await;
    let second = put(&house, &made, "two").await.expect(200);
    let file = house.setup.dir().join("out.jsonl");
    house.setup.say(&["export", file.to_str().unwrap()]);
    let other = House::new().await;
    let mut line = other.line().await;
    other.setup.say(&["import", file.to_str().unwrap()]);
    let event = line.wait("project").await;
    assert_eq!(
        (&event["action"], &event["object"]["name"]),
        (&json!("created"), &json!("Travelling"))
    );
    assert_eq!(other.api.get(&path(&made)).await, second);
    let first = other.api.get(&format!("{}/versions/1", path(&made))).await;
    assert_eq!(first["content"], "one");
}
