//! What a client sends to say something: the same fields in a WebSocket frame and in a REST body.

use super::error::{ApiError, FieldError};
use jiff::tz::TimeZone;
use mira_core::{
    chat::{ChatRequest, MessageMetadata},
    ids::{ClientId, FileId, MessageId, ProjectId, SessionId},
    persona::PersonaName,
};
use serde::Deserialize;
use utoipa::ToSchema;

/// The longest path or language name in `metadata`, in bytes.
const MAX_PLACE_BYTES: usize = 4096;

/// The most files of one message.
const MAX_FILES: usize = 20;

/// A message to Mira.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = Chat)]
pub struct ChatBody {
    /// The owner's words, not empty.
    #[serde(default)]
    pub content: Option<String>,
    /// The same under the name `POST /chat` has for it.
    #[serde(default)]
    pub message: Option<String>,
    /// The project it is written in.
    #[serde(default)]
    pub project_id: Option<String>,
    /// The session; the socket's or the default one when absent.
    #[serde(default)]
    pub session_id: Option<String>,
    /// The client's own name for the message: a repeated one is the same message.
    #[serde(default)]
    pub client_id: Option<String>,
    /// An overlay for this turn only.
    #[serde(default)]
    pub persona: Option<String>,
    /// The message to answer to; the session's head when absent.
    #[serde(default)]
    pub parent_id: Option<String>,
    /// Uploaded files.
    #[serde(default)]
    pub file_ids: Option<Vec<String>>,
    /// The client's time zone (IANA name).
    #[serde(default)]
    pub tz: Option<String>,
    /// Where the owner wrote it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<MessageMetadata>,
}

/// What a door calls the owner's words; the other name counts where they are not under this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// `content`.
    Content,
    /// `message`.
    Message,
}

/// Collects what is wrong, so that a client hears all of it at once.
#[derive(Debug, Default)]
pub struct Complaints(Vec<FieldError>);

impl Complaints {
    /// One more thing that is wrong.
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError {
            field: field.to_owned(),
            message: message.into(),
        });
    }

    /// Parses an optional value, complaining where it is not valid.
    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        field: &str,
        text: Option<&str>,
    ) -> Option<T> {
        match text?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// Ends in an error if anything was wrong.
    pub fn done(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Invalid(self.0))
        }
    }
}

/// The owner's words: never blank; NUL, which ends a text for too many programs, becomes the replacement character.
pub fn check_content(field: &str, content: &str, complaints: &mut Complaints) -> String {
    if content.trim().is_empty() {
        complaints.add(field, "must not be empty");
    }
    if content.contains('\0') {
        content.replace('\0', "\u{fffd}")
    } else {
        content.to_owned()
    }
}

/// The files of a message, each once.
pub fn check_file_ids(ids: &[String], complaints: &mut Complaints) -> Vec<FileId> {
    let mut file_ids: Vec<FileId> = Vec::new();
    for id in ids {
        let id = complaints.parse::<FileId>("file_ids", Some(id));
        file_ids.extend(id.filter(|id| !file_ids.contains(id)));
    }
    if file_ids.len() > MAX_FILES {
        complaints.add("file_ids", format!("at most {MAX_FILES}"));
    }
    file_ids
}

/// A time zone's name.
pub fn check_tz(tz: Option<String>, complaints: &mut Complaints) -> Option<String> {
    if let Some(name) = &tz
        && TimeZone::get(name).is_err()
    {
        complaints.add("tz", "not a known IANA time zone");
    }
    tz
}

/// An id whose absence from this account is all that can be said about it.
pub fn parse_session(text: &str) -> Result<SessionId, ApiError> {
    text.parse()
        .map_err(|error: mira_core::ids::IdError| ApiError::field("session_id", error.to_string()))
}

impl ChatBody {
    /// The session named, if one is.
    pub fn session(&self) -> Result<Option<SessionId>, ApiError> {
        self.session_id.as_deref().map(parse_session).transpose()
    }

    /// The request, every field checked.
    pub fn into_request(self, words: Words) -> Result<ChatRequest, ApiError> {
        let mut complaints = Complaints::default();
        let (field, content) = match (words, self.content, self.message) {
            (Words::Message, _, Some(message)) | (Words::Content, None, Some(message)) => ("message", message),
            (Words::Content | Words::Message, Some(content), _) => ("content", content),
            (Words::Content, None, None) => return Err(ApiError::field("content", "is missing")),
            (Words::Message, None, None) => return Err(ApiError::field("message", "is missing")),
        };
        let content = check_content(field, &content, &mut complaints);
        let project_id: Option<ProjectId> = complaints.parse("project_id", self.project_id.as_deref());
        let client_id: Option<ClientId> = complaints.parse("client_id", self.client_id.as_deref());
        let persona: Option<PersonaName> = complaints.parse("persona", self.persona.as_deref());
        let parent_id: Option<MessageId> = complaints.parse("parent_id", self.parent_id.as_deref());
        let file_ids = check_file_ids(self.file_ids.as_deref().unwrap_or_default(), &mut complaints);
        let tz = check_tz(self.tz, &mut complaints);
        if let Some(metadata) = &self.metadata {
            check_metadata(metadata, &mut complaints);
        }
        complaints.done()?;
        let metadata = self.metadata.filter(|metadata| *metadata != MessageMetadata::default());
        Ok(ChatRequest {
            content,
            project_id,
            client_id,
            persona,
            parent_id,
            file_ids,
            tz,
            metadata,
        })
    }
}

fn check_metadata(metadata: &MessageMetadata, complaints: &mut Complaints) {
    for (field, value) in [
        ("metadata.file_path", &metadata.file_path),
        ("metadata.language", &metadata.language),
    ] {
        let Some(value) = value else { continue };
        if value.len() > MAX_PLACE_BYTES || value.chars().any(char::is_control) {
            complaints.add(field, "one line of at most 4096 bytes");
        }
    }
    if let Some(selection) = &metadata.selection {
        if selection.start_line == 0 {
            complaints.add("metadata.selection.start_line", "lines count from 1");
        }
        if selection.end_line < selection.start_line {
            complaints.add("metadata.selection.end_line", "must not lie before start_line");
        }
    }
}
