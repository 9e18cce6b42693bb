//! What would be lost with a clone is told before it goes, and nothing of it goes without the owner's word.

use super::{Desk, nothing_is_left};
use crate::support::forge::{Forge, Manners};
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use std::fs;
use tokio::task::JoinSet;

impl Desk {
    /// What the repository holds that is nowhere else: as it tells itself, and as its project does.
    async fn unpublished(&self) -> Value {
        let own = self.house.api.get(&self.of("repos", "/deletion")).await;
        let project = self.house.api.get(&self.deletion()).await;
        assert_eq!(own["unpublished"], project["unpublished"]);
        own["unpublished"].clone()
    }

    fn deletion(&self) -> String {
        format!("/api/projects/{}/deletion", self.project)
    }

    fn would_lose(&self, commits: u64, files: u64, branches: &[&str]) -> Value {
        json!([{
            "attachment_id": self.att, "repo_url": self.forge.url(), "unpushed_commits": commits,
            "changed_files": files, "branches": branches, "branch_count": branches.len(), "stashes": 0,
            "tags": [], "tag_count": 0, "refs": [], "ref_count": 0, "error": null,
        }])
    }

    /// Neither the repository nor its project goes without being forced; what would be lost is told.
    async fn is_kept(&self, unpublished: &Value) {
        for path in [self.of("repos", ""), format!("/api/projects/{}", self.project)] {
            for query in ["", "?force=false"] {
                let problem = self.house.api.delete(&format!("{path}{query}")).await;
                let problem = problem.problem(409, "unpublished");
                assert_eq!(problem["unpublished"], *unpublished, "{path}{query}");
            }
            let nonsense = self.house.api.delete(&format!("{path}?force=perhaps")).await;
            assert_eq!(nonsense.problem(422, "invalid")["errors"][0]["field"], "force");
        }
        assert!(self.clone_dir().join("README.md").exists());
    }
}

#[tokio::test]
async fn what_was_never_pushed_or_committed_goes_only_by_force() {
    let mut desk = Desk::new().await;
    assert_eq!(desk.unpublished().await, json!([]));
    desk.write("README.md", "# Hers\n").await;
    fs::write(desk.clone_dir().join("notes.txt"), "by hand\n").unwrap();
    fs::write(desk.clone_dir().join("new.txt"), "new\n").unwrap();
    let both = desk.would_lose(1, 2, &["main"]);
    assert_eq!(desk.unpublished().await, both);
    desk.is_kept(&both).await;

    let body = json!({ "push": true });
    desk.house.api.post(&desk.of("sync", ""), body).await.expect(200);
    let files = desk.would_lose(0, 2, &[]);
    assert_eq!(desk.unpublished().await, files, "what is pushed is elsewhere");
    desk.is_kept(&files).await;

    let gone = desk.house.api.delete(&desk.of("repos", "?force=true")).await;
    assert_eq!(gone.status, 204);
    assert!(!desk.clone_dir().exists());

    // The same with the project; a branch that is not checked out counts too.
    desk.attach(json!({ "repo_url": desk.forge.url() })).await;
    let branch = json!({ "branch_name": "idea", "create": true });
    desk.house.api.post(&desk.of("branch", ""), branch).await.expect(200);
    desk.write("idea.txt", "mine\n").await;
    let back = json!({ "branch_name": "main" });
    desk.house.api.post(&desk.of("branch", ""), back).await.expect(200);
    let commits = desk.would_lose(1, 0, &["idea"]);
    assert_eq!(desk.unpublished().await, commits);
    desk.is_kept(&commits).await;
    let path = format!("/api/projects/{}?force=true", desk.project);
    let gone = desk.house.api.delete(&path).await.expect(200);
    assert_eq!((&gone["repos"], &gone["unpublished"]), (&json!(1), &json!([])));
    desk.house.api.try_get(&desk.deletion()).await.problem(404, "not-found");
}

#[tokio::test]
async fn stashes_and_tags_go_only_by_force_too() {
    let desk = Desk::new().await;
    fs::write(desk.clone_dir().join("notes.txt"), "by hand\n").unwrap();
    desk.git(&["stash", "-q"]);
    desk.git(&["tag", "-a", "-m", "words", "v1"]);
    desk.git(&["notes", "add", "-m", "a note"]);
    let mut expect = desk.would_lose(1, 0, &[]);
    expect[0]["stashes"] = json!(1);
    expect[0]["tags"] = json!(["v1"]);
    expect[0]["tag_count"] = json!(1);
    expect[0]["refs"] = json!(["refs/notes/commits"]);
    expect[0]["ref_count"] = json!(1);
    assert_eq!(desk.unpublished().await, expect);
    desk.is_kept(&expect).await;
    let problem = desk.house.api.delete(&desk.of("repos", "")).await;
    let problem = problem.problem(409, "unpublished");
    let what = "(1 commit never pushed, 1 stash, 1 tag never pushed, 1 other ref never pushed)";
    assert!(problem["detail"].as_str().unwrap().contains(what), "{problem}");
    // More than are named are counted, and what is not counted to its end is told as that.
    for n in 0..60 {
        desk.git(&["tag", &format!("x{n}")]);
    }
    for n in 0..1_001 {
        fs::write(desk.clone_dir().join(format!("new{n}.txt")), "new\n").unwrap();
    }
    let problem = desk.house.api.delete(&desk.of("repos", "")).await;
    let problem = problem.problem(409, "unpublished");
    let found = &problem["unpublished"][0];
    assert_eq!(found["tag_count"], json!(61));
    assert_eq!(found["tags"].as_array().map(Vec::len), Some(50));
    let what = "1000 or more changed files in no commit, 1 stash, 61 tags never pushed";
    assert!(problem["detail"].as_str().unwrap().contains(what), "{problem}");
    // Refused, it can be worked with as before.
    desk.write("README.md", "# Hers\n").await;
    let gone = desk.house.api.delete(&desk.of("repos", "?force=true")).await;
    assert_eq!(gone.status, 204);
    assert!(!desk.clone_dir().exists());
}

/// What is under way ends when the clone goes, not before.
#[tokio::test]
async fn a_sync_goes_on_where_something_would_be_lost() {
    let stalls = Manners {
        // A packet of it has up to 65,520 bytes, and nothing is known of one before its end.
        stalls_after: Some(200_000),
        ..Manners::default()
    };
    let mut desk = Desk::bare(Forge::with(stalls)).await;
    desk.attach(json!({ "repo_url": desk.forge.url() })).await;
    let odd = |n: u32| n.wrapping_mul(0x9E37_79B1);
    let large: Vec<String> = (1..100_000)
        .map(|n| format!("{:08x}\n", odd(odd(n) >> 7 ^ n)))
        .collect();
    desk.forge.push("large.txt", &large.concat());
    let mut line = desk.house.line().await;
    let sync = desk.house.api.request(Method::POST, &desk.of("sync", ""));
    let mut syncing = JoinSet::new();
    syncing.spawn(sync.header(CONTENT_TYPE, "application/json").body("{}").send());
    line.until_that(|frame| frame["type"] == "git" && frame["object"]["progress"]["stage"] == "receiving")
        .await;
    fs::write(desk.clone_dir().join("new.txt"), "new\n").unwrap();
    desk.is_kept(&desk.would_lose(0, 1, &[])).await;
    assert_eq!(desk.repo().await["status"], "syncing");
    fs::remove_file(desk.clone_dir().join("new.txt")).unwrap();
    assert_eq!(desk.house.api.delete(&desk.of("repos", "")).await.status, 204);
    let answer = syncing.join_next().await.unwrap().unwrap().unwrap();
    assert!(!answer.status().is_success());
    nothing_is_left(&desk.house);
}

#[tokio::test]
async fn what_cannot_be_looked_into_may_be_lost_too() {
    let desk = Desk::new().await;
    fs::write(desk.clone_dir().join(".git/HEAD"), "nonsense").unwrap();
    let found = desk.unpublished().await;
    assert!(found[0]["error"].is_string(), "{found}");
    assert_eq!(found[0]["attachment_id"], json!(desk.att));
    desk.is_kept(&found).await;
    // Where there is no folder there is nothing to lose.
    fs::rename(desk.clone_dir(), desk.house.setup.dir().join("aside")).unwrap();
    assert_eq!(desk.unpublished().await, json!([]));
    assert_eq!(desk.house.api.delete(&desk.of("repos", "")).await.status, 204);
}
