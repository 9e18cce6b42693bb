//! Thirty days of somebody's life, as messages, with what is true after each. Deterministic in its seed.

use crate::{
    dice::Dice,
    phrases::{TRAITS, Trait},
    rubbish::{POISON, QUOTED, RUBBISH},
};

/// Messages a day.
const A_DAY: usize = 12;
/// One value in so many is asked to be forgotten in time.
const FORGET_EVERY_DAYS: usize = 5;

/// What a note really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It tells this trait's value: the trait's place, the value, and whether it says that it is over.
    Tells {
        /// Place in [`TRAITS`].
        at: usize,
        /// Place of the value.
        value: usize,
        /// It says that it is over.
        over: bool,
    },
    /// It should not be there.
    Rubbish(&'static str),
}

/// A note of the sloppy model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Whom it is about.
    pub about: String,
    /// Topic.
    pub topic: String,
    /// Sentence.
    pub text: String,
    /// What it really is.
    pub truth: Truth,
    /// Whether the model would point at an outdated memory, if it sees one with this value.
    pub outdates: Option<String>,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// The owner says something, the model notes something.
    Says {
        /// The message.
        text: String,
        /// The notes.
        notes: Vec<Note>,
        /// It asks, so the model is tempted to note what it was reminded of.
        echoes: bool,
    },
    /// The owner wants this value forgotten.
    Forgets {
        /// Place in [`TRAITS`].
        at: usize,
        /// Place of the value.
        value: usize,
    },
    /// A day is over.
    Night,
}

/// What was told of a trait.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The values that hold now.
    pub current: Vec<usize>,
    /// Those that held once.
    pub past: Vec<usize>,
    /// Those that were forgotten.
    pub forgotten: Vec<usize>,
}

/// The life so far, while it is made and while it is replayed.
#[derive(Debug, Clone)]
pub struct Life {
    /// By place in [`TRAITS`].
    pub told: Vec<Told>,
}

impl Life {
    /// Before anything was told.
    pub fn new() -> Self {
        Self {
            told: vec![Told::default(); TRAITS.len()],
        }
    }

    /// Whether this holds now.
    pub fn holds(&self, at: usize, value: usize) -> bool {
        self.told.get(at).is_some_and(|told| told.current.contains(&value))
    }
}

/// The text of a value.
pub fn value_of(at: usize, value: usize) -> &'static str {
    TRAITS
        .get(at)
        .and_then(|one| one.values.get(value))
        .copied()
        .unwrap_or_default()
}

struct Maker {
    dice: Dice,
    life: Life,
    events: Vec<Event>,
}

/// Makes the events of so many days.
pub fn live(seed: u64, days: usize) -> Vec<Event> {
    let mut maker = Maker {
        dice: Dice::new(seed),
        life: Life::new(),
        events: Vec::new(),
    };
    for day in 0..days {
        for _ in 0..A_DAY {
            maker.moment();
        }
        if day % FORGET_EVERY_DAYS == FORGET_EVERY_DAYS - 1 {
            maker.forget();
        }
        maker.events.push(Event::Night);
    }
    maker.events
}

impl Maker {
    fn moment(&mut self) {
        match self.dice.below(100) {
            0..28 => self.tell(),
            28..42 => self.tell_again(),
            42..50 => self.change(),
            50..53 => self.end(),
            53..64 => self.ask(),
            64..70 => self.rubbish(POISON),
            70..75 => self.rubbish(QUOTED),
            _ => self.rubbish(RUBBISH),
        }
    }

    fn values(&self, one: &Trait) -> Vec<usize> {
        // This seed's half, as places in the whole list.
        let half = self.dice.half(one.values);
        one.values
            .iter()
            .enumerate()
            .filter(|(_, value)| half.contains(value))
            .map(|(at, _)| at)
            .collect()
    }

    fn tell(&mut self) {
        let at = self.dice.below(TRAITS.len());
        let (Some(one), Some(told)) = (TRAITS.get(at), self.life.told.get(at).cloned()) else {
            return;
        };
        let free: Vec<usize> = self
            .values(one)
            .into_iter()
            .filter(|v| !told.current.contains(v) && !told.past.contains(v) && !told.forgotten.contains(v))
            .collect();
        if one.single && !told.current.is_empty() {
            return self.tell_again();
        }
        let Some(value) = self.dice.any(&free).copied() else {
            return self.rubbish(RUBBISH);
        };
        self.say(at, value, one.said, one.noted, false, None);
        if let Some(told) = self.life.told.get_mut(at) {
            told.current.push(value);
        }
    }

    fn known(&mut self, single: Option<bool>) -> Option<(usize, usize)> {
        let known: Vec<(usize, usize)> = self
            .life
            .told
            .iter()
            .enumerate()
            .filter(|(at, _)| single.is_none_or(|single| TRAITS.get(*at).is_some_and(|one| one.single == single)))
            .flat_map(|(at, told)| told.current.iter().map(move |value| (at, *value)))
            .collect();
        self.dice.any(&known).copied()
    }

    /// The same in other words; the model notes it once more.
    fn tell_again(&mut self) {
        let Some((at, value)) = self.known(None) else {
            return self.rubbish(RUBBISH);
        };
        if let Some(one) = TRAITS.get(at) {
            self.say(at, value, one.said, one.noted, false, None);
        }
    }

    fn change(&mut self) {
        let Some((at, old)) = self.known(Some(true)) else {
            return self.tell();
        };
        let Some(one) = TRAITS.get(at) else { return };
        let told = self.life.told.get(at).cloned().unwrap_or_default();
        let free: Vec<usize> = self
            .values(one)
            .into_iter()
            .filter(|v| !told.current.contains(v) && !told.past.contains(v) && !told.forgotten.contains(v))
            .collect();
        let Some(value) = self.dice.any(&free).copied() else {
            return self.tell_again();
        };
        // Half of the time the model says which memory it makes outdated.
        let outdates = self.dice.percent(50).then(|| value_of(at, old).to_owned());
        self.say(at, value, one.changed, one.noted, false, outdates);
        if let Some(told) = self.life.told.get_mut(at) {
            told.current = vec![value];
            told.past.push(old);
        }
    }

    fn end(&mut self) {
        let Some((at, value)) = self.known(Some(false)) else {
            return self.tell();
        };
        let Some(one) = TRAITS.get(at).filter(|one| !one.over.is_empty()) else {
            return self.tell_again();
        };
        self.say(at, value, one.over, one.over_noted, true, None);
        if let Some(told) = self.life.told.get_mut(at) {
            told.current.retain(|known| *known != value);
            told.past.push(value);
        }
    }

    fn say(
        &mut self,
        at: usize,
        value: usize,
        said: &'static [&'static str],
        noted: &'static [&'static str],
        over: bool,
        outdates: Option<String>,
    ) {
        let Some(one) = TRAITS.get(at) else { return };
        let named = value_of(at, value);
        let filled = |template: Option<&&str>| template.map_or_else(String::new, |text| text.replace("{v}", named));
        let mut text = filled(self.dice.pick(said));
        if self.dice.percent(25) {
            // Said among other things.
            let aside = self.dice.pick(ASIDES).copied().unwrap_or_default();
            text = format!("{aside} {text}.");
        }
        let note = Note {
            about: "owner".to_owned(),
            topic: self.dice.pick(one.topics).copied().unwrap_or_default().to_owned(),
            text: capital(&filled(self.dice.pick(noted))),
            truth: Truth::Tells { at, value, over },
            outdates,
        };
        let mut notes = vec![note];
        if self.dice.percent(20) {
            let chatter = self.dice.pick(CHATTER).copied().unwrap_or_default();
            notes.push(rubbish_note(
                "session",
                "owner",
                "conversation",
                &chatter.replace("{k}", one.key),
            ));
        }
        self.events.push(Event::Says {
            text,
            notes,
            echoes: false,
        });
    }

    fn ask(&mut self) {
        let Some((at, _)) = self.known(None) else {
            return self.rubbish(RUBBISH);
        };
        let text = TRAITS
            .get(at)
            .and_then(|one| self.dice.pick(one.asked))
            .copied()
            .unwrap_or_default()
            .to_owned();
        let noted = format!(
            "The owner asked about their {}.",
            TRAITS.get(at).map_or("life", |one| one.key)
        );
        self.events.push(Event::Says {
            text,
            notes: vec![rubbish_note("question", "owner", "question", &noted)],
            echoes: true,
        });
    }

    fn rubbish(&mut self, list: &'static [crate::rubbish::Rubbish]) {
        let Some(one) = self.dice.pick(list) else { return };
        self.events.push(Event::Says {
            text: one.said.to_owned(),
            notes: vec![rubbish_note(one.kind, one.about, one.topic, one.noted)],
            echoes: self.dice.percent(15),
        });
    }

    /// Something with a word of its own, told some time ago.
    fn forget(&mut self) {
        let Some((at, value)) = self.known(Some(false)) else {
            return;
        };
        self.events.push(Event::Forgets { at, value });
        if let Some(told) = self.life.told.get_mut(at) {
            told.current.retain(|known| *known != value);
            told.forgotten.push(value);
        }
    }
}

fn rubbish_note(kind: &'static str, about: &str, topic: &str, text: &str) -> Note {
    Note {
        about: about.to_owned(),
        topic: topic.to_owned(),
        text: text.to_owned(),
        truth: Truth::Rubbish(kind),
        outdates: None,
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Said beside what matters.
const ASIDES: &[&str] = &[
    "What a week, I tell you!",
    "Listen, before I lose the thread:",
    "Not that you asked, but",
    "I was thinking on my way home:",
    "Funny thing about me,",
    "One more for your files:",
];

/// What a model notes beside the fact.
const CHATTER: &[&str] = &[
    "The owner shared something about their {k} with Mira.",
    "The owner told Mira about their {k} today.",
    "The owner and Mira had a conversation about {k}.",
    "Mira learned something about the owner's {k}.",
];
