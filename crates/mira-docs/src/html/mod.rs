//! Web pages: the article of a page as text with the marks of Markdown, without menus, controls, scripts and what
//! nobody sees.
//!
//! The text is for reading and searching, not for rendering: it is not escaped, so that it must never be served as HTML
//! or Markdown that is trusted.

mod article;
mod dom;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind};

use url::Url;

use crate::{Document, Limits, Part, decode};
use article::Page;
use dom::{Dom, NodeId};
use write::Writer;

/// How much more markup than text a page may have.
const MARKUP_PER_TEXT: usize = 4;
/// How many times deeper than what keeps its structure a page may be nested before the rest of it is left out.
const DEPTH_MARGIN: u32 = 4;
/// A title is a line.
const TITLE_BYTES: usize = 500;

/// The article of a page given as bytes, in the encoding it declares.
pub fn read(bytes: &[u8], limits: &Limits) -> Document {
    let (html, cut) = decode::html(bytes, limits.text_bytes.saturating_mul(MARKUP_PER_TEXT));
    let mut document = readable(&html, None, limits);
    document.truncated |= cut;
    document
}

/// The article of a web page as Markdown-like text: title, headings, lists, tables, code, and links as
/// `[text](absolute url)`. Without a `base`, links that are not absolute are only their text.
pub fn readable(html: &str, base: Option<&Url>, limits: &Limits) -> Document {
    // The parser below is well tested, and the page is anybody's: a panic of it must not be one of ours.
    let read = catch_unwind(AssertUnwindSafe(|| page_text(html, base, limits)));
    read.unwrap_or_else(|_| Document {
        title: None,
        parts: vec![Part::default()],
        truncated: true,
    })
}

fn page_text(html: &str, base: Option<&Url>, limits: &Limits) -> Document {
    let longest = limits.text_bytes.saturating_mul(MARKUP_PER_TEXT);
    let taken = html.get(..html.floor_char_boundary(longest)).unwrap_or(html);
    let dom = Dom::parse(taken, limits.depth.saturating_mul(DEPTH_MARGIN));
    let page = Page::new(&dom);
    let base = declared_base(&dom, base);
    let write = |top: NodeId, bare: bool| {
        let mut writer = Writer::new(&dom, &page, base.as_ref(), limits, bare);
        writer.element(top);
        writer.finish()
    };
    let (mut text, mut truncated) = write(page.article(), true);
    if text.is_empty() {
        // Everything looked like dressing: then the dressing is the page.
        (text, truncated) = write(page.body_element(), false);
    }
    let title = title(&dom, &page);
    if let Some(title) = title.as_deref().filter(|_| !text.is_empty() && !has_headline(&text)) {
        text.insert_str(0, &format!("# {title}\n\n"));
        truncated |= crate::text::cut(&mut text, limits.text_bytes);
    }
    Document {
        title,
        truncated: truncated || dom.truncated || taken.len() < html.len(),
        parts: vec![Part {
            text,
            ..Part::default()
        }],
    }
}

fn has_headline(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("# "))
}

/// What the page calls itself, or its headline.
fn title(dom: &Dom, page: &Page<'_>) -> Option<String> {
    let text = |id| one_line(&dom.text(id));
    let named = |name: &str| {
        let mut found = dom
            .walk(Dom::ROOT, |id| dom.name(id) != "svg")
            .filter(|id| dom.name(*id) == name);
        found.find_map(&text)
    };
    let from_meta = || {
        let mut metas = dom.walk(Dom::ROOT, |_| true).filter(|id| dom.name(*id) == "meta");
        let meta = metas.find(|id| dom.attribute(*id, "property") == Some("og:title"))?;
        one_line(dom.attribute(meta, "content")?)
    };
    let headline = || {
        let mut seen = dom.walk(Dom::ROOT, |id| !page.is_hidden(id) || dom.name(id) == "head");
        let headline = dom.text(seen.find(|id| dom.name(*id) == "h1")?);
        // Without the sign that links to it.
        one_line(headline.trim_end().trim_end_matches(['¶', '§', '🔗']))
    };
    let title = named("title").or_else(from_meta);
    match (title, headline()) {
        // "Headline - Name of the site" is the headline.
        (Some(title), Some(headline)) if title.contains(&headline) => Some(headline),
        (title, headline) => title.or(headline),
    }
}

fn one_line(text: &str) -> Option<String> {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::text::cut(&mut line, TITLE_BYTES);
    (!line.is_empty()).then_some(line)
}

/// Where the page's links start from: its `base` element, itself relative to where the page came from.
fn declared_base(dom: &Dom, base: Option<&Url>) -> Option<Url> {
    let mut bases = dom.walk(Dom::ROOT, |_| true).filter(|id| dom.name(*id) == "base");
    let href = bases.find_map(|id| dom.attribute(id, "href"));
    match (href, base) {
        (Some(href), Some(base)) => base.join(href.trim()).ok().or_else(|| Some(base.clone())),
        (Some(href), None) => Url::parse(href.trim()).ok(),
        (None, base) => base.cloned(),
    }
}

#[cfg(test)]
mod tests;
