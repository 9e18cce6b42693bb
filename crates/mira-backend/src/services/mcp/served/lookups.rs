//! Tools that only other programs have: the history by its words, and projects. Mira herself is shown these in her
//! prompts.

use super::doors::open;
use crate::services::{hub::HubRef, tools::store_failed};
use mira_core::{
    chat::{Role, one_line},
    ids::ProjectId,
    tool::Effect,
};
use mira_memory::{HIT_END, HIT_START, Page, ProjectFilter, RepoCursor};
use mira_tools::{About, CallContext, Concurrency, Output, Tool, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// Results where the call does not say how many.
const USUAL: u32 = 20;
/// The most results.
const MOST: u32 = 100;
/// The longest description of a project in a list, in characters.
const SHOWN_CHARS: usize = 200;
const TIMEOUT: Duration = Duration::from_secs(10);

fn about(name: &'static str) -> About {
    About {
        name,
        // What each is for is told in `super::description`.
        description: "",
        effect: Effect::Read,
        concurrency: Concurrency::Together,
        timeout: TIMEOUT,
    }
}

fn joined(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        "there are none".to_owned()
    } else {
        lines.join("\n")
    }
}

/// `search_history`.
pub(super) struct SearchHistory(pub(super) HubRef);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct HistoryArguments {
    /// Words that stand in the messages; every one of them must.
    query: String,
    /// How many messages at most, from 1 to 100; null for 20.
    limit: Option<u32>,
}

impl Tool for SearchHistory {
    type Arguments = HistoryArguments;

    fn about(&self) -> About {
        about("search_history")
    }

    async fn run(&self, context: &CallContext, arguments: HistoryArguments) -> Result<Output, ToolError> {
        let hub = open(&self.0)?;
        let page = Page::first(arguments.limit.unwrap_or(USUAL).clamp(1, MOST));
        let found = hub.deps().store.search(context.account, &arguments.query, page).await;
        let found = found.map_err(store_failed)?.items;
        let shown = found.iter().map(|hit| {
            let message = &hit.message;
            let day = message.created_at.to_zoned(context.zone.clone()).strftime("%-d %B %Y");
            let who = match message.role {
                Role::User => "owner",
                Role::Assistant => "Mira",
            };
            let session = hit.session_title.as_deref().unwrap_or(message.session_id.as_str());
            let passage = hit.snippet.replace([HIT_START, HIT_END], "");
            let passage = one_line(&passage, usize::MAX);
            format!(
                "{} | {day} | {who} | {} | {passage}",
                message.id,
                one_line(session, SHOWN_CHARS)
            )
        });
        let ids: Vec<String> = found.iter().map(|hit| hit.message.id.to_string()).collect();
        Ok(Output::new(joined(shown), json!({ "messages": ids })))
    }
}

/// `list_projects`.
pub(super) struct ListProjects(pub(super) HubRef);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ProjectsArguments {
    /// Words in their names, descriptions or tags; null for all.
    query: Option<String>,
}

impl Tool for ListProjects {
    type Arguments = ProjectsArguments;

    fn about(&self) -> About {
        about("list_projects")
    }

    async fn run(&self, context: &CallContext, arguments: ProjectsArguments) -> Result<Output, ToolError> {
        let hub = open(&self.0)?;
        let filter = ProjectFilter {
            q: arguments.query.filter(|query| !query.trim().is_empty()),
            tag: None,
        };
        let listed = hub
            .deps()
            .store
            .list_projects(context.account, filter, Page::first(MOST))
            .await;
        let projects = listed.map_err(store_failed)?.items;
        let shown = projects.iter().map(|project| {
            let about = one_line(&project.description, SHOWN_CHARS);
            format!("{} | {} | {about}", project.id, project.name)
        });
        let ids: Vec<String> = projects.iter().map(|project| project.id.to_string()).collect();
        Ok(Output::new(joined(shown), json!({ "projects": ids })))
    }
}

/// `get_project`.
pub(super) struct GetProject(pub(super) HubRef);

/// What a call says.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ProjectArguments {
    /// The project's id, as `list_projects` gave it.
    project_id: String,
}

impl Tool for GetProject {
    type Arguments = ProjectArguments;

    fn about(&self) -> About {
        about("get_project")
    }

    async fn run(&self, context: &CallContext, arguments: ProjectArguments) -> Result<Output, ToolError> {
        let wrong = |error| ToolError::Arguments(format!("project_id: {error}"));
        let id: ProjectId = arguments.project_id.trim().parse().map_err(wrong)?;
        let hub = open(&self.0)?;
        let store = &hub.deps().store;
        let known = store.find_project(context.account, id).await.map_err(store_failed)?;
        let project = known.ok_or_else(|| ToolError::Failed("there is no such project".to_owned()))?;
        let artifacts = store.list_artifacts(context.account, id, Page::first(MOST)).await;
        let artifacts = artifacts.map_err(store_failed)?.items;
        let repos = store
            .list_repos(context.account, id, Page::<RepoCursor>::first(MOST))
            .await;
        let repos = repos.map_err(store_failed)?.items;
        let mut text = vec![format!("{} ({})", project.name, project.id)];
        let mut tell = |title: &str, told: String| {
            if !told.trim().is_empty() {
                text.push(format!("{title}: {told}"));
            }
        };
        tell("description", project.description);
        tell("tags", project.tags.join(", "));
        tell("instructions", project.instructions);
        let listed = artifacts.iter().map(|artifact| {
            let (kind, version) = (artifact.kind.as_str(), artifact.version);
            format!("\n{} | {kind} | {version} | {}", artifact.id, artifact.name)
        });
        tell("artifacts (id | type | version | name)", listed.collect());
        let listed = repos.iter().map(|repo| {
            let branch = repo.branch.as_deref().unwrap_or("-");
            format!("\n{} | {branch} | {}", repo.repo_url, repo.status.as_str())
        });
        tell("repositories (address | branch | status)", listed.collect());
        Ok(Output::new(text.join("\n"), json!({ "project_id": id.to_string() })))
    }
}
