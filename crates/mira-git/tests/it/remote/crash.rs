//! kill -9 in the middle of clones and syncs. The killed process is this test binary again, told by the environment what to
//! do; the server and the judging are here.

#![expect(
    clippy::disallowed_methods,
    reason = "the child is told by its environment what to do"
)]

use super::{
    http_peer::{HttpPeer, Manners},
    support::{self, ID, World, commit, fsck, git},
};
use mira_git::{
    GitError, GitSettings, Health,
    remote::{Attach, Credentials, Listener, Sync},
};
use std::{
    env, fs,
    hash::{BuildHasher, RandomState},
    path::Path,
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child, Command};

const DIR: &str = "MIRA_GIT_REMOTE_CHILD_DIR";
const URL: &str = "MIRA_GIT_REMOTE_CHILD_URL";
const ROUNDS: &str = "MIRA_GIT_KILL_ROUNDS";
/// By default; the whole gate has other things to do.
const FEW_ROUNDS: u32 = 10;
/// Syncs after a kill, until the server is done with the one that was killed.
const TRIES: u32 = 20;
/// Longer than a clone or a sync takes here, so that the kill falls before, into and after it.
const LONGEST_CLONE_MS: u64 = 1500;
const LONGEST_SYNC_MS: u64 = 500;

/// The child's part: clones what is not there, syncs what is. Without its orders there is nothing to do.
#[tokio::test]
async fn child() {
    let (Ok(dir), Ok(url)) = (env::var(DIR), env::var(URL)) else {
        return;
    };
    let (repos, remotes) = support::open(Path::new(&dir), GitSettings::default(), |_| {});
    let url = remotes.parse_url(&url).unwrap();
    if repos.check(ID).await.unwrap() == Health::Missing {
        let attach = Attach {
            url,
            credentials: Credentials::None,
            branch: None,
        };
        remotes.attach(ID, attach, Listener::default()).await.unwrap();
    } else {
        remotes
            .sync(
                ID,
                Sync {
                    url,
                    push: true,
                    message: None,
                },
                Listener::default(),
            )
            .await
            .unwrap();
    }
}

/// A child at work.
fn born(world: &World, url: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["remote::crash::child", "--exact"])
        .env(DIR, world.dir.path())
        .env(URL, url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a child live for a random time.
async fn short_life(world: &World, url: &str, longest_ms: u64) {
    let life = RandomState::new().hash_one(0) % longest_ms;
    let mut child = born(world, url);
    match tokio::time::timeout(Duration::from_millis(life), child.wait()).await {
        Ok(ended) => assert!(ended.unwrap().success(), "the child failed by itself"),
        Err(_) => child.kill().await.unwrap(),
    }
}

/// Lets a child finish, which shows that the killed ones were on the way to something.
async fn long_life(world: &World, url: &str) {
    assert!(born(world, url).wait().await.unwrap().success());
}

fn rounds() -> u32 {
    env::var(ROUNDS)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(FEW_ROUNDS)
}

#[tokio::test]
async fn a_clone_killed_at_any_moment_is_whole_or_not_there() {
    let world = World::new();
    let seed = world.dir.path().join("seed");
    for part in 0..20 {
        for file in 0..20 {
            fs::create_dir_all(seed.join(format!("part{part}"))).unwrap();
            fs::write(
                seed.join(format!("part{part}/file{file}")),
                format!("{part} {file}\n").repeat(100),
            )
            .unwrap();
        }
        commit(&seed, "last.txt", &part.to_string());
    }
    git(&seed, &["push", "-q", "origin", "main"]);
    let peer = HttpPeer::serve(&world.served(), Manners::default());
    for _ in 0..rounds() {
        short_life(&world, &peer.url("it.git"), LONGEST_CLONE_MS).await;
        let (repos, remotes) = support::open(world.dir.path(), GitSettings::default(), |_| {});
        match repos.check(ID).await.unwrap() {
            Health::Missing => {}
            Health::Good { .. } => {
                world.is_clean();
                remotes.detach(ID).await.unwrap();
            }
            damaged @ Health::Damaged { .. } => panic!("{damaged:?}"),
        }
        assert_eq!(fs::read_dir(world.data().join("repos")).map_or(0, Iterator::count), 0);
    }
    long_life(&world, &peer.url("it.git")).await;
    world.is_clean();
}

#[tokio::test]
async fn a_sync_killed_at_any_moment_loses_nothing_and_the_next_one_works() {
    let world = World::new();
    let peer = HttpPeer::serve(&world.served(), Manners::default());
    let url = peer.url("it.git");
    world.attach(&url, Credentials::None).await.unwrap();
    let by_hand = world.clone_dir().join("src/main.rs");
    fs::write(&by_hand, "by hand, not committed\n").unwrap();
    for round in 0..rounds() {
        let (repos, remotes) = support::open(world.dir.path(), GitSettings::default(), |_| {});
        let path = mira_git::RepoPath::parse(&format!("ours/{round}.txt")).unwrap();
        repos
            .write(ID, path, "ours\n".into(), mira_git::WriteOptions::default())
            .await
            .unwrap();
        drop((repos, remotes));
        for file in 0..30 {
            fs::create_dir_all(world.dir.path().join("seed/theirs")).unwrap();
            fs::write(
                world.dir.path().join(format!("seed/theirs/{file}.txt")),
                format!("{round}\n"),
            )
            .unwrap();
        }
        world.pushed_by_another("round.txt", &round.to_string());
        short_life(&world, &url, LONGEST_SYNC_MS).await;

        let (repos, remotes) = support::open(world.dir.path(), GitSettings::default(), |_| {});
        assert!(matches!(repos.check(ID).await.unwrap(), Health::Good { .. }));
        fsck(&world.clone_dir());
        fsck(&world.bare());
        assert_eq!(fs::read_to_string(&by_hand).unwrap(), "by hand, not committed\n");
        let sync = Sync {
            url: remotes.parse_url(&url).unwrap(),
            push: true,
            message: None,
        };
        // The server may still be busy with the push of the dead: then it takes none, and says so.
        let mut synced = remotes.sync(ID, sync.clone(), Listener::default()).await;
        for _ in 0..TRIES {
            if !matches!(synced, Err(GitError::Rejected { .. })) {
                break;
            }
            synced = remotes.sync(ID, sync.clone(), Listener::default()).await;
        }
        synced.unwrap();
        assert_eq!(git(&world.clone_dir(), &["status", "--porcelain"]), "M src/main.rs");
        let mine = git(&world.clone_dir(), &["rev-parse", "HEAD"]);
        assert_eq!(git(&world.bare(), &["rev-parse", "main"]), mine);
        assert_eq!(git(&world.bare(), &["show", &format!("main:ours/{round}.txt")]), "ours");
        assert_eq!(git(&world.bare(), &["show", "main:round.txt"]), round.to_string());
    }
    world.pushed_by_another("round.txt", "the last");
    long_life(&world, &url).await;
    assert_eq!(git(&world.clone_dir(), &["show", "HEAD:round.txt"]), "the last");
}
