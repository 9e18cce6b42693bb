//! A clone in a folder of its own, and git beside it.

use mira_core::ids::AttachmentId;
use mira_git::{
    GitSettings, RepoPath, Repos, WriteOptions,
    remote::{RemoteSettings, Remotes},
};
use mira_net::{Guard, GuardedClient};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// The id of the one clone of a scene.
pub fn attachment() -> AttachmentId {
    "01920000-0000-7000-8000-000000000001".parse().unwrap()
}

/// A folder of clones with one clone in it.
pub struct Scene {
    pub folder: tempfile::TempDir,
    pub repos: Repos,
    pub id: AttachmentId,
}

impl Scene {
    /// An empty repository, branch `main`.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("clones");
        let repos = Repos::new(root, GitSettings::default());
        let scene = Self {
            folder,
            repos,
            id: attachment(),
        };
        std::fs::create_dir_all(scene.dir()).unwrap();
        scene.git(&["init", "-q", "-b", "main", "."]);
        scene.git(&["config", "core.symlinks", "false"]);
        scene
    }

    /// One commit with a few files.
    pub fn with_files(files: &[(&str, &str)]) -> Self {
        let scene = Self::empty();
        for (path, text) in files {
            scene.put(path, text);
        }
        scene.git(&["add", "-A"]);
        scene.git(&["commit", "-q", "-m", "start"]);
        scene
    }

    pub fn dir(&self) -> PathBuf {
        self.repos.folder(self.id)
    }

    /// What detaches; nothing can be reached through it.
    pub fn remotes(&self) -> Remotes {
        let client = GuardedClient::new(Guard::new(Vec::new()));
        Remotes::new(self.repos.clone(), client, RemoteSettings::below(self.folder.path()))
    }

    /// Writes a file by hand.
    pub fn put(&self, path: &str, text: &str) {
        let file = self.dir().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Reads a file by hand.
    pub fn get(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir().join(path)).unwrap()
    }

    pub fn has(&self, path: &str) -> bool {
        std::fs::symlink_metadata(self.dir().join(path)).is_ok()
    }

    /// Runs git in the clone; it must succeed.
    pub fn git(&self, args: &[&str]) -> String {
        succeeded(args, &git_in(&self.dir()).args(args).output().unwrap())
    }

    /// Runs git with input.
    pub fn git_fed(&self, args: &[&str], input: &[u8]) -> String {
        let mut child = git_in(&self.dir())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // git reads all its input before it says much, so that this cannot wait for itself.
        stdin.write_all(input).unwrap();
        drop(stdin);
        succeeded(args, &child.wait_with_output().unwrap())
    }

    /// Writes through Mira; it must succeed.
    pub async fn write(&self, path: &str, text: &str) -> String {
        let written = self
            .repos
            .write(self.id, at(path), text.into(), WriteOptions::default());
        written.await.unwrap().commit
    }

    /// git's own verdict, and that nothing of ours is left about.
    pub fn assert_sound(&self) {
        let fsck = git_in(&self.dir())
            .args(["fsck", "--full", "--no-dangling"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&fsck.stderr).into_owned() + &String::from_utf8_lossy(&fsck.stdout);
        assert!(fsck.status.success(), "git fsck: {said}");
        assert!(!said.contains("error") && !said.contains("missing"), "git fsck: {said}");
        let locks = files_below(&self.dir().join(".git"))
            .into_iter()
            .filter(|name| name.ends_with(".lock"));
        assert_eq!(locks.collect::<Vec<_>>(), Vec::<String>::new());
        assert_eq!(files_below(&self.dir().join(".git/mira")), Vec::<String>::new());
    }

    /// `git status`, one line per file.
    pub fn status(&self) -> Vec<String> {
        let said = self.git(&["status", "--porcelain", "--untracked-files=all"]);
        said.lines().map(str::to_owned).collect()
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn commits(&self) -> usize {
        self.git(&["rev-list", "--count", "HEAD"]).parse().unwrap()
    }
}

/// A path of the repository.
pub fn at(path: &str) -> RepoPath {
    RepoPath::parse(path).unwrap()
}

/// git as the owner would run it, apart from their configuration.
pub fn git_in(dir: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Owner")
        .env("GIT_AUTHOR_EMAIL", "owner@example.org")
        .env("GIT_COMMITTER_NAME", "Owner")
        .env("GIT_COMMITTER_EMAIL", "owner@example.org");
    git
}

fn succeeded(args: &[&str], output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Relative names of all files below a folder.
pub fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(
                    entry
                        .path()
                        .strip_prefix(folder)
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

/// Numbers that look random and are the same every time.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `limit`.
    pub fn roll(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}
