//! Whatever the bytes: an answer, within the limits, and never a panic.
#![expect(clippy::format_push_string, reason = "tests")]

mod samples;

use mira_docs::{ChunkSettings, DocError, Kind, Limits, chunks, read, readable, sniff};
use proptest::prelude::*;
use samples::{HTML, PDF, docx};

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

/// Where its objects are, a PDF says at its end. Where that is wrong they are looked for.
#[test]
fn a_pdf_that_misplaces_its_objects() {
    let body = PDF.split("trailer").next().unwrap();
    let table = "xref\n0 6\n0000000000 65535 f \n0000000007 00000 n \n0000999999 00000 n \n0000000001 00000 n \n\
                 0000000002 00000 n \n9999999999 00000 n \ntrailer\n<</Root 1 0 R/Size 6";
    for end in [
        format!("{table}>>\nstartxref\n{}\n%%EOF\n", body.len()),
        format!("{table}>>\nstartxref\n3\n%%EOF\n"),
        format!("{table}>>\nstartxref\n99999999\n%%EOF\n"),
        // It comes before itself.
        format!("{table}/Prev {}>>\nstartxref\n{}\n%%EOF\n", body.len(), body.len()),
        String::new(),
    ] {
        let document = read(Kind::Pdf, format!("{body}{end}").as_bytes(), &LIMITS).unwrap();
        assert!(document.parts[0].text.starts_with("Some text\n"), "{end}: {document:?}");
    }
}

/// Of many pages the first are read, and it is said that there are more.
#[test]
fn a_pdf_of_ten_thousand_pages() {
    let (first, font) = PDF.split_once("5 0 obj").unwrap();
    let (objects, _) = first.split_once("2 0 obj").unwrap();
    let (_, content) = first.split_once("4 0 obj").unwrap();
    let mut bytes = objects.to_owned();
    let mut kids = String::new();
    for page in 10..10_010 {
        kids.push_str(&format!("{page} 0 R "));
        bytes.push_str(&format!(
            "{page} 0 obj\n<</Type/Page/Parent 2 0 R/Contents 4 0 R>>\nendobj\n"
        ));
    }
    bytes.push_str(&format!(
        "2 0 obj\n<</Type/Pages/Kids[{kids}]/Count 10000/MediaBox[0 0 300 300]/Resources<</Font<</F 5 0 R>>>>>>\nendobj\n\
         4 0 obj{content}5 0 obj{font}"
    ));
    let limits = Limits {
        pages: 100,
        text_bytes: 1 << 20,
        ..LIMITS
    };
    let document = read(Kind::Pdf, bytes.as_bytes(), &limits).unwrap();
    assert_eq!((document.parts.len(), document.truncated), (100, true));
    assert_eq!(document.parts.last().unwrap().page, Some(100));
}

/// Lines, cells and tags without an end do not take time that grows with their square, and every piece keeps its size.
#[test]
fn megabytes_on_one_line() {
    let limits = Limits {
        text_bytes: 8 << 20,
        ..LIMITS
    };
    let words = "seven little words stand on this line ".repeat(1 << 16);
    let letters = "x".repeat(2 << 20);
    let marks = "<b>a</b><i>b".repeat(1 << 16);
    for line in [&words, &letters, &marks] {
        for kind in [Kind::Text, Kind::Markdown, Kind::Html, Kind::Csv, Kind::Code] {
            let document = read(kind, line.as_bytes(), &limits).unwrap();
            let settings = ChunkSettings::default();
            let pieces = chunks(kind, &document, &settings);
            let text: usize = document.parts.iter().map(|part| part.text.len()).sum();
            assert!(pieces.len() >= text / settings.target, "{kind:?}: {}", pieces.len());
            assert!(
                pieces.len() <= text / (settings.target / 4) + 1,
                "{kind:?}: {}",
                pieces.len()
            );
            assert!(pieces.iter().all(|piece| piece.text.chars().count() <= settings.target));
        }
    }
}

#[test]
fn a_table_of_a_thousand_columns() {
    let row = |row: usize| {
        (0..1000)
            .map(|column| format!("r{row}c{column}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let rows: Vec<String> = (0..50).map(row).collect();
    let limits = Limits {
        text_bytes: 4 << 20,
        ..LIMITS
    };
    let document = read(Kind::Csv, rows.join("\n").as_bytes(), &limits).unwrap();
    let settings = ChunkSettings::default();
    let pieces = chunks(Kind::Csv, &document, &settings);
    assert!(pieces.iter().all(|piece| piece.text.chars().count() <= settings.target));
    // A first row this long is not repeated before every piece.
    let whole: usize = pieces.iter().map(|piece| piece.text.len()).sum();
    assert!(whole <= document.parts[0].text.len(), "{whole}");
    let last = pieces.last().unwrap();
    assert!(last.text.ends_with("r49c999"), "{last:?}");
    assert_eq!(last.lines, Some((50, 50)));
}

/// Windows writes text in 16 bits, and programs there read it without being told.
#[test]
fn text_in_sixteen_bits() {
    let text = "name;town\r\nJosé;São Paulo\r\n\u{1F980};東京\r\n";
    let expect = "name;town\nJosé;São Paulo\n\u{1F980};東京\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (mark, bytes) in [
        (b"\xff\xfe".as_slice(), &little),
        (b"\xfe\xff", &big),
        (b"", &little),
        (b"", &big),
    ] {
        let bytes = [mark, bytes].concat();
        for (name, kind) in [("a.csv", Kind::Csv), ("a.txt", Kind::Text), ("a", Kind::Text)] {
            assert_eq!(sniff(name, &bytes).kind, kind);
            assert_eq!(read(kind, &bytes, &LIMITS).unwrap().parts[0].text, expect);
        }
        // Cut in the middle of a character.
        for end in 0..bytes.len() {
            holds(&bytes[..end]);
        }
    }
}

/// A zip file may promise less than it holds, or hold the same bytes many times.
#[test]
fn a_docx_that_unpacks_to_more_than_it_says() {
    let text = format!("<w:document><w:body><w:p><w:r><w:t>{}", "0".repeat(3 << 20));
    let packed = samples::zipped(
        &[("word/document.xml", text.as_bytes())],
        zip::CompressionMethod::Deflated,
    );
    assert!(packed.len() < 10_000, "{}", packed.len());
    assert_eq!(read(Kind::Docx, &packed, &LIMITS), Err(DocError::TooLarge));
    // The size in its directory says ten bytes.
    let mut lying = packed.clone();
    let size = u32::try_from(text.len()).unwrap().to_le_bytes();
    let places: Vec<usize> = { packed.windows(4).enumerate() }
        .filter(|(_, window)| *window == size)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty());
    for at in places {
        lying[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
    }
    assert!(read(Kind::Docx, &lying, &LIMITS).is_err());
}
