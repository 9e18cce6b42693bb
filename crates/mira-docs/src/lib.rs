//! Text out of documents: what kind a file is ([`sniff`]), what it says ([`read`], [`readable`]), and that text in
//! pieces small enough to be searched and quoted, each with the place it came from ([`chunks`]).
//!
//! Pure: bytes in, text out; no IO, no clock, no knowledge of who asks. Where documents are kept and who may see them
//! is decided elsewhere.
//!
//! Invariants:
//! - the input is hostile: what is unpacked, how deep it is nested, how many pages are read and how much text comes out
//!   are capped by [`Limits`]; over a cap of the output the text is cut and says so, over a cap of the input it is an
//!   error;
//! - whatever a document holds, the answer is text or a [`DocError`], never a panic of a library below;
//! - nothing in a document is run, fetched or looked up;
//! - the lines of plain text, Markdown, code and CSV stay the lines of the file, so that a place in the text is a place
//!   in the file.

mod chunk;
mod decode;
mod docx;
mod error;
mod html;
mod pdf;
mod sniff;
mod text;

use std::ops::Range;

pub use chunk::{Chunk, ChunkSettings, chunks};
pub use error::DocError;
pub use html::readable;
pub use sniff::{Sniffed, sniff};

/// Which reader this is: one more with every change after which [`read`] or [`chunks`] make something else of a document.
/// Whoever keeps what an older one made can tell by it that there is better to be had.
pub const READER: u16 = 1;

/// What a file is, as far as reading it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// A web page.
    Html,
    /// PDF.
    Pdf,
    /// A document of Word or of any program that writes its format since 2007.
    Docx,
    /// Rows of values between commas, semicolons or tabs.
    Csv,
    /// A source or settings file.
    Code,
    /// A picture: recognised, not read.
    Image,
    /// Anything else: not read.
    Other,
}

impl Kind {
    /// The kind's name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Csv => "csv",
            Self::Code => "code",
            Self::Image => "image",
            Self::Other => "other",
        }
    }
}

/// How much of a document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text that come out; what is over is cut.
    pub text_bytes: usize,
    /// Pages of a PDF; those after are left out.
    pub pages: u32,
    /// How deep elements may lie in each other. Deeper ones of a web page lose their structure, not their text; a
    /// deeper Word document is damaged.
    pub depth: u32,
    /// Bytes that everything read out of one zip file, or one stream of a PDF, may unpack to.
    pub unpacked_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_bytes: 32 * 1024 * 1024,
            pages: 5_000,
            depth: 256,
            unpacked_bytes: 256 * 1024 * 1024,
        }
    }
}

/// The text of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The title the document gives itself.
    pub title: Option<String>,
    /// The text: one part per page with text for a PDF, one part for everything else. Lines end with `\n`.
    pub parts: Vec<Part>,
    /// Whether there was more than the limits let through.
    pub truncated: bool,
}

/// A page of a PDF, or the whole of any other document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// The page, from 1, counted from the first sheet whatever is printed on it. PDF only.
    pub page: Option<u32>,
    /// Its text.
    pub text: String,
    /// The headings that nothing in the text marks as such, in their order. PDF only; elsewhere `#` marks them.
    pub headings: Vec<Heading>,
}

/// A heading in a part's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Its bytes: whole lines, without the end of the last.
    pub range: Range<usize>,
    /// How deep it stands in its document, 0 for the highest.
    pub level: u8,
}

/// Reads a document's text. Fails for pictures and unknown kinds ([`DocError::Unsupported`]), for documents that want
/// a password, are broken or have no text in them, and for those that unpack to more than the limits allow.
pub fn read(kind: Kind, bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    match kind {
        Kind::Text | Kind::Csv | Kind::Code => Ok(text::plain(bytes, limits)),
        Kind::Markdown => Ok(text::markdown(bytes, limits)),
        Kind::Html => Ok(html::read(bytes, limits)),
        Kind::Docx => docx::read(bytes, limits),
        Kind::Pdf => pdf::read(bytes, limits),
        Kind::Image | Kind::Other => Err(DocError::Unsupported),
    }
}
