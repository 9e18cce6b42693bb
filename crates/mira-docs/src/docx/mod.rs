//! Documents of Word and of every program that writes Office Open XML: a zip file with XML in it. Paragraphs, headings,
//! lists, tables, links and notes become text with the marks of Markdown; what was deleted with changes tracked, what
//! fields are computed from, headers and footers are left out.

mod body;
mod numbering;
mod package;
mod styles;
mod xml;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{DocError, Document, Limits, Part};
use body::{Body, Sources};
use package::Package;

/// How every file of the older formats begins, and every encrypted one of the newer.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Reads a document.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    if bytes.starts_with(OLE) {
        return Err(DocError::Encrypted);
    }
    let read = catch_unwind(AssertUnwindSafe(|| document(bytes, limits)));
    read.unwrap_or_else(|_| Err(DocError::Damaged("its structure makes no sense".to_owned())))
}

fn document(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let mut package = Package::open(bytes, limits)?;
    let main = package.main_part()?;
    let Some(text) = package.part(&main)? else {
        return Err(DocError::Damaged("it holds no text document".to_owned()));
    };
    let beside = |name: &str| match main.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name.to_owned(),
    };
    let styles = match package.part(&beside("styles.xml"))? {
        Some(xml) => styles::read(&xml, limits)?,
        None => styles::Styles::default(),
    };
    let numbering = match package.part(&beside("numbering.xml"))? {
        Some(xml) => numbering::read(&xml, limits)?,
        None => numbering::Numbering::default(),
    };
    let links = package.links(&main)?;
    let mut body = Body::new(
        Sources {
            styles: &styles,
            links: &links,
        },
        numbering,
        limits.text_bytes,
    );
    body.read(&text, limits)?;
    for name in ["footnotes.xml", "endnotes.xml"] {
        if let Some(xml) = package.part(&beside(name))? {
            body.read(&xml, limits)?;
        }
    }
    let named = package.title()?;
    let written = body.finish();
    if written.text.is_empty() {
        return Err(DocError::NoText);
    }
    Ok(Document {
        title: named.or(written.title),
        parts: vec![Part {
            text: written.text,
            ..Part::default()
        }],
        truncated: written.truncated,
    })
}

#[cfg(test)]
mod tests;
