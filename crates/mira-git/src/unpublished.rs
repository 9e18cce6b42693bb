//! What would be lost with a clone: commits that no remote has, and edits in no commit. For whoever is about to remove it.

use crate::{error::GitError, moves, open::Opened, repos::Repos, status};
use git2::{BranchType, Oid};
use mira_core::ids::AttachmentId;
use std::collections::{HashMap, HashSet};

/// Commits are counted up to this number.
pub const MAX_UNPUSHED: u64 = 1_000;
/// Changed files are counted up to this number.
pub const MAX_CHANGED: u64 = 1_000;
/// Branches named at most.
const MAX_NAMED: usize = 50;
/// After so many commits that no remote has, the branches not met yet count as having some, too.
const MAX_WALKED: usize = 100_000;

/// What is in this clone only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpublished {
    /// Commits of local branches, and of a HEAD without a branch, that no remote-tracking branch has; at most
    /// [`MAX_UNPUSHED`].
    pub unpushed_commits: u64,
    /// Files whose edits are in no commit, staged, untracked and rescued ones too, a folder that is untracked as a whole as
    /// one; ignored ones do not count. At most [`MAX_CHANGED`].
    pub changed_files: u64,
    /// The branches with such commits, short, by name; at most 50.
    pub branches: Vec<String>,
}

impl Unpublished {
    /// Whether nothing would be lost.
    pub fn is_empty(&self) -> bool {
        self.unpushed_commits == 0 && self.changed_files == 0
    }
}

impl Repos {
    /// What would be lost with the clone. Costs about as much as [`Self::status`].
    pub async fn unpublished(&self, id: AttachmentId) -> Result<Unpublished, GitError> {
        self.read(id, |opened| {
            let (unpushed_commits, branches) = unpushed(opened)?;
            Ok(Unpublished {
                unpushed_commits,
                changed_files: changed(opened)?,
                branches,
            })
        })
        .await
    }
}

fn unpushed(opened: &Opened<'_>) -> Result<(u64, Vec<String>), GitError> {
    let mut tips: HashMap<Oid, Vec<String>> = HashMap::new();
    let mut published = HashSet::new();
    for found in opened.repo.branches(None)? {
        let (branch, kind) = found?;
        // `origin/HEAD` only names another one.
        let Some(tip) = branch.get().target() else { continue };
        match kind {
            BranchType::Remote => {
                published.insert(tip);
            }
            BranchType::Local => {
                let name = String::from_utf8_lossy(branch.name_bytes()?).into_owned();
                tips.entry(tip).or_default().push(name);
            }
        }
    }
    if let Some(head) = opened.head_commit()? {
        tips.entry(head).or_default();
    }
    tips.retain(|tip, _| !published.contains(tip));
    if tips.is_empty() {
        return Ok((0, Vec::new()));
    }
    let mut walk = opened.repo.revwalk()?;
    for tip in tips.keys() {
        walk.push(*tip)?;
    }
    for tip in published {
        if let Err(error) = walk.hide(tip) {
            tracing::debug!(id = %tip, error = %error, "a remote's branch is no commit");
        }
    }
    let (mut commits, mut names) = (0, Vec::new());
    for (walked, commit) in walk.enumerate() {
        if walked == MAX_WALKED {
            names.extend(tips.drain().flat_map(|(_, names)| names));
        }
        if commits == MAX_UNPUSHED && tips.is_empty() {
            break;
        }
        names.extend(tips.remove(&commit?).unwrap_or_default());
        commits = (commits + 1).min(MAX_UNPUSHED);
    }
    names.sort();
    names.truncate(MAX_NAMED);
    Ok((commits, names))
}

fn changed(opened: &Opened<'_>) -> Result<u64, GitError> {
    let found = status::differing(opened, None)?.map_or(0, |found| found.len());
    let names = opened.files.scratch()?.names()?;
    let rescued = names.iter().filter(|name| name.starts_with(moves::RESCUED)).count();
    Ok(u64::try_from(found + rescued).unwrap_or(u64::MAX).min(MAX_CHANGED))
}
