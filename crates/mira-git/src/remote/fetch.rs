//! Hearing what a remote has and taking it: objects into the clone, its branches into `refs/remotes/origin/`. Nothing that
//! is checked out changes here, so no writer's turn is needed.

use super::{
    advert::Advert,
    exchange::Exchange,
    progress::{Progress, Stage, percent},
    register,
    tags::{self, Tags},
};
use crate::{error::GitError, path::BranchName};
use git2::{
    AutotagOption, Direction, FetchOptions, Oid, Reference, ReferenceType, RemoteCallbacks, RemoteUpdateFlags,
    Repository,
};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The remote's branches, under their names there.
const BRANCHES: &str = "+refs/heads/*:refs/remotes/origin/*";
/// Where a remote has its branches.
const BRANCH_PREFIX: &str = "refs/heads/";
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
    /// Its branches, short, with their commits. git takes any bytes for a name.
    branches: Vec<(Vec<u8>, Oid)>,
    /// The one it shows first, short.
    pub(crate) default: Option<String>,
    tags: Tags,
    /// Whether a branch or tag has a name that is no text.
    has_odd_names: bool,
}

impl Offer {
    fn of(connection: &git2::RemoteConnection<'_, '_, '_>, advert: Advert, caps: Caps) -> Result<Self, GitError> {
        let mut offer = Self::default();
        for (name, id) in advert.into_refs() {
            let is_tag = name.starts_with(b"refs/tags/");
            let branch = name.strip_prefix(BRANCH_PREFIX.as_bytes());
            offer.has_odd_names |= (is_tag || branch.is_some()) && str::from_utf8(&name).is_err();
            let Some(branch) = branch else {
                if is_tag {
                    offer.tags.insert((name, id));
                }
                continue;
            };
            if offer.branches.len() == caps.branches {
                return Err(GitError::TooLarge {
                    what: "the number of branches of the remote",
                    limit: caps.branches as u64,
                });
            }
            offer.branches.push((branch.to_vec(), id));
        }
        if let Ok(name) = connection.default_branch() {
            let name = str::from_utf8(&name).ok();
            offer.default = name
                .and_then(|name| name.strip_prefix(BRANCH_PREFIX))
                .map(str::to_owned);
        }
        Ok(offer)
    }

    /// The branch to check out: the wanted one, else the remote's own choice.
    pub(crate) fn choose(&self, wanted: Option<&BranchName>) -> Result<Option<&str>, GitError> {
        if self.branches.is_empty() {
            return Ok(None);
        }
        let names = || self.branches.iter().filter_map(|(name, _)| str::from_utf8(name).ok());
        let has = |name: &str| names().find(|branch| *branch == name);
        if let Some(wanted) = wanted {
            return has(wanted.as_str()).map(Some).ok_or_else(|| GitError::NoSuchBranch {
                branch: wanted.as_str().to_owned(),
                known: names().take(NAMED_BRANCHES).map(str::to_owned).collect(),
            });
        }
        let named = self.default.as_deref().and_then(has);
        let chosen = named.or_else(|| has("main")).or_else(|| has("master"));
        let chosen = chosen.or_else(|| names().next());
        chosen.map(Some).ok_or(GitError::Unusable(
            "the names of the remote's branches are not UTF-8; rename one of them there",
        ))
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
    exchange.listen();
    exchange.hold(|| {
        let mut remote = register::remote(repo)?;
        let connected = remote.connect_auth(Direction::Fetch, None, None);
        let heard = exchange.heard();
        if heard.is_shallow {
            return Err(GitError::Unusable(
                "the remote is a shallow clone, which has only the end of its history: attach what it was cloned from",
            ));
        }
        let mut connection = connected?;
        let offer = Offer::of(&connection, heard, caps)?;
        accept(&offer)?;
        // Nothing is pruned then either: a remote that shows nothing is rather broken than empty all of a sudden.
        if offer.branches.is_empty() {
            return Ok((offer, false));
        }
        let tags = if offer.tags.len() > caps.tags {
            tracing::warn!(
                tags = offer.tags.len(),
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
        let news = prune(repo, exchange, &offer)?;
        let mut callbacks = RemoteCallbacks::new();
        // git2 breaks off at a name that is no text: with one among them, they are written without a question in between.
        if !offer.has_odd_names {
            callbacks.update_tips(|_, _, _| exchange.check().map_err(|error| exchange.fail(error)).is_ok());
        }
        remote.update_tips(
            Some(&mut callbacks),
            RemoteUpdateFlags::empty(),
            tags,
            Some("mira: fetch"),
        )?;
        tags::note(repo, &offer.tags)?;
        Ok((offer, news))
    })
}

/// Removes the remote's branches it has no more from here; branches of this clone stay, whatever they follow. Comes before
/// the new ones are written: `a` has to be gone for `a/b` to come. Says whether a branch that the remote has is new here, or
/// was at another commit.
fn prune(repo: &Repository, exchange: &Exchange, offer: &Offer) -> Result<bool, GitError> {
    let there: HashSet<&[u8]> = offer.branches.iter().map(|(name, _)| name.as_slice()).collect();
    let mut here: HashSet<(Vec<u8>, Oid)> = HashSet::new();
    let mut gone: Vec<Reference<'_>> = Vec::new();
    for found in repo.references_glob(&format!("{TRACKING}*"))? {
        let found = found?;
        // `origin/HEAD` only names another one.
        let Some(branch) = found.name_bytes().strip_prefix(TRACKING.as_bytes()) else {
            continue;
        };
        if there.contains(branch) {
            here.extend(found.target().map(|id| (branch.to_vec(), id)));
        } else if found.kind() == Some(ReferenceType::Direct) {
            gone.push(found);
        }
    }
    // HEAD may have been made to point anywhere by hand.
    let head = repo.find_reference("HEAD")?;
    let checked_out = head.symbolic_target_bytes();
    for gone in gone.iter_mut().filter(|gone| checked_out != Some(gone.name_bytes())) {
        exchange.check()?;
        gone.delete()?;
    }
    Ok(offer.branches.iter().any(|branch| !here.contains(branch)))
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
