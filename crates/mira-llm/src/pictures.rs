//! Pictures in a request: beside the text of the message they came with, as data URLs, in the form of either API; a
//! sentence in their place where the model does not see.

use crate::{dialect::Dialect, endpoint::Api};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mira_core::{
    chat::Role,
    model::{Picture, PromptMessage},
};
use serde::Serialize;
use std::borrow::Cow;

/// What a message says: its text, or its text and pictures.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub(crate) enum Content<'a> {
    /// Only text.
    Text(Cow<'a, str>),
    /// In parts.
    Parts(Vec<Part<'a>>),
}

/// A part of a message.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Part<'a> {
    /// Text, in the Responses API.
    InputText { text: Cow<'a, str> },
    /// A picture, in the Responses API.
    InputImage { image_url: String, detail: &'static str },
    /// Text, in Chat Completions.
    Text { text: Cow<'a, str> },
    /// A picture, in Chat Completions.
    ImageUrl { image_url: ImageUrl },
}

/// A picture's address.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct ImageUrl {
    url: String,
    detail: &'static str,
}

/// How closely a picture is looked at: as the provider thinks best.
const DETAIL: &str = "auto";

impl<'a> Content<'a> {
    /// What a message says to this server.
    pub fn of(dialect: &Dialect, message: &'a PromptMessage) -> Self {
        let text = Cow::Borrowed(&*message.text);
        if message.pictures.is_empty() {
            return Self::Text(text);
        }
        // Only the owner's side of a conversation has room for pictures.
        if !dialect.shows_pictures() || message.role != Role::User {
            return Self::Text(unseen(text, &message.pictures));
        }
        let text = match dialect.api() {
            Api::Responses => Part::InputText { text },
            Api::Chat => Part::Text { text },
        };
        let pictures = message.pictures.iter().map(|picture| {
            let url = data_url(picture);
            match dialect.api() {
                Api::Responses => Part::InputImage {
                    image_url: url,
                    detail: DETAIL,
                },
                Api::Chat => Part::ImageUrl {
                    image_url: ImageUrl { url, detail: DETAIL },
                },
            }
        });
        Self::Parts(std::iter::once(text).chain(pictures).collect())
    }

    /// Adds another message's parts.
    pub fn push_parts(&mut self, more: Vec<Part<'a>>) {
        match self {
            Self::Parts(parts) => parts.extend(more),
            Self::Text(text) => {
                let before = Cow::Owned(std::mem::take(text.to_mut()));
                let first = match more.first() {
                    Some(Part::InputText { .. } | Part::InputImage { .. }) => Part::InputText { text: before },
                    Some(Part::Text { .. } | Part::ImageUrl { .. }) | None => Part::Text { text: before },
                };
                *self = Self::Parts(std::iter::once(first).chain(more).collect());
            }
        }
    }

    /// Adds a paragraph.
    pub fn push_paragraph(&mut self, more: &str) {
        let text = match self {
            Self::Text(text) => text,
            Self::Parts(parts) => {
                let last = parts.iter_mut().rev().find_map(|part| match part {
                    Part::InputText { text } | Part::Text { text } => Some(text),
                    Part::InputImage { .. } | Part::ImageUrl { .. } => None,
                });
                let Some(text) = last else { return };
                text
            }
        };
        let text = text.to_mut();
        text.push_str("\n\n");
        text.push_str(more);
    }
}

fn data_url(picture: &Picture) -> String {
    let mut url = format!("data:{};base64,", picture.media_type);
    STANDARD.encode_string(&picture.bytes, &mut url);
    url
}

/// The text, and what could not be shown.
fn unseen<'a>(text: Cow<'a, str>, pictures: &[Picture]) -> Cow<'a, str> {
    let mut told = text.into_owned();
    for picture in pictures {
        told.push_str("\n\n[A picture (");
        told.push_str(&picture.media_type);
        told.push_str(") stands here that you cannot be shown.]");
    }
    Cow::Owned(told)
}
