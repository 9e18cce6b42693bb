//! Which tags of a clone its remote has too. git keeps a remote's branches apart from ours, but not its tags; so what was
//! heard when it was last fetched from is noted in a file of `.git`.

use crate::error::GitError;
use git2::{Oid, Repository};
use std::{collections::HashSet, fs, io};

/// In `.git`: a line for each tag that is here as it is there, its id and its full name.
const NOTED: &str = "mira.tags";
const DRAFT: &str = "mira.tags.new";
/// Hex digits of an id.
const ID: usize = 40;

/// Tags by full name, with what they point at.
pub(crate) type Tags = HashSet<(Vec<u8>, Oid)>;

/// Notes which of the tags here the remote has.
pub(crate) fn note(repo: &Repository, there: &Tags) -> Result<(), GitError> {
    let mut text = Vec::new();
    for found in repo.references_glob("refs/tags/*")? {
        let found = found?;
        let Some(id) = found.target() else { continue };
        let tag = (found.name_bytes().to_vec(), id);
        if there.contains(&tag) {
            text.extend_from_slice(format!("{id} ").as_bytes());
            text.extend_from_slice(&tag.0);
            text.push(b'\n');
        }
    }
    let (path, draft) = (repo.path().join(NOTED), repo.path().join(DRAFT));
    let noted = fs::write(&draft, text).and_then(|()| fs::rename(draft, path));
    noted.map_err(GitError::io("noting the remote's tags"))
}

/// Which tags the remote had; `None` if it was never noted.
pub(crate) fn noted(repo: &Repository) -> Result<Option<Tags>, GitError> {
    let text = match fs::read(repo.path().join(NOTED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(GitError::io("reading the remote's tags"))?,
    };
    let tag = |line: &[u8]| {
        let (id, name) = line.split_at_checked(ID)?;
        let id = Oid::from_str(str::from_utf8(id).ok()?).ok()?;
        Some((name.strip_prefix(b" ")?.to_vec(), id))
    };
    Ok(Some(text.split(|byte| *byte == b'\n').filter_map(tag).collect()))
}
