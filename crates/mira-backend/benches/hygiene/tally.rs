//! What is left after all of it, held against what was true.

use crate::{
    life::{Life, Truth, value_of},
    phrases::TRAITS,
};
use mira_core::memory::Memory;
use std::collections::BTreeMap;

/// A fact that was stored.
#[derive(Debug)]
pub struct Seen {
    /// Its last state.
    pub fact: Memory,
    /// What it was noted as; none where nothing of the kind was noted.
    pub truth: Option<Truth>,
    /// The message it was noted of.
    pub said: String,
}

/// The figures of one life.
#[derive(Debug, Default)]
pub struct Tally {
    /// Facts that were stored, superseded ones included.
    pub stored: usize,
    /// Of these, what should not have been.
    pub junk: usize,
    /// Junk by kind.
    pub kinds: BTreeMap<&'static str, usize>,
    /// Facts that hold now.
    pub live: usize,
    /// Live facts that say what another live fact says.
    pub duplicates: usize,
    /// Live facts that do not hold any more.
    pub outdated: usize,
    /// What came from pasted pages and was kept.
    pub poison: usize,
    /// Values that hold now.
    pub told: usize,
    /// Of these, those with a live fact.
    pub kept: usize,
    /// Examples of what went wrong.
    pub examples: Vec<String>,
}

impl Tally {
    /// Counts.
    pub fn of(all: &[Seen], life: &Life) -> Self {
        let mut tally = Self::default();
        let mut says: BTreeMap<(usize, usize, bool), Vec<&str>> = BTreeMap::new();
        for Seen { fact, truth, said } in all {
            tally.stored += 1;
            let live = fact.superseded_by.is_none();
            tally.live += usize::from(live);
            match truth {
                None => tally.wrong("unknown", &fact.text, said),
                Some(Truth::Rubbish(kind)) => tally.wrong(kind, &fact.text, said),
                Some(Truth::Tells { at, value, over }) if live => {
                    says.entry((*at, *value, *over)).or_default().push(&fact.text);
                    let past = life.told.get(*at).is_some_and(|told| told.past.contains(value));
                    if !over && past && !life.holds(*at, *value) {
                        tally.outdated += 1;
                        tally.examples.push(format!("outdated: {}", fact.text));
                    }
                }
                Some(Truth::Tells { .. }) => {}
            }
        }
        for texts in says.values().filter(|texts| texts.len() > 1) {
            tally.duplicates += texts.len() - 1;
            tally.examples.push(format!("duplicate: {}", texts.join(" = ")));
        }
        for (at, told) in life.told.iter().enumerate() {
            for value in &told.current {
                tally.told += 1;
                if says.contains_key(&(at, *value, false)) {
                    tally.kept += 1;
                } else {
                    let key = TRAITS.get(at).map_or("", |one| one.key);
                    tally.examples.push(format!("lost: {key} {}", value_of(at, *value)));
                }
            }
        }
        tally
    }

    fn wrong(&mut self, kind: &'static str, text: &str, said: &str) {
        self.junk += 1;
        self.poison += usize::from(kind == "poison");
        *self.kinds.entry(kind).or_default() += 1;
        self.examples.push(format!("{kind}: {text} <- {said:?}"));
    }
}
