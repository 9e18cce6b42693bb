//! Repositories of a project, through the real server: attached from git's own server, read, changed, synced, proposed
//! upon, and read back by the `git` command.

mod attach;
mod files;
mod hangups;
mod history;
mod losses;
mod proposals;
mod sync;
mod unusual;

use crate::support::{
    client::{House, Line},
    forge::{Forge, git},
};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A house with a project, and a forge it may reach.
struct Desk {
    house: House,
    forge: Forge,
    project: String,
    /// The attached repository; empty before [`Desk::attach`].
    att: String,
}

impl Desk {
    /// With the forge's repository attached and ready.
    async fn new() -> Self {
        let mut desk = Self::bare(Forge::new()).await;
        let (repo, _) = desk.attach(json!({ "repo_url": desk.forge.url() })).await;
        assert_eq!(
            (&repo["status"], &repo["branch"]),
            (&json!("ready"), &json!("main")),
            "{repo}"
        );
        desk
    }

    /// With nothing attached.
    async fn bare(forge: Forge) -> Self {
        let host = forge.host();
        let house = House::with(|setup| setup.env("MIRA_ALLOW_PRIVATE_HOSTS", host)).await;
        let project = new_project(&house, "Code").await;
        Self {
            house,
            forge,
            project,
            att: String::new(),
        }
    }

    /// Attaches and waits for the end: the repository, and all events about it.
    async fn attach(&mut self, body: Value) -> (Value, Vec<Value>) {
        let mut line = self.house.line().await;
        let accepted = self.house.api.post(&self.below("attach"), body).await.expect(202);
        assert_eq!(accepted["status"], "cloning");
        accepted["id"].as_str().unwrap().clone_into(&mut self.att);
        let events = self.ended(&mut line).await;
        (self.repo().await, events)
    }

    /// Events about the repository, until it is neither cloned nor synced.
    async fn ended(&self, line: &mut Line) -> Vec<Value> {
        let mut events = line
            .until_that(|frame| {
                let status = frame["object"]["status"].as_str().unwrap_or("cloning");
                frame["type"] == "git" && frame["object"]["id"] == self.att && !matches!(status, "cloning" | "syncing")
            })
            .await;
        events.retain(|frame| frame["type"] == "git" && frame["object"]["id"] == self.att);
        events
    }

    /// A path below the project's git.
    fn below(&self, rest: &str) -> String {
        format!("/api/projects/{}/git/{rest}", self.project)
    }

    /// `{kind}/{att}{rest}`, below the same.
    fn of(&self, kind: &str, rest: &str) -> String {
        self.below(&format!("{kind}/{}{rest}", self.att))
    }

    fn content(&self, path: &str) -> String {
        self.of("files", &format!("/content/{path}"))
    }

    async fn repo(&self) -> Value {
        self.house.api.get(&self.of("repos", "")).await
    }

    async fn read(&self, path: &str) -> Value {
        self.house.api.get(&self.content(path)).await
    }

    /// Writes a file, which must work.
    async fn write(&self, path: &str, text: &str) -> Value {
        let body = json!({ "content": text });
        self.house.api.put(&self.content(path), body).await.expect(200)
    }

    fn clone_dir(&self) -> PathBuf {
        self.house.setup.data_dir().join("repos").join(&self.att)
    }

    /// git in the clone.
    fn git(&self, args: &[&str]) -> String {
        git(&self.clone_dir(), args)
    }

    /// The clone is what git calls whole, and nothing in it is half done.
    fn is_clean(&self) {
        self.git(&["fsck", "--strict"]);
        assert_eq!(self.git(&["status", "--porcelain"]), "");
    }
}

/// No clone, no half of one, no credentials.
fn nothing_is_left(house: &House) {
    for folder in ["repos", "secrets/git"] {
        let left: Vec<_> = std::fs::read_dir(house.setup.data_dir().join(folder))
            .into_iter()
            .flatten()
            .collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
}

async fn new_project(house: &House, name: &str) -> String {
    let project = house
        .api
        .post("/api/projects", json!({ "name": name }))
        .await
        .expect(201);
    project["id"].as_str().unwrap().to_owned()
}
