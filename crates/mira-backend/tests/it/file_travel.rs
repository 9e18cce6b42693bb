//! Files leave with exports and backups, and come back whole; `doctor` sees what is missing.

use crate::{
    file_care::{bytes_of, run, said, settled},
    files::{hash, on_disk, upload},
    projects::make,
    support::{
        client::{Api, House, Line},
        server::{Server, Setup},
    },
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use std::{fs, path::Path};

/// A house in which a message came with a file, and the bytes of all its files.
async fn filled() -> (House, Vec<Vec<u8>>) {
    let house = House::new().await;
    let mut line = house.line().await;
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let contents = vec![
        b"# Notes\n\nThe quokka smiles.\n".to_vec(),
        large,
        b"\x00in a project".to_vec(),
    ];
    let note = upload(&house, "notes.md", &contents[0]).await;
    let big = upload(&house, "big.bin", &contents[1]).await;
    let project = make(&house, "p").await;
    let form = crate::files::form(&[("there.bin", &contents[2])]);
    let path = format!("/api/projects/{project}/files");
    crate::files::send(&house, &path, form).await.expect(201);
    assert_eq!(settled(&house, &mut line, &note).await["status"], "ready");
    let ids = json!([note["id"], big["id"]]);
    let asked = json!({ "content": "What is this?", "file_ids": ids });
    house.api.post("/api/chat", asked).await.expect(200);
    (house, contents)
}

/// What a client sees of the files, but for how far they are.
async fn files(api: &Api) -> Vec<Value> {
    let mut files = api.get("/api/files").await["files"].as_array().unwrap().clone();
    for file in &mut files {
        file["status"] = Value::Null;
    }
    files.sort_by_key(|file| file["name"].to_string());
    files
}

/// Everything of the files is in the other place as it was here.
async fn same(house: &House, other: &Server, data: &Path, contents: &[Vec<u8>]) {
    let api = Api::new(other).await;
    assert_eq!(files(&api).await, files(&house.api).await);
    let mut hashes: Vec<String> = contents.iter().map(|bytes| hash(bytes)).collect();
    hashes.sort();
    assert_eq!(on_disk(data), hashes);
    for file in files(&api).await {
        let path = format!("/api/files/{}/content", file["id"].as_str().unwrap());
        let got = api
            .request(Method::GET, &path)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(hash(&got), file["sha256"].as_str().unwrap());
    }
    let sent = |messages: &[Value]| {
        messages[0]["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["id"].clone())
            .collect::<Vec<_>>()
    };
    let history = api.history().await;
    assert_eq!(sent(&history), sent(&house.api.history().await));
    assert_eq!(sent(&history).len(), 2);
    // Its text is made anew.
    let note = files(&api)
        .await
        .into_iter()
        .find(|file| file["name"] == "notes.md")
        .unwrap();
    let path = format!("/api/files/{}", note["id"].as_str().unwrap());
    let mut line = Line::open(other, "").await;
    while api.get(&path).await["status"] == "processing" {
        line.wait("file").await;
    }
    let text = api.get(&format!("{path}/text")).await;
    assert!(text["text"].as_str().unwrap().contains("quokka"), "{text}");
}

async fn run_well(setup: &Setup, args: &[&str]) -> String {
    let output = run(setup, args).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn an_export_has_the_files() {
    let (house, contents) = filled().await;
    let file = house.setup.dir().join("mira.jsonl");
    let path = file.to_str().unwrap();
    let told = run_well(&house.setup, &["export", path]).await;
    assert!(told.contains(" 3 files,") && !told.contains("left out"), "{told}");

    let beside = Setup::new();
    let other = beside.start();
    let mut line = Line::open(&other, "").await;
    let told = run_well(&beside, &["import", path]).await;
    assert!(told.contains(" 3 files,"), "{told}");
    let mut created = 0;
    line.until_that(|frame| {
        created += u32::from(frame["type"] == "file" && frame["action"] == "created");
        created == 3
    })
    .await;
    same(&house, &other, &beside.data_dir(), &contents).await;
    let told = run_well(&beside, &["import", path]).await;
    assert!(told.contains(" 0 files,"), "{told}");
    same(&house, &other, &beside.data_dir(), &contents).await;

    let alone = Setup::new();
    run_well(&alone, &["import", path]).await;
    same(&house, &alone.start(), &alone.data_dir(), &contents).await;
    let told = alone.say(&["doctor", "--bytes"]);
    assert!(
        told.contains("ok    file bytes      3 of 3 files") && !told.contains("warn  file bytes"),
        "{told}"
    );
}

#[tokio::test]
async fn an_export_that_lies_about_bytes_leaves_none() {
    let (house, contents) = filled().await;
    let file = house.setup.dir().join("mira.jsonl");
    run_well(&house.setup, &["export", file.to_str().unwrap()]).await;
    let text = fs::read_to_string(&file).unwrap();
    let note = text
        .lines()
        .find(|line| line.contains("\"file_bytes\"") && line.contains(&hash(&contents[0])));
    let note = note.unwrap();
    let lie = note.replace("\"bytes\":\"", "\"bytes\":\"AAAA");
    assert_ne!(lie, note);
    // The last line names bytes for a project that is not there.
    let lost: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("\"type\":\"project\""))
        .collect();
    let cases = [
        text.replace(note, &lie),
        text.replace(&format!("{note}\n"), ""),
        lost.join("\n"),
    ];
    for (n, case) in cases.iter().enumerate() {
        let setup = Setup::new();
        let mut server = setup.start();
        for is_running in [true, false] {
            if !is_running {
                server.signal("TERM");
                server.wait();
            }
            let bad = setup.dir().join("bad.jsonl");
            fs::write(&bad, case).unwrap();
            let refused = run(&setup, &["import", bad.to_str().unwrap()]).await;
            assert_eq!(refused.status.code(), Some(1), "{n}: {refused:?}");
            assert!(
                String::from_utf8_lossy(&refused.stderr).contains("line "),
                "{n}: {refused:?}"
            );
        }
        // What came for nothing goes with the next start.
        let server = setup.start();
        let api = Api::new(&server).await;
        let listed = api.get("/api/files").await["files"].as_array().unwrap().clone();
        let told = setup.say(&["doctor", "--bytes"]);
        let whole = format!("ok    file bytes      {0} of {0} files", listed.len());
        assert!(
            told.contains(&whole) && !told.contains("warn  file bytes"),
            "{n}: {told}"
        );
        // What stands before the line is stored.
        let refused = if n == 2 { "there.bin" } else { "notes.md" };
        assert!(listed.iter().all(|file| file["name"] != refused), "{n}: {listed:?}");
    }
}

#[tokio::test]
async fn a_backup_has_the_files() {
    let (house, contents) = filled().await;
    let file = house.setup.dir().join("backup.db");
    let path = file.to_str().unwrap();
    let told = said(&run(&house.setup, &["backup", path]).await);
    assert!(told.contains("the bytes of 3 files are in it"), "{told}");

    let alone = Setup::new();
    run_well(&alone, &["restore", path]).await;
    same(&house, &alone.start(), &alone.data_dir(), &contents).await;

    let beside = Setup::new();
    let mut server = beside.start();
    run_well(&beside, &["restore", path]).await;
    same(&house, &server, &beside.data_dir(), &contents).await;
    let told = beside.say(&["doctor", "--bytes"]);
    assert!(told.contains("ok    file bytes      3 of 3 files"), "{told}");
    // The bytes are not in the database.
    let database = fs::metadata(beside.data_dir().join("mira.db")).unwrap().len();
    let packed = fs::metadata(&file).unwrap().len();
    assert!(database + 1_000_000 < packed, "{database} {packed}");

    // One that lies changes nothing.
    let forged = house.setup.dir().join("forged.db");
    fs::copy(&file, &forged).unwrap();
    let mut conn = SqliteConnection::connect(forged.to_str().unwrap()).await.unwrap();
    let lie = "UPDATE carried_bytes SET bytes = CAST('forged' AS BLOB) WHERE length(bytes) < 100";
    sqlx::query(lie).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    for is_running in [true, false] {
        if !is_running {
            server.signal("TERM");
            server.wait();
        }
        let refused = run(&beside, &["restore", forged.to_str().unwrap()]).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("the backup is damaged"),
            "{refused:?}"
        );
    }
    same(&house, &beside.start(), &beside.data_dir(), &contents).await;
}

#[tokio::test]
async fn doctor_misses_bytes() {
    let (house, contents) = filled().await;
    let listed = house.api.get("/api/files").await["files"].as_array().unwrap().clone();
    let place = |name: &str| bytes_of(&house, listed.iter().find(|file| file["name"] == name).unwrap());
    let mut damaged = contents[1].clone();
    damaged[77] ^= 1;
    fs::write(place("big.bin"), &damaged).unwrap();
    let look = async |args: &[&str], code: i32| {
        let output = run(&house.setup, args).await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        said(&output)
    };
    let told = look(&["doctor"], 0).await;
    assert!(told.contains("ok    file bytes      3 of 3 files"), "{told}");
    let told = look(&["doctor", "--bytes"], 1).await;
    assert!(
        told.contains("fail  file bytes      big.bin (") && told.contains("its bytes are damaged; upload"),
        "{told}"
    );
    assert!(told.contains("ok    file bytes      2 of 3 files"), "{told}");
    fs::remove_file(place("notes.md")).unwrap();
    fs::write(place("there.bin"), b"short").unwrap();
    let shelf = place("big.bin").parent().unwrap().join("stray");
    fs::write(&shelf, b"what is this").unwrap();
    let told = look(&["doctor"], 1).await;
    for part in [
        "notes.md (",
        "its bytes are missing",
        "there.bin (",
        "it has 5 bytes on disk",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(
        told.contains("warn  file bytes      1 on disk belong to no file"),
        "{told}"
    );
    // Who takes copies hears of it, too.
    let export = house.setup.dir().join("e.jsonl");
    let told = run_well(&house.setup, &["export", export.to_str().unwrap()]).await;
    assert!(told.contains("3 files were left out"), "{told}");
    let backup = house.setup.dir().join("b.db");
    let told = run_well(&house.setup, &["backup", backup.to_str().unwrap()]).await;
    assert!(told.contains("the bytes of 3 files are missing or damaged"), "{told}");
    // And the right bytes put it right.
    for (name, bytes) in [("notes.md", &contents[0]), ("big.bin", &contents[1])] {
        let form = crate::files::form(&[(name, bytes)]);
        crate::files::send(&house, "/api/files", form).await.expect(200);
    }
    let told = look(&["doctor", "--bytes"], 1).await;
    assert!(told.contains("ok    file bytes      2 of 3 files"), "{told}");
}
