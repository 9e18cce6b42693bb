//! What a server takes of the tools it runs itself, learned from its refusals: a refused tool is dropped, exactly that
//! one, and the rest goes on being offered. Which of them a turn may use is decided elsewhere.
//!
//! Invariants: what a tool works with (files, stores) may be gone at the server, which is not held against the tool; the
//! tools that a server runs stand first among the tools of a request, so that the place a refusal names
//! says which one it means.

use crate::{
    dialect::{Ask, Asked, Dialect, Stage},
    endpoint::Api,
    refusal::Refusal,
};
use mira_core::model::{HostedKind, HostedTool, ModelRequest};

/// What is sent of tools that the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hosted {
    /// The tools it has refused.
    refused: Vec<HostedKind>,
    /// `include` asks for sources, results and outputs.
    pub includes: bool,
    /// `max_tool_calls` is sent.
    pub cap: bool,
    /// Pictures are asked for while they are drawn.
    pub sketches: bool,
    /// What this one call found out and the next has to find out anew: its vector stores are gone.
    stores_gone: bool,
    /// The same of some file that its code was to read; nobody said which.
    files_gone: bool,
    /// Such files that were refused by name: no file gets their ids again. The newest [`MOST_LOST`].
    lost: Vec<String>,
}

const MOST_LOST: usize = 256;
/// The most files of one container.
const CONTAINER_FILES: usize = 50;

impl Default for Hosted {
    fn default() -> Self {
        Self {
            refused: Vec::new(),
            includes: true,
            cap: true,
            sketches: true,
            stores_gone: false,
            files_gone: false,
            lost: Vec::new(),
        }
    }
}

impl Hosted {
    /// What is true of the server and not only of one request.
    pub fn lasting(&mut self) {
        self.stores_gone = false;
        self.files_gone = false;
    }

    /// The refused tools, for the log.
    pub fn refused(&self) -> Vec<&'static str> {
        self.refused.iter().map(|kind| word(*kind)).collect()
    }

    /// Whether more is known to be gone at the server than before.
    pub fn misses_more(&self, before: &Self) -> bool {
        fn gone(hosted: &Hosted) -> (bool, bool, &[String]) {
            (hosted.stores_gone, hosted.files_gone, &hosted.lost)
        }
        gone(self) != gone(before)
    }

    /// Those of the files meant for a container that are sent.
    pub fn container_files<'r>(&self, files: &'r [String]) -> Vec<&'r str> {
        let there = files.iter().filter(|id| !self.files_gone && !self.lost.contains(id));
        there.map(String::as_str).take(CONTAINER_FILES).collect()
    }

    fn drops(&self, kind: HostedKind) -> bool {
        self.refused.contains(&kind) || self.stores_gone && kind == HostedKind::FileSearch
    }

    fn refuse(&mut self, kind: HostedKind) {
        if !self.refused.contains(&kind) {
            self.refused.push(kind);
        }
    }
}

impl Dialect {
    /// Whether the server runs this tool, as far as is known.
    pub fn takes_hosted(&self, kind: HostedKind) -> bool {
        self.api() == Api::Responses && !self.hosted.drops(kind)
    }

    /// The tools of a request of `stage` that the server runs.
    pub fn offers_hosted<'r>(&self, stage: Stage<'_>, request: &'r ModelRequest) -> Vec<&'r HostedTool> {
        // Without a way to say "none of them" they are not shown where none may be called.
        let shown = self.api() == Api::Responses
            && stage == Stage::Reply
            && (!request.no_more_calls || self.offers.choice && !self.ask(stage).is_function());
        let tools = request.hosted.iter().filter(|_| shown);
        tools.filter(|tool| self.takes_hosted(tool.kind())).collect()
    }

    /// Whether the server may call one of them now.
    pub fn may_call_hosted(&self, stage: Stage<'_>, request: &ModelRequest) -> bool {
        !request.no_more_calls && !self.offers_hosted(stage, request).is_empty()
    }

    /// Those that stood in what was asked, in their order.
    fn sent_hosted(&self, asked: &Asked<'_>) -> Vec<HostedKind> {
        let kinds = asked.hosted.iter().filter(|_| asked.stage == Stage::Reply);
        kinds.copied().filter(|kind| self.takes_hosted(*kind)).collect()
    }

    /// Leaves out what `include` asks for of these tools, where the refusal names it.
    pub(crate) fn step_includes(&mut self, asked: &Asked<'_>, refusal: &Refusal<'_>) -> bool {
        let step = self.hosted.includes
            && asked.hosted.iter().any(|kind| self.takes_hosted(*kind))
            && INCLUDED.iter().any(|part| refusal.head_names(part));
        self.hosted.includes &= !step;
        step
    }

    /// Leaves out what is gone at the server of all that these tools were to work with, where the refusal says so.
    pub(crate) fn step_gone(&mut self, asked: &Asked<'_>, refusal: &Refusal<'_>) -> bool {
        let mut meant = self.sent_hosted(asked);
        if let Some(place) = refusal.tool_place() {
            meant = meant.get(place).copied().into_iter().collect();
        }
        if meant.contains(&HostedKind::CodeInterpreter) {
            let files = self.hosted.container_files(&asked.given);
            let named = files.iter().filter(|id| refusal.message.contains(**id));
            let named: Vec<String> = named.map(|id| (*id).to_owned()).collect();
            if !named.is_empty() {
                self.hosted.lost.extend(named);
                let over = self.hosted.lost.len().saturating_sub(MOST_LOST);
                self.hosted.lost.drain(..over);
                return true;
            }
            if !files.is_empty() && refusal.names("file_ids") {
                self.hosted.files_gone = true;
                return true;
            }
        }
        let stores = meant.contains(&HostedKind::FileSearch) && refusal.speaks_of_stores();
        self.hosted.stores_gone |= stores;
        stores
    }

    /// A step down for a refusal that names something of these tools; false if it does not.
    pub(crate) fn step_hosted(&mut self, asked: &Asked<'_>, refusal: &Refusal<'_>) -> bool {
        let sent = self.sent_hosted(asked);
        if sent.is_empty() {
            return false;
        }
        if self.hosted.cap && refusal.names("max_tool_calls") {
            self.hosted.cap = false;
            return true;
        }
        if self.hosted.sketches && sent.contains(&HostedKind::ImageGeneration) && refusal.names("partial_images") {
            self.hosted.sketches = false;
            return true;
        }
        let named = match refusal.tool_place() {
            Some(place) => match sent.get(place) {
                Some(kind) => Some(*kind),
                // A function of Mira's own.
                None => return false,
            },
            None => sent.iter().copied().find(|kind| refusal.head_names(word(*kind))),
        };
        if let Some(kind) = named {
            self.hosted.refuse(kind);
            return true;
        }
        let elsewhere = refusal.speaks_of_choice() || refusal.param_is("strict");
        if !elsewhere && refusal.speaks_of_tools() && self.ask(asked.stage) != Ask::LegacyFunction {
            // It does not say which: a server that knows functions only.
            for kind in sent {
                self.hosted.refuse(kind);
            }
            return true;
        }
        false
    }
}

/// What refusals of an `include` name.
const INCLUDED: [&str; 3] = ["web_search_call", "code_interpreter_call", "file_search_call"];

/// The provider's word for a tool.
fn word(kind: HostedKind) -> &'static str {
    match kind {
        HostedKind::WebSearch => "web_search",
        HostedKind::CodeInterpreter => "code_interpreter",
        HostedKind::FileSearch => "file_search",
        HostedKind::ImageGeneration => "image_generation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{endpoint::Endpoint, error::LlmError};
    use std::sync::Arc;

    const ALL: [HostedKind; 4] = HostedKind::ALL;

    fn refuse(dialect: &mut Dialect, param: &str, message: &str) -> bool {
        let asked = Asked {
            stage: Stage::Reply,
            tools: true,
            functions: Arc::default(),
            calls: false,
            pictures: Vec::new(),
            hosted: ALL.to_vec(),
            given: ["file-a", "file-b"].map(str::to_owned).to_vec(),
        };
        let param = (!param.is_empty()).then(|| param.to_owned());
        let message = message.to_owned();
        let error = LlmError::BadRequest {
            status: 400,
            code: None,
            param,
            message,
        };
        dialect.adapt(&asked, &error)
    }

    /// Which tools are still offered after a refusal, and whether anything was learned.
    fn check(param: &str, message: &str, left: &[HostedKind], learned: bool) {
        let mut dialect = Dialect::new(&Endpoint::new("http://localhost", Api::Responses, "m"));
        assert_eq!(refuse(&mut dialect, param, message), learned, "{message}");
        let taken: Vec<_> = ALL.into_iter().filter(|kind| dialect.takes_hosted(*kind)).collect();
        assert_eq!(taken, left, "{param} {message}");
    }

    #[test]
    fn exactly_the_refused_tool_is_dropped() {
        use HostedKind::{CodeInterpreter, FileSearch, ImageGeneration, WebSearch};
        check(
            "tools",
            "Hosted tool 'web_search' is not supported with m.",
            &[CodeInterpreter, FileSearch, ImageGeneration],
            true,
        );
        check(
            "tools[3].type",
            "Invalid value: 'image_generation'. Supported values are: 'function', 'web_search' and 'file_search'.",
            &[WebSearch, CodeInterpreter, FileSearch],
            true,
        );
        check(
            "",
            "Tool 'code_interpreter' is not supported with this model.",
            &[WebSearch, FileSearch, ImageGeneration],
            true,
        );
        check(
            "tools[0].type",
            "only functions here",
            &[CodeInterpreter, FileSearch, ImageGeneration],
            true,
        );
        check("", "unknown tool type; only function tools are known", &[], true);
        // What is meant is something else.
        check("tools[4].strict", "Unknown parameter: 'strict'", &ALL, true);
        check("temperature", "It is out of range.", &ALL, false);
        check("max_tool_calls", "Unknown parameter: 'max_tool_calls'.", &ALL, true);
        let sketches = "tools[3].partial_images";
        check(sketches, "Unknown parameter: 'tools[3].partial_images'.", &ALL, true);
        check("", "'partial_images' is not supported with this model.", &ALL, true);
        check(
            "include[1]",
            "Invalid value: 'web_search_call.action.sources'.",
            &ALL,
            true,
        );
    }

    #[test]
    fn lost_stores_are_not_held_against_the_server() {
        let mut dialect = Dialect::new(&Endpoint::new("http://localhost", Api::Responses, "m"));
        assert!(refuse(
            &mut dialect,
            "tools[2].vector_store_ids",
            "Vector store with id ['vs_1'] not found."
        ));
        assert!(!dialect.takes_hosted(HostedKind::FileSearch));
        dialect.hosted.lasting();
        assert!(dialect.takes_hosted(HostedKind::FileSearch));
    }

    #[test]
    fn lost_files_are_not_held_against_the_tool() {
        let given = ["file-a", "file-b"].map(str::to_owned);
        let mut dialect = Dialect::new(&Endpoint::new("http://localhost", Api::Responses, "m"));
        let mut check = |param: &str, message: &str, learned: bool, left: &[&str], lasting: &[&str]| {
            assert_eq!(refuse(&mut dialect, param, message), learned, "{message}");
            assert_eq!(dialect.hosted.container_files(&given), left, "{message}");
            dialect.hosted.lasting();
            assert_eq!(dialect.hosted.container_files(&given), lasting, "{message}");
            let taken = ALL.into_iter().filter(|kind| dialect.takes_hosted(*kind));
            assert_eq!(taken.count(), ALL.len(), "{message}");
        };
        // Nobody says which: only this call goes without them.
        let place = "tools[1].container.file_ids";
        check(place, "A file was not found.", true, &[], &["file-a", "file-b"]);
        let named = "File with id 'file-a' not found.";
        check(place, named, true, &["file-b"], &["file-b"]);
        check("", "No such File object: file-b", true, &[], &[]);
    }
}
