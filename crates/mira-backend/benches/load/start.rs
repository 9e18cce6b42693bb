//! `start`: starting on a hundred thousand messages after a kill in mid-reply, the first chat, history and search.

use crate::{
    Bench, Outcome,
    client::{Socket, http},
    process::{Mira, Setup, rss_kib},
    report::Samples,
    sim::Model,
};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

const NAME: &str = "start";
const MESSAGES: usize = 100_000;
/// Share of the messages that are in the default session: one in so many.
const MAIN_SHARE: usize = 5;
/// Messages of every other session.
const PER_SESSION: usize = 100;
const STARTS: usize = 10;
const LOOKS: usize = 100;
const REST: Duration = Duration::from_secs(3);

/// What people talk about; each message is made of a few of these and a number nobody else has.
const WORDS: [&str; 32] = [
    "coffee", "rain", "train", "garden", "letter", "winter", "music", "window", "river", "doctor", "birthday",
    "kitchen", "sister", "travel", "monday", "deadline", "puppy", "bicycle", "novel", "recipe", "island", "concert",
    "camera", "midnight", "lantern", "harbour", "pocket", "thunder", "velvet", "marble", "copper", "sparrow",
];

fn uuid(number: usize) -> String {
    // A version 7 id: a millisecond each, so that ids sort as they were written.
    let ms = 1_750_000_000_000_usize + number;
    format!("{:08x}-{:04x}-7000-8000-{number:012x}", ms >> 16, ms & 0xffff)
}

fn time(number: usize) -> String {
    let (minute, hour, day) = (number % 60, number / 60 % 24, number / 1440 % 28 + 1);
    let month = number / (1440 * 28) % 12 + 1;
    format!("2025-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z")
}

fn text(number: usize) -> String {
    let words = 8 + number % 24;
    let mut text = String::new();
    for n in 0..words {
        let word = WORDS
            .get((number * 7 + n * (3 + number % 11)) % WORDS.len())
            .copied()
            .unwrap_or_default();
        text.push_str(word);
        text.push(' ');
    }
    format!("{text}m{number}")
}

fn session_of(number: usize, messages: usize) -> (String, usize) {
    let main = messages / MAIN_SHARE;
    match number.checked_sub(main) {
        None => ("eternal".to_owned(), number),
        Some(rest) => (format!("past-{}", rest / PER_SESSION), rest % PER_SESSION),
    }
}

/// Writes a past of so many messages in Mira's export format; answers with the number of sessions.
pub fn write_past(path: &Path, messages: usize, text: impl Fn(usize) -> String) -> Outcome<usize> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(
        out,
        r#"{{"type":"header","format":"mira-export","version":1,"exported_at":"{}"}}"#,
        time(0)
    )?;
    let mut sessions = 0;
    for number in 0..messages {
        let (session, place) = session_of(number, messages);
        if place > 0 {
            continue;
        }
        let same = |n: &usize| session_of(*n, messages).0 == session;
        let last = (number..messages).take_while(same).last().unwrap_or(number);
        sessions += 1;
        writeln!(
            out,
            r#"{{"type":"session","id":"{session}","title":"{session}","pinned_persona":null,"project_id":null,"head_id":"{}","memory":"on","pinned":false,"archived":false,"created_at":"{}","updated_at":"{}"}}"#,
            uuid(last),
            time(number),
            time(last)
        )?;
    }
    for number in 0..messages {
        let (session, place) = session_of(number, messages);
        let parent = if place == 0 {
            "null".to_owned()
        } else {
            format!(r#""{}""#, uuid(number - 1))
        };
        let (role, meta) = if place % 2 == 0 {
            ("user", "null")
        } else {
            let meta = r#"{"persona":"default","mood":"playful","mood_cause":null,"intent":"chat","owner_mood":"calm","tags":["chat"],"salience":0.3}"#;
            ("assistant", meta)
        };
        writeln!(
            out,
            r#"{{"type":"message","id":"{}","session_id":"{session}","parent_id":{parent},"role":"{role}","content":"{}","status":"complete","client_id":null,"project_id":null,"metadata":null,"meta":{meta},"model":null,"usage":null,"created_at":"{}"}}"#,
            uuid(number),
            text(number),
            time(number)
        )?;
    }
    writeln!(
        out,
        r#"{{"type":"end","sessions":{sessions},"messages":{messages},"moods":0}}"#
    )?;
    out.flush()?;
    Ok(sessions)
}

/// Starts the server again and again, each time after it was killed in the middle of a reply.
async fn starts(setup: &Setup<'_>, count: usize) -> Outcome<(Samples, Samples)> {
    let (mut ready, mut first) = (Samples::default(), Samples::default());
    for _ in 0..count {
        let mira = Mira::start(setup)?;
        let mut socket = Socket::connect(mira.addr, None).await?;
        socket.say("[[sim: tokens=200 rate=20]]").await?;
        socket.wait("chunk").await?;
        socket.wait("chunk").await?;
        mira.kill()?;
        let mira = Mira::start(setup)?;
        let listening = Instant::now();
        ready.push(mira.ready_after);
        let mut socket = Socket::connect(mira.addr, None).await?;
        let turn = socket.turn("And now?").await?;
        first.push(turn.first_chunk - listening);
        mira.stop().await?;
    }
    Ok((ready, first))
}

async fn looks(mira: &Mira, path: &str, count: usize) -> Outcome<(Samples, usize)> {
    let (mut samples, mut bytes) = (Samples::default(), 0);
    for _ in 0..count {
        let begun = Instant::now();
        bytes = http(mira.addr, "GET", path, "").await?.len();
        samples.push(begun.elapsed());
    }
    Ok((samples, bytes))
}

/// Runs the scenario.
pub async fn run(bench: &mut Bench) -> Outcome<()> {
    let model = Model::start()?;
    let messages = bench.count(MESSAGES);
    let (empty, full) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let setup = |path| Setup {
        data_dir: path,
        model: model.addr,
        durability: "full",
    };
    let past = full.path().join("past.jsonl");
    let sessions = write_past(&past, messages, text)?;
    let past = past.to_str().ok_or("a temporary path that is no text")?;
    let begun = Instant::now();
    let imported = setup(full.path()).command(&["import", past])?.status()?;
    if !imported.success() {
        return Err(format!("import: {}", fs::read_to_string(full.path().join("log"))?).into());
    }
    let case = format!("{messages} messages in {sessions} sessions");
    let took = begun.elapsed().as_secs_f64();
    bench.report.row(
        NAME,
        &case,
        "import",
        &[("took", took, "s"), ("rate", messages as f64 / took, "messages/s")],
    )?;

    let count = bench.count(STARTS);
    for (case, path) in [("empty database", empty.path()), (case.as_str(), full.path())] {
        let (ready, first) = starts(&setup(path), count).await?;
        bench.report.row(
            NAME,
            case,
            "start of the process to listening, after kill -9",
            &ready.summary(),
        )?;
        bench.report.row(
            NAME,
            case,
            "listening to the first chunk of the first chat",
            &first.summary(),
        )?;
        let mira = Mira::start(&setup(path))?;
        tokio::time::sleep(REST).await;
        let rest = rss_kib(mira.pid())? / 1024.0;
        bench
            .report
            .row(NAME, case, "resident memory at rest", &[("server", rest, "MiB")])?;
        mira.stop().await?;
    }

    let mira = Mira::start(&setup(full.path()))?;
    let rare = format!("/api/search?q=m{}", messages / 2);
    let paths = [
        (
            "history, newest page of 50",
            "/api/chat/history?session_id=eternal&limit=50",
        ),
        ("search, one find", rare.as_str()),
        ("search, a common word", "/api/search?q=coffee"),
        ("search, two common words", "/api/search?q=coffee%20rain"),
        ("sessions, first page", "/api/sessions"),
        ("baseline: health", "/health"),
    ];
    for (what, path) in paths {
        let (samples, bytes) = looks(&mira, path, bench.count(LOOKS)).await?;
        let mut figures = samples.summary().to_vec();
        figures.push(("answer", bytes as f64, "bytes"));
        bench.report.row(NAME, &case, what, &figures)?;
    }
    mira.stop().await
}
