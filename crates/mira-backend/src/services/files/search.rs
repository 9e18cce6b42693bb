//! Finding places in files: words and vectors side by side, put together on one scale.

use super::Files;
use mira_core::{
    fusion::words::is_stop,
    ids::{AccountId, FileId, ProjectId},
};
use mira_llm::embeddings::{Embedder, embed_within};
use mira_memory::{FileScope, FoundChunk, StoreError};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// Pieces looked at by their words.
const BY_WORDS: u32 = 200;
/// How much of vectors is read for one question, in bytes: of more, those of the newest files. A scan of so many takes
/// some milliseconds.
const VECTOR_BYTES: usize = 40 * 1024 * 1024;
/// How long an embedder may take; without it words alone answer.
const EMBEDDING: Duration = Duration::from_secs(2);
/// The most words of a question that are looked for.
const MOST_WORDS: usize = 32;
/// What words and what meaning count.
const WORDS: f64 = 0.6;
const MEANING: f64 = 0.4;
/// Pieces among which the best of each page are chosen.
const POOL: usize = 300;

/// A piece that fits.
#[derive(Debug, Clone)]
pub struct Fitting {
    /// The piece.
    pub found: FoundChunk,
    /// How well, 0 to 1.
    pub score: f64,
}

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Where {
    /// A conversation's project: its files and those in none.
    pub project: Option<ProjectId>,
    /// Only these.
    pub files: Option<Vec<FileId>>,
}

/// The words of a question as an expression of FTS5: each quoted, any of them; `None` where nothing is left.
fn expression(query: &str) -> Option<String> {
    let runs = query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|run| !run.is_empty());
    let lower: Vec<String> = runs.map(str::to_lowercase).collect();
    let telling: Vec<&String> = lower.iter().filter(|word| !is_stop(word)).collect();
    // A question of nothing but small words is still a question.
    let words = if telling.is_empty() {
        lower.iter().collect()
    } else {
        telling
    };
    let quoted: Vec<String> = words
        .into_iter()
        .take(MOST_WORDS)
        .map(|word| format!("\"{word}\""))
        .collect();
    (!quoted.is_empty()).then(|| quoted.join(" OR "))
}

impl Files {
    /// The pieces that answer a question, best first.
    pub async fn search(
        &self,
        account: AccountId,
        embedder: &dyn Embedder,
        query: &str,
        place: Where,
        count: usize,
    ) -> Result<Vec<Fitting>, StoreError> {
        let scope = FileScope {
            project: place.project,
            files: place.files,
        };
        let (words, vectors) = tokio::join!(
            self.by_words(account, &scope, query),
            self.by_vectors(account, &scope, embedder, query)
        );
        let scores = fuse(&words?, &vectors?);
        let keys: Vec<i64> = scores.iter().take(POOL).map(|(key, _)| *key).collect();
        let found = self.store().find_chunks(account, &keys).await?;
        let scored: HashMap<i64, f64> = scores.into_iter().collect();
        let fitting = found.into_iter().map(|found| Fitting {
            score: scored.get(&found.key).copied().unwrap_or_default(),
            found,
        });
        Ok(by_page(fitting.collect(), count))
    }

    async fn by_words(
        &self,
        account: AccountId,
        scope: &FileScope,
        query: &str,
    ) -> Result<Vec<(i64, f64)>, StoreError> {
        match expression(query) {
            Some(words) => {
                self.store()
                    .find_chunks_by_words(account, scope, &words, BY_WORDS)
                    .await
            }
            None => Ok(Vec::new()),
        }
    }

    async fn by_vectors(
        &self,
        account: AccountId,
        scope: &FileScope,
        embedder: &dyn Embedder,
        query: &str,
    ) -> Result<Vec<(i64, f64)>, StoreError> {
        let asked = match embed_within(embedder, vec![query.to_owned()], EMBEDDING).await {
            Ok(mut vectors) => vectors.pop(),
            Err(error) => {
                tracing::warn!(%error, "files are searched by words alone");
                None
            }
        };
        let Some(asked) = asked else { return Ok(Vec::new()) };
        let (model, dimension) = (super::reader::space(embedder), embedder.dimension());
        let most = VECTOR_BYTES / (4 * dimension.max(1));
        let vectors = self
            .store()
            .chunk_vectors(
                account,
                scope,
                &model,
                dimension,
                u32::try_from(most).unwrap_or(u32::MAX),
            )
            .await?;
        let compared = self.life().spawn_blocking(move || {
            let dot = |vector: &[f32]| vector.iter().zip(asked.iter()).map(|(a, b)| a * b).sum::<f32>();
            let scored = vectors.iter().map(|(key, vector)| (*key, f64::from(dot(vector))));
            scored.collect::<Vec<_>>()
        });
        compared.await.map_err(|_| StoreError::Closed)
    }
}

/// Both scores on the scale of the best of each, best first.
fn fuse(words: &[(i64, f64)], vectors: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let best = |scores: &[(i64, f64)]| scores.iter().map(|(_, score)| *score).fold(f64::EPSILON, f64::max);
    let (most_words, most_alike) = (best(words), best(vectors));
    let mut scores: HashMap<i64, f64> = HashMap::new();
    for (key, score) in words {
        *scores.entry(*key).or_default() += WORDS * (score / most_words).clamp(0.0, 1.0);
    }
    for (key, score) in vectors {
        *scores.entry(*key).or_default() += MEANING * (score / most_alike).clamp(0.0, 1.0);
    }
    let mut scores: Vec<(i64, f64)> = scores.into_iter().collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores
}

/// The best pieces, one of each page: its best.
fn by_page(fitting: Vec<Fitting>, count: usize) -> Vec<Fitting> {
    let mut seen = HashSet::new();
    let mut once = |fitting: &Fitting| {
        let page = fitting.found.chunk.page;
        page.is_none() || seen.insert((fitting.found.file, page))
    };
    let mut best: Vec<Fitting> = fitting.into_iter().filter(|fitting| once(fitting)).collect();
    best.truncate(count);
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expect: Option<&str>) {
        assert_eq!(expression(query).as_deref(), expect, "{query}");
    }

    #[test]
    fn any_text_is_a_query() {
        check(
            "How do I set the \"plot\" title?",
            Some("\"set\" OR \"plot\" OR \"title\""),
        );
        check("NEAR(a b) -x* AND ^", Some("\"near\" OR \"b\" OR \"x\""));
        check("the of", Some("\"the\" OR \"of\""));
        check(" ?! ", None);
    }

    #[test]
    fn both_kinds_of_hits_count() {
        let fused = fuse(&[(1, 10.0), (2, 5.0)], &[(2, 0.8), (3, 0.4), (4, -0.2)]);
        let keys: Vec<i64> = fused.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, [2, 1, 3, 4]);
        assert_eq!(fuse(&[], &[]), []);
    }
}
