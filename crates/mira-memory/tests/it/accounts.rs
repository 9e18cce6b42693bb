//! Two accounts in one file never see each other.

use crate::support::*;
use mira_core::ids::AccountId;
use mira_memory::{
    BeginKind, BeginOutcome, BranchFrom, FinishOutcome, Page, PatchOutcome, SendParent, SessionFilter, SessionPatch,
};
use sqlx::Connection;

const OTHER: AccountId = AccountId(2);

#[tokio::test]
async fn nothing_reaches_across() {
    let (fixture, session) = Fixture::with_session().await;
    let mut conn = sqlx::SqliteConnection::connect(fixture.store.path().to_str().unwrap())
        .await
        .unwrap();
    sqlx::query("INSERT INTO accounts (id, name) VALUES (2, 'guest')")
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    let fixture = fixture.reopened().await;
    let store = &fixture.store;
    let (q, a) = fixture.say(&session, "a secret", "kept").await;
    let (running, _) = fixture
        .begun(&session, send(fixture.message_id(), "another", SendParent::Head))
        .await;
    // The other account has a session of the same name.
    store.insert_session(OTHER, new_session("s")).await.unwrap();
    assert_eq!(store.find_message(OTHER, q.id).await.unwrap(), None);
    assert_eq!(store.find_reply_to(OTHER, q.id).await.unwrap(), None);
    assert!(
        store
            .branch(OTHER, &session, BranchFrom::Head, 10, None)
            .await
            .unwrap()
            .messages
            .is_empty()
    );
    assert!(
        store
            .branch(OTHER, &session, BranchFrom::At(a.id), 10, None)
            .await
            .unwrap()
            .messages
            .is_empty()
    );
    assert!(
        store
            .search(OTHER, "secret", Page::first(10))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(
        store
            .list_moods(OTHER, &session, Page::first(10))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(store.tokens_used_since(OTHER, now()).await.unwrap(), 0);
    assert_eq!(store.stats(OTHER).await.unwrap().messages, 0);
    assert_eq!(store.select_branch(OTHER, &session, a.id, now()).await.unwrap(), None);
    let head = SessionPatch {
        head_id: Some(a.id),
        ..SessionPatch::default()
    };
    assert_eq!(
        store.update_session(OTHER, &session, head, now()).await.unwrap(),
        PatchOutcome::NoSuchMessage
    );
    let theirs = store.find_session(OTHER, &session).await.unwrap().unwrap();
    assert_eq!(
        (theirs.head_id, theirs.message_count, theirs.mood),
        (None, 0, mood("curious"))
    );
    for kind in [
        BeginKind::Regenerate { message_id: a.id },
        send(fixture.message_id(), "x", SendParent::Message(a.id)),
    ] {
        let turn = fixture.begin(&session, kind);
        assert_eq!(
            store.begin_turn(OTHER, turn).await.unwrap(),
            BeginOutcome::NoSuchMessage
        );
    }
    assert_eq!(
        store.finish_turn(OTHER, fixture.end(&running, "x")).await.unwrap(),
        FinishOutcome::Gone
    );
    assert_eq!(
        store.recover_turns(OTHER, now()).await.unwrap(),
        mira_memory::Recovered::default()
    );
    store.clear_session(OTHER, &session, now()).await.unwrap();
    assert!(store.delete_session(OTHER, &session).await.unwrap());
    assert_eq!(
        store
            .list_sessions(OTHER, SessionFilter::default(), Page::first(9))
            .await
            .unwrap()
            .items,
        []
    );
    fixture.finished(&running, "still here").await;
    assert_eq!(
        fixture.texts(&session).await,
        ["a secret", "kept", "another", "still here"]
    );
}
