//! Edits saved in the very moment of a move: put back, or kept.

use super::{PREPARED, RESCUED, exchange_back, place, put_back, remove};
use crate::{
    confine::{Found, Scratch},
    error::{Clash, GitError},
    open::{Opened, open},
    path::SafePath,
    recover,
    settings::GitSettings,
};
use rustix::fs::Stat;
use std::path::PathBuf;

/// An empty repository.
struct Folder {
    folder: tempfile::TempDir,
    settings: GitSettings,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        git2::Repository::init(folder.path()).unwrap();
        Self {
            folder,
            settings: GitSettings::default(),
        }
    }

    fn open(&self) -> Opened<'_> {
        open(self.folder.path(), &self.settings).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn get(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// What is kept for the owner, and that nothing else of ours lies about, before and after what a start does.
    fn rescued(&self) -> Vec<String> {
        let opened = self.open();
        let kept = |opened: &Opened<'_>| {
            let names = opened.files.scratch().unwrap().names().unwrap();
            let mut names: Vec<String> = names.into_iter().filter(|name| name.starts_with(RESCUED)).collect();
            names.sort();
            names
        };
        let before = kept(&opened);
        recover::mend(&opened).unwrap();
        assert_eq!(opened.files.scratch().unwrap().names().unwrap().len(), before.len());
        assert_eq!(kept(&opened), before);
        before
            .iter()
            .map(|name| self.get(&format!(".git/mira/{name}")))
            .collect()
    }
}

fn at(path: &str) -> SafePath<'_> {
    SafePath::from_tree(path.as_bytes()).unwrap()
}

fn prepare(scratch: &Scratch, text: &str) -> Stat {
    scratch.write(PREPARED, text.as_bytes(), 0o666, false).unwrap();
    scratch.stat(PREPARED).unwrap().unwrap()
}

fn stat(opened: &Opened<'_>, path: &str) -> Stat {
    match opened.files.look(at(path)).unwrap() {
        Found::File(stat) => stat,
        _ => panic!("{path} is no file"),
    }
}

fn is_held(done: &Result<(), GitError>) -> bool {
    matches!(
        done,
        Err(GitError::Conflict {
            why: Clash::Uncommitted,
            ..
        })
    )
}

#[test]
fn an_edit_saved_in_the_moment_of_a_move_is_put_back() {
    let folder = Folder::new();
    let opened = folder.open();
    let scratch = opened.files.scratch().unwrap();
    std::fs::write(folder.file("a"), "as planned").unwrap();
    let seen = stat(&opened, "a");
    std::fs::write(folder.file("a"), "edited meanwhile").unwrap();
    prepare(&scratch, "new");
    assert!(is_held(&place(&opened, &scratch, at("a"), Some(&seen))));
    assert_eq!(folder.get("a"), "edited meanwhile");
    assert!(is_held(&remove(&opened, &scratch, at("a"), &seen)));
    assert_eq!(folder.get("a"), "edited meanwhile");
    assert_eq!(folder.rescued(), Vec::<String>::new());
}

#[test]
fn an_edit_that_cannot_be_put_back_outlives_what_follows() {
    let folder = Folder::new();
    let opened = folder.open();
    let scratch = opened.files.scratch().unwrap();
    std::fs::write(folder.file("a"), "by another program").unwrap();
    // Its place is taken, and the folder it was in is gone.
    prepare(&scratch, "first edit");
    put_back(&opened, &scratch, at("a")).unwrap();
    prepare(&scratch, "second edit");
    put_back(&opened, &scratch, at("gone/a")).unwrap();
    // Nothing is there to be exchanged with.
    let prepared = prepare(&scratch, "third edit");
    exchange_back(&opened, &scratch, at("b"), Some(&prepared)).unwrap();
    assert_eq!(folder.get("a"), "by another program");

    // More moves, each with the name the edits were under.
    let seen = stat(&opened, "a");
    prepare(&scratch, "new");
    place(&opened, &scratch, at("a"), Some(&seen)).unwrap();
    let seen = stat(&opened, "a");
    remove(&opened, &scratch, at("a"), &seen).unwrap();
    let mut rescued = folder.rescued();
    rescued.sort();
    assert_eq!(rescued, ["first edit", "second edit", "third edit"]);
}

#[test]
fn an_edit_saved_over_what_was_placed_too_early_is_kept() {
    let folder = Folder::new();
    let opened = folder.open();
    let scratch = opened.files.scratch().unwrap();
    let placed = prepare(&scratch, "new");
    scratch.remove(PREPARED).unwrap();
    std::fs::write(folder.file("a"), "saved again").unwrap();
    prepare(&scratch, "saved first");
    exchange_back(&opened, &scratch, at("a"), Some(&placed)).unwrap();
    assert_eq!(folder.get("a"), "saved first");
    assert_eq!(folder.rescued(), ["saved again"]);
}
