//! The last step before HTML leaves this crate: an allow-list over one block's markup.
//!
//! The writer in `html` already produces nothing else; this is the second wall, and it stands after the parser, not
//! before it. What is not listed here does not exist in the output.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use ammonia::{Builder, UrlRelative};

/// The schemes a link may have.
pub(crate) const SCHEMES: [&str; 3] = ["http", "https", "mailto"];

const TAGS: [&str; 27] = [
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "input",
    "li",
    "ol",
    "p",
    "pre",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];

/// A text longer than this is cut for the serialiser.
const MAX_TEXT_BYTES: usize = 4 * 1024;
const COMMENT: &str = "<!---->";

/// Returns `html` with everything that is not allowed removed, as a well-formed fragment.
pub(crate) fn sanitize(html: &str) -> String {
    static BUILDER: OnceLock<Builder<'static>> = OnceLock::new();
    BUILDER.get_or_init(builder).clean(&with_short_texts(html)).to_string()
}

/// Cuts long texts with comments, which the sanitiser drops; what comes out is the same.
///
/// The serialiser looks for `<` and `>` up to the end of a text for each `&` and each byte 0xC2 it escapes or steps
/// over, so a text of a megabyte of ampersands would take many seconds as one node.
fn with_short_texts(html: &str) -> Cow<'_, str> {
    if html.len() <= MAX_TEXT_BYTES {
        return Cow::Borrowed(html);
    }
    let mut out = String::with_capacity(html.len() + html.len() / MAX_TEXT_BYTES * COMMENT.len());
    let mut rest = html;
    while !rest.is_empty() {
        let (mut text, markup) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        // Before such a byte is never inside a reference or a character.
        while let Some(at) = text.bytes().skip(MAX_TEXT_BYTES).position(|b| b == b'&' || b == 0xC2) {
            let (head, tail) = text.split_at(MAX_TEXT_BYTES + at);
            out.push_str(head);
            out.push_str(COMMENT);
            text = tail;
        }
        out.push_str(text);
        let (tag, after) = markup.split_at(markup.find('>').map_or(markup.len(), |end| end + 1));
        out.push_str(tag);
        rest = after;
    }
    Cow::Owned(out)
}

fn builder() -> Builder<'static> {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(TAGS))
        .clean_content_tags(HashSet::from(["script", "style"]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "title", "class"])),
            ("code", HashSet::from(["class"])),
            ("span", HashSet::from(["class", "data-cites"])),
            ("li", HashSet::from(["class"])),
            ("ol", HashSet::from(["start"])),
            ("input", HashSet::from(["disabled", "checked"])),
        ]))
        .tag_attribute_values(HashMap::from([
            ("input", HashMap::from([("type", HashSet::from(["checkbox"]))])),
            (
                "td",
                HashMap::from([("align", HashSet::from(["left", "center", "right"]))]),
            ),
            (
                "th",
                HashMap::from([("align", HashSet::from(["left", "center", "right"]))]),
            ),
        ]))
        .set_tag_attribute_values(HashMap::from([
            ("a", HashMap::from([("target", "_blank")])),
            // A checkbox without a type would be a text field, and one that is not disabled could be edited.
            ("input", HashMap::from([("type", "checkbox"), ("disabled", "")])),
        ]))
        .generic_attributes(HashSet::new())
        .url_schemes(HashSet::from(SCHEMES))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .strip_comments(true)
        .attribute_filter(filter_attribute);
    builder
}

/// Keeps of a `class` only the names that are ours for that element, and `data-cites` if it is numbers; other attributes
/// pass as they are.
fn filter_attribute<'a>(element: &str, attribute: &str, value: &'a str) -> Option<Cow<'a, str>> {
    if attribute == "data-cites" {
        let is_numbers = value.bytes().all(|b| b.is_ascii_digit() || b == b' ');
        return is_numbers.then_some(Cow::Borrowed(value));
    }
    if attribute != "class" {
        return Some(Cow::Borrowed(value));
    }
    if value.split(' ').all(|class| is_ours(element, class)) {
        return Some(Cow::Borrowed(value));
    }
    let kept: Vec<&str> = value
        .split_ascii_whitespace()
        .filter(|class| is_ours(element, class))
        .collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join(" ")))
}

fn is_ours(element: &str, class: &str) -> bool {
    match element {
        "a" => class == "image-link",
        "li" => class == "task-list",
        "code" => class.strip_prefix("language-").is_some_and(is_class_tail),
        "span" => class == "cites" || class.strip_prefix("hl-").is_some_and(is_class_tail),
        _ => false,
    }
}

fn is_class_tail(tail: &str) -> bool {
    !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#_-.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT_BYTES, sanitize, with_short_texts};

    #[test]
    fn long_texts_are_cut_without_a_trace() {
        for unit in ["&amp;", "°", "a&lt; ", "\u{a0}x", "<em>a</em>&amp;"] {
            let html = format!("<p>{}</p>", unit.repeat(MAX_TEXT_BYTES));
            assert_eq!(sanitize(&html), html.replace('\u{a0}', "&nbsp;"), "{unit}");
            assert_eq!(
                with_short_texts(&html).contains("<!---->"),
                !unit.starts_with("<em>"),
                "{unit}"
            );
        }
    }

    #[test]
    fn only_what_is_listed_survives() {
        for (input, expect) in [
            ("<p onclick=x id=a style=b>t</p>", "<p>t</p>"),
            ("<script>alert(1)</script><p>t</p>", "<p>t</p>"),
            ("<img src=x onerror=alert(1)>", ""),
            ("<!-- c --><b>t</b>", "t"),
            (
                "<span class=\"hl-a evil hl-b\">t</span>",
                "<span class=\"hl-a hl-b\">t</span>",
            ),
            ("<span class=evil>t</span>", "<span>t</span>"),
            (
                "<span class=\"cites\" data-cites=\"1 2\" data-x=1>t</span>",
                "<span class=\"cites\" data-cites=\"1 2\">t</span>",
            ),
            ("<span data-cites=\"1 x\">t</span>", "<span>t</span>"),
            (
                "<a href=\"javascript:alert(1)\">t</a>",
                "<a target=\"_blank\" rel=\"noopener noreferrer nofollow\">t</a>",
            ),
            (
                "<a href=\"/x\">t</a>",
                "<a target=\"_blank\" rel=\"noopener noreferrer nofollow\">t</a>",
            ),
            ("<input disabled type=text>", "<input disabled=\"\" type=\"checkbox\">"),
            ("<svg><style><img title=\"</style><img src=x onerror=a>\"></svg>", ""),
        ] {
            assert_eq!(sanitize(input), expect, "{input}");
        }
    }
}
