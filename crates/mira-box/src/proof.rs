//! The proof of a box: it is made once as for any other run, and has to show that it is one. A box that fails any check
//! does not exist; why it cannot exist here is said in words that lead to the setting to be changed.

use crate::{
    Ended, Exit, Job, PythonBox,
    command::{ADDED, ENVIRONMENT, ETC, ROOT, WORK},
    filter,
    run::{BoxError, run},
    settings::BoxSettings,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use tokio_util::sync::CancellationToken;

const SCRIPT: &str = include_str!("proof.py");
/// The kinds of namespaces that must not be Mira's own.
const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// Lists the fonts into a file that comes out.
const FONTS: &str = "import glob, shutil\nimport matplotlib.font_manager\nfor path in glob.glob('/box/.tmp/mpl/fontlist-*.json'):\n    shutil.copy(path, '/box')\n";

/// A box is never root's; where root cannot become somebody else, there is none.
const AS_ROOT: &str =
    ": Mira runs as root and cannot become the user `nobody` for the box; run her as an ordinary user";

/// Why there is no box.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// bubblewrap is not installed.
    #[error("bubblewrap is not installed ({0} is missing): install the package `bubblewrap`, version 0.8 or newer")]
    NoBubblewrap(PathBuf),
    /// Python is not installed.
    #[error("Python is not installed ({0} is missing): install the package `python3`")]
    NoPython(PathBuf),
    /// Python lies where a box cannot see it.
    #[error("Python lies at {0}; the box sees programs below /usr only")]
    PythonElsewhere(PathBuf),
    /// No filter for this processor.
    #[error("the box has no filter of system calls for this processor")]
    Processor,
    /// The folder for what comes out fails.
    #[error("the box cannot be prepared: {0}")]
    Scratch(io::Error),
    /// The system forbids it.
    #[error("this system does not let Mira make a box ({said}){hint}")]
    Forbidden {
        /// What bubblewrap or Python said.
        said: String,
        /// What to change, as far as can be seen.
        hint: &'static str,
    },
    /// It can be made, and is none.
    #[error("the box failed its self-test: {0}")]
    SelfTest(String),
}

#[derive(Serialize)]
struct Expected<'a> {
    root: Vec<&'a str>,
    etc: &'a [&'a str],
    environment: Vec<&'a str>,
    limits: BTreeMap<&'a str, u64>,
    room: u64,
    namespaces: [&'a str; 7],
}

#[derive(Deserialize)]
struct Seen {
    failed: Vec<String>,
    checks: usize,
    namespaces: BTreeMap<String, String>,
}

/// Whether the programs are there.
pub(crate) fn programs(settings: &BoxSettings) -> Result<(), Unavailable> {
    if !settings.bwrap.is_file() {
        return Err(Unavailable::NoBubblewrap(settings.bwrap.clone()));
    }
    let Ok(python) = settings.python.canonicalize() else {
        return Err(Unavailable::NoPython(settings.python.clone()));
    };
    if !python.starts_with("/usr") || !settings.python.starts_with("/usr") {
        return Err(Unavailable::PythonElsewhere(python));
    }
    if filter::program().is_none() {
        return Err(Unavailable::Processor);
    }
    Ok(())
}

/// Makes a box and lets it look around.
pub(crate) async fn prove(around: &PythonBox) -> Result<(), Unavailable> {
    let limits = around.settings.limits;
    let expected = Expected {
        root: ROOT.into_iter().chain([WORK.trim_start_matches('/')]).collect(),
        etc: &ETC,
        environment: ENVIRONMENT.into_iter().map(|(name, _)| name).chain(ADDED).collect(),
        limits: BTreeMap::from([
            ("CPU", limits.cpu_seconds + 1),
            ("AS", limits.memory_bytes),
            ("NPROC", limits.processes),
            ("FSIZE", limits.file_bytes),
            ("NOFILE", limits.descriptors),
            ("CORE", 0),
            ("MEMLOCK", 0),
        ]),
        room: limits.disk_bytes,
        namespaces: NAMESPACES,
    };
    let expected = serde_json::to_string(&expected).map_err(|error| Unavailable::SelfTest(error.to_string()))?;
    let job = Job {
        code: format!("EXPECTED = {expected}\n{SCRIPT}"),
        inputs: Vec::new(),
    };
    let ended = match run(around, job, &CancellationToken::new()).await {
        Ok(ended) => ended,
        Err(BoxError::Broke(said)) => {
            return Err(Unavailable::Forbidden {
                hint: hint(&said),
                said,
            });
        }
        Err(BoxError::Start(error)) => {
            let root = rustix::process::geteuid().is_root();
            return Err(Unavailable::Forbidden {
                said: error.to_string(),
                hint: if root { AS_ROOT } else { "" },
            });
        }
        Err(error) => return Err(Unavailable::SelfTest(error.to_string())),
    };
    judge(&ended)
}

fn judge(ended: &Ended) -> Result<(), Unavailable> {
    if ended.exit != Exit::Code(0) {
        let said = ended.stderr.trim().lines().next_back().unwrap_or_default();
        return Err(Unavailable::SelfTest(format!("{:?} {said}", ended.exit)));
    }
    let seen: Seen = serde_json::from_str(&ended.stdout).map_err(|error| Unavailable::SelfTest(error.to_string()))?;
    if seen.checks == 0 || !seen.failed.is_empty() {
        return Err(Unavailable::SelfTest(format!(
            "it is not so that {}",
            seen.failed.join(", nor that ")
        )));
    }
    for name in NAMESPACES {
        let inside = seen.namespaces.get(name).map(String::as_str);
        let outside = fs::read_link(Path::new("/proc/self/ns").join(name));
        let outside = outside.map_err(|error| Unavailable::SelfTest(format!("the namespace {name}: {error}")))?;
        if inside.is_none() || inside == outside.to_str() {
            return Err(Unavailable::SelfTest(format!(
                "it shares the namespace {name} with Mira"
            )));
        }
    }
    Ok(())
}

/// What most likely stands in the way.
fn hint(said: &str) -> &'static str {
    let is = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    if said.contains("Unknown option") {
        return ": bubblewrap is older than 0.8";
    }
    if said.contains("No module named") {
        return ": Python's standard library is not whole, install the package `python3`";
    }
    if said.contains("mount proc") {
        return ": a container hides parts of /proc; docs/OPERATIONS.md, \"The box\", has the option it must be started with";
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return ": set the sysctl kernel.unprivileged_userns_clone to 1";
    }
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return ": set the sysctl user.max_user_namespaces to more than 0";
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return ": AppArmor restricts user namespaces; docs/OPERATIONS.md, \"The box\", has the profile that lets bubblewrap make them";
    }
    ": in a container or under a service manager, user namespaces and mounts inside them must be allowed; see docs/OPERATIONS.md, \"The box\""
}

/// Lets matplotlib list its fonts, and keeps the list for later runs.
pub(crate) async fn list_fonts(around: &PythonBox) {
    let job = Job {
        code: FONTS.to_owned(),
        inputs: Vec::new(),
    };
    let Ok(ended) = run(around, job, &CancellationToken::new()).await else {
        return;
    };
    // Without matplotlib nothing is made.
    let Some(made) = ended.files.first().filter(|_| ended.exit == Exit::Code(0)) else {
        return;
    };
    let kept = around.scratch.path().join(&made.name);
    match tokio::fs::copy(&made.path, &kept).await {
        // A second list is as good as the first.
        Ok(_) => drop(around.fonts.set(kept)),
        Err(error) => tracing::warn!(%error, "the list of fonts could not be kept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_are_named() {
        let check = |bwrap: &str, python: &str, says: &str| {
            let mut settings = BoxSettings::new("scratch");
            (settings.bwrap, settings.python) = (bwrap.into(), python.into());
            assert_eq!(programs(&settings).unwrap_err().to_string(), says);
        };
        check(
            "/usr/nowhere/bwrap",
            "/bin/sh",
            "bubblewrap is not installed (/usr/nowhere/bwrap is missing): install the package `bubblewrap`, version 0.8 or newer",
        );
        check(
            "/bin/sh",
            "/usr/nowhere/python3",
            "Python is not installed (/usr/nowhere/python3 is missing): install the package `python3`",
        );
        check(
            "/bin/sh",
            "/proc/self/exe",
            &format!(
                "Python lies at {}; the box sees programs below /usr only",
                std::fs::canonicalize("/proc/self/exe").unwrap().display()
            ),
        );
    }

    #[test]
    fn what_bubblewrap_says_leads_to_a_setting() {
        let check = |said: &str, names: &str| assert!(hint(said).contains(names), "{}", hint(said));
        check("bwrap: Unknown option --disable-userns", "0.8");
        check(
            "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
            "/proc",
        );
        check("ModuleNotFoundError: No module named 'ctypes'", "python3");
    }
}
