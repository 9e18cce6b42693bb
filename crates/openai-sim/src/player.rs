//! Plays an answer: a buffer of server-sent events made in advance, cut into writes, each at its time.
//!
//! Lives here: pacing, gates, splitting and connection faults. Not here: what the events say. An event costs no
//! allocation while it is played: every write is a slice of the one buffer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use hyper::body::Frame;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::Cut;
use crate::gate::Gate;
use crate::plan::{Fault, Split};
use crate::stats::Stats;
use crate::tokens;

/// When an event may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// With what came before.
    Now,
    /// After the time to the first token.
    First,
    /// One token after what came before.
    Token,
}

/// A stream of events in the making.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub bytes: Vec<u8>,
    marks: Vec<(usize, Pace)>,
}

impl Events {
    /// Room for about so many events.
    pub(crate) fn with_capacity(events: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            marks: Vec::with_capacity(events),
        }
    }

    /// Ends the event written to `bytes` since the last call.
    pub(crate) fn close(&mut self, pace: Pace) {
        self.marks.push((self.bytes.len(), pace));
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Puts bytes in as an event of their own after `events` events.
    fn insert(&mut self, events: usize, bytes: &[u8]) {
        let index = events.min(self.marks.len());
        let at = index
            .checked_sub(1)
            .and_then(|before| self.marks.get(before))
            .map_or(0, |mark| mark.0);
        self.bytes.splice(at..at, bytes.iter().copied());
        for mark in self.marks.iter_mut().skip(index) {
            mark.0 += bytes.len();
        }
        self.marks.insert(index, (at + bytes.len(), Pace::Now));
    }
}

/// How an answer is played.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    pub first: Duration,
    pub interval: Duration,
    pub split: Split,
    pub fault: Option<Fault>,
    pub gates: Vec<Gate>,
}

/// What happens after the last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Close,
    Cut,
    Stall,
}

#[derive(Debug, Clone, Copy)]
struct Write {
    end: usize,
    due: Duration,
    /// First write of an event: waits at the gates.
    opens: bool,
}

/// Two halves of a two-byte character and a broken object: neither UTF-8 nor JSON.
const GARBAGE: &[u8] = b"data: {\"type\": \"response.output_text.delta\", \"delta\": \"\xff\xfe\xc3\n\n";

/// The body of a streamed answer.
pub(crate) type EventBody = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Cut>> + Send>>;

struct Player {
    bytes: Bytes,
    writes: std::vec::IntoIter<Write>,
    sent: usize,
    started: Instant,
    gates: Vec<Gate>,
    last: Last,
    stop: CancellationToken,
    presence: Presence,
}

/// Plays `events` in this manner until their end, a fault, or `stop`.
pub(crate) fn play(mut events: Events, manner: &Manner, stop: CancellationToken, stats: &Arc<Stats>) -> EventBody {
    if let Some(Fault::Garbage(after)) = manner.fault {
        events.insert(after, GARBAGE);
    }
    let last = shorten(&mut events, manner.fault);
    let writes = writes(&events, manner);
    let player = Player {
        bytes: Bytes::from(events.bytes),
        writes: writes.into_iter(),
        sent: 0,
        started: Instant::now(),
        gates: manner.gates.clone(),
        last,
        stop,
        presence: Presence::new(stats),
    };
    Box::pin(stream::unfold(player, next))
}

/// Cuts off what a fault does not let out, and says what happens then.
fn shorten(events: &mut Events, fault: Option<Fault>) -> Last {
    let (count, half, last) = match fault {
        None | Some(Fault::Garbage(_)) => return Last::Close,
        Some(Fault::Close(count)) => (count, false, Last::Close),
        Some(Fault::Cut(count)) => (count, false, Last::Cut),
        Some(Fault::CutInside(count)) => (count, true, Last::Cut),
        Some(Fault::Stall(count)) => (count, false, Last::Stall),
    };
    let start = count
        .checked_sub(1)
        .and_then(|index| events.marks.get(index))
        .map_or(0, |mark| mark.0);
    let next = events.marks.get(count).copied();
    events.marks.truncate(count);
    if let (true, Some((end, pace))) = (half, next) {
        events.marks.push((usize::midpoint(start, end), pace));
    }
    let end = events.marks.last().map_or(0, |mark| mark.0);
    events.bytes.truncate(end);
    last
}

fn writes(events: &Events, manner: &Manner) -> Vec<Write> {
    let mut out = Vec::with_capacity(events.len());
    let mut sizes = Sizes {
        split: manner.split,
        seed: 0,
    };
    let mut due = Duration::ZERO;
    let mut start = 0;
    let mut first_token = true;
    // Without pace and gates nothing keeps a write from spanning events, and splits should fall everywhere.
    let spans = manner.gates.is_empty() && manner.interval.is_zero() && manner.split != Split::Events;
    for (index, (end, pace)) in events.marks.iter().copied().enumerate() {
        due += match pace {
            Pace::Now => Duration::ZERO,
            Pace::First => manner.first,
            // The time to the first token has brought the first one already.
            Pace::Token if std::mem::take(&mut first_token) => Duration::ZERO,
            Pace::Token => manner.interval,
        };
        let spans =
            spans && index + 1 < events.len() && events.marks.get(index + 1).is_some_and(|m| m.1 != Pace::First);
        let mut opens = true;
        while let Some(size) = sizes.next(end - start, spans) {
            start += size;
            out.push(Write { end: start, due, opens });
            opens = false;
        }
    }
    out
}

struct Sizes {
    split: Split,
    seed: u64,
}

impl Sizes {
    /// Size of the next write out of `left` bytes, `None` when they are to wait for more.
    fn next(&mut self, left: usize, spans: bool) -> Option<usize> {
        if left == 0 {
            return None;
        }
        let wanted = match self.split {
            Split::Events => left,
            Split::Every(size) => size.max(1),
            Split::Random(seed) => {
                let drawn = tokens::mix(seed.wrapping_add(self.seed)) % 40 + 1;
                usize::try_from(drawn).unwrap_or(1)
            }
        };
        if wanted > left && spans {
            return None;
        }
        self.seed += 1;
        Some(wanted.min(left))
    }
}

async fn next(mut player: Player) -> Option<(Result<Frame<Bytes>, Cut>, Player)> {
    let Some(write) = player.writes.next() else {
        return match player.last {
            Last::Close => {
                player.presence.finished();
                None
            }
            Last::Cut => {
                player.presence.finished();
                // What was written last shall reach the client before the connection goes.
                tokio::task::yield_now().await;
                Some((Err(Cut), player))
            }
            Last::Stall => {
                player.stop.cancelled().await;
                Some((Err(Cut), player))
            }
        };
    };
    let stop = player.stop.clone();
    let turn = async {
        if write.opens {
            for gate in &player.gates {
                gate.pass().await;
            }
        }
        let due = player.started + write.due;
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        } else {
            // Pending once: hyper writes out what it has, so that one event is one write.
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => return Some((Err(Cut), player)),
        () = turn => {}
    }
    let slice = player.bytes.slice(player.sent..write.end);
    player.sent = write.end;
    if player.writes.len() == 0 && player.last == Last::Close {
        player.presence.finished();
    }
    Some((Ok(Frame::data(slice)), player))
}

/// Counts an answer as running until it is finished or its client has gone.
pub(crate) struct Presence {
    stats: Arc<Stats>,
    finished: bool,
}

impl Presence {
    pub(crate) fn new(stats: &Arc<Stats>) -> Self {
        stats.change(|counts| counts.running += 1);
        Self {
            stats: Arc::clone(stats),
            finished: false,
        }
    }

    pub(crate) fn finished(&mut self) {
        self.finished = true;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let finished = self.finished;
        self.stats.change(|counts| {
            counts.running -= 1;
            if finished {
                counts.finished += 1;
            } else {
                counts.abandoned += 1;
            }
        });
    }
}

/// A body that is one piece: sent whole, or as an event stream.
pub(crate) enum Body {
    Whole(Option<Bytes>),
    Events(EventBody),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(events) => events.as_mut().poll_next(cx),
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                hyper::body::SizeHint::with_exact(u64::try_from(length).unwrap_or_default())
            }
            Self::Events(_) => hyper::body::SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plans the writes of events of 5 bytes each at these paces.
    fn check(paces: &[Pace], split: Split, expect: &[(usize, u64, bool)]) {
        let mut events = Events::default();
        for pace in paces {
            events.bytes.extend_from_slice(b"event");
            events.close(*pace);
        }
        let manner = Manner {
            first: Duration::from_secs(10),
            interval: Duration::from_secs(100),
            split,
            fault: None,
            gates: Vec::new(),
        };
        let planned = writes(&events, &manner);
        let got: Vec<_> = planned
            .iter()
            .map(|write| (write.end, write.due.as_secs(), write.opens))
            .collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn the_pace_is_that_of_the_tokens() {
        let paces = [
            Pace::Now,
            Pace::First,
            Pace::Now,
            Pace::Token,
            Pace::Token,
            Pace::Now,
            Pace::Token,
        ];
        let due = [0, 10, 10, 10, 110, 110, 210];
        let expect: Vec<_> = due
            .iter()
            .enumerate()
            .map(|(index, due)| (5 * index + 5, *due, true))
            .collect();
        check(&paces, Split::Events, &expect);
    }

    #[test]
    fn splits_of_a_paced_stream_stay_inside_events() {
        let expect = [(3, 0, true), (5, 0, false), (8, 10, true), (10, 10, false)];
        check(&[Pace::Now, Pace::First], Split::Every(3), &expect);
    }
}
