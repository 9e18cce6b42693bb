//! Smart HTTP (git's `http-protocol`) over the guarded client. Each of libgit2's actions is one request; what it writes is
//! the body, what it reads the answer. Runs on the blocking thread libgit2 runs on, and waits there for the runtime.

use super::{exchange::Exchange, url::Place};
use crate::error::{GitError, Missing};
use bytes::{Buf, Bytes};
use futures_util::stream;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use mira_net::{
    Body, Limits, NetError, Request, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};
use std::{
    io::{self, Read, Write},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

/// Bodies up to this size are sent whole, with their length; larger ones are sent while they are made.
const WHOLE_BODY: usize = 1024 * 1024;
/// Pieces of a larger body that wait for the network: a few, so that making them does not outrun sending.
const WAITING_PIECES: usize = 4;
/// A server may count objects for a while before it says anything.
const FIRST_BYTE: Duration = Duration::from_mins(2);
/// Servers send signs of life every few seconds while they work.
const SILENCE: Duration = Duration::from_mins(1);

/// The transport of one connection.
pub(crate) struct HttpTransport {
    exchange: Arc<Exchange>,
    /// Where the repository turned out to be, after redirects.
    base: Arc<Mutex<Option<Url>>>,
}

impl HttpTransport {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Self {
        Self {
            exchange,
            base: Arc::default(),
        }
    }
}

impl SmartSubtransport for HttpTransport {
    fn action(&self, _: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let (service, asks) = match action {
            Service::UploadPackLs => ("git-upload-pack", true),
            Service::UploadPack => ("git-upload-pack", false),
            Service::ReceivePackLs => ("git-receive-pack", true),
            Service::ReceivePack => ("git-receive-pack", false),
        };
        Ok(Box::new(Call {
            exchange: Arc::clone(&self.exchange),
            base: Arc::clone(&self.base),
            service,
            state: if asks { State::Ask } else { State::Collect(Vec::new()) },
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and its answer, seen by libgit2 as a stream.
struct Call {
    exchange: Arc<Exchange>,
    base: Arc<Mutex<Option<Url>>>,
    service: &'static str,
    state: State,
}

enum State {
    /// To ask which refs there are; nothing is written.
    Ask,
    /// A body is being written.
    Collect(Vec<u8>),
    /// A large body is being written and sent.
    Send {
        pieces: mpsc::Sender<Bytes>,
        collected: Vec<u8>,
        answer: JoinSet<Result<Response, NetError>>,
    },
    /// The answer is being read.
    Answer { body: Box<Body>, rest: Bytes },
    /// Nothing more to be had.
    Ended,
}

impl Call {
    fn base(&self) -> Result<Url, GitError> {
        let moved = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (moved, self.exchange.url.place()) {
            (Some(url), _) => Ok(url),
            (None, Place::Http(url)) => Ok(url.clone()),
            (None, Place::Ssh(_)) => Err(GitError::Unusable("this is no http address")),
        }
    }

    /// A request with the credentials, if the repository is where it was said to be.
    fn dressed(&self, url: &Url, request: Request) -> Result<Request, GitError> {
        let kind = if matches!(self.state, State::Ask) {
            "advertisement"
        } else {
            "result"
        };
        let accept = HeaderValue::from_str(&format!("application/x-{}-{kind}", self.service))
            .map_err(|_| GitError::Unusable("no such service"))?;
        let limits = Limits {
            first_byte: FIRST_BYTE,
            idle: SILENCE,
            total: self.exchange.deadline.saturating_duration_since(Instant::now()),
            body_bytes: self.exchange.max_bytes,
            ..Limits::default()
        };
        let request = request.header(ACCEPT, accept).limits(limits);
        let at_home = matches!(self.exchange.url.place(), Place::Http(home) if home.origin() == url.origin());
        match self.exchange.credentials.authorization()? {
            Some(value) if at_home => Ok(request.authorization(value)),
            _ => Ok(request),
        }
    }

    fn ask(&mut self) -> Result<State, GitError> {
        let mut url = self.base()?;
        let tail = "/info/refs";
        url.set_path(&format!("{}{tail}", url.path()));
        url.set_query(Some(&format!("service={}", self.service)));
        let request = self.dressed(&url, self.exchange.client.get(url.clone()))?;
        let answer = self.exchange.wait(request.send())??;
        let mut found = answer.url.clone();
        let state = self.answered(answer, "advertisement")?;
        // What follows goes to where the answer came from.
        let base = found.path().strip_suffix(tail).map(str::to_owned);
        found.set_path(&base.ok_or(GitError::Unusable(
            "the remote redirects to something that is no repository",
        ))?);
        found.set_query(None);
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(state)
    }

    fn post_url(&self) -> Result<Url, GitError> {
        let mut url = self.base()?;
        url.set_path(&format!("{}/{}", url.path(), self.service));
        Ok(url)
    }

    fn body_type(&self) -> Result<HeaderValue, GitError> {
        HeaderValue::from_str(&format!("application/x-{}-request", self.service))
            .map_err(|_| GitError::Unusable("no such service"))
    }

    fn send_whole(&mut self, body: Vec<u8>) -> Result<State, GitError> {
        let url = self.post_url()?;
        let request = self.exchange.client.post(url.clone(), self.body_type()?, body);
        let request = self.dressed(&url, request)?;
        let answer = self.exchange.wait(request.send())??;
        self.answered(answer, "result")
    }

    fn begin_sending(&mut self, first: Vec<u8>) -> Result<State, GitError> {
        let url = self.post_url()?;
        let (pieces, waiting) = mpsc::channel(WAITING_PIECES);
        let body = stream::unfold(waiting, |mut waiting: mpsc::Receiver<Bytes>| async {
            let piece = waiting.recv().await?;
            Some((Ok(piece), waiting))
        });
        let request = self.exchange.client.post_stream(url.clone(), self.body_type()?, body);
        let request = self.dressed(&url, request)?;
        let mut answer = JoinSet::new();
        answer.spawn_on(request.send(), &self.exchange.runtime);
        let mut state = State::Send {
            pieces,
            collected: first,
            answer,
        };
        self.pass_on(&mut state)?;
        Ok(state)
    }

    /// Hands the collected bytes to the request that is under way.
    fn pass_on(&self, state: &mut State) -> Result<(), GitError> {
        let State::Send { pieces, collected, .. } = state else {
            return Ok(());
        };
        let piece = mem::take(collected);
        // A request that has ended takes no more; why, its answer says when it is read.
        if !piece.is_empty() && self.exchange.wait(pieces.send(piece.into()))?.is_err() {
            tracing::debug!("the remote answers before everything was sent");
        }
        Ok(())
    }

    fn end_sending(&mut self, mut state: State) -> Result<State, GitError> {
        self.pass_on(&mut state)?;
        let State::Send { pieces, mut answer, .. } = state else {
            return Ok(State::Ended);
        };
        drop(pieces);
        let joined = self.exchange.wait(answer.join_next())?;
        let response = joined.ok_or(GitError::Broken)?.map_err(|_| GitError::Broken)??;
        self.answered(response, "result")
    }

    /// Judges the head of an answer.
    fn answered(&self, answer: Response, kind: &str) -> Result<State, GitError> {
        let host = self.exchange.url.host();
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                let known = self.exchange.credentials != super::credentials::Credentials::None;
                return Err(GitError::Unauthorized { host, known });
            }
            StatusCode::FORBIDDEN => return Err(GitError::Forbidden { host }),
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(GitError::NotFound(Missing::Remote)),
            status => {
                return Err(GitError::Unreachable {
                    host,
                    why: format!("it answers {status}"),
                });
            }
        }
        let wanted = format!("application/x-{}-{kind}", self.service);
        let is_git = answer.headers.get(CONTENT_TYPE).is_some_and(|found| {
            let found = found.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            found.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes())
        });
        if !is_git {
            return Err(GitError::NotAGitServer { host });
        }
        Ok(State::Answer {
            body: Box::new(answer.body),
            rest: Bytes::new(),
        })
    }

    fn fill(&mut self) -> Result<(), GitError> {
        self.state = match mem::replace(&mut self.state, State::Ended) {
            State::Ask => {
                self.state = State::Ask;
                self.ask()?
            }
            State::Collect(body) => self.send_whole(body)?,
            sending @ State::Send { .. } => self.end_sending(sending)?,
            State::Answer { mut body, rest } if rest.is_empty() => match self.exchange.wait(body.chunk())?? {
                Some(rest) => {
                    self.exchange.arrived(&rest)?;
                    State::Answer { body, rest }
                }
                None => State::Ended,
            },
            other @ (State::Answer { .. } | State::Ended) => other,
        };
        Ok(())
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, GitError> {
        loop {
            match &mut self.state {
                State::Answer { rest, .. } if !rest.is_empty() => {
                    let length = rest.len().min(buffer.len());
                    rest.split_to(length)
                        .copy_to_slice(buffer.get_mut(..length).unwrap_or_default());
                    return Ok(length);
                }
                State::Ended => return Ok(0),
                _ => self.fill()?,
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), GitError> {
        self.exchange.check()?;
        match &mut self.state {
            State::Collect(body) | State::Send { collected: body, .. } => body.extend_from_slice(bytes),
            State::Ask | State::Answer { .. } | State::Ended => {
                return Err(GitError::Unusable("the exchange is out of step"));
            }
        }
        match mem::replace(&mut self.state, State::Ended) {
            State::Collect(body) if body.len() > WHOLE_BODY => self.state = self.begin_sending(body)?,
            mut sending @ State::Send { .. } => {
                if matches!(&sending, State::Send { collected, .. } if collected.len() >= WHOLE_BODY / WAITING_PIECES) {
                    self.pass_on(&mut sending)?;
                }
                self.state = sending;
            }
            other => self.state = other,
        }
        Ok(())
    }
}

impl Read for Call {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.take(buffer).map_err(|error| self.exchange.stop(error))
    }
}

impl Write for Call {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes).map_err(|error| self.exchange.stop(error))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
