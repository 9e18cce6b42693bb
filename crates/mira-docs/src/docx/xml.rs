//! XML as a run of elements and texts, by local names. Entities that a document defines itself are not expanded, so
//! that nothing grows while it is read.

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesStart, Event},
};

use crate::DocError;

/// What comes next.
pub enum Item<'a> {
    /// An element begins.
    Open(Element<'a>),
    /// The element of this name ends. Every element that begins does, as far as the text goes.
    Close(&'a str),
    /// Text between elements, perhaps only a part of it.
    Text(&'a str),
}

/// An element's beginning.
pub struct Element<'a>(&'a BytesStart<'a>);

impl Element<'_> {
    /// Its name without the prefix.
    pub fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// An attribute by its name without the prefix.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        let found = attributes
            .flatten()
            .find(|attribute| attribute.key.local_name().into_inner() == name)?;
        let value = found.normalized_value(XmlVersion::Implicit1_0).ok()?;
        Some(value.into_owned())
    }
}

/// Whether to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// Read on.
    On,
    /// Enough was read.
    Stop,
}

/// Reads a text to its end, or until `visit` has enough of it. Fails where it is no XML, or nested too deeply.
pub fn walk(text: &str, depth: u32, visit: &mut dyn FnMut(Item<'_>) -> Go) -> Result<(), DocError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    let mut open = 0_u32;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| DocError::Damaged(error.to_string()))?;
        let go = match event {
            Event::Start(start) => {
                open = open.saturating_add(1);
                if open > depth {
                    return Err(DocError::Damaged("its elements are nested too deeply".to_owned()));
                }
                visit(Item::Open(Element(&start)))
            }
            Event::Empty(start) => match visit(Item::Open(Element(&start))) {
                Go::On => visit(Item::Close(start.local_name().into_inner())),
                Go::Stop => Go::Stop,
            },
            Event::End(end) => {
                open = open.saturating_sub(1);
                visit(Item::Close(end.local_name().into_inner()))
            }
            Event::Text(text) => visit(Item::Text(&text)),
            Event::CData(text) => visit(Item::Text(&text)),
            Event::GeneralRef(reference) => {
                let letter = reference.resolve_char_ref().ok().flatten();
                match (letter, resolve_xml_entity(&reference)) {
                    (Some(letter), _) => visit(Item::Text(letter.encode_utf8(&mut [0; 4]))),
                    (None, Some(text)) => visit(Item::Text(text)),
                    (None, None) => Go::On,
                }
            }
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Go::On,
        };
        if go == Go::Stop {
            return Ok(());
        }
    }
}
