//! `restore FILE`: puts a backup in the database's place. The backup is copied, brought up to date and checked before
//! anything is touched; what was there is moved to the backups folder, never deleted.
//!
//! A server that runs does it itself: the file is sent to it, it checks, ends its work and starts anew. The file is sent,
//! not its name, because the server may be a user who cannot read it.

use super::{
    CliError,
    client::{Server, answer, http_client},
    import::pieces,
    progress, say,
};
use crate::{
    api::http::admin::{BACKUP_TYPE, RestoreObject, RestoreStatus},
    config::Config,
    datadir::{self, DataDir, DataDirError},
    services::{
        files::travel::Shelf,
        restore::{Copy, RestoreError},
    },
};
use futures_util::StreamExt;
use std::{io, path::Path, pin::pin, process::ExitCode, time::Duration};
use tokio::{fs::File, time::Instant};

/// How long a server that starts anew may be silent before it is given up.
const RESTART_LIMIT: Duration = Duration::from_mins(10);
/// Between two questions to a server that cannot be reached.
const ASK_EVERY: Duration = Duration::from_millis(200);

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Store(e) => e.into(),
            RestoreError::File { path, source } => Self::File { path, source },
            RestoreError::Unfit(_) | RestoreError::Task(_) => Self::Plain(error.to_string()),
        }
    }
}

pub(super) async fn run(config: &Config, backup: &Path) -> Result<ExitCode, CliError> {
    refuse_half(backup)?;
    let failed = |source| CliError::File {
        path: backup.to_owned(),
        source,
    };
    let file = File::open(backup).await.map_err(failed)?;
    let total = file.metadata().await.map_err(failed)?.len();
    let kept = match DataDir::take(config) {
        Ok(held) => {
            let kept = alone(config, file, total).await;
            drop(held);
            kept.map_err(|e| match e {
                CliError::Io(source) => failed(source),
                other => other,
            })?
        }
        Err(DataDirError::Held { path, holder }) => match Server::running(config)? {
            Some(server) => ask(config, &server, file, total).await?,
            None => return Err(DataDirError::Held { path, holder }.into()),
        },
        Err(e) => return Err(e.into()),
    };
    if let Some(kept) = kept {
        progress(&format!("what was there is now {kept}"));
    }
    say(&format!("restored {}", backup.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// A database that was copied while somebody wrote to it is not whole without its log.
fn refuse_half(backup: &Path) -> Result<(), CliError> {
    let mut log = backup.as_os_str().to_owned();
    log.push("-wal");
    match std::fs::metadata(&log) {
        Ok(found) if found.len() > 0 => Err(CliError::Plain(format!(
            "{} lies beside it and holds what is not in the file yet: restore a file that `backup` made",
            Path::new(&log).display()
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Without a server: the data directory is held.
async fn alone(config: &Config, file: File, total: u64) -> Result<Option<String>, CliError> {
    let mut copy = Copy::begin(config, Shelf::alone(config))?;
    let mut pieces = pin!(pieces(file, total));
    while let Some(piece) = pieces.next().await {
        copy.write(&piece?).await?;
    }
    progress("checking");
    copy.check(config).await?;
    let kept = copy.put_in_place(config).await?;
    Ok(kept.map(|kept| kept.display().to_string()))
}

async fn ask(config: &Config, server: &Server, file: File, total: u64) -> Result<Option<String>, CliError> {
    progress(&format!("asking the server at {}", server.base));
    let client = http_client()?;
    let body = reqwest::Body::wrap_stream(pieces(file, total));
    let request = server.request(&client, reqwest::Method::POST, "api/admin/restore")?;
    let sent = request.header("content-type", BACKUP_TYPE).body(body).send().await;
    let started: RestoreObject = answer(sent, server, "the restore").await?;
    progress("the backup is sound; the server starts anew with it");
    let mut heard = Instant::now();
    loop {
        // While it starts anew, a question waits at its socket.
        let asked = server.request(&client, reqwest::Method::GET, "api/admin/restore")?;
        let found = match asked.send().await {
            Ok(response) => Some(answer::<RestoreObject>(Ok(response), server, "the question how it went").await?),
            Err(_) => None,
        };
        match found {
            Some(found) if found.id != started.id => {
                return Err(CliError::Plain("another restore came after this one".to_owned()));
            }
            Some(found) => match found.status {
                RestoreStatus::Restored => return Ok(found.kept),
                RestoreStatus::Failed => {
                    let detail = found.detail.unwrap_or_default();
                    return Err(CliError::Plain(format!("nothing was restored: {detail}")));
                }
                RestoreStatus::Checking | RestoreStatus::Restarting => heard = Instant::now(),
            },
            None if datadir::holder(config).is_none() => {
                let reason = "the server ended; its log says why, and the next start finishes what it had begun";
                return Err(CliError::Plain(reason.to_owned()));
            }
            None if heard.elapsed() > RESTART_LIMIT => {
                let reason = io::Error::from(io::ErrorKind::TimedOut);
                return Err(CliError::Plain(format!("{}: {reason}", server.base)));
            }
            None => {}
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
