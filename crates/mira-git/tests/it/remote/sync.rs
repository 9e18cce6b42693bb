//! Sync: forward, merged, pushed, or refused with everything as it was.

use super::{
    http_peer::{HttpPeer, Manners},
    support::{ID, World, git, password},
};
use mira_git::{
    BranchName, Clash, GitError, GitSettings, SwitchMode,
    remote::{Outcome, Synced},
};
use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, process::Command};

async fn attached() -> (World, String) {
    attached_with(GitSettings::default()).await
}

async fn attached_with(settings: GitSettings) -> (World, String) {
    let world = World::with(settings, |_| {});
    let peer = HttpPeer::serve(&world.served(), Manners::guarded());
    let url = peer.url("it.git");
    world.attach(&url, password()).await.unwrap();
    (world, url)
}

#[tokio::test]
async fn what_mira_writes_arrives_and_what_others_push_comes() {
    let (world, url) = attached().await;
    let nothing = world.sync(&url, true).await.unwrap();
    assert_eq!(
        (nothing.fetched, nothing.outcome, nothing.pushed),
        (false, Outcome::UpToDate, false)
    );

    world.write("notes/today.md", "hello\n").await;
    let kept = world.sync(&url, false).await.unwrap();
    assert!(!kept.pushed);
    assert_eq!(git(&world.bare(), &["log", "--format=%s", "main", "--", "notes"]), "");
    let pushed = world.sync(&url, true).await.unwrap();
    let head = git(&world.clone_dir(), &["rev-parse", "HEAD"]);
    let expect = Synced {
        branch: "main".to_owned(),
        fetched: false,
        outcome: Outcome::UpToDate,
        pushed: true,
        head: Some(head.clone()),
    };
    assert_eq!(pushed, expect);
    assert_eq!(git(&world.bare(), &["rev-parse", "main"]), head);
    assert_eq!(git(&world.bare(), &["show", "main:notes/today.md"]), "hello");
    assert_eq!(git(&world.bare(), &["log", "-1", "--format=%an", "main"]), "Mira");
    assert!(!world.sync(&url, true).await.unwrap().pushed);

    world.pushed_by_another("src/lib.rs", "pub fn it() {}\n");
    let forward = world.sync(&url, false).await.unwrap();
    assert_eq!(
        (forward.fetched, forward.outcome, forward.pushed),
        (true, Outcome::FastForwarded, false)
    );
    assert_eq!(
        fs::read_to_string(world.clone_dir().join("src/lib.rs")).unwrap(),
        "pub fn it() {}\n"
    );
    world.is_clean();
}

#[tokio::test]
async fn histories_that_went_apart_are_merged() {
    let (world, url) = attached().await;
    world.write("ours.txt", "ours\n").await;
    world.pushed_by_another("theirs.txt", "theirs\n");
    let merged = world.sync(&url, true).await.unwrap();
    assert_eq!((merged.outcome, merged.pushed), (Outcome::Merged, true));
    world.is_clean();
    let bare = world.bare();
    assert_eq!(git(&bare, &["rev-list", "--count", "--merges", "main"]), "1");
    assert_eq!(git(&bare, &["show", "main:ours.txt"]), "ours");
    assert_eq!(git(&bare, &["show", "main:theirs.txt"]), "theirs");
    assert_eq!(
        fs::read_to_string(world.clone_dir().join("theirs.txt")).unwrap(),
        "theirs\n"
    );
}

/// Everything that must be as it was.
fn state(world: &World) -> [String; 4] {
    let clone = world.clone_dir();
    [
        git(&clone, &["rev-parse", "HEAD"]),
        git(&clone, &["status", "--porcelain"]),
        git(&clone, &["ls-files", "--stage"]),
        fs::read_to_string(clone.join("README.md")).unwrap(),
    ]
}

#[tokio::test]
async fn a_conflict_names_its_paths_and_touches_nothing() {
    let (world, url) = attached().await;
    world.write("README.md", "# It\n\none\ntwo\nMIRA\nfour\nfive\n").await;
    world.pushed_by_another("README.md", "# It\n\none\ntwo\nOTHER\nfour\nfive\n");
    let (before, remote) = (state(&world), git(&world.bare(), &["rev-parse", "main"]));
    for push in [false, true] {
        match world.sync(&url, push).await.unwrap_err() {
            GitError::Conflict {
                why: Clash::Merge,
                paths,
            } => assert_eq!(paths, ["README.md"]),
            other => panic!("{other:?}"),
        }
        assert_eq!(state(&world), before);
    }
    assert_eq!(git(&world.bare(), &["rev-parse", "main"]), remote);
    world.is_clean();
}

#[tokio::test]
async fn an_edit_nobody_committed_is_never_lost() {
    let (world, url) = attached().await;
    let readme = world.clone_dir().join("README.md");
    fs::write(&readme, "by hand\n").unwrap();
    world.pushed_by_another("README.md", "by another\n");
    let before = state(&world);
    match world.sync(&url, true).await.unwrap_err() {
        GitError::Conflict {
            why: Clash::Uncommitted,
            paths,
        } => assert_eq!(paths, ["README.md"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(state(&world), before);
    // An edit that is not in the way stays, and the rest comes.
    fs::write(&readme, "# It\n\none\ntwo\nthree\nfour\nfive\n").unwrap();
    fs::write(world.clone_dir().join("src/main.rs"), "by hand\n").unwrap();
    assert_eq!(world.sync(&url, false).await.unwrap().outcome, Outcome::FastForwarded);
    assert_eq!(fs::read_to_string(&readme).unwrap(), "by another\n");
    assert_eq!(
        fs::read_to_string(world.clone_dir().join("src/main.rs")).unwrap(),
        "by hand\n"
    );
}

/// git takes any bytes for a reason, and for what a hook prints.
#[tokio::test]
async fn a_push_that_is_not_taken_is_told_in_words_that_are_no_text() {
    let (world, url) = attached().await;
    git(&world.bare(), &["config", "receive.procReceiveRefs", "refs/heads"]);
    // It refuses each branch by a line of git's protocol: its length, the branch, the reason.
    let program = b"#!/bin/sh\nprintf 'ferm\\351 \\n' >&2\nprintf '000eversion=1\\n0000'\n\
        printf '0024ng refs/heads/main le dimanche\\351\\n0000'\ncat > /dev/null\n";
    let hook = world.hook("proc-receive", program);
    world.write("new.txt", "new\n").await;
    let remote = git(&world.bare(), &["rev-parse", "main"]);
    let refused = world.sync(&url, true).await;
    let expect = "le dimanche\u{fffd} (ferm\u{fffd})";
    assert!(
        matches!(&refused, Err(GitError::Rejected { why }) if why == expect),
        "{refused:?}"
    );
    assert_eq!(git(&world.bare(), &["rev-parse", "main"]), remote);
    fs::remove_file(hook).unwrap();
    git(&world.bare(), &["config", "--unset", "receive.procReceiveRefs"]);
    assert!(world.sync(&url, true).await.unwrap().pushed);
    world.is_clean();
}

#[tokio::test]
async fn a_push_that_is_not_taken_is_told_in_the_remotes_words() {
    let (world, url) = attached().await;
    let hook = world.hook("pre-receive", b"#!/bin/sh\necho 'no commits on Sundays' >&2\nexit 1\n");
    world.write("new.txt", "new\n").await;
    let remote = git(&world.bare(), &["rev-parse", "main"]);
    match world.sync(&url, true).await.unwrap_err() {
        GitError::Rejected { why } => {
            assert!(
                why.contains("pre-receive hook declined") && why.contains("no commits on Sundays"),
                "{why}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(git(&world.bare(), &["rev-parse", "main"]), remote);
    fs::remove_file(hook).unwrap();
    assert!(world.sync(&url, true).await.unwrap().pushed);
    world.is_clean();
}

#[tokio::test]
async fn a_branch_without_an_upstream_gets_one_by_its_push_and_no_other_branch_is_touched() {
    let (world, url) = attached().await;
    let clone = world.clone_dir();
    git(&clone, &["switch", "-q", "-c", "idea"]);
    world.write("idea.txt", "idea\n").await;
    let main = git(&world.bare(), &["rev-parse", "main"]);
    assert!(world.sync(&url, true).await.unwrap().pushed);
    assert_eq!(git(&world.bare(), &["show", "idea:idea.txt"]), "idea");
    assert_eq!(git(&world.bare(), &["rev-parse", "main"]), main);
    assert_eq!(
        git(&clone, &["rev-parse", "--abbrev-ref", "@{upstream}"]),
        "origin/idea"
    );

    git(&clone, &["switch", "-q", "--detach"]);
    let error = world.sync(&url, true).await.unwrap_err();
    assert!(
        matches!(
            error,
            GitError::Conflict {
                why: Clash::Detached,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_remote_that_began_anew_is_not_mixed_in() {
    let (world, url) = attached().await;
    world.write("ours.txt", "ours\n").await;
    let bare = world.bare();
    let tree = git(&bare, &["rev-parse", "main^{tree}"]);
    let anew = git(&bare, &["commit-tree", &tree, "-m", "anew"]);
    git(&bare, &["update-ref", "refs/heads/main", &anew]);
    let before = state(&world);
    let error = world.sync(&url, true).await.unwrap_err();
    assert!(matches!(error, GitError::Unusable(_)), "{error:?}");
    assert_eq!(state(&world), before);
    assert_eq!(git(&bare, &["rev-parse", "main"]), anew);
}

/// All branches, here and as the remote had them.
fn branches(world: &World) -> Vec<String> {
    let refs = git(
        &world.clone_dir(),
        &["for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes"],
    );
    refs.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn branches_the_remote_has_no_more_are_forgotten_and_ours_stay() {
    let (world, url) = attached().await;
    let (clone, bare) = (world.clone_dir(), world.bare());
    git(&bare, &["branch", "a", "main"]);
    git(&bare, &["branch", "deep/er", "main"]);
    world.sync(&url, false).await.unwrap();
    git(&clone, &["branch", "-q", "--track", "follows", "origin/a"]);
    let side = BranchName::parse("side").unwrap();
    world.repos.switch(ID, side, SwitchMode::Existing).await.unwrap();
    world.write("ours.txt", "ours\n").await;
    // Some packed, some not; `a` has to go for `a/b` to come.
    git(&clone, &["pack-refs", "--all"]);
    for branch in ["a", "side", "deep/er"] {
        git(&bare, &["branch", "-D", branch]);
    }
    git(&bare, &["branch", "a/b", "main"]);
    let synced = world.sync(&url, false).await.unwrap();
    assert_eq!((synced.outcome, synced.pushed), (Outcome::UpToDate, false));
    let expect = [
        "refs/heads/follows",
        "refs/heads/main",
        "refs/heads/side",
        "refs/remotes/origin/HEAD",
        "refs/remotes/origin/a/b",
        "refs/remotes/origin/main",
    ];
    assert_eq!(branches(&world), expect);
    assert_eq!(git(&clone, &["show", "side:ours.txt"]), "ours");
    let here_only = world.repos.unpublished(ID).await.unwrap();
    assert_eq!(
        (here_only.unpushed_commits, here_only.branches.first),
        (1, vec!["side".to_owned()])
    );
    world.is_clean();

    // A remote that shows no branch at all is not believed.
    for branch in ["a/b", "main"] {
        git(&bare, &["update-ref", "-d", &format!("refs/heads/{branch}")]);
    }
    world.sync(&url, false).await.unwrap();
    assert_eq!(branches(&world), expect);
    // A branch that is pushed is there again.
    assert!(world.sync(&url, true).await.unwrap().pushed);
    assert_eq!(git(&bare, &["show", "side:ours.txt"]), "ours");
    world.is_clean();
}

/// `git update-ref` at the remote, with a name that is no text.
fn point_odd(world: &World, args: &[&[u8]]) {
    let args = args.iter().map(|arg| OsStr::from_bytes(arg));
    let mut git = Command::new("git");
    git.current_dir(world.bare()).arg("update-ref").args(args);
    assert!(git.status().unwrap().success());
}

/// git takes any bytes for a name.
#[tokio::test]
async fn names_that_are_no_text_come_and_go_with_the_others() {
    let world = World::new();
    point_odd(&world, &[b"refs/heads/caf\xe9", b"main"]);
    point_odd(&world, &[b"refs/tags/t\xe9", b"main"]);
    let peer = HttpPeer::serve(&world.served(), Manners::guarded());
    let url = peer.url("it.git");
    assert_eq!(world.attach(&url, password()).await.unwrap().branch, "main");
    world.is_clean();
    let shown = async || {
        let found = world.repos.branches(ID).await.unwrap();
        let shown = found.branches.into_iter().filter(|branch| branch.remote);
        shown.map(|branch| (branch.name, branch.reachable)).collect::<Vec<_>>()
    };
    let odd = ("origin/caf\u{fffd}".to_owned(), false);
    let text = |name: &str| (format!("origin/{name}"), true);
    assert_eq!(shown().await, [odd, text("main"), text("side")]);
    assert!(!world.sync(&url, false).await.unwrap().fetched);

    point_odd(&world, &[b"-d", b"refs/heads/caf\xe9"]);
    point_odd(&world, &[b"refs/heads/other", b"main"]);
    assert!(world.sync(&url, false).await.unwrap().fetched);
    assert_eq!(shown().await, [text("main"), text("other"), text("side")]);
}

#[tokio::test]
async fn of_nothing_but_such_names_none_can_be_checked_out() {
    let world = World::new();
    point_odd(&world, &[b"refs/heads/caf\xe9", b"main"]);
    for branch in ["refs/heads/main", "refs/heads/side"] {
        point_odd(&world, &[b"-d", branch.as_bytes()]);
    }
    let peer = HttpPeer::serve(&world.served(), Manners::guarded());
    let error = world.attach(&peer.url("it.git"), password()).await.unwrap_err();
    assert!(
        matches!(&error, GitError::Unusable(why) if why.contains("UTF-8")),
        "{error:?}"
    );
    world.nothing_is_left();
}

#[tokio::test]
async fn what_is_too_large_is_fetched_and_not_checked_out() {
    let settings = GitSettings {
        max_checkout_file_bytes: 1_000,
        ..GitSettings::default()
    };
    let (world, url) = attached_with(settings).await;
    world.pushed_by_another("large.txt", &"x".repeat(1_001));
    for diverged in [false, true] {
        if diverged {
            world.write("ours.txt", "ours\n").await;
        }
        let before = state(&world);
        let error = world.sync(&url, true).await.unwrap_err();
        assert!(matches!(error, GitError::TooLarge { limit: 1_000, .. }), "{error:?}");
        assert_eq!(state(&world), before);
        world.is_clean();
    }
    world.pushed_by_another("large.txt", &"x".repeat(1_000));
    assert_eq!(world.sync(&url, true).await.unwrap().outcome, Outcome::Merged);
    world.is_clean();
}

/// Both sides are small, but what they have in common is not.
#[tokio::test]
async fn a_merge_does_not_unfold_what_came_before_either() {
    let settings = GitSettings {
        max_checkout_files: 20,
        ..GitSettings::default()
    };
    let (world, url) = attached_with(settings).await;
    let seed = world.dir.path().join("seed");
    let start = git(&seed, &["rev-parse", "main"]);
    for number in 0..30 {
        fs::write(seed.join(format!("many{number}")), "x\n").unwrap();
    }
    git(&seed, &["add", "-A"]);
    git(&seed, &["commit", "-q", "-m", "many"]);
    git(&seed, &["rm", "-q", "many*"]);
    git(&seed, &["commit", "-q", "-m", "few"]);
    git(&seed, &["push", "-q", "origin", "main"]);
    world.sync(&url, false).await.unwrap();
    // Now the remote goes another way from where there were many.
    git(&seed, &["checkout", "-q", "-B", "main", "main~1"]);
    git(&seed, &["rm", "-q", "many*"]);
    fs::write(seed.join("theirs.txt"), "theirs\n").unwrap();
    git(&seed, &["add", "-A"]);
    git(&seed, &["commit", "-q", "-m", "theirs"]);
    git(&seed, &["push", "-q", "-f", "origin", "main"]);
    assert_eq!(git(&seed, &["rev-parse", "main~2"]), start);
    let before = state(&world);
    let error = world.sync(&url, true).await.unwrap_err();
    assert!(matches!(error, GitError::TooLarge { limit: 20, .. }), "{error:?}");
    assert_eq!(state(&world), before);
    world.is_clean();
}

#[tokio::test]
async fn locks_of_a_crash_go_and_locks_of_others_stay() {
    let (world, url) = attached().await;
    let dot_git = world.clone_dir().join(".git");
    world.pushed_by_another("new.txt", "new\n");
    let lock = dot_git.join("refs/remotes/origin/main.lock");
    fs::write(&lock, "").unwrap();
    let error = world.sync(&url, false).await.unwrap_err();
    assert!(matches!(error, GitError::Busy(mira_git::Holder::Git)), "{error:?}");
    assert!(lock.exists());
    assert!(!dot_git.join("mira.remote").exists());
    // The mark says that a sync of ours died in the middle of writing them.
    fs::write(dot_git.join("mira.remote"), "").unwrap();
    fs::write(dot_git.join("config.lock"), "").unwrap();
    assert_eq!(world.sync(&url, false).await.unwrap().outcome, Outcome::FastForwarded);
    assert!(!lock.exists() && !dot_git.join("config.lock").exists() && !dot_git.join("mira.remote").exists());
    world.is_clean();
}

#[tokio::test]
async fn many_syncs_and_writes_at_once_lose_nothing() {
    let (world, url) = attached().await;
    let mut running = tokio::task::JoinSet::new();
    for n in 0..6 {
        let (repos, remotes, url) = (world.repos.clone(), world.remotes.clone(), url.clone());
        running.spawn(async move {
            let path = mira_git::RepoPath::parse(&format!("file{n}.txt")).unwrap();
            repos
                .write(ID, path, format!("{n}\n").into(), mira_git::WriteOptions::default())
                .await
                .unwrap();
            let sync = mira_git::remote::Sync {
                url: remotes.parse_url(&url).unwrap(),
                push: true,
                message: None,
            };
            match remotes.sync(ID, sync, mira_git::remote::Listener::default()).await {
                Ok(_) | Err(GitError::Busy(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    world.sync(&url, true).await.unwrap();
    world.is_clean();
    for n in 0..6 {
        assert_eq!(
            git(&world.bare(), &["show", &format!("main:file{n}.txt")]),
            n.to_string()
        );
    }
}
