//! `backup FILE`: a consistent, checked copy, taken beside a running server.

use super::{CliError, say};
use crate::config::Config;
use mira_memory::Store;
use std::{path::Path, process::ExitCode};

pub(super) async fn run(config: &Config, file: &Path) -> Result<ExitCode, CliError> {
    let store = Store::open_read_only(&config.database.path).await?;
    let report = store.backup_to(file).await;
    store.close().await;
    let report = report?;
    say(&format!("{}: {} bytes, checked", report.path.display(), report.bytes))?;
    Ok(ExitCode::SUCCESS)
}
