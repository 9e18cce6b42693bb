//! Chores of the workspace, in Rust so that they run wherever the build runs.
//!
//! `cargo xtask tidy` checks the structure rules, `cargo xtask test` is the whole gate (README and `.ci/run` call it),
//! `cargo xtask image` runs the Dockerfile's steps without a container engine. No product code lives here.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on the terminal"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "chores read PATH and friends and wait for processes"
)]

mod deploy;
mod dockerfile;
mod image;
mod repo;
mod run;
mod settings;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "usage:
  cargo xtask test [STEP...]   everything CI runs, or only the named steps (fmt tidy clippy deny test e2e deploy)
  cargo xtask tidy             structure rules
  cargo xtask image [FOLDER]   the Dockerfile's steps as a script (default: target/image)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["test", steps @ ..] => test::run(steps),
        ["tidy"] => tidy::run(),
        ["image"] => image::run(None),
        ["image", folder] => image::run(Some(folder)),
        ["-h" | "--help" | "help"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nFAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
