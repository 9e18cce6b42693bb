//! Edits through Mira, read back by git.

use crate::support::{Scene, at};
use mira_git::{Author, Body, Clash, Edit, GitError, Missing, Standing, WriteOptions, Written};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn expecting(sha: &str) -> WriteOptions {
    WriteOptions {
        expected_sha: Some(sha.to_owned()),
        ..WriteOptions::default()
    }
}

fn clash(result: Result<Written, GitError>) -> (Clash, Vec<String>) {
    match result {
        Err(GitError::Conflict { why, paths }) => (why, paths),
        other => panic!("no conflict: {other:?}"),
    }
}

fn one(why: Clash, path: &str) -> (Clash, Vec<String>) {
    (why, vec![path.to_owned()])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_a_commit() {
    let scene = Scene::with_files(&[("a.txt", "one\n"), ("dir/b.txt", "two\n")]);
    let start = scene.head();
    let options = WriteOptions {
        message: Some("Say more\n\nBecause.".to_owned()),
        author: Some(Author {
            name: "Ada".to_owned(),
            email: "ada@example.org".to_owned(),
        }),
        ..WriteOptions::default()
    };
    let written = scene
        .repos
        .write(scene.id, at("dir/b.txt"), b"two and more\n".to_vec(), options)
        .await
        .unwrap();
    assert!(written.changed);
    assert_eq!(scene.head(), written.commit);
    assert_eq!(scene.git(&["rev-parse", "HEAD~1"]), start);
    assert_eq!(scene.git(&["rev-parse", "HEAD:dir/b.txt"]), written.sha.unwrap());
    assert_eq!(
        scene.git(&["log", "-1", "--format=%an|%ae|%cn|%ce|%B"]),
        "Ada|ada@example.org|Mira|mira@localhost|Say more\n\nBecause."
    );
    assert_eq!(scene.get("dir/b.txt"), "two and more\n");
    assert_eq!(scene.status(), Vec::<String>::new());
    assert_eq!(scene.git(&["diff", "--name-only", "HEAD~1"]), "dir/b.txt");

    let renamed = scene
        .repos
        .rename(scene.id, at("dir/b.txt"), at("deep/er/c.txt"), WriteOptions::default());
    renamed.await.unwrap();
    assert!(!scene.has("dir"), "folders that became empty go");
    assert_eq!(scene.get("deep/er/c.txt"), "two and more\n");
    scene
        .repos
        .delete(scene.id, at("deep/er/c.txt"), WriteOptions::default())
        .await
        .unwrap();
    assert!(!scene.has("deep"));
    assert_eq!(scene.git(&["ls-tree", "-r", "--name-only", "HEAD"]), "a.txt");
    assert_eq!(scene.status(), Vec::<String>::new());
    assert_eq!(scene.commits(), 4);
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_commit_is_made_in_an_empty_repository() {
    let scene = Scene::empty();
    let written = scene
        .repos
        .create(scene.id, at("README.md"), b"hello\n".to_vec(), WriteOptions::default())
        .await
        .unwrap();
    assert_eq!(scene.head(), written.commit);
    assert_eq!(scene.git(&["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(scene.status(), Vec::<String>::new());
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_edits_are_one_commit_or_none() {
    let scene = Scene::with_files(&[("a", "a\n"), ("b", "b\n"), ("folder", "was a file\n")]);
    let edits = vec![
        Edit::Put {
            path: at("a"),
            bytes: b"changed\n".to_vec(),
        },
        Edit::Rename {
            from: at("b"),
            to: at("c"),
        },
        Edit::Delete { path: at("folder") },
        Edit::Create {
            path: at("folder/inside"),
            bytes: b"new\n".to_vec(),
        },
    ];
    scene
        .repos
        .commit(scene.id, edits, WriteOptions::default())
        .await
        .unwrap();
    assert_eq!(scene.commits(), 2);
    assert_eq!(
        scene.git(&["ls-tree", "-r", "--name-only", "HEAD"]),
        "a\nc\nfolder/inside"
    );
    assert_eq!(scene.get("folder/inside"), "new\n");
    assert_eq!(scene.status(), Vec::<String>::new());
    let head = scene.head();
    let edits = vec![
        Edit::Put {
            path: at("a"),
            bytes: b"again\n".to_vec(),
        },
        Edit::Delete { path: at("missing") },
    ];
    let refused = scene.repos.commit(scene.id, edits, WriteOptions::default()).await;
    assert!(matches!(refused, Err(GitError::NotFound(Missing::Path))), "{refused:?}");
    assert_eq!((scene.head(), scene.get("a")), (head, "changed\n".to_owned()));
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_makes_no_commit() {
    let scene = Scene::with_files(&[("a.txt", "one\n")]);
    let head = scene.head();
    let written = scene
        .repos
        .write(scene.id, at("a.txt"), b"one\n".to_vec(), WriteOptions::default())
        .await
        .unwrap();
    assert_eq!((written.changed, written.commit), (false, head));
    scene.put("a.txt", "by hand\n");
    let refused = scene
        .repos
        .write(scene.id, at("a.txt"), b"one\n".to_vec(), WriteOptions::default())
        .await;
    assert_eq!(clash(refused), one(Clash::Uncommitted, "a.txt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_overwrites_what_he_has_not_seen() {
    let scene = Scene::with_files(&[("a.txt", "one\n")]);
    let seen = scene.repos.read_file(scene.id, at("a.txt"), None).await.unwrap();
    assert_eq!(
        (seen.body, seen.standing),
        (Body::Text("one\n".to_owned()), Standing::Committed)
    );
    let sha = seen.sha.unwrap();
    let next = scene
        .repos
        .write(scene.id, at("a.txt"), b"two\n".to_vec(), expecting(&sha))
        .await
        .unwrap();
    let late = scene
        .repos
        .write(scene.id, at("a.txt"), b"three\n".to_vec(), expecting(&sha))
        .await;
    assert_eq!(clash(late), one(Clash::Changed, "a.txt"));
    let late = scene.repos.delete(scene.id, at("a.txt"), expecting(&sha)).await;
    assert_eq!(clash(late), one(Clash::Changed, "a.txt"));
    scene
        .repos
        .delete(scene.id, at("a.txt"), expecting(&next.sha.unwrap()))
        .await
        .unwrap();
    let gone = scene
        .repos
        .write(scene.id, at("a.txt"), b"x\n".to_vec(), expecting(&sha))
        .await;
    assert_eq!(clash(gone), one(Clash::Changed, "a.txt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_by_hand_are_never_overwritten() {
    let scene = Scene::with_files(&[("a", "one\n"), ("b", "one\n"), ("c", "one\n"), ("d", "one\n")]);
    let head = scene.head();
    scene.put("a", "by hand\n");
    scene.put("b", "staged\n");
    scene.git(&["add", "b"]);
    scene.put("b", "one\n");
    scene.put("new", "untracked\n");
    let put = |path: &str| {
        scene
            .repos
            .write(scene.id, at(path), b"by mira\n".to_vec(), WriteOptions::default())
    };
    assert_eq!(clash(put("a").await), one(Clash::Uncommitted, "a"));
    assert_eq!(clash(put("b").await), one(Clash::Staged, "b"));
    assert_eq!(clash(put("new").await), one(Clash::Uncommitted, "new"));
    let create = scene
        .repos
        .create(scene.id, at("new"), b"x".to_vec(), WriteOptions::default());
    assert_eq!(clash(create.await), one(Clash::Exists, "new"));
    let delete = scene.repos.delete(scene.id, at("a"), WriteOptions::default());
    assert_eq!(clash(delete.await), one(Clash::Uncommitted, "a"));
    let rename = scene
        .repos
        .rename(scene.id, at("c"), at("new"), WriteOptions::default());
    assert_eq!(clash(rename.await), one(Clash::Exists, "new"));
    let rename = scene
        .repos
        .rename(scene.id, at("a"), at("moved"), WriteOptions::default());
    assert_eq!(clash(rename.await), one(Clash::Uncommitted, "a"));
    assert_eq!(
        (scene.get("a"), scene.get("new"), scene.head()),
        ("by hand\n".into(), "untracked\n".into(), head)
    );

    // Elsewhere work goes on, and what was staged stays staged and is in no commit of hers.
    scene.write("d", "by mira\n").await;
    assert_eq!(scene.status(), [" M a", "MM b", "?? new"]);
    assert_eq!(scene.git(&["diff", "--name-only", "HEAD~1", "HEAD"]), "d");
    // What somebody wrote by hand and is just what she would write is no conflict.
    scene.put("a", "agreed\n");
    scene.write("a", "agreed\n").await;
    assert_eq!(scene.status(), ["MM b", "?? new"]);
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_not_written() {
    let scene = Scene::with_files(&[("dir/a", "one\n"), ("file", "two\n")]);
    let put = |path: &str| {
        scene
            .repos
            .write(scene.id, at(path), b"x\n".to_vec(), WriteOptions::default())
    };
    assert_eq!(clash(put("dir").await), one(Clash::NotAFile, "dir"));
    assert_eq!(clash(put("file/below").await), one(Clash::Exists, "file"));
    scene.put("loose", "untracked\n");
    assert_eq!(clash(put("loose/below").await), one(Clash::Uncommitted, "loose/below"));
    std::fs::create_dir_all(scene.dir().join("folder/with")).unwrap();
    scene.put("folder/with/things", "x");
    assert_eq!(clash(put("folder").await), one(Clash::Uncommitted, "folder"));
    let delete = scene
        .repos
        .delete(scene.id, at("nowhere"), WriteOptions::default())
        .await;
    assert!(matches!(delete, Err(GitError::NotFound(Missing::Path))), "{delete:?}");
    scene.git(&["checkout", "-q", "--detach"]);
    assert_eq!(clash(put("file").await), (Clash::Detached, vec![]));
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn executables_stay_executable_and_lines_keep_their_ends() {
    let scene = Scene::with_files(&[
        ("run.sh", "echo 1\n"),
        (".gitattributes", "*.bat eol=crlf\n*.id ident\n"),
    ]);
    scene.git(&["update-index", "--chmod=+x", "run.sh"]);
    scene.git(&["commit", "-q", "-m", "executable"]);
    scene.git(&["reset", "-q", "--hard"]);
    scene.write("run.sh", "echo 2\n").await;
    assert!(scene.git(&["ls-tree", "HEAD", "run.sh"]).starts_with("100755"));
    scene.write("x.bat", "one\r\ntwo\r\n").await;
    scene.write("y.bat", "one\ntwo\n").await;
    scene.write("z.id", "$Id$\n").await;
    scene.write("mixed.txt", "one\r\ntwo\n").await;
    assert_eq!(scene.git(&["cat-file", "-p", "HEAD:x.bat"]), "one\ntwo");
    assert_eq!(scene.git(&["cat-file", "-p", "HEAD:mixed.txt"]), "one\r\ntwo");
    assert_eq!(scene.status(), Vec::<String>::new());
    let read = scene.repos.read_file(scene.id, at("x.bat"), None).await.unwrap();
    assert_eq!(read.standing, Standing::Committed);
    scene.write("x.bat", "three\r\n").await;
    assert_eq!(scene.status(), Vec::<String>::new());
    scene.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_git_is_waited_for_and_then_told() {
    let mut scene = Scene::with_files(&[("a", "one\n")]);
    let settings = mira_git::GitSettings {
        lock_wait: std::time::Duration::from_millis(200),
        ..mira_git::GitSettings::default()
    };
    scene.repos = mira_git::Repos::new(scene.dir().parent().unwrap().to_owned(), settings);
    let lock = scene.dir().join(".git/index.lock");
    std::fs::write(&lock, "").unwrap();
    let busy = scene
        .repos
        .write(scene.id, at("a"), b"x\n".to_vec(), WriteOptions::default())
        .await;
    assert!(matches!(busy, Err(GitError::Busy(mira_git::Holder::Git))), "{busy:?}");
    assert!(lock.exists(), "a lock that is not ours is not ours to remove");
    std::fs::remove_file(lock).unwrap();
    scene.write("a", "two\n").await;
    scene.assert_sound();
}

/// Steps of the random walk, over few names so that they meet.
#[derive(Debug, Clone)]
enum Walk {
    Put(usize, u8),
    Create(usize, u8),
    Rename(usize, usize),
    Delete(usize),
}

const NAMES: [&str; 7] = ["a", "b.txt", "dir/a", "dir/b", "dir/sub/c", "other/x y", "ünï/ö"];

fn walk() -> impl Strategy<Value = Vec<Walk>> {
    let name = 0..NAMES.len();
    let step = prop_oneof![
        3 => (name.clone(), any::<u8>()).prop_map(|(name, text)| Walk::Put(name, text)),
        2 => (name.clone(), any::<u8>()).prop_map(|(name, text)| Walk::Create(name, text)),
        2 => (name.clone(), name.clone()).prop_map(|(from, to)| Walk::Rename(from, to)),
        1 => name.prop_map(Walk::Delete),
    ];
    proptest::collection::vec(step, 1..24)
}

async fn go(scene: &Scene, step: &Walk, model: &mut BTreeMap<String, Vec<u8>>) -> bool {
    let options = WriteOptions::default();
    let text = |seed: u8| format!("line {seed}\n").repeat(usize::from(seed) + 1).into_bytes();
    let name = |at: usize| NAMES[at].to_owned();
    match *step {
        Walk::Put(to, seed) => {
            let written = scene
                .repos
                .write(scene.id, at(NAMES[to]), text(seed), options)
                .await
                .unwrap();
            let differs = model.insert(name(to), text(seed)).as_ref() != Some(&text(seed));
            assert_eq!(written.changed, differs);
            differs
        }
        Walk::Create(to, seed) => {
            let created = scene.repos.create(scene.id, at(NAMES[to]), text(seed), options).await;
            if model.contains_key(NAMES[to]) {
                assert_eq!(clash(created), one(Clash::Exists, NAMES[to]));
                return false;
            }
            created.unwrap();
            model.insert(name(to), text(seed));
            true
        }
        Walk::Rename(from, to) => {
            let renamed = scene
                .repos
                .rename(scene.id, at(NAMES[from]), at(NAMES[to]), options)
                .await;
            match (model.contains_key(NAMES[from]), model.contains_key(NAMES[to])) {
                (false, _) => assert!(matches!(renamed, Err(GitError::NotFound(_))), "{renamed:?}"),
                (true, _) if from == to => assert!(!renamed.unwrap().changed),
                (true, true) => assert_eq!(clash(renamed), one(Clash::Exists, NAMES[to])),
                (true, false) => {
                    renamed.unwrap();
                    let bytes = model.remove(NAMES[from]).unwrap();
                    model.insert(name(to), bytes);
                    return true;
                }
            }
            false
        }
        Walk::Delete(from) => {
            let deleted = scene.repos.delete(scene.id, at(NAMES[from]), options).await;
            let known = model.remove(NAMES[from]).is_some();
            assert_eq!(deleted.is_ok(), known, "{deleted:?}");
            known
        }
    }
}

fn assert_is(scene: &Scene, model: &BTreeMap<String, Vec<u8>>) {
    let listed = scene.git(&["-c", "core.quotepath=off", "ls-tree", "-r", "--name-only", "HEAD"]);
    assert_eq!(listed.lines().collect::<Vec<_>>(), model.keys().collect::<Vec<_>>());
    for (path, bytes) in model {
        assert_eq!(&std::fs::read(scene.dir().join(path)).unwrap(), bytes);
        let committed = scene.git(&["cat-file", "-p", &format!("HEAD:{path}")]);
        assert_eq!(committed.as_bytes(), bytes.trim_ascii_end());
    }
    assert_eq!(scene.status(), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    /// Any row of edits is what git sees: every edit one commit, the last state in tree, index and work tree.
    #[test]
    fn any_edits_are_what_git_sees(steps in walk()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let scene = Scene::with_files(&[("keep", "always\n")]);
            let mut model = BTreeMap::from([("keep".to_owned(), b"always\n".to_vec())]);
            let mut commits = 1;
            for step in &steps {
                commits += usize::from(go(&scene, step, &mut model).await);
            }
            assert_eq!(scene.commits(), commits);
            assert_is(&scene, &model);
            scene.assert_sound();
        });
    }
}
