//! What can go wrong between Mira and a model, and how a server's refusal becomes one of these. The texts are fit for a
//! log: none contains a key, and none what was said ([`LlmError::told`] has a model's own words, for the owner).

use serde_json::Value;
use std::time::Duration;

/// The longest piece of a server's own words kept in an error, in characters.
const MAX_MESSAGE_CHARS: usize = 600;

/// A model call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// The base URL cannot be used.
    #[error("the model's base URL cannot be used: {why}")]
    BadUrl {
        /// What is wrong with it.
        why: String,
    },
    /// The key has characters no header can carry.
    #[error("the API key contains characters that cannot be sent")]
    BadKey,
    /// The HTTP client could not be built.
    #[error("the connection to the model could not be set up: {why}")]
    Transport {
        /// The cause.
        why: String,
    },
    /// The request could not be written.
    #[error("the request to the model could not be written: {why}")]
    Unsendable {
        /// The cause.
        why: String,
    },
    /// The key is missing, wrong or revoked.
    #[error("the model endpoint refused the API key (HTTP {status}); check OPENAI_API_KEY")]
    Auth {
        /// The HTTP status, 401 unless a proxy thinks otherwise.
        status: u16,
    },
    /// The key is right and may not do this.
    #[error("the model endpoint forbids this call: {message}")]
    Forbidden {
        /// The server's words.
        message: String,
    },
    /// The endpoint does not offer the model.
    #[error("the endpoint does not offer the model \"{model}\"{}", offered_text(.offered))]
    ModelNotFound {
        /// The model asked for.
        model: String,
        /// What it does offer, where it said so.
        offered: Vec<String>,
    },
    /// Too many requests or tokens in a short time.
    #[error("the model endpoint is rate limited; try again {}", when(*.retry_after))]
    RateLimited {
        /// What the server asked to wait.
        retry_after: Option<Duration>,
    },
    /// No credit left. Waiting does not help.
    #[error("the account at the model endpoint has no quota left; check its plan and billing")]
    Quota,
    /// The prompt does not fit.
    #[error("the conversation is too long for the model's context: {message}")]
    ContextTooLong {
        /// The server's words.
        message: String,
    },
    /// The server did not take the request.
    #[error("the model endpoint refused the request (HTTP {status}): {message}")]
    BadRequest {
        /// The HTTP status; 400 for a refusal inside a stream.
        status: u16,
        /// The server's code.
        code: Option<String>,
        /// The parameter it names.
        param: Option<String>,
        /// Its words.
        message: String,
    },
    /// The server failed.
    #[error("the model endpoint failed{}: {message}", status_text(*.status))]
    Server {
        /// The HTTP status; none for a failure inside a stream.
        status: Option<u16>,
        /// Its words.
        message: String,
        /// What it asked to wait.
        retry_after: Option<Duration>,
    },
    /// No connection, or it broke before an answer.
    #[error("the model endpoint {host} cannot be reached: {why}")]
    Connect {
        /// Host and port.
        host: String,
        /// The cause.
        why: String,
    },
    /// Nothing came for too long.
    #[error("the model went silent for {} s", .after.as_secs_f32())]
    IdleTimeout {
        /// How long was waited.
        after: Duration,
    },
    /// The stream closed without its terminal event.
    #[error("the model's answer broke off before its end")]
    CutOff,
    /// The model declined to answer.
    #[error("the model declined to answer")]
    Refused {
        /// Its words.
        text: String,
    },
    /// The call ended without a single word.
    #[error("the model ended without an answer{}", reason_text(.reason.as_deref()))]
    Empty {
        /// Why, where the server says so (`max_output_tokens`, `content_filter`, ...).
        reason: Option<String>,
    },
    /// What came is not what the API promises.
    #[error("the model endpoint sent something unreadable: {why}")]
    Garbage {
        /// What was wrong.
        why: String,
    },
    /// More came than any reply can need.
    #[error("the model's answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit that was passed.
        limit: usize,
    },
}

fn offered_text(offered: &[String]) -> String {
    const SHOWN: usize = 12;
    if offered.is_empty() {
        return String::new();
    }
    let shown = offered
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = if offered.len() > SHOWN { ", …" } else { "" };
    format!("; it offers {shown}{more}")
}

fn when(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(
        || "later".to_owned(),
        |wait| format!("in {} s", wait.as_secs_f32().ceil()),
    )
}

fn status_text(status: Option<u16>) -> String {
    status.map_or_else(String::new, |status| format!(" (HTTP {status})"))
}

fn reason_text(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}

impl LlmError {
    /// Whether the same call may succeed when the owner asks for it again. Nonsense counts: a model that answered with
    /// nothing usable once says something else the next time.
    pub fn retryable(&self) -> bool {
        self.is_transient() || matches!(self, Self::Empty { .. } | Self::Garbage { .. } | Self::TooLarge { .. })
    }

    /// Whether the call is repeated without being asked: the fault lay on the way, and an answer that was paid for has
    /// not been seen.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Connect { .. }
            | Self::IdleTimeout { .. }
            | Self::CutOff => true,
            Self::BadUrl { .. }
            | Self::BadKey
            | Self::Transport { .. }
            | Self::Unsendable { .. }
            | Self::Auth { .. }
            | Self::Forbidden { .. }
            | Self::ModelNotFound { .. }
            | Self::Quota
            | Self::ContextTooLong { .. }
            | Self::BadRequest { .. }
            | Self::Refused { .. }
            | Self::Empty { .. }
            | Self::Garbage { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// What the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The error as the owner is told of it. A model that declines does so in the conversation: its words are the owner's
    /// to read, and no log's to keep.
    pub fn told(&self) -> String {
        match self {
            Self::Refused { text } => format!("{self}: {text}"),
            other => other.to_string(),
        }
    }

    /// Something unreadable.
    pub(crate) fn garbage(why: impl Into<String>) -> Self {
        Self::Garbage { why: why.into() }
    }
}

/// A refusal as it stands on the wire, in whichever of the shapes seen in the wild.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// HTTP status; none inside a stream.
    pub status: Option<u16>,
    /// `error.code`, or `error.type` where there is no code.
    pub code: Option<String>,
    /// `error.type`.
    pub kind: Option<String>,
    /// `error.param`.
    pub param: Option<String>,
    /// The words.
    pub message: String,
    /// The wait the headers ask for.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// Reads a refusal's body: `{error: {..}}`, `{error: ".."}`, the fields at the top, `{detail: ..}`, a list of one, or
    /// no JSON at all.
    pub fn from_body(status: Option<u16>, body: &[u8]) -> Self {
        let fault = match serde_json::from_slice::<Value>(body) {
            Ok(Value::Array(list)) => list.first().map_or_else(Self::default, Self::from_value),
            Ok(value) => Self::from_value(&value),
            Err(_) => Self {
                message: words_of_page(body),
                ..Self::default()
            },
        };
        Self {
            status: status.or(fault.status),
            ..fault
        }
    }

    /// Reads a refusal from JSON.
    pub fn from_value(value: &Value) -> Self {
        let error = match value.get("error") {
            Some(inner) if !inner.is_null() => inner,
            _ => value,
        };
        let text = |key: &str| match error.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let message = error
            .as_str()
            .map(str::to_owned)
            .or_else(|| text("message"))
            .or_else(|| error.get("detail").or_else(|| error.get("message")).map(words_of_value))
            .unwrap_or_default();
        // A number as the code is an HTTP status that some gateways repeat inside the stream.
        let code = text("code");
        let status = code
            .as_deref()
            .and_then(|code| code.parse().ok())
            .filter(|status| (400..600).contains(status));
        Self {
            status,
            code,
            kind: text("type"),
            param: text("param"),
            message,
            retry_after: None,
        }
    }

    /// The error this refusal means for a call of `model`.
    pub fn classify(self, model: &str, scrub: &dyn Fn(&str) -> String) -> LlmError {
        let message = scrub(&mira_core::chat::one_line(&self.message, MAX_MESSAGE_CHARS));
        let lower = self.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let is = |name: &str| self.code.as_deref() == Some(name) || self.kind.as_deref() == Some(name);
        let status = self.status.unwrap_or(0);
        if is("insufficient_quota") || is("billing_hard_limit_reached") || status == 402 {
            LlmError::Quota
        } else if status == 429 || is("rate_limit_exceeded") || is("rate_limit_error") {
            LlmError::RateLimited {
                retry_after: self.retry_after,
            }
        } else if status == 401 || is("invalid_api_key") {
            LlmError::Auth {
                status: if status == 0 { 401 } else { status },
            }
        } else if is("context_length_exceeded")
            || status == 413
            || ((400..500).contains(&status) && says(&["context length", "context window", "context size"]))
        {
            LlmError::ContextTooLong { message }
        } else if is("model_not_found")
            || (matches!(status, 400 | 404)
                && says(&["model"])
                && says(&[
                    "not found",
                    "does not exist",
                    "not exist",
                    "no such model",
                    "unknown model",
                ]))
        {
            LlmError::ModelNotFound {
                model: model.to_owned(),
                offered: Vec::new(),
            }
        } else if status == 403 {
            LlmError::Forbidden { message }
        } else if (400..500).contains(&status) && status != 408
            || status == 501
            || is("invalid_request_error")
            || self.param.is_some()
        {
            let status = if status == 0 { 400 } else { status };
            LlmError::BadRequest {
                status,
                code: self.code.or(self.kind),
                param: self.param,
                message,
            }
        } else {
            let message = if message.is_empty() {
                "no reason given".to_owned()
            } else {
                message
            };
            LlmError::Server {
                status: self.status,
                message,
                retry_after: self.retry_after,
            }
        }
    }
}

/// What a body says that is not JSON: its text if it is short, never a page's markup.
fn words_of_page(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..2_048).unwrap_or(body));
    if text.trim_start().starts_with('<') {
        "it answered with a web page".to_owned()
    } else {
        text.trim().to_owned()
    }
}

fn words_of_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expect: &LlmError) {
        let fault = Fault::from_body((status != 0).then_some(status), body.as_bytes());
        assert_eq!(
            &fault.classify("gpt-x", &|text| text.to_owned()),
            expect,
            "{status} {body}"
        );
    }

    fn bad(status: u16, code: Option<&str>, param: Option<&str>, message: &str) -> LlmError {
        let own = |text: Option<&str>| text.map(str::to_owned);
        LlmError::BadRequest {
            status,
            code: own(code),
            param: own(param),
            message: message.to_owned(),
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        check(
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-1**4","code":"invalid_api_key"}}"#,
            &LlmError::Auth { status: 401 },
        );
        check(
            429,
            r#"{"error":{"message":"You exceeded","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            &LlmError::Quota,
        );
        check(
            429,
            r#"{"error":{"message":"slow","code":"rate_limit_exceeded"}}"#,
            &LlmError::RateLimited { retry_after: None },
        );
        check(
            404,
            r#"{"error":{"message":"model \"gpt-x\" not found, try pulling it first"}}"#,
            &LlmError::ModelNotFound {
                model: "gpt-x".into(),
                offered: vec![],
            },
        );
        check(404, "404 page not found", &bad(404, None, None, "404 page not found"));
        check(
            400,
            r#"{"error":{"message":"Unsupported value","type":"invalid_request_error","param":"reasoning.effort","code":"unsupported_value"}}"#,
            &bad(
                400,
                Some("unsupported_value"),
                Some("reasoning.effort"),
                "Unsupported value",
            ),
        );
        check(
            400,
            r#"{"error":"json_schema is not supported"}"#,
            &bad(400, None, None, "json_schema is not supported"),
        );
        check(
            422,
            r#"{"detail":[{"loc":["body","store"],"msg":"Extra inputs are not permitted"}]}"#,
            &bad(
                422,
                None,
                None,
                r#"[{"loc":["body","store"],"msg":"Extra inputs are not permitted"}]"#,
            ),
        );
        check(
            400,
            r#"{"object":"error","message":"This model's maximum context length is 8192 tokens."}"#,
            &LlmError::ContextTooLong {
                message: "This model's maximum context length is 8192 tokens.".into(),
            },
        );
        check(
            502,
            "<html><h1>Bad gateway</h1></html>",
            &LlmError::Server {
                status: Some(502),
                message: "it answered with a web page".into(),
                retry_after: None,
            },
        );
        check(
            0,
            r#"{"error":{"message":"boom","code":"server_error"}}"#,
            &LlmError::Server {
                status: None,
                message: "boom".into(),
                retry_after: None,
            },
        );
        check(
            0,
            r#"{"error":{"message":"Provider busy","code":503}}"#,
            &LlmError::Server {
                status: Some(503),
                message: "Provider busy".into(),
                retry_after: None,
            },
        );
        check(
            500,
            "",
            &LlmError::Server {
                status: Some(500),
                message: "no reason given".into(),
                retry_after: None,
            },
        );
    }

    #[test]
    fn texts_help() {
        let error = LlmError::ModelNotFound {
            model: "a".into(),
            offered: vec!["b".into(), "c".into()],
        };
        assert_eq!(
            error.to_string(),
            "the endpoint does not offer the model \"a\"; it offers b, c"
        );
        let error = LlmError::RateLimited {
            retry_after: Some(Duration::from_millis(1_200)),
        };
        assert_eq!(
            error.to_string(),
            "the model endpoint is rate limited; try again in 2 s"
        );
    }
}
