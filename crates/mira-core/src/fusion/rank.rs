//! How well each candidate answers, and in which order they come up.

use super::{
    ceiling,
    merge::{COMPARED, find_same},
    question::{Question, Term},
    stem::stem,
    weights as w, why,
    words::{Manner, Reading, Stems, each_word, is_unspaced},
};
use crate::{
    ids::{MemoryId, SessionId},
    memory::{MemoryKind, Scores},
};
use jiff::Timestamp;
use std::{
    cmp::Ordering,
    collections::{HashMap, hash_map::Entry},
};

/// Whose words they are, or whom they are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voice {
    /// The owner.
    Owner,
    /// Mira.
    Mira,
    /// Somebody else, by name.
    Other(String),
}

impl Voice {
    /// The voice for what rows say: `owner`, `mira`, or a name.
    pub fn read(about: &str) -> Self {
        match about {
            "owner" => Self::Owner,
            "mira" => Self::Mira,
            name => Self::Other(name.to_owned()),
        }
    }

    fn is_named_in(&self, question: &Question) -> bool {
        match self {
            Self::Owner => question.names_owner,
            Self::Mira => question.names_mira,
            Self::Other(name) => question.names(name),
        }
    }
}

/// The turn a candidate follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Before {
    /// Its text.
    pub text: String,
    /// Its cosine with the question, where it is known.
    pub cosine: Option<f32>,
}

/// A memory that may answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The memory.
    pub id: MemoryId,
    /// What kind it is.
    pub kind: MemoryKind,
    /// Who said it, or whom it is about.
    pub voice: Voice,
    /// Where it was said or learnt.
    pub session: Option<SessionId>,
    /// When it was said, or since when it holds.
    pub at: Timestamp,
    /// Its text, or the beginning of a long one.
    pub text: String,
    /// Kept in view by the owner.
    pub pinned: bool,
    /// It replaced the fact that was found, and has the scores of that one.
    pub stands_in: bool,
    /// BM25 of its document; 0 where no word of the question stands in it.
    pub bm25: f32,
    /// Its cosine with the question, where it is known.
    pub cosine: Option<f32>,
    /// What it follows in its session, if that asks something.
    pub before: Option<Before>,
}

/// A candidate in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The memory.
    pub id: MemoryId,
    /// How well it answers.
    pub scores: Scores,
    /// Why it came up.
    pub why: String,
    /// The better one that says the same.
    pub same_as: Option<MemoryId>,
}

/// The documents' share in a ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    /// The words that were looked for, with what each says.
    pub terms: Vec<Term>,
    /// The greatest BM25 there can be.
    pub ceiling: f32,
}

impl Corpus {
    /// The words of a question, of which each stem stands in `df` of `documents` documents; `scored` are the numbers for
    /// the terms that BM25 is summed over.
    pub fn new(documents: u64, words: &[String], df: &HashMap<&str, u64>, scored: &[u64]) -> Self {
        let term = |word: String| {
            let stem = stem(&word);
            // Pairs of letters, and words that FTS5 spells otherwise, count as rare.
            let df = df.get(stem.as_str()).copied().unwrap_or(1);
            Term {
                idf: super::idf(documents + w::OTHER_TALK, df),
                stem,
                word,
            }
        };
        Self {
            terms: words.iter().flat_map(|word| parts(word)).map(term).collect(),
            ceiling: ceiling(documents, scored),
        }
    }

    /// Reads a text: which of the words stand in it, and how it speaks.
    fn read(&self, text: &str) -> Read<'_> {
        let mut found = vec![false; self.terms.len()];
        let mut reading = Reading::default();
        each_word(text, |word| {
            reading.word(word);
            for (found, term) in found.iter_mut().zip(&self.terms) {
                // Only the last letter of a stem may be another, which spares nearly all words their stemming.
                if !*found && word.starts_with(term.head()) {
                    *found = stem(word) == term.stem;
                }
            }
        });
        let lower = self.terms.iter().any(Term::is_unspaced).then(|| text.to_lowercase());
        let has = |term: &Term| term.is_unspaced() && lower.as_ref().is_some_and(|text| text.contains(&term.word));
        let all = self.terms.iter().zip(found);
        let found: Vec<&Term> = all
            .filter(|(term, found)| *found || has(term))
            .map(|(term, _)| term)
            .collect();
        let idf: f32 = found.iter().map(|term| term.idf).sum();
        let of: f32 = self.terms.iter().map(|term| term.idf).sum();
        Read {
            coverage: if of > 0.0 { idf / of } else { 0.0 },
            found,
            manner: reading.end(text),
        }
    }

    /// BM25 over its ceiling, 0..=1.
    pub fn lexical(&self, bm25: f32) -> f32 {
        if self.ceiling > 0.0 {
            (bm25 / self.ceiling).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }
}

/// A word as it is looked for: whole, or as its pairs of letters where words are not separated.
fn parts(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    if letters.len() > 2 && letters.iter().copied().any(is_unspaced) {
        letters.windows(2).map(String::from_iter).collect()
    } else {
        vec![word.to_owned()]
    }
}

/// What is read in a text.
#[derive(Debug)]
struct Read<'c> {
    /// The words of the question that stand in it.
    found: Vec<&'c Term>,
    /// How much of what those words say that is, 0..=1.
    coverage: f32,
    manner: Manner,
}

/// Texts as they are read, each once: a turn may be a candidate and stand before another, and people repeat themselves.
type Texts<'a> = HashMap<&'a str, Read<'a>>;

fn read_all<'a>(corpus: &'a Corpus, candidates: &'a [Candidate]) -> Texts<'a> {
    let mut texts = Texts::with_capacity(candidates.len());
    let before = |candidate: &'a Candidate| candidate.before.as_ref().map(|before| before.text.as_str());
    for text in candidates
        .iter()
        .flat_map(|one| std::iter::once(one.text.as_str()).chain(before(one)))
    {
        if let Entry::Vacant(place) = texts.entry(text) {
            place.insert(corpus.read(text));
        }
    }
    texts
}

/// A candidate while it is scored.
struct Scored<'a> {
    candidate: &'a Candidate,
    read: &'a Read<'a>,
    lexical: f32,
    relevance: f32,
    bonus: f32,
}

impl Scored<'_> {
    fn total(&self) -> f32 {
        self.relevance + self.bonus
    }
}

/// The `limit` best of the candidates that answer at all, best first, and beside them those that say the same as one of
/// them, marked.
pub fn rank(question: &Question, corpus: &Corpus, candidates: &[Candidate], limit: usize) -> Vec<Ranked> {
    let read = read_all(corpus, candidates);
    let mut scored: Vec<Scored<'_>> = candidates
        .iter()
        .filter_map(|candidate| scored(question, corpus, candidate, read.get(candidate.text.as_str())?))
        .collect();
    let sessions = best_of_sessions(&scored);
    let best = sessions.values().copied().fold(f32::MIN_POSITIVE, f32::max);
    for one in &mut scored {
        let of_session = sessions.get(&one.candidate.session).copied().unwrap_or_default();
        one.bonus = w::SESSION * of_session / best + bonus(question, one, &read);
    }
    scored.sort_by(order);
    scored.truncate(limit.saturating_add(COMPARED));
    let mut stems = Stems::default();
    let texts: Vec<Vec<u32>> = scored
        .iter()
        .take(COMPARED)
        .map(|one| stems.of(&one.candidate.text))
        .collect();
    let mut same = find_same(&texts).into_iter();
    let ids: Vec<MemoryId> = scored.iter().map(|one| one.candidate.id).collect();
    let mut kept = 0;
    scored
        .iter()
        .map(|one| (one, same.next().flatten().and_then(|at| ids.get(at).copied())))
        .take_while(|(_, same)| {
            kept += usize::from(same.is_none());
            kept <= limit
        })
        .map(|(one, same_as)| Ranked {
            id: one.candidate.id,
            scores: Scores {
                lexical: one.lexical,
                cosine: one.candidate.cosine.unwrap_or_default(),
                bonus: one.bonus,
                total: one.total(),
            },
            why: why::why(question, &one.read.found, one.candidate),
            same_as,
        })
        .collect()
}

/// Best first; of equals the newer one, then the greater id, so that the order is always the same.
fn order(a: &Scored<'_>, b: &Scored<'_>) -> Ordering {
    b.total()
        .total_cmp(&a.total())
        .then_with(|| b.candidate.at.cmp(&a.candidate.at))
        .then_with(|| b.candidate.id.cmp(&a.candidate.id))
}

/// Words and meaning on one absolute scale.
pub fn relevance(lexical: f32, cosine: Option<f32>) -> f32 {
    match cosine.filter(|cosine| cosine.is_finite()) {
        Some(cosine) => w::LEXICAL * lexical + w::COSINE * cosine,
        None => w::LEXICAL_ALONE * lexical,
    }
}

/// A candidate with its relevance; `None` if that is too little to come up. Where a time is all that is asked for, what
/// was said then is relevant whatever it says.
fn scored<'a>(
    question: &Question,
    corpus: &Corpus,
    candidate: &'a Candidate,
    read: &'a Read<'a>,
) -> Option<Scored<'a>> {
    // In a store of a few turns every word stands in many documents and BM25 is next to nothing.
    let own_words = w::OWN_WORDS * read.coverage;
    let lexical = corpus.lexical(candidate.bm25).max(own_words);
    let relevance = relevance(lexical, candidate.cosine);
    let least = match candidate.cosine {
        Some(_) => w::LEAST_RELEVANCE,
        None => f32::MIN_POSITIVE,
    };
    // Words alone are enough: a model that does not know them has no say.
    let enough = relevance.max(w::LEXICAL_ALONE * lexical) >= least;
    (enough || question.times.is_all_asked(candidate.at)).then_some(Scored {
        candidate,
        read,
        lexical,
        relevance,
        bonus: 0.0,
    })
}

/// What does not depend on other candidates.
fn bonus(question: &Question, one: &Scored<'_>, read: &Texts<'_>) -> f32 {
    let (candidate, manner) = (one.candidate, one.read.manner);
    let mut bonus = w::FULLNESS * (manner.content as f32 / w::FULL_WORDS).min(1.0);
    if candidate.voice.is_named_in(question) {
        bonus += w::NAMED;
    }
    bonus += of_time(question, candidate);
    if question.asks_when && manner.time {
        bonus += w::TIME;
    }
    if manner.ends_asking {
        bonus -= w::ASKS;
    }
    if let Some(before) = &candidate.before {
        bonus += w::ASKED_BEFORE_WORDS * read.get(before.text.as_str()).map_or(0.0, |read| read.coverage);
        bonus += w::ASKED_BEFORE_COSINE * before.cosine.unwrap_or_default();
    }
    bonus
}

/// What being of a time that the question names is worth.
fn of_time(question: &Question, candidate: &Candidate) -> f32 {
    match question.times.stretch_of(candidate.at) {
        Some(stretch) if stretch.is_short => w::DAYS,
        _ if question.times.has(candidate.at) => w::MONTH,
        _ => 0.0,
    }
}

/// The greatest relevance in each session.
fn best_of_sessions(scored: &[Scored<'_>]) -> HashMap<Option<SessionId>, f32> {
    let mut best = HashMap::new();
    for one in scored {
        let entry = best.entry(one.candidate.session.clone()).or_insert(0.0_f32);
        *entry = entry.max(one.relevance);
    }
    best
}
