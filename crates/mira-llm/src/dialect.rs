//! What a server and model take, learned from their refusals: which form the reply is asked in and which optional
//! parameters are sent. No model's name stands here. A call works on its own copy; what an accepted request has proved
//! is remembered for the process.

use crate::{
    endpoint::{Api, Endpoint, ReplyFormat},
    error::LlmError,
    hosted_offers::Hosted,
    offers::Offers,
    pictures::{self, Judged},
    refusal::Refusal,
};
use mira_core::{
    model::{HostedKind, HostedTool, ModelRequest},
    tool::ToolOffer,
};
use std::sync::Arc;

/// How a request asks for a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A strict JSON schema.
    Schema,
    /// A forced function in the tools form.
    Tool,
    /// A forced function in the legacy `functions` form (Chat Completions only).
    LegacyFunction,
    /// Not at all: the reply is plain text, its metadata is asked for in words.
    Words,
}

impl Ask {
    /// The next simpler form.
    fn simpler(self, api: Api) -> Option<Self> {
        match (self, api) {
            (Self::Schema, _) => Some(Self::Tool),
            (Self::Tool, Api::Chat) => Some(Self::LegacyFunction),
            (Self::Tool, Api::Responses) | (Self::LegacyFunction, _) => Some(Self::Words),
            (Self::Words, _) => None,
        }
    }

    /// Whether the answer comes as the arguments of a call.
    pub fn is_function(self) -> bool {
        matches!(self, Self::Tool | Self::LegacyFunction)
    }
}

/// Which call a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage<'a> {
    /// The reply itself.
    Reply,
    /// The metadata of a reply that was streamed as plain text.
    Metadata {
        /// The text.
        said: &'a str,
    },
    /// A question beside the conversation, answered in plain words.
    Side {
        /// The most tokens of the answer, reasoning included.
        most: u32,
    },
}

/// What a refused request was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    pub stage: Stage<'a>,
    /// Whether it had tools to offer.
    pub tools: bool,
    /// Those tools.
    pub functions: Arc<[ToolOffer]>,
    /// Whether it told of calls.
    pub calls: bool,
    /// The hashes of the pictures in it.
    pub pictures: Vec<[u8; 32]>,
    /// The tools of the server's own that a turn wished for, in their order.
    pub hosted: Vec<HostedKind>,
    /// The files that code of the server's was to read.
    pub given: Vec<String>,
}

impl<'a> Asked<'a> {
    /// A request in one of its stages.
    pub fn new(stage: Stage<'a>, request: &ModelRequest) -> Self {
        Self {
            stage,
            tools: !request.tools.is_empty(),
            functions: request.tools.clone(),
            calls: !request.rounds.is_empty() || request.messages.iter().any(|message| !message.calls.is_empty()),
            pictures: pictures::hashes(request),
            hosted: request.hosted.iter().map(HostedTool::kind).collect(),
            given: request.hosted.iter().flat_map(HostedTool::files).cloned().collect(),
        }
    }
}

/// Which name the output limit has in Chat Completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitName {
    MaxCompletionTokens,
    MaxTokens,
}

/// The role of what is not the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopRole {
    Developer,
    System,
}

/// Where the state of the moment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TailPlace {
    /// An item of its own after the last message.
    OwnItem,
    /// The end of the last user message: many chat templates refuse a system message there, and two messages of one
    /// role in a row.
    LastUserMessage,
}

/// What to send. Each field is the answer to one thing that servers differ in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    api: Api,
    /// How the reply is asked for; [`Ask::Words`] is the two-step form.
    pub reply_ask: Ask,
    /// How the metadata of a plain reply is asked for.
    pub metadata_ask: Ask,
    /// Which steps down the owner's choice allows.
    format: ReplyFormat,
    pub verbosity: Option<String>,
    pub effort: Option<String>,
    pub max_tokens: Option<u32>,
    pub limit_name: LimitName,
    pub cache_key: bool,
    /// `include_obfuscation` (Responses), `include_usage` (Chat).
    pub stream_options: bool,
    pub encrypted_reasoning: bool,
    pub store: bool,
    pub top_role: TopRole,
    pub tail: TailPlace,
    /// What is sent of tools.
    pub offers: Offers,
    /// What is sent of tools that the server runs.
    pub hosted: Hosted,
    /// Pictures are shown.
    pub pictures: bool,
    /// Which of them were refused, which says nothing of others.
    judged: Judged,
    /// Plain replies in a row from a server that took the schema: it ignores it.
    pub ignored: u8,
}

/// After so many plain replies in a row a server is believed to ignore schemas.
const IGNORED_LIMIT: u8 = 2;

/// Values from the strongest down; a refused one is replaced by the next.
const EFFORTS: &[&str] = &["max", "xhigh", "high", "medium", "low", "minimal", "none"];
const VERBOSITIES: &[&str] = &["high", "medium", "low"];

impl Dialect {
    /// What to try first at an endpoint.
    pub fn new(endpoint: &Endpoint) -> Self {
        let responses = endpoint.api == Api::Responses;
        // Whoever speaks the Responses API takes OpenAI's roles and parameters; a refusal still drops them.
        let openai = endpoint.openai || responses;
        Self {
            api: endpoint.api,
            reply_ask: match endpoint.reply_format {
                ReplyFormat::Auto | ReplyFormat::JsonSchema => Ask::Schema,
                ReplyFormat::Function => Ask::Tool,
                ReplyFormat::TwoStep => Ask::Words,
            },
            metadata_ask: Ask::Schema,
            format: endpoint.reply_format,
            verbosity: endpoint.verbosity.clone(),
            effort: endpoint.reasoning_effort.clone(),
            max_tokens: Some(endpoint.max_output_tokens),
            limit_name: if openai {
                LimitName::MaxCompletionTokens
            } else {
                LimitName::MaxTokens
            },
            cache_key: openai,
            stream_options: openai || !responses,
            encrypted_reasoning: responses && endpoint.reasoning_effort.is_some(),
            store: responses,
            top_role: if openai { TopRole::Developer } else { TopRole::System },
            tail: if openai {
                TailPlace::OwnItem
            } else {
                TailPlace::LastUserMessage
            },
            offers: Offers::default(),
            hosted: Hosted::default(),
            pictures: true,
            judged: Judged::default(),
            ignored: 0,
        }
    }

    /// The API it speaks.
    pub fn api(&self) -> Api {
        self.api
    }

    /// The form used in `stage`.
    pub fn ask(&self, stage: Stage<'_>) -> Ask {
        match stage {
            Stage::Reply => self.reply_ask,
            Stage::Metadata { .. } => self.metadata_ask,
            Stage::Side { .. } => Ask::Words,
        }
    }

    /// Notes whether a reply kept to the schema it was asked in.
    pub fn note_shape(&mut self, kept: bool) {
        self.ignored = if kept { 0 } else { self.ignored.saturating_add(1) };
        if self.ignored >= IGNORED_LIMIT && self.format == ReplyFormat::Auto {
            self.reply_ask = Ask::Words;
        }
    }

    /// Changes what is sent so that `error` may not come again; false if there is nothing to change. Each change is a
    /// step on a finite ladder, so that a call that adapts and repeats comes to an end.
    pub fn adapt(&mut self, asked: &Asked<'_>, error: &LlmError) -> bool {
        match error {
            LlmError::BadRequest {
                status,
                code,
                param,
                message,
            } => {
                let refusal = Refusal::new(*status, code.as_deref(), param.as_deref(), message);
                self.adapt_to(asked, &refusal)
            }
            // Local servers call it their own fault that they were started without tools or eyes.
            LlmError::Server {
                status: Some(500),
                message,
                ..
            } => {
                let refusal = Refusal::new(500, None, None, message);
                self.step_pictures(asked, &refusal) || refusal.refuses_tools() && self.step_tools(asked, &refusal)
            }
            // Some servers reserve the output limit inside the context: without it the prompt may fit.
            LlmError::ContextTooLong { .. } => self.max_tokens.take().is_some(),
            _ => false,
        }
    }

    /// What is true of the server and not only of one request.
    pub fn lasting(mut self) -> Self {
        self.hosted.lasting();
        self
    }

    /// Whether this picture is shown, by its hash.
    pub fn shows(&self, sha256: &[u8; 32]) -> bool {
        self.pictures && !self.judged.refuses(sha256)
    }

    fn shown(&self, mut pictures: Vec<[u8; 32]>) -> Vec<[u8; 32]> {
        pictures.retain(|sha256| self.shows(sha256));
        pictures
    }

    /// Notes that a request was taken with its pictures.
    pub fn took(&mut self, request: &ModelRequest) {
        let shown = self.shown(pictures::hashes(request));
        self.judged.take(&shown);
    }

    /// Leaves pictures out where the refusal is about them.
    fn step_pictures(&mut self, asked: &Asked<'_>, refusal: &Refusal<'_>) -> bool {
        let shown = self.shown(asked.pictures.clone());
        let step = !shown.is_empty() && refusal.speaks_of_pictures();
        if step {
            if refusal.refuses_pictures() {
                self.pictures = false;
            } else {
                self.judged.refuse(&asked.pictures, &shown);
            }
        }
        step
    }

    fn adapt_to(&mut self, asked: &Asked<'_>, refusal: &Refusal<'_>) -> bool {
        let stage = asked.stage;
        if !matches!(refusal.status, 400 | 404 | 405 | 415 | 422 | 501) {
            return false;
        }
        self.step_includes(asked, refusal)
            || self.step_function(asked, refusal)
            || self.drop_parameter(refusal, |word| refusal.param_is(word))
            || self.step_gone(asked, refusal)
            || self.step_hosted(asked, refusal)
            || self.step_pictures(asked, refusal)
            || (refusal.speaks_of_format_param() && (self.step_tools(asked, refusal) || self.step_format(stage)))
            || self.drop_parameter(refusal, |word| refusal.message_quotes(word))
            || self.step_tools(asked, refusal)
            || (refusal.speaks_of_format() && (self.step_format(stage) || self.drop_tools(asked)))
    }

    /// Drops or lowers the optional parameter that the refusal names, as `names` finds it.
    fn drop_parameter(&mut self, refusal: &Refusal<'_>, names: impl Fn(&str) -> bool) -> bool {
        let named = |words: &[&str]| words.iter().any(|word| names(word));
        if self.verbosity.is_some() && named(&["verbosity"]) {
            self.verbosity = refusal.lower_value(VERBOSITIES, self.verbosity.as_deref());
            return true;
        }
        // Before `reasoning`, whose name it contains.
        if self.encrypted_reasoning && named(&["include", "encrypted_content"]) {
            self.encrypted_reasoning = false;
            return true;
        }
        if self.effort.is_some() && named(&["reasoning", "reasoning_effort", "effort", "thinking"]) {
            self.effort = refusal.lower_value(EFFORTS, self.effort.as_deref());
            // Nothing to carry where nothing is reasoned.
            self.encrypted_reasoning &= self.effort.is_some();
            return true;
        }
        if self.max_tokens.is_some() && named(&["max_output_tokens", "max_completion_tokens", "max_tokens"]) {
            self.lower_limit(refusal);
            return true;
        }
        for (sent, words) in [
            (&mut self.cache_key, &["prompt_cache_key"][..]),
            (
                &mut self.stream_options,
                &["stream_options", "include_obfuscation", "include_usage"],
            ),
            (&mut self.store, &["store"]),
        ] {
            if *sent && named(words) {
                *sent = false;
                return true;
            }
        }
        if self.top_role == TopRole::Developer && (named(&["developer"]) || refusal.lower.contains("developer")) {
            self.top_role = TopRole::System;
            self.tail = TailPlace::LastUserMessage;
            return true;
        }
        false
    }

    /// The other name of the limit, the number the server names, or no limit.
    fn lower_limit(&mut self, refusal: &Refusal<'_>) {
        let other = match self.limit_name {
            LimitName::MaxTokens => "max_completion_tokens",
            LimitName::MaxCompletionTokens => "max_tokens",
        };
        let sent = self.max_tokens.unwrap_or_default();
        if self.api == Api::Chat
            && refusal.is_unknown()
            && refusal.lower.contains("instead")
            && refusal.lower.contains(other)
        {
            self.limit_name = match self.limit_name {
                LimitName::MaxTokens => LimitName::MaxCompletionTokens,
                LimitName::MaxCompletionTokens => LimitName::MaxTokens,
            };
        } else if self.limit_name == LimitName::MaxCompletionTokens && self.api == Api::Chat && refusal.is_unknown() {
            self.limit_name = LimitName::MaxTokens;
        } else {
            self.max_tokens = refusal.number_after("at most").filter(|most| (16..sent).contains(most));
        }
    }

    /// The next simpler form of the answer, where the owner's choice allows it.
    pub(crate) fn step_format(&mut self, stage: Stage<'_>) -> bool {
        let allowed = match stage {
            Stage::Metadata { .. } => true,
            Stage::Side { .. } => false,
            Stage::Reply => match self.format {
                ReplyFormat::Auto => true,
                ReplyFormat::Function => self.reply_ask == Ask::Tool && self.api == Api::Chat,
                ReplyFormat::JsonSchema | ReplyFormat::TwoStep => false,
            },
        };
        let Some(simpler) = self.ask(stage).simpler(self.api).filter(|_| allowed) else {
            return false;
        };
        match stage {
            Stage::Reply => self.reply_ask = simpler,
            Stage::Metadata { .. } => self.metadata_ask = simpler,
            Stage::Side { .. } => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(api: Api, openai: bool) -> Endpoint {
        Endpoint {
            verbosity: Some("high".into()),
            reasoning_effort: Some("high".into()),
            openai,
            ..Endpoint::new("http://localhost", api, "m")
        }
    }

    fn bad(status: u16, code: &str, param: &str, message: &str) -> LlmError {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        LlmError::BadRequest {
            status,
            code: some(code),
            param: some(param),
            message: message.to_owned(),
        }
    }

    /// A request without tools.
    fn plain(stage: Stage<'_>) -> Asked<'_> {
        Asked {
            stage,
            tools: false,
            functions: Arc::default(),
            calls: false,
            pictures: Vec::new(),
            hosted: Vec::new(),
            given: Vec::new(),
        }
    }

    /// What `error` changes, beginning from the first dialect of an endpoint.
    fn check(endpoint: &Endpoint, error: &LlmError, change: impl FnOnce(&mut Dialect)) {
        let first = Dialect::new(endpoint);
        let (mut adapted, mut expect) = (first.clone(), first.clone());
        let changed = adapted.adapt(&plain(Stage::Reply), error);
        change(&mut expect);
        assert_eq!(adapted, expect, "{error}");
        assert_eq!(changed, expect != first, "{error}");
    }

    #[test]
    fn openai_responses() {
        let e = endpoint(Api::Responses, true);
        check(
            &e,
            &bad(
                400,
                "unsupported_parameter",
                "text.verbosity",
                "Unsupported parameter: 'text.verbosity'",
            ),
            |d| {
                d.verbosity = None;
            },
        );
        check(
            &e,
            &bad(400, "unsupported_value", "text.verbosity", "Unsupported value: 'high'"),
            |d| {
                d.verbosity = Some("medium".into());
            },
        );
        check(
            &e,
            &bad(
                400,
                "unsupported_value",
                "reasoning.effort",
                "Unsupported value: 'high'",
            ),
            |d| {
                d.effort = Some("medium".into());
            },
        );
        check(
            &e,
            &bad(
                400,
                "unsupported_parameter",
                "reasoning.effort",
                "not supported with this model",
            ),
            |d| {
                d.effort = None;
                d.encrypted_reasoning = false;
            },
        );
        check(
            &e,
            &bad(400, "", "include", "Encrypted content is not supported with this model"),
            |d| d.encrypted_reasoning = false,
        );
        check(
            &e,
            &bad(
                400,
                "unknown_parameter",
                "stream_options.include_obfuscation",
                "Unknown parameter",
            ),
            |d| {
                d.stream_options = false;
            },
        );
        check(
            &e,
            &bad(
                400,
                "",
                "max_output_tokens",
                "max_output_tokens is too large: 128000. This model supports at most 16,384",
            ),
            |d| {
                d.max_tokens = Some(16_384);
            },
        );
        check(
            &e,
            &bad(
                400,
                "",
                "text.format",
                "Invalid parameter: 'text.format' of type 'json_schema' is not supported",
            ),
            |d| {
                d.reply_ask = Ask::Tool;
            },
        );
        check(
            &e,
            &bad(400, "invalid_prompt", "input", "Your prompt was flagged"),
            |_| {},
        );
        check(&e, &LlmError::ContextTooLong { message: String::new() }, |d| {
            d.max_tokens = None;
        });
        check(&e, &LlmError::Quota, |_| {});
    }

    #[test]
    fn chat_servers() {
        let e = endpoint(Api::Chat, false);
        check(
            &e,
            &bad(400, "", "", "`response_format` is not supported by this model"),
            |d| d.reply_ask = Ask::Tool,
        );
        check(&e, &bad(501, "", "", "no"), |d| d.reply_ask = Ask::Tool);
        check(&e, &bad(404, "", "", "No endpoints found that support tool use"), |d| {
            d.reply_ask = Ask::Tool;
        });
        check(&e, &bad(404, "", "", "page missing"), |_| {});
        check(&e, &bad(400, "", "", "\"llama3\" does not support thinking"), |d| {
            d.effort = None;
        });
        check(
            &e,
            &bad(
                422,
                "",
                "",
                r#"[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]"#,
            ),
            |d| {
                d.stream_options = false;
            },
        );
        check(&e, &bad(400, "", "", "max_tokens must be at most 4096"), |d| {
            d.max_tokens = Some(4096);
        });
        check(
            &e,
            &bad(
                400,
                "unsupported_parameter",
                "max_tokens",
                "Use 'max_completion_tokens' instead.",
            ),
            |d| {
                d.limit_name = LimitName::MaxCompletionTokens;
            },
        );
        let e = endpoint(Api::Chat, true);
        check(
            &e,
            &bad(400, "", "messages[0].role", "Invalid value: 'developer'"),
            |d| {
                d.top_role = TopRole::System;
                d.tail = TailPlace::LastUserMessage;
            },
        );
        check(
            &e,
            &bad(
                400,
                "",
                "",
                "Unrecognized request argument supplied: max_completion_tokens",
            ),
            |d| {
                d.limit_name = LimitName::MaxTokens;
            },
        );
    }

    #[test]
    fn a_chosen_format_stays() {
        let refused = bad(400, "", "tools", "tools are not supported");
        let mut e = endpoint(Api::Chat, false);
        e.reply_format = ReplyFormat::JsonSchema;
        check(&e, &refused, |_| {});
        e.reply_format = ReplyFormat::Function;
        check(&e, &refused, |d| d.reply_ask = Ask::LegacyFunction);
        let mut legacy = Dialect::new(&e);
        assert!(legacy.adapt(&plain(Stage::Reply), &refused));
        assert!(!legacy.adapt(&plain(Stage::Reply), &refused));
        assert!(
            legacy.adapt(&plain(Stage::Metadata { said: "" }), &refused),
            "the second call takes what it gets"
        );
        e.api = Api::Responses;
        check(&e, &refused, |_| {});
    }

    #[test]
    fn a_refused_picture_is_not_sent_again() {
        let (good, broken) = ([1; 32], [2; 32]);
        let refused = bad(400, "invalid_image", "input", "The image data is corrupt");
        let with = |pictures: &[[u8; 32]]| Asked {
            pictures: pictures.to_vec(),
            ..plain(Stage::Reply)
        };
        let mut dialect = Dialect::new(&endpoint(Api::Responses, true));
        dialect.judged.take(&[good]);
        assert!(dialect.adapt(&with(&[good, broken]), &refused));
        // In the next call, too.
        let next = dialect.lasting();
        assert!(next.shows(&good) && !next.shows(&broken));
        let mut again = next.clone();
        assert!(!again.adapt(&with(&[broken]), &refused), "it was not in there");
        assert!(again.adapt(&with(&[good, broken]), &refused) && !again.shows(&good));
        assert!(!again.adapt(&with(&[good, broken]), &refused));
    }

    #[test]
    fn ladders_end() {
        for api in [Api::Responses, Api::Chat] {
            let mut dialect = Dialect::new(&endpoint(api, true));
            let errors = [
                bad(
                    400,
                    "unsupported_value",
                    "",
                    "Unsupported value: 'reasoning_effort' `store` verbosity 'include' max_tokens",
                ),
                bad(
                    400,
                    "unknown_parameter",
                    "",
                    "developer max_completion_tokens stream_options prompt_cache_key tools",
                ),
            ];
            // With tools to offer and calls to tell of, which are more to give up.
            let asked = Asked {
                hosted: HostedKind::ALL.to_vec(),
                tools: true,
                calls: true,
                ..plain(Stage::Reply)
            };
            let steps = (0..100).find(|_| !errors.iter().any(|error| dialect.adapt(&asked, error)));
            assert!(steps.is_some_and(|steps| steps < 40), "{steps:?}");
            assert_eq!((dialect.reply_ask, dialect.takes_tools()), (Ask::Words, false));
        }
    }

    #[test]
    fn a_server_that_ignores_schemas_is_noticed() {
        let mut dialect = Dialect::new(&endpoint(Api::Chat, false));
        for (kept, ask) in [
            (false, Ask::Schema),
            (true, Ask::Schema),
            (false, Ask::Schema),
            (false, Ask::Words),
        ] {
            dialect.note_shape(kept);
            assert_eq!(dialect.reply_ask, ask);
        }
    }
}
