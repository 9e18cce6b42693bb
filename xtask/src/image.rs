//! The Dockerfile's steps without a container engine: the same files, the same build command, the same place for the
//! binary. What only an engine can do (base images, users, layers) is not done, and nothing pretends it was.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::dockerfile::{Ignore, Image};
use crate::run::{command, visible};
use crate::{deploy, repo};

/// Reads and checks the repository's Dockerfile.
pub fn shipped() -> Result<(Image, Ignore)> {
    let root = repo::root();
    let read = |name: &str| fs::read_to_string(root.join(name)).with_context(|| format!("{name} is missing"));
    let ignore = Ignore::parse(&read(".dockerignore")?);
    let image = Image::read(&read("Dockerfile")?, &ignore, &root).context("Dockerfile")?;
    Ok((image, ignore))
}

/// Lays out what the builder stage would see after its COPY lines.
pub fn context(image: &Image, ignore: &Ignore) -> Result<PathBuf> {
    let context = repo::scratch("image-context")?;
    let root = repo::root();
    let copied = |path: &str| {
        image
            .sources
            .iter()
            .any(|source| path == source || path.starts_with(&format!("{source}/")))
    };
    let mut count = 0;
    for file in repo::files(&root)?
        .iter()
        .filter(|file| copied(&file.path) && !ignore.ignores(&file.path))
    {
        let target = context.join(&file.path);
        fs::create_dir_all(target.parent().unwrap_or(&context))?;
        fs::copy(root.join(&file.path), &target).with_context(|| format!("cannot copy {}", file.path))?;
        count += 1;
    }
    println!("build context: {count} files in {}", context.display());
    Ok(context)
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
