//! Files through bad times: readings that fail and are tried again, kills in the middle, everybody at once.

use crate::{
    files::{BOUNDARY, form, hash, on_disk, send, upload},
    support::{
        client::{Api, House, Line},
        server::{LIMIT, Setup},
    },
};
use futures_util::{future::join_all, stream};
use reqwest::{Body, Method, RequestBuilder, header};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use std::{fs, path::PathBuf, process::Output, time::Duration};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

fn path_of(file: &Value) -> String {
    format!("/api/files/{}", file["id"].as_str().unwrap())
}

/// Where the bytes of a file lie.
pub fn bytes_of(house: &House, file: &Value) -> PathBuf {
    let sha = file["sha256"].as_str().unwrap();
    let (shelf, _) = sha.split_at(2);
    house.setup.data_dir().join("files").join(shelf).join(sha)
}

/// A file as it is once nothing is about to happen to it.
pub async fn settled(house: &House, line: &mut Line, file: &Value) -> Value {
    loop {
        let found = house.api.get(&path_of(file)).await;
        if found["status"] != "processing" {
            return found;
        }
        line.wait("file").await;
    }
}

/// Runs a command without standing in the way of the server and the model it asks.
pub async fn run(setup: &Setup, args: &[&str]) -> Output {
    let mut command = setup.command(args);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// What a command printed.
pub fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Stops the server and changes its database.
async fn stop_and(house: &mut House, sql: &'static str) {
    house.server.signal("TERM");
    house.server.wait();
    let url = format!("sqlite://{}", house.setup.data_dir().join("mira.db").display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// A number out of the database.
pub async fn number(house: &House, sql: &'static str) -> i64 {
    let url = format!("sqlite://{}", house.setup.data_dir().join("mira.db").display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    let found = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    found
}

async fn text(house: &House, file: &Value) -> Value {
    house.api.get(&format!("{}/text", path_of(file))).await["text"].clone()
}

#[tokio::test]
async fn a_reading_that_cannot_be_is_tried_again() {
    let mut house = House::new().await;
    let mut line = house.line().await;
    let note = upload(&house, "note.txt", b"milk and eggs").await;
    assert_eq!(settled(&house, &mut line, &note).await["status"], "ready");

    // The bytes are away for a while: a disk that is not there, say.
    stop_and(&mut house, "UPDATE files SET status = 'processing'").await;
    let (place, aside) = (bytes_of(&house, &note), house.setup.dir().join("aside"));
    fs::rename(&place, &aside).unwrap();
    house.restart().await;
    let mut line = house.line().await;
    let retry = format!("{}/retry", path_of(&note));
    let asked = house.api.post(&retry, json!({})).await.expect(200);
    assert_eq!(asked["status"], "processing");
    let told = line.until_that(|frame| frame["type"] == "file" && !frame["object"]["error"].is_null());
    let put_off = told.await.pop().unwrap();
    assert_eq!(put_off["object"]["status"], "processing", "{put_off}");
    assert!(
        put_off["object"]["error"]
            .as_str()
            .unwrap()
            .contains("could not be read"),
        "{put_off}"
    );
    fs::rename(&aside, &place).unwrap();
    let read = settled(&house, &mut line, &note).await;
    assert_eq!((&read["status"], &read["error"]), (&json!("ready"), &Value::Null));
    assert_eq!(text(&house, &note).await, "milk and eggs");
    assert_eq!(house.api.post(&retry, json!({})).await.expect(200), read, "it was read");

    // A start does not wait for what was put off.
    stop_and(
        &mut house,
        "UPDATE files SET status = 'processing', tries = 4, retry_at = 9000000000000",
    )
    .await;
    house.restart().await;
    let mut line = house.line().await;
    assert_eq!(settled(&house, &mut line, &note).await["status"], "ready");
    house
        .api
        .post("/api/files/0199f3a0-0000-7000-8000-000000000001/retry", json!({}))
        .await
        .problem(404, "not-found");
}

#[tokio::test]
async fn what_fails_at_last_can_be_asked_for_again() {
    let mut house = House::new().await;
    let mut line = house.line().await;
    let note = upload(&house, "note.txt", b"milk and eggs").await;
    settled(&house, &mut line, &note).await;
    stop_and(&mut house, "UPDATE files SET status = 'processing', tries = 4").await;
    fs::remove_file(bytes_of(&house, &note)).unwrap();
    house.restart().await;
    let mut line = house.line().await;
    let failed = settled(&house, &mut line, &note).await;
    assert_eq!(failed["status"], "failed", "{failed}");
    assert!(
        failed["error"].as_str().unwrap().contains("could not be read"),
        "{failed}"
    );
    // The same bytes again heal it.
    let again = send(&house, "/api/files", form(&[("note.txt", b"milk and eggs")]))
        .await
        .expect(200);
    assert_eq!((&again["id"], &again["status"]), (&note["id"], &json!("processing")));
    assert_eq!(settled(&house, &mut line, &note).await["status"], "ready");
    assert_eq!(text(&house, &note).await, "milk and eggs");

    // What takes Mira down every time is not begun forever.
    stop_and(&mut house, "UPDATE files SET status = 'processing', tries = 5").await;
    house.restart().await;
    let mut line = house.line().await;
    let given_up = settled(&house, &mut line, &note).await;
    assert_eq!(given_up["error"], "reading it was cut off 5 times");

    // A damaged document fails at once, and again when it comes again.
    let broken = b"%PDF-1.7\nthis is not one".as_slice();
    let paper = upload(&house, "paper.pdf", broken).await;
    let failed = settled(&house, &mut line, &paper).await;
    assert_eq!(failed["status"], "failed");
    assert!(failed["error"].as_str().unwrap().contains("damaged"), "{failed}");
    assert_eq!(
        number(&house, "SELECT tries FROM files WHERE name = 'paper.pdf'").await,
        1
    );
    let again = send(&house, "/api/files", form(&[("paper.pdf", broken)]))
        .await
        .expect(200);
    assert_eq!(again["status"], "processing");
    assert_eq!(settled(&house, &mut line, &paper).await["status"], "failed");
}

#[tokio::test]
async fn the_same_bytes_at_once_are_one_file() {
    let house = House::new().await;
    let bytes = vec![7_u8; 300_000];
    let same = || send(&house, "/api/files", form(&[("same.bin", &bytes)]));
    let answers = join_all((0..8).map(|_| same())).await;
    let new = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(
        (new, answers.iter().filter(|answer| answer.status == 200).count()),
        (1, 7)
    );
    assert!(answers.iter().all(|answer| answer.body["id"] == answers[0].body["id"]));
    let names: Vec<String> = (0..8).map(|n| format!("{n}.bin")).collect();
    let others = join_all(
        names
            .iter()
            .map(|name| send(&house, "/api/files", form(&[(name, &bytes)]))),
    )
    .await;
    assert!(others.iter().all(|answer| answer.status == 201));
    assert_eq!(on_disk(&house.setup.data_dir()), [hash(&bytes)]);

    // Some go while others come: the bytes stay as long as anybody has them.
    let going = others.iter().map(|answer| path_of(&answer.body));
    let going: Vec<String> = going.chain([path_of(&answers[0].body)]).collect();
    let (gone, came) = tokio::join!(
        join_all(going.iter().map(|path| house.api.delete(path))),
        join_all((0..4).map(|_| same())),
    );
    assert!(gone.iter().all(|answer| answer.status == 204));
    let last = house.api.get("/api/files").await["files"].as_array().unwrap().clone();
    assert!(came.iter().all(|answer| answer.status < 300));
    for file in &last {
        let got = house
            .api
            .request(Method::GET, &format!("{}/content", path_of(file)))
            .send()
            .await;
        assert!(got.unwrap().bytes().await.unwrap() == bytes);
    }
    for file in &last {
        house.api.delete(&path_of(file)).await.expect(204);
    }
    assert_eq!(on_disk(&house.setup.data_dir()), Vec::<String>::new());
}

#[tokio::test]
async fn who_reads_a_file_reads_it_to_its_end() {
    let house = House::new().await;
    let mut line = house.line().await;
    // More than any buffer on the way holds.
    let large: Vec<u8> = (0..8_000_000_u32).flat_map(|n| n.to_le_bytes()[..2].to_vec()).collect();
    let file = upload(&house, "large.bin", &large).await;
    let content = format!("{}/content", path_of(&file));
    let mut reading = house.api.request(Method::GET, &content).send().await.unwrap();
    let mut got = reading.chunk().await.unwrap().unwrap().to_vec();
    house.api.delete(&path_of(&file)).await.expect(204);
    assert_eq!(on_disk(&house.setup.data_dir()), Vec::<String>::new());
    while let Some(piece) = reading.chunk().await.unwrap() {
        got.extend_from_slice(&piece);
    }
    assert!(got == large);

    // Mira herself may be in the middle of it; nothing of it is left when she is done.
    let long = upload(
        &house,
        "long.txt",
        "seven little words stand on this line\n".repeat(20_000).as_bytes(),
    )
    .await;
    house.api.delete(&path_of(&long)).await.expect(204);
    let short = upload(&house, "short.txt", b"a short one").await;
    assert_eq!(settled(&house, &mut line, &short).await["status"], "ready");
    assert_eq!(number(&house, "SELECT count(*) FROM file_pages").await, 1);
    assert_eq!(on_disk(&house.setup.data_dir()), [hash(b"a short one")]);
}

/// The files that are on their way in.
fn arriving(house: &House) -> Vec<u64> {
    let listed = fs::read_dir(house.setup.data_dir().join("files/tmp"));
    let listed = listed.map(|files| files.map(|file| file.unwrap().metadata().unwrap().len()).collect());
    listed.unwrap_or_default()
}

/// What goes into an upload, one by one.
type Pieces = mpsc::Sender<Result<Vec<u8>, std::io::Error>>;

/// An upload whose bytes come one by one.
fn slowly(house: &House, queue: mpsc::Receiver<Result<Vec<u8>, std::io::Error>>) -> RequestBuilder {
    let body = stream::unfold(queue, |mut queue| async move { Some((queue.recv().await?, queue)) });
    let request = house.api.request(Method::POST, "/api/files");
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    request.header(header::CONTENT_TYPE, kind).body(Body::wrap_stream(body))
}

/// Only a pause between two looks at a folder.
async fn pause(deadline: Instant, house: &House) {
    assert!(Instant::now() < deadline, "{:?}", arriving(house));
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Half of an upload is there: where the rest of it would go in, and what sends it.
async fn half_an_upload(house: &House) -> (Pieces, JoinSet<reqwest::Result<reqwest::Response>>) {
    let (pieces, queue) = mpsc::channel(4);
    let mut half = form(&[("half.bin", &vec![1; 400_000])]);
    half.truncate(200_000);
    pieces.send(Ok(half)).await.unwrap();
    let mut sending = JoinSet::new();
    sending.spawn(slowly(house, queue).send());
    let deadline = Instant::now() + LIMIT;
    while !arriving(house).iter().any(|bytes| *bytes > 100_000) {
        pause(deadline, house).await;
    }
    (pieces, sending)
}

#[tokio::test]
async fn a_kill_in_the_middle_leaves_nothing_half() {
    let mut house = House::new().await;
    let (pieces, mut sending) = half_an_upload(&house).await;
    // And documents are being read.
    let words = "seven little words stand on this line\n".repeat(20_000);
    let long = upload(&house, "long.txt", words.as_bytes()).await;
    let short = upload(&house, "short.txt", b"a short one").await;
    house.server.signal("KILL");
    house.server.wait();
    assert!(sending.join_next().await.unwrap().unwrap().is_err());
    drop(pieces);

    house.restart().await;
    assert_eq!(arriving(&house), Vec::<u64>::new());
    let mut line = house.line().await;
    for file in [&long, &short] {
        assert_eq!(settled(&house, &mut line, file).await["status"], "ready");
    }
    let mut expect = vec![hash(words.as_bytes()), hash(b"a short one")];
    expect.sort();
    assert_eq!(on_disk(&house.setup.data_dir()), expect);
    assert_eq!(house.api.get("/api/files").await["files"].as_array().unwrap().len(), 2);
    assert_eq!(text(&house, &short).await, "a short one");
    let told = said(&run(&house.setup, &["doctor", "--bytes"]).await);
    assert!(
        told.contains("ok    file bytes      2 of 2 files") && !told.contains("warn  file bytes"),
        "{told}"
    );
}

/// Killed between the moment the bytes have their name and the one their row is there.
#[tokio::test]
async fn bytes_without_a_row_go_with_the_next_start() {
    let mut house = House::new().await;
    let kept = upload(&house, "kept.bin", b"\x00kept").await;
    let lost = upload(&house, "lost.bin", b"\x00lost").await;
    stop_and(
        &mut house,
        "DROP TRIGGER files_after_delete;
         DELETE FROM files WHERE name = 'lost.bin';
         CREATE TRIGGER files_after_delete AFTER DELETE ON files
         WHEN NOT EXISTS (SELECT 1 FROM files f WHERE f.sha256 = old.sha256) BEGIN
             INSERT OR IGNORE INTO file_leftovers (sha256) VALUES (old.sha256);
         END",
    )
    .await;
    // Nobody has noted these: they may be of a database that was put away.
    let told = said(&run(&house.setup, &["doctor"]).await);
    assert!(
        told.contains("warn  file bytes      1 on disk belong to no file"),
        "{told}"
    );
    house.restart().await;
    assert_eq!(on_disk(&house.setup.data_dir()).len(), 2);
    house.server.signal("TERM");
    house.server.wait();
    let url = format!("sqlite://{}", house.setup.data_dir().join("mira.db").display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("INSERT INTO file_leftovers (sha256) VALUES (unhex(?1)), (unhex(?2))")
        .bind(lost["sha256"].as_str().unwrap())
        .bind(kept["sha256"].as_str().unwrap())
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    let told = said(&run(&house.setup, &["doctor"]).await);
    assert!(told.contains("ok    file bytes      1 of 1 files"), "{told}");
    house.restart().await;
    // A deletion clears what is left.
    let other = upload(&house, "other.bin", b"\x00other").await;
    house.api.delete(&path_of(&other)).await.expect(204);
    assert_eq!(on_disk(&house.setup.data_dir()), [hash(b"\x00kept")]);
}

#[tokio::test]
async fn an_upload_that_is_broken_off_leaves_nothing() {
    let house = House::new().await;
    let (_pieces, mut sending) = half_an_upload(&house).await;
    sending.abort_all();
    assert!(sending.join_next().await.unwrap().unwrap_err().is_cancelled());
    let deadline = Instant::now() + LIMIT;
    while !arriving(&house).is_empty() {
        pause(deadline, &house).await;
    }
    assert_eq!(house.api.get("/api/files").await["files"], json!([]));
    assert_eq!(on_disk(&house.setup.data_dir()), Vec::<String>::new());
}

#[tokio::test]
async fn a_disk_without_room_takes_nothing_and_goes_on() {
    let mut house = House::new().await;
    house.server.signal("TERM");
    house.server.wait();
    // No file of this process may grow beyond this.
    house.server = house.setup.start_after("trap '' XFSZ; ulimit -f 20000");
    house.api = Api::new(&house.server).await;
    let large = vec![3; 20_000 * 512 + 1];
    send(&house, "/api/files", form(&[("large.bin", &large)]))
        .await
        .problem(507, "storage-full");
    assert_eq!(arriving(&house), Vec::<u64>::new());
    assert_eq!(on_disk(&house.setup.data_dir()), Vec::<String>::new());
    upload(&house, "small.bin", b"\x00small").await;
    assert_eq!(on_disk(&house.setup.data_dir()), [hash(b"\x00small")]);
}

/// The text of every file as an older reader might have left it.
const OF_AN_OLDER_READER: &str = "
    UPDATE files SET reading = 0, tried = 0;
    DELETE FROM file_chunks;
    DELETE FROM file_pages;
    INSERT INTO file_pages (account_id, file_id, n, text) SELECT account_id, id, 0, 'an old text: ' || name FROM files
     WHERE name LIKE '%.txt';
    INSERT INTO file_chunks (account_id, file_id, n, heading, text)
    SELECT account_id, id, 0, '', 'an old piece: ' || name FROM files WHERE name LIKE '%.txt';";

#[tokio::test]
async fn what_an_older_reader_read_is_read_anew() {
    let mut house = House::new().await;
    let mut line = house.line().await;
    let spoilt = upload(&house, "spoilt.txt", b"salt and pepper").await;
    let away = upload(&house, "away.txt", b"oil and vinegar").await;
    let note = upload(&house, "note.txt", b"milk and eggs").await;
    upload(&house, "dot.bin", b"\x00no text").await;
    for file in [&spoilt, &away, &note] {
        assert_eq!(settled(&house, &mut line, file).await["status"], "ready");
    }
    stop_and(&mut house, OF_AN_OLDER_READER).await;
    fs::write(bytes_of(&house, &spoilt), b"%PDF-1.7 and no more").unwrap();
    let (place, aside) = (bytes_of(&house, &away), house.setup.dir().join("aside"));
    fs::rename(&place, &aside).unwrap();
    house.restart().await;
    let mut line = house.line().await;
    let is_renewed = |id: &Value| {
        let id = id.clone();
        move |frame: &Value| frame["type"] == "file" && frame["object"]["id"] == id
    };
    if text(&house, &note).await != "milk and eggs" {
        let told = line.until_that(is_renewed(&note["id"])).await.pop().unwrap();
        assert_eq!(
            (&told["object"]["status"], &told["object"]["error"]),
            (&json!("ready"), &Value::Null)
        );
    }
    assert_eq!(text(&house, &note).await, "milk and eggs");
    // They are older, so their turn was before. They have what they had, and nobody is told of it.
    for (file, old) in [(&spoilt, "an old text: spoilt.txt"), (&away, "an old text: away.txt")] {
        let kept = house.api.get(&path_of(file)).await;
        assert_eq!((&kept["status"], &kept["error"]), (&json!("ready"), &Value::Null));
        assert_eq!(text(&house, file).await, old);
    }
    let found = house.api.get("/api/files/search?q=an+old+piece+of+milk").await;
    let names: Vec<&Value> = { found["results"].as_array().unwrap().iter() }
        .map(|hit| &hit["name"])
        .collect();
    assert!(
        names.contains(&&json!("spoilt.txt")) && names.contains(&&json!("away.txt")),
        "{names:?}"
    );
    let snippet = |name: &str| {
        { found["results"].as_array().unwrap().iter() }
            .find(|hit| hit["name"] == name)
            .map(|hit| hit["snippet"].clone())
    };
    assert_eq!(snippet("note.txt"), Some(json!("milk and eggs")));
    let waiting = house.api.request(Method::GET, "/metrics").send().await.unwrap();
    let waiting = waiting.text().await.unwrap();
    assert!(waiting.contains("\nmira_files_to_renew 1.0\n"), "{waiting}");

    // What was in the way is gone with the next start.
    fs::rename(&aside, &place).unwrap();
    house.server.signal("KILL");
    house.server.wait();
    house.restart().await;
    let mut line = house.line().await;
    if text(&house, &away).await != "oil and vinegar" {
        line.until_that(is_renewed(&away["id"])).await;
    }
    assert_eq!(text(&house, &away).await, "oil and vinegar");
    assert_eq!(text(&house, &spoilt).await, "an old text: spoilt.txt");
}
