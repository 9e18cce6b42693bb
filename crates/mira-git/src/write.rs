//! Edits that become commits: write, create, rename, delete, alone or several at once. Each call is one commit on the branch
//! that is checked out, made from the tree of its last commit, never from what somebody has staged.

use crate::{
    confine::Found,
    error::{Clash, GitError, Missing},
    filter,
    journal::{Goal, Step},
    moves::{self, Delta, Entry},
    open::Opened,
    path::{RepoPath, SafePath, fold},
    repos::Repos,
    settings::Author,
    transition::{self, Given, unwatched},
};
use git2::{FileMode, ObjectType, Oid, Signature, Time, build::TreeUpdateBuilder};
use mira_core::{
    clock::{Clock, SystemClock},
    ids::AttachmentId,
};

/// What goes with an edit; all of it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The commit's message; without one a line that says what was done.
    pub message: Option<String>,
    /// The blob the caller has seen; if the file is another by now, nothing is done.
    pub expected_sha: Option<String>,
    /// Who wrote it; the committer is always Mira's author.
    pub author: Option<Author>,
}

/// One edit of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Writes a file, there or not.
    Put {
        /// Which.
        path: RepoPath,
        /// Its new content.
        bytes: Vec<u8>,
    },
    /// Writes a file that must not be there yet.
    Create {
        /// Which.
        path: RepoPath,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// Renames a file.
    Rename {
        /// Its old path.
        from: RepoPath,
        /// Its new path, where nothing may be.
        to: RepoPath,
    },
    /// Removes a file.
    Delete {
        /// Which.
        path: RepoPath,
    },
}

impl Edit {
    /// The path `expected_sha` is about.
    fn subject(&self) -> &RepoPath {
        match self {
            Self::Put { path, .. } | Self::Create { path, .. } | Self::Delete { path } => path,
            Self::Rename { from, .. } => from,
        }
    }

    fn described(&self) -> String {
        match self {
            Self::Put { path, .. } => format!("Update {path}"),
            Self::Create { path, .. } => format!("Create {path}"),
            Self::Rename { from, to } => format!("Rename {from} to {to}"),
            Self::Delete { path } => format!("Delete {path}"),
        }
    }
}

/// What an edit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file's blob now; `None` if it was deleted. Of several edits, that of the last.
    pub sha: Option<String>,
    /// The commit that holds it: a new one, or the present one if nothing was different.
    pub commit: String,
    /// Whether a commit was made.
    pub changed: bool,
}

impl Repos {
    /// Writes a file, new or not.
    pub async fn write(
        &self,
        id: AttachmentId,
        path: RepoPath,
        bytes: Vec<u8>,
        options: WriteOptions,
    ) -> Result<Written, GitError> {
        self.commit(id, vec![Edit::Put { path, bytes }], options).await
    }

    /// Writes a file that must not exist.
    pub async fn create(
        &self,
        id: AttachmentId,
        path: RepoPath,
        bytes: Vec<u8>,
        options: WriteOptions,
    ) -> Result<Written, GitError> {
        self.commit(id, vec![Edit::Create { path, bytes }], options).await
    }

    /// Renames a file. `expected_sha` is about the old path.
    pub async fn rename(
        &self,
        id: AttachmentId,
        from: RepoPath,
        to: RepoPath,
        options: WriteOptions,
    ) -> Result<Written, GitError> {
        self.commit(id, vec![Edit::Rename { from, to }], options).await
    }

    /// Removes a file.
    pub async fn delete(&self, id: AttachmentId, path: RepoPath, options: WriteOptions) -> Result<Written, GitError> {
        self.commit(id, vec![Edit::Delete { path }], options).await
    }

    /// Several edits as one commit: all or none. `expected_sha` is about the first.
    pub async fn commit(&self, id: AttachmentId, edits: Vec<Edit>, options: WriteOptions) -> Result<Written, GitError> {
        let limit = self.settings().max_file_bytes;
        for edit in &edits {
            if let Edit::Put { bytes, .. } | Edit::Create { bytes, .. } = edit
                && u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit
            {
                return Err(GitError::TooLarge {
                    what: "the file",
                    limit,
                });
            }
        }
        self.write_turn(id, move |opened| commit(opened, &edits, &options))
            .await
    }
}

fn commit(opened: &Opened<'_>, edits: &[Edit], options: &WriteOptions) -> Result<Written, GitError> {
    let branch = current_branch(opened)?;
    let from = opened.head_commit()?;
    let mut draft = Draft::begin(opened, from)?;
    if let (Some(wanted), Some(first)) = (&options.expected_sha, edits.first()) {
        let found = draft.entry(first.subject())?.map(|entry| entry.id.to_string());
        if found.as_ref() != Some(wanted) {
            return Err(GitError::clash(Clash::Changed, first.subject().as_str()));
        }
    }
    let mut sha = None;
    for edit in edits {
        sha = draft.apply(edit)?;
    }
    let tree = opened.repo.find_tree(draft.tree)?;
    let sha = sha.map(|id| id.to_string());
    if let Some(from) = from
        && opened.repo.find_commit(from)?.tree_id() == draft.tree
    {
        for edit in edits {
            refuse_edited(opened, &draft, edit)?;
        }
        return Ok(Written {
            sha,
            commit: from.to_string(),
            changed: false,
        });
    }
    let message = message_of(edits, options);
    let committer = signature(&opened.settings.author)?;
    let author = options
        .author
        .as_ref()
        .map_or_else(|| Ok(committer.clone()), signature)?;
    let parent = from.map(|id| opened.repo.find_commit(id)).transpose()?;
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    let to = opened
        .repo
        .commit(None, &author, &committer, &message, &tree, &parents)?;
    let step = Step {
        from,
        to,
        goal: Goal::Advance { branch },
    };
    let given = given(edits);
    let summary = message.lines().next().unwrap_or_default();
    transition::take(opened, &step, &given, &format!("commit: {summary}"), &mut unwatched)?;
    Ok(Written {
        sha,
        commit: to.to_string(),
        changed: true,
    })
}

/// The full name of the branch that is checked out.
pub(crate) fn current_branch(opened: &Opened<'_>) -> Result<String, GitError> {
    let branch = opened.head_branch()?.filter(|name| name.starts_with("refs/heads/"));
    branch.ok_or_else(|| GitError::standing(Clash::Detached))
}

/// Now, in the name of `author`.
pub(crate) fn signature(author: &Author) -> Result<Signature<'static>, GitError> {
    let now = SystemClock.now().as_second();
    Ok(Signature::new(&author.name, &author.email, &Time::new(now, 0))?)
}

fn message_of(edits: &[Edit], options: &WriteOptions) -> String {
    let given = options
        .message
        .as_deref()
        .map(str::trim)
        .filter(|message| !message.is_empty());
    let mut message = match (given, edits) {
        (Some(given), _) => given.to_owned(),
        (None, [only]) => only.described(),
        (None, edits) => {
            let lines: Vec<String> = edits.iter().map(Edit::described).collect();
            format!("Change {} files\n\n{}", edits.len(), lines.join("\n"))
        }
    };
    // A NUL would end the message early, in git's eyes.
    message.retain(|letter| letter != '\0' && letter != '\r');
    message.push('\n');
    message
}

/// Of several edits of one path the last counts.
fn given(edits: &[Edit]) -> Vec<Given<'_>> {
    let bytes = edits.iter().rev().filter_map(|edit| match edit {
        Edit::Put { path, bytes } | Edit::Create { path, bytes } => Some(Given { path, bytes }),
        Edit::Rename { .. } | Edit::Delete { .. } => None,
    });
    bytes.collect()
}

/// What is asked for is committed already; but if the work tree holds something else, saying "done" would be wrong.
fn refuse_edited(opened: &Opened<'_>, draft: &Draft<'_>, edit: &Edit) -> Result<(), GitError> {
    let path = edit.subject();
    let entry = draft.entry(path)?;
    let delta = Delta {
        path: path.as_str().as_bytes().to_vec(),
        old: entry,
        new: entry,
    };
    match moves::standing(opened, &delta, SafePath::from(path), None)? {
        moves::Standing::Edited => Err(GitError::clash(Clash::Uncommitted, path.as_str())),
        moves::Standing::Old(_) | moves::Standing::New => Ok(()),
    }
}

/// The tree of the commit to be, in the object store; refers to nothing yet.
struct Draft<'a> {
    opened: &'a Opened<'a>,
    tree: Oid,
}

impl<'a> Draft<'a> {
    fn begin(opened: &'a Opened<'a>, from: Option<Oid>) -> Result<Self, GitError> {
        let tree = match opened.tree_of(from)? {
            Some(tree) => tree.id(),
            None => opened.repo.treebuilder(None)?.write()?,
        };
        Ok(Self { opened, tree })
    }

    /// The file at `path`; an error if something else is there.
    fn entry(&self, path: &RepoPath) -> Result<Option<Entry>, GitError> {
        let tree = self.opened.repo.find_tree(self.tree)?;
        let entry = match tree.get_path(path.as_path()) {
            Ok(entry) => entry,
            Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mode = u32::try_from(entry.filemode()).unwrap_or(0);
        if entry.kind() != Some(ObjectType::Blob) || mode == moves::MODE_LINK {
            return Err(GitError::clash(Clash::NotAFile, path.as_str()));
        }
        Ok(Some(Entry { id: entry.id(), mode }))
    }

    /// One edit; the blob it leaves at its path.
    fn apply(&mut self, edit: &Edit) -> Result<Option<Oid>, GitError> {
        match edit {
            Edit::Put { path, bytes } => self.put(path, bytes).map(Some),
            Edit::Create { path, bytes } => {
                self.require_free(path, None)?;
                self.put(path, bytes).map(Some)
            }
            Edit::Delete { path } => {
                self.entry(path)?.ok_or(GitError::NotFound(Missing::Path))?;
                self.update(|update| {
                    update.remove(path.as_str());
                })?;
                Ok(None)
            }
            Edit::Rename { from, to } => {
                let entry = self.entry(from)?.ok_or(GitError::NotFound(Missing::Path))?;
                if from == to {
                    return Ok(Some(entry.id));
                }
                self.require_free(to, Some(from))?;
                self.require_place(to, Some(from))?;
                let mode = file_mode(entry.mode);
                self.update(|update| {
                    update.remove(from.as_str());
                    update.upsert(to.as_str(), entry.id, mode);
                })?;
                Ok(Some(entry.id))
            }
        }
    }

    fn put(&mut self, path: &RepoPath, bytes: &[u8]) -> Result<Oid, GitError> {
        let old = self.entry(path)?;
        if old.is_none() {
            self.require_place(path, None)?;
        }
        let blob = filter::store(self.opened, SafePath::from(path), bytes)?;
        let mode = file_mode(old.map_or(moves::MODE_FILE, |old| old.mode));
        if old.is_none_or(|old| old.id != blob) {
            self.update(|update| {
                update.upsert(path.as_str(), blob, mode);
            })?;
        }
        Ok(blob)
    }

    fn update(&mut self, change: impl FnOnce(&mut TreeUpdateBuilder)) -> Result<(), GitError> {
        let mut update = TreeUpdateBuilder::new();
        change(&mut update);
        let base = self.opened.repo.find_tree(self.tree)?;
        self.tree = update.create_updated(&self.opened.repo, &base)?;
        Ok(())
    }

    /// Nothing may be at `path`, neither committed nor lying in the work tree.
    fn require_free(&self, path: &RepoPath, moving: Option<&RepoPath>) -> Result<(), GitError> {
        let committed = self.opened.repo.find_tree(self.tree)?.get_path(path.as_path()).is_ok();
        let there = !matches!(self.opened.files.look(SafePath::from(path))?, Found::Nothing);
        if committed || (there && moving.is_none_or(|from| fold(from.as_str()) != fold(path.as_str()))) {
            return Err(GitError::clash(Clash::Exists, path.as_str()));
        }
        Ok(())
    }

    /// On the way to a new file only folders, and nowhere a twin: a name that many file systems take for the same.
    fn require_place(&self, path: &RepoPath, moving: Option<&RepoPath>) -> Result<(), GitError> {
        let mut folder = self.opened.repo.find_tree(self.tree)?;
        let mut parts = path.as_str().split('/').peekable();
        let mut here = String::new();
        while let Some(part) = parts.next() {
            let wanted = fold(part);
            let twin = folder.iter().find_map(|entry| {
                let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                let whole = format!("{here}{name}");
                let moves_away = moving.is_some_and(|from| from.as_str() == whole);
                (name != part && !moves_away && fold(&name) == wanted).then_some(whole)
            });
            if let Some(twin) = twin {
                return Err(GitError::clash(Clash::Twin, twin));
            }
            here.push_str(part);
            here.push('/');
            if parts.peek().is_none() {
                return Ok(());
            }
            let below = match folder.get_name_bytes(part.as_bytes()) {
                None => return Ok(()),
                Some(entry) if entry.kind() == Some(ObjectType::Tree) => entry.id(),
                Some(_) => return Err(GitError::clash(Clash::Exists, here.trim_end_matches('/'))),
            };
            folder = self.opened.repo.find_tree(below)?;
        }
        Ok(())
    }
}

fn file_mode(mode: u32) -> FileMode {
    if mode == moves::MODE_PROGRAM {
        FileMode::BlobExecutable
    } else {
        FileMode::Blob
    }
}
