//! `streams`: a thousand replies at twenty chunks per second each, all at once, a session each.

use crate::{
    Bench, Outcome,
    client::Direct,
    cpu::sockets,
    process::{Mira, Setup, cpu_ms, rss_kib},
    report::{Figure, Samples},
    sim::Model,
    throughput::catch_request,
};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const NAME: &str = "streams";
const STREAMS: usize = 1000;
const SECONDS: usize = 25;
const CHUNKS_PER_S: usize = 20;
/// Streams begin one after the other over this time, as people do.
const SPREAD: Duration = Duration::from_secs(2);

/// Time between two chunks, all streams together.
fn gaps(samples: &Samples) -> [Figure; 5] {
    [
        ("p50", samples.quantile(0.5), "ms"),
        ("p99", samples.quantile(0.99), "ms"),
        ("p99.9", samples.quantile(0.999), "ms"),
        ("max", samples.quantile(1.0), "ms"),
        ("gaps", samples.len() as f64, ""),
    ]
}

fn delay(index: usize, count: usize) -> Duration {
    SPREAD.mul_f64(index as f64 / count as f64)
}

async fn collect(mut streams: JoinSet<Outcome<Vec<Duration>>>) -> Outcome<(usize, Samples, Samples)> {
    let (mut finished, mut samples, mut worst) = (0, Samples::default(), Samples::default());
    while let Some(gaps) = streams.join_next().await {
        let gaps = gaps??;
        finished += 1;
        worst.push(gaps.iter().max().copied().unwrap_or_default());
        for gap in gaps {
            samples.push(gap);
        }
    }
    Ok((finished, samples, worst))
}

/// Runs the scenario.
pub async fn run(bench: &mut Bench) -> Outcome<()> {
    let model = Model::start()?;
    let count = bench.count(STREAMS);
    let tokens = CHUNKS_PER_S * if bench.share == 1 { SECONDS } else { 5 };
    let content = format!("[[sim: tokens={tokens} rate={CHUNKS_PER_S}]]");
    let request = catch_request(&model, &content).await?;
    let mut direct = JoinSet::new();
    for index in 0..count {
        let (mut client, request) = (Direct::connect(model.addr).await?, request.clone());
        direct.spawn(async move {
            tokio::time::sleep(delay(index, count)).await;
            Ok(client.ask(&request).await?.gaps)
        });
    }
    let (finished, samples, _) = collect(direct).await?;
    let case = format!("{count} streams of {tokens} chunks");
    bench.report.row(
        NAME,
        &case,
        "baseline: gaps seen by direct clients of the model",
        &gaps(&samples),
    )?;

    let directory = tempfile::tempdir()?;
    let mira = Mira::start(&Setup {
        data_dir: directory.path(),
        model: model.addr,
        durability: "full",
    })?;
    let sockets = sockets(&mira, "stream", count).await?;
    let (before, memory, begun) = (cpu_ms(mira.pid())?, rss_kib(mira.pid())?, Instant::now());
    let mut streams = JoinSet::new();
    for (index, mut socket) in sockets.into_iter().enumerate() {
        let content = content.clone();
        streams.spawn(async move {
            tokio::time::sleep(delay(index, count)).await;
            Ok(socket.turn(&content).await?.gaps)
        });
    }
    let halfway = Duration::from_millis(u64::try_from(tokens * 500 / CHUNKS_PER_S)?);
    tokio::pin! { let collected = collect(streams); }
    let memory_during = tokio::select! {
        () = tokio::time::sleep(halfway) => rss_kib(mira.pid())?,
        early = &mut collected => { early?; return Err("the streams ended before their half".into()); }
    };
    let (through, samples, worst) = collected.await?;
    let took = begun.elapsed().as_secs_f64();
    bench
        .report
        .row(NAME, &case, "gaps between chunks through Mira", &gaps(&samples))?;
    bench
        .report
        .row(NAME, &case, "largest gap of a stream", &worst.summary())?;
    let chunks = (samples.len() + through) as f64;
    let figures = [
        ("finished", through as f64, ""),
        ("direct finished", finished as f64, ""),
        ("server", (cpu_ms(mira.pid())? - before) / (took * 1e3), "cores"),
        ("chunks", chunks / took, "per s"),
        ("chunks per reply", chunks / through as f64, ""),
        ("memory per stream", (memory_during - memory) / count as f64, "KiB"),
    ];
    bench.report.row(NAME, &case, "the whole", &figures)?;
    mira.stop().await
}
