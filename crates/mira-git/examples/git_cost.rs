//! What the actions of a large repository cost, beside the same actions of the `git` command: makes a repository of 100,000
//! files and 2,000 commits in a temporary folder and prints p50 and p99 in milliseconds.
//!
//! `cargo run --release -p mira-git --example git_cost [files]`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints figures, for developers"
)]

use mira_core::ids::AttachmentId;
use mira_git::{GitSettings, LogQuery, RepoPath, Repos, WriteOptions};
use std::{
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const COMMITS: usize = 2_000;
const PER_FOLDER: usize = 100;
const RUNS: usize = 100;

fn git(dir: &Path, args: &[&str], input: Option<&str>) {
    let mut child = Command::new("git")
        .current_dir(dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.unwrap_or_default().as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success(), "git {args:?}");
}

/// History as `git fast-import` reads it: all files at once, then one file per commit.
fn history(files: usize) -> String {
    let mut text = String::new();
    let path = |file: usize| {
        format!(
            "area{}/part{}/file{file}.txt",
            file / PER_FOLDER / 50,
            file / PER_FOLDER
        )
    };
    for commit in 0..COMMITS {
        let time = 1_700_000_000 + commit * 60;
        let message = format!("commit {commit}");
        writeln!(text, "commit refs/heads/main\ncommitter A <a@example.org> {time} +0000").unwrap();
        writeln!(text, "data {}\n{message}", message.len()).unwrap();
        let range = if commit == 0 {
            0..files
        } else {
            commit * 37 % files..commit * 37 % files + 1
        };
        for file in range {
            let content = format!("file {file}\nin commit {commit}\n");
            writeln!(
                text,
                "M 100644 inline {}\ndata {}\n{content}",
                path(file),
                content.len()
            )
            .unwrap();
        }
    }
    text
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| {
        times
            .get((times.len() * share / 100).min(times.len() - 1))
            .unwrap()
            .as_secs_f64()
            * 1e3
    };
    println!("{what:<44} p50 {:>8.1} ms   p99 {:>8.1} ms", at(50), at(99));
}

fn command(dir: &Path, what: &str, args: &[&str]) {
    let times = (0..RUNS / 4).map(|_| {
        let start = Instant::now();
        git(dir, args, None);
        start.elapsed()
    });
    report(what, times.collect());
}

macro_rules! measure {
    ($what:literal, $runs:expr, $action:expr) => {{
        let mut times = Vec::new();
        for run in 0..$runs + 3 {
            let start = Instant::now();
            $action(run).await.unwrap();
            // The first ones warm up.
            if run >= 3 {
                times.push(start.elapsed());
            }
        }
        report($what, times);
    }};
}

#[tokio::main]
async fn main() {
    let files = std::env::args().nth(1).map_or(100_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let repos = Repos::new(folder.path().to_owned(), GitSettings::default());
    let id: AttachmentId = "01920000-0000-7000-8000-000000000001".parse().unwrap();
    let dir = repos.folder(id);
    std::fs::create_dir_all(&dir).unwrap();
    git(&dir, &["init", "-q", "-b", "main", "."], None);
    git(&dir, &["fast-import", "--quiet"], Some(&history(files)));
    git(&dir, &["reset", "-q", "--hard"], None);
    println!("{files} files, {COMMITS} commits");
    let at = |path: &str| RepoPath::parse(path).unwrap();
    let root = "area0/part7";

    measure!("tree, root", RUNS, |_| repos.tree(id, None, None));
    measure!("tree, a folder of 100", RUNS, |_| repos.tree(id, Some(at(root)), None));
    command(
        &dir,
        "  git ls-tree -l HEAD area0/part7/",
        &["ls-tree", "-l", "HEAD", "area0/part7/"],
    );
    measure!("status", RUNS, |_| repos.status(id, None));
    command(&dir, "  git status --porcelain", &["status", "--porcelain"]);
    measure!("status, a folder", RUNS, |_| repos.status(id, Some(at(root))));
    command(
        &dir,
        "  git status --porcelain area0/part7",
        &["status", "--porcelain", root],
    );
    measure!("log of 50", RUNS, |_| repos.log(
        id,
        LogQuery {
            limit: 50,
            ..LogQuery::default()
        }
    ));
    command(&dir, "  git log -50", &["log", "-50"]);
    let path = Some(at("area0/part7/file703.txt"));
    measure!("log of a file", 20, |_| repos.log(
        id,
        LogQuery {
            limit: 50,
            path: path.clone(),
            ..LogQuery::default()
        }
    ));
    command(
        &dir,
        "  git log -- file",
        &["log", "-50", "--", "area0/part7/file703.txt"],
    );
    measure!("search", 10, |_| repos.search(id, "commit 1999".into(), 100));
    command(&dir, "  git grep", &["grep", "-n", "-i", "-F", "commit 1999"]);
    measure!("write", RUNS, |run: usize| {
        repos.write(
            id,
            at("area0/part7/file703.txt"),
            format!("{run}\n").into_bytes(),
            WriteOptions::default(),
        )
    });
    git(&dir, &["fsck", "--connectivity-only"], None);
    if let Some(peak) = std::fs::read_to_string("/proc/self/status").ok().and_then(|text| {
        text.lines()
            .find_map(|line| line.strip_prefix("VmHWM:").map(|peak| peak.trim().to_owned()))
    }) {
        println!("peak memory {peak}");
    }
}
