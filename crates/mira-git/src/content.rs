//! One file: as it lies in the work tree now, or as a commit has it.

use crate::{
    confine::Found,
    error::{Clash, GitError, Missing},
    filter,
    open::Opened,
    path::{RepoPath, Revision, SafePath},
    repos::Repos,
    text::language_of,
};
use git2::{ObjectType, Oid};
use mira_core::ids::AttachmentId;

/// The largest AGENTS.md that is read, bytes.
pub const MAX_AGENTS_MD: usize = 32 * 1024;

/// The bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Valid UTF-8 without NUL.
    Text(String),
    /// Anything else.
    Binary(Vec<u8>),
}

impl Body {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Self::Text(text),
            Ok(text) => Self::Binary(text.into_bytes()),
            Err(error) => Self::Binary(error.into_bytes()),
        }
    }

    /// The bytes, whatever they are.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// How a file that was read stands to the commit that is checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As committed.
    Committed,
    /// Edited by hand; `sha` is that of the committed version.
    Edited,
    /// In no commit yet.
    Untracked,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Where.
    pub path: String,
    /// What.
    pub body: Body,
    /// By the name: `rust`, `python`, ...
    pub language: Option<&'static str>,
    /// Bytes.
    pub size: u64,
    /// The blob in the commit, which is what `expected_sha` is compared with; `None` if untracked.
    pub sha: Option<String>,
    /// The commit; `None` in a repository without one.
    pub commit: Option<String>,
    /// How what was read stands to it.
    pub standing: Standing,
}

impl Repos {
    /// Reads a file: from the work tree without a revision, from the commit with one.
    pub async fn read_file(
        &self,
        id: AttachmentId,
        path: RepoPath,
        revision: Option<Revision>,
    ) -> Result<Content, GitError> {
        self.read(id, move |opened| match &revision {
            None => from_work_tree(opened, &path),
            Some(revision) => {
                let commit = opened
                    .commit_at(Some(revision))?
                    .ok_or(GitError::NotFound(Missing::Commit))?;
                from_commit(opened, &path, commit)
            }
        })
        .await
    }

    /// A file as one commit has it.
    pub async fn file_at(&self, id: AttachmentId, commit: Revision, path: RepoPath) -> Result<Content, GitError> {
        self.read_file(id, path, Some(commit)).await
    }

    /// AGENTS.md at the root of the work tree, cut at [`MAX_AGENTS_MD`]; `None` if there is none or it is no text.
    pub async fn agents_md(&self, id: AttachmentId) -> Result<Option<String>, GitError> {
        self.read(id, |opened| {
            let path = RepoPath::parse("AGENTS.md")?;
            let bytes = match opened.files.read((&path).into(), opened.settings.max_file_bytes) {
                Ok(bytes) => bytes,
                Err(GitError::TooLarge { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let text = bytes.map(|mut bytes| {
                bytes.truncate(MAX_AGENTS_MD);
                Body::of(whole_letters(bytes))
            });
            Ok(match text {
                Some(Body::Text(text)) => Some(text),
                Some(Body::Binary(_)) | None => None,
            })
        })
        .await
    }
}

/// Without the part of a letter that a cut left at the end.
fn whole_letters(mut bytes: Vec<u8>) -> Vec<u8> {
    let cut = std::str::from_utf8(&bytes)
        .err()
        .filter(|error| error.error_len().is_none());
    if let Some(error) = cut {
        bytes.truncate(error.valid_up_to());
    }
    bytes
}

/// The blob a commit has at a path; `None` if nothing is there.
pub(crate) fn blob_at(opened: &Opened<'_>, commit: Option<Oid>, path: &RepoPath) -> Result<Option<Oid>, GitError> {
    let Some(tree) = opened.tree_of(commit)? else {
        return Ok(None);
    };
    match tree.get_path(path.as_path()) {
        Ok(entry) if entry.kind() == Some(ObjectType::Blob) => Ok(Some(entry.id())),
        Ok(_) => Err(GitError::clash(Clash::NotAFile, path.as_str())),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn from_work_tree(opened: &Opened<'_>, path: &RepoPath) -> Result<Content, GitError> {
    let commit = opened.head_commit()?;
    let safe = SafePath::from(path);
    let bytes = match opened.files.look(safe)? {
        Found::Nothing => return Err(GitError::NotFound(Missing::Path)),
        Found::Folder | Found::Other => return Err(GitError::clash(Clash::NotAFile, path.as_str())),
        Found::File(_) => opened.files.read(safe, opened.settings.max_file_bytes)?,
    };
    let bytes = bytes.ok_or(GitError::NotFound(Missing::Path))?;
    // A folder in the commit where a file is now: the file is new.
    let blob = match blob_at(opened, commit, path) {
        Err(GitError::Conflict { .. }) => None,
        found => found?,
    };
    let standing = match blob {
        None => Standing::Untracked,
        Some(blob) if filter::clean_id(opened, safe, &bytes)? == blob => Standing::Committed,
        Some(_) => Standing::Edited,
    };
    Ok(content(path, bytes, blob, commit, standing))
}

fn from_commit(opened: &Opened<'_>, path: &RepoPath, commit: Oid) -> Result<Content, GitError> {
    let blob = blob_at(opened, Some(commit), path)?.ok_or(GitError::NotFound(Missing::Path))?;
    let bytes = blob_bytes(opened, blob)?;
    Ok(content(path, bytes, Some(blob), Some(commit), Standing::Committed))
}

/// A blob, if it is not larger than a file may be.
pub(crate) fn blob_bytes(opened: &Opened<'_>, blob: Oid) -> Result<Vec<u8>, GitError> {
    let (size, _) = opened.repo.odb()?.read_header(blob)?;
    let limit = opened.settings.max_file_bytes;
    if u64::try_from(size).unwrap_or(u64::MAX) > limit {
        return Err(GitError::TooLarge {
            what: "the file",
            limit,
        });
    }
    Ok(opened.repo.find_blob(blob)?.content().to_vec())
}

fn content(path: &RepoPath, bytes: Vec<u8>, blob: Option<Oid>, commit: Option<Oid>, standing: Standing) -> Content {
    Content {
        path: path.as_str().to_owned(),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        body: Body::of(bytes),
        language: language_of(path.name()),
        sha: blob.map(|id| id.to_string()),
        commit: commit.map(|id| id.to_string()),
        standing,
    }
}
