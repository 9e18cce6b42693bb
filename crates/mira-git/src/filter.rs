//! Line ends and keywords: what git's own attributes (`text`, `eol`, `ident`) make of bytes on their way into a commit and
//! back. No program is ever run: `filter=...` names one, and libgit2 knows none.

use crate::{error::GitError, open::Opened, path::SafePath};
use git2::{AttrCheckFlags, AttrValue, ObjectType, Oid};
use std::{io::Write, path::Path};

/// Attributes under which the bytes of a commit differ from those of the file.
const CHANGING: [&str; 5] = ["text", "eol", "crlf", "ident", "working-tree-encoding"];

fn as_path(path: SafePath<'_>) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(path.bytes()))
}

fn is_set(opened: &Opened<'_>, path: SafePath<'_>, name: &str) -> bool {
    let value = opened
        .repo
        .get_attr_bytes(as_path(path), name, AttrCheckFlags::FILE_THEN_INDEX);
    let value = value.map(AttrValue::always_bytes);
    matches!(value, Ok(AttrValue::True | AttrValue::Bytes(_) | AttrValue::String(_)))
}

/// Whether the file at `path` goes through a filter; if its bytes cannot be touched by one, attributes are not looked up.
fn is_filtered(opened: &Opened<'_>, path: SafePath<'_>, bytes: &[u8]) -> bool {
    let touchable = bytes.contains(&b'\r') || bytes.windows(3).any(|three| three == b"$Id");
    touchable && CHANGING.iter().any(|name| is_set(opened, path, name))
}

/// The id the bytes of a work tree file would have in a commit.
pub(crate) fn clean_id(opened: &Opened<'_>, path: SafePath<'_>, bytes: &[u8]) -> Result<Oid, GitError> {
    if is_filtered(opened, path, bytes) {
        // libgit2 filters only while it writes; an object nobody refers to is harmless and is what `git add` makes, too.
        return store(opened, path, bytes);
    }
    Ok(Oid::hash_object(ObjectType::Blob, bytes)?)
}

/// Stores the bytes of a work tree file as a blob.
pub(crate) fn store(opened: &Opened<'_>, path: SafePath<'_>, bytes: &[u8]) -> Result<Oid, GitError> {
    if !is_filtered(opened, path, bytes) {
        return Ok(opened.repo.blob(bytes)?);
    }
    let mut writer = opened.repo.blob_writer(Some(as_path(path)))?;
    writer.write_all(bytes).map_err(GitError::io("storing a file"))?;
    Ok(writer.commit()?)
}

/// The bytes of a blob as they belong into the work tree: `eol=crlf` is honoured. Keywords stay folded, which git reads as
/// unchanged.
pub(crate) fn smudge(opened: &Opened<'_>, path: SafePath<'_>, bytes: Vec<u8>) -> Vec<u8> {
    if bytes.contains(&0) || bytes.contains(&b'\r') || !bytes.contains(&b'\n') {
        return bytes;
    }
    let eol = opened
        .repo
        .get_attr_bytes(as_path(path), "eol", AttrCheckFlags::FILE_THEN_INDEX);
    let text = opened
        .repo
        .get_attr_bytes(as_path(path), "text", AttrCheckFlags::FILE_THEN_INDEX);
    let wants_crlf =
        matches!(eol, Ok(Some(b"crlf"))) && !matches!(AttrValue::always_bytes(text.unwrap_or(None)), AttrValue::False);
    if !wants_crlf {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for byte in bytes {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// Bytes with the line ends of a commit.
pub(crate) fn unix_lines(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().peekable();
    while let Some(byte) = rest.next() {
        if *byte != b'\r' || rest.peek() != Some(&&b'\n') {
            out.push(*byte);
        }
    }
    out
}
