//! Lines of git's protocol ("pkt-line" in its `protocol-common`), read along in pieces as they arrive: a length of four
//! hex digits, which counts itself, then the bytes. What they mean is for whoever listens.

use std::{mem, ops::ControlFlow};

/// Of the length that each line begins with.
const LENGTH: usize = 4;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Its bytes, with the line feed if there is one.
    Text(&'a [u8]),
    /// The end of a list.
    Flush,
    /// Not of that form; what follows cannot be told apart.
    Broken,
}

/// A stream of lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// The beginning of a line.
    waiting: Vec<u8>,
    ended: bool,
}

impl Lines {
    /// Tells the lines that are whole by now, up to one that is broken or after which nothing more is wanted.
    pub(crate) fn hear(&mut self, bytes: &[u8], mut tell: impl FnMut(Line<'_>) -> ControlFlow<()>) {
        if self.ended {
            return;
        }
        let mut waiting = mem::take(&mut self.waiting);
        waiting.extend_from_slice(bytes);
        let mut rest = waiting.as_slice();
        while let Some((length, after)) = rest.split_at_checked(LENGTH) {
            let (line, next) = match length_of(length) {
                Some(0) => (Line::Flush, after),
                Some(length @ LENGTH..) => match after.split_at_checked(length - LENGTH) {
                    Some((line, next)) => (Line::Text(line), next),
                    None => break,
                },
                _ => (Line::Broken, after),
            };
            if tell(line).is_break() || line == Line::Broken {
                self.ended = true;
                return;
            }
            rest = next;
        }
        let used = waiting.len() - rest.len();
        waiting.drain(..used);
        self.waiting = waiting;
    }

    /// Whether no line will be told any more.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}

fn length_of(digits: &[u8]) -> Option<usize> {
    usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// A line, for tests of those who listen.
#[cfg(test)]
pub(crate) fn line(bytes: &[u8]) -> Vec<u8> {
    [format!("{:04x}", bytes.len() + LENGTH).as_bytes(), bytes].concat()
}
