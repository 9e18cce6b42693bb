//! The data directory: made private, and held by one process at a time.
//!
//! The lock is the operating system's, on `mira.lock`; it ends with the process however that ends. What stands in the
//! file (pid, address) is for people and for the commands that talk to a running server. A database outside the data
//! directory has a lock of its own beside it, so that two data directories cannot share one.

use crate::{
    config::Config,
    services::restore::{RestoreError, finish_interrupted},
};
use mira_core::clock::Clock;
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made, read or written.
    #[error("{path} cannot be used: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{path} is in use by {holder}")]
    Held {
        /// The directory, or the database.
        path: PathBuf,
        /// Who.
        holder: Holder,
    },
    /// A restore that a crash cut short cannot be finished.
    #[error("a restore was cut short and cannot be finished: {0}")]
    Restore(#[from] RestoreError),
}

/// Who holds a lock, as far as the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// Its process.
    pub pid: Option<u32>,
    /// Where it listens, if it is a server.
    pub address: Option<SocketAddr>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => write!(f, "another process")?,
        }
        match self.address {
            Some(address) => write!(f, ", a server at http://{address}"),
            None => Ok(()),
        }
    }
}

/// The data directory, held until dropped.
#[derive(Debug)]
pub struct DataDir {
    file: File,
    path: PathBuf,
    /// For a database elsewhere.
    _database: Option<File>,
}

impl DataDir {
    /// Makes the directory where it is missing (mode 0700), takes it, and finishes a restore that was cut short.
    pub fn take(config: &Config) -> Result<Self, DataDirError> {
        make(&config.data_dir)?;
        let path = config.lock_file();
        let file = lock(&path, &config.data_dir)?;
        let database = if config.database.path.starts_with(&config.data_dir) {
            None
        } else {
            let mut beside = config.database.path.clone().into_os_string();
            beside.push(".lock");
            let mut file = lock(Path::new(&beside), &config.database.path)?;
            write_holder(&mut file, None).map_err(|source| DataDirError::Io {
                path: beside.into(),
                source,
            })?;
            Some(file)
        };
        let mut taken = Self {
            file,
            path,
            _database: database,
        };
        taken.write(None)?;
        finish_interrupted(config)?;
        Ok(taken)
    }

    /// Writes down where the server listens.
    pub fn announce(&mut self, address: SocketAddr) -> Result<(), DataDirError> {
        self.write(Some(address))
    }

    fn write(&mut self, address: Option<SocketAddr>) -> Result<(), DataDirError> {
        write_holder(&mut self.file, address).map_err(|source| DataDirError::Io {
            path: self.path.clone(),
            source,
        })
    }
}

/// Makes the data directory where it is missing.
pub fn make(path: &Path) -> Result<(), DataDirError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| DataDirError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Who holds the data directory now; `None` where nobody does.
pub fn holder(config: &Config) -> Option<Holder> {
    let mut file = File::open(config.lock_file()).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_holder(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// An address that can be connected to: a server bound to every address is reached over loopback.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        };
        address.set_ip(loopback);
    }
    address
}

fn lock(path: &Path, what: &Path) -> Result<File, DataDirError> {
    let failed = |source| DataDirError::Io {
        path: path.to_owned(),
        source,
    };
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    let mut file = opened.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataDirError::Held {
            path: what.to_owned(),
            holder: read_holder(&mut file),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn write_holder(file: &mut File, address: Option<SocketAddr>) -> io::Result<()> {
    let address = address
        .map(|address| format!("address {address}\n"))
        .unwrap_or_default();
    let text = format!("pid {}\n{address}", std::process::id());
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    // What cannot be read is not known; that somebody holds the lock is.
    if file.take(1024).read_to_string(&mut text).is_err() {
        return Holder::default();
    }
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Holder {
        pid: field("pid ").and_then(|pid| pid.parse().ok()),
        address: field("address ").and_then(|address| address.parse().ok()),
    }
}

/// Reads a key of 32 bytes, or makes it (mode 0600).
pub fn key_file(path: &Path, clock: &dyn Clock) -> io::Result<[u8; 32]> {
    let parse = |bytes: Vec<u8>| {
        <[u8; 32]>::try_from(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "must hold 32 bytes"))
    };
    match std::fs::read(path) {
        Ok(bytes) => return parse(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let key = [clock.random_bytes(), clock.random_bytes()].concat();
    // Whole or not at all: a half-written key would make worthless whatever was made with it.
    let fresh = path.with_extension("key.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    parse(key)
}
