//! What changed between two texts, line by line. A line ends at `\n`; a carriage return belongs to its line.
//!
//! Limits: a comparison that takes too long, or texts of very many lines, end in a coarse diff (right, but not the
//! shortest); of a very large diff the beginning is told, and that it is one.

use mira_git::{DiffHunk, DiffLine, LineKind};
use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, group_diff_ops};
use std::{
    fmt::Write,
    time::{Duration, Instant},
};

/// Lines around a change.
const CONTEXT: usize = 3;
/// How long two texts are compared.
const PATIENCE: Duration = Duration::from_millis(800);
/// With more lines than this on a side only the beginning and the end that both have are told apart.
const MAX_LINES: usize = 100_000;
/// Bytes of lines told.
const MAX_BYTES: usize = 1024 * 1024;
/// And how many of them.
const MAX_TOLD: usize = 20_000;

/// What changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// The changes, in their order.
    pub hunks: Vec<DiffHunk>,
    /// Lines added, all told.
    pub added: u64,
    /// Lines removed, all told.
    pub removed: u64,
    /// It is right, but not the shortest.
    pub coarse: bool,
    /// Only the first hunks are here.
    pub truncated: bool,
}

/// Compares two texts. Takes up to about a second: call it where blocking is allowed.
pub fn lines(old: &str, new: &str) -> Diff {
    within(old, new, MAX_LINES, PATIENCE)
}

fn within(old: &str, new: &str, max_lines: usize, patience: Duration) -> Diff {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let deadline = Instant::now() + patience;
    let (ops, coarse) = if old.len().max(new.len()) > max_lines {
        (ends_only(&old, &new), true)
    } else {
        let ops = TextDiff::configure()
            .algorithm(Algorithm::Myers)
            .deadline(deadline)
            .diff_slices(&old, &new)
            .ops()
            .to_vec();
        (ops, Instant::now() >= deadline)
    };
    let mut diff = Diff {
        coarse,
        ..Diff::default()
    };
    for op in &ops {
        let (tag, before, after) = op.as_tag_tuple();
        if tag != similar::DiffTag::Equal {
            diff.removed += before.len() as u64;
            diff.added += after.len() as u64;
        }
    }
    tell(&mut diff, ops, &old, &new);
    diff
}

/// The beginning and the end that both have, and one replacement in between.
fn ends_only(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let tail = { old.iter().rev().zip(new.iter().rev()) }
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let equal = |old_index, new_index, len| DiffOp::Equal {
        old_index,
        new_index,
        len,
    };
    let mut ops = vec![equal(0, 0, head)];
    let (old_len, new_len) = (old.len() - head - tail, new.len() - head - tail);
    if old_len > 0 {
        ops.push(DiffOp::Delete {
            old_index: head,
            old_len,
            new_index: head,
        });
    }
    if new_len > 0 {
        ops.push(DiffOp::Insert {
            old_index: head + old_len,
            new_index: head,
            new_len,
        });
    }
    ops.push(equal(old.len() - tail, new.len() - tail, tail));
    ops.retain(|op| !op.old_range().is_empty() || !op.new_range().is_empty());
    ops
}

/// Groups the changes into hunks, up to the limits.
fn tell(diff: &mut Diff, ops: Vec<DiffOp>, old: &[&str], new: &[&str]) {
    let (mut bytes, mut told) = (0, 0);
    for group in group_diff_ops(ops, CONTEXT) {
        let mut hunk = DiffHunk {
            header: String::new(),
            old_start: 0,
            old_lines: 0,
            new_start: 0,
            new_lines: 0,
            lines: Vec::new(),
        };
        let first = group.first().map(|op| (op.old_range().start, op.new_range().start));
        let Some((old_first, new_first)) = first else { continue };
        'hunk: for op in &group {
            for change in op.iter_changes(old, new) {
                let line = line_of(change.tag(), change.old_index(), change.new_index(), change.value());
                bytes += line.text.len();
                told += 1;
                if bytes > MAX_BYTES || told > MAX_TOLD {
                    diff.truncated = true;
                    break 'hunk;
                }
                hunk.old_lines += u32::from(line.old_line.is_some());
                hunk.new_lines += u32::from(line.new_line.is_some());
                hunk.lines.push(line);
            }
        }
        hunk.old_start = number(old_first) + u32::from(hunk.old_lines > 0);
        hunk.new_start = number(new_first) + u32::from(hunk.new_lines > 0);
        hunk.header = format!(
            "@@ -{},{} +{},{} @@",
            hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines
        );
        if !hunk.lines.is_empty() {
            diff.hunks.push(hunk);
        }
        if diff.truncated {
            return;
        }
    }
}

fn line_of(tag: ChangeTag, old: Option<usize>, new: Option<usize>, value: &str) -> DiffLine {
    let from_one = |index: Option<usize>| index.map(|index| number(index) + 1);
    let text = value.strip_suffix('\n');
    DiffLine {
        kind: match tag {
            ChangeTag::Equal => LineKind::Context,
            ChangeTag::Insert => LineKind::Added,
            ChangeTag::Delete => LineKind::Removed,
        },
        old_line: from_one(old),
        new_line: from_one(new),
        text: text.unwrap_or(value).to_owned(),
        no_newline: text.is_none(),
    }
}

/// A text has at most as many lines as bytes, which are far fewer than this holds.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX - 1)
}

/// The diff as text that `patch` takes; empty where nothing changed.
pub fn unified(diff: &Diff, old_name: &str, new_name: &str) -> String {
    let mut out = String::new();
    if diff.hunks.is_empty() {
        return out;
    }
    let mut write = |line: std::fmt::Arguments<'_>| {
        // Writing into a String cannot fail.
        out.write_fmt(line).unwrap_or_default();
    };
    write(format_args!("--- {old_name}\n+++ {new_name}\n"));
    for hunk in &diff.hunks {
        write(format_args!("{}\n", hunk.header));
        for line in &hunk.lines {
            let sign = match line.kind {
                LineKind::Context => ' ',
                LineKind::Added => '+',
                LineKind::Removed => '-',
            };
            write(format_args!("{sign}{}\n", line.text));
            if line.no_newline {
                write(format_args!("\\ No newline at end of file\n"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(old: &str, new: &str, expect: &str) {
        let diff = lines(old, new);
        assert_eq!(unified(&diff, "a", "b"), expect, "{old:?} {new:?}");
        assert!(!diff.coarse && !diff.truncated);
    }

    #[test]
    fn diffs() {
        check("", "", "");
        check("a\nb\n", "a\nb\n", "");
        check("", "a\n", "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+a\n");
        check("a\n", "", "--- a\n+++ b\n@@ -1,1 +0,0 @@\n-a\n");
        check(
            "1\n2\n3\n4\n5\n",
            "1\n2\nx\n4\n5\n",
            "--- a\n+++ b\n@@ -1,5 +1,5 @@\n 1\n 2\n-3\n+x\n 4\n 5\n",
        );
        check(
            "a\nb",
            "a\nb\n",
            "--- a\n+++ b\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n",
        );
        check("a\r\n", "a\n", "--- a\n+++ b\n@@ -1,1 +1,1 @@\n-a\r\n+a\n");
        let far = |x: &str| format!("{x}\n{}{x}\n", "same\n".repeat(10));
        let diff = lines(&far("a"), &far("b"));
        let starts: Vec<_> = diff.hunks.iter().map(|hunk| (hunk.old_start, hunk.old_lines)).collect();
        assert_eq!((starts, diff.added, diff.removed), (vec![(1, 4), (9, 4)], 2, 2));
    }

    #[test]
    fn huge_texts_end_in_a_coarse_diff() {
        let numbered = |n: usize, step: usize| -> String {
            (0..n).map(|i| format!("{}\n", i * step)).collect::<Vec<_>>().concat()
        };
        let many = lines(&numbered(MAX_LINES + 1, 2), &numbered(MAX_LINES + 1, 3));
        assert!(many.coarse && many.truncated);
        assert_eq!(
            (many.added, many.removed),
            (MAX_LINES as u64, MAX_LINES as u64),
            "the first line is the same"
        );
        // Out of time at once: right all the same.
        let (old, new) = (numbered(3000, 2), numbered(3000, 3));
        let hasty = within(&old, &new, MAX_LINES, Duration::ZERO);
        assert!(hasty.coarse);
        assert_eq!(patched(&old, &hasty), new);
        let long = "x".repeat(MAX_BYTES + 1);
        let diff = lines("a\n", &long);
        assert!(diff.truncated);
        assert_eq!((diff.added, diff.removed), (1, 1));
    }

    /// Makes the new text out of the old one and the hunks.
    fn patched(old: &str, diff: &Diff) -> String {
        let old: Vec<&str> = old.split_inclusive('\n').collect();
        let mut out = String::new();
        let mut at = 0;
        for hunk in &diff.hunks {
            let start = usize::try_from(hunk.old_start - u32::from(hunk.old_lines > 0)).unwrap();
            out.extend(old[at..start].iter().copied());
            at = start + usize::try_from(hunk.old_lines).unwrap();
            for line in hunk.lines.iter().filter(|line| line.kind != LineKind::Removed) {
                out.push_str(&line.text);
                if !line.no_newline {
                    out.push('\n');
                }
            }
        }
        out.extend(old[at..].iter().copied());
        out
    }

    proptest! {
        #[test]
        fn hunks_make_the_new_text(old in "[ab\r\n]{0,40}", new in "[ab\r\n]{0,40}") {
            prop_assert_eq!(&patched(&old, &lines(&old, &new)), &new);
            prop_assert_eq!(&patched(&old, &within(&old, &new, 0, Duration::ZERO)), &new);
        }
    }
}
