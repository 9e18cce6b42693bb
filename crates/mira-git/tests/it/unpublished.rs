//! What would be lost with a clone.

use crate::support::Scene;
use mira_git::{GitError, Missing, Names, Unpublished};

/// Two files, and a remote that has everything.
fn published() -> Scene {
    let scene = Scene::with_files(&[("a", "one\n"), ("b", "two\n"), (".gitignore", "*.log\n")]);
    let there = scene.folder.path().join("there");
    scene.git(&["clone", "-q", "--bare", ".", there.to_str().unwrap()]);
    scene.git(&["remote", "add", "origin", there.to_str().unwrap()]);
    scene.git(&["fetch", "-q", "origin"]);
    scene.git(&["remote", "set-head", "origin", "main"]);
    scene
}

async fn found(scene: &Scene) -> Unpublished {
    scene.repos.unpublished(scene.id).await.unwrap()
}

fn names(names: &[&str]) -> Names {
    Names {
        count: names.len() as u64,
        first: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

async fn check(scene: &Scene, unpushed_commits: u64, changed_files: u64, branches: &[&str]) {
    let found = found(scene).await;
    let expect = Unpublished {
        unpushed_commits,
        changed_files,
        branches: names(branches),
        ..Unpublished::default()
    };
    assert_eq!(found, expect);
    assert_eq!(found.is_empty(), unpushed_commits + changed_files == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_no_remote_has_are_counted_once() {
    let scene = published();
    check(&scene, 0, 0, &[]).await;
    scene.write("a", "more\n").await;
    scene.write("a", "and more\n").await;
    check(&scene, 2, 0, &["main"]).await;
    scene.git(&["branch", "-q", "copy"]);
    scene.git(&["branch", "-q", "older", "HEAD~2"]);
    scene.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    scene.write("b", "other\n").await;
    check(&scene, 3, 0, &["copy", "main", "side"]).await;
    scene.git(&["push", "-q", "origin", "main"]);
    check(&scene, 1, 0, &["side"]).await;
    // A commit that no branch has.
    scene.git(&["checkout", "-q", "--detach", "main"]);
    scene.git(&["commit", "-q", "--allow-empty", "-m", "nowhere"]);
    check(&scene, 2, 0, &["side"]).await;
    // What the remote has on another branch, or on top, is not lost.
    scene.git(&["checkout", "-q", "side"]);
    scene.git(&["commit", "-q", "--allow-empty", "-m", "on top"]);
    scene.git(&["push", "-q", "origin", "side:elsewhere"]);
    scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    check(&scene, 0, 0, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_in_no_commit_are_counted() {
    let scene = published();
    scene.put("a", "edited\n");
    scene.put("new.txt", "new\n");
    scene.put("folder/one", "1\n");
    scene.put("folder/two", "2\n");
    scene.put("debug.log", "ignored\n");
    scene.put("staged", "staged\n");
    scene.git(&["add", "staged"]);
    std::fs::remove_file(scene.dir().join("b")).unwrap();
    check(&scene, 0, 5, &[]).await;
    scene.put(".git/mira/rescued-1", "an edit that could not be put back\n");
    check(&scene, 0, 6, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_remote_everything_is_here_only() {
    let scene = Scene::empty();
    check(&scene, 0, 0, &[]).await;
    let history: Vec<String> = (0..1_100)
        .map(|number| {
            let time = 1_700_000_000 + number;
            format!("commit refs/heads/long\ncommitter A <a@example.org> {time} +0000\ndata 1\nx\n")
        })
        .collect();
    scene.git_fed(&["fast-import", "--quiet"], history.concat().as_bytes());
    scene.git(&["branch", "-q", "old", "long~1050"]);
    scene.put("a", "one\n");
    check(&scene, 1_000, 1, &["long", "old"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_clone_is_nothing_is_lost() {
    let mut scene = published();
    scene.id = "01920000-0000-7000-8000-000000000009".parse().unwrap();
    assert!(found(&scene).await.is_empty());
    // What is there and no repository may be anything.
    std::fs::create_dir_all(scene.dir()).unwrap();
    let odd = scene.repos.unpublished(scene.id).await;
    assert!(matches!(odd, Err(GitError::NotFound(Missing::Repository))), "{odd:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stashes_tags_and_notes_are_nowhere_else() {
    let scene = published();
    // What is fetched ahead is the remote's; a tag of what the remote has may be, as long as nobody asked.
    scene.git(&["update-ref", "refs/prefetch/remotes/origin/main", "HEAD"]);
    scene.git(&["tag", "-a", "-m", "of main", "old"]);
    check(&scene, 0, 0, &[]).await;
    for text in ["three\n", "four\n"] {
        scene.put("b", text);
        scene.git(&["stash", "-q"]);
    }
    let mut expect = Unpublished {
        stashes: 2,
        ..Unpublished::default()
    };
    assert_eq!(found(&scene).await, expect);

    scene.git(&["commit", "-q", "--allow-empty", "-m", "tagged only"]);
    scene.git(&["tag", "-a", "-m", "words", "mine"]);
    scene.git(&["tag", "plain"]);
    scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    expect.unpushed_commits = 1;
    expect.tags = names(&["mine", "plain"]);
    assert_eq!(found(&scene).await, expect);

    scene.git(&["notes", "add", "-m", "a note"]);
    let blob = scene.git_fed(&["hash-object", "-w", "--stdin"], b"no commit");
    scene.git(&["tag", "blob", &blob]);
    expect.unpushed_commits = 2;
    expect.tags = names(&["blob", "mine", "plain"]);
    expect.refs = names(&["refs/notes/commits"]);
    assert_eq!(found(&scene).await, expect);
    assert!(!expect.is_empty());
}

/// Of many names the first are told, and the number of all of them.
#[tokio::test(flavor = "multi_thread")]
async fn more_names_than_are_told_are_counted() {
    let scene = published();
    scene.git(&["commit", "-q", "--allow-empty", "-m", "nowhere else"]);
    let commit = scene.head();
    let refs: Vec<String> = (0..60)
        .flat_map(|n| {
            ["refs/heads/b", "refs/tags/t", "refs/other/o"].map(|kind| format!("create {kind}{n:02} {commit}\n"))
        })
        .collect();
    scene.git_fed(&["update-ref", "--stdin"], refs.concat().as_bytes());
    scene.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let found = found(&scene).await;
    assert_eq!(found.unpushed_commits, 1);
    for (names, kind) in [(found.branches, "b"), (found.tags, "t"), (found.refs, "refs/other/o")] {
        let first = (0..50).map(|n| format!("{kind}{n:02}")).collect();
        assert_eq!(names, Names { count: 60, first });
    }
}
