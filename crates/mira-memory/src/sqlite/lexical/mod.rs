//! What recall asks of `recall_fts` and `recall_grams`: the documents that share most with a few terms, by BM25.
//!
//! Law: any text is a valid term. A term that holds letters of scripts written without spaces is asked as its pairs of
//! letters, the others as the stems FTS5 makes of them; each of these is one [`LexicalTerm`], scored on one table only,
//! so that the scores of both tables add up.
//!
//! FTS5's own `bm25()` takes almost two microseconds a document, for every document of every term. Here the lists of
//! documents are read from FTS5's vocabulary (a twentieth of that) and scored in this file, with the same formula.
//! (FTS5 also counts a contentless document again each time it is rewritten, so that its totals drift.) Where the terms together stand in more than [`MAX_POSTINGS`] documents, the most common ones, which weigh least, are
//! counted but not scored. A store of some thousand documents never gets there.

use super::{
    Store,
    error::StoreError,
    messages::json,
    readers::Readers,
    rows::{Columns, SPARE, bind_spare, blob},
    search::{needs_grams, runs, write_letter},
};
use mira_core::{
    ids::{AccountId, MemoryId, ProjectId},
    memory::MemoryKind,
};
use sqlx::{SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// The most terms that count.
const MAX_TERMS: usize = 32;
/// The most pairs of letters that count.
const MAX_PAIRS: usize = 64;
/// The longest term, in characters.
const MAX_TERM_CHARS: usize = 128;
/// The most hits.
const MAX_HITS: u32 = 1000;
/// How many documents of all terms of a table are scored.
const MAX_POSTINGS: u64 = 10_000;
/// Documents whose lengths are looked up at once, in the order of what they score at the usual length. Three times as
/// many as are wanted make the order exact but for documents of unusual length at its end.
const CHUNK: usize = 600;
/// A term in so many documents is worth remembering how many they are.
const COMMON: u64 = 1000;
/// The most terms remembered.
const MAX_COMMON: usize = 20_000;
/// Documents the mean length is taken of; of fewer it is exact.
const SAMPLE: i64 = 2000;
/// BM25's parameters, as FTS5 has them.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LexicalQuery {
    /// The words that matter, at most 32; any of them will do.
    pub terms: Vec<String>,
    /// Memories of this project only.
    pub project: Option<ProjectId>,
    /// Memories of these kinds only; empty allows all.
    pub kinds: Vec<MemoryKind>,
    /// The most hits, at most 1000.
    pub limit: u32,
}

/// A term as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LexicalTerm {
    /// A stem, or a pair of letters (as the table has it).
    pub text: String,
    /// How many documents hold it. Of a common one the number may be some hundredths old.
    pub df: u64,
    /// Whether it was scored.
    pub scored: bool,
}

/// A found document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LexicalHit {
    /// The memory.
    pub id: MemoryId,
    /// Its key in this file.
    pub key: i64,
    /// BM25 (k1 = 1.2, b = 0.75, the formula of FTS5) summed over the scored terms, greater is better.
    pub bm25: f32,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LexicalHits {
    /// How many documents there are.
    pub documents: u64,
    /// For each term that was scored, how many documents hold it (0 for one in none): what the ceiling of `bm25` is
    /// summed over.
    pub df: Vec<u64>,
    /// All terms that were asked.
    pub terms: Vec<LexicalTerm>,
    /// The documents, best first.
    pub hits: Vec<LexicalHit>,
}

/// What the store keeps for these queries: connections to nowhere that cut words into stems, and what has been counted.
#[derive(Debug)]
pub(super) struct Terms {
    stemmers: Readers,
    counted: Mutex<Counted>,
}

/// Numbers that are used until the tables have grown or shrunk by a sixteenth.
#[derive(Debug, Default)]
struct Counted {
    /// How many documents hold a common term.
    df: HashMap<String, Known<u64>>,
    /// The mean length of a table's documents, by the table's name.
    length: HashMap<&'static str, Known<f64>>,
}

/// A number, and how many documents there were when it was found.
#[derive(Debug, Clone, Copy)]
struct Known<T> {
    value: T,
    documents: u64,
}

impl<T: Copy> Known<T> {
    fn now(self, documents: u64) -> Option<T> {
        (self.documents.abs_diff(documents) <= self.documents / 16).then_some(self.value)
    }
}

impl Terms {
    pub(super) fn new() -> Self {
        let options = SqliteConnectOptions::new().filename(":memory:");
        Self {
            stemmers: Readers::new(options, 2),
            counted: Mutex::default(),
        }
    }

    pub(super) async fn close(&self) {
        self.stemmers.close().await;
    }

    /// The stems of words, each once.
    async fn stems(&self, words: &[String]) -> Result<Vec<String>, StoreError> {
        const STEM: &str = "
            CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text, content = '', tokenize = 'porter unicode61');
            CREATE VIRTUAL TABLE IF NOT EXISTS stems USING fts5vocab (words, 'instance');
            INSERT INTO words (words) VALUES ('delete-all');
            INSERT INTO words (rowid, text) SELECT key + 1, value FROM json_each(?1);
            SELECT term FROM stems ORDER BY doc, offset";
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query(STEM).bind(json(&words)?);
        let rows = bind_spare(query, SPARE)
            .fetch_all(&mut *self.stemmers.get().await?)
            .await?;
        let mut seen = HashSet::new();
        let mut stems = Vec::with_capacity(rows.len());
        for row in &rows {
            let stem: String = Columns::new("stems", row).take("term")?;
            if seen.insert(stem.clone()) {
                stems.push(stem);
            }
        }
        stems.truncate(MAX_TERMS);
        Ok(stems)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills in the known numbers of documents.
    fn recollect(&self, terms: &mut [Term], documents: u64) {
        let counted = self.counted();
        for term in terms {
            term.df = counted.df.get(&term.low).and_then(|known| known.now(documents));
        }
    }

    fn remember(&self, terms: &[Term], documents: u64) {
        let mut counted = self.counted();
        if counted.df.len() > MAX_COMMON {
            counted.df.clear();
        }
        for term in terms {
            if let Some(value) = term.df.filter(|&df| df >= COMMON) {
                counted.df.insert(term.low.clone(), Known { value, documents });
            }
        }
    }
}

// ---- terms --------------------------------------------------------------------------------------------------------

/// A term of one of the tables: all entries of its vocabulary from `low` to `high`.
struct Term {
    low: String,
    high: String,
    df: Option<u64>,
}

/// Words to stem, and pairs of letters.
fn split_terms(terms: &[String]) -> (Vec<String>, Vec<Term>) {
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
                    pairs.push(Term { low, high, df: None });
                }
            }
        }
    }
    (words, pairs)
}

// ---- tables -------------------------------------------------------------------------------------------------------

/// The statements for one of the two tables.
struct Table {
    name: &'static str,
    documents: &'static str,
    /// Lengths of about [`SAMPLE`] documents.
    sample: &'static str,
    /// `?1` JSON list of `[low, high]`.
    count: &'static str,
    /// The same.
    postings: &'static str,
    /// `?1` account, `?2` JSON list of keys, `?3` project, `?4` JSON list of kinds. One row for all, `place:id:length` in
    /// hex with commas between, because each row of its own would wake the waiting task.
    lengths: &'static str,
}

/// `?1` as rows; FTS5's vocabulary compares each of its own with them once more.
macro_rules! bounds {
    () => {
        "WITH bounds (n, low, high) AS MATERIALIZED (SELECT key, value ->> 0, value ->> 1 FROM json_each(?1)) "
    };
}

macro_rules! table {
    ($fts:literal, $vocab:literal, $instances:literal) => {
        Table {
            name: $fts,
            documents: concat!("SELECT count(*) FROM ", $fts, "_docsize"),
            sample: concat!(
                "WITH RECURSIVE ids (id, step) AS (
                     SELECT min(id), max(1, (max(id) - min(id)) / ?1) FROM ",
                $fts,
                "_docsize
                      UNION ALL
                     SELECT (SELECT d.id FROM ",
                $fts,
                "_docsize d WHERE d.id >= i.id + i.step ORDER BY d.id LIMIT 1), step FROM ids i WHERE i.id IS NOT NULL)
                 SELECT d.sz FROM ids i CROSS JOIN ",
                $fts,
                "_docsize d ON d.id = i.id"
            ),
            count: concat!(
                bounds!(),
                "SELECT coalesce((SELECT sum(v.doc) FROM ",
                $vocab,
                " v WHERE v.term >= b.low AND v.term <= b.high), 0) FROM bounds b ORDER BY b.n"
            ),
            postings: concat!(
                bounds!(),
                "SELECT (SELECT group_concat(i.doc) FROM ",
                $instances,
                " i WHERE i.term >= b.low AND i.term <= b.high) FROM bounds b ORDER BY b.n"
            ),
            lengths: concat!(
                "SELECT group_concat(j.key || ':' || hex(k.id) || ':' || hex(d.sz))
                   FROM json_each(?2) j CROSS JOIN memories k ON k.key = j.value CROSS JOIN ",
                $fts,
                "_docsize d ON d.id = j.value
                  WHERE k.account_id = ?1 AND (?3 IS NULL OR k.project_id = ?3)
                    AND (?4 = '[]' OR k.kind IN (SELECT value FROM json_each(?4)))"
            ),
        }
    };
}

const WORDS: Table = table!("recall_fts", "recall_vocab", "recall_terms");
const PAIRS: Table = table!("recall_grams", "recall_pair_vocab", "recall_pairs");

/// FTS5's variable-length integer: seven bits a byte, the highest first, the ninth byte whole. Answers what is left.
fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let mut value = 0;
    for (at, &byte) in bytes.iter().enumerate().take(9) {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        if at == 8 {
            return (value << 8 | u64::from(byte), rest);
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return (value, rest);
        }
    }
    (value, &[])
}

/// How many documents there are, and their mean length.
#[derive(Clone, Copy)]
struct Totals {
    documents: u64,
    length: f64,
}

async fn find_totals(conn: &mut SqliteConnection, table: &Table, known: &Terms) -> Result<Totals, StoreError> {
    let documents: i64 = sqlx::query_scalar(table.documents).fetch_one(&mut *conn).await?;
    let documents = documents.unsigned_abs();
    let length = known
        .counted()
        .length
        .get(table.name)
        .and_then(|known| known.now(documents));
    if let Some(length) = length {
        return Ok(Totals { documents, length });
    }
    let lengths: Vec<Vec<u8>> = sqlx::query_scalar(table.sample).bind(SAMPLE).fetch_all(conn).await?;
    let sum: u64 = lengths.iter().map(|length| varint(length).0).sum();
    let length = sum.max(1) as f64 / lengths.len().max(1) as f64;
    known.counted().length.insert(
        table.name,
        Known {
            value: length,
            documents,
        },
    );
    Ok(Totals { documents, length })
}

async fn count(conn: &mut SqliteConnection, table: &Table, terms: &mut [Term]) -> Result<(), StoreError> {
    let mut unknown: Vec<&mut Term> = terms.iter_mut().filter(|term| term.df.is_none()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let bounds: Vec<_> = unknown.iter().map(|term| (&term.low, &term.high)).collect();
    let rows = sqlx::query(table.count).bind(json(&bounds)?).fetch_all(conn).await?;
    for (term, row) in unknown.iter_mut().zip(&rows) {
        term.df = Some(Columns::new("recall_vocab", row).count("doc")?);
    }
    Ok(())
}

// ---- scores -------------------------------------------------------------------------------------------------------

/// One term in one document.
#[derive(Clone, Copy)]
struct Posting {
    key: i64,
    idf: f64,
    times: f64,
}

/// A document and all terms it holds, `from..to` in the postings.
#[derive(Clone, Copy)]
struct Candidate {
    key: i64,
    from: usize,
    to: usize,
    usual: f64,
}

/// BM25 of the terms of a document whose length is `relative` to the mean.
fn bm25(postings: &[Posting], relative: f64) -> f64 {
    let penalty = K1 * (1.0 - B + B * relative);
    postings
        .iter()
        .map(|p| p.idf * p.times * (K1 + 1.0) / (p.times + penalty))
        .sum()
}

/// How much a term weighs, as FTS5 has it.
fn idf(documents: u64, df: u64) -> f64 {
    let (n, df) = (documents as f64, df as f64);
    let idf = ((n - df + 0.5) / (df + 0.5)).ln();
    if idf > 0.0 { idf } else { 1e-6 }
}

async fn list_postings(
    conn: &mut SqliteConnection,
    table: &Table,
    terms: &[&Term],
    documents: u64,
) -> Result<Vec<Posting>, StoreError> {
    let bounds: Vec<_> = terms.iter().map(|term| (&term.low, &term.high)).collect();
    let rows = sqlx::query(table.postings).bind(json(&bounds)?).fetch_all(conn).await?;
    let mut postings: Vec<Posting> = Vec::new();
    for (term, row) in terms.iter().zip(&rows) {
        let mut c = Columns::new("recall_terms", row);
        c.named(&term.low);
        let list: Option<&str> = c.take("doc")?;
        let mut keys: Vec<i64> = Vec::new();
        for key in list.unwrap_or_default().split(',').filter(|key| !key.is_empty()) {
            keys.push(key.parse().map_err(|error| c.bad("doc", error))?);
        }
        // In order already, but for ranges of several terms.
        keys.sort_unstable();
        let idf = idf(documents, term.df.unwrap_or_default());
        postings.extend(keys.chunk_by(|a, b| a == b).filter_map(|same| {
            same.first().map(|&key| Posting {
                key,
                idf,
                times: same.len() as f64,
            })
        }));
    }
    // A stable sort makes use of the order each term's part is in.
    postings.sort_by_key(|posting| posting.key);
    Ok(postings)
}

/// The documents of the postings; the first `first` of them are the best, in their order, as if all were of the usual
/// length.
fn candidates(postings: &[Posting], first: usize) -> Vec<Candidate> {
    let mut from = 0;
    let mut all: Vec<Candidate> = postings
        .chunk_by(|a, b| a.key == b.key)
        .filter_map(|same| {
            let to = from + same.len();
            let candidate = same.first().map(|posting| Candidate {
                key: posting.key,
                from,
                to,
                usual: bm25(same, 1.0),
            });
            from = to;
            candidate
        })
        .collect();
    if first < all.len() {
        all.select_nth_unstable_by(first, best_first);
        all.truncate(first);
    }
    all.sort_unstable_by(best_first);
    all
}

fn best_first(a: &Candidate, b: &Candidate) -> Ordering {
    descending(a.usual, b.usual).then(b.key.cmp(&a.key))
}

fn descending(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}

/// What one table answered.
#[derive(Default)]
struct Answer {
    documents: u64,
    terms: Vec<LexicalTerm>,
    hits: HashMap<i64, (MemoryId, f64)>,
}

struct Asked<'a> {
    account: AccountId,
    project: Option<ProjectId>,
    kinds: String,
    limit: usize,
    known: &'a Terms,
}

impl Asked<'_> {
    fn filters(&self) -> bool {
        self.project.is_some() || self.kinds != "[]"
    }
}

async fn ask(
    conn: &mut SqliteConnection,
    table: &Table,
    mut terms: Vec<Term>,
    asked: &Asked<'_>,
) -> Result<Answer, StoreError> {
    let totals = find_totals(&mut *conn, table, asked.known).await?;
    asked.known.recollect(&mut terms, totals.documents);
    count(&mut *conn, table, &mut terms).await?;
    asked.known.remember(&terms, totals.documents);
    let mut rarest: Vec<(usize, u64)> = terms
        .iter()
        .map(|term| term.df.unwrap_or_default())
        .enumerate()
        .collect();
    rarest.sort_by_key(|&(_, df)| df);
    let mut scored = HashSet::new();
    let mut sum = 0;
    for (at, df) in rarest {
        sum += df;
        if scored.is_empty() || sum <= MAX_POSTINGS {
            scored.insert(at);
        }
    }
    let chosen: Vec<&Term> = terms
        .iter()
        .enumerate()
        .filter(|(at, term)| scored.contains(at) && term.df != Some(0))
        .map(|(_, term)| term)
        .collect();
    let mut answer = Answer {
        documents: totals.documents,
        ..Answer::default()
    };
    if !chosen.is_empty() {
        let postings = list_postings(&mut *conn, table, &chosen, totals.documents).await?;
        answer.hits = best(conn, table, &postings, totals, asked).await?;
    }
    answer.terms = terms
        .into_iter()
        .enumerate()
        .map(|(at, term)| LexicalTerm {
            text: term.low,
            df: term.df.unwrap_or_default(),
            scored: scored.contains(&at),
        })
        .collect();
    Ok(answer)
}

/// The exact scores of the best documents.
async fn best(
    conn: &mut SqliteConnection,
    table: &Table,
    postings: &[Posting],
    totals: Totals,
    asked: &Asked<'_>,
) -> Result<HashMap<i64, (MemoryId, f64)>, StoreError> {
    let chunk = CHUNK.max(asked.limit * 3);
    let all = candidates(postings, if asked.filters() { usize::MAX } else { chunk });
    let mut hits = HashMap::new();
    for chunk in all.chunks(chunk) {
        let keys: Vec<i64> = chunk.iter().map(|candidate| candidate.key).collect();
        let list: Option<String> = sqlx::query_scalar(table.lengths)
            .bind(asked.account.0)
            .bind(json(&keys)?)
            .bind(asked.project.as_ref().map(|id| blob(&id.0)))
            .bind(asked.kinds.as_str())
            .fetch_one(&mut *conn)
            .await?;
        for text in list
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .filter(|text| !text.is_empty())
        {
            let (at, id, length) = read_length(text).ok_or_else(|| StoreError::Row {
                table: "recall_fts_docsize",
                column: "sz",
                row: text.to_owned(),
                detail: "not a length".to_owned(),
            })?;
            if let Some(found) = chunk.get(at)
                && let Some(terms) = postings.get(found.from..found.to)
            {
                hits.insert(found.key, (id, bm25(terms, length as f64 / totals.length)));
            }
        }
        if hits.len() >= asked.limit {
            break;
        }
    }
    Ok(hits)
}

/// `place:id:length`.
fn read_length(text: &str) -> Option<(usize, MemoryId, u64)> {
    let mut parts = text.split(':');
    let (at, id, length) = (parts.next()?, parts.next()?, parts.next()?);
    let mut bytes = [0; 9];
    for (byte, digits) in bytes.iter_mut().zip(length.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some((at.parse().ok()?, MemoryId(Uuid::try_parse(id).ok()?), varint(&bytes).0))
}

impl Store {
    /// The documents that share most with the terms. Any text is a valid term; terms without a letter or digit find
    /// nothing.
    pub async fn find_lexical(&self, account: AccountId, query: LexicalQuery) -> Result<LexicalHits, StoreError> {
        let (words, pairs) = split_terms(&query.terms);
        let stems: Vec<Term> = self
            .terms
            .stems(&words)
            .await?
            .into_iter()
            .map(|stem| Term {
                low: stem.clone(),
                high: stem,
                df: None,
            })
            .collect();
        let kinds: Vec<&str> = query.kinds.iter().map(|kind| kind.as_str()).collect();
        let asked = Asked {
            account,
            project: query.project,
            kinds: json(&kinds)?,
            limit: query.limit.clamp(1, MAX_HITS) as usize,
            known: &self.terms,
        };
        let mut conn = self.read().await?;
        let mut answer = ask(&mut conn, &WORDS, stems, &asked).await?;
        if !pairs.is_empty() {
            let more = ask(&mut conn, &PAIRS, pairs, &asked).await?;
            answer.terms.extend(more.terms);
            for (key, (id, score)) in more.hits {
                answer.hits.entry(key).or_insert((id, 0.0)).1 += score;
            }
        }
        let mut hits: Vec<(i64, MemoryId, f64)> = answer
            .hits
            .into_iter()
            .map(|(key, (id, score))| (key, id, score))
            .collect();
        hits.sort_unstable_by(|a, b| descending(a.2, b.2).then(b.0.cmp(&a.0)));
        hits.truncate(asked.limit);
        #[expect(clippy::cast_possible_truncation, reason = "a score")]
        let hits = hits
            .into_iter()
            .map(|(key, id, score)| LexicalHit {
                id,
                key,
                bm25: score as f32,
            })
            .collect();
        let df = answer
            .terms
            .iter()
            .filter(|term| term.scored)
            .map(|term| term.df)
            .collect();
        Ok(LexicalHits {
            documents: answer.documents,
            df,
            terms: answer.terms,
            hits,
        })
    }
}

#[cfg(test)]
mod tests;
