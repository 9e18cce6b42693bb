//! The arithmetic: BM25 of documents, as FTS5 has it. Pure.

use super::terms::Term;
use std::{cmp::Ordering, collections::HashSet};

/// BM25's parameters, as FTS5 has them.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// One term in one document.
#[derive(Clone, Copy)]
pub(super) struct Posting {
    pub key: i64,
    pub idf: f64,
    pub times: f64,
}

/// A document and all terms it holds, `from..to` in the postings.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub key: i64,
    pub from: usize,
    pub to: usize,
    pub usual: f64,
}

/// BM25 of the terms of a document whose length is `relative` to the mean.
pub(super) fn bm25(postings: &[Posting], relative: f64) -> f64 {
    let penalty = K1 * (1.0 - B + B * relative);
    postings
        .iter()
        .map(|p| p.idf * p.times * (K1 + 1.0) / (p.times + penalty))
        .sum()
}

/// How much a term weighs, as FTS5 has it.
pub(super) fn idf(documents: u64, df: u64) -> f64 {
    let (n, df) = (documents as f64, df as f64);
    let idf = ((n - df + 0.5) / (df + 0.5)).ln();
    if idf > 0.0 { idf } else { 1e-6 }
}

/// One entry for each document of each term, by document.
pub(super) fn postings(terms: &[Term], scored: &HashSet<usize>, documents: u64) -> Vec<Posting> {
    let mut postings: Vec<Posting> = Vec::new();
    for (_, term) in terms.iter().enumerate().filter(|(at, _)| scored.contains(at)) {
        let idf = idf(documents, term.counts().df);
        let places = term.places.as_deref().unwrap_or_default();
        postings.extend(places.chunk_by(|a, b| a == b).filter_map(|same| {
            same.first().map(|&key| Posting {
                key,
                idf,
                times: same.len() as f64,
            })
        }));
    }
    // A stable sort makes use of the order each term's part is in.
    postings.sort_by_key(|posting| posting.key);
    postings
}

/// The documents of the postings; the first `first` of them are the best, in their order, as if all were of the usual
/// length.
pub(super) fn candidates(postings: &[Posting], first: usize) -> Vec<Candidate> {
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

pub(super) fn descending(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}
