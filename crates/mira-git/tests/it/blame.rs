//! Where lines come from, against `git blame`; and histories made to take forever.

use crate::support::{Dice, Scene, at};
use mira_git::{Blame, GitError, GitSettings, Missing, Repos, Revision};
use std::{fmt::Write, time::Duration};

fn with_blame_time(scene: &mut Scene, blame_time: Duration) {
    let settings = GitSettings {
        blame_time,
        ..GitSettings::default()
    };
    scene.repos = Repos::new(scene.dir().parent().unwrap().to_owned(), settings);
}

async fn blame(scene: &Scene, path: &str, revision: &str) -> Result<Blame, GitError> {
    let revision = Revision::parse(revision).unwrap();
    scene.repos.blame(scene.id, at(path), Some(revision)).await
}

/// The commit of each line, and the path there.
fn lines(found: &Blame, path: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for range in &found.ranges {
        assert_eq!(range.start_line, lines.len() + 1);
        let old_path = range.old_path.clone().unwrap_or_else(|| path.to_owned());
        lines.extend(std::iter::repeat_n((range.sha.clone(), old_path), range.lines));
    }
    lines
}

/// The same from git.
fn git_lines(scene: &Scene, path: &str, revision: &str) -> Vec<(String, String)> {
    let said = scene.git(&["blame", "--line-porcelain", "--root", revision, "--", path]);
    let mut lines = Vec::new();
    let mut commit = "";
    for line in said.lines() {
        if let Some(path) = line.strip_prefix("filename ") {
            lines.push((commit.to_owned(), path.to_owned()));
        } else if line.split(' ').count() >= 3 && line.split(' ').next().is_some_and(|word| word.len() == 40) {
            commit = line.split(' ').next().unwrap();
        }
    }
    lines
}

async fn check(scene: &Scene, path: &str, revision: &str) {
    let found = blame(scene, path, revision).await.unwrap();
    assert_eq!(found.commit, scene.git(&["rev-parse", revision]));
    assert_eq!(lines(&found, path), git_lines(scene, path, revision), "{revision}");
}

/// Lines of a file, each as no other.
struct Text(Vec<String>, u64);

impl Text {
    fn edit(&mut self, dice: &mut Dice) {
        for _ in 0..=dice.roll(3) {
            let place = usize::try_from(dice.roll(self.0.len() as u64 + 1)).unwrap();
            if dice.roll(3) == 0 && self.0.len() > 20 {
                self.0.remove(place.min(self.0.len() - 1));
            } else {
                self.1 += 1;
                // Short: git leaves out what is the same at the end of large files, which changes what it says of lines
                // that are there twice.
                self.0.insert(place, format!("{:x} {:x}", self.1, dice.roll(1 << 16)));
            }
        }
    }

    /// The first lines of these and the last lines of those, so that some are there twice.
    fn and(&self, other: &Self, dice: &mut Dice) -> Self {
        let roll = |dice: &mut Dice, most: usize| usize::try_from(dice.roll(most as u64 + 1)).unwrap();
        let end = roll(dice, self.0.len());
        let start = end.saturating_sub(roll(dice, 6)).min(other.0.len());
        Self([&self.0[..end], &other.0[start..]].concat(), other.1)
    }

    fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, line| {
            writeln!(text, "{line}").unwrap();
            text
        })
    }
}

/// Commits that rewrite, rename and merge a file.
#[tokio::test(flavor = "multi_thread")]
async fn blame_is_what_git_blame_says() {
    for seed in 1..7 {
        let mut dice = Dice::new(seed);
        let mut text = Text(Vec::new(), 0);
        while text.0.len() < 30 {
            text.edit(&mut dice);
        }
        let mut path = "a0".to_owned();
        let scene = Scene::with_files(&[(path.as_str(), &text.text()), ("other", "other\n")]);
        let commit = |message: &str| {
            scene.git(&["add", "-A"]);
            scene.git(&["commit", "-q", "--allow-empty", "-m", message]);
        };
        for round in 1..12 {
            let mut theirs = Text(text.0.clone(), text.1 + 1_000_000 * round);
            if dice.roll(3) == 0 {
                let next = format!("folder{round}/a{round}");
                std::fs::create_dir_all(scene.dir().join(&next).parent().unwrap()).unwrap();
                scene.git(&["mv", &path, &next]);
                path = next;
            }
            text.edit(&mut dice);
            scene.put(&path, &text.text());
            commit("ours");
            if dice.roll(2) == 0 {
                scene.git(&["checkout", "-q", "-b", &format!("side{round}"), "HEAD~1"]);
                theirs.edit(&mut dice);
                let old = scene.git(&["ls-files", "*a*"]);
                scene.put(old.lines().next().unwrap(), &theirs.text());
                commit("theirs");
                scene.git(&["checkout", "-q", "main"]);
                let side = format!("side{round}");
                if dice.roll(2) == 0 {
                    scene.git(&["merge", "-q", "-X", "ours", "-m", "merge", &side]);
                } else {
                    scene.git(&["merge", "-q", "-s", "ours", "--no-commit", &side]);
                    scene.put(&path, &text.and(&theirs, &mut dice).text());
                    commit("both");
                }
                let merged = scene.get(&path);
                text.0 = merged.lines().map(str::to_owned).collect();
                text.1 = theirs.1;
            }
        }
        for revision in ["HEAD", "HEAD~1", "HEAD~3"] {
            let named = scene.git(&["ls-tree", "-r", "--name-only", revision]);
            let path = named.lines().find(|path| *path != "other").unwrap();
            check(&scene, path, revision).await;
        }
        let missing = blame(&scene, "nowhere", "HEAD").await;
        assert!(matches!(missing, Err(GitError::NotFound(Missing::Path))), "{missing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_lines_or_ends_have_their_origins_too() {
    let scene = Scene::with_files(&[("empty", ""), ("no-end", "one\ntwo"), ("binary", "a\0b\nc\n")]);
    scene.put("no-end", "one\ntwo\nthree");
    scene.put("binary", "a\0b\nd\n");
    scene.git(&["commit", "-q", "-a", "-m", "more"]);
    assert_eq!(blame(&scene, "empty", "HEAD").await.unwrap().ranges, []);
    check(&scene, "no-end", "HEAD").await;
    check(&scene, "binary", "HEAD").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_takes_too_long_is_given_up() {
    let mut scene = Scene::empty();
    let mut history = String::new();
    for commit in 0..500 {
        let (time, text) = (1_700_000_000 + commit, format!("{commit}\nthe same\n"));
        write!(
            history,
            "commit refs/heads/main\ncommitter A <a@example.org> {time} +0000\ndata 1\nx\n\
             M 100644 inline a\ndata {}\n{text}\n",
            text.len()
        )
        .unwrap();
    }
    scene.git_fed(&["fast-import", "--quiet"], history.as_bytes());
    check(&scene, "a", "main").await;
    with_blame_time(&mut scene, Duration::ZERO);
    let given_up = blame(&scene, "a", "main").await;
    assert!(matches!(given_up, Err(GitError::Timeout(_))), "{given_up:?}");
    // What has no history takes no time.
    assert_eq!(blame(&scene, "a", "main~499").await.unwrap().ranges.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_too_large_is_said_to_be() {
    let scene = Scene::with_files(&[("a", &"line\n".repeat(500_000))]);
    let large = blame(&scene, "a", "HEAD").await;
    assert!(matches!(large, Err(GitError::TooLarge { .. })), "{large:?}");
    // It once was.
    scene.put("a", "line\n");
    scene.git(&["commit", "-q", "-a", "-m", "small"]);
    let was_large = blame(&scene, "a", "HEAD").await;
    assert!(matches!(was_large, Err(GitError::TooLarge { .. })), "{was_large:?}");
}
