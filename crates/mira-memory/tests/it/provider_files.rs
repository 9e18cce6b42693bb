//! Copies at a provider: what is wanted, what can be used from where, what goes with its file.

use crate::{shelf::insert, support::*};
use mira_core::{
    file::{FileStatus, StoredFile},
    ids::{FileId, ProjectId},
    project::Author,
};
use mira_memory::{CopyState, ProviderCopy, ProviderScope, SentAs};

const AT: &str = "https://provider.example/v1";

async fn file(fixture: &Fixture, name: &str, media_type: &str, project_id: Option<ProjectId>) -> FileId {
    let id = FileId(fixture.message_id().0);
    let new = StoredFile {
        id,
        project_id,
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        size: 3,
        sha256: [7; 32],
        status: FileStatus::Ready,
        error: None,
        pages: None,
        author: Author::Owner,
        message_id: None,
        created_at: now(),
    };
    insert(&fixture.store, new).await;
    id
}

async fn wanted(fixture: &Fixture) -> Vec<ProviderCopy> {
    fixture.store.list_provider_wanted(ME, AT, 10).await.unwrap()
}

async fn put(fixture: &Fixture, copy: &mut ProviderCopy, state: CopyState) -> bool {
    copy.state = state;
    fixture.store.put_provider_copy(ME, AT, copy, now()).await.unwrap()
}

async fn scope(fixture: &Fixture, project: Option<ProjectId>) -> ProviderScope {
    fixture.store.find_provider_scope(ME, AT, project).await.unwrap()
}

#[tokio::test]
async fn copies_from_their_wish_to_their_end() {
    let fixture = Fixture::new().await;
    let project = fixture.new_project("Tea");
    let id = project.id;
    fixture.store.insert_project(ME, project).await.unwrap();
    file(&fixture, "dot.png", "image/png", None).await;
    let free = file(&fixture, "free.md", "text/markdown", None).await;
    let tied = file(&fixture, "tied.pdf", "application/pdf", Some(id)).await;
    let list = wanted(&fixture).await;
    let ids: Vec<_> = list.iter().map(|copy| (copy.file_id, copy.project_id)).collect();
    assert_eq!(ids, [(free, None), (tied, Some(id))], "documents only");

    // One is ready: it can be searched where nothing is missing.
    let mut first = list[0].clone();
    (first.remote_id, first.store_id) = (Some("file-1".into()), Some("vs_1".into()));
    assert!(put(&fixture, &mut first, CopyState::Ready).await);
    let usable = ProviderScope {
        stores: vec!["vs_1".into()],
        copies: vec!["file-1".into()],
    };
    assert_eq!(scope(&fixture, None).await, usable);
    let incomplete = ProviderScope {
        stores: Vec::new(),
        ..usable
    };
    assert_eq!(scope(&fixture, Some(id)).await, incomplete);
    let mut second = list[1].clone();
    (second.remote_id, second.store_id) = (Some("file-2".into()), Some("vs_2".into()));
    assert!(put(&fixture, &mut second, CopyState::Sent).await);
    assert_eq!(wanted(&fixture).await, [second.clone()]);
    assert!(put(&fixture, &mut second, CopyState::Ready).await);
    assert_eq!(scope(&fixture, Some(id)).await.stores, ["vs_1", "vs_2"]);
    let store = fixture.store.find_provider_store(ME, AT, Some(id)).await.unwrap();
    assert_eq!(store.as_deref(), Some("vs_2"));
    let found = fixture.store.find_file_of_copy(ME, AT, "file-2").await.unwrap();
    assert_eq!(found, Some(tied));

    // A store that is gone: what was in it is wanted again, its copy known.
    fixture
        .store
        .forget_provider_store(ME, AT, "vs_2", now())
        .await
        .unwrap();
    (second.store_id, second.state) = (None, CopyState::Wanted);
    assert_eq!(wanted(&fixture).await, [second.clone()]);
    assert_eq!(fixture.store.list_provider_stores(ME, AT).await.unwrap(), ["vs_1"]);

    // Its file goes: nothing brings the copy back, and it is known what is to be removed.
    fixture.store.delete_file(ME, free).await.unwrap();
    assert!(!put(&fixture, &mut first, CopyState::Ready).await);
    let doomed = fixture.store.list_provider_doomed(ME, AT).await.unwrap();
    first.state = CopyState::Wanted;
    assert_eq!(doomed, [first.clone()]);
    assert!(fixture.store.is_provider_copy(ME, AT, "file-1").await.unwrap());
    assert_eq!(fixture.store.find_file_of_copy(ME, AT, "file-1").await.unwrap(), None);
    assert!(fixture.store.is_alone_in_provider_store(ME, AT, &first).await.unwrap());
    fixture.store.delete_provider_copy(ME, AT, free).await.unwrap();
    assert!(!fixture.store.is_provider_copy(ME, AT, "file-1").await.unwrap());
    assert!(fixture.store.list_provider_doomed(ME, AT).await.unwrap().is_empty());
    // One that was never noted is not noted after its end.
    assert!(!put(&fixture, &mut first, CopyState::Wanted).await);
    assert!(fixture.store.list_provider_stores(ME, AT).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_sent_is_known_before_and_what_fails_waits_behind_the_rest() {
    let fixture = Fixture::new().await;
    let ids = [
        file(&fixture, "a.md", "text/markdown", None).await,
        file(&fixture, "b.md", "text/markdown", None).await,
        file(&fixture, "c.md", "text/markdown", None).await,
    ];
    let listed = |copies: Vec<ProviderCopy>| copies.iter().map(|copy| copy.file_id).collect::<Vec<_>>();
    let mut first = wanted(&fixture).await.remove(0);
    assert_eq!(
        (first.file_id, first.state, &first.sent),
        (ids[0], CopyState::Wanted, &None)
    );
    // The sending begins, and is cut off.
    first.sent = Some(SentAs {
        name: "a.md".to_owned(),
        bytes: 3,
        at: now(),
    });
    assert!(put(&fixture, &mut first, CopyState::Wanted).await);
    assert_eq!(listed(wanted(&fixture).await), [ids[1], ids[2], ids[0]]);
    assert_eq!(wanted(&fixture).await[2], first);
    // It is still known once its file is gone.
    fixture.store.delete_file(ME, ids[0]).await.unwrap();
    let doomed = fixture.store.list_provider_doomed(ME, AT).await.unwrap();
    assert_eq!(doomed, [first.clone()]);

    // Two in one store; neither is alone there. What was tried last comes last.
    let mut rest = wanted(&fixture).await;
    for (n, copy) in rest.iter_mut().enumerate() {
        (copy.remote_id, copy.store_id) = (Some(format!("file-{n}")), Some("vs_1".to_owned()));
        assert!(put(&fixture, copy, CopyState::Ready).await);
    }
    assert!(
        !fixture
            .store
            .is_alone_in_provider_store(ME, AT, &rest[0])
            .await
            .unwrap()
    );
    for copy in &rest {
        fixture.store.delete_file(ME, copy.file_id).await.unwrap();
    }
    let doomed = fixture.store.list_provider_doomed(ME, AT).await.unwrap();
    let before = listed(doomed);
    let later = now() + jiff::SignedDuration::from_secs(60);
    fixture
        .store
        .touch_provider_copy(ME, AT, before[0], later)
        .await
        .unwrap();
    let after = listed(fixture.store.list_provider_doomed(ME, AT).await.unwrap());
    assert_eq!((after.len(), after.last()), (3, before.first()));
}

/// The ids of copies at the provider, as they are known.
fn ids(copies: Vec<ProviderCopy>) -> Vec<(FileId, Option<String>)> {
    let ids = copies.into_iter().map(|copy| (copy.file_id, copy.remote_id));
    let mut ids: Vec<_> = ids.collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn what_was_not_to_be_searched_can_be_wanted_later() {
    let fixture = Fixture::new().await;
    for name in ["sent.md", "large.md", "damaged.md"] {
        file(&fixture, name, "text/markdown", None).await;
    }
    let mut copies = wanted(&fixture).await;
    let some = |text: &str| Some(text.to_owned());
    for (copy, (remote, store)) in
        copies
            .iter_mut()
            .zip([(some("file-1"), None), (None, None), (some("file-3"), some("vs_1"))])
    {
        (copy.remote_id, copy.store_id) = (remote, store);
        assert!(put(&fixture, copy, CopyState::Failed).await);
    }
    assert_eq!(wanted(&fixture).await, []);
    fixture.store.want_provider_stores(ME, AT, now()).await.unwrap();
    copies[0].state = CopyState::Wanted;
    assert_eq!(wanted(&fixture).await, [copies[0].clone()]);
    let there = fixture.store.list_provider_copies(ME, AT).await.unwrap();
    assert_eq!(there, [copies[0].clone(), copies[2].clone()]);
}

#[tokio::test]
async fn a_restore_keeps_what_is_known_of_the_provider() {
    let fixture = Fixture::new().await;
    let lies_there = async |id: FileId, remote: &str| {
        let mut copies = fixture
            .store
            .list_provider_wanted(ME, AT, 10)
            .await
            .unwrap()
            .into_iter();
        let mut copy = copies.find(|copy| copy.file_id == id).unwrap();
        copy.remote_id = Some(remote.to_owned());
        assert!(put(&fixture, &mut copy, CopyState::Ready).await);
        copy
    };
    let kept = file(&fixture, "kept.md", "text/markdown", None).await;
    let gone = file(&fixture, "gone.md", "text/markdown", None).await;
    let doomed = file(&fixture, "doomed.md", "text/markdown", None).await;
    let mut sent_anew = lies_there(kept, "file-1").await;
    lies_there(gone, "file-2").await;
    lies_there(doomed, "file-3").await;
    let backup = fixture.dir.path().join("backup.db");
    fixture.store.backup_to(&backup).await.unwrap();

    // Since then one was given anew, one is gone there, one is to be removed there, and one came.
    sent_anew.remote_id = Some("file-4".to_owned());
    assert!(put(&fixture, &mut sent_anew, CopyState::Ready).await);
    for id in [gone, doomed] {
        fixture.store.delete_file(ME, id).await.unwrap();
    }
    fixture.store.delete_provider_copy(ME, AT, gone).await.unwrap();
    let came = file(&fixture, "came.md", "text/markdown", None).await;
    lies_there(came, "file-5").await;
    fixture.store.close().await;
    mira_memory::hand_over(fixture.store.path(), &backup).await.unwrap();
    std::fs::rename(&backup, fixture.store.path()).unwrap();

    let fixture = fixture.reopened().await;
    let there = ids(fixture.store.list_provider_copies(ME, AT).await.unwrap());
    let known = |id: FileId, remote: &str| (id, Some(remote.to_owned()));
    // Of the second the backup knows alone; whether that holds is for others to find out.
    assert_eq!(
        there,
        [known(kept, "file-4"), known(gone, "file-2"), known(doomed, "file-3")]
    );
    assert_eq!(
        ids(wanted(&fixture).await),
        [known(doomed, "file-3")],
        "to be put into a store"
    );
    let doomed = ids(fixture.store.list_provider_doomed(ME, AT).await.unwrap());
    assert_eq!(doomed, [known(came, "file-5")]);
}
