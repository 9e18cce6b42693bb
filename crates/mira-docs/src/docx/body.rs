//! The text itself: paragraphs, tables and notes as they come, without recursion.

use std::collections::HashMap;

use super::{
    numbering::{Numbering, Place},
    styles::{self, Styles},
    xml::{self, Element, Go, Item},
};
use crate::{DocError, Limits};

/// What is not part of the text: deleted and moved away, what fields are computed from, the older of two versions of a
/// drawing, and what Word says of itself between notes.
const LEFT_OUT: &[&str] = &[
    "del",
    "moveFrom",
    "instrText",
    "delText",
    "delInstrText",
    "Fallback",
    "sectPr",
    "rPr",
    "tblPr",
    "trPr",
    "tcPr",
];

/// What the text refers to.
pub struct Sources<'a> {
    /// Styles by id.
    pub styles: &'a Styles,
    /// Link targets by id.
    pub links: &'a HashMap<String, String>,
}

/// What came of it.
pub struct Written {
    /// The text.
    pub text: String,
    /// The first paragraph that is a title, or the first heading of the first level.
    pub title: Option<String>,
    /// Whether the cap cut it.
    pub truncated: bool,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    place: Option<Place>,
    outline: Option<u8>,
    in_properties: bool,
    /// Where open links begin in the text, and where they lead.
    links: Vec<(usize, Option<String>)>,
}

/// A table that is being read: its finished rows, the last one open.
#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
}

/// Reads parts of a document one after the other.
pub struct Body<'a> {
    sources: Sources<'a>,
    numbering: Numbering,
    limit: usize,
    out: String,
    title: Option<String>,
    heading: Option<String>,
    /// Paragraphs lie in each other where a text box is anchored.
    paragraphs: Vec<Paragraph>,
    tables: Vec<Table>,
    /// How many elements that are left out are open.
    left_out: usize,
    in_text: bool,
    after_item: bool,
    /// The note whose text comes next.
    note: Option<String>,
    truncated: bool,
}

impl<'a> Body<'a> {
    /// Nothing is written yet.
    pub fn new(sources: Sources<'a>, numbering: Numbering, limit: usize) -> Self {
        Self {
            sources,
            numbering,
            limit,
            out: String::new(),
            title: None,
            heading: None,
            paragraphs: Vec::new(),
            tables: Vec::new(),
            left_out: 0,
            in_text: false,
            after_item: false,
            note: None,
            truncated: false,
        }
    }

    /// Reads a part with text: the document, or its notes.
    pub fn read(&mut self, text: &str, limits: &Limits) -> Result<(), DocError> {
        xml::walk(text, limits.depth, &mut |item| {
            match item {
                Item::Open(element) => self.open(&element),
                Item::Close(name) => self.close(name),
                Item::Text(text) => self.letters(text),
            }
            let held = self.paragraphs.last().map_or(0, |paragraph| paragraph.text.len());
            if self.out.len().saturating_add(held) > self.limit {
                self.truncated = true;
                return Go::Stop;
            }
            Go::On
        })?;
        while !self.paragraphs.is_empty() {
            self.end_paragraph();
        }
        while !self.tables.is_empty() {
            self.end_table();
        }
        (self.left_out, self.in_text) = (0, false);
        Ok(())
    }

    /// The text of all that was read.
    pub fn finish(mut self) -> Written {
        let cut = crate::text::cut(&mut self.out, self.limit);
        Written {
            text: self.out,
            title: self.title.or(self.heading),
            truncated: self.truncated || cut,
        }
    }

    fn open(&mut self, element: &Element<'_>) {
        let name = element.name();
        if self.left_out > 0 || LEFT_OUT.contains(&name) || is_separator(element) {
            self.left_out += 1;
            return;
        }
        match name {
            "p" => self.paragraphs.push(Paragraph::default()),
            "tbl" => self.tables.push(Table::default()),
            "tr" => self.with_table(|table| table.rows.push(Vec::new())),
            "tc" => self.with_table(|table| {
                if let Some(row) = table.rows.last_mut() {
                    row.push(String::new());
                }
            }),
            "footnote" | "endnote" => self.note = element.attribute("id"),
            _ => self.open_in_paragraph(element),
        }
    }

    fn open_in_paragraph(&mut self, element: &Element<'_>) {
        let Some(paragraph) = self.paragraphs.last_mut() else {
            return;
        };
        if paragraph.in_properties {
            let value = element.attribute("val").unwrap_or_default();
            match element.name() {
                "pStyle" => paragraph.style = Some(value),
                "numId" => paragraph.place.get_or_insert_default().list = value,
                "ilvl" => paragraph.place.get_or_insert_default().level = value.parse().unwrap_or(0),
                "outlineLvl" => paragraph.outline = styles::outline(&value),
                _ => {}
            }
            return;
        }
        match element.name() {
            "pPr" => paragraph.in_properties = true,
            "t" => self.in_text = true,
            "tab" => paragraph.text.push('\t'),
            "br" | "cr" => paragraph.text.push('\n'),
            "noBreakHyphen" => paragraph.text.push('-'),
            "hyperlink" => {
                let target = element
                    .attribute("id")
                    .and_then(|id| self.sources.links.get(&id))
                    .cloned();
                paragraph.links.push((paragraph.text.len(), target));
            }
            "footnoteReference" | "endnoteReference" => {
                let id = element.attribute("id").unwrap_or_default();
                paragraph.text.extend(["[^", &id, "]"]);
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if self.left_out > 0 {
            self.left_out -= 1;
            return;
        }
        match name {
            "p" => self.end_paragraph(),
            "tbl" => self.end_table(),
            "t" => self.in_text = false,
            "pPr" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.in_properties = false;
                }
            }
            "hyperlink" => self.end_link(),
            _ => {}
        }
    }

    fn letters(&mut self, text: &str) {
        if self.left_out == 0
            && self.in_text
            && let Some(paragraph) = self.paragraphs.last_mut()
        {
            paragraph.text.push_str(text);
        }
    }

    fn end_link(&mut self) {
        let Some(paragraph) = self.paragraphs.last_mut() else {
            return;
        };
        let Some((start, Some(target))) = paragraph.links.pop() else {
            return;
        };
        let text = paragraph.text.get(start..).unwrap_or_default().trim().to_owned();
        let is_web = target.starts_with("http://") || target.starts_with("https://") || target.starts_with("mailto:");
        if is_web && !text.is_empty() && text != target {
            paragraph.text.truncate(start);
            paragraph.text.push_str(&crate::text::link(&text, &target));
        }
    }

    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.paragraphs.pop() else {
            return;
        };
        let text = paragraph.text.trim();
        if text.is_empty() {
            return;
        }
        if !self.tables.is_empty() {
            self.add_to_cell(text);
            return;
        }
        let style = paragraph
            .style
            .as_deref()
            .map(|id| self.sources.styles.resolve(id))
            .unwrap_or_default();
        let heading = if style.is_title {
            Some(1)
        } else {
            paragraph.outline.or(style.heading)
        };
        if let Some(level) = heading {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if style.is_title {
                self.title.get_or_insert_with(|| text.clone());
            } else if level == 1 {
                self.heading.get_or_insert_with(|| text.clone());
            }
            self.block(&format!("{} {text}", "#".repeat(level.into())));
            return;
        }
        if let Some(note) = self.note.take() {
            self.block(&format!("[^{note}]: {text}"));
            return;
        }
        let place = paragraph.place.or(style.place);
        match place.and_then(|place| self.numbering.marker(&place)) {
            Some(marker) => self.item(&format!("{marker}{}", text.replace('\n', " "))),
            None => self.block(text),
        }
    }

    fn end_table(&mut self) {
        let Some(table) = self.tables.pop() else {
            return;
        };
        if !self.tables.is_empty() {
            // A table in a cell is what its cells say.
            for cell in table.rows.into_iter().flatten().filter(|cell| !cell.is_empty()) {
                self.add_to_cell(&cell);
            }
            return;
        }
        let says_something = table.rows.iter().flatten().any(|cell| !cell.is_empty());
        if says_something {
            self.block(&crate::text::table(&table.rows).join("\n"));
        }
    }

    fn with_table(&mut self, change: impl FnOnce(&mut Table)) {
        if let Some(table) = self.tables.last_mut() {
            change(table);
        }
    }

    fn add_to_cell(&mut self, text: &str) {
        let cell = self
            .tables
            .last_mut()
            .and_then(|table| table.rows.last_mut())
            .and_then(|row| row.last_mut());
        if let Some(cell) = cell {
            for word in text.split_whitespace() {
                if !cell.is_empty() {
                    cell.push(' ');
                }
                cell.push_str(word);
            }
        }
    }

    fn block(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.push_str(text);
        self.out.push('\n');
        self.after_item = false;
    }

    fn item(&mut self, text: &str) {
        if !self.after_item && !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.push_str(text);
        self.out.push('\n');
        self.after_item = true;
    }
}

/// The lines Word draws between text and notes are notes themselves.
fn is_separator(element: &Element<'_>) -> bool {
    matches!(element.name(), "footnote" | "endnote") && element.attribute("type").is_some_and(|kind| kind != "normal")
}
