//! Finding places in files: pieces are found by their words and by their meaning, and the best of them are read and put in
//! order ([`rank`](super::rank)).

use super::{
    Files,
    passages::{self, Likeness, Saying},
    rank::{self, POOL, Pool},
    reader::space,
};
use futures_util::future::try_join_all;
use mira_core::{
    fusion::words::{is_stop, words},
    ids::{AccountId, FileId, ProjectId},
};
use mira_llm::embeddings::{EmbedError, Embedder, Vector, embed_within};
use mira_memory::{FileScope, FoundChunk, StoreError, WordCounts, WordHit};
use std::{collections::HashSet, time::Duration};

/// Pieces looked at by their words.
const BY_WORDS: u32 = 300;
/// How long an embedder may take; without it words alone answer.
const EMBEDDING: Duration = Duration::from_secs(2);
/// The most words of a question that are looked for.
const MOST_WORDS: usize = 32;
/// The longest option that says little by itself, in characters.
const SHORT: usize = 2;
/// The most words of a name.
const MOST_PARTS: usize = 6;
/// The most a rare word weighs: as one in three thousand pieces.
const MOST_WEIGHT: f32 = 8.0;

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

/// A word of a question, or a name that is made of several.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Telling {
    /// In lower case; the words of a name with a space between them.
    pub word: String,
    /// How much it tells: the rarer, the more.
    pub weight: f32,
    /// What it means, where words are known one by one.
    pub vector: Option<Vector>,
}

/// The words of a question that are looked for, each once, and before them the names among them.
fn telling(query: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let all: Vec<String> = words(query).filter(|word| seen.insert(word.clone())).collect();
    let telling: Vec<String> = all.iter().filter(|word| !is_stop(word)).cloned().collect();
    // A question of nothing but small words is still a question.
    let words = if telling.is_empty() { all } else { telling };
    let names = names(query).into_iter().filter(|name| seen.insert(name.clone()));
    // Many names leave room for words.
    let mut words: Vec<String> = names.take(MOST_WORDS / 2).chain(words).collect();
    words.truncate(MOST_WORDS);
    words
}

/// What is one name though it is several words, since nothing but a mark stands between them (`as.character`,
/// `read-only`, `debian/changelog`); and a short option with what it is an option of (`set -x`).
fn names(query: &str) -> Vec<String> {
    let joins = |c: char| matches!(c, '.' | '_' | '-' | '/' | ':' | '\\' | '@' | '>');
    // "e.g." and "and/or" are no names.
    let tells = |part: &String| part.chars().nth(1).is_some() && !is_stop(part);
    let mut names = Vec::new();
    let mut before = None;
    for token in query.split_whitespace() {
        let option = token.starts_with('-');
        let token = token.trim_matches(|c: char| !c.is_alphanumeric());
        let parts: Vec<String> = words(token).collect();
        let joined = token.chars().all(|c| c.is_alphanumeric() || joins(c));
        match parts.as_slice() {
            [short] if option && short.chars().count() <= SHORT => {
                names.extend(before.map(|before: String| format!("{before} {short}")));
            }
            [_, _, ..] if joined && parts.len() <= MOST_PARTS && parts.iter().any(tells) => {
                names.push(parts.join(" "));
            }
            _ => {}
        }
        before = parts.into_iter().next_back();
    }
    names
}

/// A word, or the words of a name in a row, as FTS5 takes it: never more than that.
fn quoted(word: &str) -> String {
    format!("\"{word}\"")
}

/// Whether it is more than a word.
pub(super) fn is_name(word: &str) -> bool {
    word.contains(' ')
}

/// How much words tell, by how common they are.
fn weights(counts: &WordCounts) -> impl Iterator<Item = f32> {
    let of = counts.of as f32;
    let weight = move |pieces: &u64| (of / (1.0 + *pieces as f32)).ln_1p().min(MOST_WEIGHT);
    counts.pieces.iter().map(weight)
}

/// The middle of what the words of a question mean, each by its weight.
fn middle(words: &[Telling]) -> Option<Vector> {
    let mut sum: Vec<f32> = Vec::new();
    for word in words {
        let Some(vector) = &word.vector else { continue };
        sum.resize(vector.len(), 0.0);
        for (sum, x) in sum.iter_mut().zip(vector.iter()) {
            *sum += word.weight * x;
        }
    }
    sum.iter().any(|x| *x != 0.0).then(|| sum.into())
}

impl Files {
    /// The pieces that answer a question, best first, one of each page; it may be worded in several ways.
    pub async fn search(
        &self,
        account: AccountId,
        embedder: &dyn Embedder,
        wordings: &[String],
        place: Where,
        count: usize,
    ) -> Result<Vec<Fitting>, StoreError> {
        let scope = FileScope {
            project: place.project,
            files: place.files,
        };
        if let [one] = wordings {
            return self.search_one(account, embedder, one, &scope, count).await;
        }
        let asked = wordings
            .iter()
            .map(|wording| self.search_one(account, embedder, wording, &scope, POOL));
        Ok(rank::together(try_join_all(asked).await?, count))
    }

    /// For one wording.
    async fn search_one(
        &self,
        account: AccountId,
        embedder: &dyn Embedder,
        query: &str,
        scope: &FileScope,
        count: usize,
    ) -> Result<Vec<Fitting>, StoreError> {
        let words = telling(query);
        let (by_words, by_meaning) = tokio::join!(
            self.by_words(account, scope, &words),
            self.by_meaning(account, scope, embedder, query, &words)
        );
        let (words, by_meaning) = by_meaning?;
        let pool = Pool::new(by_words?, by_meaning);
        let found = self.store().find_chunks(account, pool.best()).await?;
        let (found, said) = self.read_pieces(embedder, words, found).await?;
        Ok(rank::in_order(&pool, found, said, count))
    }

    async fn by_words(
        &self,
        account: AccountId,
        scope: &FileScope,
        words: &[String],
    ) -> Result<Vec<WordHit>, StoreError> {
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        self.store()
            .find_chunks_by_words(account, scope, &quoted.join(" OR "), BY_WORDS)
            .await
    }

    /// What the question's words tell and mean, and how near each piece comes to their meaning. A model that reads whole
    /// sentences gets the whole question; a table of words is asked word by word, so that the rare ones count.
    async fn by_meaning(
        &self,
        account: AccountId,
        scope: &FileScope,
        embedder: &dyn Embedder,
        query: &str,
        words: &[String],
    ) -> Result<(Vec<Telling>, Vec<(i64, f32)>), StoreError> {
        let (telling, asked) = if embedder.is_local() {
            let telling = self.weighed(embedder, words).await?;
            let asked = middle(&telling);
            (telling, asked)
        } else {
            let vectors = embedded(embedder, vec![query.to_owned()]).await;
            (Vec::new(), vectors.and_then(|mut vectors| vectors.pop()))
        };
        let by_meaning = match asked {
            Some(asked) => {
                self.store()
                    .compare_chunks(account, scope, &space(embedder), asked)
                    .await?
            }
            None => Vec::new(),
        };
        Ok((telling, by_meaning))
    }

    /// How much words tell and what each means.
    async fn weighed(&self, embedder: &dyn Embedder, words: &[String]) -> Result<Vec<Telling>, StoreError> {
        let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let counts = self.store().count_word_chunks(&quoted).await?;
        // What a name means is not what its words do.
        let single: Vec<String> = words.iter().filter(|word| !is_name(word)).cloned().collect();
        let mut vectors = self.words().of(embedder, &single).await.unwrap_or_default().into_iter();
        let weighed = words.iter().zip(weights(&counts)).zip(&counts.pieces);
        let telling = weighed.filter_map(|((word, weight), pieces)| {
            let vector = if is_name(word) { None } else { vectors.next() };
            let is_known = *pieces > 0 || !is_name(word);
            is_known.then(|| Telling {
                word: word.clone(),
                weight,
                vector,
            })
        });
        Ok(telling.collect())
    }

    /// How much of the question each piece says, in its words or in others near to them; nothing is known of that where the
    /// words have no meaning one by one.
    async fn read_pieces(
        &self,
        embedder: &dyn Embedder,
        words: Vec<Telling>,
        found: Vec<FoundChunk>,
    ) -> Result<(Vec<FoundChunk>, Vec<Saying>), StoreError> {
        if words.iter().all(|word| word.vector.is_none()) {
            return Ok((found, Vec::new()));
        }
        let reading = self.life().spawn_blocking(move || {
            let texts = passages::Texts::of(&words, found.iter().map(|found| &found.chunk));
            (words, found, texts)
        });
        let (words, found, texts) = reading.await.map_err(|_| StoreError::Closed)?;
        let Some(vectors) = self.words().of(embedder, texts.words()).await else {
            return Ok((found, Vec::new()));
        };
        let comparing = self.life().spawn_blocking(move || {
            let likeness = Likeness::of(&words, &texts, &vectors);
            texts.pieces().map(|piece| likeness.said(piece)).collect()
        });
        let said = comparing.await.map_err(|_| StoreError::Closed)?;
        Ok((found, said))
    }
}

/// Vectors of texts; `None` where the embedder fails, and words alone answer.
pub(super) async fn embedded(embedder: &dyn Embedder, texts: Vec<String>) -> Option<Vec<Vector>> {
    let made: Result<Vec<Vector>, EmbedError> = embed_within(embedder, texts, EMBEDDING).await;
    made.inspect_err(|error| tracing::warn!(%error, "files are searched by words alone"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expect: &[&str]) {
        assert_eq!(telling(query), expect, "{query}");
    }

    #[test]
    fn any_text_is_a_query() {
        check("How do I set the \"plot\" title, the title?", &["set", "plot", "title"]);
        check("NEAR(a b) -x* AND ^", &["b x", "near", "b", "x"]);
        check("the of", &["the", "of"]);
        check(" ?! ", &[]);
        let many: Vec<String> = (0..99).map(|n| format!("w{n}")).collect();
        assert_eq!(
            telling(&many.join(" ")),
            many.iter().take(MOST_WORDS).cloned().collect::<Vec<_>>()
        );
    }

    #[test]
    fn names_are_looked_for_as_they_stand() {
        check("Does as.character() do that?", &["as character", "character"]);
        check("git http-fetch", &["http fetch", "git", "http", "fetch"]);
        check(
            "the output of set -x, bash -c",
            &["set x", "bash c", "output", "set", "x", "bash", "c"],
        );
        check(
            "pass --force-with-lease to it",
            &["force with lease", "pass", "force", "lease"],
        );
        check("in debian/changelog.", &["debian changelog", "debian", "changelog"]);
        let many: Vec<String> = (0..99).map(|n| format!("lib{n}-dev")).collect();
        let words = telling(&many.join(" "));
        assert_eq!(
            (words.len(), words.iter().filter(|word| is_name(word)).count()),
            (MOST_WORDS, MOST_WORDS / 2)
        );
        for plain in [
            "e.g. and/or, i.e.",
            "it's new (really) - \"so\"",
            "one,two;three",
            "a.b.c.d.e.f.g",
            "-x",
        ] {
            assert_eq!(names(plain), Vec::<String>::new(), "{plain}");
        }
    }

    #[test]
    fn rare_words_tell_more() {
        let of = |pieces: Vec<u64>, of| weights(&WordCounts { pieces, of }).collect::<Vec<f32>>();
        let weights = of(vec![0, 9, 500, 999], 1000);
        assert!(weights.is_sorted_by(|a, b| a > b), "{weights:?}");
        assert_eq!(of(vec![0], 0), [0.0]);
        assert_eq!(of(vec![0], u64::MAX), [MOST_WEIGHT]);
    }

    #[test]
    fn the_middle_leans_to_what_tells() {
        let word = |weight, vector: Option<[f32; 2]>| Telling {
            word: String::new(),
            weight,
            vector: vector.map(|vector| vector.to_vec().into()),
        };
        let words = [
            word(2.0, Some([1.0, 0.0])),
            word(0.5, Some([0.0, 1.0])),
            word(9.0, None),
        ];
        assert_eq!(&*middle(&words).unwrap(), [2.0, 0.5]);
        assert_eq!(middle(&[word(9.0, None)]), None);
        assert_eq!(middle(&[word(9.0, Some([0.0, 0.0]))]), None);
    }
}
