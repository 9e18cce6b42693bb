//! Bringing a clone and its remote together: fetch, then fast-forward or merge, then push if asked for. The network is
//! waited for without a writer's turn; merging takes one. A merge is made in memory first: where both sides changed the
//! same place, or an uncommitted edit is in the way, the paths are named and nothing has changed. Nothing is ever forced.

use super::{
    clone::ORIGIN,
    exchange::Exchange,
    fetch::{self, Caps, Mark},
    progress::{Progress, Stage, percent},
    register,
};
use crate::{
    compare::{self, Bounds},
    error::{Clash, GitError},
    journal::{Goal, Step},
    open::{Opened, open},
    settings::GitSettings,
    transition,
};
use git2::{BranchType, ErrorCode, MergeOptions, Oid, PushOptions, RemoteCallbacks, Repository, Signature};
use std::{cell::Cell, path::Path, sync::Arc};

/// What the clone had to do to be up to date with its remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: everything the remote has was here.
    UpToDate,
    /// The branch went forward to the remote's commit.
    FastForwarded,
    /// A merge commit was made.
    Merged,
}

impl Outcome {
    /// The name clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "up_to_date",
            Self::FastForwarded => "fast_forwarded",
            Self::Merged => "merged",
        }
    }
}

/// A clone that was synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The branch that was synced, short.
    pub branch: String,
    /// Whether the remote had anything new, on any branch.
    pub fetched: bool,
    /// What became of the branch here.
    pub outcome: Outcome,
    /// Whether commits were pushed.
    pub pushed: bool,
    /// The branch's commit now; `None` before the first.
    pub head: Option<String>,
}

/// The branch that is checked out, and the remote's branch it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Full name here.
    pub(crate) local: String,
    /// Short name there.
    pub(crate) theirs: String,
    /// Whether the configuration says so, or it is assumed by the name.
    pub(crate) configured: bool,
}

impl Pair {
    /// The pair of what is checked out.
    pub(crate) fn of(opened: &Opened<'_>) -> Result<Self, GitError> {
        let Some(local) = opened.head_branch()? else {
            return Err(GitError::standing(Clash::Detached));
        };
        let short = local.strip_prefix("refs/heads/").unwrap_or(&local).to_owned();
        let config = opened.repo.config()?.snapshot()?;
        let remote = config.get_string(&format!("branch.{short}.remote")).ok();
        let merge = config.get_string(&format!("branch.{short}.merge")).ok();
        match (
            remote.as_deref(),
            merge.as_deref().and_then(|full| full.strip_prefix("refs/heads/")),
        ) {
            (Some(ORIGIN), Some(theirs)) => Ok(Self {
                theirs: theirs.to_owned(),
                local,
                configured: true,
            }),
            (None | Some(ORIGIN), None) => Ok(Self {
                theirs: short,
                local,
                configured: false,
            }),
            _ => Err(GitError::Unusable("the branch follows another remote than `origin`")),
        }
    }

    /// Short name here.
    pub(crate) fn short(&self) -> &str {
        self.local.strip_prefix("refs/heads/").unwrap_or(&self.local)
    }

    fn tracking(&self) -> String {
        format!("refs/remotes/{ORIGIN}/{}", self.theirs)
    }
}

/// Fetches into a clone, on a thread that may block. Says whether anything was new.
pub(crate) fn take_news(
    dir: &Path,
    settings: &GitSettings,
    exchange: &Arc<Exchange>,
    caps: Caps,
) -> Result<bool, GitError> {
    let opened = open(dir, settings)?;
    Ok(fetch::fetch(&opened.repo, exchange, caps, |_| Ok(()))?.1)
}

/// Brings what was fetched into the branch that is checked out. The caller holds the writer's turn.
pub(crate) fn bring_in(
    opened: &Opened<'_>,
    pair: &Pair,
    message: Option<&str>,
    exchange: &Exchange,
) -> Result<(Outcome, Option<Oid>), GitError> {
    if opened.head_branch()?.as_deref() != Some(&pair.local) {
        return Err(GitError::standing(Clash::Moved));
    }
    let repo = &opened.repo;
    let ours = opened.head_commit()?;
    let theirs = match repo.find_reference(&pair.tracking()) {
        Ok(found) => found.peel_to_commit()?.id(),
        Err(error) if error.code() == ErrorCode::NotFound => return Ok((Outcome::UpToDate, ours)),
        Err(error) => return Err(error.into()),
    };
    let (outcome, to) = match ours {
        Some(ours) if ours == theirs || repo.graph_descendant_of(ours, theirs)? => {
            return Ok((Outcome::UpToDate, Some(ours)));
        }
        Some(ours) if !repo.graph_descendant_of(theirs, ours)? => {
            (Outcome::Merged, merge(opened, pair, ours, theirs, message, exchange)?)
        }
        _ => (Outcome::FastForwarded, theirs),
    };
    measure(opened, to, exchange)?;
    let step = Step {
        from: ours,
        to,
        goal: Goal::Advance {
            branch: pair.local.clone(),
        },
    };
    transition::take(opened, &step, &[], "mira: sync", &mut |done, total| {
        exchange.check()?;
        exchange.report(Progress {
            stage: Stage::CheckingOut,
            percent: percent(done as u64, total as u64),
            ..Progress::default()
        });
        Ok(())
    })?;
    Ok((outcome, Some(to)))
}

/// Fails if checking out the whole of a commit would be over a bound, however little of it is new.
fn measure(opened: &Opened<'_>, commit: Oid, exchange: &Exchange) -> Result<(), GitError> {
    let bounds = Bounds::of(opened.settings);
    let mut check = || exchange.check();
    compare::weighed(&opened.repo, (None, commit), bounds, &mut check, &mut drop)
}

/// A merge commit that nothing refers to yet.
fn merge(
    opened: &Opened<'_>,
    pair: &Pair,
    ours: Oid,
    theirs: Oid,
    message: Option<&str>,
    exchange: &Exchange,
) -> Result<Oid, GitError> {
    let repo = &opened.repo;
    let base = match repo.merge_base(ours, theirs) {
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Err(GitError::Unusable(
                "the histories here and there have nothing in common",
            ));
        }
        found => found?,
    };
    // libgit2 unfolds all three trees; ours is what is checked out.
    measure(opened, base, exchange)?;
    measure(opened, theirs, exchange)?;
    let (ours, theirs) = (repo.find_commit(ours)?, repo.find_commit(theirs)?);
    let mut options = MergeOptions::new();
    options.find_renames(true);
    let mut merged = repo.merge_commits(&ours, &theirs, Some(&options))?;
    if merged.has_conflicts() {
        return Err(GitError::Conflict {
            why: Clash::Merge,
            paths: conflicts(&merged)?,
        });
    }
    let tree = repo.find_tree(merged.write_tree_to(repo)?)?;
    let author = &opened.settings.author;
    let signature = Signature::now(&author.name, &author.email)?;
    let told = format!("Merge branch '{}' of {}\n", pair.theirs, exchange.url);
    let message = message.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(&told);
    Ok(repo.commit(None, &signature, &signature, message, &tree, &[&ours, &theirs])?)
}

fn conflicts(merged: &git2::Index) -> Result<Vec<String>, GitError> {
    let mut paths = Vec::new();
    for conflict in merged.conflicts()? {
        let conflict = conflict?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// Pushes the branch to the one it follows, on a thread that may block; the commit that was pushed, or `None` if the
/// remote had it.
pub(crate) fn push(
    dir: &Path,
    settings: &GitSettings,
    pair: &Pair,
    exchange: &Arc<Exchange>,
) -> Result<Option<Oid>, GitError> {
    let opened = open(dir, settings)?;
    let repo = &opened.repo;
    let local = repo.refname_to_id(&pair.local)?;
    if repo.refname_to_id(&pair.tracking()).ok() == Some(local) {
        return Ok(None);
    }
    let sent = Cell::new(None);
    let pushed = exchange.hold(|| send(repo, pair, exchange, &sent));
    match (exchange.heard_report().refusal(), pushed) {
        (Some(why), _) => Err(GitError::Rejected { why }),
        (None, Err(GitError::Git(error))) if error.code() == ErrorCode::NotFastForward => Err(GitError::Rejected {
            why: "it has commits that are not here; sync again".to_owned(),
        }),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Ok(Some(sent.get().unwrap_or(local))),
    }
}

/// Pushes. What the remote says of it is to be asked of the exchange: libgit2 takes a branch it refuses for no failure.
fn send(repo: &Repository, pair: &Pair, exchange: &Exchange, sent: &Cell<Option<Oid>>) -> Result<(), GitError> {
    let mut remote = register::remote(repo)?;
    let mut callbacks = RemoteCallbacks::new();
    callbacks.push_negotiation(|updates| {
        sent.set(updates.first().map(git2::PushUpdate::dst));
        // What it has was said; what comes now is its answer.
        exchange.listen_for_report();
        Ok(())
    });
    callbacks.push_transfer_progress(|done, total, bytes| {
        exchange.report(Progress {
            stage: Stage::Sending,
            received_objects: done as u64,
            total_objects: total as u64,
            received_bytes: bytes as u64,
            percent: percent(done as u64, total as u64),
        });
    });
    let mut options = PushOptions::new();
    options.remote_callbacks(callbacks).packbuilder_parallelism(1);
    // Without a `+`: what is not a fast-forward is refused.
    let refspec = format!("{}:refs/heads/{}", pair.local, pair.theirs);
    remote.push(&[refspec], Some(&mut options))?;
    Ok(())
}

/// Notes what the remote has now, and which branch is followed. The caller holds the writer's turn.
pub(crate) fn note_pushed(opened: &Opened<'_>, pair: &Pair, commit: Oid) -> Result<(), GitError> {
    let _marked = Mark::set(&opened.repo)?;
    opened.repo.reference(&pair.tracking(), commit, true, "mira: push")?;
    if !pair.configured {
        let upstream = format!("{ORIGIN}/{}", pair.theirs);
        opened
            .repo
            .find_branch(pair.short(), BranchType::Local)?
            .set_upstream(Some(&upstream))?;
    }
    Ok(())
}
