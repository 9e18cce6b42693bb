//! `idle`: ten thousand sockets that say nothing, on one session and on as many sessions, and a turn beside them.

use crate::{
    Bench, Outcome,
    client::{Socket, make_sessions},
    machine,
    process::{Mira, Setup, cpu_ms, rss_kib},
    report::Samples,
    sim::Model,
};
use futures_util::StreamExt;
use std::time::{Duration, Instant};

const NAME: &str = "idle";
const SOCKETS: usize = 10_000;
const TURNS: usize = 50;
/// The server keeps some files for itself, the driver too.
const SPARE_FILES: usize = 512;
/// Connected at the same time.
const AT_ONCE: usize = 64;
/// After this, memory that will be given back has been.
const SETTLE: Duration = Duration::from_secs(10);

async fn turns(mira: &Mira, session: &str, count: usize) -> Outcome<Samples> {
    let mut socket = Socket::connect(mira.addr, Some(session)).await?;
    let mut samples = Samples::default();
    for _ in 0..count {
        let turn = socket.turn("How was your day?").await?;
        samples.push(turn.done - turn.sent);
    }
    Ok(samples)
}

async fn hold(mira: &Mira, sessions: &[String], count: usize) -> Outcome<Vec<Socket>> {
    let names = sessions.iter().cycle().take(count);
    let mut connecting = futures_util::stream::iter(names)
        .map(|name| Socket::connect(mira.addr, Some(name)))
        .buffer_unordered(AT_ONCE);
    let mut held = Vec::with_capacity(count);
    while let Some(socket) = connecting.next().await {
        held.push(socket?);
    }
    Ok(held)
}

/// Runs the scenario.
pub async fn run(bench: &mut Bench) -> Outcome<()> {
    let wanted = bench.count(SOCKETS);
    let count = wanted.min(machine::open_files().saturating_sub(SPARE_FILES));
    for own_sessions in [false, true] {
        let case = if own_sessions { "a session each" } else { "one session" };
        let model = Model::start()?;
        let directory = tempfile::tempdir()?;
        let mira = Mira::start(&Setup {
            data_dir: directory.path(),
            model: model.addr,
            durability: "full",
        })?;
        let sessions: Vec<String> = (0..if own_sessions { count } else { 1 })
            .map(|n| format!("idle-{n}"))
            .collect();
        make_sessions(mira.addr, &sessions).await?;
        make_sessions(mira.addr, &["beside".to_owned()]).await?;
        let alone = turns(&mira, "beside", bench.count(TURNS)).await?;
        let (before, begun) = (rss_kib(mira.pid())?, Instant::now());
        let held = hold(&mira, &sessions, count).await?;
        let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_ms(mira.pid())?);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let with = rss_kib(mira.pid())?;
        let figures = [
            ("sockets", held.len() as f64, ""),
            ("each", (with - before) / held.len() as f64, "KiB"),
            ("before", before / 1024.0, "MiB"),
            ("with them", with / 1024.0, "MiB"),
            ("connected", held.len() as f64 / took, "sockets/s"),
        ];
        bench
            .report
            .row(NAME, case, "resident memory of the server", &figures)?;
        let idle_cpu = (cpu_ms(mira.pid())? - cpu) / 2e3;
        bench.report.row(
            NAME,
            case,
            "processor while they idle",
            &[("server", idle_cpu, "cores")],
        )?;
        let beside = turns(&mira, "beside", bench.count(TURNS)).await?;
        bench
            .report
            .row(NAME, case, "baseline: a turn without them", &alone.summary())?;
        bench.report.row(NAME, case, "a turn beside them", &beside.summary())?;
        held.into_iter().for_each(Socket::leave);
        tokio::time::sleep(SETTLE).await;
        let after = rss_kib(mira.pid())?;
        let figures = [
            ("after 10 s", after / 1024.0, "MiB"),
            ("before", before / 1024.0, "MiB"),
        ];
        bench
            .report
            .row(NAME, case, "resident memory when they have left", &figures)?;
        mira.stop().await?;
    }
    Ok(())
}
