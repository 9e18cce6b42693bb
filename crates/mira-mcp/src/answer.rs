//! What a server answers to a call, read leniently and cut: text and files in their order, structured content for
//! programs.

use crate::error::tame;
use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use bytes::Bytes;
use serde_json::{Map, Value};

/// The most words an answer may hold, in bytes. What its files weigh is bounded by the largest message.
const MOST_BYTES: usize = 1024 * 1024;
/// The most files of an answer.
const MOST_FILES: usize = 16;
/// The longest name of a file that is taken from an address, in bytes.
const NAME_BYTES: usize = 200;

/// Base64 as servers write it: with its padding or without.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Bytes in an answer: a picture, a sound, a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpFile {
    /// What it may be called: of the server's making, or made up here. Never a path.
    pub name: String,
    /// `image/png` and the like, as the server says.
    pub media_type: String,
    /// Its bytes, at least one.
    pub bytes: Bytes,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpPart {
    /// Words.
    Text(String),
    /// A file.
    File(McpFile),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct McpAnswer {
    /// What a model reads and the owner is shown, in the server's order.
    pub parts: Vec<McpPart>,
    /// What a program reads, where the server gives it.
    pub structured: Option<Value>,
    /// Whether the server says that it did not work.
    pub is_error: bool,
}

/// Reads the result of `tools/call`. `None` if it is none.
pub(crate) fn read(result: Value) -> Option<McpAnswer> {
    let Value::Object(mut fields) = result else {
        return None;
    };
    let content = fields.shift_remove("content");
    let structured = fields
        .shift_remove("structuredContent")
        .filter(|value| !value.is_null());
    if content.is_none() && structured.is_none() {
        return None;
    }
    let blocks = match content {
        Some(Value::Array(blocks)) => blocks,
        Some(_) | None => Vec::new(),
    };
    let mut room = Room {
        bytes: MOST_BYTES,
        files: MOST_FILES,
    };
    let (mut parts, mut left_out) = (Vec::new(), 0_usize);
    for part in blocks.into_iter().filter_map(read_block) {
        match room.take(part) {
            Some(part) => parts.push(part),
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        parts.push(McpPart::Text(format!(
            "({left_out} parts left out: an answer may have {MOST_BYTES} bytes of text and {MOST_FILES} files)"
        )));
    }
    let mut answer = McpAnswer {
        is_error: fields.get("isError") == Some(&Value::Bool(true)),
        parts,
        structured: None,
    };
    if let Some(mut structured) = structured {
        name_files(&mut structured, &answer.parts);
        let text = structured.to_string();
        if text.len() <= room.bytes {
            let says_nothing = |part: &McpPart| matches!(part, McpPart::Text(text) if text.trim().is_empty());
            if answer.parts.iter().all(says_nothing) {
                answer.parts = vec![McpPart::Text(text)];
            }
            answer.structured = Some(structured);
        }
    }
    Some(answer)
}

/// Structured content that repeats the bytes of files names them in their place.
fn name_files(value: &mut Value, parts: &[McpPart]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| name_files(item, parts)),
        Value::Object(fields) => fields.values_mut().for_each(|field| name_files(field, parts)),
        Value::String(text) => {
            let repeated = parts.iter().find_map(|part| match part {
                McpPart::File(file) if repeats(text, &file.bytes) => Some(&file.name),
                McpPart::File(_) | McpPart::Text(_) => None,
            });
            if let Some(name) = repeated {
                *text = format!("({name})");
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a text is these bytes in base64.
fn repeats(text: &str, bytes: &[u8]) -> bool {
    bytes.len() < text.len() && text.len() / 3 <= bytes.len() && decode(text.to_owned()).is_some_and(|it| it == bytes)
}

/// How much more an answer may hold.
struct Room {
    bytes: usize,
    files: usize,
}

impl Room {
    /// As much of a part as there is room for; nothing where there is none.
    fn take(&mut self, part: McpPart) -> Option<McpPart> {
        match part {
            McpPart::File(_) => {
                self.files = self.files.checked_sub(1)?;
                Some(part)
            }
            McpPart::Text(mut text) => {
                text.truncate(text.floor_char_boundary(self.bytes));
                if text.is_empty() && self.bytes == 0 {
                    return None;
                }
                self.bytes -= text.len();
                Some(McpPart::Text(text))
            }
        }
    }
}

/// A block of content; what is not understood is named, what is broken is nothing.
fn read_block(block: Value) -> Option<McpPart> {
    let Value::Object(mut fields) = block else {
        return None;
    };
    let kind = text(&mut fields, "type")?;
    Some(match kind.as_str() {
        "text" => McpPart::Text(text(&mut fields, "text")?),
        "image" => part_of(&mut fields, "picture", "data")?,
        "audio" => part_of(&mut fields, "sound", "data")?,
        "resource_link" => {
            let uri = text(&mut fields, "uri")?;
            let name = text(&mut fields, "title").or_else(|| text(&mut fields, "name"));
            McpPart::Text(format!("[{}]({})", tame(&name.unwrap_or_default()), tame(&uri)))
        }
        "resource" => {
            let Value::Object(mut fields) = fields.shift_remove("resource")? else {
                return None;
            };
            let uri = text(&mut fields, "uri").unwrap_or_default();
            match text(&mut fields, "text") {
                Some(text) => McpPart::Text(format!("{}\n{text}", tame(&uri))),
                None => part_of(&mut fields, name_in(&uri), "blob")?,
            }
        }
        other => McpPart::Text(format!(
            "(something of the type {:?}, which is not understood here)",
            tame(other)
        )),
    })
}

fn text(fields: &mut Map<String, Value>, key: &str) -> Option<String> {
    match fields.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The last step of an address, as a name.
fn name_in(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if last.is_empty() || last.len() > NAME_BYTES || last.ends_with(':') {
        "file"
    } else {
        last
    }
}

/// A file out of its base64; words where that is none.
fn part_of(fields: &mut Map<String, Value>, name: &str, key: &str) -> Option<McpPart> {
    let base64 = text(fields, key)?;
    let media_type = media_type(text(fields, "mimeType"));
    let mut name = tame(name);
    if !name.contains('.')
        && let Some(ending) = ending(&media_type)
    {
        name.push_str(ending);
    }
    Some(match decode(base64) {
        Some(bytes) if bytes.is_empty() => McpPart::Text(format!("({name}, {media_type}: it is empty)")),
        Some(bytes) => McpPart::File(McpFile {
            name,
            media_type,
            bytes: bytes.into(),
        }),
        None => McpPart::Text(format!(
            "({name}, {media_type}: its bytes cannot be read, for they are no base64)"
        )),
    })
}

/// Bytes, whatever line ends or beginning of a data address stand around them.
fn decode(mut base64: String) -> Option<Vec<u8>> {
    if base64.starts_with("data:") {
        base64 = base64.split_once(',')?.1.to_owned();
    }
    base64.retain(|c| !c.is_ascii_whitespace());
    STANDARD.decode(&base64).or_else(|_| URL_SAFE.decode(&base64)).ok()
}

/// How the name of a file of this type ends.
fn ending(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "image/png" => ".png",
        "image/jpeg" => ".jpg",
        "image/webp" => ".webp",
        "image/gif" => ".gif",
        "image/svg+xml" => ".svg",
        "audio/mpeg" => ".mp3",
        "audio/wav" | "audio/wave" | "audio/x-wav" => ".wav",
        "audio/ogg" => ".ogg",
        "audio/flac" => ".flac",
        "audio/mp4" => ".m4a",
        "application/pdf" => ".pdf",
        "application/zip" => ".zip",
        "application/json" => ".json",
        "text/csv" => ".csv",
        "text/html" => ".html",
        "text/markdown" => ".md",
        "text/plain" => ".txt",
        _ => return None,
    })
}

fn media_type(said: Option<String>) -> String {
    let fits = |said: &String| {
        said.len() <= 100
            && said.contains('/')
            && said.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-.".contains(&b))
    };
    said.filter(fits)
        .unwrap_or_else(|| "application/octet-stream".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The parts of an answer in short: words as they are, files as name, type and bytes.
    fn parts(content: &Value) -> Vec<String> {
        let answer = read(json!({ "content": content })).unwrap();
        let shown = |part: &McpPart| match part {
            McpPart::Text(text) => text.clone(),
            McpPart::File(file) => format!("{} {} {:?}", file.name, file.media_type, file.bytes),
        };
        answer.parts.iter().map(shown).collect()
    }

    #[test]
    fn answers_of_every_kind() {
        let content = json!([
            {"type": "text", "text": "Hello"},
            {"type": "image", "data": "aGk=", "mimeType": "image/png"},
            {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"},
            {"type": "resource_link", "uri": "file:///a", "name": "a"},
            {"type": "resource", "resource": {"uri": "x://y", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "x://y/plan.pdf?v=1", "blob": "aGk=", "mimeType": "application/pdf"}},
            {"type": "resource", "resource": {"uri": "x://", "blob": "aGk=", "mimeType": "no type"}},
            {"type": "hologram"},
            "nothing", {"type": 7}, {"type": "text"}, {"type": "image"}, {"type": "resource", "resource": 7},
        ]);
        assert_eq!(
            parts(&content),
            [
                "Hello",
                "picture.png image/png b\"hi\"",
                "sound.wav audio/wav b\"hi\"",
                "[a](file:///a)",
                "x://y\ninside",
                "plan.pdf application/pdf b\"hi\"",
                "file application/octet-stream b\"hi\"",
                "(something of the type \"hologram\", which is not understood here)",
            ]
        );
    }

    #[test]
    fn bytes_are_read_as_servers_write_them() {
        let check = |data: &str, expect: &str| {
            let content = json!([{"type": "image", "data": data, "mimeType": "image/png"}]);
            assert_eq!(parts(&content), [expect], "{data:?}");
        };
        check("aGk", "picture.png image/png b\"hi\"");
        check("a\nG k=\r\n", "picture.png image/png b\"hi\"");
        check("data:image/png;base64,aGk=", "picture.png image/png b\"hi\"");
        check("_-8=", "picture.png image/png b\"\\xff\\xef\"");
        check("", "(picture.png, image/png: it is empty)");
        check(
            "no base64!",
            "(picture.png, image/png: its bytes cannot be read, for they are no base64)",
        );
    }

    #[test]
    fn names_are_no_paths() {
        let check = |uri: &str, expect: &str| assert_eq!(name_in(uri), expect, "{uri:?}");
        check("file:///a/b.txt", "b.txt");
        check("screenshot://1", "1");
        check("https://example.org/x/#y", "x");
        check("https://", "file");
        check("a/..", "..");
        check("", "file");
        check(&"x".repeat(300), "file");
    }

    #[test]
    fn structured_content_alone_is_told_as_text() {
        let answer = read(json!({"content": [], "structuredContent": [1, 2], "isError": true})).unwrap();
        assert_eq!(answer.parts, [McpPart::Text("[1,2]".to_owned())]);
        assert!(answer.is_error);
        let content = json!([{"type": "image", "data": "aGk=", "mimeType": "image/png"}]);
        let shown = read(json!({"content": content, "structuredContent": {"n": 1}})).unwrap();
        assert!(matches!(&*shown.parts, [McpPart::File(_)]), "{shown:?}");
        assert_eq!((shown.structured, shown.is_error), (Some(json!({"n": 1})), false));
        let twice = json!({"result": [{"data": "aGk="}, "aGk", "hi", "x"]});
        let shown = read(json!({"content": content, "structuredContent": twice})).unwrap();
        let named = json!({"result": [{"data": "(picture.png)"}, "(picture.png)", "hi", "x"]});
        assert_eq!(shown.structured, Some(named));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for bad in [json!(null), json!([]), json!({}), json!({"isError": true})] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn an_answer_has_an_end() {
        let big = "ä".repeat(MOST_BYTES);
        let mut content = vec![
            json!({"type": "text", "text": big}),
            json!({"type": "text", "text": "more"}),
        ];
        content.extend((0..20).map(|_| json!({"type": "image", "data": "aGk=", "mimeType": "image/png"})));
        let answer = read(json!({"content": content, "structuredContent": {"big": big}})).unwrap();
        assert_eq!((answer.parts.len(), answer.structured), (1 + MOST_FILES + 1, None));
        assert_eq!(answer.parts[0], McpPart::Text("ä".repeat(MOST_BYTES / 2)));
        let McpPart::Text(last) = answer.parts.last().unwrap() else {
            panic!("{:?}", answer.parts.last())
        };
        assert!(last.starts_with("(5 parts left out"), "{last}");
    }
}
