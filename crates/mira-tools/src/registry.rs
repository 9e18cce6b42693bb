//! All tools there are, and one call of one of them from its arguments to its outcome.

use crate::{CallContext, Output, Tool, ToolError, schema};
use futures_util::{FutureExt, future::BoxFuture};
use mira_core::tool::{CallOutcome, CallStatus, Effect, ToolOffer, UNCERTAIN};
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// The longest output a model is told, in characters. More would push the conversation out of its sight.
const OUTPUT_CHARS: usize = 64 * 1024;

/// A call that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// What is kept and told to clients.
    pub outcome: CallOutcome,
    /// What the model reads now.
    pub told: String,
}

impl Ran {
    /// A call that came to nothing.
    pub fn unsuccessful(status: CallStatus, why: impl Into<String>) -> Self {
        let outcome = CallOutcome::unsuccessful(status, why);
        Self {
            told: format!("error: {}", outcome.output),
            outcome,
        }
    }
}

/// A tool in the registry.
#[derive(Clone)]
pub struct Entry {
    /// As a model is told of it.
    pub offer: ToolOffer,
    /// What it may do.
    pub effect: Effect,
    timeout: Duration,
    tool: Arc<dyn Erased>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.offer.name)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// Why it cannot work here, if it cannot.
    pub fn unavailable(&self) -> Option<String> {
        self.tool.unavailable()
    }
}

/// A tool whose arguments are text.
trait Erased: Send + Sync {
    fn unavailable(&self) -> Option<String>;
    fn call<'a>(&'a self, context: &'a CallContext, arguments: &'a str) -> BoxFuture<'a, Result<Output, ToolError>>;
}

impl<T: Tool> Erased for T {
    fn unavailable(&self) -> Option<String> {
        Tool::unavailable(self)
    }

    fn call<'a>(&'a self, context: &'a CallContext, arguments: &'a str) -> BoxFuture<'a, Result<Output, ToolError>> {
        async move {
            // Models write nothing at all where there is nothing to say.
            let text = if arguments.trim().is_empty() { "{}" } else { arguments };
            let arguments = serde_json::from_str(text).map_err(|error| ToolError::Arguments(error.to_string()))?;
            self.run(context, arguments).await
        }
        .boxed()
    }
}

/// All tools, in the order models are told of them.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    entries: Vec<Entry>,
}

impl Registry {
    /// With one tool more.
    #[must_use]
    pub fn with<T: Tool>(mut self, tool: T) -> Self {
        let about = tool.about();
        self.entries.push(Entry {
            offer: ToolOffer {
                name: about.name.into(),
                description: about.description.into(),
                parameters: schema::strict::<T::Arguments>().into(),
            },
            effect: about.effect,
            timeout: about.timeout,
            tool: Arc::new(tool),
        });
        self
    }

    /// Every tool.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tool of this name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.offer.name == name)
    }

    /// Makes one call. Never fails, never panics, ends in time.
    pub async fn call(&self, context: &CallContext, name: &str, arguments: &str) -> Ran {
        let Some(entry) = self.find(name) else {
            return Ran::unsuccessful(CallStatus::Unavailable, format!("there is no tool called {name:?}"));
        };
        if let Some(why) = entry.unavailable() {
            return Ran::unsuccessful(CallStatus::Unavailable, why);
        }
        let call = AssertUnwindSafe(entry.tool.call(context, arguments)).catch_unwind();
        match tokio::time::timeout(entry.timeout, call).await {
            Ok(Ok(Ok(output))) => ran(output),
            Ok(Ok(Err(error))) => {
                let status = match &error {
                    ToolError::Arguments(_) | ToolError::Failed(_) => CallStatus::Failed,
                    ToolError::Denied(_) => CallStatus::Denied,
                    ToolError::Unavailable(_) => CallStatus::Unavailable,
                };
                Ran::unsuccessful(status, error.to_string())
            }
            Ok(Err(_panic)) => {
                tracing::error!(tool = name, "a tool panicked");
                Ran::unsuccessful(CallStatus::Failed, "the tool broke; Mira's log says where")
            }
            Err(_) => {
                let mut why = format!("the tool did not end within {} seconds", entry.timeout.as_secs());
                if entry.effect != Effect::Read {
                    why = format!("{why}; {UNCERTAIN}");
                }
                Ran::unsuccessful(CallStatus::Failed, why)
            }
        }
    }
}

fn ran(output: Output) -> Ran {
    let told = cut(output.text);
    Ran {
        outcome: CallOutcome {
            status: CallStatus::Ok,
            output: output.kept.map_or_else(|| told.clone(), cut),
            data: output.data,
            untrusted: output.untrusted,
        },
        told,
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(OUTPUT_CHARS) {
        text.truncate(end);
        text.push_str("\n(cut: the output was longer)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::About;
    use mira_core::ids::{AccountId, MessageId, ToolCallId, TurnId};
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;
    use uuid::Uuid;

    #[derive(Deserialize, JsonSchema)]
    struct Wanted {
        how: String,
        times: Option<u32>,
    }

    struct Trial;

    impl Tool for Trial {
        type Arguments = Wanted;

        fn about(&self) -> About {
            About {
                name: "trial",
                description: "",
                effect: Effect::Read,
                timeout: Duration::from_secs(5),
            }
        }

        async fn run(&self, _: &CallContext, wanted: Wanted) -> Result<Output, ToolError> {
            match wanted.how.as_str() {
                "denied" => Err(ToolError::Denied("no".into())),
                "panics" => panic!("as told"),
                "hangs" => std::future::pending().await,
                how => Ok(Output::new(how.repeat(wanted.times.unwrap_or(1) as usize), json!({}))),
            }
        }
    }

    struct Absent;

    impl Tool for Absent {
        type Arguments = Wanted;

        fn about(&self) -> About {
            About {
                name: "absent",
                ..Trial.about()
            }
        }

        fn unavailable(&self) -> Option<String> {
            Some("no key".into())
        }

        async fn run(&self, _: &CallContext, _: Wanted) -> Result<Output, ToolError> {
            Err(ToolError::Failed("was asked all the same".into()))
        }
    }

    async fn check(name: &str, arguments: &str, status: CallStatus, told: &str) {
        let context = CallContext {
            account: AccountId::OWNER,
            session: "eternal".parse().unwrap(),
            project: None,
            turn: TurnId(Uuid::nil()),
            message: None,
            reply: MessageId(Uuid::nil()),
            call: ToolCallId(Uuid::nil()),
            untrusted: false,
            zone: jiff::tz::TimeZone::UTC,
        };
        let ran = Registry::default()
            .with(Trial)
            .with(Absent)
            .call(&context, name, arguments)
            .await;
        assert_eq!(ran.outcome.status, status, "{ran:?}");
        assert!(ran.told.contains(told), "{ran:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_call_has_one_outcome() {
        check("trial", r#"{"how":"so","times":null}"#, CallStatus::Ok, "so").await;
        check("trial", r#"{"how":"so"}"#, CallStatus::Ok, "so").await;
        check("trial", r#"{"how":"äb","times":60000}"#, CallStatus::Ok, "(cut").await;
        check("trial", r#"{"how":"denied"}"#, CallStatus::Denied, "no").await;
        check("trial", r#"{"how":"panics"}"#, CallStatus::Failed, "broke").await;
        check("trial", r#"{"how":"hangs"}"#, CallStatus::Failed, "5 seconds").await;
        check("trial", r#"{"how":1}"#, CallStatus::Failed, "arguments").await;
        check("trial", "", CallStatus::Failed, "how").await;
        check("trial", r#"{"how""#, CallStatus::Failed, "arguments").await;
        check("absent", r#"{"how":"so"}"#, CallStatus::Unavailable, "no key").await;
        check("nothing\u{0}", "{}", CallStatus::Unavailable, "no tool").await;
    }
}
