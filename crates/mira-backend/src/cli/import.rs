//! `import FILE`: holds the data directory and imports, or hands the file to the server that holds it.

use super::{
    CliError,
    client::{Server, answer, http_client},
    progress,
};
use crate::{
    api::http::admin::{EXPORT_TYPE, ImportObject},
    config::Config,
    datadir::{DataDir, DataDirError},
    services::{
        files::travel::Shelf,
        import::{ImportError, import},
    },
    store_options,
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use mira_core::{
    clock::{Clock, SystemClock},
    ids::AccountId,
};
use mira_memory::Store;
use std::{io, path::Path, process::ExitCode};
use tokio::{fs::File, io::AsyncReadExt};

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;
/// Bytes between two signs of life.
const PROGRESS_EVERY: u64 = 16 * 1024 * 1024;

impl From<ImportError> for CliError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(e) => e.into(),
            ImportError::Source(_) | ImportError::Line { .. } => Self::Plain(error.to_string()),
        }
    }
}

pub(super) async fn run(config: &Config, path: &Path) -> Result<ExitCode, CliError> {
    let failed = |source| CliError::File {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).await.map_err(failed)?;
    let total = file.metadata().await.map_err(failed)?.len();
    let held = DataDir::take(config);
    let report = match held {
        Ok(held) => {
            let store = Store::open(store_options(config), SystemClock.now()).await?;
            let shelf = Shelf::alone(config);
            let report = import(&store, AccountId::OWNER, &shelf, pieces(file, total), |_| {}).await;
            store.close().await;
            drop(held);
            report?.into()
        }
        Err(DataDirError::Held { path, holder }) => match Server::running(config)? {
            Some(server) => ask(&server, pieces(file, total)).await?,
            None => return Err(DataDirError::Held { path, holder }.into()),
        },
        Err(e) => return Err(e.into()),
    };
    let ImportObject {
        sessions,
        messages,
        moods,
        facts,
        projects,
        artifacts,
        repos,
        files,
        skipped,
        ..
    } = report;
    progress(&format!(
        "imported {sessions} sessions, {messages} messages, {moods} moods, {facts} facts, {projects} projects, \
         {artifacts} artifacts, {files} files, {repos} repositories without their clones; {skipped} were there already"
    ));
    Ok(ExitCode::SUCCESS)
}

/// The file piece by piece, saying how far it is.
pub(super) fn pieces(file: File, total: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold((file, 0_u64), move |(mut file, before)| async move {
        let mut piece = Vec::with_capacity(PIECE);
        match (&mut file).take(PIECE as u64).read_to_end(&mut piece).await {
            Ok(0) => None,
            Ok(read) => {
                let done = before + read as u64;
                if before / PROGRESS_EVERY != done / PROGRESS_EVERY {
                    progress(&format!("{} of {} MiB", done >> 20, total >> 20));
                }
                Some((Ok(Bytes::from(piece)), (file, done)))
            }
            Err(e) => Some((Err(e), (file, before))),
        }
    })
}

async fn ask(
    server: &Server,
    body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Result<ImportObject, CliError> {
    progress(&format!("asking the server at {}", server.base));
    let request = server.request(&http_client()?, reqwest::Method::POST, "api/admin/import")?;
    let body = reqwest::Body::wrap_stream(body);
    let sent = request.header("content-type", EXPORT_TYPE).body(body).send().await;
    answer(sent, server, "the import").await
}
