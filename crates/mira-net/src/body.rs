//! An answer's body, piece by piece, under its cap and deadlines. A cap counts what reaches the caller, and equally what
//! came over the wire: neither a bomb nor an endless stream of nothing gets past it.

use crate::error::{NetError, Phase, root_cause};
use bytes::{Buf, Bytes};
use flate2::write::MultiGzDecoder;
use futures_util::{Stream, stream};
use std::{fmt, io, io::Write, mem, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How much is decompressed at a step: gzip grows at most about a thousandfold, so a step yields at most about 4 MiB.
const STEP_BYTES: usize = 4 * 1024;

/// The body of an answer.
pub struct Body {
    host: String,
    answer: reqwest::Response,
    decoder: Option<Gzip>,
    received: u64,
    passed_on: u64,
    limit: u64,
    idle: Duration,
    deadline: Instant,
    total: Duration,
}

struct Gzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    waiting: Bytes,
}

/// What bounds a body.
pub(crate) struct Bounds {
    pub bytes: u64,
    pub idle: Duration,
    pub deadline: Instant,
    pub total: Duration,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("host", &self.host)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Body {
    pub(crate) fn new(host: String, answer: reqwest::Response, gzip: bool, bounds: &Bounds) -> Result<Self, NetError> {
        if answer.content_length().is_some_and(|length| length > bounds.bytes) {
            return Err(NetError::TooLarge {
                host,
                limit: bounds.bytes,
            });
        }
        Ok(Self {
            host,
            answer,
            decoder: gzip.then(|| Gzip {
                decoder: MultiGzDecoder::new(Vec::new()),
                waiting: Bytes::new(),
            }),
            received: 0,
            passed_on: 0,
            limit: bounds.bytes,
            idle: bounds.idle,
            deadline: bounds.deadline,
            total: bounds.total,
        })
    }

    /// The next piece, or none at the end. After an error there is nothing more to be had.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        loop {
            if let Some(piece) = self.decoded()? {
                return self.counted(piece).map(Some);
            }
            match self.raw().await? {
                None => return self.finished(),
                Some(raw) => match &mut self.decoder {
                    None if raw.is_empty() => {}
                    None => return self.counted(raw).map(Some),
                    Some(gzip) => gzip.waiting = raw,
                },
            }
        }
    }

    /// The whole body; the cap bounds the memory this takes.
    pub async fn bytes(mut self) -> Result<Bytes, NetError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.chunk().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.into())
    }

    /// The pieces as a stream that ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, NetError>> + Send {
        stream::unfold(Some(self), |body| async {
            let mut body = body?;
            match body.chunk().await {
                Ok(None) => None,
                Ok(Some(piece)) => Some((Ok(piece), Some(body))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// What comes over the wire, under both deadlines.
    async fn raw(&mut self) -> Result<Option<Bytes>, NetError> {
        let until = Instant::now().checked_add(self.idle).unwrap_or(self.deadline);
        let (until, phase, after) = if until < self.deadline {
            (until, Phase::Body, self.idle)
        } else {
            (self.deadline, Phase::Whole, self.total)
        };
        // A body that always has a piece ready would never let the timer speak.
        let read = if Instant::now() >= self.deadline {
            None
        } else {
            timeout_at(until, self.answer.chunk()).await.ok()
        };
        let piece = read
            .ok_or_else(|| NetError::Timeout {
                host: self.host.clone(),
                phase,
                after,
            })?
            .map_err(|error| self.broken(root_cause(&error)))?;
        if let Some(piece) = &piece {
            self.received = self.received.saturating_add(piece.len() as u64);
            if self.received > self.limit {
                return Err(self.too_large());
            }
        }
        Ok(piece)
    }

    /// What waits decompressed: one step's yield, or none if more has to be read.
    fn decoded(&mut self) -> Result<Option<Bytes>, NetError> {
        let Some(gzip) = &mut self.decoder else {
            return Ok(None);
        };
        let piece = gzip.step();
        piece.map_err(|error| self.broken(format!("damaged gzip: {error}")))
    }

    fn finished(&mut self) -> Result<Option<Bytes>, NetError> {
        // Of nothing, nothing is compressed.
        let Some(gzip) = self.decoder.take().filter(|_| self.received > 0) else {
            return Ok(None);
        };
        let rest = gzip.decoder.finish();
        let rest = rest.map_err(|error| self.broken(format!("damaged gzip: {error}")))?;
        if rest.is_empty() {
            Ok(None)
        } else {
            self.counted(rest.into()).map(Some)
        }
    }

    fn counted(&mut self, piece: Bytes) -> Result<Bytes, NetError> {
        self.passed_on = self.passed_on.saturating_add(piece.len() as u64);
        if self.passed_on > self.limit {
            return Err(self.too_large());
        }
        Ok(piece)
    }

    fn too_large(&self) -> NetError {
        NetError::TooLarge {
            host: self.host.clone(),
            limit: self.limit,
        }
    }

    fn broken(&self, why: String) -> NetError {
        NetError::Broken {
            host: self.host.clone(),
            why,
        }
    }
}

impl Gzip {
    fn step(&mut self) -> io::Result<Option<Bytes>> {
        while self.waiting.has_remaining() {
            let step = self.waiting.split_to(self.waiting.len().min(STEP_BYTES));
            self.decoder.write_all(&step)?;
            let piece = mem::take(self.decoder.get_mut());
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
        }
        Ok(None)
    }
}
