//! A static embedding table: each word piece has a row of small integers, and a text is the sum of its pieces' rows. Here
//! live the file's layout, the WordPiece tokenizer and the sum. Not here: where the bytes are and when they are read.
//!
//! The layout is little-endian: `MEMTAB01`; rows, dimension and bytes of vocabulary as u32; the vocabulary, one piece a
//! line, `##` before one that continues a word; a f32 scale per row; rows x dimension i8. `data/make` remakes the file.
//! The bytes stay where they are; the table adds 4 bytes per row and 4 per slot of its hash index, since a map of
//! strings would be larger than everything else Mira holds at rest.

use super::normalise;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

const MAGIC: &[u8] = b"MEMTAB01";
const CONTINUES: &[u8] = b"##";
/// Longer words are skipped, as the tokenizer the table was trained with does.
const LONGEST_WORD: usize = 100;

/// A table that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// It does not begin as such a file does.
    #[error("it is no embedding table")]
    Magic,
    /// It ends before its last row, or goes on after it.
    #[error("it has {got} bytes instead of {expected}")]
    Size {
        /// What its head announces.
        expected: usize,
        /// What there is.
        got: usize,
    },
    /// The vocabulary is no text, or not one line a row.
    #[error("its vocabulary does not fit its {rows} rows")]
    Vocabulary {
        /// The rows announced.
        rows: usize,
    },
    /// A dimension of zero or of another table.
    #[error("its vectors have {got} numbers instead of {expected}")]
    Dimension {
        /// What is wanted.
        expected: usize,
        /// What there is.
        got: usize,
    },
}

/// A table over its bytes.
#[derive(Debug)]
pub(super) struct Table<'a> {
    words: &'a [u8],
    scales: &'a [u8],
    rows: &'a [u8],
    dimension: usize,
    /// Where each piece ends in `words`.
    ends: Vec<u32>,
    /// Open addressing: 16 bits of the hash, then the row + 1; 0 is free. At most half full.
    slots: Vec<u32>,
    /// Bytes of the longest piece.
    longest: usize,
}

impl<'a> Table<'a> {
    /// Reads a table whose vectors have `dimension` numbers.
    pub fn parse(bytes: &'a [u8], dimension: usize) -> Result<Self, TableError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(TableError::Magic)?;
        let (rows, rest) = number(rest)?;
        let (got, rest) = number(rest)?;
        let (letters, rest) = number(rest)?;
        if got != dimension || dimension == 0 {
            return Err(TableError::Dimension {
                expected: dimension,
                got,
            });
        }
        // The index has 16 bits for a row; u32 products fit in 64 bits.
        let vocabulary = || TableError::Vocabulary { rows };
        u16::try_from(rows + 1).map_err(|_| vocabulary())?;
        let size = TableError::Size {
            expected: MAGIC.len() + 12 + letters + rows * 4 + rows * dimension,
            got: bytes.len(),
        };
        let (words, rest) = rest.split_at_checked(letters).ok_or(size.clone())?;
        let (scales, values) = rest.split_at_checked(rows * 4).ok_or(size.clone())?;
        if values.len() != rows * dimension {
            return Err(size);
        }
        let mut table = Self {
            words,
            scales,
            rows: values,
            dimension,
            ends: Vec::with_capacity(rows),
            slots: vec![0; (rows * 2).next_power_of_two()],
            longest: 0,
        };
        if std::str::from_utf8(words).is_err() || table.index_words(rows).is_none() {
            return Err(vocabulary());
        }
        Ok(table)
    }

    fn index_words(&mut self, rows: usize) -> Option<()> {
        let mut end = 0;
        for (row, piece) in (0_u32..).zip(self.words.split(|byte| *byte == b'\n')) {
            end += piece.len();
            self.ends.push(u32::try_from(end).ok()?);
            end += 1;
            let (continues, letters) = split_piece(piece);
            self.longest = self.longest.max(letters.len());
            let hash = letters.iter().fold(seed(continues), |hash, byte| mix(hash, *byte));
            let mut slot = self.first_slot(hash);
            while *self.slots.get(slot)? != 0 {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            *self.slots.get_mut(slot)? = tag(hash) | (row + 1);
            if self.ends.len() > rows {
                return None;
            }
        }
        (self.ends.len() == rows).then_some(())
    }

    fn first_slot(&self, hash: u64) -> usize {
        usize::try_from(hash >> 32).unwrap_or(0) & (self.slots.len() - 1)
    }

    fn piece(&self, row: usize) -> Option<&'a [u8]> {
        let start = match row.checked_sub(1) {
            Some(before) => *self.ends.get(before)? + 1,
            None => 0,
        };
        let end = *self.ends.get(row)?;
        self.words.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }

    fn find(&self, hash: u64, continues: bool, letters: &[u8]) -> Option<usize> {
        let mut slot = self.first_slot(hash);
        loop {
            let entry = *self.slots.get(slot)?;
            if entry == 0 {
                return None;
            }
            if entry & 0xffff_0000 == tag(hash) {
                let row = usize::try_from(entry & 0xffff).ok()?.checked_sub(1)?;
                if self.piece(row).map(split_piece) == Some((continues, letters)) {
                    return Some(row);
                }
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// The vector of a text: of length 1, or zeros where no piece of it is known.
    pub fn encode(&self, text: &str) -> Vec<f32> {
        let mut speller = Speller {
            table: self,
            word: String::new(),
            hashes: Vec::new(),
            pieces: Vec::new(),
            sum: vec![0.0; self.dimension],
        };
        if text.is_ascii() {
            speller.read(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
        } else {
            speller.read(text.to_lowercase().nfd());
        }
        normalise(&mut speller.sum);
        speller.sum
    }

    fn add_row(&self, row: usize, sum: &mut [f32]) {
        let scale = self.scales.get(row * 4..).and_then(<[u8]>::first_chunk);
        let values = self.rows.get(row * self.dimension..(row + 1) * self.dimension);
        let (Some(scale), Some(values)) = (scale, values) else {
            return;
        };
        let scale = f32::from_le_bytes(*scale);
        for (slot, byte) in sum.iter_mut().zip(values) {
            *slot += scale * f32::from(byte.cast_signed());
        }
    }
}

/// One text on its way through the tokenizer.
struct Speller<'t, 'a> {
    table: &'t Table<'a>,
    word: String,
    /// Of the prefixes of what is left of the word.
    hashes: Vec<u64>,
    /// Rows of the word's pieces so far.
    pieces: Vec<usize>,
    sum: Vec<f32>,
}

impl Speller<'_, '_> {
    /// Takes lower-case characters, accents apart from their letters.
    fn read(&mut self, text: impl Iterator<Item = char>) {
        for c in text {
            if c.is_whitespace() {
                self.end_word();
            } else if stands_alone(c) {
                self.end_word();
                self.word.push(c);
                self.end_word();
            } else if !is_invisible(c) {
                self.word.push(c);
            }
        }
        self.end_word();
    }

    /// Adds the rows of the word. A word that cannot be spelt to its end counts for nothing.
    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.pieces.clear();
            if self.word.len() <= LONGEST_WORD || self.word.chars().count() <= LONGEST_WORD {
                self.spell();
            }
            for row in &self.pieces {
                self.table.add_row(*row, &mut self.sum);
            }
            self.word.clear();
        }
    }

    /// The longest known piece first, then the longest that continues it.
    fn spell(&mut self) {
        let mut rest = self.word.as_bytes();
        let mut continues = false;
        while !rest.is_empty() {
            let mut hash = seed(continues);
            self.hashes.clear();
            self.hashes.extend(rest.iter().take(self.table.longest).map(|byte| {
                hash = mix(hash, *byte);
                hash
            }));
            // A prefix that ends inside of a character is no piece: pieces are whole text.
            let found = self.hashes.iter().enumerate().rev().find_map(|(before, hash)| {
                let (letters, after) = rest.split_at_checked(before + 1)?;
                Some((self.table.find(*hash, continues, letters)?, after))
            });
            let Some((row, after)) = found else {
                self.pieces.clear();
                return;
            };
            self.pieces.push(row);
            rest = after;
            continues = true;
        }
    }
}

fn number(bytes: &[u8]) -> Result<(usize, &[u8]), TableError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(TableError::Magic)?;
    let number = usize::try_from(u32::from_le_bytes(*number)).map_err(|_| TableError::Magic)?;
    Ok((number, rest))
}

fn split_piece(piece: &[u8]) -> (bool, &[u8]) {
    match piece.strip_prefix(CONTINUES) {
        Some(letters) if !letters.is_empty() => (true, letters),
        _ => (false, piece),
    }
}

/// FNV-1a, begun anew for pieces that continue a word.
fn seed(continues: bool) -> u64 {
    mix(0xcbf2_9ce4_8422_2325, u8::from(continues))
}

fn mix(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn tag(hash: u64) -> u32 {
    u32::try_from(hash & 0xffff).unwrap_or(0) << 16
}

/// Punctuation and Chinese characters are words by themselves.
fn stands_alone(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(
            c,
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
                | '¡' | '§' | '«' | '¶' | '·' | '»' | '¿'
                | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}'
                | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{ff01}'..='\u{ff0f}'
        )
}

fn is_invisible(c: char) -> bool {
    is_combining_mark(c)
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table of two dimensions: the row of each word is (its number, 1), scaled by a half.
    fn file(words: &[&str]) -> Vec<u8> {
        let text = words.join("\n");
        let mut bytes = MAGIC.to_vec();
        for number in [words.len(), 2, text.len()] {
            bytes.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        bytes.extend(text.as_bytes());
        bytes.extend(words.iter().flat_map(|_| 0.5_f32.to_le_bytes()));
        bytes.extend((0_u8..).take(words.len()).flat_map(|row| [row, 1]));
        bytes
    }

    /// The rows a text is made of, found by spelling alone.
    fn rows(table: &Table<'_>, text: &str) -> Vec<usize> {
        let mut speller = Speller {
            table,
            word: text.to_owned(),
            hashes: vec![],
            pieces: vec![],
            sum: vec![0.0; 2],
        };
        speller.spell();
        speller.pieces
    }

    const WORDS: &[&str] = &["a", "run", "##ning", "##s", "#", "##", "é", "runs", "本"];

    #[test]
    fn words_are_spelt_by_their_longest_pieces() {
        let bytes = file(WORDS);
        let table = Table::parse(&bytes, 2).unwrap();
        let check = |text: &str, expect: &[usize]| assert_eq!(rows(&table, text), expect, "{text}");
        check("a", &[0]);
        check("running", &[1, 2]);
        check("runs", &[7]);
        check("runnings", &[1, 2, 3]);
        check("ning", &[]);
        check("runx", &[]);
        check("##", &[5]);
        check("é", &[6]);
        check("本", &[8]);
        check("", &[]);
    }

    #[test]
    fn a_text_is_the_sum_of_its_words() {
        let bytes = file(WORDS);
        let table = Table::parse(&bytes, 2).unwrap();
        let (x, y) = (1.0_f32 + 2.0 + 0.0 + 4.0 + 8.0, 5.0_f32);
        let length = x.hypot(y);
        let vector = table.encode("RUNNING, a\u{200b}\t# 本");
        assert!(
            (vector[0] - x / length).abs() < 1e-6 && (vector[1] - y / length).abs() < 1e-6,
            "{vector:?}"
        );
        for nothing in ["", "  \n", "unknown", "🦀"] {
            assert_eq!(table.encode(nothing), [0.0, 0.0], "{nothing:?}");
        }
    }

    #[test]
    fn a_word_beyond_the_limit_counts_for_nothing() {
        let bytes = file(&["a", "##a"]);
        let table = Table::parse(&bytes, 2).unwrap();
        assert!(
            table
                .encode(&"a".repeat(LONGEST_WORD))
                .iter()
                .any(|value| *value != 0.0)
        );
        assert_eq!(table.encode(&"a".repeat(LONGEST_WORD + 1)), [0.0, 0.0]);
    }

    #[test]
    fn a_damaged_table_is_refused() {
        let good = file(WORDS);
        let error = |bytes: &[u8]| Table::parse(bytes, 2).map(drop).unwrap_err();
        assert_eq!(error(b""), TableError::Magic);
        assert_eq!(error(b"MEMTAB02............"), TableError::Magic);
        assert_eq!(
            Table::parse(&good, 3).map(drop).unwrap_err(),
            TableError::Dimension { expected: 3, got: 2 }
        );
        for length in 0..good.len() {
            assert!(Table::parse(&good[..length], 2).is_err(), "{length}");
        }
        let longer = [good.as_slice(), &[0]].concat();
        let size = TableError::Size {
            expected: good.len(),
            got: good.len() + 1,
        };
        assert_eq!(error(&longer), size);
        let mut other = good.clone();
        other[20] = b'\n';
        assert_eq!(error(&other), TableError::Vocabulary { rows: WORDS.len() });
        let mut other = good;
        other[20] = 0xff;
        assert_eq!(error(&other), TableError::Vocabulary { rows: WORDS.len() });
    }

    proptest! {
        #[test]
        fn no_bytes_and_no_text_break_it(
            head in proptest::collection::vec(0_u8..8, 12),
            rest in proptest::collection::vec(any::<u8>(), 0..200),
            text in ".{0,60}",
        ) {
            let bytes = [MAGIC, &head, &rest].concat();
            let dimension = usize::from(head[4]);
            if let Ok(table) = Table::parse(&bytes, dimension) {
                prop_assert_eq!(table.encode(&text).len(), dimension);
            }
            let bytes = file(WORDS);
            let vector = Table::parse(&bytes, 2).unwrap().encode(&text);
            let length = vector[0].hypot(vector[1]);
            prop_assert!(length == 0.0 || (length - 1.0).abs() < 1e-5);
        }
    }
}
