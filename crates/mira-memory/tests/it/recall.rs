//! Recall through the whole path: messages and facts in the store, their documents, the embedded index, the ranking.

use crate::support::*;
use futures_util::{FutureExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use mira_core::{
    ids::{AccountId, MemoryId, MessageId, ProjectId, SessionId, TurnId},
    memory::{Degraded, MemorySource, Recalled},
};
use mira_llm::embeddings::{Embedder, LocalEmbedder};
use mira_memory::{
    BeginTurn, BranchFrom, EMBEDDED, FactOutcome, FinishTurn, NewFact, SendParent, SpeakerNames, Store, TombstoneKey,
    TurnState,
    index::{Filter, Hit, IndexError, IndexStatus, Point, Vector, VectorIndex, embedded::EmbeddedIndex},
    recall::{RecallOutcome, RecallQuery, recall},
};
use proptest::prelude::*;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

/// A store, and an index of it.
struct World {
    store: Arc<Store>,
    _dir: TempDir,
    next: AtomicU64,
    session: SessionId,
    embedder: LocalEmbedder,
    index: EmbeddedIndex,
}

impl World {
    async fn new() -> Self {
        let (Fixture { store, dir, .. }, session) = Fixture::with_session().await;
        let store = Arc::new(store);
        let embedder = LocalEmbedder::new();
        let space = store
            .open_space(EMBEDDED, embedder.model(), embedder.dimension(), now())
            .await
            .unwrap();
        let index = EmbeddedIndex::open(Arc::clone(&store), ME, &space, now());
        index.ready().await;
        store.set_speaker_names(ME, names()).await.unwrap();
        Self {
            store,
            _dir: dir,
            next: AtomicU64::new(1),
            session,
            embedder,
            index,
        }
    }

    fn uuid(&self, at: Timestamp) -> Uuid {
        let ms = u128::try_from(at.as_millisecond()).unwrap();
        let n = u128::from(self.next.fetch_add(1, Relaxed));
        Uuid::from_u128((ms << 80) | 0x7000_8000_0000_0000_0000 | n)
    }

    /// Something the owner says, and her reply.
    async fn say(&self, text: &str, answer: &str) -> MemoryId {
        self.say_in(&self.session, text, answer).await
    }

    async fn say_in(&self, session: &SessionId, text: &str, answer: &str) -> MemoryId {
        self.say_at(session, now(), text, answer).await
    }

    /// The same at another time; ids begin with it.
    async fn say_at(&self, session: &SessionId, at: Timestamp, text: &str, answer: &str) -> MemoryId {
        let id = MessageId(self.uuid(at));
        let turn_id = TurnId(self.uuid(at));
        let begin = BeginTurn {
            files: Vec::new(),
            turn_id,
            session: session.clone(),
            kind: send(id, text, SendParent::Head),
            reply_id: MessageId(self.uuid(at)),
            after: None,
            reserve_seq_to: None,
            title_if_none: None,
            now: at,
        };
        let finish = FinishTurn {
            turn_id,
            reply: Some(reply(answer)),
            receipt: None,
            state: TurnState::Complete,
            tokens: None,
            mira: None,
            told_nudge: None,
            now: at,
        };
        self.store.begin_turn(ME, begin).await.unwrap();
        self.store.finish_turn(ME, finish).await.unwrap();
        id.into()
    }

    async fn learn(&self, n: u128, about: &str, text: &str, supersedes: &[MemoryId]) -> MemoryId {
        let fact = NewFact {
            id: MemoryId(Uuid::from_u128(0xfac7 << 64 | n)),
            about: about.to_owned(),
            topic: Some("a topic".to_owned()),
            text: text.to_owned(),
            source: MemorySource::Conversation,
            session_id: None,
            project_id: None,
            message_id: None,
            valid_from: now(),
            salience: None,
            pinned: false,
            supersedes: supersedes.to_vec(),
        };
        let key = TombstoneKey::new([7; 32]);
        let stored = self.store.insert_facts(ME, vec![fact], &key, now()).await.unwrap();
        match stored.as_slice() {
            [FactOutcome::Stored(memory)] => memory.id,
            other => panic!("{other:?}"),
        }
    }

    /// Writes and embeds everything that waits for it.
    async fn settle(&self) {
        while self.store.write_documents(ME, 500, now()).await.unwrap().left {}
        let jobs = self.store.due_vectors(ME, 1000, now()).await.unwrap();
        let texts = jobs.iter().map(|job| job.text.clone()).collect();
        let vectors = self.embedder.embed(texts).await.unwrap();
        let points = jobs.iter().zip(vectors).map(|(job, vector)| Point {
            id: job.id,
            kind: job.kind,
            session: job.session.clone(),
            project: job.project,
            at: job.at,
            vector,
        });
        self.index.upsert(ME, points.collect()).await.unwrap();
        let rows = jobs.iter().map(|job| job.outbox_id).collect();
        self.store.finish_outbox(ME, rows).await.unwrap();
    }

    async fn query(&self, text: &str) -> RecallQuery {
        RecallQuery {
            text: text.to_owned(),
            vector: self.embedder.embed(vec![text.to_owned()]).await.unwrap().pop(),
            exclude: HashSet::new(),
            project: None,
            names: names(),
            now: now().to_zoned(TimeZone::UTC),
            considered: 20,
        }
    }

    async fn ask(&self, text: &str) -> RecallOutcome {
        let query = self.query(text).await;
        recall(&self.store, Some(&self.index), ME, query).await.unwrap()
    }

    /// The texts that come up, and why, by words alone.
    async fn check_words(&self, text: &str, expect: &[(&str, &str)]) {
        let query = RecallQuery {
            vector: None,
            ..self.query(text).await
        };
        let outcome = recall(&self.store, None, ME, query).await.unwrap();
        let found: Vec<(&str, &str)> = outcome
            .items
            .iter()
            .map(|item| (item.memory.text.as_str(), item.why.as_str()))
            .collect();
        assert_eq!((found.as_slice(), outcome.degraded), (expect, None), "{text}");
    }
}

fn names() -> SpeakerNames {
    SpeakerNames {
        owner: "Nora".to_owned(),
        mira: "Mira".to_owned(),
    }
}

fn ids(items: &[Recalled]) -> Vec<MemoryId> {
    items.iter().map(|item| item.memory.id).collect()
}

#[tokio::test]
async fn what_was_said_comes_up_with_its_reason() {
    let world = World::new().await;
    let violin = world.say("I tune the violin on Sundays.", "A good habit.").await;
    world.say("The bakery closes at six.", "Then hurry.").await;
    world.settle().await;
    world
        .check_words(
            "When do I tune my violin?",
            &[
                ("I tune the violin on Sundays.", "says “tune” and “violin”, said by you"),
                (
                    "The bakery closes at six.",
                    "from the same stretch of talk, said by you",
                ),
                ("A good habit.", "from the same stretch of talk"),
            ],
        )
        .await;
    let outcome = world.ask("When do I tune my violin?").await;
    assert_eq!(outcome.items[0].memory.id, violin);
    assert!(outcome.items[0].scores.cosine > 0.3 && outcome.items[0].scores.lexical > 0.25);
    // What has little to do with it stays away where meaning is known.
    assert!(
        outcome
            .items
            .iter()
            .all(|item| item.memory.text != "The bakery closes at six.")
    );
}

#[tokio::test]
async fn what_is_excluded_never_comes_up() {
    let world = World::new().await;
    let first = world.say("My violin is from Cremona.", "Lovely.").await;
    let second = world.say("The violin needs new strings.", "Soon.").await;
    world.settle().await;
    let mut query = world.query("Where is my violin from?").await;
    assert!(ids(&world.ask(&query.text).await.items).contains(&first));
    query.exclude = HashSet::from([first]);
    let outcome = recall(&world.store, Some(&world.index), ME, query).await.unwrap();
    let found = ids(&outcome.items);
    assert!(found.contains(&second) && !found.contains(&first), "{found:?}");
}

#[tokio::test]
async fn what_is_said_again_is_merged() {
    let world = World::new().await;
    world.say("My violin is from Cremona.", "Yes.").await;
    world.say("my violin is from cremona!", "I see.").await;
    world.settle().await;
    let outcome = world.ask("Where is the violin from?").await;
    let about_it = |items: &[Recalled]| {
        items
            .iter()
            .filter(|item| item.memory.text.to_lowercase().contains("cremona"))
            .count()
    };
    assert_eq!((about_it(&outcome.items), about_it(&outcome.merged)), (1, 1));
    assert_eq!(outcome.merged[0].why, "says the same as a better one");
}

#[tokio::test]
async fn what_replaced_a_fact_stands_in_for_it() {
    let world = World::new().await;
    let old = world.learn(1, "owner", "Plays the violin in an orchestra.", &[]).await;
    let new = world.learn(2, "owner", "Gave up music for pottery.", &[old]).await;
    world.settle().await;
    world
        .check_words(
            "Which orchestra and violin?",
            &[("Gave up music for pottery.", "newer than what was found")],
        )
        .await;
    let outcome = world.ask("Do I play the violin?").await;
    assert_eq!(ids(&outcome.items), [new]);
    let query = RecallQuery {
        exclude: HashSet::from([new]),
        ..world.query("Do I play the violin?").await
    };
    let outcome = recall(&world.store, Some(&world.index), ME, query).await.unwrap();
    assert_eq!(outcome.items, []);
}

#[tokio::test]
async fn what_is_forgotten_does_not_come_up() {
    let world = World::new().await;
    let violin = world.say("My violin is from Cremona.", "Lovely.").await;
    world.settle().await;
    let key = TombstoneKey::new([7; 32]);
    world.store.forget(ME, violin, &key, now()).await.unwrap();
    let outcome = world.ask("Where is my violin from?").await;
    assert!(!ids(&outcome.items).contains(&violin));
}

#[tokio::test]
async fn a_project_has_its_own() {
    let world = World::new().await;
    world.say("My violin is from Cremona.", "Lovely.").await;
    world.settle().await;
    let query = RecallQuery {
        project: Some(ProjectId(Uuid::from_u128(9))),
        ..world.query("Where is my violin from?").await
    };
    let outcome = recall(&world.store, Some(&world.index), ME, query).await.unwrap();
    assert_eq!(outcome, RecallOutcome::default());
}

#[tokio::test]
async fn any_script_is_found() {
    let world = World::new().await;
    world.say("昨日は東京タワーへ行きました。", "楽しそう。").await;
    world.say("Скрипка из Кремоны.", "Да.").await;
    world.settle().await;
    for (question, expect) in [
        ("東京タワーはどうでしたか", "昨日は東京タワーへ行きました。"),
        ("Откуда скрипка?", "Скрипка из Кремоны."),
    ] {
        let outcome = world.ask(question).await;
        assert_eq!(outcome.items[0].memory.text, expect);
    }
}

// ---- times --------------------------------------------------------------------------------------------------------

fn days_ago(days: i64) -> Timestamp {
    now() - SignedDuration::from_hours(24 * days)
}

/// What was said of soup a month ago and yesterday, and of a walk yesterday; today there is soup after soup.
async fn soups() -> (World, [MemoryId; 3]) {
    let world = World::new().await;
    let say = async |name: &str, days, text: &str| {
        let session = session_id(name);
        world.store.insert_session(ME, new_session(name)).await.unwrap();
        world.say_at(&session, days_ago(days), text, "I see.").await
    };
    let old = say("old", 30, "The soup was too salty again.").await;
    let new = say("new", 1, "The soup came out well.").await;
    let walk = say("walk", 1, "We walked along the canal.").await;
    // So many that what was said yesterday is not among the best by words alone.
    for n in 0..250 {
        world
            .say_in(&world.session, &format!("Soup number {n} of the day."), "Noted.")
            .await;
    }
    world.settle().await;
    (world, [old, new, walk])
}

#[tokio::test]
async fn what_is_excluded_takes_no_place_in_a_time() {
    let (world, [_, new, walk]) = soups().await;
    // As it stands in the prompt: nearer and newer than the rest of yesterday.
    let session = session_id("again");
    world.store.insert_session(ME, new_session("again")).await.unwrap();
    for _ in 0..30 {
        let text = "What did I tell you yesterday?";
        world.say_at(&session, days_ago(1), text, text).await;
    }
    world.settle().await;
    let page = world.store.branch(ME, &session, BranchFrom::Head, 100, None).await;
    let exclude: HashSet<MemoryId> = page.unwrap().messages.iter().map(|message| message.id.into()).collect();
    assert_eq!(exclude.len(), 60);
    let meant = RecallQuery {
        exclude,
        considered: 5,
        ..world.query("What did I tell you yesterday?").await
    };
    let said = RecallQuery {
        vector: None,
        ..meant.clone()
    };
    for (side, query) in [("meaning", meant), ("words", said)] {
        let outcome = recall(&world.store, Some(&world.index), ME, query).await.unwrap();
        let found = ids(&outcome.items);
        assert!(found.contains(&new) && found.contains(&walk), "by {side}: {outcome:#?}");
    }
}

#[tokio::test]
async fn a_time_that_is_named_is_looked_into() {
    let (world, [old, new, walk]) = soups().await;
    for (question, expect, from) in [
        ("How was the soup yesterday?", vec![new], "from 14 January 2027"),
        (
            "What did I tell you yesterday?",
            vec![new, walk],
            "from 14 January 2027",
        ),
        ("And what happened about a month ago?", vec![old], "from December 2026"),
    ] {
        let query = RecallQuery {
            considered: 5,
            ..world.query(question).await
        };
        let words = RecallQuery {
            vector: None,
            ..query.clone()
        };
        let meant = recall(&world.store, Some(&world.index), ME, query).await.unwrap();
        let said = recall(&world.store, None, ME, words).await.unwrap();
        for (side, outcome) in [("meaning", &meant), ("words", &said)] {
            let first = outcome.items.first().unwrap();
            assert!(first.why.contains(from), "{question} by {side}: {outcome:#?}");
            let found = ids(&outcome.items);
            let all = expect.iter().all(|id| found.contains(id));
            assert!(all, "{question} by {side}: {outcome:#?}");
        }
    }
    // Where nothing but a time is asked for, nothing of another time comes up by words.
    let query = RecallQuery {
        vector: None,
        ..world.query("What did we talk about yesterday?").await
    };
    let outcome = recall(&world.store, None, ME, query).await.unwrap();
    let on_the_day = |item: &Recalled| item.memory.date == days_ago(1);
    assert!(
        !outcome.items.is_empty() && outcome.items.iter().all(on_the_day),
        "{outcome:#?}"
    );
}

// ---- an index that fails ------------------------------------------------------------------------------------------

/// An index that answers nothing but errors.
#[derive(Debug)]
struct Broken(IndexStatus);

impl Broken {
    fn fail<T: Send + 'static>() -> BoxFuture<'static, Result<T, IndexError>> {
        async { Err(IndexError::Unreachable("cut off".to_owned())) }.boxed()
    }
}

impl VectorIndex for Broken {
    fn dimension(&self) -> usize {
        256
    }
    fn upsert(&self, _: AccountId, _: Vec<Point>) -> BoxFuture<'_, Result<(), IndexError>> {
        Self::fail()
    }
    fn remove(&self, _: AccountId, _: Vec<MemoryId>) -> BoxFuture<'_, Result<(), IndexError>> {
        Self::fail()
    }
    fn search(&self, _: AccountId, _: Vector, _: Filter, _: usize) -> BoxFuture<'_, Result<Vec<Hit>, IndexError>> {
        Self::fail()
    }
    fn score(&self, _: AccountId, _: Vector, _: Vec<MemoryId>) -> BoxFuture<'_, Result<Vec<Hit>, IndexError>> {
        Self::fail()
    }
    fn count(&self, _: AccountId) -> BoxFuture<'_, Result<u64, IndexError>> {
        Self::fail()
    }
    fn clear(&self, _: AccountId) -> BoxFuture<'_, Result<(), IndexError>> {
        Self::fail()
    }
    fn status(&self) -> IndexStatus {
        self.0.clone()
    }
}

#[tokio::test]
async fn a_dead_index_leaves_the_words() {
    let world = World::new().await;
    let violin = world.say("My violin is from Cremona.", "Lovely.").await;
    world.settle().await;
    let down = IndexStatus::Unavailable("down".to_owned());
    for (status, embedded, expect) in [
        (IndexStatus::Ready, true, Degraded::Index),
        (down, true, Degraded::Index),
        (IndexStatus::Ready, false, Degraded::Embeddings),
    ] {
        let mut query = world.query("Where is my violin from?").await;
        query.vector = query.vector.filter(|_| embedded);
        let outcome = recall(&world.store, Some(&Broken(status)), ME, query).await.unwrap();
        assert_eq!((outcome.items[0].memory.id, outcome.degraded), (violin, Some(expect)));
    }
}

// ---- any text -----------------------------------------------------------------------------------------------------

#[test]
fn any_text_is_a_valid_question() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(async {
        let world = World::new().await;
        world
            .say("My \"violin\" AND (NOT) a cello* from: Cremona^2", "NEAR/3 {x} - + :")
            .await;
        world.settle().await;
        world
    });
    let awkward = [
        "",
        " ",
        "\0",
        "\u{1F600}\u{1F600}",
        "the of and",
        "\"",
        "a AND",
        "NOT",
        "text:violin",
        "col:{",
        "^",
        "-*",
    ];
    for text in awkward {
        runtime.block_on(world.ask(text));
    }
    for text in ["", " ", "\0", "\u{1F600}\u{1F600}", "\"", "^", "-*"] {
        assert_eq!(runtime.block_on(world.ask(text)), RecallOutcome::default(), "{text:?}");
    }
    let long = "violin ".repeat(1_500_000);
    assert!(!runtime.block_on(world.ask(&long)).items.is_empty());
    proptest!(ProptestConfig::with_cases(64), |(text in ".{0,60}|[\"a-c (){}*^:+.-]{0,20}")| {
        let outcome = runtime.block_on(world.ask(&text));
        prop_assert_eq!(outcome.degraded, None);
    });
}

// ---- words that questions and facts do not share ------------------------------------------------------------------

/// What was said, and a question that shares no word with it that matters.
const GAP: &[(&str, &str)] = &[
    ("We adopted a spaniel and called her Pepper.", "What pets do I own?"),
    ("I drive a red Volvo to the office.", "Which car do I have?"),
    (
        "My sister gave birth to twins.",
        "How many nephews or nieces are there? A new baby?",
    ),
    ("The doctor says my blood pressure is too high.", "Any health problems?"),
    ("We flew to Lisbon for ten days.", "Where did I spend my vacation?"),
    ("I play the cello in a quartet.", "What musical instrument is mine?"),
    ("Peanuts make my throat swell.", "What food allergy do I suffer from?"),
    ("I got promoted to head of department.", "How is my career going?"),
    ("My rent went up by two hundred.", "How expensive is the apartment?"),
    (
        "I swim forty lengths before breakfast.",
        "What sport do I do for exercise?",
    ),
    ("Grandpa passed away in the night.", "Who died?"),
    ("We are getting married at the lake.", "When is the wedding?"),
    ("I am learning Italian with an app.", "What language am I studying?"),
    ("The kids started kindergarten.", "Where do my children go to school?"),
    ("I baked sourdough again.", "What bread do I make?"),
    ("The roof leaks when it rains.", "What in the house is broken?"),
    (
        "My laptop crashed and lost the files.",
        "What happened to the computer?",
    ),
    ("I collect stamps from old colonies.", "What is my hobby?"),
    ("I quit smoking at New Year.", "Did I give up cigarettes?"),
    ("We planted tomatoes and beans.", "Which vegetables grow in our garden?"),
    ("I read three novels by the sea.", "What books did I enjoy?"),
    ("My boss yelled at me.", "Did my manager get angry?"),
    ("I vote for the greens.", "What are my politics?"),
    ("The tooth has to come out.", "What did the dentist say?"),
    (
        "I studied chemistry in Vienna.",
        "What was my university degree in science?",
    ),
    ("My husband cooks on weekdays.", "Does my spouse prepare dinner?"),
    (
        "I took the train because of the snow.",
        "How did I travel in winter weather?",
    ),
    ("We watched a thriller at the cinema.", "Which movie did we see?"),
    ("My savings are in index funds.", "How do I invest money?"),
    ("I broke my ankle skiing.", "What injury did I get in the mountains?"),
    (
        "Mum's soup with dumplings is what I crave.",
        "What is my favorite dish to eat?",
    ),
    ("The neighbours drum until midnight.", "Who makes noise at night?"),
    ("I paint landscapes in watercolour.", "What kind of art do I create?"),
    ("I sleep badly before exams.", "Am I nervous and awake about tests?"),
    ("My passport expires soon.", "Which travel document must be renewed?"),
    ("I go to mass every Sunday.", "Am I religious, do I attend church?"),
];

#[tokio::test]
async fn meaning_bridges_words_that_differ() {
    let world = World::new().await;
    let mut said: Vec<MemoryId> = Vec::new();
    for (fact, _) in GAP {
        // A session each, so that no document holds a neighbour's words.
        let session = session_id(&format!("s{}", said.len()));
        world
            .store
            .insert_session(ME, new_session(session.as_str()))
            .await
            .unwrap();
        said.push(world.say_in(&session, fact, "Noted.").await);
    }
    world.settle().await;
    let (mut with, mut without, mut missed) = (0, 0, Vec::new());
    for (id, (_, question)) in said.iter().zip(GAP) {
        let query = RecallQuery {
            considered: 5,
            ..world.query(question).await
        };
        let words = RecallQuery {
            vector: None,
            ..query.clone()
        };
        let outcome = recall(&world.store, Some(&world.index), ME, query).await.unwrap();
        if ids(&outcome.items).contains(id) {
            with += 1;
        } else {
            missed.push(*question);
        }
        let outcome = recall(&world.store, None, ME, words).await.unwrap();
        without += usize::from(ids(&outcome.items).contains(id));
    }
    assert_eq!(without, 0, "a question shares a word with its fact");
    assert!(with * 4 >= GAP.len() * 3, "{with} of {}; missed {missed:?}", GAP.len());
}
