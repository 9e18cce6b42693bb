//! Small pages, and what is left of them.

use super::*;

fn check(html: &str, expect: &str) {
    let base = Url::parse("https://example.org/dir/page").unwrap();
    let document = readable(html, Some(&base), &Limits::default());
    assert_eq!(document.parts.len(), 1);
    assert_eq!(document.parts[0].text, expect, "{html}");
    assert!(!document.truncated);
}

fn titled(html: &str) -> Option<String> {
    readable(html, None, &Limits::default()).title
}

#[test]
fn structure_becomes_marks() {
    check(
        "<h1>A  <b>head</b></h1><p>One\n two<br>three</p><h2>B</h2>x",
        "# A head\n\nOne two\nthree\n\n## B\n\nx\n",
    );
    check(
        "<ul><li>one<li>two<ol start=3><li>three</li><li>four</ol></li></ul><p>end",
        "- one\n- two\n  3. three\n  4. four\n\nend\n",
    );
    check("<ul><li><p>a</p><p>b</p></li></ul>", "- a\n\n  b\n");
    check("<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n>\n> b\n\nc\n");
    check("<dl><dt>Term<dd>What it is</dl>", "Term\n: What it is\n");
    check("a<hr>b", "a\n\n---\n\nb\n");
    check("one<span> two</span> <i>three</i>.", "one two three.\n");
}

#[test]
fn links_are_absolute_and_safe() {
    check(
        "see <a href='../x?q=1'>this </a>now",
        "see [this](https://example.org/x?q=1) now\n",
    );
    check("<a href=//h.example/(a)>b</a>", "[b](https://h.example/%28a%29)\n");
    check(
        "<a href='javascript:alert(1)'>b</a> <a href='#top'>up</a> <a>none</a>",
        "b up none\n",
    );
    check(
        "<a href=https://h.example/>https://h.example/</a>",
        "https://h.example/\n",
    );
    check(
        "<head><base href=/other/></head><a href=x>y</a>",
        "[y](https://example.org/other/x)\n",
    );
    check("<h2>Head<a href=#head>¶</a></h2>", "## Head\n");
    check("<a href=x><div>one</div><div>two</div></a>", "one\ntwo\n");
}

#[test]
fn tables_and_code() {
    check(
        "<table><caption>Sizes</caption><tr><th>a<th>b|c<tr><td>1<td><b>2</b> <a href=/x>x</a></table>",
        "Sizes\n\n| a | b\\|c |\n| --- | --- |\n| 1 | 2 [x](https://example.org/x) |\n",
    );
    check(
        "<table><tr><td>a<td>b<td>c<tr><td>1</table>",
        "| a | b | c |\n| --- | --- | --- |\n| 1 |  |  |\n",
    );
    check(
        "<table><tr><td><h2>Head</h2><p>text</p><td>side</table>",
        "## Head\n\ntext\n\nside\n",
    );
    check(
        "<pre class='language-rust'><code>fn a() {\n    b()\n}\n</code></pre>after <code>a  b</code>",
        "```rust\nfn a() {\n    b()\n}\n```\n\nafter `a b`\n",
    );
    check("<pre>a\n```\nb</pre>", "````\na\n```\nb\n````\n");
}

#[test]
fn what_nobody_sees_is_left_out() {
    check(
        "<p>seen<script>no</script><style>no</style><template>no</template></p><p hidden>no</p>\
         <p aria-hidden=true>no</p><p style='Display : none'>no</p><span class='x sr-only'>no</span>\
         <form><label>no</label><input value=no><button>no</button></form><!-- no -->",
        "seen\n",
    );
    check("<noscript><p>no</p></noscript><p>yes</p>", "yes\n");
}

#[test]
fn dressing_goes_and_the_article_stays() {
    let text = "A sentence of the article, long enough to be taken for one, with commas. ".repeat(5);
    let text = text.trim();
    let page = format!(
        "<title>Headline - Site</title><body class='has-sidebar'><header><a href=/>Site</a></header>\
         <nav><ul><li><a href=/a>A</a></ul></nav><div class='cookie-banner'>We use cookies</div>\
         <main><article><header><h1>Headline</h1></header><p>{text}</p><aside>Related</aside>\
         <div class=share>Share</div></article></main><footer>Imprint</footer>"
    );
    check(&page, &format!("# Headline\n\n{text}\n"));
    assert_eq!(titled(&page).as_deref(), Some("Headline"));
    // No element says so, but most of the text is in one.
    let page = format!("<div id=top>Menu of the site</div><div><div><p>{text}</p><p>{text}</p></div></div>");
    check(&page, &format!("{text}\n\n{text}\n"));
    // A class that sounds like dressing around the whole text means nothing.
    check(
        &format!("<div class='menu related'><p>{text}</p></div>"),
        &format!("{text}\n"),
    );
    // Where dressing is all there is, it is the page.
    check("<nav><a href=/a>A</a></nav>", "[A](https://example.org/a)\n");
}

#[test]
fn titles() {
    assert_eq!(titled("<title> A \n B </title>").as_deref(), Some("A B"));
    assert_eq!(
        titled("<meta property=og:title content=Og><h1>Other</h1>").as_deref(),
        Some("Og")
    );
    assert_eq!(titled("<h1>Only <i>this</i></h1>").as_deref(), Some("Only this"));
    assert_eq!(
        titled("<title>A - Site</title><h1>A<a href=#a>¶</a></h1>").as_deref(),
        Some("A")
    );
    assert_eq!(titled("<p>none</p>"), None);
    check("<title>T</title><p>text", "# T\n\ntext\n");
}

#[test]
fn limits_hold() {
    let limits = Limits {
        text_bytes: 20,
        ..Limits::default()
    };
    let document = readable(&"<p>word</p>".repeat(50), None, &limits);
    assert!(document.truncated);
    assert!(document.parts[0].text.len() <= 20 + 1, "{:?}", document.parts);
    let limits = Limits {
        depth: 4,
        ..Limits::default()
    };
    let deep = readable(&format!("{}text", "<div>".repeat(10)), None, &limits);
    assert_eq!(deep.parts[0].text, "text\n");
    let deepest = readable(&format!("{}text", "<div>".repeat(100_000)), None, &Limits::default());
    assert!(deepest.truncated);
}

#[test]
fn a_declared_encoding_counts() {
    let document = read(b"<meta charset=windows-1251><p>\xcf\xf0\xe8", &Limits::default());
    assert_eq!(document.parts[0].text, "При\n");
}
