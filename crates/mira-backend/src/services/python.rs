//! The Python box as her tools reach it: proven once in the background after the start, files of the owner in, files she
//! made out into the owner's store. How a box is made and what it withstands is in `mira-box`.
//!
//! Invariants: nothing runs before the box is proven; a file of another account is not there.

use crate::{
    lifecycle::Lifecycle,
    services::{
        files::{FilesError, Made as MadeWhere},
        hub::{Hub, HubRef},
        tools::hub_of,
    },
};
use futures_util::FutureExt;
use mira_box::{BoxError, BoxSettings, Ended as BoxEnded, Exit as BoxExit, Input, Job, PythonBox, SafeName};
use mira_core::ids::FileId;
use mira_tools::{
    CallContext, Doorway, ToolError,
    python::{Ended, Exit, Made, PythonDoor},
};
use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, OnceLock},
};

/// The folder of the box inside the data directory.
const FOLDER: &str = "box";

/// The Python box, proven or with the reason why there is none. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Python(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Set once.
    proven: OnceLock<Result<PythonBox, String>>,
    settings: BoxSettings,
    life: Lifecycle,
}

impl Python {
    /// Nothing is made yet, and nothing ever where the owner has switched it off.
    pub fn new(enabled: bool, data_dir: &Path, life: &Lifecycle) -> Self {
        let proven = OnceLock::new();
        if !enabled {
            proven.get_or_init(|| Err("switched off by ENABLE_CODE_INTERPRETER".to_owned()));
        }
        Self(Arc::new(Inner {
            proven,
            settings: BoxSettings::new(data_dir.join(FOLDER)),
            life: life.clone(),
        }))
    }

    /// Proves the box in the background; the start does not wait for it.
    pub fn start(&self) {
        if self.0.proven.get().is_none() {
            let (python, soft) = (self.clone(), self.0.life.soft().clone());
            self.0.life.spawn(async move {
                // Told to end, nobody needs the proof any more.
                soft.run_until_cancelled(python.prove()).await;
            });
        }
    }

    async fn prove(&self) {
        let proven = PythonBox::open(self.0.settings.clone()).await;
        let proven = proven.map_err(|why| {
            tracing::warn!(reason = %why, "no code will be run: there is no box for it");
            why.to_string()
        });
        if let Ok(python) = self.0.proven.get_or_init(|| proven) {
            tracing::info!("the box for Python is proven");
            python.warm().await;
        }
    }

    /// Why nothing can be run now, if nothing can.
    pub fn unavailable(&self) -> Option<String> {
        match self.0.proven.get() {
            Some(Ok(_)) => None,
            Some(Err(why)) => Some(why.clone()),
            None => Some("the box is being tested; try again in a moment".to_owned()),
        }
    }

    fn proven(&self) -> Result<&PythonBox, ToolError> {
        match (self.0.proven.get(), self.unavailable()) {
            (Some(Ok(python)), _) => Ok(python),
            (_, why) => Err(ToolError::Unavailable(why.unwrap_or_default())),
        }
    }
}

/// The door to the box. The live sessions are where the owner's files are found.
#[derive(Debug)]
pub struct Door {
    python: Python,
    hub: Arc<OnceLock<HubRef>>,
}

impl Door {
    /// A door that works once the hub is there.
    pub fn new(python: Python, hub: Arc<OnceLock<HubRef>>) -> Self {
        Self { python, hub }
    }
}

impl PythonDoor for Door {
    fn unavailable(&self) -> Option<String> {
        self.python.unavailable()
    }

    fn run<'a>(&'a self, context: &'a CallContext, code: String, files: Vec<FileId>) -> Doorway<'a, Ended> {
        async move {
            let (hub, python) = (hub_of(&self.hub)?, self.python.proven()?);
            let job = Job {
                code,
                inputs: inputs(&hub, context, files).await?,
            };
            // A turn that is stopped drops this future, and the run with it.
            let cancel = self.python.0.life.hard().clone();
            let ended = python.run(job, cancel).await.map_err(box_failed)?;
            keep(&hub, context, ended).await
        }
        .boxed()
    }
}

/// The files a call names, under names that differ.
async fn inputs(hub: &Hub, context: &CallContext, files: Vec<FileId>) -> Result<Vec<Input>, ToolError> {
    let (mut names, mut inputs) = (HashSet::new(), Vec::new());
    for id in files {
        let opened = hub.deps().files.open(context.account, id).await.map_err(files_failed)?;
        // A file of another project is as good as none, as for every tool.
        let mine = opened.filter(|(file, _)| file.project_id.is_none() || file.project_id == context.project);
        let Some((file, path)) = mine else {
            return Err(ToolError::Arguments(format!(
                "there is no file {id} in this conversation"
            )));
        };
        let plain = SafeName::of(&file.name);
        let mut name = plain.clone();
        let mut number = 2;
        while !names.insert(name.clone()) {
            name = plain.numbered(number);
            number += 1;
        }
        inputs.push(Input { name, path });
    }
    Ok(inputs)
}

/// Keeps what was made, in the name of her reply.
async fn keep(hub: &Hub, context: &CallContext, ended: BoxEnded) -> Result<Ended, ToolError> {
    let mut files = Vec::new();
    for made in &ended.files {
        let stored = hub
            .deps()
            .files
            .keep_made(
                context.account,
                context.project,
                Some(context.reply),
                &made.name,
                MadeWhere::Path(made.path.clone()),
            )
            .await
            .map_err(files_failed)?;
        files.push(Made {
            id: stored.id,
            name: stored.name,
            media_type: stored.media_type,
            size: stored.size,
        });
    }
    Ok(Ended {
        exit: exit(ended.exit),
        stdout: ended.stdout,
        stderr: ended.stderr,
        files,
        left_out: ended.left_out,
    })
}

fn exit(exit: BoxExit) -> Exit {
    match exit {
        BoxExit::Code(code) => Exit::Code(code),
        BoxExit::Signal(signal) => Exit::Signal(signal),
        BoxExit::WallTime => Exit::WallTime,
        BoxExit::CpuTime => Exit::CpuTime,
        BoxExit::Memory => Exit::Memory,
        BoxExit::Files => Exit::Files,
        BoxExit::Output => Exit::Output,
    }
}

/// What a model is told of a run that came to nothing. What is its own doing it can mend; the rest is in the log.
#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn box_failed(error: BoxError) -> ToolError {
    match error {
        BoxError::TooLong | BoxError::TooMuch(_) | BoxError::SameName(_) => ToolError::Arguments(error.to_string()),
        BoxError::Cancelled => ToolError::Failed(error.to_string()),
        BoxError::Broke(_) | BoxError::Forged => {
            tracing::warn!(%error, "a run came to nothing");
            ToolError::Failed("the box broke before it could report; the code may have ended it".to_owned())
        }
        BoxError::Input { .. } | BoxError::Scratch(_) | BoxError::Start(_) | BoxError::Talk(_) => {
            tracing::error!(%error, "the box failed");
            ToolError::Failed("the box failed; Mira's log says why".to_owned())
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn files_failed(error: FilesError) -> ToolError {
    tracing::error!(%error, "a tool could not use the files");
    ToolError::Failed("the files could not be used; Mira's log says why".to_owned())
}
