//! Differences against libgit2's own, trees as only a stranger writes them, and each bound.

use super::{Bounds, Trees, weighed};
use crate::{
    error::GitError,
    moves::{self, Delta, Entry},
    settings::GitSettings,
};
use git2::{DiffOptions, Index, ObjectType, Oid, Repository, Signature};
use proptest::prelude::*;
use std::ops::ControlFlow;

type Shown = (String, Option<(Oid, u32)>, Option<(Oid, u32)>);

fn repository() -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let repo = Repository::init(folder.path()).unwrap();
    (folder, repo)
}

fn shown(delta: &Delta) -> Shown {
    let side = |entry: Option<Entry>| entry.map(|entry| (entry.id, entry.mode));
    (delta.shown(), side(delta.old), side(delta.new))
}

fn differing(repo: &Repository, old: Option<Oid>, new: Option<Oid>, limit: u64) -> Result<Vec<Shown>, GitError> {
    let mut found = Vec::new();
    Trees::new(repo, limit)?.differing(old, new, &mut |delta| {
        found.push(shown(&delta));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// What libgit2 says.
fn expected(repo: &Repository, old: Option<Oid>, new: Option<Oid>) -> Vec<Shown> {
    let tree = |id: Option<Oid>| id.map(|id| repo.find_tree(id).unwrap());
    let mut options = DiffOptions::new();
    options.include_typechange(true);
    let diff = repo
        .diff_tree_to_tree(tree(old).as_ref(), tree(new).as_ref(), Some(&mut options))
        .unwrap();
    let side = |file: git2::DiffFile<'_>| {
        let mode = u32::from(file.mode());
        (mode != 0).then(|| (file.id(), mode))
    };
    let path = |delta: &git2::DiffDelta<'_>| delta.new_file().path().unwrap().to_str().unwrap().to_owned();
    diff.deltas()
        .map(|delta| (path(&delta), side(delta.old_file()), side(delta.new_file())))
        .collect()
}

type File = (String, u8, usize);

fn files() -> impl Strategy<Value = Vec<File>> {
    // Signs that sort before and after `/`, so that `a`, `a-b`, `a/b` and `a0b` meet.
    prop::collection::vec(("[ab]([-./0]?[ab]){0,4}", 0..4_u8, 0..3_usize), 0..12)
}

fn tree_of(repo: &Repository, files: &[File]) -> Oid {
    let mut index = Index::new().unwrap();
    for (path, content, kind) in files {
        let id = repo.blob(&[*content]).unwrap();
        let mode = [moves::MODE_FILE, moves::MODE_PROGRAM, moves::MODE_LINK][*kind];
        let entry = moves::described(path.as_bytes(), Entry { id, mode }, None);
        index.add(&entry).unwrap();
    }
    index.write_tree_to(repo).unwrap()
}

/// A tree as bytes, in the order given.
fn raw_tree(repo: &Repository, entries: &[(&str, &str, Oid)]) -> Oid {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        bytes.extend_from_slice(id.as_bytes());
    }
    repo.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
}

fn commit(repo: &Repository, tree: Oid) -> Oid {
    let somebody = Signature::now("A", "a@example.org").unwrap();
    let tree = repo.find_tree(tree).unwrap();
    repo.commit(None, &somebody, &somebody, "x", &tree, &[]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn it_finds_what_libgit2_finds(old in files(), new in files()) {
        let (_folder, repo) = repository();
        let (old, new) = (Some(tree_of(&repo, &old)), Some(tree_of(&repo, &new)));
        for (old, new) in [(old, new), (None, new), (old, None)] {
            let found = differing(&repo, old, new, u64::MAX).unwrap();
            prop_assert_eq!(found, expected(&repo, old, new));
        }
    }
}

#[test]
fn what_is_the_same_is_not_read() {
    let (_folder, repo) = repository();
    // No object has this id: whoever reads it fails.
    let nothing = Oid::from_str("1234567890123456789012345678901234567890").unwrap();
    let (one, two) = (repo.blob(b"one").unwrap(), repo.blob(b"two").unwrap());
    let old = raw_tree(&repo, &[("40000", "deep", nothing), ("100644", "file", one)]);
    let new = raw_tree(&repo, &[("40000", "deep", nothing), ("100644", "file", two)]);
    let file = |id| Some((id, moves::MODE_FILE));
    assert_eq!(
        differing(&repo, Some(old), Some(new), u64::MAX).unwrap(),
        [("file".to_owned(), file(one), file(two))]
    );
    assert!(differing(&repo, Some(new), None, u64::MAX).is_err());
}

#[test]
fn a_tree_out_of_order_is_put_in_order_and_a_name_counts_once() {
    let (_folder, repo) = repository();
    let (one, two) = (repo.blob(b"one").unwrap(), repo.blob(b"two").unwrap());
    let tidy = raw_tree(
        &repo,
        &[("100644", "a", one), ("100644", "b", one), ("100644", "c", one)],
    );
    let odd = raw_tree(
        &repo,
        &[
            ("100664", "c", one),
            ("100644", "b", two),
            ("100644", "a", one),
            ("100644", "b", one),
        ],
    );
    let file = |id| Some((id, moves::MODE_FILE));
    assert_eq!(
        differing(&repo, Some(tidy), Some(odd), u64::MAX).unwrap(),
        [("b".to_owned(), file(one), file(two))]
    );
}

fn too_large(result: Result<(), GitError>) -> (&'static str, u64) {
    match result {
        Err(GitError::TooLarge { what, limit }) => (what, limit),
        other => panic!("not too large: {other:?}"),
    }
}

#[test]
fn every_bound_holds() {
    let (_folder, repo) = repository();
    let blob = repo.blob(&[b'x'; 100]).unwrap();
    let mut tree = raw_tree(&repo, &[("100644", "a", blob), ("100644", "b", blob)]);
    let flat = commit(&repo, tree);
    let weigh = |commit: Oid, change: fn(&mut GitSettings)| {
        let mut settings = GitSettings::default();
        change(&mut settings);
        let bounds = Bounds::of(&settings);
        let mut files = 0;
        weighed(&repo, (None, commit), bounds, &mut || Ok(()), &mut |_| files += 1).map(|()| assert_eq!(files, 2))
    };
    weigh(flat, |_| {}).unwrap();
    weigh(flat, |settings| {
        settings.max_checkout_files = 2;
        settings.max_checkout_bytes = 200;
        settings.max_checkout_file_bytes = 100;
    })
    .unwrap();
    let files = too_large(weigh(flat, |settings| settings.max_checkout_files = 1));
    assert_eq!(files, ("the number of files to check out", 1));
    let bytes = too_large(weigh(flat, |settings| settings.max_checkout_bytes = 199));
    assert_eq!(bytes, ("the checkout", 199));
    let one = too_large(weigh(flat, |settings| settings.max_checkout_file_bytes = 99));
    assert_eq!(one, ("one of the files to check out", 99));

    // Folders that hold nothing but folders: no file is ever met.
    tree = raw_tree(&repo, &[]);
    for _ in 0..12 {
        let names: Vec<String> = (0..10).map(|name| name.to_string()).collect();
        let entries: Vec<(&str, &str, Oid)> = names.iter().map(|name| ("40000", name.as_str(), tree)).collect();
        tree = raw_tree(&repo, &entries);
    }
    let bomb = commit(&repo, tree);
    let read = too_large(weigh(bomb, |settings| settings.max_tree_bytes = 1_000_000));
    assert_eq!(read, ("what the folders of the commits list", 1_000_000));

    let long = "x".repeat(250);
    for _ in 0..20 {
        tree = raw_tree(&repo, &[("40000", &long, tree)]);
    }
    let deep = too_large(weigh(commit(&repo, tree), |_| {}));
    assert_eq!(deep.0, "the length of a path");

    let lie = raw_tree(&repo, &[("100644", "a", tree)]);
    assert!(matches!(weigh(commit(&repo, lie), |_| {}), Err(GitError::Unusable(_))));
    let cancelled = weighed(
        &repo,
        (None, flat),
        Bounds::NONE,
        &mut || Err(GitError::Cancelled),
        &mut drop,
    );
    assert!(matches!(cancelled, Err(GitError::Cancelled)));
}
