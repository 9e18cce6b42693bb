//! What a remote says of a push, read along while libgit2 reads it: git2 takes a reason for UTF-8 and breaks off at others,
//! which git allows, and libgit2 drops why a pack could not be unpacked.
//!
//! The form is that of git's `pack-protocol` ("Report Status"), in a side-band if the remote has one. What is not of that
//! form is libgit2's to refuse.

use super::pkt::{Line, Lines};
use std::{mem, ops::ControlFlow};

/// How much of what a remote says is shown.
const SAID_CHARS: usize = 300;
/// How much of it is kept.
const SAID_BYTES: usize = 4 * SAID_CHARS;

/// The answer to a push, as far as it has been heard.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Lines,
    /// Those inside the side-band.
    inner: Lines,
    refused: Option<String>,
    not_unpacked: Option<String>,
    /// The words of hooks, whatever their encoding.
    said: Vec<u8>,
}

impl Report {
    /// Takes what the remote said next.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        let mut lines = mem::take(&mut self.lines);
        lines.hear(bytes, |line| {
            match line {
                Line::Text([1, report @ ..]) => self.hear_inner(report),
                Line::Text([2 | 3, said @ ..]) => {
                    let room = SAID_BYTES.saturating_sub(self.said.len());
                    self.said.extend(said.iter().take(room));
                }
                Line::Text(line) => self.status(line),
                Line::Flush | Line::Broken => {}
            }
            ControlFlow::Continue(())
        });
        self.lines = lines;
    }

    fn hear_inner(&mut self, bytes: &[u8]) {
        let mut inner = mem::take(&mut self.inner);
        inner.hear(bytes, |line| {
            if let Line::Text(line) = line {
                self.status(line);
            }
            ControlFlow::Continue(())
        });
        self.inner = inner;
    }

    fn status(&mut self, line: &[u8]) {
        if let Some(why) = line.strip_prefix(b"unpack ") {
            self.not_unpacked = Some(shown(why)).filter(|why| why != "ok");
        } else if let Some(refused) = line.strip_prefix(b"ng ") {
            // The name of the branch, which is ours, and the reason.
            let why = refused.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default();
            self.refused = Some(shown(why));
        }
    }

    /// Why the push was not taken, with what a hook had to say; `None` if nothing was refused.
    pub(crate) fn refusal(self) -> Option<String> {
        let why = match (self.refused, self.not_unpacked) {
            (None, None) => return None,
            (Some(why), None) => why,
            (None, Some(why)) => format!("what was sent cannot be unpacked there: {why}"),
            (Some(refused), Some(why)) => format!("{refused}: {why}"),
        };
        let said: Vec<String> = self.said.split(|byte| *byte == b'\n').map(shown).collect();
        let said: Vec<&str> = { said.iter().map(String::as_str) }
            .filter(|line| !line.is_empty())
            .collect();
        if said.is_empty() {
            return Some(why);
        }
        let said: String = said.join(" / ").chars().take(SAID_CHARS).collect();
        Some(format!("{why} ({said})"))
    }
}

/// A remote's words as they can be shown.
fn shown(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let plain = said.trim().chars().filter(|letter| !letter.is_control());
    plain.take(SAID_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::pkt::line, Report, SAID_CHARS};

    /// In whatever pieces it arrives.
    fn check(said: &[u8], expect: Option<&str>) {
        for length in 1..=said.len() {
            let mut report = Report::default();
            said.chunks(length).for_each(|piece| report.hear(piece));
            assert_eq!(report.refusal().as_deref(), expect, "in pieces of {length}");
        }
    }

    fn lines(texts: &[&[u8]]) -> Vec<u8> {
        let mut said: Vec<u8> = texts.iter().flat_map(|text| line(text)).collect();
        said.extend(b"0000");
        said
    }

    #[test]
    fn a_refusal_is_heard_in_and_outside_of_a_side_band() {
        let taken = lines(&[b"unpack ok\n", b"ok refs/heads/main\n"]);
        let refused = lines(&[b"unpack ok\n", b"ng refs/heads/main ferm\xe9 le dimanche\n"]);
        check(&taken, None);
        check(&refused, Some("ferm\u{fffd} le dimanche"));
        let banded = |report: &[u8]| {
            let (first, second) = report.split_at(report.len() / 2);
            let band = |number: u8, bytes: &[u8]| [&[number][..], bytes].concat();
            lines(&[
                &band(2, b"caf\xe9 \x1b[1mclosed\nco"),
                &band(1, first),
                &band(2, b"me back\n\n"),
                &band(1, second),
            ])
        };
        check(&banded(&taken), None);
        check(
            &banded(&refused),
            Some("ferm\u{fffd} le dimanche (caf\u{fffd} [1mclosed / come back)"),
        );
    }

    #[test]
    fn a_pack_that_cannot_be_unpacked_is_a_refusal() {
        let alone = lines(&[b"unpack disk full\n"]);
        check(&alone, Some("what was sent cannot be unpacked there: disk full"));
        let both = lines(&[b"unpack index-pack failed\n", b"ng refs/heads/main unpacker error\n"]);
        check(&both, Some("unpacker error: index-pack failed"));
    }

    #[test]
    fn what_is_no_report_refuses_nothing_and_long_words_are_cut() {
        check(b"HTTP/1.1 200 OK\r\n\r\nng a b\n", None);
        check(&lines(&[b"\x01nonsense", b"\x02", b""]), None);
        let mut report = Report::default();
        report.hear(&line(&[b"ng a ".as_slice(), &[b'x'; 4_000]].concat()));
        for _ in 0..100 {
            report.hear(&line(&[b"\x02".as_slice(), &[b'y'; 4_000]].concat()));
        }
        assert_eq!(report.refusal().unwrap().len(), 2 * SAID_CHARS + " ()".len());
    }
}
