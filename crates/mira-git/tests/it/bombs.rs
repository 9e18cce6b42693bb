//! Commits that describe more than a disk or the memory holds: refused before anything is unfolded, and nothing has changed.

use crate::support::{Scene, at};
use mira_git::{BranchName, Clash, FileChange, GitError, GitSettings, Repos, Revision, SwitchMode, WriteOptions};

async fn switch(scene: &Scene, branch: &str) -> Result<(), GitError> {
    let branch = BranchName::parse(branch).unwrap();
    let switched = scene.repos.switch(scene.id, branch, SwitchMode::Existing);
    switched.await.map(|_| ())
}

fn limited(scene: &mut Scene, change: impl FnOnce(&mut GitSettings)) {
    let mut settings = GitSettings::default();
    change(&mut settings);
    scene.repos = Repos::new(scene.dir().parent().unwrap().to_owned(), settings);
}

/// Everything that must be as it was.
fn state(scene: &Scene) -> [String; 4] {
    [
        scene.git(&["symbolic-ref", "HEAD"]),
        scene.head(),
        scene.git(&["ls-files", "--stage"]),
        scene.status().join("\n"),
    ]
}

async fn refused(scene: &Scene, branch: &str) -> (&'static str, u64) {
    let before = state(scene);
    match switch(scene, branch).await {
        Err(GitError::TooLarge { what, limit }) => {
            assert_eq!(state(scene), before);
            scene.assert_sound();
            (what, limit)
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// Ten levels of ten times the same folder, at the end of which is `leaf`: its tree.
fn bomb(scene: &Scene, leaf: &str) -> String {
    let mut inner = leaf.to_owned();
    for _ in 0..10 {
        let entries: Vec<String> = (0..10).map(|n| format!("{inner}\td{n}\n")).collect();
        inner = format!(
            "040000 tree {}",
            scene.git_fed(&["mktree"], entries.concat().as_bytes())
        );
    }
    inner.rsplit(' ').next().unwrap().to_owned()
}

/// Files, and below `bomb` the bomb: ten thousand million files.
fn bomb_beside(scene: &Scene, branch: &str, text: &str, parents: &[&str]) {
    let blob = |text: &str| scene.git_fed(&["hash-object", "-w", "--stdin"], text.as_bytes());
    let below = bomb(scene, &format!("100644 blob {}", blob("boom\n")));
    let entries = format!("100644 blob {}\ta\n040000 tree {below}\tbomb\n", blob(text));
    let tree = scene.git_fed(&["mktree"], entries.as_bytes());
    let parents: Vec<&str> = parents.iter().flat_map(|parent| ["-p", parent]).collect();
    let commit = scene.git(&[&["commit-tree", "-m", branch, &tree], parents.as_slice()].concat());
    scene.git(&["update-ref", &format!("refs/heads/{branch}"), &commit]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_trees_is_not_checked_out() {
    let mut scene = Scene::with_files(&[("a", "one\n")]);
    limited(&mut scene, |settings| {
        settings.max_checkout_files = 20_000;
        settings.max_tree_bytes = 10_000_000;
    });
    bomb_beside(&scene, "bomb", "two\n", &["main"]);
    let found = refused(&scene, "bomb").await;
    assert_eq!(found, ("the number of files to check out", 20_000));

    // Nothing but folders, and an empty one at the end of each.
    let empty = scene.git_fed(&["mktree"], b"");
    let tree = bomb(&scene, &format!("040000 tree {empty}"));
    let commit = scene.git(&["commit-tree", "-m", "folders", &tree]);
    scene.git(&["update-ref", "refs/heads/folders", &commit]);
    let found = refused(&scene, "folders").await;
    assert_eq!(found, ("what the folders of the commits list", 10_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_trees_is_shown_in_part() {
    let scene = Scene::with_files(&[("a", "one\n")]);
    bomb_beside(&scene, "bomb", "two\n", &["main"]);
    let revision = |name: &str| Revision::parse(name).unwrap();
    let shown = scene.repos.diff(scene.id, revision("bomb")).await.unwrap();
    let parent = &shown.parents[0];
    assert!(parent.truncated);
    assert_eq!(parent.files.len(), 1_000);
    assert_eq!(parent.files[0].new_path.as_deref(), Some("a"));
    assert_eq!(parent.files[1].change, FileChange::Added);

    // The bomb on both sides: what is the same is not looked at.
    bomb_beside(&scene, "more", "three\n", &["bomb"]);
    let shown = scene.repos.diff(scene.id, revision("more")).await.unwrap();
    let files: Vec<Option<&str>> = shown.parents[0]
        .files
        .iter()
        .map(|file| file.new_path.as_deref())
        .collect();
    assert_eq!(files, [Some("a")]);
    assert!(!shown.parents[0].truncated);

    let parents: Vec<String> = (0..65)
        .map(|n| scene.git(&["commit-tree", "-m", &n.to_string(), "main^{tree}"]))
        .collect();
    let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
    bomb_beside(&scene, "octopus", "four\n", &parents);
    let shown = scene.repos.diff(scene.id, revision("octopus")).await;
    assert!(matches!(shown, Err(GitError::TooLarge { limit: 64, .. })), "{shown:?}");
}

/// The file came with the bomb: from which of ten thousand million it was renamed is not looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_trees_keeps_no_blame_waiting() {
    let scene = Scene::with_files(&[("b", "two\n")]);
    bomb_beside(&scene, "bomb", "two\n", &["main"]);
    bomb_beside(&scene, "more", "two\nthree\n", &["bomb"]);
    let revision = Revision::parse("more").unwrap();
    let found = scene.repos.blame(scene.id, at("a"), Some(revision)).await.unwrap();
    let commits: Vec<&str> = found.ranges.iter().map(|range| range.sha.as_str()).collect();
    assert_eq!(
        commits,
        [scene.git(&["rev-parse", "bomb"]), scene.git(&["rev-parse", "more"])]
    );
}

/// Two branches of 300 files that differ in one.
#[tokio::test(flavor = "multi_thread")]
async fn what_stays_as_it_is_counts_for_nothing() {
    let mut scene = Scene::empty();
    for number in 0..300 {
        scene.put(&format!("folder{}/file{number}", number % 30), "the same\n");
    }
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "-q", "-m", "start"]);
    scene.git(&["checkout", "-q", "-b", "other"]);
    scene.put("folder3/file3", "another\n");
    scene.git(&["commit", "-q", "-a", "-m", "other"]);
    scene.git(&["checkout", "-q", "main"]);
    limited(&mut scene, |settings| {
        settings.max_checkout_files = 1;
        settings.max_checkout_bytes = 9;
        settings.max_checkout_file_bytes = 9;
        settings.max_tree_bytes = 10_000;
    });
    for branch in ["other", "main"] {
        switch(&scene, branch).await.unwrap();
        assert_eq!(scene.git(&["symbolic-ref", "--short", "HEAD"]), branch);
    }
    scene.write("folder3/file3", "too\n").await;
    assert_eq!(scene.status(), Vec::<String>::new());
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_keeps_to_the_bytes_of_a_checkout() {
    let mut scene = Scene::with_files(&[("a", "one\n")]);
    scene.git(&["checkout", "-q", "-b", "large"]);
    scene.put("b", &"x".repeat(600));
    scene.put("c", &"y".repeat(600));
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "-q", "-m", "large"]);
    scene.git(&["checkout", "-q", "main"]);
    limited(&mut scene, |settings| settings.max_checkout_bytes = 1_000);
    assert_eq!(refused(&scene, "large").await, ("the checkout", 1_000));
    limited(&mut scene, |settings| settings.max_checkout_file_bytes = 500);
    assert_eq!(refused(&scene, "large").await, ("one of the files to check out", 500));
    limited(&mut scene, |settings| {
        settings.max_checkout_file_bytes = 600;
        settings.max_checkout_bytes = 1_200;
    });
    switch(&scene, "large").await.unwrap();
    assert_eq!(scene.status(), Vec::<String>::new());
}

/// A file by hand that no memory holds, where a small one would come.
#[tokio::test(flavor = "multi_thread")]
async fn a_huge_file_in_the_way_is_not_read() {
    let scene = Scene::with_files(&[("a", "one\n")]);
    scene.git(&["checkout", "-q", "-b", "other"]);
    scene.put("b", "two\n");
    scene.put("a", "other\n");
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "-q", "-m", "other"]);
    scene.git(&["checkout", "-q", "main"]);
    for path in ["a", "b"] {
        let file = std::fs::File::create(scene.dir().join(path)).unwrap();
        file.set_len(1 << 40).unwrap();
    }
    match switch(&scene, "other").await {
        Err(GitError::Conflict {
            why: Clash::Uncommitted,
            paths,
        }) => assert_eq!(paths, ["a", "b"]),
        other => panic!("no conflict: {other:?}"),
    }
    let written = scene
        .repos
        .write(scene.id, at("a"), b"mine\n".to_vec(), WriteOptions::default())
        .await;
    assert!(matches!(written, Err(GitError::Conflict { .. })), "{written:?}");
    assert_eq!(std::fs::metadata(scene.dir().join("a")).unwrap().len(), 1 << 40);
}
