//! Where what she says comes from: the sources a turn has read, and the places in a reply that point at them.
//!
//! A turn numbers its sources from 1 in the order they were read. The model sees each passage under its number and
//! points at it with `[n]`; a number nobody gave out is just text.

mod pointers;

pub use pointers::{Pointer, Pointers};

use crate::{chat::shortened, ids::FileId};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The most places of one reply that are kept; the ones behind stay plain text.
pub const MOST_CITATIONS: usize = 400;
/// The longest snippet that is kept of a source, in characters.
const SNIPPET_CHARS: usize = 300;

/// What can be pointed at: a web page, or a page of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Source {
    /// The web address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The owner's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<FileId>,
    /// The file's page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Its name, one line.
    pub title: String,
    /// What stands there, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
}

/// Something a tool read that a reply may point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Where it stands.
    pub source: Source,
    /// What the model reads of it.
    pub text: String,
}

/// A place in a reply that points at a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// The source's number in its turn, from 1.
    pub index: u32,
    /// What is pointed at.
    #[serde(flatten)]
    pub source: Source,
    /// Where in the reply, in Unicode code points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u32>,
    /// The end of that place, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u32>,
}

impl Citation {
    /// Where in the reply it stands, in Unicode code points, where that is known.
    pub fn place(&self) -> Option<Range<u32>> {
        Some(self.start?..self.end?)
    }

    /// Takes out of it what it quotes; where in the reply it stands is left.
    pub fn empty(&mut self) {
        self.source = Source::default();
    }
}

impl Source {
    /// Whether two are the same place.
    fn is_same(&self, other: &Self) -> bool {
        let named = self.url.is_some() || self.file_id.is_some();
        let place = (&self.url, self.file_id, self.page);
        place == (&other.url, other.file_id, other.page) && (named || self.title == other.title)
    }

    /// Title, page and address in one line, as a model is told.
    pub fn heading(&self) -> String {
        let page = self.page.map(|page| format!(" (page {page})")).unwrap_or_default();
        let url = self
            .url
            .as_ref()
            .map(|url| format!(" \u{2014} {url}"))
            .unwrap_or_default();
        format!("{}{page}{url}", self.title)
    }
}

/// The sources of one turn, numbered from 1 in the order they came.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// The number of a source: its own, or that of the same place seen before.
    pub fn number(&mut self, mut source: Source) -> u32 {
        let place = self
            .0
            .iter()
            .position(|known| known.is_same(&source))
            .unwrap_or_else(|| {
                source.snippet = source.snippet.map(|snippet| shortened(&snippet, SNIPPET_CHARS));
                self.0.push(source);
                self.0.len() - 1
            });
        u32::try_from(place + 1).unwrap_or(u32::MAX)
    }

    /// The source of this number, if it was given out.
    pub fn find(&self, number: u32) -> Option<&Source> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        self.0.get(place)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(url: &str, title: &str) -> Source {
        Source {
            url: Some(url.to_owned()),
            title: title.to_owned(),
            ..Source::default()
        }
    }

    #[test]
    fn the_same_place_keeps_its_number() {
        let mut sources = Sources::default();
        let leaf = |n| Source {
            file_id: Some(FileId(uuid::Uuid::nil())),
            page: Some(n),
            title: "A book".to_owned(),
            ..Source::default()
        };
        let titled = |title: &str| Source {
            title: title.to_owned(),
            ..Source::default()
        };
        let given = [
            page("https://a.example/", "A"),
            page("https://b.example/", "B"),
            page("https://a.example/", "A, as another engine names it"),
            leaf(1),
            leaf(2),
            leaf(1),
            titled("x"),
            titled("y"),
            titled("x"),
        ]
        .map(|source| sources.number(source));
        assert_eq!(given, [1, 2, 1, 3, 4, 3, 5, 6, 5]);
        assert_eq!(sources.find(1).unwrap().title, "A");
        assert_eq!((sources.find(0), sources.find(7)), (None, None));
        assert_eq!(leaf(2).heading(), "A book (page 2)");
        assert_eq!(
            page("https://a.example/", "A").heading(),
            "A \u{2014} https://a.example/"
        );
    }
}
