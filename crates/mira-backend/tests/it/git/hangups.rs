//! Callers who hang up in the middle: what they asked for goes on to its end, and no row says for ever that something is
//! going on.

use super::Desk;
use crate::support::{client::House, forge::Forge, held::hang_up};
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

fn post(house: &House, path: &str, body: &Value) -> reqwest::RequestBuilder {
    let request = house.api.request(Method::POST, path);
    request.header(CONTENT_TYPE, "application/json").body(body.to_string())
}

#[tokio::test]
async fn a_sync_goes_on() {
    let desk = Desk::new().await;
    desk.forge.push("theirs.txt", "theirs\n");
    let mut line = desk.house.line().await;
    hang_up(&desk.house, post(&desk.house, &desk.of("sync", ""), &json!({}))).await;
    let events = desk.ended(&mut line).await;
    assert_eq!(events[0]["object"]["status"], "syncing");
    assert_eq!(events.last().unwrap()["object"]["status"], "ready");
    assert_eq!(desk.read("theirs.txt").await["content"], "theirs\n");
    let again = desk.house.api.post(&desk.of("sync", ""), json!({})).await;
    assert_eq!(again.expect(200)["result"], "up_to_date");
}

#[tokio::test]
async fn a_clone_goes_on() {
    let mut desk = Desk::bare(Forge::new()).await;
    let mut line = desk.house.line().await;
    let body = json!({ "repo_url": desk.forge.url() });
    hang_up(&desk.house, post(&desk.house, &desk.below("attach"), &body)).await;
    let made = line.wait("git").await;
    assert_eq!(
        (&made["action"], &made["object"]["status"]),
        (&json!("created"), &json!("cloning"))
    );
    made["object"]["id"].as_str().unwrap().clone_into(&mut desk.att);
    let events = desk.ended(&mut line).await;
    assert_eq!(events.last().unwrap()["object"]["status"], "ready");
    desk.is_clean();
}

#[tokio::test]
async fn what_is_detached_or_deleted_goes_whole() {
    for whole_project in [false, true] {
        let desk = Desk::new().await;
        let mut line = desk.house.line().await;
        let path = if whole_project {
            format!("/api/projects/{}", desk.project)
        } else {
            desk.of("repos", "")
        };
        hang_up(&desk.house, desk.house.api.request(Method::DELETE, &path)).await;
        if whole_project {
            let gone = line.wait("project").await;
            assert_eq!(
                (&gone["action"], &gone["object"]["id"]),
                (&json!("deleted"), &json!(desk.project))
            );
        }
        let gone = line.wait("git").await;
        assert_eq!(
            (&gone["action"], &gone["object"]["id"]),
            (&json!("deleted"), &json!(desk.att))
        );
        // The folder goes behind the news; the end of the process waits for it.
        let Desk { mut house, .. } = desk;
        house.server.signal("TERM");
        house.server.wait();
        super::nothing_is_left(&house);
    }
}
