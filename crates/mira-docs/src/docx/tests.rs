//! Documents zipped here, read back.

use std::io::{Cursor, Write};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn with_body(body: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let document =
        format!("<?xml version='1.0'?><w:document xmlns:w='w' xmlns:r='r'><w:body>{body}</w:body></w:document>");
    let mut parts = vec![("word/document.xml", document.as_str())];
    parts.extend(more);
    zipped(&parts)
}

fn text(bytes: &[u8]) -> String {
    let document = read(bytes, &Limits::default()).unwrap();
    assert!(!document.truncated);
    document.parts.into_iter().map(|part| part.text).collect()
}

fn check(body: &str, expect: &str) {
    assert_eq!(text(&with_body(body, &[])), expect, "{body}");
}

const STYLES: &str = "<w:styles><w:style w:styleId='berschrift1'><w:name w:val='heading 1'/></w:style>\
    <w:style w:styleId='Mine'><w:basedOn w:val='berschrift1'/></w:style>\
    <w:style w:styleId='Titel'><w:name w:val='Title'/></w:style>\
    <w:style w:styleId='Circle'><w:basedOn w:val='Circle'/></w:style></w:styles>";

#[test]
fn paragraphs_and_runs() {
    check(
        "<w:p><w:r><w:t>One </w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>two &amp; &#x33;</w:t><w:tab/><w:t>x</w:t></w:r></w:p>\
         <w:p/><w:p><w:r><w:t>next</w:t><w:br/><w:t>line</w:t></w:r></w:p>",
        "One two & 3\tx\n\nnext\nline\n",
    );
}

#[test]
fn what_is_not_text_is_left_out() {
    check(
        "<w:p><w:del><w:r><w:t>gone</w:t><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins>\
         <w:r><w:instrText>PAGE</w:instrText></w:r></w:p>\
         <mc:AlternateContent><mc:Choice><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Choice><mc:Fallback><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>",
        "new\n\nbox\n",
    );
}

#[test]
fn headings_by_the_names_of_styles() {
    let heading = |style: &str, text: &str| {
        format!("<w:p><w:pPr><w:pStyle w:val='{style}'/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let body = [
        heading("berschrift1", "One"),
        heading("Mine", "Two"),
        heading("Circle", "plain"),
        "<w:p><w:pPr><w:outlineLvl w:val='2'/></w:pPr><w:r><w:t>Three</w:t></w:r></w:p>".to_owned(),
    ]
    .concat();
    let bytes = with_body(&body, &[("word/styles.xml", STYLES)]);
    assert_eq!(text(&bytes), "# One\n\n# Two\n\nplain\n\n### Three\n");
    assert_eq!(read(&bytes, &Limits::default()).unwrap().title.as_deref(), Some("One"));
    let bytes = with_body(&(body + &heading("Titel", "Whole")), &[("word/styles.xml", STYLES)]);
    assert_eq!(
        read(&bytes, &Limits::default()).unwrap().title.as_deref(),
        Some("Whole")
    );
    let core = "<cp:coreProperties><dc:title> In  properties</dc:title><dc:creator>x</dc:creator></cp:coreProperties>";
    let bytes = with_body(&heading("Titel", "Whole"), &[("docProps/core.xml", core)]);
    assert_eq!(
        read(&bytes, &Limits::default()).unwrap().title.as_deref(),
        Some("In properties")
    );
}

#[test]
fn lists_are_counted() {
    let numbering = "<w:numbering><w:abstractNum w:abstractNumId='7'><w:lvl w:ilvl='0'><w:numFmt w:val='decimal'/></w:lvl>\
        <w:lvl w:ilvl='1'><w:numFmt w:val='bullet'/></w:lvl></w:abstractNum>\
        <w:num w:numId='3'><w:abstractNumId w:val='7'/></w:num></w:numbering>";
    let item = |level: u8, text: &str| {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='3'/></w:numPr></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
        )
    };
    let body = [
        item(0, "a"),
        item(1, "b"),
        item(0, "c"),
        "<w:p><w:r><w:t>end</w:t></w:r></w:p>".to_owned(),
    ]
    .concat();
    assert_eq!(
        text(&with_body(&body, &[("word/numbering.xml", numbering)])),
        "1. a\n  - b\n2. c\n\nend\n"
    );
}

#[test]
fn tables_links_and_notes() {
    let cell = |text: &str| format!("<w:tc><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>");
    let inner = format!(
        "<w:tc><w:tbl><w:tr>{}{}</w:tr></w:tbl><w:p/></w:tc>",
        cell("x"),
        cell("y")
    );
    let body = format!(
        "<w:tbl><w:tr>{}{}</w:tr><w:tr>{}</w:tr></w:tbl>",
        cell("a"),
        cell("b|c"),
        inner
    );
    check(&body, "| a | b\\|c |\n| --- | --- |\n| x y |  |\n");
    let rels =
        "<Relationships><Relationship Id='r1' Type='http://x/hyperlink' Target='https://h.example/a'/></Relationships>";
    let notes = "<w:footnotes><w:footnote w:id='-1' w:type='separator'><w:p><w:r><w:t>no</w:t></w:r></w:p></w:footnote>\
        <w:footnote w:id='2'><w:p><w:r><w:t>a note</w:t></w:r></w:p></w:footnote></w:footnotes>";
    let body = "<w:p><w:r><w:t xml:space='preserve'>see </w:t></w:r><w:hyperlink r:id='r1'><w:r><w:t>this</w:t></w:r></w:hyperlink>\
        <w:r><w:footnoteReference w:id='2'/></w:r></w:p>";
    let bytes = with_body(
        body,
        &[("word/_rels/document.xml.rels", rels), ("word/footnotes.xml", notes)],
    );
    assert_eq!(text(&bytes), "see [this](https://h.example/a)[^2]\n\n[^2]: a note\n");
}

#[test]
fn another_name_for_the_main_part() {
    let rels =
        "<Relationships><Relationship Type='http://x/officeDocument' Target='/word/document2.xml'/></Relationships>";
    let bytes = zipped(&[
        ("_rels/.rels", rels),
        (
            "word/document2.xml",
            "<w:document><w:p><w:r><w:t>hi</w:t></w:r></w:p></w:document>",
        ),
    ]);
    assert_eq!(text(&bytes), "hi\n");
}

#[test]
fn what_cannot_be_read_says_why() {
    let fails = |bytes: &[u8], limits: Limits| read(bytes, &limits).unwrap_err();
    let defaults = Limits::default();
    assert_eq!(fails(OLE, defaults), DocError::Encrypted);
    assert!(matches!(fails(b"PK\x03\x04 nothing", defaults), DocError::Damaged(_)));
    assert!(matches!(
        fails(&zipped(&[("a.txt", "a")]), defaults),
        DocError::Damaged(_)
    ));
    assert_eq!(fails(&with_body("<w:p/>", &[]), defaults), DocError::NoText);
    let bomb = with_body(&"<w:p><w:r><w:t>0000000000</w:t></w:r></w:p>".repeat(20_000), &[]);
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let small = Limits {
        unpacked_bytes: 100_000,
        ..defaults
    };
    assert_eq!(fails(&bomb, small), DocError::TooLarge);
    let deep = with_body(&"<w:sdt>".repeat(1000), &[]);
    assert!(matches!(fails(&deep, defaults), DocError::Damaged(_)));
    let cut = Limits {
        text_bytes: 24,
        ..defaults
    };
    let document = read(&bomb, &cut).unwrap();
    assert!(document.truncated);
    assert_eq!(document.parts[0].text, "0000000000\n\n0000000000\n\n");
}
