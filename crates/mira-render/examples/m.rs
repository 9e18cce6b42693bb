use std::time::Instant;
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let p = "A paragraph with **bold**, *emphasis*, `code` and [a link](https://e.example). It goes on for a while, as paragraphs do, and ends with a few more words about nothing in particular, really.\n";
    mira_render::render("```rust\nlet a=1;\n```");
    let t = Instant::now();
    for _ in 0..1000 {
        std::hint::black_box(mira_render::render(p));
    }
    println!("para {:?}", t.elapsed() / 1000);
    let code = format!(
        "```rust\n{}```\n",
        "pub fn main(a: &str) -> Result<(), E> { let x = foo(1, \"two\")?; } // c\n".repeat(100)
    );
    let t = Instant::now();
    let h = mira_render::render(&code);
    println!("code {} -> {} {:?}", code.len(), h.len(), t.elapsed());
    let t = Instant::now();
    let h = mira_render::render(&code);
    println!("code {} -> {} {:?}", code.len(), h.len(), t.elapsed());
    let mut l = mira_render::LiveHtml::new();
    let t = Instant::now();
    let mut w = 0;
    let mut c = 0;
    for ch in code.as_bytes().chunks(4) {
        l.push(std::str::from_utf8(ch).unwrap());
        let v = l.render_changed();
        c += v.len();
        w += v.iter().map(|x| x.1.len()).sum::<usize>();
    }
    println!("live code {} updates {} bytes {:?}", c, w, t.elapsed());
    for unit in [
        ">",
        "> ",
        "- ",
        "* a\n ",
        "[",
        "![",
        "](",
        "*a ",
        "**a _b ",
        "`",
        "~~",
        "<",
        "<!--",
        "|",
        "\\",
        "&",
        "\0",
        "[a](",
        "![a](",
        "<a href=",
        "\u{202e}",
        "\n",
        "    ",
        "1. ",
        "a\n",
        "a\n\n",
        "<b>",
        "[a]: b\n",
        "***",
        "[a][a]",
        "word ",
        "```rust\n",
        "> a\n> > b\n",
    ] {
        for k in [n / 2, n] {
            let s = unit.repeat(k / unit.len());
            let t = Instant::now();
            let h = mira_render::render(&s);
            let d = t.elapsed();
            let t = Instant::now();
            let mut l = mira_render::LiveHtml::new();
            for ch in s.as_bytes().chunks(997) {
                l.push(&String::from_utf8_lossy(ch));
                l.render_changed();
            }
            l.finish();
            println!("{unit:?} {k} -> {} {:?} live {:?}", h.len(), d, t.elapsed());
        }
    }
}
