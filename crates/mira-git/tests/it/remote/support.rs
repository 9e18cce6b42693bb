//! A data folder with clones in it, a bare repository as the remote, and the `git` command that says what is really there.

use mira_core::ids::AttachmentId;
use mira_git::{GitError, RepoPath, WriteOptions};
use mira_git::{
    GitSettings, Repos,
    remote::{Attach, Cloned, Credentials, Listener, RemoteSettings, Remotes, Secret, Sync, Synced},
};
use mira_net::{Guard, GuardedClient, HostPort};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;
use uuid::Uuid;

/// The one attachment of a test.
pub const ID: AttachmentId = AttachmentId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
/// What no file but the secret one may hold.
pub const PASSWORD: &str = "hunter2-is-no-secret";

/// Mira's side and the remote's.
pub struct World {
    pub dir: TempDir,
    pub repos: Repos,
    pub remotes: Remotes,
}

impl World {
    /// An empty data folder and a bare repository with a few files.
    pub fn new() -> Self {
        Self::with(GitSettings::default(), |_| {})
    }

    pub fn with(settings: GitSettings, change: impl FnOnce(&mut RemoteSettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        seed(&dir.path().join("remote/it.git"), &dir.path().join("seed"));
        let (repos, remotes) = open(dir.path(), settings, change);
        Self { dir, repos, remotes }
    }

    /// The folder that is served.
    pub fn served(&self) -> PathBuf {
        self.dir.path().join("remote")
    }

    /// The remote itself.
    pub fn bare(&self) -> PathBuf {
        self.served().join("it.git")
    }

    /// The clone.
    pub fn clone_dir(&self) -> PathBuf {
        self.repos.folder(ID)
    }

    /// Everything Mira writes.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub async fn attach(&self, url: &str, credentials: Credentials) -> Result<Cloned, GitError> {
        self.attach_with(url, credentials, None, Listener::default()).await
    }

    pub async fn attach_with(
        &self,
        url: &str,
        credentials: Credentials,
        branch: Option<&str>,
        listener: Listener,
    ) -> Result<Cloned, GitError> {
        let attach = Attach {
            url: self.remotes.parse_url(url)?,
            credentials,
            branch: branch.map(|name| mira_git::BranchName::parse(name).unwrap()),
        };
        self.remotes.attach(ID, attach, listener).await
    }

    pub async fn sync(&self, url: &str, push: bool) -> Result<Synced, GitError> {
        let sync = Sync {
            url: self.remotes.parse_url(url)?,
            push,
            message: None,
        };
        self.remotes.sync(ID, sync, Listener::default()).await
    }

    /// Writes a file through Mira.
    pub async fn write(&self, path: &str, text: &str) {
        let path = RepoPath::parse(path).unwrap();
        let options = WriteOptions::default();
        self.repos.write(ID, path, text.into(), options).await.unwrap();
    }

    /// Somebody else pushes a commit that writes a file.
    pub fn pushed_by_another(&self, path: &str, text: &str) {
        let seed = self.dir.path().join("seed");
        git(&seed, &["pull", "-q", "--rebase", "--autostash", "origin", "main"]);
        commit(&seed, path, text);
        git(&seed, &["push", "-q", "origin", "main"]);
    }

    /// A program the remote runs when it is pushed to.
    pub fn hook(&self, name: &str, program: &[u8]) -> PathBuf {
        let hook = self.bare().join("hooks").join(name);
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        let text = self.dir.path().join(name);
        fs::write(&text, program).unwrap();
        // Another process writes the hook: a child started by another test just now would inherit our open file, and
        // Linux starts no program that somebody may still write ("text file busy").
        let installed = Command::new("install").arg(&text).arg(&hook).status().unwrap();
        assert!(installed.success());
        hook
    }

    /// No clone, no half of one, no credentials.
    pub fn nothing_is_left(&self) {
        for folder in ["repos", "secrets/git"] {
            let left = fs::read_dir(self.data().join(folder)).map_or(0, Iterator::count);
            assert_eq!(left, 0, "something is left in {folder}");
        }
    }

    /// git finds the clone whole and its work tree as it was committed.
    pub fn is_clean(&self) {
        fsck(&self.clone_dir());
        assert_eq!(git(&self.clone_dir(), &["status", "--porcelain"]), "");
    }
}

/// Mira over a data folder, with loopback listed.
pub fn open(dir: &Path, settings: GitSettings, change: impl FnOnce(&mut RemoteSettings)) -> (Repos, Remotes) {
    let repos = Repos::new(dir.join("data/repos"), settings);
    let guard = Guard::new(HostPort::parse_list("127.0.0.1").unwrap());
    let mut remote = RemoteSettings::below(&dir.join("data"));
    change(&mut remote);
    let remotes = Remotes::new(repos.clone(), GuardedClient::new(guard), remote);
    (repos, remotes)
}

pub fn password() -> Credentials {
    Credentials::Password {
        user: "me".to_owned(),
        password: Secret::new(PASSWORD),
    }
}

/// A bare repository that takes pushes over http, and a work folder it was pushed from.
fn seed(bare: &Path, work: &Path) {
    fs::create_dir_all(bare).unwrap();
    fs::create_dir_all(work).unwrap();
    git(bare, &["init", "-q", "--bare", "-b", "main"]);
    git(bare, &["config", "http.receivepack", "true"]);
    git(work, &["init", "-q", "-b", "main"]);
    git(work, &["remote", "add", "origin", bare.to_str().unwrap()]);
    commit(work, "README.md", "# It\n\none\ntwo\nthree\nfour\nfive\n");
    commit(work, "src/main.rs", "fn main() {}\n");
    git(work, &["push", "-q", "origin", "main", "main:side"]);
}

pub fn commit(work: &Path, path: &str, text: &str) {
    let file = work.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    git(work, &["add", "-A"]);
    git(work, &["commit", "-q", "-m", path]);
}

/// What the real git says, or the test fails with its complaint.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Other")
        .env("GIT_AUTHOR_EMAIL", "other@example.org")
        .env("GIT_COMMITTER_NAME", "Other")
        .env("GIT_COMMITTER_EMAIL", "other@example.org")
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {complaint}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn fsck(dir: &Path) {
    let output = Command::new("git")
        .current_dir(dir)
        .args(["fsck", "--full", "--no-dangling", "--no-progress"])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.trim().is_empty(), "fsck: {said}");
}

/// Text that neither shrinks nor resembles that of another seed.
pub fn noise(seed: u64, length: usize) -> String {
    let mut state = seed;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap())
    };
    (0..length).map(|_| letter()).collect()
}

/// All files below a folder that hold a text.
pub fn files_with(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path)
            .unwrap()
            .windows(text.len())
            .any(|window| window == text.as_bytes())
        {
            found.push(path);
        }
    }
    found.sort();
    found
}
