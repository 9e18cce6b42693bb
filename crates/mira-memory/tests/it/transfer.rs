//! Export and import.

use crate::{
    exposed::replied,
    shelf::{Shelf, file, hash, in_project, insert, made_for},
    support::*,
    tool_calls::{awkward, calls_of, said},
};
use mira_core::{
    chat::Exposure,
    citation::{Citation, Source},
    file::FileStatus,
    ids::{AttachmentId, FileId, MessageId, ProposalId},
    project::ArtifactContent,
    repo::{ProposalKind, Repo, RepoStatus, WriteMode},
};
use mira_memory::{
    BeginKind, BeginTurn, Decision, ExportReport, FileBytes, ImportReport, NewProposal, NewRepo, NoFiles, Page,
    ProjectFilter, RepoPatch, SendParent, SessionPatch, Store, StoreError,
};
use tokio::sync::mpsc;
use uuid::Uuid;

pub async fn export(store: &Store) -> (Vec<String>, ExportReport) {
    export_with(store, &NoFiles).await
}

async fn export_with(store: &Store, bytes: &dyn FileBytes) -> (Vec<String>, ExportReport) {
    let (sender, mut lines) = mpsc::channel(8);
    let collect = async {
        let mut all = Vec::new();
        while let Some(line) = lines.recv().await {
            all.push(line);
        }
        all
    };
    let (report, all) = tokio::join!(store.export(ME, now(), bytes, sender), collect);
    (all, report.unwrap())
}

pub async fn import(store: &Store, lines: &[String]) -> Result<ImportReport, StoreError> {
    import_with(store, &NoFiles, lines).await
}

async fn import_with(store: &Store, bytes: &dyn FileBytes, lines: &[String]) -> Result<ImportReport, StoreError> {
    let (sender, receiver) = mpsc::channel(8);
    let feed = async move {
        for line in lines {
            if sender.send(line.clone()).await.is_err() {
                break;
            }
        }
    };
    let ((), report) = tokio::join!(feed, store.import(ME, bytes, receiver, |_| ()));
    report
}

/// The first line that differs, if one does.
pub fn same(left: &[String], right: &[String]) {
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
    assert!(lines[0].contains("\"version\":5,"), "{}", lines[0]);
    let mut newer = lines.clone();
    newer[0] = newer[0].replace("\"version\":5,", "\"version\":6,");
    check(&newer, 1).await;
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

/// Facts travel with their evidence and with what took their place; everything imported waits to be indexed, but for
/// what was said off the record.
#[tokio::test]
async fn facts_travel_along() {
    let (fixture, session) = Fixture::with_session().await;
    let (q, _) = fixture.say(&session, "I am a nurse", "noted").await;
    let off = mira_memory::NewSession {
        memory: mira_core::chat::MemoryMode::Off,
        ..new_session("off")
    };
    fixture.store.insert_session(ME, off).await.unwrap();
    fixture.say(&session_id("off"), "unheard", "unheard").await;
    fixture.write_documents(10).await;
    fixture
        .execute(
            "INSERT INTO memories (account_id, id, kind, session_id, message_id, about, topic, text, salience, pinned,
                                   source, valid_from, superseded_by, created_at, updated_at)
             SELECT 1, x'000000000000000000000000000000f1', 'fact', session_id, id, 'owner', 'job', 'Is a nurse.', 0.5, 1,
                    'conversation', 1000, x'000000000000000000000000000000f2', 2000, 3000
               FROM messages WHERE content = 'I am a nurse';
             INSERT INTO memories (account_id, id, kind, about, topic, text, pinned, source, valid_from, created_at,
                                   updated_at)
             VALUES (1, x'000000000000000000000000000000f2', 'fact', 'owner', 'job', 'Is a doctor.', 0, 'tool', 1000,
                     2000, 3000)",
        )
        .await;
    let (lines, report) = export(&fixture.store).await;
    assert_eq!((report.facts, report.messages), (2, 4));
    let copy = Fixture::new().await;
    let imported = import(&copy.store, &lines).await.unwrap();
    assert_eq!((imported.facts, imported.messages, imported.skipped), (2, 4, 0));
    same(&lines, &export(&copy.store).await.0);
    let filter = mira_memory::MemoryFilter {
        kind: Some(mira_core::memory::MemoryKind::Fact),
        ..mira_memory::MemoryFilter::default()
    };
    let list = async |store: &Store| {
        store
            .list_memories(ME, filter.clone(), Page::first(5))
            .await
            .unwrap()
            .items
    };
    let facts = list(&copy.store).await;
    assert_eq!(facts, list(&fixture.store).await);
    assert_eq!(facts[1].message_id, Some(q.id));
    assert_eq!(facts[1].superseded_by, Some(facts[0].id));
    // Two messages and two facts are to be indexed; a second import queues nothing.
    assert_eq!(copy.store.outbox_stats(ME).await.unwrap().documents, 4);
    import(&copy.store, &lines).await.unwrap();
    assert_eq!(copy.store.outbox_stats(ME).await.unwrap().documents, 4);
    assert_eq!(copy.write_documents(10).await, 4);
    assert!(copy.documents().await.iter().all(|(_, text)| !text.contains("unheard")));
    let of = |what: &str, with: &str| -> Vec<String> { lines.iter().map(|line| line.replace(what, with)).collect() };
    for (what, with) in [
        ("Is a nurse.", " "),
        ("\"source\":\"tool\"", "\"source\":\"rumour\""),
        ("\"about\":\"owner\"", "\"about\":\"\""),
    ] {
        let copy = Fixture::new().await;
        let refused = import(&copy.store, &of(what, with)).await;
        assert!(matches!(refused, Err(StoreError::Import { .. })), "{refused:?}");
    }
}

/// What the version before memory wrote.
#[tokio::test]
async fn files_of_the_first_version_are_read() {
    let fixture = Fixture::new().await;
    let id = "01900000-0000-7000-8000-000000000001";
    let lines = [
        r#"{"type":"header","format":"mira-export","version":1,"exported_at":"2026-11-20T00:00:00Z"}"#.to_owned(),
        r#"{"type":"session","id":"s","title":"t","pinned_persona":null,"project_id":null,"head_id":null,"memory":"on","pinned":false,"archived":false,"created_at":"2026-11-20T00:00:00Z","updated_at":"2026-11-20T00:00:00Z"}"#.to_owned(),
        format!(
            r#"{{"type":"message","id":"{id}","session_id":"s","parent_id":null,"role":"user","content":"hello","status":"complete","client_id":null,"project_id":null,"metadata":null,"meta":null,"model":null,"usage":null,"created_at":"2026-11-20T00:00:00Z"}}"#
        ),
        r#"{"type":"end","sessions":1,"messages":1,"moods":0}"#.to_owned(),
    ];
    let imported = import(&fixture.store, &lines).await.unwrap();
    assert_eq!((imported.sessions, imported.messages, imported.facts), (1, 1, 0));
    assert_eq!(fixture.write_documents(10).await, 1);
}

fn draft(n: u128, repo: AttachmentId, message: Option<MessageId>) -> NewProposal {
    NewProposal {
        id: ProposalId(Uuid::from_u128(n)),
        repo_id: repo,
        kind: ProposalKind::Write,
        path: format!("src/{n}.rs"),
        new_path: None,
        base_sha: Some("aa".repeat(20)),
        old_text: Some("old\n".to_owned()),
        new_text: Some(format!("new {n}\n")),
        message: "Change it".to_owned(),
        message_id: message,
        now: now(),
    }
}

#[tokio::test]
async fn repositories_come_along_without_their_clones() {
    let (fixture, session) = Fixture::with_session().await;
    let (_, reply) = fixture.say(&session, "change it", "look").await;
    let project = fixture.project("Code").await;
    let store = &fixture.store;
    let new = NewRepo {
        id: AttachmentId(Uuid::from_u128(7)),
        project_id: project,
        repo_url: "https://example.org/it.git".to_owned(),
        branch: Some("main".to_owned()),
        now: now(),
    };
    let repo = store.insert_repo(ME, new).await.unwrap().unwrap();
    let ready = RepoPatch {
        status: Some(RepoStatus::Ready),
        writes: Some(WriteMode::Direct),
        last_sync_at: Some(now()),
        ..RepoPatch::default()
    };
    let repo = store.update_repo(ME, repo.id, ready, now()).await.unwrap().unwrap();
    let mut pending = Vec::new();
    for n in 1..=6 {
        let message = (n % 2 == 0).then_some(reply.id);
        let kept = store
            .insert_proposal(ME, draft(n, repo.id, message))
            .await
            .unwrap()
            .unwrap();
        pending.push(kept.proposal);
    }
    // What is decided is history, and git has it; what is stale waits on.
    let applied = pending.remove(0).id;
    {
        store
            .decide_proposal(ME, applied, Decision::Applied("bb".repeat(20)), now())
            .await
    }
    .unwrap();
    let stale = { store.decide_proposal(ME, pending[0].id, Decision::Stale, now()).await }.unwrap();
    pending[0] = stale.unwrap();
    let (lines, report) = export(store).await;
    assert_eq!((report.repos, report.proposals), (1, 5));

    let copy = Fixture::new().await;
    let imported = import(&copy.store, &lines).await.unwrap();
    assert_eq!((imported.repos, imported.proposals), (1, 5));
    let found = copy.store.find_repo(ME, project, repo.id).await.unwrap().unwrap();
    let told = found.error.clone().unwrap();
    assert!(told.contains("attach it again"), "{told}");
    let expect = Repo {
        status: RepoStatus::Failed,
        error: Some(told),
        ..repo.clone()
    };
    assert_eq!(found, expect);
    for proposal in &pending {
        let found = copy.store.find_proposal(ME, project, proposal.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(proposal));
    }
    assert_eq!(copy.store.find_proposal(ME, project, applied).await.unwrap(), None);
    let again = import(&copy.store, &lines).await.unwrap();
    assert_eq!((again.repos, again.proposals), (0, 0));

    // A proposal whose reply did not come along stands alone.
    let silent: Vec<String> = { lines.iter() }
        .filter(|line| !line.contains("\"type\":\"message\"") && !line.contains("\"type\":\"mood\""))
        .cloned()
        .collect();
    let alone = Fixture::new().await;
    import(&alone.store, &silent).await.unwrap();
    let found = alone
        .store
        .find_proposal(ME, project, ProposalId(Uuid::from_u128(4)))
        .await;
    assert_eq!(found.unwrap().unwrap().message_id, None);

    for (what, with) in [
        ("https://example.org/it.git", "ext::sh -c id"),
        ("\"writes\":\"direct\"", "\"writes\":\"always\""),
        ("\"state\":\"open\"", "\"state\":\"applied\""),
        ("\"kind\":\"write\"", "\"kind\":\"rename\""),
        ("\"path\":\"src/3.rs\"", "\"path\":\"\""),
    ] {
        let lines: Vec<String> = lines.iter().map(|line| line.replace(what, with)).collect();
        let refused = import(&Fixture::new().await.store, &lines).await;
        assert!(matches!(refused, Err(StoreError::Import { .. })), "{with}: {refused:?}");
    }
}

#[tokio::test]
async fn projects_and_artifacts_come_along() {
    let (fixture, session) = Fixture::with_session().await;
    let project = fixture.project("A \"project\"").await;
    fixture.project("Another").await;
    let into = SessionPatch {
        project_id: Some(Some(project)),
        ..SessionPatch::default()
    };
    fixture.store.update_session(ME, &session, into, now()).await.unwrap();
    let (question, _) = fixture.say(&session, "in it", "yes").await;
    let artifact = fixture.artifact(project, "a", "one\n").await;
    fixture.put(artifact.id, "two\u{1}\n").await;
    fixture.put(artifact.id, "one\n").await;
    let picture = ArtifactContent::Image(b"GIF89a\xff\x00".to_vec());
    let picture = fixture.new_artifact(project, "p", picture);
    let picture = fixture.store.create_artifact(ME, picture).await.unwrap().unwrap();
    let (lines, report) = export(&fixture.store).await;
    assert_eq!((report.projects, report.artifacts, report.versions), (2, 2, 4));

    // An import that broke off goes on where it ended.
    let copy = Fixture::new().await;
    let cut = lines.iter().position(|line| line.contains("\"version\":2,")).unwrap();
    assert!(import(&copy.store, &lines[..cut]).await.is_err());
    assert_eq!(
        copy.store
            .find_artifact(ME, artifact.id)
            .await
            .unwrap()
            .unwrap()
            .version,
        1
    );
    assert_eq!(
        copy.store.find_artifact(ME, picture.id).await.unwrap(),
        None,
        "it has no version yet"
    );
    let imported = import(&copy.store, &lines).await.unwrap();
    assert_eq!((imported.projects, imported.artifacts, imported.versions), (0, 0, 3));
    // Her state is that of an account with a past: it is not imported then.
    let stateless = |lines: &[String]| {
        lines
            .iter()
            .filter(|line| !line.contains("\"state\""))
            .cloned()
            .collect::<Vec<_>>()
    };
    same(&stateless(&lines), &stateless(&export(&copy.store).await.0));
    for id in [artifact.id, picture.id] {
        let (left, right) = (fixture.store.find_artifact(ME, id), copy.store.find_artifact(ME, id));
        assert_eq!(left.await.unwrap(), right.await.unwrap());
    }
    assert_eq!(
        copy.store
            .find_message(ME, question.id)
            .await
            .unwrap()
            .unwrap()
            .project_id,
        Some(project)
    );
    let found = copy.store.list_projects(
        ME,
        ProjectFilter {
            q: Some("PROJECT".to_owned()),
            tag: None,
        },
        Page::first(9),
    );
    assert_eq!(found.await.unwrap().items.len(), 1);

    // A history that went another way stays as it is; one that is behind catches up.
    let behind = Fixture::new().await;
    import(&behind.store, &lines).await.unwrap();
    let mine = behind.put(artifact.id, "mine").await;
    fixture.put(artifact.id, "theirs").await;
    fixture.put(artifact.id, "theirs, again").await;
    let (newer, _) = export(&fixture.store).await;
    assert_eq!(import(&behind.store, &newer).await.unwrap().versions, 0);
    assert_eq!(behind.store.find_artifact(ME, artifact.id).await.unwrap(), Some(mine));
    assert_eq!(import(&copy.store, &newer).await.unwrap().versions, 2);

    let broken =
        |what: &str, with: &str| -> Vec<String> { lines.iter().map(|line| line.replace(what, with)).collect() };
    for (what, with) in [
        ("\"kind\":\"code\"", "\"kind\":\"rumour\""),
        ("\"text\":\"one\\n\"", "\"text\":\"another\""),
        ("\"author\":\"owner\"", "\"author\":\"guest\""),
        ("\"name\":\"Another\"", "\"name\":\" \""),
        ("\"tags\":[]", "\"tags\":[\"Upper\"]"),
        ("\"image\":\"R0lG", "\"image\":\"AAAA"),
    ] {
        let lines = broken(what, with);
        let refused = import(&Fixture::new().await.store, &lines).await;
        assert!(matches!(refused, Err(StoreError::Import { .. })), "{what}: {refused:?}");
    }
    // A project that no line brings is none.
    let without: Vec<String> = { lines.iter() }
        .filter(|line| !line.contains("\"type\":\"project\"") && !line.contains("\"type\":\"artifact"))
        .cloned()
        .collect();
    let copy = Fixture::new().await;
    import(&copy.store, &without).await.unwrap();
    assert_eq!(
        copy.store.find_session(ME, &session).await.unwrap().unwrap().project_id,
        None
    );
    assert_eq!(
        copy.store
            .find_message(ME, question.id)
            .await
            .unwrap()
            .unwrap()
            .project_id,
        None
    );
}

#[tokio::test]
async fn an_export_carries_citations() {
    let (fixture, session) = Fixture::with_session().await;
    let (turn, _) = fixture
        .begun(&session, send(fixture.message_id(), "q", SendParent::Head))
        .await;
    let mut end = fixture.end(&turn, "So it is [1].");
    let cited = Citation {
        index: 1,
        source: Source {
            url: Some("https://a.example/".to_owned()),
            title: "Ä page".to_owned(),
            ..Source::default()
        },
        start: Some(9),
        end: Some(12),
    };
    end.reply.as_mut().unwrap().citations = vec![cited.clone()];
    fixture.store.finish_turn(ME, end).await.unwrap();
    let (lines, _) = export(&fixture.store).await;
    let copy = Fixture::new().await;
    import(&copy.store, &lines).await.unwrap();
    let reply = copy.store.find_message(ME, turn.reply_id).await.unwrap().unwrap();
    assert_eq!(reply.citations, [cited]);
    same(&lines, &export(&copy.store).await.0);
}

#[tokio::test]
async fn an_export_carries_calls() {
    let (fixture, session) = Fixture::with_session().await;
    let calls = awkward();
    let (_, reply) = said(&fixture, &session, "q", calls.clone()).await;
    fixture.say(&session, "no tools", "none").await;
    let (lines, _) = export(&fixture.store).await;
    let with = |lines: &[String]| lines.iter().filter(|line| line.contains("tool_calls")).count();
    assert_eq!(with(&lines), 1, "only where there are some");
    let copy = Fixture::new().await;
    import(&copy.store, &lines).await.unwrap();
    assert_eq!(calls_of(&copy, &reply).await, calls);
    same(&lines, &export(&copy.store).await.0);
    assert_eq!(
        copy.count("SELECT count(*) FROM messages WHERE tool_calls IS NOT NULL")
            .await,
        1
    );
    // The owner calls no tools, and a call is one.
    let at = lines.iter().position(|line| line.contains("tool_calls")).unwrap();
    for (what, with) in [
        ("\"role\":\"assistant\"", "\"role\":\"user\""),
        ("\"effect\":\"read\"", "\"effect\":\"magic\""),
    ] {
        let mut bad = lines.clone();
        bad[at] = bad[at].replacen(what, with, 1);
        assert_ne!(bad[at], lines[at]);
        let copy = Fixture::new().await;
        match import(&copy.store, &bad).await {
            Err(StoreError::Import { line, .. }) => assert_eq!(line, at as u64 + 1),
            other => panic!("{other:?}"),
        }
    }
}

/// A session in which two files were sent along, and one was made.
async fn with_files(shelf: &Shelf) -> (Fixture, MessageId, Vec<FileId>) {
    let (fixture, session) = Fixture::with_session().await;
    let store = &fixture.store;
    let project = fixture.project("P").await;
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut ids = Vec::new();
    for (n, name, bytes) in [
        (1, "large.bin", large.as_slice()),
        (2, "note.txt", b"a note"),
        (3, "empty.bin", b""),
    ] {
        ids.push(insert(store, file(shelf, n, name, bytes)).await.id);
    }
    let there = in_project(file(shelf, 4, "there.txt", b"a note"), project);
    ids.push(insert(store, there).await.id);
    let turn = BeginTurn {
        files: ids.iter().copied().take(2).rev().collect(),
        ..fixture.begin(&session, send(fixture.message_id(), "look", SendParent::Head))
    };
    store.begin_turn(ME, turn.clone()).await.unwrap();
    replied(&fixture, &turn, Some(Exposure::Direct)).await;
    let made = made_for(file(shelf, 5, "plot.bin", b"a plot"), turn.reply_id);
    ids.push(insert(store, made).await.id);
    let BeginKind::Send { message_id, .. } = turn.kind else {
        unreachable!()
    };
    (fixture, message_id, ids)
}

#[tokio::test]
async fn files_come_along() {
    let shelf = Shelf::new();
    let (fixture, message, ids) = with_files(&shelf).await;
    let (lines, report) = export_with(&fixture.store, &shelf).await;
    assert_eq!((report.files, report.files_left_out), (5, 0));
    let pieces = lines
        .iter()
        .filter(|line| line.contains("\"type\":\"file_bytes\""))
        .count();
    assert_eq!(pieces, 8, "1.2 MB in five pieces, each content once");

    let (copy, other) = (Fixture::new().await, Shelf::new());
    let imported = import_with(&copy.store, &other, &lines).await.unwrap();
    assert_eq!((imported.files, imported.skipped), (5, 0));
    assert!(other.all() == shelf.all());
    for id in &ids {
        let found = copy.store.find_file(ME, *id).await.unwrap();
        assert_eq!(found, fixture.store.find_file(ME, *id).await.unwrap());
    }
    let sent = async |store: &Store| store.find_message(ME, message).await.unwrap().unwrap().files;
    assert_eq!(sent(&copy.store).await, sent(&fixture.store).await);
    assert_eq!(sent(&copy.store).await.len(), 2);
    same(&lines[1..], &export_with(&copy.store, &other).await.0[1..]);
    let repeated = import_with(&copy.store, &other, &lines).await.unwrap();
    assert_eq!(repeated.files, 0);
    assert_eq!(copy.store.list_file_leftovers().await.unwrap(), [[0; 32]; 0]);

    // What is gone from the disk is left out, and told.
    std::fs::remove_file(shelf.path(b"a note")).unwrap();
    std::fs::write(shelf.path(b"a plot"), b"a blot").unwrap();
    let (lines, report) = export_with(&fixture.store, &shelf).await;
    assert_eq!((report.files, report.files_left_out), (2, 3));
    let copy = Fixture::new().await;
    import_with(&copy.store, &Shelf::new(), &lines).await.unwrap();
    assert_eq!(sent(&copy.store).await.len(), 1);
}

#[tokio::test]
async fn files_that_are_here_already_are_the_same() {
    let shelf = Shelf::new();
    let (fixture, message, ids) = with_files(&shelf).await;
    let (lines, _) = export_with(&fixture.store, &shelf).await;
    let copy = Fixture::new().await;
    let mine = insert(&copy.store, file(&shelf, 99, "note.txt", b"a note")).await;
    let failed = copy.store.give_up_file(ME, mine.id, 1, "no".to_owned(), now());
    failed.await.unwrap();
    let imported = import_with(&copy.store, &shelf, &lines).await.unwrap();
    assert_eq!((imported.files, imported.skipped), (4, 1));
    assert_eq!(copy.store.find_file(ME, ids[1]).await.unwrap(), None);
    let sent = copy.store.find_message(ME, message).await.unwrap().unwrap().files;
    assert_eq!(sent.iter().map(|file| file.id).collect::<Vec<_>>(), [mine.id, ids[0]]);
    assert_eq!(sent[0].status, FileStatus::Processing, "its text is read again");

    // The conversation came with an older export; its files catch up.
    let silent: Vec<String> = { lines.iter() }
        .filter(|line| !line.contains("\"type\":\"file"))
        .map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("exposed");
            line.to_string()
        })
        .collect();
    let behind = Fixture::new().await;
    import(&behind.store, &silent).await.unwrap();
    behind.write_documents(64).await;
    let marked = async || {
        behind
            .count("SELECT count(*) FROM memories WHERE source = 'tool'")
            .await
    };
    assert_eq!(marked().await, 0);
    import_with(&behind.store, &Shelf::new(), &lines).await.unwrap();
    let sent = behind.store.find_message(ME, message).await.unwrap().unwrap().files;
    assert_eq!(
        (sent.len(), marked().await),
        (2, 1),
        "and what she replied to them is marked"
    );
}

#[tokio::test]
async fn files_that_lie_are_refused() {
    let shelf = Shelf::new();
    let (fixture, ..) = with_files(&shelf).await;
    let (lines, _) = export_with(&fixture.store, &shelf).await;
    let note = mira_core::project::hex(&hash(b"a note"));
    let changed = |what: &str, with: &str| -> Vec<String> {
        assert!(lines.iter().any(|line| line.contains(what)), "{what}");
        lines.iter().map(|line| line.replace(what, with)).collect()
    };
    let without = |what: &str| -> Vec<String> { lines.iter().filter(|line| !line.contains(what)).cloned().collect() };
    let mut cases = vec![
        changed("YSBub3Rl", "YSBsaWUh"),
        changed("YSBub3Rl", "!!!!"),
        changed("\"size\":6,", "\"size\":7,"),
        changed("\"author\":\"mira\"", "\"author\":\"guest\""),
        changed(&note, "abc"),
        without("YSBub3Rl"),
        without("\"type\":\"project\""),
    ];
    // The bytes end in the middle.
    let last = lines
        .iter()
        .rposition(|line| line.contains("\"type\":\"file_bytes\""))
        .unwrap();
    cases.push(lines[..last].to_vec());
    for (n, case) in cases.iter().enumerate() {
        let (copy, other) = (Fixture::new().await, Shelf::new());
        let refused = import_with(&copy.store, &other, case).await;
        assert!(matches!(refused, Err(StoreError::Import { .. })), "{n}: {refused:?}");
        // Bytes without a file are known as such.
        let leftovers = copy.store.list_file_leftovers().await.unwrap();
        for (name, bytes) in other.all() {
            let stored = copy.store.is_file_leftover(hash(&bytes)).await.unwrap();
            assert_eq!(stored, leftovers.contains(&hash(&bytes)), "{n}: {name}");
        }
        // And nothing is in the way of the right ones.
        import_with(&copy.store, &other, &lines).await.unwrap();
        assert!(other.all() == shelf.all(), "{n}");
        assert_eq!(copy.store.list_file_leftovers().await.unwrap(), [[0; 32]; 0], "{n}");
    }
    let refused = import(&Fixture::new().await.store, &lines).await;
    assert!(
        matches!(refused, Err(StoreError::Io { .. })),
        "nobody keeps them: {refused:?}"
    );
}
