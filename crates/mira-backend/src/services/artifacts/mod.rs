//! Artifacts: contents as clients and tools write them, and changes that every socket of the account hears of. Line
//! diffs are in [`diff`], signed preview links in [`preview`].

pub mod diff;
pub mod preview;

use crate::services::{deps::ArtifactChange, forget, hub::Hub};
use base64::{Engine, engine::general_purpose::STANDARD};
use mira_core::{
    ids::{AccountId, ArtifactId, MessageId, ProjectId},
    project::{Artifact, ArtifactContent, ArtifactKind, Author, ImageFormat},
};
use mira_memory::{
    ArtifactPatch, DeleteOutcome, Expected, NewArtifact, NewVersion, Origin, StoreError, VersionOutcome,
};
use std::borrow::Cow;

/// Why a content is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// More bytes than its kind takes.
    #[error("at most {limit} bytes")]
    TooLarge {
        /// The most.
        limit: usize,
    },
    /// NUL ends a text for too many programs.
    #[error("a text must not hold NUL characters")]
    Nul,
    /// No picture in a data URL.
    #[error("a picture is a data URL: data:image/png;base64,... (png, jpeg, gif or webp)")]
    NotAPicture,
    /// The data URL says another format than its bytes.
    #[error("the bytes are not those of {0}")]
    WrongFormat(String),
}

/// A content as it is written: text as it is, a picture as a data URL in base64.
pub fn parse_content(kind: ArtifactKind, text: String) -> Result<ArtifactContent, ContentError> {
    if kind != ArtifactKind::Image {
        let limit = ArtifactContent::MAX_TEXT_BYTES;
        return if text.len() > limit {
            Err(ContentError::TooLarge { limit })
        } else if text.contains('\0') {
            Err(ContentError::Nul)
        } else {
            Ok(ArtifactContent::Text(text))
        };
    }
    let (media_type, data) = text
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"))
        .ok_or(ContentError::NotAPicture)?;
    let limit = ArtifactContent::MAX_IMAGE_BYTES;
    // Four characters stand for three bytes.
    if data.len() / 4 * 3 > limit + 2 {
        return Err(ContentError::TooLarge { limit });
    }
    let bytes = STANDARD.decode(data).map_err(|_| ContentError::NotAPicture)?;
    if bytes.len() > limit {
        return Err(ContentError::TooLarge { limit });
    }
    match ImageFormat::of(&bytes) {
        Some(format) if format.media_type().eq_ignore_ascii_case(media_type) => Ok(ArtifactContent::Image(bytes)),
        Some(_) | None => Err(ContentError::WrongFormat(
            media_type.chars().take(40).filter(|c| !c.is_control()).collect(),
        )),
    }
}

/// A content as clients see it; what [`parse_content`] takes.
pub fn content_text(content: &ArtifactContent) -> Cow<'_, str> {
    match content {
        ArtifactContent::Text(text) => Cow::Borrowed(text),
        ArtifactContent::Image(bytes) => {
            let media_type = ImageFormat::of(bytes).map_or("application/octet-stream", ImageFormat::media_type);
            Cow::Owned(format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
        }
    }
}

/// Who makes something, and in which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maker {
    /// Who.
    pub author: Author,
    /// The message it is made in; `None` by hand.
    pub message_id: Option<MessageId>,
}

impl Maker {
    /// The owner, by hand.
    pub const OWNER: Self = Self {
        author: Author::Owner,
        message_id: None,
    };

    fn origin(self, hub: &Hub) -> Origin {
        Origin {
            author: self.author,
            message_id: self.message_id,
            now: hub.deps().clock.now(),
        }
    }
}

/// An artifact to make, its fields checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactFields {
    /// The project it goes to.
    pub project_id: ProjectId,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// The language of code.
    pub language: Option<String>,
    /// Its content, of that kind.
    pub content: ArtifactContent,
}

/// Makes an artifact; `None` if there is no such project.
pub async fn create(
    hub: &Hub,
    account: AccountId,
    fields: ArtifactFields,
    maker: Maker,
) -> Result<Option<Artifact>, StoreError> {
    let deps = hub.deps();
    let new = NewArtifact {
        id: ArtifactId(deps.clock.new_uuid()),
        project_id: fields.project_id,
        name: fields.name,
        kind: fields.kind,
        language: fields.language,
        content: fields.content,
        origin: maker.origin(hub),
    };
    let artifact = deps.store.create_artifact(account, new).await?;
    if let Some(artifact) = &artifact {
        hub.announce_artifact(ArtifactChange::Created(artifact));
    }
    Ok(artifact)
}

/// Adds a version; `expected` is what its maker knows.
pub async fn add_version(
    hub: &Hub,
    account: AccountId,
    id: ArtifactId,
    content: ArtifactContent,
    expected: Expected,
    patch: ArtifactPatch,
    maker: Maker,
) -> Result<VersionOutcome, StoreError> {
    let new = NewVersion {
        content,
        expected,
        patch,
        origin: maker.origin(hub),
    };
    let outcome = hub.deps().store.add_version(account, id, new).await?;
    announce(hub, &outcome);
    Ok(outcome)
}

/// Makes an old version's content the newest.
pub async fn restore(
    hub: &Hub,
    account: AccountId,
    id: ArtifactId,
    version: u32,
    expected: Expected,
    maker: Maker,
) -> Result<VersionOutcome, StoreError> {
    let store = &hub.deps().store;
    let outcome = store
        .restore_version(account, id, version, expected, maker.origin(hub))
        .await?;
    announce(hub, &outcome);
    Ok(outcome)
}

fn announce(hub: &Hub, outcome: &VersionOutcome) {
    match outcome {
        VersionOutcome::Added(artifact) | VersionOutcome::Renamed(artifact) => {
            hub.announce_artifact(ArtifactChange::Updated(artifact));
        }
        VersionOutcome::Unchanged(_)
        | VersionOutcome::Mismatch { .. }
        | VersionOutcome::WrongContent
        | VersionOutcome::NoSuchVersion
        | VersionOutcome::NoSuchArtifact => {}
    }
}

/// Changes name or language.
pub async fn rename(
    hub: &Hub,
    account: AccountId,
    id: ArtifactId,
    patch: ArtifactPatch,
    expected: Expected,
) -> Result<VersionOutcome, StoreError> {
    let deps = hub.deps();
    let outcome = deps
        .store
        .update_artifact(account, id, patch, expected, deps.clock.now())
        .await?;
    announce(hub, &outcome);
    Ok(outcome)
}

/// Deletes an artifact with all its versions.
pub async fn delete(
    hub: &Hub,
    account: AccountId,
    id: ArtifactId,
    expected: Expected,
) -> Result<DeleteOutcome, StoreError> {
    let outcome = hub.deps().store.delete_artifact(account, id, expected).await?;
    if let DeleteOutcome::Deleted(project) = outcome {
        hub.announce_artifact(ArtifactChange::Deleted(id, project));
        forget::wipe_later(hub);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &str = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";

    fn check(kind: ArtifactKind, text: &str, expect: Result<(), ContentError>) {
        let found = parse_content(kind, text.to_owned());
        if let Ok(content) = &found {
            assert_eq!(content_text(content), text, "what is taken is given back");
        }
        let shown: String = text.chars().take(60).collect();
        assert_eq!(found.err(), expect.err(), "{kind:?} {shown:?}");
    }

    #[test]
    fn contents() {
        use ArtifactKind::{Image, Note, Svg};
        check(Note, "", Ok(()));
        check(Svg, "<svg/>", Ok(()));
        check(Note, "a\0b", Err(ContentError::Nul));
        let limit = ArtifactContent::MAX_TEXT_BYTES;
        check(Note, &"x".repeat(limit), Ok(()));
        check(Note, &"x".repeat(limit + 1), Err(ContentError::TooLarge { limit }));
        check(Image, GIF, Ok(()));
        for text in [
            "",
            "R0lGODlhAQABAAAAACw=",
            "data:image/gif,GIF89a",
            "data:image/gif;base64,!!",
            "https://example.org/a.png",
        ] {
            check(Image, text, Err(ContentError::NotAPicture));
        }
        let wrong = |name: &str| Err(ContentError::WrongFormat(name.to_owned()));
        check(Image, &GIF.replace("gif", "png"), wrong("image/png"));
        check(Image, "data:image/svg+xml;base64,PHN2Zy8+", wrong("image/svg+xml"));
        check(Image, "data:text/html;base64,PHN2Zy8+", wrong("text/html"));
        let limit = ArtifactContent::MAX_IMAGE_BYTES;
        let mut large = b"GIF89a".to_vec();
        large.resize(limit, 0);
        let url = |bytes: &[u8]| format!("data:image/gif;base64,{}", STANDARD.encode(bytes));
        check(Image, &url(&large), Ok(()));
        large.push(0);
        check(Image, &url(&large), Err(ContentError::TooLarge { limit }));
    }
}
