//! Projects: what changes one tells every socket of the account.

use crate::services::{
    deps::{Change, ProjectChange},
    files::FileChange,
    forget,
    git::{
        self, RepoError,
        unpublished::{self, Losses},
    },
    hub::Hub,
};
use mira_core::{
    approval::Asks,
    ids::{AccountId, ProjectId},
    project::{Project, ProjectDeletion},
};
use mira_memory::{NewProject, ProjectPatch, StoreError};

/// The most sessions that are announced one by one when they leave a project; a client that has more of them takes the
/// project's `deleted` as the news.
const MAX_ANNOUNCED: usize = 100;

/// A project's fields, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFields {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// What she is told in it.
    pub instructions: String,
    /// What the owner wants to be asked about.
    pub approvals: Asks,
}

/// Makes a project.
pub async fn create(hub: &Hub, account: AccountId, fields: ProjectFields) -> Result<Project, StoreError> {
    let deps = hub.deps();
    let new = NewProject {
        id: ProjectId(deps.clock.new_uuid()),
        name: fields.name,
        description: fields.description,
        tags: fields.tags,
        instructions: fields.instructions,
        approvals: fields.approvals,
        now: deps.clock.now(),
    };
    let project = deps.store.insert_project(account, new).await?;
    hub.announce_project(ProjectChange::Created(&project));
    Ok(project)
}

/// Changes a project; `None` if there is no such.
pub async fn update(
    hub: &Hub,
    account: AccountId,
    id: ProjectId,
    patch: ProjectPatch,
) -> Result<Option<Project>, StoreError> {
    let deps = hub.deps();
    let project = deps.store.update_project(account, id, patch, deps.clock.now()).await?;
    if let Some(project) = &project {
        hub.announce_project(ProjectChange::Updated(project));
    }
    Ok(project)
}

/// Deletes a project with its artifacts and files, and tells what went; `None` if there is no such. Sessions and what was said in
/// them stay, outside of any project. Goes on to its end even if the caller goes away.
pub async fn delete(
    hub: &Hub,
    account: AccountId,
    id: ProjectId,
    losses: Losses,
) -> Result<Option<ProjectDeletion>, RepoError> {
    git::to_the_end(
        hub,
        move |hub| async move { delete_alone(&hub, account, id, losses).await },
    )
    .await
}

async fn delete_alone(
    hub: &Hub,
    account: AccountId,
    id: ProjectId,
    losses: Losses,
) -> Result<Option<ProjectDeletion>, RepoError> {
    let store = &hub.deps().store;
    let repos = unpublished::repos_of(hub, account, id).await?;
    let held = unpublished::hold(hub, &repos, losses).await?;
    let Some(deleted) = store.delete_project(account, id).await? else {
        return Ok(None);
    };
    hub.announce_project(ProjectChange::Deleted(id));
    for session in deleted.sessions.iter().take(MAX_ANNOUNCED) {
        if let Some(session) = store.find_session(account, session).await? {
            hub.announce(Change::Updated(&session));
        }
    }
    for file in &deleted.files {
        hub.deps().files.tell(FileChange::Deleted(file));
    }
    git::attach::project_deleted(hub, account, &deleted.repos, held);
    if let Err(error) = hub.deps().files.sweep_leftovers().await {
        tracing::warn!(%error, project.id = %id, "its files could not be removed; the next start tries again");
    }
    forget::wipe_later(hub);
    Ok(Some(deleted.counts))
}
