//! How much a checkout would write, found out without writing: a few small objects can describe more files than a disk
//! holds.

use super::exchange::Exchange;
use crate::{error::GitError, path::MAX_PATH};
use git2::{ObjectType, Oid, Repository};

/// How often it is asked whether work may go on.
const ENTRIES_PER_CHECK: usize = 1024;

/// What one checkout may come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

/// Walks the tree of a commit and fails as soon as it is over a bound.
pub(crate) fn measure(repo: &Repository, commit: Oid, bounds: Bounds, exchange: &Exchange) -> Result<(), GitError> {
    let odb = repo.odb()?;
    let (mut entries, mut bytes) = (0_usize, 0_u64);
    // Trees to look at, with the length of the path that leads to each.
    let mut ahead = vec![(repo.find_commit(commit)?.tree_id(), 0_usize)];
    while let Some((tree, length)) = ahead.pop() {
        for entry in &repo.find_tree(tree)? {
            entries += 1;
            if entries > bounds.files {
                return Err(GitError::TooLarge {
                    what: "the number of files to check out",
                    limit: u64::try_from(bounds.files).unwrap_or(u64::MAX),
                });
            }
            if entries.is_multiple_of(ENTRIES_PER_CHECK) {
                exchange.check()?;
            }
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    let length = length + entry.name_bytes().len() + 1;
                    if length > MAX_PATH {
                        return Err(GitError::TooLarge {
                            what: "the length of a path",
                            limit: MAX_PATH as u64,
                        });
                    }
                    ahead.push((entry.id(), length));
                }
                Some(ObjectType::Blob) => {
                    let (size, _) = odb.read_header(entry.id())?;
                    bytes = bytes.saturating_add(size as u64);
                }
                // Submodules are folders that stay empty.
                _ => {}
            }
            if bytes > bounds.bytes {
                return Err(GitError::TooLarge {
                    what: "the checkout",
                    limit: bounds.bytes,
                });
            }
        }
    }
    Ok(())
}
