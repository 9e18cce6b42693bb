//! The commands that work on the database, beside a server and without one.

use crate::support::{
    client::Line,
    server::{Server, Setup, json},
};
use serde_json::json as value;
use sqlx::{Connection, SqliteConnection};
use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Stdio,
};

const WORD: &str = "quizzaciously";

/// Gives a server something to keep; answers how many messages hold the word.
async fn talk(server: &Server) -> usize {
    let reply = server
        .post("/api/chat", value!({"content": format!("a word like {WORD}")}))
        .await;
    assert_eq!(reply.status(), 200, "{reply:?}");
    let found = count(server).await;
    assert!(found >= 1);
    found
}

async fn count(server: &Server) -> usize {
    let found = json(server.get(&format!("/api/search?q={WORD}")).await).await;
    found["results"].as_array().unwrap_or_else(|| panic!("{found}")).len()
}

#[test]
fn migrations_run_and_revert() {
    let setup = Setup::new();
    let before = setup.say(&["migrate", "info"]);
    assert!(before.contains("0001  pending"), "{before}");
    let after = setup.say(&["migrate", "run"]);
    assert!(after.contains("0001  applied") && !after.contains("pending"), "{after}");
    assert_eq!(setup.say(&["migrate", "info"]), after);
    let newest = after.lines().count();
    let reverted = setup.say(&["migrate", "revert"]);
    assert!(reverted.contains(&format!("reverted {newest:04}")), "{reverted}");
    assert!(reverted.contains(&format!("{newest:04}  pending")), "{reverted}");
    drop(setup.start());
    assert_eq!(setup.say(&["migrate", "info"]), after, "the server migrates at start");
    assert_eq!(fs::metadata(setup.data_dir()).unwrap().mode() & 0o777, 0o700);
    for name in ["mira.db", "token", "mira.lock"] {
        assert_eq!(
            fs::metadata(setup.data_dir().join(name)).unwrap().mode() & 0o777,
            0o600,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_backup_of_a_running_server_can_be_restored() {
    let setup = Setup::new();
    let mut server = setup.start();
    let kept_messages = talk(&server).await;
    let file = setup.dir().join("backup.db");
    let path = file.to_str().unwrap();
    setup.say(&["backup", path]);
    assert_eq!(
        setup.run(&["backup", path]).status.code(),
        Some(1),
        "nothing is overwritten"
    );
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    server.signal("TERM");
    server.wait();

    let other = Setup::new();
    drop(other.start());
    assert_eq!(other.run(&["restore", "no-such-file"]).status.code(), Some(1));
    fs::write(other.dir().join("junk"), "junk".repeat(5000)).unwrap();
    assert_eq!(other.run(&["restore", "junk"]).status.code(), Some(1));
    drop(other.start());
    other.say(&["restore", path]);
    let server = other.start();
    assert_eq!(count(&server).await, kept_messages);
    let kept = fs::read_dir(other.data_dir().join("backups")).unwrap().count();
    assert!(kept >= 1, "what was there is kept");
}

#[tokio::test]
async fn an_export_can_be_imported_with_and_without_a_server() {
    let setup = Setup::new();
    let server = setup.start();
    let kept_messages = talk(&server).await;
    let made = server
        .post("/api/sessions", value!({"id": "garden", "title": "The garden"}))
        .await;
    assert_eq!(made.status(), 201);
    let file = setup.dir().join("mira.jsonl");
    let path = file.to_str().unwrap();
    setup.say(&["export", path]);
    assert_eq!(
        setup.run(&["export", path]).status.code(),
        Some(1),
        "nothing is overwritten"
    );
    let printed = setup.say(&["export", "-"]);
    assert_eq!(
        printed.lines().count(),
        fs::read_to_string(&file).unwrap().lines().count()
    );

    let beside = Setup::new();
    let other = beside.start();
    assert_eq!(count(&other).await, 0);
    let mut line = Line::open(&other, "").await;
    let (asking, file) = (beside.command(&["import", path]), path.to_owned());
    let imported = tokio::task::spawn_blocking(move || {
        let mut asking = asking;
        asking.output().unwrap()
    });
    let imported = imported.await.unwrap();
    assert!(imported.status.success(), "{file}: {imported:?}");
    let told = line.settle().await;
    let told: Vec<_> = told.iter().filter(|frame| frame["type"] == "session").collect();
    let of = |id: &str| {
        told.iter()
            .find(|frame| frame["object"]["id"] == id)
            .unwrap_or_else(|| panic!("{told:?}"))
    };
    assert_eq!(of("eternal")["action"], "updated", "it was there, and empty");
    assert!(of("eternal")["object"]["message_count"].as_u64().unwrap() > 0);
    assert_eq!(of("garden")["action"], "created");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(count(&other).await, kept_messages);
    beside.say(&["import", path]);
    assert_eq!(count(&other).await, kept_messages, "twice is once");

    let alone = Setup::new();
    alone.say(&["import", path]);
    assert_eq!(count(&alone.start()).await, kept_messages);
}

/// Links to nowhere stand for a data directory that cannot be written.
#[tokio::test]
async fn what_only_reads_needs_no_room_to_write() {
    let setup = Setup::new();
    let mut server = setup.start();
    talk(&server).await;
    server.signal("TERM");
    server.wait();
    let beside = |name: &str| setup.data_dir().join(name);
    for name in ["mira.db-wal", "mira.db-shm"] {
        assert!(!beside(name).exists(), "{name}");
        std::os::unix::fs::symlink(beside("nowhere/at-all"), beside(name)).unwrap();
    }
    let told = setup.say(&["doctor"]);
    assert!(told.contains("sound: 1 sessions, 2 messages"), "{told}");
    let lines = setup.say(&["export", "-"]);
    assert!(lines.contains(WORD), "{lines}");
    assert_eq!(setup.run(&["doctor", "--forgotten", WORD]).status.code(), Some(1));
    assert_eq!(
        setup.run(&["doctor", "--forgotten", "nobody said this"]).status.code(),
        Some(0)
    );
    // A log that cannot be read is said, with what to do.
    fs::remove_file(beside("mira.db-wal")).unwrap();
    fs::write(beside("mira.db-wal"), "").unwrap();
    for args in [["doctor", "--bytes"], ["export", "-"]] {
        let output = setup.run(&args);
        let told = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("copy the database and"), "{told}");
    }
}

#[tokio::test]
async fn a_broken_export_is_refused_with_its_line() {
    let setup = Setup::new();
    let text = setup.dir().join("broken");
    fs::write(&text, "{\"type\": \"nonsense\"}\n").unwrap();
    let mut server = setup.start();
    for running in [true, false] {
        if !running {
            server.signal("KILL");
            server.wait();
        }
        let output = setup.run(&["import", "broken"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("line 1"), "{output:?}");
    }
    assert_eq!(setup.run(&["import", "no-such-file"]).status.code(), Some(1));
}

#[tokio::test]
async fn doctor_tells_and_fails() {
    let setup = Setup::new();
    let before = setup.say(&["doctor"]);
    assert!(before.lines().all(|line| line.starts_with("ok    ")), "{before}");
    assert!(!setup.data_dir().exists(), "looking makes nothing");
    let server = setup.start();
    let beside = setup.say(&["doctor"]);
    for part in [
        "configuration",
        "sqlite          3.",
        "or newer is sound",
        "files           ",
        "yours alone",
        "0 days old",
        "beside loopback: none",
        "trusted to say who asks: nobody",
        "database",
        "index",
        "embeddings",
        "model",
        "bind",
        "token",
        "running: process",
    ] {
        assert!(beside.contains(part), "{part} in {beside}");
    }
    // What others may read is said.
    let open = setup.data_dir().join("mira.db");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let warned = setup.say(&["doctor"]);
    assert!(
        warned.contains("warn  files") && warned.contains("mira.db (644)"),
        "{warned}"
    );
    drop(server);
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let setup = setup.env("OPENAI_BASE_URL", format!("http://{closed}"));
    let output = setup.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("fail  model"));
}

#[test]
fn chat_in_a_pipe_prints_replies_only() {
    let setup = Setup::new();
    let none = setup.run(&["chat", "--plain"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8(none.stderr).unwrap().contains("no server runs"));
    let server = setup.start();
    let speak = |args: &[&str], words: &str| {
        let mut child = setup.command(args);
        let mut child = child
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(words.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = speak(&["chat", "--plain"], "hello there\n\nand again\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.lines().count() >= 2 && output.stderr.is_empty(), "{said}");
    let unknown = speak(&["chat", "--plain", "--session", "no-such-session"], "hello\n");
    assert_eq!(unknown.status.code(), Some(1));
    let seen = speak(&["chat", "--url", &server.base], "hello\n/quit\n");
    assert_eq!(seen.status.code(), Some(0), "{seen:?}");
    assert!(String::from_utf8(seen.stdout).unwrap().contains("you> "));
    fs::write(setup.dir().join("other"), "not-the-token\n").unwrap();
    let wrong = speak(&["chat", "--plain", "--token-file", "other"], "hello\n");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("mira-backend token"));
}

/// One number out of the database.
async fn number(setup: &Setup, sql: &'static str) -> i64 {
    let url = format!("sqlite://{}", setup.data_dir().join("mira.db").display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    let found = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    found
}

#[tokio::test]
async fn an_index_is_made_anew_with_and_without_a_server() {
    const VECTORS: &str = "SELECT count(*) FROM vectors";
    let setup = Setup::new();
    let mut server = setup.start();
    talk(&server).await;
    let told = |output: std::process::Output| {
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "the index is whole\n");
        assert!(text.contains("2 memories are taken up anew"), "{text}");
        text
    };
    assert!(told(setup.run(&["reindex"])).contains("asking the server"));
    let state = json(server.get("/api/memory").await).await;
    assert_eq!(state["index"]["pending"], 0, "{state}");
    server.signal("TERM");
    server.wait();
    assert_eq!(number(&setup, VECTORS).await, 2);
    assert_eq!(number(&setup, "DELETE FROM vectors RETURNING 0").await, 0);
    let text = told(setup.run(&["reindex"]));
    assert!(!text.contains("asking") && text.contains("2 of 2"), "{text}");
    assert_eq!(number(&setup, VECTORS).await, 2);
    assert_eq!(number(&setup, "SELECT count(*) FROM outbox").await, 0);
}

#[tokio::test]
async fn doctor_looks_for_what_is_to_be_forgotten() {
    let elsewhere = tempfile::tempdir().unwrap();
    for setup in [
        Setup::new(),
        Setup::new().env(
            "DATABASE_URL",
            format!("sqlite:{}", elsewhere.path().join("other.db").display()),
        ),
    ] {
        let nothing = setup.run(&["doctor", "--forgotten", WORD]);
        assert_eq!(nothing.status.code(), Some(0), "before there is anything: {nothing:?}");
        let server = setup.start();
        talk(&server).await;
        let look = |text: &str| {
            let output = setup.run(&["doctor", "--forgotten", text]);
            let said = String::from_utf8(output.stdout).unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(!said.contains(text) && !told.contains(text), "{said}{told}");
            (output.status.code(), said)
        };
        let (code, said) = look(&WORD.to_uppercase());
        assert_eq!(code, Some(1), "{said}");
        for part in ["table messages, content: ", "full text: ", ".db"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        // Named, so that the owner can look it up and have it forgotten.
        let found = json(server.get(&format!("/api/search?q={WORD}")).await).await;
        for result in found["results"].as_array().unwrap() {
            let id = result["message"]["id"].as_str().unwrap();
            let line = format!("message {id}, session {}", result["session_id"].as_str().unwrap());
            assert!(said.contains(&line), "{line} in {said}");
        }
        let (code, said) = look(&server.token());
        assert_eq!((code, said.contains("data/token: 1 times")), (Some(1), true), "{said}");
        assert_eq!(look("nobody ever said this"), (Some(0), "nowhere\n".to_owned()));
        // A token, for one, may begin with a dash.
        assert_eq!(look("-nobody-said-this"), (Some(0), "nowhere\n".to_owned()));
        assert_eq!(setup.run(&["doctor", "--forgotten", " "]).status.code(), Some(1));
    }
}
