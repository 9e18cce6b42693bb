//! Branches and switching.

use crate::support::{Scene, git_in};
use mira_git::{BranchName, Clash, GitError, Missing, SwitchMode, Switched};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

async fn switch(scene: &Scene, name: &str, mode: SwitchMode) -> Result<Switched, GitError> {
    scene.repos.switch(scene.id, branch(name), mode).await
}

/// `main` and `other`, which differ in content, files against folders, an executable bit and a removed file.
fn two_branches() -> Scene {
    let scene = Scene::with_files(&[
        ("same", "same\n"),
        ("differs", "main\n"),
        ("only-main/deep/file", "x\n"),
        ("shape", "a file\n"),
        ("flip/inside", "a folder\n"),
    ]);
    scene.git(&["checkout", "-q", "-b", "other"]);
    scene.git(&["rm", "-q", "-r", "only-main", "shape", "flip"]);
    scene.put("differs", "other\n");
    scene.put("shape/inside", "a folder now\n");
    scene.put("flip", "a file now\n");
    scene.put("new/file", "new\n");
    scene.git(&["add", "-A"]);
    scene.git(&["update-index", "--chmod=+x", "new/file"]);
    scene.git(&["commit", "-q", "-m", "other"]);
    scene.git(&["checkout", "-q", "-f", "main"]);
    assert_eq!(scene.status(), Vec::<String>::new());
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_there_and_back_is_what_git_does() {
    let scene = two_branches();
    for name in ["other", "main", "other", "main"] {
        let switched = switch(&scene, name, SwitchMode::Existing).await.unwrap();
        assert_eq!(switched.commit.unwrap(), scene.git(&["rev-parse", name]));
        assert_eq!(scene.git(&["symbolic-ref", "--short", "HEAD"]), name);
        assert_eq!(scene.status(), Vec::<String>::new(), "{name}");
        assert_eq!(scene.get("differs"), format!("{name}\n"));
        scene.assert_sound();
    }
    assert!(!scene.has("new"), "folders that became empty go");
    let again = switch(&scene, "main", SwitchMode::Existing).await.unwrap();
    assert_eq!(again.commit.unwrap(), scene.head());
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_come_along_or_hold_the_switch() {
    let scene = two_branches();
    let head = scene.head();
    scene.put("same", "edited by hand\n");
    scene.put("loose", "untracked\n");
    switch(&scene, "other", SwitchMode::Existing).await.unwrap();
    assert_eq!(scene.status(), [" M same", "?? loose"]);
    switch(&scene, "main", SwitchMode::Existing).await.unwrap();
    assert_eq!(scene.get("same"), "edited by hand\n");

    // Edited where the branches differ, untracked where a file would come, and inside a folder that has to become a file.
    scene.put("differs", "edited, too\n");
    scene.put("new/file", "mine\n");
    scene.put("flip/mine", "in the way\n");
    match switch(&scene, "other", SwitchMode::Existing).await {
        Err(GitError::Conflict { why, paths }) => {
            assert_eq!(why, Clash::Uncommitted);
            assert_eq!(paths, ["differs", "flip", "new/file"]);
        }
        other => panic!("no conflict: {other:?}"),
    }
    assert_eq!(scene.head(), head);
    assert_eq!(
        scene.status(),
        [" M differs", " M same", "?? flip/mine", "?? loose", "?? new/file"]
    );
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn staged_edits_hold_the_switch() {
    let scene = two_branches();
    scene.put("differs", "staged\n");
    scene.git(&["add", "differs"]);
    let refused = switch(&scene, "other", SwitchMode::Existing).await;
    assert!(
        matches!(&refused, Err(GitError::Conflict { paths, .. }) if paths == &["differs"]),
        "{refused:?}"
    );
    assert_eq!(scene.status(), ["M  differs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_made_and_followed() {
    let scene = two_branches();
    let there = scene.folder.path().join("there");
    scene.git(&["clone", "-q", "--bare", ".", there.to_str().unwrap()]);
    scene.git(&["remote", "add", "origin", there.to_str().unwrap()]);
    scene.git(&["branch", "-q", "-D", "other"]);
    scene.git(&["fetch", "-q", "origin"]);
    scene.git(&["branch", "-q", "--set-upstream-to=origin/main", "main"]);

    switch(&scene, "other", SwitchMode::Existing).await.unwrap();
    assert_eq!(
        scene.git(&["rev-parse", "--abbrev-ref", "other@{upstream}"]),
        "origin/other"
    );
    assert_eq!(scene.status(), Vec::<String>::new());
    scene.write("differs", "one more\n").await;

    let made = switch(&scene, "fix/one", SwitchMode::Create).await.unwrap();
    assert_eq!(made.commit.unwrap(), scene.git(&["rev-parse", "other"]));
    let twice = switch(&scene, "fix/one", SwitchMode::Create).await;
    assert!(
        matches!(twice, Err(GitError::Conflict { why: Clash::Exists, .. })),
        "{twice:?}"
    );
    let missing = switch(&scene, "nowhere", SwitchMode::Existing).await;
    assert!(
        matches!(missing, Err(GitError::NotFound(Missing::Branch))),
        "{missing:?}"
    );
    // git cannot hold both `fix/one` and `fix`; then all is as it was.
    let blocked = switch(&scene, "fix", SwitchMode::Create).await;
    assert!(blocked.is_err());

    let found = scene.repos.branches(scene.id).await.unwrap();
    assert_eq!(found.current.as_deref(), Some("fix/one"));
    let shown: Vec<(&str, bool, bool, Option<&str>, Option<usize>, Option<usize>)> = found
        .branches
        .iter()
        .map(|b| {
            (
                b.name.as_str(),
                b.remote,
                b.current,
                b.upstream.as_deref(),
                b.ahead,
                b.behind,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("fix/one", false, true, None, None, None),
            ("main", false, false, Some("origin/main"), Some(0), Some(0)),
            ("other", false, false, Some("origin/other"), Some(1), Some(0)),
            ("origin/main", true, false, None, None, None),
            ("origin/other", true, false, None, None, None),
        ]
    );
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_switches_too() {
    let scene = Scene::empty();
    switch(&scene, "trunk", SwitchMode::Create).await.unwrap();
    scene.write("a", "first\n").await;
    assert_eq!(scene.git(&["symbolic-ref", "--short", "HEAD"]), "trunk");
    assert_eq!(scene.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/trunk");
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_bare_commit_and_in_the_middle_of_a_merge() {
    let scene = two_branches();
    scene.git(&["checkout", "-q", "--detach"]);
    assert_eq!(scene.repos.branches(scene.id).await.unwrap().current, None);
    switch(&scene, "other", SwitchMode::Existing).await.unwrap();
    scene.put("differs", "clash\n");
    scene.git(&["commit", "-q", "-a", "-m", "clash"]);
    scene.git(&["checkout", "-q", "main"]);
    scene.put("differs", "crash\n");
    scene.git(&["commit", "-q", "-a", "-m", "crash"]);
    let merge = git_in(&scene.dir()).args(["merge", "-q", "other"]).output().unwrap();
    assert!(!merge.status.success());
    let status = scene.repos.status(scene.id, None).await.unwrap();
    assert!(
        status.unfinished
            && status
                .entries
                .iter()
                .any(|entry| entry.conflicted && entry.path == "differs")
    );
    let held = switch(&scene, "other", SwitchMode::Existing).await;
    assert!(
        matches!(
            held,
            Err(GitError::Conflict {
                why: Clash::Unfinished,
                ..
            })
        ),
        "{held:?}"
    );
}

/// git takes any bytes for a name.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_whose_name_is_no_text_is_shown_and_not_checked_out() {
    let scene = two_branches();
    let odd = OsStr::from_bytes(b"refs/heads/caf\xe9");
    let made = git_in(&scene.dir()).arg("update-ref").arg(odd).arg("main").status();
    assert!(made.unwrap().success());
    let found = scene.repos.branches(scene.id).await.unwrap();
    let shown: Vec<(&str, bool)> = { found.branches.iter() }
        .map(|branch| (branch.name.as_str(), branch.reachable))
        .collect();
    assert_eq!(shown, [("caf\u{fffd}", false), ("main", true), ("other", true)]);
    let refused = switch(&scene, "caf\u{fffd}", SwitchMode::Existing).await;
    assert!(
        matches!(&refused, Err(GitError::Unusable(why)) if why.contains("UTF-8")),
        "{refused:?}"
    );
    let missing = switch(&scene, "caf\u{fffd}\u{fffd}", SwitchMode::Existing).await;
    assert!(
        matches!(missing, Err(GitError::NotFound(Missing::Branch))),
        "{missing:?}"
    );
    // Checked out by hand, it is no branch anybody can name; everything else goes on.
    let checkout = git_in(&scene.dir()).args(["symbolic-ref", "HEAD"]).arg(odd).status();
    assert!(checkout.unwrap().success());
    let status = scene.repos.status(scene.id, None).await.unwrap();
    assert_eq!((status.branch, status.commit), (None, Some(scene.head())));
    assert_eq!(scene.repos.unpublished(scene.id).await.unwrap().branches.count, 3);
    switch(&scene, "main", SwitchMode::Existing).await.unwrap();
    assert_eq!(scene.git(&["symbolic-ref", "--short", "HEAD"]), "main");
    scene.assert_sound();
}
