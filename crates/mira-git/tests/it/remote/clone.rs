//! Attaching: what comes, what is refused, and that nothing stays of what failed.

use super::{
    http_peer::{HttpPeer, Manners},
    support::{ID, PASSWORD, World, commit, files_with, git, noise, password},
};
use mira_git::{
    Clash, GitError, GitSettings, Missing, Repos,
    remote::{Attach, Credentials, Listener, Progress, RemoteSettings, Remotes, Secret, Stage},
};
use mira_net::{Guard, GuardedClient, NetError, Resolve, Resolving};
use std::fs;
use tokio::sync::watch;

#[tokio::test]
async fn a_clone_is_what_git_would_have_made() {
    let world = World::new();
    let peer = HttpPeer::serve(&world.served(), Manners::guarded());
    let (progress, seen) = watch::channel(Progress::default());
    let listener = Listener {
        progress: Some(progress),
        ..Listener::default()
    };
    let url = peer.url("it.git");
    let cloned = world.attach_with(&url, password(), None, listener).await.unwrap();

    let head = git(&world.bare(), &["rev-parse", "main"]);
    assert_eq!(
        (cloned.branch.as_str(), cloned.head.as_deref()),
        ("main", Some(head.as_str()))
    );
    let clone = world.clone_dir();
    world.is_clean();
    assert_eq!(fs::read_to_string(clone.join("src/main.rs")).unwrap(), "fn main() {}\n");
    assert_eq!(
        git(&clone, &["rev-parse", "HEAD", "@{upstream}"]),
        format!("{head}\n{head}")
    );
    assert_eq!(git(&clone, &["branch", "--show-current"]), "main");
    assert_eq!(git(&clone, &["remote", "get-url", "origin"]), url);
    assert_eq!(
        git(&clone, &["rev-parse", "--abbrev-ref", "origin/HEAD"]),
        "origin/main"
    );
    assert_eq!(git(&clone, &["config", "core.symlinks"]), "false");
    // What git calls a sample never runs.
    for hook in fs::read_dir(clone.join(".git/hooks")).unwrap() {
        assert!(hook.unwrap().file_name().to_string_lossy().ends_with(".sample"));
    }
    let last = *seen.borrow();
    assert_eq!((last.stage, last.percent), (Stage::CheckingOut, 100));

    let again = world.attach(&url, password()).await.unwrap_err();
    assert!(
        matches!(again, GitError::Conflict { why: Clash::Exists, .. }),
        "{again}"
    );
    world.is_clean();
    world.sync(&url, false).await.expect("its credentials are still there");
}

#[tokio::test]
async fn credentials_are_in_their_file_and_nowhere_else() {
    let world = World::new();
    let peer = HttpPeer::serve(&world.served(), Manners::guarded());
    let url = peer.url("it.git");
    world.attach(&url, password()).await.unwrap();
    world.write("new.txt", "new\n").await;
    world.sync(&url, true).await.unwrap();
    let secret = world.data().join(format!("secrets/git/{ID}/password"));
    assert_eq!(files_with(&world.data(), PASSWORD), [secret]);
    assert!(!format!("{:?} {:?}", world.remotes, password()).contains(PASSWORD));

    world.remotes.detach(ID).await.unwrap();
    world.nothing_is_left();
}

#[tokio::test]
async fn a_failed_clone_says_why_and_leaves_nothing() {
    let world = World::new();
    let open = HttpPeer::serve(&world.served(), Manners::default());
    let guarded = HttpPeer::serve(&world.served(), Manners::guarded());
    let page = HttpPeer::serve(
        &world.served(),
        Manners {
            is_a_page: true,
            ..Manners::default()
        },
    );
    let wrong = Credentials::Token {
        token: Secret::new(PASSWORD),
        user: Some("not-me".to_owned()),
    };
    let check = async |url: String, credentials: &Credentials, expect: fn(&GitError) -> bool| {
        let error = world.attach(&url, credentials.clone()).await.unwrap_err();
        assert!(expect(&error), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains(PASSWORD));
        world.nothing_is_left();
    };
    check(guarded.url("it.git"), &Credentials::None, |e| {
        matches!(e, GitError::Unauthorized { known: false, .. })
    })
    .await;
    check(guarded.url("it.git"), &wrong, |e| {
        matches!(e, GitError::Unauthorized { known: true, .. })
    })
    .await;
    check(open.url("none.git"), &Credentials::None, |e| {
        matches!(e, GitError::NotFound(Missing::Remote))
    })
    .await;
    check(page.url("it.git"), &Credentials::None, |e| {
        matches!(e, GitError::NotAGitServer { .. })
    })
    .await;
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    check(format!("http://{free}/it.git"), &Credentials::None, |e| {
        matches!(e, GitError::Unreachable { .. })
    })
    .await;
    let key = Credentials::SshKey {
        private_key: Secret::new("x"),
        passphrase: None,
    };
    check(open.url("it.git"), &key, |e| matches!(e, GitError::Unusable(_))).await;
}

/// A name that leads to loopback.
struct Rebound;

impl Resolve for Rebound {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(std::future::ready(Ok(vec!["127.0.0.1".parse().unwrap()])))
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_over_every_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let repos = Repos::new(dir.path().join("repos"), GitSettings::default());
    let client = GuardedClient::new(Guard::new(Vec::new()).with_resolver(Rebound));
    let remotes = Remotes::new(repos, client, RemoteSettings::below(dir.path()));
    for text in [
        "https://innocent.example/it.git",
        "ssh://git@innocent.example/it.git",
        "git@innocent.example:it.git",
    ] {
        let attach = Attach {
            url: remotes.parse_url(text).unwrap(),
            credentials: Credentials::None,
            branch: None,
        };
        let error = remotes.attach(ID, attach, Listener::default()).await.unwrap_err();
        assert!(
            matches!(error, GitError::Blocked(NetError::BlockedAddress { .. })),
            "{text}: {error:?}"
        );
    }
    for text in [
        "http://127.0.0.1/it.git",
        "ssh://127.0.0.1/it.git",
        "git@127.0.0.1:it.git",
    ] {
        remotes.parse_url(text).unwrap_err();
    }
}

#[tokio::test]
async fn a_branch_can_be_chosen_and_a_wrong_one_is_told() {
    let world = World::new();
    let peer = HttpPeer::serve(&world.served(), Manners::default());
    let url = peer.url("it.git");
    let attach = |branch| world.attach_with(&url, Credentials::None, Some(branch), Listener::default());
    let error = attach("typo").await.unwrap_err();
    assert!(
        matches!(&error, GitError::NoSuchBranch { known, .. } if known == &["main", "side"]),
        "{error:?}"
    );
    assert!(error.to_string().contains("main, side"), "{error}");
    world.nothing_is_left();
    assert_eq!(attach("side").await.unwrap().branch, "side");
    assert_eq!(
        git(&world.clone_dir(), &["rev-parse", "--abbrev-ref", "@{upstream}"]),
        "origin/side"
    );
    world.is_clean();
}

#[tokio::test]
async fn an_empty_remote_is_attached_and_filled() {
    let world = World::new();
    let bare = world.served().join("empty.git");
    fs::create_dir_all(&bare).unwrap();
    git(&bare, &["init", "-q", "--bare", "-b", "main"]);
    git(&bare, &["config", "http.receivepack", "true"]);
    let peer = HttpPeer::serve(&world.served(), Manners::default());
    let url = peer.url("empty.git");
    let cloned = world.attach(&url, Credentials::None).await.unwrap();
    assert_eq!((cloned.branch.as_str(), cloned.head), ("main", None));
    assert_eq!(world.sync(&url, true).await.unwrap().head, None);
    world.write("first.txt", "first\n").await;
    assert!(world.sync(&url, true).await.unwrap().pushed);
    assert_eq!(git(&bare, &["show", "main:first.txt"]), "first");
    world.is_clean();
}

#[tokio::test]
async fn an_address_may_hold_odd_letters() {
    let world = World::new();
    fs::rename(world.bare(), world.served().join("it's \"50%\" ä.git")).unwrap();
    let peer = HttpPeer::serve(&world.served(), Manners::guarded());
    let url = peer.url("it's%20%2250%25%22%20%C3%A4.git");
    world.attach(&url, password()).await.unwrap();
    assert_eq!(git(&world.clone_dir(), &["remote", "get-url", "origin"]), url);
    world.write("mine.txt", "mine\n").await;
    assert!(world.sync(&url, true).await.unwrap().pushed);
    world.is_clean();
}

#[tokio::test]
async fn redirects_within_the_origin_are_followed_and_credentials_do_not_leave_it() {
    let world = World::new();
    let manners = Manners {
        moved: Some(("/old/".to_owned(), "/".to_owned())),
        ..Manners::guarded()
    };
    let peer = HttpPeer::serve(&world.served(), manners);
    world.attach(&peer.url("old/it.git"), password()).await.unwrap();
    world.write("new.txt", "new\n").await;
    assert!(world.sync(&peer.url("old/it.git"), true).await.unwrap().pushed);
    world.remotes.detach(ID).await.unwrap();

    let other = HttpPeer::serve(&world.served(), Manners::guarded());
    let manners = Manners {
        moved: Some(("/".to_owned(), other.url(""))),
        ..Manners::default()
    };
    let lure = HttpPeer::serve(&world.served(), manners);
    let error = world.attach(&lure.url("it.git"), password()).await.unwrap_err();
    assert!(matches!(error, GitError::Unauthorized { .. }), "{error:?}");
    let seen = other.seen.lock().unwrap().clone();
    assert!(
        !seen.is_empty() && seen.iter().all(|line| line.ends_with("without")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_large_push_is_sent_while_it_is_made() {
    let world = World::new();
    let peer = HttpPeer::serve(&world.served(), Manners::guarded());
    let url = peer.url("it.git");
    world.attach(&url, password()).await.unwrap();
    let noise = noise(1, 3 * 1024 * 1024);
    world.write("noise.txt", &noise).await;
    assert!(world.sync(&url, true).await.unwrap().pushed);
    let posts = peer.seen.lock().unwrap().clone();
    assert!(
        posts
            .iter()
            .any(|line| line.starts_with("POST /it.git/git-receive-pack chunked")),
        "{posts:?}"
    );
    assert_eq!(git(&world.bare(), &["show", "main:noise.txt"]), noise);
}

#[tokio::test]
async fn links_and_odd_names_of_a_stranger_stay_inside() {
    let world = World::new();
    let seed = world.dir.path().join("seed");
    std::os::unix::fs::symlink("/etc/passwd", seed.join("link")).unwrap();
    std::os::unix::fs::symlink("..", seed.join("up")).unwrap();
    commit(&seed, "tab\tname", "odd\n");
    git(&seed, &["push", "-q", "origin", "main"]);
    let peer = HttpPeer::serve(&world.served(), Manners::default());
    world.attach(&peer.url("it.git"), Credentials::None).await.unwrap();
    let clone = world.clone_dir();
    for (name, target) in [("link", "/etc/passwd"), ("up", "..")] {
        assert!(fs::symlink_metadata(clone.join(name)).unwrap().is_file());
        assert_eq!(fs::read_to_string(clone.join(name)).unwrap(), target);
    }
    world.is_clean();
}
