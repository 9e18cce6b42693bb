//! `openai-sim`: the emulator as a program, for load tests and for trying a client by hand.
//!
//! Lives here: the command line. Prints one line when ready, `listening on URL`, and runs until it is interrupted.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use openai_sim::{Brain, Sim, SimConfig};

const HELP: &str = "\
openai-sim: an emulator of the OpenAI API on loopback

  --port PORT      where to listen (default 0: a free port)
  --tokens N       answer every request with N tokens (default: replies from the prompt)
  --first-ms MS    time to the first token (default 0)
  --rate N         tokens per second (default 0: as fast as the client reads)
  --directives     obey [[sim: ...]] in user messages
  --lax            do not check requests against the API's rules
  --key KEY        let in only this key
  --model NAME     offer this model too (may be repeated)
  --help           this text
";

enum Command {
    Help,
    Run(Box<SimConfig>),
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    // A long load must not fill the memory with what was asked.
    let mut config = SimConfig {
        capture: 0,
        ..SimConfig::default()
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("'{text}' is no number"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--directives" => config.directives = true,
            "--lax" => config.strict = false,
            "--key" => config.api_key = Some(value()?),
            "--model" => config.models.push(value()?),
            "--first-ms" => config.first_token_delay_ms = number(value()?)?,
            "--port" => {
                let port = number(value()?)?;
                let port = u16::try_from(port).map_err(|_| format!("{port} is no port"))?;
                config.addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            }
            "--tokens" => {
                let tokens = number(value()?)?;
                let tokens = usize::try_from(tokens).map_err(|_| format!("{tokens} tokens are too many"))?;
                config.brain = Brain::Fixed { tokens };
            }
            "--rate" => {
                let rate = number(value()?)?;
                config.token_interval = Duration::from_nanos(1_000_000_000_u64.checked_div(rate).unwrap_or(0));
            }
            other => return Err(format!("unknown argument '{other}' (see --help)")),
        }
    }
    Ok(Command::Run(Box::new(config)))
}

fn run(config: SimConfig) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let sim = Sim::start(config).await?;
        let mut out = io::stdout();
        writeln!(out, "listening on {}", sim.url())?;
        out.flush()?;
        tokio::signal::ctrl_c().await?;
        sim.shutdown().await;
        Ok(())
    })
}

fn main() -> ExitCode {
    let outcome = match parse(std::env::args().skip(1)) {
        Ok(Command::Help) => io::stdout().write_all(HELP.as_bytes()),
        Ok(Command::Run(config)) => run(*config),
        Err(message) => {
            // Nowhere is left to report a stderr that cannot be written to.
            return writeln!(io::stderr(), "openai-sim: {message}").map_or(ExitCode::FAILURE, |()| ExitCode::from(2));
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => writeln!(io::stderr(), "openai-sim: {error}").map_or(ExitCode::FAILURE, |()| ExitCode::FAILURE),
    }
}
