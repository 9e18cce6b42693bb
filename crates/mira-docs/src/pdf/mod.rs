//! PDF: text page by page, in the order it is read.
//!
//! Files, encryption and fonts are read by libraries (`hayro-syntax`, `hayro-font`); which letter is where ([`content`]),
//! what makes a word and a line ([`words`]), columns ([`columns`]), paragraphs ([`page`]), headings ([`headings`]) and
//! broken words ([`hyphens`]) are ours. Nothing is drawn and no picture is decoded.

mod columns;
mod content;
mod headings;
mod hyphens;
mod measure;
mod page;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro_font::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use crate::{DocError, Document, Limits, Part, decode};
use content::Letterer;
use hyphens::Words;
use page::Line;

/// Titles that programs write when nobody gave one.
const NO_TITLES: &[&str] = &["untitled", "untitled document", "title", "unknown"];

/// Reads a document. One that is protected only against changes opens like any other.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    measure::check(bytes, limits.unpacked_bytes)?;
    // A panic of a library on a broken file is one more way to say that it is broken.
    let read = catch_unwind(AssertUnwindSafe(|| document(bytes, limits)));
    read.unwrap_or_else(|_| Err(DocError::Damaged("its structure makes no sense".to_owned())))
}

fn document(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let pdf = Pdf::new(bytes.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => DocError::Encrypted,
        LoadPdfError::Decryption(_) => DocError::Damaged("its encryption is not understood".to_owned()),
        LoadPdfError::Invalid => DocError::Damaged("it is no PDF, or the end of it is missing".to_owned()),
    })?;
    let letterer = Letterer::new(limits.depth);
    let mut pages: Vec<(u32, Vec<Line>)> = Vec::new();
    let (mut bytes_read, mut truncated) = (0_usize, false);
    for (number, page) in (1_u32..).zip(pdf.pages().iter()) {
        if number > limits.pages || bytes_read > limits.text_bytes {
            truncated = true;
            break;
        }
        // One page that cannot be read costs only itself.
        let Ok(lines) = catch_unwind(AssertUnwindSafe(|| page::lines(&letterer.glyphs(page)))) else {
            truncated = true;
            continue;
        };
        bytes_read = lines.iter().fold(bytes_read, |sum, line| {
            sum.saturating_add(line.text.len()).saturating_add(1)
        });
        if !lines.is_empty() {
            pages.push((number, lines));
        }
    }
    if pages.is_empty() {
        return Err(DocError::NoText);
    }
    headings::mark(&mut pages);
    let (parts, cut) = parts(&pages, limits);
    Ok(Document {
        title: pdf.metadata().title.as_deref().and_then(title),
        parts,
        truncated: truncated || cut,
    })
}

fn parts(pages: &[(u32, Vec<Line>)], limits: &Limits) -> (Vec<Part>, bool) {
    let words = Words::of(pages.iter().map(|(_, lines)| lines.as_slice()));
    let mut left = limits.text_bytes;
    let mut parts = Vec::new();
    for (number, lines) in pages {
        let (mut text, mut headings) = hyphens::text(lines, &words);
        let cut = crate::text::cut(&mut text, left);
        left = left.saturating_sub(text.len());
        headings.retain(|heading| heading.range.end <= text.len());
        parts.push(Part {
            page: Some(*number),
            text,
            headings,
        });
        if cut {
            return (parts, true);
        }
    }
    (parts, false)
}

fn title(bytes: &[u8]) -> Option<String> {
    let text = string(bytes);
    let title = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = title.strip_prefix("Microsoft Word - ").unwrap_or(&title);
    let is_one = !title.is_empty() && !NO_TITLES.contains(&title.to_lowercase().as_str());
    is_one.then(|| title.to_owned())
}

/// A string outside of pages: UTF-16 or UTF-8 with a mark, or else what is Latin-1 but for a few signs.
fn string(bytes: &[u8]) -> String {
    let (text, _) = decode::text(bytes, bytes.len().saturating_mul(4));
    text
}

#[cfg(test)]
mod tests;
