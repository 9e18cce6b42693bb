//! `first-word`: what Mira adds to the model's own time, word by word and over a whole reply.
//!
//! Turns through Mira and the same requests sent directly take turns, so that both see the same machine.

use crate::{
    Bench, Outcome,
    client::{Direct, Socket},
    machine,
    process::{Mira, Setup},
    relay::Relay,
    report::Samples,
    sim::Model,
};
use std::time::{Duration, Instant};

const NAME: &str = "first-word";
/// Turns before anything is measured: pools are open, caches warm.
const WARM_UP: usize = 20;
const MODES: [&str; 2] = ["full", "normal"];

/// One row of cases.
struct Case {
    tokens: usize,
    first_ms: u64,
    turns: usize,
}

#[derive(Default)]
struct Measured {
    /// Sent to acknowledged: the commit, and the way there and back.
    acknowledged: Samples,
    /// The model's byte (or the acknowledgement, if that came later) to the client's chunk.
    beyond_commit: Samples,
    /// The model's byte to the client's chunk.
    after_byte: Samples,
    /// The model's byte to the direct client.
    direct_after_byte: Samples,
    /// Sent to first words.
    first: Samples,
    direct_first: Samples,
    /// Sent to the end.
    whole: Samples,
    direct_whole: Samples,
}

async fn measure(mira: &Mira, relay: &Relay, case: &Case) -> Outcome<Measured> {
    let content = format!("[[sim: tokens={} first_ms={}]]", case.tokens, case.first_ms);
    let mut socket = Socket::connect(mira.addr, None).await?;
    let mut direct = Direct::connect(relay.addr).await?;
    for _ in 0..WARM_UP.min(case.turns) {
        socket.turn("warm up").await?;
    }
    let mut measured = Measured::default();
    let since = |later: Instant, earlier: Instant| later.saturating_duration_since(earlier);
    for _ in 0..case.turns {
        relay.arm();
        let turn = socket.turn(&content).await?;
        let byte = relay.first_word()?;
        measured.acknowledged.push(since(turn.message, turn.sent));
        measured
            .beyond_commit
            .push(since(turn.first_chunk, byte.max(turn.message)));
        measured.after_byte.push(since(turn.first_chunk, byte));
        measured.first.push(since(turn.first_chunk, turn.sent));
        measured.whole.push(since(turn.done, turn.sent));
        let request = relay.request();
        relay.arm();
        let answer = direct.ask(&request).await?;
        let byte = relay.first_word()?;
        measured.direct_after_byte.push(since(answer.first_word, byte));
        measured.direct_first.push(since(answer.first_word, answer.sent));
        measured.direct_whole.push(since(answer.done, answer.sent));
    }
    socket.leave();
    Ok(measured)
}

fn report(bench: &mut Bench, name: &str, case: &Case, measured: &Measured) -> Outcome<()> {
    let report = &mut bench.report;
    // The difference of two p99 is no p99 of anything, so what Mira took stands there whole.
    let added = |mira: &Samples, direct: &Samples| {
        [
            ("p50", mira.quantile(0.5) - direct.quantile(0.5), "ms"),
            ("p99 with the baseline in it", mira.quantile(0.99), "ms"),
        ]
    };
    if case.tokens == crate::sim::TOKENS {
        report.row(
            NAME,
            name,
            "sent to `message` (the commit's wait)",
            &measured.acknowledged.summary(),
        )?;
        report.row(
            NAME,
            name,
            "model's byte or `message`, the later, to first chunk",
            &measured.beyond_commit.summary(),
        )?;
        report.row(
            NAME,
            name,
            "model's byte to first chunk",
            &measured.after_byte.summary(),
        )?;
        report.row(
            NAME,
            name,
            "baseline: model's byte to a direct client",
            &measured.direct_after_byte.summary(),
        )?;
        let beyond = added(&measured.beyond_commit, &measured.direct_after_byte);
        report.row(NAME, name, "**added to the first word beyond the commit**", &beyond)?;
        let end_to_end = added(&measured.first, &measured.direct_first);
        report.row(
            NAME,
            name,
            "added from sent to first word, commit included",
            &end_to_end,
        )?;
    } else {
        report.row(NAME, name, "sent to `done`", &measured.whole.summary())?;
        report.row(
            NAME,
            name,
            "baseline: sent to the end, directly",
            &measured.direct_whole.summary(),
        )?;
        let whole = added(&measured.whole, &measured.direct_whole);
        report.row(NAME, name, "**added to the whole reply, commits included**", &whole)?;
        report.row(NAME, name, "of it: sent to `message`", &measured.acknowledged.summary())?;
    }
    Ok(())
}

/// Runs the scenario.
pub async fn run(bench: &mut Bench) -> Outcome<()> {
    let model = Model::start()?;
    let relay = Relay::start(model.addr)?;
    let cases = [
        Case {
            tokens: crate::sim::TOKENS,
            first_ms: 0,
            turns: bench.count(300),
        },
        Case {
            tokens: crate::sim::TOKENS,
            first_ms: 300,
            turns: bench.count(40),
        },
        Case {
            tokens: 200,
            first_ms: 0,
            turns: bench.count(100),
        },
    ];
    for durability in MODES {
        let directory = tempfile::tempdir()?;
        let disk = machine::disk(directory.path(), Duration::from_secs(1))?;
        bench.report.row(
            NAME,
            durability,
            "baseline: append 4 KiB and fdatasync",
            &disk.summary(),
        )?;
        let setup = Setup {
            data_dir: directory.path(),
            model: relay.addr,
            durability,
        };
        let mira = Mira::start(&setup)?;
        for case in &cases {
            let measured = measure(&mira, &relay, case).await?;
            let name = format!("{durability}, {} tokens, first after {} ms", case.tokens, case.first_ms);
            report(bench, &name, case, &measured)?;
        }
        mira.stop().await?;
    }
    Ok(())
}
