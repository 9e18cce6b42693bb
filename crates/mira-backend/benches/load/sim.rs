//! The emulated model as a process of its own: this very program, started again with [`ARGUMENT`].
//!
//! It ends when its standard input does, so that it never outlives the driver.

use crate::Outcome;
use openai_sim::{Brain, Sim, SimConfig};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

/// Makes this program be the model.
pub const ARGUMENT: &str = "--as-sim";
/// The only key the model lets in.
pub const KEY: &str = "load";
/// Tokens of a reply unless a directive says otherwise.
pub const TOKENS: usize = 20;

/// Serves until standard input ends.
pub fn serve() -> Outcome<()> {
    let config = SimConfig {
        api_key: Some(KEY.to_owned()),
        directives: true,
        brain: Brain::Fixed { tokens: TOKENS },
        capture: 0,
        ..SimConfig::default()
    };
    crate::machine::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let sim = Sim::start(config).await?;
        let mut out = io::stdout();
        writeln!(out, "{}", sim.addr())?;
        out.flush()?;
        let wait = || io::stdin().read_to_end(&mut Vec::new());
        tokio::task::spawn_blocking(wait).await??;
        sim.shutdown().await;
        Ok(())
    })
}

/// The running model.
pub struct Model {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Model {
    /// Starts it.
    pub fn start() -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("the model has no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let addr = line.trim().parse().map_err(|_| "the model did not start")?;
        Ok(Self { child, addr })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // It ends by itself at the end of its input; this is only faster.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
