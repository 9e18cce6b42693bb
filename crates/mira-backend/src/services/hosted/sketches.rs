//! Pictures while they are drawn: the newest sketch of each call, in memory alone and only while the call is at work. The
//! whole picture becomes a file.

use bytes::Bytes;
use mira_core::ids::{AccountId, ToolCallId};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The most sketches that are kept, of all turns: each may be megabytes.
const MOST: usize = 8;

/// All sketches. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sketches(Arc<Mutex<VecDeque<Sketch>>>);

#[derive(Debug)]
struct Sketch {
    account: AccountId,
    call: ToolCallId,
    bytes: Bytes,
}

/// A call whose sketches can be looked at, until this is dropped.
#[derive(Debug)]
pub struct Shown {
    sketches: Sketches,
    /// The call.
    pub call: ToolCallId,
}

impl Sketches {
    fn all(&self) -> MutexGuard<'_, VecDeque<Sketch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the newest sketch of a call in the place of the one before.
    #[must_use]
    pub fn show(&self, account: AccountId, call: ToolCallId, bytes: Bytes) -> Shown {
        let mut all = self.all();
        all.retain(|sketch| sketch.call != call);
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back(Sketch { account, call, bytes });
        Shown {
            sketches: self.clone(),
            call,
        }
    }

    /// The newest sketch of a call that is at work.
    pub fn find(&self, account: AccountId, call: ToolCallId) -> Option<Bytes> {
        let all = self.all();
        let found = all
            .iter()
            .find(|sketch| (sketch.account, sketch.call) == (account, call));
        found.map(|sketch| sketch.bytes.clone())
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.sketches.all().retain(|sketch| sketch.call != self.call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_newest_of_each_call_is_kept_while_it_works() {
        let (sketches, me) = (Sketches::default(), AccountId::OWNER);
        let call = |n: usize| ToolCallId(Uuid::from_u128(n as u128));
        let bytes = Bytes::from_static;
        let first = sketches.show(me, call(0), bytes(b"one"));
        assert_eq!(sketches.find(me, call(0)), Some(bytes(b"one")));
        assert_eq!(sketches.find(AccountId(2), call(0)), None);
        drop(first);
        assert_eq!(sketches.find(me, call(0)), None);
        let shown: Vec<Shown> = (0..=MOST).map(|n| sketches.show(me, call(n), bytes(b"two"))).collect();
        assert_eq!(sketches.all().len(), MOST);
        assert_eq!(
            (sketches.find(me, call(0)), sketches.find(me, call(MOST))),
            (None, Some(bytes(b"two")))
        );
        drop(shown);
        assert!(sketches.all().is_empty());
    }
}
