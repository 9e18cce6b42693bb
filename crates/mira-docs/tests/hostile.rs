//! Whatever the bytes: an answer, within the limits, and never a panic.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Cursor, Write};

use mira_docs::{ChunkSettings, Kind, Limits, chunks, read, readable, sniff};
use proptest::prelude::*;
use zip::{ZipWriter, write::SimpleFileOptions};

const KINDS: [Kind; 9] = [
    Kind::Text,
    Kind::Markdown,
    Kind::Html,
    Kind::Pdf,
    Kind::Docx,
    Kind::Csv,
    Kind::Code,
    Kind::Image,
    Kind::Other,
];

const LIMITS: Limits = Limits {
    text_bytes: 4096,
    pages: 8,
    depth: 32,
    unpacked_bytes: 1 << 20,
};

fn docx() -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let body = "<w:document><w:body><w:p><w:pPr><w:pStyle w:val='H'/></w:pPr><w:r><w:t>One &amp; two</w:t></w:r></w:p>\
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>";
    let styles = "<w:styles><w:style w:styleId='H'><w:name w:val='heading 1'/></w:style></w:styles>";
    for (name, text) in [("word/document.xml", body), ("word/styles.xml", styles)] {
        // Not packed, so that changed bytes reach the XML.
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file(name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const PDF: &str = "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n\
    2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 300 300]/Resources<</Font<</F 5 0 R>>>>>>\nendobj\n\
    3 0 obj\n<</Type/Page/Parent 2 0 R/Contents 4 0 R>>\nendobj\n\
    4 0 obj\n<</Length 96>>\nstream\nq BT /F 12 Tf 1 0 0 1 50 200 Tm [(Some) -300 (text)] TJ 0 -14 TD (and more of it) Tj T* (end) Tj ET Q\nendstream\nendobj\n\
    5 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica/FirstChar 32/LastChar 34/Widths[278 278 355]>>\nendobj\n\
    trailer\n<</Root 1 0 R/Size 6>>\n";

const HTML: &str = "<!doctype html><title>T</title><main><h1>A</h1><p>b <a href='/c'>d</a></p><table><tr><td>1<td>2</table>\
    <ul><li>x<ol><li>y</ol></ul><pre><code class=language-c>z</code></pre></main>";

/// Reads bytes as everything they could be, and cuts what comes of it.
fn holds(bytes: &[u8]) {
    let _sniffed = sniff("name.txt", bytes);
    for kind in KINDS {
        if let Ok(document) = read(kind, bytes, &LIMITS) {
            let length: usize = document.parts.iter().map(|part| part.text.len()).sum();
            assert!(length <= LIMITS.text_bytes + 1, "{kind:?}: {length}");
            for chunk in chunks(
                kind,
                &document,
                &ChunkSettings {
                    target: 100,
                    overlap: 10,
                },
            ) {
                assert!(!chunk.text.trim().is_empty());
                assert!(chunk.heading.is_none_or(|heading| heading.len() < 1000));
            }
        }
    }
}

/// Some bytes of a whole file changed, left out or doubled.
fn damaged(whole: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = whole.len();
    let change = (0..length, 0..4_u8, any::<u8>(), 1..40_usize);
    prop::collection::vec(change, 1..6).prop_map(move |changes| {
        let mut bytes = whole.clone();
        for (at, how, value, count) in changes {
            let at = at.min(bytes.len().saturating_sub(1));
            let end = (at + count).min(bytes.len());
            match how {
                0 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = value),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let again = bytes.get(at..end).unwrap_or_default().to_vec();
                    bytes.splice(at..at, again);
                }
                _ => bytes
                    .get_mut(at)
                    .into_iter()
                    .for_each(|byte| *byte = byte.wrapping_add(1)),
            }
        }
        bytes
    })
}

#[test]
fn the_undamaged_files_are_read() {
    for (kind, bytes, expect) in [
        (Kind::Pdf, PDF.as_bytes().to_vec(), "Some text\nand more of it"),
        (Kind::Docx, docx(), "# One & two"),
        (Kind::Html, HTML.as_bytes().to_vec(), "# A"),
    ] {
        let document = read(kind, &bytes, &LIMITS).unwrap();
        let text: String = document.parts.into_iter().map(|part| part.text).collect();
        assert!(text.starts_with(expect), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        holds(&bytes);
    }

    #[test]
    fn damaged_pdf(bytes in damaged(PDF.as_bytes().to_vec())) {
        holds(&bytes);
    }

    #[test]
    fn damaged_docx(bytes in damaged(docx())) {
        holds(&bytes);
    }

    #[test]
    fn damaged_html(bytes in damaged(HTML.as_bytes().to_vec())) {
        holds(&bytes);
    }

    #[test]
    fn any_tags(html in "(</?(p|div|table|tr|td|li|ul|a href=x|b|form|template|select|svg|pre|h1|br)>|[a-z ]{1,4}|&[a-z#0-9]{1,4};?|<!--|-->|<)*") {
        let document = readable(&html, None, &LIMITS);
        assert_eq!(document.parts.len(), 1);
    }
}

/// Each piece carries its heading: one line of a megabyte must not make gigabytes.
#[test]
fn endless_headings_and_titles() {
    let limits = Limits {
        text_bytes: 4 << 20,
        ..LIMITS
    };
    let heading = "é ".repeat(1 << 19);
    let text = "Some words of a text. ".repeat(1 << 15);
    for (kind, whole) in [
        (
            Kind::Markdown,
            format!("# {heading}\n\n{text}\n\n## {heading}\n\n{text}"),
        ),
        (
            Kind::Html,
            format!("<title>{heading}</title><main><h1>{heading}</h1><p>{text}<h2>{heading}</h2><p>{text}</main>"),
        ),
    ] {
        let document = read(kind, whole.as_bytes(), &limits).unwrap();
        let pieces = chunks(
            kind,
            &document,
            &ChunkSettings {
                target: 100,
                overlap: 10,
            },
        );
        assert!(pieces.len() > 1000, "{}", pieces.len());
        let headings: usize = pieces
            .iter()
            .filter_map(|piece| piece.heading.as_ref())
            .map(String::len)
            .sum();
        assert!(headings < pieces.len() * 1000, "{headings}");
    }
}
