//! Lists: what stands in front of an item.

use std::collections::HashMap;

use super::xml::{self, Go, Item};
use crate::{DocError, Limits};

/// How deep lists go; Word knows nine levels.
const LEVELS: usize = 9;

/// Where an item is in the document's lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The list's id. `0` takes an item out of its style's list.
    pub list: String,
    /// How deep it is, from 0.
    pub level: usize,
}

/// A document's lists, and how far each is counted.
#[derive(Debug, Default)]
pub struct Numbering {
    /// Which definition a list uses.
    lists: HashMap<String, String>,
    /// Whether a level of a definition has numbers.
    numbered: HashMap<(String, usize), bool>,
    counted: HashMap<String, [u32; LEVELS]>,
}

impl Numbering {
    /// What stands in front of the next item at a place: indentation and a dash or a number. Nothing if it is not in a
    /// list after all.
    pub fn marker(&mut self, place: &Place) -> Option<String> {
        if place.list == "0" || place.list.is_empty() {
            return None;
        }
        let level = place.level.min(LEVELS - 1);
        let counted = self.counted.entry(place.list.clone()).or_default();
        for (index, count) in counted.iter_mut().enumerate().skip(level) {
            *count = if index == level { count.saturating_add(1) } else { 0 };
        }
        let number = counted.get(level).copied().unwrap_or(1);
        let definition = self.lists.get(&place.list).cloned().unwrap_or_default();
        let is_numbered = self.numbered.get(&(definition, level)).copied().unwrap_or(false);
        let indent = "  ".repeat(level);
        Some(if is_numbered {
            format!("{indent}{number}. ")
        } else {
            format!("{indent}- ")
        })
    }
}

/// Reads `numbering.xml`.
pub fn read(text: &str, limits: &Limits) -> Result<Numbering, DocError> {
    let mut numbering = Numbering::default();
    let (mut definition, mut list, mut level) = (String::new(), String::new(), 0_usize);
    xml::walk(text, limits.depth, &mut |item| {
        let Item::Open(element) = item else {
            return Go::On;
        };
        let attribute = |name: &str| element.attribute(name).unwrap_or_default();
        match element.name() {
            "abstractNum" => definition = attribute("abstractNumId"),
            "lvl" => level = attribute("ilvl").parse().unwrap_or(0),
            "numFmt" => {
                let format = attribute("val");
                let is_numbered = format != "bullet" && format != "none";
                numbering
                    .numbered
                    .entry((definition.clone(), level))
                    .or_insert(is_numbered);
            }
            "num" => list = attribute("numId"),
            "abstractNumId" => {
                numbering.lists.insert(list.clone(), attribute("val"));
            }
            _ => {}
        }
        Go::On
    })?;
    Ok(numbering)
}
