//! Recall: the memories that answer a message. Joins the full-text documents, the vector index and the rows of the
//! store; what counts how much is decided in [`mira_core::fusion`].
//!
//! Laws. Candidates are the best [`CANDIDATES`] of both sides, and [`OF_A_TIME`] of each stretch of time the message
//! names, each scored by both; the best [`RANKED`] of them are ranked. What is excluded never comes up and takes nobody's
//! place, nor does a fact come up whose successor is there: the successor stands in for it. The store's answer is the
//! truth: what only the index knows is not shown. An index that fails makes recall degraded, never an error.

use crate::{
    index::{Filter, Hit, IndexError, IndexStatus, Vector, VectorIndex},
    sqlite::{
        Page, Store, documents::SpeakerNames, error::StoreError, lexical::LexicalQuery, memories::MemoryFilter,
        recall_rows::RecallRow,
    },
};
use futures_util::future::{join3, try_join, try_join_all};
use jiff::Zoned;
use mira_core::{
    fusion::{
        Before, Candidate, Names, Question, Ranked, Voice, rank,
        rank::{Corpus, relevance},
        times::Stretch,
        weights,
        words::asks,
    },
    ids::{AccountId, MemoryId, ProjectId},
    memory::{Degraded, Memory, MemoryKind, Recalled},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// How many candidates each side gives.
const CANDIDATES: usize = 200;
/// How many of the candidates are ranked by all that is known of them.
const RANKED: usize = 120;
/// How many of a stretch of time are candidates: the nearest, and as many of the newest.
const OF_A_TIME: usize = 50;
/// How many of the newest messages [`warm_up`] asks for.
const WARMED: u32 = 200;
/// How many successors of successors are followed.
const MAX_STEPS: usize = 8;

/// What is asked.
#[derive(Debug, Clone)]
pub struct RecallQuery {
    /// The message.
    pub text: String,
    /// Its embedding, if there is one.
    pub vector: Option<Vector>,
    /// What must not come up: the message itself, and what is in the prompt already.
    pub exclude: HashSet<MemoryId>,
    /// Memories of this project only.
    pub project: Option<ProjectId>,
    /// What the speakers are called.
    pub names: SpeakerNames,
    /// The present moment where the owner is: what "yesterday" is counted from.
    pub now: Zoned,
    /// The most memories to answer.
    pub considered: usize,
}

/// What came up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecallOutcome {
    /// Best first, up to `considered`. No two of them say the same.
    pub items: Vec<Recalled>,
    /// What says the same as one of them and is left out for that, best first.
    pub merged: Vec<Recalled>,
    /// Why recall was not whole, if it was not.
    pub degraded: Option<Degraded>,
}

/// The memories that answer a message, best first.
pub async fn recall(
    store: &Store,
    index: Option<&dyn VectorIndex>,
    account: AccountId,
    query: RecallQuery,
) -> Result<RecallOutcome, StoreError> {
    let names = Names {
        owner: &query.names.owner,
        mira: &query.names.mira,
    };
    let Some(question) = Question::read(&query.text, names, &query.now) else {
        return Ok(RecallOutcome::default());
    };
    // What is excluded would otherwise take places.
    let excluded = query.exclude.len().min(CANDIDATES);
    let (wanted, of_a_time) = (CANDIDATES + excluded, OF_A_TIME + excluded);
    let words = LexicalQuery {
        terms: question.words.clone(),
        project: query.project,
        kinds: Vec::new(),
        limit: u32::try_from(wanted).unwrap_or(u32::MAX),
    };
    let mut meaning = Meaning::new(index, account, &query);
    let stretches = &question.times.stretches;
    let newest = |stretch: &Stretch| store.list_of_a_time(account, *stretch, query.project, of_a_time);
    let (words, mut of_then, newest) = join3(
        store.find_lexical(account, words),
        meaning.search(query.project, (wanted, of_a_time), stretches),
        try_join_all(stretches.iter().map(newest)),
    )
    .await;
    let words = words?;
    of_then.extend(newest?.into_iter().flatten());
    let df: HashMap<&str, u64> = words.terms.iter().map(|term| (term.text.as_str(), term.df)).collect();
    let corpus = Corpus::new(words.documents, &question.words, &df, &words.df);
    let bm25: HashMap<MemoryId, f32> = words.hits.iter().map(|hit| (hit.id, hit.bm25)).collect();
    meaning.score(bm25.keys().chain(&of_then).copied()).await;

    let found = (&bm25, &meaning.cosines, of_then.as_slice());
    let ids = most_relevant(&corpus, found, &query.exclude);
    let rows = store.recall_rows(account, &ids, query.project).await?;
    meaning
        .score(rows.iter().filter_map(question_before).map(|(id, _)| *id))
        .await;
    let mut found = Found::new(rows, &bm25, &meaning.cosines);
    found.replace_outdated(store, account, &query).await?;
    let (candidates, told) = found.candidates(&meaning.cosines);
    let ranked = rank(&question, &corpus, &candidates, query.considered);
    let told = told.whole(store, account, candidates, &ranked).await?;
    let (items, merged) = told.recalled(ranked);
    Ok(RecallOutcome {
        items,
        merged,
        degraded: meaning.degraded,
    })
}

/// Asks by their words what the newest messages would ask, and drops the answers: the common words among them are counted
/// by then, for which the first turns after a start would wait.
pub async fn warm_up(store: &Store, account: AccountId, names: &SpeakerNames, now: &Zoned) -> Result<(), StoreError> {
    let names = Names {
        owner: &names.owner,
        mira: &names.mira,
    };
    let filter = MemoryFilter {
        kind: Some(MemoryKind::Message),
        ..MemoryFilter::default()
    };
    for memory in store.list_memories(account, filter, Page::first(WARMED)).await?.items {
        if let Some(question) = Question::read(&memory.text, names, now) {
            let query = LexicalQuery {
                terms: question.words,
                limit: 1,
                ..LexicalQuery::default()
            };
            store.find_lexical(account, query).await?;
        }
    }
    Ok(())
}

/// The [`RANKED`] candidates that say most about the question, by words, by meaning, or by being of a time it names; what
/// else is known of a memory does not lift those behind them into sight.
fn most_relevant(
    corpus: &Corpus,
    (bm25, cosines, of_then): (&HashMap<MemoryId, f32>, &HashMap<MemoryId, f32>, &[MemoryId]),
    exclude: &HashSet<MemoryId>,
) -> Vec<MemoryId> {
    let of_then: HashSet<MemoryId> = of_then.iter().copied().collect();
    let ids: HashSet<MemoryId> = cosines.keys().chain(bm25.keys()).chain(&of_then).copied().collect();
    let mut scored: Vec<(f32, MemoryId)> = ids
        .into_iter()
        .filter(|id| !exclude.contains(id))
        .map(|id| {
            let lexical = corpus.lexical(bm25.get(&id).copied().unwrap_or_default());
            let lift = if of_then.contains(&id) { weights::DAYS } else { 0.0 };
            (relevance(lexical, cosines.get(&id).copied()) + lift, id)
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    scored.into_iter().map(|(_, id)| id).take(RANKED).collect()
}

// ---- meaning ------------------------------------------------------------------------------------------------------

/// The vector index as far as one question is concerned.
struct Meaning<'a> {
    asked: Option<(&'a dyn VectorIndex, Vector)>,
    account: AccountId,
    cosines: HashMap<MemoryId, f32>,
    degraded: Option<Degraded>,
}

impl<'a> Meaning<'a> {
    fn new(index: Option<&'a dyn VectorIndex>, account: AccountId, query: &RecallQuery) -> Self {
        let degraded = index.and_then(|index| match (index.status(), &query.vector) {
            (IndexStatus::Unavailable(_), _) => Some(Degraded::Index),
            (IndexStatus::Ready | IndexStatus::Building { .. }, None) => Some(Degraded::Embeddings),
            (IndexStatus::Building { .. }, Some(_)) => Some(Degraded::Building),
            (IndexStatus::Ready, Some(_)) => None,
        });
        let answers = degraded.is_none_or(|why| why == Degraded::Building);
        // The vector of a text that the model knows no word of.
        let says = |vector: &Vector| vector.iter().any(|&x| x != 0.0);
        Self {
            asked: index.zip(query.vector.clone().filter(says)).filter(|_| answers),
            account,
            cosines: HashMap::new(),
            degraded,
        }
    }

    /// Learns the nearest memories, of all times and of each stretch, so many of them; answers those of the stretches.
    async fn search(
        &mut self,
        project: Option<ProjectId>,
        (wanted, of_a_time): (usize, usize),
        stretches: &[Stretch],
    ) -> Vec<MemoryId> {
        let Some((index, vector)) = self.asked.clone() else {
            return Vec::new();
        };
        let any = Filter {
            project,
            ..Filter::default()
        };
        let of_then = stretches.iter().map(|stretch| {
            let then = Filter {
                from: Some(stretch.from),
                until: Some(stretch.until),
                ..any.clone()
            };
            index.search(self.account, Arc::clone(&vector), then, of_a_time)
        });
        let all = index.search(self.account, Arc::clone(&vector), any.clone(), wanted);
        match try_join(all, try_join_all(of_then)).await {
            Ok((all, of_then)) => {
                let of_then = of_then.concat();
                self.learn(&all);
                self.learn(&of_then);
                of_then.iter().map(|hit| hit.id).collect()
            }
            Err(error) => {
                self.fail(&error);
                Vec::new()
            }
        }
    }

    /// The cosines of these memories, those that are not known yet.
    async fn score(&mut self, ids: impl Iterator<Item = MemoryId>) {
        let Some((index, vector)) = &self.asked else { return };
        let ids: HashSet<MemoryId> = ids.filter(|id| !self.cosines.contains_key(id)).collect();
        if ids.is_empty() {
            return;
        }
        let ids = ids.into_iter().collect();
        match index.score(self.account, vector.clone(), ids).await {
            Ok(hits) => self.learn(&hits),
            Err(error) => self.fail(&error),
        }
    }

    /// A cosine of exactly 0 is that of a text the model knows no word of, and says nothing.
    fn learn(&mut self, hits: &[Hit]) {
        let known = hits.iter().filter(|hit| hit.cosine != 0.0);
        self.cosines.extend(known.map(|hit| (hit.id, hit.cosine)));
    }

    fn fail(&mut self, error: &IndexError) {
        tracing::warn!(%error, "recall goes on by words alone");
        self.degraded = Some(Degraded::Index);
        self.asked = None;
    }
}

/// The turn a candidate follows, if that asks something.
fn question_before(row: &RecallRow) -> Option<&(MemoryId, String)> {
    row.before.as_ref().filter(|(_, text)| asks(text))
}

// ---- candidates ---------------------------------------------------------------------------------------------------

/// A candidate with what both sides say about it.
struct FoundRow {
    row: RecallRow,
    bm25: f32,
    cosine: Option<f32>,
    stands_in: bool,
}

/// All candidates.
struct Found(Vec<FoundRow>);

impl Found {
    fn new(rows: Vec<RecallRow>, bm25: &HashMap<MemoryId, f32>, cosines: &HashMap<MemoryId, f32>) -> Self {
        let with = |row: RecallRow| FoundRow {
            bm25: bm25.get(&row.memory.id).copied().unwrap_or_default(),
            cosine: cosines.get(&row.memory.id).copied(),
            stands_in: false,
            row,
        };
        Self(rows.into_iter().map(with).collect())
    }

    /// Puts what replaced them in the place of outdated facts, with their scores where those are better.
    async fn replace_outdated(
        &mut self,
        store: &Store,
        account: AccountId,
        query: &RecallQuery,
    ) -> Result<(), StoreError> {
        for _ in 0..MAX_STEPS {
            let (outdated, live): (Vec<FoundRow>, Vec<FoundRow>) = std::mem::take(&mut self.0)
                .into_iter()
                .partition(|one| one.row.successor.is_some());
            self.0 = live;
            let missing: Vec<MemoryId> = outdated
                .iter()
                .filter_map(|one| one.row.successor)
                .filter(|id| !query.exclude.contains(id) && !self.0.iter().any(|one| one.row.memory.id == *id))
                .collect::<HashSet<_>>()
                .into_iter()
                .collect();
            let rows = store.recall_rows(account, &missing, query.project).await?;
            self.0.extend(rows.into_iter().map(|row| FoundRow {
                row,
                bm25: 0.0,
                cosine: None,
                stands_in: false,
            }));
            for old in &outdated {
                let successor = self
                    .0
                    .iter_mut()
                    .find(|one| Some(one.row.memory.id) == old.row.successor);
                if let Some(new) = successor {
                    new.stands_in |= old.bm25 > new.bm25 || old.cosine > new.cosine;
                    new.bm25 = new.bm25.max(old.bm25);
                    new.cosine = new.cosine.into_iter().chain(old.cosine).reduce(f32::max);
                }
            }
            if outdated.is_empty() {
                break;
            }
        }
        // A circle of facts that replace each other has no newest.
        self.0.retain(|one| one.row.successor.is_none());
        Ok(())
    }

    /// What is ranked, and what is told of it.
    fn candidates(self, cosines: &HashMap<MemoryId, f32>) -> (Vec<Candidate>, Told) {
        let mut told = Told::default();
        let candidate = |mut one: FoundRow| {
            let before = question_before(&one.row).map(|(id, _)| cosines.get(id).copied());
            let memory = &mut one.row.memory;
            let candidate = Candidate {
                before: before
                    .zip(one.row.before.take())
                    .map(|(cosine, (_, text))| Before { text, cosine }),
                id: memory.id,
                kind: memory.kind,
                voice: Voice::read(&one.row.about),
                session: memory.session_id.clone(),
                at: memory.valid_from,
                text: std::mem::take(&mut memory.text),
                pinned: memory.pinned,
                stands_in: one.stands_in,
                bm25: one.bm25,
                cosine: one.cosine,
            };
            if !one.row.whole {
                told.cut.insert(candidate.id);
            }
            told.memories.insert(candidate.id, one.row.memory);
            candidate
        };
        let candidates = self.0.into_iter().map(candidate).collect();
        (candidates, told)
    }
}

/// What is told of the memories that come up.
#[derive(Default)]
struct Told {
    /// Without their texts, which the candidates have.
    memories: HashMap<MemoryId, Memory>,
    /// Those of whose text there is only the beginning.
    cut: HashSet<MemoryId>,
}

impl Told {
    /// Puts the texts back, those that were cut whole.
    async fn whole(
        mut self,
        store: &Store,
        account: AccountId,
        candidates: Vec<Candidate>,
        ranked: &[Ranked],
    ) -> Result<Self, StoreError> {
        for candidate in candidates {
            if let Some(memory) = self.memories.get_mut(&candidate.id) {
                memory.text = candidate.text;
            }
        }
        let ids = ranked.iter().map(|one| one.id);
        let cut: Vec<MemoryId> = ids.filter(|id| self.cut.contains(id)).collect();
        if !cut.is_empty() {
            for memory in store.find_memories(account, &cut).await? {
                self.memories.insert(memory.id, memory);
            }
        }
        Ok(self)
    }

    /// The best, and what says the same as one of them.
    fn recalled(mut self, ranked: Vec<Ranked>) -> (Vec<Recalled>, Vec<Recalled>) {
        let (mut items, mut merged) = (Vec::new(), Vec::new());
        for one in ranked {
            let Some(memory) = self.memories.remove(&one.id) else {
                continue;
            };
            let (list, why) = match one.same_as {
                None => (&mut items, one.why),
                Some(_) => (&mut merged, "says the same as a better one".to_owned()),
            };
            list.push(Recalled {
                memory,
                scores: one.scores,
                why,
            });
        }
        (items, merged)
    }
}
