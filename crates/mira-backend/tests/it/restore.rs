//! A backup put in place beside a running server: what clients see, what is refused, and that a kill at any moment
//! leaves one of the two databases whole.

use crate::support::{
    client::{Api, House, Line, long},
    server::{LIMIT, Server, Setup, json},
    ws::Ended,
};
use futures_util::stream;
use openai_sim::Plan;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet};

/// What the owner said, oldest first.
async fn said(api: &Api) -> Vec<String> {
    let history = api.history().await;
    let mine = history.iter().filter(|message| message["role"] == "user");
    mine.map(|message| message["content"].as_str().unwrap().to_owned())
        .collect()
}

fn backup(setup: &Setup, name: &str) -> PathBuf {
    let file = setup.dir().join(name);
    setup.say(&["backup", file.to_str().unwrap()]);
    file
}

/// Starts a command and leaves it to itself.
fn begin(setup: &Setup, args: &[&str]) -> Child {
    let mut command = setup.command(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for a command that must succeed, without standing in the way of others.
async fn succeed(child: Child) -> String {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn files(folder: &Path) -> BTreeSet<String> {
    let found = fs::read_dir(folder).map(|found| {
        let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    });
    found.unwrap_or_default()
}

async fn logins(server: &Server, cookie: &str) -> u16 {
    let request = Server::client().get(server.url("/api/logins")).header("cookie", cookie);
    request.send().await.unwrap().status().as_u16()
}

/// Logs in; the cookie and the login's id.
async fn log_in(server: &Server) -> (String, String) {
    let body = json!({ "token": server.token() }).to_string();
    let request = Server::client().post(server.url("/api/login")).body(body);
    let response = request.header("content-type", "application/json").send().await.unwrap();
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    (cookie, json(response).await["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_server_restores_under_load() {
    let house = House::new().await;
    let (setup, server, api) = (&house.setup, &house.server, &house.api);
    let (ended, ended_id) = log_in(server).await;
    api.say("before").await;
    let file = backup(setup, "before.db");
    api.say("after").await;
    api.delete(&format!("/api/logins/{ended_id}")).await.expect(204);
    let (lasting, _) = log_in(server).await;
    let mut line = house.line().await;
    let words = long("w");
    let gate = house.gated(Plan::reply(&words));
    line.chat("in the middle").await;
    gate.release(60);
    let seen = line.until("chunk").await;
    let last_seq = seen.last().unwrap()["seq"].as_u64().unwrap();

    // Others talk in sessions of their own all the while; some are cut off.
    let mut talking = JoinSet::new();
    for name in ["a", "b", "c"] {
        api.post("/api/sessions", json!({ "id": name })).await.expect(201);
        let request = api.request(Method::POST, "/api/chat");
        let request = request.header("content-type", "application/json");
        talking.spawn(async move {
            let mut answered = 0_u32;
            loop {
                let body = json!({ "content": "hello", "session_id": name }).to_string();
                match request.try_clone().unwrap().body(body).send().await {
                    Ok(response) if response.status() == 200 => answered += 1,
                    // Refused while it ends, and not known in the backup.
                    Ok(_) | Err(_) => return answered,
                }
            }
        });
    }
    let told = succeed(begin(setup, &["restore", file.to_str().unwrap()])).await;
    assert!(
        told.contains("asking the server") && told.contains("what was there is now"),
        "{told}"
    );
    while let Some(answered) = talking.join_next().await {
        answered.unwrap();
    }

    // The turn that ran was ended and told of; then the socket was closed.
    let mut rest = Vec::new();
    let ending = loop {
        match line.read().await {
            Ok(frame) => rest.push(frame),
            Err(ended) => break ended,
        }
    };
    assert_eq!(ending, Ended::Closed(1001));
    let done = rest
        .iter()
        .find(|frame| frame["type"] == "done")
        .expect("the turn ended");
    assert_eq!(done["outcome"], "interrupted");

    assert_eq!(said(api).await, ["before"], "the conversation of the backup");
    assert_eq!(api.get("/api/sessions").await["sessions"].as_array().unwrap().len(), 1);
    let mut line = Line::open(server, &format!("session_id=eternal&after={last_seq}")).await;
    let reset = line.next().await;
    assert_eq!((&reset["type"], &reset["reason"]), (&json!("reset"), &json!("expired")));
    assert!(
        reset["seq"].as_u64().unwrap() > last_seq,
        "no number comes twice: {reset}"
    );
    assert_eq!(line.turn("and on").await.text, "to: and on");
    assert_eq!(logins(server, &lasting).await, 200, "a login of today lasts");
    assert_eq!(
        logins(server, &ended).await,
        401,
        "one that was ended does not come back"
    );

    // What was there is a backup like any other.
    let backups = setup.data_dir().join("backups");
    let kept: Vec<String> = files(&backups)
        .into_iter()
        .filter(|name| name.starts_with("pre-restore"))
        .collect();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    let kept = backups.join(kept);
    succeed(begin(setup, &["restore", kept.to_str().unwrap()])).await;
    assert_eq!(said(api).await, ["before", "after", "in the middle"]);
    let history = api.history().await;
    let last = history.last().unwrap();
    assert_eq!(last["status"], "interrupted");
    assert!(words.starts_with(last["content"].as_str().unwrap()) && last["content"] != "");
    let last = api.get("/api/admin/restore").await;
    assert_eq!(last["status"], "restored");
    let left = files(&setup.data_dir());
    assert!(!left.iter().any(|name| name.contains("restor")), "{left:?}");

    let House { mut server, .. } = house;
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(
        server.stdout_rest(),
        "",
        "exactly one line, however often it started anew"
    );
}

async fn execute(path: &Path, sql: &'static str) {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn what_is_no_sound_backup_changes_nothing() {
    let mut house = House::new().await;
    house.api.say("mine").await;
    for number in 0..20 {
        house.api.say(&format!("{number} {}", long("x"))).await;
    }
    let sound = backup(&house.setup, "sound.db");
    let file = |name: &str| house.setup.dir().join(name);
    let bytes = fs::read(&sound).unwrap();
    fs::write(file("junk"), "junk".repeat(5000)).unwrap();
    fs::write(file("empty"), "").unwrap();
    fs::write(file("half"), &bytes[..bytes.len() / 2]).unwrap();
    let mut hurt = bytes.clone();
    let middle = hurt.len() / 2;
    hurt[middle..middle + 4096].fill(0xa5);
    fs::write(file("hurt"), hurt).unwrap();
    execute(&file("foreign"), "CREATE TABLE notes (text TEXT)").await;
    fs::copy(&sound, file("newer")).unwrap();
    execute(
        &file("newer"),
        "INSERT INTO _sqlx_migrations SELECT 9999, 'later', installed_on, true, checksum, 0 FROM _sqlx_migrations LIMIT 1",
    )
    .await;
    fs::copy(&sound, file("torn")).unwrap();
    fs::write(file("torn-wal"), "what is not in the file yet").unwrap();
    let cases = [
        ("no-such-file", "No such file"),
        ("junk", "damaged"),
        ("empty", "no backup"),
        ("half", ""),
        ("hurt", ""),
        ("foreign", "no backup"),
        ("newer", "9999"),
        ("torn", "torn-wal"),
    ];
    let before = files(&house.setup.data_dir());
    let pid = house.server.pid();
    for running in [true, false] {
        if !running {
            house.server.signal("TERM");
            house.server.wait();
        }
        for (name, expect) in cases {
            let output = house.setup.run(&["restore", name]);
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{name}: {told}");
            assert!(told.contains(expect), "{name}: {told}");
            assert!(!told.contains("internal"), "{name}: {told}");
        }
        if running {
            let last = house.api.get("/api/admin/restore").await;
            assert_eq!(last["status"], "failed");
            assert_eq!(said(&house.api).await.len(), 21);
            assert_eq!(files(&house.setup.data_dir()), before);
        }
    }
    house.server = house.setup.start();
    assert_ne!(house.server.pid(), pid);
    let api = Api::new(&house.server).await;
    assert_eq!(said(&api).await.len(), 21);
}

#[tokio::test]
async fn one_at_a_time_and_a_lost_client_changes_nothing() {
    let house = House::new().await;
    let api = &house.api;
    api.call(Method::GET, "/api/admin/restore", None)
        .await
        .problem(404, "not-found");
    let path = "/api/admin/restore";
    api.post(path, json!({})).await.problem(415, "unsupported-media-type");
    api.say("mine").await;
    let bytes = fs::read(backup(&house.setup, "sound.db")).unwrap();
    let (pieces, body) = mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body = stream::unfold(body, async |mut body| body.recv().await.map(|piece| (piece, body)));
    let request = api
        .request(Method::POST, path)
        .header("content-type", "application/vnd.sqlite3");
    let mut slow = JoinSet::new();
    slow.spawn(
        request
            .try_clone()
            .unwrap()
            .body(reqwest::Body::wrap_stream(body))
            .send(),
    );
    pieces.send(Ok(bytes[..4096].to_vec())).await.unwrap();
    // The first piece is in the file once the copy is there.
    let arriving = house.setup.data_dir().join("mira.db.restoring");
    let copied = async {
        while fs::metadata(&arriving).map_or(0, |file| file.len()) < 4096 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, copied).await.unwrap();
    assert_eq!(api.get(path).await["status"], "checking");
    let second = api.send(Method::POST, path, request).await;
    second.problem(409, "conflict");
    // The conversation goes on beside it.
    api.say("and on").await;
    slow.abort_all();
    drop(pieces);
    let failed = async {
        while api.get(path).await["status"] != "failed" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, failed).await.unwrap();
    assert!(!arriving.exists());
    assert_eq!(said(api).await, ["mine", "and on"]);
}

#[tokio::test]
async fn a_disk_without_room_refuses_and_goes_on() {
    let other = Setup::new();
    drop(other.start());
    let file = backup(&other, "large.db");
    execute(&file, "CREATE TABLE padding AS SELECT zeroblob(20000000) AS room").await;
    // No file of this process may grow beyond half of the backup.
    let setup = Setup::new();
    let server = setup.start_after("trap '' XFSZ; ulimit -f 20000");
    let api = Api::new(&server).await;
    api.say("mine").await;
    let output = setup.run(&["restore", file.to_str().unwrap()]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("507"), "{told}");
    assert_eq!(said(&api).await, ["mine"]);
    api.say("and on").await;
    assert!(!setup.data_dir().join("mira.db.restoring").exists());
}

/// Kills of an ordinary test run, spread over the time a restore takes.
const ROUNDS: u32 = 16;

#[tokio::test]
async fn killed_at_any_moment_one_of_the_two_is_whole() {
    let setup = Setup::new();
    let mut server = setup.start();
    let api = Api::new(&server).await;
    api.say("old").await;
    let old = backup(&setup, "old.db");
    api.say("new").await;
    let new = backup(&setup, "new.db");
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    // How long one takes here, undisturbed.
    let begun = tokio::time::Instant::now();
    succeed(begin(&setup, &["restore", old])).await;
    let whole = begun.elapsed();
    let mut is_new = false;
    let (mut restored, mut survived) = (0, 0);
    for round in 0..ROUNDS {
        let restore = begin(&setup, &["restore", if is_new { old } else { new }]);
        tokio::time::sleep(whole * round / ROUNDS + Duration::from_millis(u64::from(round % 3))).await;
        server.signal("KILL");
        server.wait();
        let output = tokio::task::spawn_blocking(|| restore.wait_with_output().unwrap())
            .await
            .unwrap();
        server = setup.start();
        let api = Api::new(&server).await;
        let found = said(&api).await;
        let found_new = match found.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["old"] => false,
            ["old", "new"] => true,
            other => panic!("round {round}: {other:?}"),
        };
        if output.status.success() {
            assert_ne!(found_new, is_new, "round {round}: said to be restored: {output:?}");
        }
        if found_new == is_new {
            survived += 1;
        } else {
            restored += 1;
        }
        is_new = found_new;
        let left = files(&setup.data_dir());
        assert!(
            !left.iter().any(|name| name.contains("restor")),
            "round {round}: {left:?}"
        );
        let doctor: Value = json!(setup.say(&["doctor"]));
        assert!(doctor.as_str().unwrap().contains("sound:"), "{doctor}");
    }
    assert!(survived > 0, "no kill came in time");
    assert_eq!(restored + survived, ROUNDS);
}
