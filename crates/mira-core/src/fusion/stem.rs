//! Porter's stemmer (M. F. Porter, An algorithm for suffix stripping, 1980), as FTS5's tokenizer `porter` does it, so that
//! a word here and a term there are the same.

/// Words longer than this stay as they are.
const MAX_BYTES: usize = 63;

/// The stem of a lower-case word. Words with other letters than a to z and digits stay as they are.
pub fn stem(word: &str) -> String {
    let plain = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !plain || word.len() < 3 || word.len() > MAX_BYTES {
        return word.to_owned();
    }
    let mut stem = Stem(word.to_owned());
    stem.plurals();
    stem.past();
    if stem.before("y").is_some_and(has_vowel) {
        stem.drop(1);
        stem.0.push('i');
    }
    stem.swap(STEP_2, |rest| measure(rest) > 0);
    stem.swap(STEP_3, |rest| measure(rest) > 0);
    stem.swap(STEP_4, |rest| measure(rest) > 1);
    stem.last_letters();
    stem.0
}

/// Endings and what stands for them. Of those that fit, the longest counts, whether its condition holds or not.
type Endings = &'static [(&'static str, &'static str)];

const STEP_2: Endings = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("logi", "log"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
];

const STEP_3: Endings = &[
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

const STEP_4: Endings = &[
    ("al", ""),
    ("ance", ""),
    ("ence", ""),
    ("er", ""),
    ("ic", ""),
    ("able", ""),
    ("ible", ""),
    ("ant", ""),
    ("ement", ""),
    ("ment", ""),
    ("ent", ""),
    ("sion", ""),
    ("tion", ""),
    ("ou", ""),
    ("ism", ""),
    ("ate", ""),
    ("iti", ""),
    ("ous", ""),
    ("ive", ""),
    ("ize", ""),
];

struct Stem(String);

impl Stem {
    /// What stands before an ending. As in FTS5, a word that is nothing else does not end in it.
    fn before(&self, ending: &str) -> Option<&str> {
        self.0.strip_suffix(ending).filter(|rest| !rest.is_empty())
    }

    fn plurals(&mut self) {
        if self.before("sses").or_else(|| self.before("ies")).is_some() {
            self.drop(2);
        } else if self.0.ends_with('s') && !self.0.ends_with("ss") {
            self.drop(1);
        }
    }

    fn past(&mut self) {
        if let Some(rest) = self.before("eed") {
            if measure(rest) > 0 {
                self.drop(1);
            }
            return;
        }
        let ending = self.before("ed").or_else(|| self.before("ing"));
        let Some(rest) = ending.filter(|rest| has_vowel(rest)) else {
            return;
        };
        self.0.truncate(rest.len());
        if ["at", "bl", "iz"].iter().any(|end| self.0.ends_with(end)) {
            self.0.push('e');
        } else if ends_double(&self.0) && !self.0.ends_with(['l', 's', 'z']) {
            self.drop(1);
        } else if measure(&self.0) == 1 && ends_short(&self.0) {
            self.0.push('e');
        }
    }

    fn swap(&mut self, endings: Endings, holds: fn(&str) -> bool) {
        let last = self.0.bytes().last();
        let fitting = endings
            .iter()
            .filter(|(ending, _)| ending.bytes().last() == last && self.before(ending).is_some());
        let Some((ending, other)) = fitting.max_by_key(|(ending, _)| ending.len()) else {
            return;
        };
        // The letter of `sion` and `tion` that belongs to the word.
        let kept = usize::from(["sion", "tion"].contains(ending));
        let length = self.0.len() - ending.len() + kept;
        if self.0.get(..length).is_some_and(holds) {
            self.0.truncate(length);
            self.0.push_str(other);
        }
    }

    fn last_letters(&mut self) {
        if let Some(rest) = self.before("e") {
            let m = measure(rest);
            if m > 1 || m == 1 && !ends_short(rest) {
                self.drop(1);
            }
        }
        if self.0.ends_with("ll") && measure(&self.0) > 1 {
            self.drop(1);
        }
    }

    fn drop(&mut self, bytes: usize) {
        self.0.truncate(self.0.len().saturating_sub(bytes));
    }
}

/// Whether each letter is a vowel: a, e, i, o, u, and y after a consonant.
fn vowels(word: &str) -> impl Iterator<Item = bool> {
    let mut before = true;
    word.bytes().map(move |b| {
        before = match b {
            b'a' | b'e' | b'i' | b'o' | b'u' => true,
            b'y' => !before,
            _ => false,
        };
        before
    })
}

fn has_vowel(word: &str) -> bool {
    vowels(word).any(|vowel| vowel)
}

/// How many times consonants follow vowels.
fn measure(word: &str) -> usize {
    vowels(word)
        .zip(vowels(word).skip(1))
        .filter(|&pair| pair == (true, false))
        .count()
}

/// Whether it ends with the same consonant twice; here FTS5 takes every y for one.
fn ends_double(word: &str) -> bool {
    let mut back = word.bytes().rev();
    let (last, other) = (back.next(), back.next());
    last == other && last.is_some_and(|b| !matches!(b, b'a' | b'e' | b'i' | b'o' | b'u'))
}

/// Whether it ends consonant, vowel, consonant, the last of them not w, x or y.
fn ends_short(word: &str) -> bool {
    let kinds: Vec<bool> = vowels(word).collect();
    kinds.ends_with(&[false, true, false]) && !word.ends_with(['w', 'x', 'y'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expect: &str) {
        assert_eq!(stem(word), expect);
    }

    #[test]
    fn words_lose_their_endings() {
        check("paintings", "paint");
        check("hobbies", "hobbi");
        check("hobby", "hobbi");
        check("planned", "plan");
        check("agreed", "agre");
        check("eed", "e");
        check("ies", "ie");
        check("feed", "feed");
        check("moving", "move");
        check("falling", "fall");
        check("relational", "relat");
        check("hopefulness", "hope");
        check("adoption", "adopt");
        check("controlling", "control");
        check("sky", "sky");
        check("was", "wa");
        check("is", "is");
        check("été", "été");
        check("東京", "東京");
    }

    /// What makes it cheap to tell most words from a stem, see `Term::head`.
    #[test]
    fn a_stem_is_its_word_but_for_the_last_letter() {
        let endings = [STEP_2, STEP_3, STEP_4].concat();
        let endings = endings.iter().map(|(ending, _)| *ending);
        let endings: Vec<&str> = endings
            .chain(["", "s", "ies", "ed", "ing", "eed", "y", "e", "l", "biliti"])
            .collect();
        for beginning in [
            "", "b", "x", "sk", "hop", "file", "agr", "plann", "sens", "control", "relig", "ay", "yy", "2nd", "rel",
        ] {
            for one in &endings {
                for two in &endings {
                    let word = format!("{beginning}{one}{two}");
                    let stem = stem(&word);
                    let head = stem.get(..stem.len().max(2) - 1).unwrap_or(&stem);
                    assert!(word.starts_with(head), "{word} {stem}");
                }
            }
        }
    }
}
