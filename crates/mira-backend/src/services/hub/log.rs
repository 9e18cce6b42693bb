//! A session's event log: the recent events, encoded once, with their sequence numbers, and the cursors that read them.
//!
//! The log is the queue of every listener: a listener is a cursor into it, so no listener costs a buffer, and one that
//! is too slow finds that the log has moved on and is told to refetch. Invariants: sequence numbers strictly increase
//! and never exceed what was durably reserved, so that none is used twice even after a crash.

use bytes::Bytes;
use mira_core::{
    approval::Approval,
    citation::Citation,
    ids::{MessageId, ToolCallId, TurnId},
    tool::{Effect, ToolCall},
};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Events kept for listeners that come back. A reply of a few thousand tokens fits.
const KEEP_EVENTS: usize = 4096;
/// Bytes of events kept; whichever cap is met first.
const KEEP_BYTES: usize = 1024 * 1024;
/// Events handed to a listener at a time.
const BATCH: usize = 64;

/// Who an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Every listener.
    All,
    /// Listeners that asked for rendered HTML.
    Html,
    /// Every listener but the one it comes from.
    AllBut(u64),
}

/// An event's JSON with a gap where its sequence number goes, so that it can be encoded before the number is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The event's type on the wire.
    pub kind: &'static str,
    /// Everything before the number.
    pub before: Vec<u8>,
    /// Everything after it.
    pub after: Vec<u8>,
}

impl Encoded {
    /// The whole frame.
    pub fn with_seq(&self, seq: u64) -> Bytes {
        let mut frame = Vec::with_capacity(self.before.len() + 20 + self.after.len());
        frame.extend_from_slice(&self.before);
        frame.extend_from_slice(seq.to_string().as_bytes());
        frame.extend_from_slice(&self.after);
        frame.into()
    }
}

/// One encoded event.
#[derive(Debug, Clone)]
pub struct Entry {
    pos: u64,
    /// Its sequence number; `None` for events outside the log (HTML, typing).
    pub seq: Option<u64>,
    /// The event's type on the wire.
    pub kind: &'static str,
    /// The turn it belongs to.
    pub turn_id: Option<TurnId>,
    /// Who it is for.
    pub audience: Audience,
    /// The event as JSON.
    pub frame: Bytes,
}

/// The reply being spoken at this moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveTurn {
    /// The turn.
    pub turn_id: TurnId,
    /// The id the reply will be stored under.
    pub message_id: MessageId,
    /// Its text up to the log's last event.
    pub content: String,
    /// The tools called so far.
    pub calls: Vec<ToolCall>,
    /// The places that point at sources so far.
    pub citations: Vec<Citation>,
    /// The calls that wait for the owner's word, or have waited.
    pub approvals: Vec<Approval>,
    /// Those of the calls that looked when something was forgotten, and may bring it yet.
    pub emptied: Vec<ToolCallId>,
}

impl ActiveTurn {
    /// Takes out of it what tools were given and brought. What looks at this moment stays empty, as it does in the store.
    fn forget(&mut self) {
        let looks = |call: &&ToolCall| call.outcome.is_none() && call.effect == Effect::Read;
        self.emptied.extend(self.calls.iter().filter(looks).map(|call| call.id));
        let asked = self.approvals.iter_mut().map(|approval| &mut approval.call);
        self.calls.iter_mut().chain(asked).for_each(ToolCall::empty);
        self.citations.iter_mut().for_each(Citation::empty);
    }
}

/// A consistent look at a log.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The last sequence number used.
    pub seq: u64,
    /// The running turn, if it has begun.
    pub active: Option<Box<ActiveTurn>>,
}

/// Why a listener must refetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// What it missed is no longer kept.
    Expired,
    /// It could not keep up.
    Lagged,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    bytes: usize,
    next_pos: u64,
    last_seq: u64,
    /// The sequence number before the oldest kept event.
    floor_seq: u64,
    reserved_to: u64,
    active: Option<ActiveTurn>,
}

/// A session's log.
#[derive(Debug)]
pub struct SessionLog {
    ring: Mutex<Ring>,
    changed: watch::Sender<u64>,
}

/// A listener's place in a log.
#[derive(Debug)]
pub struct Cursor {
    next_pos: u64,
    changed: watch::Receiver<u64>,
}

impl SessionLog {
    /// An empty log that goes on after `last_seq`; numbers up to `reserved_to` are durably its own.
    pub fn new(last_seq: u64, reserved_to: u64) -> Self {
        let ring = Ring {
            last_seq,
            floor_seq: last_seq,
            reserved_to,
            ..Ring::default()
        };
        Self {
            ring: Mutex::new(ring),
            changed: watch::Sender::new(0),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A panic while the lock was held leaves a ring that is still well formed.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more events may be appended before more numbers must be reserved.
    pub fn reserve_left(&self) -> u64 {
        let ring = self.ring();
        ring.reserved_to.saturating_sub(ring.last_seq)
    }

    /// The last sequence number used.
    pub fn last_seq(&self) -> u64 {
        self.ring().last_seq
    }

    /// The last number that is durably reserved.
    pub fn reserved_to(&self) -> u64 {
        self.ring().reserved_to
    }

    /// Numbers up to `to` are durably reserved now.
    pub fn reserved(&self, to: u64) {
        let mut ring = self.ring();
        ring.reserved_to = ring.reserved_to.max(to);
    }

    /// Appends an event of the log; `on_active` keeps the running turn in step under the same lock, so that a
    /// [`Snapshot`] never sees one without the other. Returns the event's number, `None` (and nothing is sent) where
    /// no reserved number is left.
    pub fn append(
        &self,
        turn_id: Option<TurnId>,
        encoded: &Encoded,
        on_active: impl FnOnce(&mut Option<ActiveTurn>),
    ) -> Option<u64> {
        let mut ring = self.ring();
        on_active(&mut ring.active);
        if ring.last_seq >= ring.reserved_to {
            return None;
        }
        ring.last_seq += 1;
        let seq = ring.last_seq;
        push(
            &mut ring,
            Some(seq),
            encoded.kind,
            turn_id,
            Audience::All,
            encoded.with_seq(seq),
        );
        let pos = ring.next_pos;
        drop(ring);
        self.changed.send_replace(pos);
        Some(seq)
    }

    /// Forgets what is kept: whoever resumes from before is told to refetch.
    pub fn expire(&self) {
        expire(&mut self.ring());
    }

    /// Memories were forgotten, something of it said here or not. Of the running turn her own words stay, and nothing of
    /// what tools brought. The same as [`Self::expire`] where a kept event may tell one of them: a `recall` that names
    /// it, or a call of a tool, whose words are not known by ids.
    pub fn forget(&self, ids: &[String], said_here: bool) {
        let mut ring = self.ring();
        let tells = |entry: &Entry| {
            let frame = std::str::from_utf8(&entry.frame).unwrap_or_default();
            match entry.kind {
                "recall" => ids.iter().any(|id| frame.contains(id)),
                "tool_call" | "tool_result" | "citation" => true,
                _ => false,
            }
        };
        if let Some(active) = &mut ring.active {
            active.forget();
        }
        if said_here || ring.entries.iter().any(tells) {
            expire(&mut ring);
        }
    }

    /// Whether a call of the running turn stays without words, whatever comes of it.
    pub fn stays_empty(&self, call: ToolCallId) -> bool {
        let ring = self.ring();
        let active = ring.active.as_ref();
        active.is_some_and(|active| active.emptied.contains(&call))
    }

    /// Whether any call of the running turn does: which of them a source came from is not kept.
    pub fn has_emptied(&self) -> bool {
        let ring = self.ring();
        ring.active.as_ref().is_some_and(|active| !active.emptied.is_empty())
    }

    /// Sends an event that is not part of the log.
    pub fn send(&self, kind: &'static str, turn_id: Option<TurnId>, audience: Audience, frame: Bytes) {
        let mut ring = self.ring();
        push(&mut ring, None, kind, turn_id, audience, frame);
        let pos = ring.next_pos;
        drop(ring);
        self.changed.send_replace(pos);
    }

    /// Wakes every listener, so that it looks whether there is anything to wait for.
    pub(super) fn wake(&self) {
        self.changed.send_modify(|_| ());
    }

    /// The log's last number and the running turn.
    pub fn snapshot(&self) -> Snapshot {
        let ring = self.ring();
        Snapshot {
            seq: ring.last_seq,
            active: ring.active.clone().map(Box::new),
        }
    }

    /// Whether a turn is being spoken.
    pub fn is_active(&self) -> bool {
        self.ring().active.is_some()
    }

    /// The kept `message` event of a message, as it was sent.
    pub fn find_message_event(&self, id: MessageId) -> Option<Bytes> {
        let needle = format!(r#""message_id":"{id}""#);
        let has = |frame: &Bytes| {
            frame
                .windows(needle.len())
                .take(512)
                .any(|window| window == needle.as_bytes())
        };
        let ring = self.ring();
        ring.entries
            .iter()
            .find(|e| e.kind == "message" && has(&e.frame))
            .map(|e| e.frame.clone())
    }

    /// A cursor that hears what comes from now on.
    pub fn listen(&self) -> (Cursor, Snapshot) {
        let changed = self.changed.subscribe();
        let ring = self.ring();
        (
            Cursor {
                next_pos: ring.next_pos,
                changed,
            },
            Snapshot {
                seq: ring.last_seq,
                active: ring.active.clone().map(Box::new),
            },
        )
    }

    /// A cursor that first gets every event after `after`; [`Lost::Expired`] where some of them are gone.
    pub fn resume(&self, after: u64) -> Result<(Cursor, Snapshot), (Lost, Cursor, Snapshot)> {
        let changed = self.changed.subscribe();
        let ring = self.ring();
        let snapshot = Snapshot {
            seq: ring.last_seq,
            active: ring.active.clone().map(Box::new),
        };
        if after == ring.last_seq {
            return Ok((
                Cursor {
                    next_pos: ring.next_pos,
                    changed,
                },
                snapshot,
            ));
        }
        if after < ring.floor_seq || after > ring.last_seq {
            let cursor = Cursor {
                next_pos: ring.next_pos,
                changed,
            };
            return Err((Lost::Expired, cursor, snapshot));
        }
        let first = ring
            .entries
            .iter()
            .find(|entry| entry.seq.is_some_and(|seq| seq > after));
        let next_pos = first.map_or(ring.next_pos, |entry| entry.pos);
        Ok((Cursor { next_pos, changed }, snapshot))
    }

    /// A cursor that first gets a turn's own first event; `None` where nothing of that turn is kept.
    pub fn replay_turn(&self, turn_id: TurnId) -> Option<Cursor> {
        let changed = self.changed.subscribe();
        let ring = self.ring();
        let first = ring.entries.iter().find(|entry| entry.turn_id == Some(turn_id))?;
        let next_pos = first.pos;
        Some(Cursor { next_pos, changed })
    }

    /// The next events for a cursor, at most a batch; empty when it has read all. `Err` carries the log's last number
    /// when the log has moved on without it; the cursor then stands at the end.
    pub fn read(&self, cursor: &mut Cursor, replaying_to: u64, out: &mut Vec<Entry>) -> Result<(), u64> {
        let ring = self.ring();
        let first_pos = ring.next_pos.saturating_sub(ring.entries.len() as u64);
        if cursor.next_pos < first_pos {
            cursor.next_pos = ring.next_pos;
            return Err(ring.last_seq);
        }
        let skip = usize::try_from(cursor.next_pos - first_pos).unwrap_or(usize::MAX);
        for entry in ring.entries.iter().skip(skip).take(BATCH) {
            cursor.next_pos = entry.pos + 1;
            // While replaying, events outside the log are stale.
            let stale = entry.seq.is_none() && entry.pos < replaying_to;
            if !stale {
                out.push(entry.clone());
            }
        }
        Ok(())
    }

    /// The position after the newest entry, for [`Self::read`]'s `replaying_to`.
    pub fn end_pos(&self) -> u64 {
        self.ring().next_pos
    }

    /// Whether nothing new is there for a cursor.
    pub fn is_at_end(&self, cursor: &Cursor) -> bool {
        cursor.next_pos == self.ring().next_pos
    }
}

fn expire(ring: &mut Ring) {
    ring.entries.clear();
    ring.bytes = 0;
    ring.floor_seq = ring.last_seq;
}

fn push(
    ring: &mut Ring,
    seq: Option<u64>,
    kind: &'static str,
    turn_id: Option<TurnId>,
    audience: Audience,
    frame: Bytes,
) {
    let pos = ring.next_pos;
    ring.next_pos += 1;
    ring.bytes += frame.len();
    ring.entries.push_back(Entry {
        pos,
        seq,
        kind,
        turn_id,
        audience,
        frame,
    });
    // The newest event always stays, however large.
    while ring.entries.len() > 1 && (ring.entries.len() > KEEP_EVENTS || ring.bytes > KEEP_BYTES) {
        if let Some(old) = ring.entries.pop_front() {
            ring.bytes -= old.frame.len();
            if let Some(seq) = old.seq {
                ring.floor_seq = seq;
            }
        }
    }
}

impl Cursor {
    /// Waits until something was appended after the cursor last looked. Cancel-safe. False when the log is gone.
    pub async fn wait(&mut self) -> bool {
        self.changed.changed().await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mira_core::{
        citation::Source,
        tool::{CallOutcome, CallStatus},
    };
    use uuid::Uuid;

    fn append(log: &SessionLog, size: usize) {
        let event = Encoded {
            kind: "chunk",
            before: vec![b'x'; size],
            after: vec![],
        };
        log.append(None, &event, |_| {}).unwrap();
    }

    #[test]
    fn nothing_is_numbered_beyond_the_reservation() {
        let log = SessionLog::new(7, 8);
        let event = Encoded {
            kind: "chunk",
            before: b"<".to_vec(),
            after: b">".to_vec(),
        };
        assert_eq!(event.with_seq(42), Bytes::from_static(b"<42>"));
        assert_eq!(log.append(None, &event, |_| {}), Some(8));
        assert_eq!(log.append(None, &event, |_| {}), None);
        log.reserved(9);
        assert_eq!(log.append(None, &event, |_| {}), Some(9));
    }

    fn log(n: u64) -> SessionLog {
        let log = SessionLog::new(100, 1_000_000);
        for _ in 0..n {
            append(&log, 0);
        }
        log
    }

    fn read_all(log: &SessionLog, cursor: &mut Cursor) -> Result<Vec<u64>, u64> {
        let mut seqs = Vec::new();
        while !log.is_at_end(cursor) {
            let mut out = Vec::new();
            log.read(cursor, 0, &mut out)?;
            seqs.extend(out.iter().filter_map(|e| e.seq));
        }
        Ok(seqs)
    }

    fn call(n: u128, effect: Effect, outcome: Option<CallOutcome>) -> ToolCall {
        ToolCall {
            id: ToolCallId(Uuid::from_u128(n)),
            tool: "recall".to_owned(),
            arguments: r#"{"question":"secret"}"#.to_owned(),
            effect,
            outcome,
        }
    }

    fn check_forgetting(said_here: bool) {
        let log = log(3);
        let told = || CallOutcome {
            output: "a secret".to_owned(),
            ..CallOutcome::unsuccessful(CallStatus::Failed, "secret")
        };
        let running = ActiveTurn {
            turn_id: TurnId(Uuid::nil()),
            message_id: MessageId(Uuid::nil()),
            content: "her words".to_owned(),
            calls: vec![
                call(1, Effect::Read, Some(told())),
                call(2, Effect::Read, None),
                call(3, Effect::Write, None),
            ],
            citations: vec![Citation {
                index: 1,
                source: Source {
                    title: "a secret".to_owned(),
                    ..Source::default()
                },
                start: Some(0),
                end: Some(1),
            }],
            approvals: Vec::new(),
            emptied: Vec::new(),
        };
        let event = Encoded {
            kind: "chunk",
            before: Vec::new(),
            after: Vec::new(),
        };
        log.append(None, &event, |active| *active = Some(running)).unwrap();
        log.forget(&[], said_here);
        let active = log.snapshot().active.unwrap();
        assert_eq!(active.content, "her words");
        assert!(!format!("{active:?}").contains("secret"), "{active:?}");
        let empty = (1..=3).filter(|n| log.stays_empty(ToolCallId(Uuid::from_u128(*n))));
        assert_eq!(empty.collect::<Vec<_>>(), [2], "what looks at this moment");
        assert_eq!(log.resume(101).is_err(), said_here, "what was sent is told no more");
    }

    #[test]
    fn a_running_turn_keeps_nothing_of_what_is_forgotten() {
        check_forgetting(true);
        check_forgetting(false);
    }

    #[test]
    fn resume_gives_exactly_what_was_missed() {
        let log = log(200);
        for after in [100, 101, 150, 299, 300] {
            let (mut cursor, snapshot) = log.resume(after).unwrap();
            assert_eq!(snapshot.seq, 300);
            assert_eq!(
                read_all(&log, &mut cursor).unwrap(),
                (after + 1..=300).collect::<Vec<_>>()
            );
        }
        assert_eq!(log.resume(99).unwrap_err().0, Lost::Expired);
        assert_eq!(log.resume(301).unwrap_err().0, Lost::Expired);
    }

    #[test]
    fn what_is_gone_is_said_to_be_gone() {
        let log = log(KEEP_EVENTS as u64 + 10);
        assert!(log.resume(109).is_err());
        let (mut cursor, _) = log.resume(110).unwrap();
        assert_eq!(read_all(&log, &mut cursor).unwrap().len(), KEEP_EVENTS);
    }

    #[test]
    fn a_slow_cursor_learns_that_it_lagged() {
        let log = log(0);
        let (mut cursor, _) = log.listen();
        for _ in 0..=KEEP_EVENTS {
            append(&log, 0);
        }
        assert_eq!(read_all(&log, &mut cursor), Err(100 + KEEP_EVENTS as u64 + 1));
        assert_eq!(read_all(&log, &mut cursor), Ok(vec![]));
    }

    #[test]
    fn one_huge_event_does_not_empty_the_log_for_itself() {
        let log = log(3);
        let (mut cursor, _) = log.listen();
        append(&log, KEEP_BYTES * 2);
        assert_eq!(read_all(&log, &mut cursor), Ok(vec![104]));
    }
}
