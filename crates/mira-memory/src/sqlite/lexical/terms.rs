//! The terms of a question: words cut into stems, letters of scripts without spaces into pairs; which of them are worth
//! their cost; and what is remembered of common ones. The tables they stand in are read in [`super::tables`].

use super::{
    super::{
        error::StoreError,
        messages::json,
        readers::Readers,
        rows::{Columns, SPARE, bind_spare},
        search::{needs_grams, runs, write_letter},
    },
    tables::{FEW, Table},
};
use mira_core::fusion::stem::stem;
use sqlx::sqlite::SqliteConnectOptions;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most terms that count.
const MAX_TERMS: usize = 32;
/// The most pairs of letters that count.
const MAX_PAIRS: usize = 64;
/// The longest term, in characters.
const MAX_TERM_CHARS: usize = 128;
/// At how many places the scored terms of a table may stand together.
const MAX_INSTANCES: u64 = 8000;
/// A term at so many places is worth remembering how many they are.
const COMMON: u64 = 1000;
/// The most terms remembered.
const MAX_COMMON: usize = 20_000;

/// What the store keeps for these queries: connections to nowhere that cut words into stems, and what has been counted.
#[derive(Debug)]
pub(in crate::sqlite) struct Terms {
    stemmers: Readers,
    counted: Mutex<Counted>,
}

/// Numbers that are used until the tables have grown or shrunk by a sixteenth.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// How common a common term is.
    pub common: HashMap<String, Known<Counts>>,
    /// How many documents a table holds, and the newest of them when they were counted; by the table's name.
    pub documents: HashMap<&'static str, (u64, i64)>,
    /// The mean length of a table's documents, by the table's name.
    pub length: HashMap<&'static str, Known<f64>>,
}

/// How common a term is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Documents that hold it.
    pub df: u64,
    /// Places at which it stands in them.
    pub instances: u64,
}

/// A number, and how many documents there were when it was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<T> {
    pub value: T,
    pub documents: u64,
}

impl<T: Copy> Known<T> {
    pub(super) fn now(self, documents: u64) -> Option<T> {
        (self.documents.abs_diff(documents) <= self.documents / 16).then_some(self.value)
    }
}

impl Terms {
    pub(in crate::sqlite) fn new() -> Self {
        let options = SqliteConnectOptions::new().filename(":memory:");
        Self {
            stemmers: Readers::new(options, 2),
            counted: Mutex::default(),
        }
    }

    pub(in crate::sqlite) async fn close(&self) {
        self.stemmers.close().await;
    }

    /// The stems of words, each once, with the word.
    pub(super) async fn stems(&self, words: &[String]) -> Result<Vec<Term>, StoreError> {
        let mut seen = HashSet::new();
        let mut stems: Vec<Term> = if let Some(plain) = plain_stems(words) {
            let term = |(stem, word): (String, &String)| Term::word(stem, word.clone());
            plain.into_iter().zip(words).map(term).collect()
        } else {
            let stems = self.ask_stems(words).await?;
            stems.into_iter().map(|stem| Term::word(stem.clone(), stem)).collect()
        };
        stems.retain(|term| seen.insert(term.low.clone()));
        stems.truncate(MAX_TERMS);
        Ok(stems)
    }

    /// The stems as FTS5 makes them.
    pub(super) async fn ask_stems(&self, words: &[String]) -> Result<Vec<String>, StoreError> {
        const STEM: &str = "
            CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text, content = '', tokenize = 'porter unicode61');
            CREATE VIRTUAL TABLE IF NOT EXISTS stems USING fts5vocab (words, 'instance');
            INSERT INTO words (words) VALUES ('delete-all');
            INSERT INTO words (rowid, text) SELECT key + 1, value FROM json_each(?1);
            SELECT term FROM stems ORDER BY doc, offset";
        let query = sqlx::query(STEM).bind(json(&words)?);
        let rows = bind_spare(query, SPARE)
            .fetch_all(&mut *self.stemmers.get().await?)
            .await?;
        rows.iter().map(|row| Columns::new("stems", row).take("term")).collect()
    }

    pub(super) fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many documents a table holds, as far as that can be told from the newest of them.
    pub(super) fn documents(&self, table: &Table, newest: i64) -> Option<u64> {
        let &(documents, then) = self.counted().documents.get(table.name)?;
        let since = newest.checked_sub(then)?;
        (documents >= FEW && since.unsigned_abs() <= documents / 16)
            .then(|| documents.checked_add_signed(since))
            .flatten()
    }

    /// Fills in what is known of terms; answers how many documents there were when they were last counted.
    pub(super) fn recollect(&self, terms: &mut [Term], table: &Table) -> u64 {
        let counted = self.counted();
        let Some(&(documents, _)) = counted.documents.get(table.name) else {
            return 0;
        };
        for term in terms {
            term.counts = counted.common.get(&term.low).and_then(|known| known.now(documents));
        }
        documents
    }

    pub(super) fn remember(&self, terms: &[Term], documents: u64) {
        let mut counted = self.counted();
        if counted.common.len() > MAX_COMMON {
            counted.common.clear();
        }
        for term in terms {
            if let Some(value) = term.counts.filter(|counts| counts.instances >= COMMON) {
                counted.common.insert(term.low.clone(), Known { value, documents });
            }
        }
    }
}

/// The stems of words of plain letters and digits; `None` if there are others among them, which only FTS5 knows to cut.
pub(super) fn plain_stems(words: &[String]) -> Option<Vec<String>> {
    /// FTS5 leaves longer words as they are.
    const LONGEST: usize = 60;
    let plain = |word: &String| (1..=LONGEST).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric());
    words
        .iter()
        .all(plain)
        .then(|| words.iter().map(|word| stem(&word.to_ascii_lowercase())).collect())
}

// ---- terms --------------------------------------------------------------------------------------------------------

/// A term of one of the tables: all entries of its vocabulary from `low` to `high`.
pub(super) struct Term {
    pub low: String,
    pub high: String,
    /// What FTS5 finds its documents by.
    pub word: String,
    /// `None` as long as it is not known.
    pub counts: Option<Counts>,
    /// The documents that hold it, in order, one for each place; `None` as long as they were not all read.
    pub places: Option<Vec<i64>>,
}

impl Term {
    fn word(stem: String, word: String) -> Self {
        Self {
            high: stem.clone(),
            low: stem,
            word,
            counts: None,
            places: None,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts.unwrap_or_default()
    }
}

/// Words to stem, and pairs of letters.
pub(super) fn split_terms(terms: &[String]) -> (Vec<String>, Vec<Term>) {
    let (mut words, mut pairs) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for term in terms.iter().take(MAX_TERMS) {
        let term: String = term
            .chars()
            .take(MAX_TERM_CHARS)
            // A NUL ends a text in SQLite's JSON.
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if !term.chars().any(needs_grams) {
            words.push(term);
            continue;
        }
        for run in runs(&term) {
            if !run.iter().copied().any(needs_grams) {
                words.push(String::from_iter(&run));
                continue;
            }
            // One letter alone is the beginning of a pair, or the last of its run.
            let width = run.len().min(2);
            for letters in run.windows(width) {
                let mut low = String::new();
                for &c in letters {
                    write_letter(&mut low, c);
                }
                if seen.insert(low.clone()) && pairs.len() < MAX_PAIRS {
                    let high = if width == 1 { format!("{low}y") } else { low.clone() };
                    pairs.push(Term {
                        high,
                        ..Term::word(low.clone(), low)
                    });
                }
            }
        }
    }
    (words, pairs)
}

/// Which terms fit into the budget, the rarest first; those that are not counted yet are left out, and unless
/// `everywhere` is given those that are.
pub(super) fn within_budget(terms: &[Term], documents: u64, everywhere: Everywhere) -> HashSet<usize> {
    let counted = terms.iter().enumerate();
    let mut rarest: Vec<(usize, Counts)> = counted
        .filter_map(|(at, term)| Some((at, term.counts?)))
        .filter(|(_, counts)| everywhere == Everywhere::Too || !counts.is_everywhere(documents))
        .collect();
    rarest.sort_by_key(|&(_, counts)| counts.df);
    let mut sum = 0;
    rarest
        .into_iter()
        .take_while(|(_, counts)| {
            sum += counts.instances;
            sum <= MAX_INSTANCES
        })
        .map(|(at, _)| at)
        .collect()
}

/// Whether terms that stand in more than half of the documents are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Everywhere {
    Not,
    /// As they are: they say next to nothing, but find something.
    Too,
}

impl Counts {
    fn is_everywhere(self, documents: u64) -> bool {
        self.instances >= COMMON && self.df > documents / 2
    }
}
