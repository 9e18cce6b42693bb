//! The Dockerfile's steps without a container engine: the same files, the same build command, the same place for the
//! binary. What only an engine can do (base images, users, layers) is not done, and nothing pretends it was.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::dockerfile::{Ignore, Image};
use crate::run::{captured, command, said, visible};
use crate::{deploy, repo};

/// Reads and checks the repository's Dockerfile.
pub fn shipped() -> Result<(Image, Ignore)> {
    let root = repo::root();
    let read = |name: &str| fs::read_to_string(root.join(name)).with_context(|| format!("{name} is missing"));
    let ignore = Ignore::parse(&read(".dockerignore")?);
    let image = Image::read(&read("Dockerfile")?, &ignore, &root).context("Dockerfile")?;
    Ok((image, ignore))
}

/// Whether the builder stage has this path after its COPY lines.
fn goes_in(image: &Image, ignore: &Ignore, path: &str) -> bool {
    let copied = image
        .sources
        .iter()
        .any(|source| path == source || path.starts_with(&format!("{source}/")));
    copied && !ignore.ignores(path)
}

/// Lays out what the builder stage would see after its COPY lines.
fn context(image: &Image, ignore: &Ignore) -> Result<PathBuf> {
    let context = repo::scratch("image-context")?;
    let root = repo::root();
    let mut count = 0;
    for file in repo::files(&root)?
        .iter()
        .filter(|file| goes_in(image, ignore, &file.path))
    {
        let target = context.join(&file.path);
        fs::create_dir_all(target.parent().unwrap_or(&context))?;
        fs::copy(root.join(&file.path), &target).with_context(|| format!("cannot copy {}", file.path))?;
        count += 1;
    }
    println!("build context: {count} files in {}", context.display());
    Ok(context)
}

/// Whether the Dockerfile copies all that the build needs, without building a second time: the manifests resolve in a
/// copy of exactly those files, and every file that the compiler says it read for `binary` is among them.
pub fn holds_all_that_is_built(image: &Image, ignore: &Ignore, binary: &Path) -> Result<()> {
    let context = context(image, ignore)?;
    // `cargo tree` reads manifests and the lock file and compiles nothing. A target folder shared with the copy would
    // take the copy's crates for the repository's: cargo tells crates of a workspace apart by their place in it.
    let resolved = captured(
        command("cargo")
            .args(["tree", "--locked", "--offline", "--package", "mira-backend"])
            .current_dir(&context)
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    ensure!(
        resolved.status.success(),
        "the manifests that the Dockerfile copies are not all that the build needs: {}",
        said(&resolved)
    );
    let listed = binary.with_extension("d");
    let listed = fs::read_to_string(&listed).with_context(|| format!("cargo left no {}", listed.display()))?;
    let read = files_read(&listed, &repo::root(), &repo::target_dir())?;
    let left_out: Vec<&str> = read
        .iter()
        .map(String::as_str)
        .filter(|path| !goes_in(image, ignore, path))
        .collect();
    ensure!(
        left_out.is_empty(),
        "the build reads what the Dockerfile does not copy: {}",
        left_out.join(", ")
    );
    println!("Dockerfile: it copies the {} files that the build reads", read.len());
    Ok(())
}

/// The files of the repository in cargo's list of what a binary was made of (`target: file file`, a space in a name
/// behind a backslash), relative to `root`.
fn files_read(listed: &str, root: &Path, target: &Path) -> Result<Vec<String>> {
    let (_, names) = listed.trim_end().split_once(": ").context("not a list of files")?;
    let names = names.replace("\\ ", "\0");
    let mut files = Vec::new();
    for name in names.split_whitespace() {
        let path = plain(Path::new(&name.replace('\0', " ")));
        if path.starts_with(target) {
            continue;
        }
        let inside = path
            .strip_prefix(root)
            .ok()
            .and_then(Path::to_str)
            .with_context(|| format!("the build reads {} outside of the repository", path.display()))?;
        files.push(inside.to_owned());
    }
    ensure!(!files.is_empty(), "the list names no file");
    Ok(files)
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// `cargo xtask image`: runs the builder's commands and puts the binary where the image would have it, below `folder`.
pub fn run(folder: Option<&str>) -> Result<()> {
    let (image, ignore) = shipped()?;
    let context = context(&image, &ignore)?;
    for line in &image.build {
        visible(
            command("sh")
                .args(["-euc", line])
                .current_dir(&context)
                .env_remove("CARGO_TARGET_DIR"),
        )?;
    }
    let built = context.join(&image.built);
    ensure!(built.is_file(), "the build left no {}", image.built);
    let folder = folder.map_or_else(|| repo::target_dir().join("image"), PathBuf::from);
    let installed = folder.join(image.installed.trim_start_matches('/'));
    install(&built, &installed)?;
    deploy::start_as_in_the_image(&image, &installed)?;
    println!(
        "{} starts with the image's environment and passes its health check.",
        installed.display()
    );
    println!("Not done here, since it takes a container engine: base images, user, layers.");
    Ok(())
}

fn install(built: &Path, installed: &Path) -> Result<()> {
    fs::create_dir_all(installed.parent().context("no folder to install into")?)?;
    fs::copy(built, installed).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(listed: &str) -> Result<Vec<String>> {
        files_read(listed, Path::new("/r"), Path::new("/r/target"))
    }

    #[test]
    fn what_was_read_is_told_as_paths_of_the_repository() {
        let listed =
            "/r/target/debug/x: /r/crates/a/src/main.rs /r/crates/a/../../frontend/a\\ b.js /r/target/out/made.rs\n";
        assert_eq!(read(listed).unwrap(), ["crates/a/src/main.rs", "frontend/a b.js"]);
        for (listed, says) in [
            (
                "/r/target/debug/x: /r/a.rs /etc/b.rs\n",
                "the build reads /etc/b.rs outside of the repository",
            ),
            (
                "/r/target/debug/x: /r/../b.rs\n",
                "the build reads /b.rs outside of the repository",
            ),
            ("/r/target/debug/x: \n", "not a list of files"),
            ("/r/target/debug/x: /r/target/a.rs", "the list names no file"),
        ] {
            assert_eq!(read(listed).unwrap_err().to_string(), says);
        }
    }

    #[test]
    fn the_shipped_dockerfile_copies_sources_and_pages_and_nothing_private() {
        let (image, ignore) = shipped().unwrap();
        for (path, goes) in [
            ("crates/mira-backend/src/main.rs", true),
            ("frontend/js/main.js", true),
            ("migrations/0001_init.up.sql", true),
            ("crates/mira-backend/src/snapshots/x.snap", false),
            ("docs/PROTOCOL.md", false),
            (".env", false),
            ("target/debug/x", false),
        ] {
            assert_eq!(goes_in(&image, &ignore, path), goes, "{path}");
        }
    }
}
