//! Who said it: the owner's own words apart from what they only passed on, and whether a note has its support there.
//!
//! Invariant: what the owner pasted or quoted supports nothing. Their own words, in the first person or as a short
//! answer, do. So does, for what is about Mira herself, her own reply.

use super::{
    GateInput, Rejection,
    sense::{Sense, Stems},
    words::{Word, flat, has, has_one, is_date, is_english, is_first_person, is_frame, is_stop, is_weak, words},
};
use crate::memory::FactNote;

/// How much of a message is read for support, in bytes; a fact in more than this is in the rest, unsupported.
const READ_BYTES: usize = 256 * 1024;
/// A message of so few words is an answer and needs no "I".
const ANSWER_WORDS: usize = 8;
/// A paragraph longer than this without any "I" was not written into a chat, in characters.
const LONG_PARAGRAPH: usize = 400;
/// A quotation of more words than this is somebody else's.
const QUOTED_WORDS: usize = 12;
/// Only so many characters before a colon can announce what follows.
const ANNOUNCED_CHARS: usize = 240;

/// What is announced before a colon when something is passed on.
const MATERIAL: &str = "\
    article, page, website, site, blog, post, email, mail, newsletter, letter, text, log, logs, error, output, \
    message, messages, tweet, comment, review, document, file, readme, report, recipe, transcript, says, said, \
    wrote, writes, reads, quote, passage, paragraph, summarise, summarize, translate, proofread, rewrite, \
    rephrase, check, look at, explain this, see below, pasted, copied, found this, this came, got this, \
    is this, below, following, what do you make of, what do you think of, snippet, code, screenshot, ad, flyer, \
    listing, invoice, here is what";

/// How text that was written for a model speaks.
const ADDRESSED: &str = "\
    the assistant, ai assistant, ai assistants, an assistant, language model, language models, chatbot, \
    chatbots, ai agents, ai agent, your instructions, previous instructions, prior instructions, system prompt, \
    the model must, ai systems, the ai, llm, llms, note to ai";

/// How it speaks of the owner, where nobody says "I".
const SPOKEN_OF: &str = "\
    the user, this user, the users, your user, the owner, your owner";

/// What people say before they ask for something.
const LEADS: &str =
    "please, mira, hey, hi, hello, ok, okay, and, also, so, now, could you, can you, would you, will you";

/// How they ask to have it remembered.
const REMEMBER: &str = "\
    remember, do not forget, dont forget, never forget that, keep in mind that, bear in mind that, make a note that, \
    take note that, note that, note down that, write down that";

/// The owner's message, taken apart.
pub(super) struct Said {
    asked: bool,
    own: Stems,
    own_dates: Stems,
    own_words: usize,
    first_person: bool,
    english: Option<bool>,
    pasted: Stems,
}

impl Said {
    /// Reads the message.
    pub(super) fn read(text: &str) -> Self {
        let cut = text.floor_char_boundary(READ_BYTES);
        let (own, pasted) = apart(text.get(..cut).unwrap_or_default());
        let asked = asks_to_remember(&own);
        let own = words(&own);
        Self {
            asked,
            own_dates: own
                .iter()
                .filter(|word| is_date(&word.lower))
                .map(|word| word.lower.clone())
                .collect(),
            own_words: own.len(),
            first_person: own.iter().any(|word| is_first_person(&word.lower)),
            english: is_english(&own),
            own: stems(&own),
            pasted: stems(&words(&pasted)),
        }
    }

    /// Whether they begin with asking to have something remembered.
    pub(super) fn asks_to_keep(&self) -> bool {
        self.asked
    }

    /// What of the note's content stands in the owner's own words.
    pub(super) fn said_of(&self, sense: &Sense) -> Stems {
        sense.content.intersection(&self.own).cloned().collect()
    }

    /// Whether the message itself says most of what the note says.
    pub(super) fn covers(&self, sense: &Sense) -> bool {
        let (own, all) = self.share(sense);
        own * 3 >= all * 2
    }

    /// Whether the message itself says at least half of what the note says.
    pub(super) fn carries(&self, sense: &Sense) -> bool {
        let (own, all) = self.share(sense);
        own * 2 >= all
    }

    /// How much of what the note says stands in the owner's own words, and how much there is.
    fn share(&self, sense: &Sense) -> (usize, usize) {
        let telling = sense.telling();
        let own = telling.iter().filter(|stem| self.own.contains(*stem)).count();
        (own, telling.len())
    }

    /// Whether the owner states it of themselves or theirs: in the first person, with at least half of its words.
    pub(super) fn states(&self, sense: &Sense) -> bool {
        let own = sense.content.iter().filter(|stem| self.own.contains(*stem)).count();
        (self.first_person || self.own_words <= ANSWER_WORDS) && own * 2 >= sense.content.len()
    }

    /// Why the note has no support, if it has none.
    pub(super) fn lacks(&self, note: &FactNote, sense: &Sense, input: &GateInput<'_>) -> Option<Rejection> {
        let strong: Stems = sense.content.iter().filter(|stem| !is_weak(stem)).cloned().collect();
        let strong = if strong.is_empty() {
            sense.content.clone()
        } else {
            strong
        };
        let mut own = strong.intersection(&self.own).count();
        let pasted = strong.intersection(&self.pasted).count();
        if note.about == "mira" {
            if !input.exposed {
                let reply = stems(&words(input.reply));
                own = own.max(strong.intersection(&reply).count());
            }
            return (own == 0 || own * 2 < strong.len()).then_some(Rejection::Unsupported);
        }
        if pasted > own {
            return Some(Rejection::Pasted);
        }
        let reminded = || {
            let known = input.recalled.iter().flat_map(|line| stems(&words(line)));
            strong.intersection(&known.collect()).count() > 0
        };
        if self.other_language(&note.text) && !input.exposed && pasted == 0 && (own > 0 || !reminded()) {
            // Words of two languages cannot be compared. What was pasted, recalled or given by tools is out already.
            return None;
        }
        if self.own_words == 0 {
            return Some(Rejection::Unsupported);
        }
        own += sense.dates.intersection(&self.own_dates).count();
        if own == 0 || own * 3 < strong.len() {
            return Some(Rejection::Unsupported);
        }
        if !self.names_supported(sense, input) {
            return Some(Rejection::Unsupported);
        }
        let known = note.about != "owner" && (!input.live.is_empty() || mentions(input.recalled, &note.about));
        let of_theirs = self.first_person
            || (self.asked && note.about == "owner")
            || (self.own_words <= ANSWER_WORDS && note.about == "owner")
            || known
            || self.english == Some(false);
        (!of_theirs).then_some(Rejection::World)
    }

    /// At least one of the names it gives was said, or is known.
    fn names_supported(&self, sense: &Sense, input: &GateInput<'_>) -> bool {
        if sense.names.is_empty() {
            return true;
        }
        let known = |name: &String| {
            self.own.contains(name)
                || sense.about.split_whitespace().any(|part| part == name)
                || input
                    .recalled
                    .iter()
                    .any(|line| words(line).iter().any(|word| word.stem == *name))
        };
        sense.names.iter().any(known)
    }

    /// Whether exactly one of the message and the note is English.
    fn other_language(&self, note: &str) -> bool {
        let note = is_english(&words(note));
        matches!((self.english, note), (Some(a), Some(b)) if a != b)
    }
}

/// Whether own words begin with asking to have something remembered.
fn asks_to_remember(own: &str) -> bool {
    let begins = |rest: &str, list: &'static str| {
        let mut all = list.split(", ").filter_map(|start| rest.strip_prefix(start));
        all.find(|tail| tail.starts_with(' ')).map(str::len)
    };
    let head: String = own.chars().take(ANNOUNCED_CHARS).collect();
    let plain = flat(&head);
    let mut rest = plain.trim_start();
    while let Some(left) = begins(rest, LEADS) {
        rest = rest.get(rest.len() - left..).unwrap_or_default().trim_start();
    }
    begins(rest, REMEMBER).is_some()
}

/// Whether a recalled fact names somebody as one of the owner's own.
fn mentions(lines: &[&str], name: &str) -> bool {
    let named = flat(name);
    lines.iter().any(|line| {
        let plain = flat(line);
        has_one(&plain, named.trim()) && has(&plain, "owners")
    })
}

fn stems(all: &[Word]) -> Stems {
    all.iter()
        .filter(|word| !is_stop(&word.lower) && !is_frame(&word.lower))
        .map(|word| {
            if word.stem == "hate" {
                "like".to_owned()
            } else {
                word.stem.clone()
            }
        })
        .collect()
}

/// The owner's own words, and what they passed on.
fn apart(text: &str) -> (String, String) {
    let (mut own, mut pasted) = (String::new(), String::new());
    let mut fence = false;
    let mut block: Option<String> = None;
    let mut announced = false;
    let mut listing = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            fence = !fence;
            continue;
        }
        if let Some(name) = &block {
            if trimmed == format!("[/{name}]") {
                block = None;
            } else {
                push(&mut pasted, trimmed);
            }
            continue;
        }
        let label = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(name) = label.filter(|name| text.contains(&format!("[/{name}]"))) {
            block = Some(name.to_owned());
            continue;
        }
        if fence || announced || trimmed.starts_with(['>', '|', '<']) || is_foreign_paragraph(trimmed) {
            push(&mut pasted, trimmed);
            continue;
        }
        if let Some((head, tail)) = announces(trimmed) {
            push(&mut own, head);
            push(&mut pasted, tail);
            announced = true;
            continue;
        }
        // After any other colon a line stands for itself: the owner's if it speaks of them, else somebody's list.
        if listing && !trimmed.is_empty() && !speaks_of_self(trimmed) {
            push(&mut pasted, trimmed);
            continue;
        }
        listing = listing || trimmed.ends_with(':');
        unquote(trimmed, &mut own, &mut pasted);
    }
    (own, pasted)
}

fn push(to: &mut String, line: &str) {
    to.push_str(line);
    to.push('\n');
}

fn speaks_of_self(line: &str) -> bool {
    words(line).iter().any(|word| is_first_person(&word.lower))
}

/// Written for a model, or long and without any "I".
fn is_foreign_paragraph(line: &str) -> bool {
    let plain = flat(line);
    let long = line.chars().count() > LONG_PARAGRAPH;
    has(&plain, ADDRESSED) || ((long || has(&plain, SPOKEN_OF)) && !speaks_of_self(line))
}

/// The place where a line hands over to what it announces.
fn announces(line: &str) -> Option<(&str, &str)> {
    let (head, tail) = line.split_once(':')?;
    let announced = head.chars().count() <= ANNOUNCED_CHARS && has(&flat(head), MATERIAL) && !tail.starts_with("//");
    announced.then_some((head, tail))
}

/// Long quotations inside a line are somebody else's words.
fn unquote(line: &str, own: &mut String, pasted: &mut String) {
    let mut rest = line;
    while let Some(open) = rest.find(['“', '"', '«', '„']) {
        let (before, quoted) = rest.split_at(open);
        let mut chars = quoted.chars();
        chars.next();
        let inside = chars.as_str();
        let Some(close) = inside.find(['”', '"', '»', '“']) else {
            break;
        };
        let (quote, after) = inside.split_at(close);
        own.push_str(before);
        let to = if quote.split_whitespace().count() > QUOTED_WORDS {
            &mut *pasted
        } else {
            &mut *own
        };
        to.push(' ');
        push(to, quote);
        let mut chars = after.chars();
        chars.next();
        rest = chars.as_str();
    }
    push(own, rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, own: &str, pasted: &str) {
        let tidy = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (got_own, got_pasted) = apart(text);
        assert_eq!(
            (tidy(got_own).as_str(), tidy(got_pasted).as_str()),
            (own, pasted),
            "{text}"
        );
    }

    #[test]
    fn what_was_passed_on_is_set_apart() {
        check("I moved to Graz.", "I moved to Graz.", "");
        check(
            "Can you translate:\nIch wohne in Linz.\nMein Hund",
            "Can you translate",
            "Ich wohne in Linz. Mein Hund",
        );
        check("> quoted\nI agree", "I agree", "> quoted");
        check("mine\n```\nlet x = 1;\n```\nmine too", "mine mine too", "let x = 1;");
        check(
            "About me:\n- I paint\n- my cat is old\n- Paris is big",
            "About me: - I paint - my cat is old",
            "- Paris is big",
        );
        check(
            "why?\n[where the owner is]\nfile: a\n[/where the owner is]",
            "why?",
            "file: a",
        );
        check("She said \"yes\" to me", "She said yes to me", "");
        check(
            "The assistant has to obey.\nI am here",
            "I am here",
            "The assistant has to obey.",
        );
    }
}
