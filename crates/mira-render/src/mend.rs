//! Making the end of a growing text look as it will: what has begun but not ended is ended for the view.
//!
//! A guess for the eye only. It never decides what is safe (the result goes through the same parser, writer and
//! sanitiser as any text), and the finished reply is rendered without it.

use std::borrow::Cow;

/// A paragraph longer than this is shown as it is: looking for partners takes time with its square.
const MAX_PARAGRAPH_BYTES: usize = 4 * 1024;

/// `text` without an unfinished last line that is only marks: `-`, `**` or `1.` may become anything.
pub(crate) fn without_marks(text: &str) -> &str {
    let start = text.rfind('\n').map_or(0, |newline| newline + 1);
    let (before, line) = text.split_at(start);
    let line = line.trim();
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit() && line.ends_with(['.', ')']));
    let only_marks = line.chars().all(|c| c == ' ' || ".)-=*_+#`~>|:![".contains(c));
    if only_marks { before } else { text }
}

/// The last block with its open constructs closed, or unchanged.
pub(crate) fn close(block: &str) -> Cow<'_, str> {
    let start = block.trim_end().rfind("\n\n").map_or(0, |blank| blank + 2);
    let (before, paragraph) = block.split_at(start);
    if paragraph.len() > MAX_PARAGRAPH_BYTES {
        return Cow::Borrowed(block);
    }
    let mended = table_head(paragraph).or_else(|| inlines(paragraph));
    mended.map_or(Cow::Borrowed(block), |mended| Cow::Owned(format!("{before}{mended}")))
}

/// The first row of a table gets the delimiter row that will follow it.
fn table_head(paragraph: &str) -> Option<String> {
    let row = paragraph.strip_suffix('\n').unwrap_or(paragraph);
    if row.contains('\n') || !row.starts_with('|') {
        return None;
    }
    let pipes = row.matches('|').count() - row.matches("\\|").count();
    let closed = row.trim_end().ends_with('|') && pipes > 1;
    let columns = if closed { pipes - 1 } else { pipes };
    Some(format!("{row}\n|{}", "---|".repeat(columns)))
}

/// A mark that has begun something.
struct Open<'a> {
    at: usize,
    mark: &'a str,
}

fn inlines(paragraph: &str) -> Option<String> {
    let text = paragraph.trim_end();
    let text = text.trim_end_matches(['*', '_', '~']).trim_end();
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(c) = rest.chars().next()
    {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        at += match c {
            '\\' => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
            '`' => match code_span(rest) {
                Span::Closed(length) => length,
                Span::Open(run) => return Some(close_marks(text, &open, run)),
                Span::Empty => return Some(close_marks(text.get(..at)?, &open, "")),
            },
            '[' => {
                open.push(Open { at, mark: "[" });
                1
            }
            ']' => match close_bracket(rest, &mut open) {
                Some(length) => length,
                // `[text](http://exam`: the text is shown, the address is not known yet.
                None => return Some(close_marks(text.get(..at)?, &open, "")),
            },
            '*' | '_' | '~' => {
                let length = rest.len() - rest.trim_start_matches(c).len();
                let run = rest.get(..length)?;
                emphasis(run, before, rest.get(length..)?.chars().next(), at, &mut open);
                length
            }
            _ => c.len_utf8(),
        };
    }
    let unchanged = open.is_empty() && text.len() == paragraph.trim_end().len();
    (!unchanged).then(|| close_marks(text, &open, ""))
}

enum Span<'a> {
    /// A code span of so many bytes.
    Closed(usize),
    /// One that has content but no end; the run of backticks that would end it.
    Open(&'a str),
    /// Backticks at the very end.
    Empty,
}

fn code_span(rest: &str) -> Span<'_> {
    let length = rest.len() - rest.trim_start_matches('`').len();
    let (run, mut content) = rest.split_at(length);
    if content.is_empty() {
        return Span::Empty;
    }
    let mut consumed = length;
    while let Some(tick) = content.find('`') {
        let from_tick = content.split_at(tick).1;
        let found = from_tick.len() - from_tick.trim_start_matches('`').len();
        consumed += tick + found;
        if found == length {
            return Span::Closed(consumed);
        }
        content = from_tick.split_at(found).1;
    }
    Span::Open(run)
}

/// Handles a `]`: its length with the address that follows it, or `None` if that address has no end yet.
fn close_bracket(rest: &str, open: &mut Vec<Open<'_>>) -> Option<usize> {
    let Some(bracket) = open.iter().rposition(|mark| mark.mark == "[") else {
        return Some(1);
    };
    if !rest.starts_with("](") {
        open.truncate(bracket);
        return Some(1);
    }
    let mut depth = 0usize;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => {
                open.truncate(bracket);
                return Some(at + 1);
            }
            ')' => depth -= 1,
            '\n' => break,
            _ => {}
        }
    }
    if rest.contains('\n') {
        // Not a link after all.
        open.truncate(bracket);
        return Some(1);
    }
    None
}

fn emphasis<'a>(run: &'a str, before: Option<char>, after: Option<char>, at: usize, open: &mut Vec<Open<'a>>) {
    let is_gap = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let intraword = run.starts_with('_') && is_word(before) && is_word(after);
    if intraword {
        return;
    }
    if !is_gap(before)
        && let Some(partner) = open.iter().rposition(|mark| mark.mark == run)
    {
        open.truncate(partner);
    } else if !is_gap(after) && (is_gap(before) || !is_word(before) || run.starts_with('*')) {
        open.push(Open { at, mark: run });
    }
}

/// `text` and the ends of what is open, innermost first; brackets that have no partner yet are taken out.
fn close_marks(text: &str, open: &[Open<'_>], first: &str) -> String {
    let mut mended = String::with_capacity(text.len() + 16);
    let mut from = 0;
    for bracket in open.iter().filter(|mark| mark.mark == "[") {
        let head = text.get(from..bracket.at).unwrap_or_default();
        mended.push_str(head.strip_suffix('!').unwrap_or(head));
        from = bracket.at + 1;
    }
    mended.push_str(text.get(from..).unwrap_or_default().trim_end());
    mended.push_str(first);
    for mark in open.iter().rev().filter(|mark| mark.mark != "[") {
        mended.push_str(mark.mark);
    }
    mended
}

#[cfg(test)]
mod tests {
    use super::{close, without_marks};

    #[test]
    fn open_constructs_are_closed() {
        for (input, expect) in [
            ("plain", "plain"),
            ("a **bold", "a **bold**"),
            ("a **bold*", "a **bold**"),
            ("a **bold**", "a **bold**"),
            ("a **bold ", "a **bold**"),
            ("a *b **c", "a *b **c***"),
            ("a **", "a"),
            ("snake_case_name", "snake_case_name"),
            ("2 * 3", "2 * 3"),
            ("~~gone", "~~gone~~"),
            ("a `co*de", "a `co*de`"),
            ("a ``c`d", "a ``c`d``"),
            ("a `", "a"),
            ("`a` b", "`a` b"),
            ("see [te", "see te"),
            ("see ![te", "see te"),
            ("see [text](http://exa", "see text"),
            ("see **[text](http://exa", "see **text**"),
            ("see [text](http://exa) x", "see [text](http://exa) x"),
            ("\\*a", "\\*a"),
            ("one **\n\ntwo *x", "one **\n\ntwo *x*"),
            ("| a | b |\n", "| a | b |\n|---|---|"),
            ("| a | b", "| a | b\n|---|---|"),
        ] {
            assert_eq!(close(input), expect, "{input}");
        }
    }

    #[test]
    fn an_unfinished_line_of_marks_waits() {
        for (input, expect) in [
            ("a\n-", "a\n"),
            ("a\n**", "a\n"),
            ("a\n1.", "a\n"),
            ("a\n- ", "a\n"),
            ("a\n12", "a\n12"),
            ("a\n-b", "a\n-b"),
            ("a\n-\n", "a\n-\n"),
            ("#", ""),
        ] {
            assert_eq!(without_marks(input), expect, "{input}");
        }
    }
}
