//! Code to spans with classes.
//!
//! A [`Highlighter`] takes one code block line by line and keeps the grammar's state, so a block that grows costs what
//! it grew by. The classes are the atoms of the innermost scopes, each with the prefix `hl-`
//! (`keyword.control.rust` is `hl-keyword hl-control`); scopes that only say which language or construct one is in
//! are left out, for they would double the size of the HTML and colour nothing.

use std::collections::HashMap;
use std::sync::OnceLock;

use syntect::parsing::{BasicScopeStackOp, ParseState, Scope, ScopeStack, ScopeStackOp, SyntaxReference, SyntaxSet};

use crate::html::escape;

/// Code of one block beyond this many bytes is shown without colours: the grammars take some 5 µs per byte.
const MAX_BLOCK_BYTES: usize = 64 * 1024;
/// A line of more bytes than this is shown without colours: such lines are data.
const MAX_LINE_BYTES: usize = 1_000;
/// Grammars backtrack, at worst (measured) for 0.2 µs times the square of a line's length; when the squares of a
/// block's lines sum up to this, the rest is shown without colours. Lines of 60 bytes reach the block's limit first.
const MAX_BLOCK_WORK: usize = 4_000_000;
/// While a reply grows, an unfinished line beyond this is plain until it ends: it would be parsed with every pass.
const MAX_OPEN_LINE_BYTES: usize = 160;
/// Longest language name that becomes a class.
const MAX_LANGUAGE_BYTES: usize = 32;
/// Families of scopes that are not written out.
const SILENT: [&str; 4] = ["source", "text", "meta", "punctuation"];

fn syntaxes() -> &'static SyntaxSet {
    static SYNTAXES: OnceLock<SyntaxSet> = OnceLock::new();
    SYNTAXES.get_or_init(SyntaxSet::load_defaults_newlines)
}

/// The language of a fence's info string, as it may stand in a class; `None` if there is none that could.
pub(crate) fn language(info: &str) -> Option<String> {
    let name = info
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}' | ':' | ';' | '(' | ')'))
        .find(|word| !word.is_empty())?
        .to_ascii_lowercase();
    let fits =
        name.len() <= MAX_LANGUAGE_BYTES && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#_-.".contains(&b));
    fits.then_some(name)
}

/// The grammar for a language as people write it, or `None` where only plain text is possible.
fn syntax_of(language: &str) -> Option<&'static SyntaxReference> {
    let token = match language {
        "ts" | "tsx" | "mts" | "cts" | "jsx" | "mjs" | "cjs" | "typescript" | "node" => "js",
        "python3" | "py3" => "py",
        "shell" | "shellscript" | "console" | "shell-session" | "ksh" | "dash" => "sh",
        "golang" => "go",
        "rustlang" => "rs",
        "c#" | "csharp" => "cs",
        "cxx" => "cpp",
        "objc" | "objectivec" => "m",
        "jsonc" | "json5" | "ndjson" | "jsonl" => "json",
        "vue" | "svelte" | "xhtml" => "html",
        "mysql" | "postgres" | "postgresql" | "psql" | "sqlite" | "plpgsql" => "sql",
        "make" => "makefile",
        "patch" => "diff",
        "elisp" => "lisp",
        other => other,
    };
    syntaxes()
        .find_syntax_by_token(token)
        .filter(|syntax| syntax.name != "Plain Text")
}

/// The highlighting of one block of code, fed in whole lines.
#[derive(Clone)]
struct Highlighter {
    parse: ParseState,
    scopes: ScopeStack,
    /// One entry for each scope that is open: where its start tag begins and ends in `html`, if it has one.
    open: Vec<Option<(usize, usize)>>,
    classes: HashMap<Scope, Option<String>>,
    html: String,
    fed: usize,
    work: usize,
}

impl Highlighter {
    fn new(syntax: &SyntaxReference) -> Self {
        Self {
            parse: ParseState::new(syntax),
            scopes: ScopeStack::new(),
            open: Vec::new(),
            classes: HashMap::new(),
            html: String::new(),
            fed: 0,
            work: 0,
        }
    }

    fn feed(&mut self, line: &str) {
        self.fed += line.len();
        let too_long = line.len() > MAX_LINE_BYTES;
        if !too_long {
            self.work = self.work.saturating_add(line.len() * line.len());
        }
        if too_long || self.fed > MAX_BLOCK_BYTES || self.work > MAX_BLOCK_WORK {
            escape(line, &mut self.html);
            return;
        }
        // A grammar that fails on a line leaves its state where it was; the line is shown plain.
        let Ok(ops) = self.parse.parse_line(line, syntaxes()) else {
            escape(line, &mut self.html);
            return;
        };
        let mut written = 0;
        for (at, op) in ops {
            if at > written {
                escape(line.get(written..at).unwrap_or_default(), &mut self.html);
                written = at;
            }
            self.apply(&op);
        }
        escape(line.get(written..).unwrap_or_default(), &mut self.html);
    }

    fn apply(&mut self, op: &ScopeStackOp) {
        let Self {
            scopes,
            open,
            classes,
            html,
            ..
        } = self;
        let outcome = scopes.apply_with_hook(op, |basic, _| match basic {
            BasicScopeStackOp::Push(scope) => {
                let class = classes.entry(scope).or_insert_with(|| class_of(scope));
                open.push(class.as_ref().map(|class| {
                    let start = html.len();
                    html.push_str("<span class=\"");
                    html.push_str(class);
                    html.push_str("\">");
                    (start, html.len())
                }));
            }
            BasicScopeStackOp::Pop => match open.pop().flatten() {
                // A span around nothing: take the start tag back.
                Some((start, end)) if end == html.len() => html.truncate(start),
                Some(_) => html.push_str("</span>"),
                None => {}
            },
        });
        // The only error is a grammar that restores what it never cleared; the stack is then as before.
        drop(outcome);
    }

    fn finish(mut self) -> String {
        for span in self.open.iter().rev().flatten() {
            if span.1 == self.html.len() {
                self.html.truncate(span.0);
            } else {
                self.html.push_str("</span>");
            }
        }
        self.html
    }
}

/// `keyword.control.rust` to `hl-keyword hl-control`: the last atom names the language and is dropped.
fn class_of(scope: Scope) -> Option<String> {
    let name = scope.build_string();
    let mut atoms: Vec<&str> = name.split('.').collect();
    if atoms.len() > 1 {
        atoms.pop();
    }
    let family = atoms.first()?;
    if SILENT.contains(family) {
        return None;
    }
    Some(
        atoms
            .iter()
            .map(|atom| format!("hl-{atom}"))
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// Highlighters of the code blocks of a text, in their order, kept while the text grows.
#[derive(Default)]
pub(crate) struct CodeCache {
    entries: Vec<Entry>,
    next: usize,
    /// Whether the text is known to grow, so that its last line is not worth much.
    is_growing: bool,
}

struct Entry {
    language: Option<String>,
    /// The whole lines fed so far.
    code: String,
    highlighter: Option<Highlighter>,
}

impl CodeCache {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins a new pass over the same text, from its first code block.
    pub(crate) fn rewind(&mut self, is_growing: bool) {
        self.next = 0;
        self.is_growing = is_growing;
    }

    /// How many code blocks this pass has seen.
    pub(crate) fn seen(&self) -> usize {
        self.next
    }

    /// Forgets the first `count` code blocks: the text now begins after them.
    pub(crate) fn forget(&mut self, count: usize) {
        self.entries.drain(..count.min(self.entries.len()));
    }

    /// The HTML inside `<code>` for the next code block of this pass. Equal to a fresh highlighting of `code`,
    /// but for a long unfinished line of a growing text.
    pub(crate) fn highlight(&mut self, language: Option<&str>, code: &str) -> String {
        let index = self.next;
        self.next += 1;
        let reusable = self
            .entries
            .get(index)
            .is_some_and(|entry| entry.language.as_deref() == language && code.starts_with(&entry.code));
        if !reusable {
            self.entries.truncate(index);
            self.entries.push(Entry {
                language: language.map(str::to_owned),
                code: String::new(),
                highlighter: language.and_then(syntax_of).map(Highlighter::new),
            });
        }
        let open_line = if self.is_growing {
            MAX_OPEN_LINE_BYTES
        } else {
            MAX_LINE_BYTES
        };
        self.entries
            .get_mut(index)
            .map(|entry| entry.advance(code, open_line))
            .unwrap_or_default()
    }
}

impl Entry {
    fn advance(&mut self, code: &str, open_line: usize) -> String {
        let Some(highlighter) = &mut self.highlighter else {
            let mut html = String::with_capacity(code.len() + code.len() / 8);
            escape(code, &mut html);
            return html;
        };
        let mut rest = "";
        for line in code.get(self.code.len()..).unwrap_or_default().split_inclusive('\n') {
            if line.ends_with('\n') {
                highlighter.feed(line);
                self.code.push_str(line);
            } else {
                rest = line;
            }
        }
        let mut view = highlighter.clone();
        if rest.len() > open_line {
            escape(rest, &mut view.html);
        } else if !rest.is_empty() {
            view.feed(rest);
        }
        view.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{CodeCache, language};

    #[test]
    fn language_is_a_safe_word() {
        for (info, expect) in [
            ("rust", Some("rust")),
            ("Rust,ignore", Some("rust")),
            ("c++ title=\"x\"", Some("c++")),
            ("{.python}", Some(".python")),
            ("", None),
            ("\"><script>", None),
            ("a\u{202e}b", None),
        ] {
            assert_eq!(language(info).as_deref(), expect, "{info}");
        }
    }

    #[test]
    fn aliases_are_coloured_and_unknown_is_plain() {
        for (name, code) in [
            ("js", "const a = 1;\n"),
            ("ts", "const a = 1;\n"),
            ("py", "def f(): pass\n"),
            ("sh", "if true; then echo; fi\n"),
            ("bash", "if true; then echo; fi\n"),
            ("rs", "fn main() {}\n"),
            ("c++", "int main() { return 0; }\n"),
            ("c#", "class A { }\n"),
            ("yaml", "a: 1\n"),
            ("json", "{\"a\": 1}\n"),
            ("sql", "SELECT 1;\n"),
            ("html", "<b>x</b>\n"),
        ] {
            assert!(
                CodeCache::new()
                    .highlight(Some(name), code)
                    .contains("<span class=\"hl-"),
                "{name}"
            );
        }
        for name in ["text", "no-such-language"] {
            assert_eq!(
                CodeCache::new().highlight(Some(name), "<b> &\n"),
                "&lt;b&gt; &amp;\n",
                "{name}"
            );
        }
    }

    #[test]
    fn growing_code_equals_the_whole() {
        let code = "/* a\n b */ fn main() {\n    let s = \"x\n y\";\n}\n// end <b>";
        let mut cache = CodeCache::new();
        for end in 0..=code.len() {
            cache.rewind(true);
            let part = code.get(..end).unwrap();
            assert_eq!(
                cache.highlight(Some("rust"), part),
                CodeCache::new().highlight(Some("rust"), part),
                "{end}"
            );
        }
    }

    #[test]
    fn long_lines_and_blocks_are_plain_from_there_on() {
        let long = format!("let a = 1;\nlet b = \"{}\";\nlet c = 1;\n", "x".repeat(3_000));
        let html = CodeCache::new().highlight(Some("rust"), &long);
        let lines: Vec<&str> = html.lines().collect();
        assert!(lines[0].contains("hl-") && !lines[1].contains("hl-") && lines[2].contains("hl-"));

        let wide = format!("{}\n", "a ".repeat(400)).repeat(10);
        let html = CodeCache::new().highlight(Some("rust"), &format!("{wide}let a = 1;\n"));
        assert!(html.ends_with("\nlet a = 1;\n"));

        let many = "let a = 1;\n".repeat(7_000);
        let html = CodeCache::new().highlight(Some("rust"), &many);
        assert!(html.starts_with("<span class=\"hl-") && html.ends_with("\nlet a = 1;\n"));
    }
}
