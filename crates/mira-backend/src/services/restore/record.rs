//! What became of the last restore asked of this process. It outlives the server's restart, which is what a restore
//! beside a running server is.

use super::Copy;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// How far a restore is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The backup arrives and is checked; the conversation goes on.
    Checking,
    /// The backup is sound, the server ends its work to start anew with it.
    Restarting,
    /// The backup is the database now.
    Restored {
        /// Where the old one is.
        kept: Option<PathBuf>,
    },
    /// Everything is as it was.
    Failed {
        /// Why.
        reason: String,
    },
}

/// One restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: Uuid,
    /// How far it is.
    pub state: State,
}

#[derive(Debug, Default)]
struct Slot {
    record: Option<Record>,
    /// The checked copy, between the end of one server and the start of the next.
    copy: Option<Copy>,
}

/// The restores of a process: one at a time, the last one remembered. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Restores(Arc<Mutex<Slot>>);

impl Restores {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a restore; `None` while another is under way.
    pub fn begin(&self, id: Uuid) -> Option<Ticket> {
        let mut slot = self.slot();
        if let Some(record) = &slot.record
            && matches!(record.state, State::Checking | State::Restarting)
        {
            return None;
        }
        let state = State::Checking;
        slot.record = Some(Record { id, state });
        Some(Ticket {
            restores: self.clone(),
            id,
            done: false,
        })
    }

    /// The last restore.
    pub fn last(&self) -> Option<Record> {
        self.slot().record.clone()
    }

    /// The checked copy that waits for the server to end, if that is why it ends.
    pub fn take_due(&self) -> Option<Copy> {
        self.slot().copy.take()
    }

    /// Whether the server is to start anew.
    pub fn is_due(&self) -> bool {
        self.slot().copy.is_some()
    }

    /// Notes how the restore ended.
    pub fn end(&self, state: State) {
        if let Some(record) = &mut self.slot().record {
            record.state = state;
        }
    }
}

/// A restore that has begun. Dropped before it is passed on, it has failed.
#[derive(Debug)]
pub struct Ticket {
    restores: Restores,
    /// Its id.
    pub id: Uuid,
    done: bool,
}

impl Ticket {
    /// The copy is sound: it takes the database's place as soon as the server has ended its work.
    pub fn pass(mut self, copy: Copy) -> Record {
        let record = Record {
            id: self.id,
            state: State::Restarting,
        };
        let mut slot = self.restores.slot();
        slot.record = Some(record.clone());
        slot.copy = Some(copy);
        drop(slot);
        self.done = true;
        record
    }

    /// It did not work out.
    pub fn fail(mut self, reason: String) {
        self.done = true;
        self.restores.end(State::Failed { reason });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.done {
            let reason = "the client went away before the backup was checked".to_owned();
            self.restores.end(State::Failed { reason });
        }
    }
}
