//! The files as her tools reach them.

use super::search::Where;
use crate::services::{
    hub::{Hub, HubRef},
    tools::{hub_of, store_failed},
};
use futures_util::FutureExt;
use mira_core::{
    file::{FileStatus, StoredFile},
    ids::FileId,
};
use mira_tools::{
    CallContext, Doorway, ToolError,
    files::{FilesDoor, Hit, Page},
};
use std::sync::{Arc, OnceLock};

/// The door to the files. The live sessions are where they are found.
#[derive(Debug)]
pub struct Door {
    enabled: bool,
    hub: Arc<OnceLock<HubRef>>,
}

impl Door {
    /// A door that works once the hub is there, and never where the owner has switched it off.
    pub fn new(enabled: bool, hub: Arc<OnceLock<HubRef>>) -> Self {
        Self { enabled, hub }
    }
}

impl FilesDoor for Door {
    fn unavailable(&self) -> Option<String> {
        (!self.enabled).then(|| "switched off by ENABLE_FILE_SEARCH".to_owned())
    }

    fn search<'a>(
        &'a self,
        context: &'a CallContext,
        wordings: Vec<String>,
        files: Option<Vec<FileId>>,
        count: usize,
    ) -> Doorway<'a, Vec<Hit>> {
        async move {
            let hub = hub_of(&self.hub)?;
            let deps = hub.deps();
            for id in files.iter().flatten() {
                seen(&hub, context, *id).await?;
            }
            let place = Where {
                project: context.project,
                files,
            };
            let embedder = deps.memories.embedder();
            let fitting = deps
                .files
                .search(context.account, &*embedder, &wordings, place, count)
                .await
                .map_err(store_failed)?;
            let hits = fitting.into_iter().map(|fitting| Hit {
                file: fitting.found.file,
                name: fitting.found.name,
                page: fitting.found.chunk.page,
                lines: fitting.found.chunk.lines,
                heading: fitting.found.chunk.heading,
                text: fitting.found.chunk.text,
                score: fitting.score,
            });
            Ok(hits.collect())
        }
        .boxed()
    }

    fn page<'a>(&'a self, context: &'a CallContext, file: FileId, page: u32) -> Doorway<'a, Page> {
        async move {
            let hub = hub_of(&self.hub)?;
            let file = seen(&hub, context, file).await?;
            match file.status {
                FileStatus::Ready => {}
                FileStatus::Processing => {
                    return Err(ToolError::Failed(format!(
                        "{} is still being read; try again soon",
                        file.name
                    )));
                }
                FileStatus::Failed => {
                    let why = file.error.unwrap_or_default();
                    return Err(ToolError::Failed(format!("{} has no text: {why}", file.name)));
                }
            }
            let store = &hub.deps().store;
            let (found, pages) = store
                .file_page(context.account, file.id, page.saturating_sub(1))
                .await
                .map_err(store_failed)?;
            let found = found.ok_or_else(|| match pages {
                0 => ToolError::Failed(format!("{} has no text ({})", file.name, file.media_type)),
                _ => ToolError::Arguments(format!("{} has {pages} pages", file.name)),
            })?;
            Ok(Page {
                name: file.name,
                page,
                pages,
                is_paged: found.page.is_some(),
                text: found.text,
            })
        }
        .boxed()
    }
}

/// A file a conversation sees: one of its project, or of none. Any other is as good as none.
async fn seen(hub: &Hub, context: &CallContext, id: FileId) -> Result<StoredFile, ToolError> {
    let found = hub
        .deps()
        .store
        .find_file(context.account, id)
        .await
        .map_err(store_failed)?;
    found
        .filter(|file| file.project_id.is_none() || file.project_id == context.project)
        .ok_or_else(|| ToolError::Arguments(format!("there is no file {id} in this conversation")))
}
