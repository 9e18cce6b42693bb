//! Keyset pages, sequence numbers, logins.

use crate::support::*;
use jiff::ToSpan;
use mira_memory::{Inserted, NewLogin, Page, PatchOutcome, SessionFilter, SessionPatch};

#[tokio::test]
async fn pages_of_sessions_stay_in_order_while_they_change() {
    let fixture = Fixture::new().await;
    for n in 0..9 {
        // A clock that runs backwards must not change the order.
        let mut new = new_session(&format!("s{n}"));
        new.now = now() - i64::from(n).hours();
        fixture.store.insert_session(ME, new).await.unwrap();
    }
    let pin = SessionPatch {
        pinned: Some(true),
        ..SessionPatch::default()
    };
    fixture
        .store
        .update_session(ME, &session_id("s2"), pin, now())
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut page = Page::first(2);
    loop {
        let listed = fixture
            .store
            .list_sessions(ME, SessionFilter::default(), page)
            .await
            .unwrap();
        seen.extend(listed.items.iter().map(|s| s.id.to_string()));
        // New ones, and old ones that move up, come before the pages to come.
        let fresh = format!("n{}", seen.len());
        fixture.store.insert_session(ME, new_session(&fresh)).await.unwrap();
        fixture.say(&session_id("s8"), "q", "a").await;
        let Some(next) = listed.next else { break };
        page.cursor = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(seen, ["s2", "s8", "s7", "s6", "s5", "s4", "s3", "s1", "s0"]);
    let archive = SessionPatch {
        archived: Some(true),
        ..SessionPatch::default()
    };
    fixture
        .store
        .update_session(ME, &session_id("s0"), archive, now())
        .await
        .unwrap();
    let filter = SessionFilter {
        archived: Some(true),
        project_id: None,
    };
    let listed = fixture.store.list_sessions(ME, filter, Page::first(5)).await.unwrap();
    assert_eq!(listed.items.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["s0"]);
    assert_eq!(listed.next, None);
    assert!("1".parse::<mira_memory::SessionCursor>().is_err());
}

#[tokio::test]
async fn a_session_is_made_once_and_patched() {
    let (fixture, session) = Fixture::with_session().await;
    let mut again = new_session("s");
    again.title = Some("another".to_owned());
    let Inserted::Exists(found) = fixture.store.insert_session(ME, again).await.unwrap() else {
        panic!("made twice")
    };
    assert_eq!(found.title, None);
    let patch = |patch| fixture.store.update_session(ME, &session, patch, now());
    let titled = patch(SessionPatch {
        title: Some(Some("t".to_owned())),
        ..SessionPatch::default()
    })
    .await
    .unwrap();
    let PatchOutcome::Updated(titled) = titled else {
        panic!("{titled:?}")
    };
    assert_eq!(titled.title.as_deref(), Some("t"));
    let untitled = patch(SessionPatch {
        title: Some(None),
        ..SessionPatch::default()
    })
    .await
    .unwrap();
    let PatchOutcome::Updated(untitled) = untitled else {
        panic!("{untitled:?}")
    };
    assert_eq!(untitled.title, None);
    let foreign = SessionPatch {
        head_id: Some(fixture.message_id()),
        ..SessionPatch::default()
    };
    assert_eq!(patch(foreign).await.unwrap(), PatchOutcome::NoSuchMessage);
    let none = fixture
        .store
        .update_session(ME, &session_id("none"), SessionPatch::default(), now())
        .await
        .unwrap();
    assert_eq!(none, PatchOutcome::NoSuchSession);
}

#[tokio::test]
async fn pages_of_moods() {
    let (fixture, session) = Fixture::with_session().await;
    for n in 0..5 {
        let nudge = mira_memory::Nudge {
            id: fixture.mood_id(),
            mood: mood(&format!("m{n}")),
            cause: None,
            now: now(),
        };
        fixture.store.nudge_mood(ME, &session, nudge).await.unwrap().unwrap();
    }
    let first = fixture.store.list_moods(ME, &session, Page::first(2)).await.unwrap();
    let rest = fixture
        .store
        .list_moods(
            ME,
            &session,
            Page {
                limit: 5,
                cursor: first.next,
            },
        )
        .await
        .unwrap();
    let names: Vec<_> = first.items.iter().chain(&rest.items).map(|m| m.mood.as_str()).collect();
    assert_eq!(names, ["m4", "m3", "m2", "m1", "m0"]);
    assert_eq!(rest.next, None);
}

#[tokio::test]
async fn sequence_numbers_only_rise_until_released() {
    let (fixture, session) = Fixture::with_session().await;
    assert_eq!(fixture.store.find_seq(ME, &session).await.unwrap(), Some(0));
    assert!(fixture.store.reserve_seq(ME, &session, 64).await.unwrap());
    assert!(fixture.store.reserve_seq(ME, &session, 32).await.unwrap());
    assert_eq!(fixture.store.find_seq(ME, &session).await.unwrap(), Some(64));
    assert!(fixture.store.release_seq(ME, &session, 64, 40).await.unwrap());
    // Somebody has reserved more since: nothing is given back.
    assert!(fixture.store.reserve_seq(ME, &session, 50).await.unwrap());
    assert!(!fixture.store.release_seq(ME, &session, 40, 30).await.unwrap());
    assert!(fixture.store.release_seq(ME, &session, 50, 40).await.unwrap());
    assert_eq!(fixture.store.find_seq(ME, &session).await.unwrap(), Some(40));
    assert!(!fixture.store.reserve_seq(ME, &session_id("none"), 1).await.unwrap());
}

#[tokio::test]
async fn logins_and_codes() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let mut ids = Vec::new();
    for n in 0..3_u8 {
        let login = NewLogin {
            id: fixture.login_id(),
            token_hash: [n; 32],
            token_fingerprint: vec![7],
            label: "browser ".repeat(100),
            now: now(),
            expires_at: now() + i64::from(n + 1).hours(),
        };
        ids.push(login.id);
        store.insert_login(ME, login).await.unwrap();
    }
    let found = store.find_login(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(
        (found.id, found.account_id, found.label.chars().count()),
        (ids[1], ME, 200)
    );
    assert_eq!(store.find_login(&[9; 32]).await.unwrap(), None);
    let first = store.list_logins(ME, Page::first(2)).await.unwrap();
    let rest = store
        .list_logins(
            ME,
            Page {
                limit: 2,
                cursor: first.next,
            },
        )
        .await
        .unwrap();
    let listed: Vec<_> = first.items.iter().chain(&rest.items).map(|login| login.id).collect();
    assert_eq!(listed, [ids[2], ids[1], ids[0]]);
    assert!(store.touch_login(ME, ids[0], now(), now() + 9.hours()).await.unwrap());
    assert_eq!(store.purge_logins(now() + 2.hours()).await.unwrap(), 1);
    assert_eq!(store.find_login(&[1; 32]).await.unwrap(), None);
    assert!(store.delete_login(ME, ids[2]).await.unwrap());
    assert!(!store.delete_login(ME, ids[2]).await.unwrap());
    assert_eq!(store.delete_all_logins(ME).await.unwrap(), 1);
    assert!(store.claim_code(ME, [1; 32], now()).await.unwrap());
    assert!(!store.claim_code(ME, [1; 32], now()).await.unwrap());
}
