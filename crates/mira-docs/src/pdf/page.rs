//! A page's letters to its lines in reading order, with the ends of paragraphs.

use super::{
    columns,
    words::{self, Glyph, Word},
};

/// How much farther than usual from the line before a paragraph begins, in parts of the usual distance.
const PARAGRAPH: f32 = 1.3;
/// How much larger or smaller the letters of a new paragraph are at least.
const OTHER_SIZE: f32 = 1.15;

/// A line of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// What it says; not empty.
    pub text: String,
    /// Whether a paragraph begins with it.
    pub begins: bool,
    /// The size of its letters, in halves of the page's units.
    pub size: u16,
    /// How deep it stands, where it is a heading.
    pub level: Option<u8>,
}

/// The lines of a page. `turned` holds the letters by the direction they are written in, the usual one first.
pub fn lines(turned: &[Vec<Glyph>]) -> Vec<Line> {
    turned.iter().flat_map(|glyphs| read(glyphs)).collect()
}

fn read(glyphs: &[Glyph]) -> Vec<Line> {
    let mut found: Vec<Line> = Vec::new();
    let mut before: Option<Vec<Word>> = None;
    let segments = columns::segments(words::lines(words::words(glyphs)));
    for region in columns::regions(segments) {
        let lines = words::lines(region.into_iter().flatten().collect());
        let usual = usual_distance(&lines);
        for line in lines {
            let text = words::text(&line);
            if text.is_empty() {
                continue;
            }
            let begins = match &before {
                None => true,
                // Up again, to the next column, which may go on in the middle of a sentence.
                Some(before) if baseline(&line) < baseline(before) => !found.last().is_some_and(breaks_off),
                Some(before) => is_apart(before, &line, usual),
            };
            found.push(Line {
                text,
                begins,
                size: halves(size(&line)),
                level: None,
            });
            before = Some(line);
        }
    }
    found
}

fn breaks_off(line: &Line) -> bool {
    line.text
        .ends_with(|end: char| end.is_alphanumeric() || matches!(end, ',' | '-' | '\u{ad}'))
}

fn is_apart(before: &[Word], line: &[Word], usual: f32) -> bool {
    let (above, own) = (size(before), size(line));
    let distance = baseline(line) - baseline(before);
    distance > PARAGRAPH * usual.clamp(own, 1.7 * own) || own > OTHER_SIZE * above || above > OTHER_SIZE * own
}

/// The distance most lines have from the one before.
fn usual_distance(lines: &[Vec<Word>]) -> f32 {
    let pairs = lines.windows(2).filter_map(|pair| match pair {
        [before, line] => Some(baseline(line) - baseline(before)),
        _ => None,
    });
    let mut distances: Vec<f32> = pairs.filter(|distance| *distance > 0.0).collect();
    distances.sort_by(f32::total_cmp);
    distances.get(distances.len() / 2).copied().unwrap_or(0.0)
}

/// The size of the most letters' worth of a line.
fn size(line: &[Word]) -> f32 {
    longest(line).map_or(1.0, |word| word.size)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what it holds before"
)]
fn halves(size: f32) -> u16 {
    (size * 2.0).round().clamp(0.0, f32::from(u16::MAX)) as u16
}

fn baseline(line: &[Word]) -> f32 {
    longest(line).map_or(0.0, |word| word.y)
}

fn longest(line: &[Word]) -> Option<&Word> {
    line.iter().max_by_key(|word| word.text.len())
}
