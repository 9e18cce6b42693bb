//! What a server answers to a call, read leniently and cut: text for the model, structured content and pictures for
//! clients.

use crate::error::tame;
use serde_json::Value;

/// The most an answer may hold, in bytes, pictures in base64 included.
const MOST_BYTES: usize = 1024 * 1024;

/// A picture in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpImage {
    /// `image/png` and the like, as the server says.
    pub media_type: String,
    /// Its bytes in base64, as the server sent them.
    pub base64: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct McpAnswer {
    /// What a model reads.
    pub text: String,
    /// What a program reads, where the server gives it.
    pub structured: Option<Value>,
    /// Pictures.
    pub images: Vec<McpImage>,
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
    let mut answer = McpAnswer {
        is_error: fields.get("isError") == Some(&Value::Bool(true)),
        ..McpAnswer::default()
    };
    let mut room = MOST_BYTES;
    let blocks = match content {
        Some(Value::Array(blocks)) => blocks,
        Some(_) | None => Vec::new(),
    };
    let mut parts: Vec<String> = Vec::new();
    let mut left_out = 0_usize;
    for block in blocks {
        let part = match read_block(block) {
            Some(Part::Text(text)) => cut(text, room),
            Some(Part::Image(image)) if image.base64.len() <= room => {
                room -= image.base64.len();
                let said = format!("(a picture, {}, shown to the owner)", image.media_type);
                answer.images.push(image);
                said
            }
            Some(Part::Image(_)) => {
                left_out += 1;
                continue;
            }
            None => continue,
        };
        room = room.saturating_sub(part.len());
        if part.is_empty() && room == 0 {
            left_out += 1;
        } else {
            parts.push(part);
        }
    }
    if left_out > 0 {
        parts.push(format!(
            "({left_out} parts left out: the answer is larger than {MOST_BYTES} bytes)"
        ));
    }
    answer.text = parts.join("\n");
    if let Some(structured) = structured {
        let text = structured.to_string();
        if text.len() <= room {
            if answer.text.trim().is_empty() {
                answer.text = text;
            }
            answer.structured = Some(structured);
        }
    }
    Some(answer)
}

enum Part {
    Text(String),
    Image(McpImage),
}

/// A block of content; what is not understood is named, what is broken is nothing.
fn read_block(block: Value) -> Option<Part> {
    let Value::Object(mut fields) = block else {
        return None;
    };
    let mut text = |key: &str| match fields.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let kind = text("type")?;
    Some(Part::Text(match kind.as_str() {
        "text" => text("text")?,
        "image" => {
            return Some(Part::Image(McpImage {
                media_type: media_type(text("mimeType")),
                base64: text("data")?,
            }));
        }
        "audio" => format!(
            "(a sound, {}, that cannot be played here)",
            media_type(text("mimeType"))
        ),
        "resource_link" => {
            let uri = text("uri")?;
            let name = text("title").or_else(|| text("name")).unwrap_or_default();
            format!("[{}]({})", tame(&name), tame(&uri))
        }
        "resource" => return resource(fields.shift_remove("resource")?),
        other => format!(
            "(something of the type {:?}, which is not understood here)",
            tame(other)
        ),
    }))
}

fn resource(resource: Value) -> Option<Part> {
    let Value::Object(mut fields) = resource else {
        return None;
    };
    let mut text = |key: &str| match fields.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let uri = tame(&text("uri").unwrap_or_default());
    let media_type = media_type(text("mimeType"));
    Some(match (text("text"), text("blob")) {
        (Some(text), _) => Part::Text(format!("{uri}\n{text}")),
        (None, Some(base64)) if media_type.starts_with("image/") => Part::Image(McpImage { media_type, base64 }),
        (None, _) => Part::Text(format!("({uri}, {media_type}, whose bytes are not read here)")),
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

fn cut(mut text: String, room: usize) -> String {
    if text.len() > room {
        let fits = |end: &usize| *end <= room;
        let end = text
            .char_indices()
            .map(|(at, _)| at)
            .take_while(fits)
            .last()
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_of_every_kind() {
        let answer = read(json!({
            "content": [
                {"type": "text", "text": "Hello"},
                {"type": "image", "data": "AAAA", "mimeType": "image/png"},
                {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
                {"type": "resource_link", "uri": "file:///a", "name": "a"},
                {"type": "resource", "resource": {"uri": "x://y", "text": "inside"}},
                {"type": "hologram"},
                "nothing", {"type": 7}, {"type": "text"},
            ],
            "structuredContent": {"n": 1},
        }))
        .unwrap();
        assert_eq!(
            answer.text,
            "Hello\n(a picture, image/png, shown to the owner)\n(a sound, audio/wav, that cannot be played here)\n\
             [a](file:///a)\nx://y\ninside\n(something of the type \"hologram\", which is not understood here)"
        );
        assert_eq!(answer.images[0].base64, "AAAA");
        assert_eq!((answer.structured, answer.is_error), (Some(json!({"n": 1})), false));
    }

    #[test]
    fn structured_content_alone_is_told_as_text() {
        let answer = read(json!({"content": [], "structuredContent": [1, 2], "isError": true})).unwrap();
        assert_eq!((answer.text.as_str(), answer.is_error), ("[1,2]", true));
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
        let answer = read(json!({"content": [
            {"type": "text", "text": big},
            {"type": "text", "text": "more"},
            {"type": "image", "data": big, "mimeType": "image/png"},
        ], "structuredContent": {"big": big}}))
        .unwrap();
        assert!(answer.text.len() < MOST_BYTES + 200, "{}", answer.text.len());
        assert!(answer.text.ends_with("larger than 1048576 bytes)"));
        assert_eq!((answer.images.len(), answer.structured), (0, None));
    }
}
