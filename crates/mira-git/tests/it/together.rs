//! Many at once, and the owner by hand in between.

use crate::support::{Scene, at, git_in};
use mira_git::{GitError, WriteOptions};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

const WRITERS: usize = 16;
const ROUNDS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_lose_nothing() {
    let scene = Scene::with_files(&[("shared", "start\n")]);
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let (repos, id) = (scene.repos.clone(), scene.id);
        tasks.spawn(async move {
            let mut commits = Vec::new();
            for round in 0..ROUNDS {
                // Own files, and one over which they quarrel by what they have seen.
                let own = repos.write(
                    id,
                    at(&format!("w{writer}/f{round}")),
                    b"mine\n".to_vec(),
                    WriteOptions::default(),
                );
                commits.push((
                    own.await.unwrap().commit,
                    format!("w{writer}/f{round}"),
                    "mine\n".to_owned(),
                ));
                let seen = repos.read_file(id, at("shared"), None).await.unwrap();
                let options = WriteOptions {
                    expected_sha: seen.sha,
                    ..WriteOptions::default()
                };
                let text = format!("{writer} in round {round}\n");
                match repos.write(id, at("shared"), text.clone().into_bytes(), options).await {
                    Ok(written) => commits.push((written.commit, "shared".to_owned(), text)),
                    Err(GitError::Conflict { .. } | GitError::Busy(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            commits
        });
    }
    let acknowledged: Vec<_> = tasks.join_all().await.concat();
    assert_eq!(
        scene.commits(),
        acknowledged.len() + 1,
        "every acknowledged write is one commit"
    );
    let history: BTreeSet<String> = scene
        .git(&["rev-list", "--first-parent", "HEAD"])
        .lines()
        .map(str::to_owned)
        .collect();
    for (commit, path, text) in &acknowledged {
        assert!(history.contains(commit), "{path} is in the history");
        assert_eq!(
            scene.git(&["cat-file", "-p", &format!("{commit}:{path}")]) + "\n",
            *text
        );
    }
    for writer in 0..WRITERS {
        for round in 0..ROUNDS {
            assert_eq!(scene.get(&format!("w{writer}/f{round}")), "mine\n");
        }
    }
    assert_eq!(scene.status(), Vec::<String>::new());
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_owner_commits_by_hand_meanwhile() {
    let scene = Scene::with_files(&[("a", "start\n")]);
    let dir = scene.dir();
    let by_hand = tokio::task::spawn_blocking(move || {
        let mut made = 0;
        for _attempt in 0..2_000 {
            if made == 12 {
                break;
            }
            let name = format!("hand{made}");
            std::fs::write(dir.join(&name), "by hand\n").unwrap();
            // git refuses while Mira holds the index; then one tries again, as one does.
            let added = git_in(&dir).args(["add", &name]).output().unwrap().status.success();
            let commit = ["commit", "-q", "-m", &name, "--", &name];
            if added && git_in(&dir).args(commit).output().unwrap().status.success() {
                made += 1;
            }
        }
        made
    });
    for round in 0..24 {
        scene.write(&format!("mira{}", round % 5), &format!("{round}\n")).await;
    }
    assert_eq!(by_hand.await.unwrap(), 12);
    assert_eq!(scene.commits(), 1 + 12 + 24);
    for made in 0..12 {
        assert_eq!(scene.git(&["cat-file", "-p", &format!("HEAD:hand{made}")]), "by hand");
    }
    assert_eq!(scene.status(), Vec::<String>::new());
    scene.assert_sound();
}
