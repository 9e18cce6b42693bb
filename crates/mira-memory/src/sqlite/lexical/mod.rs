//! What recall asks of `recall_fts` and `recall_grams`: the documents that share most with a few terms, by BM25.
//!
//! Law: any text is a valid term. A term that holds letters of scripts written without spaces is asked as its pairs of
//! letters, the others as the stems FTS5 makes of them; each of these is one [`LexicalTerm`], scored on one table only,
//! so that the scores of both tables add up.
//!
//! FTS5's own `bm25()` takes almost two microseconds a document, for every document of every term. Here the lists of
//! documents are read from FTS5's vocabulary (a twentieth of that) and scored in this file, with the same formula.
//! (FTS5 also counts a contentless document again each time it is rewritten, so that its totals drift.)
//!
//! A question has a budget of [`MAX_INSTANCES`] places at which its terms stand; a place costs about 0.4 microseconds.
//! Where its terms stand at more, the most common ones, which weigh least, are counted but not scored; so is a common
//! term that stands in more than half of the documents, whose weight is next to nothing, as long as the others find
//! enough. Where no term is left, the documents that hold the rarest one say little about the question by that, and are
//! not told apart: the newest of them are the hits, all with the score of a document of the usual length that holds it
//! once. A store of some thousand documents gets there only by saying the same over and over.

mod scores;
mod tables;
mod terms;

use super::{
    Store,
    error::StoreError,
    messages::json,
    rows::{blob, int},
};
use mira_core::{
    ids::{AccountId, MemoryId, ProjectId},
    memory::MemoryKind,
};
use scores::{Candidate, Posting, bm25, candidates, descending, idf, postings};
use sqlx::SqliteConnection;
use std::collections::HashMap;
use tables::{
    OWNED, PAIRS, Table, Totals, WORDS, bad, count_documents, keys, read_length, read_rest, read_terms, read_varint,
    split,
};
pub(super) use terms::Terms;
use terms::{Everywhere, Term, split_terms, within_budget};
use uuid::Uuid;

/// The most hits.
const MAX_HITS: u32 = 1000;
/// Documents whose lengths are looked up at once, in the order of what they score at the usual length. Twice as many as
/// are wanted make the order exact but for documents of unusual length at its end.
const CHUNK: usize = 400;

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
    if terms.is_empty() {
        let documents = count_documents(conn, table, asked.known).await?;
        return Ok(Answer {
            documents,
            ..Answer::default()
        });
    }
    let totals = read_terms(&mut *conn, table, &mut terms, asked.known).await?;
    let mut scored = within_budget(&terms, totals.documents, Everywhere::Not);
    let hits = if scored.is_empty() {
        let rarest = terms.iter().enumerate().min_by_key(|(_, term)| term.counts().df);
        match rarest {
            Some((at, term)) => {
                scored.insert(at);
                newest(conn, table, term, totals, asked).await?
            }
            None => HashMap::new(),
        }
    } else {
        let mut found = postings(&terms, &scored, totals.documents);
        if found.chunk_by(|a, b| a.key == b.key).count() < asked.limit {
            scored = within_budget(&terms, totals.documents, Everywhere::Too);
            read_rest(&mut *conn, table, &mut terms, &scored).await?;
            found = postings(&terms, &scored, totals.documents);
        }
        best(conn, table, &found, totals, asked).await?
    };
    let term = |(at, term): (usize, &Term)| LexicalTerm {
        text: term.low.clone(),
        df: term.counts().df,
        scored: scored.contains(&at),
    };
    Ok(Answer {
        documents: totals.documents,
        terms: terms.iter().enumerate().map(term).collect(),
        hits,
    })
}

/// The exact scores of the best documents.
async fn best(
    conn: &mut SqliteConnection,
    table: &Table,
    postings: &[Posting],
    totals: Totals,
    asked: &Asked<'_>,
) -> Result<HashMap<i64, (MemoryId, f64)>, StoreError> {
    let chunk = CHUNK.max(asked.limit * 2);
    let all = candidates(postings, if asked.filters() { usize::MAX } else { chunk });
    let score = |found: &Candidate, length: u64| {
        let terms = postings.get(found.from..found.to).unwrap_or_default();
        bm25(terms, length as f64 / totals.length)
    };
    if !asked.filters() && all.len() > asked.limit {
        let keys: Vec<i64> = all.iter().map(|candidate| candidate.key).collect();
        let list: Option<String> = sqlx::query_scalar(table.lengths)
            .bind(json(&keys)?)
            .fetch_one(&mut *conn)
            .await?;
        let mut scored = Vec::with_capacity(all.len());
        for text in split(list.as_deref(), ',') {
            let read = || {
                let (at, length) = text.split_once(':')?;
                Some((all.get(at.parse::<usize>().ok()?)?, read_varint(length)?))
            };
            let (found, length) = read().ok_or_else(|| bad(table, text))?;
            scored.push((found.key, score(found, length)));
        }
        scored.sort_unstable_by(|a, b| descending(a.1, b.1).then(b.0.cmp(&a.0)));
        return owned(conn, table, &scored, asked).await;
    }
    let mut hits = HashMap::new();
    for chunk in all.chunks(chunk) {
        let keys: Vec<i64> = chunk.iter().map(|candidate| candidate.key).collect();
        let list: Option<String> = sqlx::query_scalar(table.wanted)
            .bind(asked.account.0)
            .bind(json(&keys)?)
            .bind(asked.project.as_ref().map(|id| blob(&id.0)))
            .bind(asked.kinds.as_str())
            .fetch_one(&mut *conn)
            .await?;
        for text in split(list.as_deref(), ',') {
            let (at, id, length) = read_length(text).ok_or_else(|| bad(table, text))?;
            if let Some(found) = chunk.get(at) {
                hits.insert(found.key, (id, score(found, length)));
            }
        }
        if hits.len() >= asked.limit {
            break;
        }
    }
    Ok(hits)
}

/// The first of the documents that are the account's, as many as are wanted.
async fn owned(
    conn: &mut SqliteConnection,
    table: &Table,
    scored: &[(i64, f64)],
    asked: &Asked<'_>,
) -> Result<HashMap<i64, (MemoryId, f64)>, StoreError> {
    let mut hits = HashMap::new();
    for some in scored.chunks(asked.limit) {
        let keys: Vec<i64> = some.iter().map(|(key, _)| *key).collect();
        let list: Option<String> = sqlx::query_scalar(OWNED)
            .bind(asked.account.0)
            .bind(json(&keys)?)
            .fetch_one(&mut *conn)
            .await?;
        for text in split(list.as_deref(), ',') {
            let read = || {
                let (at, id) = text.split_once(':')?;
                let &(key, score) = some.get(at.parse::<usize>().ok()?)?;
                Some((key, MemoryId(Uuid::try_parse(id).ok()?), score))
            };
            let (key, id, score) = read().ok_or_else(|| bad(table, text))?;
            hits.insert(key, (id, score));
        }
        if hits.len() >= asked.limit {
            break;
        }
    }
    Ok(hits)
}

/// The newest documents that hold a term too common to tell them apart.
async fn newest(
    conn: &mut SqliteConnection,
    table: &Table,
    term: &Term,
    totals: Totals,
    asked: &Asked<'_>,
) -> Result<HashMap<i64, (MemoryId, f64)>, StoreError> {
    // Of those that are filtered any may be wanted.
    let most = if asked.filters() { -1 } else { int(asked.limit as u64) };
    let list: Option<String> = sqlx::query_scalar(table.newest)
        .bind(format!("\"{}\"", term.word.replace('"', "\"\"")))
        .bind(most)
        .fetch_one(&mut *conn)
        .await?;
    let keys = keys(table, list.as_deref().unwrap_or_default())?;
    let idf = idf(totals.documents, term.counts().df);
    if asked.filters() {
        let postings = keys.iter().rev().map(|&key| Posting { key, idf, times: 1.0 });
        return best(conn, table, &postings.collect::<Vec<_>>(), totals, asked).await;
    }
    let once = Posting {
        key: 0,
        idf,
        times: 1.0,
    };
    let scored: Vec<(i64, f64)> = keys.into_iter().map(|key| (key, bm25(&[once], 1.0))).collect();
    owned(conn, table, &scored, asked).await
}

impl Store {
    /// The documents that share most with the terms. Any text is a valid term; terms without a letter or digit find
    /// nothing.
    pub async fn find_lexical(&self, account: AccountId, query: LexicalQuery) -> Result<LexicalHits, StoreError> {
        let (words, pairs) = split_terms(&query.terms);
        let stems = self.terms.stems(&words).await?;
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
