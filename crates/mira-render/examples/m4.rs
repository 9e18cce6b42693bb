use std::time::Instant;
fn main() {
    let mut v = vec![];
    for lang in [
        "rust",
        "js",
        "py",
        "sh",
        "c++",
        "c",
        "java",
        "go",
        "html",
        "css",
        "yaml",
        "json",
        "sql",
        "md",
        "rb",
        "php",
        "hs",
        "xml",
        "cs",
        "lua",
        "perl",
        "scala",
        "r",
        "tex",
        "lisp",
        "clojure",
        "makefile",
        "diff",
        "swift",
        "erlang",
        "ocaml",
        "d",
        "groovy",
        "matlab",
        "tcl",
        "bat",
        "objc",
        "pascal",
        "asp",
        "jsp",
        "textile",
        "rst",
        "graphviz",
        "applescript",
        "as",
        "regexp",
        "ocamllex",
        "dtd",
        "haskell",
        "lhs",
        "bibtex",
        "javadoc",
    ] {
        for unit in [
            "a", "(", "[", "{", "<", "\"", "'", "`", "/", "\\", "*", "#", "$", "a.", "a(", "a b ", "1", ":", "- ",
            "<a ", "=", "a=", "${", "/*", "&", "<%", "a,", "::", "->", "@", "!", "a<", " ", "\t", "_a",
        ] {
            let code = format!("```{lang}\n{}\n```", unit.repeat(1990 / unit.len()));
            let t = Instant::now();
            mira_render::render(&code);
            let t2 = Instant::now();
            if t2 - t > std::time::Duration::from_millis(30) {
                let t = Instant::now();
                mira_render::render(&code);
                v.push((t.elapsed(), lang, unit));
            }
        }
    }
    v.sort();
    v.reverse();
    for x in v.iter().take(40) {
        println!("{x:?}");
    }
}
