//! Which commit each line of a file comes from.
//!
//! Lines are handed from a commit to those it follows as long as they are the same there; what is left is that commit's. A
//! history and its folders are a stranger's: folders are only read on the way to the file, a renamed one is looked for
//! within the bounds of a difference, and all of it ends after a while. libgit2's own unfolds whole commits at each change,
//! and has no end.

use crate::{
    content::blob_at,
    diff::Comparison,
    error::{GitError, Missing},
    log::{Person, person},
    open::Opened,
    path::{RepoPath, Revision},
    repos::Repos,
};
use git2::{Blob, DiffOptions, ErrorCode, Oid, Patch, Tree};
use mira_core::ids::AttachmentId;
use std::{collections::BTreeMap, ffi::OsStr, ops::Range, os::unix::ffi::OsStrExt, path::Path, time::Instant};

/// No version of the file may be larger, bytes. As in a diff: lines of more help nobody.
const MAX_BYTES: u64 = 2 * 1024 * 1024;
/// Kind of a tree entry: file.
const FILE: i32 = 0o100_000;

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
    /// Where the lines of a committed file come from, as of `revision` (`None`: HEAD). [`GitError::Timeout`] if its history
    /// is too long for [`crate::GitSettings::blame_time`], [`GitError::TooLarge`] if a version of it is over 2 MiB or too
    /// much would have to be read to find out what it was called before.
    pub async fn blame(&self, id: AttachmentId, path: RepoPath, revision: Option<Revision>) -> Result<Blame, GitError> {
        self.read(id, move |opened| blame(opened, &path, revision.as_ref()))
            .await
    }
}

fn blame(opened: &Opened<'_>, path: &RepoPath, revision: Option<&Revision>) -> Result<Blame, GitError> {
    let commit = opened.commit_at(revision)?.ok_or(GitError::NotFound(Missing::Commit))?;
    let blob = blob_at(opened, Some(commit), path)?.ok_or(GitError::NotFound(Missing::Path))?;
    let mut search = Search {
        opened,
        comparison: Comparison::new(opened)?,
        until: Instant::now() + opened.settings.blame_time,
        suspects: BTreeMap::new(),
        found: Vec::new(),
    };
    let count = lines_of(search.version(blob)?.content());
    // An empty file has none.
    let all = (count > 0).then_some(Lines { at: 0, here: 0, count });
    search.suspect(
        commit,
        Version {
            path: path.as_str().into(),
            blob,
        },
        all.into_iter().collect(),
    )?;
    while let Some(((_, commit, path), suspect)) = search.suspects.pop_last() {
        search.judge(commit, path, suspect)?;
    }
    let mut found = search.found;
    found.sort_unstable_by_key(|found| found.at);
    found.dedup_by(|next, last| {
        let same = next.commit == last.commit && next.path == last.path;
        last.count += if same { next.count } else { 0 };
        same
    });
    let ranges = found.iter().map(|found| described(opened, found, path));
    Ok(Blame {
        commit: commit.to_string(),
        ranges: ranges.collect::<Result<_, _>>()?,
    })
}

fn described(opened: &Opened<'_>, found: &Found, path: &RepoPath) -> Result<BlameRange, GitError> {
    let commit = opened.repo.find_commit(found.commit)?;
    let old_path = (found.path != path.as_str().as_bytes()).then(|| String::from_utf8_lossy(&found.path).into_owned());
    Ok(BlameRange {
        start_line: found.at + 1,
        lines: found.count,
        sha: found.commit.to_string(),
        author: person(&commit.author()),
        summary: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
        old_path,
    })
}

fn lines_of(text: &[u8]) -> usize {
    let ends = text.split_inclusive(|byte| *byte == b'\n');
    ends.count()
}

/// Lines that follow each other in the file as asked for, and in a version of it. Counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lines {
    /// The first, in the file as asked for.
    at: usize,
    /// The first, in the version.
    here: usize,
    count: usize,
}

/// The file, as a commit has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    path: Vec<u8>,
    blob: Oid,
}

/// Lines that a commit has, and perhaps made.
struct Suspect {
    blob: Oid,
    lines: Vec<Lines>,
}

/// Lines that a commit made.
struct Found {
    at: usize,
    count: usize,
    commit: Oid,
    path: Vec<u8>,
}

struct Search<'a> {
    opened: &'a Opened<'a>,
    comparison: Comparison<'a>,
    until: Instant,
    /// By time, commit and path, so that a commit comes after those that follow it; where clocks were wrong it comes twice,
    /// with other lines.
    suspects: BTreeMap<(i64, Oid, Vec<u8>), Suspect>,
    found: Vec<Found>,
}

impl<'a> Search<'a> {
    fn check(&self) -> Result<(), GitError> {
        if Instant::now() >= self.until {
            return Err(GitError::Timeout("finding out where the lines of the file come from"));
        }
        Ok(())
    }

    /// The bytes of a version.
    fn version(&self, blob: Oid) -> Result<Blob<'a>, GitError> {
        let (size, _) = self.opened.repo.odb()?.read_header(blob)?;
        if size as u64 > MAX_BYTES {
            return Err(GitError::TooLarge {
                what: "a version of the file",
                limit: MAX_BYTES,
            });
        }
        Ok(self.opened.repo.find_blob(blob)?)
    }

    fn suspect(&mut self, commit: Oid, version: Version, lines: Vec<Lines>) -> Result<(), GitError> {
        if lines.is_empty() {
            return Ok(());
        }
        let time = self.opened.repo.find_commit(commit)?.time().seconds();
        let suspect = self.suspects.entry((time, commit, version.path));
        let suspect = suspect.or_insert_with(|| Suspect {
            blob: version.blob,
            lines: Vec::new(),
        });
        suspect.lines.extend(lines);
        Ok(())
    }

    /// Hands on the lines of a commit to those it follows; keeps those that none of them has.
    fn judge(&mut self, commit: Oid, path: Vec<u8>, suspect: Suspect) -> Result<(), GitError> {
        let here = Version {
            path,
            blob: suspect.blob,
        };
        let mut lines = joined(suspect.lines);
        let origins = self.origins(commit, &here)?;
        if let Some((parent, origin)) = origins.iter().find(|(_, origin)| origin.blob == here.blob) {
            return self.suspect(*parent, origin.clone(), lines);
        }
        for (parent, origin) in origins {
            if lines.is_empty() {
                return Ok(());
            }
            self.check()?;
            let same = self.same(origin.blob, here.blob)?;
            let (theirs, ours) = divided(&lines, &same);
            self.suspect(parent, origin, theirs)?;
            lines = ours;
        }
        self.found.extend(lines.into_iter().map(|lines| Found {
            at: lines.at,
            count: lines.count,
            commit,
            path: here.path.clone(),
        }));
        Ok(())
    }

    /// The file in the commits a commit follows: under its name, or the one it was renamed from.
    fn origins(&mut self, commit: Oid, here: &Version) -> Result<Vec<(Oid, Version)>, GitError> {
        let repo = &self.opened.repo;
        let commit = repo.find_commit(commit)?;
        let (mut origins, mut without): (Vec<(Oid, Version)>, Vec<Oid>) = (Vec::new(), Vec::new());
        for parent in commit.parent_ids() {
            self.check()?;
            match file(&repo.find_commit(parent)?.tree()?, &here.path)? {
                Some(blob) => {
                    let path = here.path.clone();
                    origins.push((parent, Version { path, blob }));
                    if blob == here.blob {
                        return Ok(origins);
                    }
                }
                None => without.push(parent),
            }
        }
        for parent in without {
            self.check()?;
            let tree = repo.find_commit(parent)?.tree()?;
            let Some(path) = self.comparison.renamed_from(tree.id(), commit.tree_id(), &here.path)? else {
                continue;
            };
            if let Some(blob) = file(&tree, &path)? {
                origins.push((parent, Version { path, blob }));
            }
        }
        Ok(origins)
    }

    /// The lines that two versions have in common, in their order: those of the new one, and where they begin in the old.
    fn same(&self, old: Oid, new: Oid) -> Result<Vec<(Range<usize>, usize)>, GitError> {
        let (old, new) = (self.version(old)?, self.version(new)?);
        let mut options = DiffOptions::new();
        options
            .context_lines(0)
            .interhunk_lines(0)
            .force_text(true)
            .indent_heuristic(true);
        let patch = Patch::from_blobs(&old, None, &new, None, Some(&mut options))?;
        let mut same = Vec::new();
        let (mut old_at, mut new_at) = (0, 0);
        for hunk in 0..patch.num_hunks() {
            let (hunk, _) = patch.hunk(hunk)?;
            let old = changed(hunk.old_start(), hunk.old_lines());
            let new = changed(hunk.new_start(), hunk.new_lines());
            same.push((new_at..new.start, old_at));
            (old_at, new_at) = (old.end, new.end);
        }
        same.push((new_at..usize::MAX, old_at));
        Ok(same)
    }
}

/// The lines of one side of a hunk, from 0. Where there are none, a hunk names the line before.
fn changed(start: u32, lines: u32) -> Range<usize> {
    let start = (start as usize).saturating_sub(usize::from(lines > 0));
    start..start + lines as usize
}

/// The blob of an ordinary file.
fn file(tree: &Tree<'_>, path: &[u8]) -> Result<Option<Oid>, GitError> {
    match tree.get_path(Path::new(OsStr::from_bytes(path))) {
        Ok(entry) => Ok((entry.filemode_raw() & 0o170_000 == FILE).then(|| entry.id())),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// In the version's order, those that follow each other as one.
fn joined(mut lines: Vec<Lines>) -> Vec<Lines> {
    lines.sort_unstable_by_key(|lines| lines.here);
    lines.dedup_by(|next, last| {
        let follows = last.here + last.count == next.here && last.at + last.count == next.at;
        last.count += if follows { next.count } else { 0 };
        follows
    });
    lines
}

/// Lines of a version as they are in the one before, and those it has not. Both `lines` and `same` are in the version's
/// order; a merge that kept both sides asks for the same lines more than once.
fn divided(lines: &[Lines], same: &[(Range<usize>, usize)]) -> (Vec<Lines>, Vec<Lines>) {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for &(mut rest) in lines {
        let first = same.partition_point(|(range, _)| range.end <= rest.here);
        let mut same = same.get(first..).unwrap_or_default().iter().peekable();
        while rest.count > 0 {
            // What ends before it has nothing to say about any line that is left.
            while same.next_if(|(range, _)| range.end <= rest.here).is_some() {}
            let (range, old) = same
                .peek()
                .map_or((usize::MAX..usize::MAX, 0), |(range, old)| (range.clone(), *old));
            let is_theirs = range.start <= rest.here;
            let end = if is_theirs { range.end } else { range.start };
            let count = rest.count.min(end - rest.here);
            let part = Lines { count, ..rest };
            if is_theirs {
                let here = old + (rest.here - range.start);
                theirs.push(Lines { here, ..part });
            } else {
                ours.push(part);
            }
            rest = Lines {
                at: rest.at + count,
                here: rest.here + count,
                count: rest.count - count,
            };
        }
    }
    (theirs, ours)
}

#[cfg(test)]
mod tests {
    use super::{Lines, divided, joined};

    fn lines(parts: &[(usize, usize, usize)]) -> Vec<Lines> {
        let parts = parts.iter();
        parts.map(|&(at, here, count)| Lines { at, here, count }).collect()
    }

    #[test]
    fn lines_are_handed_on_where_they_were() {
        let all = lines(&[(0, 0, 4), (10, 6, 4)]);
        // Line 2 is new, the fifth and sixth line of the old version are gone, lines 8 and after are as before.
        let same = [(0..2, 0), (3..7, 4), (8..usize::MAX, 20)];
        let (theirs, ours) = divided(&all, &same);
        assert_eq!(theirs, lines(&[(0, 0, 2), (3, 4, 1), (10, 7, 1), (12, 20, 2)]));
        assert_eq!(ours, lines(&[(2, 2, 1), (11, 7, 1)]));
        assert_eq!(divided(&all, &[(0..usize::MAX, 5)]).1, []);
        // Line 2 of the version is there twice.
        let twice = lines(&[(1, 0, 3), (4, 0, 3)]);
        let (theirs, ours) = divided(&twice, &[(0..1, 0), (2..usize::MAX, 2)]);
        assert_eq!(theirs, lines(&[(1, 0, 1), (3, 2, 1), (4, 0, 1), (6, 2, 1)]));
        assert_eq!(ours, lines(&[(2, 1, 1), (5, 1, 1)]));
    }

    #[test]
    fn lines_that_meet_again_are_one() {
        let parted = lines(&[(4, 4, 2), (0, 0, 4), (9, 6, 1)]);
        assert_eq!(joined(parted), lines(&[(0, 0, 6), (9, 6, 1)]));
    }
}
