//! Rows of files: reading that is tried again, bytes that are nobody's, and how bytes travel in a backup.

use crate::{
    shelf::{Shelf, file, hash, insert},
    support::*,
};
use futures_util::{FutureExt, future::BoxFuture};
use jiff::ToSpan;
use mira_core::{
    file::{FileStatus, StoredFile},
    ids::FileId,
};
use mira_memory::{
    ArrivingBytes, FileBytes, FileChunk, FileOutcome, FilePage, JudgedFile, Packed, Store, StoreError, StoreOptions,
    unpack_files,
};
use std::{fs, io};

async fn status(store: &Store, id: FileId) -> (FileStatus, Option<String>) {
    let file = store.find_file(ME, id).await.unwrap().unwrap();
    (file.status, file.error)
}

#[tokio::test]
async fn what_was_put_off_waits_its_time() {
    let (fixture, shelf) = (Fixture::new().await, Shelf::new());
    let store = &fixture.store;
    let late = insert(store, file(&shelf, 1, "late.txt", b"late")).await;
    let next = insert(store, file(&shelf, 2, "next.txt", b"next")).await;
    insert(store, file(&shelf, 3, "none.bin", b"none")).await;
    let first = store.next_file_to_read(now()).await.unwrap().unwrap();
    assert_eq!((first.account, first.file.id, first.tries), (ME, late.id, 0));
    store.count_file_try(ME, late.id).await.unwrap();
    let due = now() + 9.seconds();
    let put_off = store
        .put_off_file(ME, late.id, "no process".to_owned(), due, now())
        .await;
    let put_off = put_off.unwrap().unwrap();
    assert_eq!(
        (put_off.status, put_off.error.as_deref()),
        (FileStatus::Processing, Some("no process"))
    );
    let at = async |time| {
        let waiting = store.next_file_to_read(time).await.unwrap();
        waiting.map(|waiting| (waiting.file.id, waiting.tries))
    };
    assert_eq!(at(now()).await, Some((next.id, 0)), "others do not wait for it");
    let ready = store.publish_file_text(ME, next.id, 1, None, now());
    assert_eq!(ready.await.unwrap().unwrap().status, FileStatus::Ready);
    assert_eq!(at(due - 1.seconds()).await, None);
    assert_eq!(store.next_file_retry().await.unwrap(), Some(due));
    assert_eq!(at(due).await, Some((late.id, 1)));
    // A start does not wait, and does not forget how often.
    store.hasten_files(1).await.unwrap();
    assert_eq!(
        (at(now()).await, store.next_file_retry().await.unwrap()),
        (Some((late.id, 1)), None)
    );

    let failed = store.give_up_file(ME, late.id, 1, "broken".to_owned(), now());
    failed.await.unwrap().unwrap();
    assert_eq!(at(due).await, None);
    // The same bytes again, under another id: the known file, from the beginning.
    let again = store
        .insert_file(ME, file(&shelf, 4, "late.txt", b"late"))
        .await
        .unwrap();
    assert!(
        matches!(&again, FileOutcome::Requeued(StoredFile { id, status: FileStatus::Processing, error: None, .. })
            if *id == late.id),
        "{again:?}"
    );
    assert_eq!(at(now()).await, Some((late.id, 0)));
    let known = store
        .insert_file(ME, file(&shelf, 5, "late.txt", b"late"))
        .await
        .unwrap();
    assert!(matches!(known, FileOutcome::Known(_)), "it waits already: {known:?}");
    // By hand.
    let failed = store.give_up_file(ME, late.id, 1, "broken".to_owned(), now());
    failed.await.unwrap().unwrap();
    store.requeue_file(ME, late.id, now()).await.unwrap().unwrap();
    assert_eq!(status(store, late.id).await, (FileStatus::Processing, None));
    store.requeue_file(ME, next.id, now()).await.unwrap().unwrap();
    assert_eq!(status(store, next.id).await, (FileStatus::Ready, None), "it was read");
    assert_eq!(
        store
            .requeue_file(ME, FileId(uuid::Uuid::from_u128(9)), now())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn bytes_are_known_before_they_come() {
    let (fixture, shelf) = (Fixture::new().await, Shelf::new());
    let store = &fixture.store;
    let left = async || store.list_file_leftovers().await.unwrap();
    store.insert_file_leftover(hash(b"a")).await.unwrap();
    store.insert_file_leftover(hash(b"a")).await.unwrap();
    assert_eq!(left().await, [hash(b"a")]);
    let kept = insert(store, file(&shelf, 1, "a.txt", b"a")).await;
    assert_eq!(left().await, [[0; 32]; 0], "a row speaks of them");
    store.insert_file_leftover(hash(b"a")).await.unwrap();
    assert_eq!(left().await, [[0; 32]; 0]);
    store.delete_file(ME, kept.id).await.unwrap();
    assert_eq!(left().await, [hash(b"a")]);
}

/// Deletes a file when its bytes are wanted, as somebody may.
struct Deleting<'a>(&'a Shelf, &'a Store, FileId);

impl FileBytes for Deleting<'_> {
    fn open(&self, sha256: [u8; 32]) -> BoxFuture<'_, io::Result<tokio::fs::File>> {
        async move {
            let gone = self.1.find_file(ME, self.2).await.unwrap();
            if gone.is_some_and(|file| file.sha256 == sha256) {
                self.1.delete_file(ME, self.2).await.unwrap();
                return Err(io::ErrorKind::NotFound.into());
            }
            self.0.open(sha256).await
        }
        .boxed()
    }

    fn begin(&self) -> Box<dyn ArrivingBytes> {
        self.0.begin()
    }

    fn judge<'a>(&'a self, sha256: [u8; 32], name: &'a str) -> BoxFuture<'a, io::Result<JudgedFile>> {
        self.0.judge(sha256, name)
    }
}

#[tokio::test]
async fn a_backup_carries_bytes() {
    let (fixture, shelf) = (Fixture::new().await, Shelf::new());
    let store = &fixture.store;
    let large: Vec<u8> = (0..700_000_u32)
        .flat_map(|n| [n.to_le_bytes()[0], n.to_le_bytes()[1]])
        .collect();
    let gone = insert(store, file(&shelf, 1, "gone.txt", b"gone")).await;
    for (n, name, bytes) in [
        (2, "large.bin", large.as_slice()),
        (3, "empty.bin", b""),
        (4, "twice.bin", b""),
    ] {
        insert(store, file(&shelf, n, name, bytes)).await;
    }
    let lost = insert(store, file(&shelf, 5, "lost.txt", b"lost")).await;
    fs::remove_file(shelf.path(b"lost")).unwrap();
    let damaged = insert(store, file(&shelf, 6, "damaged.txt", b"damaged")).await;
    fs::write(shelf.path(b"damaged"), b"Damaged").unwrap();
    let backup = fixture.dir.path().join("backup.db");
    let (report, packed) = {
        let source = Deleting(&shelf, store, gone.id);
        store.backup_with_files(&backup, &source).await.unwrap()
    };
    assert_eq!(packed, Packed { files: 2, missing: 2 });
    assert_eq!(report.bytes, fs::metadata(&backup).unwrap().len());
    assert!(!fixture.dir.path().join("backup.db-wal").exists());

    let restored = fixture.dir.path().join("restored.db");
    fs::copy(&backup, &restored).unwrap();
    let other = Shelf::new();
    assert_eq!(unpack_files(&restored, &other).await.unwrap(), 2);
    let mut expect = vec![(hash(b""), Vec::new()), (hash(&large), large.clone())];
    expect.sort();
    let found = other.all();
    assert_eq!(found.len(), 2);
    for ((name, bytes), (sha, expected)) in found.iter().zip(&expect) {
        assert_eq!(*name, mira_core::project::hex(sha));
        assert!(bytes == expected);
    }
    assert_eq!(unpack_files(&restored, &other).await.unwrap(), 0, "once");
    assert!(
        fs::metadata(&restored).unwrap().len() < large.len() as u64,
        "nothing of them stays in it"
    );
    let opened = Store::open(
        StoreOptions {
            path: restored,
            ..options(&fixture.dir)
        },
        now(),
    );
    let opened = opened.await.unwrap();
    assert_eq!(opened.find_file(ME, gone.id).await.unwrap(), None, "deleted meanwhile");
    for file in [lost, damaged] {
        assert_eq!(
            opened.find_file(ME, file.id).await.unwrap(),
            Some(file),
            "not for us to delete"
        );
    }
    assert!(opened.integrity_check().await.unwrap().problems.is_empty());
    opened.close().await;
}

#[tokio::test]
async fn what_is_deleted_meanwhile_cannot_be_read_in_the_backup() {
    let (fixture, shelf) = (Fixture::new().await, Shelf::new());
    let store = &fixture.store;
    let gone = insert(store, file(&shelf, 1, "xylographqq.txt", b"gone")).await;
    let text = "Her zymurgyqq stands in the cellar. ".repeat(200);
    let page = FilePage {
        page: None,
        text: text.clone(),
    };
    let chunk = FileChunk {
        page: None,
        lines: None,
        heading: "Cellar".to_owned(),
        text,
    };
    assert!(
        store
            .write_file_text(ME, gone.id, 1, vec![page], vec![chunk])
            .await
            .unwrap()
    );
    let found = async |name: &str| {
        let bytes = fs::read(fixture.dir.path().join(name)).unwrap();
        let says = |word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
        (says("xylographqq"), says("zymurgyqq"))
    };
    let backup = |name: &str| fixture.dir.path().join(name);
    store.backup_with_files(&backup("before.db"), &shelf).await.unwrap();
    assert_eq!(found("before.db").await, (true, true));
    let source = Deleting(&shelf, store, gone.id);
    let (_, packed) = store.backup_with_files(&backup("after.db"), &source).await.unwrap();
    assert_eq!(packed, Packed::default());
    assert_eq!(found("after.db").await, (false, false));
}

/// Bytes are looked up with and without an account, and when a row goes.
#[tokio::test]
async fn bytes_are_found_by_an_index() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.connect().await;
    for sql in [
        "EXPLAIN QUERY PLAN SELECT EXISTS (SELECT 1 FROM files WHERE sha256 = ?1)",
        "EXPLAIN QUERY PLAN DELETE FROM files WHERE sha256 = ?1",
        "EXPLAIN QUERY PLAN SELECT name, size FROM files WHERE account_id = ?1 AND sha256 = ?2 AND name = ?3
            AND project_id IS ?4 AND author = 'owner' ORDER BY key LIMIT 1",
    ] {
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap();
        let by_index = plan.iter().any(|(.., step)| step.contains("files_bytes (sha256=?"));
        let sorts = plan.iter().any(|(.., step)| step.contains("TEMP B-TREE"));
        assert!(by_index && !sorts, "{plan:?}");
    }
}

#[tokio::test]
async fn a_backup_that_lies_about_bytes_is_refused() {
    let (fixture, shelf) = (Fixture::new().await, Shelf::new());
    insert(&fixture.store, file(&shelf, 1, "a.bin", b"honest")).await;
    let backup = fixture.dir.path().join("backup.db");
    fixture.store.backup_with_files(&backup, &shelf).await.unwrap();
    for lie in [
        "UPDATE carried_bytes SET bytes = CAST('forged' AS BLOB)",
        "UPDATE carried_bytes SET sha256 = zeroblob(32)",
        "UPDATE carried_bytes SET sha256 = zeroblob(3)",
        "UPDATE carried_bytes SET bytes = zeroblob(100000000)",
    ] {
        let copy = fixture.dir.path().join("copy.db");
        fs::copy(&backup, &copy).unwrap();
        let url = copy.to_str().unwrap();
        let mut conn = <sqlx::SqliteConnection as sqlx::Connection>::connect(url)
            .await
            .unwrap();
        sqlx::query(lie).execute(&mut conn).await.unwrap();
        sqlx::Connection::close(conn).await.unwrap();
        let other = Shelf::new();
        let refused = unpack_files(&copy, &other).await;
        assert!(
            matches!(refused, Err(StoreError::Damaged(_) | StoreError::Row { .. })),
            "{lie}: {refused:?}"
        );
        assert_eq!(other.all(), [], "{lie}");
        fs::remove_file(&copy).unwrap();
    }
    // One of before there were files in backups.
    let old = fixture.dir.path().join("old.db");
    fixture.store.backup_to(&old).await.unwrap();
    assert_eq!(unpack_files(&old, &Shelf::new()).await.unwrap(), 0);
}
