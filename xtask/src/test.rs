//! The whole gate: every check a change must pass, in the order in which a mistake is found cheapest. It stops at the
//! first failure, and its last line says what failed.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::run::{command, visible};
use crate::{deploy, repo, tidy, tools};

type Step = (&'static str, &'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("fmt", "formatting", fmt),
    ("tidy", "structure rules", tidy::run),
    ("clippy", "lints, warnings are errors", clippy),
    ("deny", "bans, licences and sources of dependencies", deny),
    ("test", "unit and integration tests", cargo_test),
    ("e2e", "the page in a real browser", end_to_end),
    (
        "deploy",
        "Dockerfile, compose.yaml, systemd unit, nginx block, .env.example",
        deploy::run,
    ),
];

/// Runs all steps, or those named.
pub fn run(named: &[&str]) -> Result<()> {
    let chosen = choose(named)?;
    let started = Instant::now();
    let mut durations = Vec::new();
    for (name, title, step) in &chosen {
        println!("\n=== {name}: {title}");
        let begun = Instant::now();
        step().with_context(|| format!("step `{name}` after {}", seconds(begun.elapsed())))?;
        let took = seconds(begun.elapsed());
        println!("=== {name}: ok in {took}");
        durations.push(format!("{name} {took}"));
    }
    println!("\n{}", durations.join(", "));
    let total = seconds(started.elapsed());
    if named.is_empty() {
        println!("All checks passed in {total}.");
    } else {
        println!("The named steps passed in {total}; the whole gate is `cargo xtask test`.");
    }
    Ok(())
}

fn choose(named: &[&str]) -> Result<Vec<Step>> {
    for name in named {
        if !STEPS.iter().any(|(step, ..)| step == name) {
            let known: Vec<&str> = STEPS.iter().map(|(step, ..)| *step).collect();
            bail!("there is no step `{name}`, only {}", known.join(", "));
        }
    }
    Ok(STEPS
        .iter()
        .filter(|(step, ..)| named.is_empty() || named.contains(step))
        .copied()
        .collect())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn cargo(args: &[&str]) -> Result<()> {
    visible(command("cargo").args(args))
}

fn fmt() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])
}

fn clippy() -> Result<()> {
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])
}

fn deny() -> Result<()> {
    let program = tools::cargo_deny()?;
    visible(command(program).args(["--locked", "check", "bans", "licenses", "sources"]))
}

fn cargo_test() -> Result<()> {
    tools::git_peers()?;
    tools::mcp_peers()?;
    tools::box_peers()?;
    // Half of a test is waiting, for a disk or for words that come at their own pace: twice as many share the processors.
    // Here nothing may go unproven: with CI set a test whose machine cannot do what it tests fails.
    visible(
        command("cargo")
            .args(["test", "--workspace", "--locked"])
            .env("CI", "true")
            .env("RUST_TEST_THREADS", (2 * processors()).to_string()),
    )
}

/// The debug binary with the features it ships with (tests are built with more), and beside it the scripted model and the
/// emulated Qdrant of the end-to-end specs: built if they are not up to date, in one go, since two would differ in features.
pub fn debug_binary() -> Result<PathBuf> {
    cargo(&[
        "build",
        "--package",
        "mira-backend",
        "--package",
        "openai-sim",
        "--package",
        "qdrant-sim",
        "--locked",
    ])?;
    let binary = repo::target_dir().join("debug").join("mira-backend");
    if !binary.is_file() {
        bail!("cargo built no {}", binary.display());
    }
    Ok(binary)
}

fn end_to_end() -> Result<()> {
    let dir = repo::root().join("tests/e2e");
    let specs = specs(&dir)?;
    let chromium = tools::from_apt("chromium", "chromium")?;
    let node = tools::from_apt("node", "nodejs")?;
    tools::npm_packages(&dir)?;
    let binary = debug_binary()?;
    let report = repo::scratch("e2e")?.join("report.tap");
    // Each file has a server and a browser of its own, and waits more than it works: two share even one processor well.
    let at_once = processors().max(2);
    visible(
        command(node)
            .current_dir(&dir)
            .env("MIRA_BIN", binary)
            .env("MIRA_CHROMIUM", chromium)
            .args([
                "--test",
                &format!("--test-concurrency={at_once}"),
                "--test-reporter=spec",
                "--test-reporter-destination=stdout",
            ])
            .arg("--test-reporter=tap")
            .arg(format!("--test-reporter-destination={}", report.display()))
            .args(specs),
    )?;
    judge_report(&fs::read_to_string(report).context("node wrote no report")?)
}

/// How many processors there are.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn specs(dir: &Path) -> Result<Vec<String>> {
    let mut specs = Vec::new();
    for entry in fs::read_dir(dir).context("tests/e2e is missing")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".test.mjs") {
            specs.push(name);
        }
    }
    specs.sort();
    if specs.is_empty() {
        bail!("tests/e2e has no *.test.mjs: a gate without end-to-end tests is no gate");
    }
    Ok(specs)
}

/// A run that skipped something is not a run that passed.
fn judge_report(report: &str) -> Result<()> {
    let count = |name: &str| {
        let mut number = report
            .lines()
            .filter_map(|line| line.strip_prefix("# ")?.strip_prefix(name)?.trim().parse::<u32>().ok());
        number
            .next_back()
            .with_context(|| format!("node's report has no count of `{name}`"))
    };
    if count("tests ")? == 0 {
        bail!("no end-to-end test ran");
    }
    for kind in ["skipped ", "todo ", "cancelled ", "fail "] {
        let found = count(kind)?;
        if found > 0 {
            bail!("{found} end-to-end tests counted as `{}`", kind.trim());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(tests: u32, skipped: u32) -> String {
        format!(
            "1..1\n# tests {tests}\n# suites 0\n# pass 1\n# fail 0\n# cancelled 0\n# skipped {skipped}\n# todo 0\n# duration_ms 5.1\n"
        )
    }

    #[test]
    fn a_report_counts_only_when_all_ran() {
        assert!(judge_report(&report(3, 0)).is_ok());
        for (text, says) in [
            (report(3, 1), "1 end-to-end tests counted as `skipped`"),
            (report(0, 0), "no end-to-end test ran"),
            (String::new(), "node's report has no count of `tests `"),
        ] {
            assert_eq!(judge_report(&text).unwrap_err().to_string(), says);
        }
    }

    #[test]
    fn steps_run_in_the_gates_order_whatever_the_order_of_their_names() {
        let names =
            |named: &[&str]| choose(named).map(|steps| steps.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
        assert_eq!(names(&["deny", "fmt"]).unwrap(), ["fmt", "deny"]);
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert!(names(&["lint"]).is_err());
    }
}
