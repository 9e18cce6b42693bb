//! What markdown becomes, at once and while it grows.
#![expect(clippy::unwrap_used, reason = "tests")]

use mira_render::{LiveHtml, Place, render, render_cited};
use proptest::prelude::*;

fn check(markdown: &str, expect: &str) {
    assert_eq!(render(markdown), expect, "{markdown}");
}

const LINK: &str = "rel=\"noopener noreferrer nofollow\"";

#[test]
fn the_dialect() {
    check("", "");
    check(
        "a *b* **c** ~~d~~ `e<`",
        "<p>a <em>b</em> <strong>c</strong> <del>d</del> <code>e&lt;</code></p>\n",
    );
    check("# A\n\n***\n\nb\\\nc", "<h1>A</h1>\n<hr>\n<p>b<br>\nc</p>\n");
    check("3. a\n4. b", "<ol start=\"3\">\n<li>a</li>\n<li>b</li>\n</ol>\n");
    check(
        "- [x] a\n- [ ] b\n- c",
        "<ul>\n<li class=\"task-list\"><input disabled=\"\" type=\"checkbox\" checked=\"\">\na</li>\n\
         <li class=\"task-list\"><input disabled=\"\" type=\"checkbox\">\nb</li>\n<li>c</li>\n</ul>\n",
    );
    check(
        "|a|b|\n|:-:|-|\n|1|2|",
        "<table><thead><tr><th align=\"center\">a</th><th>b</th></tr></thead><tbody>\n\
         <tr><td align=\"center\">1</td><td>2</td></tr>\n</tbody></table>\n",
    );
    check("> a\n> b", "<blockquote>\n<p>a\nb</p>\n</blockquote>\n");
    check("a[^1]\n\n[^1]: b c", "<p>a[^1]</p>\n<p>[^1]: b c</p>\n");
    check("a\r\nb\0", "<p>a\nb\u{fffd}</p>\n");
}

#[test]
fn raw_html_is_text() {
    check("a <b>b</b>", "<p>a &lt;b&gt;b&lt;/b&gt;</p>\n");
    check(
        "<div>\n  x & y\n</div>\n",
        "<pre><code>&lt;div&gt;\n  x &amp; y\n&lt;/div&gt;\n</code></pre>\n",
    );
}

#[test]
fn links_and_images() {
    let open = |href: &str| format!("<a href=\"{href}\" target=\"_blank\" {LINK}>");
    check(
        "[a](https://e.example/?a=1&b=2)",
        &format!("<p>{}a</a></p>\n", open("https://e.example/?a=1&amp;b=2")),
    );
    check(
        "<me@e.example>",
        &format!("<p>{}me@e.example</a></p>\n", open("mailto:me@e.example")),
    );
    check("[a](src/main.rs) [b](javascript:x)", "<p>a b</p>\n");
    let image = |href: &str| format!("<a class=\"image-link\" href=\"{href}\" target=\"_blank\" {LINK}>");
    check(
        "![*a* b](http://e.example/i.png)",
        &format!("<p>{}<em>a</em> b</a></p>\n", image("http://e.example/i.png")),
    );
    check(
        "![](http://e.example/i)",
        &format!("<p>{0}http://e.example/i</a></p>\n", image("http://e.example/i")),
    );
    check(
        "[![alt](http://e.example/i)](http://e.example)",
        &format!("<p>{}alt</a></p>\n", open("http://e.example")),
    );
    check("![alt](data:image/png;base64,AA)", "<p>alt</p>\n");
}

#[test]
fn code() {
    check("```\na < b\n```", "<pre><code>a &lt; b\n</code></pre>\n");
    check(
        "```unknown-x\na\n```",
        "<pre><code class=\"language-unknown-x\">a\n</code></pre>\n",
    );
    check(
        "```rust\nlet a = 1;\n```",
        "<pre><code class=\"language-rust\"><span class=\"hl-storage hl-type\">let</span> a \
         <span class=\"hl-keyword hl-operator\">=</span> <span class=\"hl-constant hl-numeric hl-integer hl-decimal\">1</span>;\n\
         </code></pre>\n",
    );
}

/// What a client shows that replaces blocks as they come.
fn apply(shown: &mut Vec<String>, changes: Vec<(usize, String)>) {
    for (index, html) in changes {
        if shown.len() <= index {
            shown.resize(index + 1, String::new());
        }
        *shown.get_mut(index).unwrap() = html;
    }
}

fn shown_after(parts: &[&str]) -> String {
    let mut live = LiveHtml::new();
    let mut shown = Vec::new();
    for part in parts {
        live.push(part);
        apply(&mut shown, live.render_changed());
    }
    shown.concat()
}

#[test]
fn open_ends_look_as_they_will() {
    for (parts, expect) in [
        (&["a **bo"][..], "<p>a <strong>bo</strong></p>\n"),
        (&["see [te", "xt](http://e.exa"], "<p>see text</p>\n"),
        (&["Items:\n", "-"], "<p>Items:</p>\n"),
        (&["```\nlet a"], "<pre><code>let a</code></pre>\n"),
        (&["```\nlet **a\n``"], "<pre><code>let **a\n</code></pre>\n"),
        (
            &["| a | b"],
            "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>\n</tbody></table>\n",
        ),
        (&["a\n\nb `c"], "<p>a</p>\n<p>b <code>c</code></p>\n"),
    ] {
        assert_eq!(shown_after(parts), expect, "{parts:?}");
    }
}

#[test]
fn may_move_between_threads() {
    let mut live = LiveHtml::new();
    live.push("```rust\nlet a");
    live.render_changed();
    live.push(" = 1;\n");
    let shown = std::thread::spawn(move || live.finish()).join().unwrap();
    assert_eq!(shown, vec![(0, render("```rust\nlet a = 1;\n"))]);
}

#[test]
fn only_what_changed_is_returned() {
    let mut live = LiveHtml::new();
    live.push("one\n\ntwo\n\nthree");
    assert_eq!(live.render_changed().len(), 3);
    assert!(live.render_changed().is_empty());
    live.push(" more");
    assert_eq!(live.render_changed(), vec![(2, "<p>three more</p>\n".to_owned())]);
    live.push(" and");
    let all = live.snapshot();
    assert_eq!(all.len(), 3);
    assert_eq!(
        live.render_changed(),
        vec![(2, "<p>three more and</p>\n".to_owned())],
        "a snapshot takes nothing away"
    );
    assert!(live.finish().is_empty());
}

#[test]
fn two_blocks_that_become_one_leave_an_empty_one() {
    let mut live = LiveHtml::new();
    let mut shown = Vec::new();
    live.push("a\n# ");
    apply(&mut shown, live.finish());
    assert_eq!(shown, ["<p>a</p>\n", "<h1></h1>\n"]);
    live.push("\n\n");
    apply(&mut shown, live.finish());
    let mut live = LiveHtml::new();
    let mut shown = Vec::new();
    live.push("a\n#");
    apply(&mut shown, live.finish());
    assert_eq!(shown.len(), 2);
    live.push("b");
    apply(&mut shown, live.finish());
    assert_eq!(shown, ["<p>a\n#b</p>\n", ""]);
}

#[test]
fn definitions_reach_back_at_the_end() {
    let text = "see [a] now\n\nmore text\n\nand more\n\n[a]: https://e.example\n";
    assert_live_equals_whole(text, &[5, 9, 20, 33]);
}

/// A long block is not rendered with every push, and not at a cost that grows with its square.
#[test]
fn long_block_is_throttled_and_completed() {
    let line = "let value = compute(1, \"two\");\n";
    let mut live = LiveHtml::new();
    let mut shown = Vec::new();
    let mut written = 0;
    live.push("```rust\n");
    for _ in 0..500 {
        live.push(line);
        let changes = live.render_changed();
        written += changes.iter().map(|(_, html)| html.len()).sum::<usize>();
        apply(&mut shown, changes);
    }
    live.push("```\n");
    apply(&mut shown, live.finish());
    let whole = format!("```rust\n{}```\n", line.repeat(500));
    assert_eq!(shown.concat(), render(&whole));
    assert!(
        written < 256 * whole.len(),
        "{written} bytes of HTML for {} of text",
        whole.len()
    );
}

fn assert_live_equals_whole(text: &str, cuts: &[usize]) {
    let places = markers(text);
    let mut cited = 0;
    let mut live = LiveHtml::new();
    let mut shown = Vec::new();
    let mut from = 0;
    let mut cuts: Vec<usize> = cuts.iter().copied().filter(|&cut| text.is_char_boundary(cut)).collect();
    cuts.push(text.len());
    cuts.sort_unstable();
    for cut in cuts {
        live.push(text.get(from..cut).unwrap());
        let read = text.get(..cut).unwrap().chars().count();
        while let Some(place) = places.get(cited).filter(|place| place.at.end as usize <= read) {
            live.cite(place);
            cited += 1;
        }
        apply(&mut shown, live.render_changed());
        from = cut;
    }
    apply(&mut shown, live.finish());
    let whole = render_cited(text, places);
    assert_eq!(shown.concat(), whole, "{text:?}");
    assert_eq!(
        live.snapshot().into_iter().map(|(_, html)| html).collect::<String>(),
        whole,
        "{text:?}"
    );
}

/// Every `[1]` of a text, and the word before each.
fn markers(text: &str) -> Vec<Place> {
    let chars: Vec<char> = text.chars().collect();
    let at = |n: usize| u32::try_from(n).unwrap();
    let marker = |(n, window): (usize, &[char])| {
        let around = Place {
            at: at(n)..at(n + 3),
            number: 1,
        };
        let behind = Place {
            at: at(n.saturating_sub(4))..at(n),
            number: 2,
        };
        (window == ['[', '1', ']']).then_some([behind, around])
    };
    chars.windows(3).enumerate().filter_map(marker).flatten().collect()
}

fn markdown() -> impl Strategy<Value = String> {
    let block = prop::sample::select(vec![
        "A paragraph with **bold**, *emphasis*, `code` and [a link](https://e.example).\n",
        "Two lines\nof text\n",
        "# Heading\n",
        "Setext\n---\n",
        "***\n",
        "- one\n- two\n  - nested\n",
        "* star\n\n* loose\n",
        "1. first\n2. second\n",
        "- item\n\n  ```py\n  print(1)\n  ```\n",
        "> quote\n> more\n",
        "> quote\nlazy\n",
        "```rust\nfn main() {\n    /* open\n\n close */\n}\n```\n",
        "```\n- not a list\n\n# nor heading\n```\n",
        "~~~js\nlet a = `x`;\n",
        "    indented\n\n    code\n",
        "| a | b |\n|---|--:|\n| 1 | 2 |\n",
        "a | b\n-|-\n1 | 2\n",
        "<div>\nraw\n</div>\n",
        "<!-- open\n",
        "- [ ] task\n- [x] done\n",
        "-\n",
        "--\n",
        "- - -\n",
        "===\n",
        "|-|\n",
        "**open\n",
        "[a]: https://e.example\n",
        "use [a] and [b][a]\n",
        "ünïcödé 🦀 text\n",
        "said [1] and **said [1]**.\r\n",
        "- said [1]\n",
        "[1]",
        "no end",
        "\r\n",
    ]);
    prop::collection::vec((block, prop::sample::select(vec!["", "\n", "\n\n", " ", "  "])), 0..9)
        .prop_map(|blocks| blocks.into_iter().flat_map(|(block, gap)| [block, gap]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn live_equals_whole(text in markdown(), cuts in prop::collection::vec(0usize..600, 0..60)) {
        let cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut < text.len()).collect();
        assert_live_equals_whole(&text, &cuts);
    }

    #[test]
    fn live_equals_whole_char_by_char(text in markdown()) {
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        assert_live_equals_whole(&text, &cuts);
    }

    #[test]
    fn live_equals_whole_for_any_text(text in "([-a*_`#>|~=<\\[\\]():!\\\\ \n\r1.]|\\[1\\]){0,40}") {
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        assert_live_equals_whole(&text, &cuts);
    }
}
