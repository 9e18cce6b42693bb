//! One folder of a commit: names, kinds, sizes. Lazy: the folders below are not looked at.

use crate::{
    error::{GitError, Missing},
    moves,
    open::Opened,
    path::{RepoPath, Revision},
    repos::Repos,
};
use git2::{ObjectType, Oid};
use mira_core::ids::AttachmentId;

/// In a folder with more files than this, sizes are left out: each costs a look into the object store.
const SIZED: usize = 2_000;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeKind {
    /// A file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link; in the work tree a small file that holds its target.
    Symlink,
    /// Another repository's commit; never fetched.
    Submodule,
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The name; replacement characters stand for what is not UTF-8.
    pub name: String,
    /// From the root of the repository, as `name`.
    pub path: String,
    /// Whether `path` can be asked for: `false` for names that are not UTF-8, hold control characters, or spell `.git`.
    pub reachable: bool,
    /// What it is.
    pub kind: TreeKind,
    /// Bytes, of files; left out in very large folders.
    pub size: Option<u64>,
    /// The id of the blob, tree or commit.
    pub sha: String,
}

/// One folder at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Folders first, then by name.
    pub entries: Vec<TreeEntry>,
    /// The commit; `None` in a repository without one.
    pub commit: Option<String>,
    /// How many entries the folder has; more than listed if over the limit.
    pub total: usize,
}

impl Repos {
    /// Lists the folder `path` (`None`: the root) at `revision` (`None`: HEAD).
    pub async fn tree(
        &self,
        id: AttachmentId,
        path: Option<RepoPath>,
        revision: Option<Revision>,
    ) -> Result<Tree, GitError> {
        self.read(id, move |opened| list(opened, path.as_ref(), revision.as_ref()))
            .await
    }
}

fn list(opened: &Opened<'_>, path: Option<&RepoPath>, revision: Option<&Revision>) -> Result<Tree, GitError> {
    let Some(commit) = opened.commit_at(revision)? else {
        return match path {
            None => Ok(Tree {
                entries: Vec::new(),
                commit: None,
                total: 0,
            }),
            Some(_) => Err(GitError::NotFound(Missing::Path)),
        };
    };
    let root = opened.repo.find_commit(commit)?.tree()?;
    let folder = match path {
        None => root,
        Some(path) => {
            let entry = root
                .get_path(path.as_path())
                .map_err(|_| GitError::NotFound(Missing::Path))?;
            if entry.kind() != Some(ObjectType::Tree) {
                return Err(GitError::NotFound(Missing::Folder));
            }
            opened.repo.find_tree(entry.id())?
        }
    };
    let odb = opened.repo.odb()?;
    let sized = folder.len() <= SIZED;
    let size = |id: Oid| odb.read_header(id).ok().and_then(|(size, _)| u64::try_from(size).ok());
    let mut entries: Vec<TreeEntry> = folder
        .iter()
        .take(opened.settings.max_tree_entries)
        .map(|entry| {
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            let whole = path.map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"));
            let kind = kind(u32::try_from(entry.filemode_raw()).unwrap_or(0));
            TreeEntry {
                reachable: std::str::from_utf8(entry.name_bytes()).is_ok() && RepoPath::parse(&whole).is_ok(),
                name,
                path: whole,
                kind,
                size: (kind == TreeKind::File && sized).then(|| size(entry.id())).flatten(),
                sha: entry.id().to_string(),
            }
        })
        .collect();
    // git sorts folders among files as if their names ended in `/`.
    entries.sort_by(|a, b| {
        (a.kind != TreeKind::Dir)
            .cmp(&(b.kind != TreeKind::Dir))
            .then(a.name.cmp(&b.name))
    });
    Ok(Tree {
        entries,
        commit: Some(commit.to_string()),
        total: folder.len(),
    })
}

fn kind(mode: u32) -> TreeKind {
    match mode {
        moves::MODE_LINK => TreeKind::Symlink,
        moves::MODE_SUBMODULE => TreeKind::Submodule,
        0o040_000 => TreeKind::Dir,
        _ => TreeKind::File,
    }
}
