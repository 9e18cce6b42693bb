//! Who Mira is and the overlays she can wear: the core self, the shipped overlays, and those an owner adds.
//!
//! Lives here: names, the parsed overlay, the set to choose from. `parse` reads one file. Not here: reading a
//! folder, watching it, building a prompt, choosing an overlay (the model does).
//!
//! Invariants: overlays are data, and no code names one of them except to embed it; a set always holds the
//! shipped four; a broken custom file is reported and takes nothing away; the bytes of `CORE_SELF` and of a
//! voice do not change while the process runs, so that prompts share their prefix.

mod parse;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize};

/// The self beneath every overlay, written to her. Goes first into every prompt.
pub const CORE_SELF: &str = include_str!("../../../../personas/core.md");

/// The longest overlay file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// The longest overlay name, in characters.
const MAX_NAME_CHARS: usize = 32;

/// The shipped overlays: file name and text.
const SHIPPED: [(&str, &str); 4] = [
    ("default.md", include_str!("../../../../personas/default.md")),
    ("forbidden.md", include_str!("../../../../personas/forbidden.md")),
    ("hallow.md", include_str!("../../../../personas/hallow.md")),
    ("haven.md", include_str!("../../../../personas/haven.md")),
];

/// Why a name or a file is no overlay. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PersonaError {
    /// The name breaks its pattern.
    #[error("\"{name}\" is no overlay name: 1 to 32 of a-z, 0-9, _ and -")]
    Name {
        /// The name as it was given, shortened.
        name: String,
    },
    /// The file is too long to be put into every prompt.
    #[error("{bytes} bytes are too many for an overlay, the limit is {MAX_FILE_BYTES}")]
    TooLong {
        /// The file's length.
        bytes: usize,
    },
    /// The front matter was opened and not closed.
    #[error("line 1: the front matter opened by --- is never closed by another ---")]
    OpenFrontMatter,
    /// A line of the front matter is no `key: value`.
    #[error("line {line}: expected \"key: value\", found \"{found}\"")]
    NotKeyValue {
        /// The line's number.
        line: usize,
        /// The line, shortened.
        found: String,
    },
    /// A key that is read stands twice.
    #[error("line {line}: \"{key}\" was already given")]
    Repeated {
        /// The line's number.
        line: usize,
        /// The key.
        key: &'static str,
    },
    /// The value of `name` breaks the pattern of names.
    #[error("line {line}: {source}")]
    NameValue {
        /// The line's number.
        line: usize,
        /// What is wrong with it.
        source: Box<PersonaError>,
    },
    /// A value is longer than it may be.
    #[error("line {line}: \"{key}\" may have at most {limit} characters")]
    ValueTooLong {
        /// The line's number.
        line: usize,
        /// The key.
        key: &'static str,
        /// The most characters it may have.
        limit: usize,
    },
    /// The colour is no `#rrggbb`.
    #[error("line {line}: \"{found}\" is no colour, expected #rrggbb")]
    Colour {
        /// The line's number.
        line: usize,
        /// The value, shortened.
        found: String,
    },
    /// Nothing stands below the front matter, so she would have no voice.
    #[error("there is no voice below the front matter")]
    NoVoice,
    /// The text holds a character that no prompt should carry.
    #[error("line {line}: control character U+{code:04X}")]
    ControlCharacter {
        /// The line's number.
        line: usize,
        /// The character's code point.
        code: u32,
    },
}

/// The name of an overlay: `[a-z0-9_-]{1,32}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PersonaName(Arc<str>);

impl PersonaName {
    /// Reads a name, which must match exactly: nothing is trimmed or folded.
    pub fn parse(name: &str) -> Result<PersonaName, PersonaError> {
        let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if (1..=MAX_NAME_CHARS).contains(&name.len()) && name.bytes().all(legal) {
            return Ok(PersonaName(Arc::from(name)));
        }
        Err(PersonaError::Name {
            name: parse::shorten(name),
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PersonaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for PersonaName {
    type Err = PersonaError;

    fn from_str(name: &str) -> Result<PersonaName, PersonaError> {
        PersonaName::parse(name)
    }
}

impl<'de> Deserialize<'de> for PersonaName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PersonaName, D::Error> {
        let name = String::deserialize(deserializer)?;
        PersonaName::parse(&name).map_err(serde::de::Error::custom)
    }
}

/// Where an overlay came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonaSource {
    /// Shipped inside the binary.
    Builtin,
    /// A file of the owner's; its name without any folder.
    File(String),
}

/// One overlay: how she sounds, never who she is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persona {
    /// What it is called in the protocol and by the model.
    pub name: PersonaName,
    /// What people read.
    pub title: String,
    /// One sentence on when it fits; may be empty.
    pub description: String,
    /// `#rrggbb`, lower case.
    pub colour: String,
    /// The prompt text: everything below the front matter, line ends `\n`, trimmed, never empty.
    pub voice: String,
    /// Where it came from.
    pub source: PersonaSource,
}

impl Persona {
    /// Reads one overlay file: front matter between `---` lines (optional), then the voice. The name of a file
    /// without a `name` is the file's stem in lower case. Unknown keys are ignored.
    pub fn parse(text: &str, source: PersonaSource) -> Result<Persona, PersonaError> {
        parse::persona(text, source)
    }
}

/// The overlays there are to choose from, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonaSet {
    personas: BTreeMap<PersonaName, Persona>,
}

/// The four shipped overlays.
pub fn builtin() -> PersonaSet {
    // A shipped file that does not parse cannot reach a release: `every_shipped_overlay_parses` counts them.
    let parsed = SHIPPED
        .iter()
        .filter_map(|(_, text)| Persona::parse(text, PersonaSource::Builtin).ok());
    PersonaSet {
        personas: parsed.map(|persona| (persona.name.clone(), persona)).collect(),
    }
}

impl PersonaSet {
    /// The overlay of that name.
    pub fn get(&self, name: &PersonaName) -> Option<&Persona> {
        self.personas.get(name)
    }

    /// All overlays by name.
    pub fn iter(&self) -> impl Iterator<Item = &Persona> {
        self.personas.values()
    }

    /// All names in order.
    pub fn names(&self) -> impl Iterator<Item = &PersonaName> {
        self.personas.keys()
    }

    /// How many overlays there are.
    pub fn len(&self) -> usize {
        self.personas.len()
    }

    /// Whether there is none, which does not happen to a set that began as [`builtin`].
    pub fn is_empty(&self) -> bool {
        self.personas.is_empty()
    }

    /// Adds the owner's files (file name and text). One of a shipped name takes that one's place; of two files
    /// with one name the later wins. A broken file is left out and handed back with what is wrong with it.
    pub fn with_custom(
        mut self,
        files: impl Iterator<Item = (String, String)>,
    ) -> (PersonaSet, Vec<(String, PersonaError)>) {
        let mut broken = Vec::new();
        for (file_name, text) in files {
            match Persona::parse(&text, PersonaSource::File(file_name.clone())) {
                Ok(persona) => {
                    self.personas.insert(persona.name.clone(), persona);
                }
                Err(error) => broken.push((file_name, error)),
            }
        }
        (self, broken)
    }
}
