//! Attaching: progress, refusals, credentials, cancelling, crashes, detaching.

use super::{Desk, new_project, nothing_is_left};
use crate::support::forge::{Forge, Manners, PASSWORD};
use serde_json::{Value, json};
use std::{fs, path::Path};

const TOKEN_USER: &str = "me";

/// Everything below a folder that holds these bytes.
fn holding(folder: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, needle));
        } else if let Ok(bytes) = fs::read(&path)
            && bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn attaching_tells_how_far_it_is_and_shows_in_the_project() {
    let mut desk = Desk::bare(Forge::new()).await;
    let (repo, events) = desk
        .attach(json!({ "repo_url": desk.forge.url(), "branch": "main" }))
        .await;
    assert_eq!(repo["repo_url"], desk.forge.url());
    assert_eq!((&repo["progress"], &repo["error"]), (&Value::Null, &Value::Null));
    assert_eq!(events[0]["action"], "created");
    assert!(events[1..].iter().all(|event| event["action"] == "updated"));
    // Stages come in their order, and nothing of a stage goes back.
    let stages = ["connecting", "receiving", "resolving", "checking_out"];
    let places: Vec<(usize, u64)> = events
        .iter()
        .filter_map(|event| {
            let progress = &event["object"]["progress"];
            let stage = progress["stage"].as_str()?;
            let place = stages.iter().position(|known| *known == stage).unwrap();
            Some((place, progress["percent"].as_u64().unwrap()))
        })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(desk.git(&["log", "--format=%s"]), "notes\nstart");
    desk.is_clean();

    let project = desk.house.api.get(&format!("/api/projects/{}", desk.project)).await;
    assert_eq!(project["attached_repos"], json!([repo]));
    let list = desk.house.api.get(&desk.below("repos")).await;
    assert_eq!(list, json!({ "repos": [repo], "next_cursor": null }));
    let alias = format!("/api/project/{}/git/repos/{}", desk.project, desk.att);
    assert_eq!(desk.house.api.get(&alias).await, repo);
}

#[tokio::test]
async fn addresses_are_refused_by_name() {
    let desk = Desk::bare(Forge::new()).await;
    let refused = async |body: Value, field: &str| {
        let problem = desk
            .house
            .api
            .post(&desk.below("attach"), body.clone())
            .await
            .problem(422, "invalid");
        let fields: Vec<&str> = { problem["errors"].as_array().unwrap().iter() }
            .map(|error| error["field"].as_str().unwrap())
            .collect();
        assert_eq!(fields, [field], "{body}: {problem}");
        assert!(!problem.to_string().contains("s3cret"), "{problem}");
    };
    for url in [
        "http://127.0.0.1:9/a.git",
        "https://127.0.0.1/a.git",
        "https://[::ffff:10.0.0.1]/a.git",
        "https://169.254.169.254/latest",
        "ssh://git@192.168.0.1/a.git",
        "http://example.org/a.git",
        "https://me:s3cret@example.org/a.git",
        "file:///etc",
        "/etc",
        "ext::sh -c id",
        "git://example.org/a.git",
        "-oProxyCommand=id",
        "ssh://-oProxyCommand=id/a",
        "",
    ] {
        refused(json!({ "repo_url": url }), "repo_url").await;
    }
    let url = "https://example.org/a.git";
    refused(json!({ "repo_url": url, "branch": "--upload-pack=id" }), "branch").await;
    refused(json!({ "repo_url": url, "auth": { "type": "magic" } }), "auth.type").await;
    refused(json!({ "repo_url": url, "auth": { "type": "token" } }), "auth.token").await;
    let key = json!({ "type": "ssh_key", "private_key": "s3cret" });
    refused(json!({ "repo_url": url, "auth": key }), "auth.type").await;
    let password = json!({ "type": "password", "username": "me", "password": "s3cret" });
    refused(
        json!({ "repo_url": "git@example.org:a.git", "auth": password }),
        "auth.type",
    )
    .await;
    assert_eq!(desk.house.api.get(&desk.below("repos")).await["repos"], json!([]));
    let nowhere = "/api/projects/019b0000-0000-7000-8000-000000000000/git/attach";
    desk.house
        .api
        .post(nowhere, json!({ "repo_url": url }))
        .await
        .problem(404, "not-found");
    assert_eq!(desk.forge.seen(), [""; 0], "nobody was asked");
}

#[tokio::test]
async fn credentials_lie_in_their_own_file_and_nowhere_else() {
    let mut desk = Desk::bare(Forge::with(Manners::guarded())).await;
    let url = desk.forge.url();
    let (repo, _) = desk.attach(json!({ "repo_url": url })).await;
    assert_eq!(repo["status"], "failed");
    assert!(repo["error"].as_str().unwrap().contains("wants credentials"), "{repo}");
    let wrong = json!({ "type": "password", "username": TOKEN_USER, "password": "wr0ng-s3cret" });
    let (repo, events) = desk.attach(json!({ "repo_url": url, "auth": wrong })).await;
    assert_eq!(repo["status"], "failed");
    assert!(!format!("{repo} {events:?}").contains("wr0ng-s3cret"));
    nothing_is_left(&desk.house);
    desk.house.api.get(&desk.of("repos", "")).await;
    desk.house
        .api
        .try_get(&desk.of("files", "/tree"))
        .await
        .problem(409, "conflict");

    let right = json!({ "type": "password", "username": TOKEN_USER, "password": PASSWORD });
    let (repo, events) = desk.attach(json!({ "repo_url": url, "auth": right })).await;
    assert_eq!(repo["status"], "ready", "{repo}");
    desk.write("README.md", "# Hers\n").await;
    let synced = desk
        .house
        .api
        .post(&desk.of("sync", ""), json!({ "push": true }))
        .await
        .expect(200);
    assert_eq!(synced["pushed"], true);
    desk.house.server.signal("TERM");
    desk.house.server.wait();
    let mut files = holding(desk.house.setup.dir(), PASSWORD);
    let secret = files.pop().unwrap();
    assert_eq!(files, [""; 0], "and nowhere else");
    assert!(secret.contains(&format!("secrets/git/{}/", desk.att)), "{secret}");
    assert_eq!(holding(desk.house.setup.dir(), "wr0ng-s3cret"), [""; 0]);
    let said = format!("{repo} {events:?} {synced} {:?}", desk.house.server.stderr.all());
    assert!(!said.contains(PASSWORD) && !said.contains("wr0ng-s3cret"), "{said}");
}

#[tokio::test]
async fn a_clone_is_cancelled_and_leaves_nothing() {
    let stalls = Manners {
        stalls_after: Some(40),
        ..Manners::default()
    };
    let mut desk = Desk::bare(Forge::with(stalls)).await;
    let mut line = desk.house.line().await;
    let body = json!({ "repo_url": desk.forge.url() });
    let repo = desk.house.api.post(&desk.below("attach"), body).await.expect(202);
    desk.att = repo["id"].as_str().unwrap().to_owned();
    desk.house
        .api
        .try_get(&desk.of("files", "/tree"))
        .await
        .problem(409, "conflict");
    desk.house
        .api
        .post(&desk.of("sync", ""), json!({}))
        .await
        .problem(409, "conflict");
    desk.house
        .api
        .post(&desk.of("repos", "/cancel"), json!({}))
        .await
        .expect(202);
    let events = desk.ended(&mut line).await;
    assert_eq!(events.last().unwrap()["object"]["status"], "cancelled");
    nothing_is_left(&desk.house);
    desk.house
        .api
        .post(&desk.of("repos", "/cancel"), json!({}))
        .await
        .problem(409, "conflict");
    let answer = desk.house.api.delete(&desk.of("repos", "")).await;
    assert_eq!(answer.status, 204);
    desk.house
        .api
        .try_get(&desk.of("repos", ""))
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn detaching_in_the_middle_of_a_clone_leaves_nothing() {
    let stalls = Manners {
        stalls_after: Some(40),
        ..Manners::default()
    };
    let mut desk = Desk::bare(Forge::with(stalls)).await;
    let auth = json!({ "type": "token", "token": "s3cret-token" });
    let body = json!({ "repo_url": desk.forge.url(), "auth": auth });
    let repo = desk.house.api.post(&desk.below("attach"), body).await.expect(202);
    desk.att = repo["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.house.api.delete(&desk.of("repos", "")).await.status, 204);
    nothing_is_left(&desk.house);
}

#[tokio::test]
async fn a_kill_during_a_clone_is_told_by_the_row() {
    let stalls = Manners {
        stalls_after: Some(40),
        ..Manners::default()
    };
    let mut desk = Desk::bare(Forge::with(stalls)).await;
    let mut line = desk.house.line().await;
    let body = json!({ "repo_url": desk.forge.url() });
    let repo = desk.house.api.post(&desk.below("attach"), body).await.expect(202);
    desk.att = repo["id"].as_str().unwrap().to_owned();
    // It talks to the remote when it says so.
    line.until_that(|frame| frame["type"] == "git" && frame["object"]["progress"].is_object())
        .await;
    desk.house.server.signal("KILL");
    desk.house.server.wait();
    desk.house.restart().await;
    let repo = desk.repo().await;
    assert_eq!((&repo["status"], &repo["progress"]), (&json!("failed"), &Value::Null));
    assert!(repo["error"].as_str().unwrap().starts_with("interrupted"), "{repo}");
    assert_eq!(desk.house.api.delete(&desk.of("repos", "")).await.status, 204);
    nothing_is_left(&desk.house);
}

/// Restarts, and waits for what the start says of the repository.
async fn looked_after(desk: &mut Desk, status: &str) -> Value {
    desk.house.server.signal("TERM");
    desk.house.server.wait();
    desk.house.restart().await;
    let mut line = desk.house.line().await;
    let mut repo = desk.repo().await;
    if repo["status"] != status {
        let events = line
            .until_that(|frame| frame["type"] == "git" && frame["object"]["status"] == status)
            .await;
        repo = events.last().unwrap()["object"].clone();
    }
    repo
}

#[tokio::test]
async fn a_folder_that_is_missing_is_told_and_may_come_back() {
    let mut desk = Desk::new().await;
    let (folder, aside) = (desk.clone_dir(), desk.house.setup.dir().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    let repo = looked_after(&mut desk, "failed").await;
    assert_eq!(repo["error"], "its folder is missing");
    // The model it asks lives in this thread.
    let mut doctor = desk.house.setup.command(&["doctor"]);
    let doctor = tokio::task::spawn_blocking(move || doctor.output().unwrap())
        .await
        .unwrap();
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    let line = doctor
        .lines()
        .find(|line| line.starts_with("warn  repositories"))
        .unwrap();
    assert!(
        line.contains(&desk.att) && line.ends_with("its folder is missing"),
        "{doctor}"
    );
    fs::rename(&aside, &folder).unwrap();
    let repo = looked_after(&mut desk, "ready").await;
    assert_eq!((&repo["error"], &repo["branch"]), (&Value::Null, &json!("main")));
    // What is no repository any more is not touched either.
    fs::write(folder.join(".git/HEAD"), "nonsense").unwrap();
    let repo = looked_after(&mut desk, "failed").await;
    assert!(
        repo["error"].as_str().unwrap().starts_with("it cannot be read"),
        "{repo}"
    );
    assert!(folder.join("README.md").exists());
}

#[tokio::test]
async fn deleting_the_project_says_and_takes_its_clones() {
    let desk = Desk::new().await;
    let path = format!("/api/projects/{}", desk.project);
    assert_eq!(desk.house.api.get(&format!("{path}/deletion")).await["repos"], 1);
    let mut line = desk.house.line().await;
    assert_eq!(desk.house.api.delete(&path).await.expect(200)["repos"], 1);
    let gone = line.wait("git").await;
    assert_eq!(gone["action"], "deleted");
    assert_eq!(gone["object"], json!({ "id": desk.att, "project_id": desk.project }));
    desk.house
        .api
        .try_get(&desk.of("repos", ""))
        .await
        .problem(404, "not-found");
    // The folder goes behind the answer; the end of the process waits for it.
    let Desk { mut house, forge, .. } = desk;
    house.server.signal("TERM");
    house.server.wait();
    nothing_is_left(&house);
    assert_eq!(forge.git(&["log", "-1", "--format=%s"]), "notes", "the remote stays");
}

#[tokio::test]
async fn an_attachment_of_another_project_is_not_there() {
    let mut desk = Desk::new().await;
    desk.project = new_project(&desk.house, "Other").await;
    let api = &desk.house.api;
    for path in [
        desk.of("repos", ""),
        desk.of("files", "/tree"),
        desk.content("README.md"),
        desk.of("branches", ""),
        desk.of("commits", ""),
        desk.of("diff", "/HEAD"),
        desk.of("status", ""),
        desk.of("blame", "/README.md"),
        desk.of("file-at-commit", "/HEAD/README.md"),
        desk.of("search", "?q=one"),
    ] {
        api.try_get(&path).await.problem(404, "not-found");
    }
    api.put(&desk.content("a"), json!({ "content": "x" }))
        .await
        .problem(404, "not-found");
    api.post(&desk.of("sync", ""), json!({}))
        .await
        .problem(404, "not-found");
    api.post(&desk.of("branch", ""), json!({ "branch_name": "x", "create": true }))
        .await
        .problem(404, "not-found");
    api.patch(&desk.of("repos", ""), json!({ "writes": "direct" }))
        .await
        .problem(404, "not-found");
    api.delete(&desk.of("repos", "")).await.problem(404, "not-found");
    desk.is_clean();
}
