//! The command line of a box: what bubblewrap is told. Everything that is not listed here is not there.

use crate::settings::BoxSettings;
use std::{path::Path, process::Stdio};
use tokio::process::Command;

/// The first process in the box; what it does is said there.
const RUNNER: &str = include_str!("runner.py");
/// Shared memory inside the box, in bytes: locks and small buffers of Python's `multiprocessing`.
const SHARED_MEMORY: u64 = 64 * 1024 * 1024;
/// A user without rights, for a Mira that runs as root: limits do not count for root's processes.
const NOBODY: u32 = 65534;

/// Files below `/etc` that programs below `/usr` need; those that exist are shown, nothing else of `/etc` is.
pub(crate) const ETC: [&str; 4] = ["alternatives", "ld.so.cache", "matplotlibrc", "fonts"];
/// What stands in the root of the box.
pub(crate) const ROOT: [&str; 11] = [
    "bin", "dev", "etc", "lib", "lib32", "lib64", "mnt", "proc", "sbin", "tmp", "usr",
];
/// The folder the code works in.
pub(crate) const WORK: &str = "/box";

/// The whole environment inside.
pub(crate) const ENVIRONMENT: [(&str, &str); 13] = [
    ("HOME", WORK),
    ("LANG", "C.UTF-8"),
    ("LOGNAME", "mira"),
    ("MALLOC_ARENA_MAX", "2"),
    ("MPLBACKEND", "Agg"),
    ("MPLCONFIGDIR", "/box/.tmp/mpl"),
    ("NUMEXPR_MAX_THREADS", "2"),
    ("OMP_NUM_THREADS", "2"),
    ("OPENBLAS_NUM_THREADS", "2"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("TMPDIR", "/box/.tmp"),
    ("TZ", "UTC"),
    ("USER", "mira"),
];
/// What bubblewrap adds by itself.
pub(crate) const ADDED: [&str; 1] = ["PWD"];

/// bubblewrap around Python around the runner. `room` is how many bytes all its files may have.
pub(crate) fn command(settings: &BoxSettings, room: u64, control: Stdio) -> Command {
    let mut command = Command::new(&settings.bwrap);
    command.env_clear().current_dir("/");
    command.stdin(control).stdout(Stdio::piped()).stderr(Stdio::piped());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.args(["--unshare-all", "--unshare-user", "--disable-userns"]);
    command.args(["--uid", "1000", "--gid", "1000", "--hostname", "box"]);
    command.args(["--die-with-parent", "--new-session", "--as-pid-1"]);
    command.args(["--cap-drop", "ALL", "--clearenv"]);
    for (name, value) in ENVIRONMENT {
        command.args(["--setenv", name, value]);
    }
    command.args(["--ro-bind", "/usr", "/usr"]);
    for name in ["bin", "sbin", "lib", "lib32", "lib64"] {
        let (path, inside) = (format!("/{name}"), format!("usr/{name}"));
        if Path::new("/usr").join(name).exists() {
            command.args(["--symlink", &inside, &path]);
        }
    }
    for name in ETC {
        let path = format!("/etc/{name}");
        command.args(["--ro-bind-try", &path, &path]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    command.args(["--size", &SHARED_MEMORY.to_string(), "--tmpfs", "/dev/shm"]);
    command.args(["--size", &room.to_string(), "--tmpfs", WORK]);
    command.args(["--dir", "/box/.tmp", "--symlink", "/box/.tmp", "/tmp"]);
    // Where models have learnt that files are.
    command.args(["--symlink", WORK, "/mnt/data", "--chdir", WORK]);
    // Both are folders in memory without a limit of their own.
    command.args(["--remount-ro", "/dev", "--remount-ro", "/"]);
    command.arg("--").arg(&settings.python);
    command.args(["-I", "-B", "-X", "utf8", "-c", RUNNER]);
    command
}
