//! `migrate run|revert|info`. The first two hold the data directory; a server that runs has migrated already.

use super::{CliError, say};
use crate::{config::Config, datadir::DataDir, store_options};
use clap::Subcommand;
use mira_core::clock::{Clock, SystemClock};
use mira_memory::{Store, migration_info, revert_last};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Migrate {
    /// Bring the schema up to date, after a copy of an older one
    Run,
    /// Undo the newest migration, after a copy
    Revert,
    /// List the migrations
    Info,
}

pub(super) async fn run(config: &Config, what: &Migrate) -> Result<ExitCode, CliError> {
    match what {
        Migrate::Run => {
            let _held = DataDir::take(config)?;
            Store::open(store_options(config), SystemClock.now())
                .await?
                .close()
                .await;
        }
        Migrate::Revert => {
            let _held = DataDir::take(config)?;
            match revert_last(&store_options(config), SystemClock.now()).await? {
                Some(version) => say(&format!("reverted {version:04}"))?,
                None => say("there is nothing to revert")?,
            }
        }
        Migrate::Info => {}
    }
    for migration in migration_info(&config.database.path).await? {
        let state = match (migration.applied, migration.known) {
            (true, true) => "applied",
            (true, false) => "applied by a newer version",
            (false, _) => "pending",
        };
        say(&format!("{:04}  {state}  {}", migration.version, migration.description))?;
    }
    Ok(ExitCode::SUCCESS)
}
