//! Files that are text already: decoded, with their lines as they are. Shared here too: cutting a text at its cap.

use crate::{Document, Limits, Part, decode};

/// Plain text, code and CSV.
pub fn plain(bytes: &[u8], limits: &Limits) -> Document {
    let (text, truncated) = decode::text(bytes, limits.text_bytes);
    Document {
        title: None,
        parts: vec![Part {
            text,
            ..Part::default()
        }],
        truncated,
    }
}

/// Markdown, whose title is its first heading of the first level.
pub fn markdown(bytes: &[u8], limits: &Limits) -> Document {
    let mut document = plain(bytes, limits);
    let text = document.parts.first().map_or("", |part| part.text.as_str());
    document.title = Outline::default()
        .headings(text)
        .find(|heading| heading.level == 1)
        .map(|heading| heading.text.to_owned())
        .filter(|title| !title.is_empty());
    document
}

/// Cuts `text` to at most `limit` bytes at a character's border; says whether anything went.
pub fn cut(text: &mut String, limit: usize) -> bool {
    if text.len() <= limit {
        return false;
    }
    text.truncate(text.floor_char_boundary(limit));
    true
}

/// The longest heading or title, in bytes: each piece of a text carries them.
pub const LONGEST_HEADING: usize = 300;

/// The beginning of what a heading or title says.
pub fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_HEADING)).unwrap_or(text)
}

/// A table's rows as Markdown, the first one as its head. Cells are one line each.
pub fn table(rows: &[Vec<String>]) -> Vec<String> {
    let widest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let mut line = String::from("|");
        for cell in row {
            line.extend([" ", &cell.replace('|', "\\|"), " |"]);
        }
        line + &"  |".repeat(widest.saturating_sub(row.len()))
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.insert(lines.len().min(1), format!("|{}", " --- |".repeat(widest)));
    lines
}

/// A link as Markdown. Parentheses and spaces would end the address early.
pub fn link(text: &str, target: &str) -> String {
    let target = target.replace('(', "%28").replace(')', "%29").replace(' ', "%20");
    format!("[{text}]({target})")
}

/// A heading of a Markdown text.
pub struct Heading<'a> {
    /// How many `#` it has: 1 to 6.
    pub level: usize,
    /// What it says.
    pub text: &'a str,
}

/// Reads line by line which lines of a Markdown text are headings and which are code.
#[derive(Default)]
pub struct Outline {
    /// The fence that the open code block began with.
    fence: Option<(char, usize)>,
}

impl Outline {
    /// What the next line is: a heading or not. To be called for every line, in order.
    pub fn heading<'a>(&mut self, line: &'a str) -> Option<Heading<'a>> {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let line = line.trim();
        if indent > 3 {
            return None;
        }
        if let Some(mark) = line.chars().next().filter(|mark| matches!(mark, '`' | '~')) {
            self.fence_line(line, mark);
            return None;
        }
        if self.fence.is_some() {
            return None;
        }
        let text = line.trim_start_matches('#');
        let level = line.len() - text.len();
        let is_heading = (1..=6).contains(&level) && (text.is_empty() || text.starts_with([' ', '\t']));
        is_heading.then(|| Heading {
            level,
            text: short(without_closing(text.trim())),
        })
    }

    /// Whether the line after the ones seen so far is inside a code block.
    pub fn in_code(&self) -> bool {
        self.fence.is_some()
    }

    fn headings(mut self, text: &str) -> impl Iterator<Item = Heading<'_>> {
        text.lines().filter_map(move |line| self.heading(line))
    }

    fn fence_line(&mut self, line: &str, mark: char) {
        let rest = line.trim_start_matches(mark);
        let length = line.len() - rest.len();
        match self.fence {
            Some((open, least)) if open == mark && length >= least && rest.is_empty() => self.fence = None,
            Some(_) => {}
            None if length >= 3 && !(mark == '`' && rest.contains('`')) => self.fence = Some((mark, length)),
            None => {}
        }
    }
}

/// A heading may end with more `#`, which belong to its dress and not to its text.
fn without_closing(text: &str) -> &str {
    let bare = text.trim_end_matches('#');
    if bare.is_empty() || bare.ends_with([' ', '\t']) {
        bare.trim_end()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, expect: Option<&str>) {
        let document = super::markdown(markdown.as_bytes(), &Limits::default());
        assert_eq!(document.title.as_deref(), expect, "{markdown:?}");
    }

    #[test]
    fn the_title_is_the_first_heading_of_the_first_level() {
        check("intro\n\n# One #\n\n# Two\n", Some("One"));
        check("## Two\n", None);
        check("# C#\n", Some("C#"));
        check("#hashtag\n", None);
        check("    # code\n", None);
        check("```sh\n# comment\n```\n# Real\n", Some("Real"));
        check("````\n```\n# still code\n````\n# Real\n", Some("Real"));
        check("#\n", None);
    }

    #[test]
    fn a_cut_keeps_whole_characters() {
        let mut text = "aé".to_owned();
        assert!(cut(&mut text, 2));
        assert_eq!(text, "a");
        let limits = Limits {
            text_bytes: 4,
            ..Limits::default()
        };
        let document = plain("12345".as_bytes(), &limits);
        assert!(document.truncated);
        assert_eq!(
            document.parts,
            vec![Part {
                text: "1234".to_owned(),
                ..Part::default()
            }]
        );
    }
}
