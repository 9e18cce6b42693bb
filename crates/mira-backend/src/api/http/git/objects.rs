//! Files, history and state of a repository as REST answers them.

use crate::api::git_objects::FileDiffObject;
use base64::{Engine, engine::general_purpose::STANDARD};
use mira_git::{
    Blame, Body, Branch, Branches, Change, Commit, CommitDiff, Content, LogPage, ParentDiff, Person, SearchResult,
    Standing, Status, Tree, TreeEntry, TreeKind, Written, remote::Synced,
};
use serde::Serialize;
use utoipa::ToSchema;

/// One entry of a folder.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitEntry)]
pub struct EntryObject {
    /// Its name; replacement characters stand for what is not UTF-8.
    pub name: String,
    /// From the root of the repository.
    pub path: String,
    /// `file`, `dir`, `symlink` or `submodule`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Bytes, of a file; null in very large folders.
    pub size: Option<u64>,
    /// The blob, tree or commit.
    pub sha: String,
    /// Whether `path` can be asked for: false for names that are not UTF-8, hold control characters or spell `.git`.
    pub reachable: bool,
}

/// One folder at one commit.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitTree)]
pub struct TreeObject {
    /// Folders first, then by name.
    pub entries: Vec<EntryObject>,
    /// The commit; null in a repository without one.
    pub commit: Option<String>,
    /// Entries of the folder, listed or not.
    pub total: usize,
    /// Whether some were left out.
    pub truncated: bool,
    /// Where the next part begins, for those who ask for parts.
    pub next_cursor: Option<String>,
}

impl From<Tree> for TreeObject {
    fn from(tree: Tree) -> Self {
        let entry = |entry: TreeEntry| EntryObject {
            kind: match entry.kind {
                TreeKind::File => "file",
                TreeKind::Dir => "dir",
                TreeKind::Symlink => "symlink",
                TreeKind::Submodule => "submodule",
            },
            name: entry.name,
            path: entry.path,
            size: entry.size,
            sha: entry.sha,
            reachable: entry.reachable,
        };
        Self {
            truncated: tree.total > tree.entries.len(),
            entries: tree.entries.into_iter().map(entry).collect(),
            commit: tree.commit,
            total: tree.total,
            next_cursor: None,
        }
    }
}

/// A file.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitContent)]
pub struct ContentObject {
    /// Where it is.
    pub path: String,
    /// Its text, or its bytes in base64.
    pub content: String,
    /// Which of both: `utf-8` or `base64`.
    pub encoding: &'static str,
    /// By its name: `rust`, `python`, ...
    pub language: Option<String>,
    /// Bytes.
    pub size: u64,
    /// The blob in the commit: what `expected_sha` is compared with. Null for a file in no commit.
    pub sha: Option<String>,
    /// Whether what was read differs from the commit: edited by hand, or in no commit.
    pub modified: bool,
    /// The commit.
    pub commit: Option<String>,
    /// What was asked for: a branch, tag or commit; null is the work tree.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

impl ContentObject {
    /// The object of a file that was read at `reference`.
    pub fn of(content: Content, reference: Option<String>) -> Self {
        let (text, encoding) = match content.body {
            Body::Text(text) => (text, "utf-8"),
            Body::Binary(bytes) => (STANDARD.encode(bytes), "base64"),
        };
        Self {
            path: content.path,
            content: text,
            encoding,
            language: content.language.map(str::to_owned),
            size: content.size,
            sha: content.sha,
            modified: content.standing != Standing::Committed,
            commit: content.commit,
            reference,
        }
    }
}

/// What a write came to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitWritten)]
pub struct WrittenObject {
    /// Where the file is now; of one that was deleted, where it was.
    pub path: String,
    /// Its blob now; null if it was deleted.
    pub sha: Option<String>,
    /// The commit that has it: a new one, or the present one if nothing was different.
    pub commit: String,
    /// Whether a commit was made.
    pub changed: bool,
}

impl WrittenObject {
    /// The object of a write to this path.
    pub fn of(written: Written, path: String) -> Self {
        Self {
            path,
            sha: written.sha,
            commit: written.commit,
            changed: written.changed,
        }
    }
}

/// A branch.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitBranch)]
pub struct BranchObject {
    /// Short: `main`, or `origin/main` of a remote; replacement characters stand for what is not UTF-8.
    pub name: String,
    /// Whether it can be checked out by its name: false for names that are not UTF-8 or that git takes for no branch's.
    pub reachable: bool,
    /// `local` or `remote`.
    pub kind: &'static str,
    /// Whether it is checked out.
    pub current: bool,
    /// The remote branch it follows.
    pub upstream: Option<String>,
    /// Commits it has and its upstream has not; null without upstream.
    pub ahead: Option<usize>,
    /// Commits its upstream has and it has not.
    pub behind: Option<usize>,
    /// Its newest commit.
    pub sha: String,
}

/// The branches of a repository.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitBranchList)]
pub struct BranchesObject {
    /// Local ones first, then by name.
    pub branches: Vec<BranchObject>,
    /// What is checked out; null if no branch is.
    pub current: Option<String>,
    /// Whether some were left out.
    pub truncated: bool,
    /// Where the next part begins, for those who ask for parts.
    pub next_cursor: Option<String>,
}

impl From<Branches> for BranchesObject {
    fn from(found: Branches) -> Self {
        let branch = |branch: Branch| BranchObject {
            kind: if branch.remote { "remote" } else { "local" },
            name: branch.name,
            reachable: branch.reachable,
            current: branch.current,
            upstream: branch.upstream,
            ahead: branch.ahead,
            behind: branch.behind,
            sha: branch.commit,
        };
        Self {
            branches: found.branches.into_iter().map(branch).collect(),
            current: found.current,
            truncated: found.truncated,
            next_cursor: None,
        }
    }
}

/// Who wrote or made a commit.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitPerson)]
pub struct PersonObject {
    /// As in the commit.
    pub name: String,
    /// As in the commit.
    pub email: String,
    /// When; null for a time no clock shows.
    pub date: Option<String>,
}

impl From<Person> for PersonObject {
    fn from(person: Person) -> Self {
        Self {
            name: person.name,
            email: person.email,
            date: jiff::Timestamp::from_second(person.seconds)
                .ok()
                .map(|at| at.to_string()),
        }
    }
}

/// A commit.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitCommit)]
pub struct CommitObject {
    /// Its id.
    pub sha: String,
    /// The commits it follows.
    pub parents: Vec<String>,
    /// Who wrote it.
    pub author: PersonObject,
    /// Who committed it.
    pub committer: PersonObject,
    /// The first paragraph of the message, on one line.
    pub summary: String,
    /// The message.
    pub message: String,
}

impl From<Commit> for CommitObject {
    fn from(commit: Commit) -> Self {
        Self {
            sha: commit.sha,
            parents: commit.parents,
            author: commit.author.into(),
            committer: commit.committer.into(),
            summary: commit.summary,
            message: commit.message,
        }
    }
}

/// A page of history.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitCommitList)]
pub struct CommitsObject {
    /// Newest first.
    pub commits: Vec<CommitObject>,
    /// Where the next page begins; a page may be short and yet not the last.
    pub next_cursor: Option<String>,
}

impl From<LogPage> for CommitsObject {
    fn from(page: LogPage) -> Self {
        Self {
            commits: page.commits.into_iter().map(CommitObject::from).collect(),
            next_cursor: page.next_cursor.map(|cursor| cursor.to_string()),
        }
    }
}

/// A commit against one of its parents.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitParentDiff)]
pub struct ParentDiffObject {
    /// The parent; null for a first commit, which is compared with nothing.
    pub sha: Option<String>,
    /// What differs, by path.
    pub files: Vec<FileDiffObject>,
    /// Whether files were left out.
    pub truncated: bool,
}

/// What a commit changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitDiff)]
pub struct CommitDiffObject {
    /// The commit's id.
    pub sha: String,
    /// The commit.
    pub commit: CommitObject,
    /// One for each parent; a first commit has one against nothing.
    pub parents: Vec<ParentDiffObject>,
}

impl From<CommitDiff> for CommitDiffObject {
    fn from(diff: CommitDiff) -> Self {
        let parent = |parent: ParentDiff| ParentDiffObject {
            sha: parent.parent,
            files: parent.files.into_iter().map(FileDiffObject::from).collect(),
            truncated: parent.truncated,
        };
        Self {
            sha: diff.commit.sha.clone(),
            commit: diff.commit.into(),
            parents: diff.parents.into_iter().map(parent).collect(),
        }
    }
}

/// One path that differs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitStatusEntry)]
pub struct StatusEntryObject {
    /// From the root; a folder that is untracked as a whole ends in `/`.
    pub path: String,
    /// Its name in the commit, if renamed.
    pub old_path: Option<String>,
    /// Index against commit: `added`, `modified`, `deleted`, `renamed` or `type_changed`.
    pub staged: Option<&'static str>,
    /// Work tree against index: the same, or `untracked`.
    pub unstaged: Option<&'static str>,
    /// Whether a merge left it with two versions.
    pub conflicted: bool,
}

/// The state of a clone.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitStatus)]
pub struct StatusObject {
    /// What is checked out; null if no branch is.
    pub branch: Option<String>,
    /// Its commit; null before the first.
    pub commit: Option<String>,
    /// The remote branch it follows.
    pub upstream: Option<String>,
    /// Commits only here; null without upstream.
    pub ahead: Option<usize>,
    /// Commits only there, as of the last sync.
    pub behind: Option<usize>,
    /// Whether somebody is in the middle of a merge, rebase or the like.
    pub unfinished: bool,
    /// What differs, by path.
    pub entries: Vec<StatusEntryObject>,
    /// Whether some were left out.
    pub truncated: bool,
    /// Where the next part begins, for those who ask for parts.
    pub next_cursor: Option<String>,
}

fn change(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Modified => "modified",
        Change::Deleted => "deleted",
        Change::Renamed => "renamed",
        Change::TypeChanged => "type_changed",
        Change::Untracked => "untracked",
    }
}

impl From<Status> for StatusObject {
    fn from(status: Status) -> Self {
        let (upstream, ahead, behind) = match status.tracking {
            Some(tracking) => (Some(tracking.upstream), Some(tracking.ahead), Some(tracking.behind)),
            None => (None, None, None),
        };
        let entries = status.entries.into_iter().map(|entry| StatusEntryObject {
            path: entry.path,
            old_path: entry.old_path,
            staged: entry.staged.map(change),
            unstaged: entry.unstaged.map(change),
            conflicted: entry.conflicted,
        });
        Self {
            branch: status.branch,
            commit: status.commit,
            upstream,
            ahead,
            behind,
            unfinished: status.unfinished,
            entries: entries.collect(),
            truncated: status.truncated,
            next_cursor: None,
        }
    }
}

/// Lines that come from one commit.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitBlameRange)]
pub struct BlameRangeObject {
    /// The first, from 1.
    pub start_line: usize,
    /// How many.
    pub lines: usize,
    /// The commit.
    pub sha: String,
    /// Who wrote it.
    pub author: PersonObject,
    /// The first paragraph of its message.
    pub summary: String,
    /// The file's path in that commit, if it was another.
    pub old_path: Option<String>,
}

/// Where the lines of a file come from.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitBlame)]
pub struct BlameObject {
    /// The file.
    pub path: String,
    /// The commit whose version of it this is.
    pub commit: String,
    /// From the first line to the last.
    pub ranges: Vec<BlameRangeObject>,
}

impl BlameObject {
    /// The object of a file's blame.
    pub fn of(blame: Blame, path: String) -> Self {
        let ranges = blame.ranges.into_iter().map(|range| BlameRangeObject {
            start_line: range.start_line,
            lines: range.lines,
            sha: range.sha,
            author: range.author.into(),
            summary: range.summary,
            old_path: range.old_path,
        });
        Self {
            path,
            commit: blame.commit,
            ranges: ranges.collect(),
        }
    }
}

/// A line that holds what was searched.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitSearchHit)]
pub struct SearchHitObject {
    /// The file.
    pub path: String,
    /// The line's number, from 1.
    pub line: usize,
    /// The line, cut at 400 letters around the first match.
    pub text: String,
}

/// What a search found.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitSearchResult)]
pub struct SearchObject {
    /// By path and line.
    pub results: Vec<SearchHitObject>,
    /// Whether there may be more: the limit or the time was reached.
    pub truncated: bool,
    /// Always null: ask more precisely.
    pub next_cursor: Option<String>,
}

impl From<SearchResult> for SearchObject {
    fn from(found: SearchResult) -> Self {
        let hits = found.hits.into_iter().map(|hit| SearchHitObject {
            path: hit.path,
            line: hit.line,
            text: hit.text,
        });
        Self {
            results: hits.collect(),
            truncated: found.truncated,
            next_cursor: None,
        }
    }
}

/// What a sync came to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GitSynced)]
pub struct SyncedObject {
    /// The branch.
    pub branch: String,
    /// Whether the remote had anything new, on any branch.
    pub fetched: bool,
    /// What became of the branch here: `up_to_date`, `fast_forwarded` or `merged`.
    pub result: &'static str,
    /// Whether commits were pushed.
    pub pushed: bool,
    /// The branch's commit now; null before the first.
    pub head: Option<String>,
}

impl From<Synced> for SyncedObject {
    fn from(synced: Synced) -> Self {
        Self {
            branch: synced.branch,
            fetched: synced.fetched,
            result: synced.outcome.as_str(),
            pushed: synced.pushed,
            head: synced.head,
        }
    }
}
