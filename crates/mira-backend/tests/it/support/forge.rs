//! A home for repositories on loopback: git's own `http-backend`, as the tests of `mira-git` run it, and somebody who
//! pushes there with the `git` command.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What the peer asks for where it is guarded.
mod support {
    pub const PASSWORD: &str = "hunter2-is-no-secret";
}

#[path = "../../../../mira-git/tests/it/remote/http_peer.rs"]
mod http_peer;

use http_peer::HttpPeer;
pub use http_peer::Manners;
pub use support::PASSWORD;

/// A server with one repository, `it.git`.
pub struct Forge {
    dir: tempfile::TempDir,
    peer: HttpPeer,
}

impl Forge {
    pub fn new() -> Self {
        Self::with(Manners::default())
    }

    /// The repository has two commits on `main`: `README.md` and `src/main.rs`, then `notes.txt`.
    pub fn with(manners: Manners) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (bare, seed) = (dir.path().join("remote/it.git"), dir.path().join("seed"));
        git(dir.path(), &["init", "-q", "--bare", "-b", "main", "remote/it.git"]);
        git(&bare, &["config", "http.receivepack", "true"]);
        git(dir.path(), &["clone", "-q", bare.to_str().unwrap(), "seed"]);
        git(&seed, &["checkout", "-q", "-B", "main"]);
        put(&seed, "README.md", "# It\n");
        put(&seed, "src/main.rs", "fn main() {\n    println!(\"one\");\n}\n");
        git(&seed, &["add", "-A"]);
        git(&seed, &["commit", "-q", "-m", "start"]);
        put(&seed, "notes.txt", "first\nsecond\nthird\n");
        git(&seed, &["add", "-A"]);
        git(&seed, &["commit", "-q", "-m", "notes"]);
        git(&seed, &["push", "-q", "origin", "main"]);
        let peer = HttpPeer::serve(&dir.path().join("remote"), manners);
        Self { dir, peer }
    }

    /// `host:port`, as `MIRA_ALLOW_PRIVATE_HOSTS` lists it.
    pub fn host(&self) -> String {
        self.peer.address.to_string()
    }

    pub fn url(&self) -> String {
        self.peer.url("it.git")
    }

    /// One more repository, made by `git` with these arguments and its place: its address.
    pub fn another(&self, place: &str, args: &[&str]) -> String {
        let remote = self.dir.path().join("remote");
        git(&remote, &[args, &[place]].concat());
        git(&remote.join(place), &["config", "http.receivepack", "true"]);
        self.peer.url(place)
    }

    /// What the server was asked, in order.
    pub fn seen(&self) -> Vec<String> {
        self.peer.seen.lock().unwrap().clone()
    }

    /// git in the bare repository.
    pub fn git(&self, args: &[&str]) -> String {
        git(&self.dir.path().join("remote/it.git"), args)
    }

    /// Somebody else's clone.
    pub fn seed(&self) -> PathBuf {
        self.dir.path().join("seed")
    }

    /// Somebody else pushes a commit that writes a file.
    pub fn push(&self, path: &str, text: &str) {
        let seed = self.seed();
        git(&seed, &["pull", "-q", "--rebase", "origin", "main"]);
        put(&seed, path, text);
        git(&seed, &["add", "-A"]);
        git(&seed, &["commit", "-q", "-m", &format!("pushed {path}")]);
        git(&seed, &["push", "-q", "origin", "main"]);
    }
}

/// Writes a file by hand.
pub fn put(dir: &Path, path: &str, text: &str) {
    let file = dir.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// The `git` command, which must succeed; what it says, without the last line end.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([
            ("GIT_AUTHOR_NAME", "Somebody"),
            ("GIT_AUTHOR_EMAIL", "somebody@example.org"),
            ("GIT_COMMITTER_NAME", "Somebody"),
            ("GIT_COMMITTER_EMAIL", "somebody@example.org"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
