//! Server-sent events, read incrementally: whatever the splits of the bytes, the same events. Follows the WHATWG
//! specification (LF, CRLF and CR line ends, comments, several `data` lines, a leading byte order mark, an unfinished
//! event at the end is dropped), on bytes: text is checked where it is parsed. No limit on a line, one on an event and
//! one on the stream.

use std::ops::Range;

/// The largest event: images travel inside events as base64.
pub const MAX_EVENT_BYTES: usize = 64 * 1024 * 1024;
/// The largest stream.
pub const MAX_STREAM_BYTES: usize = 256 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// The `event` field, empty where there is none.
    pub name: &'a [u8],
    /// The `data` lines, joined by line feeds.
    pub data: &'a [u8],
}

/// More bytes than the limit given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {0} bytes")]
pub struct SseTooLarge(pub usize);

/// The reader: [`Self::push`] bytes, then take events with [`Self::next_event`] until there is none.
#[derive(Debug)]
pub struct SseReader {
    /// Bytes from the current event's first data line (or the first unread line) on.
    buffer: Vec<u8>,
    /// Where the current line begins.
    line: usize,
    /// Up to where the current line was searched for its end.
    scanned: usize,
    /// Everything before this was given out and may go.
    used: usize,
    /// The event's only data line so far: no copy is made of it.
    single: Option<Range<usize>>,
    /// The joined data lines, where there is more than one.
    joined: Option<Vec<u8>>,
    name: Vec<u8>,
    /// The last byte was a CR that ended a line: a LF that follows belongs to it.
    after_cr: bool,
    /// The stream's first bytes are not known yet (a byte order mark may stand there).
    at_start: bool,
    /// The last call gave out an event, whose fields are to be reset.
    given: bool,
    total: usize,
    max_event: usize,
    max_stream: usize,
}

impl Default for SseReader {
    fn default() -> Self {
        Self::with_limits(MAX_EVENT_BYTES, MAX_STREAM_BYTES)
    }
}

impl SseReader {
    /// A reader with other limits, in bytes.
    pub fn with_limits(max_event: usize, max_stream: usize) -> Self {
        Self {
            buffer: Vec::new(),
            line: 0,
            scanned: 0,
            used: 0,
            single: None,
            joined: None,
            name: Vec::new(),
            after_cr: false,
            at_start: true,
            given: false,
            total: 0,
            max_event,
            max_stream,
        }
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// Once the stream passes its limit.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), SseTooLarge> {
        self.total = self.total.saturating_add(bytes.len());
        if self.total > self.max_stream {
            return Err(SseTooLarge(self.max_stream));
        }
        self.reset_given();
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.line -= self.used;
            self.scanned -= self.used;
            if let Some(range) = &mut self.single {
                *range = range.start - self.used..range.end - self.used;
            }
            self.used = 0;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole event, if its bytes are there.
    ///
    /// # Errors
    /// Once an event passes its limit.
    pub fn next_event(&mut self) -> Result<Option<SseEvent<'_>>, SseTooLarge> {
        self.reset_given();
        if self.at_start && !self.skip_byte_order_mark() {
            return Ok(None);
        }
        loop {
            if self.after_cr && self.line < self.buffer.len() {
                self.after_cr = false;
                if self.buffer.get(self.line) == Some(&b'\n') {
                    self.line += 1;
                    self.scanned = self.line;
                    self.release();
                }
            }
            let unread = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'\n', b'\r', unread) else {
                self.scanned = self.buffer.len();
                let pending = self.scanned - self.used + self.joined.as_ref().map_or(0, Vec::len);
                return if pending > self.max_event {
                    Err(SseTooLarge(self.max_event))
                } else {
                    Ok(None)
                };
            };
            let end = self.scanned + found;
            let line = self.line..end;
            self.after_cr = self.buffer.get(end) == Some(&b'\r');
            self.line = end + 1;
            self.scanned = self.line;
            if line.is_empty() {
                if self.single.is_some() || self.joined.is_some() {
                    return self.give().map(Some);
                }
                self.name.clear();
            } else {
                self.field(line);
            }
            self.release();
        }
    }

    /// Forgets the fields of the event given out last, whose bytes are no longer borrowed.
    fn reset_given(&mut self) {
        if self.given {
            self.given = false;
            self.single = None;
            self.joined = None;
            self.name.clear();
            self.release();
        }
    }

    /// Bytes before the current line are not needed unless an only data line stands there.
    fn release(&mut self) {
        self.used = self.single.as_ref().map_or(self.line, |range| range.start);
    }

    /// False while the mark may be there in part.
    fn skip_byte_order_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        if self.buffer.starts_with(MARK) {
            self.line = MARK.len();
            self.scanned = self.line;
            self.release();
        } else if MARK.starts_with(&self.buffer) {
            return false;
        }
        self.at_start = false;
        true
    }

    fn field(&mut self, line: Range<usize>) {
        let text = self.buffer.get(line.clone()).unwrap_or_default();
        let (name_len, mut value_at) = match memchr::memchr(b':', text) {
            Some(colon) => (colon, line.start + colon + 1),
            None => (text.len(), line.end),
        };
        if self.buffer.get(value_at) == Some(&b' ') && value_at < line.end {
            value_at += 1;
        }
        match text.get(..name_len).unwrap_or_default() {
            b"data" => self.data(value_at..line.end),
            b"event" => {
                self.name.clear();
                self.name
                    .extend_from_slice(self.buffer.get(value_at..line.end).unwrap_or_default());
            }
            // Comments (an empty name), `id`, `retry` and unknown fields mean nothing here.
            _ => {}
        }
    }

    fn data(&mut self, value: Range<usize>) {
        let first = self.single.take();
        if first.is_none() && self.joined.is_none() {
            self.single = Some(value);
            return;
        }
        let joined = self.joined.get_or_insert_with(Vec::new);
        if let Some(first) = first {
            joined.extend_from_slice(self.buffer.get(first).unwrap_or_default());
        }
        joined.push(b'\n');
        joined.extend_from_slice(self.buffer.get(value).unwrap_or_default());
    }

    fn give(&mut self) -> Result<SseEvent<'_>, SseTooLarge> {
        self.given = true;
        let data = match (&self.joined, &self.single) {
            (Some(joined), _) => joined.as_slice(),
            (None, Some(range)) => self.buffer.get(range.clone()).unwrap_or_default(),
            (None, None) => &[],
        };
        if data.len() > self.max_event {
            return Err(SseTooLarge(self.max_event));
        }
        Ok(SseEvent { name: &self.name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(parts: &[&[u8]]) -> Vec<(String, String)> {
        let mut reader = SseReader::default();
        let mut events = Vec::new();
        for part in parts {
            reader.push(part).unwrap();
            while let Some(event) = reader.next_event().unwrap() {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                events.push((text(event.name), text(event.data)));
            }
        }
        events
    }

    /// Whole, byte by byte, and cut in two at every place.
    fn check(input: &str, expect: &[(&str, &str)]) {
        let bytes = input.as_bytes();
        let expect: Vec<(String, String)> = expect.iter().map(|(n, d)| ((*n).to_owned(), (*d).to_owned())).collect();
        assert_eq!(read(&[bytes]), expect, "whole {input:?}");
        assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), expect, "by bytes {input:?}");
        for at in 0..bytes.len() {
            let (a, b) = bytes.split_at(at);
            assert_eq!(read(&[a, b]), expect, "at {at} {input:?}");
        }
    }

    #[test]
    fn the_specification() {
        check("data: a\n\n", &[("", "a")]);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]);
        check("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]);
        check("event: x\ndata: a\ndata: b\ndata\ndata:  c\n\n", &[("x", "a\nb\n\n c")]);
        check("\u{feff}data: a\n\n", &[("", "a")]);
        check("data: \u{feff}a\n\n", &[("", "\u{feff}a")]);
        check(": keep-alive\n\n:\n\ndata: a\n: in between\n\n", &[("", "a")]);
        check("event: lost\n\ndata: a\n\n", &[("", "a")]);
        check("id: 7\nretry: 10\nfoo: bar\ndata:a\n\n", &[("", "a")]);
        check("data\n\n", &[("", "")]);
        check("data: é€𝄞\n\n", &[("", "é€𝄞")]);
        check("data: cut", &[]);
        check("data: cut\n", &[]);
        check("\n\n\r\n\r", &[]);
        check("", &[]);
        check("data: [DONE]\n\n", &[("", "[DONE]")]);
    }

    #[test]
    fn limits_hold() {
        let mut reader = SseReader::with_limits(10, 1_000);
        reader.push(b"data: 0123456789012345").unwrap();
        assert_eq!(reader.next_event(), Err(SseTooLarge(10)));

        let mut reader = SseReader::with_limits(10, 1_000);
        reader.push(b"data: 01234567890\n\n").unwrap();
        assert_eq!(reader.next_event(), Err(SseTooLarge(10)));

        let mut reader = SseReader::with_limits(10, 1_000);
        for _ in 0..20 {
            reader.push(b"data: 0\n\n").unwrap();
            assert!(reader.next_event().unwrap().is_some());
            assert!(reader.next_event().unwrap().is_none());
        }

        let mut reader = SseReader::with_limits(10, 1_000);
        let many = (0..20).try_for_each(|_| {
            reader.push(b"data: 0\n")?;
            reader.next_event().map(|event| assert_eq!(event, None))
        });
        assert_eq!(many, Err(SseTooLarge(10)), "many short data lines");

        let mut reader = SseReader::with_limits(10, 100);
        assert_eq!((0..9).try_for_each(|_| reader.push(b": comments\n")), Ok(()));
        assert_eq!(reader.push(b": comments\n"), Err(SseTooLarge(100)));
    }

    #[test]
    fn a_long_line_is_read_in_pieces() {
        let body = "x".repeat(3_000_000);
        let whole = format!("data: {body}\n\n");
        let parts: Vec<&[u8]> = whole.as_bytes().chunks(1_400).collect();
        assert_eq!(read(&parts), [(String::new(), body)]);
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let line_end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
        let line = prop_oneof![
            "data: ?[a-zé ]{0,6}",
            "event: ?[a-z]{0,3}",
            ":[a-z]{0,3}",
            Just(String::new()),
            "[a-z:]{0,6}"
        ];
        prop::collection::vec((line, line_end), 0..24).prop_map(|lines| {
            lines
                .into_iter()
                .flat_map(|(line, end)| [line, end.to_owned()].concat().into_bytes())
                .collect()
        })
    }

    fn split(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        at.windows(2)
            .filter_map(|pair| Some(bytes.get(*pair.first()?..*pair.last()?)?.to_vec()))
            .collect()
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(bytes in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
            let parts = split(&bytes, &cuts);
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(read(&parts), read(&[&bytes]));
        }

        #[test]
        fn no_bytes_upset_it(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let whole = parts.concat();
            prop_assert_eq!(read(&parts), read(&[&whole]));
        }
    }
}
