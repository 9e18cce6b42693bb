//! `qdrant-sim`: the emulator as a program, for the browser tests and for trying Mira by hand beside something like Qdrant.
//!
//! Prints one line when ready, `listening on URL`, and runs until it is interrupted. A number given to it is the port.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use qdrant_sim::{Sim, SimConfig};

#[tokio::main]
async fn main() -> ExitCode {
    let port = match std::env::args().nth(1).map(|port| port.parse::<u16>()) {
        None => 0,
        Some(Ok(port)) => port,
        Some(Err(error)) => return failed(&format!("the port: {error}")),
    };
    match run(port).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(why: &str) -> ExitCode {
    let _nobody_reads = writeln!(io::stderr(), "qdrant-sim: {why}");
    ExitCode::FAILURE
}

async fn run(port: u16) -> io::Result<()> {
    let config = SimConfig {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        capture: 0,
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await?;
    let mut out = io::stdout();
    writeln!(out, "listening on {}", sim.url())?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    sim.shutdown().await;
    Ok(())
}
