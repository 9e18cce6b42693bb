//! The zip file: which parts there are and what they unpack to, counted together against the cap.

use std::{
    collections::HashMap,
    io::{Cursor, Read},
};

use zip::{ZipArchive, result::ZipError};

use super::xml::{self, Item};
use crate::{DocError, Limits, decode};

/// Word writes some twenty, and one for each picture.
const ENTRIES: usize = 20_000;

/// An opened document.
pub struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    limits: &'a Limits,
    /// How much may still be unpacked.
    left: u64,
}

impl<'a> Package<'a> {
    /// Opens a document without unpacking anything.
    pub fn open(bytes: &'a [u8], limits: &'a Limits) -> Result<Self, DocError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
        if archive.len() > ENTRIES {
            return Err(DocError::TooLarge);
        }
        Ok(Self {
            archive,
            limits,
            left: limits.unpacked_bytes,
        })
    }

    /// One part, if it is there.
    pub fn part(&mut self, name: &str) -> Result<Option<String>, DocError> {
        let entry = match self.archive.by_name(name) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(damaged(&error)),
        };
        let mut bytes = Vec::new();
        let read = entry.take(self.left.saturating_add(1)).read_to_end(&mut bytes);
        let read = read.map_err(|error| DocError::Damaged(error.to_string()))?;
        self.left = self.left.checked_sub(read as u64).ok_or(DocError::TooLarge)?;
        let (text, _) = decode::text(&bytes, usize::MAX);
        Ok(Some(text))
    }

    /// The name of the part with the text: what the package says it is, or what it always is.
    pub fn main_part(&mut self) -> Result<String, DocError> {
        let mut main = None;
        if let Some(text) = self.part("_rels/.rels")? {
            xml::walk(&text, self.limits.depth, &mut |item| {
                if let Item::Open(element) = item
                    && element.name() == "Relationship"
                    && element
                        .attribute("Type")
                        .is_some_and(|kind| kind.ends_with("/officeDocument"))
                {
                    main = element.attribute("Target");
                }
                xml::Go::On
            })?;
        }
        let main = main.map(|target| target.trim_start_matches('/').to_owned());
        Ok(main
            .filter(|main| !main.is_empty())
            .unwrap_or_else(|| "word/document.xml".to_owned()))
    }

    /// Where the links of a part lead, by the ids it uses for them.
    pub fn links(&mut self, part: &str) -> Result<HashMap<String, String>, DocError> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let mut links = HashMap::new();
        if let Some(text) = self.part(&format!("{folder}/_rels/{file}.rels"))? {
            xml::walk(&text, self.limits.depth, &mut |item| {
                if let Item::Open(element) = item
                    && element
                        .attribute("Type")
                        .is_some_and(|kind| kind.ends_with("/hyperlink"))
                    && let (Some(id), Some(target)) = (element.attribute("Id"), element.attribute("Target"))
                {
                    links.insert(id, target);
                }
                xml::Go::On
            })?;
        }
        Ok(links)
    }

    /// The title in the document's properties.
    pub fn title(&mut self) -> Result<Option<String>, DocError> {
        let Some(text) = self.part("docProps/core.xml")? else {
            return Ok(None);
        };
        let (mut title, mut is_title) = (String::new(), false);
        xml::walk(&text, self.limits.depth, &mut |item| {
            match item {
                Item::Open(element) => is_title = element.name() == "title",
                Item::Close(_) => is_title = false,
                Item::Text(text) if is_title => title.push_str(text),
                Item::Text(_) => {}
            }
            xml::Go::On
        })?;
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Some(title).filter(|title| !title.is_empty()))
    }
}

fn damaged(error: &ZipError) -> DocError {
    match error {
        ZipError::UnsupportedArchive(why) if *why == ZipError::PASSWORD_REQUIRED => DocError::Encrypted,
        _ => DocError::Damaged(error.to_string()),
    }
}
