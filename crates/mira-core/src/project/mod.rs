//! The nouns of projects and artifacts, and what their fields may hold. Rows, wire formats and hashing live elsewhere;
//! changing a text by exact edits lives in [`edit`].
//!
//! Invariants: a version of an artifact never changes; its content is text for every kind but an image, and an image is
//! one of the formats known here by its first bytes, whatever somebody calls it.

pub mod edit;

use crate::{
    approval::Asks,
    ids::{ArtifactId, MessageId, ProjectId},
};
use jiff::Timestamp;

/// What belongs together: instructions, artifacts, sessions, later repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, 1 to [`Project::MAX_NAME_CHARS`] characters on one line.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Lower case, each once; see [`tidy_tags`].
    pub tags: Vec<String>,
    /// What she is told in every turn of the project.
    pub instructions: String,
    /// What the owner wants to be asked about before it happens.
    pub approvals: Asks,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Project {
    /// The longest name.
    pub const MAX_NAME_CHARS: usize = 200;
    /// The longest description.
    pub const MAX_DESCRIPTION_CHARS: usize = 4000;
    /// The most tags.
    pub const MAX_TAGS: usize = 20;
    /// The longest tag.
    pub const MAX_TAG_CHARS: usize = 40;
    /// The longest instructions, in bytes.
    pub const MAX_INSTRUCTIONS_BYTES: usize = 32 * 1024;
}

/// Tags as they are kept: on one line, lower case, none empty, each once, in the order given. Lengths are not checked.
pub fn tidy_tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for tag in tags {
        let words: Vec<&str> = tag
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        let tag = words.join(" ").to_lowercase();
        if !tag.is_empty() && !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    kept
}

/// What goes when a project is deleted, and what leaves it and stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectDeletion {
    /// Artifacts that go.
    pub artifacts: u64,
    /// Versions of them, all told.
    pub versions: u64,
    /// Sessions that leave the project and stay.
    pub sessions: u64,
    /// Attached repositories whose clones go.
    pub repos: u64,
    /// Files that go.
    pub files: u64,
}

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArtifactKind {
    /// A source file.
    Code,
    /// Markdown.
    Markdown,
    /// A page of HTML, with scripts of its own perhaps.
    Html,
    /// A drawing as SVG.
    Svg,
    /// Plain text.
    Note,
    /// A picture of pixels.
    Image,
    /// Output of a program.
    Log,
    /// JSON.
    Json,
}

impl ArtifactKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Code,
        Self::Markdown,
        Self::Html,
        Self::Svg,
        Self::Note,
        Self::Image,
        Self::Log,
        Self::Json,
    ];

    /// Its name, in columns and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Svg => "svg",
            Self::Note => "note",
            Self::Image => "image",
            Self::Log => "log",
            Self::Json => "json",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Who made a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The owner, by hand.
    Owner,
    /// Mira, by a tool.
    Mira,
}

impl Author {
    /// Its name, in columns and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Mira => "mira",
        }
    }

    /// The author of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Owner, Self::Mira].into_iter().find(|who| who.as_str() == name)
    }
}

/// The formats of pictures that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
}

impl ImageFormat {
    /// The format of these bytes by their beginning (the registered signatures of the four formats).
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Some(Self::Gif)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else {
            None
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }

    /// The ending of its files' names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }
}

/// What a version holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArtifactContent {
    /// Text, without NUL.
    Text(String),
    /// A picture's bytes; [`ImageFormat::of`] knows them.
    Image(Vec<u8>),
}

impl ArtifactContent {
    /// The largest text, in bytes.
    pub const MAX_TEXT_BYTES: usize = 2 * 1024 * 1024;
    /// The largest picture, in bytes.
    pub const MAX_IMAGE_BYTES: usize = 8 * 1024 * 1024;

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Image(bytes) => bytes,
        }
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.bytes().len() as u64
    }

    /// Its text; `None` for a picture.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Image(_) => None,
        }
    }
}

/// A hash as it is written: 64 hexadecimal digits.
pub fn hex(sha256: &[u8; 32]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    sha256
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// A hash from how it is written, in small or capital letters.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut sha256 = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in sha256.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(sha256)
}

/// Something that is worked on: a file, a page, a note, a picture. Shown as its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its id.
    pub id: ArtifactId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// Its name, for showing only: it is never a path.
    pub name: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// The programming language of code.
    pub language: Option<String>,
    /// The newest version's number, from 1.
    pub version: u32,
    /// SHA-256 of the newest version's bytes.
    pub sha256: [u8; 32],
    /// How many bytes that has.
    pub size: u64,
    /// Who made that version.
    pub author: Author,
    /// The message that made it; `None` where the owner did by hand, or the message is gone.
    pub message_id: Option<MessageId>,
    /// The newest content; `None` in lists.
    pub content: Option<ArtifactContent>,
    /// When the artifact was made.
    pub created_at: Timestamp,
    /// When it last changed, its name too.
    pub updated_at: Timestamp,
}

impl Artifact {
    /// The longest name.
    pub const MAX_NAME_CHARS: usize = 200;
    /// The longest name of a language.
    pub const MAX_LANGUAGE_CHARS: usize = 40;
}

/// One version of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactVersion {
    /// The artifact.
    pub artifact_id: ArtifactId,
    /// Its number, from 1.
    pub version: u32,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// How many bytes it has.
    pub size: u64,
    /// Who made it.
    pub author: Author,
    /// The message that made it.
    pub message_id: Option<MessageId>,
    /// What it holds; `None` in lists.
    pub content: Option<ArtifactContent>,
    /// When it was made.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_tidied() {
        let tags = ["  Rust ", "rust", "", "\u{0}", "Two\n words", "ÄRGER"];
        assert_eq!(tidy_tags(tags), ["rust", "two words", "ärger"]);
    }

    #[test]
    fn names_are_read_back() {
        for kind in ArtifactKind::ALL {
            assert_eq!(ArtifactKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ArtifactKind::parse("Code"), None);
        assert_eq!(Author::parse("mira"), Some(Author::Mira));
        assert_eq!(Author::parse(""), None);
    }

    #[test]
    fn pictures_are_known_by_their_bytes() {
        for (bytes, expect) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"<svg onload=alert(1)>", None),
            (b"", None),
        ] {
            assert_eq!(ImageFormat::of(bytes).map(ImageFormat::media_type), expect);
        }
    }
}
