//! Projects: made, changed, found and deleted over REST, heard of on every socket, named by sessions and messages.

use crate::{files::upload_to, support::client::House};
use reqwest::{Method, header};
use serde_json::{Value, json};

const UNKNOWN: &str = "0199f3a0-0000-7000-8000-000000000001";

pub async fn make(house: &House, name: &str) -> String {
    let made = house.api.project(name).await;
    made["id"].as_str().unwrap().to_owned()
}

fn names(list: &Value) -> Vec<&str> {
    let projects = list["projects"].as_array().unwrap();
    projects
        .iter()
        .map(|project| project["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_project_from_its_making_to_its_end() {
    let house = House::new().await;
    let mut line = house.line().await;
    let body = json!({
        "name": "  The\n garden ",
        "description": "Beds and paths.",
        "tags": ["Green", "green", " two  words "],
        "instructions": "Speak of plants.\nLatin names.",
    });
    let made = house.api.post("/api/projects", body).await;
    let id = made.body["id"].as_str().unwrap().to_owned();
    assert_eq!(made.headers[header::LOCATION], format!("/api/projects/{id}").as_str());
    let made = made.expect(201);
    assert_eq!(
        (&made["name"], &made["tags"], &made["instructions"]),
        (
            &json!("The garden"),
            &json!(["green", "two words"]),
            &json!("Speak of plants.\nLatin names.")
        )
    );
    let event = line.wait("project").await;
    assert_eq!((&event["action"], &event["object"]), (&json!("created"), &made));

    // Both names, all verbs.
    for path in [format!("/api/projects/{id}"), format!("/api/project/{id}")] {
        let found = house.api.get(&path).await;
        assert_eq!(
            (&found["attached_repos"], &found["artifacts"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(found["description"], "Beds and paths.");
        let changed = house.api.patch(&path, json!({ "tags": [] })).await.expect(200);
        assert_eq!((&changed["name"], &changed["tags"]), (&json!("The garden"), &json!([])));
        assert_eq!(line.wait("project").await["action"], "updated");
        let put = house.api.put(&path, json!({ "name": "Bare" })).await.expect(200);
        assert_eq!(
            (&put["name"], &put["description"], &put["instructions"]),
            (&json!("Bare"), &json!(""), &json!(""))
        );
        assert_eq!(line.wait("project").await["object"], put);
        let back = json!({ "name": "The garden", "description": "Beds and paths.", "tags": ["green"] });
        house.api.put(&path, back).await.expect(200);
        line.wait("project").await;
    }

    make(&house, "Kitchen").await;
    let list = async |query: &str| house.api.get(&format!("/api/projects?{query}")).await;
    assert_eq!(names(&list("").await), ["Kitchen", "The garden"]);
    assert_eq!(names(&list("q=BEDS%20gard").await), ["The garden"]);
    assert_eq!(names(&list("q=%22%20OR%20*").await), [""; 0]);
    assert_eq!(names(&list("tag=Green").await), ["The garden"]);
    assert_eq!(names(&list("tag=red").await), [""; 0]);
    let first = list("limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = list(&format!("limit=1&cursor={cursor}")).await;
    assert_eq!((names(&first), names(&rest)), (vec!["Kitchen"], vec!["The garden"]));
    assert_eq!(rest["next_cursor"], Value::Null);

    let none = json!({ "artifacts": 0, "versions": 0, "sessions": 0, "repos": 0, "files": 0, "unpublished": [] });
    let gone = house.api.delete(&format!("/api/project/{id}")).await.expect(200);
    assert_eq!(gone, none);
    let event = line
        .until_that(|frame| frame["type"] == "project" && frame["action"] == "deleted")
        .await;
    assert_eq!(event.last().unwrap()["object"]["id"], id.as_str());
    for (method, path) in [
        (Method::GET, format!("/api/projects/{id}")),
        (Method::DELETE, format!("/api/projects/{id}")),
        (Method::GET, format!("/api/projects/{id}/deletion")),
        (Method::GET, format!("/api/projects/{id}/artifacts")),
        (Method::GET, "/api/project/nonsense".to_owned()),
        (Method::GET, "/api/projects/%2e%2e".to_owned()),
    ] {
        house.api.call(method, &path, None).await.problem(404, "not-found");
    }
    for (method, body) in [(Method::PUT, json!({ "name": "x" })), (Method::PATCH, json!({}))] {
        let path = format!("/api/projects/{id}");
        house
            .api
            .call(method, &path, Some(body))
            .await
            .problem(404, "not-found");
    }
}

#[tokio::test]
async fn values_that_are_not_valid() {
    let house = House::new().await;
    let id = make(&house, "p").await;
    let path = format!("/api/projects/{id}");
    for (body, field) in [
        (json!({ "name": " \u{0}\n" }), "name"),
        (json!({ "name": "n".repeat(201) }), "name"),
        (json!({ "name": null }), "name"),
        (json!({ "name": "x", "description": "d".repeat(4001) }), "description"),
        (
            json!({ "name": "x", "tags": (0..21).map(|n| n.to_string()).collect::<Vec<_>>() }),
            "tags",
        ),
        (json!({ "name": "x", "tags": ["t".repeat(41)] }), "tags"),
        (json!({ "name": "x", "tags": "green" }), "tags"),
        (
            json!({ "name": "x", "instructions": "i".repeat(32 * 1024 + 1) }),
            "instructions",
        ),
    ] {
        for (method, path) in [
            (Method::POST, "/api/projects"),
            (Method::PUT, &path),
            (Method::PATCH, &path),
        ] {
            let answer = house.api.call(method, path, Some(body.clone())).await;
            assert_eq!(answer.problem(422, "invalid")["errors"][0]["field"], field, "{body}");
        }
    }
    for query in ["limit=0", "cursor=x"] {
        let answer = house.api.try_get(&format!("/api/projects?{query}")).await;
        answer.problem(422, "invalid");
    }
    // The largest of everything, and what ends texts elsewhere.
    let body = json!({
        "name": "ä".repeat(200),
        "description": "\u{0}<script>alert(1)</script>",
        "tags": (0..20).map(|n| format!("{n}{}", "t".repeat(38))).collect::<Vec<_>>(),
        "instructions": "i".repeat(32 * 1024),
    });
    let put = house.api.put(&path, body.clone()).await.expect(200);
    assert_eq!(
        (&put["name"], &put["instructions"]),
        (&body["name"], &body["instructions"])
    );
    assert_eq!(put["description"], "\u{fffd}<script>alert(1)</script>");
    assert_eq!(put["tags"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn sessions_and_messages_name_projects_that_are_there() {
    let house = House::new().await;
    let id = make(&house, "p").await;
    let refused = |problem: Value| assert_eq!(problem["errors"][0]["field"], "project_id", "{problem}");
    let unknown = json!({ "project_id": UNKNOWN });
    refused(
        house
            .api
            .post("/api/sessions", unknown.clone())
            .await
            .problem(422, "invalid"),
    );
    refused(
        house
            .api
            .patch("/api/sessions/eternal", unknown)
            .await
            .problem(422, "invalid"),
    );
    let fact = json!({ "text": "A fact.", "project_id": UNKNOWN });
    refused(house.api.post("/api/memories", fact).await.problem(422, "invalid"));
    for path in ["/api/chat", "/chat"] {
        let body = json!({ "content": "x", "project_id": UNKNOWN });
        refused(house.api.post(path, body).await.problem(422, "invalid"));
    }
    let mut line = house.line().await;
    line.send(json!({ "type": "chat", "content": "x", "project_id": UNKNOWN }))
        .await;
    refused(line.refused(422).await["error"].clone());
    assert_eq!(house.api.history().await, [Value::Null; 0], "nothing was stored");

    let session = json!({ "id": "in", "project_id": id });
    let session = house.api.post("/api/sessions", session).await.expect(201);
    assert_eq!(session["project_id"], id.as_str());
    let said = json!({ "content": "x", "session_id": "in" });
    let reply = house.api.post("/api/chat", said).await.expect(200);
    assert_eq!(reply["project_id"], id.as_str(), "a session's project is its messages'");
    let said = json!({ "content": "x", "project_id": id });
    let reply = house.api.post("/api/chat", said).await.expect(200);
    assert_eq!(reply["project_id"], id.as_str());
    let sessions = house.api.get(&format!("/api/sessions?project_id={id}")).await;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
    let fact = json!({ "text": "A fact of the project.", "project_id": id });
    let fact = house.api.post("/api/memories", fact).await.expect(201);
    assert_eq!(fact["project_id"], id.as_str());

    // Deleting says what goes; what people said stays.
    let artifact = json!({ "project_id": id, "name": "a", "type": "note", "content": "x" });
    house.api.post("/api/artifacts", artifact).await.expect(201);
    let file = upload_to(
        &house,
        &format!("/api/projects/{id}/files"),
        "plan.txt",
        b"Beds and paths.",
    )
    .await;
    let expect = json!({ "artifacts": 1, "versions": 1, "sessions": 1, "repos": 0, "files": 1, "unpublished": [] });
    assert_eq!(house.api.get(&format!("/api/projects/{id}/deletion")).await, expect);
    assert_eq!(
        house.api.delete(&format!("/api/projects/{id}")).await.expect(200),
        expect
    );
    line.until_that(|frame| frame["type"] == "project" && frame["action"] == "deleted")
        .await;
    let events = line
        .until_that(|frame| frame["type"] == "session" && frame["object"]["id"] == "in")
        .await;
    assert_eq!(events.last().unwrap()["object"]["project_id"], Value::Null);
    let is_gone = |frame: &Value| frame["type"] == "file" && frame["action"] == "deleted";
    let events = line.until_that(is_gone).await;
    assert_eq!(events.last().unwrap()["object"]["id"], file["id"]);
    let session = house.api.get("/api/sessions/in").await;
    assert_eq!(
        (&session["project_id"], &session["message_count"]),
        (&Value::Null, &json!(2))
    );
    let message = house
        .api
        .get(&format!("/api/messages/{}", reply["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&message["project_id"], &message["content"]),
        (&Value::Null, &reply["content"])
    );
    let fact = house
        .api
        .get(&format!("/api/memories/{}", fact["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&fact["project_id"], &fact["text"]),
        (&Value::Null, &json!("A fact of the project."))
    );
}
