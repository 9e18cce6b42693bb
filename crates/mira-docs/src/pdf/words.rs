//! Letters on a page to words, and words to lines: by where they are, not by the order they were drawn in.
//!
//! All lengths are in the page's units, `y` grows downwards and is a letter's baseline. Sizes are those of the font, so
//! that distances are judged in relation to them.

use unicode_normalization::UnicodeNormalization;

/// A wider gap than this part of the size is a space. Kerning stays below, the tightest word spaces above.
const SPACE: f32 = 0.1;
/// How far a letter may begin before the end of the one before, as part of the size.
const OVERLAP: f32 = 0.5;
/// How far two letters' baselines may differ within a word, as part of the size.
const SAME_BASELINE: f32 = 0.12;
/// How much of the lower of two lines must be beside the other for both to be one.
const SAME_LINE: f32 = 0.5;
/// How far an exponent's baseline may be from its line's, as part of the larger size.
const RAISED: f32 = 0.42;
/// A letter's height above and below its baseline, as part of the size.
const ASCENT: f32 = 0.75;
const DESCENT: f32 = 0.2;
/// How many lines back a word may belong to; more than two never overlap but in drawings.
const LOOK_BACK: usize = 6;

/// What was drawn for one code of a font: mostly a letter, or several for a ligature.
#[derive(Debug, Clone)]
pub struct Glyph {
    /// What it says.
    pub text: Letters,
    /// Where it begins.
    pub x0: f32,
    /// Where the next one would begin.
    pub x1: f32,
    /// Its baseline.
    pub y: f32,
    /// The font's size.
    pub size: f32,
}

/// A letter, nearly always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letters {
    /// One.
    One(char),
    /// More.
    Many(String),
}

/// Letters without a space between them.
#[derive(Debug, Clone)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// Its left end.
    pub x0: f32,
    /// Its right end.
    pub x1: f32,
    /// Its baseline.
    pub y: f32,
    /// The size of its first letter.
    pub size: f32,
    /// How many words were drawn before it.
    pub order: usize,
    /// Whether a space was drawn before it.
    pub after_space: bool,
}

impl Word {
    fn top(&self) -> f32 {
        self.y - ASCENT * self.size
    }

    fn bottom(&self) -> f32 {
        self.y + DESCENT * self.size
    }

    /// How much of the lower one's height both are beside each other; nothing if their baselines are too far apart.
    fn beside(&self, other: &Self) -> f32 {
        if (self.y - other.y).abs() > RAISED * self.size.max(other.size) {
            return 0.0;
        }
        let shared = self.bottom().min(other.bottom()) - self.top().max(other.top());
        shared
            / (self.bottom() - self.top())
                .min(other.bottom() - other.top())
                .max(f32::MIN_POSITIVE)
    }

    fn is_space_before(&self, next: &Self) -> bool {
        let follows = next.order == self.order.saturating_add(1);
        (follows && next.after_space) || next.x0 - self.x1 > SPACE * self.size.max(next.size)
    }
}

/// Words of one line, from left to right, with no wide gap between them.
pub type Segment = Vec<Word>;

/// Puts letters that follow each other closely into words, in the order they were drawn.
pub fn words(glyphs: &[Glyph]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut open: Option<Word> = None;
    let mut after_space = false;
    for glyph in glyphs {
        let mut letters = letters(&glyph.text).peekable();
        if letters.peek().is_none() {
            words.extend(open.take());
            after_space = true;
            continue;
        }
        let mut word = match open.take() {
            Some(word) if continues(&word, glyph) => word,
            other => {
                words.extend(other);
                Word {
                    text: String::new(),
                    x0: glyph.x0,
                    x1: glyph.x0,
                    y: glyph.y,
                    size: glyph.size,
                    order: words.len(),
                    after_space,
                }
            }
        };
        after_space = false;
        let first = *letters.peek().unwrap_or(&' ');
        if let Some(accent) = accent_before(&word, glyph, first) {
            // An accent and its letter, drawn over each other.
            word.text.pop();
            letters.next();
            word.text.extend([first, accent].into_iter().nfc());
        }
        word.text.extend(letters);
        word.x1 = word.x1.max(glyph.x1);
        open = Some(word);
    }
    words.extend(open);
    words
}

fn continues(word: &Word, glyph: &Glyph) -> bool {
    let size = word.size.max(glyph.size);
    let gap = glyph.x0 - word.x1;
    (word.y - glyph.y).abs() <= SAME_BASELINE * size && gap <= SPACE * size && gap >= -OVERLAP * size
}

/// The accent to put on `first`, if the word ends with one that stands over it.
fn accent_before(word: &Word, glyph: &Glyph, first: char) -> Option<char> {
    if !first.is_alphabetic() || word.x1 - glyph.x0 < 0.2 * glyph.size {
        return None;
    }
    match word.text.chars().next_back()? {
        '`' | '\u{2cb}' => Some('\u{300}'),
        '´' | '\u{2ca}' => Some('\u{301}'),
        'ˆ' => Some('\u{302}'),
        '˜' => Some('\u{303}'),
        '¯' => Some('\u{304}'),
        '˘' => Some('\u{306}'),
        '˙' => Some('\u{307}'),
        '¨' => Some('\u{308}'),
        '˚' => Some('\u{30a}'),
        '˝' => Some('\u{30b}'),
        'ˇ' => Some('\u{30c}'),
        '¸' => Some('\u{327}'),
        '˛' => Some('\u{328}'),
        _ => None,
    }
}

/// What a reader sees of a glyph: ligatures in letters, no control characters, no spaces.
fn letters(text: &Letters) -> impl Iterator<Item = char> {
    let (one, many) = match text {
        Letters::One(letter) => (Some(*letter), ""),
        Letters::Many(letters) => (None, letters.as_str()),
    };
    one.into_iter().chain(many.chars()).flat_map(|letter| {
        let (ligature, single): (&'static str, Option<char>) = match letter {
            'ﬀ' => ("ff", None),
            'ﬁ' => ("fi", None),
            'ﬂ' => ("fl", None),
            'ﬃ' => ("ffi", None),
            'ﬄ' => ("ffl", None),
            'ﬅ' => ("st", None),
            'ﬆ' => ("st", None),
            '\u{2010}' | '\u{2011}' => ("", Some('-')),
            // Unassigned by Unicode: the number of a shape in somebody's font.
            '\u{e000}'..='\u{f8ff}' | '\u{fffd}' => ("", None),
            // A space character with a width of its own is a gap like any other; the rest of these is not seen.
            _ if letter.is_whitespace() || letter.is_control() => ("", None),
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}' => ("", None),
            _ => ("", Some(letter)),
        };
        ligature.chars().chain(single)
    })
}

/// Puts words that are beside each other into lines, from top to bottom, each from left to right.
pub fn lines(mut words: Vec<Word>) -> Vec<Vec<Word>> {
    words.sort_by(|a, b| a.y.total_cmp(&b.y).then(a.x0.total_cmp(&b.x0)));
    // With the word that stands for the line: its largest.
    let mut lines: Vec<(Word, Vec<Word>)> = Vec::new();
    for word in words {
        let recent = lines.iter_mut().rev().take(LOOK_BACK);
        let best = recent
            .map(|line| (line.0.beside(&word), line))
            .filter(|(beside, _)| *beside >= SAME_LINE)
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        match best {
            Some((_, line)) => {
                if word.size > line.0.size {
                    line.0.clone_from(&word);
                }
                line.1.push(word);
            }
            None => lines.push((word.clone(), vec![word])),
        }
    }
    lines.sort_by(|a, b| a.0.y.total_cmp(&b.0.y));
    let sorted = |(_, mut words): (Word, Vec<Word>)| {
        words.sort_by(|a, b| a.x0.total_cmp(&b.x0));
        // Drawn twice to look bold, or to have a shadow.
        words.dedup_by(|next, word| next.text == word.text && (next.x0 - word.x0).abs() < 0.2 * word.size);
        words
    };
    lines.into_iter().map(sorted).collect()
}

/// A line's words with spaces where there are gaps. Leaders, which lead the eye to a page number, are three dots.
pub fn text(line: &[Word]) -> String {
    let mut text = String::new();
    let mut before: Option<&Word> = None;
    let is_leader = |word: &Word| word.text.bytes().all(|byte| byte == b'.');
    let mut leaders = 0_usize;
    for word in line {
        leaders = if is_leader(word) {
            leaders.saturating_add(word.text.len())
        } else {
            0
        };
        if leaders > 3 {
            if leaders - word.text.len() <= 3 {
                text.truncate(text.trim_end_matches([' ', '.']).len());
                text.push_str(" ...");
            }
            before = Some(word);
            continue;
        }
        if before.is_some_and(|before| before.is_space_before(word)) {
            text.push(' ');
        }
        text.push_str(&word.text);
        before = Some(word);
    }
    text
}
