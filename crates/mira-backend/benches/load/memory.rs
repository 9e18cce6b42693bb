//! `memory`: what memory adds to the first word of a turn, beside the same turns off the record, in the same run; how
//! fast an imported past is taken up, and what it costs in memory.

use crate::{
    Bench, Outcome,
    client::{Socket, http},
    process::{Mira, Setup, cpu_ms, rss_kib},
    report::Samples,
    sim::Model,
    start::write_past,
};
use std::{
    fs,
    time::{Duration, Instant},
};

const NAME: &str = "memory";
const SIZES: [usize; 2] = [10_000, 100_000];
const TURNS: usize = 300;
const WARM_UP: usize = 20;
/// Syllables words are made of: 12,000 words, some of them far more common than others, as in a language.
const SYLLABLES: [&str; 23] = [
    "ba", "ko", "ri", "ten", "sul", "mar", "ve", "lo", "pin", "dra", "gu", "hes", "ti", "fon", "ja", "wel", "ku",
    "nim", "os", "ral", "be", "cha", "mo",
];

/// A number that looks like chance and is the same in every run.
fn mixed(number: usize) -> usize {
    let mut x = (number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((x ^ (x >> 31)) >> 16).unwrap_or(0)
}

/// The `place`-th word of a message: the rank is drawn so that it falls as one over the rank (Zipf's law).
fn word(number: usize, place: usize) -> String {
    let share = (mixed(number * 64 + place) % 1_000_000) as f64 / 1e6;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 12,000")]
    let rank = 12_000_f64.powf(share) as usize;
    let syllable = |n: usize| SYLLABLES.get(n % SYLLABLES.len()).copied().unwrap_or_default();
    [rank, rank / 23, rank / 529].map(syllable).concat()
}

/// A message of 8 to 40 words.
fn text(number: usize) -> String {
    let words: Vec<String> = (0..8 + number % 33).map(|place| word(number, place)).collect();
    words.join(" ")
}

/// What is asked: words of one message of the past, as somebody who comes back to it would use them.
fn question(number: usize, messages: usize) -> String {
    let about = mixed(number) % messages;
    let words: Vec<String> = (0..7).map(|place| word(about, place)).collect();
    format!("Do you remember {}?", words.join(" "))
}

async fn pending(mira: &Mira) -> Outcome<u64> {
    let body = http(mira.addr, "GET", "/api/memory", "").await?;
    let value: serde_json::Value = serde_json::from_str(body.trim())?;
    let pending = value.pointer("/index/pending");
    pending
        .and_then(serde_json::Value::as_u64)
        .ok_or_else(|| format!("no pending in {body}").into())
}

/// Waits until everything is taken up; the time it took.
async fn taken_up(mira: &Mira) -> Outcome<Duration> {
    let begun = Instant::now();
    while pending(mira).await? > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(begun.elapsed())
}

/// Turns with memory and turns off the record take turns, so that both see the same machine.
async fn turns(mira: &Mira, messages: usize, count: usize) -> Outcome<(Samples, Samples)> {
    let mut on = Socket::connect(mira.addr, Some("remembers")).await?;
    let mut off = Socket::connect(mira.addr, Some("forgets")).await?;
    let (mut with, mut without) = (Samples::default(), Samples::default());
    for number in 0..count + WARM_UP {
        let asked = question(number, messages);
        let remembers = on.turn(&asked).await?;
        let forgets = off.turn(&asked).await?;
        if number >= WARM_UP {
            with.push(remembers.first_chunk - remembers.sent);
            without.push(forgets.first_chunk - forgets.sent);
        }
    }
    on.leave();
    off.leave();
    Ok((with, without))
}

/// Runs the scenario.
pub async fn run(bench: &mut Bench) -> Outcome<()> {
    let model = Model::start()?;
    for size in SIZES {
        let messages = bench.count(size);
        let case = format!("{messages} messages");
        let directory = tempfile::tempdir()?;
        let setup = Setup {
            data_dir: directory.path(),
            model: model.addr,
            durability: "normal",
        };
        let past = directory.path().join("past.jsonl");
        write_past(&past, messages, text)?;
        let past = past.to_str().ok_or("a temporary path that is no text")?;
        if !setup.command(&["import", past])?.status()?.success() {
            return Err(format!("import: {}", fs::read_to_string(directory.path().join("log"))?).into());
        }
        let mira = Mira::start(&setup)?;
        let before = cpu_ms(mira.pid())?;
        let took = taken_up(&mira).await?.as_secs_f64();
        let figures = [
            ("took", took, "s"),
            ("rate", messages as f64 / took, "messages/s"),
            ("cpu", (cpu_ms(mira.pid())? - before) / messages as f64, "ms/message"),
        ];
        bench
            .report
            .row(NAME, &case, "taken up: documents and vectors", &figures)?;
        for (id, mode) in [("remembers", "on"), ("forgets", "off")] {
            let body = format!(r#"{{"id":"{id}","memory":"{mode}"}}"#);
            http(mira.addr, "POST", "/api/sessions", &body).await?;
        }
        let (with, without) = turns(&mira, messages, bench.count(TURNS)).await?;
        bench
            .report
            .row(NAME, &case, "sent to first word, with memory", &with.summary())?;
        bench.report.row(
            NAME,
            &case,
            "baseline: sent to first word, off the record",
            &without.summary(),
        )?;
        let added = [
            ("p50", with.quantile(0.5) - without.quantile(0.5), "ms"),
            ("p99", with.quantile(0.99) - without.quantile(0.99), "ms"),
        ];
        bench.report.row(NAME, &case, "**added to the first word**", &added)?;
        mira.stop().await?;
        let mira = Mira::start(&setup)?;
        let began = Instant::now();
        let (_, _) = turns(&mira, messages, 1).await?;
        bench.report.row(
            NAME,
            &case,
            "after a restart: two turns with their warm-up",
            &[("took", began.elapsed().as_secs_f64() * 1e3, "ms")],
        )?;
        let rest = rss_kib(mira.pid())? / 1024.0;
        bench.report.row(
            NAME,
            &case,
            "resident memory with the index",
            &[("server", rest, "MiB")],
        )?;
        mira.stop().await?;
    }
    Ok(())
}
