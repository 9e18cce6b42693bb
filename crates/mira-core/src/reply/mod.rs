//! The structured reply: its schema, and the incremental reader that turns streamed JSON into overlay, mood and text
//! while the model is still writing.
//!
//! Invariants: the pieces do not depend on where the stream was split; text is never lost, whatever a model sends
//! (a reply that is not the asked JSON is itself the text); `Head` comes before the first `Text`.

use crate::{
    chat::{Mood, ReplyMeta, Salience, one_line},
    memory::FactNote,
    model::Head,
    persona::PersonaName,
};
use serde_json::Value;

/// The name of the reply's schema on the wire.
pub const SCHEMA_NAME: &str = "mira_reply";
/// The function a model is forced to call where it takes no schema.
pub const FUNCTION_NAME: &str = "format_response";

/// The longest captured value beside the text, in bytes; a longer one is passed over.
const VALUE_CAP: usize = 64 * 1024;
/// The longest of the one-line descriptions (cause, intent, the owner's mood), in characters.
const LINE_CAP: usize = 240;
/// The longest tag, in characters.
const TAG_CAP: usize = 40;

/// The JSON Schema (strict) of a reply. Keys stand in the order in which they are wanted: overlay and mood first, so
/// that both are known before the first word.
pub fn schema(personas: &[PersonaName]) -> String {
    schema_text(personas, true)
}

/// The same without `output`, for the second call about a text that was streamed plain.
pub fn metadata_schema(personas: &[PersonaName]) -> String {
    schema_text(personas, false)
}

fn schema_text(personas: &[PersonaName], with_output: bool) -> String {
    let names: Vec<&str> = personas.iter().map(PersonaName::as_str).collect();
    let names = serde_json::to_string(&names).unwrap_or_else(|_| "[]".to_owned());
    let output = if with_output {
        r#""output":{"type":"string","description":"Your reply itself, in Markdown, in your own voice."},"#
    } else {
        ""
    };
    let output_key = if with_output { r#""output","# } else { "" };
    format!(
        concat!(
            r#"{{"type":"object","properties":{{"#,
            r#""persona":{{"type":"string","enum":{names},"description":"The overlay you are in from this reply on. Change it only when the moment calls for it."}},"#,
            r#""mood":{{"type":"string","description":"Your own mood now, in one to four words."}},"#,
            r#""mood_cause":{{"type":"string","description":"What put you in this mood, in one short clause."}},"#,
            r#"{output}"#,
            r#""intent":{{"type":"string","description":"What the owner is after, in a few words."}},"#,
            r#""owner_mood":{{"type":"string","description":"How you read the owner's mood, in a few words."}},"#,
            r#""tags":{{"type":"array","items":{{"type":"string"}},"description":"Up to five lower-case topics of this exchange."}},"#,
            r#""salience":{{"type":"number","description":"How much this exchange will matter to the two of you in a year, from 0 to 1."}},"#,
            r#""remember":{{"type":"array","items":{{"type":"object","properties":{{"#,
            r#""about":{{"type":"string","description":"Whom it is about: owner, mira, or a name."}},"#,
            r#""topic":{{"type":"string","description":"The attribute it tells of, in one to four words, such as job, home town or sister."}},"#,
            r#""text":{{"type":"string","description":"One sentence that is true by itself, in the third person, with names and dates instead of pronouns and 'today'."}},"#,
            r#""replaces":{{"type":["integer","null"],"description":"The number of the line in the block of memories that this makes outdated, else null."}}"#,
            r#"}},"required":["about","topic","text","replaces"],"additionalProperties":false}},"description":"Lasting facts the owner has just told you about themselves, you or people in their life. Usually empty."}}"#,
            r#"}},"required":["persona","mood","mood_cause",{output_key}"intent","owner_mood","tags","salience","remember"],"additionalProperties":false}}"#,
        ),
        names = names,
        output = output,
        output_key = output_key,
    )
}

/// What the reader has understood so far.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyPiece {
    /// Overlay and mood; at most once, before the first text.
    Head(Head),
    /// Text to append. Never empty.
    Text(String),
}

/// How the stream fitted the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The asked JSON, whole.
    Whole,
    /// The asked JSON, ended too early.
    Truncated,
    /// Not the asked JSON; what came was kept as the text.
    Plain,
}

/// The end of a reply.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadReply {
    /// What the reply said about itself, completed from the fallback.
    pub meta: ReplyMeta,
    /// How the stream fitted the schema.
    pub shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not decided yet whether this is JSON.
    Prefix,
    BeforeKey,
    InKey,
    AfterKey,
    BeforeValue,
    /// Inside the string that is the text.
    InText,
    /// Inside any other value, captured raw.
    InValue,
    AfterValue,
    /// The object is closed.
    Done,
    /// Everything is text.
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    Unicode { digits: u8, value: u16 },
}

/// Reads one structured reply, delta by delta.
#[derive(Debug)]
pub struct ReplyReader {
    personas: Vec<PersonaName>,
    fallback: ReplyMeta,
    state: State,
    /// Everything so far, kept until the text begins, so that it can become the text itself.
    raw: String,
    key: String,
    value: String,
    depth: u32,
    in_string: bool,
    escaped: bool,
    escape: Escape,
    high_surrogate: Option<u16>,
    fields: Fields,
    head_sent: bool,
    text_begun: bool,
    text_seen: bool,
}

#[derive(Debug, Default)]
struct Fields {
    persona: Option<String>,
    mood: Option<String>,
    mood_cause: Option<String>,
    intent: Option<String>,
    owner_mood: Option<String>,
    tags: Vec<String>,
    salience: Option<f64>,
    remember: Vec<FactNote>,
}

impl Fields {
    fn set(&mut self, key: &str, value: Value) {
        let text = |value: Value| match value {
            Value::String(text) => Some(text),
            _ => None,
        };
        match key {
            "persona" => self.persona = text(value),
            "mood" => self.mood = text(value),
            "mood_cause" => self.mood_cause = text(value),
            "intent" => self.intent = text(value),
            "owner_mood" => self.owner_mood = text(value),
            "salience" => self.salience = value.as_f64(),
            "tags" => {
                if let Value::Array(items) = value {
                    self.tags = items.into_iter().filter_map(text).collect();
                }
            }
            "remember" => {
                if let Value::Array(items) = value {
                    self.remember = items.iter().filter_map(note).take(FactNote::MAX).collect();
                }
            }
            _ => {}
        }
    }

    fn head(&self, personas: &[PersonaName], fallback: &ReplyMeta) -> Head {
        let named = self
            .persona
            .as_deref()
            .and_then(|name| personas.iter().find(|p| p.as_str() == name.trim()));
        let mood = self.mood.as_deref().and_then(Mood::from_text);
        Head {
            persona: named.unwrap_or(&fallback.persona).clone(),
            mood_cause: match mood {
                Some(_) => line(self.mood_cause.as_deref()),
                None => fallback.mood_cause.clone(),
            },
            mood: mood.unwrap_or_else(|| fallback.mood.clone()),
        }
    }

    fn meta(&self, personas: &[PersonaName], fallback: &ReplyMeta) -> ReplyMeta {
        let head = self.head(personas, fallback);
        let mut tags: Vec<String> = Vec::new();
        for tag in &self.tags {
            let tag = one_line(&tag.to_lowercase(), TAG_CAP);
            if !tag.is_empty() && !tags.contains(&tag) && tags.len() < ReplyMeta::MAX_TAGS {
                tags.push(tag);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "clamped to 0..=1 right after")]
        let salience = self.salience.map(|value| Salience::clamped(value as f32));
        ReplyMeta {
            persona: head.persona,
            mood: head.mood,
            mood_cause: head.mood_cause,
            intent: line(self.intent.as_deref()),
            owner_mood: line(self.owner_mood.as_deref()),
            tags,
            salience,
            remember: self.remember.clone(),
        }
    }
}

/// One entry of `remember`; anything that is not one is left out.
fn note(value: &Value) -> Option<FactNote> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let replaces = value.get("replaces").and_then(Value::as_u64);
    FactNote::tidy(
        text("about"),
        text("topic"),
        text("text"),
        replaces.and_then(|line| u32::try_from(line).ok()),
    )
}

fn line(text: Option<&str>) -> Option<String> {
    text.map(|text| one_line(text, LINE_CAP))
        .filter(|text| !text.is_empty())
}

/// Reads the answer of a metadata call; what is missing or wrong comes from the fallback.
pub fn read_metadata(json: &str, personas: &[PersonaName], fallback: &ReplyMeta) -> ReplyMeta {
    let mut fields = Fields::default();
    let body = json.find('{').and_then(|start| json.get(start..)).unwrap_or_default();
    let body = body.rfind('}').and_then(|end| body.get(..=end)).unwrap_or_default();
    if let Ok(Value::Object(object)) = serde_json::from_str(body) {
        for (key, value) in object {
            fields.set(&key, value);
        }
    }
    fields.meta(personas, fallback)
}

impl ReplyReader {
    /// A reader that accepts `personas` and falls back to `fallback` for what a reply does not name.
    pub fn new(personas: Vec<PersonaName>, fallback: ReplyMeta) -> Self {
        Self {
            personas,
            fallback,
            state: State::Prefix,
            raw: String::new(),
            key: String::new(),
            value: String::new(),
            depth: 0,
            in_string: false,
            escaped: false,
            escape: Escape::None,
            high_surrogate: None,
            fields: Fields::default(),
            head_sent: false,
            text_begun: false,
            text_seen: false,
        }
    }

    /// Whether what comes next belongs to the text, and everything before it is known to.
    pub fn is_in_text(&self) -> bool {
        matches!(self.state, State::InText | State::Plain) && self.escape == Escape::None
    }

    /// Reads one delta; what it completes is appended to `out`.
    pub fn push(&mut self, delta: &str, out: &mut Vec<ReplyPiece>) {
        let mut text = String::new();
        if !self.text_begun && self.state != State::Plain {
            self.raw.push_str(delta);
        }
        let mut rest = delta;
        if self.state == State::Prefix {
            rest = match self.decide() {
                Some(rest_len) => delta.get(delta.len().saturating_sub(rest_len)..).unwrap_or_default(),
                None => return,
            };
            if self.state == State::Plain {
                text.push_str(&std::mem::take(&mut self.raw));
                rest = "";
            }
        }
        while !rest.is_empty() {
            rest = self.step(rest, &mut text, out);
        }
        self.emit(text, out);
    }

    /// The end of the stream.
    pub fn finish(mut self, out: &mut Vec<ReplyPiece>) -> ReadReply {
        let mut text = String::new();
        let shape = match self.state {
            State::Plain => Shape::Plain,
            State::Prefix => {
                text.push_str(&std::mem::take(&mut self.raw));
                Shape::Plain
            }
            State::Done if self.text_begun => Shape::Whole,
            State::Done => {
                // An object without `output`: what was sent is all there is to show.
                text.push_str(&std::mem::take(&mut self.raw));
                Shape::Plain
            }
            State::BeforeKey
            | State::InKey
            | State::AfterKey
            | State::BeforeValue
            | State::InText
            | State::InValue
            | State::AfterValue => {
                self.flush_surrogate(&mut text);
                Shape::Truncated
            }
        };
        self.emit(text, out);
        ReadReply {
            meta: self.fields.meta(&self.personas, &self.fallback),
            shape,
        }
    }

    fn emit(&mut self, text: String, out: &mut Vec<ReplyPiece>) {
        if text.is_empty() || (!self.text_seen && text.trim().is_empty() && self.state == State::Plain) {
            return;
        }
        self.send_head(out);
        self.text_seen = true;
        out.push(ReplyPiece::Text(text));
    }

    fn send_head(&mut self, out: &mut Vec<ReplyPiece>) {
        if !self.head_sent {
            self.head_sent = true;
            out.push(ReplyPiece::Head(self.fields.head(&self.personas, &self.fallback)));
        }
    }

    /// Looks at the beginning of the stream. `Some(n)`: decided, the last `n` bytes of what came are still to be read.
    fn decide(&mut self) -> Option<usize> {
        let begun = self.raw.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
        if begun.is_empty() {
            return None;
        }
        let body = if let Some(fenced) = begun.strip_prefix("```") {
            match fenced.split_once('\n') {
                Some((label, body)) if matches!(label.trim(), "" | "json" | "JSON") => {
                    let body = body.trim_start();
                    if body.is_empty() {
                        return None;
                    }
                    body
                }
                None if fenced.len() < 16 && !fenced.contains(char::is_whitespace) => return None,
                _ => begun,
            }
        } else if begun.len() < 3 && "```".starts_with(begun) {
            return None;
        } else {
            begun
        };
        if let Some(inside) = body.strip_prefix('{') {
            self.state = State::BeforeKey;
            return Some(inside.len());
        }
        self.state = State::Plain;
        Some(0)
    }

    /// Not the asked JSON after all.
    fn give_up<'a>(&mut self, text: &mut String) -> &'a str {
        if self.text_begun {
            // The text is whole or under way; the rest cannot be understood and carries no words of hers.
            self.state = State::Done;
        } else {
            self.state = State::Plain;
            text.push_str(&std::mem::take(&mut self.raw));
        }
        ""
    }

    fn step<'a>(&mut self, rest: &'a str, text: &mut String, out: &mut Vec<ReplyPiece>) -> &'a str {
        match self.state {
            State::Plain => {
                text.push_str(rest);
                ""
            }
            State::Done | State::Prefix => "",
            State::InText => self.read_text(rest, text),
            State::InValue => self.read_value(rest),
            State::InKey => self.read_key(rest, text),
            State::BeforeKey | State::AfterKey | State::BeforeValue | State::AfterValue => {
                let mut chars = rest.chars();
                match chars.next() {
                    None => return "",
                    Some(' ' | '\n' | '\r' | '\t') => {}
                    Some(c) => {
                        if !self.between(c, out) {
                            return self.give_up(text);
                        }
                        if self.state == State::InValue && c != '"' {
                            return rest; // the first character belongs to the value
                        }
                    }
                }
                chars.as_str()
            }
        }
    }

    /// One character between tokens; false where JSON does not allow it.
    fn between(&mut self, c: char, out: &mut Vec<ReplyPiece>) -> bool {
        self.state = match (self.state, c) {
            (State::BeforeKey, '"') => {
                self.key.clear();
                self.escaped = false;
                State::InKey
            }
            // A trailing comma before `}` is forgiven.
            (State::BeforeKey | State::AfterValue, '}') => State::Done,
            (State::AfterKey, ':') => State::BeforeValue,
            (State::AfterValue, ',') => State::BeforeKey,
            (State::BeforeValue, '"') if self.key == "output" => {
                self.text_begun = true;
                self.raw = String::new();
                self.send_head(out);
                State::InText
            }
            (State::BeforeValue, c) if matches!(c, '"' | '{' | '[' | '-' | 't' | 'f' | 'n') || c.is_ascii_digit() => {
                if self.key == "output" && c != 'n' {
                    return false; // not a string: what was sent is the text
                }
                self.value.clear();
                self.depth = 0;
                self.in_string = c == '"';
                self.escaped = false;
                if c == '"' {
                    self.value.push('"');
                }
                State::InValue
            }
            _ => return false,
        };
        true
    }

    fn read_key<'a>(&mut self, rest: &'a str, text: &mut String) -> &'a str {
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => {
                    self.state = State::AfterKey;
                    return chars.as_str();
                }
                _ => {}
            }
            self.key.push(c);
            if self.key.len() > VALUE_CAP {
                return self.give_up(text);
            }
        }
        ""
    }

    fn read_value<'a>(&mut self, rest: &'a str) -> &'a str {
        let mut chars = rest.chars();
        loop {
            let before = chars.as_str();
            let Some(c) = chars.next() else { return "" };
            let mut ended = false;
            if self.in_string {
                match c {
                    _ if self.escaped => self.escaped = false,
                    '\\' => self.escaped = true,
                    '"' => {
                        self.in_string = false;
                        ended = self.depth == 0;
                    }
                    _ => {}
                }
            } else {
                match c {
                    '"' => self.in_string = true,
                    '{' | '[' => self.depth += 1,
                    '}' | ']' | ',' if self.depth == 0 => {
                        self.value_ended();
                        return before; // belongs to the object
                    }
                    '}' | ']' => {
                        self.depth -= 1;
                        ended = self.depth == 0;
                    }
                    _ => {}
                }
            }
            if self.value.len() < VALUE_CAP {
                self.value.push(c);
            }
            if ended {
                self.value_ended();
                return chars.as_str();
            }
        }
    }

    fn value_ended(&mut self) {
        if self.key != "output"
            && let Ok(value) = serde_json::from_str::<Value>(&self.value)
        {
            self.fields.set(&self.key, value);
        }
        self.state = State::AfterValue;
    }

    fn read_text<'a>(&mut self, rest: &'a str, text: &mut String) -> &'a str {
        if self.escape != Escape::None {
            let mut chars = rest.chars();
            if let Some(c) = chars.next() {
                self.read_escape(c, text);
            }
            return chars.as_str();
        }
        let plain_len = rest.find(['"', '\\']).unwrap_or(rest.len());
        let (plain, special) = rest.split_at_checked(plain_len).unwrap_or((rest, ""));
        if !plain.is_empty() {
            self.flush_surrogate(text);
            push_clean(plain, text);
        }
        let mut chars = special.chars();
        match chars.next() {
            Some('\\') => self.escape = Escape::Backslash,
            Some(_) => {
                self.flush_surrogate(text);
                self.state = State::AfterValue;
            }
            None => {}
        }
        chars.as_str()
    }

    fn read_escape(&mut self, c: char, text: &mut String) {
        self.escape = match (self.escape, c) {
            (Escape::Backslash, 'u') => Escape::Unicode { digits: 0, value: 0 },
            (Escape::Unicode { digits, value }, c) => match c.to_digit(16).and_then(|d| u16::try_from(d).ok()) {
                Some(digit) if digits == 3 => {
                    self.unit((value << 4) | digit, text);
                    Escape::None
                }
                Some(digit) => Escape::Unicode {
                    digits: digits + 1,
                    value: (value << 4) | digit,
                },
                None => {
                    // A broken escape shows as one replacement character and the rest as it stands.
                    self.flush_surrogate(text);
                    text.push(char::REPLACEMENT_CHARACTER);
                    text.push(c);
                    Escape::None
                }
            },
            (_, c) => {
                self.flush_surrogate(text);
                text.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' | 'f' => ' ',
                    other => other,
                });
                Escape::None
            }
        };
    }

    /// One UTF-16 unit of a `\u` escape.
    fn unit(&mut self, unit: u16, text: &mut String) {
        match (self.high_surrogate.take(), unit) {
            (Some(high), 0xDC00..=0xDFFF) => {
                let code = 0x10000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(unit) - 0xDC00);
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (before, _) => {
                if before.is_some() {
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                match unit {
                    0xD800..=0xDBFF => self.high_surrogate = Some(unit),
                    0 => text.push(char::REPLACEMENT_CHARACTER),
                    _ => text.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
        }
    }

    fn flush_surrogate(&mut self, text: &mut String) {
        if self.high_surrogate.take().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// NUL ends a string for too many readers of a database; it is shown as the replacement character instead.
fn push_clean(plain: &str, text: &mut String) {
    if plain.contains('\0') {
        text.push_str(&plain.replace('\0', "\u{fffd}"));
    } else {
        text.push_str(plain);
    }
}

#[cfg(test)]
mod tests;
