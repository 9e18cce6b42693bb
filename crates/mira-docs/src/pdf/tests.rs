//! Files written here by hand, read back.

use std::{fmt::Write as _, io::Write as _};

use flate2::{Compression, write::ZlibEncoder};

use super::*;

/// A file of these objects, numbered from 1; the first is the catalog. `trailer` is added to the trailer.
fn file(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut table = String::new();
    for (index, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", bytes.len()).unwrap();
        writeln!(bytes, "{} 0 obj", index + 1).unwrap();
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    let (start, size) = (bytes.len(), objects.len() + 1);
    write!(
        bytes,
        "xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n"
    )
    .unwrap();
    bytes
}

fn stream(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {dictionary} /Length {} >>\nstream\n", data.len()).into_bytes();
    object.extend(data);
    object.extend(b"\nendstream");
    object
}

fn packed(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    stream(
        &format!("{dictionary} /Filter /FlateDecode"),
        &encoder.finish().unwrap(),
    )
}

/// A file with these pages' instructions; `/F` is Helvetica, `/C` Courier and `/M` a font with a map to Unicode.
pub(crate) fn pages(contents: &[&str], trailer: &str) -> Vec<u8> {
    let first = 7;
    let kids: Vec<String> = (0..contents.len())
        .map(|index| format!("{} 0 R", first + 2 * index))
        .collect();
    let kids = kids.join(" ");
    let map = "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n1 begincodespacerange <00> <FF> endcodespacerange\n\
        2 beginbfchar <01> <00660066> <02> <2014> endbfchar\n1 beginbfrange <41> <5A> <0061> endbfrange\nendcmap end end";
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!(
            "<< /Type /Pages /Kids [{kids}] /Count {} /MediaBox [0 0 400 400] \
             /Resources << /Font << /F 3 0 R /C 4 0 R /M 5 0 R >> >> >>",
            contents.len()
        )
        .into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>".to_vec(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>".to_vec(),
        stream("", map.as_bytes()),
    ];
    for (index, content) in contents.iter().enumerate() {
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /Contents {} 0 R >>",
                first + 2 * index + 1
            )
            .into_bytes(),
        );
        objects.push(packed("", content.as_bytes()));
    }
    file(&objects, trailer)
}

fn text(bytes: &[u8]) -> Vec<(u32, String)> {
    let document = read(bytes, &Limits::default()).unwrap();
    assert!(!document.truncated);
    document
        .parts
        .into_iter()
        .map(|part| (part.page.unwrap(), part.text))
        .collect()
}

/// What one page with these instructions says.
fn check(content: &str, expect: &str) {
    assert_eq!(text(&pages(&[content], "")), [(1, expect.to_owned())], "{content}");
}

fn at(x: u32, y: u32, words: &str) -> String {
    format!("BT /F 10 Tf {x} {y} Td ({words}) Tj ET\n")
}

#[test]
fn lines_paragraphs_and_pages() {
    let one = "BT /F 10 Tf 12 TL 50 350 Td (One line) Tj T* (and the next.) Tj 0 -30 Td (A paragraph) Tj (') ' ET";
    let found = text(&pages(&[one, "", &at(50, 350, "third")], ""));
    let expect = [
        (1, "One line\nand the next.\n\nA paragraph\n'\n".to_owned()),
        (3, "third\n".to_owned()),
    ];
    assert_eq!(found, expect);
}

#[test]
fn headings_are_told_by_their_letters() {
    let large = |y: u32, words: &str| format!("BT /F 16 Tf 50 {y} Td ({words}) Tj ET\n");
    let body = "a line of text that is longer than any heading on it";
    let content = [
        large(350, "Of pipes"),
        large(332, "and lists"),
        at(50, 310, body),
        at(50, 298, body),
        at(50, 270, "1.1 Pipes"),
        at(50, 250, body),
    ];
    let document = read(&pages(&[&content.concat()], ""), &Limits::default()).unwrap();
    let part = &document.parts[0];
    let found: Vec<(&str, u8)> = part
        .headings
        .iter()
        .map(|heading| (part.text.get(heading.range.clone()).unwrap(), heading.level))
        .collect();
    assert_eq!(found, [("Of pipes\nand lists", 0), ("1.1 Pipes", 1)]);
}

#[test]
fn words_are_apart_by_gaps_and_by_spaces() {
    check(
        "BT /F 10 Tf 50 300 Td [(Ker) 60 (ned w) -20 (ord) -300 (next)] TJ ET",
        "Kerned word next\n",
    );
    // Each letter on its own, as some programs do.
    check("BT /C 10 Tf 50 300 Td (a) Tj 6 0 Td (b) Tj 12 0 Td (c) Tj ET", "ab c\n");
    check(
        "BT /F 1 Tf 10 0 0 10 50 300 Tm (scaled ) Tj (text) Tj ET",
        "scaled text\n",
    );
    check("BT /F 10 Tf 3 Tc 50 300 Td (ab) Tj ET", "a b\n");
    // Drawn in another order than read, and twice to look bold.
    let drawn = [
        at(80, 300, "second"),
        at(50, 300, "first"),
        at(50, 300, "first"),
        at(50, 320, "above"),
    ]
    .concat();
    check(&drawn, "above\nfirst second\n");
    check(
        "q 1 0 0 1 0 600 cm BT /F 10 Tf 50 300 Td (outside) Tj ET Q BT /F 10 Tf 50 300 Td (inside) Tj ET",
        "inside\n",
    );
}

#[test]
fn letters_are_what_they_stand_for() {
    check(
        "BT /M 10 Tf 50 300 Td (O\\001ER) Tj 40 0 Td (\\002) Tj ET",
        "offer \u{2014}\n",
    );
    check(
        "BT /F 10 Tf 50 300 Td (\\223caf\\351\\224 \\256) Tj ET",
        "\u{201c}café\u{201d} ®\n",
    );
    check(
        "/Span << /ActualText (fi) >> BDC BT /F 10 Tf 50 300 Td (\\001x) Tj ET EMC",
        "fi\n",
    );
    check("BT /F 10 Tf 3 Tr 50 300 Td (recognised) Tj ET", "recognised\n");
    check("BT /F 10 Tf 50 300 Td (E = mc) Tj /F 6 Tf 4 Ts (2) Tj ET", "E = mc2\n");
}

#[test]
fn broken_words_are_joined() {
    let content = [
        at(50, 300, "a hyphen-"),
        at(50, 288, "ated word, well-"),
        at(50, 276, "known, and a well-known one"),
    ]
    .concat();
    check(&content, "a hyphenated\nword, well-known,\nand a well-known one\n");
}

fn column(x: u32, word: &str) -> Vec<String> {
    (0..8)
        .map(|line| at(x, 300 - 12 * line, &format!("{word} column line number {line} here")))
        .collect()
}

fn rows(word: &str) -> String {
    let rows: Vec<String> = (0..8)
        .map(|line| {
            format!(
                "{word} column line number {line} here
"
            )
        })
        .collect();
    rows.concat()
}

#[test]
fn columns_are_read_one_after_the_other() {
    let (left, right) = (column(40, "left"), column(220, "right"));
    let headline = at(100, 340, "A headline over both of the columns of it");
    let expect = format!(
        "A headline over both of the columns of it\n\n{}\n{}",
        rows("left"),
        rows("right")
    );
    let expect = expect.replace("7 here\n\nright", "7 here\nright");
    check(&[headline.clone(), left.concat(), right.concat()].concat(), &expect);
    // The same drawn line by line across the page: full lines show that it is no table.
    let across: Vec<String> = left
        .iter()
        .zip(&right)
        .map(|(left, right)| format!("{left}{right}"))
        .collect();
    check(&(headline + &across.concat()), &expect);
}

#[test]
fn tables_are_read_row_by_row() {
    let row = |line: u32| {
        [
            at(40, 300 - 12 * line, &format!("key {line}")),
            at(220, 300 - 12 * line, "what it means"),
        ]
        .concat()
    };
    let expect: Vec<String> = (0..8).map(|line| format!("key {line} what it means\n")).collect();
    check(&(0..8).map(row).collect::<String>(), &expect.concat());
}

#[test]
fn turned_text_and_forms() {
    check(
        "BT /F 10 Tf 50 300 Td (upright) Tj 0 1 -1 0 20 100 Tm (on its side) Tj ET",
        "upright\n\non its side\n",
    );
    let form = "/Type /XObject /Subtype /Form /BBox [0 0 400 400] /Matrix [1 0 0 1 0 -50] \
        /Resources << /Font << /G 3 0 R >> /XObject << /X 6 0 R >> >>";
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 /MediaBox [0 0 400 400] /Rotate 90 >>".to_vec(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Resources << /Font << /F 3 0 R >> /XObject << /X 6 0 R >> >> >>".to_vec(),
        stream("", b"BT /F 10 Tf 0 1 -1 0 100 50 Tm (page) Tj ET /X Do"),
        // A form that draws itself ends all the same.
        stream(form, b"BT /G 10 Tf 0 1 -1 0 200 100 Tm (form) Tj ET /X Do"),
    ];
    let found = text(&file(&objects, ""));
    assert_eq!(found.len(), 1);
    assert!(found[0].1.starts_with("page\n"), "{found:?}");
    assert!(found[0].1.contains("form"), "{found:?}");
}

#[test]
fn titles_are_decoded() {
    let titled = |title: &str| {
        let bytes = pages(&[&at(50, 300, "text")], &format!("/Info << /Title {title} >>"));
        read(&bytes, &Limits::default()).unwrap().title
    };
    assert_eq!(titled("(A \\(plain\\) title)").as_deref(), Some("A (plain) title"));
    assert_eq!(titled("<FEFF00DC0062>").as_deref(), Some("Üb"));
    assert_eq!(titled("(Microsoft Word - letter.doc)").as_deref(), Some("letter.doc"));
    assert_eq!(titled("(Untitled)"), None);
    assert_eq!(titled("()"), None);
}

#[test]
fn limits_hold() {
    let contents: Vec<String> = (0..5).map(|page| at(50, 300, &format!("page {page} of it"))).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let bytes = pages(&contents, "");
    let with = |limits: Limits| read(&bytes, &limits);
    let defaults = Limits::default();
    let few = with(Limits { pages: 2, ..defaults }).unwrap();
    assert_eq!((few.parts.len(), few.truncated), (2, true));
    let short = with(Limits {
        text_bytes: 20,
        ..defaults
    })
    .unwrap();
    let lengths: Vec<usize> = short.parts.iter().map(|part| part.text.len()).collect();
    assert_eq!((lengths, short.truncated), (vec![13, 7], true));
    let bomb = pages(&[&" ".repeat(3_000_000)], "");
    assert!(bomb.len() < 10_000);
    let limits = Limits {
        unpacked_bytes: 1_000_000,
        ..defaults
    };
    assert_eq!(read(&bomb, &limits), Err(DocError::TooLarge));
    assert_eq!(read(&bomb, &defaults), Err(DocError::NoText));
}

#[test]
fn what_cannot_be_read_says_why() {
    let fails = |bytes: &[u8]| read(bytes, &Limits::default()).unwrap_err();
    assert!(matches!(fails(b"%PDF-1.7 and no more"), DocError::Damaged(_)));
    assert_eq!(fails(&pages(&["0 0 100 100 re f"], "")), DocError::NoText);
}

/// RC4 with 40 bits, as in the first version of PDF's encryption. The values are those of the specification's algorithms
/// for an empty user password and the owner password `owner`.
#[test]
fn protection_against_changes_is_no_obstacle_and_a_password_is() {
    let id = "<0123456789ABCDEF0123456789ABCDEF>";
    let owner = "C92422687FACEE686E373F10B5C7D04738053152F7E2EE30E11C69EC442576AB";
    let user = "AC040A2978B7C85F8FE80D88B24CA08C107362D17BE737FBCAC6B20D7EF3459E";
    let content = "13E9860BE4A4012D18B6A5810C6C5080FEDD5629406095199F546DA184D417736C316E74";
    let content: Vec<u8> = content
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 /MediaBox [0 0 400 400] >>".to_vec(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Resources << /Font << /F 3 0 R >> >> >>".to_vec(),
        stream("", &content),
    ];
    let with_user = |user: &str| {
        let standard = format!("/Filter /Standard /V 1 /R 2 /Length 40 /O <{owner}> /U <{user}> /P -4");
        file(&objects, &format!("/ID [{id} {id}] /Encrypt << {standard} >>"))
    };
    assert_eq!(text(&with_user(user)), [(1, "secret\n".to_owned())]);
    let other = user.replace("AC04", "AC05");
    assert_eq!(read(&with_user(&other), &Limits::default()), Err(DocError::Encrypted));
}
