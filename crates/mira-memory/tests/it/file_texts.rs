//! Texts of files: found when they are whole, by their words and by their vectors, where they may be.

use crate::support::*;
use mira_core::{
    file::{FileStatus, StoredFile},
    ids::{AccountId, FileId, ProjectId},
    project::Author,
};
use mira_memory::{FileChunk, FilePage, FileScope, WordCounts};
use std::sync::Arc;

const MODEL: &str = "model#2";
/// Readers.
const OLD: u16 = 1;
const NEW: u16 = 2;

async fn file(fixture: &Fixture, name: &str, project_id: Option<ProjectId>) -> FileId {
    let id = FileId(fixture.message_id().0);
    let mut sha256 = [0; 32];
    sha256[..16].copy_from_slice(id.0.as_bytes());
    let new = StoredFile {
        id,
        project_id,
        name: name.to_owned(),
        media_type: "text/plain".to_owned(),
        size: 3,
        sha256,
        status: FileStatus::Processing,
        error: None,
        pages: None,
        author: Author::Owner,
        message_id: None,
        created_at: now(),
    };
    fixture.store.insert_file(ME, new).await.unwrap();
    id
}

fn chunk(text: &str, page: Option<u32>) -> FileChunk {
    FileChunk {
        page,
        lines: None,
        heading: "Guide".to_owned(),
        text: text.to_owned(),
    }
}

fn page(number: u32, text: &str) -> FilePage {
    FilePage {
        page: Some(number),
        text: text.to_owned(),
    }
}

async fn write(fixture: &Fixture, id: FileId, texts: &[&str]) -> bool {
    write_as(fixture, id, OLD, texts).await
}

async fn write_as(fixture: &Fixture, id: FileId, reader: u16, texts: &[&str]) -> bool {
    let pages = (1..).zip(texts).map(|(n, text)| page(n, text)).collect();
    let chunks = (1..).zip(texts).map(|(n, text)| chunk(text, Some(n))).collect();
    fixture
        .store
        .write_file_text(ME, id, reader, pages, chunks)
        .await
        .unwrap()
}

async fn ready(fixture: &Fixture, id: FileId) {
    fixture.store.publish_file_text(ME, id, OLD, None, now()).await.unwrap();
}

async fn whole(fixture: &Fixture, name: &str, project: Option<ProjectId>, texts: &[&str]) -> FileId {
    let id = file(fixture, name, project).await;
    assert!(write(fixture, id, texts).await);
    ready(fixture, id).await;
    id
}

fn within(project: Option<ProjectId>, files: Option<Vec<FileId>>) -> FileScope {
    FileScope { project, files }
}

async fn by_words(fixture: &Fixture, account: AccountId, scope: &FileScope, words: &str) -> Vec<String> {
    let hits = fixture
        .store
        .find_chunks_by_words(account, scope, words, 50)
        .await
        .unwrap();
    let keys: Vec<i64> = hits.iter().map(|hit| hit.key).collect();
    let found = fixture.store.find_chunks(account, &keys).await.unwrap();
    for (hit, found) in hits.iter().zip(&found) {
        assert_eq!((hit.key, hit.file, hit.page), (found.key, found.file, found.chunk.page));
    }
    found.into_iter().map(|found| found.chunk.text).collect()
}

/// Gives everything that waits a vector: the first letter of its text as an angle.
async fn embed(fixture: &Fixture, model: &str) -> usize {
    let waiting = fixture.store.chunks_to_embed(1000).await.unwrap();
    let vectors = waiting.iter().map(|(key, text)| {
        let letter = text.split('\n').nth(1).and_then(|text| text.bytes().next()).unwrap();
        let angle = f32::from(letter - b'a') / 26.0;
        (*key, Some(Arc::from([angle.cos(), angle.sin()])))
    });
    fixture
        .store
        .write_chunk_vectors(model, vectors.collect())
        .await
        .unwrap();
    waiting.len()
}

/// The pieces whose vectors are compared, the nearest to `a` first.
async fn compared(fixture: &Fixture, scope: &FileScope, model: &str) -> Vec<String> {
    let query = Arc::from([1.0, 0.0]);
    let mut found = fixture.store.compare_chunks(ME, scope, model, query).await.unwrap();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    let keys: Vec<i64> = found.into_iter().map(|(key, _)| key).collect();
    let found = fixture.store.find_chunks(ME, &keys).await.unwrap();
    found.into_iter().map(|found| found.chunk.text).collect()
}

#[tokio::test]
async fn a_text_is_found_when_it_is_whole() {
    let fixture = Fixture::new().await;
    let id = file(&fixture, "a.txt", None).await;
    let all = FileScope::default();
    assert!(write(&fixture, id, &["apple tart", "bread"]).await);
    embed(&fixture, MODEL).await;
    assert_eq!(by_words(&fixture, ME, &all, "\"apple\"").await, [""; 0]);
    assert_eq!(compared(&fixture, &all, MODEL).await, [""; 0]);
    // What an interruption left is written anew.
    assert!(write(&fixture, id, &["apple pie"]).await);
    ready(&fixture, id).await;
    assert_eq!(
        by_words(&fixture, ME, &all, "\"apple\" OR \"bread\"").await,
        ["apple pie"]
    );
    assert_eq!(
        fixture.store.file_page(ME, id, 0).await.unwrap(),
        (Some(page(1, "apple pie")), 1)
    );
    assert_eq!(fixture.store.file_page(ME, id, 1).await.unwrap(), (None, 1));
    assert_eq!(by_words(&fixture, AccountId(99), &all, "\"apple\"").await, [""; 0]);
    fixture.store.delete_file(ME, id).await.unwrap().unwrap();
    assert!(!write(&fixture, id, &["apple pie"]).await, "gone is gone");
    assert_eq!(fixture.count("SELECT count(*) FROM file_chunks").await, 0);
    assert_eq!(fixture.count("SELECT count(*) FROM file_waiting").await, 0);
    assert_eq!(fixture.count("SELECT count(*) FROM file_vectors").await, 0);
}

#[tokio::test]
async fn a_long_text_is_written_in_parts() {
    let fixture = Fixture::new().await;
    let id = file(&fixture, "long.txt", None).await;
    let texts: Vec<String> = (0..600).map(|n| format!("word{n} common")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let before = fixture.store.writer_stats().jobs;
    assert!(write(&fixture, id, &texts).await);
    assert!(
        fixture.store.writer_stats().jobs - before > 10,
        "others get to write between"
    );
    ready(&fixture, id).await;
    for n in [0, 63, 64, 255, 256, 599] {
        let text = format!("word{n} common");
        assert_eq!(
            by_words(&fixture, ME, &FileScope::default(), &format!("\"word{n}\"")).await,
            std::slice::from_ref(&text)
        );
        let number = u32::try_from(n).unwrap();
        let found = fixture.store.file_page(ME, id, number).await.unwrap();
        assert_eq!(found, (Some(page(number + 1, &text)), 600));
    }
    let words = ["\"word7\"".to_owned(), "\"common\"".to_owned(), "\"none\"".to_owned()];
    assert_eq!(
        fixture.store.count_word_chunks(&words).await.unwrap(),
        WordCounts {
            pieces: vec![1, 600, 0],
            of: 600
        }
    );
    assert_eq!(
        fixture.store.count_word_chunks(&[]).await.unwrap(),
        WordCounts::default()
    );
}

#[tokio::test]
async fn vectors_are_compared_as_they_come_and_go() {
    let fixture = Fixture::new().await;
    let all = FileScope::default();
    let first = whole(&fixture, "1.txt", None, &["zoo", "apple"]).await;
    assert_eq!(compared(&fixture, &all, MODEL).await, [""; 0], "none is made yet");
    assert_eq!(embed(&fixture, MODEL).await, 2);
    assert_eq!(compared(&fixture, &all, MODEL).await, ["apple", "zoo"]);
    whole(&fixture, "2.txt", None, &["mill", "bread"]).await;
    let waiting = fixture.store.chunks_to_embed(1).await.unwrap();
    assert_eq!(
        waiting.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
        ["Guide\nmill"]
    );
    // A piece the model does not take waits no longer, and is not compared.
    let without = waiting.iter().map(|(key, _)| (*key, None)).collect();
    fixture.store.write_chunk_vectors(MODEL, without).await.unwrap();
    assert_eq!(embed(&fixture, MODEL).await, 1);
    assert_eq!(compared(&fixture, &all, MODEL).await, ["apple", "bread", "zoo"]);
    assert_eq!(
        compared(&fixture, &within(None, Some(vec![first])), MODEL).await,
        ["apple", "zoo"]
    );
    assert_eq!(compared(&fixture, &all, "other#2").await, [""; 0]);
    assert_eq!(compared(&fixture, &all, MODEL).await, ["apple", "bread", "zoo"]);
    fixture.store.delete_file(ME, first).await.unwrap().unwrap();
    assert_eq!(compared(&fixture, &all, MODEL).await, ["bread"]);
    let fixture = fixture.reopened().await;
    assert_eq!(compared(&fixture, &all, MODEL).await, ["bread"]);
    assert_eq!(embed(&fixture, MODEL).await, 0);
}

#[tokio::test]
async fn another_model_makes_all_vectors_anew() {
    let fixture = Fixture::new().await;
    let all = FileScope::default();
    whole(&fixture, "1.txt", None, &["zoo", "apple"]).await;
    embed(&fixture, MODEL).await;
    fixture.store.requeue_chunks(MODEL).await.unwrap();
    assert_eq!(fixture.store.chunks_to_embed(10).await.unwrap(), []);
    for _ in 0..2 {
        fixture.store.requeue_chunks("other#2").await.unwrap();
        assert_eq!(fixture.store.chunks_to_embed(10).await.unwrap().len(), 2);
    }
    assert_eq!(
        compared(&fixture, &all, MODEL).await,
        ["apple", "zoo"],
        "the old ones answer until then"
    );
    embed(&fixture, "other#2").await;
    assert_eq!(compared(&fixture, &all, "other#2").await, ["apple", "zoo"]);
    assert_eq!(compared(&fixture, &all, "other#3").await, [""; 0]);
}

#[tokio::test]
async fn a_project_sees_its_files_and_those_in_none() {
    let fixture = Fixture::new().await;
    let (tea, tar) = (fixture.new_project("Tea"), fixture.new_project("Tar"));
    let ids = (tea.id, tar.id);
    fixture.store.insert_project(ME, tea).await.unwrap();
    fixture.store.insert_project(ME, tar).await.unwrap();
    whole(&fixture, "free.txt", None, &["common apple"]).await;
    let tied = whole(&fixture, "tea.txt", Some(ids.0), &["common bread"]).await;
    whole(&fixture, "tar.txt", Some(ids.1), &["common coal"]).await;
    embed(&fixture, MODEL).await;
    let check = async |scope: FileScope, expect: &[&str]| {
        let mut words = by_words(&fixture, ME, &scope, "\"common\"").await;
        words.sort();
        assert_eq!(words, expect, "{scope:?}");
        let mut vectors = compared(&fixture, &scope, MODEL).await;
        vectors.sort();
        assert_eq!(vectors, expect, "{scope:?}");
    };
    check(within(None, None), &["common apple"]).await;
    check(within(Some(ids.0), None), &["common apple", "common bread"]).await;
    check(within(Some(ids.0), Some(vec![tied])), &["common bread"]).await;
    check(within(None, Some(vec![tied])), &[]).await;
    fixture.store.delete_project(ME, ids.0).await.unwrap();
    check(within(Some(ids.0), None), &["common apple"]).await;
}

/// The pages of a file's text.
async fn pages_of(fixture: &Fixture, id: FileId) -> Vec<String> {
    let (_, count) = fixture.store.file_page(ME, id, 0).await.unwrap();
    let mut pages = Vec::new();
    for n in 0..count {
        let (found, _) = fixture.store.file_page(ME, id, n).await.unwrap();
        pages.push(found.unwrap().text);
    }
    pages
}

/// The file that is to be read anew by this reader, and how often that was begun.
async fn to_renew(fixture: &Fixture, reader: u16) -> Option<(FileId, u32)> {
    let waiting = fixture.store.next_file_to_renew(reader, now()).await.unwrap();
    let count = fixture.store.count_files_to_renew(reader).await.unwrap();
    assert!(waiting.is_none() || count > 0);
    waiting.map(|waiting| (waiting.file.id, waiting.tries))
}

#[tokio::test]
async fn an_old_text_is_found_until_the_new_one_is_whole() {
    let fixture = Fixture::new().await;
    let id = whole(&fixture, "a.txt", None, &["apple tart", "bread"]).await;
    embed(&fixture, MODEL).await;
    let is_found = async |fixture: &Fixture, texts: &[&str]| {
        let all = FileScope::default();
        assert_eq!(by_words(fixture, ME, &all, "\"apple\"").await, texts[..1]);
        assert_eq!(compared(fixture, &all, MODEL).await, texts);
        assert_eq!(pages_of(fixture, id).await, texts);
    };
    let old = ["apple tart", "bread"];
    assert_eq!(
        (to_renew(&fixture, OLD).await, to_renew(&fixture, NEW).await),
        (None, Some((id, 0)))
    );

    // Cut off in the middle, and begun again after a start.
    fixture.store.count_file_try(ME, id).await.unwrap();
    assert!(write_as(&fixture, id, NEW, &["apple p"]).await);
    is_found(&fixture, &old).await;
    embed(&fixture, MODEL).await;
    is_found(&fixture, &old).await;
    let fixture = fixture.reopened().await;
    is_found(&fixture, &old).await;
    assert_eq!(to_renew(&fixture, NEW).await, Some((id, 1)));
    let new = ["apple pie", "crumble", "dill"];
    assert!(write_as(&fixture, id, NEW, &new).await);
    let note = Some("only a part".to_owned());
    fixture.store.stage_file_text(ME, id, NEW, note, now()).await.unwrap();
    assert_eq!(to_renew(&fixture, NEW).await, None);
    assert_eq!(embed(&fixture, MODEL).await, 3);
    is_found(&fixture, &old).await;
    assert!(!fixture.store.clear_old_text(NEW).await.unwrap());

    let fixture = fixture.reopened().await;
    is_found(&fixture, &old).await;
    assert_eq!(fixture.store.next_file_to_publish(OLD).await.unwrap(), None);
    assert_eq!(fixture.store.next_file_to_publish(NEW).await.unwrap(), Some((ME, id)));
    let published = fixture.store.publish_file_text(ME, id, NEW, None, now());
    let file = published.await.unwrap().unwrap();
    assert_eq!((file.status, file.pages), (FileStatus::Ready, Some(3)));
    assert_eq!(file.error.as_deref(), Some("only a part"));
    assert_eq!(fixture.store.next_file_to_publish(NEW).await.unwrap(), None);
    is_found(&fixture, &new).await;
    assert!(fixture.store.clear_old_text(NEW).await.unwrap());
    assert!(!fixture.store.clear_old_text(NEW).await.unwrap());
    is_found(&fixture, &new).await;
    assert_eq!(fixture.count("SELECT count(*) FROM file_chunks").await, 3);
    assert_eq!(fixture.count("SELECT count(*) FROM file_pages").await, 3);
    assert_eq!(fixture.count("SELECT count(*) FROM file_vectors").await, 3);
    assert_eq!(fixture.store.count_files_to_renew(NEW).await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_newer_reader_cannot_read_stays() {
    let fixture = Fixture::new().await;
    let id = whole(&fixture, "a.txt", None, &["apple tart"]).await;
    let broken = file(&fixture, "b.txt", None).await;
    let failed = fixture.store.give_up_file(ME, broken, OLD, "no".to_owned(), now());
    assert_eq!(failed.await.unwrap().unwrap().status, FileStatus::Failed);
    let late = now() + jiff::SignedDuration::from_secs(9);
    let put_off = fixture.store.put_off_file(ME, id, "no".to_owned(), late, now());
    let put_off = put_off.await.unwrap().unwrap();
    assert_eq!((put_off.status, put_off.error), (FileStatus::Ready, None));
    assert_eq!(fixture.store.next_file_retry().await.unwrap(), Some(late));
    assert_eq!(to_renew(&fixture, NEW).await, None);
    // A start does not wait, and tries what an older one could not read.
    fixture.store.hasten_files(OLD).await.unwrap();
    assert_eq!(fixture.store.next_file_to_read(now()).await.unwrap(), None);
    fixture.store.hasten_files(NEW).await.unwrap();
    assert_eq!(to_renew(&fixture, NEW).await, Some((id, 0)));
    let again = fixture.store.next_file_to_read(now()).await.unwrap().unwrap();
    assert_eq!((again.file.id, again.tries, again.file.error), (broken, 0, None));

    assert!(write_as(&fixture, id, NEW, &["apple p"]).await);
    let kept = fixture.store.give_up_file(ME, id, NEW, "no".to_owned(), now());
    let kept = kept.await.unwrap().unwrap();
    assert_eq!((kept.status, kept.error), (FileStatus::Ready, None));
    assert_eq!(to_renew(&fixture, NEW).await, None);
    assert!(fixture.store.clear_old_text(NEW).await.unwrap());
    assert_eq!(pages_of(&fixture, id).await, ["apple tart"]);
    assert_eq!(fixture.count("SELECT count(*) FROM file_chunks").await, 1);
}

#[tokio::test]
async fn the_schema_before_readers_finds_what_is_found_now() {
    let fixture = Fixture::new().await;
    let id = whole(&fixture, "a.txt", None, &["apple tart", "bread"]).await;
    assert!(write_as(&fixture, id, NEW, &["apple p"]).await);
    let options = options(&fixture.dir);
    fixture.store.close().await;
    revert_to(&options, 14, now()).await;
    assert_eq!(fixture.count("SELECT count(*) FROM file_chunks").await, 2);
    assert_eq!(fixture.count("SELECT max(n) FROM file_chunks").await, 1);
    assert_eq!(fixture.count("SELECT max(n) FROM file_pages").await, 1);
    let fixture = fixture.reopened().await;
    assert_eq!(pages_of(&fixture, id).await, ["apple tart", "bread"]);
    let found = by_words(&fixture, ME, &FileScope::default(), "\"apple\"").await;
    assert_eq!(found, ["apple tart"]);
    assert_eq!(to_renew(&fixture, OLD).await, Some((id, 0)));
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
}
