//! What of the files sent with messages, or brought by tools, can be shown to the model in place: pictures, and texts
//! that are short. Pictures are kept as requests hold them, by their hashes, so that those of a conversation are read
//! once and not in each turn.

use crate::services::{deps::Deps, files::Files};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future;
use mira_core::{chat::Message, file::StoredFile, ids::FileId, model::Picture, prompt::Attachment};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The largest picture that is shown, in bytes.
const PICTURE_BYTES: u64 = 8 * 1024 * 1024;
/// The most pictures in one prompt: the newest that were sent, and as many of the newest that tools brought.
pub(super) const PICTURES: usize = 8;
/// The longest text that stands in the prompt as it is, in bytes.
const TEXT_BYTES: u64 = 8 * 1024;
/// The most texts in one prompt: the newest.
const TEXTS: usize = 8;
/// Pictures that are kept, in bytes of base64: one of the largest with several of the usual ones.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// A picture's bytes in base64, and their hash.
type Encoded = ([u8; 32], Arc<str>);

/// The pictures of late. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Pictures(Arc<Mutex<VecDeque<Encoded>>>);

impl Pictures {
    /// Oldest first.
    fn kept(&self) -> MutexGuard<'_, VecDeque<Encoded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, sha256: &[u8; 32]) -> Option<Arc<str>> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(it, _)| it == sha256)?;
        let found = kept.remove(at)?;
        let base64 = Arc::clone(&found.1);
        kept.push_back(found);
        Some(base64)
    }

    fn keep(&self, sha256: [u8; 32], base64: &Arc<str>) {
        let mut kept = self.kept();
        kept.retain(|(it, _)| *it != sha256);
        kept.push_back((sha256, Arc::clone(base64)));
        let mut bytes: usize = kept.iter().map(|(_, base64)| base64.len()).sum();
        while bytes > KEPT_BYTES
            && let Some((_, oldest)) = kept.pop_front()
        {
            bytes -= oldest.len();
        }
    }
}

/// The files of these messages, as far as they can be shown; read side by side. One that cannot be read is named in the
/// prompt all the same. Where no picture is shown, none is read.
pub(super) async fn of(
    files: &Files,
    pictures: &Pictures,
    shows_pictures: bool,
    messages: &[Message],
) -> HashMap<FileId, Attachment> {
    let mut seen = HashSet::new();
    let newest = messages.iter().rev().flat_map(|message| &message.files);
    let (images, texts): (Vec<&StoredFile>, Vec<&StoredFile>) = newest
        .filter(|file| fits(file) && seen.insert(file.id))
        .partition(|file| file.is_picture());
    let images = images.into_iter().take(PICTURES).map(async |file| {
        let base64 = if shows_pictures {
            Some(encoded(files, pictures, file).await?)
        } else {
            None
        };
        Some((file.id, Attachment::Picture(picture(file, base64))))
    });
    let texts = texts.into_iter().take(TEXTS).map(async |file| {
        let text = read(files, file, String::from_utf8).await?.ok()?;
        Some((file.id, Attachment::Text(text.into())))
    });
    let (images, texts) = future::join(future::join_all(images), future::join_all(texts)).await;
    images.into_iter().chain(texts).flatten().collect()
}

/// The pictures that tools of one round have brought, as far as they can be shown; none where the model does not see.
pub(super) async fn shown(deps: &Deps, brought: impl Iterator<Item = StoredFile>) -> Vec<Picture> {
    if !deps.model.shows_pictures() {
        return Vec::new();
    }
    let brought: Vec<StoredFile> = brought
        .filter(|file| file.is_picture() && fits(file))
        .take(PICTURES)
        .collect();
    let read = brought.iter().map(async |file| {
        let base64 = encoded(&deps.files, &deps.pictures, file).await?;
        Some(picture(file, Some(base64)))
    });
    future::join_all(read).await.into_iter().flatten().collect()
}

fn picture(file: &StoredFile, base64: Option<Arc<str>>) -> Picture {
    Picture {
        media_type: file.media_type.as_str().into(),
        sha256: file.sha256,
        base64,
    }
}

/// Whether it is shown if there is room.
fn fits(file: &StoredFile) -> bool {
    let is_text = file.media_type.starts_with("text/") || file.media_type == "application/json";
    if file.is_picture() {
        file.size <= PICTURE_BYTES
    } else {
        is_text && file.size <= TEXT_BYTES
    }
}

async fn encoded(files: &Files, pictures: &Pictures, file: &StoredFile) -> Option<Arc<str>> {
    if let Some(kept) = pictures.find(&file.sha256) {
        return Some(kept);
    }
    let base64: Arc<str> = read(files, file, |bytes| STANDARD.encode(bytes)).await?.into();
    pictures.keep(file.sha256, &base64);
    Some(base64)
}

/// What `make` makes of a file's bytes.
async fn read<T: Send + 'static>(
    files: &Files,
    file: &StoredFile,
    make: impl FnOnce(Vec<u8>) -> T + Send + 'static,
) -> Option<T> {
    let path = files.path(file);
    let reading = files.life().spawn_blocking(move || std::fs::read(path).map(make));
    match reading.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(made) => Some(made),
        Err(error) => {
            tracing::warn!(%error, file.id = %file.id, "a file could not be read for the prompt");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_an_end() {
        let pictures = Pictures::default();
        let third: Arc<str> = "x".repeat(KEPT_BYTES / 3).into();
        for n in 1..=3 {
            pictures.keep([n; 32], &third);
        }
        // What was shown last goes last.
        assert!(pictures.find(&[1; 32]).is_some());
        pictures.keep([4; 32], &third);
        let there = [1, 2, 3, 4].map(|n| pictures.find(&[n; 32]).is_some());
        assert_eq!(there, [true, false, true, true]);
        pictures.keep([5; 32], &"x".repeat(KEPT_BYTES + 1).into());
        assert_eq!(pictures.kept().len(), 0);
        pictures.keep([6; 32], &third);
        pictures.keep([6; 32], &third);
        assert_eq!(pictures.kept().len(), 1);
    }
}
