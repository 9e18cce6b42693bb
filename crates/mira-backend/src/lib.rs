//! Mira's server. The binary is thin: `main` hands over to [`cli`], which reads the [`config`] and runs [`serve`].
//!
//! Arrows inside: `main -> cli -> lib -> api -> services`. Invariants: only [`config`] reads the environment, only
//! [`lifecycle`] spawns, only [`api`] knows HTTP.

pub mod api;
pub mod cli;
pub mod config;
pub mod datadir;
pub mod lifecycle;
pub mod net;
pub mod services;
pub mod state;

use config::{AuthMode, Config, DurabilityMode};
use lifecycle::Shutdown;
use mira_core::{chat::MemoryMode, clock::Clock, ids::AccountId};
use mira_memory::{Durability, NewSession, Recovered, Store, StoreError, StoreOptions};
use services::{
    approvals::Approvals,
    artifacts::preview::Previews,
    auth::{Auth, TokenError},
    chat::Pictures,
    deps::{ChatSettings, Deps},
    files::{Files, Teller, disk::Disk, extract::Extractor, reader},
    git::{self, Git},
    hosted::{self, HostedTools},
    hub::{self, Hub},
    images::Images,
    mcp::{McpTools, served::Served},
    memory::{self, Memories, MemoryError, MemoryStatus},
    metrics::Metrics,
    model::{self, ModelError, OpenedModel},
    personas::Personas,
    python::Python,
    summarization::Summarizer,
    tools::{Toolbox, Workshop},
    web::Web,
};
use state::{AppState, Parts};
use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::{net::TcpListener, time::Instant};

/// How often unused sessions are let go.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address.
    #[error("the listening socket: {0}")]
    Listener(#[source] io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The key of links to previews.
    #[error("the key of preview links: {0}")]
    PreviewKey(#[source] io::Error),
    /// A task of the start died.
    #[error("the start broke off: {0}")]
    Task(#[source] tokio::task::JoinError),
    /// Standard output is closed, so nobody can be told where the server listens.
    #[error("standard output: {0}")]
    Ready(#[source] io::Error),
}

/// Serves until `life` ends, by this clock. Tells on standard output when it is ready.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    life: Shutdown,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listener)?;
    let store = Arc::new(Store::open(store_options(&config), clock.now()).await?);
    let outcome = run(config, listener, address, Arc::clone(&store), clock, &life).await;
    store.close().await;
    outcome
}

async fn run(
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    life: &Shutdown,
) -> Result<(), ServeError> {
    recover(&store, &*clock).await?;
    let auth = Auth::open(
        &config.access,
        &config.token_file(),
        Arc::clone(&store),
        Arc::clone(&clock),
    )?;
    let previews = Previews::open(&config, &*clock).map_err(ServeError::PreviewKey)?;
    let metrics = Arc::new(Metrics::default());
    let opened = model::open(&config.llm, &*clock, Arc::clone(&metrics)).await?;
    let grace = config.shutdown_grace;
    let memories = memory::open(&config, AccountId::OWNER, &store, &clock, &metrics).await?;
    life.spawn(memories.clone().run_indexer(AccountId::OWNER, life.clone()));
    life.spawn(memories.clone().warm_up(AccountId::OWNER, life.clone()));
    let hub = open_hub(&config, &store, &clock, &metrics, &opened, memories, life).await?;
    life.spawn(services::forget::again(hub.clone(), AccountId::OWNER));
    life.spawn(tell_index(hub.clone(), life.clone()));
    life.spawn(git::attach::look_after(hub.clone(), AccountId::OWNER));
    life.spawn(hub.deps().files.clone().look_after());
    let state = AppState::from(Parts {
        address,
        started: Instant::now(),
        store,
        clock,
        auth,
        previews,
        metrics,
        model: opened.model,
        model_health: Arc::clone(&opened.health),
        life: life.clone(),
        served: Served::new(&hub.downgrade()),
        hub,
        sockets: AtomicU64::new(1),
        config,
    });
    life.spawn(sweep(state.hub().clone(), life.clone()));
    life.spawn(state.auth().clone().watch_token_file(life.clone()));
    let auth = state.auth().clone();
    life.spawn(async move { auth.purge().await });
    if opened.rehearsal.is_some() {
        tracing::info!("rehearsal: no model is asked; set OPENAI_API_KEY or OPENAI_BASE_URL for one");
    } else {
        life.spawn(model::check_offer(opened.endpoint, opened.health, life.clone()));
    }
    let floor = net::Floor {
        router: api::router(state.clone()),
        prefix: state.sub_path().into(),
        metrics: Arc::clone(state.metrics()),
        life: life.clone(),
    };
    life.spawn(net::accept(listener, floor, net::connection_limit()));
    let told = if life.is_first() { announce(&state) } else { Ok(()) };
    // Nobody waits for a slow server.
    state.hub().deps().mcp.start();
    if told.is_ok() {
        life.soft().cancelled().await;
    }
    if !life.drain(grace).await {
        tracing::warn!("some tasks did not end in time");
    }
    state.hub().release_all().await;
    if let Some(rehearsal) = opened.rehearsal {
        rehearsal.shutdown().await;
    }
    told.map_err(ServeError::Ready)
}

/// The conversations: the overlays are read, the default session is there, the tools are attached.
pub async fn open_hub(
    config: &Config,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
    opened: &OpenedModel,
    memories: Memories,
    life: &Shutdown,
) -> Result<Hub, ServeError> {
    let chat = &config.chat;
    let (folder, reader) = (chat.persona_dir.clone(), Arc::clone(clock));
    let personas = life
        .spawn_blocking(move || Personas::load(folder, reader))
        .await
        .map_err(ServeError::Task)?;
    if personas.current().get(&chat.default_persona).is_none() {
        let named = &chat.default_persona;
        tracing::warn!(persona = %named, "MIRA_DEFAULT_PERSONA names no overlay; another is worn until there is one");
    }
    let default = NewSession {
        id: chat.session_id.clone(),
        title: None,
        pinned_persona: None,
        project_id: None,
        memory: MemoryMode::On,
        now: clock.now(),
    };
    store.insert_session(AccountId::OWNER, default).await?;
    let account_events = hub::account_channel();
    let teller = Teller {
        encode: api::frames::file,
        account_events: account_events.clone(),
    };
    let disk = Disk::of(config);
    let files = Files::new(disk, Arc::clone(store), Arc::clone(clock), life.clone(), teller);
    files.prepare().await;
    let hosted = hosted_tools(config, opened, store, &files, (clock, metrics))?;
    let python = Python::new(config.hosted.code_interpreter, &config.data_dir, life);
    python.start();
    let extractor = Extractor::default();
    let tools = Toolbox::new(Workshop {
        web: Web::new(
            &config.web,
            config.git.private_hosts.clone(),
            Arc::new(extractor.clone()),
        ),
        python,
        images: hosted.images().clone(),
        file_search: config.hosted.file_search,
    });
    life.spawn(reader::run(files.clone(), extractor, memories.clone()));
    let changes = account_events.subscribe();
    life.spawn(hosted.clone().keep_copies(AccountId::OWNER, changes, life.clone()));
    let hub = Hub::new(Deps {
        store: Arc::clone(store),
        model: Arc::clone(&opened.model),
        personas,
        clock: Arc::clone(clock),
        encoder: api::frames::ENCODER,
        settings: Arc::new(ChatSettings {
            history_messages: u64::from(chat.history_messages),
            context_tokens: usize::try_from(chat.context_tokens).unwrap_or(usize::MAX),
            default_persona: chat.default_persona.clone(),
            tz: chat.time_zone.clone(),
            daily_token_budget: chat.daily_token_budget,
            approval_wait: chat.approval_wait,
            model: opened.endpoint.model.clone(),
        }),
        summarizer: Summarizer::new(Arc::clone(&opened.side), memories.clone()),
        memories,
        tools: tools.clone(),
        approvals: Approvals::default(),
        pictures: Pictures::default(),
        mcp: McpTools::new(config, life),
        git: Git::new(config),
        files,
        hosted,
        account_events,
        metrics: Arc::clone(metrics),
        lifecycle: life.clone(),
    });
    tools.attach(&hub);
    Ok(hub)
}

/// What the model's provider runs itself, and drawing.
fn hosted_tools(
    config: &Config,
    opened: &OpenedModel,
    store: &Arc<Store>,
    files: &Files,
    (clock, metrics): (&Arc<dyn Clock>, &Arc<Metrics>),
) -> Result<HostedTools, ServeError> {
    let hosted = &config.hosted;
    let drawing = Images::new(
        hosted.image_generation,
        hosted.image_model.clone(),
        &opened.endpoint,
        config.git.private_hosts.clone(),
    );
    let needs = hosted::Needs {
        config: hosted.clone(),
        api: config.llm.api,
        endpoint: opened.endpoint.clone(),
        model: Arc::clone(&opened.model),
        images: drawing.map_err(ModelError::Endpoint)?,
        store: Arc::clone(store),
        files: files.clone(),
        clock: Arc::clone(clock),
        metrics: Arc::clone(metrics),
    };
    Ok(HostedTools::new(needs).map_err(ModelError::Endpoint)?)
}

/// Tells every socket how far the index is, while there is much to take up.
async fn tell_index(hub: Hub, life: Shutdown) {
    let memories = hub.deps().memories.clone();
    let tell = move |status: &MemoryStatus| hub.announce_index(status);
    memories.tell_progress(AccountId::OWNER, life, tell).await;
}

/// Lets go of unused sessions now and then.
async fn sweep(hub: Hub, life: Shutdown) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => hub.sweep().await,
            () = life.soft().cancelled() => return,
        }
    }
}

/// What has to be true before the port answers: no turn, clone or sync is left running from before.
async fn recover(store: &Store, clock: &dyn Clock) -> Result<(), StoreError> {
    let Recovered { interrupted, failed } = store.recover_turns(AccountId::OWNER, clock.now()).await?;
    if interrupted + failed > 0 {
        tracing::warn!(
            interrupted,
            failed,
            "the last process ended in the middle of turns; what they had said is kept"
        );
    }
    store.recover_approvals(AccountId::OWNER, clock.now()).await?;
    git::attach::recover(store, AccountId::OWNER, clock.now()).await
}

/// The one line on standard output; everything else, the login link included, goes to standard error.
fn announce(state: &AppState) -> io::Result<()> {
    let access = &state.config().access;
    let here = format!("http://{}", state.address());
    let local = || format!("http://{}", datadir::reachable(state.address()));
    if access.mode == AuthMode::Off {
        tracing::warn!("MIRA_AUTH=off: whoever can reach {here} is the owner");
    } else {
        if access.token.is_some() && state.auth().token_is_short() {
            tracing::warn!("MIRA_AUTH_TOKEN has fewer than 16 characters: it can be guessed");
        }
        let base = access.public_url.as_ref().map_or_else(local, ToString::to_string);
        // A closed standard error must not keep her from serving.
        writeln!(io::stderr(), "log in: {base}/#login={}", state.auth().login_code()).unwrap_or_default();
    }
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {here}")?;
    out.flush()
}

/// How the store is opened.
pub fn store_options(config: &Config) -> StoreOptions {
    StoreOptions {
        path: config.database.path.clone(),
        readers: config.database.max_readers,
        durability: match config.database.durability {
            DurabilityMode::Full => Durability::Full,
            DurabilityMode::Normal => Durability::Normal,
        },
        backup_dir: config.data_dir.join("backups"),
        default_persona: config.chat.default_persona.clone(),
    }
}
