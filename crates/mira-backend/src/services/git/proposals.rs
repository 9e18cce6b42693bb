//! Changes Mira would make: kept until the owner applies or discards them, or committed at once where the owner said so.
//!
//! Applying is a commit against the blob the proposal was made for. Where the file is another by now, the proposal is
//! stale and nothing happens, unless what it wants is what is there: then a crash came between the commit and the row.
//! What was decided stays so, and deciding the same twice is answered the same.

use super::{RepoError, files, files::At, now, to_the_end, usable};
use crate::services::{deps::ProposalChange, hub::Hub};
use mira_core::{
    ids::{AccountId, MessageId, ProjectId, ProposalId},
    repo::{Proposal, ProposalKind, ProposalState, WriteMode},
};
use mira_git::{
    Body, Clash, Content, Edit, FileDiff, GitError, Missing, RepoPath, Repos, Revision, Standing, WriteOptions,
    Written, diff_text,
};
use mira_memory::{Decision, NewProposal};

/// A change to propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Draft {
    /// A file gets this text; it is made if it is not there.
    Write {
        /// Which.
        path: RepoPath,
        /// All of it.
        text: String,
    },
    /// A file goes.
    Delete {
        /// Which.
        path: RepoPath,
    },
    /// A file gets another path.
    Rename {
        /// Its path.
        from: RepoPath,
        /// Where it goes.
        to: RepoPath,
    },
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drafted {
    /// It waits for the owner.
    Proposed(Box<Proposal>),
    /// It is a commit: the owner lets Mira write.
    Committed(Written),
}

/// What goes with a draft; all of it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// The commit's message; without one a line that says what is done.
    pub message: Option<String>,
    /// The reply that makes it.
    pub message_id: Option<MessageId>,
    /// The blob its maker has seen; if the file is another by now, nothing is kept.
    pub expected_sha: Option<String>,
}

/// Keeps a change for the owner to decide, or commits it where the repository's `writes` say so. A later draft of the
/// same reply about the same path takes the place of an earlier one.
pub async fn propose(hub: &Hub, at: At, draft: Draft, why: Why) -> Result<Drafted, RepoError> {
    let repo = usable(hub, at.account, at.project, at.id).await?;
    let new = stage(hub, at, draft, why).await?;
    if repo.writes == WriteMode::Direct {
        let options = WriteOptions {
            message: Some(new.message.clone()),
            expected_sha: new.base_sha.clone(),
            author: None,
        };
        let edit = edit(new.kind, &new.path, new.new_path.as_deref(), new.new_text.as_deref())?;
        return Ok(Drafted::Committed(files::commit(hub, at, edit, options).await?));
    }
    let kept = hub.deps().store.insert_proposal(at.account, new).await?;
    let kept = kept.ok_or(RepoError::NotFound)?;
    if let Some(replaced) = &kept.replaced {
        hub.announce_proposal(ProposalChange::Updated(replaced));
    }
    hub.announce_proposal(ProposalChange::Created(&kept.proposal));
    Ok(Drafted::Proposed(Box::new(kept.proposal)))
}

/// Looks at what is there, and makes a row of the draft.
async fn stage(hub: &Hub, at: At, draft: Draft, why: Why) -> Result<NewProposal, RepoError> {
    let repos = hub.deps().git.repos();
    let path = match &draft {
        Draft::Write { path, .. } | Draft::Delete { path } => path.clone(),
        Draft::Rename { from, .. } => from.clone(),
    };
    let found = match repos.read_file(at.id, path.clone(), None).await {
        Ok(content) => Some(content),
        Err(GitError::NotFound(Missing::Path)) => None,
        Err(error) => return Err(error.into()),
    };
    let clash = |why, path: &RepoPath| {
        RepoError::from(GitError::Conflict {
            why,
            paths: vec![path.as_str().to_owned()],
        })
    };
    if let Some(content) = &found
        && content.standing != Standing::Committed
    {
        return Err(clash(Clash::Uncommitted, &path));
    }
    if why.expected_sha.is_some() && why.expected_sha != found.as_ref().and_then(|content| content.sha.clone()) {
        return Err(clash(Clash::Changed, &path));
    }
    let (kind, new_path, new_text) = match draft {
        Draft::Write { text, .. } => {
            let limit = repos.settings().max_file_bytes;
            if u64::try_from(text.len()).unwrap_or(u64::MAX) > limit {
                return Err(GitError::TooLarge {
                    what: "the file",
                    limit,
                }
                .into());
            }
            let kind = if found.is_some() {
                ProposalKind::Write
            } else {
                ProposalKind::Create
            };
            (kind, None, Some(text))
        }
        Draft::Delete { .. } => (ProposalKind::Delete, None, None),
        Draft::Rename { to, .. } => match repos.read_file(at.id, to.clone(), None).await {
            Ok(_) => return Err(clash(Clash::Exists, &to)),
            Err(GitError::NotFound(Missing::Path)) => (ProposalKind::Rename, Some(to.as_str().to_owned()), None),
            Err(error) => return Err(error.into()),
        },
    };
    if found.is_none() && kind != ProposalKind::Create {
        return Err(GitError::NotFound(Missing::Path).into());
    }
    let (base_sha, old_text) = match found {
        Some(Content {
            sha,
            body: Body::Text(text),
            ..
        }) if kind != ProposalKind::Rename => (sha, Some(text)),
        Some(Content { sha, .. }) => (sha, None),
        None => (None, None),
    };
    let said = why
        .message
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    Ok(NewProposal {
        id: ProposalId(hub.deps().clock.new_uuid()),
        repo_id: at.id,
        kind,
        message: said.unwrap_or_else(|| described(kind, path.as_str(), new_path.as_deref())),
        path: path.as_str().to_owned(),
        new_path,
        base_sha,
        old_text,
        new_text,
        message_id: why.message_id,
        now: now(hub),
    })
}

fn described(kind: ProposalKind, path: &str, new_path: Option<&str>) -> String {
    match kind {
        ProposalKind::Write => format!("Update {path}"),
        ProposalKind::Create => format!("Create {path}"),
        ProposalKind::Delete => format!("Delete {path}"),
        ProposalKind::Rename => format!("Rename {path} to {}", new_path.unwrap_or_default()),
    }
}

/// The edit a row means. Its paths were checked when it was made, and are again.
fn edit(kind: ProposalKind, path: &str, new_path: Option<&str>, text: Option<&str>) -> Result<Edit, GitError> {
    let path = RepoPath::parse(path)?;
    let bytes = || text.unwrap_or_default().as_bytes().to_vec();
    Ok(match kind {
        ProposalKind::Write => Edit::Put { path, bytes: bytes() },
        ProposalKind::Create => Edit::Create { path, bytes: bytes() },
        ProposalKind::Delete => Edit::Delete { path },
        ProposalKind::Rename => Edit::Rename {
            from: path,
            to: RepoPath::parse(new_path.unwrap_or_default())?,
        },
    })
}

/// A proposal in this project, with its texts.
pub async fn find(hub: &Hub, account: AccountId, project: ProjectId, id: ProposalId) -> Result<Proposal, RepoError> {
    let found = hub.deps().store.find_proposal(account, project, id).await?;
    found.ok_or(RepoError::NoSuchProposal)
}

/// The newest open proposal about a path, with its texts.
pub async fn pending(hub: &Hub, at: At, path: &RepoPath) -> Result<Option<Proposal>, RepoError> {
    usable(hub, at.account, at.project, at.id).await?;
    let store = &hub.deps().store;
    Ok(store.find_open_proposal(at.account, at.id, path.as_str()).await?)
}

/// What a proposal changes, line by line; `None` for a rename.
pub async fn diff(hub: &Hub, proposal: &Proposal) -> Result<Option<FileDiff>, RepoError> {
    let (old, new) = match proposal.kind {
        ProposalKind::Rename => return Ok(None),
        ProposalKind::Write | ProposalKind::Create | ProposalKind::Delete => {
            (proposal.old_text.clone(), proposal.new_text.clone())
        }
    };
    let (path, settings) = (proposal.path.clone(), hub.deps().git.repos().settings().clone());
    let comparing = hub
        .deps()
        .lifecycle
        .spawn_blocking(move || diff_text(old.as_deref(), new.as_deref(), &path, &settings));
    let diff = comparing.await.map_err(|_| RepoError::Ending)??;
    Ok(Some(diff))
}

/// Makes a proposal a commit. Goes on to its end even if the caller goes away.
pub async fn apply(hub: &Hub, account: AccountId, project: ProjectId, id: ProposalId) -> Result<Proposal, RepoError> {
    let deciding = hub.deps().git.decide(id).ok_or(RepoError::Deciding)?;
    to_the_end(hub, move |hub| async move {
        let applied = apply_alone(&hub, account, project, id).await;
        drop(deciding);
        applied
    })
    .await
}

async fn apply_alone(hub: &Hub, account: AccountId, project: ProjectId, id: ProposalId) -> Result<Proposal, RepoError> {
    let proposal = find(hub, account, project, id).await?;
    match proposal.state {
        ProposalState::Applied => return Ok(proposal),
        ProposalState::Discarded => return Err(RepoError::Decided(proposal.state)),
        ProposalState::Open | ProposalState::Stale => {}
    }
    let at = At {
        account,
        project,
        id: proposal.repo_id,
    };
    let edit = edit(
        proposal.kind,
        &proposal.path,
        proposal.new_path.as_deref(),
        proposal.new_text.as_deref(),
    )?;
    let options = WriteOptions {
        message: Some(proposal.message.clone()),
        expected_sha: proposal.base_sha.clone(),
        author: None,
    };
    let error = match files::commit(hub, at, edit, options).await {
        Ok(written) => return decided(hub, account, id, Decision::Applied(written.commit)).await,
        Err(error) => error,
    };
    let RepoError::Git(error) = error else {
        return Err(error);
    };
    let error = match error {
        GitError::NotFound(Missing::Path) => GitError::Conflict {
            why: Clash::Changed,
            paths: vec![proposal.path.clone()],
        },
        other => other,
    };
    if let GitError::Conflict { why, .. } = &error
        && matches!(why, Clash::Changed | Clash::Exists | Clash::NotAFile | Clash::Twin)
    {
        if let Some(commit) = is_there(hub.deps().git.repos(), &proposal).await? {
            return decided(hub, account, id, Decision::Applied(commit)).await;
        }
        decided(hub, account, id, Decision::Stale).await?;
    }
    Err(error.into())
}

/// The commit that is checked out, if it has what the proposal wants.
async fn is_there(repos: &Repos, proposal: &Proposal) -> Result<Option<String>, RepoError> {
    let head = || Revision::parse("HEAD").map_err(GitError::from);
    let read = async |path: &str, revision: Option<Revision>| match repos
        .read_file(proposal.repo_id, RepoPath::parse(path)?, revision)
        .await
    {
        Ok(content) => Ok(Some(content)),
        Err(
            GitError::NotFound(Missing::Path)
            | GitError::Conflict {
                why: Clash::NotAFile, ..
            },
        ) => Ok(None),
        Err(error) => Err(error),
    };
    let found = read(&proposal.path, Some(head()?)).await?;
    match proposal.kind {
        ProposalKind::Write | ProposalKind::Create => {
            // A commit may have other line ends than the file that was written, where attributes say so.
            let lies = read(&proposal.path, None).await?;
            let lies = lies.filter(|content| content.standing == Standing::Committed);
            let wanted = proposal.new_text.as_deref().map(str::as_bytes);
            let mut both = [found, lies].into_iter().flatten();
            let there = both.find(|content| Some(content.body.bytes()) == wanted);
            Ok(there.and_then(|content| content.commit))
        }
        ProposalKind::Delete if found.is_none() => Ok(repos.tree(proposal.repo_id, None, Some(head()?)).await?.commit),
        ProposalKind::Rename if found.is_none() => {
            let moved = read(proposal.new_path.as_deref().unwrap_or_default(), Some(head()?)).await?;
            Ok(moved
                .filter(|content| content.sha == proposal.base_sha)
                .and_then(|content| content.commit))
        }
        ProposalKind::Delete | ProposalKind::Rename => Ok(None),
    }
}

async fn decided(hub: &Hub, account: AccountId, id: ProposalId, decision: Decision) -> Result<Proposal, RepoError> {
    let deps = hub.deps();
    let proposal = deps
        .store
        .decide_proposal(account, id, decision, deps.clock.now())
        .await?;
    let proposal = proposal.ok_or(RepoError::NoSuchProposal)?;
    hub.announce_proposal(ProposalChange::Updated(&proposal));
    Ok(proposal)
}

/// Puts a proposal away.
pub async fn discard(hub: &Hub, account: AccountId, project: ProjectId, id: ProposalId) -> Result<Proposal, RepoError> {
    let _deciding = hub.deps().git.decide(id).ok_or(RepoError::Deciding)?;
    let proposal = find(hub, account, project, id).await?;
    match proposal.state {
        ProposalState::Discarded => Ok(proposal),
        ProposalState::Applied => Err(RepoError::Decided(proposal.state)),
        ProposalState::Open | ProposalState::Stale => decided(hub, account, id, Decision::Discarded).await,
    }
}
