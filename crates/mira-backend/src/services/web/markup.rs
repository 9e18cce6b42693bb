//! What has to be known of a page's bytes before it is read: which letters they are, when it was published, whether there
//! is anything without scripts. Pure; wrong or hostile markup only makes it know less.

use encoding_rs::{Encoding, ISO_2022_JP, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How far into a page its head is looked for, in bytes.
const HEAD_BYTES: usize = 256 * 1024;
/// How far the encoding is looked for, in bytes; the standard says 1024, pages say otherwise.
const META_BYTES: usize = 4096;
/// Less text than this, in characters, is as good as none.
const THIN_CHARS: usize = 200;
/// Of a text, less than one of so many characters is a control character.
const ODD_SHARE: usize = 50;
/// So many of them stand in any text, however short.
const ODD_FEW: usize = 3;
/// How much of a text is looked at for them, in characters.
const SAMPLE_CHARS: usize = 64 * 1024;
/// A page with less markup than this, in bytes, is simply short.
const SMALL_BYTES: usize = 1024;

/// Names of meta elements that say when a page was published, best first.
const DATES: [&str; 9] = [
    "article:published_time",
    "datePublished",
    "date",
    "dc.date",
    "dcterms.created",
    "pubdate",
    "last-modified",
    "article:modified_time",
    "og:updated_time",
];

/// Bytes as text. What the server or the page declares counts only as far as the bytes agree: pages that say one thing
/// and send another are common.
pub(super) fn decode(bytes: &[u8], declared: Option<&str>, is_html: bool) -> String {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding.decode_with_bom_removal(bytes).0.into_owned();
    }
    let named = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    let named = named.or_else(|| meta_charset(bytes).filter(|_| is_html));
    let named = named.or_else(|| xml_encoding(bytes));
    // Its bytes are ASCII or in pairs: no other reading shows that it is meant.
    let special = named.filter(|named| [ISO_2022_JP, UTF_16BE, UTF_16LE].contains(named));
    if let Some(encoding) = special {
        return encoding.decode_without_bom_handling(bytes).0.into_owned();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    if let Some(encoding) = named.filter(|named| ![UTF_8, REPLACEMENT].contains(named)) {
        return encoding.decode_without_bom_handling(bytes).0.into_owned();
    }
    let text = String::from_utf8_lossy(bytes);
    let foreign = text.chars().filter(|c| !c.is_ascii()).count();
    let broken = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    if foreign > 2 * broken {
        text.into_owned()
    } else {
        WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
    }
}

/// The encoding a page names in its head.
fn meta_charset(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..META_BYTES).unwrap_or(bytes);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let (_, after) = head.split_once("charset=")?;
    let label = after.trim_start_matches(['"', '\'', ' ']);
    let label = label.split(['"', '\'', ' ', '/', '>', ';']).next()?;
    told_in_ascii(label)
}

/// The encoding that the first line of an XML document names.
fn xml_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.trim_ascii_start().strip_prefix(b"<?xml")?;
    let head = String::from_utf8_lossy(head.get(..META_BYTES).unwrap_or(head));
    let (_, after) = head.split_once("?>")?.0.split_once("encoding")?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    told_in_ascii(value.trim_start_matches(['"', '\'']).split(['"', '\'']).next()?)
}

/// The encoding of a name that could be read before it was known: a 16-bit one is none, whatever it says.
fn told_in_ascii(label: &str) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label.as_bytes())?;
    Some(if [UTF_16BE, UTF_16LE].contains(&encoding) {
        UTF_8
    } else {
        encoding
    })
}

/// Whether what was taken for text is none: in a text there is no NUL, and nearly all is letters.
pub(super) fn is_binary(text: &str) -> bool {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c' | '\x1b');
    let (mut odd, mut all) = (0, 0);
    for c in text.chars().take(SAMPLE_CHARS) {
        all += 1;
        odd += usize::from(is_odd(c));
    }
    text.contains('\0') || odd > ODD_FEW && odd > all / ODD_SHARE
}

/// A text without what printers strike over: manual pages write a bold letter twice on one place, and an underlined one
/// on a line.
pub(super) fn without_overstrikes(text: String) -> String {
    const BACK: char = '\x08';
    if !text.contains(BACK) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != BACK {
            out.push(c);
        } else if !out.ends_with('\n')
            && let Some(struck) = out.pop()
            && struck != '_'
            && chars.next_if_eq(&'_').is_some()
        {
            out.push(struck);
        }
    }
    out
}

/// Where a page sends its readers on to by itself.
pub(super) fn refresh(html: &str) -> Option<String> {
    let is_refresh = |tag: &&str| attribute(tag, "http-equiv").is_some_and(|it| it.eq_ignore_ascii_case("refresh"));
    let tag = tags(head(html), "meta").find(is_refresh)?;
    let (_, after) = attribute(tag, "content")?.split_once([';', ','])?;
    let (key, address) = after.split_once('=')?;
    let address = address.trim().trim_matches(['"', '\'']).replace("&amp;", "&");
    key.trim().eq_ignore_ascii_case("url").then_some(address)
}

/// The day a page says it was published.
pub(super) fn published(html: &str) -> Option<String> {
    let head = head(html);
    let metas: Vec<&str> = tags(head, "meta").collect();
    let named = |wanted: &str| {
        let of_name = |tag: &&&str| {
            let named = ["property", "name", "itemprop", "http-equiv"].map(|key| attribute(tag, key));
            named
                .into_iter()
                .flatten()
                .any(|name| name.eq_ignore_ascii_case(wanted))
        };
        metas
            .iter()
            .find(of_name)
            .and_then(|tag| day(attribute(tag, "content")?))
    };
    DATES
        .iter()
        .find_map(|name| named(name))
        .or_else(|| linked_data(head))
        .or_else(|| {
            // The first one is the page's own; those behind it are of comments and of other pages.
            tags(head, "time")
                .next()
                .and_then(|tag| day(attribute(tag, "datetime")?))
        })
}

fn head(html: &str) -> &str {
    html.split_at(html.floor_char_boundary(HEAD_BYTES)).0
}

/// What stands between `<name` and `>`.
fn tags<'a>(html: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> {
    html.split('<').skip(1).filter_map(move |rest| {
        let (start, inside) = rest.split_at_checked(name.len())?;
        let named = start.eq_ignore_ascii_case(name) && inside.starts_with(|c: char| c.is_whitespace() || c == '/');
        named.then(|| inside.split_once('>').map_or(inside, |(inside, _)| inside))
    })
}

/// The value of an attribute in a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before
            .trim_end()
            .rsplit(|c: char| c.is_whitespace() || c == '/')
            .next()?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, next) = match quote {
            Some(quote) => after.split_at(1).1.split_once(quote)?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// The date in a page's JSON-LD.
fn linked_data(head: &str) -> Option<String> {
    let (_, after) = head.split_once("\"datePublished\"")?;
    let value = after.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    day(value.split_once('"')?.0)
}

/// The day of a time stamp.
fn day(text: &str) -> Option<String> {
    let text = text.trim();
    let date = text.split(['T', ' ']).next()?;
    date.parse::<jiff::civil::Date>().ok().map(|date| date.to_string())
}

/// The day of an HTTP date.
pub(super) fn http_day(text: &str) -> Option<String> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
}

/// Whether a page shows next to nothing unless its scripts are run.
pub(super) fn needs_scripts(html: &str, text: &str) -> bool {
    html.len() >= SMALL_BYTES
        && text.chars().filter(|c| !c.is_whitespace()).nth(THIN_CHARS).is_none()
        && html.split('<').skip(1).any(|rest| {
            let start = rest.split_at_checked("script".len());
            start.is_some_and(|(start, _)| start.eq_ignore_ascii_case("script"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_what_the_bytes_say() {
        let check = |bytes: &[u8], declared: Option<&str>, expect: &str| {
            assert_eq!(decode(bytes, declared, true), expect, "{bytes:?} {declared:?}");
        };
        check("Grüße".as_bytes(), None, "Grüße");
        check("Grüße".as_bytes(), Some("iso-8859-1"), "Grüße");
        check(b"Gr\xfc\xdfe", None, "Grüße");
        check(b"Gr\xfc\xdfe", Some("utf-8"), "Grüße");
        check(b"Gr\xfc\xdfe", Some("nonsense"), "Grüße");
        check(b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", Some("iso-8859-1"), "Grüße");
        check(b"\xff\xfeG\x00r\x00", None, "Gr");
        check(b"G\x00r\x00", Some("utf-16le"), "Gr");
        check(b"<meta charset=koi8-r>\xf0\xd2\xc9", None, "<meta charset=koi8-r>При");
        check(b"<meta charset='utf-16'>a", None, "<meta charset='utf-16'>a");
        check(b"\x83\x65\x83\x58\x83\x67", Some("Shift_JIS"), "テスト");
        check(b"\x1b$B%F%9%H\x1b(B", Some("iso-2022-jp"), "テスト");
        check(b"viel Gr\xc3\xbc\xc3\x9fe \xd6", Some("utf-8"), "viel Grüße \u{fffd}");
        check(b"", None, "");
        let xml = b"<?xml version='1.0' encoding=\"windows-1251\"?><a>\xcf\xf0\xe8</a>";
        let read = decode(xml, None, false);
        assert!(read.ends_with("<a>При</a>"), "{read}");
        check(b"<?xml version='1.0'?>\xfc", None, "<?xml version='1.0'?>ü");
    }

    #[test]
    fn what_is_no_text() {
        let zip: Vec<u8> = (0..=255).cycle().take(4096).collect();
        assert!(is_binary(&decode(&zip, Some("utf-8"), true)));
        let words = "word ".repeat(20_000);
        for text in [
            "x\0y",
            &format!("{words}\0"),
            &"ab\x01".repeat(4),
            &format!("{}{words}", "\x02".repeat(9_000)),
        ] {
            assert!(is_binary(text));
        }
        for text in [
            "",
            "words\r\n\tand more",
            "\x07",
            "a bell\x07 rings",
            &format!("{words}{}", "\x01".repeat(20)),
        ] {
            assert!(!is_binary(text), "{text:?}");
        }
    }

    #[test]
    fn what_is_struck_over_is_read_once() {
        let check = |text: &str, expect: &str| assert_eq!(without_overstrikes(text.to_owned()), expect, "{text:?}");
        check(
            "N\x08NA\x08AM\x08ME\x08E\n  _\x08f_\x08i_\x08l_\x08e, +\x08o",
            "NAME\n  file, o",
        );
        check("ä\x08ä\x08ä\x08ä f\x08_", "ä f");
        check("_\x08_\x08_", "_");
        check("\x08a\n\x08b", "a\nb");
        check("plain_text", "plain_text");
    }

    #[test]
    fn pages_that_send_on() {
        let check = |html: &str, expect: Option<&str>| assert_eq!(refresh(html).as_deref(), expect, "{html}");
        check(
            r#"<meta http-equiv="refresh" content="0; url=/new?a=1&amp;b=2">"#,
            Some("/new?a=1&b=2"),
        );
        check(
            "<META HTTP-EQUIV=Refresh CONTENT='5;URL=\"https://example.org/\"'>",
            Some("https://example.org/"),
        );
        check(r#"<meta http-equiv="refresh" content="30">"#, None);
        check(r#"<meta name="x" content="0; url=/y">"#, None);
        check("", None);
    }

    #[test]
    fn dates_of_pages() {
        let check = |html: &str, expect: Option<&str>| assert_eq!(published(html).as_deref(), expect, "{html}");
        check(
            r#"<meta property="article:published_time" content="2026-03-01T10:00:00+01:00">"#,
            Some("2026-03-01"),
        );
        check("<META content='2026-03-01' name=date />", Some("2026-03-01"));
        check("<meta name=date content=2026-03-01>", Some("2026-03-01"));
        check(
            r#"<script>{"datePublished": "2026-03-01T10:00Z"}</script>"#,
            Some("2026-03-01"),
        );
        check(
            r#"<p><time class="x" datetime="2026-03-01 10:00">then</time>"#,
            Some("2026-03-01"),
        );
        check(r#"<meta name="date" content="yesterday">"#, None);
        check(r#"<metadata name="date" content="2026-03-01">"#, None);
        check(r#"<meta name="date" content="2026-03-01"#, None);
        check("<meta =", None);
        check("", None);
        assert_eq!(http_day("Sun, 01 Mar 2026 10:00:00 GMT").as_deref(), Some("2026-03-01"));
        assert_eq!(http_day("soon"), None);
    }

    #[test]
    fn pages_of_scripts_alone() {
        let script = format!("<html><SCRIPT>{}</SCRIPT><div id=root></div>", "x".repeat(2000));
        assert!(needs_scripts(&script, "Loading..."));
        assert!(!needs_scripts(&script, &"word ".repeat(100)));
        assert!(!needs_scripts("<script></script>short", "short"));
        assert!(!needs_scripts(&"<p>".repeat(1000), "short"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_some_text(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), label in "[a-z0-9-]{0,12}") {
            let text = decode(&bytes, Some(&label), true);
            published(&text);
            published(&format!("<meta {text}><time {text}>"));
            needs_scripts(&text, &text);
            refresh(&format!("<meta http-equiv=refresh content={text}>"));
        }
    }
}
