//! `cpu`: processor time of the server's process per 20-token turn, one after the other and many at once.

use crate::{
    Bench, Outcome,
    client::{Socket, make_sessions},
    process::{Mira, Setup, cpu_ms},
    sim::{Model, TOKENS},
};
use tokio::task::JoinSet;

const NAME: &str = "cpu";
const WARM_UP: usize = 50;
const CLIENTS: usize = 16;

/// Each socket does so many turns, all at once; answers with the turns done.
pub async fn talk(sockets: Vec<Socket>, turns: usize) -> Outcome<(Vec<Socket>, usize)> {
    let mut talking = JoinSet::new();
    for mut socket in sockets {
        talking.spawn(async move {
            for _ in 0..turns {
                socket.turn("How was your day?").await?;
            }
            Outcome::Ok(socket)
        });
    }
    let mut back = Vec::new();
    while let Some(socket) = talking.join_next().await {
        back.push(socket??);
    }
    let done = back.len() * turns;
    Ok((back, done))
}

/// Sockets on sessions of their own.
pub async fn sockets(mira: &Mira, prefix: &str, count: usize) -> Outcome<Vec<Socket>> {
    let names: Vec<String> = (0..count).map(|n| format!("{prefix}-{n}")).collect();
    make_sessions(mira.addr, &names).await?;
    let mut sockets = Vec::with_capacity(count);
    for name in &names {
        sockets.push(Socket::connect(mira.addr, Some(name)).await?);
    }
    Ok(sockets)
}

/// Runs the scenario.
pub async fn run(bench: &mut Bench) -> Outcome<()> {
    let turns = bench.count(2000);
    for durability in ["full", "normal"] {
        let model = Model::start()?;
        let directory = tempfile::tempdir()?;
        let mira = Mira::start(&Setup {
            data_dir: directory.path(),
            model: model.addr,
            durability,
        })?;
        for clients in [1, CLIENTS] {
            let sockets = sockets(&mira, &format!("cpu{clients}"), clients).await?;
            let (sockets, _) = talk(sockets, WARM_UP.div_ceil(clients)).await?;
            let before = (cpu_ms(mira.pid())?, cpu_ms(model.pid())?);
            let (sockets, done) = talk(sockets, turns.div_ceil(clients)).await?;
            let after = (cpu_ms(mira.pid())?, cpu_ms(model.pid())?);
            drop(sockets);
            let per_turn = |before: f64, after: f64| (after - before) / done as f64;
            let figures = [
                ("server", per_turn(before.0, after.0), "ms per turn"),
                (
                    "baseline: the emulated model",
                    per_turn(before.1, after.1),
                    "ms per turn",
                ),
                ("turns", done as f64, ""),
            ];
            let case = format!("{durability}, {clients} clients, {TOKENS} tokens");
            bench.report.row(NAME, &case, "processor time", &figures)?;
        }
        mira.stop().await?;
    }
    Ok(())
}
