//! kill -9 in the middle of writing and switching, many times over: git calls the repository sound, no edit is lost, and
//! the next start mends what was left without being asked.
//!
//! The victim is this very test binary, started again with one test and a folder to work in.

use crate::support::{Dice, Scene, at, attachment, git_in};
use mira_git::{BranchName, GitError, GitSettings, Health, Repos, SwitchMode, WriteOptions};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

const FOLDER: &str = "MIRA_GIT_VICTIM_FOLDER";
const SEED: &str = "MIRA_GIT_VICTIM_SEED";
/// How many rounds; more for a long rehearsal.
const ROUNDS: &str = "MIRA_GIT_KILL_ROUNDS";

#[expect(
    clippy::disallowed_methods,
    reason = "a test's own switches, not Mira's configuration"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Writes, removes, renames and switches, and says each commit once it is acknowledged.
async fn work(repos: Repos, seed: u64, steps: usize) {
    let id = attachment();
    let mut dice = Dice::new(seed);
    let options = WriteOptions::default;
    for step in 0..steps {
        let path = at(&format!("f{}/x{}", dice.roll(3), dice.roll(4)));
        let text = format!(
            "{seed} {step} {}\n",
            "x".repeat(usize::try_from(dice.roll(4_000)).unwrap())
        );
        let branch = ["main", "other", "third"][usize::try_from(dice.roll(3)).unwrap()];
        let done = match dice.roll(10) {
            0..=4 => repos
                .write(id, path, text.into_bytes(), options())
                .await
                .map(|written| Some(written.commit)),
            5 => repos
                .delete(id, path, options())
                .await
                .map(|written| Some(written.commit)),
            6 => {
                let to = at(&format!("f{}/x{}", dice.roll(3), dice.roll(4)));
                repos
                    .rename(id, path, to, options())
                    .await
                    .map(|written| Some(written.commit))
            }
            7 => repos
                .write(id, at("hand"), b"never\n".to_vec(), options())
                .await
                .map(|_| panic!("an edit was overwritten")),
            _ => repos
                .switch(id, BranchName::parse(branch).unwrap(), SwitchMode::Existing)
                .await
                .map(|_| None),
        };
        match done {
            Ok(Some(commit)) => println!("committed {commit}"),
            Ok(None) => println!("switched"),
            Err(GitError::Conflict { .. } | GitError::NotFound(_)) => println!("refused"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// `main`, `other` and `third`, which differ in many files, and `hand`, which they share.
fn arena() -> Scene {
    let scene = Scene::with_files(&[("hand", "as committed\n"), ("f0/x0", "start\n")]);
    for branch in ["other", "third"] {
        scene.git(&["checkout", "-q", "-b", branch]);
        for number in 0..40 {
            scene.put(
                &format!("many{}/{branch}-{number}", number % 5),
                &format!("{branch}\n").repeat(number + 1),
            );
            scene.put(&format!("shared/{number}"), &format!("{branch} {number}\n"));
        }
        scene.git(&["add", "-A"]);
        scene.git(&["commit", "-q", "-m", branch]);
    }
    scene.git(&["checkout", "-q", "main"]);
    scene
}

/// What the killed one does, once in peace. Started again by the test below, it works in the folder it is given until it
/// is killed.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    if let (Some(folder), Some(seed)) = (setting(FOLDER), setting(SEED)) {
        let repos = Repos::new(PathBuf::from(folder), GitSettings::default());
        return work(repos, seed.parse().unwrap(), usize::MAX).await;
    }
    let scene = arena();
    scene.put("hand", "edited by hand\n");
    work(scene.repos.clone(), 7, 60).await;
    assert_eq!(scene.status(), [" M hand"]);
    scene.assert_sound();
}

/// Starts a victim, kills it after `after` of work, and returns the commits it acknowledged.
fn kill_one(scene: &Scene, seed: u64, after: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::victim", "--nocapture"])
        .env(FOLDER, scene.dir().parent().unwrap())
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = sync_channel(10_000);
    let reading = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut said = Vec::new();
    // Working once it has said something; from then on the clock runs.
    while said.is_empty() || said.iter().all(|line: &String| !is_step(line)) {
        said.push(receiver.recv_timeout(Duration::from_mins(1)).unwrap());
    }
    let until = Instant::now() + after;
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => said.push(line),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("the victim ended by itself: {said:?}"),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    said.extend(receiver.iter());
    reading.join().unwrap();
    said.iter()
        .filter_map(|line| line.strip_prefix("committed "))
        .map(str::to_owned)
        .collect()
}

fn is_step(line: &str) -> bool {
    line.starts_with("committed") || line == "switched" || line == "refused"
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_is_lost() {
    let rounds = setting(ROUNDS).map_or(20, |text| text.parse().unwrap());
    let scene = arena();
    let mut dice = Dice::new(rounds + 42);
    let mut acknowledged = Vec::new();
    let mut mended = 0;
    for round in 0..rounds {
        let edit = format!("edited by hand before round {round}\n");
        scene.put("hand", &edit);
        scene.put("loose", &edit);
        acknowledged.extend(kill_one(
            &scene,
            round * 31 + 5,
            Duration::from_micros(dice.roll(250_000)),
        ));

        // As the killed one left it: sound, readable for git, and the edit is there.
        let fsck = git_in(&scene.dir())
            .args(["fsck", "--full", "--no-dangling"])
            .output()
            .unwrap();
        assert!(
            fsck.status.success(),
            "round {round}: {}",
            String::from_utf8_lossy(&fsck.stderr)
        );
        scene.git(&["status", "--porcelain"]);
        assert_eq!(
            (scene.get("hand"), scene.get("loose")),
            (edit.clone(), edit.clone()),
            "round {round}"
        );
        mended += usize::from(scene.has(".git/mira/journal"));

        // A fresh start.
        let repos = Repos::new(scene.dir().parent().unwrap().to_owned(), GitSettings::default());
        let health = repos.check(scene.id).await.unwrap();
        assert!(matches!(health, Health::Good { .. }), "round {round}: {health:?}");
        assert_eq!(scene.status(), [" M hand", "?? loose"], "round {round}");
        assert_eq!(
            (scene.get("hand"), scene.get("loose")),
            (edit.clone(), edit),
            "round {round}"
        );
        scene.assert_sound();
    }
    assert!(!acknowledged.is_empty());
    let kept: std::collections::BTreeSet<String> = scene
        .git(&["rev-list", "main", "other", "third"])
        .lines()
        .map(str::to_owned)
        .collect();
    for commit in &acknowledged {
        assert!(kept.contains(commit), "{commit} was acknowledged and is in no branch");
    }
    println!(
        "{rounds} kills, {mended} of them in the middle of a change, {} acknowledged commits",
        acknowledged.len()
    );
}
