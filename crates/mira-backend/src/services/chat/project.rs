//! What a turn is told of the project of its conversation: the owner's instructions, the repositories, what they say of
//! themselves. Nothing here fails a turn.

use crate::services::deps::Deps;
use mira_core::{
    ids::{AccountId, ProjectId},
    prompt::{ProjectNotes, RepositoryNotes},
    repo::Repo,
};
use mira_memory::{Page, RepoCursor, StoreError};
use std::time::Duration;

/// Repositories a prompt tells of.
const REPOSITORIES: u32 = 12;
/// The longest AGENTS.md a prompt holds, in bytes.
const AGENTS_BYTES: usize = 12 * 1024;
/// How long a turn waits for one of them.
const AGENTS_WAIT: Duration = Duration::from_millis(250);

/// The notes; nothing outside a project.
pub(super) async fn notes(deps: &Deps, account: AccountId, project: Option<ProjectId>) -> Option<ProjectNotes> {
    match read(deps, account, project?).await {
        Ok(notes) => notes,
        Err(error) => {
            tracing::warn!(%error, "the project of a turn could not be read");
            None
        }
    }
}

/// Whether words of strangers are among them.
pub(super) fn has_strangers(notes: &ProjectNotes) -> bool {
    notes.repositories.iter().any(|repository| repository.agents.is_some())
}

async fn read(deps: &Deps, account: AccountId, id: ProjectId) -> Result<Option<ProjectNotes>, StoreError> {
    let Some(project) = deps.store.find_project(account, id).await? else {
        return Ok(None);
    };
    let page = Page {
        limit: REPOSITORIES,
        cursor: None::<RepoCursor>,
    };
    let repos = deps.store.list_repos(account, id, page).await?;
    let mut repositories = Vec::new();
    for repo in repos.items.iter().filter(|repo| repo.status.is_usable()) {
        repositories.push(RepositoryNotes {
            id: repo.id,
            url: repo.repo_url.clone(),
            branch: repo.branch.clone(),
            agents: agents(deps, repo).await,
        });
    }
    Ok(Some(ProjectNotes {
        name: project.name,
        description: project.description,
        instructions: project.instructions,
        repositories,
    }))
}

/// AGENTS.md, cut to its room.
async fn agents(deps: &Deps, repo: &Repo) -> Option<String> {
    let read = deps.git.repos().agents_md(repo.id);
    let mut text = match tokio::time::timeout(AGENTS_WAIT, read).await {
        Ok(Ok(found)) => found?,
        Ok(Err(error)) => {
            tracing::debug!(%error, attachment.id = %repo.id, "no AGENTS.md");
            return None;
        }
        Err(_) => {
            tracing::debug!(attachment.id = %repo.id, "AGENTS.md took too long");
            return None;
        }
    };
    if text.len() > AGENTS_BYTES {
        text.truncate(text.floor_char_boundary(AGENTS_BYTES));
        text.push_str("\n(cut)");
    }
    Some(text).filter(|text| !text.trim().is_empty())
}
