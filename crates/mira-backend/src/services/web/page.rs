//! One page: fetched under limits, told apart by its bytes and its declaration, made text.

use super::{Reader, WebError, markup};
use bytes::Bytes;
use mira_core::chat::one_line;
use mira_docs::{Document, Kind};
use mira_net::{
    GuardedClient, Limits, Response, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED},
};
use mira_tools::web::Page;
use std::{fmt::Write, time::Duration};

/// What bounds one page: the size counts what came out of the decompression.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(8),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(8),
    total: Duration::from_secs(15),
    body_bytes: 5 * 1024 * 1024,
    redirects: 5,
};
/// What she can read, best first.
const WANTED: HeaderValue = HeaderValue::from_static(
    "text/html,application/xhtml+xml,application/pdf,text/plain;q=0.9,application/json;q=0.9,*/*;q=0.5",
);
/// The longest text that is kept of a page, in bytes.
const TEXT_BYTES: usize = 1024 * 1024;
/// The longest address of a page, in bytes; it is repeated wherever the page is named.
const URL_BYTES: usize = 4096;
/// The longest title that is kept, in characters.
const TITLE_CHARS: usize = 300;
/// How much of a file says what it is.
const HEAD_BYTES: usize = 8 * 1024;
/// Says that what follows is UTF-8.
const MARK: &str = "\u{feff}";

/// Fetches and reads a page.
pub(super) async fn fetch(client: &GuardedClient, reader: &dyn Reader, url: Url) -> Result<Page, WebError> {
    let answer = client
        .get(url)
        .header(ACCEPT, WANTED)
        .gzip()
        .limits(LIMITS)
        .send()
        .await?;
    if !answer.status.is_success() {
        return Err(WebError::Status {
            status: answer.status,
            hint: None,
        });
    }
    let Response {
        mut url, headers, body, ..
    } = answer;
    // One place has one address, wherever in it a redirect points.
    url.set_fragment(None);
    if url.as_str().len() > URL_BYTES {
        return Err(WebError::LongAddress);
    }
    let bytes = body.bytes().await?;
    let declared = Declared::of(&headers);
    let (kind, media_type) = told_apart(&url, &declared, &bytes);
    let found = Found {
        url,
        media_type,
        bytes,
        declared,
    };
    found.read(reader, kind).await
}

/// What a server says of what it sends.
#[derive(Debug, Default)]
struct Declared {
    /// Like `text/html`, in lower case.
    media_type: Option<String>,
    charset: Option<String>,
    /// The day it was changed.
    changed: Option<String>,
}

impl Declared {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let content_type = text(CONTENT_TYPE).unwrap_or_default();
        let mut parts = content_type.split(';');
        let media_type = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let named = name.trim().eq_ignore_ascii_case("charset");
            named.then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        });
        Self {
            media_type: Some(media_type).filter(|text| text.contains('/') && text.len() <= 100),
            charset,
            changed: text(LAST_MODIFIED).and_then(markup::http_day),
        }
    }
}

/// What something is. Files that begin with what they are win over the declaration; of texts the declaration knows more.
fn told_apart(url: &Url, declared: &Declared, bytes: &[u8]) -> (Kind, String) {
    let name = url.path_segments().and_then(Iterator::last).unwrap_or_default();
    let head = bytes.get(..HEAD_BYTES).unwrap_or(bytes);
    let sniffed = mira_docs::sniff(name, head);
    let by_its_bytes = matches!(sniffed.kind, Kind::Pdf | Kind::Docx | Kind::Image);
    let Some(media_type) = declared.media_type.as_deref().filter(|_| !by_its_bytes) else {
        return (sniffed.kind, sniffed.media_type);
    };
    let kind = match media_type {
        "text/html" | "application/xhtml+xml" => Kind::Html,
        "text/markdown" => Kind::Markdown,
        "text/csv" => Kind::Csv,
        "application/octet-stream" | "binary/octet-stream" => return (sniffed.kind, sniffed.media_type),
        other if is_textual(other) => Kind::Text,
        other => {
            let is_page = sniffed.kind == Kind::Html;
            let is_text = matches!(sniffed.kind, Kind::Text | Kind::Markdown | Kind::Csv | Kind::Code);
            // A page that says why there is no such file, or a text whose type nobody knows.
            if is_page || is_text && other.starts_with("application/") {
                return (sniffed.kind, sniffed.media_type);
            }
            Kind::Other
        }
    };
    (kind, media_type.to_owned())
}

fn is_textual(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml") && !media_type.starts_with("image/")
        || matches!(
            media_type,
            "application/json"
                | "application/ld+json"
                | "application/x-ndjson"
                | "application/xml"
                | "application/javascript"
                | "application/ecmascript"
                | "application/yaml"
                | "application/x-yaml"
                | "application/toml"
                | "application/sql"
                | "application/x-sh"
                | "application/x-tex"
        )
}

/// What was fetched, before it is read.
struct Found {
    url: Url,
    media_type: String,
    bytes: Bytes,
    declared: Declared,
}

impl Found {
    async fn read(self, reader: &dyn Reader, kind: Kind) -> Result<Page, WebError> {
        match kind {
            Kind::Html => self.html(reader).await,
            Kind::Pdf | Kind::Docx => {
                let document = reader.read(kind, self.bytes.clone(), None).await?;
                let date = self.declared.changed.clone();
                Ok(self.page(document.title.clone(), date, Some(joined(document)), Vec::new()))
            }
            Kind::Text | Kind::Markdown | Kind::Csv | Kind::Code => {
                let text = markup::decode(&self.bytes, self.declared.charset.as_deref(), false);
                let text = markup::without_overstrikes(text);
                if markup::is_binary(&text) {
                    return Ok(self.no_text("a file"));
                }
                let date = self.declared.changed.clone();
                Ok(self.page(None, date, Some((text, false)), Vec::new()))
            }
            Kind::Image => Ok(self.no_text("a picture")),
            Kind::Other => Ok(self.no_text("a file")),
        }
    }

    async fn html(self, reader: &dyn Reader) -> Result<Page, WebError> {
        // A browser passes over a stray NUL.
        let html = markup::decode(&self.bytes, self.declared.charset.as_deref(), true).replace('\0', "");
        if markup::is_binary(&html) {
            return Ok(self.no_text("a file"));
        }
        let marked = Bytes::from(format!("{MARK}{html}"));
        let document = reader.read(Kind::Html, marked, Some(self.url.clone())).await?;
        let (title, date) = (document.title.clone(), markup::published(&html));
        let mut text = joined(document);
        let mut notes = Vec::new();
        if markup::needs_scripts(&html, &text.0) {
            notes
                .push("There is next to no text on this page unless its scripts are run, and they are not.".to_owned());
        }
        if text.0.trim().is_empty()
            && let Some(next) = markup::refresh(&html).and_then(|next| self.url.join(&next).ok())
        {
            text.0 = format!("There is nothing on this page but the way to {next}");
        }
        Ok(self.page(title, date, Some(text), notes))
    }

    /// Something that cannot be read as text.
    fn no_text(self, what: &str) -> Page {
        let note = format!("It is {what} of {}; it cannot be read as text.", size(self.bytes.len()));
        let date = self.declared.changed.clone();
        self.page(None, date, None, vec![note])
    }

    fn page(
        self,
        title: Option<String>,
        date: Option<String>,
        text: Option<(String, bool)>,
        mut notes: Vec<String>,
    ) -> Page {
        // Of nothing, nothing can be pointed at.
        let is_blank = text.as_ref().is_some_and(|(text, _)| text.trim().is_empty());
        if is_blank && notes.is_empty() {
            notes.push("There is no text in it.".to_owned());
        }
        let text = text.filter(|_| !is_blank).map(|(mut text, mut truncated)| {
            let end = text.floor_char_boundary(TEXT_BYTES);
            if end < text.len() {
                text.truncate(end);
                truncated = true;
            }
            if truncated {
                notes.push("Only its beginning was read: it is longer than Mira reads.".to_owned());
            }
            text
        });
        Page {
            url: self.url.to_string(),
            title: title
                .map(|title| one_line(&title, TITLE_CHARS))
                .filter(|title| !title.is_empty()),
            date,
            media_type: self.media_type,
            bytes: self.bytes.len(),
            text,
            notes,
        }
    }
}

/// A document as one text, and whether that is not all of it. Pages of a PDF are named, so that they can be cited.
fn joined(document: Document) -> (String, bool) {
    let mut text = String::new();
    for part in document.parts {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        if let Some(page) = part.page {
            let _infallible = writeln!(text, "[page {page}]");
        }
        text.push_str(part.text.trim());
    }
    (text, document.truncated)
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
