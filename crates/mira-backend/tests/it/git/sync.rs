//! Bringing a clone in step with its remote.

use super::Desk;
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

#[tokio::test]
async fn what_others_push_comes_and_what_is_written_goes() {
    let desk = Desk::new().await;
    let sync = async |body: Value| desk.house.api.post(&desk.of("sync", ""), body).await;
    let idle = sync(json!({})).await.expect(200);
    assert_eq!(
        (&idle["result"], &idle["pushed"]),
        (&json!("up_to_date"), &json!(false))
    );

    desk.forge.push("theirs.txt", "theirs\n");
    let mut line = desk.house.line().await;
    let forward = sync(json!({ "push": false })).await.expect(200);
    assert_eq!(
        (&forward["result"], &forward["fetched"]),
        (&json!("fast_forwarded"), &json!(true))
    );
    assert_eq!(desk.read("theirs.txt").await["content"], "theirs\n");
    let events = desk.ended(&mut line).await;
    assert_eq!(events[0]["object"]["status"], "syncing");
    assert_eq!(events.last().unwrap()["object"]["status"], "ready");
    assert!(desk.repo().await["last_sync_at"].is_string());

    desk.write("mine.txt", "mine\n").await;
    let kept = sync(json!({})).await.expect(200);
    assert_eq!(kept["pushed"], false);
    assert_eq!(
        desk.forge.git(&["log", "-1", "--format=%s", "main"]),
        "pushed theirs.txt",
        "not asked to push"
    );
    desk.forge.push("more.txt", "more\n");
    let merged = sync(json!({ "push": true, "commit_message": "Both" }))
        .await
        .expect(200);
    assert_eq!((&merged["result"], &merged["pushed"]), (&json!("merged"), &json!(true)));
    assert_eq!(desk.forge.git(&["rev-parse", "main"]), merged["head"].as_str().unwrap());
    assert_eq!(desk.forge.git(&["log", "-1", "--format=%s", "main"]), "Both");
    assert_eq!(desk.forge.git(&["show", "main:mine.txt"]), "mine");
    desk.forge.git(&["fsck", "--strict"]);
    desk.is_clean();
}

#[tokio::test]
async fn a_conflict_names_the_paths_and_changes_nothing() {
    let desk = Desk::new().await;
    desk.forge.push("notes.txt", "theirs\n");
    desk.write("notes.txt", "mine\n").await;
    let before = desk.git(&["rev-parse", "HEAD"]);
    let body = json!({ "push": true });
    let problem = desk
        .house
        .api
        .post(&desk.of("sync", ""), body)
        .await
        .problem(409, "conflict");
    assert_eq!(problem["paths"], json!(["notes.txt"]));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), before);
    assert_eq!(desk.read("notes.txt").await["content"], "mine\n");
    assert_eq!(desk.forge.git(&["show", "main:notes.txt"]), "theirs");
    let repo = desk.repo().await;
    assert_eq!(repo["status"], "ready");
    assert!(repo["error"].as_str().unwrap().contains("notes.txt"), "{repo}");
    desk.is_clean();
}

#[tokio::test]
async fn a_body_may_be_left_out_but_not_be_something_else() {
    let desk = Desk::new().await;
    let path = desk.of("sync", "");
    desk.house.api.call(Method::POST, &path, None).await.expect(200);
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let request = desk.house.api.request(Method::POST, &path);
        let request = request.header(CONTENT_TYPE, kind).body(r#"{"push": true}"#);
        let answer = desk.house.api.send(Method::POST, &path, request).await;
        answer.problem(415, "unsupported-media-type");
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let mut desk = Desk::new().await;
    let written = desk.write("README.md", "# Before\n").await;
    std::fs::write(desk.clone_dir().join("notes.txt"), "by hand\n").unwrap();
    desk.house.server.signal("KILL");
    desk.house.server.wait();
    desk.house.restart().await;
    let repo = desk.repo().await;
    assert_eq!((&repo["status"], &repo["error"]), (&json!("ready"), &Value::Null));
    assert_eq!(desk.git(&["rev-parse", "HEAD"]), written["commit"].as_str().unwrap());
    assert_eq!(desk.read("notes.txt").await["content"], "by hand\n");
    desk.forge.push("theirs.txt", "theirs\n");
    let merged = desk
        .house
        .api
        .post(&desk.of("sync", ""), json!({ "push": true }))
        .await
        .expect(200);
    assert_eq!((&merged["result"], &merged["pushed"]), (&json!("merged"), &json!(true)));
    assert_eq!(desk.git(&["status", "--porcelain"]), " M notes.txt");
}
