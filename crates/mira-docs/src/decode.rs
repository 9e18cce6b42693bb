//! Bytes to text: byte-order marks, UTF-8, what a web page says about itself, and Windows-1252 (which browsers mean by
//! Latin-1) for the rest. Line ends become `\n`.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How far into a web page its declaration of an encoding is looked for, as browsers do.
const DECLARATION_BYTES: usize = 1024;

/// How much is looked at for letters of 16 bits.
const WIDE_BYTES: usize = 1024;

/// Text without a declaration, cut to `limit` bytes; says whether something went.
pub fn text(bytes: &[u8], limit: usize) -> (String, bool) {
    with(bytes, guessed(bytes), limit)
}

fn guessed(bytes: &[u8]) -> &'static Encoding {
    match wide(bytes) {
        Some(encoding) => encoding,
        None if utf8_prefix(bytes) => UTF_8,
        None => WINDOWS_1252,
    }
}

/// A web page, which may name its encoding in a `meta` element.
pub fn html(bytes: &[u8], limit: usize) -> (String, bool) {
    let head = bytes.get(..DECLARATION_BYTES).unwrap_or(bytes);
    let encoding = match declared(head) {
        Some(encoding) => encoding,
        None => guessed(bytes),
    };
    with(bytes, encoding, limit)
}

/// The encoding a byte-order mark stands for.
pub fn marked(bytes: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_bom(bytes).map(|(encoding, _)| encoding)
}

/// Text in 16 bits without a mark, told by the zeros beside its Latin letters, where they are most of it.
pub fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    let (pairs, _) = bytes.get(..WIDE_BYTES).unwrap_or(bytes).as_chunks::<2>();
    let is_plain = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0xa0..);
    let is_text = |letters: &dyn Fn(&[u8; 2]) -> (u8, u8)| {
        let plain = pairs.iter().map(letters).filter(|(zero, _)| *zero == 0);
        let (count, all_plain) = plain.fold((0_usize, true), |(count, all), (_, byte)| {
            (count + 1, all && is_plain(byte))
        });
        all_plain && count >= 4 && count * 2 > pairs.len()
    };
    if is_text(&|[low, high]| (*high, *low)) {
        Some(UTF_16LE)
    } else if is_text(&|[high, low]| (*high, *low)) {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Whether bytes are UTF-8, except perhaps for a last character that is cut in two.
pub fn utf8_prefix(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

fn with(bytes: &[u8], encoding: &'static Encoding, limit: usize) -> (String, bool) {
    // Every character has at least one byte in any of the encodings, so more input than this cannot be needed; the mark
    // and the second bytes of line ends are what the double is for.
    let taken = bytes.get(..limit.saturating_mul(2).saturating_add(8)).unwrap_or(bytes);
    let (decoded, _, _) = encoding.decode(taken);
    let mut text = normalized(&decoded);
    let cut = crate::text::cut(&mut text, limit);
    (text, cut || taken.len() < bytes.len())
}

/// One kind of line end, one letter of those printed over each other, and no NULs, which no database or terminal wants.
fn normalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                out.push('\n');
            }
            '\0' => out.push('\u{fffd}'),
            // A line below a letter may come after it or before it; bold is the same letter again.
            '\u{8}' if characters.next_if_eq(&'_').is_none() && !out.ends_with('\n') => {
                out.pop();
            }
            '\u{8}' => {}
            _ => out.push(character),
        }
    }
    out
}

/// `charset=` in the head of a page. As in browsers, a page whose declaration can be read is not UTF-16.
fn declared(head: &[u8]) -> Option<&'static Encoding> {
    let head = head.to_ascii_lowercase();
    let mut rest = head.as_slice();
    while let Some(at) = find(rest, b"<meta") {
        rest = rest.get(at + 5..)?;
        let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
        let (tag, after) = rest.split_at(end);
        if let Some(encoding) = label(tag) {
            return Some(encoding);
        }
        rest = after;
    }
    None
}

fn label(tag: &[u8]) -> Option<&'static Encoding> {
    let at = find(tag, b"charset")?;
    let value = tag.get(at + 7..)?.trim_ascii_start().strip_prefix(b"=")?;
    let value = value.trim_ascii_start();
    let value = value.strip_prefix(b"\"").or(value.strip_prefix(b"'")).unwrap_or(value);
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\'' | b';' | b'/') || byte.is_ascii_whitespace();
    let end = value.iter().position(is_end).unwrap_or(value.len());
    let encoding = Encoding::for_label(value.get(..end)?)?;
    let wide = encoding == UTF_16LE || encoding == UTF_16BE;
    Some(if wide { UTF_8 } else { encoding })
}

/// Where `needle` begins in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len().max(1)).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: &str) {
        assert_eq!(html(bytes, 1 << 20).0, expect);
    }

    #[test]
    fn marks_declarations_and_guesses() {
        check("\u{feff}é".as_bytes(), "é");
        check(b"\xff\xfe\xe9\x00\n\x00", "é\n");
        check(b"\xfe\xff\x00\xe9", "é");
        check("é".as_bytes(), "é");
        check(b"caf\xe9 \x93q\x94", "café “q”");
        check(b"c\0a\0f\0\xe9\0 \0\x1c q\0", "café “q");
        check(b"\0c\0a\0f\0\xe9\0 \x20\x1c\0q", "café “q");
        check(
            b"<meta charset='windows-1251'>\xcf\xf0\xe8",
            "<meta charset='windows-1251'>При",
        );
        check(
            b"<META http-equiv=x content=\"text/html; charset=Shift_JIS\">\x82\xa0",
            "<META http-equiv=x content=\"text/html; charset=Shift_JIS\">あ",
        );
        check("<meta charset=utf-16>é".as_bytes(), "<meta charset=utf-16>é");
        check(b"<meta charset=nonsense>a", "<meta charset=nonsense>a");
    }

    #[test]
    fn one_kind_of_line_end() {
        assert_eq!(
            text(b"a\r\nb\rc\n\r\nd\0", 100),
            ("a\nb\nc\n\nd\u{fffd}".to_owned(), false)
        );
    }

    #[test]
    fn letters_printed_over_each_other_are_one() {
        let printed = b"N\x08NA\x08A _\x08\xc3\xa9s\x08_ b\x08b\x08b\n\x08x\x08";
        assert_eq!(text(printed, 100), ("NA \u{e9}s b\n".to_owned(), false));
    }

    #[test]
    fn the_cap_is_in_bytes_of_text() {
        assert_eq!(text("éé".as_bytes(), 3), ("é".to_owned(), true));
        assert_eq!(text(b"", 0), (String::new(), false));
        assert_eq!(text(&[0xff; 40], 4), ("ÿÿ".to_owned(), true));
    }
}
