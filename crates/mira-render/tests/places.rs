//! Places of a text that point at sources: where their spans stand, at once and while the text grows.
#![expect(clippy::unwrap_used, reason = "tests")]

use mira_render::{LiveHtml, Place, render, render_cited};
use proptest::prelude::*;

/// The place of `part` in `text`, the first time it stands there.
fn place(text: &str, part: &str, number: u32) -> Place {
    let start = text.split_once(part).unwrap().0.chars().count();
    let end = start + part.chars().count();
    Place {
        at: u32::try_from(start).unwrap()..u32::try_from(end).unwrap(),
        number,
    }
}

fn check(text: &str, places: &[(&str, u32)], expect: &str) {
    let places = places.iter().map(|&(part, number)| place(text, part, number));
    assert_eq!(render_cited(text, places), expect, "{text}");
}

fn span(numbers: &str, text: &str) -> String {
    format!("<span class=\"cites\" data-cites=\"{numbers}\">{text}</span>")
}

fn link(text: &str) -> String {
    let rel = "rel=\"noopener noreferrer nofollow\"";
    format!("<a href=\"https://e.example\" target=\"_blank\" {rel}>{text}</a>")
}

#[test]
fn markers_stand_in_their_spans() {
    check(
        "🦀\r\nIt *rains [1]* a lot [2; 31]. a[2] \\[1]",
        &[("[1]", 1), ("[2; 31]", 2), ("[2; 31]", 31)],
        &format!(
            "<p>🦀\nIt <em>rains {}</em> a lot {}. a[2] [1]</p>\n",
            span("1", "[1]"),
            span("2 31", "[2; 31]")
        ),
    );
    check(
        "- one [1][2]\n- two\n\n| a [3] |\n|---|\n",
        &[("[1]", 1), ("[2]", 2), ("[3]", 3)],
        &format!(
            "<ul>\n<li>one {}{}</li>\n<li>two</li>\n</ul>\n<table><thead><tr><th>a {}</th></tr></thead><tbody>\n</tbody></table>\n",
            span("1", "[1]"),
            span("2", "[2]"),
            span("3", "[3]")
        ),
    );
}

/// What a provider cites is no marker: the span stands behind it, and behind a link or code it ends in.
#[test]
fn other_places_have_their_spans_behind_them() {
    check(
        "So it is said. And more",
        &[("it is said.", 1)],
        &format!("<p>So it is said.{} And more</p>\n", span("1", "")),
    );
    for place in ["[e](https://e.example)", "(https://e"] {
        check(
            "A [e](https://e.example)\n\nb",
            &[(place, 1)],
            &format!("<p>A {}{}</p>\n<p>b</p>\n", link("e"), span("1", "")),
        );
        check(
            "A [e](https://e.example)`b`",
            &[(place, 1)],
            &format!("<p>A {}{}<code>b</code></p>\n", link("e"), span("1", "")),
        );
    }
    check(
        "- `a` b\n  - c",
        &[("`a`", 4)],
        &format!(
            "<ul>\n<li><code>a</code>{} b\n<ul>\n<li>c</li>\n</ul>\n</li>\n</ul>\n",
            span("4", "")
        ),
    );
    // What is blank behind it is no part of it.
    check(
        "a b\n\nc",
        &[("b\n\n", 1), ("\n", 2)],
        &format!("<p>a b{}</p>\n<p>c</p>\n", span("1 2", "")),
    );
    // Inside a marker is no place of its own.
    check(
        "a [12] b",
        &[("[12]", 1), ("[1", 2)],
        &format!("<p>a {}{} b</p>\n", span("1", "[12]"), span("2", "")),
    );
}

#[test]
fn nothing_is_put_into_links_and_code_and_nothing_is_lost() {
    let behind = span("1", "");
    check(
        "[1](https://e.example)",
        &[("[1]", 1)],
        &format!("<p>{}{behind}</p>\n", link("1")),
    );
    check(
        "`a[1]` b",
        &[("[1]", 1)],
        &format!("<p><code>a[1]</code>{behind} b</p>\n"),
    );
    let code = "<pre><code>a[1]\n</code></pre>\n";
    for place in [
        "a",
        "[1]",
        "a[1]\n",
        "a[1]\n```",
        "a[1]\n```\n",
        "a[1]\n```\n\n",
        "```\na",
    ] {
        check(
            "```\na[1]\n```\n\nb",
            &[(place, 1)],
            &format!("{code}{behind}<p>b</p>\n"),
        );
        check(
            "- ```\n  a[1]\n  ```\n- b",
            &[("a[1]", 1)],
            &format!("<ul>\n<li>{code}{behind}</li>\n<li>b</li>\n</ul>\n"),
        );
    }
    check("    a[1]\n", &[("[1]", 1)], &format!("{code}{behind}"));
    check(
        "<div>\n\nb",
        &[("<div>", 1)],
        &format!("<pre><code>&lt;div&gt;\n</code></pre>\n{behind}<p>b</p>\n"),
    );
    check(
        "a\n\n***\n\nb",
        &[("***", 1)],
        &format!("<p>a</p>\n<hr>\n{behind}<p>b</p>\n"),
    );
    // What is only looked up has no block of its own.
    let definition = "[a]: https://e.example";
    check(
        &format!("a\n\n{definition}"),
        &[(definition, 1)],
        &format!("<p>a</p>\n{behind}"),
    );
    check(
        &format!("{definition}\n\na"),
        &[(definition, 1)],
        &format!("<p>{behind}a</p>\n"),
    );
    // A place that is not there is none.
    assert_eq!(render_cited("a", [Place { at: 1..9, number: 1 }]), "<p>a</p>\n");
}

#[test]
fn a_place_told_late_shows_at_the_end() {
    let text = "First [1] said.\n\n```\nsecond\n```\n\nThird [2].";
    let mut live = LiveHtml::new();
    live.push(text);
    live.render_changed();
    live.push("\n\nEnd");
    live.render_changed();
    let places = [
        place(text, "[1]", 1),
        place(text, "[2]", 2),
        place(text, "said", 3),
        place(text, "second", 4),
    ];
    for place in &places {
        live.cite(place);
    }
    live.finish();
    let shown = joined(&mut live);
    assert_eq!(shown, render_cited(&format!("{text}\n\nEnd"), places));
    assert_eq!(without_spans(&shown).1, [1, 3, 4, 2]);
}

fn joined(live: &mut LiveHtml) -> String {
    live.snapshot().into_iter().map(|(_, html)| html).collect()
}

/// HTML without line breaks: a span between two blocks may bring one of its own.
fn unbroken(html: &str) -> String {
    html.replace('\n', "")
}

/// HTML without line breaks and without the spans of places, and their numbers in the order they stand there.
fn without_spans(html: &str) -> (String, Vec<u32>) {
    let mut parts = html.split("<span class=\"cites\" data-cites=\"");
    let mut rest = parts.next().unwrap().to_owned();
    let mut found = Vec::new();
    for part in parts {
        let (numbers, part) = part.split_once("\">").unwrap();
        found.extend(numbers.split(' ').map(|number| number.parse::<u32>().unwrap()));
        // Nothing but text stands inside.
        let (inside, behind) = part.split_once("</span>").unwrap();
        rest.push_str(inside);
        rest.push_str(behind);
    }
    (unbroken(&rest), found)
}

/// Markdown that tries to lose, double or misplace what is put into it.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[1]",
        "[1, 2]",
        "[12",
        "]",
        "[",
        "![",
        "](https://e.example)",
        "[a]",
        "[a]: https://e.example\n",
        "[a][1]",
        "\\",
        "\\[1]",
        "&amp;",
        "&",
        "`",
        "``",
        "```\n",
        "```rust\n",
        "~~~\n",
        "    code\n",
        "*",
        "**",
        "_",
        "~~",
        "<b>",
        "<div>\n",
        "<!--",
        "-->",
        "<https://e.example>",
        "- ",
        "- [ ] ",
        "- [x] \n",
        "1. ",
        "  ",
        "   - ",
        "> ",
        ">",
        "# ",
        "#",
        "***\n",
        "---\n",
        "===\n",
        "|",
        "| a [1] | b |\n",
        "|---|---|\n",
        "|-|\n",
        "ä",
        "🦀 é\u{301}",
        "word",
        "two words",
        "\n",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\t",
        "\0",
        " ",
        "\u{a0}",
        "\\\n",
        "  \n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Where a place begins, how long it is, and how much later than its end it is told, all in code points.
type Drawn = (usize, usize, usize);

/// The places in a text of so many code points, each with when it is told: in that order, each with a number of its own.
fn placed(count: usize, drawn: &[Drawn]) -> Vec<(usize, Place)> {
    let mut places: Vec<(usize, std::ops::Range<usize>)> = drawn
        .iter()
        .map(|&(start, length, late)| {
            let start = start % (count + 1);
            let end = count.min(start + length);
            (end + late, start..end)
        })
        .collect();
    places.sort_by_key(|(told, _)| *told);
    let numbered = places.into_iter().zip(1..).map(|((told, at), number)| {
        let at = u32::try_from(at.start).unwrap()..u32::try_from(at.end).unwrap();
        (told, Place { at, number })
    });
    numbered.collect()
}

fn assert_places_hold(text: &str, steps: &[usize], drawn: &[Drawn]) {
    let chars: Vec<char> = text.chars().collect();
    let places = placed(chars.len(), drawn);
    let (mut live, mut plain) = (LiveHtml::new(), LiveHtml::new());
    let mut untold = places.iter().peekable();
    let mut read = 0;
    for step in steps.iter().copied().cycle().take(chars.len()) {
        let part: String = chars.iter().skip(read).take(step).collect();
        read = chars.len().min(read + step);
        live.push(&part);
        plain.push(&part);
        while let Some((_, place)) = untold.next_if(|(told, _)| *told <= read) {
            live.cite(place);
        }
        let shown = without_spans(&joined(&mut live)).0;
        assert_eq!(shown, unbroken(&joined(&mut plain)), "{text:?} at {read}");
    }
    for (_, place) in untold {
        live.cite(place);
    }
    live.finish();
    let whole = render_cited(text, places.iter().map(|(_, place)| place.clone()));
    assert_eq!(joined(&mut live), whole, "{text:?}");
    let (rest, mut numbers) = without_spans(&whole);
    assert_eq!(rest, unbroken(&render(text)), "{text:?}");
    numbers.sort_unstable();
    let all: Vec<u32> = places.iter().map(|(_, place)| place.number).collect();
    // Where nothing is shown there is nothing to point from.
    assert_eq!(
        numbers,
        if rest.is_empty() { Vec::new() } else { all },
        "{text:?} {whole}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spans_change_nothing_and_none_is_lost(
        text in hostile(),
        steps in prop::collection::vec(1usize..12, 1..6),
        drawn in prop::collection::vec((0usize..200, 0usize..14, 0usize..60), 0..8),
    ) {
        assert_places_hold(&text, &steps, &drawn);
    }
}
