//! ssh remotes against a real sshd.

use super::{
    ssh_peer::{SshPeer, key, sshd},
    support::{ID, World, files_with, git},
};
use mira_git::{
    GitError, Missing,
    remote::{Credentials, Secret},
};
use std::fs;

const PHRASE: &str = "open-sesame-phrase";

fn with_key(private_key: &str, passphrase: Option<&str>) -> Credentials {
    Credentials::SshKey {
        private_key: Secret::new(private_key),
        passphrase: passphrase.map(Secret::new),
    }
}

#[tokio::test]
async fn a_repository_is_cloned_pushed_and_read_back_over_ssh() {
    let Some(program) = sshd() else { return };
    let world = World::new();
    let keys = world.dir.path().join("ssh");
    fs::create_dir_all(&keys).unwrap();
    let (private, public) = key(&keys, "owner", "");
    let peer = SshPeer::serve(program, &keys, "host", &public, None);
    let url = format!("ssh://127.0.0.1:{}{}", peer.port, world.bare().display());
    let cloned = world.attach(&url, with_key(&private, None)).await.unwrap();
    assert_eq!(cloned.branch, "main");
    world.is_clean();
    world.write("over ssh.txt", "hello\n").await;
    world.pushed_by_another("theirs.txt", "theirs\n");
    assert!(world.sync(&url, true).await.unwrap().pushed);
    assert_eq!(git(&world.bare(), &["show", "main:over ssh.txt"]), "hello");
    assert!(!world.sync(&url, true).await.unwrap().pushed);
    world.is_clean();

    let hook = world.hook("pre-receive", b"#!/bin/sh\necho 'not today' >&2\nexit 1\n");
    world.write("refused.txt", "hello\n").await;
    let refused = world.sync(&url, true).await;
    assert!(
        matches!(&refused, Err(GitError::Rejected { why }) if why == "pre-receive hook declined (not today)"),
        "{refused:?}"
    );
    fs::remove_file(hook).unwrap();
    assert!(world.sync(&url, true).await.unwrap().pushed);

    let known = fs::read_to_string(world.data().join("secrets/known_hosts")).unwrap();
    assert!(known.starts_with(&format!("[127.0.0.1]:{} ", peer.port)), "{known}");
    let line = private.lines().nth(2).unwrap();
    assert_eq!(
        files_with(&world.data(), line),
        [world.data().join(format!("secrets/git/{ID}/key"))]
    );

    // Somebody else answers in the host's place.
    let _impostor = peer.impostor(program);
    let error = world.sync(&url, true).await.unwrap_err();
    assert!(matches!(error, GitError::HostKey { .. }), "{error:?}");
}

#[tokio::test]
async fn a_locked_key_is_unlocked_and_a_wrong_one_is_told() {
    let Some(program) = sshd() else { return };
    let world = World::new();
    let keys = world.dir.path().join("ssh");
    fs::create_dir_all(&keys).unwrap();
    let (locked, public) = key(&keys, "locked", PHRASE);
    let (stranger, _) = key(&keys, "stranger", "");
    let peer = SshPeer::serve(program, &keys, "host", &public, None);
    let at = |path: &str| format!("ssh://127.0.0.1:{}{path}", peer.port);
    let url = at(world.bare().to_str().unwrap());

    let refused: [(&str, Credentials); 4] = [
        ("a stranger's key", with_key(&stranger, None)),
        ("a wrong phrase", with_key(&locked, Some("wrong"))),
        ("no phrase", with_key(&locked, None)),
        ("nothing", Credentials::None),
    ];
    for (what, credentials) in refused {
        let error = world.attach(&url, credentials).await.unwrap_err();
        assert!(matches!(error, GitError::Unauthorized { .. }), "{what}: {error:?}");
        world.nothing_is_left();
    }
    let token = Credentials::Token {
        token: Secret::new(PHRASE),
        user: None,
    };
    let error = world.attach(&url, token).await.unwrap_err();
    assert!(matches!(error, GitError::Unusable(_)), "{error:?}");
    let error = world
        .attach(&at("/no/such.git"), with_key(&locked, Some(PHRASE)))
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::NotFound(Missing::Remote)), "{error:?}");

    world.attach(&url, with_key(&locked, Some(PHRASE))).await.unwrap();
    world.is_clean();
    let found = files_with(&world.data(), PHRASE);
    assert_eq!(found, [world.data().join(format!("secrets/git/{ID}/passphrase"))]);
}

#[tokio::test]
async fn a_path_is_never_a_command() {
    let Some(program) = sshd() else { return };
    let world = World::new();
    let keys = world.dir.path().join("ssh");
    fs::create_dir_all(&keys).unwrap();
    let (private, public) = key(&keys, "owner", "");
    let peer = SshPeer::serve(program, &keys, "host", &public, None);
    let proof = world.dir.path().join("proof");
    for path in [
        "/x$(touch%20PROOF)",
        "/x';touch%20PROOF;'",
        "/x%60touch%20PROOF%60",
        "/x!touch%20PROOF",
        "/x|touch%20PROOF",
    ] {
        let path = path.replace("PROOF", proof.to_str().unwrap());
        let url = format!("ssh://127.0.0.1:{}{path}", peer.port);
        let error = world.attach(&url, with_key(&private, None)).await.unwrap_err();
        assert!(
            matches!(error, GitError::NotFound(Missing::Remote)),
            "{path}: {error:?}"
        );
        assert!(!proof.exists(), "{path}");
    }
}

#[tokio::test]
async fn a_closed_port_is_told() {
    let world = World::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("ssh://git@127.0.0.1:{free}/it.git");
    let error = world.attach(&url, Credentials::None).await.unwrap_err();
    assert!(
        matches!(&error, GitError::Unreachable { why, .. } if why.contains("refused")),
        "{error:?}"
    );
    world.nothing_is_left();
}
