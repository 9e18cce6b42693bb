//! Clones that are about to go: what of them the remote has, and that nobody else works with them meanwhile.

use super::{
    http_peer::{HttpPeer, Manners},
    support::{ID, World, git, password},
};
use mira_git::{GitError, GitSettings, Holder, Missing, RepoPath, Unpublished, WriteOptions, remote::Credentials};
use std::time::Duration;

async fn tags(world: &World) -> Vec<String> {
    let found = world.repos.unpublished(ID).await.unwrap();
    let only_tags = Unpublished {
        tags: found.tags.clone(),
        ..Unpublished::default()
    };
    assert_eq!(found, only_tags);
    found.tags.first
}

#[tokio::test]
async fn a_tag_is_published_when_the_remote_has_it_like_this() {
    let world = World::new();
    let (bare, clone) = (world.bare(), world.clone_dir());
    git(&bare, &["tag", "-a", "-m", "one", "v1", "main"]);
    git(&bare, &["tag", "v2", "main"]);
    let peer = HttpPeer::serve(&world.served(), Manners::default());
    let url = peer.url("it.git");
    world.attach(&url, Credentials::None).await.unwrap();
    assert!(tags(&world).await.is_empty());
    // Of commits the remote has, and yet nowhere else.
    git(&clone, &["tag", "-a", "-m", "words", "mine"]);
    git(&clone, &["tag", "-f", "-a", "-m", "other words", "v1"]);
    assert_eq!(tags(&world).await, ["mine", "v1"]);
    git(&clone, &["push", "-q", bare.to_str().unwrap(), "mine"]);
    assert_eq!(tags(&world).await, ["mine", "v1"], "nobody has asked the remote since");
    world.sync(&url, false).await.unwrap();
    assert_eq!(tags(&world).await, ["v1"]);
    git(&bare, &["tag", "-d", "v2"]);
    world.sync(&url, false).await.unwrap();
    assert_eq!(tags(&world).await, ["v1", "v2"]);
    // A commit that the remote has under a tag only is there.
    git(&clone, &["commit", "-q", "--allow-empty", "-m", "tagged"]);
    git(&clone, &["tag", "v3"]);
    git(&clone, &["push", "-q", bare.to_str().unwrap(), "v3", "+v1", "v2"]);
    world.sync(&url, false).await.unwrap();
    assert!(tags(&world).await.is_empty());
    world.is_clean();
}

#[tokio::test]
async fn nobody_works_with_a_clone_that_is_held() {
    let settings = GitSettings {
        lock_wait: Duration::from_millis(100),
        ..GitSettings::default()
    };
    let world = World::with(settings, |_| {});
    let peer = HttpPeer::serve(&world.served(), Manners::guarded());
    let url = peer.url("it.git");
    world.attach(&url, password()).await.unwrap();
    world.write("mine.txt", "mine\n").await;
    let held = world.remotes.hold(ID).await.unwrap();
    assert_eq!(held.unpublished().await.unwrap().unpushed_commits, 1);
    let path = RepoPath::parse("late.txt").unwrap();
    let late = world.repos.write(ID, path, b"late\n".to_vec(), WriteOptions::default());
    let (late, synced) = (late.await.map(drop), world.sync(&url, true).await.map(drop));
    for refused in [late, synced, world.remotes.hold(ID).await.map(drop)] {
        assert!(matches!(refused, Err(GitError::Busy(Holder::Mira))), "{refused:?}");
    }
    // Reading goes on.
    world.repos.status(ID, None).await.unwrap();
    drop(held);
    world.write("late.txt", "late\n").await;

    let held = world.remotes.hold(ID).await.unwrap();
    assert_eq!(held.unpublished().await.unwrap().unpushed_commits, 2);
    held.detach().await.unwrap();
    let late = world.remotes.renew(ID, password()).await;
    assert!(matches!(late, Err(GitError::NotFound(Missing::Repository))), "{late:?}");
    world.nothing_is_left();
    let held = world.remotes.hold(ID).await.unwrap();
    assert!(held.unpublished().await.unwrap().is_empty());
    held.detach().await.unwrap();
}
