//! What the two APIs have in common on the wire: the end of a stream, lenient readers of usage and faults, the cheap
//! ways through JSON that decoding a delta takes.

use mira_core::{chat::Usage, tool::AskedCall};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::{Value, error::Category, value::RawValue};
use std::{borrow::Cow, fmt, marker::PhantomData, sync::Arc};

use crate::error::{Fault, LlmError};

/// Why an event could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The server says that it failed.
    Fault(Box<Fault>),
    /// It says nothing that makes sense.
    Garbage(String),
    /// It says more than so many bytes.
    TooLarge(usize),
}

impl Trouble {
    /// A failure told in JSON.
    pub fn fault(value: &Value) -> Self {
        Self::Fault(Box::new(Fault::from_value(value)))
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self::Garbage(format!("not the JSON it should be ({})", place(&error)))
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
    /// The calls it waits for.
    pub calls: Vec<AskedCall>,
    /// Items that go back unchanged with their outputs.
    pub carry: Vec<Arc<str>>,
}

/// The text of a JSON value where a string is expected; of an object, which some servers send in its place, its JSON.
pub(crate) fn text_or_json(raw: &RawValue) -> Cow<'_, str> {
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<Words<'_>>(json) {
            Ok(Words(Some(text))) => text,
            Ok(Words(None)) | Err(_) => Cow::Borrowed(""),
        },
        Some(b'{') => Cow::Borrowed(json),
        _ => Cow::Borrowed(""),
    }
}

/// Where JSON is not what it should be, and in what way: the reader's own words quote what stands there, which may be
/// what was said.
pub(crate) fn place(error: &serde_json::Error) -> String {
    let way = match error.classify() {
        Category::Io => "not read",
        Category::Syntax => "no JSON",
        Category::Data => "another shape",
        Category::Eof => "cut off",
    };
    format!("{way} at line {}, column {}", error.line(), error.column())
}

/// JSON text as it is inside a request, without a copy.
pub(crate) fn raw_ref(json: &str) -> Result<&RawValue, LlmError> {
    serde_json::from_str(json).map_err(|error| LlmError::Unsendable { why: error.to_string() })
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

/// The elements of an array; nothing for null.
#[derive(Debug)]
pub(crate) struct Many<T>(pub Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<Vec<T>>::deserialize(deserializer).map(|list| Self(list.unwrap_or_default()))
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
    fn what_stands_in_broken_json_is_not_repeated() {
        let said = |json: &str| {
            serde_json::from_str::<[u8; 1]>(json)
                .map_err(|error| place(&error))
                .unwrap_err()
        };
        assert_eq!(said(r#"["a secret"]"#), "another shape at line 1, column 11");
        assert_eq!(said("[\n1 secret"), "no JSON at line 2, column 3");
        assert_eq!(said("["), "cut off at line 1, column 1");
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
