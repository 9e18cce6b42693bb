fn main() {
    print!(
        "{}",
        mira_render::render(
            "```rust\npub fn main(a: &str) -> Result<(), E> { let x = foo(1, \"two\")?; } // c\n```\n```python\ndef f(a, b=1):\n    return {'x': a.b(c)}  # hi\n```"
        )
    );
    for k in [250_000usize, 500_000, 1_000_000] {
        let s = "&".repeat(k);
        let t = std::time::Instant::now();
        mira_render::render(&s);
        println!("& {k} {:?}", t.elapsed());
        let s = "< ".repeat(k / 2);
        let t = std::time::Instant::now();
        mira_render::render(&s);
        println!("< {k} {:?}", t.elapsed());
    }
    let s =
        "Some words of a paragraph that goes on.\n\n- a\n- b `c`\n\n```rust\nlet x = 1;\n```\n".repeat(10_000_000 / 80);
    let t = std::time::Instant::now();
    mira_render::render(&s);
    println!("10MB mixed {:?}", t.elapsed());
    let s = "word ".repeat(2_000_000);
    let t = std::time::Instant::now();
    mira_render::render(&s);
    println!("10MB para {:?}", t.elapsed());
    let s = "a\n\n".repeat(3_000_000);
    let t = std::time::Instant::now();
    mira_render::render(&s);
    println!("9MB tiny {:?}", t.elapsed());
}
