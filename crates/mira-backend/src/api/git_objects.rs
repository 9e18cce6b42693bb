//! Repositories and proposals as clients see them, in answers and in events. Times are RFC 3339 in UTC; `sha` is an id of
//! git's. What only REST answers is in [`super::http::git`].

use crate::services::git::unpublished::Unsaved;
use mira_core::repo::{Proposal, Repo, RepoProgress};
use mira_git::{DiffHunk, DiffLine, FileChange, FileDiff, LineKind, Unpublished};
use serde::Serialize;
use utoipa::ToSchema;

/// How far a clone or a sync is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RepoProgress)]
pub struct ProgressObject {
    /// `connecting`, `receiving`, `resolving`, `checking_out` or `sending`.
    pub stage: String,
    /// Objects that have arrived.
    pub received_objects: u64,
    /// Objects there will be; 0 while that is not known.
    pub total_objects: u64,
    /// Bytes that have arrived.
    pub received_bytes: u64,
    /// Of the stage, 0 to 100.
    pub percent: u8,
}

impl ProgressObject {
    fn of(progress: &RepoProgress) -> Self {
        Self {
            stage: progress.stage.clone(),
            received_objects: progress.received_objects,
            total_objects: progress.total_objects,
            received_bytes: progress.received_bytes,
            percent: progress.percent,
        }
    }
}

/// An attached repository.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Repo)]
pub struct RepoObject {
    /// Its id, which paths call `att`.
    pub id: String,
    /// The project it belongs to.
    pub project_id: String,
    /// Where it was cloned from, without credentials.
    pub repo_url: String,
    /// What is checked out; while it is cloned, what was asked for. Null where no branch is.
    pub branch: Option<String>,
    /// `cloning`, `ready`, `syncing`, `failed` or `cancelled`.
    pub status: &'static str,
    /// How far it is, while something is under way.
    pub progress: Option<ProgressObject>,
    /// Why the last clone or sync failed.
    pub error: Option<String>,
    /// What becomes of Mira's own changes: `propose` (the owner decides) or `direct` (they are committed at once).
    pub writes: &'static str,
    /// When it was last in step with its remote by a sync.
    pub last_sync_at: Option<String>,
    /// When it was attached.
    pub created_at: String,
    /// When this last changed.
    pub updated_at: String,
}

impl RepoObject {
    /// The object of a repository.
    pub fn of(repo: &Repo) -> Self {
        Self {
            id: repo.id.to_string(),
            project_id: repo.project_id.to_string(),
            repo_url: repo.repo_url.clone(),
            branch: repo.branch.clone(),
            status: repo.status.as_str(),
            progress: repo.progress.as_ref().map(ProgressObject::of),
            error: repo.error.clone(),
            writes: repo.writes.as_str(),
            last_sync_at: repo.last_sync_at.map(|at| at.to_string()),
            created_at: repo.created_at.to_string(),
            updated_at: repo.updated_at.to_string(),
        }
    }
}

/// What is in a clone and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RepoUnpublished)]
pub struct UnpublishedObject {
    /// The repository.
    pub attachment_id: String,
    /// Where it was cloned from.
    pub repo_url: String,
    /// Commits of its own branches, tags and other refs that the remote has not; at most 1000 are counted.
    pub unpushed_commits: u64,
    /// Files with edits in no commit, new ones too; at most 1000 are counted.
    pub changed_files: u64,
    /// The branches with such commits, the first 50 by name.
    pub branches: Vec<String>,
    /// How many there are.
    pub branch_count: u64,
    /// Edits that were put aside by `git stash`.
    pub stashes: u64,
    /// Tags the remote has not, or not like this, the first 50 by name.
    pub tags: Vec<String>,
    /// How many there are.
    pub tag_count: u64,
    /// Other refs with such commits, by their full names (`refs/notes/commits`), the first 50.
    pub refs: Vec<String>,
    /// How many there are.
    pub ref_count: u64,
    /// Why nobody can tell what is in it; then the counts say nothing.
    pub error: Option<String>,
}

impl UnpublishedObject {
    /// The object of a repository with something to lose.
    pub fn of(unsaved: &Unsaved) -> Self {
        let (found, error) = match &unsaved.found {
            Ok(found) => (found.clone(), None),
            Err(why) => (Unpublished::default(), Some(why.clone())),
        };
        Self {
            attachment_id: unsaved.repo.id.to_string(),
            repo_url: unsaved.repo.repo_url.clone(),
            unpushed_commits: found.unpushed_commits,
            changed_files: found.changed_files,
            branches: found.branches.first,
            branch_count: found.branches.count,
            stashes: found.stashes,
            tags: found.tags.first,
            tag_count: found.tags.count,
            refs: found.refs.first,
            ref_count: found.refs.count,
            error,
        }
    }
}

/// One line of a hunk.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DiffLine)]
pub struct LineObject {
    /// `context`, `added` or `removed`.
    pub kind: &'static str,
    /// Its number in the old version, from 1.
    pub old_number: Option<u32>,
    /// Its number in the new version, from 1.
    pub new_number: Option<u32>,
    /// The line without its end.
    pub text: String,
    /// Whether it is the file's last and has no end.
    pub no_newline: bool,
}

/// Changes that stand close together, with the lines around them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DiffHunk)]
pub struct HunkObject {
    /// `@@ -1,3 +1,4 @@`, with the function git found.
    pub header: String,
    /// First line in the old version, from 1; where it has none there, the line before.
    pub old_start: u32,
    /// Lines of the old version.
    pub old_lines: u32,
    /// First line in the new version.
    pub new_start: u32,
    /// Lines of the new version.
    pub new_lines: u32,
    /// The lines.
    pub lines: Vec<LineObject>,
}

/// What changed in a file.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitFileDiff)]
pub struct FileDiffObject {
    /// Its path before; null if it is new.
    pub old_path: Option<String>,
    /// Its path after; null if it is gone.
    pub new_path: Option<String>,
    /// `added`, `modified`, `deleted`, `renamed` or `type_changed`.
    pub status: &'static str,
    /// Whether it has no lines to show.
    pub binary: bool,
    /// Lines added, shown or not.
    pub additions: usize,
    /// Lines removed.
    pub deletions: usize,
    /// What differs.
    pub hunks: Vec<HunkObject>,
    /// Whether lines were left out.
    pub truncated: bool,
}

impl From<DiffLine> for LineObject {
    fn from(line: DiffLine) -> Self {
        Self {
            kind: match line.kind {
                LineKind::Context => "context",
                LineKind::Added => "added",
                LineKind::Removed => "removed",
            },
            old_number: line.old_line,
            new_number: line.new_line,
            text: line.text,
            no_newline: line.no_newline,
        }
    }
}

impl From<DiffHunk> for HunkObject {
    fn from(hunk: DiffHunk) -> Self {
        Self {
            header: hunk.header,
            old_start: hunk.old_start,
            old_lines: hunk.old_lines,
            new_start: hunk.new_start,
            new_lines: hunk.new_lines,
            lines: hunk.lines.into_iter().map(LineObject::from).collect(),
        }
    }
}

impl From<FileDiff> for FileDiffObject {
    fn from(file: FileDiff) -> Self {
        Self {
            old_path: file.old_path,
            new_path: file.new_path,
            status: match file.change {
                FileChange::Added => "added",
                FileChange::Modified => "modified",
                FileChange::Deleted => "deleted",
                FileChange::Renamed => "renamed",
                FileChange::TypeChanged => "type_changed",
            },
            binary: file.binary,
            additions: file.additions,
            deletions: file.deletions,
            hunks: file.hunks.into_iter().map(HunkObject::from).collect(),
            truncated: file.truncated,
        }
    }
}

/// A change Mira would make.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Proposal)]
pub struct ProposalObject {
    /// Its id.
    pub id: String,
    /// The project.
    pub project_id: String,
    /// The repository.
    pub attachment_id: String,
    /// `write`, `create`, `delete` or `rename`.
    pub kind: &'static str,
    /// The file.
    pub path: String,
    /// Where a rename goes.
    pub new_path: Option<String>,
    /// The blob it changes; null for a file to be made.
    pub base_sha: Option<String>,
    /// The message of the commit to be.
    pub message: String,
    /// The reply that made it.
    pub message_id: Option<String>,
    /// `open`, `applied`, `discarded` or `stale` (the file is another by now).
    pub state: &'static str,
    /// The commit it became.
    pub commit: Option<String>,
    /// The whole new text. Null in lists and events, and where there is none.
    pub content: Option<String>,
    /// What it changes, line by line. Null in lists and events, and for a rename.
    pub diff: Option<FileDiffObject>,
    /// When it was made.
    pub created_at: String,
    /// When it was decided.
    pub decided_at: Option<String>,
}

impl ProposalObject {
    /// The object of a proposal, without its texts.
    pub fn of(proposal: &Proposal) -> Self {
        Self {
            id: proposal.id.to_string(),
            project_id: proposal.project_id.to_string(),
            attachment_id: proposal.repo_id.to_string(),
            kind: proposal.kind.as_str(),
            path: proposal.path.clone(),
            new_path: proposal.new_path.clone(),
            base_sha: proposal.base_sha.clone(),
            message: proposal.message.clone(),
            message_id: proposal.message_id.map(|id| id.to_string()),
            state: proposal.state.as_str(),
            commit: proposal.commit.clone(),
            content: None,
            diff: None,
            created_at: proposal.created_at.to_string(),
            decided_at: proposal.decided_at.map(|at| at.to_string()),
        }
    }

    /// The same with its new text and what it changes.
    #[must_use]
    pub fn with_texts(self, proposal: Proposal, diff: Option<FileDiff>) -> Self {
        Self {
            content: proposal.new_text,
            diff: diff.map(FileDiffObject::from),
            ..self
        }
    }
}
