//! `qdrant-sim`: the emulator as a program, for the browser tests and for trying Mira by hand beside something like Qdrant.
//!
//! Listens on a free port, prints one line when ready, `listening on URL`, and runs until it is interrupted.

use std::io::{self, Write};

use qdrant_sim::{Sim, SimConfig};

#[tokio::main]
async fn main() -> io::Result<()> {
    let config = SimConfig {
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
