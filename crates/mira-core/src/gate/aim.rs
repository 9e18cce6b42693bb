//! Whether a memory is what somebody means who asks to have something forgotten. What is forgotten is gone for good, so
//! only what plainly says the thing is meant without asking; what is merely near is theirs to choose from.
//!
//! Words are compared, as everywhere in the gate: what it takes for unclear costs a question, never a memory.

use super::{
    sense::{Sense, Stems},
    words::{flat, has, is_frame, is_stop, words},
};

/// Words that ask, on either side of the comparison.
const ASKING: &str = "\
    forget, forgets, forgot, forgotten, remember, remembers, remembered, remind, memory, memories, delete, remove, \
    erase, hey, hi, hello, ok, okay, everything, anything, whatever, stuff, fact, facts, message, messages, note, notes, \
    vergiss, vergesse, vergessen, bitte, dass, das, alles, über, ich, mein, meine, meinen, meinem, meiner, ist, was, \
    der, die, den, dem, ein, eine, habe, gesagt, erzählt";

/// How people ask for all there is about something.
const ALL: &str = "\
    everything about, everything i said about, everything i told you about, everything you know about, all about, all i \
    said about, all i told you about, all you know about, anything about, whatever i said about, what i said about, what \
    i told you about, what you know about, everything to do with, everything that has to do with, alles über";

/// The stems of a text that tell something.
fn telling(text: &str) -> Stems {
    let all = words(text).into_iter();
    let telling = all.filter(|word| !is_stop(&word.lower) && !is_frame(&word.lower) && !asks(&word.lower));
    telling.map(|word| word.stem).collect()
}

fn asks(word: &str) -> bool {
    ASKING.split(", ").any(|asking| asking == word)
}

/// Whether `text`, a memory about somebody, is plainly meant by the owner's words `asked`: where they ask for everything
/// about something, it speaks of that; else it says what they say, and little else.
pub fn is_meant(asked: &str, about: &str, text: &str) -> bool {
    let wanted = telling(asked);
    let mut told = telling(text);
    told.extend(telling(about));
    if wanted.is_empty() || told.is_empty() {
        return false;
    }
    if has(&flat(asked), ALL) {
        return wanted.is_subset(&told);
    }
    let shared = wanted.intersection(&told).count();
    let within = shared == wanted.len() || shared == told.len();
    let negative = |text: &str| Sense::of("owner", "", text).negative;
    within && shared * 3 >= wanted.len().max(told.len()) * 2 && negative(asked) == negative(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: &str, text: &str, expect: bool) {
        assert_eq!(is_meant(asked, "owner", text), expect, "{asked:?}: {text:?}");
    }

    #[test]
    fn what_says_the_thing_is_meant() {
        let anna = "Please forget that my sister is called Anna.";
        check(anna, "The owner's sister is called Anna.", true);
        check(anna, "Remember that my sister is called Anna!", true);
        check(
            anna,
            "The owner's sister Anna plays the violin in the Graz orchestra.",
            false,
        );
        check(anna, "The owner's brother is called Tom.", false);
        check(anna, "The owner has a sister.", false);
        check(
            "Forget that I'm allergic to walnuts.",
            "The owner has a walnut allergy.",
            true,
        );
        check(
            "Forget that I'm allergic to walnuts.",
            "The owner bought walnuts.",
            false,
        );
        check(
            "Forget my appointment on Tuesday.",
            "The owner's appointment on Tuesday at nine.",
            true,
        );
        check(
            "forget that my sister Anna plays the violin",
            "The owner's sister Anna plays the cello.",
            false,
        );
        check("Vergiss bitte, dass ich in Graz wohne.", "Ich wohne in Graz.", true);
    }

    #[test]
    fn everything_about_something_is_all_that_speaks_of_it() {
        let all = "Forget everything about my sister.";
        check(all, "The owner's sister is called Anna.", true);
        check(all, "My sister and I met in Rome, where it rained.", true);
        check(all, "The owner's brother sails.", false);
        check(
            "Forget what I told you about Anna.",
            "The owner's sister Anna sails.",
            true,
        );
        assert!(is_meant("forget everything about Anna", "Anna", "Lives in Rome."));
    }

    #[test]
    fn what_names_nothing_means_nothing() {
        for asked in [
            "Forget it.",
            "Please forget that!",
            "That too.",
            "",
            "Forget what I told you about her.",
        ] {
            check(asked, "The owner's sister is called Anna.", false);
        }
        check("Forget my sister.", "", false);
        check("Forget my sister.", "The owner's sister is called Anna.", false);
    }

    #[test]
    fn the_opposite_is_not_meant() {
        check("Forget that I eat meat.", "The owner does not eat meat.", false);
        check("Forget that I don't eat meat.", "The owner does not eat meat.", true);
    }
}
