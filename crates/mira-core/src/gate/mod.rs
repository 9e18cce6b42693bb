//! The gate: whether what a reply wants remembered becomes a fact.
//!
//! Lives here: [`judge`], a pure function over a note, the message it was learnt from, what was recalled for that
//! message, and the facts already kept; and beside it [`is_meant`], whether a memory is what the owner asks to have
//! forgotten. Not here: storing, looking up what `replaces` points at, tombstones.
//!
//! A model is generous with notes: it writes down the task of the moment, echoes what was just recalled to it, and
//! believes what a pasted page says about the owner. So a note must pass four questions, in this order:
//! 1. Is it a fact by its form ([`form`])? No task residue, question, command, secret, link, code, passing state.
//! 2. Did the owner say it ([`source`])? Their own words support it, not what they pasted and not a tool's output;
//!    what is about Mira herself may rest on her own reply.
//! 3. Is it more than an echo of one recalled line?
//! 4. How does it stand to what is kept ([`sense`])? The same again is merged; another value of something one has
//!    once ([`attributes`]), the end of something, or the same with more supersedes; all else stands beside.
//!
//! Invariants: deterministic; no text makes it panic; a note in a turn that read tools or the web is never trusted; a
//! pinned fact gives way only to the owner's own statement. The gate compares words and may err: it then loses a fact
//! that the message itself still holds, rather than keep one nobody stated.

mod aim;
mod attributes;
mod form;
mod predicates;
mod sense;
mod source;
#[cfg(test)]
mod tests;
mod words;

pub use aim::is_meant;

use crate::{
    ids::MemoryId,
    memory::{FactNote, MemorySource},
};
use sense::{Relation, Sense};
use source::Said;

/// A fact that is kept and not superseded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFact {
    /// Its id.
    pub id: MemoryId,
    /// Whom it is about.
    pub about: String,
    /// What it is about.
    pub topic: String,
    /// Its sentence.
    pub text: String,
    /// Whether the owner pinned it.
    pub pinned: bool,
}

/// What a note is judged against.
#[derive(Debug, Clone, Copy)]
pub struct GateInput<'a> {
    /// The owner's message it was learnt from, as they wrote it.
    pub owner_text: &'a str,
    /// The texts of the memories that were in the prompt.
    pub recalled: &'a [&'a str],
    /// Mira's reply.
    pub reply: &'a str,
    /// The facts kept about the same person; facts about the owner and about those close to them may be among them.
    pub live: &'a [LiveFact],
    /// The fact that the note's `replaces` points at, if it points at a fact.
    pub replaces: Option<MemoryId>,
    /// Whether the turn read a tool's result or a web page: what is kept counts as learnt from it.
    pub untrusted: bool,
    /// Whether words of strangers stood anywhere in the prompt, a file of an earlier turn for instance: then a note needs
    /// the owner's own words, since Mira's reply and another language may be theirs; and what those say less than half of
    /// counts as learnt from strangers.
    pub exposed: bool,
}

/// What becomes of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It becomes a fact.
    Keep {
        /// The facts it makes outdated.
        supersedes: Vec<MemoryId>,
        /// Where it came from.
        source: MemorySource,
    },
    /// This fact says it already.
    Merge(MemoryId),
    /// It is no fact to keep.
    Reject(Rejection),
}

/// Why a note was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// It says nothing.
    Empty,
    /// It is longer than a fact.
    Long,
    /// What the owner wanted done just now.
    Residue,
    /// A question.
    Question,
    /// An order to Mira.
    Command,
    /// Holds an address of the web.
    Link,
    /// Holds a password, a key, the number of a card.
    Secret,
    /// Holds program code.
    Code,
    /// Will not be true tomorrow.
    Passing,
    /// What a tool or a page said.
    ToolOutput,
    /// Its support is in what the owner pasted or quoted, not in their own words.
    Pasted,
    /// The owner did not say it.
    Unsupported,
    /// About the world, not about anybody in the owner's life.
    World,
    /// Nothing but what was recalled for this very message.
    Echo,
    /// It contradicts a pinned fact, and the owner did not say so themselves.
    Pinned,
    /// The owner had it forgotten. The gate itself never says so: the store knows the tombstones.
    Forgotten,
}

impl Rejection {
    /// A few words that follow "not kept:".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "it says nothing",
            Self::Long => "it is too long for a fact",
            Self::Residue => "it is a task of the moment, not a fact",
            Self::Question => "it is a question",
            Self::Command => "it is an order",
            Self::Link => "it holds an address of the web",
            Self::Secret => "it holds a password, a key or the number of a card",
            Self::Code => "it is program code",
            Self::Passing => "it will not be true tomorrow",
            Self::ToolOutput => "it is what a tool or a page said",
            Self::Pasted => "a text that was passed on says it, not the owner",
            Self::Unsupported => "the owner did not say it",
            Self::World => "it is about nobody in the owner's life",
            Self::Echo => "it is only what was recalled",
            Self::Pinned => "a pinned fact says otherwise",
            Self::Forgotten => "the owner had it forgotten",
        }
    }
}

/// Judges one note. Judge the notes of a reply one after the other, each against the facts kept so far.
pub fn judge(note: &FactNote, input: &GateInput<'_>) -> Verdict {
    let said = Said::read(input.owner_text);
    if let Some(reason) = form::reason(note, said.asks_to_keep()) {
        return Verdict::Reject(reason);
    }
    let mut sense = Sense::of(&note.about, &note.topic, &note.text);
    if sense.content.is_empty() && sense.dates.is_empty() {
        return Verdict::Reject(Rejection::Empty);
    }
    sense.said = said.said_of(&sense);
    if let Some(reason) = said.lacks(note, &sense, input) {
        return Verdict::Reject(reason);
    }
    let kept = relate(&sense, &said, input);
    if let Verdict::Keep { .. } = kept
        && is_echo(note, &sense, input.recalled)
        && !said.covers(&sense)
    {
        return Verdict::Reject(Rejection::Echo);
    }
    kept
}

/// How the note stands to the facts that are kept.
fn relate(sense: &Sense, said: &Said, input: &GateInput<'_>) -> Verdict {
    let mut supersedes = Vec::new();
    let mut pinned = false;
    for fact in input.live {
        let old = Sense::of(&fact.about, &fact.topic, &fact.text);
        let pointed = input.replaces == Some(fact.id) && sense.touches(&old);
        match sense.relation(&old) {
            Relation::Same => return Verdict::Merge(fact.id),
            Relation::Apart if !pointed => {}
            Relation::Outdates | Relation::Apart => {
                supersedes.push(fact.id);
                pinned |= fact.pinned;
            }
        }
    }
    let source = if input.untrusted || (input.exposed && !said.carries(sense)) {
        MemorySource::Tool
    } else {
        MemorySource::Conversation
    };
    if pinned && (input.untrusted || !said.states(sense)) {
        return Verdict::Reject(Rejection::Pinned);
    }
    Verdict::Keep { supersedes, source }
}

/// Whether one recalled line says all of it already, whatever words it is said by.
fn is_echo(note: &FactNote, sense: &Sense, recalled: &[&str]) -> bool {
    let telling = sense.telling();
    recalled.iter().any(|line| {
        let line = Sense::of(&note.about, "", line);
        sense.negative == line.negative && telling.is_subset(&line.content)
    })
}
