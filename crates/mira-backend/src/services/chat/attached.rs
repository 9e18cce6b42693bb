//! What of the files sent with messages can be shown to the model in place: pictures, and texts that are short.

use crate::services::files::Files;
use mira_core::{chat::Message, file::StoredFile, ids::FileId, model::Picture, prompt::Attachment};
use std::collections::HashMap;

/// The largest picture that is shown, in bytes.
const PICTURE_BYTES: u64 = 8 * 1024 * 1024;
/// The most pictures in one prompt: the newest.
const PICTURES: usize = 8;
/// The longest text that stands in the prompt as it is, in bytes.
const TEXT_BYTES: u64 = 8 * 1024;
/// The most texts in one prompt: the newest.
const TEXTS: usize = 8;

/// The files of these messages, as far as they can be shown. One that cannot be read is named in the prompt all the same.
pub(super) async fn of(files: &Files, messages: &[Message]) -> HashMap<FileId, Attachment> {
    let mut shown = HashMap::new();
    let (mut pictures, mut texts) = (0, 0);
    for file in messages.iter().rev().flat_map(|message| &message.files) {
        if shown.contains_key(&file.id) {
            continue;
        }
        let attachment = if file.is_picture() && file.size <= PICTURE_BYTES && pictures < PICTURES {
            pictures += 1;
            picture(files, file).await
        } else if is_text(file) && file.size <= TEXT_BYTES && texts < TEXTS {
            texts += 1;
            text(files, file).await
        } else {
            continue;
        };
        shown.extend(attachment.map(|attachment| (file.id, attachment)));
    }
    shown
}

fn is_text(file: &StoredFile) -> bool {
    file.media_type.starts_with("text/") || file.media_type == "application/json"
}

async fn bytes(files: &Files, file: &StoredFile) -> Option<Vec<u8>> {
    match tokio::fs::read(files.path(file)).await {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::warn!(%error, file.id = %file.id, "a file could not be read for the prompt");
            None
        }
    }
}

async fn picture(files: &Files, file: &StoredFile) -> Option<Attachment> {
    Some(Attachment::Picture(Picture {
        media_type: file.media_type.as_str().into(),
        bytes: bytes(files, file).await?.into(),
    }))
}

async fn text(files: &Files, file: &StoredFile) -> Option<Attachment> {
    let text = String::from_utf8(bytes(files, file).await?).ok()?;
    Some(Attachment::Text(text.into()))
}
