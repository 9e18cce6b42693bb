//! A reply being heard: what the decoders understand goes in, the events of [`ModelEvent`] come out, in their legal
//! order. A reply beside calls of tools: what is said before the first of them is heard, in whichever form; arguments of
//! `format_response` that come after another call are not, since the answer is not known yet.

use crate::{
    dialect::{Ask, Dialect, Stage},
    error::LlmError,
    think::{Passed, ThinkFilter},
};
use mira_core::{
    chat::ReplyMeta,
    model::{Head, HostedEvent, ModelEvent, ModelRequest},
    reply::{FUNCTION_NAME, ReadReply, ReplyPiece, ReplyReader, Shape},
};
use std::{collections::VecDeque, mem};

/// The longest refusal kept, in bytes.
const REFUSAL_CAP: usize = 4_096;

/// One reply from its first byte to its last.
pub(crate) struct Speech {
    ask: Ask,
    think: ThinkFilter,
    reader: ReplyReader,
    pieces: Vec<ReplyPiece>,
    /// What has not been passed on yet.
    pub out: VecDeque<ModelEvent>,
    /// Used where text comes although none may: `Head` stands before the first text whatever the reader does.
    fallback: Head,
    /// What a reader falls back on that only counts.
    quiet: ReplyMeta,
    head: bool,
    thinking: bool,
    /// Whether a delta of the answer came.
    pub begun: bool,
    /// Whether a word of the reply came.
    pub spoke: bool,
    /// The whole text, kept only where a second call asks about it.
    said: String,
    /// Text beside the forced call: the reply, if there is no call after all.
    beside: String,
    called: bool,
    /// Whether calls are waited for: tools were offered and may be called.
    offered: bool,
    /// Whether a call of a tool began.
    other_call: bool,
    /// How many calls this reply had before.
    calls_before: usize,
    refusal: String,
    refused: bool,
    /// Set where the answer is not a reply but is wanted as it is.
    verbatim: Option<String>,
    /// The answer's text as it came, kept where citations may point into it: the server runs tools itself.
    heard: Option<String>,
    /// How many of the server's own tools are at work.
    pub working: usize,
}

impl Speech {
    /// Hears an answer as it is, whatever it says.
    pub fn verbatim(ask: Ask, request: &ModelRequest) -> Self {
        Self {
            verbatim: Some(String::new()),
            heard: None,
            ..Self::with(ask, false, request)
        }
    }

    /// The answer that was heard as it is.
    pub fn into_verbatim(self) -> String {
        let answer = self.verbatim.unwrap_or_default();
        if self.called || !self.ask.is_function() {
            answer
        } else {
            self.beside
        }
    }

    /// Hears a reply to `request`.
    pub fn new(dialect: &Dialect, request: &ModelRequest) -> Self {
        let offered = !request.no_more_calls && dialect.offers_tools(Stage::Reply, request);
        let hosted = dialect.may_call_hosted(Stage::Reply, request);
        Self {
            heard: hosted.then(String::new),
            ..Self::with(dialect.reply_ask, offered, request)
        }
    }

    fn with(ask: Ask, offered: bool, request: &ModelRequest) -> Self {
        let fallback = &request.fallback;
        Self {
            ask,
            think: ThinkFilter::default(),
            reader: ReplyReader::new(request.personas.clone(), fallback.clone()),
            pieces: Vec::new(),
            out: VecDeque::new(),
            fallback: Head {
                persona: fallback.persona.clone(),
                mood: fallback.mood.clone(),
                mood_cause: fallback.mood_cause.clone(),
            },
            quiet: fallback.clone(),
            head: false,
            thinking: false,
            begun: false,
            spoke: false,
            said: String::new(),
            beside: String::new(),
            called: false,
            offered,
            other_call: false,
            calls_before: request.rounds.iter().map(|round| round.asked.calls.len()).sum(),
            refusal: String::new(),
            refused: false,
            verbatim: None,
            heard: None,
            working: 0,
        }
    }

    /// Whether the server may run tools itself in this answer.
    pub fn is_hosted(&self) -> bool {
        self.heard.is_some()
    }

    /// Something of a tool the server runs.
    pub fn hosted(&mut self, event: HostedEvent) {
        self.out.push_back(ModelEvent::Hosted(Box::new(event)));
    }

    /// How much text was heard, in bytes.
    pub fn heard_bytes(&self) -> usize {
        self.heard.as_ref().map_or(0, String::len)
    }

    /// How many characters were heard since then.
    pub fn chars_since(&self, bytes: usize) -> usize {
        let since = self.heard.as_deref().and_then(|heard| heard.get(bytes..));
        since.map_or(0, |since| since.chars().count())
    }

    /// Where in the reply's text the characters `start..end` of the text that was heard from `base` on stand, in code
    /// points; nothing where they do not lie in it.
    pub fn place(&self, base: usize, start: usize, end: usize) -> Option<(u32, u32)> {
        let heard = self.heard.as_deref()?;
        if self.ask.is_function() {
            return None;
        }
        let part = heard.get(base..)?;
        let at = |chars: usize| part.char_indices().nth(chars).map_or(heard.len(), |(at, _)| base + at);
        let (start, end) = (
            self.words_until(heard.get(..at(start))?)?,
            self.words_until(heard.get(..at(end))?)?,
        );
        Some((start, end))
    }

    /// How long the reply's text is at the end of this beginning of what was heard, if that end lies in it.
    fn words_until(&self, begun: &str) -> Option<u32> {
        let mut think = ThinkFilter::default();
        let mut reader = ReplyReader::new(Vec::new(), self.quiet.clone());
        let mut pieces = Vec::new();
        match think.pass(begun) {
            Passed::Whole => reader.push(begun, &mut pieces),
            Passed::Part(text) => reader.push(&text, &mut pieces),
            Passed::Nothing | Passed::Reasoning => {}
        }
        let chars = pieces.iter().map(|piece| match piece {
            ReplyPiece::Text(text) => text.chars().count(),
            ReplyPiece::Head(_) => 0,
        });
        let chars = u32::try_from(chars.sum::<usize>()).ok()?;
        (reader.is_in_text() || self.ask == Ask::Words && begun.is_empty()).then_some(chars)
    }

    /// The model reasons.
    pub fn thinking(&mut self) {
        if !self.thinking {
            self.thinking = true;
            self.out.push_back(ModelEvent::Thinking);
        }
    }

    /// Text of the answer.
    pub fn text(&mut self, delta: &str) {
        if let Some(heard) = &mut self.heard {
            heard.push_str(delta);
        }
        match self.think.pass(delta) {
            Passed::Whole => self.words(delta),
            Passed::Part(text) => self.words(&text),
            Passed::Reasoning => self.thinking(),
            Passed::Nothing => {}
        }
    }

    /// Text that is the answer.
    fn words(&mut self, delta: &str) {
        self.begun = true;
        if !self.ask.is_function() {
            self.feed(delta);
        } else if !self.called {
            self.beside.push_str(delta);
        }
    }

    /// Whether calls of tools are waited for.
    pub fn offered(&self) -> bool {
        self.offered
    }

    /// How many calls this reply had in its earlier rounds.
    pub fn calls_before(&self) -> usize {
        self.calls_before
    }

    /// Whether a call of this function is the answer itself.
    pub fn is_answer(&self, name: &str) -> bool {
        self.ask.is_function() && name == FUNCTION_NAME
    }

    /// A call of a tool begins.
    pub fn other_call(&mut self) {
        self.other_call |= self.offered;
    }

    /// Arguments of the forced call.
    pub fn arguments(&mut self, delta: &str) {
        if self.ask.is_function() && !self.other_call {
            self.begun = true;
            self.called = true;
            self.beside.clear();
            self.feed(delta);
        }
    }

    /// Words of a refusal.
    pub fn refusal(&mut self, delta: &str) {
        self.begun = true;
        self.refused = true;
        if self.refusal.len() < REFUSAL_CAP {
            self.refusal.push_str(delta);
        }
    }

    fn feed(&mut self, delta: &str) {
        if let Some(answer) = &mut self.verbatim {
            answer.push_str(delta);
            return;
        }
        self.reader.push(delta, &mut self.pieces);
        self.pass_on();
    }

    fn pass_on(&mut self) {
        for piece in self.pieces.drain(..) {
            match piece {
                ReplyPiece::Head(head) if !self.head => {
                    self.head = true;
                    self.out.push_back(ModelEvent::Head(head));
                }
                ReplyPiece::Head(_) => {}
                ReplyPiece::Text(text) => {
                    if !self.head {
                        self.head = true;
                        self.out.push_back(ModelEvent::Head(self.fallback.clone()));
                    }
                    if self.ask == Ask::Words {
                        self.said.push_str(&text);
                    }
                    self.spoke = true;
                    self.out.push_back(ModelEvent::Text(text));
                }
            }
        }
    }

    /// The end of the stream, whole or not: what was held back becomes text.
    pub fn finish(&mut self, request: &ModelRequest) -> ReadReply {
        let read = self.read_to_end(request);
        if self.spoke || self.pieces.iter().any(|piece| matches!(piece, ReplyPiece::Text(_))) {
            self.pass_on();
        }
        self.pieces.clear();
        read
    }

    /// The same where calls end the stream: the beginning of an object that was to be the reply is no text.
    pub fn finish_with_calls(&mut self, request: &ModelRequest) {
        self.read_to_end(request);
        let is_object =
            |piece: &ReplyPiece| matches!(piece, ReplyPiece::Text(text) if text.trim_start().starts_with('{'));
        let says = |piece: &ReplyPiece| matches!(piece, ReplyPiece::Text(text) if !text.trim().is_empty());
        if self.spoke || self.pieces.iter().any(says) && !self.pieces.iter().any(is_object) {
            self.pass_on();
        }
        self.pieces.clear();
    }

    /// Reads what was held back.
    fn read_to_end(&mut self, request: &ModelRequest) -> ReadReply {
        if let Some(held) = self.think.finish() {
            self.words(&held);
        }
        if !self.called && !self.beside.is_empty() {
            let beside = mem::take(&mut self.beside);
            self.feed(&beside);
        }
        let fresh = ReplyReader::new(request.personas.clone(), request.fallback.clone());
        mem::replace(&mut self.reader, fresh).finish(&mut self.pieces)
    }

    /// What the model said in refusing, if it did.
    pub fn refused(&self) -> Option<LlmError> {
        let words = mira_core::chat::one_line(&self.refusal, REFUSAL_CAP);
        let text = if words.is_empty() {
            "it gave no reason".to_owned()
        } else {
            words
        };
        self.refused.then_some(LlmError::Refused { text })
    }

    /// The text to ask the second call about, if this reply wants one: plain text where plain text was asked for.
    pub fn unexplained(&mut self, shape: Shape) -> Option<String> {
        (self.ask == Ask::Words && shape == Shape::Plain && self.spoke).then(|| mem::take(&mut self.said))
    }

    /// The form it was asked in.
    pub fn ask(&self) -> Ask {
        self.ask
    }
}
