//! Names of files that go into the box, and of those that come out of it. A name is never a path; outside of the box it
//! is only shown.

/// The longest name, in bytes.
const MOST_BYTES: usize = 200;

/// The name of an input: one part of a path, not hidden, nothing in it that does something to a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SafeName(String);

impl SafeName {
    /// A name of any text: what must not be in it becomes `_`.
    pub fn of(text: &str) -> Self {
        Self(cleaned(text))
    }

    /// The same name with a number before its ending, for the second file of that name.
    #[must_use]
    pub fn numbered(&self, number: usize) -> Self {
        match self.0.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => Self::of(&format!("{stem}-{number}.{ending}")),
            _ => Self::of(&format!("{}-{number}", self.0)),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One line that is no path: separators and what is not printable become `_`, leading dots too.
pub(crate) fn cleaned(text: &str) -> String {
    let mut name = String::new();
    for c in text.trim().chars() {
        let refused = c == '/' || c == '\\' || c.is_control() || is_format(c) || (c == '.' && name.is_empty());
        let c = if refused { '_' } else { c };
        if name.len() + c.len_utf8() > MOST_BYTES {
            break;
        }
        name.push(c);
    }
    if name.is_empty() { "file".to_owned() } else { name }
}

/// Characters that turn or hide what stands around them.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        let check = |text: &str, expected: &str| assert_eq!(SafeName::of(text).as_str(), expected, "{text:?}");
        check("data.csv", "data.csv");
        check(" Übersicht 2026.xlsx ", "Übersicht 2026.xlsx");
        check("../../etc/passwd", "_._.._etc_passwd");
        check("/etc/passwd", "_etc_passwd");
        check("..", "_.");
        check(".bashrc", "_bashrc");
        check("a\u{1b}[31m\n\u{0}b", "a_[31m__b");
        check("photo\u{202e}gnp.exe", "photo_gnp.exe");
        check("c:\\x", "c:_x");
        check("", "file");
        assert_eq!(SafeName::of(&"ä".repeat(300)).as_str().len(), MOST_BYTES);
    }

    #[test]
    fn a_second_file_of_a_name_has_a_number() {
        let check = |text: &str, expected: &str| assert_eq!(SafeName::of(text).numbered(2).as_str(), expected);
        check("data.csv", "data-2.csv");
        check("data.tar.gz", "data.tar-2.gz");
        check("data", "data-2");
    }
}
