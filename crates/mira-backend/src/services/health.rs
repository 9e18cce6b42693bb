//! What is known about the parts Mira leans on. Whoever talks to the model notes how it went; `/health` reads it, and
//! looks how much room there is on the disk.

use crate::config::Config;
use std::{
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Less room than this is told before it runs out: a copy of the database before a schema's change, or a large upload,
/// may need as much.
const LOW_MIB: u64 = 512;
const MIB: u64 = 1024 * 1024;

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It works, or worked when last used.
    Ok,
    /// It failed when last used.
    Degraded,
    /// It cannot be used here.
    Unavailable,
}

impl Condition {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A part's condition and a line about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHealth {
    /// How it is.
    pub condition: Condition,
    /// A line for the owner; no keys, no bodies.
    pub detail: String,
}

/// The model endpoint's health.
#[derive(Debug)]
pub struct ModelHealth(Mutex<PartHealth>);

impl ModelHealth {
    /// Before the first call.
    pub fn new(detail: String) -> Self {
        Self(Mutex::new(PartHealth {
            condition: Condition::Ok,
            detail,
        }))
    }

    /// Notes how a call went.
    pub fn note(&self, condition: Condition, detail: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = PartHealth { condition, detail };
    }

    /// The last thing noted.
    pub fn get(&self) -> PartHealth {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How much room the disks of the data directory and of the database have left. Blocks.
pub fn disk_health(config: &Config) -> PartHealth {
    let database = config.database.path.parent().filter(|folder| folder.is_dir());
    let places = std::iter::once(&*config.data_dir).chain(database);
    judge_disk(places.map(free_bytes))
}

/// What a program without privileges may still write there, in bytes.
fn free_bytes(place: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(place)?;
    // Some that have no end say that they have no beginning either.
    if found.f_blocks == 0 {
        return Ok(u64::MAX);
    }
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn judge_disk(free: impl Iterator<Item = io::Result<u64>>) -> PartHealth {
    let least = free.reduce(|least, next| Ok(least?.min(next?)));
    let (condition, detail) = match least {
        Some(Ok(bytes)) if bytes / MIB < LOW_MIB => {
            let left = bytes / MIB;
            let advice = "make room before nothing can be stored";
            let detail = format!("its disk has {left} MiB left, less than {LOW_MIB}: {advice}");
            (Condition::Degraded, detail)
        }
        Some(Ok(bytes)) => (Condition::Ok, format!("its disk has {} MiB left", bytes / MIB)),
        Some(Err(error)) => {
            let detail = format!("how much room its disk has left cannot be told: {error}");
            (Condition::Degraded, detail)
        }
        None => (Condition::Ok, String::new()),
    };
    PartHealth { condition, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fills_up_is_told_before_it_is_full() {
        let check = |free: Vec<io::Result<u64>>, condition: Condition, detail: &str| {
            let judged = judge_disk(free.into_iter());
            assert_eq!(judged.condition, condition, "{judged:?}");
            assert!(judged.detail.contains(detail), "{judged:?}");
        };
        check(vec![Ok(LOW_MIB * MIB)], Condition::Ok, "512 MiB left");
        check(
            vec![Ok(LOW_MIB * MIB - 1)],
            Condition::Degraded,
            "511 MiB left, less than 512",
        );
        check(vec![Ok(u64::MAX), Ok(0)], Condition::Degraded, "has 0 MiB left");
        check(vec![Ok(0), Ok(u64::MAX)], Condition::Degraded, "has 0 MiB left");
        let gone = || Err(io::Error::from(io::ErrorKind::NotFound));
        check(vec![gone(), Ok(u64::MAX)], Condition::Degraded, "cannot be told");
        check(vec![Ok(u64::MAX), gone()], Condition::Degraded, "cannot be told");
    }

    #[test]
    fn the_room_of_a_real_disk_is_found() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(folder.path()).unwrap() > 0);
        assert!(free_bytes(&folder.path().join("nothing")).is_err());
    }
}
