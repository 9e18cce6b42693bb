//! Writes an element as text with the marks of Markdown.
//!
//! Recursion is as deep as [`Limits::depth`] and no deeper: below, an element is only its text.

use url::Url;

use super::{
    article::Page,
    dom::{Content, Dom, NodeId},
};
use crate::Limits;

/// Elements that end the line before and after themselves.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "html",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
    "caption",
];
/// A table with a longer cell than this arranges a page and holds no figures.
const CELL_BYTES: usize = 800;
/// A longer address than this is not written out.
const URL_BYTES: usize = 2000;

/// What the lines inside a list item or a quotation begin with.
struct Level {
    /// Every line.
    prefix: &'static str,
    /// The first line instead, until it is written.
    marker: Option<String>,
}

/// The text so far.
pub struct Writer<'a> {
    dom: &'a Dom,
    page: &'a Page<'a>,
    base: Option<&'a Url>,
    limits: &'a Limits,
    /// Whether dressing is left out.
    bare: bool,
    out: String,
    levels: Vec<Level>,
    /// Line ends owed before the next letter.
    ends: usize,
    /// Whether a space is owed before the next letter.
    space: bool,
    depth: u32,
    truncated: bool,
}

impl<'a> Writer<'a> {
    /// Writes nothing yet.
    pub fn new(dom: &'a Dom, page: &'a Page<'a>, base: Option<&'a Url>, limits: &'a Limits, bare: bool) -> Self {
        Self {
            dom,
            page,
            base,
            limits,
            bare,
            out: String::new(),
            levels: Vec::new(),
            ends: 0,
            space: false,
            depth: 0,
            truncated: false,
        }
    }

    /// The text, and whether it was cut.
    pub fn finish(mut self) -> (String, bool) {
        let cut = crate::text::cut(&mut self.out, self.limits.text_bytes);
        self.out.truncate(self.out.trim_end().len());
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        (self.out, self.truncated || cut)
    }

    /// Writes an element, or a text, with all that is in it.
    pub fn element(&mut self, id: NodeId) {
        if self.out.len() > self.limits.text_bytes {
            self.truncated = true;
            return;
        }
        match self.dom.content(id) {
            Content::Text(text) => self.words(text),
            Content::Nothing => self.children(id),
            Content::Element { name, .. } => {
                if !self.is_left_out(id) {
                    self.named(id, name);
                }
            }
        }
    }

    fn is_left_out(&self, id: NodeId) -> bool {
        self.page.is_hidden(id) || (self.bare && self.page.is_dressing(id))
    }

    fn named(&mut self, id: NodeId, name: &str) {
        match name {
            "br" => self.end_lines(1),
            "hr" => {
                self.end_lines(2);
                self.words("---");
                self.end_lines(2);
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading(id, name),
            "ul" | "ol" | "menu" => self.list(id, name == "ol"),
            "li" => self.item(id, "- ".to_owned()),
            "dt" => {
                self.end_lines(2);
                self.children(id);
                self.end_lines(1);
            }
            "dd" => self.item(id, ": ".to_owned()),
            "pre" => self.code_block(id),
            "code" | "kbd" | "samp" | "tt" => self.code(id),
            "a" => self.link(id),
            "img" => {}
            "table" => self.table(id),
            "blockquote" => self.nested(id, "> ", None, 2),
            "tr" | "address" | "figcaption" | "summary" | "caption" => self.block(id, 1),
            "td" | "th" => {
                self.space = true;
                self.children(id);
                self.space = true;
            }
            _ if BLOCKS.contains(&name) => self.block(id, if name == "p" { 2 } else { 1 }),
            _ => self.children(id),
        }
    }

    fn children(&mut self, id: NodeId) {
        if self.depth >= self.limits.depth {
            // Too deep for structure; the text is still there.
            for id in self.dom.walk(id, |id| !self.is_left_out(id)).collect::<Vec<_>>() {
                if let Content::Text(text) = self.dom.content(id) {
                    self.words(text);
                } else if BLOCKS.contains(&self.dom.name(id)) {
                    self.end_lines(1);
                }
            }
            return;
        }
        self.depth += 1;
        for child in self.dom.children(id) {
            self.element(child);
        }
        self.depth -= 1;
    }

    fn block(&mut self, id: NodeId, ends: usize) {
        self.end_lines(ends);
        self.children(id);
        self.end_lines(ends);
    }

    fn nested(&mut self, id: NodeId, prefix: &'static str, marker: Option<String>, ends: usize) {
        self.end_lines(ends);
        self.levels.push(Level { prefix, marker });
        self.children(id);
        self.levels.pop();
        self.end_lines(ends);
    }

    fn heading(&mut self, id: NodeId, name: &str) {
        let text = self.inline(id);
        if text.is_empty() {
            return;
        }
        let level = name.strip_prefix('h').and_then(|digit| digit.parse().ok()).unwrap_or(1);
        self.end_lines(2);
        self.raw(&"#".repeat(level));
        self.space = true;
        self.raw(&text);
        self.end_lines(2);
    }

    fn list(&mut self, id: NodeId, ordered: bool) {
        let ends = if self.levels.is_empty() { 2 } else { 1 };
        self.end_lines(ends);
        let start = self
            .dom
            .attribute(id, "start")
            .and_then(|start| start.trim().parse::<i64>().ok());
        let mut number = start.unwrap_or(1);
        if self.depth >= self.limits.depth {
            self.children(id);
        } else {
            self.depth += 1;
            for child in self.dom.children(id) {
                if ordered && self.dom.name(child) == "li" && !self.is_left_out(child) {
                    self.item(child, format!("{number}. "));
                    number = number.saturating_add(1);
                } else {
                    self.element(child);
                }
            }
            self.depth -= 1;
        }
        self.end_lines(ends);
    }

    fn item(&mut self, id: NodeId, marker: String) {
        let prefix = if marker.len() > 2 { "   " } else { "  " };
        self.nested(id, prefix, Some(marker), 1);
    }

    fn code_block(&mut self, id: NodeId) {
        let text = self.dom.text(id);
        let text = text.trim_matches('\n').trim_end();
        if text.trim().is_empty() {
            return;
        }
        let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.saturating_add(1).max(3));
        self.end_lines(2);
        self.raw(&fence);
        self.out.push_str(self.language(id).unwrap_or_default());
        for line in text.lines() {
            self.ends = 1;
            self.raw(line);
        }
        self.ends = 1;
        self.raw(&fence);
        self.end_lines(2);
    }

    /// The language a highlighter's class names.
    fn language(&self, id: NodeId) -> Option<&'a str> {
        let inside = self.dom.children(id).find(|child| self.dom.name(*child) == "code");
        let classes = [Some(id), inside]
            .into_iter()
            .flatten()
            .filter_map(|id| self.dom.attribute(id, "class"));
        let mut words = classes.flat_map(str::split_ascii_whitespace);
        words.find_map(|class| class.strip_prefix("language-").or_else(|| class.strip_prefix("lang-")))
    }

    fn code(&mut self, id: NodeId) {
        let text = self.dom.text(id);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains('`') || text.is_empty() {
            self.words(&text);
        } else {
            self.raw(&format!("`{text}`"));
        }
    }

    fn link(&mut self, id: NodeId) {
        if self.is_permalink(id) {
            return;
        }
        let has_block = self
            .dom
            .walk(id, |_| true)
            .any(|id| BLOCKS.contains(&self.dom.name(id)));
        let target = self.dom.attribute(id, "href").and_then(|href| self.target(href));
        let (Some(target), false) = (target, has_block) else {
            self.children(id);
            return;
        };
        let text = self.inline(id);
        if text.is_empty() {
            return;
        }
        // A space at the edge inside a link is one outside.
        let written = self.dom.text(id);
        self.space |= written.starts_with(char::is_whitespace);
        if text == target {
            self.raw(&text);
        } else {
            self.raw(&crate::text::link(&text, &target));
        }
        self.space |= written.ends_with(char::is_whitespace);
    }

    /// The sign behind a heading that links to the heading itself.
    fn is_permalink(&self, id: NodeId) -> bool {
        self.dom.attribute(id, "href").is_some_and(|href| href.starts_with('#'))
            && matches!(self.dom.text(id).trim(), "¶" | "#" | "§" | "🔗" | "")
    }

    fn target(&self, href: &str) -> Option<String> {
        let href = href.trim();
        if href.is_empty() || href.starts_with('#') {
            return None;
        }
        let url = match self.base {
            Some(base) => base.join(href),
            None => Url::parse(href),
        };
        let url = url
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https" | "mailto"))?;
        (url.as_str().len() <= URL_BYTES).then(|| url.into())
    }

    fn table(&mut self, id: NodeId) {
        let rows = self.rows(id);
        let widest = rows.iter().map(Vec::len).max().unwrap_or(0);
        if widest < 2 || self.arranges(&rows) {
            self.block(id, 2);
            return;
        }
        self.end_lines(2);
        for child in self.dom.children(id).filter(|child| self.dom.name(*child) == "caption") {
            self.element(child);
        }
        self.end_lines(2);
        let (mut written, mut left) = (Vec::new(), self.limits.text_bytes);
        for row in rows {
            let row: Vec<String> = row.into_iter().map(|cell| self.inline(cell)).collect();
            left = left.saturating_sub(row.iter().map(String::len).sum());
            written.push(row);
            if left == 0 {
                self.truncated = true;
                break;
            }
        }
        for line in crate::text::table(&written) {
            self.end_lines(1);
            self.raw(&line);
        }
        self.end_lines(2);
    }

    /// The cells of a table's rows, without those of tables in it.
    fn rows(&self, table: NodeId) -> Vec<Vec<NodeId>> {
        let mut rows = Vec::new();
        let enter = |id: NodeId| id == table || !matches!(self.dom.name(id), "table" | "td" | "th" | "caption");
        for row in self.dom.walk(table, enter).filter(|id| self.dom.name(*id) == "tr") {
            let cells = self
                .dom
                .children(row)
                .filter(|cell| matches!(self.dom.name(*cell), "td" | "th"));
            let cells: Vec<NodeId> = cells.filter(|cell| !self.is_left_out(*cell)).collect();
            if !cells.is_empty() && !self.is_left_out(row) {
                rows.push(cells);
            }
        }
        rows
    }

    /// Whether a table is used to arrange a page: other structure or long texts are in its cells.
    fn arranges(&self, rows: &[Vec<NodeId>]) -> bool {
        rows.iter().flatten().any(|cell| {
            let mut bytes = 0_usize;
            self.dom.walk(*cell, |_| true).any(|id| match self.dom.content(id) {
                Content::Text(text) => {
                    bytes = bytes.saturating_add(text.len());
                    bytes > CELL_BYTES
                }
                Content::Element { name, .. } => {
                    matches!(
                        &**name,
                        "table" | "h1" | "h2" | "h3" | "pre" | "article" | "section" | "form"
                    )
                }
                Content::Nothing => false,
            })
        })
    }

    /// What an element says, in one line.
    fn inline(&self, id: NodeId) -> String {
        let mut inner = Self::new(self.dom, self.page, self.base, self.limits, self.bare);
        inner.depth = self.depth;
        inner.children(id);
        let (text, _) = inner.finish();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Running text: white space of any length is one space.
    fn words(&mut self, text: &str) {
        self.space |= text.starts_with(char::is_whitespace);
        for word in text.split_whitespace() {
            self.raw(word);
            self.space = true;
        }
        if !text.is_empty() && !text.ends_with(char::is_whitespace) {
            self.space = false;
        }
    }

    /// Text as it is, after what is owed before it.
    fn raw(&mut self, text: &str) {
        if self.ends > 0 || self.out.is_empty() {
            let ends = if self.out.is_empty() { 0 } else { self.ends };
            for end in 0..ends {
                self.out.push('\n');
                if end + 1 < ends && self.levels.iter().any(|level| level.prefix.starts_with('>')) {
                    self.prefix(false);
                }
            }
            self.prefix(true);
        } else if self.space {
            self.out.push(' ');
        }
        (self.ends, self.space) = (0, false);
        self.out.push_str(text);
    }

    fn prefix(&mut self, of_text: bool) {
        let start = self.out.len();
        for level in &mut self.levels {
            match level.marker.take_if(|_| of_text) {
                Some(marker) => self.out.push_str(&marker),
                None => self.out.push_str(level.prefix),
            }
        }
        if !of_text {
            let bare = self.out.trim_end_matches(' ').len().max(start);
            self.out.truncate(bare);
        }
    }

    fn end_lines(&mut self, ends: usize) {
        self.ends = self.ends.max(ends);
        self.space = false;
    }
}
