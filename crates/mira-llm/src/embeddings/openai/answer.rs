//! What an answer holds: vectors in any order, as bytes or as numbers, and what they cost.

use super::super::{Vector, normalise};
use crate::{
    error::LlmError,
    wire::{self, Trouble},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use serde_json::Value;
use std::fmt;

/// A server's answer, as far as it matters.
#[derive(Debug)]
pub(super) struct Answer {
    rows: Vec<Row>,
    /// What the server counted; 0 where it did not say.
    pub tokens: u64,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Row>,
    #[serde(default)]
    usage: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Row {
    /// Which text it belongs to; the position where the server does not say.
    #[serde(default)]
    index: Option<usize>,
    embedding: Numbers,
}

#[derive(Debug)]
struct Numbers(Vec<f32>);

impl Answer {
    /// Reads a body; a failure told with a good status is one.
    pub fn read(body: &[u8]) -> Result<Self, Trouble> {
        match serde_json::from_slice::<List>(body) {
            Ok(list) => Ok(Self {
                tokens: wire::usage(list.usage.as_ref()).input_tokens,
                rows: list.data,
            }),
            Err(error) => match serde_json::from_slice::<Value>(body) {
                Ok(value) if value.get("error").is_some_and(|inner| !inner.is_null()) => Err(Trouble::fault(&value)),
                Ok(_) | Err(_) => Err(error.into()),
            },
        }
    }

    /// The vectors of `texts` texts, each of length 1.
    pub fn in_order(self, texts: usize) -> Result<Vec<Vector>, LlmError> {
        let count = self.rows.len();
        let mismatch = || LlmError::garbage(format!("{count} vectors, not one for each of {texts} texts"));
        let mut vectors: Vec<Option<Vector>> = vec![None; texts];
        for (position, row) in self.rows.into_iter().enumerate() {
            let slot = vectors.get_mut(row.index.unwrap_or(position)).ok_or_else(mismatch)?;
            let Numbers(mut numbers) = row.embedding;
            if numbers.iter().any(|number| !number.is_finite()) {
                return Err(LlmError::garbage("a vector with something that is no number"));
            }
            normalise(&mut numbers);
            if slot.replace(numbers.into()).is_some() {
                return Err(mismatch());
            }
        }
        vectors.into_iter().map(|vector| vector.ok_or_else(mismatch)).collect()
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumbersVisitor;
        impl<'de> Visitor<'de> for NumbersVisitor {
            type Value = Numbers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vector, as base64 or as numbers")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Numbers, E> {
                let bytes = STANDARD.decode(text).map_err(E::custom)?;
                let (numbers, rest) = bytes.as_chunks();
                if rest.is_empty() {
                    Ok(Numbers(
                        numbers.iter().map(|number| f32::from_le_bytes(*number)).collect(),
                    ))
                } else {
                    Err(E::invalid_length(bytes.len(), &"a multiple of 4 bytes"))
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Numbers, A::Error> {
                let mut numbers = Vec::new();
                while let Some(number) = seq.next_element()? {
                    numbers.push(number);
                }
                Ok(Numbers(numbers))
            }
        }
        deserializer.deserialize_any(NumbersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, texts: usize, expect: Option<&[&[f32]]>) {
        let vectors = Answer::read(body.as_bytes())
            .ok()
            .and_then(|answer| answer.in_order(texts).ok());
        let vectors: Option<Vec<Vec<f32>>> =
            vectors.map(|vectors| vectors.iter().map(|vector| vector.to_vec()).collect());
        let expect: Option<Vec<Vec<f32>>> = expect.map(|rows| rows.iter().map(|row| row.to_vec()).collect());
        assert_eq!(vectors, expect, "{body}");
    }

    #[test]
    fn vectors_come_in_the_order_of_their_texts() {
        let swapped = r#"{"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[-5.0,0]}]}"#;
        check(swapped, 2, Some(&[&[-1.0, 0.0], &[0.0, 1.0]]));
        check(
            r#"{"data":[{"embedding":[3,4]},{"embedding":[0,0]}]}"#,
            2,
            Some(&[&[0.6, 0.8], &[0.0, 0.0]]),
        );
        // 0.0 and -2.0 in little-endian bytes.
        check(
            r#"{"data":[{"index":0,"embedding":"AAAAAAAAAMA="}],"usage":null}"#,
            1,
            Some(&[&[0.0, -1.0]]),
        );
        check(r#"{"data":[]}"#, 0, Some(&[]));
    }

    #[test]
    fn what_does_not_fit_is_no_answer() {
        let row = r#"{"index":0,"embedding":[1]}"#;
        check(&format!(r#"{{"data":[{row}]}}"#), 2, None);
        check(&format!(r#"{{"data":[{row},{row}]}}"#), 2, None);
        check(&format!(r#"{{"data":[{row},{row}]}}"#), 1, None);
        check(r#"{"data":[{"index":7,"embedding":[1]}]}"#, 1, None);
        check(r#"{"data":[{"index":0,"embedding":"AAAA"}]}"#, 1, None);
        check(r#"{"data":[{"index":0,"embedding":"AADAfw=="}]}"#, 1, None);
        check(r#"{"data":[{"index":0,"embedding":[null]}]}"#, 1, None);
        check(r#"{"data":[{"index":0,"embedding":null}]}"#, 1, None);
        check("<html>", 1, None);
    }

    #[test]
    fn a_failure_told_with_a_good_status_is_one() {
        let trouble = Answer::read(br#"{"error":{"message":"overloaded","code":503}}"#)
            .map(drop)
            .unwrap_err();
        assert!(matches!(trouble, Trouble::Fault(fault) if fault.status == Some(503)));
    }
}
