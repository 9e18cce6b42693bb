//! Splitting a text into its top-level blocks, and knowing from where on a growing text may still change.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

/// A top-level block of a text.
pub(crate) struct Block<'a> {
    /// Byte offset of the start of its first line.
    pub(crate) start: usize,
    /// The bytes whose places it shows: from its start, or the text's for the first, to that of the next one, or without
    /// end for the last.
    pub(crate) reach: Range<usize>,
    pub(crate) kind: Kind,
    /// Whether its last leaf is code or raw HTML, where a `*` is a `*`.
    pub(crate) ends_in_code: bool,
    /// What it is made of, and the bytes each was read from.
    pub(crate) events: Vec<(Event<'a>, Range<usize>)>,
}

/// What decides when a block can no longer grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ends by its own last line: a heading, a rule, a fence, raw HTML.
    SelfClosing,
    /// Ends at the latest with a blank line: a paragraph, a quote, a table.
    UntilBlank,
    /// Goes on after blank lines if what follows fits: a list, indented code.
    PastBlank,
}

/// Line ends as `\n`, and no NUL.
pub(crate) fn normalize(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b == b'\r' || b == 0) {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS);

/// Whether a normalised text has link definitions, which are the only thing that reaches from block to block.
pub(crate) fn has_definitions(text: &str) -> bool {
    text.contains("]:")
        && Parser::new_ext(text, OPTIONS)
            .reference_definitions()
            .iter()
            .next()
            .is_some()
}

/// The top-level blocks of a normalised text.
pub(crate) fn split(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut depth = 0usize;
    for (event, range) in Parser::new_ext(text, OPTIONS).into_offset_iter() {
        if depth == 0 {
            let start = line_start(text, &range);
            if let Some(previous) = blocks.last_mut() {
                previous.reach.end = start;
            }
            blocks.push(Block {
                start,
                reach: if blocks.is_empty() { 0 } else { start }..usize::MAX,
                kind: kind_of(&event),
                ends_in_code: false,
                events: Vec::new(),
            });
        }
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(block) = blocks.last_mut() {
            if let Event::Start(tag) = &event {
                block.ends_in_code = matches!(tag, Tag::CodeBlock(_) | Tag::HtmlBlock);
            }
            block.events.push((event, range));
        }
    }
    blocks
}

fn kind_of(event: &Event<'_>) -> Kind {
    match event {
        Event::Start(Tag::List(_) | Tag::CodeBlock(CodeBlockKind::Indented)) => Kind::PastBlank,
        Event::Start(Tag::Heading { .. } | Tag::CodeBlock(CodeBlockKind::Fenced(_)) | Tag::HtmlBlock) | Event::Rule => {
            Kind::SelfClosing
        }
        _ => Kind::UntilBlank,
    }
}

fn line_start(text: &str, range: &Range<usize>) -> usize {
    text.get(..range.start)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1)
}

/// Whether nothing that may still be appended to `text` can reach back over `next`, the start of the block that
/// follows one of kind `previous`.
///
/// An unfinished line decides little: `***` is a rule until it becomes `***bold***` and belongs to the paragraph
/// above. Two whole lines always decide (the second one for the delimiter row of a table).
pub(crate) fn is_settled(text: &str, previous: Kind, next: usize) -> bool {
    let (Some(before), Some(after)) = (text.get(..next), text.get(next..)) else {
        return false;
    };
    let mut newlines = after.bytes().filter(|&b| b == b'\n');
    if previous == Kind::SelfClosing || newlines.nth(1).is_some() {
        return true;
    }
    let above = before
        .strip_suffix('\n')
        .unwrap_or(before)
        .trim_end_matches([' ', '\t']);
    let blank_between = above.is_empty() || above.ends_with('\n');
    blank_between && (previous == Kind::UntilBlank || after.starts_with(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::{Kind, is_settled, normalize, split};

    fn check(text: &str, expect: &[(usize, Kind)]) {
        let found: Vec<(usize, Kind)> = split(text).iter().map(|block| (block.start, block.kind)).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn blocks_start_at_line_starts() {
        use Kind::{PastBlank, SelfClosing, UntilBlank};
        check("", &[]);
        check("a\n\n  b\n", &[(0, UntilBlank), (3, UntilBlank)]);
        check(
            "# a\n***\n    code\n",
            &[(0, SelfClosing), (4, SelfClosing), (8, PastBlank)],
        );
        check("- a\n\n- b\n\nc", &[(0, PastBlank), (10, UntilBlank)]);
        check("```\na\n\nb", &[(0, SelfClosing)]);
        check("|a|\n|-|\n|b|\n\n<div>\n", &[(0, UntilBlank), (13, SelfClosing)]);
    }

    #[test]
    fn settled_only_when_nothing_can_reach_back() {
        assert!(!is_settled("a\n***", Kind::UntilBlank, 2));
        assert!(is_settled("a\n\nb", Kind::UntilBlank, 3));
        assert!(!is_settled("- a\n\n- - -", Kind::PastBlank, 5));
        assert!(is_settled("- a\n\nb", Kind::PastBlank, 5));
        assert!(is_settled("# a\nb", Kind::SelfClosing, 4));
        assert!(is_settled("a\n# b\nc\n", Kind::UntilBlank, 2));
    }

    #[test]
    fn line_ends_and_nul() {
        assert_eq!(normalize("a\r\nb\rc\0"), "a\nb\nc\u{fffd}");
    }
}
