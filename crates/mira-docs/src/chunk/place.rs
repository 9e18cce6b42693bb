//! Places in a text: which line a byte is in.

use std::ops::Range;

/// Where the lines of a text begin.
pub struct Places {
    starts: Vec<usize>,
}

impl Places {
    /// Finds the lines of a text.
    pub fn new(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            starts: std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect(),
        }
    }

    /// The first and the last line of a stretch that is not empty, from 1.
    pub fn lines(&self, range: &Range<usize>) -> (u32, u32) {
        (
            self.line(range.start),
            self.line(range.end.saturating_sub(1).max(range.start)),
        )
    }

    fn line(&self, at: usize) -> u32 {
        let before = self.starts.partition_point(|start| *start <= at);
        u32::try_from(before).unwrap_or(u32::MAX)
    }
}
