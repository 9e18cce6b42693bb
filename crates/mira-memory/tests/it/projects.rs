//! Projects: made, found, changed, and deleted without taking along what people said.

use crate::{
    shelf::{Shelf, file, insert},
    support::*,
};
use mira_core::{
    ids::{AccountId, ProjectId},
    project::ProjectDeletion,
};
use mira_memory::{
    BeginOutcome, MemoryFilter, NewProject, Page, PatchOutcome, ProjectFilter, ProjectPatch, SendParent, SessionFilter,
    SessionPatch,
};

const OTHER: AccountId = AccountId(2);

async fn names(fixture: &Fixture, q: Option<&str>, tag: Option<&str>) -> Vec<String> {
    let filter = ProjectFilter {
        q: q.map(str::to_owned),
        tag: tag.map(str::to_owned),
    };
    let listed = fixture.store.list_projects(ME, filter, Page::first(50)).await.unwrap();
    listed.items.into_iter().map(|project| project.name).collect()
}

#[tokio::test]
async fn projects_are_found_by_any_text() {
    let fixture = Fixture::new().await;
    for (name, description, tag) in [
        ("Garden", "Beds, paths and a POND", "green"),
        ("Kitchen \"new\"", "Über den Herd", "house"),
        ("東京タワー", "a trip", "travel"),
    ] {
        let new = NewProject {
            description: description.to_owned(),
            tags: vec![tag.to_owned(), "all".to_owned()],
            ..fixture.new_project(name)
        };
        fixture.store.insert_project(ME, new).await.unwrap();
    }
    for (q, expect) in [
        ("pond", vec!["Garden"]),
        ("PATH gard", vec!["Garden"]),
        ("pond trip", vec![]),
        ("\"new\" AND *", vec![]),
        ("\"new\"", vec!["Kitchen \"new\""]),
        ("über", vec!["Kitchen \"new\""]),
        ("タワ", vec!["東京タワー"]),
        ("travel", vec!["東京タワー"]),
        ("all", vec!["東京タワー", "Kitchen \"new\"", "Garden"]),
        ("%", vec![]),
        ("'; DROP TABLE projects; --", vec![]),
        ("\0", vec![]),
    ] {
        assert_eq!(names(&fixture, Some(q), None).await, expect, "{q:?}");
    }
    assert_eq!(names(&fixture, None, Some("house")).await, ["Kitchen \"new\""]);
    assert_eq!(names(&fixture, Some("herd"), Some("green")).await, [""; 0]);
}

#[tokio::test]
async fn pages_keep_their_order_while_projects_change() {
    let fixture = Fixture::new().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(fixture.project(&format!("p{n}")).await);
    }
    let rename = |name: &str| ProjectPatch {
        name: Some(name.to_owned()),
        ..ProjectPatch::default()
    };
    fixture
        .store
        .update_project(ME, ids[2], rename("p2!"), now())
        .await
        .unwrap()
        .unwrap();
    // What changes nothing moves nothing.
    fixture
        .store
        .update_project(ME, ids[0], rename("p0"), now())
        .await
        .unwrap()
        .unwrap();
    let mut seen = Vec::new();
    let mut page = Page::first(3);
    loop {
        let listed = { fixture.store.list_projects(ME, ProjectFilter::default(), page) }
            .await
            .unwrap();
        seen.extend(listed.items.into_iter().map(|project| project.name));
        fixture.project("new").await;
        let Some(next) = listed.next else { break };
        page.cursor = Some(next.to_string().parse().unwrap());
    }
    assert_eq!(seen, ["p2!", "p6", "p5", "p4", "p3", "p1", "p0"]);
}

#[tokio::test]
async fn deleting_takes_only_what_is_the_projects() {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    let (gone, kept) = (fixture.project("gone").await, fixture.project("kept").await);
    let into = |id| SessionPatch {
        project_id: Some(Some(id)),
        ..SessionPatch::default()
    };
    let unknown = ProjectId(fixture.message_id().0);
    let patched = store.update_session(ME, &session, into(unknown), now()).await.unwrap();
    assert_eq!(patched, PatchOutcome::NoSuchProject);
    let patched = store.update_session(ME, &session, into(gone), now()).await.unwrap();
    let PatchOutcome::Updated(patched) = patched else {
        panic!("{patched:?}")
    };
    assert_eq!(patched.project_id, Some(gone));

    // What is said in a session is said in its project, unless another is named.
    let (question, answer) = fixture.say(&session, "In the project", "yes").await;
    assert_eq!((question.project_id, answer.project_id), (Some(gone), Some(gone)));
    let named = |id| {
        let mut kind = send(fixture.message_id(), "Elsewhere", SendParent::Head);
        if let mira_memory::BeginKind::Send { project_id, .. } = &mut kind {
            *project_id = Some(id);
        }
        kind
    };
    let (elsewhere, _) = fixture.turn(&session, named(kept), "yes").await;
    assert_eq!(elsewhere.project_id, Some(kept));
    let refused = store
        .begin_turn(ME, fixture.begin(&session, named(unknown)))
        .await
        .unwrap();
    assert_eq!(refused, BeginOutcome::NoSuchProject);
    let edited = mira_memory::BeginKind::Edit {
        of: elsewhere.id,
        keeps_files: true,
        message_id: fixture.message_id(),
        content: "Edited".to_owned(),
        client_id: None,
        project_id: None,
        metadata: None,
    };
    assert_eq!(
        fixture.turn(&session, edited, "yes").await.0.project_id,
        Some(kept),
        "it stays where it was"
    );
    fixture.write_documents(100).await;

    let artifact = fixture.artifact(gone, "a", "one").await;
    fixture.put(artifact.id, "two").await;
    fixture.artifact(kept, "b", "one").await;

    let shelf = Shelf::new();
    let mut own = file(&shelf, 1, "own.txt", b"own");
    own.project_id = Some(gone);
    let own = insert(store, own).await;
    let other = insert(store, file(&shelf, 2, "other.txt", b"other")).await;

    let expect = ProjectDeletion {
        artifacts: 1,
        versions: 2,
        sessions: 1,
        repos: 0,
        files: 1,
    };
    assert_eq!(store.count_project(ME, gone).await.unwrap(), Some(expect));
    assert_eq!(store.count_project(OTHER, gone).await.unwrap(), None);
    let deleted = store.delete_project(ME, gone).await.unwrap().unwrap();
    assert_eq!((deleted.counts, deleted.sessions), (expect, vec![session.clone()]));
    assert_eq!(deleted.files, std::slice::from_ref(&own));
    assert_eq!(store.list_file_leftovers().await.unwrap(), [own.sha256]);
    let both = [other.id, own.id];
    assert_eq!(store.find_files(ME, &both).await.unwrap(), None, "one of them is gone");
    assert_eq!(store.find_files(ME, &both[..1]).await.unwrap(), Some(vec![other]));
    assert_eq!(store.delete_project(ME, gone).await.unwrap(), None);
    assert_eq!(store.find_project(ME, gone).await.unwrap(), None);
    assert_eq!(store.find_artifact(ME, artifact.id).await.unwrap(), None);

    let found = store.find_session(ME, &session).await.unwrap().unwrap();
    assert_eq!((found.project_id, found.message_count), (None, 6));
    assert_eq!(
        store.find_message(ME, question.id).await.unwrap().unwrap().project_id,
        None
    );
    assert_eq!(
        store.find_message(ME, elsewhere.id).await.unwrap().unwrap().project_id,
        Some(kept)
    );
    let memories = { store.list_memories(ME, MemoryFilter::default(), Page::first(50)) }
        .await
        .unwrap();
    assert!(memories.items.len() >= 6 && memories.items.iter().all(|memory| memory.project_id != Some(gone)));
    assert_eq!(fixture.count("SELECT count(*) FROM artifact_versions").await, 1);
    // The content that both projects had is the other's still.
    assert_eq!(fixture.count("SELECT count(*) FROM artifact_blobs").await, 1);
    let filter = SessionFilter {
        archived: None,
        project_id: Some(gone),
    };
    assert_eq!(store.list_sessions(ME, filter, Page::first(9)).await.unwrap().items, []);
    assert!(store.integrity_check().await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn a_session_made_in_a_project_that_is_gone_is_in_none() {
    let fixture = Fixture::new().await;
    let project = fixture.project("p").await;
    let mut new = new_session("in");
    new.project_id = Some(project);
    let made = fixture.store.insert_session(ME, new).await.unwrap().into_inner();
    assert_eq!(made.project_id, Some(project));
    fixture.store.delete_project(ME, project).await.unwrap().unwrap();
    let mut new = new_session("late");
    new.project_id = Some(project);
    let made = fixture.store.insert_session(ME, new).await.unwrap().into_inner();
    assert_eq!(made.project_id, None);
}
