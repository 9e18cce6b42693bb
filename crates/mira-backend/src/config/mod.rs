//! The configuration: every variable of the environment as a checked value. Nothing else reads the environment, and
//! nothing is opened here except `.env` and the files named by `NAME_FILE`.
//!
//! Everything that is wrong is reported at once ([`ConfigError`]); what is merely odd (unknown names, variables of a
//! feature this version does not have) is a warning.

mod env;
mod git;
mod hosted;
mod mcp;
mod memory;
mod types;
mod variables;
mod web;

pub use env::{ConfigError, Env, Problem};
pub use git::GitConfig;
pub use hosted::HostedConfig;
pub use mcp::McpConfig;
pub use memory::{EmbeddingsConfig, MemoryConfig, QdrantSettings};
pub use types::{
    AddressRange, AuthMode, DurabilityMode, HostName, HostPort, Invalid, LlmApi, LogFormat, ModelChoice, Origin,
    PublicUrl, ReplyFormat, Scheme, Secret,
};
pub use web::{KeyedEngine, WebConfig};

use env::Reader;
use jiff::tz::TimeZone;
use mira_core::{ids::SessionId, persona::PersonaName};
use reqwest::Url;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use tracing_subscriber::filter::LevelFilter;
use types::{parse_database_url, parse_http_url};

/// Everything the owner can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Everything Mira writes lies below this, absolute.
    pub data_dir: PathBuf,
    /// Who may come in and from where.
    pub access: AccessConfig,
    /// The database.
    pub database: DatabaseConfig,
    /// The model.
    pub llm: LlmConfig,
    /// The conversation.
    pub chat: ChatConfig,
    /// Memory.
    pub memory: MemoryConfig,
    /// Repositories.
    pub git: GitConfig,
    /// MCP servers.
    pub mcp: McpConfig,
    /// The web.
    pub web: WebConfig,
    /// Tools a provider may run, and drawing.
    pub hosted: HostedConfig,
    /// `RUST_LOG`.
    pub log_filter: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// How long replies may go on after the first signal.
    pub shutdown_grace: Duration,
    /// What is odd but no error; logged at start, one line each.
    pub warnings: Vec<String>,
}

/// Who may come in and from where.
#[derive(Debug, Clone)]
pub struct AccessConfig {
    /// Whether a login is needed.
    pub mode: AuthMode,
    /// The owner's token, where the environment gives it; else it lies in the token file.
    pub token: Option<Secret>,
    /// The address Mira is reached by from outside.
    pub public_url: Option<PublicUrl>,
    /// Further names a `Host` header may carry.
    pub allowed_hosts: Vec<HostPort>,
    /// Further origins a browser may come from.
    pub allowed_origins: Vec<Origin>,
    /// Peers whose `X-Forwarded-*` count.
    pub trusted_proxies: Vec<AddressRange>,
}

/// The database.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The file, absolute.
    pub path: PathBuf,
    /// Connections that read, beside the one that writes.
    pub max_readers: u32,
    /// What an acknowledged message survives.
    pub durability: DurabilityMode,
}

/// The model.
#[derive(Debug, Clone)]
pub struct LlmConfig {
    /// The API, decided.
    pub api: LlmApi,
    /// The endpoint, with or without `/v1`; `None` is OpenAI's own ([`OPENAI_URL`]).
    pub base_url: Option<Url>,
    /// Its key; a local server may need none.
    pub api_key: Option<Secret>,
    /// How the structured reply is asked for.
    pub reply_format: ReplyFormat,
    /// The model for replies.
    pub model: ModelChoice,
    /// The model for side calls; `None` means the same.
    pub intent_model: Option<String>,
    /// How wordy, where the model takes it.
    pub verbosity: String,
    /// How much reasoning, where the model takes it.
    pub reasoning_effort: String,
    /// The most tokens a reply may have, where the model takes it.
    pub max_output_tokens: u32,
}

/// The conversation.
#[derive(Debug, Clone)]
pub struct ChatConfig {
    /// The session that exists from the start.
    pub session_id: SessionId,
    /// The overlay of a fresh Mira.
    pub default_persona: PersonaName,
    /// Where the owner's overlays lie, absolute.
    pub persona_dir: PathBuf,
    /// Least recent messages in a prompt.
    pub history_messages: u32,
    /// Tokens of a whole prompt.
    pub context_tokens: u32,
    /// The owner's time zone.
    pub time_zone: TimeZone,
    /// Tokens a day may cost.
    pub daily_token_budget: Option<u64>,
    /// How long a call waits for the owner's word.
    pub approval_wait: Duration,
}

impl Config {
    /// Reads the environment and `.env`.
    pub fn load() -> Result<Self, ConfigError> {
        Self::from_env(&Env::from_process())
    }

    /// Parses variables already read.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(env);
        let data_dir = read_path(&mut reader, "MIRA_DATA_DIR", Path::new("mira-data"));
        let listen = read_listen(&mut reader);
        let access = read_access(&mut reader, listen);
        let database = read_database(&mut reader, &data_dir);
        let llm = read_llm(&mut reader);
        let chat = read_chat(&mut reader, &data_dir);
        let memory = memory::read_memory(&mut reader, &llm);
        let git = git::read_git(&mut reader, &data_dir);
        let mcp = mcp::read_mcp(&mut reader);
        let web = web::read_web(&mut reader);
        let hosted = hosted::read_hosted(&mut reader, &web);
        let log_filter = read_log_filter(&mut reader);
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let log_format = reader.choice("MIRA_LOG_FORMAT", LogFormat::Text, &formats);
        let grace_seconds = reader.number("MIRA_SHUTDOWN_GRACE_SECONDS", 10, 0..=3600);
        let warnings = env.names().filter_map(variables::unknown_warning).collect();
        // Every variable has been read by now, so that all that is wrong is reported at once.
        reader.finish()?;
        let chat = chat.ok_or_else(|| ConfigError(Vec::new()))?;
        Ok(Self {
            listen,
            data_dir,
            access,
            database,
            llm,
            chat,
            memory,
            git,
            mcp,
            web,
            hosted,
            log_filter,
            log_format,
            shutdown_grace: Duration::from_secs(grace_seconds),
            warnings,
        })
    }

    /// The file that marks the data directory as taken.
    pub fn lock_file(&self) -> PathBuf {
        self.data_dir.join("mira.lock")
    }

    /// The file that holds the key of the tombstones: what keeps forgotten things forgotten.
    pub fn tombstone_key_file(&self) -> PathBuf {
        self.data_dir.join("memory.key")
    }

    /// The file that holds the key of links to previews.
    pub fn preview_key_file(&self) -> PathBuf {
        self.data_dir.join("preview.key")
    }

    /// The file that holds the owner's token.
    pub fn token_file(&self) -> PathBuf {
        self.data_dir.join("token")
    }
}

fn read_listen(reader: &mut Reader<'_>) -> SocketAddr {
    let host = reader.or("MIRA_HOST", IpAddr::V4(Ipv4Addr::LOCALHOST), |text| {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if bare.eq_ignore_ascii_case("localhost") {
            return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        bare.parse()
            .map_err(|_| Invalid::new(format!("{text:?} is not an address of this machine, like 127.0.0.1")))
    });
    let port = reader.number("MIRA_PORT", 8080, 0..=u64::from(u16::MAX));
    SocketAddr::new(host, u16::try_from(port).unwrap_or_default())
}

fn read_access(reader: &mut Reader<'_>, listen: SocketAddr) -> AccessConfig {
    let mode = reader.choice(
        "MIRA_AUTH",
        AuthMode::Required,
        &[("required", AuthMode::Required), ("off", AuthMode::Off)],
    );
    if mode == AuthMode::Off && !listen.ip().is_loopback() {
        let reason = format!(
            "off is refused on {}: only a loopback address may go without a login",
            listen.ip()
        );
        reader.wrong("MIRA_AUTH", reason);
    }
    AccessConfig {
        mode,
        token: reader.secret("MIRA_AUTH_TOKEN"),
        public_url: reader.optional("MIRA_PUBLIC_URL", PublicUrl::parse),
        allowed_hosts: reader.list("MIRA_ALLOWED_HOSTS", HostPort::parse),
        allowed_origins: reader.list("MIRA_ALLOWED_ORIGINS", Origin::parse),
        trusted_proxies: reader.list("MIRA_TRUSTED_PROXIES", AddressRange::parse),
    }
}

fn read_database(reader: &mut Reader<'_>, data_dir: &Path) -> DatabaseConfig {
    let path = reader.optional("DATABASE_URL", parse_database_url);
    DatabaseConfig {
        path: absolute(path.unwrap_or_else(|| data_dir.join("mira.db"))),
        max_readers: reader
            .number("SQLITE_MAX_CONNECTIONS", 10, 1..=64)
            .try_into()
            .unwrap_or(10),
        durability: reader.choice(
            "MIRA_DURABILITY",
            DurabilityMode::Full,
            &[("full", DurabilityMode::Full), ("normal", DurabilityMode::Normal)],
        ),
    }
}

/// OpenAI's own host; any other URL is a compatible server.
const OPENAI_HOST: &str = "api.openai.com";
/// Where OpenAI answers.
pub const OPENAI_URL: &str = "https://api.openai.com/v1";

fn read_llm(reader: &mut Reader<'_>) -> LlmConfig {
    let api_key = reader.secret("OPENAI_API_KEY");
    let url_given = reader.is_set("OPENAI_BASE_URL");
    let base_url = reader.optional("OPENAI_BASE_URL", parse_http_url);
    let at_openai = base_url.as_ref().is_none_or(|url| url.host_str() == Some(OPENAI_HOST));
    let asked = reader.choice(
        "MIRA_LLM_API",
        None,
        &[
            ("auto", None),
            ("responses", Some(LlmApi::Responses)),
            ("chat", Some(LlmApi::Chat)),
            ("rehearsal", Some(LlmApi::Rehearsal)),
        ],
    );
    let api = asked.unwrap_or(match (url_given, at_openai) {
        (false, _) if api_key.is_none() && !reader.is_set("OPENAI_API_KEY_FILE") => LlmApi::Rehearsal,
        (_, true) => LlmApi::Responses,
        (_, false) => LlmApi::Chat,
    });
    let key_missing = api_key.is_none() && !reader.is_set("OPENAI_API_KEY") && !reader.is_set("OPENAI_API_KEY_FILE");
    if at_openai && key_missing && api != LlmApi::Rehearsal {
        reader.wrong(
            "OPENAI_API_KEY",
            format!("is not set, but {OPENAI_HOST} takes nobody without a key"),
        );
    }
    let model = match reader.optional("MIRA_MODEL", parse_model) {
        Some(name) => ModelChoice::Named(name),
        None if at_openai || api == LlmApi::Rehearsal => ModelChoice::Named("gpt-5".to_owned()),
        None => ModelChoice::FirstOffered,
    };
    LlmConfig {
        api,
        base_url,
        api_key,
        reply_format: reader.choice(
            "MIRA_REPLY_FORMAT",
            ReplyFormat::Auto,
            &[
                ("auto", ReplyFormat::Auto),
                ("json_schema", ReplyFormat::JsonSchema),
                ("function", ReplyFormat::Function),
                ("two_step", ReplyFormat::TwoStep),
            ],
        ),
        model,
        intent_model: reader.optional("MIRA_INTENT_MODEL", parse_model),
        verbosity: reader.or("MIRA_VERBOSITY", "high".to_owned(), parse_word),
        reasoning_effort: reader.or("MIRA_REASONING_EFFORT", "high".to_owned(), parse_word),
        max_output_tokens: reader
            .number("MIRA_MAX_OUTPUT_TOKENS", 128_000, 16..=u64::from(u32::MAX))
            .try_into()
            .unwrap_or(u32::MAX),
    }
}

fn read_chat(reader: &mut Reader<'_>, data_dir: &Path) -> Option<ChatConfig> {
    let session_id = reader.or_text("MIRA_SESSION_ID", "eternal", |text| {
        text.parse::<SessionId>()
            .map_err(|e| Invalid::new(format!("{text:?} is {e}")))
    });
    let default_persona = reader.or_text("MIRA_DEFAULT_PERSONA", "default", |text| {
        text.parse::<PersonaName>()
            .map_err(|e| Invalid::new(format!("{text:?}: {e}")))
    });
    Some(ChatConfig {
        persona_dir: read_path(reader, "MIRA_PERSONA_DIR", &data_dir.join("personas")),
        history_messages: reader
            .number("MIRA_HISTORY_MESSAGES", 15, 1..=1000)
            .try_into()
            .unwrap_or(15),
        context_tokens: reader
            .number("MIRA_CONTEXT_TOKENS", 65_536, 2048..=10_000_000)
            .try_into()
            .unwrap_or(65_536),
        time_zone: reader.optional("MIRA_TZ", parse_zone).unwrap_or_else(TimeZone::system),
        daily_token_budget: reader.optional("MIRA_DAILY_TOKEN_BUDGET", |text| {
            env::parse_number(text, &(1..=u64::MAX))
        }),
        approval_wait: Duration::from_secs(reader.number("MIRA_APPROVAL_SECONDS", 600, 1..=86_400)),
        session_id: session_id?,
        default_persona: default_persona?,
    })
}

fn read_log_filter(reader: &mut Reader<'_>) -> String {
    reader.or("RUST_LOG", "info".to_owned(), |text| {
        let bad = |reason: String| Invalid::new(format!("{text:?} is not a log filter: {reason}"));
        tracing_subscriber::EnvFilter::try_new(text).map_err(|e| bad(e.to_string()))?;
        // EnvFilter itself takes an unknown level in silence.
        let levels = text
            .split(',')
            .filter(|part| !part.contains('['))
            .filter_map(|part| part.rsplit_once('='));
        let unknown = levels
            .map(|(_, level)| level.trim())
            .find(|level| level.parse::<LevelFilter>().is_err());
        if let Some(level) = unknown {
            return Err(bad(format!(
                "{level:?} is not one of off, error, warn, info, debug, trace"
            )));
        }
        Ok(text.to_owned())
    })
}

fn read_path(reader: &mut Reader<'_>, name: &str, default: &Path) -> PathBuf {
    absolute(
        reader
            .optional(name, |text| Ok(PathBuf::from(text)))
            .unwrap_or_else(|| default.to_owned()),
    )
}

fn parse_model(text: &str) -> Result<String, Invalid> {
    if text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new(format!("{text:?} is not a model's name")))
    }
}

/// A provider's own word (`high`, `minimal`, ...): the list is the provider's, so only its shape is checked.
fn parse_word(text: &str) -> Result<String, Invalid> {
    if text.len() <= 32 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new(format!("{text:?} is not a word like low, medium or high")))
    }
}

fn parse_zone(text: &str) -> Result<TimeZone, Invalid> {
    TimeZone::get(text).map_err(|_| Invalid::new(format!("{text:?} is not a time zone like Europe/Vienna")))
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_env(&Env::from_pairs(pairs))
    }

    fn wrong(pairs: &[(&str, &str)]) -> Vec<String> {
        read(pairs).map_or_else(
            |e| e.0.into_iter().map(|problem| problem.name).collect(),
            |_| Vec::new(),
        )
    }

    #[test]
    fn defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
        assert!(config.data_dir.is_absolute() && config.data_dir.ends_with("mira-data"));
        assert_eq!(config.database.path, config.data_dir.join("mira.db"));
        assert_eq!(config.llm.api, LlmApi::Rehearsal);
        assert_eq!(config.chat.session_id.as_str(), "eternal");
        assert_eq!(config.warnings, Vec::<String>::new());
    }

    #[test]
    fn every_wrong_variable_is_listed() {
        let names = wrong(&[
            ("MIRA_HOST", "nowhere"),
            ("MIRA_PORT", "70000"),
            ("MIRA_AUTH", "maybe"),
            ("DATABASE_URL", "postgres://x"),
            ("MIRA_SESSION_ID", "No Such"),
            ("MIRA_TZ", "Mars/Olympus"),
            ("MIRA_APPROVAL_SECONDS", "0"),
            ("QDRANT_URL", "qdrant"),
            ("ENABLE_WEB_SEARCH", "yes"),
            ("MIRA_ALLOWED_HOSTS", "ok.example, *"),
            ("MIRA_AUTH_TOKEN", "has space"),
            ("MIRA_GIT_AUTHOR", "nobody"),
            ("RUST_LOG", "mira=shout"),
        ]);
        let mut expect = vec![
            "MIRA_HOST",
            "MIRA_PORT",
            "MIRA_AUTH",
            "DATABASE_URL",
            "MIRA_SESSION_ID",
            "MIRA_TZ",
            "MIRA_APPROVAL_SECONDS",
            "QDRANT_URL",
            "ENABLE_WEB_SEARCH",
            "MIRA_ALLOWED_HOSTS",
            "MIRA_AUTH_TOKEN",
            "MIRA_GIT_AUTHOR",
            "RUST_LOG",
        ];
        let mut found: Vec<_> = names.iter().map(String::as_str).collect();
        found.sort_unstable();
        expect.sort_unstable();
        assert_eq!(found, expect);
    }

    #[test]
    fn secrets_are_never_shown() {
        let error = read(&[("OPENAI_API_KEY", "hunter 2")]).unwrap_err();
        assert!(!error.to_string().contains("hunter"), "{error}");
        let config = read(&[("OPENAI_API_KEY", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn no_login_only_on_loopback() {
        assert_eq!(wrong(&[("MIRA_AUTH", "off"), ("MIRA_HOST", "0.0.0.0")]), ["MIRA_AUTH"]);
        assert_eq!(
            read(&[("MIRA_AUTH", "off"), ("MIRA_HOST", "::1")]).unwrap().access.mode,
            AuthMode::Off
        );
    }

    #[test]
    fn the_api_is_chosen_by_key_and_url() {
        let api = |pairs: &[(&str, &str)]| read(pairs).map(|config| (config.llm.api, config.llm.model)).unwrap();
        let gpt = || ModelChoice::Named("gpt-5".to_owned());
        assert_eq!(api(&[("OPENAI_API_KEY", "k")]), (LlmApi::Responses, gpt()));
        assert_eq!(
            api(&[("OPENAI_BASE_URL", "http://127.0.0.1:11434")]),
            (LlmApi::Chat, ModelChoice::FirstOffered)
        );
        assert_eq!(
            api(&[
                ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
                ("OPENAI_API_KEY", "k")
            ]),
            (LlmApi::Responses, gpt())
        );
        assert_eq!(
            api(&[
                ("OPENAI_BASE_URL", "http://h/v1"),
                ("MIRA_LLM_API", "responses"),
                ("MIRA_MODEL", "m")
            ]),
            (LlmApi::Responses, ModelChoice::Named("m".to_owned()))
        );
        assert_eq!(wrong(&[("MIRA_LLM_API", "chat")]), ["OPENAI_API_KEY"]);
        assert_eq!(
            wrong(&[("OPENAI_BASE_URL", "https://api.openai.com")]),
            ["OPENAI_API_KEY"]
        );
    }

    #[test]
    fn who_embeds() {
        let remote = |pairs: &[(&str, &str)]| match read(pairs).unwrap().memory.embeddings {
            EmbeddingsConfig::Local => None,
            EmbeddingsConfig::Remote {
                url, key, dimension, ..
            } => Some((url.to_string(), key.is_some(), dimension)),
        };
        assert_eq!(remote(&[]), None);
        assert_eq!(remote(&[("OPENAI_BASE_URL", "http://127.0.0.1:11434")]), None);
        assert_eq!(
            remote(&[("OPENAI_API_KEY", "k")]),
            Some((OPENAI_URL.to_owned(), true, 3072))
        );
        assert_eq!(remote(&[("OPENAI_API_KEY", "k"), ("MIRA_EMBEDDINGS", "local")]), None);
        // The model's key does not go to another server.
        let own = ("MIRA_EMBEDDINGS_URL", "http://127.0.0.1:9");
        assert_eq!(
            remote(&[("OPENAI_API_KEY", "k"), own, ("QDRANT_EMBEDDING_DIM", "8")]),
            Some(("http://127.0.0.1:9/".to_owned(), false, 8))
        );
        assert_eq!(wrong(&[("MIRA_EMBEDDINGS", "openai")]), ["MIRA_EMBEDDINGS_KEY"]);
        assert_eq!(wrong(&[("QDRANT_COLLECTION", "a b")]), ["QDRANT_COLLECTION"]);
    }

    #[test]
    fn who_searches_the_web() {
        let web = |pairs: &[(&str, &str)]| read(pairs).unwrap().web;
        let none = web(&[]);
        assert!(none.enabled && none.searxng.is_none() && none.brave.is_none() && none.tavily.is_none());
        assert!(!web(&[("ENABLE_WEB_SEARCH", "false")]).enabled);
        let below = web(&[("MIRA_SEARXNG_URL", "http://127.0.0.1:8888/searx")]).searxng;
        assert_eq!(below.unwrap().as_str(), "http://127.0.0.1:8888/searx/");
        let brave = web(&[("BRAVE_API_KEY", "hunter2")]).brave.unwrap();
        assert_eq!(brave.url.scheme(), "https");
        assert!(!format!("{brave:?}").contains("hunter2"));
        assert_eq!(
            wrong(&[("MIRA_SEARXNG_URL", "searx.lan"), ("TAVILY_API_KEY", "a b")]),
            ["MIRA_SEARXNG_URL", "TAVILY_API_KEY"]
        );
    }

    #[test]
    fn what_is_odd_is_a_warning() {
        let config = read(&[("MIRA_PROT", "1"), ("MIRA_MODEL", "")]).unwrap();
        assert_eq!(
            config.warnings,
            ["MIRA_PROT is not a variable Mira knows; did you mean MIRA_PORT?"]
        );
    }

    #[test]
    fn what_a_provider_may_run() {
        use mira_core::model::HostedKind;
        let hosted = |pairs: &[(&str, &str)]| read(pairs).unwrap().hosted;
        assert!(HostedKind::ALL.into_iter().all(|kind| hosted(&[]).enabled(kind)));
        let some = hosted(&[
            ("ENABLE_WEB_SEARCH", "false"),
            ("ENABLE_IMAGE_GENERATION", "false"),
            ("MIRA_IMAGE_MODEL", "m"),
        ]);
        let on: Vec<_> = HostedKind::ALL.into_iter().filter(|kind| some.enabled(*kind)).collect();
        assert_eq!(on, [HostedKind::CodeInterpreter, HostedKind::FileSearch]);
        assert_eq!(some.image_model.as_deref(), Some("m"));
        assert_eq!(wrong(&[("ENABLE_FILE_SEARCH", "yes")]), ["ENABLE_FILE_SEARCH"]);
    }
}
