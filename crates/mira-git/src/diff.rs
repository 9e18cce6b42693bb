//! What a commit changed, against each of its parents; and the difference of two texts that are in no commit.

use crate::{
    compare::Trees,
    error::{GitError, Missing},
    log::{Commit, described},
    moves::{self, Entry},
    open::Opened,
    path::Revision,
    repos::Repos,
    settings::GitSettings,
};
use git2::{Delta, Diff, DiffDelta, DiffFindOptions, DiffLineType, DiffOptions, Index, Oid, Patch};
use mira_core::ids::AttachmentId;
use std::ops::ControlFlow;

/// Of longer lines the rest is left out, bytes.
const MAX_LINE: usize = 2_000;
/// Renames are looked for among so many files; beyond that they show as removed and added.
const MAX_RENAMES: usize = 1_000;
/// Renamed files that were also changed are looked for among so many bytes; beyond that only unchanged ones are found.
const MAX_RENAMED_BYTES: u64 = 256 * 1024 * 1024;
/// A commit of more parents is not compared with them.
const MAX_PARENTS: usize = 64;
/// Files above this size count as binary, bytes: the lines of a larger one help nobody.
const MAX_DIFFED: i64 = 2 * 1024 * 1024;

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileChange {
    /// It is new.
    Added,
    /// Other content or mode.
    Modified,
    /// It is gone.
    Deleted,
    /// It has another name.
    Renamed,
    /// It became a link, a file, a submodule.
    TypeChanged,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// In both versions.
    Context,
    /// Only in the new one.
    Added,
    /// Only in the old one.
    Removed,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// What it is.
    pub kind: LineKind,
    /// Its number in the old version, from 1.
    pub old_line: Option<u32>,
    /// Its number in the new version, from 1.
    pub new_line: Option<u32>,
    /// Without its end.
    pub text: String,
    /// Whether it ends the file without a line end.
    pub no_newline: bool,
}

/// Lines that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffHunk {
    /// `@@ -1,3 +1,4 @@`, with the function git found.
    pub header: String,
    /// First line in the old version.
    pub old_start: u32,
    /// Lines of the old version.
    pub old_lines: u32,
    /// First line in the new version.
    pub new_start: u32,
    /// Lines of the new version.
    pub new_lines: u32,
    /// The lines.
    pub lines: Vec<DiffLine>,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// Its path before; `None` if it is new.
    pub old_path: Option<String>,
    /// Its path after; `None` if it is gone.
    pub new_path: Option<String>,
    /// What happened.
    pub change: FileChange,
    /// Whether it is not shown line by line.
    pub binary: bool,
    /// Lines added, all of them, shown or not.
    pub additions: usize,
    /// Lines removed.
    pub deletions: usize,
    /// What differs.
    pub hunks: Vec<DiffHunk>,
    /// Whether lines were left out.
    pub truncated: bool,
}

/// The difference to one parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentDiff {
    /// The parent; `None` for a first commit, which is compared with nothing.
    pub parent: Option<String>,
    /// What differs, by path.
    pub files: Vec<FileDiff>,
    /// Whether files were left out.
    pub truncated: bool,
}

/// A commit and what it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitDiff {
    /// The commit.
    pub commit: Commit,
    /// One for each parent.
    pub parents: Vec<ParentDiff>,
}

impl Repos {
    /// What a commit changed.
    pub async fn diff(&self, id: AttachmentId, commit: Revision) -> Result<CommitDiff, GitError> {
        self.read(id, move |opened| of_commit(opened, &commit)).await
    }
}

fn of_commit(opened: &Opened<'_>, revision: &Revision) -> Result<CommitDiff, GitError> {
    let id = opened
        .commit_at(Some(revision))?
        .ok_or(GitError::NotFound(Missing::Commit))?;
    let commit = opened.repo.find_commit(id)?;
    if commit.parent_count() > MAX_PARENTS {
        return Err(GitError::TooLarge {
            what: "the number of parents of the commit",
            limit: MAX_PARENTS as u64,
        });
    }
    let mut comparison = Comparison::new(opened)?;
    let tree = commit.tree_id();
    let mut parents = Vec::new();
    if commit.parent_count() == 0 {
        parents.push(comparison.against(None, None, tree)?);
    }
    for parent in commit.parents() {
        let id = Some(parent.id().to_string());
        parents.push(comparison.against(id, Some(parent.tree_id()), tree)?);
    }
    Ok(CommitDiff {
        commit: described(&commit),
        parents,
    })
}

fn options() -> DiffOptions {
    let mut options = DiffOptions::new();
    options.include_typechange(true).max_size(MAX_DIFFED).context_lines(3);
    options
}

/// A commit being compared with its parents; or several, within the same bounds.
pub(crate) struct Comparison<'a> {
    opened: &'a Opened<'a>,
    trees: Trees<'a>,
    /// Lines that may still be shown.
    left: usize,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(opened: &'a Opened<'a>) -> Result<Self, GitError> {
        Ok(Self {
            opened,
            trees: Trees::new(&opened.repo, opened.settings.max_tree_bytes)?,
            left: opened.settings.max_diff_lines,
        })
    }

    /// The path a file of the new tree has been renamed from, as a difference would show it.
    pub(crate) fn renamed_from(&mut self, old: Oid, new: Oid, path: &[u8]) -> Result<Option<Vec<u8>>, GitError> {
        let (mut found, more) = self.found(Some(old), new, MAX_RENAMES)?;
        if more {
            return Ok(None);
        }
        found.retain(|delta| delta.new.is_none() || delta.path == path);
        let sides = Sides::of(&found)?;
        let diff = self.with_renames(self.compared(&sides)?, &found)?;
        let renamed = diff
            .deltas()
            .find(|delta| delta.status() == Delta::Renamed && delta.new_file().path_bytes() == Some(path));
        Ok(renamed.and_then(|delta| delta.old_file().path_bytes().map(<[u8]>::to_vec)))
    }

    fn compared(&self, sides: &Sides<'_>) -> Result<Diff<'a>, GitError> {
        let repo = &self.opened.repo;
        Ok(repo.diff_index_to_index(&sides.old, &sides.new, Some(&mut options()))?)
    }

    /// Makes one of what was removed here and added there, if it is the same or nearly so.
    fn with_renames(&self, mut diff: Diff<'a>, found: &[moves::Delta]) -> Result<Diff<'a>, GitError> {
        let mut similar = DiffFindOptions::new();
        similar.renames(true).rename_limit(MAX_RENAMES);
        similar.exact_match_only(self.moved_bytes(found)? > MAX_RENAMED_BYTES);
        diff.find_similar(Some(&mut similar))?;
        Ok(diff)
    }

    fn against(&mut self, parent: Option<String>, old: Option<Oid>, new: Oid) -> Result<ParentDiff, GitError> {
        let limit = self.opened.settings.max_diff_files;
        let (found, more) = self.found(old, new, limit.max(MAX_RENAMES))?;
        let sides = Sides::of(&found)?;
        let mut diff = self.compared(&sides)?;
        if !more && found.len() <= MAX_RENAMES {
            diff = self.with_renames(diff, &found)?;
        }
        let count = diff.deltas().len();
        let shown = (0..count.min(limit)).map(|at| file(&diff, at, &mut self.left));
        let mut files: Vec<FileDiff> = shown.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let room = limit - files.len().min(limit);
        files.extend(sides.odd.iter().take(room).map(|delta| named_only(delta)));
        Ok(ParentDiff {
            parent,
            files,
            truncated: more || count + sides.odd.len() > limit,
        })
    }

    /// The first paths that differ, and whether there are more.
    fn found(&mut self, old: Option<Oid>, new: Oid, limit: usize) -> Result<(Vec<moves::Delta>, bool), GitError> {
        let (mut found, mut more) = (Vec::new(), false);
        self.trees.differing(old, Some(new), &mut |delta| {
            if found.len() == limit {
                more = true;
                return Ok(ControlFlow::Break(()));
            }
            found.push(delta);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((found, more))
    }

    /// Bytes of the files that are on one side only: what looking for renamed ones would read.
    fn moved_bytes(&self, found: &[moves::Delta]) -> Result<u64, GitError> {
        let odb = self.opened.repo.odb()?;
        let moved = found.iter().filter_map(|delta| match (delta.old, delta.new) {
            (Some(only), None) | (None, Some(only)) if !only.is_submodule() => Some(only.id),
            _ => None,
        });
        moved.map(|id| Ok(odb.read_header(id)?.0 as u64)).sum()
    }
}

/// What differs, as two lists of files: of these libgit2 compares nothing but what they name.
struct Sides<'a> {
    old: Index,
    new: Index,
    /// Names git takes into no list (`.git` and its like).
    odd: Vec<&'a moves::Delta>,
}

impl<'a> Sides<'a> {
    fn of(found: &'a [moves::Delta]) -> Result<Self, GitError> {
        let (mut old, mut new) = (Index::new()?, Index::new()?);
        let mut odd = Vec::new();
        for delta in found {
            let add = |list: &mut Index, entry: Option<Entry>| match entry {
                Some(entry) => list.add(&moves::described(&delta.path, entry, None)),
                None => Ok(()),
            };
            if add(&mut old, delta.old)
                .and_then(|()| add(&mut new, delta.new))
                .is_err()
            {
                odd.push(delta);
            }
        }
        Ok(Self { old, new, odd })
    }
}

/// A file of which only the name is told.
fn named_only(delta: &moves::Delta) -> FileDiff {
    FileDiff {
        old_path: delta.old.map(|_| delta.shown()),
        new_path: delta.new.map(|_| delta.shown()),
        change: match (delta.old, delta.new) {
            (None, _) => FileChange::Added,
            (_, None) => FileChange::Deleted,
            (Some(_), Some(_)) => FileChange::Modified,
        },
        binary: false,
        additions: 0,
        deletions: 0,
        hunks: Vec::new(),
        truncated: true,
    }
}

fn file(diff: &Diff<'_>, at: usize, left: &mut usize) -> Result<Option<FileDiff>, GitError> {
    let Some(delta) = diff.get_delta(at) else {
        return Ok(None);
    };
    // Once nothing more is shown, nothing more is computed.
    let patch = if *left == 0 { None } else { Patch::from_diff(diff, at)? };
    match patch {
        Some(patch) => {
            let delta = patch.delta();
            shown(&delta, Some(&patch), left)
        }
        None => shown(&delta, None, left),
    }
}

fn shown(delta: &DiffDelta<'_>, patch: Option<&Patch<'_>>, left: &mut usize) -> Result<Option<FileDiff>, GitError> {
    let change = match delta.status() {
        Delta::Added | Delta::Copied | Delta::Untracked => FileChange::Added,
        Delta::Deleted => FileChange::Deleted,
        Delta::Renamed => FileChange::Renamed,
        Delta::Typechange => FileChange::TypeChanged,
        Delta::Modified => FileChange::Modified,
        Delta::Unmodified | Delta::Ignored | Delta::Unreadable | Delta::Conflicted => return Ok(None),
    };
    let path = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let binary = delta.flags().is_binary();
    let (additions, deletions) = match patch {
        Some(patch) => {
            let (_, additions, deletions) = patch.line_stats()?;
            (additions, deletions)
        }
        None => (0, 0),
    };
    let (hunks, cut) = match patch {
        Some(patch) => hunks(patch, left)?,
        None => (Vec::new(), false),
    };
    Ok(Some(FileDiff {
        old_path: path(delta.old_file().path_bytes()).filter(|_| change != FileChange::Added),
        new_path: path(delta.new_file().path_bytes()).filter(|_| change != FileChange::Deleted),
        change,
        binary,
        additions,
        deletions,
        hunks,
        truncated: cut || (patch.is_none() && !binary),
    }))
}

fn hunks(patch: &Patch<'_>, left: &mut usize) -> Result<(Vec<DiffHunk>, bool), GitError> {
    let mut hunks = Vec::new();
    for at in 0..patch.num_hunks() {
        let (hunk, count) = patch.hunk(at)?;
        if *left == 0 {
            return Ok((hunks, true));
        }
        let mut lines: Vec<DiffLine> = Vec::new();
        let mut cut = false;
        for line in 0..count {
            let line = patch.line_in_hunk(at, line)?;
            let kind = match line.origin_value() {
                DiffLineType::Context => LineKind::Context,
                DiffLineType::Addition => LineKind::Added,
                DiffLineType::Deletion => LineKind::Removed,
                DiffLineType::ContextEOFNL | DiffLineType::AddEOFNL | DiffLineType::DeleteEOFNL => {
                    // "\ No newline at end of file" is about the line before.
                    if let Some(before) = lines.last_mut() {
                        before.no_newline = true;
                    }
                    continue;
                }
                DiffLineType::FileHeader | DiffLineType::HunkHeader | DiffLineType::Binary => continue,
            };
            if *left == 0 {
                cut = true;
                break;
            }
            *left -= 1;
            lines.push(DiffLine {
                kind,
                old_line: line.old_lineno(),
                new_line: line.new_lineno(),
                text: text(line.content()),
                no_newline: false,
            });
        }
        hunks.push(DiffHunk {
            header: String::from_utf8_lossy(hunk.header()).trim_end().to_owned(),
            old_start: hunk.old_start(),
            old_lines: hunk.old_lines(),
            new_start: hunk.new_start(),
            new_lines: hunk.new_lines(),
            lines,
        });
        if cut {
            return Ok((hunks, true));
        }
    }
    Ok((hunks, false))
}

fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut text = String::from_utf8_lossy(line).into_owned();
    let end = text.floor_char_boundary(MAX_LINE);
    text.truncate(end);
    text
}

/// The difference of two texts, as of one file at `path`; `None` on a side stands for no file. No repository is needed.
pub fn diff_text(
    old: Option<&str>,
    new: Option<&str>,
    path: &str,
    settings: &GitSettings,
) -> Result<FileDiff, GitError> {
    crate::global::prepare()?;
    let bytes = |text: Option<&str>| text.unwrap_or_default().as_bytes().to_vec();
    let (before, after) = (bytes(old), bytes(new));
    let name = std::path::Path::new(path);
    let patch = Patch::from_buffers(&before, Some(name), &after, Some(name), Some(&mut options()))?;
    let mut left = settings.max_diff_lines;
    let (_, additions, deletions) = patch.line_stats()?;
    let (hunks, truncated) = hunks(&patch, &mut left)?;
    let change = match (old, new) {
        (None, _) => FileChange::Added,
        (Some(_), None) => FileChange::Deleted,
        (Some(_), Some(_)) => FileChange::Modified,
    };
    Ok(FileDiff {
        old_path: old.map(|_| path.to_owned()),
        new_path: new.map(|_| path.to_owned()),
        change,
        binary: patch.delta().flags().is_binary(),
        additions,
        deletions,
        hunks,
        truncated,
    })
}
