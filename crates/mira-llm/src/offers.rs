//! What a server takes of tools, learned from its refusals, and how calls are told to it. One field for each thing that
//! servers differ in; what is sent besides tools is in `dialect`.

use crate::{
    dialect::{Ask, Asked, Dialect, Stage, TailPlace},
    endpoint::Api,
    refusal::Refusal,
};
use mira_core::{model::ModelRequest, tool::ToolOffer};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is sent of tools.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that servers refuse by itself"
)]
pub(crate) struct Offers {
    /// `tools` is sent.
    pub taken: bool,
    /// The same for the legacy `functions` form.
    pub legacy: bool,
    /// `strict` is sent with a tool.
    pub strict: bool,
    /// `tool_choice` other than a named function is sent.
    pub choice: bool,
    /// Calls and their outputs are told as such, not in words.
    pub role: bool,
    /// A message of calls without text has null as its content, not an empty text.
    pub null_content: bool,
    /// The tools that are sent without `strict`, and those that are not sent, because the server has refused just them.
    loose: Refused,
    out: Refused,
}

/// Tools as they were when they were refused: under another schema a tool is offered again. The newest
/// [`MOST_REFUSED`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Refused(Vec<u64>);

const MOST_REFUSED: usize = 256;

impl Refused {
    fn key(tool: &ToolOffer) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&tool.name, &tool.parameters).hash(&mut hasher);
        hasher.finish()
    }

    fn has(&self, tool: &ToolOffer) -> bool {
        // Nothing is hashed where nothing was refused.
        !self.0.is_empty() && self.0.contains(&Self::key(tool))
    }

    fn insert(&mut self, tool: &ToolOffer) {
        if self.0.len() == MOST_REFUSED {
            self.0.remove(0);
        }
        self.0.push(Self::key(tool));
    }
}

impl Default for Offers {
    fn default() -> Self {
        Self {
            taken: true,
            legacy: true,
            strict: true,
            choice: true,
            role: true,
            null_content: true,
            loose: Refused::default(),
            out: Refused::default(),
        }
    }
}

/// How calls and their outputs stand in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Items of the Responses API.
    Items,
    /// `tool_calls` and messages of the role `tool`.
    Tools,
    /// `function_call` and messages of the role `function`.
    Functions,
    /// Words in the assistant's message.
    Words,
}

/// What the choice among the tools is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The server's default: the model chooses.
    Unsaid,
    /// The model chooses, said where the form wants it.
    Auto,
    /// One of them, whichever.
    Required,
    /// None of them.
    None,
    /// `format_response`.
    Answer,
}

impl Dialect {
    /// Whether a request of `stage` has the request's tools in it.
    pub fn offers_tools(&self, stage: Stage<'_>, request: &ModelRequest) -> bool {
        request.tools.iter().any(|tool| !self.offers.out.has(tool))
            && match (stage, self.ask(stage)) {
                (Stage::Side { .. }, _) | (Stage::Metadata { .. }, Ask::LegacyFunction) => false,
                (Stage::Reply, Ask::LegacyFunction) => self.offers.legacy,
                // Without a way to say "none of them" they are not shown where none may be called.
                (_, Ask::Schema | Ask::Words) if stage != Stage::Reply || request.no_more_calls => {
                    self.offers.taken && self.offers.choice
                }
                (_, Ask::Schema | Ask::Words | Ask::Tool) => self.offers.taken,
            }
    }

    /// The tools in a request of `stage`, each with whether it is held to its schema.
    pub fn offered<'r>(
        &self,
        stage: Stage<'_>,
        request: &'r ModelRequest,
    ) -> impl Iterator<Item = (&'r ToolOffer, bool)> {
        let offered = self.offers_tools(stage, request);
        let tools = request.tools.iter().filter(move |_| offered);
        tools
            .filter(|tool| !self.offers.out.has(tool))
            .map(|tool| (tool, self.offers.strict && !self.offers.loose.has(tool)))
    }

    /// The choice among the tools of a request.
    pub fn choice(&self, stage: Stage<'_>, request: &ModelRequest) -> Choice {
        let offers = self.offers_tools(stage, request) || !self.offers_hosted(stage, request).is_empty();
        let may_call = offers && stage == Stage::Reply && !request.no_more_calls;
        match (self.ask(stage), may_call) {
            (Ask::Tool, true) if self.offers.choice => Choice::Required,
            (Ask::Tool | Ask::LegacyFunction, true) => Choice::Auto,
            (Ask::Tool | Ask::LegacyFunction, false) => Choice::Answer,
            (Ask::Schema | Ask::Words, false) if offers => Choice::None,
            (Ask::Schema | Ask::Words, _) => Choice::Unsaid,
        }
    }

    /// Whether the model can be offered tools, as far as is known.
    pub fn takes_tools(&self) -> bool {
        match self.reply_ask {
            Ask::LegacyFunction => self.offers.legacy,
            Ask::Schema | Ask::Tool | Ask::Words => self.offers.taken,
        }
    }

    /// Whether the server has refused this very tool, so that it is left out.
    pub fn refuses(&self, tool: &ToolOffer) -> bool {
        self.offers.out.has(tool)
    }

    /// How the calls of this reply's rounds are told.
    pub fn told(&self, stage: Stage<'_>) -> Told {
        match (stage, self.reply_ask) {
            (Stage::Side { .. }, _) => Told::Words,
            _ if !self.takes_tools() || !self.offers.role => Told::Words,
            (_, Ask::LegacyFunction) => Told::Functions,
            (_, Ask::Schema | Ask::Tool | Ask::Words) => match self.api() {
                Api::Responses => Told::Items,
                Api::Chat => Told::Tools,
            },
        }
    }

    /// How the calls of earlier replies are told: where a template wants the roles to alternate, in words.
    pub fn told_before(&self, stage: Stage<'_>) -> Told {
        match self.tail {
            TailPlace::OwnItem => self.told(stage),
            TailPlace::LastUserMessage => Told::Words,
        }
    }

    /// For a refusal that names one tool: one bad schema, of an MCP server perhaps, must not cost her all the others. First
    /// the tool is no longer held to its schema, then it is left out.
    pub(crate) fn step_function(&mut self, asked: &Asked<'_>, refusal: &Refusal<'_>) -> bool {
        if !self.sends_tools(asked.stage) {
            return false;
        }
        let hosted = asked.hosted.iter().filter(|kind| self.takes_hosted(**kind)).count();
        let mut sent = asked.functions.iter().filter(|tool| !self.offers.out.has(tool));
        let quoted = sent.clone().find(|tool| refusal.quotes(&tool.name));
        let placed = || sent.nth(refusal.function_place()?.checked_sub(hosted)?);
        let Some(tool) = quoted.or_else(placed) else {
            return false;
        };
        let strict = self.offers.strict && self.ask(asked.stage) != Ask::LegacyFunction;
        if strict && !self.offers.loose.has(tool) {
            self.offers.loose.insert(tool);
        } else {
            tracing::warn!(tool.name = %tool.name, "the model's server refuses this tool: it is left out until its schema changes");
            self.offers.out.insert(tool);
        }
        true
    }

    /// A step down for a refusal that names something of tools; false if it does not, or there is no step left.
    pub(crate) fn step_tools(&mut self, asked: &Asked<'_>, refusal: &Refusal<'_>) -> bool {
        if asked.calls && self.step_calls(refusal) {
            return true;
        }
        if !asked.tools || !self.sends_tools(asked.stage) || !refusal.speaks_of_tools() {
            return false;
        }
        // Either is taken, not both at once: another form of the reply goes with tools.
        if self.ask(asked.stage) == Ask::Schema && refusal.speaks_of_schema() && self.step_format(asked.stage) {
            return true;
        }
        if self.ask(asked.stage) == Ask::LegacyFunction {
            self.offers.legacy = false;
            return true;
        }
        let forced = self.ask(asked.stage) == Ask::Tool;
        if refusal.refuses_tools() {
            self.offers.taken = false;
        } else if refusal.speaks_of_choice() && self.offers.choice {
            self.offers.choice = false;
        } else if self.offers.strict {
            self.offers.strict = false;
        } else if self.offers.choice && forced {
            self.offers.choice = false;
        } else {
            self.offers.taken = false;
        }
        true
    }

    /// The last resort: the answer, without tools.
    pub(crate) fn drop_tools(&mut self, asked: &Asked<'_>) -> bool {
        let dropped = asked.tools && self.sends_tools(asked.stage);
        if dropped {
            self.offers.taken = false;
            self.offers.legacy = false;
        }
        dropped
    }

    fn sends_tools(&self, stage: Stage<'_>) -> bool {
        match (stage, self.ask(stage)) {
            (Stage::Side { .. }, _) => false,
            (_, Ask::LegacyFunction) => self.offers.legacy,
            (_, Ask::Schema | Ask::Tool | Ask::Words) => self.offers.taken,
        }
    }

    /// For a refusal of how calls are told.
    fn step_calls(&mut self, refusal: &Refusal<'_>) -> bool {
        if self.offers.null_content && self.api() == Api::Chat && refusal.speaks_of_content() {
            self.offers.null_content = false;
            return true;
        }
        if self.offers.role && refusal.speaks_of_roles() {
            self.offers.role = false;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{endpoint::Endpoint, error::LlmError};
    use mira_core::model::HostedKind;
    use std::sync::Arc;

    /// What is left of three tools, and which are held to their schemas, after a refusal that comes `times` times.
    fn check(param: &str, message: &str, times: usize, left: &[(&str, bool)]) {
        let offer = |name: &str| ToolOffer::new(name, "", "{}");
        let functions: Arc<[ToolOffer]> = ["recall", "mcp__a__search", "mcp__b__search"].map(offer).into();
        let mut dialect = Dialect::new(&Endpoint::new("http://localhost", Api::Responses, "m"));
        let asked = Asked {
            stage: Stage::Reply,
            tools: true,
            functions: functions.clone(),
            calls: false,
            pictures: Vec::new(),
            hosted: vec![HostedKind::WebSearch],
            given: Vec::new(),
        };
        let error = LlmError::BadRequest {
            status: 400,
            code: None,
            param: (!param.is_empty()).then(|| param.to_owned()),
            message: message.to_owned(),
        };
        for _ in 0..times {
            assert!(dialect.adapt(&asked, &error), "{message}");
        }
        assert!(dialect.takes_hosted(HostedKind::WebSearch), "{message}");
        let offers = &dialect.offers;
        let found: Vec<_> = functions
            .iter()
            .filter(|tool| !offers.out.has(tool))
            .map(|tool| (&*tool.name, offers.strict && !offers.loose.has(tool)))
            .collect();
        assert_eq!(found, left, "{param} {message}");
    }

    #[test]
    fn one_refused_tool_costs_no_other() {
        let said =
            "Invalid schema for function 'mcp__a__search': In context=(), 'required' is required to be supplied.";
        let loose = [("recall", true), ("mcp__a__search", false), ("mcp__b__search", true)];
        let without = [("recall", true), ("mcp__b__search", true)];
        check("tools[2].parameters", said, 1, &loose);
        check("", said, 2, &without);
        // Behind the one the server runs itself.
        check("tools[2].parameters", "No JSON Schema.", 1, &loose);
        check("tools[2].function.parameters", "No JSON Schema.", 2, &without);
        check(
            "tools[1].name",
            "Too long.",
            2,
            &[("mcp__a__search", true), ("mcp__b__search", true)],
        );
        // Not of one tool.
        let none = [("recall", false), ("mcp__a__search", false), ("mcp__b__search", false)];
        check("tools[2].strict", "Unknown parameter: 'strict'.", 1, &none);
    }
}
