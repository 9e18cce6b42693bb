//! `throughput`: turns per second at 64 sessions, every message and reply stored, beside what the disk can do alone.

use crate::{
    Bench, Outcome,
    client::{Direct, Socket},
    cpu::sockets,
    machine,
    process::{Mira, Setup, cpu_ms},
    relay::Relay,
    report::Samples,
    sim::{Model, TOKENS},
};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const NAME: &str = "throughput";
const SESSIONS: usize = 64;
const SECONDS: usize = 10;
const WARM_UP: Duration = Duration::from_secs(1);

async fn talk_for(sockets: Vec<Socket>, time: Duration) -> Outcome<(Vec<Socket>, Samples)> {
    let mut talking = JoinSet::new();
    let until = Instant::now() + time;
    for mut socket in sockets {
        talking.spawn(async move {
            let mut samples = Samples::default();
            while Instant::now() < until {
                let turn = socket.turn("How was your day?").await?;
                samples.push(turn.done - turn.sent);
            }
            Outcome::Ok((socket, samples))
        });
    }
    let (mut back, mut all) = (Vec::new(), Samples::default());
    while let Some(joined) = talking.join_next().await {
        let (socket, samples) = joined??;
        back.push(socket);
        all.extend(samples);
    }
    Ok((back, all))
}

/// As many clients asking the model itself.
async fn ask_for(model: &Model, request: &[u8], time: Duration) -> Outcome<Samples> {
    let mut asking = JoinSet::new();
    let until = Instant::now() + time;
    for _ in 0..SESSIONS {
        let mut direct = Direct::connect(model.addr).await?;
        let request = request.to_vec();
        asking.spawn(async move {
            let mut samples = Samples::default();
            while Instant::now() < until {
                let answer = direct.ask(&request).await?;
                samples.push(answer.done - answer.sent);
            }
            Outcome::Ok(samples)
        });
    }
    let mut all = Samples::default();
    while let Some(samples) = asking.join_next().await {
        all.extend(samples??);
    }
    Ok(all)
}

/// The bytes Mira asks the model with for this message, caught on their way.
pub async fn catch_request(model: &Model, content: &str) -> Outcome<Vec<u8>> {
    let relay = Relay::start(model.addr)?;
    let directory = tempfile::tempdir()?;
    let mira = Mira::start(&Setup {
        data_dir: directory.path(),
        model: relay.addr,
        durability: "normal",
    })?;
    let mut socket = Socket::connect(mira.addr, None).await?;
    socket.say(content).await?;
    socket.wait("chunk").await?;
    let request = relay.request();
    mira.kill()?;
    Ok(request)
}

/// Runs the scenario.
pub async fn run(bench: &mut Bench) -> Outcome<()> {
    let model = Model::start()?;
    let time = Duration::from_secs(u64::try_from(bench.count(SECONDS))?);
    let rate = |done: &Samples, took: Duration| done.len() as f64 / took.as_secs_f64();
    let request = catch_request(&model, "How was your day?").await?;
    let begun = Instant::now();
    let asked = ask_for(&model, &request, time).await?;
    let figures = [
        ("rate", rate(&asked, begun.elapsed()), "answers/s"),
        ("p50", asked.quantile(0.5), "ms"),
    ];
    bench
        .report
        .row(NAME, "direct", "baseline: the model alone, 64 clients", &figures)?;
    for durability in ["full", "normal"] {
        let directory = tempfile::tempdir()?;
        let disk = machine::disk(directory.path(), Duration::from_secs(2))?;
        let figures = [("rate", disk.rate(), "fdatasync/s"), ("p50", disk.quantile(0.5), "ms")];
        bench
            .report
            .row(NAME, durability, "baseline: append 4 KiB and fdatasync", &figures)?;
        let mira = Mira::start(&Setup {
            data_dir: directory.path(),
            model: model.addr,
            durability,
        })?;
        let sockets = sockets(&mira, "throughput", SESSIONS).await?;
        let (sockets, _) = talk_for(sockets, WARM_UP).await?;
        let (before, begun) = (cpu_ms(mira.pid())?, Instant::now());
        let (_, samples) = talk_for(sockets, time).await?;
        let took = begun.elapsed();
        let figures = [
            ("rate", rate(&samples, took), "turns/s"),
            ("p50", samples.quantile(0.5), "ms"),
            ("p99", samples.quantile(0.99), "ms"),
            (
                "server",
                (cpu_ms(mira.pid())? - before) / (took.as_secs_f64() * 1e3),
                "cores",
            ),
        ];
        let case = format!("{durability}, {SESSIONS} sessions, {TOKENS} tokens");
        bench.report.row(NAME, &case, "whole turns", &figures)?;
        mira.stop().await?;
    }
    Ok(())
}
