//! What a file is: by its first bytes, and among kinds of text by the end of its name.
//!
//! A name never makes a program out of a picture or a picture out of a program: it only says which sort of text a text
//! is. The media types are for display and for a browser that asks; whoever serves a file decides on its own how safe
//! that is.

use crate::{Kind, decode};

/// What [`sniff`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sniffed {
    /// For example `application/pdf`; without parameters.
    pub media_type: String,
    /// How it can be read.
    pub kind: Kind,
}

/// A PDF may begin with a little something else.
const PDF_WITHIN: usize = 1024;

/// Kind and media type of a file, by magic bytes first; the extension of its name only tells kinds of text apart.
/// `head` is at least its first 8 KiB where there is that much.
pub fn sniff(name: &str, head: &[u8]) -> Sniffed {
    let extension = extension(name);
    let (media_type, kind) = picture(head)
        .or_else(|| packed(head, &extension))
        .or_else(|| binary(head))
        .unwrap_or_else(|| {
            if is_text(head) {
                textual(&extension, head)
            } else {
                ("application/octet-stream", Kind::Other)
            }
        });
    Sniffed {
        media_type: media_type.to_owned(),
        kind,
    }
}

fn extension(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    match file.rsplit_once('.') {
        Some((_, extension)) => extension.to_ascii_lowercase(),
        // `Makefile` and `Dockerfile` are their own extension.
        None => file.to_ascii_lowercase(),
    }
}

type Found = Option<(&'static str, Kind)>;

fn picture(head: &[u8]) -> Found {
    let brand =
        |wanted: &[&[u8]]| head.get(4..8) == Some(b"ftyp") && wanted.iter().any(|brand| head.get(8..12) == Some(brand));
    let media_type = if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        "image/png"
    } else if head.starts_with(b"\xff\xd8\xff") {
        "image/jpeg"
    } else if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        "image/gif"
    } else if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        "image/webp"
    } else if head.starts_with(b"II*\0") || head.starts_with(b"MM\0*") {
        "image/tiff"
    } else if head.starts_with(b"\0\0\x01\0") {
        "image/x-icon"
    } else if head.starts_with(b"BM") && head.get(6..10) == Some(b"\0\0\0\0") {
        "image/bmp"
    } else if brand(&[b"avif", b"avis"]) {
        "image/avif"
    } else if brand(&[b"heic", b"heix", b"mif1", b"msf1"]) {
        "image/heic"
    } else {
        return None;
    };
    Some((media_type, Kind::Image))
}

/// PDF and what lies in a zip file. A zip file says what it is by the names of its entries; the order of those is not
/// fixed, so that the first bytes may show only that it comes from an office program.
fn packed(head: &[u8], extension: &str) -> Found {
    let beginning = head.get(..PDF_WITHIN).unwrap_or(head);
    // Within markup it is only mentioned.
    let is_markup = head.trim_ascii_start().starts_with(b"<");
    if !is_markup && decode::find(beginning, b"%PDF-").is_some() {
        return Some(("application/pdf", Kind::Pdf));
    }
    if !head.starts_with(b"PK\x03\x04") {
        return head
            .starts_with(b"PK\x05\x06")
            .then_some(("application/zip", Kind::Other));
    }
    let entries = || entry_names(head);
    let has = |prefix: &[u8]| entries().any(|name| name.starts_with(prefix));
    let office = has(b"[Content_Types].xml") || has(b"_rels/") || has(b"docProps/");
    let found = if has(b"word/") || (office && !has(b"xl/") && !has(b"ppt/") && extension == "docx") {
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Kind::Docx,
        )
    } else if has(b"xl/") {
        (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Kind::Other,
        )
    } else if has(b"ppt/") {
        (
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Kind::Other,
        )
    } else if decode::find(beginning, b"mimetypeapplication/epub+zip").is_some() {
        ("application/epub+zip", Kind::Other)
    } else if decode::find(beginning, b"mimetypeapplication/vnd.oasis.opendocument.text").is_some() {
        ("application/vnd.oasis.opendocument.text", Kind::Other)
    } else {
        ("application/zip", Kind::Other)
    };
    Some(found)
}

/// The names in those local headers of a zip file that begin within `head`.
fn entry_names(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = head
        .windows(4)
        .enumerate()
        .filter(|(_, window)| *window == b"PK\x03\x04");
    starts.filter_map(|(at, _)| {
        let header = head.get(at..)?;
        let length = u16::from_le_bytes([*header.get(26)?, *header.get(27)?]);
        let name = header.get(30..)?;
        name.get(..usize::from(length)).or(Some(name))
    })
}

/// Beginnings of files that could pass for text, or that deserve a better name than bytes.
const BINARY: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x7fELF", "application/x-elf"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\0asm", "application/wasm"),
    (b"{\\rtf", "application/rtf"),
    (b"%!PS", "application/postscript"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
];

fn binary(head: &[u8]) -> Found {
    if let Some((magic, media_type)) = BINARY.iter().find(|(magic, _)| head.starts_with(magic)) {
        // Letters alone prove nothing: "ID3 tags" and "MZ" may begin a letter to somebody.
        let certain = magic.iter().any(|byte| !byte.is_ascii_graphic()) || magic.len() > 3 || !is_text(head);
        return certain.then_some((*media_type, Kind::Other));
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE") {
        return Some(("audio/wav", Kind::Other));
    }
    (head.get(4..8) == Some(b"ftyp")).then_some(("video/mp4", Kind::Other))
}

/// Text has a byte-order mark or letters of 16 bits, or no control characters but those of layout. Bytes that are no UTF-8
/// may be text in an older encoding, but then most of it is letters.
fn is_text(head: &[u8]) -> bool {
    if decode::marked(head).is_some() || decode::wide(head).is_some() {
        return true;
    }
    let prints = |at: usize| head.get(at).is_none_or(|byte| *byte >= b' ');
    let is_control = |(at, byte): (usize, &u8)| match byte {
        b'\t' | b'\n' | b'\r' | 0x0c | 0x1b => false,
        // One letter over another, as printers make them bold or underlined, and manual pages with them.
        0x08 => at == 0 || !prints(at - 1) || !prints(at + 1),
        _ => *byte < 0x20,
    };
    if head.iter().enumerate().any(is_control) {
        return false;
    }
    // 0x80 to 0x9f are rare in Latin-1 and its like, and common in noise.
    let odd = head.iter().filter(|byte| matches!(byte, 0x7f..=0x9f)).count();
    decode::utf8_prefix(head) || odd.saturating_mul(20) <= head.len()
}

fn textual(extension: &str, head: &[u8]) -> (&'static str, Kind) {
    if let Some((_, media_type, kind)) = TEXTS.iter().find(|(known, _, _)| *known == extension) {
        return (media_type, *kind);
    }
    let beginning = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let beginning = beginning.get(..256).unwrap_or(beginning).to_ascii_lowercase();
    if beginning.starts_with(b"<!doctype html") || beginning.starts_with(b"<html") {
        ("text/html", Kind::Html)
    } else if beginning.starts_with(b"<?xml") {
        ("application/xml", Kind::Code)
    } else if beginning.starts_with(b"#!") {
        ("text/plain", Kind::Code)
    } else {
        ("text/plain", Kind::Text)
    }
}

/// What extensions say about a text.
const TEXTS: &[(&str, &str, Kind)] = &[
    ("txt", "text/plain", Kind::Text),
    ("text", "text/plain", Kind::Text),
    ("log", "text/plain", Kind::Text),
    ("rst", "text/x-rst", Kind::Text),
    ("tex", "text/x-tex", Kind::Text),
    ("srt", "application/x-subrip", Kind::Text),
    ("vtt", "text/vtt", Kind::Text),
    ("md", "text/markdown", Kind::Markdown),
    ("markdown", "text/markdown", Kind::Markdown),
    ("mdx", "text/markdown", Kind::Markdown),
    ("html", "text/html", Kind::Html),
    ("htm", "text/html", Kind::Html),
    ("xhtml", "application/xhtml+xml", Kind::Html),
    ("csv", "text/csv", Kind::Csv),
    ("tsv", "text/tab-separated-values", Kind::Csv),
    ("rs", "text/x-rust", Kind::Code),
    ("py", "text/x-python", Kind::Code),
    ("js", "text/javascript", Kind::Code),
    ("mjs", "text/javascript", Kind::Code),
    ("cjs", "text/javascript", Kind::Code),
    ("jsx", "text/javascript", Kind::Code),
    ("ts", "text/x-typescript", Kind::Code),
    ("tsx", "text/x-typescript", Kind::Code),
    ("c", "text/x-c", Kind::Code),
    ("h", "text/x-c", Kind::Code),
    ("cc", "text/x-c++", Kind::Code),
    ("cpp", "text/x-c++", Kind::Code),
    ("hpp", "text/x-c++", Kind::Code),
    ("cs", "text/x-csharp", Kind::Code),
    ("java", "text/x-java", Kind::Code),
    ("kt", "text/x-kotlin", Kind::Code),
    ("swift", "text/x-swift", Kind::Code),
    ("go", "text/x-go", Kind::Code),
    ("rb", "text/x-ruby", Kind::Code),
    ("php", "text/x-php", Kind::Code),
    ("pl", "text/x-perl", Kind::Code),
    ("lua", "text/x-lua", Kind::Code),
    ("r", "text/x-r", Kind::Code),
    ("jl", "text/x-julia", Kind::Code),
    ("hs", "text/x-haskell", Kind::Code),
    ("ml", "text/x-ocaml", Kind::Code),
    ("ex", "text/x-elixir", Kind::Code),
    ("exs", "text/x-elixir", Kind::Code),
    ("erl", "text/x-erlang", Kind::Code),
    ("clj", "text/x-clojure", Kind::Code),
    ("scala", "text/x-scala", Kind::Code),
    ("zig", "text/x-zig", Kind::Code),
    ("sh", "text/x-shellscript", Kind::Code),
    ("bash", "text/x-shellscript", Kind::Code),
    ("zsh", "text/x-shellscript", Kind::Code),
    ("ps1", "text/x-powershell", Kind::Code),
    ("sql", "application/sql", Kind::Code),
    ("css", "text/css", Kind::Code),
    ("scss", "text/x-scss", Kind::Code),
    ("vue", "text/x-vue", Kind::Code),
    ("svelte", "text/x-svelte", Kind::Code),
    ("json", "application/json", Kind::Code),
    ("jsonl", "application/jsonl", Kind::Code),
    ("ndjson", "application/x-ndjson", Kind::Code),
    ("toml", "application/toml", Kind::Code),
    ("yaml", "application/yaml", Kind::Code),
    ("yml", "application/yaml", Kind::Code),
    ("xml", "application/xml", Kind::Code),
    // A picture to the eye, but text to read; no model takes it as an image.
    ("svg", "image/svg+xml", Kind::Code),
    ("ini", "text/plain", Kind::Code),
    ("cfg", "text/plain", Kind::Code),
    ("conf", "text/plain", Kind::Code),
    ("diff", "text/x-diff", Kind::Code),
    ("patch", "text/x-diff", Kind::Code),
    ("proto", "text/x-protobuf", Kind::Code),
    ("graphql", "application/graphql", Kind::Code),
    ("tf", "text/x-terraform", Kind::Code),
    ("nix", "text/x-nix", Kind::Code),
    ("cmake", "text/x-cmake", Kind::Code),
    ("makefile", "text/x-makefile", Kind::Code),
    ("mk", "text/x-makefile", Kind::Code),
    ("dockerfile", "text/x-dockerfile", Kind::Code),
    ("ipynb", "application/x-ipynb+json", Kind::Code),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, head: &[u8], media_type: &str, kind: Kind) {
        let expect = Sniffed {
            media_type: media_type.to_owned(),
            kind,
        };
        assert_eq!(sniff(name, head), expect, "{name}");
    }

    /// A zip file's local header: all that is looked at.
    fn zipped(names: &[&str]) -> Vec<u8> {
        let mut head = Vec::new();
        for name in names {
            head.extend(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0");
            head.extend([0; 12]);
            head.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
            head.extend([0; 2]);
            head.extend(name.as_bytes());
            head.extend([0x55, 0xaa, 0x00]);
        }
        head
    }

    #[test]
    fn magic_is_stronger_than_names() {
        check("a.txt", b"%PDF-1.7\n", "application/pdf", Kind::Pdf);
        check("a.txt", b"\n\n%PDF-1.7\n", "application/pdf", Kind::Pdf);
        check("a.md", b"\x89PNG\r\n\x1a\n\0\0", "image/png", Kind::Image);
        check("a", b"\xff\xd8\xff\xe0", "image/jpeg", Kind::Image);
        check("a.rs", b"\x7fELF\x02", "application/x-elf", Kind::Other);
        check("a.pdf", b"just words", "text/plain", Kind::Text);
        check("a.png", b"just words", "text/plain", Kind::Text);
        check("a.docx", b"just words", "text/plain", Kind::Text);
        check("a.txt", b"\0\x01\x02\x03", "application/octet-stream", Kind::Other);
    }

    #[test]
    fn zip_files_by_their_entries() {
        let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        check(
            "x",
            &zipped(&["[Content_Types].xml", "word/document.xml"]),
            word,
            Kind::Docx,
        );
        check("x.docx", &zipped(&["[Content_Types].xml"]), word, Kind::Docx);
        check(
            "x.zip",
            &zipped(&["[Content_Types].xml"]),
            "application/zip",
            Kind::Other,
        );
        check("x.docx", &zipped(&["notes.txt"]), "application/zip", Kind::Other);
        let sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
        check(
            "x.docx",
            &zipped(&["_rels/.rels", "xl/workbook.xml"]),
            sheet,
            Kind::Other,
        );
        check("x", b"PK\x03\x04", "application/zip", Kind::Other);
    }

    #[test]
    fn texts_by_name_then_by_beginning() {
        check("README.md", b"# Hi", "text/markdown", Kind::Markdown);
        check("dir.d/Makefile", b"all:\n", "text/x-makefile", Kind::Code);
        check("a.RS", b"fn main() {}", "text/x-rust", Kind::Code);
        check("a.csv", b"a,b\n", "text/csv", Kind::Csv);
        check("page", b"\n<!DOCTYPE HTML><html>", "text/html", Kind::Html);
        check("page.txt", b"<!DOCTYPE HTML><html>", "text/plain", Kind::Text);
        check("run", b"#!/bin/sh\n", "text/plain", Kind::Code);
        check("empty", b"", "text/plain", Kind::Text);
        check("letter", b"MZ is how it begins", "text/plain", Kind::Text);
    }

    #[test]
    fn letters_printed_over_letters_are_text() {
        let page = b"N\x08NA\x08AM\x08ME\x08E\n  _\x08l_\x08s - \xe2\x80\x90\x08\xe2\x80\x90\n";
        check("ls.1", page, "text/plain", Kind::Text);
        check("ls.1", &page[..2], "text/plain", Kind::Text);
        for no_page in [&b"\x08ab"[..], b"a\n\x08b", b"a\x08\x08b", b"a\x08\nb", b"a\x08\x01"] {
            check("ls.1", no_page, "application/octet-stream", Kind::Other);
        }
    }

    #[test]
    fn encodings_of_text() {
        check("a", "ünïcödé".as_bytes(), "text/plain", Kind::Text);
        check("a", b"caf\xe9 cr\xe8me", "text/plain", Kind::Text);
        check("a", b"\xff\xfeh\0i\0", "text/plain", Kind::Text);
        // Cut in the middle of a character, as a head may be.
        check("a", &"ab€".as_bytes()[..4], "text/plain", Kind::Text);
        check(
            "a",
            &[0x81, 0x82, 0x90, 0x9f, 0x41],
            "application/octet-stream",
            Kind::Other,
        );
    }
}
