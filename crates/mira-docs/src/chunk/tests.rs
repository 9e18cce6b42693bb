//! Chunks by kind, and what holds for all of them.

use proptest::prelude::*;

use super::*;
use crate::{Heading, Limits, Part, read};

fn cut(kind: Kind, text: &str, target: usize) -> Vec<Chunk> {
    let document = read(kind, text.as_bytes(), &Limits::default()).unwrap();
    chunks(kind, &document, &ChunkSettings { target, overlap: 16 })
}

fn chunk(text: &str, lines: (u32, u32), heading: Option<&str>) -> Chunk {
    Chunk {
        text: text.to_owned(),
        page: None,
        lines: Some(lines),
        heading: heading.map(str::to_owned),
    }
}

#[test]
fn paragraphs_stay_whole() {
    let (one, two, three) = ("a".repeat(40), "b".repeat(40), "c".repeat(10));
    let text = format!("{one}\n\n\n{two}\n{three}\n");
    let expect = vec![
        chunk(&one, (1, 1), None),
        chunk(&format!("{two}\n{three}"), (4, 5), None),
    ];
    assert_eq!(cut(Kind::Text, &text, 64), expect);
}

#[test]
fn a_long_paragraph_is_cut_after_sentences_with_an_overlap() {
    let text =
        "The first sentence is quite long indeed. The second one follows at once. The third one ends all of it here.";
    let expect = vec![
        chunk("The first sentence is quite long indeed.", (1, 1), None),
        chunk("long indeed. The second one follows at once.", (1, 1), None),
        chunk("at once. The third one ends all of it here.", (1, 1), None),
    ];
    assert_eq!(cut(Kind::Text, text, 64), expect);
}

#[test]
fn headings_begin_chunks_and_name_them() {
    let body = "words of a section that fill it".to_owned();
    let text = format!("# Title\n\n## One\n\n{body}\n\n## Two\n\n{body}\n\n### Deep\n\n{body}\n");
    let expect = vec![
        chunk(&format!("# Title\n\n## One\n\n{body}"), (1, 5), Some("Title")),
        chunk(&format!("## Two\n\n{body}"), (7, 9), Some("Title › Two")),
        chunk(&format!("### Deep\n\n{body}"), (11, 13), Some("Title › Two › Deep")),
    ];
    assert_eq!(cut(Kind::Markdown, &text, 64), expect);
}

#[test]
fn a_heading_is_not_left_behind() {
    let text = format!("short\n\n## Next\n\n{}\n", "word ".repeat(11).trim());
    let expect = vec![
        chunk("short", (1, 1), None),
        chunk(
            &format!("## Next\n\n{}", "word ".repeat(11).trim()),
            (3, 5),
            Some("Next"),
        ),
    ];
    assert_eq!(cut(Kind::Markdown, &text, 64), expect);
}

#[test]
fn code_is_cut_where_something_new_begins() {
    let text = "fn one() {\n    let a = 1;\n}\n\nfn two() {\n    let b = 2;\n\n    let c = 3;\n}\n";
    let expect = vec![
        chunk("fn one() {\n    let a = 1;\n}", (1, 3), None),
        chunk("fn two() {\n    let b = 2;\n\n    let c = 3;\n}", (5, 9), None),
    ];
    assert_eq!(cut(Kind::Code, text, 64), expect);
    let line = "x".repeat(150);
    let sizes: Vec<usize> = cut(Kind::Code, &line, 64)
        .iter()
        .map(|chunk| chunk.text.len())
        .collect();
    assert_eq!(sizes, [64, 64, 22]);
}

#[test]
fn csv_repeats_its_first_row() {
    let text = "id,name\n1,\"two\nlines, really, of a text\"\n2,another row of the table\n3,the last row\n";
    let expect = vec![
        chunk("id,name\n1,\"two\nlines, really, of a text\"", (1, 3), None),
        chunk("id,name\n2,another row of the table\n3,the last row", (4, 5), None),
    ];
    assert_eq!(cut(Kind::Csv, text, 64), expect);
    let open = cut(Kind::Csv, "a,b\n1,\"never closed\n2,x\n", 64);
    assert_eq!(open, vec![chunk("a,b\n1,\"never closed\n2,x", (1, 3), None)]);
}

#[test]
fn pages_are_never_joined() {
    let page = |page, text: &str| Part {
        page: Some(page),
        text: text.to_owned(),
        headings: Vec::new(),
    };
    let document = Document {
        title: Some("Book".to_owned()),
        parts: vec![page(1, "one\n"), page(2, " \n"), page(3, "three\n")],
        truncated: false,
    };
    let found = chunks(Kind::Pdf, &document, &ChunkSettings::default());
    let on = |page, text: &str| Chunk {
        text: text.to_owned(),
        page: Some(page),
        lines: None,
        heading: Some("Book".to_owned()),
    };
    assert_eq!(found, vec![on(1, "one"), on(3, "three")]);
}

#[test]
fn pages_go_on_below_the_headings_before() {
    let body = "words of a section that fill its piece";
    let page = |page, text: &str, headings: &[(&str, u8)]| Part {
        page: Some(page),
        text: text.to_owned(),
        headings: headings
            .iter()
            .map(|(heading, level)| {
                let start = text.find(heading).unwrap();
                Heading {
                    range: start..start + heading.len(),
                    level: *level,
                }
            })
            .collect(),
    };
    let first = format!("before\n\nShells\n{body}\n\nOf\nPipes\n{body}\n");
    let document = Document {
        title: None,
        parts: vec![
            page(1, &first, &[("Shells", 0), ("Of\nPipes", 4)]),
            page(2, &format!("{body}\n\nLists\n{body}"), &[("Lists", 4)]),
        ],
        truncated: false,
    };
    let settings = ChunkSettings { target: 64, overlap: 0 };
    let found = chunks(Kind::Pdf, &document, &settings);
    let found: Vec<(u32, Option<&str>, &str)> = found
        .iter()
        .map(|chunk| (chunk.page.unwrap(), chunk.heading.as_deref(), chunk.text.as_str()))
        .collect();
    let expect = [
        (1, None, format!("before\n\nShells\n{body}")),
        (1, Some("Shells › Of Pipes"), format!("Of\nPipes\n{body}")),
        (2, Some("Shells › Of Pipes"), body.to_owned()),
        (2, Some("Shells › Lists"), format!("Lists\n{body}")),
    ];
    let expect: Vec<_> = expect
        .iter()
        .map(|(page, heading, text)| (*page, *heading, text.as_str()))
        .collect();
    assert_eq!(found, expect);
}

/// Whatever the text, chunks are not empty, not too long, in order, and together the whole of it.
fn holds(kind: Kind, text: &str, target: usize) {
    let document = read(kind, text.as_bytes(), &Limits::default()).unwrap();
    let whole = &document.parts[0].text;
    let settings = ChunkSettings { target, overlap: 20 };
    let found = chunks(kind, &document, &settings);
    let mut lines = Vec::new();
    for chunk in &found {
        assert!(!chunk.text.trim().is_empty());
        assert!(chunk.text.trim_end().chars().count() <= target, "{chunk:?}");
        let own = whole.lines().count();
        let (first, last) = chunk.lines.unwrap();
        assert!(first >= 1 && first <= last && last as usize <= own.max(1), "{chunk:?}");
        lines.extend(first..=last);
    }
    for (index, line) in whole.lines().enumerate() {
        let number = u32::try_from(index + 1).unwrap();
        assert!(
            line.trim().is_empty() || lines.contains(&number),
            "line {number} of {whole:?} is nowhere"
        );
    }
    let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).count();
    let sum: usize = found.iter().map(|chunk| letters(&chunk.text)).sum();
    assert!(sum >= letters(whole));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost(text in "([a-z.]{1,12}[ \n]|[#`\",é。]{1,3} ?|\n| {4}|```\n|# ){0,120}", target in 64_usize..200) {
        for kind in [Kind::Text, Kind::Markdown, Kind::Code, Kind::Csv] {
            holds(kind, &text, target);
        }
    }
}
