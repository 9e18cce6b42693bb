//! Paths inside a repository, and names of branches and commits. A [`RepoPath`] cannot leave the work tree and cannot name
//! `.git` by any spelling; nothing in this crate turns other text into a path. Percent-decoding is the edge's job.
//!
//! Trees of a repository are written by strangers, so their names are checked by the same rules, except that names which
//! are merely odd (not UTF-8, control characters) may be checked out: `SafePath`.

use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Longest name of one file or folder, bytes: what file systems take.
pub const MAX_COMPONENT: usize = 255;
/// Longest path, bytes.
pub const MAX_PATH: usize = 4096;

/// Why a text is no path inside a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing is named.
    #[error("the path is empty")]
    Empty,
    /// Starts at the root of the file system.
    #[error("the path must be relative to the repository")]
    Absolute,
    /// `a//b` or `a/`.
    #[error("the path has an empty part")]
    EmptyPart,
    /// `.` or `..`.
    #[error("the path must not contain `.` or `..`")]
    Dots,
    /// A backslash, which some systems read as a separator.
    #[error("the path must not contain a backslash")]
    Backslash,
    /// NUL, line feed and the like.
    #[error("the path must not contain control characters")]
    Control,
    /// git's own folder, however it is spelled.
    #[error("git's own folder cannot be reached")]
    DotGit,
    /// Longer than file systems take.
    #[error("the path is too long")]
    TooLong,
}

/// A path of a file or folder inside a repository: relative, separated by `/`, never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(String);

impl RepoPath {
    /// The only way to get one.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        check(text.as_bytes())?;
        if text.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// A folder that may be the root: empty text is the root, one `/` at the end is let pass.
    pub fn parse_folder(text: &str) -> Result<Option<Self>, PathError> {
        match text {
            "" | "." | "./" => Ok(None),
            "/" => Err(PathError::Absolute),
            _ => Self::parse(text.strip_suffix('/').unwrap_or(text)).map(Some),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.as_str(), |(_, name)| name)
    }

    pub(crate) fn as_path(&self) -> &std::path::Path {
        std::path::Path::new(&self.0)
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for RepoPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

/// A path that may be opened beneath a work tree: a [`RepoPath`], or a path found in a tree, where a name may be odd (not
/// UTF-8, control characters) as long as it is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SafePath<'a>(&'a [u8]);

impl<'a> SafePath<'a> {
    /// `None` for what must not be touched: `.git` twins, `..`, separators of other systems.
    pub(crate) fn from_tree(path: &'a [u8]) -> Option<Self> {
        check(path).is_ok().then_some(Self(path))
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The folder (`None` is the root) and the name in it.
    pub(crate) fn split(self) -> (Option<Self>, &'a [u8]) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(at) => {
                let (folder, name) = self.0.split_at(at);
                (Some(Self(folder)), name.get(1..).unwrap_or_default())
            }
            None => (None, self.0),
        }
    }

    /// The names on the way, from the root.
    pub(crate) fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// For messages.
    pub(crate) fn shown(self) -> String {
        String::from_utf8_lossy(self.0).into_owned()
    }
}

impl<'a> From<&'a RepoPath> for SafePath<'a> {
    fn from(path: &'a RepoPath) -> Self {
        Self(path.0.as_bytes())
    }
}

fn check(path: &[u8]) -> Result<(), PathError> {
    match path {
        [] => return Err(PathError::Empty),
        [b'/', ..] => return Err(PathError::Absolute),
        _ if path.len() > MAX_PATH => return Err(PathError::TooLong),
        _ if path.contains(&0) => return Err(PathError::Control),
        _ if path.contains(&b'\\') => return Err(PathError::Backslash),
        _ => {}
    }
    path.split(|byte| *byte == b'/').try_for_each(check_part)
}

fn check_part(part: &[u8]) -> Result<(), PathError> {
    match part {
        b"" => Err(PathError::EmptyPart),
        b"." | b".." => Err(PathError::Dots),
        _ if part.len() > MAX_COMPONENT => Err(PathError::TooLong),
        _ if is_dot_git(&String::from_utf8_lossy(part)) => Err(PathError::DotGit),
        _ => Ok(()),
    }
}

/// Whether some file system would take this name for `.git`: any case; code points that HFS+ ignores; compatibility forms;
/// on Windows trailing dots and spaces, a stream after `:`, and the short names `git~1`.
fn is_dot_git(name: &str) -> bool {
    let folded: String = name
        .nfkc()
        .filter(|letter| !is_ignored_by_hfs(*letter))
        .flat_map(char::to_lowercase)
        .collect();
    let stem = folded.split(':').next().unwrap_or_default();
    let stem = stem.trim_end_matches(['.', ' ']);
    // `..git`-like names are ordinary; the dots trimmed are only those at the end.
    stem == ".git" || stem.strip_prefix("git~").is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The code points HFS+ drops when it compares names (Apple's TN1150, as git's own check lists them).
fn is_ignored_by_hfs(letter: char) -> bool {
    matches!(letter, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// A name as file systems without case and with one Unicode form see it: two names with the same fold are twins.
pub(crate) fn fold(name: &str) -> String {
    name.nfc()
        .filter(|letter| !is_ignored_by_hfs(*letter))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Why a text is no branch or commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// git does not take such a name for a branch.
    #[error("not a valid branch name")]
    Branch,
    /// Neither a branch, nor a tag, nor the hex digits of a commit.
    #[error("not a valid name of a branch, tag or commit")]
    Revision,
    /// Not the place in a history that a page of it told.
    #[error("not a cursor")]
    Cursor,
}

/// The short name of a branch (`main`, `fix/typo`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BranchName(String);

impl BranchName {
    /// The only way to get one. The rules are git's own, and no name begins with `-` or is `HEAD`.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        let odd = text.starts_with('-') || text == "HEAD" || text.len() > MAX_COMPONENT;
        let shaped = git2::Reference::is_valid_name(&format!("refs/heads/{text}"));
        if odd || !shaped || text.chars().any(char::is_control) {
            return Err(RefError::Branch);
        }
        Ok(Self(text.to_owned()))
    }

    /// The short name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `refs/heads/...`.
    pub fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

/// What names a commit: a branch, a remote's branch, a tag, or at least four hex digits. Not git's whole revision language:
/// `HEAD@{...}`, `:/text` and ranges cost unbounded work and nobody needs them here; `~` and `^` are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(String);

impl Revision {
    /// The only way to get one.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        let name = text.trim_end_matches(|letter: char| letter == '^' || letter == '~' || letter.is_ascii_digit());
        // Digits may as well belong to the name (`v1`): what counts is that nothing odd is left.
        let plain = !name.contains(['^', '~', '{', ':', '*', '?', '[', '\\', ' ']) && !name.contains("..");
        let odd = text.is_empty() || text.starts_with(['-', '/', '^', '~']) || text.len() > MAX_COMPONENT;
        if odd || !plain || text.chars().any(char::is_control) {
            return Err(RefError::Revision);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
