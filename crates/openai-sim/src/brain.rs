//! Who decides what is said: the script, a fixed load, a test's own function, or the rehearsal.
//!
//! Lives here: choosing the plan of a request, and reading the rehearsal's input out of the prompt. Not here: the
//! rehearsal's words (`rehearsal`).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::asked::{Asked, Want};
use crate::directive::{self, Directives};
use crate::fit;
use crate::plan::{self, Call, HttpFault, Plan, Reply, Script, Target, Then};
use crate::rehearsal::{self, Done, Move, RehearsalInput, RehearsalNote, Told};
use crate::tokens;

/// Directive texts whose use is counted for `times=`; past it the count begins anew.
const MOST_COUNTED: usize = 1024;

/// A test's own model: from the request's body to the answer.
pub type Responder = Arc<dyn Fn(&Value) -> Plan + Send + Sync>;

/// Who answers when no plan was pushed.
#[derive(Clone, Default)]
pub enum Brain {
    /// Replies that follow from the prompt: the owner's words, the overlay, the mood, what was recalled.
    #[default]
    Rehearsal,
    /// A queue of planned replies.
    Script(Script),
    /// A structured reply whose words are so many tokens, always the same: for load tests.
    Fixed {
        /// Tokens of `output`.
        tokens: usize,
    },
    /// Whatever this function says.
    Respond(Responder),
}

impl fmt::Debug for Brain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rehearsal => f.write_str("Rehearsal"),
            Self::Script(script) => f.debug_tuple("Script").field(script).finish(),
            Self::Fixed { tokens } => f.debug_struct("Fixed").field("tokens", tokens).finish(),
            Self::Respond(_) => f.write_str("Respond"),
        }
    }
}

#[derive(Debug)]
enum Fallback {
    Rehearse,
    Plan(Box<Plan>),
    Respond(ResponderBox),
}

struct ResponderBox(Responder);

impl fmt::Debug for ResponderBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder")
    }
}

/// Chooses plans.
#[derive(Debug)]
pub(crate) struct Chooser {
    queue: Mutex<VecDeque<Plan>>,
    fallback: Fallback,
    directives: bool,
    counted: Mutex<HashMap<u64, u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding these locks; should it, the queue is still a queue.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chooser {
    pub(crate) fn new(brain: Brain, directives: bool) -> Self {
        let mut queue = VecDeque::new();
        let fallback = match brain {
            Brain::Rehearsal => Fallback::Rehearse,
            Brain::Fixed { tokens } => Fallback::Plan(Box::new(Plan::reply(tokens::filler(tokens)))),
            Brain::Respond(responder) => Fallback::Respond(ResponderBox(responder)),
            Brain::Script(script) => {
                queue.extend(script.plans);
                match script.then {
                    Then::Fail => Fallback::Plan(Box::new(exhausted())),
                    Then::Repeat(plan) => Fallback::Plan(plan),
                    Then::Rehearse => Fallback::Rehearse,
                }
            }
        };
        Self {
            queue: Mutex::new(queue),
            fallback,
            directives,
            counted: Mutex::default(),
        }
    }

    pub(crate) fn push(&self, plan: Plan) {
        lock(&self.queue).push_back(plan);
    }

    pub(crate) fn planned(&self) -> usize {
        lock(&self.queue).len()
    }

    /// Takes the first plan meant for this target whose wished words are in `words`.
    pub(crate) fn take(&self, target: Target, words: &str) -> Option<Plan> {
        let mut queue = lock(&self.queue);
        let fits =
            |plan: &Plan| plan.target == target && plan.only_for.as_deref().is_none_or(|part| words.contains(part));
        let index = queue.iter().position(fits)?;
        queue.remove(index)
    }

    /// The plan for a request of the model endpoints, and the owner's words without directives.
    pub(crate) fn choose(&self, asked: &Asked<'_>) -> (Plan, String) {
        let said = asked.owner_words();
        let (words, directives) = if self.directives {
            directive::take(said)
        } else {
            (said.trim().to_owned(), None)
        };
        let mut plan = self.take(Target::Model, said).unwrap_or_else(|| match &self.fallback {
            Fallback::Plan(plan) => plan.as_ref().clone(),
            Fallback::Respond(responder) => (responder.0)(asked.body),
            Fallback::Rehearse => rehearse(asked, &words),
        });
        if let Some(directives) = directives {
            directives.shape(&mut plan, &words);
            if self.still_spoils(&directives, said) {
                directives.spoil(&mut plan);
            }
        }
        (plan, words)
    }

    fn still_spoils(&self, directives: &Directives, said: &str) -> bool {
        let Some(times) = directives.times() else { return true };
        let mut counted = lock(&self.counted);
        if counted.len() >= MOST_COUNTED {
            counted.clear();
        }
        let used = counted.entry(tokens::hash(said.as_bytes())).or_default();
        *used += 1;
        *used <= times
    }
}

fn exhausted() -> Plan {
    let mut fault = HttpFault::new(500);
    fault.code = Some("script_exhausted".to_owned());
    "The emulator has no planned reply left for this request.".clone_into(&mut fault.message);
    Plan::http(fault)
}

/// The blocks of state and memories that Mira writes into the prompt, as far as the rehearsal needs them.
#[derive(Debug, Default, PartialEq)]
struct State<'a> {
    overlay: Option<&'a str>,
    pinned: bool,
    overlays: Vec<&'a str>,
    mood: Option<&'a str>,
    mood_cause: Option<&'a str>,
    time: Option<&'a str>,
    memories: Vec<&'a str>,
}

fn read_state(text: &str) -> State<'_> {
    let mut state = State::default();
    for line in block(text, "[state]", "[/state]") {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match key {
            "overlay" => state.overlay = Some(value),
            "pinned" => state.pinned = value == "yes",
            "overlays" => {
                let names = value.split(',').map(str::trim);
                state.overlays = names.filter(|name| !name.is_empty()).collect();
            }
            "mood" => state.mood = Some(value),
            "mood_cause" => state.mood_cause = Some(value),
            "time" => state.time = Some(value),
            _ => {}
        }
    }
    for line in block(text, "[memories]", "[/memories]") {
        // The numbers run from 1; a reply names a memory by its number.
        let number = (state.memories.len() + 1).to_string();
        let memory = line.strip_prefix(&number).and_then(|rest| rest.strip_prefix(". "));
        state.memories.extend(memory);
    }
    state
}

/// The lines between two lines.
fn block<'a>(text: &'a str, open: &'static str, close: &'static str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .map(str::trim)
        .skip_while(move |line| *line != open)
        .skip(1)
        .take_while(move |line| *line != close)
}

/// How the instructions of a side call for a summary begin.
const SUMMARISE: &str = "# Summarise";

fn rehearse(asked: &Asked<'_>, words: &str) -> Plan {
    let Some(text) = &asked.state else {
        // A side call (a summary, a title) that has no state: answer it plainly, out of its own text.
        if asked.instructions.trim_start().starts_with(SUMMARISE) {
            return Plan::reply(rehearsal::summarise(asked.owner_words()));
        }
        if asked.want == Want::Text && asked.offered.is_empty() && asked.done.is_empty() {
            return Plan::reply(fit::shorten(&asked.last_text, 40));
        }
        return rehearse_with(&State::default(), asked, words);
    };
    rehearse_with(&read_state(text), asked, words)
}

/// An errand where the message asks for one and the tools are there, else words.
fn rehearse_with(state: &State<'_>, asked: &Asked<'_>, words: &str) -> Plan {
    let done: Vec<Done<'_>> = asked
        .done
        .iter()
        .map(|done| Done {
            tool: done.name,
            output: &done.output,
        })
        .collect();
    let told = match rehearsal::next(words, &asked.offered, &done, asked.rounds) {
        Some(Move::Call(tool, calls)) => {
            return Plan::calls(calls.iter().map(|arguments| Call::new(tool.as_str(), arguments)));
        }
        Some(Move::Tell(told)) => told,
        None => Told::default(),
    };
    Plan::structured(speak(state, asked, words, &told))
}

fn speak(state: &State<'_>, asked: &Asked<'_>, words: &str, told: &Told) -> Reply {
    let earlier = asked.user_words.len().saturating_sub(1);
    let overlay = state.overlay.unwrap_or("default");
    let input = RehearsalInput {
        owner_words: rehearsal::spoken(words),
        overlay,
        pinned: state.pinned,
        overlays: if state.overlays.is_empty() {
            vec![overlay]
        } else {
            state.overlays.clone()
        },
        mood: state.mood.unwrap_or("playful"),
        mood_cause: state.mood_cause,
        memories: match &told.memories {
            Some(found) => found.iter().map(String::as_str).collect(),
            None => state.memories.clone(),
        },
        errand: told.words.as_deref(),
        looked_up: told.memories.is_some(),
        today: state.time.unwrap_or_default(),
        turns_before: earlier,
        earlier_owner_words: { asked.user_words.iter().take(earlier) }
            .map(|words| rehearsal::spoken(words))
            .collect(),
    };
    let said = rehearsal::reply(&input);
    Reply {
        persona: said.persona,
        mood: said.mood,
        mood_cause: Some(said.mood_cause).filter(|cause| !cause.is_empty()),
        output: said.output,
        intent: said.intent,
        owner_mood: said.owner_mood,
        tags: said.tags,
        // Two digits: what a model writes, and free of the noise of widening.
        salience: (f64::from(said.salience) * 100.0).round() / 100.0,
        remember: Value::Array(said.remember.iter().map(note).collect()),
        more: serde_json::Map::new(),
    }
}

fn note(note: &RehearsalNote) -> Value {
    plan::note(&note.about, &note.topic, &note.text, note.replaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_memories_are_read_line_by_line() {
        let text = "[memories]\n1. 8 May 2026, owner: a dog\nnot a memory\n2. 9 May 2026, Mira: Woof\n4. no\n\
                    [/memories]\n\n[state]\noverlay: haven\npinned: yes\noverlays: default, haven\nmood: soft\n\
                    mood_cause: rain: again\ntime: Saturday 21 November 2026, 02:10 (Europe/Berlin)\n[/state]\n\
                    mood: ignored";
        let expect = State {
            overlay: Some("haven"),
            pinned: true,
            overlays: vec!["default", "haven"],
            mood: Some("soft"),
            mood_cause: Some("rain: again"),
            time: Some("Saturday 21 November 2026, 02:10 (Europe/Berlin)"),
            memories: vec!["8 May 2026, owner: a dog", "9 May 2026, Mira: Woof"],
        };
        assert_eq!(read_state(text), expect);
        assert_eq!(read_state("no block here"), State::default());
    }
}
