//! Line ends and keywords: what git's own attributes (`text`, `eol`, `ident`) make of bytes on their way into a commit and
//! back. No program is ever run: `filter=...` names one, and libgit2 knows none.

use crate::{error::GitError, open::Opened, path::SafePath};
use git2::{AttrCheckFlags, AttrValue, ObjectType, Oid};
use sha1::{Digest, Sha1};
use std::{
    fs::File,
    io::{self, BufWriter, ErrorKind, Read, Seek, Write},
    path::Path,
};

/// A work tree file is read in pieces of this size.
const PIECE: usize = 128 * 1024;
/// Letters of `$Id` that may lie before the end of a piece without being all of it.
const SPLIT: usize = 2;
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
    is_touchable(bytes) && has_filter(opened, path)
}

fn is_touchable(bytes: &[u8]) -> bool {
    bytes.contains(&b'\r') || bytes.windows(SPLIT + 1).any(|three| three == b"$Id")
}

fn has_filter(opened: &Opened<'_>, path: SafePath<'_>) -> bool {
    CHANGING.iter().any(|name| is_set(opened, path, name))
}

/// The id the bytes of a work tree file would have in a commit.
pub(crate) fn clean_id(opened: &Opened<'_>, path: SafePath<'_>, bytes: &[u8]) -> Result<Oid, GitError> {
    if is_filtered(opened, path, bytes) {
        // libgit2 filters only while it writes; an object nobody refers to is harmless and is what `git add` makes, too.
        return store(opened, path, bytes);
    }
    Ok(Oid::hash_object(ObjectType::Blob, bytes)?)
}

/// As [`clean_id`], of the file that lies there, which is never whole in memory unless a filter applies. `None`: it is gone,
/// or it changes while it is read.
pub(crate) fn clean_id_of(opened: &Opened<'_>, path: SafePath<'_>) -> Result<Option<Oid>, GitError> {
    let told = || GitError::io("reading a file");
    let Some((mut file, stat)) = opened.files.open_file(path)? else {
        return Ok(None);
    };
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    let Some((id, touchable)) = hashed(&mut file, size).map_err(told())? else {
        return Ok(None);
    };
    if !touchable || !has_filter(opened, path) {
        return Ok(Some(id));
    }
    file.rewind().map_err(told())?;
    let mut writer = opened.repo.blob_writer(Some(as_path(path)))?;
    io::copy(&mut file.take(size), &mut writer).map_err(told())?;
    Ok(Some(writer.commit()?))
}

/// The id of a file's bytes as they are, and whether a filter could touch them; `None` if there are not `size` of them.
fn hashed(file: &mut File, size: u64) -> io::Result<Option<(Oid, bool)>> {
    let mut hash = Sha1::new();
    hash.update(format!("blob {size}\0"));
    let mut buffer = vec![0; PIECE + SPLIT];
    let (mut read, mut kept, mut touchable) = (0_u64, 0_usize, false);
    while read <= size {
        let length = match file.read(buffer.get_mut(kept..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = kept + length;
        read = read.saturating_add(length as u64);
        hash.update(buffer.get(kept..filled).unwrap_or_default());
        touchable = touchable || is_touchable(buffer.get(..filled).unwrap_or_default());
        kept = filled.min(SPLIT);
        buffer.copy_within(filled - kept..filled, 0);
    }
    if read != size {
        return Ok(None);
    }
    let id = Oid::from_bytes(&hash.finalize()).map_err(io::Error::other)?;
    Ok(Some((id, touchable)))
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

/// Line ends a file of the work tree is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// Those the bytes have.
    Same,
    /// CR and LF.
    Windows,
}

impl LineEnds {
    /// Those the bytes of a blob get in the work tree: `eol=crlf` is honoured. Keywords stay folded, which git reads as
    /// unchanged.
    pub(crate) fn of(opened: &Opened<'_>, path: SafePath<'_>, bytes: &[u8]) -> Self {
        if bytes.contains(&0) || bytes.contains(&b'\r') || !bytes.contains(&b'\n') {
            return Self::Same;
        }
        let value = |name: &str| {
            opened
                .repo
                .get_attr_bytes(as_path(path), name, AttrCheckFlags::FILE_THEN_INDEX)
        };
        let (eol, text) = (value("eol"), value("text"));
        let is_text = !matches!(AttrValue::always_bytes(text.unwrap_or(None)), AttrValue::False);
        if matches!(eol, Ok(Some(b"crlf"))) && is_text {
            Self::Windows
        } else {
            Self::Same
        }
    }

    /// Writes bytes with these line ends; no copy of them is made.
    pub(crate) fn write(self, bytes: &[u8], file: &mut File) -> io::Result<()> {
        match self {
            Self::Same => file.write_all(bytes),
            Self::Windows => {
                let mut file = BufWriter::new(file);
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    match line.strip_suffix(b"\n") {
                        Some(line) => {
                            file.write_all(line)?;
                            file.write_all(b"\r\n")?;
                        }
                        None => file.write_all(line)?,
                    }
                }
                file.flush()
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::{PIECE, hashed};
    use git2::{ObjectType, Oid};
    use std::io::{Seek, Write};

    fn check(bytes: &[u8], touchable: bool) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let id = Oid::hash_object(ObjectType::Blob, bytes).unwrap();
        let size = bytes.len() as u64;
        for (size, expect) in [
            (size, Some((id, touchable))),
            (size + 1, None),
            (size.wrapping_sub(1), None),
        ] {
            file.rewind().unwrap();
            assert_eq!(
                hashed(&mut file, size).unwrap(),
                expect,
                "{} bytes as {size}",
                bytes.len()
            );
        }
    }

    #[test]
    fn a_file_read_in_pieces_has_the_id_of_the_whole() {
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, PIECE + 2, PIECE + 3, 3 * PIECE + 7] {
            check(&vec![b'x'; size], false);
        }
        // A keyword, and a line end, around the end of the first piece.
        for at in PIECE - 2..PIECE + 6 {
            let mut bytes = vec![b'x'; 2 * PIECE];
            bytes[at..at + 3].copy_from_slice(b"$Id");
            check(&bytes, true);
            bytes[at..at + 3].copy_from_slice(b"x\rx");
            check(&bytes, true);
            bytes[at..at + 3].copy_from_slice(b"$I ");
            check(&bytes, false);
        }
    }
}
