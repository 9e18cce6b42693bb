//! What a turn is told of the project of its conversation: the owner's instructions, the repositories, what they say of
//! themselves. Nothing here fails a turn.

use crate::services::deps::Deps;
use mira_core::{
    approval::Asks,
    budget::estimate_tokens,
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
/// All of them together take at most this part of the prompt's budget.
const AGENTS_SHARE: usize = 8;
/// Said where one was cut.
const CUT: &str = "\n(cut)";
/// How long a turn waits for one of them.
const AGENTS_WAIT: Duration = Duration::from_millis(250);

/// The notes, and what the project wants to be asked about; no notes outside a project.
pub(super) async fn notes(deps: &Deps, account: AccountId, project: Option<ProjectId>) -> (Option<ProjectNotes>, Asks) {
    let Some(project) = project else {
        return (None, Asks::default());
    };
    match read(deps, account, project).await {
        Ok(Some((notes, asks))) => (Some(notes), asks),
        Ok(None) => (None, Asks::default()),
        Err(error) => {
            tracing::warn!(%error, "the project of a turn could not be read");
            // Whoever wanted to be asked is.
            (None, Asks::Writes)
        }
    }
}

/// Whether words of strangers are among them.
pub(super) fn has_strangers(notes: &ProjectNotes) -> bool {
    notes.repositories.iter().any(|repository| repository.agents.is_some())
}

async fn read(deps: &Deps, account: AccountId, id: ProjectId) -> Result<Option<(ProjectNotes, Asks)>, StoreError> {
    let Some(project) = deps.store.find_project(account, id).await? else {
        return Ok(None);
    };
    let page = Page {
        limit: REPOSITORIES,
        cursor: None::<RepoCursor>,
    };
    let repos = deps.store.list_repos(account, id, page).await?;
    let mut repositories = Vec::new();
    let mut left = deps.settings.context_tokens / AGENTS_SHARE;
    for repo in repos.items.iter().filter(|repo| repo.status.is_usable()) {
        repositories.push(RepositoryNotes {
            id: repo.id,
            url: repo.repo_url.clone(),
            branch: repo.branch.clone(),
            agents: agents(deps, repo).await.and_then(|text| fitting(text, &mut left)),
        });
    }
    let notes = ProjectNotes {
        name: project.name,
        description: project.description,
        instructions: project.instructions,
        repositories,
    };
    Ok(Some((notes, project.approvals)))
}

/// As much of a text as fits into what is left; nothing where that is next to nothing.
fn fitting(mut text: String, left: &mut usize) -> Option<String> {
    let tokens = estimate_tokens(&text);
    if tokens > *left {
        // Of the same text, so many bytes make a token.
        let bytes = text.len() / tokens.max(1) * *left;
        text.truncate(text.floor_char_boundary(bytes));
        text.push_str(CUT);
    }
    *left = left.saturating_sub(tokens);
    Some(text).filter(|text| text.trim() != CUT.trim())
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
        text.push_str(CUT);
    }
    Some(text).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_shared() {
        let text = "some words ".repeat(100);
        let whole = estimate_tokens(&text);
        let mut left = whole + whole / 2;
        assert_eq!(fitting(text.clone(), &mut left).unwrap(), text);
        let cut = fitting(text.clone(), &mut left).unwrap();
        assert!(cut.ends_with(CUT) && cut.len() < text.len() * 2 / 3, "{}", cut.len());
        assert_eq!((fitting(text, &mut left), left), (None, 0));
    }
}
