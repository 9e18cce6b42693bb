//! The sloppy model: whatever happens it has something to note. It notes what was planned for the message, points at
//! outdated memories half of the time, and repeats what it was reminded of as if it had just been told.

use crate::{
    dice::Dice,
    life::{Life, Note, Truth, value_of},
    phrases::TRAITS,
};
use openai_sim::{Plan, Reply};
use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The longest summary, in characters.
const SUMMARY_CHARS: usize = 1500;
/// Words of the owner's that it says again.
const SAID_AGAIN: usize = 9;
/// Notes it makes of reminders in one reply, at most.
const ECHOES: usize = 2;

/// What the model is given for the next message, and what it has done.
#[derive(Debug)]
pub struct State {
    dice: Dice,
    /// What holds.
    pub life: Life,
    /// What held before the message that is being answered: what a prompt can know.
    known: Life,
    notes: Vec<Note>,
    echoes: bool,
    /// Whether the notes are sent; if not they are left in `taken`.
    pub sends: bool,
    /// The notes of the last reply.
    pub taken: Vec<Note>,
    /// How often a prompt told an outdated fact before the one that holds, or without it.
    pub stale_served: Vec<String>,
    /// How often a prompt held what was forgotten.
    pub forgotten_served: Vec<String>,
    /// Prompts that were checked.
    pub prompts: usize,
}

/// The model.
#[derive(Debug)]
pub struct Model(Mutex<State>);

impl Model {
    /// A model with its own chance.
    pub fn new(seed: u64, sends: bool) -> Self {
        Self(Mutex::new(State {
            // The same parity as the life's seed, so that it speaks from the same half of the phrases.
            dice: Dice::new(seed.wrapping_add(7000)),
            life: Life::new(),
            known: Life::new(),
            notes: Vec::new(),
            echoes: false,
            sends,
            taken: Vec::new(),
            stale_served: Vec::new(),
            forgotten_served: Vec::new(),
            prompts: 0,
        }))
    }

    /// Its state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it will note of the next message. To be told before the message makes anything true.
    pub fn expect(&self, notes: &[Note], echoes: bool) {
        let mut state = self.state();
        state.notes = notes.to_vec();
        state.echoes = echoes;
        state.known = state.life.clone();
        state.taken.clear();
    }

    /// Answers a request.
    pub fn answer(&self, body: &Value) -> Plan {
        let mut texts = Vec::new();
        strings(body, &mut texts);
        let said = last_user(body);
        if texts.iter().any(|text| text.trim_start().starts_with("# Summarise")) {
            let short: String = said.chars().take(SUMMARY_CHARS).collect();
            return Plan::reply(format!("In short: {short}"));
        }
        let lines = memory_lines(&texts);
        let mut state = self.state();
        let reply = state.reply(&said, &lines);
        Plan::structured(reply)
    }
}

impl State {
    fn reply(&mut self, said: &str, lines: &[String]) -> Reply {
        self.prompts += 1;
        self.check(lines);
        let mut notes = std::mem::take(&mut self.notes);
        if self.echoes {
            notes.extend(self.reminded(lines));
        }
        let again: Vec<&str> = said.split_whitespace().take(SAID_AGAIN).collect();
        let mut reply = Reply::new(format!("Mm. You say {}. I like that you tell me.", again.join(" ")));
        for note in &notes {
            let replaces = note.outdates.as_ref().and_then(|old| number_of(lines, old));
            if self.sends {
                reply = reply.remember(&note.about, &note.topic, &note.text, replaces);
            }
        }
        self.taken = notes;
        reply
    }

    /// Takes some of the lines for news.
    fn reminded(&mut self, lines: &[String]) -> Vec<Note> {
        let mut notes = Vec::new();
        for line in lines {
            if notes.len() >= ECHOES || !self.dice.percent(50) {
                continue;
            }
            let Some((at, value)) = told_in(line) else { continue };
            let Some(one) = TRAITS.get(at) else { continue };
            let template = self.dice.pick(one.noted).copied().unwrap_or_default();
            let truth = if self.life.holds(at, value) {
                Truth::Tells { at, value, over: false }
            } else {
                Truth::Rubbish("outdated echo")
            };
            notes.push(Note {
                about: "owner".to_owned(),
                topic: self.dice.pick(one.topics).copied().unwrap_or_default().to_owned(),
                text: template.replace("{v}", value_of(at, value)),
                truth,
                outdates: None,
            });
        }
        notes
    }

    /// Whether the prompt prefers an outdated fact, or holds what was forgotten.
    fn check(&mut self, lines: &[String]) {
        let facts: Vec<(usize, usize, &String)> = lines
            .iter()
            .filter(|line| is_fact(line) && !line.contains("(no longer true)"))
            .filter_map(|line| told_in(line).map(|(at, value)| (at, value, line)))
            .filter(|(_, _, line)| !is_over(line))
            .collect();
        for (place, (at, value, line)) in facts.iter().enumerate() {
            let Some(told) = self.known.told.get(*at) else { continue };
            let newer_before = facts
                .iter()
                .take(place)
                .any(|(other, value, _)| other == at && told.current.contains(value));
            if told.past.contains(value) && !told.current.contains(value) && !newer_before {
                self.stale_served.push((*line).clone());
            }
        }
        for line in lines {
            if let Some((at, value)) = told_in(line)
                && self
                    .known
                    .told
                    .get(at)
                    .is_some_and(|told| told.forgotten.contains(&value))
            {
                self.forgotten_served.push(line.clone());
            }
        }
    }
}

/// Whether a line tells a fact.
fn is_fact(line: &str) -> bool {
    line.split_once(": ")
        .is_some_and(|(head, _)| head.contains("fact about"))
}

/// Whether a note says that something is over.
pub fn is_over(text: &str) -> bool {
    TRAITS
        .iter()
        .flat_map(|one| one.over_noted.iter())
        .any(|template| template.split("{v}").all(|part| text.contains(part)))
}

/// Which trait's value a text tells: the one whose words stand in it.
pub fn told_in(text: &str) -> Option<(usize, usize)> {
    let lower = text.to_lowercase();
    TRAITS.iter().enumerate().find_map(|(at, one)| {
        // Ages are only told from other numbers by the words beside them.
        let marked = one.key != "age"
            || ["years old", "turned", "age", "aged"]
                .iter()
                .any(|word| lower.contains(word));
        let value = one
            .values
            .iter()
            .position(|value| lower.contains(&value.to_lowercase()))?;
        marked.then_some((at, value))
    })
}

fn number_of(lines: &[String], old: &str) -> Option<u32> {
    let at = lines
        .iter()
        .position(|line| is_fact(line) && line.to_lowercase().contains(&old.to_lowercase()))?;
    u32::try_from(at + 1).ok()
}

/// The lines of the block of memories.
fn memory_lines(texts: &[String]) -> Vec<String> {
    let Some(tail) = texts
        .iter()
        .rev()
        .find(|text| text.lines().any(|line| line.trim() == "[memories]"))
    else {
        return Vec::new();
    };
    tail.lines()
        .skip_while(|line| line.trim() != "[memories]")
        .skip(1)
        .take_while(|line| line.trim() != "[/memories]")
        .map(str::to_owned)
        .collect()
}

fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(map) => map.values().for_each(|item| strings(item, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The last message of the owner's.
fn last_user(body: &Value) -> String {
    let items = body.get("input").and_then(Value::as_array);
    let user = items
        .into_iter()
        .flatten()
        .rev()
        .find(|item| item.get("role").and_then(Value::as_str) == Some("user"));
    let mut texts = Vec::new();
    if let Some(content) = user.and_then(|item| item.get("content")) {
        strings(content, &mut texts);
    }
    texts.into_iter().max_by_key(String::len).unwrap_or_default()
}
