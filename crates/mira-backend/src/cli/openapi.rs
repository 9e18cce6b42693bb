//! `openapi`: prints the document the server serves.

use super::CliError;
use std::{
    io::{self, Write},
    process::ExitCode,
};

pub(super) fn run() -> Result<ExitCode, CliError> {
    io::stdout()
        .lock()
        .write_all(crate::api::openapi::document_text().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
