//! The order of what was found: which pieces are worth reading, and which pages answer best. Pure.
//!
//! Each kind of evidence orders the pages by itself, and what counts is the places a page has there: bm25, cosines and
//! likenesses know no common scale, and a page far ahead by one kind may be off the question by all others. It is the
//! reciprocal rank fusion of Cormack, Clarke and Buettcher (2009), without weights between the kinds. A page is as good as
//! its pieces together: one may hold the words and the next their meaning. It is shown by its best piece.
//!
//! How that was measured is told in docs/BENCHMARKS.md.

use super::{passages::Saying, search::Fitting};
use mira_core::ids::FileId;
use mira_memory::{FoundChunk, WordHit};
use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet, hash_map::Entry},
};

/// What words and meaning weigh where it is chosen what is read.
const WORDS: f64 = 0.5;
const MEANING: f64 = 0.6;
/// How slowly places lose: the tenth counts for two thirds of the first.
const SLOWLY: f64 = 20.0;
/// What the words on the pages before and after weigh, beside the first place by one kind.
const BESIDE: f64 = 0.25;
/// Pieces that are read: the right page is hardly ever beyond them.
pub(super) const POOL: usize = 120;

/// The best of everything that was found.
#[derive(Debug)]
pub(super) struct Pool {
    words: HashMap<i64, f64>,
    meaning: HashMap<i64, f64>,
    /// The words of each page, as well as its best piece has them.
    pages: HashMap<(FileId, u32), f64>,
    best: Vec<i64>,
}

/// The best of some scores, for others to be measured by.
fn most(scores: impl Iterator<Item = f64>) -> f64 {
    scores.fold(f64::EPSILON, f64::max)
}

fn by_score(a: &(i64, f64), b: &(i64, f64)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

impl Pool {
    /// Puts together what was found by words and by meaning.
    pub(super) fn new(by_words: Vec<WordHit>, by_meaning: Vec<(i64, f32)>) -> Self {
        let most_words = most(by_words.iter().map(|hit| hit.score));
        let most_alike = most(by_meaning.iter().map(|(_, cosine)| f64::from(*cosine)));
        let mut pages = HashMap::new();
        let mut words = HashMap::with_capacity(by_words.len());
        for hit in by_words {
            let score = (hit.score / most_words).clamp(0.0, 1.0);
            words.insert(hit.key, score);
            if let Some(page) = hit.page {
                let page = pages.entry((hit.file, page)).or_insert(0.0);
                *page = score.max(*page);
            }
        }
        let alike = |cosine: f32| (f64::from(cosine) / most_alike).clamp(0.0, 1.0);
        let compared: HashSet<i64> = by_meaning.iter().map(|(key, _)| *key).collect();
        let by_both = by_meaning.iter().map(|(key, cosine)| {
            let words = words.get(key).copied().unwrap_or_default();
            (*key, WORDS * words + MEANING * alike(*cosine))
        });
        let alone = words.iter().filter(|(key, _)| !compared.contains(key));
        let mut scores: Vec<(i64, f64)> = by_both
            .chain(alone.map(|(key, words)| (*key, WORDS * words)))
            .filter(|(_, score)| *score > 0.0)
            .collect();
        if scores.len() > POOL {
            scores.select_nth_unstable_by(POOL, by_score);
            scores.truncate(POOL);
        }
        scores.sort_unstable_by(by_score);
        let best: Vec<i64> = scores.into_iter().map(|(key, _)| key).collect();
        let kept: HashSet<i64> = best.iter().copied().collect();
        let meaning = by_meaning.into_iter().filter(|(key, _)| kept.contains(key));
        Self {
            words,
            meaning: meaning.map(|(key, cosine)| (key, alike(cosine))).collect(),
            pages,
            best,
        }
    }

    /// The keys of the pieces to read, best first.
    pub(super) fn best(&self) -> &[i64] {
        &self.best
    }

    /// How well the pages before and after a piece's have the words.
    fn beside(&self, found: &FoundChunk) -> f64 {
        let Some(page) = found.chunk.page else { return 0.0 };
        let of = |page: Option<u32>| page.and_then(|page| self.pages.get(&(found.file, page)));
        let both = [of(page.checked_sub(1)), of(page.checked_add(1))];
        both.into_iter().flatten().sum::<f64>() / 2.0
    }
}

/// What speaks for a piece or a page, each 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
struct Evidence {
    words: f64,
    meaning: f64,
    whole: f64,
    passage: f64,
    beside: f64,
}

impl Evidence {
    /// Both together, the better of each kind.
    fn with(self, other: Self) -> Self {
        Self {
            words: self.words.max(other.words),
            meaning: self.meaning.max(other.meaning),
            whole: self.whole.max(other.whole),
            passage: self.passage.max(other.passage),
            beside: self.beside.max(other.beside),
        }
    }

    /// Of one piece among those of its page.
    fn sum(self) -> f64 {
        self.words + self.meaning + self.whole + self.passage
    }
}

/// The kinds that order pages.
const KINDS: [fn(&Evidence) -> f64; 4] = [
    |evidence| evidence.words,
    |evidence| evidence.meaning,
    |evidence| evidence.whole,
    |evidence| evidence.passage,
];

/// What shows one result.
#[derive(Debug)]
struct Place {
    all: Evidence,
    best: FoundChunk,
    of_best: f64,
}

/// One piece of each page, that of the best page first. `said` is empty where nothing is known of it, else one for each
/// piece.
pub(super) fn in_order(pool: &Pool, found: Vec<FoundChunk>, said: Vec<Saying>, count: usize) -> Vec<Fitting> {
    let places = places(pool, found, said);
    let mut most = BESIDE;
    let mut scores: Vec<f64> = places.iter().map(|place| BESIDE * place.all.beside).collect();
    for kind in KINDS {
        let of_kind = places.iter().map(|place| kind(&place.all));
        let mut ordered: Vec<f64> = of_kind.clone().filter(|value| *value > 0.0).collect();
        ordered.sort_unstable_by(|a, b| b.total_cmp(a));
        most += f64::from(u8::from(!ordered.is_empty()));
        for (value, score) in of_kind.zip(&mut scores).filter(|(value, _)| *value > 0.0) {
            // As good is as far ahead.
            let better = ordered.partition_point(|other| *other > value);
            *score += SLOWLY / (SLOWLY + better as f64);
        }
    }
    let fitting = places.into_iter().zip(scores).map(|(place, score)| Fitting {
        score: (score / most).clamp(0.0, 1.0),
        found: place.best,
    });
    let mut fitting: Vec<Fitting> = fitting.collect();
    fitting.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.found.key.cmp(&b.found.key)));
    fitting.truncate(count);
    fitting
}

/// One order out of those that several wordings of a question gave: again places count, so that what several of them find
/// comes first. Of a page that is shown by one piece here and another there it is the better placed.
pub(super) fn together(orders: Vec<Vec<Fitting>>, count: usize) -> Vec<Fitting> {
    let most = orders.len() as f64;
    let mut at: HashMap<(FileId, Option<u32>, i64), usize> = HashMap::new();
    let mut all: Vec<(Fitting, f64, usize)> = Vec::new();
    for order in orders {
        for (place, fitting) in order.into_iter().enumerate() {
            let page = fitting.found.chunk.page;
            // A piece without a page stands for itself.
            let own = page.map_or(fitting.found.key, |_| 0);
            let score = SLOWLY / (SLOWLY + place as f64) / most;
            match at.entry((fitting.found.file, page, own)) {
                Entry::Vacant(slot) => {
                    slot.insert(all.len());
                    all.push((fitting, score, place));
                }
                Entry::Occupied(slot) => {
                    let Some((best, sum, first)) = all.get_mut(*slot.get()) else {
                        continue;
                    };
                    *sum += score;
                    if place < *first {
                        (*best, *first) = (fitting, place);
                    }
                }
            }
        }
    }
    let fitting = all.into_iter().map(|(fitting, score, _)| Fitting { score, ..fitting });
    let mut fitting: Vec<Fitting> = fitting.collect();
    // As good: the one of the earlier wording.
    fitting.sort_by(|a, b| b.score.total_cmp(&a.score));
    fitting.truncate(count);
    fitting
}

/// Pieces put together by pages; a piece without a page stands for itself.
fn places(pool: &Pool, found: Vec<FoundChunk>, said: Vec<Saying>) -> Vec<Place> {
    let most_whole = most(said.iter().map(|said| f64::from(said.whole)));
    let most_passage = most(said.iter().map(|said| f64::from(said.passage)));
    let said = said.into_iter().chain(std::iter::repeat(Saying::default()));
    let mut places: Vec<Place> = Vec::new();
    let mut of_page: HashMap<(FileId, u32), usize> = HashMap::new();
    for (found, said) in found.into_iter().zip(said) {
        let own = Evidence {
            words: pool.words.get(&found.key).copied().unwrap_or_default(),
            meaning: pool.meaning.get(&found.key).copied().unwrap_or_default(),
            whole: f64::from(said.whole) / most_whole,
            passage: f64::from(said.passage) / most_passage,
            beside: pool.beside(&found),
        };
        let known = found.chunk.page.and_then(|page| of_page.get(&(found.file, page)));
        if let Some(place) = known.and_then(|at| places.get_mut(*at)) {
            place.all = place.all.with(own);
            if own.sum() > place.of_best {
                (place.best, place.of_best) = (found, own.sum());
            }
            continue;
        }
        if let Some(page) = found.chunk.page {
            of_page.insert((found.file, page), places.len());
        }
        places.push(Place {
            all: own,
            best: found,
            of_best: own.sum(),
        });
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use mira_memory::FileChunk;
    use uuid::Uuid;

    fn hit(key: i64, page: u32, score: f64) -> WordHit {
        WordHit {
            key,
            file: FileId(Uuid::nil()),
            page: Some(page),
            score,
        }
    }

    fn found(key: i64, page: Option<u32>) -> FoundChunk {
        FoundChunk {
            key,
            file: FileId(Uuid::nil()),
            name: String::new(),
            chunk: FileChunk {
                page,
                lines: None,
                heading: String::new(),
                text: String::new(),
            },
        }
    }

    fn saying(whole: f32, passage: f32) -> Saying {
        Saying { whole, passage }
    }

    fn check(pool: &Pool, chunks: &[(i64, Option<u32>)], said: Vec<Saying>, expect: &[i64]) {
        let chunks = chunks.iter().map(|(key, page)| found(*key, *page)).collect();
        let ordered = in_order(pool, chunks, said, 10);
        let keys: Vec<i64> = ordered.iter().map(|fitting| fitting.found.key).collect();
        assert_eq!(keys, expect);
        assert!(ordered.iter().all(|fitting| (0.0..=1.0).contains(&fitting.score)));
    }

    #[test]
    fn both_kinds_of_hits_are_read() {
        let pool = Pool::new(
            vec![hit(1, 1, 10.0), hit(2, 2, 5.0)],
            vec![(2, 0.8), (3, 0.4), (4, -0.2)],
        );
        assert_eq!(pool.best(), [2, 1, 3]);
        assert_eq!(Pool::new(Vec::new(), Vec::new()).best(), [0_i64; 0]);
        let many = Pool::new(
            Vec::new(),
            (0..1000_u16).map(|n| (i64::from(n), f32::from(n))).collect(),
        );
        assert_eq!((many.best().len(), many.best().first()), (POOL, Some(&999)));
    }

    #[test]
    fn a_page_is_its_pieces_together() {
        // Page 7 has in two pieces a little more of both than page 9 has in one.
        let pool = Pool::new(
            vec![hit(1, 7, 10.0), hit(3, 9, 8.0), hit(4, 4, 1.0)],
            vec![(2, 0.9), (3, 0.7), (4, 0.1)],
        );
        let chunks = [(1, Some(7)), (2, Some(7)), (3, Some(9)), (4, Some(4))];
        check(&pool, &chunks, Vec::new(), &[1, 3, 4]);
        // Where there are no pages, each piece speaks for itself.
        check(&pool, &[(1, None), (2, None), (3, None)], Vec::new(), &[3, 1, 2]);
    }

    #[test]
    fn what_is_said_close_together_counts() {
        let pool = Pool::new(vec![hit(1, 1, 5.0), hit(2, 5, 5.0)], Vec::new());
        let chunks = [(1, Some(1)), (2, Some(5))];
        check(&pool, &chunks, Vec::new(), &[1, 2]);
        check(&pool, &chunks, vec![saying(0.9, 0.3), saying(0.9, 0.6)], &[2, 1]);
    }

    #[test]
    fn a_page_among_pages_with_the_words_comes_first() {
        let pool = Pool::new(vec![hit(1, 1, 5.0), hit(2, 5, 5.0), hit(3, 6, 4.0)], Vec::new());
        check(
            &pool,
            &[(1, Some(1)), (2, Some(5)), (3, Some(6))],
            Vec::new(),
            &[2, 3, 1],
        );
    }

    #[test]
    fn what_several_wordings_find_comes_first() {
        let order = |pieces: &[(i64, Option<u32>)]| -> Vec<Fitting> {
            let fitting = pieces.iter().map(|(key, page)| Fitting {
                found: found(*key, *page),
                score: 0.5,
            });
            fitting.collect()
        };
        let orders = || {
            vec![
                order(&[(1, Some(1)), (2, Some(2)), (7, None)]),
                order(&[(3, Some(3)), (4, Some(2)), (8, None)]),
                order(&[(5, Some(5)), (6, Some(6)), (7, None)]),
            ]
        };
        let keys = |fitting: &[Fitting]| fitting.iter().map(|it| it.found.key).collect::<Vec<_>>();
        let all = together(orders(), 9);
        // Page 2 twice, by its better placed piece; the piece without a page twice; the others once.
        assert_eq!(keys(&all), [2, 7, 1, 3, 5, 6, 8]);
        assert!(all.iter().all(|fitting| (0.0..=1.0).contains(&fitting.score)));
        assert_eq!(keys(&together(orders(), 2)), [2, 7]);
        assert_eq!(keys(&together(Vec::new(), 2)), [0_i64; 0]);
        let alone = together(vec![order(&[(1, None)])], 2);
        assert!((alone[0].score - 1.0).abs() < 1e-9, "{alone:?}");
    }

    #[test]
    fn no_kind_of_evidence_outweighs_the_others() {
        // Far ahead by its words, and last by their meaning.
        let pool = Pool::new(
            vec![hit(1, 1, 100.0), hit(2, 5, 10.0), hit(3, 9, 9.0)],
            vec![(1, 0.1), (2, 0.9), (3, 0.8)],
        );
        let chunks = [(1, Some(1)), (2, Some(5)), (3, Some(9))];
        check(&pool, &chunks, Vec::new(), &[2, 1, 3]);
    }
}
