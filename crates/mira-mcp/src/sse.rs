//! Server-sent events (the HTML standard, section 9.2) as MCP uses them: the data of each event, at any split of the
//! bytes. An event has a cap.

use crate::{error::LinkError, link::MOST_MESSAGE_BYTES};

/// An event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its data; the lines of it joined.
    pub data: Vec<u8>,
    /// Its id, where it names one.
    pub id: Option<String>,
}

/// Reads a stream.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    /// Events of other kinds are not MCP's.
    foreign: bool,
    /// A line feed that follows belongs to the carriage return before it.
    after_return: bool,
    begun: bool,
}

impl Events {
    /// Takes the next bytes; the events that are whole now.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, LinkError> {
        let mut found = Vec::new();
        for byte in bytes {
            let follows_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    found.extend(self.end_line());
                }
                _ => {
                    self.line.push(*byte);
                    if self.line.len() + self.event.data.len() > MOST_MESSAGE_BYTES {
                        return Err(LinkError::TooLarge(MOST_MESSAGE_BYTES));
                    }
                }
            }
        }
        Ok(found)
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let (has_data, foreign) = (std::mem::take(&mut self.has_data), std::mem::take(&mut self.foreign));
            return (has_data && !foreign).then_some(event);
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
            }
            b"id" => self.event.id = std::str::from_utf8(value).ok().map(str::to_owned),
            b"event" => self.foreign = !(value.is_empty() || value == b"message"),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = "\u{feff}: hello\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata:x\rdata\r\revent: other\ndata: no\n\nevent: other\n\n\
                          event: message\nid:2\ndata: ä:b\n\ndata: never ended";

    fn events(pieces: &[&[u8]]) -> Vec<(String, Option<String>)> {
        let mut reader = Events::default();
        let found = pieces.iter().flat_map(|piece| reader.feed(piece).unwrap());
        found
            .map(|event| (String::from_utf8(event.data).unwrap(), event.id))
            .collect()
    }

    fn expected() -> Vec<(String, Option<String>)> {
        vec![
            ("{\"a\":\n1}".into(), Some("1".into())),
            ("x\n".into(), None),
            ("ä:b".into(), Some("2".into())),
        ]
    }

    #[test]
    fn at_every_split() {
        for at in 0..=STREAM.len() {
            let (one, other) = STREAM.as_bytes().split_at(at);
            assert_eq!(events(&[one, other]), expected(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let mut reader = Events::default();
            prop_assert!(reader.feed(&bytes).is_ok());
        }
    }

    #[test]
    fn an_event_has_an_end() {
        let mut reader = Events::default();
        let piece = vec![b'x'; 64 * 1024];
        let fed = (0..200).map(|_| reader.feed(&piece)).find(Result::is_err);
        assert!(matches!(fed, Some(Err(LinkError::TooLarge(_)))));
    }
}
