//! `box`: the first word beside code that takes all it can get. Turns with the box idle and turns with it at work take
//! turns in one run; the code goes the way of any other, through a call of the model's in a turn of its own.

use crate::{
    Bench, Outcome,
    client::{Socket, http, make_sessions, order},
    process::{Mira, Setup},
    report::Samples,
    sim::Model,
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};

const NAME: &str = "box";
const WARM_UP: usize = 20;
/// As many as there are boxes at once.
const BOMBS: usize = 2;
/// How often the idle and the busy box take turns.
const BLOCKS: usize = 3;
/// For the proof of the box after the start.
const PROOF_WITHIN: Duration = Duration::from_secs(30);
/// What wants to be run.
const KINDS: [(&str, &str); 2] = [
    (
        "eight processes in a loop in each of two boxes",
        "import os, time\nend = time.time() + 4\nfor _ in range(3): os.fork()\nwhile time.time() < end: pass",
    ),
    (
        "memory to the limit in each of two boxes",
        "kept = list()\nwhile True: kept.append(b'x' * (1 << 24))",
    ),
];

/// Waits until code can be run; an error where it never can.
async fn proven(mira: &Mira) -> Outcome<()> {
    let begun = Instant::now();
    loop {
        let listed: Value = serde_json::from_str(&http(mira.addr, "GET", "/api/tools", "").await?)?;
        let tools = listed.get("tools").and_then(Value::as_array);
        let tool = tools
            .into_iter()
            .flatten()
            .find(|tool| tool.get("name") == Some(&json!("code_interpreter")));
        let tool = tool.ok_or("there is no tool that runs code")?;
        if tool.get("available") == Some(&json!(true)) {
            return Ok(());
        }
        if begun.elapsed() > PROOF_WITHIN {
            return Err(format!("no code can be run: {tool}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Has code run again and again until it is enough; answers with the runs that ended. Each is told through `ran`.
async fn bomb(mut socket: Socket, words: String, enough: Arc<AtomicBool>, ran: mpsc::Sender<()>) -> Outcome<usize> {
    let mut runs = 0;
    while !enough.load(Ordering::Relaxed) {
        socket.say(&words).await?;
        loop {
            let frame = socket.next().await?;
            if frame.starts_with(r#"{"type":"tool_result""#) {
                if enough.load(Ordering::Relaxed) {
                    socket.stop().await?;
                } else if !frame.contains(r#""exit""#) {
                    return Err(format!("the code was not run: {frame}").into());
                }
                // What was cut off by the stop is no run.
                runs += usize::from(frame.contains(r#""exit""#));
                // Only the first one is waited for.
                ran.try_send(()).unwrap_or_default();
            } else if frame.starts_with(r#"{"type":"done""#) {
                // The emulated model calls on until it is cut off.
                break;
            }
        }
    }
    Ok(runs)
}

/// First words of so many turns.
async fn turns(socket: &mut Socket, count: usize) -> Outcome<Samples> {
    let mut samples = Samples::default();
    for _ in 0..count {
        let turn = socket.turn("How was your day?").await?;
        samples.push(turn.first_chunk.saturating_duration_since(turn.sent));
    }
    Ok(samples)
}

/// First words of so many turns while code runs, and how many runs ended meanwhile.
async fn beside(mira: &Mira, socket: &mut Socket, words: &str, count: usize) -> Outcome<(Samples, usize)> {
    let enough = Arc::<AtomicBool>::default();
    let (ran, mut first) = mpsc::channel(1);
    let mut bombs = JoinSet::new();
    for n in 0..BOMBS {
        let line = Socket::connect(mira.addr, Some(&format!("bomb-{n}"))).await?;
        bombs.spawn(bomb(line, words.to_owned(), Arc::clone(&enough), ran.clone()));
    }
    drop(ran);
    // Nothing is measured before code has run.
    if first.recv().await.is_none() {
        return Err(match bombs.join_next().await {
            Some(Ok(Err(error))) => error,
            _ => "no code was run".into(),
        });
    }
    let samples = turns(socket, count).await?;
    enough.store(true, Ordering::Relaxed);
    let mut runs = 0;
    while let Some(ended) = bombs.join_next().await {
        runs += ended??;
    }
    Ok((samples, runs))
}

/// Runs the scenario.
pub async fn run(bench: &mut Bench) -> Outcome<()> {
    let model = Model::start()?;
    let directory = tempfile::tempdir()?;
    let setup = Setup {
        data_dir: directory.path(),
        model: model.addr,
        durability: "full",
    };
    // Where the provider runs code itself, Mira's box is not used.
    let mut command = setup.command(&["serve"])?;
    command.env("MIRA_LLM_API", "chat");
    let mira = Mira::start_as(command, &setup)?;
    proven(&mira).await?;
    let names: Vec<String> = (0..BOMBS).map(|n| format!("bomb-{n}")).collect();
    make_sessions(mira.addr, &names).await?;
    let mut socket = Socket::connect(mira.addr, None).await?;
    turns(&mut socket, WARM_UP).await?;
    let count = bench.count(300).div_ceil(BLOCKS);
    for (kind, code) in KINDS {
        let words = order("code_interpreter", &json!({ "code": code, "files": null }))?;
        let (mut idle, mut busy, mut runs) = (Samples::default(), Samples::default(), 0);
        for _ in 0..BLOCKS {
            idle.extend(turns(&mut socket, count).await?);
            let (samples, ended) = beside(&mira, &mut socket, &words, count).await?;
            busy.extend(samples);
            runs += ended;
        }
        let report = &mut bench.report;
        report.row(
            NAME,
            kind,
            "baseline: sent to first chunk, the box idle",
            &idle.summary(),
        )?;
        report.row(NAME, kind, "sent to first chunk beside it", &busy.summary())?;
        let ratio = |share: f64| busy.quantile(share) / idle.quantile(share);
        let figures = [
            ("p50", ratio(0.5), ""),
            ("p99", ratio(0.99), ""),
            ("runs that ended", runs as f64, ""),
        ];
        report.row(NAME, kind, "**how many times as long**", &figures)?;
    }
    socket.leave();
    mira.stop().await
}
