//! What an endpoint is: its address, key, API and model, and the limits of a call. Values only; the configuration is
//! read elsewhere.

use crate::{
    client::{RetryPolicy, Transport},
    error::LlmError,
};
use reqwest::Url;
use std::{fmt, time::Duration};

/// A key. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a key; surrounding white space, which a key file ends with, is dropped.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    /// The key itself, for the one header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Which API an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `POST /responses`.
    Responses,
    /// `POST /chat/completions`.
    Chat,
}

impl Api {
    /// The path below the base URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Chat => "chat/completions",
        }
    }
}

/// How a structured reply is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyFormat {
    /// JSON schema first; a server that refuses it is asked in the next simpler form, and that is remembered.
    Auto,
    /// A strict JSON schema.
    JsonSchema,
    /// A forced call of `format_response`, in the tools form or, where a server refuses it, the legacy functions form.
    Function,
    /// Plain text first, its metadata in a second strict call.
    TwoStep,
}

/// A model at an address. Clones share their connections, so that a second model of the same server is
/// `Endpoint { model, ..first.clone() }`.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Base URL. A path that ends in `/vN` is taken as it is, an empty path gets `/v1`, any other path is taken as it
    /// is; a trailing slash makes no difference, a query is kept.
    pub base_url: String,
    /// The key, where the server wants one.
    pub api_key: Option<Secret>,
    /// The API it speaks.
    pub api: Api,
    /// The model's name there.
    pub model: String,
    /// How structured replies are asked for.
    pub reply_format: ReplyFormat,
    /// How much to say (`low`, `medium`, `high`); sent as long as the model takes it, then the next lower value it takes.
    pub verbosity: Option<String>,
    /// How hard to think (`low`, `high`, ...); sent as long as the model takes it, then the next lower value it takes.
    pub reasoning_effort: Option<String>,
    /// The most tokens of one reply, reasoning included; lowered where the model takes fewer.
    pub max_output_tokens: u32,
    /// The longest silence once she speaks. Keep-alive comments do not count as silence until
    /// [`Self::thinking_timeout`] has passed without an event.
    pub idle_timeout: Duration,
    /// The longest wait for the first word, between two signs of life: prompt processing and reasoning are silent.
    pub thinking_timeout: Duration,
    /// Whether this is OpenAI itself, which takes a few parameters and roles that others choke on.
    pub openai: bool,
    /// When and how often a call is repeated.
    pub retry: RetryPolicy,
    /// The connections.
    pub transport: Transport,
}

impl Endpoint {
    /// Default of [`Self::idle_timeout`].
    pub const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
    /// Default of [`Self::thinking_timeout`]: high reasoning effort is silent for minutes.
    pub const THINKING_TIMEOUT: Duration = Duration::from_mins(10);
    /// Default of [`Self::max_output_tokens`].
    pub const MAX_OUTPUT_TOKENS: u32 = 128_000;

    /// An endpoint without key and with the defaults; `openai` is taken from the host's name.
    pub fn new(base_url: impl Into<String>, api: Api, model: impl Into<String>) -> Self {
        let base_url = base_url.into();
        Self {
            openai: is_openai(&base_url),
            base_url,
            api_key: None,
            api,
            model: model.into(),
            reply_format: ReplyFormat::Auto,
            verbosity: None,
            reasoning_effort: None,
            max_output_tokens: Self::MAX_OUTPUT_TOKENS,
            idle_timeout: Self::IDLE_TIMEOUT,
            thinking_timeout: Self::THINKING_TIMEOUT,
            retry: RetryPolicy::default(),
            transport: Transport::default(),
        }
    }

    /// The base URL by the rule of [`Self::base_url`].
    pub(crate) fn base(&self) -> Result<Url, LlmError> {
        base(&self.base_url)
    }
}

/// Whether a URL's host is OpenAI's, regional hosts included.
fn is_openai(url: &str) -> bool {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| host == "openai.com" || host.ends_with(".openai.com"))
}

fn base(text: &str) -> Result<Url, LlmError> {
    let bad = |why: &str| LlmError::BadUrl { why: why.to_owned() };
    let mut url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it must not contain a user name or password"));
    }
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(if path.is_empty() { "/v1" } else { &path });
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expect: Option<&str>) {
        assert_eq!(base(input).ok().map(String::from).as_deref(), expect, "{input}");
    }

    #[test]
    fn base_urls() {
        check("https://api.openai.com", Some("https://api.openai.com/v1"));
        check("https://api.openai.com/", Some("https://api.openai.com/v1"));
        check("https://api.openai.com/v1", Some("https://api.openai.com/v1"));
        check("https://api.openai.com/v1/", Some("https://api.openai.com/v1"));
        check(" http://127.0.0.1:11434\n", Some("http://127.0.0.1:11434/v1"));
        check("https://openrouter.ai/api/v1", Some("https://openrouter.ai/api/v1"));
        check("https://example.org/v4/", Some("https://example.org/v4"));
        check("https://example.org/openai/", Some("https://example.org/openai"));
        check(
            "https://example.org/x?api-version=1#y",
            Some("https://example.org/x?api-version=1"),
        );
        check("ftp://example.org", None);
        check("https://user:secret@example.org", None);
        check("api.openai.com/v1", None);
        check("", None);
    }

    #[test]
    fn openai_is_known_by_its_host() {
        assert!(Endpoint::new("https://api.openai.com/v1", Api::Responses, "m").openai);
        assert!(Endpoint::new("https://eu.api.openai.com", Api::Responses, "m").openai);
        assert!(!Endpoint::new("https://openai.com.example.org", Api::Chat, "m").openai);
        assert!(!Endpoint::new("http://localhost:1234/api.openai.com", Api::Chat, "m").openai);
    }

    #[test]
    fn secrets_do_not_show() {
        let endpoint = Endpoint {
            api_key: Some(Secret::new("sk-very-secret\n")),
            ..Endpoint::new("http://h", Api::Chat, "m")
        };
        assert!(!format!("{endpoint:?}").contains("very"));
        assert_eq!(endpoint.api_key.unwrap().expose(), "sk-very-secret");
    }
}
