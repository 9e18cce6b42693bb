//! Settings of libgit2 that hold for the whole process, made once, before the first repository is opened: no configuration
//! outside of a clone is read (`/etc/gitconfig`, the home folder), and the owner of a folder is not asked for, since the
//! data directory is checked as a whole.

use crate::error::GitError;
use std::{ffi::c_int, sync::OnceLock};

/// `git2` has no name of its own for this option.
#[expect(clippy::cast_possible_wrap, reason = "a small constant of a C enum")]
const FSYNC: c_int = libgit2_sys::GIT_OPT_ENABLE_FSYNC_GITDIR as c_int;

/// Packs mapped into memory at a time, bytes, over all repositories.
const MAPPED_PACKS: usize = 1024 * 1024 * 1024;
/// Objects kept parsed, bytes, over all repositories.
const CACHED_OBJECTS: isize = 64 * 1024 * 1024;

/// Idempotent; every way to a repository calls it.
pub(crate) fn prepare() -> Result<(), GitError> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    match DONE.get_or_init(|| set().map_err(|error| error.message().to_owned())) {
        Ok(()) => Ok(()),
        Err(reason) => Err(GitError::Git(git2::Error::from_str(reason))),
    }
}

#[expect(
    unsafe_code,
    reason = "libgit2's process-wide options; the OnceLock above makes this run alone and before any use"
)]
fn set() -> Result<(), git2::Error> {
    use git2::{ConfigLevel, opts};
    // SAFETY: these functions change global state without a lock. `prepare` runs this once, and nothing else in the
    // program uses libgit2 before it.
    unsafe {
        for level in [
            ConfigLevel::ProgramData,
            ConfigLevel::System,
            ConfigLevel::XDG,
            ConfigLevel::Global,
        ] {
            opts::set_search_path(level, "")?;
        }
        opts::set_verify_owner_validation(false)?;
        opts::set_mwindow_mapped_limit(MAPPED_PACKS)?;
        opts::set_cache_max_size(CACHED_OBJECTS)?;
        // An acknowledged commit survives a loss of power: objects and refs are synced before they count.
        let on: c_int = 1;
        libgit2_sys::git_libgit2_opts(FSYNC, on);
    }
    Ok(())
}
