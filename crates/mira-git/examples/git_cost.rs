//! What repositories cost, beside the same actions of the `git` command; figures for docs/BENCHMARKS.md. Everything is
//! made in a temporary folder (of `TMPDIR`) and removed at the end.
//!
//! - `cargo run --release -p mira-git --example git_cost [files]`: many files (100,000) and 2,000 commits.
//! - `... --example git_cost attach [MB]`: a history of 1,024 MB, attached from git's `http-backend` in another process.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program that prints figures, for developers"
)]

#[path = "../tests/it/remote/http_peer.rs"]
#[expect(dead_code, reason = "what only the tests ask of the server")]
mod http_peer;

/// What the server of the tests asks for; not used here.
mod support {
    pub(crate) const PASSWORD: &str = "";
}

use http_peer::{HttpPeer, Manners};
use mira_core::ids::AttachmentId;
use mira_git::{
    GitSettings, LogQuery, RepoPath, Repos, WriteOptions,
    remote::{Attach, Credentials, Listener, Progress, RemoteSettings, Remotes, Stage},
};
use mira_net::{Guard, GuardedClient, HostPort};
use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::sync::watch;

const COMMITS: usize = 2_000;
const PER_FOLDER: usize = 100;
const RUNS: usize = 100;
/// Small files beside the large ones of a large history.
const SMALL_FILES: usize = 2_000;
/// A large file, bytes.
const LARGE: usize = 4 * 1024 * 1024;
/// Of them at a time; each commit replaces one.
const LARGE_FILES: usize = 8;

fn git(dir: &Path, args: &[&str], feed: impl FnOnce(&mut dyn Write)) {
    let mut child = Command::new("git")
        .current_dir(dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    feed(&mut stdin);
    drop(stdin);
    assert!(child.wait().unwrap().success(), "git {args:?}");
}

fn path(file: usize) -> String {
    let part = file / PER_FOLDER;
    format!("area{}/part{part}/file{file}.txt", part / 50)
}

/// History as `git fast-import` reads it: all files at once, then one file per commit.
fn history(files: usize) -> String {
    let mut text = String::new();
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
            let (path, length) = (path(file), content.len());
            writeln!(text, "M 100644 inline {path}\ndata {length}\n{content}").unwrap();
        }
    }
    text
}

/// More commits on top, each with a large file that nothing makes smaller.
fn add_large_commits(out: &mut dyn Write, count: usize) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut large = Vec::with_capacity(LARGE);
    for commit in 0..count {
        large.clear();
        while large.len() < LARGE {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            large.extend(state.to_le_bytes());
        }
        let time = 1_700_000_000 + (COMMITS + commit) * 60;
        let at = commit % LARGE_FILES;
        let head = format!(
            "commit refs/heads/main\ncommitter A <a@example.org> {time} +0000\ndata 5\nlarge\n\
             M 100644 inline large/{at}.bin\ndata {LARGE}\n"
        );
        out.write_all(head.as_bytes()).unwrap();
        out.write_all(&large).unwrap();
        out.write_all(b"\n").unwrap();
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!("{what:<44} p50 {:>8.1} ms   p99 {:>8.1} ms", at(50), at(99));
}

fn command(dir: &Path, args: &[&str]) {
    let times = (0..RUNS / 4).map(|_| {
        let start = Instant::now();
        git(dir, args, |_| ());
        start.elapsed()
    });
    report(&format!("  git {}", args.join(" ")), times.collect());
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

/// Megabytes this process uses by a line of its status.
fn megabytes(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    let number = found.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_default() / 1024
}

fn repos(folder: &Path) -> (Repos, AttachmentId) {
    let repos = Repos::new(folder.to_owned(), GitSettings::default());
    (repos, "01920000-0000-7000-8000-000000000001".parse().unwrap())
}

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap()
}

/// What looking at a clone costs.
async fn look(repos: &Repos, id: AttachmentId) {
    let dir = &repos.folder(id);
    let (root, file) = ("area0/part7", "area0/part7/file703.txt");
    measure!("tree, root", RUNS, |_| repos.tree(id, None, None));
    measure!("tree, a folder of 100", RUNS, |_| repos.tree(id, Some(at(root)), None));
    command(dir, &["ls-tree", "-l", "HEAD", "area0/part7/"]);
    measure!("status", RUNS, |_| repos.status(id, None));
    command(dir, &["status", "--porcelain"]);
    measure!("status, a folder", RUNS, |_| repos.status(id, Some(at(root))));
    command(dir, &["status", "--porcelain", root]);
    let log = |path: Option<&str>| LogQuery {
        limit: 50,
        path: path.map(at),
        ..LogQuery::default()
    };
    measure!("log of 50", RUNS, |_| repos.log(id, log(None)));
    command(dir, &["log", "-50"]);
    measure!("log of a file", 20, |_| repos.log(id, log(Some(file))));
    command(dir, &["log", "-50", "--", file]);
    measure!("blame of a file", 20, |_| repos.blame(id, at(file), None));
    command(dir, &["blame", file]);
}

async fn many_files(files: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (repos, id) = repos(folder.path());
    let dir = &repos.folder(id);
    fs::create_dir_all(dir).unwrap();
    git(dir, &["init", "-q", "-b", "main", "."], |_| ());
    let history = history(files);
    git(dir, &["fast-import", "--quiet"], |out| {
        out.write_all(history.as_bytes()).unwrap();
    });
    git(dir, &["reset", "-q", "--hard"], |_| ());
    println!("{files} files, {COMMITS} commits");
    look(&repos, id).await;
    measure!("search", 10, |_| repos.search(id, "commit 1999".into(), 100));
    command(dir, &["grep", "-n", "-i", "-F", "commit 1999"]);
    measure!("write", RUNS, |run: usize| {
        let text = format!("{run}\n").into_bytes();
        repos.write(id, at("area0/part7/file703.txt"), text, WriteOptions::default())
    });
    git(dir, &["fsck", "--connectivity-only"], |_| ());
}

/// The server, in a process of its own so that its memory does not count.
struct Served(Child);

impl Served {
    fn start(root: &Path) -> (Self, String) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .arg(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut url).unwrap();
        (Self(child), url.trim().to_owned())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Serves until nobody listens any more.
fn serve(root: &Path) {
    let peer = HttpPeer::serve(root, Manners::default());
    println!("{}", peer.url("it.git"));
    std::io::stdin().lines().for_each(drop);
}

async fn attach(megabytes_of_history: usize) {
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("remote/it.git");
    fs::create_dir_all(&bare).unwrap();
    git(&bare, &["init", "-q", "--bare", "-b", "main", "."], |_| ());
    git(&bare, &["-c", "core.compression=0", "fast-import", "--quiet"], |out| {
        out.write_all(history(SMALL_FILES).as_bytes()).unwrap();
        add_large_commits(out, megabytes_of_history * 1024 * 1024 / LARGE);
    });
    println!("{megabytes_of_history} MB of history");
    let (_served, url) = Served::start(&folder.path().join("remote"));
    let (repos, id) = repos(&folder.path().join("repos"));
    let client = GuardedClient::new(Guard::new(HostPort::parse_list("127.0.0.1").unwrap()));
    let remotes = Remotes::new(repos.clone(), client, RemoteSettings::below(folder.path()));

    let (progress, mut told) = watch::channel(Progress::default());
    let attach = Attach {
        url: remotes.parse_url(&url).unwrap(),
        credentials: Credentials::None,
        branch: None,
    };
    let listener = Listener {
        progress: Some(progress),
        ..Listener::default()
    };
    let start = Instant::now();
    let attaching = remotes.attach(id, attach, listener);
    let listening = async {
        let (mut count, mut longest, mut anonymous) = (0, Duration::ZERO, 0);
        let (mut last, mut stages): (Instant, Vec<(Stage, Duration)>) = (Instant::now(), Vec::new());
        while told.changed().await.is_ok() {
            let stage = told.borrow_and_update().stage;
            if stages.last().is_none_or(|(last, _)| *last != stage) {
                stages.push((stage, start.elapsed()));
            }
            count += 1;
            longest = longest.max(last.elapsed());
            last = Instant::now();
            anonymous = anonymous.max(megabytes("RssAnon:"));
        }
        (count, longest, anonymous, stages)
    };
    let (attached, (count, longest, anonymous, stages)) = tokio::join!(attaching, listening);
    attached.unwrap();
    println!(
        "attached in {:.1} s; progress told {count} times, at most {longest:.1?} apart",
        start.elapsed().as_secs_f64()
    );
    for (stage, since) in stages {
        println!("  {:<14} from {:>6.1} s", stage.as_str(), since.as_secs_f64());
    }
    println!(
        "memory while attaching: {anonymous} MB of its own, {} MB with mapped files",
        megabytes("VmHWM:")
    );
    let start = Instant::now();
    let clone = folder.path().join("clone");
    git(folder.path(), &["clone", "-q", &url, clone.to_str().unwrap()], |_| ());
    println!("  git clone: {:.1} s", start.elapsed().as_secs_f64());
    look(&repos, id).await;
    git(&repos.folder(id), &["fsck", "--connectivity-only"], |_| ());
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let number = |text: Option<String>, otherwise| text.map_or(otherwise, |text| text.parse().unwrap());
    match arguments.next().as_deref() {
        Some("serve") => return serve(Path::new(&arguments.next().unwrap())),
        Some("attach") => attach(number(arguments.next(), 1024)).await,
        files => many_files(number(files.map(str::to_owned), 100_000)).await,
    }
    println!(
        "memory: {} MB of its own, {} MB at most with mapped files",
        megabytes("RssAnon:"),
        megabytes("VmHWM:")
    );
}
