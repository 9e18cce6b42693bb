//! The ledger: whatever a client was told stays true, however the process ended.
//!
//! Promises R1 to R3 and R9: an acknowledged message is there exactly once after kill -9 at any moment, also during a
//! start; a reply a client saw complete is stored as it was seen; partial text is at most half a second behind; the
//! next start needs no help; sequence numbers are never used twice; SIGTERM drains.

use crate::support::{
    server::{Server, json},
    sim,
    ws::{Ended, Ws, chunks},
};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Kills of an ordinary test run; `MIRA_KILL_ROUNDS` for more.
const ROUNDS: u64 = 12;
/// How far stored partial text may be behind what was seen.
const BEHIND: Duration = Duration::from_millis(500);
/// How often the machine is looked at.
const TICK: Duration = Duration::from_millis(10);
/// A kill comes at most so long after the first frame, or after the process began.
const LATEST_KILL_MS: u64 = 1300;
const AROUND_COMMIT_MS: u64 = 12;
const LATEST_KILL_AT_START_MS: u64 = 250;
/// Messages sent at once.
const MOST_OPEN: u64 = 6;
/// Words per second of a reply.
const RATE: u64 = 40;

/// Moments in which the machine itself stood still: this process was to run and did not. Half a second behind means
/// half a second in which Mira could have stored anything.
#[derive(Clone, Default)]
struct Stalls(Arc<Mutex<Vec<(Instant, Duration)>>>);

impl Stalls {
    /// Looks at the clock all the time, for as long as it is polled.
    async fn watch(self) {
        loop {
            let begun = Instant::now();
            tokio::time::sleep(TICK).await;
            let late = begun.elapsed().saturating_sub(TICK);
            if late > TICK {
                self.0.lock().unwrap().push((Instant::now(), late));
            }
        }
    }

    /// How long it stood still in this time.
    fn between(&self, from: Instant, to: Instant) -> Duration {
        let stalls = self.0.lock().unwrap();
        stalls
            .iter()
            .filter(|(end, late)| *end > from && end.saturating_duration_since(to) < *late)
            .map(|(_, late)| *late)
            .sum()
    }
}

/// A deterministic source of moments (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long this one test runs is not the server's configuration"
)]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// One message and what the client was told of it.
#[derive(Debug)]
struct Said {
    client_id: String,
    content: String,
    /// What the model answers.
    answer: String,
    /// Its id, once it was acknowledged.
    acknowledged: Option<String>,
    /// The reply's id and its text as seen, piece by piece.
    reply_id: Option<String>,
    seen: Vec<(Instant, String)>,
    /// The reply as the client was told it is stored.
    complete: Option<Value>,
    /// When the process was killed while this was open.
    killed: Option<Instant>,
    /// How far what is stored may be behind then.
    behind: Duration,
}

#[derive(Default)]
struct Ledger {
    said: Vec<Said>,
    /// The largest sequence number ever seen.
    last_seq: u64,
    /// The turn of each message.
    turns: HashMap<String, usize>,
    /// The branch as the last look found it.
    branch: Vec<Value>,
}

impl Ledger {
    fn new_message(&mut self, round: u64, words: u64) -> usize {
        let number = self.said.len();
        let words: Vec<String> = (0..words).map(|word| format!("m{number}w{word}")).collect();
        let answer = words.join(" ");
        self.said.push(Said {
            client_id: format!("client-{round}-{number}"),
            content: format!("message {number} [[sim: output=\"{answer}\" rate={RATE}]]"),
            answer,
            acknowledged: None,
            reply_id: None,
            seen: Vec::new(),
            complete: None,
            killed: None,
            behind: BEHIND,
        });
        number
    }

    fn frame(&self, number: usize) -> Value {
        let said = &self.said[number];
        json!({ "type": "chat", "content": said.content, "client_id": said.client_id })
    }

    /// Notes what the client was just told.
    fn note(&mut self, frame: &Value) {
        let now = Instant::now();
        let kind = frame["type"].as_str().unwrap();
        if let Some(seq) = frame["seq"].as_u64().filter(|_| kind != "hello") {
            // A duplicate is answered with its original event, whose number is old.
            if kind != "message" {
                assert!(seq > self.last_seq, "seq {seq} after {}: {frame}", self.last_seq);
            }
            self.last_seq = self.last_seq.max(seq);
        }
        let turn = frame["turn_id"].as_str().unwrap_or_default().to_owned();
        match kind {
            "message" => {
                let content = &frame["message"]["content"];
                let number = self
                    .said
                    .iter()
                    .position(|said| *content == said.content)
                    .expect("a message nobody said");
                let id = frame["message"]["id"].as_str().unwrap().to_owned();
                let said = &mut self.said[number];
                assert!(
                    said.acknowledged.as_ref().is_none_or(|known| *known == id),
                    "one message, two ids: {frame}"
                );
                said.acknowledged = Some(id);
                self.turns.insert(turn, number);
            }
            "chunk" => {
                let said = &mut self.said[self.turns[&turn]];
                said.reply_id = Some(frame["message_id"].as_str().unwrap().to_owned());
                said.seen.push((now, frame["content"].as_str().unwrap().to_owned()));
            }
            "complete" => {
                let said = &mut self.said[self.turns[&turn]];
                assert_eq!(frame["message"]["content"], said.answer);
                said.complete = Some(frame["message"].clone());
            }
            "error" => panic!("{frame}"),
            _ => {}
        }
    }

    /// What is open when the process dies was cut off now.
    fn killed(&mut self, at: Instant, stalls: &Stalls) {
        let behind = BEHIND + stalls.between(at.checked_sub(2 * BEHIND).unwrap_or(at), at);
        for said in &mut self.said {
            if said.complete.is_none() && said.killed.is_none() && said.acknowledged.is_some() {
                said.killed = Some(at);
                said.behind = behind;
            }
        }
    }

    /// Compares the stored branch with everything that was told.
    fn check(&mut self, branch: Vec<Value>) {
        let ids: HashSet<&str> = branch.iter().map(|message| message["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), branch.len(), "a message is there twice");
        assert_eq!(
            branch.get(..self.branch.len()),
            Some(self.branch.as_slice()),
            "what was stored once has changed"
        );
        let mut parent = Value::Null;
        for message in &branch {
            assert_eq!(message["parent_id"], parent, "the branch has a gap");
            parent = message["id"].clone();
        }
        for said in &self.said {
            said.check(&branch);
        }
        self.branch = branch;
    }
}

impl Said {
    fn check(&self, branch: &[Value]) {
        let stored: Vec<&Value> = branch
            .iter()
            .filter(|m| m["role"] == "user" && m["content"] == self.content)
            .collect();
        assert!(stored.len() <= 1, "doubled: {self:?}");
        if let Some(id) = &self.acknowledged {
            assert_eq!(
                stored.first().map(|message| &message["id"]),
                Some(&json!(id)),
                "lost: {self:?}"
            );
        }
        let Some(message) = stored.first() else { return };
        let replies: Vec<&Value> = branch
            .iter()
            .filter(|m| m["parent_id"] == message["id"] && m["role"] == "assistant")
            .collect();
        assert!(replies.len() <= 1, "two replies: {self:?}");
        let reply = replies.first();
        if let Some(complete) = &self.complete {
            let reply = reply.unwrap_or_else(|| panic!("a complete reply is lost: {self:?}"));
            for field in ["id", "status", "content", "persona", "mood"] {
                assert_eq!(reply[field], complete[field], "{field}");
            }
            return;
        }
        let Some(killed) = self.killed else { return };
        let old = self.seen.iter().take_while(|(at, _)| *at + self.behind <= killed);
        let old: String = old.map(|(_, text)| text.as_str()).collect();
        let kept = reply.map_or("", |reply| reply["content"].as_str().unwrap());
        assert!(self.answer.starts_with(kept), "not what she said: {kept:?}: {self:?}");
        assert!(
            kept.starts_with(&old),
            "more than {:?} lost: kept {kept:?}, seen {old:?}: {self:?}",
            self.behind
        );
        if let Some(reply) = reply {
            let whole = kept == self.answer && reply["status"] == "complete";
            assert!(whole || reply["status"] == "interrupted", "{reply}");
            assert!(self.reply_id.as_ref().is_none_or(|id| reply["id"] == *id), "{reply}");
        }
    }
}

/// The whole branch, oldest first.
async fn branch(server: &Server) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut query = "limit=200".to_owned();
    loop {
        let mut page = json(server.get(&format!("/api/chat/history?{query}")).await).await;
        pages.push(page["messages"].take());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("limit=200&cursor={cursor}"),
            None => break,
        }
    }
    pages
        .iter()
        .rev()
        .flat_map(|page| page.as_array().unwrap().clone())
        .collect()
}

/// Talks until the moment has come, kills, and reads what was still on its way.
async fn talk_and_kill(
    server: &mut Server,
    ledger: &mut Ledger,
    stalls: &Stalls,
    open: Vec<usize>,
    kill_after: Duration,
) {
    let mut ws = Ws::connect(server, "").await;
    let seq = ws.hello["seq"].as_u64().unwrap();
    assert!(seq >= ledger.last_seq, "seq {seq} after {}", ledger.last_seq);
    let kill_at = Instant::now() + kill_after;
    for number in open {
        ws.send(ledger.frame(number)).await;
    }
    // A random moment is what is tested; everything else waits for events.
    let moment = tokio::time::sleep_until(kill_at.into());
    tokio::pin!(moment);
    loop {
        tokio::select! {
            frame = ws.read() => ledger.note(&frame.expect("the server closed the socket")),
            () = &mut moment => break,
        }
    }
    let killed = Instant::now();
    server.signal("KILL");
    server.wait();
    let (frames, ended) = ws.drain().await;
    assert_eq!(ended, Ended::Broken);
    for frame in &frames {
        ledger.note(frame);
    }
    ledger.killed(killed, stalls);
}

/// A ledger that was told of one whole exchange or a part of it, and what a store would show of it.
fn exchange() -> (Ledger, Vec<Value>) {
    let mut ledger = Ledger::default();
    let number = ledger.new_message(0, 3);
    let content = ledger.said[number].content.clone();
    ledger.note(&json!({ "type": "message", "seq": 1, "turn_id": "t", "message": { "id": "a", "content": content } }));
    ledger.note(&json!({ "type": "chunk", "seq": 2, "turn_id": "t", "message_id": "b", "content": "m0w0 m0w1" }));
    let user = json!({ "id": "a", "parent_id": null, "role": "user", "content": content });
    let reply =
        json!({ "id": "b", "parent_id": "a", "role": "assistant", "content": "m0w0 m0w1", "status": "interrupted" });
    (ledger, vec![user, reply])
}

#[test]
fn the_ledger_takes_what_is_kept() {
    let (mut ledger, branch) = exchange();
    ledger.killed(Instant::now() + 2 * BEHIND, &Stalls::default());
    ledger.check(branch);
}

#[test]
#[should_panic(expected = "lost: ")]
fn the_ledger_notices_a_loss() {
    exchange().0.check(Vec::new());
}

#[test]
#[should_panic(expected = "doubled: ")]
fn the_ledger_notices_a_double() {
    let (mut ledger, mut branch) = exchange();
    let mut double = branch[0].clone();
    double["id"] = json!("c");
    double["parent_id"] = json!("b");
    branch.push(double);
    ledger.check(branch);
}

#[test]
#[should_panic(expected = "more than 500ms lost")]
fn the_ledger_notices_lost_text() {
    let (mut ledger, mut branch) = exchange();
    ledger.killed(Instant::now() + 2 * BEHIND, &Stalls::default());
    branch[1]["content"] = json!("m0w0");
    ledger.check(branch);
}

#[test]
#[should_panic(expected = "after 2")]
fn the_ledger_notices_a_number_used_twice() {
    let (mut ledger, _) = exchange();
    ledger.note(&json!({ "type": "status", "seq": 2, "turn_id": "t", "stage": "thinking" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_at_any_moment_loses_and_doubles_nothing() {
    let seed = number("MIRA_KILL_SEED").unwrap_or_else(|| RandomState::new().hash_one("seed"));
    let rounds = number("MIRA_KILL_ROUNDS").unwrap_or(ROUNDS);
    println!("MIRA_KILL_SEED={seed} MIRA_KILL_ROUNDS={rounds}");
    let mut chance = Chance(seed);
    let mut ledger = Ledger::default();
    let sim = sim::start().await;
    let setup = sim::setup(&sim);
    let (mut partial, mut whole, mut at_start) = (0, 0, 0);
    let (stalls, mut watching) = (Stalls::default(), JoinSet::new());
    watching.spawn(stalls.clone().watch());
    for round in 0..rounds {
        if chance.below(4) == 0 {
            let mut command = setup.command(&[]);
            let mut child = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let moment = Duration::from_millis(chance.below(LATEST_KILL_AT_START_MS));
            tokio::time::sleep(moment).await;
            child.kill().unwrap();
            child.wait().unwrap();
            at_start += 1;
        }
        let mut server = setup.start();
        ledger.check(branch(&server).await);
        let unacknowledged = |said: &Said| said.acknowledged.is_none();
        let mut open: Vec<usize> = (0..ledger.said.len())
            .filter(|n| unacknowledged(&ledger.said[*n]))
            .collect();
        // After a few early kills there is enough to send again; the server's queue is short.
        for _ in 0..(1 + chance.below(3)).min(MOST_OPEN.saturating_sub(open.len() as u64)) {
            let words = 1 + chance.below(60);
            open.push(ledger.new_message(round, words));
        }
        // Some of what is known already, too: it must be recognised.
        if let Some(known) = ledger.said.iter().position(|said| said.acknowledged.is_some()) {
            open.insert(0, known);
        }
        // Every third kill falls into the moments around the commit.
        let latest = if chance.below(3) == 0 {
            AROUND_COMMIT_MS
        } else {
            LATEST_KILL_MS
        };
        let kill_after = Duration::from_micros(chance.below(latest * 1000));
        talk_and_kill(&mut server, &mut ledger, &stalls, open, kill_after).await;
    }
    let mut server = setup.start();
    ledger.check(branch(&server).await);
    for said in &ledger.said {
        whole += u32::from(said.complete.is_some());
        partial += u32::from(said.complete.is_none() && !said.seen.is_empty());
    }
    println!(
        "{} messages, {} acknowledged, {whole} replies seen whole, {partial} seen in part, {at_start} kills during a start",
        ledger.said.len(),
        ledger.said.iter().filter(|said| said.acknowledged.is_some()).count(),
    );
    // She still answers, and the file is sound.
    let mut ws = Ws::connect(&server, "").await;
    assert_eq!(ws.turn("And now?").await.last().unwrap()["outcome"], "complete");
    server.signal("TERM");
    assert!(server.wait().success());
    let doctor = setup.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success(), "{text}");
    assert!(
        text.lines()
            .any(|line| line.starts_with("ok") && line.contains("sound:")),
        "{text}"
    );
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_a_reply_finish_and_the_socket_goes_on_after_the_restart() {
    let sim = sim::start().await;
    let setup = sim::setup(&sim);
    let mut server = setup.start();
    let mut ws = Ws::connect(&server, "").await;
    ws.chat("[[sim: tokens=20 rate=40]]").await;
    ws.until("chunk").await;
    server.signal("TERM");
    let (frames, ended) = ws.drain().await;
    assert_eq!(ended, Ended::Closed(1001));
    let done = frames
        .iter()
        .find(|frame| frame["type"] == "done")
        .expect("the turn ends");
    assert_eq!(done["outcome"], "complete");
    assert!(server.wait().success());
    let last = done["seq"].as_u64().unwrap();

    let server = setup.start();
    let mut ws = Ws::connect(&server, &format!("after={last}")).await;
    ws.send(json!({ "type": "ping" })).await;
    let frames = ws.until("pong").await;
    assert!(
        frames
            .iter()
            .all(|frame| frame["type"] != "reset" && frame["seq"].is_null()),
        "{frames:?}"
    );
    let frames = ws.turn("And now?").await;
    let seqs: Vec<u64> = frames.iter().filter_map(|frame| frame["seq"].as_u64()).collect();
    assert!(seqs.first().is_some_and(|first| *first > last), "{seqs:?} after {last}");
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_keeps_what_a_long_reply_has_said() {
    let sim = sim::start().await;
    let setup = sim::setup(&sim).env("MIRA_SHUTDOWN_GRACE_SECONDS", "1");
    let mut server = setup.start();
    let mut ws = Ws::connect(&server, "").await;
    ws.chat("[[sim: tokens=2000 rate=40]]").await;
    let mut frames = ws.until("chunk").await;
    server.signal("TERM");
    let (rest, ended) = ws.drain().await;
    frames.extend(rest);
    assert_eq!(ended, Ended::Closed(1001));
    assert!(server.wait().success());
    let kinds: Vec<&str> = frames
        .iter()
        .rev()
        .filter(|f| f["seq"].is_u64())
        .filter_map(|f| f["type"].as_str())
        .take(2)
        .collect();
    assert_eq!(kinds, ["done", "error"]);
    let done = frames.iter().find(|frame| frame["type"] == "done").unwrap();
    assert_eq!(done["outcome"], "interrupted");

    let server = setup.start();
    let stored = branch(&server).await;
    let reply = stored.last().unwrap();
    assert_eq!(reply["status"], "interrupted");
    assert_eq!(reply["content"], chunks(&frames));
    sim.shutdown().await;
}
