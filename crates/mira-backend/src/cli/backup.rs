//! `backup FILE`: a consistent, checked copy with the bytes of files in it, taken beside a running server.

use super::{CliError, progress, say};
use crate::{config::Config, services::files::travel::Shelf};
use mira_memory::Store;
use std::{path::Path, process::ExitCode};

pub(super) async fn run(config: &Config, file: &Path) -> Result<ExitCode, CliError> {
    let store = Store::open_read_only(&config.database.path).await?;
    let made = store.backup_with_files(file, &Shelf::alone(config)).await;
    store.close().await;
    let (report, packed) = made?;
    if packed.missing > 0 {
        let missing = packed.missing;
        progress(&format!(
            "the bytes of {missing} files are missing or damaged: `doctor --bytes` names them"
        ));
    }
    let (path, bytes, files) = (report.path.display(), report.bytes, packed.files);
    say(&format!(
        "{path}: {bytes} bytes, checked; the bytes of {files} files are in it"
    ))?;
    Ok(ExitCode::SUCCESS)
}
