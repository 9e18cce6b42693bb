//! Which commit each line of a file comes from.

use crate::{
    content::{blob_at, blob_bytes},
    error::{GitError, Missing},
    log::{Person, person},
    open::Opened,
    path::{RepoPath, Revision},
    repos::Repos,
};
use git2::BlameOptions;
use mira_core::ids::AttachmentId;

/// Lines that follow each other and come from one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlameRange {
    /// First line, from 1.
    pub start_line: usize,
    /// How many.
    pub lines: usize,
    /// The commit.
    pub sha: String,
    /// Its author.
    pub author: Person,
    /// First paragraph of its message.
    pub summary: String,
    /// The file's path in that commit, if it was another.
    pub old_path: Option<String>,
}

/// A file's lines by origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// The commit whose version of the file this is.
    pub commit: String,
    /// From the first line to the last.
    pub ranges: Vec<BlameRange>,
}

impl Repos {
    /// Where the lines of a committed file come from, as of `revision` (`None`: HEAD).
    pub async fn blame(&self, id: AttachmentId, path: RepoPath, revision: Option<Revision>) -> Result<Blame, GitError> {
        self.read(id, move |opened| blame(opened, &path, revision.as_ref()))
            .await
    }
}

fn blame(opened: &Opened<'_>, path: &RepoPath, revision: Option<&Revision>) -> Result<Blame, GitError> {
    let commit = opened.commit_at(revision)?.ok_or(GitError::NotFound(Missing::Commit))?;
    let blob = blob_at(opened, Some(commit), path)?.ok_or(GitError::NotFound(Missing::Path))?;
    // Over the limit this fails, before hours are spent on a huge file.
    blob_bytes(opened, blob)?;
    let mut options = BlameOptions::new();
    options.newest_commit(commit);
    let found = opened.repo.blame_file(path.as_path(), Some(&mut options))?;
    let mut ranges = Vec::new();
    for hunk in found.iter() {
        let sha = hunk.final_commit_id();
        let commit = opened.repo.find_commit(sha)?;
        let old_path = hunk.path().map(|path| path.to_string_lossy().into_owned());
        ranges.push(BlameRange {
            start_line: hunk.final_start_line(),
            lines: hunk.lines_in_hunk(),
            sha: sha.to_string(),
            author: person(&commit.author()),
            summary: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
            old_path: old_path.filter(|old| old != path.as_str()),
        });
    }
    Ok(Blame {
        commit: commit.to_string(),
        ranges,
    })
}
