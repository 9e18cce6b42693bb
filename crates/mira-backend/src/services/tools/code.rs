//! Attached repositories as her tools reach them: those of the conversation's project, by the same services as REST.

use super::{hub_of, store_failed};
use crate::services::{
    git::{
        RepoError,
        files::{self, At},
        proposals::{self, Draft, Drafted, Why},
    },
    hub::{Hub, HubRef},
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{ids::ProjectId, repo::Repo};
use mira_git::{Body, CommitDiff, GitError, LineKind, LogQuery, Missing, RepoPath, Revision, TreeKind};
use mira_memory::{Page, RepoCursor};
use mira_tools::{
    CallContext, Doorway, ToolError,
    code::{Change, CodeDoor, Commit, Entry, File, Hit, Place, Repository, Written},
};
use std::{
    fmt::Write,
    sync::{Arc, OnceLock},
};

/// The longest diff a model is shown, in bytes.
const DIFF_BYTES: usize = 60 * 1024;

/// The door to code.
pub(super) struct Door(pub(super) Arc<OnceLock<HubRef>>);

impl Door {
    fn reach(&self, context: &CallContext, place: &Place) -> Result<(Hub, At), ToolError> {
        let at = At {
            account: context.account,
            project: project(context)?,
            id: place.repository,
        };
        Ok((hub_of(&self.0)?, at))
    }
}

fn project(context: &CallContext) -> Result<ProjectId, ToolError> {
    let none = || ToolError::Denied("this conversation belongs to no project; the owner can choose one".to_owned());
    context.project.ok_or_else(none)
}

fn failed(error: RepoError) -> ToolError {
    match error {
        RepoError::Store(error) => store_failed(error),
        other => ToolError::Failed(other.to_string()),
    }
}

fn wrong(error: impl std::fmt::Display) -> ToolError {
    ToolError::Arguments(error.to_string())
}

fn path(place: &Place) -> Result<RepoPath, ToolError> {
    RepoPath::parse(&place.path).map_err(wrong)
}

/// The path, or nothing for the root.
fn folder(place: &Place) -> Result<Option<RepoPath>, ToolError> {
    if place.path.is_empty() {
        return Ok(None);
    }
    path(place).map(Some)
}

fn revision(place: &Place) -> Result<Option<Revision>, ToolError> {
    place
        .reference
        .as_deref()
        .map(Revision::parse)
        .transpose()
        .map_err(wrong)
}

fn repository(repo: &Repo) -> Repository {
    Repository {
        id: repo.id,
        url: repo.repo_url.clone(),
        branch: repo.branch.clone().unwrap_or_default(),
    }
}

impl CodeDoor for Door {
    fn choose<'a>(&'a self, context: &'a CallContext, wanted: Option<String>) -> Doorway<'a, Repository> {
        async move {
            let (hub, project) = (hub_of(&self.0)?, project(context)?);
            let page = Page {
                limit: Page::<RepoCursor>::MAX,
                cursor: None,
            };
            let listed = hub.deps().store.list_repos(context.account, project, page).await;
            let repos: Vec<Repo> = listed
                .map_err(store_failed)?
                .items
                .into_iter()
                .filter(|repo| repo.status.is_usable())
                .collect();
            let known = || {
                let lines: Vec<String> = repos
                    .iter()
                    .map(|repo| format!("{} ({})", repo.id, repo.repo_url))
                    .collect();
                lines.join(", ")
            };
            match (wanted, repos.as_slice()) {
                (_, []) => Err(ToolError::Failed(
                    "this project has no repository that can be read".to_owned(),
                )),
                (None, [only]) => Ok(repository(only)),
                (None, _) => Err(ToolError::Arguments(format!(
                    "which repository? There are: {}",
                    known()
                ))),
                (Some(wanted), all) => {
                    let wanted = wanted.trim();
                    let named = all
                        .iter()
                        .find(|repo| repo.id.to_string() == wanted || repo.repo_url == wanted);
                    named
                        .map(repository)
                        .ok_or_else(|| ToolError::Arguments(format!("no such repository; there are: {}", known())))
                }
            }
        }
        .boxed()
    }

    fn list<'a>(&'a self, context: &'a CallContext, at: Place) -> Doorway<'a, Vec<Entry>> {
        async move {
            let (hub, place) = self.reach(context, &at)?;
            let tree = files::tree(&hub, place, folder(&at)?, revision(&at)?)
                .await
                .map_err(failed)?;
            Ok(tree
                .entries
                .into_iter()
                .map(|entry| Entry {
                    path: entry.path,
                    kind: match entry.kind {
                        TreeKind::File => "file",
                        TreeKind::Dir => "dir",
                        TreeKind::Symlink => "symlink",
                        TreeKind::Submodule => "submodule",
                    },
                    size: entry.size,
                })
                .collect())
        }
        .boxed()
    }

    fn read<'a>(&'a self, context: &'a CallContext, at: Place) -> Doorway<'a, Option<File>> {
        async move {
            let (hub, place) = self.reach(context, &at)?;
            if at.reference.is_none()
                && let Some(file) = proposed(&hub, place, context, &path(&at)?).await?
            {
                return Ok(Some(file));
            }
            let content = match files::read(&hub, place, path(&at)?, revision(&at)?).await {
                Ok(content) => content,
                Err(RepoError::Git(GitError::NotFound(Missing::Path))) => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            match content.body {
                Body::Text(text) => Ok(Some(File { text, sha: content.sha })),
                Body::Binary(_) => Err(ToolError::Denied("it is not a text file".to_owned())),
            }
        }
        .boxed()
    }

    fn search<'a>(&'a self, context: &'a CallContext, at: Place, query: String, limit: usize) -> Doorway<'a, Vec<Hit>> {
        async move {
            let (hub, place) = self.reach(context, &at)?;
            let found = files::search(&hub, place, query, limit).await.map_err(failed)?;
            Ok(found
                .hits
                .into_iter()
                .map(|hit| Hit {
                    path: hit.path,
                    line: u32::try_from(hit.line).unwrap_or(u32::MAX),
                    text: hit.text,
                })
                .collect())
        }
        .boxed()
    }

    fn write<'a>(&'a self, context: &'a CallContext, at: Place, change: Change) -> Doorway<'a, Written> {
        async move {
            let (hub, place) = self.reach(context, &at)?;
            let draft = Draft::Write {
                path: path(&at)?,
                text: change.content,
            };
            let why = Why {
                message: change.message,
                message_id: Some(context.reply),
                expected_sha: change.expected_sha,
            };
            Ok(
                match proposals::propose(&hub, place, draft, why).await.map_err(failed)? {
                    Drafted::Proposed(proposal) => Written::Proposed {
                        proposal: proposal.id.to_string(),
                    },
                    Drafted::Committed(written) => Written::Committed { commit: written.commit },
                },
            )
        }
        .boxed()
    }

    fn log<'a>(&'a self, context: &'a CallContext, at: Place, limit: usize) -> Doorway<'a, Vec<Commit>> {
        async move {
            let (hub, place) = self.reach(context, &at)?;
            let query = LogQuery {
                revision: revision(&at)?,
                path: folder(&at)?,
                cursor: None,
                limit,
            };
            let page = files::log(&hub, place, query).await.map_err(failed)?;
            Ok(page
                .commits
                .into_iter()
                .map(|commit| Commit {
                    date: Timestamp::from_second(commit.author.seconds)
                        .unwrap_or_default()
                        .to_string(),
                    sha: commit.sha,
                    author: commit.author.name,
                    summary: commit.summary,
                })
                .collect())
        }
        .boxed()
    }

    fn diff<'a>(&'a self, context: &'a CallContext, at: Place, commit: String) -> Doorway<'a, String> {
        async move {
            let (hub, place) = self.reach(context, &at)?;
            let commit = Revision::parse(&commit).map_err(wrong)?;
            let diff = files::diff(&hub, place, commit).await.map_err(failed)?;
            Ok(unified(&diff))
        }
        .boxed()
    }
}

/// What this reply has proposed for the file already: its next edit goes on from there.
async fn proposed(hub: &Hub, place: At, context: &CallContext, path: &RepoPath) -> Result<Option<File>, ToolError> {
    let pending = proposals::pending(hub, place, path).await.map_err(failed)?;
    let mine = pending.filter(|proposal| proposal.message_id == Some(context.reply));
    Ok(mine.and_then(|proposal| {
        Some(File {
            text: proposal.new_text?,
            sha: proposal.base_sha,
        })
    }))
}

/// A commit against its first parent, as `git show` tells it.
fn unified(diff: &CommitDiff) -> String {
    let commit = &diff.commit;
    let mut text = format!(
        "commit {}\nAuthor: {}\n\n{}\n",
        commit.sha,
        commit.author.name,
        commit.message.trim()
    );
    let files = diff
        .parents
        .first()
        .map(|parent| parent.files.as_slice())
        .unwrap_or_default();
    for file in files {
        let old = file.old_path.as_deref().unwrap_or("/dev/null");
        let new = file.new_path.as_deref().unwrap_or("/dev/null");
        let _infallible = write!(text, "\n--- {old}\n+++ {new}\n");
        if file.binary {
            text.push_str("(binary)\n");
        }
        for hunk in &file.hunks {
            let _infallible = writeln!(text, "{}", hunk.header.trim_end());
            for line in &hunk.lines {
                let sign = match line.kind {
                    LineKind::Context => ' ',
                    LineKind::Added => '+',
                    LineKind::Removed => '-',
                };
                let _infallible = writeln!(text, "{sign}{}", line.text.trim_end_matches('\n'));
            }
        }
        if text.len() > DIFF_BYTES {
            text.push_str("(cut: the diff is longer)\n");
            return text;
        }
    }
    text
}
