//! Cloning: into a folder beside its place, which it takes by one rename when everything is there. Cancelled, failed or
//! over a limit, nothing is left; killed, a temporary folder is, which the next attempt or [`crate::Repos::check`] removes.

use super::{
    exchange::Exchange,
    fetch::{self, Caps},
    progress::{Progress, Stage, percent},
};
use crate::{
    error::GitError,
    open::{open, settle_config},
    path::BranchName,
    recover::remove_folder,
    settings::GitSettings,
    transition,
};
use git2::{BranchType, Oid, Repository, RepositoryInitOptions};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The branch of a clone of an empty repository.
const FIRST_BRANCH: &str = "main";
/// Both names are git's custom; other code relies on the first.
pub(crate) const ORIGIN: &str = "origin";

/// A clone that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloned {
    /// The branch that is checked out, short.
    pub branch: String,
    /// Its commit; `None` if the remote is empty.
    pub head: Option<String>,
}

/// What is cloned where.
pub(crate) struct Job {
    pub(crate) temporary: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) branch: Option<BranchName>,
    pub(crate) settings: GitSettings,
    pub(crate) caps: Caps,
}

/// The folder of an unfinished clone; gone with it.
struct Unfinished<'a>(&'a Path);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(self.0) {
            tracing::warn!(error = %error, "the folder of an unfinished clone stays until the next start");
        }
    }
}

/// Clones to where nothing is yet, on a thread that may block.
pub(crate) fn run(job: &Job, exchange: &Arc<Exchange>) -> Result<Cloned, GitError> {
    let told = || GitError::io("making the folder of a clone");
    remove_folder(&job.temporary)?;
    fs::create_dir_all(&job.temporary).map_err(told())?;
    // After the rename there is nothing left for it to remove.
    let _unfinished = Unfinished(&job.temporary);
    let cloned = fill(job, exchange)?;
    fetch::settle(&job.temporary)?;
    exchange.check()?;
    fs::rename(&job.temporary, &job.folder).map_err(told())?;
    if let Some(root) = job.folder.parent() {
        super::credentials::sync(root).map_err(told())?;
    }
    Ok(cloned)
}

fn fill(job: &Job, exchange: &Arc<Exchange>) -> Result<Cloned, GitError> {
    crate::global::prepare()?;
    let mut options = RepositoryInitOptions::new();
    options
        .no_reinit(true)
        .external_template(false)
        .initial_head(job.branch.as_ref().map_or(FIRST_BRANCH, BranchName::as_str));
    let repo = Repository::init_opts(&job.temporary, &options)?;
    settle_config(&repo)?;
    repo.remote(ORIGIN, exchange.url.as_str())?;
    let wanted = job.branch.as_ref();
    let (offer, _) = fetch::fetch(&repo, exchange, job.caps, |offer| offer.choose(wanted).map(drop))?;
    let Some(branch) = offer.choose(wanted)? else {
        let branch = wanted.map_or(FIRST_BRANCH, BranchName::as_str);
        follow_unborn(&repo, branch)?;
        return Ok(Cloned {
            branch: branch.to_owned(),
            head: None,
        });
    };
    let branch = BranchName::parse(branch)?;
    let commit = point(&repo, &branch, offer.default.as_deref())?;
    drop(repo);
    check_out(job, commit, exchange)?;
    Ok(Cloned {
        branch: branch.as_str().to_owned(),
        head: Some(commit.to_string()),
    })
}

/// Makes the local branch, points HEAD at it, and lets it follow the remote's.
fn point(repo: &Repository, branch: &BranchName, default: Option<&str>) -> Result<Oid, GitError> {
    let message = "mira: clone";
    let tracking = format!("refs/remotes/{ORIGIN}/{}", branch.as_str());
    let commit = repo.find_reference(&tracking)?.peel_to_commit()?.id();
    repo.reference(&branch.full(), commit, true, message)?;
    repo.set_head(&branch.full())?;
    let upstream = format!("{ORIGIN}/{}", branch.as_str());
    repo.find_branch(branch.as_str(), BranchType::Local)?
        .set_upstream(Some(&upstream))?;
    if let Some(default) = default {
        let first = format!("refs/remotes/{ORIGIN}/{default}");
        if repo.refname_to_id(&first).is_ok() {
            repo.reference_symbolic(&format!("refs/remotes/{ORIGIN}/HEAD"), &first, true, message)?;
        }
    }
    Ok(commit)
}

/// What [`point`] does, for a branch that has no commit yet.
fn follow_unborn(repo: &Repository, branch: &str) -> Result<(), GitError> {
    let mut config = repo.config()?;
    config.set_str(&format!("branch.{branch}.remote"), ORIGIN)?;
    config.set_str(&format!("branch.{branch}.merge"), &format!("refs/heads/{branch}"))?;
    Ok(())
}

fn check_out(job: &Job, commit: Oid, exchange: &Exchange) -> Result<(), GitError> {
    let opened = open(&job.temporary, &job.settings)?;
    transition::checkout_fresh(&opened, commit, &mut |done, total| {
        exchange.check()?;
        exchange.report(Progress {
            stage: Stage::CheckingOut,
            percent: percent(done as u64, total as u64),
            ..Progress::default()
        });
        Ok(())
    })
}
