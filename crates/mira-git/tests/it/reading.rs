//! What is read is what git says.

use crate::support::{Scene, at, git_in};
use mira_git::{
    Body, Change, FileChange, GitError, GitSettings, Health, LineKind, LogCursor, LogQuery, Missing, RefError,
    Revision, Standing, TreeKind, diff_text,
};

fn revision(text: &str) -> Revision {
    Revision::parse(text).unwrap()
}

/// History with a branch, a merge, a rename and several authors.
fn history() -> Scene {
    let scene = Scene::with_files(&[
        ("src/a.rs", "fn one() {}\nfn two() {}\nfn three() {}\n"),
        ("b.txt", "b\n"),
    ]);
    scene.put("src/a.rs", "fn one() {}\nfn zwei() {}\nfn three() {}\n");
    commit(&scene, "two is zwei", 1);
    scene.git(&["checkout", "-q", "-b", "side"]);
    scene.put("b.txt", "b\nside\n");
    commit(&scene, "side", 2);
    scene.git(&["checkout", "-q", "main"]);
    scene.git(&["mv", "src/a.rs", "src/c.rs"]);
    commit(&scene, "rename", 3);
    scene.git(&["merge", "-q", "--no-ff", "-m", "merge side", "side"]);
    scene.put("src/c.rs", "fn one() {}\nfn zwei() {}\nfn three() {}\nfn four() {}");
    commit(&scene, "four\n\nwith a body", 5);
    scene
}

fn commit(scene: &Scene, message: &str, hour: u32) {
    scene.git(&["add", "-A"]);
    let date = format!("2030-01-01T{hour:02}:00:00+02:00");
    let mut git = git_in(&scene.dir());
    git.env("GIT_COMMITTER_DATE", &date).env("GIT_AUTHOR_DATE", &date);
    assert!(git.args(["commit", "-q", "-m", message]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_what_ls_tree_says() {
    let scene = history();
    for (path, revision) in [
        (None, None),
        (Some("src"), None),
        (Some("src"), Some(revision("HEAD~3"))),
        (None, Some(revision("side"))),
    ] {
        let tree = scene
            .repos
            .tree(scene.id, path.map(at), revision.clone())
            .await
            .unwrap();
        let name = revision.as_ref().map_or("HEAD", Revision::as_str);
        let place = format!("{name}:{}", path.unwrap_or_default());
        let mut expected: Vec<String> = Vec::new();
        for line in scene
            .git(&["ls-tree", "--format=%(objectname) %(objectsize) %(path)", &place])
            .lines()
        {
            expected.push(line.to_owned());
        }
        let mut found: Vec<String> = Vec::new();
        for entry in &tree.entries {
            let size = entry.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
            found.push(format!("{} {size} {}", entry.sha, entry.name));
        }
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(
            (tree.commit.unwrap(), tree.total),
            (scene.git(&["rev-parse", name]), expected.len())
        );
    }
    let root = scene.repos.tree(scene.id, None, None).await.unwrap();
    assert_eq!(root.entries[0].kind, TreeKind::Dir);
    let missing = scene.repos.tree(scene.id, Some(at("nowhere")), None).await;
    assert!(matches!(missing, Err(GitError::NotFound(Missing::Path))), "{missing:?}");
    let file = scene.repos.tree(scene.id, Some(at("b.txt")), None).await;
    assert!(matches!(file, Err(GitError::NotFound(Missing::Folder))), "{file:?}");
    let unknown = scene.repos.tree(scene.id, None, Some(revision("deadbeef"))).await;
    assert!(
        matches!(unknown, Err(GitError::NotFound(Missing::Commit))),
        "{unknown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_now_and_then() {
    let scene = history();
    let now = scene.repos.read_file(scene.id, at("src/c.rs"), None).await.unwrap();
    assert_eq!((now.language, now.standing), (Some("rust"), Standing::Committed));
    assert_eq!(now.sha.unwrap(), scene.git(&["rev-parse", "HEAD:src/c.rs"]));
    scene.put("src/c.rs", "edited\n");
    let edited = scene.repos.read_file(scene.id, at("src/c.rs"), None).await.unwrap();
    assert_eq!(
        (edited.body, edited.standing),
        (Body::Text("edited\n".into()), Standing::Edited)
    );
    let then = scene.repos.file_at(scene.id, revision("HEAD~4"), at("src/a.rs")).await;
    assert_eq!(then.unwrap().body.bytes(), b"fn one() {}\nfn two() {}\nfn three() {}\n");
    std::fs::write(scene.dir().join("raw"), [0_u8, 159, 146, 150]).unwrap();
    let raw = scene.repos.read_file(scene.id, at("raw"), None).await.unwrap();
    assert_eq!(
        (raw.body, raw.standing, raw.sha),
        (Body::Binary(vec![0, 159, 146, 150]), Standing::Untracked, None)
    );
    std::fs::write(scene.dir().join("huge"), vec![b'x'; 5 * 1024 * 1024 + 1]).unwrap();
    let huge = scene.repos.read_file(scene.id, at("huge"), None).await;
    assert!(matches!(huge, Err(GitError::TooLarge { .. })), "{huge:?}");
    assert_eq!(scene.repos.agents_md(scene.id).await.unwrap(), None);
    scene.put("AGENTS.md", &"ü".repeat(20_000));
    assert_eq!(
        scene.repos.agents_md(scene.id).await.unwrap().unwrap(),
        "ü".repeat(16 * 1024)
    );
}

async fn log_ids(scene: &Scene, query: LogQuery) -> Vec<String> {
    let mut ids = Vec::new();
    let mut query = query;
    loop {
        let page = scene.repos.log(scene.id, query.clone()).await.unwrap();
        assert!(page.commits.len() <= query.limit);
        ids.extend(page.commits.into_iter().map(|commit| commit.sha));
        match page.next_cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => return ids,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_what_git_log_says() {
    let scene = history();
    let lines = |args: &[&str]| scene.git(args).lines().map(str::to_owned).collect::<Vec<_>>();
    for limit in [1, 2, 50] {
        let query = LogQuery {
            limit,
            ..LogQuery::default()
        };
        assert_eq!(log_ids(&scene, query.clone()).await, lines(&["rev-list", "HEAD"]));
        let side = LogQuery {
            revision: Some(revision("side")),
            ..query.clone()
        };
        assert_eq!(log_ids(&scene, side).await, lines(&["rev-list", "side"]));
        for path in ["b.txt", "src", "src/c.rs"] {
            let query = LogQuery {
                path: Some(at(path)),
                ..query.clone()
            };
            assert_eq!(
                log_ids(&scene, query).await,
                lines(&["rev-list", "HEAD", "--", path]),
                "{path}"
            );
        }
    }
    let page = scene
        .repos
        .log(
            scene.id,
            LogQuery {
                limit: 1,
                ..LogQuery::default()
            },
        )
        .await
        .unwrap();
    let newest = &page.commits[0];
    assert_eq!(
        (newest.summary.as_str(), newest.message.as_str()),
        ("four", "four\n\nwith a body\n")
    );
    assert_eq!(
        (newest.author.name.as_str(), newest.author.offset_minutes),
        ("Owner", 120)
    );
    assert_eq!(newest.parents, [scene.git(&["rev-parse", "HEAD~1"])]);
    for odd in ["", "-", "nonsense", &newest.sha, &format!("{}-HEAD", newest.sha)] {
        assert_eq!(odd.parse::<LogCursor>(), Err(RefError::Cursor), "{odd}");
    }
    let unknown = "1".repeat(40);
    let odd = LogQuery {
        cursor: Some(format!("{unknown}-{unknown}").parse().unwrap()),
        limit: 5,
        ..LogQuery::default()
    };
    assert!(matches!(
        scene.repos.log(scene.id, odd).await,
        Err(GitError::NotFound(Missing::Commit))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_what_git_diff_says() {
    let scene = history();
    for name in ["HEAD", "HEAD~1", "HEAD~2", "side"] {
        let found = scene.repos.diff(scene.id, revision(name)).await.unwrap();
        for (at, parent) in found.parents.iter().enumerate() {
            let base = format!("{name}^{}", at + 1);
            assert_eq!(parent.parent.as_ref().unwrap(), &scene.git(&["rev-parse", &base]));
            let expected = scene.git(&["diff", "-M", "--numstat", &base, name]);
            let lines: Vec<String> = parent
                .files
                .iter()
                .map(|file| {
                    let path = match (&file.old_path, &file.new_path, file.change) {
                        (Some(old), Some(new), FileChange::Renamed) => {
                            format!(
                                "src/{{{} => {}}}",
                                old.strip_prefix("src/").unwrap(),
                                new.strip_prefix("src/").unwrap()
                            )
                        }
                        (old, new, _) => new.clone().or_else(|| old.clone()).unwrap(),
                    };
                    format!("{}\t{}\t{path}", file.additions, file.deletions)
                })
                .collect();
            assert_eq!(lines.join("\n"), expected, "{name}");
        }
    }
    let merge = scene.repos.diff(scene.id, revision("HEAD~1")).await.unwrap();
    assert_eq!(merge.parents.len(), 2);
    let newest = scene.repos.diff(scene.id, revision("HEAD")).await.unwrap();
    let hunk = &newest.parents[0].files[0].hunks[0];
    let last = hunk.lines.last().unwrap();
    assert_eq!(
        (last.kind, last.new_line, last.text.as_str(), last.no_newline),
        (LineKind::Added, Some(4), "fn four() {}", true)
    );
    let root = scene.repos.diff(scene.id, revision("HEAD~4")).await.unwrap();
    assert_eq!((root.parents.len(), root.parents[0].parent.clone()), (1, None));
    assert!(
        root.parents[0]
            .files
            .iter()
            .all(|file| file.change == FileChange::Added && file.old_path.is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn large_diffs_are_cut_and_say_so() {
    let text = "line\n".repeat(300);
    let files: Vec<(String, &str)> = (0..30).map(|n| (format!("f{n:02}"), text.as_str())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let mut scene = Scene::with_files(&files);
    let settings = GitSettings {
        max_diff_lines: 500,
        max_diff_files: 10,
        ..GitSettings::default()
    };
    scene.repos = mira_git::Repos::new(scene.dir().parent().unwrap().to_owned(), settings);
    let found = scene.repos.diff(scene.id, revision("HEAD")).await.unwrap();
    let parent = &found.parents[0];
    assert!(parent.truncated && parent.files.len() == 10);
    let lines: usize = parent
        .files
        .iter()
        .flat_map(|file| &file.hunks)
        .map(|hunk| hunk.lines.len())
        .sum();
    assert_eq!(lines, 500);
    assert!(!parent.files[0].truncated && parent.files[1].truncated && parent.files[2].truncated);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_what_git_status_says() {
    let scene = history();
    scene.put("b.txt", "staged\n");
    scene.git(&["mv", "src/c.rs", "src/d.rs"]);
    scene.git(&["add", "b.txt"]);
    scene.put("b.txt", "and edited\n");
    scene.put("loose/file", "x\n");
    scene.put("ignored.log", "x\n");
    scene.put(".gitignore", "*.log\n");
    let status = scene.repos.status(scene.id, None).await.unwrap();
    let shown: Vec<_> = status
        .entries
        .iter()
        .map(|e| (e.path.as_str(), e.old_path.as_deref(), e.staged, e.unstaged))
        .collect();
    assert_eq!(
        shown,
        [
            (".gitignore", None, None, Some(Change::Untracked)),
            ("b.txt", None, Some(Change::Modified), Some(Change::Modified)),
            ("loose/", None, None, Some(Change::Untracked)),
            ("src/d.rs", Some("src/c.rs"), Some(Change::Renamed), None),
        ]
    );
    assert_eq!(
        (status.branch.as_deref(), status.commit),
        (Some("main"), Some(scene.head()))
    );
    assert!(!status.unfinished && !status.truncated && status.tracking.is_none());
    let below = scene.repos.status(scene.id, Some(at("loose"))).await.unwrap();
    assert_eq!(below.entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_what_git_grep_finds() {
    let scene = history();
    scene.put("more/x.txt", "Zwei\nzwei\nZWEI und drei\n");
    std::fs::write(scene.dir().join("raw.bin"), b"zwei\0zwei").unwrap();
    scene.git(&["add", "-A"]);
    scene.put("untracked.txt", "zwei\n");
    for (query, args) in [
        ("zwei", vec!["-i"]),
        ("Zwei", vec![]),
        ("fn ", vec!["-i"]),
        ("nowhere", vec!["-i"]),
    ] {
        let mut git = git_in(&scene.dir());
        let output = git
            .args(["grep", "-n", "-F", "-I"])
            .args(args)
            .args(["-e", query])
            .output()
            .unwrap();
        let found = scene.repos.search(scene.id, query.to_owned(), 100).await.unwrap();
        let lines: Vec<String> = found
            .hits
            .iter()
            .map(|hit| format!("{}:{}:{}", hit.path, hit.line, hit.text))
            .collect();
        assert_eq!(
            lines,
            String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(),
            "{query}"
        );
        assert!(!found.truncated);
    }
    let cut = scene.repos.search(scene.id, "zwei".into(), 2).await.unwrap();
    assert!(cut.truncated && cut.hits.len() == 2);
}

#[test]
fn two_texts_are_compared() {
    let settings = GitSettings::default();
    let diff = diff_text(Some("a\nb\nc\n"), Some("a\nB\nc\nd"), "x.txt", &settings).unwrap();
    assert_eq!(
        (diff.additions, diff.deletions, diff.change),
        (2, 1, FileChange::Modified)
    );
    let shown: Vec<String> = diff.hunks[0]
        .lines
        .iter()
        .map(|line| format!("{:?} {:?} {:?} {}", line.kind, line.old_line, line.new_line, line.text))
        .collect();
    assert_eq!(
        shown,
        [
            "Context Some(1) Some(1) a",
            "Removed Some(2) None b",
            "Added None Some(2) B",
            "Context Some(3) Some(3) c",
            "Added None Some(4) d",
        ]
    );
    assert!(diff.hunks[0].lines[4].no_newline);
    let new = diff_text(None, Some("a\n"), "x.txt", &settings).unwrap();
    assert_eq!((new.change, new.old_path, new.additions), (FileChange::Added, None, 1));
    let same = diff_text(Some("a\n"), Some("a\n"), "x.txt", &settings).unwrap();
    assert!(same.hunks.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_is_checked_and_removed() {
    let scene = history();
    let root = scene.dir().parent().unwrap().to_owned();
    std::fs::create_dir_all(root.join(format!(".tmp-{}/half", scene.id))).unwrap();
    let health = scene.repos.check(scene.id).await.unwrap();
    assert_eq!(
        health,
        Health::Good {
            branch: Some("main".into()),
            commit: Some(scene.head())
        }
    );
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 1, "the half clone is gone");

    std::fs::write(scene.dir().join(".git/HEAD"), "nonsense").unwrap();
    assert!(matches!(
        scene.repos.check(scene.id).await.unwrap(),
        Health::Damaged { .. }
    ));
    scene.remotes().detach(scene.id).await.unwrap();
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    assert_eq!(scene.repos.check(scene.id).await.unwrap(), Health::Missing);
    let gone = scene.repos.tree(scene.id, None, None).await;
    assert!(matches!(gone, Err(GitError::NotFound(Missing::Repository))), "{gone:?}");
    scene.remotes().detach(scene.id).await.unwrap();
}

/// What one status found out saves the next one work, never a difference.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_sees_what_happened_since_the_last() {
    let scene = Scene::with_files(&[("a", "one\n"), ("folder/b", "two\n")]);
    scene.write("folder/b", "three\n").await;
    let seen = async || {
        let status = scene.repos.status(scene.id, None).await.unwrap();
        let shown = status.entries.into_iter().map(|e| (e.path, e.staged, e.unstaged));
        shown.collect::<Vec<_>>()
    };
    let one = |path: &str, staged, unstaged| vec![(path.to_owned(), staged, unstaged)];
    for _ in 0..3 {
        assert_eq!(seen().await, []);
    }
    scene.git(&["reset", "-q", "--soft", "HEAD~1"]);
    assert_eq!(seen().await, one("folder/b", Some(Change::Modified), None));
    scene.git(&["reset", "-q", "--soft", "HEAD@{1}"]);
    assert_eq!(seen().await, []);
    scene.put("folder/new", "new\n");
    assert_eq!(seen().await, one("folder/new", None, Some(Change::Untracked)));
    scene.git(&["add", "folder/new"]);
    assert_eq!(seen().await, one("folder/new", Some(Change::Added), None));
    scene.git(&["rm", "-q", "-f", "folder/new"]);
    assert_eq!(seen().await, []);
    scene.put("a", "two\n");
    assert_eq!(seen().await, one("a", None, Some(Change::Modified)));
    scene.put("a", "one\n");
    assert_eq!(seen().await, []);
    std::fs::remove_dir_all(scene.dir().join("folder")).unwrap();
    assert_eq!(seen().await, one("folder/b", None, Some(Change::Deleted)));
}
