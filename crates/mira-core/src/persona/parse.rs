//! Reads the text of one overlay file. Knows the format and nothing of where the text came from.
//!
//! ```text
//! ---
//! name: haven
//! title: Haven
//! description: A soft place to land.
//! colour: #5f8f7b
//! ---
//! The voice ...
//! ```

use super::{MAX_FILE_BYTES, Persona, PersonaError, PersonaName, PersonaSource};

/// A grey that reads on a dark and on a light page.
const DEFAULT_COLOUR: &str = "#817684";
const MAX_TITLE_CHARS: usize = 80;
const MAX_DESCRIPTION_CHARS: usize = 400;
/// How much of a wrong value an error shows, in characters.
const SHOWN_CHARS: usize = 40;

/// A value and the line it stood on.
struct Value {
    line: usize,
    text: String,
}

#[derive(Default)]
struct FrontMatter {
    name: Option<Value>,
    title: Option<Value>,
    description: Option<Value>,
    colour: Option<Value>,
}

pub(super) fn persona(text: &str, source: PersonaSource) -> Result<Persona, PersonaError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(PersonaError::TooLong { bytes: text.len() });
    }
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    refuse_control_characters(&text)?;
    let (front, voice) = split(&text)?;
    let name = match &front.name {
        Some(Value { line, text }) => PersonaName::parse(text).map_err(|source| PersonaError::NameValue {
            line: *line,
            source: Box::new(source),
        })?,
        None => PersonaName::parse(&stem(&source))?,
    };
    let title = front.title.filter(|title| !title.text.is_empty());
    let title = bounded(title, "title", MAX_TITLE_CHARS)?.unwrap_or_else(|| title_from(&name));
    let description = bounded(front.description, "description", MAX_DESCRIPTION_CHARS)?.unwrap_or_default();
    let colour = front
        .colour
        .as_ref()
        .map_or_else(|| Ok(DEFAULT_COLOUR.to_owned()), colour)?;
    let voice = voice.trim();
    if voice.is_empty() {
        return Err(PersonaError::NoVoice);
    }
    Ok(Persona {
        name,
        title,
        description,
        colour,
        voice: voice.to_owned(),
        source,
    })
}

/// The front matter and what stands below it. A file that does not begin with `---` has none.
fn split(text: &str) -> Result<(FrontMatter, &str), PersonaError> {
    let mut front = FrontMatter::default();
    let Some((first, mut rest)) = text.split_once('\n').or_else(|| is_fence(text).then_some((text, ""))) else {
        return Ok((front, text));
    };
    if !is_fence(first) {
        return Ok((front, text));
    }
    let mut number = 1;
    while !rest.is_empty() {
        let (line, below) = rest.split_once('\n').unwrap_or((rest, ""));
        number += 1;
        if is_fence(line) {
            return Ok((front, below));
        }
        front.read(line, number)?;
        rest = below;
    }
    Err(PersonaError::OpenFrontMatter)
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

impl FrontMatter {
    fn read(&mut self, line: &str, number: usize) -> Result<(), PersonaError> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let Some((key, value)) = line.split_once(':') else {
            return Err(PersonaError::NotKeyValue {
                line: number,
                found: shorten(line),
            });
        };
        let (key, place) = match key.trim_end() {
            "name" => ("name", &mut self.name),
            "title" => ("title", &mut self.title),
            "description" => ("description", &mut self.description),
            "colour" | "color" => ("colour", &mut self.colour),
            _ => return Ok(()),
        };
        if place.is_some() {
            return Err(PersonaError::Repeated { line: number, key });
        }
        *place = Some(Value {
            line: number,
            text: unquoted(value.trim()).to_owned(),
        });
        Ok(())
    }
}

/// A value without the quotation marks somebody used to YAML puts around it.
fn unquoted(value: &str) -> &str {
    let inner = |mark: char| value.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

fn bounded(value: Option<Value>, key: &'static str, limit: usize) -> Result<Option<String>, PersonaError> {
    match value {
        Some(Value { line, text }) if text.chars().count() > limit => {
            Err(PersonaError::ValueTooLong { line, key, limit })
        }
        value => Ok(value.map(|value| value.text)),
    }
}

fn colour(value: &Value) -> Result<String, PersonaError> {
    let hex = value
        .text
        .strip_prefix('#')
        .filter(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    match hex {
        Some(_) => Ok(value.text.to_ascii_lowercase()),
        None => Err(PersonaError::Colour {
            line: value.line,
            found: shorten(&value.text),
        }),
    }
}

/// The file's name without its ending, in lower case. A shipped file always gives its name.
fn stem(source: &PersonaSource) -> String {
    match source {
        PersonaSource::Builtin => String::new(),
        PersonaSource::File(file) => file
            .rsplit_once('.')
            .map_or(file.as_str(), |(stem, _)| stem)
            .to_ascii_lowercase(),
    }
}

/// `sea-dog` reads as "Sea dog".
fn title_from(name: &PersonaName) -> String {
    let words = name.as_str().replace(['-', '_'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

/// A prompt is text: only line ends and tabs may be control characters.
fn refuse_control_characters(text: &str) -> Result<(), PersonaError> {
    for (index, line) in text.split('\n').enumerate() {
        if let Some(control) = line.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(PersonaError::ControlCharacter {
                line: index + 1,
                code: u32::from(control),
            });
        }
    }
    Ok(())
}

/// The beginning of a wrong value, fit for a one-line error.
pub(super) fn shorten(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(SHOWN_CHARS).map(printable).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
