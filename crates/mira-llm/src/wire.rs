//! What the two APIs have in common on the wire: the end of a stream, lenient readers of usage and faults, the cheap
//! ways through JSON that decoding a delta takes.

use mira_core::chat::Usage;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use std::{borrow::Cow, fmt, marker::PhantomData};

use crate::error::{Fault, LlmError};

/// Why an event could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server says that it failed.
    Fault(Box<Fault>),
    /// It says nothing that makes sense.
    Garbage(String),
}

impl Trouble {
    /// A failure told in JSON.
    pub fn fault(value: &Value) -> Self {
        Self::Fault(Box::new(Fault::from_value(value)))
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self::Garbage(format!("not the JSON it should be ({error})"))
    }
}

/// The terminal event, or the whole of an answer that is not a stream.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct WireEnd {
    /// The model, as it names itself.
    pub model: Option<String>,
    pub usage: Usage,
    /// Why the model stopped before its end.
    pub cut: Option<String>,
}

/// JSON text to be sent as it is, key order included.
pub(crate) fn raw(json: String) -> Result<Box<RawValue>, LlmError> {
    RawValue::from_string(json).map_err(|error| LlmError::Unsendable { why: error.to_string() })
}

/// A request's bytes.
pub(crate) fn encode(body: &impl serde::Serialize) -> Result<bytes::Bytes, LlmError> {
    match serde_json::to_vec(body) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(LlmError::Unsendable { why: error.to_string() }),
    }
}

/// Token counts under the names of either API; what is missing, null or odd counts as zero.
pub(crate) fn usage(value: Option<&Value>) -> Usage {
    let Some(value) = value else { return Usage::default() };
    let number = |keys: &[&[&str]]| {
        keys.iter()
            .find_map(|path| {
                path.iter()
                    .try_fold(value, |value, key| value.get(key))
                    .and_then(Value::as_u64)
            })
            .unwrap_or(0)
    };
    Usage {
        input_tokens: number(&[&["input_tokens"], &["prompt_tokens"]]),
        cached_tokens: number(&[
            &["input_tokens_details", "cached_tokens"],
            &["prompt_tokens_details", "cached_tokens"],
        ]),
        output_tokens: number(&[&["output_tokens"], &["completion_tokens"]]),
        reasoning_tokens: number(&[
            &["output_tokens_details", "reasoning_tokens"],
            &["completion_tokens_details", "reasoning_tokens"],
        ]),
    }
}

/// A string without empty ones.
pub(crate) fn text(value: Option<&Value>) -> Option<String> {
    value
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// The first element of an array, the others passed over; nothing for null or an empty array.
#[derive(Debug)]
pub(crate) struct First<T>(pub Option<T>);

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for FirstVisitor<T> {
            type Value = First<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array or null")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(First(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let first = seq.next_element()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }
        deserializer.deserialize_any(FirstVisitor(PhantomData))
    }
}

/// A text where one is expected and anything else where it is not: a string (borrowed if it has no escapes), the joined
/// `text` of an array of parts, nothing for the rest.
#[derive(Debug, Default)]
pub(crate) struct Words<'a>(pub Option<Cow<'a, str>>);

impl Words<'_> {
    /// The text, if there is any.
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

/// A part of a content array.
#[derive(Deserialize)]
struct Part {
    #[serde(default, rename = "type")]
    kind: Option<Value>,
    #[serde(default)]
    text: Option<Value>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor;
        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = Words<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Words(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Words(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Words(Some(Cow::Owned(text))))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Words(None))
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Words(None))
            }
            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Words(None))
            }
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Words(None))
            }
            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Words(None))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Words(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut joined = String::new();
                while let Some(part) = seq.next_element::<Part>()? {
                    let is_text = part.kind.as_ref().and_then(Value::as_str) == Some("text");
                    if let (true, Some(Value::String(text))) = (is_text, &part.text) {
                        joined.push_str(text);
                    }
                }
                Ok(Words(Some(Cow::Owned(joined))))
            }
        }
        deserializer.deserialize_any(WordsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: Option<&str>) {
        let words: Words<'_> = serde_json::from_str(json).unwrap();
        assert_eq!(words.get(), expect, "{json}");
    }

    #[test]
    fn words() {
        check(r#""a""#, Some("a"));
        check(r#""a\"é""#, Some("a\"é"));
        check(r#""""#, None);
        for other in ["null", "true", "7", "-7", "0.5", "{\"a\":[1]}", "[]"] {
            check(other, None);
        }
        check(
            r#"[{"type":"thinking","thinking":[]},{"type":"text","text":"a"},{"type":"text","text":"b"}]"#,
            Some("ab"),
        );
    }

    #[test]
    fn usage_is_lenient() {
        let read = |json: &str| usage(Some(&serde_json::from_str(json).unwrap()));
        let full = r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},
            "completion_tokens_details":{"reasoning_tokens":2}}"#;
        let expect = Usage {
            input_tokens: 10,
            cached_tokens: 4,
            output_tokens: 5,
            reasoning_tokens: 2,
        };
        assert_eq!(read(full), expect);
        assert_eq!(
            read(r#"{"input_tokens":1,"output_tokens":null,"input_tokens_details":null}"#).input_tokens,
            1
        );
        assert_eq!(read("null"), Usage::default());
        assert_eq!(read("[]"), Usage::default());
    }
}
