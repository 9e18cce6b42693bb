//! The file itself: SQLite's version, pragmas, migrations, backups, damage.

use crate::support::*;
use jiff::ToSpan;
use mira_memory::{Durability, SendParent, Store, StoreError, StoreOptions, migration_info, revert_last};
use sqlx::{Connection, SqliteConnection, migrate::Migrator};
use std::{path::Path, sync::Arc};

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(path.to_str().unwrap()).await.unwrap()
}

async fn scalar<T>(path: &Path, sql: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
{
    let mut conn = connect(path).await;
    let value = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    value
}

#[tokio::test]
async fn sqlite_has_the_wal_reset_fix() {
    let fixture = Fixture::new().await;
    let version: String = scalar(fixture.store.path(), "SELECT sqlite_version()").await;
    let numbers: Vec<u32> = version.split('.').map(|n| n.parse().unwrap()).collect();
    assert!(numbers >= vec![3, 51, 3], "{version}");
    assert_eq!(
        scalar::<String>(fixture.store.path(), "PRAGMA journal_mode").await,
        "wal"
    );
    assert_eq!(
        scalar::<i64>(fixture.store.path(), "PRAGMA application_id").await,
        0x4D69_7261
    );
    let newest = migration_info(fixture.store.path()).await.unwrap().pop().unwrap();
    assert_eq!(
        scalar::<i64>(fixture.store.path(), "PRAGMA user_version").await,
        newest.version
    );
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (fixture, session) = Fixture::with_session().await;
    fixture.say(&session, "q", "a").await;
    let backup = fixture.dir.path().join("backup.db");
    fixture.store.backup_to(&backup).await.unwrap();
    for name in ["mira.db", "mira.db-wal", "mira.db-shm", "backup.db"] {
        let mode = std::fs::metadata(fixture.dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn migrations_go_up_down_and_up() {
    let (fixture, session) = Fixture::with_session().await;
    fixture.say(&session, "q", "a").await;
    fixture.store.close().await;
    let options = options(&fixture.dir);
    assert!(
        migration_info(&options.path)
            .await
            .unwrap()
            .iter()
            .all(|m| m.applied && m.known)
    );
    let versions: Vec<i64> = migration_info(&options.path)
        .await
        .unwrap()
        .iter()
        .map(|m| m.version)
        .collect();
    for (version, hours) in versions.iter().rev().zip(0..) {
        assert_eq!(
            revert_last(&options, now() + hours.hours()).await.unwrap(),
            Some(*version)
        );
        assert_eq!(
            scalar::<i64>(&options.path, "PRAGMA user_version").await,
            versions
                .iter()
                .copied()
                .filter(|v| v < version)
                .max()
                .unwrap_or_default()
        );
    }
    assert_eq!(revert_last(&options, now() + 24.hours()).await.unwrap(), None);
    assert!(migration_info(&options.path).await.unwrap().iter().all(|m| !m.applied));
    // What the migration took away is in the copy made before.
    let mut copies: Vec<_> = std::fs::read_dir(&options.backup_dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    copies.sort();
    let names: Vec<_> = copies
        .iter()
        .map(|c| c.file_name().unwrap().to_str().unwrap())
        .collect();
    assert!(
        names.len() == versions.len()
            && versions.iter().all(|version| {
                let begins = format!("pre-migration-{version}-2027");
                names.iter().any(|name| name.starts_with(&begins))
            }),
        "{names:?}"
    );
    for copy in &copies {
        assert_eq!(scalar::<i64>(copy, "SELECT count(*) FROM messages").await, 2);
    }
    let store = Store::open(options.clone(), now()).await.unwrap();
    assert_eq!(store.count_sessions(ME).await.unwrap(), 0);
    store.close().await;
}

/// The folder as the sqlx command line reads it and what is embedded are the same, checksums included.
#[tokio::test]
async fn the_command_line_and_the_program_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let migrator = Migrator::new(folder).await.unwrap();
    let fixture = Fixture::new().await;
    let mut conn = connect(fixture.store.path()).await;
    // Run over our file: nothing to do, and no checksum differs.
    migrator.run(&mut conn).await.unwrap();
    let ups = migrator.iter().filter(|m| m.migration_type.is_up_migration()).count();
    let described: Vec<String> = sqlx::query_scalar("SELECT description FROM _sqlx_migrations ORDER BY version")
        .fetch_all(&mut conn)
        .await
        .unwrap();
    let in_folder: Vec<_> = migrator
        .iter()
        .filter(|m| m.migration_type.is_up_migration())
        .map(|m| m.description.to_string())
        .collect();
    assert_eq!((described.len(), described), (ups, in_folder));
    migrator.undo(&mut conn, 0).await.unwrap();
    migrator.run(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    // And the program opens what the command line made.
    let fixture = fixture.reopened().await;
    fixture.store.insert_session(ME, new_session("s")).await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused_untouched() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    let options = options(&fixture.dir);
    let mut conn = connect(&options.path).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (99, 'from the future', true, x'00', 0)",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    conn.close().await.unwrap();
    let before = std::fs::read(&options.path).unwrap();
    let refused = Store::open(options.clone(), now()).await.err();
    let all = migration_info(&options.path).await.unwrap();
    let newest = all.iter().filter(|m| m.known).map(|m| m.version).max().unwrap();
    assert!(
        matches!(refused, Some(StoreError::Newer { found: 99, known }) if known == newest),
        "{refused:?}"
    );
    let refused = Store::open_read_only(&options.path).await.err();
    assert!(matches!(refused, Some(StoreError::Newer { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&options.path).unwrap(), before);
    assert!(!options.backup_dir.exists());
    let unknown: Vec<_> = migration_info(&options.path)
        .await
        .unwrap()
        .into_iter()
        .filter(|m| !m.known)
        .collect();
    assert_eq!(unknown.iter().map(|m| m.version).collect::<Vec<_>>(), [99]);
}

#[tokio::test]
async fn an_edited_migration_is_noticed() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    let options = options(&fixture.dir);
    let mut conn = connect(&options.path).await;
    sqlx::query("UPDATE _sqlx_migrations SET checksum = x'00'")
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    let refused = Store::open(options, now()).await.err();
    assert!(matches!(refused, Some(StoreError::Schema(_))), "{refused:?}");
}

#[tokio::test]
async fn damage_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir);
    std::fs::write(&options.path, "this is not a database, ".repeat(300)).unwrap();
    let before = std::fs::read(&options.path).unwrap();
    let refused = Store::open(options.clone(), now()).await.err();
    assert!(matches!(refused, Some(StoreError::Damaged(_))), "{refused:?}");
    assert_eq!(std::fs::read(&options.path).unwrap(), before);
}

#[tokio::test]
async fn a_broken_page_is_found() {
    let (fixture, session) = Fixture::with_session().await;
    for n in 0..50 {
        fixture
            .say(&session, &format!("question {n} {}", "x".repeat(2000)), "answer")
            .await;
    }
    fixture.store.close().await;
    let options = options(&fixture.dir);
    let page: i64 = scalar(
        &options.path,
        "SELECT max(pageno) FROM dbstat WHERE name = 'messages' AND pagetype = 'leaf'",
    )
    .await;
    let mut bytes = std::fs::read(&options.path).unwrap();
    let start = (usize::try_from(page).unwrap() - 1) * 4096;
    bytes[start..start + 4096].fill(0xA5);
    std::fs::write(&options.path, &bytes).unwrap();
    let store = Store::open(options, now()).await.unwrap();
    let checked = store.integrity_check().await;
    assert!(
        !matches!(&checked, Ok(report) if report.problems.is_empty()),
        "{checked:?}"
    );
    let refused = store.backup_to(&fixture.dir.path().join("b.db")).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    assert!(!fixture.dir.path().join("b.db").exists() && !fixture.dir.path().join("b.db.partial").exists());
}

#[tokio::test]
async fn a_database_of_others_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir);
    std::fs::File::create(&options.path).unwrap();
    let mut conn = connect(&options.path).await;
    sqlx::query("CREATE TABLE theirs (x)").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let refused = Store::open(options.clone(), now()).await.err();
    assert!(matches!(refused, Some(StoreError::Foreign { .. })), "{refused:?}");
    assert_eq!(
        scalar::<i64>(&options.path, "SELECT count(*) FROM sqlite_schema").await,
        1
    );
}

#[tokio::test]
async fn folders_that_do_not_serve_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| StoreOptions {
        path: dir.path().join(path),
        ..options(&dir)
    };
    let refused = Store::open(at("missing/mira.db"), now()).await.err();
    assert!(matches!(refused, Some(StoreError::Open { .. })), "{refused:?}");
    std::fs::create_dir(dir.path().join("folder.db")).unwrap();
    let refused = Store::open(at("folder.db"), now()).await.err();
    assert!(matches!(refused, Some(StoreError::Open { .. })), "{refused:?}");
    let refused = Store::open_read_only(&dir.path().join("nothing.db")).await.err();
    assert!(matches!(refused, Some(StoreError::Open { .. })), "{refused:?}");
}

/// Links to nowhere stand for a folder that cannot be written: SQLite can make neither its log nor what it shares.
#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_written_beside_is_read_all_the_same() {
    use std::os::unix::fs::symlink;
    let (fixture, session) = Fixture::with_session().await;
    fixture.say(&session, "q", "a").await;
    fixture.store.close().await;
    let path = fixture.store.path();
    let beside = |name: &str| fixture.dir.path().join(name);
    assert!(!beside("mira.db-wal").exists(), "nobody has it open");
    symlink(beside("nowhere/log"), beside("mira.db-wal")).unwrap();
    symlink(beside("nowhere/shared"), beside("mira.db-shm")).unwrap();
    let store = Store::open_read_only(path).await.unwrap();
    assert_eq!(store.stats(ME).await.unwrap().messages, 2);
    assert_eq!(store.integrity_check().await.unwrap().problems, Vec::<String>::new());
    assert!(store.backup_to(&beside("copy.db")).await.unwrap().bytes > 0);
    store.close().await;
    // With a log, which may hold more than the file: said, not left out.
    std::fs::remove_file(beside("mira.db-wal")).unwrap();
    std::fs::write(beside("mira.db-wal"), "").unwrap();
    match Store::open_read_only(path).await.err() {
        Some(StoreError::Open { detail, .. }) => assert!(detail.contains("mira.db-wal"), "{detail}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn urls() {
    let check = |url: &str, path: Option<&str>| {
        let found = StoreOptions::path_of_url(url).ok();
        assert_eq!(found.as_deref(), path.map(Path::new), "{url}");
    };
    check("sqlite:mira-data/mira.db", Some("mira-data/mira.db"));
    check("sqlite:///var/lib/mira/mira.db", Some("/var/lib/mira/mira.db"));
    check("sqlite://mira.db?mode=rwc", Some("mira.db"));
    check("sqlite::memory:", None);
    check("sqlite://x?mode=memory", None);
    check("postgres://localhost/mira", None);
    check("mira.db", None);
    check("sqlite:", None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_whole() {
    let (fixture, session) = Fixture::with_session().await;
    let fixture = Arc::new(fixture);
    let writing = {
        let (fixture, session) = (Arc::clone(&fixture), session.clone());
        async move {
            for n in 0..150 {
                fixture.say(&session, &format!("q{n} 東京"), "a").await;
            }
        }
    };
    let copying = {
        let fixture = Arc::clone(&fixture);
        async move {
            // As a second process would: over a store of its own that only reads.
            let reading = Store::open_read_only(fixture.store.path()).await.unwrap();
            let mut copies = Vec::new();
            for n in 0..4 {
                let path = fixture.dir.path().join(format!("b{n}.db"));
                assert!(reading.backup_to(&path).await.unwrap().bytes > 0);
                copies.push(path);
            }
            let exists = reading.backup_to(&copies[0]).await;
            assert!(matches!(exists, Err(StoreError::Exists(_))), "{exists:?}");
            let refused = reading.insert_session(ME, new_session("x")).await;
            assert!(matches!(refused, Err(StoreError::ReadOnly(_))), "{refused:?}");
            reading.close().await;
            copies
        }
    };
    let ((), copies) = tokio::join!(writing, copying);
    for copy in copies {
        let store = Store::open(
            StoreOptions {
                path: copy,
                ..options(&fixture.dir)
            },
            now(),
        )
        .await
        .unwrap();
        assert!(store.integrity_check().await.unwrap().problems.is_empty());
        let stats = store.stats(ME).await.unwrap();
        let counted: i64 = scalar(store.path(), "SELECT count(*) FROM messages").await;
        assert_eq!(stats.messages, counted.unsigned_abs());
        store.close().await;
    }
}

#[tokio::test]
async fn closing_folds_the_log_and_refuses_the_rest() {
    let (fixture, session) = Fixture::with_session().await;
    fixture.say(&session, "q", "a").await;
    assert!(fixture.store.stats(ME).await.unwrap().wal_bytes > 0);
    fixture.store.close().await;
    assert!(!fixture.dir.path().join("mira.db-wal").exists());
    let refused = fixture.store.insert_session(ME, new_session("late")).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    let refused = fixture.store.find_session(ME, &session).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
}

#[tokio::test]
async fn a_row_that_does_not_parse_is_named() {
    let (fixture, session) = Fixture::with_session().await;
    let (_, a) = fixture.say(&session, "q", "a").await;
    let mut conn = connect(fixture.store.path()).await;
    sqlx::query("UPDATE messages SET tags = 'not json' WHERE role = 'assistant'")
        .execute(&mut conn)
        .await
        .unwrap();
    let error = fixture.store.find_message(ME, a.id).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("column tags of messages row 2 does not parse"),
        "{error}"
    );
}

#[tokio::test]
async fn full_durability_works_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let full = StoreOptions {
        durability: Durability::Full,
        ..options(&dir)
    };
    let store = Store::open(full, now()).await.unwrap();
    store.insert_session(ME, new_session("s")).await.unwrap();
    let fixture = Fixture::new().await;
    let turn = fixture.begin(&session_id("s"), send(fixture.message_id(), "q", SendParent::Head));
    store.begin_turn(ME, turn).await.unwrap();
    assert_eq!(store.writer_stats().commits, 2);
    store.close().await;
}

/// See the store's module text: a bare parameter as a limit makes SQLite prepare the statement again each time.
#[test]
fn no_limit_is_a_bare_parameter() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sqlite")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            assert_eq!(
                code.filter(|line| line.contains("LIMIT ?")).count(),
                0,
                "{}",
                path.display()
            );
        }
    }
    assert!(files > 10);
}
