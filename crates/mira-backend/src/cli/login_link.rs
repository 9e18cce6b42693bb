//! `login-link`: a fresh one-time link, made from the token alone; the server need not be asked, nor run.

use super::{CliError, say};
use crate::{
    config::Config,
    datadir,
    services::auth::{new_code, read_or_create_token},
};
use mira_core::clock::SystemClock;
use std::process::ExitCode;

pub(super) fn run(config: &Config) -> Result<ExitCode, CliError> {
    let token = if let Some(token) = &config.access.token {
        token.clone()
    } else {
        datadir::make(&config.data_dir)?;
        read_or_create_token(&config.token_file(), &SystemClock)?
    };
    let base = if let Some(url) = &config.access.public_url {
        url.to_string()
    } else {
        let running = datadir::holder(config).and_then(|holder| holder.address);
        format!("http://{}", datadir::reachable(running.unwrap_or(config.listen)))
    };
    say(&format!("{base}/#login={}", new_code(&token, &SystemClock)))?;
    Ok(ExitCode::SUCCESS)
}
