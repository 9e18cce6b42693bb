//! `serve`: takes the data directory, listens, and runs the server until a signal. A restore ends the server's work,
//! puts the backup in place, and starts it anew in the same process.

use super::CliError;
use crate::{
    config::Config,
    datadir::DataDir,
    lifecycle::{Lifecycle, Signals, obey_signals},
    services::restore::{Copy, State},
};
use mira_core::clock::SystemClock;
use std::{io, net::SocketAddr, process::ExitCode, sync::Arc};
use tokio::net::{TcpListener, TcpSocket};

/// Connections the system holds while we are busy.
const BACKLOG: u32 = 4096;

pub(super) async fn run(config: Config) -> Result<ExitCode, CliError> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let personas = &config.chat.persona_dir;
    if personas.exists() && !personas.is_dir() {
        let (path, source) = (personas.clone(), io::ErrorKind::NotADirectory.into());
        return Err(CliError::File { path, source });
    }
    let mut signals = Signals::listen()?;
    let mut data_dir = DataDir::take(&config)?;
    let mut listener = listen(config.listen)?.into_std()?;
    data_dir.announce(listener.local_addr()?)?;
    let mut life = Lifecycle::new();
    loop {
        let listening = TcpListener::from_std(listener.try_clone()?)?;
        let work = async {
            let served = crate::serve(config.clone(), listening, Arc::new(SystemClock), life.clone()).await;
            life.soft().cancel();
            served
        };
        // Connections made between two lives wait at the socket; where this life is the last, it closes at once.
        let next = async {
            life.soft().cancelled().await;
            life.restores().is_due().then_some(listener)
        };
        // Signals are obeyed outside the tracker, which waits for its tasks: the second one must work while it waits.
        let (served, next) = tokio::select! {
            ended = async { tokio::join!(work, next) } => ended,
            never = obey_signals(&mut signals, life.clone()) => match never {},
        };
        served?;
        let Some((copy, socket)) = life.restores().take_due().zip(next) else {
            return Ok(ExitCode::SUCCESS);
        };
        life.restores().end(put_in_place(copy, &config).await);
        if life.is_stopped() {
            return Ok(ExitCode::SUCCESS);
        }
        listener = socket;
        life = life.next();
    }
}

/// The server has ended its work and nobody has the database open: the checked copy takes its place.
async fn put_in_place(copy: Copy, config: &Config) -> State {
    match copy.put_in_place(config).await {
        Ok(kept) => {
            let place = kept.as_deref().map(|kept| kept.display().to_string());
            tracing::info!(kept = place, "a backup was restored");
            State::Restored { kept }
        }
        Err(error) => {
            tracing::error!(%error, "the restore failed; everything is as it was");
            State::Failed {
                reason: error.to_string(),
            }
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    bind(address).map_err(|e| CliError::Listen {
        address,
        reason: match e.kind() {
            io::ErrorKind::AddrInUse => "another program listens there; set MIRA_PORT to another port".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address; see MIRA_HOST".to_owned(),
            io::ErrorKind::PermissionDenied => "not allowed; ports below 1024 need rights".to_owned(),
            _ => e.to_string(),
        },
    })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // A restart must not wait for the old connections to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
