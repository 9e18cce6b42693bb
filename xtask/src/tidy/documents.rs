//! Rules over documents: what they point at is there. A document that names a file or a test that has gone sends its
//! reader on a search, and promises something nobody checks any more.

use super::Finding;
use super::rules::has_ending;
use crate::repo::File;

/// The documents that prove what they say by naming code and tests, with the heading from which on they tell of the past.
const PROVING: &[(&str, &str)] = &[("ARCHITECTURE.md", "## Old names"), ("SECURITY.md", "")];

/// Endings of files that a document may name without their folder.
const ENDINGS: &[&str] = &["rs", "mjs", "js", "md", "toml", "sql", "py", "conf", "service", "css"];

/// Relative links of Markdown files lead to a file or folder of the repository.
pub fn links(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, line, text) in prose(files, |path| has_ending(path, "md")) {
        let targets = text.split("](").skip(1).chain(text.split(" src=\"").skip(1));
        for target in targets.filter_map(|rest| rest.split([')', '"', '#']).next()) {
            let inside = !target.is_empty() && !target.contains(':');
            if inside && !is_there(files, &resolved(path, target)) {
                findings.push(Finding::new(path, line, format!("`{target}` is not there")));
            }
        }
    }
    findings
}

/// Files, folders and tests in code spans of the documents in [`PROVING`] exist.
pub fn names(files: &[File]) -> Vec<Finding> {
    let code: Vec<&str> = files
        .iter()
        .filter(|file| {
            ["rs", "mjs", "js", "py"]
                .iter()
                .any(|ending| has_ending(&file.path, ending))
        })
        .filter_map(|file| file.text.as_deref())
        .collect();
    let mut findings = Vec::new();
    for (document, past) in PROVING {
        let lines = prose(files, |path| path == *document);
        for (path, line, text) in lines.take_while(|(_, _, text)| past.is_empty() || *text != *past) {
            for span in text.split('`').skip(1).step_by(2) {
                let missing = if is_test_name(span) {
                    !code.iter().any(|code| code.contains(span))
                } else {
                    is_path(span) && !alternatives(span).iter().all(|path| ends_somewhere(files, path))
                };
                if missing {
                    findings.push(Finding::new(path, line, format!("`{span}` is not there")));
                }
            }
        }
    }
    findings
}

/// The lines of documents outside of fenced blocks, numbered.
fn prose<'a>(files: &'a [File], wanted: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = (&'a str, usize, &'a str)> {
    let documents = files.iter().filter(move |file| wanted(&file.path));
    documents.flat_map(|file| {
        let mut fenced = false;
        let lines = file.text.as_deref().unwrap_or_default().lines().zip(1..);
        lines.filter_map(move |(line, number)| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            (!fenced && !fence).then_some((file.path.as_str(), number, line))
        })
    })
}

/// Three words and more: what only a test or a function is called.
fn is_test_name(span: &str) -> bool {
    span.matches('_').count() >= 2
        && span.starts_with(|c: char| c.is_ascii_lowercase())
        && span
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_path(span: &str) -> bool {
    let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "_-./{,}".contains(c));
    let file = span
        .rsplit_once('.')
        .is_some_and(|(before, ending)| !before.is_empty() && ENDINGS.contains(&ending));
    plain && !span.starts_with('/') && (file || span.ends_with('/'))
}

/// `a/{b,c}.rs` is two paths.
fn alternatives(span: &str) -> Vec<String> {
    let parts = span
        .split_once('{')
        .and_then(|(before, rest)| rest.split_once('}').map(|(inside, after)| (before, inside, after)));
    match parts {
        Some((before, inside, after)) => inside.split(',').map(|name| format!("{before}{name}{after}")).collect(),
        None => vec![span.to_owned()],
    }
}

/// Whether a file or folder of the repository has this path, or ends in it.
fn ends_somewhere(files: &[File], path: &str) -> bool {
    let folder = path.ends_with('/');
    let inner = format!("/{path}");
    files.iter().any(|file| {
        let whole = format!("/{}", file.path);
        if folder {
            whole.contains(&inner)
        } else {
            whole.ends_with(&inner)
        }
    })
}

fn is_there(files: &[File], path: &str) -> bool {
    let folder = format!("{path}/");
    files
        .iter()
        .any(|file| file.path == path || file.path.starts_with(&folder))
}

/// The path a link of `document` leads to, from the repository's root.
fn resolved(document: &str, target: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            ".." if parts.pop().is_none() => return target.to_owned(),
            ".." => {}
            "." => {}
            name => parts.push(name),
        }
    }
    parts.join("/")
}
