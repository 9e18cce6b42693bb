//! A faithful emulator of the OpenAI API on loopback: Responses with its hosted tools, Chat Completions, embeddings,
//! models, files and vector stores, images.
//!
//! Lives here: everything a client of that API can observe, and everything that can go wrong with it on purpose.
//! Not here: any knowledge of Mira beyond the state block the rehearsal reads out of a prompt. Invariants: every
//! request is checked before it is answered ([`SimConfig::strict`]); the same requests get the same bytes (no
//! clock, no random source); an event costs one write and, while played, no allocation.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use openai_sim::{Plan, Sim, SimConfig};
//! let sim = Sim::start(SimConfig::default()).await?;
//! sim.push(Plan::reply("There you are.").incomplete("max_output_tokens"));
//! println!("{}", sim.url()); // http://127.0.0.1:PORT/v1
//! sim.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Who answers
//! Plans given to [`Sim::push`] come first, then the [`Brain`]. A structured reply is fitted to what the request
//! asks: exactly the keys of its JSON schema in the schema's order, as text or as the arguments of the forced
//! function; only its words where no form is asked. A function whose arguments have an `output` is taken for the reply's
//! own wherever the choice leaves it open. Calls of other functions are planned ([`Plan::calls`]); each request that
//! brings their outputs back takes the next plan. The rehearsal calls `remember`, `recall` and `forget` where they are
//! offered and the owner's words ask for it.
//!
//! # Directives
//! With [`SimConfig::directives`] the last user message may carry `[[sim: ...]]` with any of these, separated by
//! spaces; values with spaces in double quotes. Without it such text is text. Counts of events begin with the
//! first event of the stream; `response.created` and `response.in_progress` are the first two.
//!
//! | directive | meaning |
//! |---|---|
//! | `tokens=200` | the reply's words are so many tokens |
//! | `output="..."`, `echo` | these words; the message's own words |
//! | `persona=haven`, `mood=soft`, `cause="..."` | fields of the reply |
//! | `remember="..." topic=...` | a sentence about the owner that is worth remembering |
//! | `raw="..."` | this text as it is, whatever schema was asked |
//! | `call=name args="{...}"` | a function call instead of words |
//! | `web="query" url=https://...` | a web search of the server's own that finds this page |
//! | `run="code" logs="..." makes=name` | code run by the server, what it writes, a small picture it leaves |
//! | `look="query"` | a search of the server's own in the vector stores of the request |
//! | `draw="prompt"` | a small picture drawn by the server |
//! | `fails` | the server's own calls of this answer fail |
//! | `cite="words"` | these words of the reply point at the page, the file left, or the file called `given` |
//! | `reasoning`, `reasoning="..."` | a reasoning item first |
//! | `rate=20`, `first_ms=300`, `headers_ms=100` | tokens per second, time to the first token, time to the HTTP head |
//! | `split=1`, `seed=7` | writes of so many bytes; of random sizes from this seed |
//! | `unknown` | events, items and fields nobody knows |
//! | `status=429 retry_after=1 retry_after_ms=50 code=x html` | an HTTP error |
//! | `cut=5`, `cut_inside=5`, `close=5` | drops the connection after so many events, inside the next one, or ends the body |
//! | `stall=3`, `garbage=3` | silence, or a broken line, after so many events |
//! | `refuse`, `refuse="..."` | a refusal |
//! | `incomplete`, `incomplete=content_filter`, `failed`, `failed=code`, `error`, `error=nested` | how it ends |
//! | `after=10` | after how many tokens that ending comes (half of them otherwise) |
//! | `times=1` | the HTTP error, connection faults and endings hold for so many requests with this message |
//!
//! # What it does not do
//! Stored responses, conversations, background mode, audio, and hosted tools other than `web_search`,
//! `code_interpreter`, `file_search` and `image_generation`: asking for them is refused with a clear error, or nothing
//! calls them; nothing is half answered.

mod asked;
mod brain;
mod cache;
mod chat;
mod compose;
mod directive;
mod embeddings;
mod error;
mod fit;
mod gate;
mod hosted;
mod images;
mod json;
mod multipart;
mod plan;
mod player;
mod rehearsal;
mod responses;
mod rules;
mod server;
mod shelf;
mod stats;
mod tokens;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use brain::{Brain, Responder};
pub use embeddings::{Base64, EmbeddingsManner};
pub use error::ApiError;
pub use gate::Gate;
pub use hosted::{Cite, Cited, HostedCall, HostedWork, MadeFile, PIXEL};
pub use plan::{Answer, Call, Ending, Fault, HttpFault, Plan, Reply, Script, Split, Target, Then};
pub use rehearsal::{RehearsalInput, RehearsalNote, RehearsalReply, reply as rehearse, without_notice};
pub use server::Captured;
pub use stats::Counts;

/// Which server is emulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// OpenAI itself.
    #[default]
    OpenAi,
    /// A chat server that takes tools but no `json_schema`. Like the next two it has no `/responses`.
    CompatibleNoSchema,
    /// A chat server that takes the old `functions`, but neither tools nor `json_schema`.
    CompatibleNoTools,
    /// A chat server that only takes messages.
    CompatiblePlain,
}

/// How an emulator is set up.
#[derive(Clone)]
pub struct SimConfig {
    /// Where it listens; port 0 picks a free one.
    pub addr: SocketAddr,
    /// The only key let in; `None` lets everyone in.
    pub api_key: Option<String>,
    /// Whether `[[sim: ...]]` in user messages is obeyed.
    pub directives: bool,
    /// Who answers.
    pub brain: Brain,
    /// The models offered.
    pub models: Vec<String>,
    /// Whether each request is checked against the API's rules.
    pub strict: bool,
    /// Which server it is.
    pub server: Flavour,
    /// Milliseconds until the first token.
    pub first_token_delay_ms: u64,
    /// Time between tokens; zero sends as fast as the client reads.
    pub token_interval: Duration,
    /// How many of the latest requests are kept for [`Sim::requests`].
    pub capture: usize,
    /// Context window of the models, in tokens; a longer input is refused.
    pub context_tokens: u64,
    /// Types of hosted tools that the models do not support, as the live API refuses them.
    pub refused_tools: Vec<String>,
    /// Names of functions whose schemas they do not take.
    pub refused_functions: Vec<String>,
    /// Whether the models take no pictures.
    pub blind: bool,
    /// The time (seconds since 1970) at which the emulator believes to have started.
    pub epoch_seconds: u64,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: None,
            directives: false,
            brain: Brain::default(),
            models: MODELS.iter().map(|model| (*model).to_owned()).collect(),
            strict: true,
            server: Flavour::default(),
            first_token_delay_ms: 0,
            token_interval: Duration::ZERO,
            capture: 256,
            context_tokens: 272_000,
            refused_tools: Vec::new(),
            refused_functions: Vec::new(),
            blind: false,
            epoch_seconds: 1_790_000_000,
        }
    }
}

/// Offered unless the configuration says otherwise.
const MODELS: [&str; 10] = [
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-5.1",
    "gpt-5.2",
    "gpt-4.1",
    "gpt-4o",
    "text-embedding-3-large",
    "text-embedding-3-small",
    "text-embedding-ada-002",
];

impl SimConfig {
    /// As rehearsal mode uses it: replies from the prompt at a speaking pace, behind this key, keeping nothing.
    pub fn rehearsal(api_key: impl Into<String>, models: Vec<String>) -> Self {
        Self {
            api_key: Some(api_key.into()),
            models,
            first_token_delay_ms: 150,
            token_interval: Duration::from_millis(25),
            capture: 0,
            ..Self::default()
        }
    }

    /// With this brain and nothing else changed.
    pub fn with_brain(brain: Brain) -> Self {
        Self {
            brain,
            ..Self::default()
        }
    }
}

/// A running emulator. Dropping it stops it as [`Sim::shutdown`] does, without waiting.
pub struct Sim {
    addr: SocketAddr,
    shared: Arc<server::Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Sim {
    /// Binds and serves.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(config: SimConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.addr).await?;
        let addr = listener.local_addr()?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let shared = Arc::new(server::Shared::new(config, stop.clone()));
        tasks.spawn(server::accept(listener, Arc::clone(&shared), tasks.clone()));
        tasks.close();
        Ok(Self {
            addr,
            shared,
            stop,
            tasks,
        })
    }

    /// The base URL, with `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Plans the next reply; it comes before anything the brain would say.
    pub fn push(&self, plan: Plan) {
        self.shared.chooser.push(plan);
    }

    /// How the embeddings endpoint behaves from now on. Plans for it ([`Target::Embeddings`]) come first.
    pub fn set_embeddings(&self, manner: EmbeddingsManner) {
        self.shared.set_embeddings(manner);
    }

    /// Lets every vector store expire, as those do that nobody used for long.
    pub fn expire_stores(&self) {
        self.shared.shelf.expire();
    }

    /// Files of this name cannot be deleted any more, or can again.
    pub fn stick_file(&self, name: &str, stuck: bool) {
        self.shared.shelf.stick(name, stuck);
    }

    /// Files of this name are gone from the server, as if somebody had deleted them there.
    pub fn lose_file(&self, name: &str) {
        self.shared.shelf.lose(name);
    }

    /// How many files were given to the server, and how many living vector stores there are.
    pub fn shelf(&self) -> (usize, usize) {
        self.shared.shelf.sizes()
    }

    /// How many planned replies have not been asked for yet.
    pub fn planned(&self) -> usize {
        self.shared.chooser.planned()
    }

    /// The latest requests, oldest first, refused ones included; at most [`SimConfig::capture`].
    pub fn requests(&self) -> Vec<Captured> {
        self.shared.captured()
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        self.shared.stats.now()
    }

    /// Waits until so many requests in all have arrived.
    pub async fn wait_requests(&self, requests: u64) {
        self.shared.stats.wait(|counts| counts.requests >= requests).await;
    }

    /// Waits until the counts satisfy `reached`, e.g. that a client went away.
    pub async fn wait_counts(&self, reached: impl FnMut(&Counts) -> bool) {
        self.shared.stats.wait(reached).await;
    }

    /// The gate before every answer that begins after this call. It stands open until [`Gate::close`]; plans can
    /// carry their own gates besides ([`Plan::gated`]).
    pub fn gate(&self) -> Gate {
        self.shared.gate.get_or_init(Gate::opened).clone()
    }

    /// Stops listening, drops every connection, and waits until all tasks have ended.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
