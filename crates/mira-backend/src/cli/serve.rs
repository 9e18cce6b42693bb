//! `serve`: takes the data directory, listens, and runs the server until a signal.

use super::CliError;
use crate::{
    config::Config,
    datadir::DataDir,
    lifecycle::{Lifecycle, Signals, obey_signals},
};
use std::{io, net::SocketAddr, process::ExitCode};
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
    let signals = Signals::listen()?;
    let mut data_dir = DataDir::take(&config)?;
    let listener = listen(config.listen)?;
    data_dir.announce(listener.local_addr()?)?;
    let life = Lifecycle::new();
    // Signals are obeyed outside the tracker, which waits for its tasks: the second one must work while it waits.
    tokio::select! {
        served = crate::serve(config, listener, life.clone()) => served?,
        () = obey_signals(signals, life) => {}
    }
    Ok(ExitCode::SUCCESS)
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
