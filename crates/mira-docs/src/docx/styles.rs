//! Styles: which paragraphs are headings or list items because of what their style is called, in whatever language the
//! ids of styles are.

use std::collections::HashMap;

use super::{
    numbering::Place,
    xml::{self, Go, Item},
};
use crate::{DocError, Limits};

/// Styles are based on styles; longer chains than this are circles.
const CHAIN: usize = 16;

/// What a style makes of a paragraph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Style {
    /// A heading's level, 1 to 6.
    pub heading: Option<u8>,
    /// Whether it is the document's title.
    pub is_title: bool,
    /// The list it is in.
    pub place: Option<Place>,
    based_on: Option<String>,
}

/// A document's styles by id.
#[derive(Debug, Default)]
pub struct Styles(HashMap<String, Style>);

impl Styles {
    /// What a style is, with what it has from the ones it is based on.
    pub fn resolve(&self, id: &str) -> Style {
        let mut style = self.0.get(id).cloned().unwrap_or_default();
        let mut parent = style.based_on.take();
        for _ in 0..CHAIN {
            let Some(base) = parent.as_deref().and_then(|id| self.0.get(id)) else {
                break;
            };
            style.heading = style.heading.or(base.heading);
            style.is_title |= base.is_title;
            style.place = style.place.or_else(|| base.place.clone());
            parent.clone_from(&base.based_on);
        }
        style
    }
}

/// Reads `styles.xml`.
pub fn read(text: &str, limits: &Limits) -> Result<Styles, DocError> {
    let mut styles = HashMap::new();
    let mut open: Option<(String, Style)> = None;
    xml::walk(text, limits.depth, &mut |item| {
        match item {
            Item::Open(element) if element.name() == "style" => {
                open = element.attribute("styleId").map(|id| (id, Style::default()));
            }
            Item::Open(element) => {
                if let (Some((_, style)), Some(value)) = (&mut open, element.attribute("val")) {
                    set(style, element.name(), &value);
                }
            }
            Item::Close("style") => styles.extend(open.take()),
            Item::Close(_) | Item::Text(_) => {}
        }
        Go::On
    })?;
    Ok(Styles(styles))
}

fn set(style: &mut Style, property: &str, value: &str) {
    match property {
        "name" => {
            let name = value.to_ascii_lowercase();
            let level = name
                .strip_prefix("heading ")
                .and_then(|level| level.trim().parse::<u8>().ok());
            style.heading = style.heading.or(level.map(|level| level.clamp(1, 6)));
            style.is_title |= name == "title";
        }
        "basedOn" => style.based_on = Some(value.to_owned()),
        "outlineLvl" => style.heading = style.heading.or_else(|| outline(value)),
        "numId" => value.clone_into(&mut style.place.get_or_insert_default().list),
        "ilvl" => style.place.get_or_insert_default().level = value.parse().unwrap_or(0),
        _ => {}
    }
}

/// An outline level counts from 0; the ninth is running text.
pub fn outline(value: &str) -> Option<u8> {
    let level = value.parse::<u8>().ok().filter(|level| *level < 9)?;
    Some((level + 1).min(6))
}
