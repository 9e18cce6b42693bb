//! One call of a model from the request to the end: opening it (adapting to what the server takes, repeating what may
//! pass), reading its stream under deadlines, and closing it well. Dropping a [`Call`] at any await ends it: it owns its
//! connection and nothing else.

use crate::{
    chat_completions,
    client::{Upstream, wait_before_next},
    dialect::{Ask, Asked, Dialect, Stage},
    endpoint::{Api, Endpoint},
    error::LlmError,
    models, responses,
    speech::Speech,
    sse::{SseReader, SseTooLarge},
    two_step,
    wire::{Trouble, WireEnd},
};
use bytes::Bytes;
use mira_core::{
    chat::Usage,
    clock::random_share,
    model::{Ending, Finished, ModelEvent, ModelRequest},
    reply::{ReadReply, Shape},
    tool::AskedCalls,
};
use reqwest::{Method, Response, header::CONTENT_TYPE};
use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

/// How long usage and `[DONE]` may take once the reply is whole.
const AFTER_FINISH: Duration = Duration::from_secs(2);
/// How long the close of a stream may take after its terminal event. Seen to its close, the connection goes back to the
/// pool and saves the next turn a handshake; the close mostly comes in the same packet.
const CLOSE: Duration = Duration::from_millis(2);
/// How long an answer to "what do you offer" may take when the model is unknown.
const OFFERED: Duration = Duration::from_secs(5);

/// A model at an endpoint, with what was learned about it.
pub(crate) struct Model {
    pub endpoint: Endpoint,
    pub upstream: Upstream,
    learned: Mutex<Dialect>,
    /// Told when something the server was given turns out to be gone.
    pub gone: Notify,
}

impl Model {
    pub fn new(endpoint: Endpoint) -> Result<Self, LlmError> {
        let upstream = Upstream::new(&endpoint)?;
        let learned = Mutex::new(Dialect::new(&endpoint));
        Ok(Self {
            endpoint,
            upstream,
            learned,
            gone: Notify::new(),
        })
    }

    /// What is known of the server.
    pub fn dialect(&self) -> Dialect {
        self.known(Dialect::clone)
    }

    /// One thing that is known of the server.
    pub fn known<T>(&self, look: impl FnOnce(&Dialect) -> T) -> T {
        look(&self.learned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers what an accepted request has proved.
    pub fn learn(&self, mut dialect: Dialect, request: &ModelRequest) {
        dialect.took(request);
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner) = dialect.lasting();
    }

    fn note_shape(&self, kept: bool) {
        self.learned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note_shape(kept);
    }

    pub fn body(&self, dialect: &Dialect, request: &ModelRequest, stage: Stage<'_>) -> Result<Bytes, LlmError> {
        let model = &self.endpoint.model;
        match self.endpoint.api {
            Api::Responses => responses::request::body(dialect, model, request, stage),
            Api::Chat => chat_completions::request::body(dialect, model, request, stage),
        }
    }

    /// Sends a body; the head of the answer.
    pub async fn post(&self, body: Bytes, accept: &'static str) -> Result<Response, LlmError> {
        let endpoint = &self.endpoint;
        let path = endpoint.api.path();
        self.upstream
            .send(
                Method::POST,
                path,
                Some(body),
                accept,
                &endpoint.model,
                endpoint.thinking_timeout,
            )
            .await
    }

    /// Reads an answer that is not a stream.
    pub fn whole(&self, body: &[u8], speech: &mut Speech) -> Result<WireEnd, LlmError> {
        match self.endpoint.api {
            Api::Responses => responses::events::whole(body, speech),
            Api::Chat => chat_completions::events::whole(body, speech),
        }
        .map_err(|trouble| self.error(trouble))
    }

    fn error(&self, trouble: Trouble) -> LlmError {
        match trouble {
            Trouble::Fault(fault) => self.upstream.classify(*fault, &self.endpoint.model),
            Trouble::Garbage(why) => LlmError::garbage(why),
            Trouble::TooLarge(limit) => LlmError::TooLarge { limit },
        }
    }

    /// An unknown model, with what there is instead.
    async fn name_the_offered(&self, error: LlmError) -> LlmError {
        match error {
            LlmError::ModelNotFound { model, .. } => {
                let offered = models::list(&self.upstream, OFFERED).await.unwrap_or_default();
                LlmError::ModelNotFound { model, offered }
            }
            other => other,
        }
    }
}

enum Decoder {
    Responses(responses::events::Decoder),
    Chat(chat_completions::events::Decoder),
}

impl Decoder {
    fn new(api: Api) -> Self {
        match api {
            Api::Responses => Self::Responses(responses::events::Decoder::default()),
            Api::Chat => Self::Chat(chat_completions::events::Decoder::default()),
        }
    }

    fn event(&mut self, name: &[u8], data: &[u8], speech: &mut Speech) -> Result<Option<WireEnd>, Trouble> {
        match self {
            Self::Responses(decoder) => decoder.event(data, speech),
            Self::Chat(decoder) => decoder.event(name, data, speech),
        }
    }

    /// The end, if the reply is whole although its terminal event did not come.
    fn end_without_terminal(&mut self, speech: &Speech) -> Option<WireEnd> {
        match self {
            Self::Responses(_) => None,
            Self::Chat(decoder) => decoder.is_finished().then(|| decoder.finish(speech)),
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Self::Responses(_) => false,
            Self::Chat(decoder) => decoder.is_finished(),
        }
    }
}

/// An open stream.
struct Live {
    response: Response,
    reader: SseReader,
    decoder: Decoder,
    last_event: Instant,
}

enum Phase {
    /// Not sent, or to be sent again.
    Opening,
    Live(Box<Live>),
    /// It waits for tools.
    Asking(Box<AskedCalls>),
    /// The reply is whole; its metadata and the end are to come.
    Ending(Box<WireEnd>, Box<ReadReply>),
    Failed(LlmError),
    Over,
}

/// One reply being asked for.
pub(crate) struct Call {
    model: Arc<Model>,
    request: ModelRequest,
    dialect: Dialect,
    speech: Speech,
    phase: Phase,
    /// Tries so far, adaptations apart.
    tried: u32,
    /// Whether anything was passed on: from then on nothing is repeated.
    forwarded: bool,
}

impl Call {
    pub fn new(model: Arc<Model>, request: ModelRequest) -> Self {
        let dialect = model.dialect();
        let speech = Speech::new(&dialect, &request);
        Self {
            model,
            request,
            dialect,
            speech,
            phase: Phase::Opening,
            tried: 0,
            forwarded: false,
        }
    }

    /// The next event, the error that ends the call, or nothing after the end.
    pub async fn next(&mut self) -> Option<Result<ModelEvent, LlmError>> {
        loop {
            if let Some(event) = self.speech.out.pop_front() {
                self.forwarded = true;
                return Some(Ok(event));
            }
            match mem::replace(&mut self.phase, Phase::Over) {
                Phase::Opening => self.open().await,
                Phase::Live(live) => self.listen(live).await,
                Phase::Asking(asked) => return Some(Ok(ModelEvent::Calls(asked))),
                Phase::Ending(end, read) => return Some(self.end(*end, *read).await),
                Phase::Failed(error) => return Some(Err(self.model.name_the_offered(error).await)),
                Phase::Over => return None,
            }
        }
    }

    /// Sends the request.
    async fn open(&mut self) {
        self.tried += 1;
        self.speech = Speech::new(&self.dialect, &self.request);
        let sent = match self.model.body(&self.dialect, &self.request, Stage::Reply) {
            Ok(body) => self.model.post(body, "text/event-stream").await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(response) => self.accepted(response).await,
            Err(error) => self.failed(error).await,
        }
    }

    /// The server took the request.
    async fn accepted(&mut self, response: Response) {
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => self.read_whole(response).await,
            "text/html" => {
                let why = "a web page instead of an event stream; is the base URL right?";
                self.failed(LlmError::garbage(why)).await;
            }
            _ => {
                self.model.learn(self.dialect.clone(), &self.request);
                let decoder = Decoder::new(self.model.endpoint.api);
                let last_event = Instant::now();
                self.phase = Phase::Live(Box::new(Live {
                    response,
                    reader: SseReader::default(),
                    decoder,
                    last_event,
                }));
            }
        }
    }

    /// A server that does not stream.
    async fn read_whole(&mut self, response: Response) {
        let read = match self
            .model
            .upstream
            .read_whole(response, self.model.endpoint.thinking_timeout)
            .await
        {
            Ok(body) => self.model.whole(&body, &mut self.speech),
            Err(error) => Err(error),
        };
        match read {
            Ok(end) => {
                self.model.learn(self.dialect.clone(), &self.request);
                self.ended(end);
            }
            Err(error) => self.failed(error).await,
        }
    }

    /// Waits for bytes and takes every event in them.
    async fn listen(&mut self, mut live: Box<Live>) {
        match self.hear(&mut live).await {
            Ok(None) => self.phase = Phase::Live(live),
            Ok(Some(end)) => {
                // Whether it closed in time or not, the reply is whole.
                let closed = timeout(CLOSE, see_off(&mut live.response)).await;
                tracing::trace!(in_time = closed.is_ok(), "the stream has ended");
                self.ended(end);
            }
            Err(error) => self.failed(error).await,
        }
    }

    async fn hear(&mut self, live: &mut Live) -> Result<Option<WireEnd>, LlmError> {
        let patience = self.patience(live);
        let bytes = match timeout(patience, live.response.chunk()).await {
            Ok(Ok(Some(bytes))) => bytes,
            Ok(Ok(None) | Err(_)) => {
                let end = live.decoder.end_without_terminal(&self.speech);
                return end.map(Some).ok_or(LlmError::CutOff);
            }
            Err(_) => {
                let idle = LlmError::IdleTimeout {
                    after: live.last_event.elapsed(),
                };
                let end = live.decoder.end_without_terminal(&self.speech);
                return end.map(Some).ok_or(idle);
            }
        };
        let too_large = |SseTooLarge(limit)| LlmError::TooLarge { limit };
        live.reader.push(&bytes).map_err(too_large)?;
        while let Some(event) = live.reader.next_event().map_err(too_large)? {
            live.last_event = Instant::now();
            let end = live.decoder.event(event.name, event.data, &mut self.speech);
            if let Some(end) = end.map_err(|trouble| self.model.error(trouble))? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// How long to wait for the next bytes: longer before the first word; comments that only keep the connection alive
    /// do not stretch it without end.
    fn patience(&self, live: &Live) -> Duration {
        let endpoint = &self.model.endpoint;
        let longest = endpoint.thinking_timeout.max(endpoint.idle_timeout);
        let silence = match (live.decoder.is_finished(), self.speech.begun) {
            (true, _) => AFTER_FINISH,
            // A tool of the provider's is at work.
            (false, _) if self.speech.working > 0 => endpoint.thinking_timeout,
            (false, true) => endpoint.idle_timeout,
            (false, false) => endpoint.thinking_timeout,
        };
        silence.min(longest.saturating_sub(live.last_event.elapsed()))
    }

    /// The stream came to its end. Calls count only where it is whole: half a call cannot be told from a whole one.
    fn ended(&mut self, end: WireEnd) {
        if end.cut.is_none() && !end.calls.is_empty() {
            self.speech.finish_with_calls(&self.request);
            self.phase = match self.speech.refused() {
                Some(refused) => Phase::Failed(refused),
                None => Phase::Asking(Box::new(AskedCalls {
                    calls: end.calls,
                    carry: end.carry,
                    model: end.model.unwrap_or_else(|| self.model.endpoint.model.clone()),
                    usage: end.usage,
                })),
            };
            return;
        }
        let read = self.speech.finish(&self.request);
        self.phase = if let Some(refused) = self.speech.refused() {
            Phase::Failed(refused)
        } else if self.speech.spoke {
            Phase::Ending(Box::new(end), Box::new(read))
        } else {
            Phase::Failed(LlmError::Empty { reason: end.cut })
        };
    }

    /// The last event, after the second call where the form has one.
    async fn end(&mut self, end: WireEnd, read: ReadReply) -> Result<ModelEvent, LlmError> {
        let (meta, usage) = match self.speech.unexplained(read.shape) {
            Some(said) if end.cut.is_none() => two_step::metadata(&self.model, &self.request, &said).await,
            Some(_) | None => (read.meta, Usage::default()),
        };
        if self.speech.ask() != Ask::Words && !self.model.endpoint.openai {
            self.model.note_shape(read.shape != Shape::Plain);
        }
        let ending = match (end.cut, read.shape) {
            (Some(reason), _) => Ending::CutShort(reason),
            (None, Shape::Truncated) => Ending::CutShort("malformed".to_owned()),
            (None, Shape::Whole | Shape::Plain) => Ending::Whole,
        };
        let model = end.model.unwrap_or_else(|| self.model.endpoint.model.clone());
        let usage = end.usage.plus(usage);
        Ok(ModelEvent::Finished(Box::new(Finished {
            meta,
            ending,
            model,
            usage,
        })))
    }

    /// Adapts, repeats, or gives up.
    async fn failed(&mut self, error: LlmError) {
        if !self.forwarded {
            let before = self.dialect.hosted.clone();
            if self.dialect.adapt(&Asked::new(Stage::Reply, &self.request), &error) {
                tracing::debug!(model = %self.model.endpoint.model, %error, "asking in another way");
                if self.dialect.hosted.misses_more(&before) {
                    tracing::warn!(%error, "what the endpoint was given is gone there; asking without it");
                    self.model.gone.notify_one();
                }
                let refused = self.dialect.hosted.refused();
                if refused != before.refused() {
                    let tools = refused.join(", ");
                    tracing::warn!(model = %self.model.endpoint.model, %error, %tools, "the endpoint does not run these tools; they are offered no longer");
                }
                self.tried = self.tried.saturating_sub(1);
                self.again();
                return;
            }
            if let Some(wait) = wait_before_next(&self.model.endpoint.retry, &error, self.tried, random_share()) {
                tracing::debug!(model = %self.model.endpoint.model, %error, wait_ms = wait.as_millis(), "asking again");
                tokio::time::sleep(wait).await;
                self.again();
                return;
            }
        }
        // What was held back stands as partial text.
        self.speech.finish(&self.request);
        self.phase = Phase::Failed(self.speech.refused().unwrap_or(error));
    }

    fn again(&mut self) {
        self.speech.out.clear();
        self.phase = Phase::Opening;
    }
}

/// Reads a stream to its close.
async fn see_off(response: &mut Response) {
    while let Ok(Some(_)) = response.chunk().await {}
}
