//! What memory is for: somebody new tells her five things, she is killed, a week passes, she is asked without being told
//! their names again, and says what came up and why; one of them is corrected and one forgotten. All of it over REST and
//! sockets, once with nothing beside her (no key, no Qdrant), once with a model's and Qdrant's servers.

use crate::support::{client::House, server::Setup};
use futures_util::future::{join, join_all};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use openai_sim::{Captured, Plan, Reply};
use qdrant_sim::SimConfig;
use serde_json::{Value, json};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Something that is told.
struct Thing {
    told: &'static str,
    topic: &'static str,
    /// What is learnt from it.
    fact: &'static str,
    /// What is asked a week later, without its name.
    asked: &'static str,
    name: &'static str,
}

const FIVE: [Thing; 5] = [
    Thing {
        told: "I live in Graz.",
        topic: "home town",
        fact: "The owner lives in Graz.",
        asked: "Where do I live?",
        name: "Graz",
    },
    Thing {
        told: "I work as a nurse.",
        topic: "job",
        fact: "The owner works as a nurse.",
        asked: "What do I work as?",
        name: "nurse",
    },
    Thing {
        told: "My sister is called Anna.",
        topic: "sister",
        fact: "The owner's sister is called Anna.",
        asked: "What is my sister called?",
        name: "Anna",
    },
    Thing {
        told: "I'm allergic to walnuts.",
        topic: "allergy",
        fact: "The owner is allergic to walnuts.",
        asked: "What am I allergic to?",
        name: "walnuts",
    },
    Thing {
        told: "I play the cello.",
        topic: "hobby",
        fact: "The owner plays the cello.",
        asked: "Which instrument do I play?",
        name: "cello",
    },
];

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    /// Mira's own script.
    Rehearsal,
    /// The emulator, which is told what to note.
    Emulator,
}

/// A house, and who answers in it.
struct Home {
    house: House,
    model: Model,
}

impl Home {
    async fn session(&self, id: &str) {
        let made = self.house.api.post("/api/sessions", json!({ "id": id })).await;
        made.expect(201);
    }

    /// Tells her something over REST, from which this is learnt; the fact.
    async fn tell(&self, session: &str, told: &str, topic: &str, fact: &str) -> Value {
        if self.model == Model::Emulator {
            let reply = Reply::new("Good to know.").remember("owner", topic, fact, None);
            self.house.sim.push(Plan::structured(reply));
        }
        let body = json!({ "session_id": session, "content": told });
        self.house.api.post("/api/chat", body).await.expect(200);
        self.house.indexed().await;
        let facts = self.house.api.get("/api/memories?kind=fact&limit=1").await;
        let learnt = facts["memories"][0].clone();
        assert_eq!(learnt["text"], fact, "{facts}");
        learnt
    }

    /// Asks in a session of its own; what came up, as it was told and as the receipt has it, which agree.
    async fn ask(&self, session: &str, asked: &str) -> Vec<Value> {
        self.session(session).await;
        let told = self.house.line_on(session).await.turn(asked).await;
        assert_eq!(told.outcome, "complete");
        let recall = told.recall.clone().unwrap_or_default();
        assert_eq!(recall["degraded"], Value::Null, "{recall}");
        let receipt = format!("/api/messages/{}/receipt", told.reply_id);
        let receipt = self.house.api.get(&receipt).await;
        let used = receipt["used"].as_array().unwrap();
        let memories = recall["memories"].as_array().cloned().unwrap_or_default();
        let ids = |list: &[Value], key: &str| list.iter().map(|one| one[key].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&memories, "id"), ids(used, "memory_id"), "{receipt}");
        assert_eq!(ids(&memories, "why"), ids(used, "reason"), "{receipt}");
        self.house.indexed().await;
        memories
    }

    /// Has everything forgotten that holds a word, as somebody does who searches for it.
    async fn forget_all(&self, word: &str) {
        loop {
            let found = self.house.api.get(&format!("/api/memories?q={word}&limit=1")).await;
            let Some(id) = found["memories"][0]["id"].as_str() else {
                return;
            };
            self.house.api.delete(&format!("/api/memories/{id}")).await.expect(204);
        }
    }

    /// What `doctor --forgotten` answers, and says.
    fn looked_for(&self, word: &str) -> (Option<i32>, String) {
        let output = self.house.setup.run(&["doctor", "--forgotten", word]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

fn says(memory: &Value, word: &str) -> bool {
    memory["text"].as_str().unwrap().contains(word)
}

fn date(of: &Value) -> Timestamp {
    of["date"].as_str().unwrap().parse().unwrap()
}

/// As lines of a prompt and reasons write it.
fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %B %Y").to_string()
}

/// All of it.
async fn a_week(mut home: Home) {
    home.session("acquaintance").await;
    let mut facts = Vec::new();
    for thing in &FIVE {
        let fact = home.tell("acquaintance", thing.told, thing.topic, thing.fact).await;
        assert!(fact["message_id"].is_string(), "the evidence: {fact}");
        facts.push(fact);
    }
    home.house.server.signal("KILL");
    home.house.server.wait();
    home.house.restart_ahead(WEEK).await;

    // Asked for each, by what it is and not by its name; each in a session of its own.
    let asked = FIVE
        .iter()
        .enumerate()
        .map(async |(n, thing)| home.ask(&format!("asked-{n}"), thing.asked).await);
    let answers = join_all(asked).await;
    for ((thing, fact), memories) in FIVE.iter().zip(&facts).zip(answers) {
        let found = memories.iter().find(|memory| memory["id"] == fact["id"]);
        let found = found.unwrap_or_else(|| panic!("{}: {memories:#?}", thing.asked));
        assert!(says(found, thing.name) && !found["why"].as_str().unwrap().is_empty());
        assert_eq!(date(found), date(fact), "since when she knows");
        if home.model == Model::Emulator {
            let prompts = home.house.prompts();
            let line = format!("{}, fact about owner: {}", day(date(fact)), thing.fact);
            let is_told = |prompt: &Captured| {
                let body = prompt.body.to_string();
                body.contains(thing.asked) && body.contains(&line)
            };
            assert!(prompts.iter().any(is_told), "{line}: {prompts:#?}");
        }
    }
    // Asked for nothing but the time.
    let then = home.ask("asked-when", "What did I tell you a week ago?").await;
    for thing in &FIVE {
        assert!(
            then.iter().any(|memory| says(memory, thing.name)),
            "{}: {then:#?}",
            thing.name
        );
    }
    let told_on = day(date(&facts[0]));
    assert!(
        then[0]["why"].as_str().unwrap().contains(&format!("from {told_on}")),
        "{}",
        then[0]
    );

    corrected(&home, &facts[0]).await;
    forgotten(&home, &facts[3]).await;
}

/// She moved: the old fact stays, but under the new one.
async fn corrected(home: &Home, old: &Value) {
    home.session("news").await;
    let new = home
        .tell(
            "news",
            "I live in Vienna now.",
            "home town",
            "The owner lives in Vienna.",
        )
        .await;
    assert!(date(&new).duration_since(date(old)) >= WEEK, "learnt a week later");
    let id = old["id"].as_str().unwrap();
    let now = home.house.api.get(&format!("/api/memories/{id}")).await;
    assert_eq!(now["superseded_by"], new["id"]);
    let memories = home.ask("asked-again", FIVE[0].asked).await;
    assert!(memories.iter().any(|memory| memory["id"] == new["id"]), "{memories:#?}");
    assert!(
        !memories.iter().any(|memory| memory["id"] == old["id"]),
        "{memories:#?}"
    );
}

/// And she does not want the walnuts known.
async fn forgotten(home: &Home, fact: &Value) {
    let word = FIVE[3].name;
    let (code, told) = home.looked_for(word);
    assert_eq!(code, Some(1), "before: {told}");
    home.forget_all(word).await;
    home.house.indexed().await;
    assert_eq!(home.looked_for(word), (Some(0), "nowhere\n".to_owned()));
    let path = format!("/api/memories/{}", fact["id"].as_str().unwrap());
    home.house.api.try_get(&path).await.problem(404, "not-found");
    // What else she knows, she knows still.
    let (memories, others) = join(
        home.ask("asked-at-last", FIVE[3].asked),
        home.ask("asked-besides", FIVE[4].asked),
    )
    .await;
    assert!(!memories.iter().any(|memory| says(memory, word)), "{memories:#?}");
    assert!(others.iter().any(|memory| says(memory, FIVE[4].name)), "{others:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nothing_beside_her() {
    let house = House::with(|_| Setup::new().env("MIRA_TZ", "UTC")).await;
    let model = Model::Rehearsal;
    a_week(Home { house, model }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_model_and_qdrant() {
    let qdrant = qdrant_sim::Sim::start(SimConfig::default()).await.unwrap();
    let house = House::with(|setup| {
        setup
            .env("MIRA_TZ", "UTC")
            .env("MIRA_EMBEDDINGS", "openai")
            .env("QDRANT_URL", qdrant.url())
    })
    .await;
    let model = Model::Emulator;
    a_week(Home { house, model }).await;
    let embedded = qdrant.alias("mira-memory").and_then(|name| qdrant.points(&name));
    assert!(embedded >= Some(20), "the vectors are in Qdrant: {embedded:?}");
}
