//! What would be lost with a clone: commits and tags that no remote has, stashes, edits in no commit. For whoever is about
//! to remove it. Where nobody can tell, it counts as something to lose.

use crate::{
    error::{GitError, Missing},
    moves,
    open::Opened,
    remote::tags,
    repos::Repos,
    status,
};
use git2::Oid;
use mira_core::ids::AttachmentId;
use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
};

/// Commits are counted up to this number.
pub const MAX_UNPUSHED: u64 = 1_000;
/// Changed files are counted up to this number.
pub const MAX_CHANGED: u64 = 1_000;
/// Names of a kind that are told.
const MAX_NAMED: usize = 50;
/// After so many commits that no remote has, the branches not met yet count as having some, too.
const MAX_WALKED: usize = 100_000;
const STASH: &str = "refs/stash";
const TAGS: &[u8] = b"refs/tags/";

/// What is in this clone only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpublished {
    /// Commits of branches, tags and other refs of this clone, and of a HEAD without a branch, that no remote has as far as
    /// was fetched; at most [`MAX_UNPUSHED`].
    pub unpushed_commits: u64,
    /// Files whose edits are in no commit, staged, untracked and rescued ones too, a folder that is untracked as a whole as
    /// one; ignored ones do not count. At most [`MAX_CHANGED`].
    pub changed_files: u64,
    /// The branches with such commits, short.
    pub branches: Names,
    /// Edits that were put aside by `git stash`.
    pub stashes: u64,
    /// Tags the remote has not, or not like this, short.
    pub tags: Names,
    /// Other refs with such commits (`refs/notes/commits`), full.
    pub refs: Names,
}

/// Names of one kind: how many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// All of them.
    pub count: u64,
    /// The first 50 by name.
    pub first: Vec<String>,
}

impl Names {
    fn of(mut names: Vec<String>) -> Self {
        let count = names.len() as u64;
        names.sort();
        names.truncate(MAX_NAMED);
        Self { count, first: names }
    }
}

impl Unpublished {
    /// Whether nothing would be lost.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Repos {
    /// What would be lost with the clone; nothing if there is none. Costs about as much as [`Self::status`].
    pub async fn unpublished(&self, id: AttachmentId) -> Result<Unpublished, GitError> {
        or_nothing(&self.folder(id), self.read(id, look).await)
    }
}

/// Where there is no folder, there is nothing to lose.
pub(crate) fn or_nothing(dir: &Path, found: Result<Unpublished, GitError>) -> Result<Unpublished, GitError> {
    match (found, dir.symlink_metadata()) {
        (Err(GitError::NotFound(Missing::Repository)), Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Unpublished::default())
        }
        (found, _) => found,
    }
}

/// What is in this clone only.
pub(crate) fn look(opened: &Opened<'_>) -> Result<Unpublished, GitError> {
    let changed_files = changed(opened)?;
    let mut tips = Tips::of(opened)?;
    let unpushed_commits = tips.unpushed(opened)?;
    let Lost {
        stashes,
        branches,
        tags,
        refs,
    } = tips.lost;
    Ok(Unpublished {
        unpushed_commits,
        changed_files,
        branches: Names::of(branches),
        stashes,
        tags: Names::of(tags),
        refs: Names::of(refs),
    })
}

/// What would go with the refs of a clone, short names of branches and tags, full ones of others.
#[derive(Default)]
struct Lost {
    stashes: u64,
    branches: Vec<String>,
    tags: Vec<String>,
    refs: Vec<String>,
}

impl Lost {
    fn add(&mut self, name: &[u8]) {
        let (names, shown) = if let Some(short) = name.strip_prefix(b"refs/heads/") {
            (&mut self.branches, short)
        } else if let Some(short) = name.strip_prefix(TAGS) {
            (&mut self.tags, short)
        } else {
            (&mut self.refs, name)
        };
        names.push(String::from_utf8_lossy(shown).into_owned());
    }
}

/// What the refs of a clone point at.
#[derive(Default)]
struct Tips {
    /// Commits, with the full names of what would be told of them.
    ours: HashMap<Oid, Vec<Vec<u8>>>,
    /// What a remote has.
    published: HashSet<Oid>,
    /// What is known to be lost.
    lost: Lost,
}

impl Tips {
    /// What needs no look at history is in `lost` already.
    fn of(opened: &Opened<'_>) -> Result<Self, GitError> {
        let repo = &opened.repo;
        let noted = tags::noted(repo)?;
        let mut tips = Self::default();
        for reference in repo.references()? {
            let reference = reference?;
            // `origin/HEAD` only names another one.
            let Some(target) = reference.target() else { continue };
            let name = reference.name_bytes().to_vec();
            let is_tag = name.starts_with(TAGS);
            // What `git maintenance` fetches ahead lies in the second.
            if [b"refs/remotes/".as_slice(), b"refs/prefetch/"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                tips.published.insert(target);
            } else if name == STASH.as_bytes() {
                tips.lost.stashes = repo.reflog(STASH)?.len().max(1) as u64;
            } else if is_tag && { noted.as_ref() }.is_some_and(|noted| noted.contains(&(name.clone(), target))) {
                tips.published.insert(target);
            } else if let Ok(commit) = reference.peel_to_commit() {
                let names = tips.ours.entry(commit.id()).or_default();
                if is_tag && noted.is_some() {
                    tips.lost.add(&name);
                } else {
                    names.push(name);
                }
            } else {
                tips.lost.add(&name);
            }
        }
        if let Some(head) = opened.head_commit()? {
            tips.ours.entry(head).or_default();
        }
        let Self { ours, published, .. } = &mut tips;
        ours.retain(|tip, _| !published.contains(tip));
        Ok(tips)
    }

    /// How many commits no remote has; whose they are is in `lost` then.
    fn unpushed(&mut self, opened: &Opened<'_>) -> Result<u64, GitError> {
        if self.ours.is_empty() {
            return Ok(0);
        }
        let mut walk = opened.repo.revwalk()?;
        for tip in self.ours.keys() {
            walk.push(*tip)?;
        }
        for tip in &self.published {
            if let Err(error) = walk.hide(*tip) {
                tracing::debug!(id = %tip, error = %error, "what a remote has there is no commit");
            }
        }
        let mut commits = 0;
        for (walked, commit) in walk.enumerate() {
            let mut names = if walked == MAX_WALKED {
                self.ours.drain().flat_map(|(_, names)| names).collect()
            } else {
                Vec::new()
            };
            if commits == MAX_UNPUSHED && self.ours.is_empty() && names.is_empty() {
                break;
            }
            names.extend(self.ours.remove(&commit?).unwrap_or_default());
            for name in names {
                self.lost.add(&name);
            }
            commits = (commits + 1).min(MAX_UNPUSHED);
        }
        Ok(commits)
    }
}

fn changed(opened: &Opened<'_>) -> Result<u64, GitError> {
    let found = status::differing(opened, None)?.map_or(0, |found| found.len());
    let names = opened.files.scratch()?.names()?;
    let rescued = names.iter().filter(|name| name.starts_with(moves::RESCUED)).count();
    Ok(u64::try_from(found + rescued).unwrap_or(u64::MAX).min(MAX_CHANGED))
}
