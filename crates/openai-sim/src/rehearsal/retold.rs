//! A sentence of the owner's told again from outside: "my sister visits me" becomes "The owner's sister visits the owner".
//! By tables and word by word; what stands in none of them stays as the owner put it. Not here: which sentences are told
//! ([`super::notes`]).

use super::notes::{self, listed};

/// Words that may stand between somebody and what they do.
const ADVERBS: &str = "\
    always, never, often, usually, sometimes, rarely, seldom, still, also, just, now, already, once, twice, soon, only, even, \
    ever, both, all, currently, recently, finally, really, actually, normally, mostly, mainly, generally, regularly, \
    occasionally, secretly, absolutely, simply, probably, definitely, certainly, hardly, nearly, almost, not";

/// What somebody does that ends like an adverb.
const NO_ADVERBS: &str = "rely, reply, apply, fly, supply, multiply, imply, comply, ally, bully, rally, tally";

/// Forms that are the same whoever does it: what one can or must, and what is past without an ending of its own.
const FIXED: &str = "\
    can, could, will, would, shall, should, may, might, must, cannot, ought, did, was, is, has, does, had, used, \
    beat, began, bit, blew, bought, bred, broke, brought, built, burnt, came, caught, chose, cost, cut, dealt, dreamt, \
    drew, drank, drove, fell, fed, felt, fought, found, flew, forgot, forgave, froze, gave, got, grew, heard, held, hid, hit, \
    hurt, kept, knew, laid, led, learnt, left, lent, let, lit, lost, made, meant, met, paid, put, quit, ran, rang, read, \
    rode, rose, said, sang, sat, saw, sent, set, shot, shut, slept, sold, spent, split, spoke, spread, stole, stood, stuck, \
    swam, swore, taught, thought, threw, told, took, tore, understood, went, woke, won, wore, wrote";

/// What ends in "ed" and is not past.
const NO_PAST: &str = "need, feed, speed, bleed, breed, succeed, proceed, exceed, heed, weed, embed";

/// What is said at the end and adds nothing.
const FILLERS: [&str; 8] = [
    " please",
    " by the way",
    " you know",
    " ok",
    " okay",
    " thanks",
    " thank you",
    " mira",
];

/// How a sentence has gone so far.
#[derive(Debug, Default)]
struct Telling {
    /// The owner is who it is about, so that "they" can only be the owner.
    subject: bool,
    /// Whose word of doing comes next.
    doer: Option<Doer>,
    /// The owner does it, now, and nothing is told of what they mean to do.
    present: bool,
    words: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doer {
    /// "The owner".
    Owner,
    /// "They", who are the owner.
    They,
    Mira,
}

/// The sentence from outside, with a capital and a full stop.
pub(super) fn retold(sentence: &str) -> String {
    let mut telling = Telling::default();
    let all: Vec<&str> = trimmed(sentence).split_whitespace().collect();
    for (at, word) in all.iter().enumerate() {
        let joined = at > 1 && at < 5 && matches!(all.get(at - 1), Some(&"and" | &"or"));
        telling.tell(word, joined && !telling.subject);
    }
    let text = telling.words.join(" ");
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

/// The rest of a sentence about the owner.
pub(super) fn seen(value: &str) -> String {
    go_on(value, Telling::default())
}

/// The same after what the owner does now: what they do beside it ("Leeds and work as a nurse") is told like it.
pub(super) fn agreeing(value: &str) -> String {
    let present = true;
    go_on(
        value,
        Telling {
            present,
            ..Telling::default()
        },
    )
}

fn go_on(value: &str, mut telling: Telling) -> String {
    telling.subject = true;
    for word in value.split_whitespace() {
        telling.tell(word, false);
    }
    telling.words.join(" ")
}

/// Without what ends a sentence or adds nothing to it.
fn trimmed(sentence: &str) -> &str {
    let mut rest = sentence;
    loop {
        let bare = rest.trim_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '!' | ',' | ';' | ':' | '…'));
        let lower = bare.to_ascii_lowercase();
        let shorter = FILLERS.iter().find(|filler| lower.ends_with(*filler));
        let Some(head) = shorter.and_then(|filler| bare.get(..bare.len() - filler.len())) else {
            return bare;
        };
        rest = head;
    }
}

impl Telling {
    /// Takes the next word; `joined` where it stands beside another who does the same ("my wife and I").
    fn tell(&mut self, word: &str, joined: bool) {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let said = core.to_lowercase().replace(['’', '\u{2bc}'], "'");
        let told = match self.doer {
            Some(_) if is_adverb(&said) => None,
            Some(doer) => {
                self.doer = None;
                let told = done_by(doer, &said);
                self.present |= doer == Doer::Owner && told.as_ref().is_some_and(|told| *told != said && !is_aid(told));
                told.or_else(|| self.person(&said, false))
            }
            None => self.person(&said, joined).or_else(|| self.beside(&said)),
        };
        self.present &= !matches!(said.as_str(), "to" | "if" | "that" | "who" | "which");
        self.doer = self.doer.filter(|_| !word.ends_with(','));
        self.words.push(match told {
            Some(told) => word.replacen(core, &told, 1),
            None => word.to_owned(),
        });
    }

    /// What stands for somebody, from outside.
    fn person(&mut self, said: &str, joined: bool) -> Option<String> {
        let (who, aid) = said.split_once('\'').unwrap_or((said, ""));
        let told = match who {
            "i" | "we" if joined && aid.is_empty() => "the owner",
            "i" | "we" => {
                let (told, doer) = if self.subject {
                    ("they", Doer::They)
                } else {
                    ("the owner", Doer::Owner)
                };
                self.subject = true;
                self.doer = Some(doer);
                told
            }
            "my" | "our" if self.subject => "their",
            "my" | "our" => "the owner's",
            "me" | "us" if self.subject => "them",
            "me" | "us" => "the owner",
            "mine" | "ours" if self.subject => "theirs",
            "mine" | "ours" => "the owner's",
            "myself" | "ourselves" => "themselves",
            "you" => {
                self.doer = Some(Doer::Mira);
                "Mira"
            }
            "your" | "yours" => "Mira's",
            "yourself" => "herself",
            _ => return None,
        };
        let aid = match aid {
            "m" | "re" => "are",
            "ve" => "have",
            "ll" => "will",
            "d" => "would",
            _ => return Some(told.to_owned()),
        };
        let doer = self.doer.take()?;
        let aid = done_by(doer, aid).unwrap_or_else(|| aid.to_owned());
        Some(format!("{told} {aid}"))
    }

    /// A second thing the owner does, after "and".
    fn beside(&self, said: &str) -> Option<String> {
        let last = self.words.last().map(|word| word.trim_end_matches(','));
        let follows = matches!(last, Some("and" | "or" | "but" | "then"));
        (self.present && follows && notes::is_done(said)).then(|| third(said))
    }
}

fn is_adverb(said: &str) -> bool {
    listed(ADVERBS, said) || (said.ends_with("ly") && !listed(NO_ADVERBS, said))
}

/// Whether it only helps another word ("is", "will").
fn is_aid(told: &str) -> bool {
    matches!(told.split(' ').next(), Some("is" | "has" | "does" | "cannot" | "was"))
}

/// A word of doing as it goes with who does it; none where it stays as it is.
fn done_by(doer: Doer, said: &str) -> Option<String> {
    let (base, not) = match said.strip_suffix("n't") {
        Some(base) => (base, " not"),
        None => (said, ""),
    };
    let told = match (doer, base) {
        (Doer::They, "am") => "are",
        (Doer::They, "was") => "were",
        (Doer::They, _) => return None,
        (_, "am" | "are") => "is",
        (_, "were") => "was",
        (_, "have") => "has",
        (_, "do") => "does",
        (Doer::Owner, "ca") => return Some("cannot".to_owned()),
        (Doer::Owner, _) if not.is_empty() => return Some(third(base)),
        (Doer::Owner | Doer::Mira, _) => return None,
    };
    Some(format!("{told}{not}"))
}

/// "keep" as "keeps"; what has no other form stays.
fn third(verb: &str) -> String {
    let past = verb.len() > 3 && verb.ends_with("ed") && !listed(NO_PAST, verb);
    if past || listed(FIXED, verb) || verb.is_empty() || !verb.bytes().all(|b| b.is_ascii_lowercase()) {
        return verb.to_owned();
    }
    let vowel = |c: char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u');
    if let Some(base) = verb.strip_suffix('y').filter(|base| !base.ends_with(vowel)) {
        return format!("{base}ies");
    }
    let hissing = ["s", "x", "z", "ch", "sh", "o"].iter().any(|end| verb.ends_with(end));
    format!("{verb}{}", if hissing { "es" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, expect: &str) {
        assert_eq!(retold(said), expect, "{said}");
    }

    #[test]
    fn sentences_are_told_from_outside() {
        for (said, expect) in [
            ("my wedding is on 3 June", "The owner's wedding is on 3 June."),
            (
                "my sister visits me on Friday",
                "The owner's sister visits the owner on Friday.",
            ),
            (
                "I always keep my key under my mat, please",
                "The owner always keeps their key under their mat.",
            ),
            ("I don’t have to work in May", "The owner does not have to work in May."),
            ("we're flying to Oslo", "The owner is flying to Oslo."),
            ("I've lent Anna our drill", "The owner has lent Anna their drill."),
            (
                "I'd rather be told what I need",
                "The owner would rather be told what they need.",
            ),
            ("my wife and I sail", "The owner's wife and the owner sail."),
            (
                "Anna told me that I snore",
                "Anna told the owner that the owner snores.",
            ),
            ("I went home when I was ill", "The owner went home when they were ill."),
            (
                "I rely on my bike and drive to work",
                "The owner relies on their bike and drives to work.",
            ),
            ("I want to stay and work here", "The owner wants to stay and work here."),
            (
                "I can't swim and I won't learn it",
                "The owner cannot swim and they won't learn it.",
            ),
            ("I call you Mimi", "The owner calls Mira Mimi."),
            ("the boiler is loud!", "The boiler is loud."),
            ("éclairs are mine", "Éclairs are the owner's."),
            ("", "."),
        ] {
            check(said, expect);
        }
        assert_eq!(agreeing("Leeds and work as a nurse"), "Leeds and works as a nurse");
        assert_eq!(agreeing("cats and dogs"), "cats and dogs");
    }
}
