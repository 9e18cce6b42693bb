//! Repositories made by somebody who means harm: nothing outside the clone is read or written, and `.git` is not reached.

use crate::support::{Scene, at, files_below};
use mira_git::{
    BranchName, Clash, GitError, GitSettings, Missing, Repos, Revision, SwitchMode, TreeKind, WriteOptions,
};
use std::os::unix::fs::{PermissionsExt, symlink};

/// A branch with a tree as git's plumbing takes it, whatever the names; (mode, name, content or commit).
fn hostile_branch(scene: &Scene, branch: &str, entries: &[(&str, &[u8], &str)]) {
    let mut input = Vec::new();
    for (mode, name, content) in entries {
        let (kind, id) = match *mode {
            "160000" => ("commit", (*content).to_owned()),
            "040000" => ("tree", (*content).to_owned()),
            _ => (
                "blob",
                scene.git_fed(&["hash-object", "-w", "--stdin"], content.as_bytes()),
            ),
        };
        input.extend_from_slice(format!("{mode} {kind} {id}\t").as_bytes());
        input.extend_from_slice(name);
        input.push(0);
    }
    let tree = scene.git_fed(&["mktree", "-z", "--missing"], &input);
    let commit = scene.git(&["commit-tree", "-m", "hostile", &tree]);
    scene.git(&["update-ref", &format!("refs/heads/{branch}"), &commit]);
}

fn tree_of(scene: &Scene, entries: &[(&str, &[u8], &str)]) -> String {
    hostile_branch(scene, "scratch", entries);
    let tree = scene.git(&["rev-parse", "scratch^{tree}"]);
    scene.git(&["update-ref", "-d", "refs/heads/scratch"]);
    tree
}

async fn switch(scene: &Scene, branch: &str) -> Result<(), GitError> {
    let branch = BranchName::parse(branch).unwrap();
    scene
        .repos
        .switch(scene.id, branch, SwitchMode::Existing)
        .await
        .map(|_| ())
}

/// Everything of `.git` that must not be a stranger's: configuration and hooks.
fn git_folder(scene: &Scene) -> Vec<(String, Vec<u8>)> {
    let git = scene.dir().join(".git");
    let names = files_below(&git).into_iter();
    let names = names.filter(|name| name == "config" || name.starts_with("hooks") || name.starts_with("info"));
    names
        .map(|name| (name.clone(), std::fs::read(git.join(&name)).unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_a_tree_are_small_files() {
    let scene = Scene::with_files(&[("a", "one\n")]);
    let outside = scene.folder.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret\n").unwrap();
    let target = outside.to_str().unwrap();
    let file = format!("{target}/secret");
    hostile_branch(
        &scene,
        "links",
        &[
            ("120000", b"dir", target),
            ("120000", b"file", &file),
            ("120000", b"git", ".git/config"),
        ],
    );
    switch(&scene, "links").await.unwrap();
    assert!(std::fs::symlink_metadata(scene.dir().join("file")).unwrap().is_file());
    assert_eq!(scene.get("file"), file);
    assert_eq!(scene.status(), Vec::<String>::new());
    let tree = scene.repos.tree(scene.id, None, None).await.unwrap();
    assert!(tree.entries.iter().all(|entry| entry.kind == TreeKind::Symlink));
    for path in ["dir/secret", "file/x", "dir"] {
        let written = scene
            .repos
            .write(scene.id, at(path), b"mine\n".to_vec(), WriteOptions::default())
            .await;
        assert!(matches!(written, Err(GitError::Conflict { .. })), "{path}: {written:?}");
    }
    assert_eq!(files_below(&outside), ["secret"]);
    switch(&scene, "main").await.unwrap();
    assert_eq!(scene.get("a"), "one\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_links_in_the_work_tree_are_not_followed() {
    let scene = Scene::with_files(&[("dir/a", "one\n"), ("file", "two\n")]);
    scene.git(&["checkout", "-q", "-b", "more"]);
    scene.put("dir/b", "new\n");
    scene.put("file", "changed\n");
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "-q", "-m", "more"]);
    scene.git(&["checkout", "-q", "main"]);
    let outside = scene.folder.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("a"), "one\n").unwrap();
    std::fs::write(outside.join("secret"), "needle\n").unwrap();
    std::fs::remove_dir_all(scene.dir().join("dir")).unwrap();
    symlink(&outside, scene.dir().join("dir")).unwrap();
    std::fs::remove_file(scene.dir().join("file")).unwrap();
    symlink(outside.join("secret"), scene.dir().join("file")).unwrap();
    symlink(".git/config", scene.dir().join("AGENTS.md")).unwrap();

    for path in ["dir/secret", "dir/a", "file"] {
        let read = scene.repos.read_file(scene.id, at(path), None).await;
        assert!(read.is_err(), "{path}: {read:?}");
        let written = scene
            .repos
            .write(scene.id, at(path), b"mine\n".to_vec(), WriteOptions::default())
            .await;
        assert!(written.is_err(), "{path}: {written:?}");
        let deleted = scene.repos.delete(scene.id, at(path), WriteOptions::default()).await;
        assert!(deleted.is_err(), "{path}: {deleted:?}");
    }
    let created = scene
        .repos
        .create(scene.id, at("dir/new/file"), b"x".to_vec(), WriteOptions::default())
        .await;
    assert!(created.is_err(), "{created:?}");
    assert!(matches!(
        switch(&scene, "more").await,
        Err(GitError::Conflict {
            why: Clash::Uncommitted,
            ..
        })
    ));
    assert_eq!(scene.repos.agents_md(scene.id).await.unwrap(), None);
    let found = scene.repos.search(scene.id, "needle".into(), 10).await.unwrap();
    assert!(found.hits.is_empty());
    assert_eq!(files_below(&outside), ["a", "secret"]);
    assert_eq!(std::fs::read_to_string(outside.join("a")).unwrap(), "one\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_of_the_git_folder_are_never_written() {
    let scene = Scene::with_files(&[("a", "one\n")]);
    let before = git_folder(&scene);
    let hooks = tree_of(
        &scene,
        &[
            ("100755", b"post-checkout", "#!/bin/sh\ntouch hit\n"),
            ("100644", b"config", "[core]\n"),
        ],
    );
    let twins: [&[u8]; 9] = [
        b".git",
        b".GIT",
        b".git ",
        b".git.",
        b"git~1",
        ".g\u{200c}it".as_bytes(),
        b".git::$INDEX_ALLOCATION",
        b"..",
        b".",
    ];
    for (number, twin) in twins.iter().enumerate() {
        let branch = format!("twin{number}");
        hostile_branch(
            &scene,
            &branch,
            &[("040000", twin, &hooks), ("100644", b"z-good", "good\n")],
        );
        // Refusing the whole is as good as leaving the twin out.
        if switch(&scene, &branch).await.is_ok() {
            assert_eq!(scene.get("z-good"), "good\n");
            let tree = scene.repos.tree(scene.id, None, None).await.unwrap();
            assert!(tree.entries.iter().any(|entry| !entry.reachable));
            scene.repos.search(scene.id, "core".into(), 10).await.unwrap();
        }
        let seen: Vec<String> = files_below(&scene.dir())
            .into_iter()
            .filter(|name| !name.starts_with(".git/"))
            .collect();
        assert!(seen == ["a"] || seen == ["z-good"], "{twin:?}: {seen:?}");
        assert_eq!(git_folder(&scene), before, "{twin:?}");
        assert!(!scene.folder.path().join("clones/config").exists() && !scene.has("hit"));
        switch(&scene, "main").await.unwrap();
    }
    // The same as single files.
    hostile_branch(
        &scene,
        "file",
        &[
            ("100644", b".GIT", "gitdir: /tmp\n"),
            ("100644", b"a\\..\\..\\b", "x\n"),
        ],
    );
    if switch(&scene, "file").await.is_ok() {
        switch(&scene, "main").await.unwrap();
    }
    assert_eq!(git_folder(&scene), before);
    assert_eq!(scene.status(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_in_case_and_unicode_stay_apart() {
    let scene = Scene::with_files(&[("a", "one\n")]);
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    hostile_branch(
        &scene,
        "twins",
        &[
            ("100644", b"README", "big\n"),
            ("100644", b"readme", "small\n"),
            ("100644", composed.as_bytes(), "composed\n"),
            ("100644", decomposed.as_bytes(), "decomposed\n"),
        ],
    );
    switch(&scene, "twins").await.unwrap();
    scene.write("README", "changed\n").await;
    scene.write(decomposed, "changed, too\n").await;
    assert_eq!(
        (scene.get("readme"), scene.get(composed)),
        ("small\n".into(), "composed\n".into())
    );
    assert_eq!(scene.get("README"), "changed\n");
    for twin in ["ReadMe", "CAFÉ", "A\u{30a}"] {
        let base = if twin == "A\u{30a}" {
            scene.write("\u{e5}", "ring\n").await
        } else {
            String::new()
        };
        let created = scene
            .repos
            .create(scene.id, at(twin), b"x\n".to_vec(), WriteOptions::default())
            .await;
        assert!(
            matches!(created, Err(GitError::Conflict { why: Clash::Twin, .. })),
            "{twin}: {created:?} {base}"
        );
    }
    // The file's own other spelling is a rename like any other.
    scene.write("notes", "x\n").await;
    scene
        .repos
        .rename(scene.id, at("notes"), at("NOTES"), WriteOptions::default())
        .await
        .unwrap();
    assert_eq!(scene.status(), Vec::<String>::new());
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_are_shown_and_harmless() {
    let scene = Scene::with_files(&[("a", "one\n")]);
    let odd: [&[u8]; 5] = [b"line\nfeed", b"esc\x1b[31m", b"latin\xe9", b"-rf", b"quote\"d"];
    let entries: Vec<(&str, &[u8], &str)> = odd.iter().map(|name| ("100644", *name, "odd\n")).collect();
    hostile_branch(&scene, "odd", &entries);
    switch(&scene, "odd").await.unwrap();
    assert_eq!(
        scene.status(),
        Vec::<String>::new(),
        "git finds every file as committed"
    );
    let tree = scene.repos.tree(scene.id, None, None).await.unwrap();
    let reachable: Vec<&str> = tree
        .entries
        .iter()
        .filter(|e| e.reachable)
        .map(|e| e.name.as_str())
        .collect();
    assert_eq!(reachable, ["-rf", "quote\"d"]);
    assert!(
        tree.entries
            .iter()
            .any(|entry| entry.name == "latin\u{fffd}" && !entry.reachable)
    );
    scene.repos.search(scene.id, "odd".into(), 10).await.unwrap();
    scene
        .repos
        .diff(scene.id, Revision::parse("HEAD").unwrap())
        .await
        .unwrap();
    scene.write("-rf", "changed\n").await;
    switch(&scene, "main").await.unwrap();
    assert_eq!(scene.git(&["ls-files"]), "a");
    assert_eq!(scene.status(), Vec::<String>::new());
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn submodules_are_names_only() {
    let scene = Scene::with_files(&[("a", "one\n")]);
    let modules = "[submodule \"sub\"]\n\tpath = sub\n\turl = ext::touch hit\n\tupdate = !touch hit\n";
    let id = "1234567890123456789012345678901234567890";
    hostile_branch(
        &scene,
        "sub",
        &[("100644", b".gitmodules", modules), ("160000", b"sub", id)],
    );
    switch(&scene, "sub").await.unwrap();
    assert_eq!(std::fs::read_dir(scene.dir().join("sub")).unwrap().count(), 0);
    assert!(!scene.dir().join(".git/modules").exists() && !scene.has("hit"));
    let tree = scene.repos.tree(scene.id, None, None).await.unwrap();
    assert!(
        tree.entries
            .iter()
            .any(|entry| entry.kind == TreeKind::Submodule && entry.sha == id)
    );
    for path in ["sub", "sub/x"] {
        let written = scene
            .repos
            .write(scene.id, at(path), b"x".to_vec(), WriteOptions::default())
            .await;
        assert!(matches!(written, Err(GitError::Conflict { .. })), "{written:?}");
        assert!(scene.repos.read_file(scene.id, at(path), None).await.is_err());
    }
    assert!(scene.repos.status(scene.id, None).await.unwrap().entries.is_empty());
    switch(&scene, "main").await.unwrap();
    assert!(!scene.has("sub"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_program_of_a_repository_is_run() {
    let scene = Scene::with_files(&[
        ("a.bin", "one\n"),
        (".gitattributes", "* filter=evil diff=evil merge=evil\n"),
    ]);
    let hit = scene.folder.path().join("hit");
    let run = format!("touch {}", hit.display());
    for key in [
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.textconv",
        "core.fsmonitor",
        "core.sshCommand",
        "core.editor",
        "gpg.program",
        "diff.external",
    ] {
        scene.git(&["config", key, &run]);
    }
    scene.git(&["config", "commit.gpgsign", "true"]);
    for hook in [
        "pre-commit",
        "post-commit",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
    ] {
        let file = scene.dir().join(".git/hooks").join(hook);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, format!("#!/bin/sh\n{run}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    scene.write("a.bin", "$Id$\r\ntwo\n").await;
    scene
        .repos
        .switch(scene.id, BranchName::parse("x").unwrap(), SwitchMode::Create)
        .await
        .unwrap();
    scene.write("a.bin", "three\n").await;
    switch(&scene, "main").await.unwrap();
    scene.repos.status(scene.id, None).await.unwrap();
    scene
        .repos
        .diff(scene.id, Revision::parse("HEAD").unwrap())
        .await
        .unwrap();
    assert!(!hit.exists(), "something of the repository was run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_leads_elsewhere_is_none() {
    let scene = Scene::with_files(&[("a", "one\n")]);
    let root = scene.dir().parent().unwrap().to_owned();
    let other = root.join("01920000-0000-7000-8000-000000000002");
    let id = "01920000-0000-7000-8000-000000000002".parse().unwrap();
    let missing = |found: Result<mira_git::Tree, GitError>| {
        assert!(
            matches!(found, Err(GitError::NotFound(Missing::Repository))),
            "{found:?}"
        );
    };
    symlink(scene.dir(), &other).unwrap();
    missing(scene.repos.tree(id, None, None).await);
    scene.remotes().detach(id).await.unwrap();
    assert!(scene.has("a") && !other.exists(), "the link goes, not what it leads to");
    std::fs::create_dir(&other).unwrap();
    symlink(scene.dir().join(".git"), other.join(".git")).unwrap();
    missing(scene.repos.tree(id, None, None).await);
    std::fs::remove_file(other.join(".git")).unwrap();
    std::fs::write(
        other.join(".git"),
        format!("gitdir: {}\n", scene.dir().join(".git").display()),
    )
    .unwrap();
    missing(scene.repos.tree(id, None, None).await);

    scene.git(&["config", "core.worktree", scene.folder.path().to_str().unwrap()]);
    let moved = scene.repos.tree(scene.id, None, None).await;
    assert!(matches!(moved, Err(GitError::Unusable(_))), "{moved:?}");
    scene.git(&["config", "--unset", "core.worktree"]);
    std::fs::create_dir_all(scene.dir().join(".git/objects/info")).unwrap();
    std::fs::write(scene.dir().join(".git/objects/info/alternates"), "/somewhere\n").unwrap();
    let borrowed = scene.repos.tree(scene.id, None, None).await;
    assert!(matches!(borrowed, Err(GitError::Unusable(_))), "{borrowed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_flat_folders_are_listed_in_part() {
    let mut scene = Scene::with_files(&[("a", "one\n")]);
    let names: Vec<String> = (0..30_000).map(|number| format!("f{number:06}")).collect();
    let entries: Vec<(&str, &[u8], &str)> = names
        .iter()
        .take(1)
        .map(|name| ("100644", name.as_bytes(), "x"))
        .collect();
    hostile_branch(&scene, "one", &entries);
    let blob = scene.git(&["rev-parse", "one:f000000"]);
    let input: Vec<String> = names.iter().map(|name| format!("100644 blob {blob}\t{name}")).collect();
    let input = input.join("\n") + "\n";
    let tree = scene.git_fed(&["mktree"], input.as_bytes());
    let commit = scene.git(&["commit-tree", "-m", "huge", &tree]);
    scene.git(&["update-ref", "refs/heads/huge", &commit]);
    let listed = scene
        .repos
        .tree(scene.id, None, Some(Revision::parse("huge").unwrap()))
        .await
        .unwrap();
    assert_eq!((listed.entries.len(), listed.total), (10_000, 30_000));
    let settings = GitSettings {
        max_checkout_files: 1_000,
        ..GitSettings::default()
    };
    scene.repos = Repos::new(scene.dir().parent().unwrap().to_owned(), settings);
    let head = scene.head();
    assert!(matches!(switch(&scene, "huge").await, Err(GitError::TooLarge { .. })));
    assert_eq!(scene.head(), head);
    scene.assert_sound();
}
