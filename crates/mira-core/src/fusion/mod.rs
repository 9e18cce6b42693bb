//! Recall's ranking: what a message asks for ([`question`]), of which times ([`times`]), how well each candidate answers
//! ([`rank`]), which of them say the same ([`merge`]), and why one came up in words for the owner ([`why`]). Pure:
//! candidates come from the full-text documents and the vector index, and nothing here asks for more.
//!
//! Laws. Scores are absolute: BM25 over its ceiling and a cosine, so that they compare across questions and nothing
//! depends on how many candidates there are, but for the share of the session ([`weights::SESSION`]). Age lowers nothing.
//! Without an embedding the words alone are scored, on a scale of their own. Any text is a valid question, in any
//! script; the few rules about English words find nothing in other languages and do no harm there.
//!
//! What is embedded is a memory's own text: neighbours blur it, and its speaker is a bonus here. So the vector of a message
//! is the same whether it asks or is stored.
//!
//! The weights are round numbers set by hand and measured on public conversations that are no part of the project
//! (docs/BENCHMARKS.md). A search over the main ones that left each conversation out in turn did as well on the one left
//! out. Nothing is fitted or learnt.

pub mod merge;
pub mod question;
pub mod rank;
pub mod stem;
pub mod times;
pub mod why;
pub mod words;

#[cfg(test)]
mod tests;

pub use question::{Names, Question, Term};
pub use rank::{Before, Candidate, Ranked, Voice, rank};

/// What each part of a score is worth.
pub mod weights {
    /// BM25 over its ceiling.
    pub const LEXICAL: f32 = 0.65;
    /// Cosine of the embeddings.
    pub const COSINE: f32 = 0.35;
    /// BM25 over its ceiling where there is no cosine.
    pub const LEXICAL_ALONE: f32 = 0.9;
    /// The least that BM25 over its ceiling is taken for: this part of the weight of the question's words that stand in
    /// the memory's own text.
    pub const OWN_WORDS: f32 = 0.3;
    /// So many documents are thought beside those there are when words are weighed against each other, so that in a store
    /// of a few turns a word of the question that stands nowhere does not outweigh all others.
    pub const OTHER_TALK: u64 = 100;
    /// Said by, or about, somebody the question names. More would cost questions that name the wrong one.
    pub const NAMED: f32 = 0.08;
    /// Said in a month or a longer stretch of time the question names.
    pub const MONTH: f32 = 0.10;
    /// Said on one of the few days the question names.
    pub const DAYS: f32 = 0.15;
    /// Shared by a session by how near its best comes to the best of all.
    pub const SESSION: f32 = 0.10;
    /// Follows a turn that asks much the same: cosine of that turn.
    pub const ASKED_BEFORE_COSINE: f32 = 0.10;
    /// The same by words: the weight of the question's words that stand in that turn.
    pub const ASKED_BEFORE_WORDS: f32 = 0.05;
    /// Speaks of a time where the question asks for one.
    pub const TIME: f32 = 0.05;
    /// Says much: full from [`FULL_WORDS`] words that matter on.
    pub const FULLNESS: f32 = 0.05;
    /// Ends with a question, and so hardly answers one. Subtracted.
    pub const ASKS: f32 = 0.05;
    /// How many words that matter make a full turn.
    pub const FULL_WORDS: f32 = 12.0;
    /// What says less about the question than this, by words and meaning together, does not come up.
    pub const LEAST_RELEVANCE: f32 = 0.08;
    /// k1 of BM25.
    pub const K1: f32 = 1.2;
}

/// The greatest BM25 that a document can have for terms that stand in so many of `documents` documents each.
pub fn ceiling(documents: u64, df: &[u64]) -> f32 {
    df.iter().map(|&df| idf(documents, df)).sum::<f32>() * (weights::K1 + 1.0)
}

/// How much a term says that stands in `df` of `documents` documents.
pub fn idf(documents: u64, df: u64) -> f32 {
    let (documents, df) = (documents as f32, df.min(documents) as f32);
    (1.0 + (documents - df + 0.5) / (df + 0.5)).ln()
}
