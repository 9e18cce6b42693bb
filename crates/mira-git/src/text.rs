//! What a file's name says about its language. A small table: the names are those highlighters and models know.

/// Whole names.
const NAMES: &[(&str, &str)] = &[
    ("dockerfile", "dockerfile"),
    ("containerfile", "dockerfile"),
    ("makefile", "makefile"),
    ("gnumakefile", "makefile"),
    ("justfile", "just"),
    ("cmakelists.txt", "cmake"),
    ("gemfile", "ruby"),
    ("rakefile", "ruby"),
    ("cargo.lock", "toml"),
    ("go.mod", "go"),
    (".bashrc", "bash"),
    (".gitignore", "gitignore"),
];

/// Endings.
const ENDINGS: &[(&str, &str)] = &[
    ("rs", "rust"),
    ("py", "python"),
    ("pyi", "python"),
    ("js", "javascript"),
    ("mjs", "javascript"),
    ("cjs", "javascript"),
    ("jsx", "jsx"),
    ("ts", "typescript"),
    ("mts", "typescript"),
    ("tsx", "tsx"),
    ("go", "go"),
    ("java", "java"),
    ("kt", "kotlin"),
    ("kts", "kotlin"),
    ("scala", "scala"),
    ("swift", "swift"),
    ("c", "c"),
    ("h", "c"),
    ("cc", "cpp"),
    ("cpp", "cpp"),
    ("cxx", "cpp"),
    ("hh", "cpp"),
    ("hpp", "cpp"),
    ("cs", "csharp"),
    ("fs", "fsharp"),
    ("rb", "ruby"),
    ("php", "php"),
    ("pl", "perl"),
    ("pm", "perl"),
    ("lua", "lua"),
    ("r", "r"),
    ("jl", "julia"),
    ("hs", "haskell"),
    ("ml", "ocaml"),
    ("mli", "ocaml"),
    ("ex", "elixir"),
    ("exs", "elixir"),
    ("erl", "erlang"),
    ("clj", "clojure"),
    ("zig", "zig"),
    ("nim", "nim"),
    ("dart", "dart"),
    ("sh", "bash"),
    ("bash", "bash"),
    ("zsh", "bash"),
    ("fish", "fish"),
    ("ps1", "powershell"),
    ("sql", "sql"),
    ("html", "html"),
    ("htm", "html"),
    ("xml", "xml"),
    ("svg", "xml"),
    ("css", "css"),
    ("scss", "scss"),
    ("less", "less"),
    ("vue", "vue"),
    ("svelte", "svelte"),
    ("json", "json"),
    ("jsonc", "json"),
    ("yaml", "yaml"),
    ("yml", "yaml"),
    ("toml", "toml"),
    ("ini", "ini"),
    ("cfg", "ini"),
    ("md", "markdown"),
    ("markdown", "markdown"),
    ("rst", "rst"),
    ("tex", "latex"),
    ("diff", "diff"),
    ("patch", "diff"),
    ("proto", "protobuf"),
    ("graphql", "graphql"),
    ("tf", "terraform"),
    ("nix", "nix"),
    ("vim", "vim"),
    ("el", "lisp"),
    ("lisp", "lisp"),
    ("asm", "asm"),
    ("s", "asm"),
    ("bat", "batch"),
    ("txt", "text"),
];

/// The language of a file by its name; `None` if the name says nothing.
pub(crate) fn language_of(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let whole = NAMES.iter().find(|(known, _)| *known == name);
    let found = whole.or_else(|| {
        let (_, ending) = name.rsplit_once('.')?;
        ENDINGS.iter().find(|(known, _)| *known == ending)
    });
    found.map(|(_, language)| *language)
}

#[cfg(test)]
mod tests {
    use super::language_of;

    #[test]
    fn names_say_the_language() {
        let check = |name, expect| assert_eq!(language_of(name), expect, "{name}");
        check("main.rs", Some("rust"));
        check("Dockerfile", Some("dockerfile"));
        check("a.b.PY", Some("python"));
        check("LICENSE", None);
        check("rs", None);
        check(".", None);
    }
}
