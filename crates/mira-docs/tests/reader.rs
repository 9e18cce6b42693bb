//! What the reader makes of documents is what its number stands for.

mod samples;

use mira_docs::{ChunkSettings, Kind, Limits, READER, chunks, read};
use samples::{HTML, PDF, docx};
use std::fmt::Write;

const PROSE: &str = "# Bread\n\n## Dough\n\nMix the flour with water. Let it rest for an hour; knead it well.\n\n## Baking\n\n\
                     Bake it at 250 degrees.\n\n```\nknead --long\n```\n";
const ROWS: &str = "name,town\nJosé,São Paulo\n\"a\nb\",Tokyo\n";
const CODE: &str = "fn one() {\n    let a = 1;\n}\n\nfn two() {\n    let b = 2;\n}\n";

/// FNV-1a.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Where this fails on purpose, `READER` goes up by one with the new digest, so that files are read anew.
#[test]
fn another_text_is_another_reader() {
    let mut all = String::new();
    let settings = [
        ChunkSettings::default(),
        ChunkSettings {
            target: 64,
            overlap: 20,
        },
    ];
    for (kind, bytes) in [
        (Kind::Text, PROSE.as_bytes().to_vec()),
        (Kind::Markdown, PROSE.repeat(30).into_bytes()),
        (Kind::Csv, ROWS.as_bytes().to_vec()),
        (Kind::Code, CODE.repeat(9).into_bytes()),
        (Kind::Html, HTML.as_bytes().to_vec()),
        (Kind::Pdf, PDF.as_bytes().to_vec()),
        (Kind::Docx, docx()),
    ] {
        let document = read(kind, &bytes, &Limits::default());
        write!(all, "{document:?}").unwrap();
        for settings in settings {
            if let Ok(document) = &document {
                write!(all, "{:?}", chunks(kind, document, &settings)).unwrap();
            }
        }
    }
    assert_eq!((READER, digest(&all)), (1, 7_684_880_723_944_270_818));
}
