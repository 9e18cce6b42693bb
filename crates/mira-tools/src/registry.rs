//! All tools there are, and one call of one of them from its arguments to its outcome.

use crate::{CallContext, Concurrency, Output, Tool, ToolError, schema};
use futures_util::{FutureExt, future::BoxFuture};
use mira_core::{
    chat::shortened,
    citation::{Passage, Source},
    file::StoredFile,
    tool::{CallOutcome, CallStatus, Effect, ToolOffer, UNCERTAIN},
};
use serde::de::DeserializeOwned;
use std::{fmt::Write, panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// The longest output a model is told, in characters. More would push the conversation out of its sight.
const OUTPUT_CHARS: usize = 64 * 1024;
/// What is kept of one passage for later prompts, in characters.
const KEPT_PASSAGE_CHARS: usize = 600;
/// Said before numbered passages. Not in the system prompt, which is the same whether anything was read or not.
const HOW_TO_POINT: &str =
    "Sources. Right after what you take from one, point at it with its number in brackets, like [1] or [1, 2]:";

/// A call that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// What is kept and told to clients.
    pub outcome: CallOutcome,
    /// What the model reads now.
    pub told: String,
    /// What was read and may be pointed at; the turn numbers it ([`Ran::numbered`]).
    pub sources: Vec<Passage>,
    /// What it brought that a model which sees may look at now.
    pub pictures: Vec<StoredFile>,
    /// Whether the texts of the passages are kept too, shortened, and not only where they stand.
    keeps_text: bool,
}

impl Ran {
    /// A call that came to nothing.
    pub fn unsuccessful(status: CallStatus, why: impl Into<String>) -> Self {
        let outcome = CallOutcome::unsuccessful(status, cut(why.into()));
        Self {
            told: format!("error: {}", outcome.output),
            outcome,
            sources: Vec::new(),
            pictures: Vec::new(),
            keeps_text: false,
        }
    }

    /// What a tool answered, cut to what a call may tell.
    pub fn answered(output: Output) -> Self {
        let told = cut(output.text);
        Self {
            keeps_text: output.kept.is_none(),
            outcome: CallOutcome {
                status: CallStatus::Ok,
                output: output.kept.map_or_else(|| told.clone(), cut),
                data: output.data,
                untrusted: output.untrusted,
            },
            told,
            sources: output.sources,
            pictures: Vec::new(),
        }
    }

    /// What was read, to be numbered by the turn.
    pub fn sources(&self) -> Vec<Source> {
        self.sources.iter().map(|passage| passage.source.clone()).collect()
    }

    /// With its passages under the numbers the turn gave them, one each: whole for the model now, shortened in what is
    /// kept, and there without their texts where a tool keeps less than it tells. The numbers are of this turn alone, so
    /// that what is kept does not show them in brackets.
    #[must_use]
    pub fn numbered(mut self, numbers: &[u32]) -> Self {
        if self.sources.is_empty() {
            return self;
        }
        let _infallible = write!(self.told, "\n\n{HOW_TO_POINT}");
        let mut kept = std::mem::take(&mut self.outcome.output);
        for (passage, number) in std::mem::take(&mut self.sources).iter().zip(numbers) {
            let heading = passage.source.heading();
            let _infallible = write!(self.told, "\n\n[{number}] {heading}\n{}", passage.text.trim());
            let _infallible = write!(kept, "\n\n({number}) {heading}");
            if self.keeps_text {
                let _infallible = write!(kept, "\n{}", shortened(passage.text.trim(), KEPT_PASSAGE_CHARS));
            }
        }
        self.told = cut(self.told);
        self.outcome.output = cut(kept);
        self
    }
}

/// A tool in the registry.
#[derive(Clone)]
pub struct Entry {
    /// As a model is told of it.
    pub offer: ToolOffer,
    /// What it may do.
    pub effect: Effect,
    /// Beside which calls it may run.
    pub concurrency: Concurrency,
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

    /// Whether what it does cannot be undone.
    pub fn is_final(&self) -> bool {
        self.tool.is_final()
    }
}

/// A tool whose arguments are text.
trait Erased: Send + Sync {
    fn unavailable(&self) -> Option<String>;
    fn is_final(&self) -> bool;
    /// `None` where the arguments are not what the tool takes.
    fn effect(&self, context: &CallContext, arguments: &str) -> Option<Effect>;
    fn call<'a>(&'a self, context: &'a CallContext, arguments: &'a str) -> BoxFuture<'a, Result<Output, ToolError>>;
}

impl<T: Tool> Erased for T {
    fn unavailable(&self) -> Option<String> {
        Tool::unavailable(self)
    }

    fn is_final(&self) -> bool {
        Tool::is_final(self)
    }

    fn effect(&self, context: &CallContext, arguments: &str) -> Option<Effect> {
        let arguments = parse(arguments).ok()?;
        Some(self.effect_of(context, &arguments))
    }

    fn call<'a>(&'a self, context: &'a CallContext, arguments: &'a str) -> BoxFuture<'a, Result<Output, ToolError>> {
        async move { self.run(context, parse(arguments)?).await }.boxed()
    }
}

fn parse<A: DeserializeOwned>(arguments: &str) -> Result<A, ToolError> {
    // Models write nothing at all where there is nothing to say.
    let text = if arguments.trim().is_empty() { "{}" } else { arguments };
    serde_json::from_str(text).map_err(|error| ToolError::Arguments(error.to_string()))
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
            offer: ToolOffer::new(about.name, about.description, schema::strict::<T::Arguments>()),
            effect: about.effect,
            concurrency: about.concurrency,
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

    /// What this call may do. An unknown tool does nothing; a tool that cannot read the arguments could at most do what
    /// it does at all.
    pub fn effect(&self, context: &CallContext, name: &str, arguments: &str) -> Effect {
        self.find(name).map_or(Effect::Read, |entry| {
            entry.tool.effect(context, arguments).unwrap_or(entry.effect)
        })
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
            Ok(Ok(Ok(output))) => Ran::answered(output),
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
                concurrency: Concurrency::Together,
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

    /// It reaches beyond Mira only where it is told to.
    struct Mixed;

    impl Tool for Mixed {
        type Arguments = Wanted;

        fn about(&self) -> About {
            About {
                name: "mixed",
                effect: Effect::Outside,
                ..Trial.about()
            }
        }

        fn effect_of(&self, context: &CallContext, wanted: &Wanted) -> Effect {
            if context.meets_strangers() && wanted.how == "far" {
                Effect::Outside
            } else {
                Effect::Read
            }
        }

        fn is_final(&self) -> bool {
            true
        }

        async fn run(&self, _: &CallContext, _: Wanted) -> Result<Output, ToolError> {
            Ok(Output::new("", json!({})))
        }
    }

    #[test]
    fn a_call_may_do_what_it_says_and_at_most_what_its_tool_may() {
        let registry = Registry::default().with(Trial).with(Mixed);
        let mut context = context();
        let mut check = |untrusted, name: &str, arguments: &str, expect| {
            context.untrusted = untrusted;
            assert_eq!(registry.effect(&context, name, arguments), expect, "{name} {arguments}");
        };
        check(false, "mixed", r#"{"how":"far"}"#, Effect::Read);
        check(true, "mixed", r#"{"how":"far"}"#, Effect::Outside);
        check(true, "mixed", r#"{"how":"near"}"#, Effect::Read);
        check(true, "mixed", r#"{"how""#, Effect::Outside);
        check(true, "trial", r#"{"how":"far"}"#, Effect::Read);
        check(true, "nothing", "{}", Effect::Read);
        assert!(registry.find("mixed").unwrap().is_final());
        assert!(!registry.find("trial").unwrap().is_final());
    }

    #[test]
    fn passages_are_told_under_their_numbers() {
        let passage = |title: &str, page, text: &str| Passage {
            source: Source {
                url: Some("https://a.example/".into()),
                page,
                title: title.into(),
                ..Source::default()
            },
            text: text.into(),
        };
        let long = "x".repeat(KEPT_PASSAGE_CHARS + 1);
        let mut output = Output::new("Two pages.", json!({}));
        output.sources = vec![passage("A", None, " one "), passage("B", Some(3), &long)];
        let numbered = Ran::answered(output.clone()).numbered(&[4, 2]);
        assert_eq!(
            numbered.told,
            format!(
                "Two pages.\n\n{HOW_TO_POINT}\n\n[4] A \u{2014} https://a.example/\none\n\n\
                 [2] B (page 3) \u{2014} https://a.example/\n{long}"
            )
        );
        let kept = &numbered.outcome.output;
        assert!(
            kept.starts_with("Two pages.\n\n(4) A \u{2014} https://a.example/\none\n\n(2) B (page 3)"),
            "{kept}"
        );
        assert!(kept.ends_with("x\u{2026}") && !kept.contains('['), "{kept}");
        output.kept = Some("two".into());
        let kept = Ran::answered(output).numbered(&[1, 2]).outcome.output;
        assert!(kept.starts_with("two\n\n(1) A") && !kept.contains("one"), "{kept}");
        let plain = Ran::answered(Output::new("plain", json!({})));
        assert_eq!(plain.clone().numbered(&[]), plain);
    }

    fn context() -> CallContext {
        CallContext {
            account: AccountId::OWNER,
            session: "eternal".parse().unwrap(),
            project: None,
            turn: TurnId(Uuid::nil()),
            message: None,
            reply: MessageId(Uuid::nil()),
            call: ToolCallId(Uuid::nil()),
            untrusted: false,
            exposed: false,
            approved: false,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    async fn check(name: &str, arguments: &str, status: CallStatus, told: &str) {
        let context = context();
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
