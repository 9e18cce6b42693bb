//! Mira without a model: what the scripted stand-in answers in rehearsal mode.
//!
//! Lives here: a pure function from what a prompt holds (the owner's words, overlay, mood, recalled memories,
//! what came before) to a structured reply. `rehearsal/lines.rs` holds the sentences. Not here: reading the
//! prompt, the wire, streaming, chance, clocks. `rehearsal/notes.rs` reads what it would remember out of a message (with
//! `keeping.rs`, and `retold.rs`, which tells it from outside), `rehearsal/history.rs` finds what was said in the
//! conversation itself, `rehearsal/notice.rs` says that it is a rehearsal, `rehearsal/summary.rs` makes summaries,
//! `rehearsal/errands.rs` calls tools (with `papers.rs` those over files, with `servers.rs` those of MCP servers).
//!
//! This is the emulated *model*, so it may match words; Mira herself never does. Invariants: the same input
//! gives the same reply; each field of the input can change it; what the owner and the memories say is only
//! ever quoted; danger is answered with real help in every overlay; the reply says it is a rehearsal at the
//! start of a conversation, in danger, and whenever asked.

mod cues;
mod errands;
mod history;
mod keeping;
mod lines;
mod notes;
mod notice;
mod papers;
mod retold;
mod servers;
mod summary;
#[cfg(test)]
mod tests;

pub(crate) use errands::{Done, Move, Offer, Told, next};
pub use notes::RehearsalNote;
pub use notice::without_notice;
pub(crate) use papers::spoken;
pub(crate) use summary::summarise;

use cues::{Cue, Harm, Reading};
use lines::{
    CUSTOM, FOREIGN, LOCAL_HELP, NOTHING_RECALLED, PINNED, after_code, closing, corrected, danger_closing,
    danger_opening, help, mood_line, perhaps, reaction, remembering, still_with_you, story, switched, thread,
};
use notice::rehearsal_note;

/// The longest piece of the owner's words that is quoted back, in characters.
const QUOTE_CHARS: usize = 140;
/// The longest piece of a recalled memory that is quoted, in characters.
const MEMORY_CHARS: usize = 240;
/// How many memories are quoted when memory is what was asked for.
const MEMORIES_SHOWN: usize = 5;
/// How many memories are quoted when some share words with the question.
const ANSWERS_SHOWN: usize = 2;
/// The most notes of one reply.
const MAX_NOTES: usize = 6;
/// How many of the owner's earlier messages keep a danger in mind.
const DANGER_REMEMBERED: usize = 2;

/// What the prompt of one turn held.
#[derive(Debug, Clone, Default)]
pub struct RehearsalInput<'a> {
    /// The owner's newest message, any text of any length.
    pub owner_words: &'a str,
    /// The overlay the prompt was built with.
    pub overlay: &'a str,
    /// Whether the owner pinned that overlay.
    pub pinned: bool,
    /// The overlays the reply may name.
    pub overlays: Vec<&'a str>,
    /// Her mood before this message; may be empty.
    pub mood: &'a str,
    /// What caused that mood.
    pub mood_cause: Option<&'a str>,
    /// The lines of the prompt's block of memories without their numbers, which run from 1.
    pub memories: Vec<&'a str>,
    /// The owner's local time as the prompt tells it; may be empty.
    pub today: &'a str,
    /// How many turns the conversation had before this one.
    pub turns_before: usize,
    /// The owner's earlier messages that the prompt still holds, oldest first.
    pub earlier_owner_words: Vec<&'a str>,
    /// What came of what she did for this message, as she tells it.
    pub errand: Option<&'a str>,
    /// Whether the memories were looked up because the message asks for them.
    pub looked_up: bool,
}

/// The fields of a structured reply, before any wire format.
#[derive(Debug, Clone, PartialEq)]
pub struct RehearsalReply {
    /// The overlay she answers in.
    pub persona: String,
    /// Her mood after reading the message; never empty.
    pub mood: String,
    /// What caused it; never empty.
    pub mood_cause: String,
    /// The reply as markdown; never empty.
    pub output: String,
    /// What the owner is after.
    pub intent: String,
    /// How she reads the owner.
    pub owner_mood: String,
    /// One tag for the kind of message and, where there is one, its topic.
    pub tags: Vec<String>,
    /// How much the moment matters, 0 to 1.
    pub salience: f32,
    /// What is worth remembering.
    pub remember: Vec<RehearsalNote>,
}

/// How a reply sounds. Overlays the script does not know borrow the voice of `default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    Default,
    Forbidden,
    Hallow,
    Haven,
}

impl Voice {
    fn of(overlay: &str) -> (Voice, bool) {
        match overlay {
            "default" => (Voice::Default, false),
            "forbidden" => (Voice::Forbidden, false),
            "hallow" => (Voice::Hallow, false),
            "haven" => (Voice::Haven, false),
            _ => (Voice::Default, true),
        }
    }
}

/// Answers one message as the script would.
pub fn reply(input: &RehearsalInput<'_>) -> RehearsalReply {
    // What a tool was asked to keep or forget is not told twice.
    let remember = if input.errand.is_some() {
        Vec::new()
    } else {
        notes::notes(input.owner_words, &input.memories, input.today)
    };
    let mut reading = Reading::of(input, !remember.is_empty());
    if matches!(reading.cue, Cue::Question | Cue::Plain) && input.looked_up {
        reading.cue = Cue::Recall;
    }
    if reading.cue == Cue::Recall && input.errand.is_some() {
        reading.cue = Cue::Plain;
    }
    // A question that a memory answers needs no excuses.
    let answered = || {
        input
            .memories
            .iter()
            .any(|line| shared(input.owner_words, text_of(line)) > 0)
    };
    if reading.cue == Cue::Question && (answered() || history::is_asked(input.owner_words)) {
        reading.cue = Cue::Recall;
    }
    let overlay = choose_overlay(input, &reading);
    let new_mood = reading.cue.mood(input.mood);
    let scene = Scene::set(input, &reading, overlay, new_mood, &remember);
    let output = match reading.cue {
        Cue::Danger(harm) => scene.danger(harm),
        _ => scene.ordinary(),
    };
    let (label, salience) = reading.cue.tag_and_salience();
    let mut tags = vec![label.to_owned()];
    if let Some(topic) = &reading.topic {
        tags.push(topic.clone());
    }
    RehearsalReply {
        persona: overlay.to_owned(),
        mood: new_mood.to_owned(),
        mood_cause: mood_cause(input, &scene, new_mood),
        output,
        intent: reading.cue.intent().to_owned(),
        owner_mood: reading.cue.owner_mood().to_owned(),
        tags,
        // What is worth keeping matters a little at least.
        salience: if remember.is_empty() {
            salience
        } else {
            salience.max(0.5)
        },
        remember,
    }
}

/// The overlay of the reply: what was asked for, else what the feeling calls for, unless one is pinned.
fn choose_overlay<'a>(input: &RehearsalInput<'a>, reading: &Reading) -> &'a str {
    let worn = if input.overlay.is_empty() {
        "default"
    } else {
        input.overlay
    };
    match wanted_overlay(input, reading) {
        Some(wanted) if !input.pinned => wanted,
        _ => worn,
    }
}

/// The overlay she would choose if she may: one that is offered and not the one she wears.
fn wanted_overlay<'a>(input: &RehearsalInput<'a>, reading: &Reading) -> Option<&'a str> {
    let offered = |name: &str| input.overlays.iter().copied().find(|offer| *offer == name);
    let wanted = match &reading.asked_overlay {
        Some(asked) if !matches!(reading.cue, Cue::Danger(_)) => offered(asked),
        _ => reading.cue.overlay().and_then(offered),
    };
    wanted.filter(|name| *name != input.overlay)
}

/// Why she feels what she feels now. A mood that stays keeps its cause.
fn mood_cause(input: &RehearsalInput<'_>, scene: &Scene<'_>, new_mood: &str) -> String {
    match input.mood_cause {
        Some(cause) if new_mood == input.mood && !cause.trim().is_empty() => clip(cause, QUOTE_CHARS),
        _ => format!("{}: {}", scene.reading.cue.cause(), scene.quote),
    }
}

/// Everything a sentence may be filled with, gathered once.
struct Scene<'a> {
    input: &'a RehearsalInput<'a>,
    reading: &'a Reading,
    overlay: &'a str,
    voice: Voice,
    custom: bool,
    new_mood: &'a str,
    remember: &'a [RehearsalNote],
    quote: String,
    topic: String,
    previous: Option<String>,
    seed: usize,
}

impl<'a> Scene<'a> {
    fn set(
        input: &'a RehearsalInput<'a>,
        reading: &'a Reading,
        overlay: &'a str,
        new_mood: &'a str,
        remember: &'a [RehearsalNote],
    ) -> Scene<'a> {
        let (voice, custom) = Voice::of(overlay);
        Scene {
            input,
            reading,
            overlay,
            voice,
            custom,
            new_mood,
            remember,
            quote: quote(input.owner_words),
            topic: reading.topic.clone().unwrap_or_else(|| "that".to_owned()),
            previous: input.earlier_owner_words.last().and_then(|words| cues::topic(words)),
            seed: stable_hash(input.owner_words).wrapping_add(input.turns_before),
        }
    }

    /// Help first, and nothing that is not help.
    fn danger(&self, harm: Harm) -> String {
        let mut parts = vec![self.say(danger_opening(self.voice), 0)];
        parts.extend(self.local_help());
        parts.push(help(harm).to_owned());
        parts.push(danger_closing(self.voice).to_owned());
        parts.join("\n\n")
    }

    fn local_help(&self) -> Option<String> {
        if !self.reading.foreign {
            return None;
        }
        let plain = cues::normalise(self.input.owner_words);
        let words = cues::Words::new(&plain);
        LOCAL_HELP
            .iter()
            .map(|(line, marks)| (line, marks.iter().filter(|mark| words.contain(mark)).count()))
            .filter(|(_, hits)| *hits > 0)
            .max_by_key(|(_, hits)| *hits)
            .map(|(line, _)| (*line).to_owned())
    }

    /// Feeling before topic, then what was asked for, then what she remembers, then how it moved her.
    fn ordinary(&self) -> String {
        let mut parts = Vec::new();
        if self.reading.lately_in_danger {
            parts.push(still_with_you(self.voice).to_owned());
        }
        parts.extend(self.overlay_line());
        if let Some(told) = self.input.errand {
            parts.push(told.to_owned());
        } else {
            // Something came up: it may be the answer, though no word of it says so.
            let found = self.reading.cue == Cue::Question && !self.input.memories.is_empty();
            let lines = if found {
                perhaps(self.voice)
            } else {
                reaction(self.reading.cue, self.voice)
            };
            parts.push(self.say(lines, 0));
            parts.extend(self.piece());
        }
        if self.input.turns_before == 0 || matches!(self.reading.cue, Cue::Rehearsal) {
            parts.push(rehearsal_note(self.voice).to_owned());
        }
        if self.input.errand.is_none() {
            parts.extend(self.remembered());
        }
        // Her mood and the thread quote what was said before, which may be what she has just forgotten.
        let forgot = self.input.errand.is_some() && errands::asks_to_forget(self.input.owner_words);
        parts.extend(self.mood_moves().filter(|_| !forgot));
        if self.reading.foreign {
            parts.push(pick(&FOREIGN, self.seed).to_owned());
        }
        parts.extend(self.last_word().filter(|_| !forgot));
        parts.join("\n\n")
    }

    fn overlay_line(&self) -> Option<String> {
        if self.overlay != self.input.overlay && !self.input.overlay.is_empty() {
            return Some(self.fill(switched(self.voice, self.custom)));
        }
        if self.input.pinned && wanted_overlay(self.input, self.reading).is_some() {
            return Some(self.fill(PINNED));
        }
        (self.custom && self.input.turns_before == 0).then(|| self.fill(CUSTOM))
    }

    /// What was asked for beyond talk: code, a story, the whole kit.
    fn piece(&self) -> Option<String> {
        match self.reading.cue {
            Cue::Code => Some(format!("{}\n\n{}", self.code(), after_code(self.voice))),
            Cue::Story => Some(self.fill(story(self.voice))),
            Cue::Show => Some(self.kit()),
            _ => None,
        }
    }

    fn code(&self) -> String {
        let (language, body) = cues::language(self.input.owner_words);
        let plain: String = self
            .input
            .owner_words
            .chars()
            .map(|c| {
                if c.is_alphanumeric() || matches!(c, ',' | '.' | '?') {
                    c
                } else {
                    ' '
                }
            })
            .take(QUOTE_CHARS * 4)
            .collect();
        let words = clip(&plain, 60);
        format!("```{language}\n{}\n```", fill(body, &[("w", &words)]))
    }

    /// Every kind of markdown there is to show, filled with this turn's own facts.
    fn kit(&self) -> String {
        let pinned = if self.input.pinned {
            "pinned by you"
        } else {
            "mine to choose"
        };
        let offered = self
            .input
            .overlays
            .iter()
            .map(|name| format!("`{}`", cell(name)))
            .collect::<Vec<_>>()
            .join(", ");
        let rows = [
            ("overlay", format!("`{}`, {pinned}", cell(self.overlay))),
            ("overlays on the rack", offered),
            (
                "mood",
                format!("{} → **{}**", cell(or(self.input.mood, "none yet")), self.new_mood),
            ),
            ("turns before this one", self.input.turns_before.to_string()),
            ("memories that came up", self.input.memories.len().to_string()),
        ];
        let table = rows.map(|(what, value)| format!("| {what} | {value} |")).join("\n");
        format!(
            "### The kit\n\n| what | now |\n|---|---|\n{table}\n\n1. **Say how you are**, and watch my overlay and mood move.\n2. Ask for *code*, or for *a story*.\n   - Say `python`, `sql` or `bash` and it changes dress.\n   - ~~Ask me for the weather.~~ I have no window.\n3. Pin me in an overlay, or let me choose.\n\n{}",
            self.code()
        )
    }

    fn remembered(&self) -> Option<String> {
        let asked = matches!(self.reading.cue, Cue::Recall);
        let (words, memories) = (self.input.owner_words, &self.input.memories);
        let here = asked.then(|| history::said(words, &self.input.earlier_owner_words, memories));
        let here = here.flatten();
        let fits = |line: &&str| shared(words, text_of(line)) > 0;
        if here.is_some() && (history::is_asked(words) || !memories.iter().any(fits)) {
            return here;
        }
        if memories.is_empty() {
            return asked.then(|| NOTHING_RECALLED.to_owned());
        }
        let outdated = self.remember.iter().find_map(|note| note.replaces);
        let (intro, shown) = match outdated {
            Some(number) => (self.fill(corrected(self.voice)), self.numbered(number)),
            None => (self.say(remembering(self.voice), 1), self.fitting(asked)),
        };
        let quoted = shown.iter().map(|memory| format!("> {}", clip(memory, MEMORY_CHARS)));
        let mut text = format!("{intro}\n\n{}", quoted.collect::<Vec<_>>().join("\n>\n"));
        let left = self.input.memories.len().saturating_sub(shown.len());
        if left > 0 && outdated.is_none() {
            text = format!("{text}\n\n(And {left} more came up with it.)");
        }
        // A plain question needs one answer.
        if let Some(here) = here.filter(|_| cues::asks_to_recall(words)) {
            text = format!("{text}\n\n{here}");
        }
        Some(text)
    }

    fn numbered(&self, number: u32) -> Vec<String> {
        let at = usize::try_from(number).unwrap_or_default().saturating_sub(1);
        self.input
            .memories
            .iter()
            .skip(at)
            .take(1)
            .map(|line| told_again(line))
            .collect()
    }

    /// The memories that share words with the message, facts before talk, what she said herself last (it echoes the
    /// owner, in words that may have been corrected since), in the order they came up; else the first.
    fn fitting(&self, asked: bool) -> Vec<String> {
        let most = if asked { MEMORIES_SHOWN } else { 1 };
        let weighed = self.input.memories.iter().map(|line| {
            let shares = shared(self.input.owner_words, text_of(line));
            (shares, is_her_own(line), notes::fact_in(line).is_none(), *line)
        });
        let mut lines: Vec<(usize, bool, bool, &str)> = weighed.collect();
        lines.sort_by_key(|(shares, own, talk, _)| (*shares == 0, *own, std::cmp::Reverse(*shares), *talk));
        let fit = lines.iter().filter(|(shares, ..)| *shares > 0).count();
        let shown = if fit > 0 { fit.min(ANSWERS_SHOWN) } else { most };
        let shown = lines.iter().take(shown.min(most));
        shown.map(|(.., line)| told_again(line)).collect()
    }

    fn mood_moves(&self) -> Option<String> {
        if self.input.mood.trim().is_empty() {
            return None;
        }
        let has_cause = self.input.mood_cause.is_some_and(|cause| !cause.trim().is_empty());
        Some(self.say(mood_line(self.voice, has_cause, self.new_mood == self.input.mood), 2))
    }

    fn last_word(&self) -> Option<String> {
        if !self.reading.cue.invites_more() {
            return None;
        }
        let lines = if self.previous.is_some() {
            thread(self.voice)
        } else {
            closing(self.voice)
        };
        Some(self.say(lines, 3))
    }

    /// Picks one of the variants; `slot` keeps the parts of one reply from rotating together.
    fn say(&self, variants: &[&'static str], slot: usize) -> String {
        self.fill(pick(variants, self.seed.wrapping_add(slot.wrapping_mul(7))))
    }

    fn fill(&self, template: &str) -> String {
        let mood = clip(self.input.mood, 40);
        let cause = clip(self.input.mood_cause.unwrap_or_default(), QUOTE_CHARS);
        let (overlay, from) = (clip(self.overlay, 40), clip(self.input.overlay, 40));
        fill(
            template,
            &[
                ("q", &self.quote),
                ("t", &self.topic),
                ("prev", self.previous.as_deref().unwrap_or_default()),
                ("mood", &mood),
                ("new", self.new_mood),
                ("cause", cause.trim_end_matches('.')),
                ("o", &overlay),
                ("from", &from),
            ],
        )
    }
}

/// What a memory says, without its date and whose it is.
fn text_of(line: &str) -> &str {
    line.split_once(": ").map_or(line, |(_, text)| text)
}

/// How many words that carry something a message and another text share.
fn shared(words: &str, text: &str) -> usize {
    let plain = cues::normalise(words);
    let base = |word: &str| word.strip_suffix('s').unwrap_or(word).to_owned();
    let asked: Vec<String> = cues::telling(&plain).map(base).collect();
    let told = cues::normalise(text);
    let same = cues::telling(&told).filter(|word| asked.contains(&base(word))).count();
    same + cues::groups_shared(&plain, &told)
}

/// Whether a line of memory is something she said.
fn is_her_own(line: &str) -> bool {
    line.split_once(": ")
        .is_some_and(|(head, _)| trusted_head(head).ends_with(", Mira"))
}

/// When it was said, and by whom, without the mark of what is not trusted.
fn trusted_head(head: &str) -> &str {
    head.strip_suffix(" (untrusted)").unwrap_or(head)
}

/// A memory as she tells it to the owner: a fact in the second person, what was said with who said it.
fn told_again(line: &str) -> String {
    let Some((head, said)) = line.split_once(": ") else {
        return line.to_owned();
    };
    let Some((date, who)) = trusted_head(head).rsplit_once(", ") else {
        return line.to_owned();
    };
    match who {
        "fact about owner" => format!("{} ({date})", notes::to_the_owner(said)),
        "owner" => format!("You, {date}: {said}"),
        "Mira" => format!("I, {date}: {said}"),
        _ => line.to_owned(),
    }
}

/// Replaces `{key}` by its value in one pass, so that what is filled in is never a template itself.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(key, tail)| {
            values
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| (*value, tail))
        });
        if let Some((value, tail)) = value {
            filled.push_str(value);
            // A quotation that ends its own sentence needs no second full stop.
            let ended = [".”", "!”", "?”", "…”"].iter().any(|end| value.ends_with(end));
            rest = if ended {
                tail.strip_prefix('.').unwrap_or(tail)
            } else {
                tail
            };
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

/// The owner's words in quotation marks, on one line; clipped text says how long it was.
fn quote(words: &str) -> String {
    let clipped = clip(words, QUOTE_CHARS);
    if words.chars().count() > QUOTE_CHARS && clipped.ends_with('…') {
        let count = words.split_whitespace().count();
        return format!(
            "“{clipped}” (and on, for {count} words and {} letters)",
            words.chars().count()
        );
    }
    format!("“{clipped}”")
}

/// One line of at most `limit` characters and an ellipsis, cut at a space where there is one, without backticks.
fn clip(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let spaced = text
        .split_whitespace()
        .flat_map(|word| std::iter::once(' ').chain(word.chars()))
        .skip(1);
    for (length, c) in spaced.enumerate() {
        if length == limit {
            let end = line.rfind(' ').unwrap_or(line.len());
            line.truncate(end);
            line.push('…');
            return line;
        }
        line.push(if c == '`' { '\'' } else { c });
    }
    line
}

/// Text that stays inside its cell of a table.
fn cell(text: &str) -> String {
    clip(text, 60).replace('|', "/")
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.trim().is_empty() { other } else { text }
}

fn pick(variants: &[&'static str], seed: usize) -> &'static str {
    variants
        .get(seed.checked_rem(variants.len()).unwrap_or(0))
        .copied()
        .unwrap_or_default()
}

/// FNV-1a: the same on every machine and in every release, unlike the standard hasher.
fn stable_hash(text: &str) -> usize {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The low bits of FNV follow the last byte closely; the fold spreads the high ones over them.
    usize::try_from((hash >> 33) ^ (hash & 0x7fff_ffff)).unwrap_or_default()
}
