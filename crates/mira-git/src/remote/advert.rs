//! What a remote says it has, read along while libgit2 reads it. git2 takes the names of refs for UTF-8 and breaks off at
//! others, which git allows; and libgit2 keeps all that a remote tells, however much.
//!
//! The form is that of git's `pack-protocol` ("Reference Discovery", version 0); over HTTP a line that names the service
//! goes before it. What is not of that form is libgit2's to refuse.

use super::pkt::{Line, Lines};
use crate::error::GitError;
use git2::Oid;
use std::{mem, ops::ControlFlow};

/// Bytes a remote may tell: about a million refs.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Hex digits of an id.
const ID: usize = 40;

/// The refs of a remote, as far as they have been heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Advert {
    /// Full names, in the remote's order; of a tag that is an object not what it points at.
    refs: Vec<(Vec<u8>, Oid)>,
    lines: Lines,
    bytes: usize,
    /// Whether the next flush only ends the line that names the service.
    is_named: bool,
    /// Whether its history begins in the middle: it is a shallow clone itself.
    pub(crate) is_shallow: bool,
}

impl Advert {
    /// Takes what the remote said next. What comes after the refs is none of its business.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Result<(), GitError> {
        if self.lines.ended() {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_BYTES {
            return Err(GitError::TooLarge {
                what: "the list of what the remote has",
                limit: MAX_BYTES as u64,
            });
        }
        let mut lines = mem::take(&mut self.lines);
        lines.hear(bytes, |line| match line {
            Line::Text(line) => {
                self.line(line);
                ControlFlow::Continue(())
            }
            Line::Flush if mem::take(&mut self.is_named) => ControlFlow::Continue(()),
            Line::Flush | Line::Broken => ControlFlow::Break(()),
        });
        self.lines = lines;
        Ok(())
    }

    fn line(&mut self, line: &[u8]) {
        if line.starts_with(b"# service=") {
            self.is_named = true;
            return;
        }
        self.is_shallow |= line.starts_with(b"shallow ");
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        // After the first name, and a NUL, stands what the remote can do.
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let named = line.split_at_checked(ID).and_then(|(id, name)| {
            let id = Oid::from_str(str::from_utf8(id).ok()?).ok()?;
            Some((name.strip_prefix(b" ")?, id))
        });
        // `name^{}` is what the tag before points at, `capabilities^{}` stands for nothing at all.
        if let Some((name, id)) = named.filter(|(name, _)| !name.ends_with(b"^{}")) {
            self.refs.push((name.to_vec(), id));
        }
    }

    /// The refs that were heard.
    pub(crate) fn into_refs(self) -> Vec<(Vec<u8>, Oid)> {
        self.refs
    }
}

#[cfg(test)]
mod tests {
    use super::{super::pkt::line, Advert, MAX_BYTES};
    use crate::error::GitError;
    use proptest::prelude::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    /// As `http-backend` says it, with a name that is no text.
    fn said() -> Vec<u8> {
        [
            line(b"# service=git-upload-pack\n"),
            b"0000".to_vec(),
            line(format!("{ONE} HEAD\0side-band-64k symref=HEAD:refs/heads/main\n").as_bytes()),
            line(&[ONE.as_bytes(), b" refs/heads/caf\xe9\n"].concat()),
            line(format!("{TWO} refs/tags/v1\n").as_bytes()),
            line(format!("{ONE} refs/tags/v1^{{}}\n").as_bytes()),
            b"0000".to_vec(),
        ]
        .concat()
    }

    fn names(advert: Advert) -> Vec<(Vec<u8>, String)> {
        let refs = advert.into_refs().into_iter();
        refs.map(|(name, id)| (name, id.to_string())).collect()
    }

    proptest! {
        #[test]
        fn it_is_the_same_however_it_is_split(cuts in prop::collection::vec(0..400_usize, 0..20)) {
            let mut said = said();
            // What follows is not of the refs.
            said.extend(line(format!("{TWO} refs/heads/late\n").as_bytes()));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(said.len())).collect();
            cuts.extend([0, said.len()]);
            cuts.sort_unstable();
            let mut advert = Advert::default();
            for pair in cuts.windows(2) {
                advert.hear(&said[pair[0]..pair[1]]).unwrap();
            }
            prop_assert!(advert.lines.ended());
            let expected: [(&[u8], &str); 3] = [(b"HEAD", ONE), (b"refs/heads/caf\xe9", ONE), (b"refs/tags/v1", TWO)];
            let expected: Vec<_> = expected.map(|(name, id)| (name.to_vec(), id.to_owned())).into();
            prop_assert_eq!(names(advert), expected);
        }

        #[test]
        fn nothing_a_remote_says_is_too_odd(said in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut advert = Advert::default();
            advert.hear(&said).unwrap();
        }
    }

    #[test]
    fn an_empty_remote_has_nothing() {
        let mut advert = Advert::default();
        let nothing = format!("{} capabilities^{{}}\0agent=git\n", "0".repeat(40));
        advert
            .hear(&[line(nothing.as_bytes()), b"0000".to_vec()].concat())
            .unwrap();
        assert!(advert.lines.ended() && advert.into_refs().is_empty());
    }

    #[test]
    fn a_shallow_remote_says_so() {
        let mut advert = Advert::default();
        advert.hear(&said()).unwrap();
        assert!(!advert.is_shallow);
        let first = line(format!("{TWO} HEAD\0shallow\n").as_bytes());
        let shallow = line(format!("shallow {TWO}\n").as_bytes());
        let mut advert = Advert::default();
        advert.hear(&[first, shallow, b"0000".to_vec()].concat()).unwrap();
        assert!(advert.is_shallow);
        assert_eq!(names(advert), [(b"HEAD".to_vec(), TWO.to_owned())]);
    }

    #[test]
    fn a_remote_that_never_stops_is_stopped() {
        let mut advert = Advert::default();
        let many = line(format!("{ONE} refs/heads/{}\n", "x".repeat(60_000)).as_bytes());
        let ended = (0..=MAX_BYTES / 60_000).find_map(|_| advert.hear(&many).err());
        assert!(matches!(ended, Some(GitError::TooLarge { .. })), "{ended:?}");
    }
}
