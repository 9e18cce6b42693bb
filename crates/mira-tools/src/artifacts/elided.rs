//! Whether a text pretends to be whole: models like to write `// ... rest unchanged ...` in place of what they were
//! asked to keep, and a file saved that way has lost it.

/// Words that say something was left out.
const LEFT_OUT: [&str; 9] = [
    "rest of",
    "existing",
    "unchanged",
    "remaining",
    "previous",
    "same as before",
    "as before",
    "omitted",
    "other code",
];
/// What begins a comment.
const COMMENTS: [&str; 7] = ["//", "#", "/*", "<!--", "--", ";", "*"];

/// The first line of `new` that stands for something left out, if `old` has no such line itself.
pub(super) fn elision<'a>(new: &'a str, old: &str) -> Option<&'a str> {
    new.lines()
        .map(str::trim)
        .find(|line| is_elision(line) && !old.lines().any(|known| known.trim() == *line))
}

fn is_elision(line: &str) -> bool {
    let dots = line.contains("...") || line.contains('…');
    if !dots || line.chars().count() > 120 {
        return false;
    }
    let bare = line.trim_matches(|c: char| c == '.' || c == '…' || c.is_whitespace() || "()[]{}".contains(c));
    let comment =
        COMMENTS.iter().any(|start| line.starts_with(start)) || line.starts_with("...") || line.starts_with('…');
    let lower = bare.to_lowercase();
    comment && LEFT_OUT.iter().any(|words| lower.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(new: &str, old: &str, found: bool) {
        assert_eq!(elision(new, old).is_some(), found, "{new:?}");
    }

    #[test]
    fn half_files_are_known() {
        check("fn a() {}\n// ... rest of the file unchanged ...\n", "", true);
        check("# ... existing code ...", "", true);
        check("<!-- … remaining sections … -->", "", true);
        check("... (previous content) ...", "", true);
        check("// ... existing code ...", "  // ... existing code ...", false);
        check("let all = [...previous, next];", "", false);
        check("The remaining days passed ...", "", false);
        check("// the rest of the lines", "", false);
        check("", "", false);
    }
}
