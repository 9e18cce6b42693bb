//! A program's output as lines, one message each. A line that is too long is passed over to its end, and only what
//! tells whom it answers is kept of it; one that is no message, or has no end, ends the connection.

use crate::{
    error::LinkError,
    link::{MOST_MESSAGE_BYTES, MOST_SKIPPED_BYTES},
};
use rmcp::model::RequestId;
use tokio::io::AsyncBufReadExt;

/// The longest name or value that is kept of a line that is too long, in bytes: an id is short.
const KEPT_BYTES: usize = 256;

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    /// Too long; the request it answers, where it answers one.
    TooLong(Option<RequestId>),
}

/// Reads lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    passed: Option<Passed>,
}

/// What was passed over.
#[derive(Debug, Default)]
struct Passed {
    bytes: usize,
    skim: Skim,
}

impl Lines {
    /// The next line; an error at the end of the stream. May be dropped at any await: what was read so far is kept.
    pub async fn next(&mut self, reader: &mut (impl AsyncBufReadExt + Unpin)) -> Result<Line, LinkError> {
        loop {
            let ready = reader.fill_buf().await.map_err(LinkError::Pipe)?;
            if ready.is_empty() {
                return Err(LinkError::Ended);
            }
            let mut parts = ready.splitn(2, |byte| *byte == b'\n');
            let taken = parts.next().unwrap_or_default();
            let whole = parts.next().is_some();
            let consumed = taken.len() + usize::from(whole);
            let taken = self.take(taken);
            reader.consume(consumed);
            taken?;
            if whole {
                return Ok(match self.passed.take() {
                    Some(passed) => Line::TooLong(passed.skim.answers()),
                    None => Line::Whole(std::mem::take(&mut self.partial)),
                });
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        if let Some(passed) = &mut self.passed {
            return passed.over(bytes);
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() <= MOST_MESSAGE_BYTES {
            return Ok(());
        }
        let begun = std::mem::take(&mut self.partial);
        if !begun.trim_ascii_start().starts_with(b"{") {
            return Err(LinkError::TooLarge(MOST_MESSAGE_BYTES));
        }
        self.passed.insert(Passed::default()).over(&begun)
    }
}

impl Passed {
    fn over(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.bytes += bytes.len();
        if self.bytes > MOST_SKIPPED_BYTES {
            return Err(LinkError::TooLarge(MOST_SKIPPED_BYTES));
        }
        self.skim.feed(bytes);
        Ok(())
    }
}

/// Reads the outermost fields of a JSON object at any split of its bytes, and keeps none of what is inside them. What is
/// no JSON has no fields.
#[derive(Debug, Default)]
struct Skim {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The name or the short value that is being read, as it is written.
    token: Vec<u8>,
    key: Vec<u8>,
    id: Option<RequestId>,
    /// It is a request or a notification.
    asks: bool,
}

impl Skim {
    fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.in_string {
                self.keep(byte);
                let escaped = std::mem::take(&mut self.escaped);
                self.escaped = !escaped && byte == b'\\';
                self.in_string = escaped || byte != b'"';
                continue;
            }
            match byte {
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.end_value();
                    self.depth = self.depth.saturating_sub(1);
                }
                b',' => self.end_value(),
                _ if byte.is_ascii_whitespace() => {}
                b':' if self.depth == 1 => self.key = std::mem::take(&mut self.token),
                _ => {
                    self.in_string = byte == b'"';
                    self.keep(byte);
                }
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < KEPT_BYTES {
            self.token.push(byte);
        }
    }

    fn end_value(&mut self) {
        if self.depth != 1 {
            return;
        }
        let (key, value) = (std::mem::take(&mut self.key), std::mem::take(&mut self.token));
        match &*key {
            b"\"id\"" => self.id = serde_json::from_slice(&value).ok(),
            b"\"method\"" => self.asks = true,
            _ => {}
        }
    }

    fn answers(self) -> Option<RequestId> {
        self.id.filter(|_| !self.asks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn skimmed(pieces: &[&[u8]]) -> Option<RequestId> {
        let mut skim = Skim::default();
        for piece in pieces {
            skim.feed(piece);
        }
        skim.answers()
    }

    #[test]
    fn whom_it_answers_is_found_wherever_it_stands_and_however_it_is_split() {
        let number = Some(RequestId::Number(7));
        for (text, expect) in [
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"id":8,"a":["id",{"id":9}]}}"#,
                number.clone(),
            ),
            (
                r#"{"result":{"content":[{"text":"}\"id\":5,\\"}]},"id" : 7 }"#,
                number.clone(),
            ),
            (r#"{"id":7,"error":{"code":-1,"message":"no"}}"#, number),
            (r#"{"id":"a\"b","result":{}}"#, Some(RequestId::String("a\"b".into()))),
            (r#"{"id":7,"method":"ping"}"#, None),
            (r#"{"method":"notifications/message","params":{"id":7}}"#, None),
            (r#"{"id":null,"error":{}}"#, None),
            (r#"[{"id":7,"result":{}}]"#, None),
            (r#"{"id":7"#, None),
            ("no JSON", None),
        ] {
            for at in 0..=text.len() {
                let (one, other) = text.as_bytes().split_at(at);
                assert_eq!(skimmed(&[one, other]), expect, "{text} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn little_is_kept_of_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut skim = Skim::default();
            skim.feed(&bytes);
            prop_assert!(skim.token.len() <= KEPT_BYTES && skim.key.len() <= KEPT_BYTES);
        }
    }

    async fn lines(text: Vec<u8>) -> (Vec<Line>, LinkError) {
        let (mut lines, mut reader) = (Lines::default(), text.as_slice());
        let mut found = Vec::new();
        loop {
            match lines.next(&mut reader).await {
                Ok(line) => found.push(line),
                Err(error) => return (found, error),
            }
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over() {
        let long = "x".repeat(MOST_MESSAGE_BYTES);
        let (found, end) = lines(format!("one\n{{\"r\":\"{long}\",\"id\":3}}\n\ntwo").into_bytes()).await;
        let whole = |line: &str| Line::Whole(line.as_bytes().to_vec());
        assert_eq!(
            found,
            [whole("one"), Line::TooLong(Some(RequestId::Number(3))), whole("")]
        );
        assert!(matches!(end, LinkError::Ended));
    }

    #[tokio::test]
    async fn what_is_no_message_or_has_no_end_ends_it() {
        let (found, end) = lines(vec![b'x'; MOST_MESSAGE_BYTES + 1]).await;
        assert!(
            found.is_empty() && matches!(end, LinkError::TooLarge(MOST_MESSAGE_BYTES)),
            "{end}"
        );
        let mut endless = b"{\"a\":\"".to_vec();
        endless.resize(MOST_SKIPPED_BYTES + 1, b'x');
        let (found, end) = lines(endless).await;
        assert!(
            found.is_empty() && matches!(end, LinkError::TooLarge(MOST_SKIPPED_BYTES)),
            "{end}"
        );
    }
}
