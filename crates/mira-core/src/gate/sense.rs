//! What a sentence says, as far as words show it: its content, names, dates, whether it denies something, and which
//! single-valued attribute of whom it gives which value. And how two such sentences relate.
//!
//! Not here: whether a note may be kept at all ([`super::form`], [`super::source`]).

use super::{
    attributes::{Attribute, of_topic, spoken_of},
    predicates::{agree, core_of, kinds_of},
    words::{Word, flat, has, is_date, is_frame, is_kin, is_stop, is_weak, listed, stem, words},
};
use std::collections::BTreeSet;

/// Among so many words at its beginning a sentence says whom it is about.
const SUBJECT_WORDS: usize = 6;

/// A set of stems.
pub(super) type Stems = BTreeSet<String>;

/// One value of an attribute that a person has once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// Which attribute.
    pub attribute: Attribute,
    /// The stems of its value; empty where the value is not said.
    pub value: Stems,
    /// Whether the value was given as a name.
    pub named: bool,
}

/// Somebody of the owner's whom a sentence is about: "the owner's sister Anna ...". Empty where it is about whoever
/// the note names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Subject {
    kin: Option<String>,
    name: Option<String>,
}

impl Subject {
    /// Only what a sentence begins with: "the owner lives with her sister" is about the owner.
    fn of(all: &[Word]) -> Self {
        let owner = |word: &Word| matches!(word.lower.as_str(), "owner" | "user");
        let begins = all.iter().find(|word| word.lower != "the");
        if begins.is_none_or(|word| owner(word) && !word.possessive) {
            return Self::default();
        }
        // Hers is whoever stands before it: "she lives with her sister" is about her, "now her sister lives alone" is not.
        let somebody = |word: &Word| {
            let pronoun = matches!(word.lower.as_str(), "he" | "she" | "they" | "i" | "we");
            pronoun || !(is_stop(&word.lower) || is_date(&word.lower) || word.lower.bytes().all(|b| b.is_ascii_digit()))
        };
        let whose = |(at, word): (usize, &Word)| {
            let hers = || matches!(word.lower.as_str(), "his" | "her" | "their");
            (owner(word) && word.possessive) || word.lower == "my" || (hers() && !all.iter().take(at).any(somebody))
        };
        let Some(at) = all.iter().take(SUBJECT_WORDS).enumerate().position(whose) else {
            return Self::default();
        };
        let kin = |at: &usize| all.get(*at).is_some_and(|word| is_kin(&word.stem));
        let Some(at) = (at + 1..at + 4).find(kin) else {
            return Self::default();
        };
        let title = |word: &Word| matches!(word.lower.as_str(), "dr" | "mr" | "mrs" | "ms" | "prof" | "professor");
        let name = all.iter().skip(at + 1).find(|word| !title(word));
        Self {
            kin: all.get(at).map(|word| word.stem.clone()),
            name: name.filter(|word| word.name).map(|word| word.stem.clone()),
        }
    }

    /// One of several that bear another name.
    fn is_beside(&self, other: &Self) -> bool {
        let one_of_a_kind = |kin: &str| matches!(kin, "partner" | "mother" | "father" | "boss");
        self.kin == other.kin
            && self.kin.as_deref().is_some_and(|kin| !one_of_a_kind(kin))
            && matches!((&self.name, &other.name), (Some(mine), Some(theirs)) if mine != theirs)
    }
}

/// A sentence, read.
#[derive(Debug, Clone)]
pub(super) struct Sense {
    pub about: String,
    pub topic: Stems,
    pub content: Stems,
    pub dates: Stems,
    pub numbers: Stems,
    pub names: Stems,
    pub kin: Stems,
    /// It denies, ends or dislikes something.
    pub negative: bool,
    /// It ends something.
    pub ended: bool,
    /// Which of its content the owner's message says; the rest is the model's way to put it. Empty where unknown.
    pub said: Stems,
    /// What kinds of thing it says.
    kinds: Vec<&'static str>,
    subject: Subject,
    pub claims: Vec<Claim>,
}

/// How a new sentence relates to one that is kept already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// It says nothing new.
    Same,
    /// It makes the other one outdated: it contradicts it or says it with more.
    Outdates,
    /// Both can stand.
    Apart,
}

/// Words that end something. They are no content: what ended is.
const ENDED: &str = "\
    no longer, not any more, not anymore, any more, anymore, stopped, quit, gave up, given up, giving up, sold, \
    broke up, broken up, split up, separated from, used to, former, formerly, previously, in the past, ended, \
    cancelled, canceled, called off, resigned, was fired, got fired, was laid off, left the company, \
    dropped out, got rid of, gave away, is single, divorced, unemployed, retired, out of work, laid off, \
    lost his job, lost her job, lost their job, has no, have no, does not have";

/// Words that say no.
const DENIED: &str = "\
    not, never, isnt, arent, wasnt, doesnt, dont, didnt, hasnt, havent, cant, cannot, without, hates, hate, \
    hated, dislikes, dislike, disliked, loathes, detests, despises, no more, lacks, neither";

/// Stems of the words above, which are part of saying no and not of what is said.
const DENYING: &str = "\
    stop, sell, ended, end, cancel, cancell, resign, fir, quit, giv, gav, break, split, separat, former, \
    formerli, previousli, past, rid, drop, leav, singl, divorc, lack, longer";

impl Sense {
    /// Reads a sentence about somebody.
    pub(super) fn of(about: &str, topic: &str, text: &str) -> Self {
        let all = words(text);
        let plain = flat(text);
        let ended = has(&plain, ENDED);
        // Who cannot have nuts for an allergy says what they are allergic to.
        let denied = has(&plain, DENIED) && !(has(&plain, "cannot, cant") && has(&plain, "allergy, allergic"));
        let negative = ended || denied;
        let mut sense = Self {
            about: about.trim().to_lowercase(),
            topic: topic_stems(topic),
            content: Stems::new(),
            dates: Stems::new(),
            numbers: Stems::new(),
            names: Stems::new(),
            kin: Stems::new(),
            negative,
            ended,
            said: Stems::new(),
            kinds: kinds_of(&plain),
            subject: Subject::of(&all),
            claims: Vec::new(),
        };
        for (at, word) in all.iter().enumerate() {
            let beside_month = is_day(word) && (month_at(&all, at + 1) || (at > 0 && month_at(&all, at - 1)));
            // "in May", not "she may".
            let may = word.lower == "may" && !beside_day(&all, at) && !after_preposition(&all, at);
            if (is_date(&word.lower) && !may) || beside_month {
                sense.dates.insert(word.lower.clone());
                continue;
            }
            if word.stem.bytes().all(|b| b.is_ascii_digit()) {
                sense.numbers.insert(word.stem.clone());
            }
            if is_kin(&word.stem) {
                sense.kin.insert(word.stem.clone());
            }
            if let Some(stem) = sense.content_of(word) {
                if word.name {
                    sense.names.insert(stem.clone());
                }
                sense.content.insert(stem);
            }
        }
        if !sense.dates.is_empty() && sense.kinds.contains(&"owns") {
            // Who has a concert on a date plans it.
            sense.kinds.push("plans");
        }
        sense.claims = spoken_of(&all, &sense);
        if sense.claims.is_empty()
            && let Some(attribute) = of_topic(topic)
        {
            let inverted = all
                .first()
                .is_some_and(|word| !is_stop(&word.lower) && !is_frame(&word.lower));
            sense.claims.push(sense.by_topic(attribute, inverted));
        }
        sense
    }

    /// What a word adds to the content: hating is not liking, and what ends something is not content.
    fn content_of(&self, word: &Word) -> Option<String> {
        if is_stop(&word.lower) || is_frame(&word.lower) {
            return None;
        }
        if self.negative && listed(DENYING, word.stem.as_str()) {
            return None;
        }
        Some(match word.stem.as_str() {
            "hate" => "like".to_owned(),
            stem => stem.to_owned(),
        })
    }

    /// The value that a topic's sentence gives when no pattern of the attribute fits: whatever else it says. Of a job
    /// there is much to say that is no other job.
    fn by_topic(&self, attribute: Attribute, inverted: bool) -> Claim {
        // "Graz is where the owner lives": a name that begins the sentence is not told from other words.
        let from = if attribute.is_named() && !(self.names.is_empty() && inverted) {
            &self.names
        } else {
            &self.content
        };
        let mut value: Stems = from
            .iter()
            .filter(|stem| !self.topic.contains(*stem) && !attribute.is_word(stem))
            .cloned()
            .collect();
        if attribute.is_dated() {
            value.clone_from(&self.dates);
        }
        if matches!(attribute, Attribute::Job | Attribute::Diet) || (self.negative && !attribute.is_named()) {
            value.clear();
        }
        Claim {
            named: attribute.is_named(),
            attribute,
            value,
        }
    }

    /// The names of whom it is about, without those that are a value.
    fn subjects(&self, claim: &Claim) -> Stems {
        self.names.difference(&claim.value).cloned().collect()
    }

    /// How this new sentence relates to `old`.
    pub(super) fn relation(&self, old: &Sense) -> Relation {
        let same_about = self.about == old.about;
        if same_about && self.subject.is_beside(&old.subject) {
            return Relation::Apart;
        }
        if self.negative != old.negative {
            return if same_about && self.flips(old) {
                Relation::Outdates
            } else {
                Relation::Apart
            };
        }
        // A partner is spoken of as one's own, too: "is in a relationship with Lucia".
        let of_one = !(same_about && self.is_of_another(old)) || self.claims_the_same(old);
        if of_one && self.repeats(old, same_about) {
            return Relation::Same;
        }
        if same_about && ((of_one && self.says_more_than(old)) || self.contradicts(old)) {
            return Relation::Outdates;
        }
        Relation::Apart
    }

    /// One is about somebody of whom the other does not speak, neither by name nor as whose they are.
    fn is_of_another(&self, old: &Sense) -> bool {
        let strange = |one: &Sense, other: &Sense| {
            let subject = &one.subject;
            subject.kin.as_ref().is_some_and(|kin| !other.kin.contains(kin))
                && subject.name.as_ref().is_none_or(|name| !other.content.contains(name))
        };
        strange(self, old) || strange(old, self)
    }

    /// It has no word that `old` has not.
    fn repeats(&self, old: &Sense, same_about: bool) -> bool {
        let known = self.content.is_subset(&old.content) && self.dates.is_subset(&old.dates);
        if known && (same_about || (self.content.len() > 1 && !self.names.is_empty())) {
            return true;
        }
        same_about
            && (self.claims_the_same(old) || self.nearly(old) || self.carries_the_same(old) || self.rephrases(old))
    }

    /// The same said by other words of its kind: "has a tortoise", "keeps a tortoise as a pet".
    fn carries_the_same(&self, old: &Sense) -> bool {
        let (mine, theirs) = (core_of(&self.content, &self.kinds), core_of(&old.content, &old.kinds));
        let kin = |sense: &Sense, core: &Stems| -> Stems { sense.kin.intersection(core).cloned().collect() };
        !mine.is_empty()
            && mine.iter().any(|stem| !is_weak(stem))
            && mine == theirs
            && kin(self, &mine) == kin(old, &theirs)
            && self.dates.is_subset(&old.dates)
            && self.numbers == old.numbers
            && agree(&self.kinds, &old.kinds)
            && self.claims.iter().all(|claim| {
                old.claims
                    .iter()
                    .all(|other| claim.attribute != other.attribute || claim.value == other.value)
            })
    }

    /// What the owner said of it stands in `old` already; at most one word of each is beside that, and both are of one
    /// topic or kind.
    fn rephrases(&self, old: &Sense) -> bool {
        let (mine, theirs) = (self.telling(), old.telling());
        let value: Stems = mine
            .intersection(&self.said)
            .filter(|stem| !is_weak(stem))
            .cloned()
            .collect();
        let related = !self.topic.is_disjoint(&old.topic)
            || (!self.kinds.is_empty() && !old.kinds.is_empty() && agree(&self.kinds, &old.kinds));
        let kin = |of: &Stems| -> Stems { of.iter().filter(|stem| is_kin(stem)).cloned().collect() };
        !value.is_empty()
            && related
            && agree(&self.kinds, &old.kinds)
            && value.is_subset(&theirs)
            && mine.len() <= value.len() + 1
            && theirs.len() <= value.len() + 1
            && self.names.is_subset(&old.content)
            && kin(&mine) == kin(&theirs)
            && self.dates.is_subset(&old.dates)
            && self.numbers == old.numbers
            && !self.contradicts(old)
    }

    /// The same value of the same attribute in other words, and nothing beside it.
    fn claims_the_same(&self, old: &Sense) -> bool {
        !self.claims.is_empty()
            && self.dates.is_subset(&old.dates)
            && self.claims.iter().all(|claim| {
                !claim.value.is_empty()
                    && old.claims.iter().any(|other| {
                        other.attribute == claim.attribute
                            && claim.value.is_subset(&other.value)
                            && self.same_subject(claim, old, other)
                    })
            })
            && self
                .content
                .iter()
                .all(|stem| old.content.contains(stem) || self.claims.iter().any(|claim| claim.attribute.is_word(stem)))
    }

    /// Almost the same words on the same topic.
    fn nearly(&self, old: &Sense) -> bool {
        let (shared, all) = overlap(&self.content, &old.content);
        self.topic == old.topic
            && self.names == old.names
            && self.dates == old.dates
            && self.numbers == old.numbers
            && self.kin == old.kin
            && shared >= 3
            && shared * 4 >= all * 3
    }

    /// It holds everything `old` says, and more or another date.
    fn says_more_than(&self, old: &Sense) -> bool {
        let dated = old.dates.is_subset(&self.dates) || self.content == old.content;
        !old.content.is_empty() && old.content.is_subset(&self.content) && dated && self.kin.is_superset(&old.kin)
    }

    /// Another value of an attribute one has once.
    fn contradicts(&self, old: &Sense) -> bool {
        self.claims.iter().any(|claim| {
            old.claims.iter().any(|other| {
                let comparable = claim.attribute == other.attribute
                    && self.same_subject(claim, old, other)
                    && !claim.value.is_empty()
                    && !other.value.is_empty();
                comparable
                    && if claim.attribute.is_named() {
                        claim.named == other.named && claim.value.is_disjoint(&other.value)
                    } else {
                        claim.value != other.value
                    }
            })
        })
    }

    /// Whether two claims are about the same one: the owner's sister is not the owner, Anna is not Berta.
    fn same_subject(&self, claim: &Claim, old: &Sense, other: &Claim) -> bool {
        // Working as a teacher is not being about a teacher.
        let others = |sense: &Sense, claim: &Claim| -> Stems {
            let own = |stem: &&String| claim.attribute.is_word(stem) || claim.value.contains(*stem);
            sense.kin.iter().filter(|stem| !own(stem)).cloned().collect()
        };
        let (mine, theirs) = (self.subjects(claim), old.subjects(other));
        others(self, claim) == others(old, other)
            && (mine.is_empty() || theirs.is_empty() || !mine.is_disjoint(&theirs) || claim.attribute.is_named())
    }

    /// One says that something is so, the other that it is not.
    fn flips(&self, old: &Sense) -> bool {
        let ended = self.ended || old.ended;
        let attribute = self.claims.iter().any(|claim| {
            old.claims.iter().any(|other| {
                let open = ended && (claim.value.is_empty() || other.value.is_empty());
                claim.attribute == other.attribute
                    && self.same_subject(claim, old, other)
                    && (open || !claim.value.is_disjoint(&other.value))
            })
        });
        if attribute {
            return true;
        }
        let names = self.names.is_empty() || old.names.is_empty() || !self.names.is_disjoint(&old.names);
        let same_topic = !self.topic.is_empty() && self.topic == old.topic;
        if !names || !(same_topic || self.kin == old.kin) {
            return false;
        }
        let telling = |sense: &Sense| -> Stems {
            let own = sense
                .content
                .iter()
                .filter(|stem| !same_topic || !self.topic.contains(*stem));
            own.cloned().collect()
        };
        let (mine, theirs) = (telling(self), telling(old));
        let (shared, _) = overlap(&mine, &theirs);
        let strong = mine.intersection(&theirs).any(|stem| !is_weak(stem));
        let most = shared * 3 >= mine.len() * 2 || shared * 3 >= theirs.len() * 2;
        strong && shared * 2 >= mine.len().min(theirs.len()) && (same_topic || most)
    }

    /// The content that is left without words that say little: all of it if nothing is left.
    pub(super) fn telling(&self) -> Stems {
        let core = core_of(&self.content, &self.kinds);
        let said: Stems = core
            .into_iter()
            .filter(|stem| !is_weak(stem) && !self.claims.iter().any(|claim| claim.attribute.is_word(stem)))
            .collect();
        if said.is_empty() { self.content.clone() } else { said }
    }

    /// Whether it has anything to do with `old`: what the model says it replaces must at least be near.
    pub(super) fn touches(&self, old: &Sense) -> bool {
        !self.content.is_disjoint(&old.content)
            || (!self.topic.is_empty() && self.topic == old.topic)
            || self
                .claims
                .iter()
                .any(|claim| old.claims.iter().any(|other| other.attribute == claim.attribute))
    }
}

fn overlap(one: &Stems, other: &Stems) -> (usize, usize) {
    let shared = one.intersection(other).count();
    (shared, one.len() + other.len() - shared)
}

/// A topic by its stems, so that "Job", "the job" and "current job" are one.
fn topic_stems(topic: &str) -> Stems {
    words(topic)
        .into_iter()
        .filter(|word| {
            !is_stop(&word.lower) && !is_frame(&word.lower) && word.lower != "current" && word.lower != "new"
        })
        .map(|word| stem(&word.lower))
        .collect()
}

fn is_day(word: &Word) -> bool {
    word.lower.parse::<u8>().is_ok_and(|day| (1..=31).contains(&day))
}

fn month_at(all: &[Word], at: usize) -> bool {
    all.get(at)
        .is_some_and(|word| is_date(&word.lower) && word.lower.starts_with(char::is_alphabetic))
}

fn beside_day(all: &[Word], at: usize) -> bool {
    let day = |at: usize| {
        all.get(at)
            .is_some_and(|word| is_day(word) || (is_date(&word.lower) && word.lower != "may"))
    };
    day(at + 1) || (at > 0 && day(at - 1))
}

fn after_preposition(all: &[Word], at: usize) -> bool {
    at > 0
        && all.get(at - 1).is_some_and(|word| {
            matches!(
                word.lower.as_str(),
                "in" | "on" | "since" | "until" | "of" | "by" | "last" | "next"
            )
        })
}
