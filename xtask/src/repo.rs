//! Where the repository is and what lies in it. Paths given out are relative, with `/` between their parts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that are made by tools and belong to nobody's review.
const SKIPPED_DIRS: &[&str] = &["target", "node_modules", ".git", "mira-data", "test-results", "tmp"];
/// Files that git ignores too: the developer's own settings.
const SKIPPED_FILES: &[&str] = &[".env"];

/// The repository's root: the folder above xtask.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Cargo's target folder, which the environment may have moved.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// One file of the repository.
#[derive(Debug, Clone)]
pub struct File {
    /// Relative to the root, `/`-separated.
    pub path: String,
    /// The text; `None` for what is not UTF-8 (images).
    pub text: Option<String>,
}

/// Every file below `root` that belongs to the project, sorted by path.
pub fn files(root: &Path) -> Result<Vec<File>> {
    let mut paths = Vec::new();
    walk(root, "", &mut paths)?;
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let bytes = fs::read(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
            Ok(File {
                path,
                text: String::from_utf8(bytes).ok(),
            })
        })
        .collect()
}

fn walk(root: &Path, below: &str, paths: &mut Vec<String>) -> Result<()> {
    let dir = root.join(below);
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = if below.is_empty() {
            name.clone()
        } else {
            format!("{below}/{name}")
        };
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED_DIRS.contains(&name.as_str()) {
            walk(root, &path, paths)?;
        } else if kind.is_file() && !SKIPPED_FILES.contains(&name.as_str()) {
            paths.push(path);
        }
    }
    Ok(())
}

/// A fresh folder below the target folder, emptied when it was there.
pub fn scratch(name: &str) -> Result<PathBuf> {
    let dir = target_dir().join("xtask").join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot clear {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}
