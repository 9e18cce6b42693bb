//! The scan against a status of everything.

use super::doubtful;
use crate::{
    moves,
    open::{Opened, open},
    settings::GitSettings,
};
use git2::{Repository, Signature, StatusOptions, StatusShow};
use proptest::prelude::*;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

/// Something an owner does by hand, at a path.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Write(u8),
    Remove,
    Stage,
    Unstage,
    Toggle,
    Link,
    Ignore,
    Commit,
}

fn deeds() -> impl Strategy<Value = Vec<(Deed, String)>> {
    let deed = prop_oneof![
        4 => (0..3_u8).prop_map(Deed::Write),
        2 => Just(Deed::Remove),
        3 => Just(Deed::Stage),
        1 => Just(Deed::Unstage),
        1 => Just(Deed::Toggle),
        1 => Just(Deed::Link),
        1 => Just(Deed::Ignore),
        1 => Just(Deed::Commit),
    ];
    prop::collection::vec((deed, "[ab](/[ab]|-b){0,2}"), 1..25)
}

/// What cannot be done in this state is left undone.
fn act(repo: &Repository, root: &Path, deed: Deed, path: &str) {
    let file = root.join(path);
    match deed {
        Deed::Write(content) => {
            fs::create_dir_all(file.parent().unwrap()).ok();
            fs::write(&file, [b'0' + content, b'\n']).ok();
        }
        Deed::Remove => {
            fs::remove_file(&file).ok();
            fs::remove_dir_all(&file).ok();
        }
        Deed::Stage => {
            let mut index = repo.index().unwrap();
            index.add_all([path], git2::IndexAddOption::DEFAULT, None).ok();
            index.write().unwrap();
        }
        Deed::Unstage => {
            let mut index = repo.index().unwrap();
            index.remove_path(Path::new(path)).ok();
            index.write().unwrap();
        }
        Deed::Toggle => {
            if let Ok(found) = fs::metadata(&file)
                && found.is_file()
            {
                let mode = found.permissions().mode() ^ 0o111;
                fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            }
        }
        Deed::Link => {
            symlink("a", &file).ok();
        }
        Deed::Ignore => fs::write(root.join(".gitignore"), format!("{path}\n")).unwrap(),
        Deed::Commit => {
            let tree = repo.index().unwrap().write_tree().unwrap();
            let tree = repo.find_tree(tree).unwrap();
            let somebody = Signature::now("A", "a@example.org").unwrap();
            let parent = repo.head().ok().map(|head| head.peel_to_commit().unwrap());
            let parents: Vec<_> = parent.iter().collect();
            repo.commit(Some("HEAD"), &somebody, &somebody, "x", &tree, &parents)
                .unwrap();
        }
    }
}

type Seen = (String, u32, Option<String>);

/// As [`crate::status`] asks, with or without the scan.
fn seen(opened: &Opened<'_>, paths: Option<&[Vec<u8>]>) -> Vec<Seen> {
    let mut options = StatusOptions::new();
    options
        .show(StatusShow::IndexAndWorkdir)
        .include_untracked(true)
        .exclude_submodules(true)
        .renames_head_to_index(true);
    for path in paths.into_iter().flatten() {
        options.pathspec(path.clone()).disable_pathspec_match(true);
    }
    if paths.is_some_and(<[Vec<u8>]>::is_empty) {
        return Vec::new();
    }
    let found = opened.repo.statuses(Some(&mut options)).unwrap();
    let new_path = |entry: &git2::StatusEntry<'_>| {
        let file = entry.head_to_index()?.new_file().path()?.to_owned();
        Some(file.to_string_lossy().into_owned())
    };
    found
        .iter()
        .map(|entry| {
            let path = String::from_utf8_lossy(entry.path_bytes()).into_owned();
            (path, entry.status().bits(), new_path(&entry))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn what_is_asked_one_by_one_is_what_is_asked_at_once(deeds in deeds()) {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::init(folder.path()).unwrap();
        let settings = GitSettings::default();
        // One handle that remembers what it has seen, and looks between any two deeds or some.
        let kept = open(folder.path(), &settings).unwrap();
        for (at, (deed, path)) in deeds.into_iter().enumerate() {
            act(&repo, folder.path(), deed, &path);
            if at % 3 != 1 {
                doubtful(&kept).unwrap().unwrap();
            }
        }
        let fresh = open(folder.path(), &settings).unwrap();
        let found = doubtful(&fresh).unwrap().unwrap();
        prop_assert_eq!(seen(&fresh, Some(&found)), seen(&fresh, None), "{:?}", found);
        prop_assert_eq!(doubtful(&kept).unwrap().unwrap(), found.clone());
        prop_assert_eq!(doubtful(&kept).unwrap().unwrap(), found);
    }
}

#[test]
fn what_is_as_committed_is_in_no_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let repo = Repository::init(folder.path()).unwrap();
    let names = ["a", "b/c", "b/d/e", "b-e", "f/g"];
    for name in names {
        act(&repo, folder.path(), Deed::Write(0), name);
        // Old enough for their stat data to be a proof.
        let file = fs::File::options().write(true).open(folder.path().join(name)).unwrap();
        let before = file.metadata().unwrap().modified().unwrap() - std::time::Duration::from_mins(1);
        file.set_modified(before).unwrap();
        act(&repo, folder.path(), Deed::Stage, name);
    }
    act(&repo, folder.path(), Deed::Commit, "");
    let settings = GitSettings::default();
    let opened = open(folder.path(), &settings).unwrap();
    assert!(moves::modes_count(&opened));
    assert_eq!(doubtful(&opened).unwrap().unwrap(), Vec::<Vec<u8>>::new());
    act(&repo, folder.path(), Deed::Toggle, "b/c");
    act(&repo, folder.path(), Deed::Write(1), "b/d/new");
    act(&repo, folder.path(), Deed::Remove, "f");
    let found: BTreeSet<String> = doubtful(&opened)
        .unwrap()
        .unwrap()
        .into_iter()
        .map(|path| String::from_utf8(path).unwrap())
        .collect();
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["b/c", "b/d/e", "b/d/new", "f", "f/g"]);
}
