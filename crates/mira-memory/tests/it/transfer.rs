//! Export and import.

use crate::support::*;
use mira_memory::{BeginKind, ExportReport, ImportReport, Page, SendParent, Store, StoreError};
use tokio::sync::mpsc;

async fn export(store: &Store) -> (Vec<String>, ExportReport) {
    let (sender, mut lines) = mpsc::channel(8);
    let collect = async {
        let mut all = Vec::new();
        while let Some(line) = lines.recv().await {
            all.push(line);
        }
        all
    };
    let (report, all) = tokio::join!(store.export(ME, now(), sender), collect);
    (all, report.unwrap())
}

async fn import(store: &Store, lines: &[String]) -> Result<ImportReport, StoreError> {
    let (sender, receiver) = mpsc::channel(8);
    let feed = async move {
        for line in lines {
            if sender.send(line.clone()).await.is_err() {
                break;
            }
        }
    };
    let ((), report) = tokio::join!(feed, store.import(ME, receiver, |_| ()));
    report
}

/// The first line that differs, if one does.
fn same(left: &[String], right: &[String]) {
    assert_eq!(left.iter().zip(right).find(|(left, right)| left != right), None);
    assert_eq!(left.len(), right.len());
}

async fn filled() -> Fixture {
    let (fixture, session) = Fixture::with_session().await;
    fixture.store.insert_session(ME, new_session("t")).await.unwrap();
    let (q, a) = fixture.say(&session, "q 東京", "a").await;
    fixture.say(&session_id("t"), "other", "answer").await;
    fixture
        .turn(&session, BeginKind::Regenerate { message_id: a.id }, "a again")
        .await;
    let kind = BeginKind::Send {
        message_id: fixture.message_id(),
        content: "with a name".to_owned(),
        client_id: Some(client_id("c")),
        parent: SendParent::Message(q.id),
        project_id: None,
        metadata: None,
    };
    fixture.turn(&session, kind, "named").await;
    fixture
        .store
        .pin_persona(ME, &session, Some(persona("forbidden")), now())
        .await
        .unwrap();
    for n in 0..600 {
        let kind = send(fixture.message_id(), &format!("filler {n}"), SendParent::Head);
        fixture.begun(&session_id("t"), kind).await;
    }
    // Running turns are no part of an export.
    fixture.store.recover_turns(ME, now()).await.unwrap();
    fixture
}

#[tokio::test]
async fn a_round_trip_changes_nothing() {
    let fixture = filled().await;
    let (lines, report) = export(&fixture.store).await;
    assert_eq!((report.sessions, report.messages, report.moods), (2, 607, 4));
    let copy = Fixture::new().await;
    // A session that is there but empty, as the first one of a new installation is, takes the imported one's place.
    copy.store.insert_session(ME, new_session("s")).await.unwrap();
    let imported = import(&copy.store, &lines).await.unwrap();
    assert_eq!(
        (imported.messages, imported.moods, imported.lines),
        (607, 4, lines.len() as u64)
    );
    let (again, _) = export(&copy.store).await;
    same(&lines, &again);
    let hits = copy.store.search(ME, "東京", Page::first(5)).await.unwrap();
    assert_eq!(hits.items.len(), 1);
    let stored = copy.store.find_session(ME, &session_id("s")).await.unwrap();
    assert_eq!(stored, fixture.store.find_session(ME, &session_id("s")).await.unwrap());
    // A second import finds everything there.
    let repeated = import(&copy.store, &lines).await.unwrap();
    assert_eq!(
        (repeated.messages, repeated.sessions, repeated.moods, repeated.skipped),
        (0, 0, 0, 613)
    );
    same(&lines, &export(&copy.store).await.0);
    assert!(copy.store.integrity_check().await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn bad_files_name_their_line() {
    let fixture = filled().await;
    let (lines, _) = export(&fixture.store).await;
    let copy = Fixture::new().await;
    let check = async |lines: &[String], at: u64| match import(&copy.store, lines).await {
        Err(StoreError::Import { line, .. }) => assert_eq!(line, at),
        other => panic!("{other:?}"),
    };
    check(&["not json".to_owned()], 1).await;
    check(&lines[1..], 1).await;
    check(&[lines[0].replace("\"version\":1", "\"version\":2")], 1).await;
    check(&[], 0).await;
    // Without its session and parents a message is refused, and its batch with it.
    let orphan = lines.iter().find(|line| line.contains("with a name")).unwrap();
    check(
        &[lines[0].clone(), lines[1].clone(), lines[2].clone(), orphan.clone()],
        4,
    )
    .await;
    assert_eq!(copy.store.count_sessions(ME).await.unwrap(), 0);
    // Cut off: what it holds is there, and the cut is told.
    check(&lines[..50], 50).await;
    assert_eq!(copy.store.stats(ME).await.unwrap().messages, 47);
    import(&copy.store, &lines).await.unwrap();
    assert_eq!(copy.store.stats(ME).await.unwrap().messages, 607);
}
