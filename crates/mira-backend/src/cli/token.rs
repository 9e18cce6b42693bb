//! `token` and `token new`: work on the token file; a running server notices by itself.

use super::{CliError, say};
use crate::{
    config::Config,
    datadir,
    services::auth::{read_or_create_token, replace_token},
};
use clap::Subcommand;
use mira_core::clock::SystemClock;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Replace the token and end all logins
    New,
}

pub(super) fn run(config: &Config, command: Option<&TokenCommand>) -> Result<ExitCode, CliError> {
    let token = match (&config.access.token, command) {
        (Some(token), None) => token.clone(),
        (Some(_), Some(TokenCommand::New)) => {
            let reason = "the token comes from MIRA_AUTH_TOKEN: change it there and restart";
            return Err(CliError::Plain(reason.to_owned()));
        }
        (None, command) => {
            datadir::make(&config.data_dir)?;
            match command {
                None => read_or_create_token(&config.token_file(), &SystemClock)?,
                Some(TokenCommand::New) => replace_token(&config.token_file(), &SystemClock)?,
            }
        }
    };
    say(token.expose())?;
    Ok(ExitCode::SUCCESS)
}
