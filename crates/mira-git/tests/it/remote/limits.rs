//! Too much, too long, no longer wanted: it ends, says why, and leaves nothing.

use super::{
    http_peer::{HttpPeer, Manners},
    support::{ID, World, commit, git, noise},
};
use mira_git::{
    GitError, GitSettings,
    remote::{Credentials, Listener, Progress, RemoteSettings, Stage, Sync},
};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

async fn refused(settings: GitSettings, manners: Manners, change: impl FnOnce(&mut RemoteSettings)) -> GitError {
    let world = World::with(settings, change);
    // More bytes than a stalling server lets through.
    commit(&world.dir.path().join("seed"), "numbers.txt", &noise(1, 200_000));
    git(&world.dir.path().join("seed"), &["push", "-q", "origin", "main"]);
    let peer = HttpPeer::serve(&world.served(), manners);
    let error = world.attach(&peer.url("it.git"), Credentials::None).await.unwrap_err();
    world.nothing_is_left();
    error
}

#[tokio::test]
async fn every_limit_ends_a_clone() {
    let quiet = Manners::default;
    let error = refused(GitSettings::default(), quiet(), |limits| limits.max_bytes = 10_000).await;
    assert!(matches!(error, GitError::TooLarge { limit: 10_000, .. }), "{error:?}");
    let error = refused(GitSettings::default(), quiet(), |limits| limits.max_objects = 3).await;
    assert!(matches!(error, GitError::TooLarge { limit: 3, .. }), "{error:?}");
    let error = refused(GitSettings::default(), quiet(), |limits| limits.max_branches = 1).await;
    assert!(matches!(error, GitError::TooLarge { limit: 1, .. }), "{error:?}");
    let little = GitSettings {
        max_checkout_bytes: 1000,
        ..GitSettings::default()
    };
    let error = refused(little, quiet(), |_| {}).await;
    assert!(matches!(error, GitError::TooLarge { limit: 1000, .. }), "{error:?}");
    let small = GitSettings {
        max_checkout_file_bytes: 2000,
        ..GitSettings::default()
    };
    let error = refused(small, quiet(), |_| {}).await;
    assert!(matches!(error, GitError::TooLarge { limit: 2000, .. }), "{error:?}");
    let few = GitSettings {
        max_checkout_files: 2,
        ..GitSettings::default()
    };
    let error = refused(few, quiet(), |_| {}).await;
    assert!(matches!(error, GitError::TooLarge { limit: 2, .. }), "{error:?}");
    let slow = Manners {
        stalls_after: Some(20_000),
        ..Manners::default()
    };
    let error = refused(GitSettings::default(), slow, |limits| {
        limits.max_time = Duration::from_secs(2);
    })
    .await;
    assert!(matches!(error, GitError::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn a_clone_cancelled_in_the_middle_leaves_nothing() {
    let world = World::new();
    let seed = world.dir.path().join("seed");
    for part in 0..40 {
        commit(&seed, &format!("part{part}.txt"), &noise(part, 10_000));
    }
    git(&seed, &["push", "-q", "origin", "main"]);
    // More than two of the largest packets: what is in half of one nobody has seen yet.
    let manners = Manners {
        stalls_after: Some(150_000),
        ..Manners::default()
    };
    let peer = HttpPeer::serve(&world.served(), manners);
    let (progress, mut seen) = watch::channel(Progress::default());
    let cancel = CancellationToken::new();
    let listener = Listener {
        progress: Some(progress),
        cancel: cancel.clone(),
    };
    let url = peer.url("it.git");
    let cloning = world.attach_with(&url, Credentials::None, None, listener);
    let watching = async {
        let receiving = |now: &Progress| now.stage == Stage::Receiving && now.received_objects > 0;
        let came = seen.wait_for(receiving).await.is_ok();
        let begun = fs::read_dir(world.data().join("repos")).unwrap().count() > 0;
        cancel.cancel();
        came && begun
    };
    let (cloned, in_the_middle) = tokio::join!(cloning, watching);
    assert!(matches!(cloned, Err(GitError::Cancelled)), "{cloned:?}");
    assert!(in_the_middle);
    world.nothing_is_left();
}

#[tokio::test]
async fn of_a_remote_with_too_many_tags_none_is_taken() {
    let world = World::with(GitSettings::default(), |limits| limits.max_tags = 2);
    let tags = || git(&world.clone_dir(), &["tag", "--list"]);
    for tag in ["one", "two"] {
        git(&world.bare(), &["tag", "-a", "-m", tag, tag, "main"]);
    }
    let peer = HttpPeer::serve(&world.served(), Manners::default());
    let url = peer.url("it.git");
    world.attach(&url, Credentials::None).await.unwrap();
    assert_eq!(tags(), "one\ntwo");
    git(&world.bare(), &["tag", "three", "main"]);
    world.sync(&url, false).await.unwrap();
    assert_eq!(tags(), "one\ntwo");
    git(&world.bare(), &["tag", "-d", "one"]);
    world.sync(&url, false).await.unwrap();
    assert_eq!(tags(), "one\nthree\ntwo");
}

/// Many branches, written one after the other: a sync that is cancelled meanwhile ends before the last.
#[tokio::test(flavor = "multi_thread")]
async fn writing_down_branches_can_be_cancelled() {
    const BRANCHES: usize = 500;
    let world = World::new();
    let peer = HttpPeer::serve(&world.served(), Manners::default());
    let url = peer.url("it.git");
    world.attach(&url, Credentials::None).await.unwrap();
    let main = git(&world.bare(), &["rev-parse", "main"]);
    let mut packed = vec!["# pack-refs with: peeled fully-peeled sorted \n".to_owned()];
    packed.extend((0..BRANCHES).map(|number| format!("{main} refs/heads/b{number:05}\n")));
    fs::write(world.bare().join("packed-refs"), packed.concat()).unwrap();
    let tracking = world.clone_dir().join(".git/refs/remotes/origin");
    let cancel = CancellationToken::new();
    let watching = {
        let (first, cancel) = (tracking.join("b00000"), cancel.clone());
        std::thread::spawn(move || {
            while !first.exists() {
                std::thread::yield_now();
            }
            cancel.cancel();
        })
    };
    let sync = Sync {
        url: world.remotes.parse_url(&url).unwrap(),
        push: false,
        message: None,
    };
    let listener = Listener { progress: None, cancel };
    let synced = world.remotes.sync(ID, sync, listener).await;
    assert!(matches!(synced, Err(GitError::Cancelled)), "{synced:?}");
    watching.join().unwrap();
    let written = fs::read_dir(&tracking).unwrap().count();
    assert!(written < BRANCHES, "{written} of {BRANCHES}");
    // The next one ends what was begun.
    world.sync(&url, false).await.unwrap();
    let refs = git(
        &world.clone_dir(),
        &["for-each-ref", "--format=%(refname)", "refs/remotes/origin/b*"],
    );
    assert_eq!(refs.lines().count(), BRANCHES);
    world.is_clean();
}

/// Few objects, ten levels of ten times the same folder: ten thousand million files.
#[tokio::test]
async fn a_bomb_of_trees_is_measured_not_written() {
    let world = World::new();
    let bare = world.bare();
    let object = |args: &[&str], input: &str| {
        let mut child = Command::new("git")
            .current_dir(&bare)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    };
    let mut inner = format!("100644 blob {}", object(&["hash-object", "-w", "--stdin"], "boom\n"));
    for _ in 0..10 {
        let entries: Vec<String> = (0..10).map(|n| format!("{inner}\td{n}\n")).collect();
        inner = format!("040000 tree {}", object(&["mktree"], &entries.concat()));
    }
    let tree = inner.rsplit(' ').next().unwrap();
    let top = git(&bare, &["commit-tree", tree, "-m", "bomb"]);
    git(&bare, &["update-ref", "refs/heads/main", &top]);
    let peer = HttpPeer::serve(&world.served(), Manners::default());
    let error = world.attach(&peer.url("it.git"), Credentials::None).await.unwrap_err();
    assert!(
        matches!(error, GitError::TooLarge { limit: 1_000_000, .. }),
        "{error:?}"
    );
    world.nothing_is_left();
}
