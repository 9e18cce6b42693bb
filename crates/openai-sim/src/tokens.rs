//! Pieces: how a text becomes a stream of token-like deltas, and a small deterministic number source.
//!
//! No real tokenizer: a piece is a word with the space before it, or a short run of other characters, which is
//! near enough to what models send that a reader of deltas meets the same cuts (between a backslash and the
//! character it escapes, too).

use std::ops::Range;

/// Longest word sent as one piece, in characters.
const LONGEST_WORD: usize = 12;
/// Longest run of punctuation sent as one piece, in characters.
const LONGEST_MARKS: usize = 3;

/// One delta of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Byte offset in the text where the piece ends (and the next begins).
    pub end: usize,
    /// Whether it takes the time of a token. Pieces outside the reply's words are free, so that a set rate is the
    /// rate at which the reader sees words.
    pub paced: bool,
}

/// Cuts `text` into pieces. Those that touch `words` are paced; `None` means all are.
pub(crate) fn pieces(text: &str, words: Option<&Range<usize>>) -> Vec<Piece> {
    let mut out = Vec::with_capacity(text.len() / 4 + 1);
    let mut start = 0;
    let mut length = 0;
    let mut word = None;
    let mut close = |start: usize, end: usize| {
        let paced = words.is_none_or(|range| start < range.end && end > range.start);
        out.push(Piece { end, paced });
    };
    for (at, c) in text.char_indices() {
        let alphanumeric = c.is_alphanumeric();
        // A lone space waits for what follows it.
        let fits = match word {
            None => true,
            Some(true) => alphanumeric && length < LONGEST_WORD,
            Some(false) => !alphanumeric && c != ' ' && length < LONGEST_MARKS,
        };
        if !fits {
            close(start, at);
            start = at;
            length = 0;
            word = None;
        }
        length += 1;
        if c != ' ' || length > 1 {
            word = Some(alphanumeric);
        }
    }
    if start < text.len() {
        close(start, text.len());
    }
    out
}

/// A rough count of tokens: four bytes each, at least one for any text.
pub(crate) fn estimate(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

/// The splitmix64 step: a well-mixed number for every input, the same on every run.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stable 64-bit hash (FNV-1a, mixed), equal on every machine and release, unlike the standard library's.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let folded = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(folded)
}

/// Words for replies of a wished length.
const FILLER: [&str; 24] = [
    "so", "you", "came", "back", "with", "that", "look", "again", "and", "honestly", "it", "suits", "you", "now",
    "tell", "me", "what", "happened", "before", "the", "coffee", "got", "cold", "darling",
];

/// `tokens` words, one piece each: a reply of a set length.
pub(crate) fn filler(tokens: usize) -> String {
    let mut out = String::with_capacity(tokens * 6);
    for (index, word) in FILLER.iter().cycle().take(tokens).enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::string_slice, reason = "tests")]
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let mut start = 0;
        let mut got = Vec::new();
        for piece in pieces(text, None) {
            got.push(&text[start..piece.end]);
            start = piece.end;
        }
        assert_eq!(got, expect);
    }

    #[test]
    fn pieces_are_words_with_their_space_and_short_runs_of_marks() {
        check("", &[]);
        check("Hi you", &["Hi", " you"]);
        check("{\"persona\":\"haven\"}", &["{\"", "persona", "\":\"", "haven", "\"}"]);
        check("a  b", &["a", "  ", "b"]);
        check(
            "caf\u{e9} \u{2615}\u{2615}\u{2615}\u{2615}",
            &["caf\u{e9}", " \u{2615}\u{2615}", "\u{2615}\u{2615}"],
        );
        check("line\\nnext", &["line", "\\", "nnext"]);
    }

    #[test]
    fn pieces_always_add_up_to_the_text() {
        let text = "She said: \"no\u{2026}\" \u{1f642}\u{1f642} and   left\n\n\tthe extraordinarilylongword behind ";
        let cut = pieces(text, None);
        assert_eq!(cut.last().map(|piece| piece.end), Some(text.len()));
        let mut start = 0;
        for piece in cut {
            assert!(piece.end > start && text.is_char_boundary(piece.end));
            start = piece.end;
        }
    }

    #[test]
    fn only_pieces_inside_the_words_are_paced() {
        let text = "{\"output\":\"one two\",\"tags\":[]}";
        let range = text.find("one").map(|at| at..at + 7);
        let paced = pieces(text, range.as_ref()).iter().filter(|piece| piece.paced).count();
        assert_eq!(paced, 2);
    }

    #[test]
    fn filler_is_one_piece_per_token() {
        for tokens in [0, 1, 24, 200] {
            assert_eq!(pieces(&filler(tokens), None).len(), tokens);
        }
    }
}
