//! What kind of thing a sentence says: that somebody likes, owns, plans, speaks, is allergic. Words of a kind carry what
//! is said of them and differ from telling to telling ("enjoys pottery", "pottery is a hobby of theirs").

use super::{
    sense::Stems,
    words::{has, listed},
};

/// A kind, the stems that carry it, and the phrases that show it.
struct Kind {
    name: &'static str,
    carriers: &'static str,
    phrases: &'static str,
}

const KINDS: [Kind; 8] = [
    Kind {
        name: "likes",
        carriers: "like, hobbi, pastim, interest, passion, passionat, enthusiast, favourit, fascinat, leisur, activiti, stand, bear, abid, disgust",
        phrases: "hobby, hobbies, pastime, passion, passionate, keen, fan of, interested in, likes, loves, enjoys, adores, prefers, \
            hates, dislikes, dislike, detests, loathes, despises, does not like, cant stand, cannot stand, cant bear, \
            cannot bear, cant abide, cannot abide",
    },
    Kind {
        name: "does",
        carriers: "hobbi, pastim, fre, spar, weekend, spend, practis, practic, pursu, activiti, leisur, regularli, sport",
        phrases: "hobby, hobbies, pastime, free time, spare time, likes, loves, enjoys, adores, does, goes, practises, practices, spends",
    },
    Kind {
        name: "owns",
        carriers: "own, keep, pet, belong, possess, share, household, live, hav",
        phrases: "has a, has an, have a, have an, has two, has three, owns, keeps, pet, pets, belongs",
    },
    Kind {
        name: "plans",
        carriers: "plan, book, schedul, calendar, upcom, forward, com, arrang, attend, intend, organis, tak, reserv, look, await, excit",
        phrases: "plans, planned, planning, booked, scheduled, coming up, upcoming, looks forward, looking forward, going on, \
            going to, arranged, will",
    },
    Kind {
        name: "speaks",
        carriers: "speak, fluentli, nativ, tongu, skill, good, well",
        phrases: "speaks, speak, fluent, language, languages, tongue",
    },
    Kind {
        name: "allergic",
        carriers: "allerg, suffer, react, reaction, severe, sever",
        phrases: "allergic, allergy, allergies",
    },
    Kind {
        name: "fears",
        carriers: "fear",
        phrases: "afraid, scared, fear, fears, phobia",
    },
    Kind {
        name: "wants",
        carriers: "want, wish, dream, hop",
        phrases: "wants, wishes, dreams of, hopes, would like",
    },
];

/// Words that add nothing to any of them.
const FILLERS: &str = "includ, strong, real, various, certain, currentli, present, actual, whol, full, tim, day, also, own, hav, \
    part, lif, person, kind, sort, member, one";

/// What kinds of thing a flat text says.
pub(super) fn kinds_of(flat: &str) -> Vec<&'static str> {
    KINDS
        .iter()
        .filter(|kind| has(flat, kind.phrases))
        .map(|kind| kind.name)
        .collect()
}

/// What is said, without the words of the kinds it is said by.
pub(super) fn core_of(content: &Stems, kinds: &[&str]) -> Stems {
    let carried = |stem: &str| {
        listed(FILLERS, stem)
            || KINDS
                .iter()
                .any(|kind| kinds.contains(&kind.name) && listed(kind.carriers, stem))
    };
    content.iter().filter(|stem| !carried(stem)).cloned().collect()
}

/// Whether two sentences may say the same: one of them shows no kind, or they share one.
pub(super) fn agree(one: &[&str], other: &[&str]) -> bool {
    one.is_empty() || other.is_empty() || one.iter().any(|kind| other.contains(kind))
}
