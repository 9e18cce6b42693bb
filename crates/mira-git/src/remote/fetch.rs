//! Hearing what a remote has and taking it: objects into the clone, its branches into `refs/remotes/origin/`. Nothing that
//! is checked out changes here, so no writer's turn is needed.

use super::{
    exchange::Exchange,
    progress::{Progress, Stage, percent},
    register,
};
use crate::{error::GitError, path::BranchName};
use git2::{AutotagOption, Direction, FetchOptions, ReferenceType, RemoteCallbacks, RemoteUpdateFlags, Repository};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The remote's branches, under their names there.
const BRANCHES: &str = "+refs/heads/*:refs/remotes/origin/*";
/// Where they are here.
const TRACKING: &str = "refs/remotes/origin/";
/// More branches than these an error does not carry.
const NAMED_BRANCHES: usize = 100;
/// In `.git` while refs or the configuration are written here: locks found beside it after a crash are ours.
const MARK: &str = "mira.remote";

/// How much is taken from a remote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    pub(crate) objects: u64,
    pub(crate) branches: usize,
    /// Of a remote with more tags none are taken.
    pub(crate) tags: usize,
}

/// What a remote says it has.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    /// Its branches, short.
    pub(crate) branches: Vec<String>,
    /// The one it shows first, short.
    pub(crate) default: Option<String>,
    /// How many tags it has.
    tags: usize,
}

impl Offer {
    fn hear(connection: &git2::RemoteConnection<'_, '_, '_>, caps: Caps) -> Result<Self, GitError> {
        let mut offer = Self::default();
        for head in connection.list()? {
            if let Some(branch) = head.name().strip_prefix("refs/heads/") {
                if offer.branches.len() == caps.branches {
                    return Err(GitError::TooLarge {
                        what: "the number of branches of the remote",
                        limit: caps.branches as u64,
                    });
                }
                offer.branches.push(branch.to_owned());
            } else if head.name().starts_with("refs/tags/") && !head.name().ends_with("^{}") {
                offer.tags += 1;
            }
        }
        if let Ok(name) = connection.default_branch() {
            let name = str::from_utf8(&name).ok();
            offer.default = name
                .and_then(|name| name.strip_prefix("refs/heads/"))
                .map(str::to_owned);
        }
        Ok(offer)
    }

    /// The branch to check out: the wanted one, else the remote's own choice.
    pub(crate) fn choose(&self, wanted: Option<&BranchName>) -> Result<Option<&str>, GitError> {
        let has = |name: &str| self.branches.iter().find(|branch| *branch == name).map(String::as_str);
        if let Some(wanted) = wanted {
            return match has(wanted.as_str()) {
                None if self.branches.is_empty() => Ok(None),
                None => Err(GitError::NoSuchBranch {
                    branch: wanted.as_str().to_owned(),
                    known: self.branches.iter().take(NAMED_BRANCHES).cloned().collect(),
                }),
                found => Ok(found),
            };
        }
        let named = self.default.as_deref().and_then(has);
        let first = || self.branches.first().map(String::as_str);
        Ok(named.or_else(|| has("main")).or_else(|| has("master")).or_else(first))
    }
}

/// Takes everything the remote's branches have. `accept` judges the offer before anything is sent. Says whether anything
/// was new.
pub(crate) fn fetch(
    repo: &Repository,
    exchange: &Arc<Exchange>,
    caps: Caps,
    accept: impl FnOnce(&Offer) -> Result<(), GitError>,
) -> Result<(Offer, bool), GitError> {
    exchange.report(Progress::default());
    let mut news = false;
    let offer = exchange.hold(|| {
        let mut remote = register::remote(repo)?;
        let mut connection = remote.connect_auth(Direction::Fetch, None, None)?;
        let offer = Offer::hear(&connection, caps)?;
        accept(&offer)?;
        // Nothing is pruned then either: a remote that shows nothing is rather broken than empty all of a sudden.
        if offer.branches.is_empty() {
            return Ok(offer);
        }
        let tags = if offer.tags > caps.tags {
            tracing::warn!(
                tags = offer.tags,
                limit = caps.tags,
                "a remote has too many tags; none are taken"
            );
            AutotagOption::None
        } else {
            AutotagOption::Auto
        };
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(watched(exchange, caps.objects))
            .download_tags(tags);
        connection.remote().download(&[BRANCHES], Some(&mut options))?;
        drop(connection);
        exchange.check()?;
        settle(repo.path())?;
        let _marked = Mark::set(repo)?;
        prune(repo, exchange, &offer)?;
        let mut callbacks = RemoteCallbacks::new();
        callbacks.update_tips(|_, _, _| {
            news = true;
            exchange.check().map_err(|error| exchange.fail(error)).is_ok()
        });
        remote.update_tips(
            Some(&mut callbacks),
            RemoteUpdateFlags::empty(),
            tags,
            Some("mira: fetch"),
        )?;
        Ok(offer)
    })?;
    Ok((offer, news))
}

/// Removes the remote's branches it has no more from here; branches of this clone stay, whatever they follow. Comes before
/// the new ones are written: `a` has to be gone for `a/b` to come.
fn prune(repo: &Repository, exchange: &Exchange, offer: &Offer) -> Result<(), GitError> {
    let there: HashSet<&str> = offer.branches.iter().map(String::as_str).collect();
    let mut gone = Vec::new();
    for found in repo.references_glob(&format!("{TRACKING}*"))? {
        let found = found?;
        // `origin/HEAD` only names another one. A name that is no text cannot be compared, and stays.
        let Ok(name) = found.name() else { continue };
        let is_there = name.strip_prefix(TRACKING).is_none_or(|branch| there.contains(branch));
        if !is_there && found.kind() == Some(ReferenceType::Direct) {
            gone.push(name.to_owned());
        }
    }
    // HEAD may have been made to point anywhere by hand.
    let head = repo.find_reference("HEAD")?;
    let checked_out = head.symbolic_target().ok().flatten();
    for name in gone.iter().filter(|name| checked_out != Some(name.as_str())) {
        exchange.check()?;
        repo.find_reference(name)?.delete()?;
    }
    Ok(())
}

/// Counts what arrives, and ends it where it is too much or no longer wanted.
fn watched(exchange: &Arc<Exchange>, max_objects: u64) -> RemoteCallbacks<'static> {
    let exchange = Arc::clone(exchange);
    let mut callbacks = RemoteCallbacks::new();
    callbacks.transfer_progress(move |so_far| {
        let (total, received) = (so_far.total_objects() as u64, so_far.received_objects() as u64);
        let (deltas, resolved) = (so_far.total_deltas() as u64, so_far.indexed_deltas() as u64);
        let whole = total > 0 && received >= total;
        let (stage, percent) = if whole {
            (Stage::Resolving, percent(resolved, deltas.max(1)))
        } else {
            (Stage::Receiving, percent(received, total))
        };
        exchange.report(Progress {
            stage,
            received_objects: received,
            total_objects: total,
            received_bytes: so_far.received_bytes() as u64,
            percent,
        });
        let judged = if total > max_objects {
            Err(GitError::TooLarge {
                what: "the number of objects",
                limit: max_objects,
            })
        } else {
            exchange.check()
        };
        judged.map_err(|error| exchange.fail(error)).is_ok()
    });
    callbacks
}

/// Makes everything written so far durable. One call for the whole file system: a pack is one large file, and thousands of
/// refs are thousands of files.
pub(crate) fn settle(dir: &Path) -> Result<(), GitError> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{Mode, OFlags};
        let told = "making a repository durable";
        let folder = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        rustix::fs::syncfs(folder.map_err(GitError::sys(told))?).map_err(GitError::sys(told))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _whole_system = dir;
        rustix::fs::sync();
        Ok(())
    }
}

/// Says, for the time after a crash, that locks of refs and of the configuration are ours. One exchange with a remote runs
/// per repository at a time, so nobody of ours can be behind them then.
pub(crate) struct Mark(PathBuf);

impl Mark {
    /// Removes what a crash left behind an earlier mark, and sets a new one.
    pub(crate) fn set(repo: &Repository) -> Result<Self, GitError> {
        let told = || GitError::io("preparing the repository's refs");
        let mark = repo.path().join(MARK);
        if mark.exists() {
            for place in ["refs/remotes/origin", "refs/tags"] {
                remove_locks(&repo.path().join(place)).map_err(told())?;
            }
            for lock in ["config.lock", "packed-refs.lock"] {
                remove_file(&repo.path().join(lock)).map_err(told())?;
            }
        }
        fs::write(&mark, b"").map_err(told())?;
        Ok(Self(mark))
    }
}

/// What was marked is done, or has failed and cleaned up after itself: only a crash leaves the mark.
impl Drop for Mark {
    fn drop(&mut self) {
        if let Err(error) = remove_file(&self.0) {
            tracing::warn!(error = %error, "a mark in a repository could not be removed");
        }
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Removes locks in a folder of refs, without following links.
fn remove_locks(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_locks(&path)?;
        } else if path.extension().is_some_and(|ending| ending == "lock") {
            remove_file(&path)?;
        }
    }
    Ok(())
}
