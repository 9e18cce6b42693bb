//! What a message asks to have kept, and what is worth keeping since it has a day: told as the owner put it, from outside.
//! Beside the plain forms of [`super::notes`], which tell more about what they hold.

use super::{
    cues,
    notes::{LONGEST, called, kin_of, listed, plain, sentences, strip},
    retold::retold,
};

/// What people say before they tell something.
const LEADS: &str = "\
    please, could you, can you, would you, will you, just so you know, by the way, you should know that, fyi, actually, well, so, oh, also, and, hey, hi, mira, \
    hello, yes, no, ok, okay, now, good news, guess what, since yesterday, as of today, today, yesterday";

/// How they ask to have it kept.
const REQUESTS: &str = "\
    remember that, remember, do not forget that, do not forget, don't forget that, don't forget, never forget that, keep in mind that, bear in mind that, make a note that, take note \
    that, note that, note down that, write down that, merk dir bitte, merk dir, merke dir, behalte";

/// What makes a question a polite request.
const POLITE: &str = "please, could you, can you, would you, will you";

/// What is put behind a request to soften it.
const TAGS: [&str; 6] = [", ok", ", okay", ", please", ", will you", ", would you", ", can you"];

/// How what is told begins after "that"; a noun by itself is pointed at ("remember that night").
const SUBJECTS: &str = "\
    i, i'm, i've, i'll, i'd, we, we're, we've, we'll, my, our, mine, the, a, an, he, he's, she, she's, it, it's, they, \
    they're, you, you're, his, her, their, its, there, there's, this, these, those, on, in, at, from, every, each, all, \
    both, some, nobody, somebody, everybody, no, when, if";

/// What follows such words where nothing is told.
const NOT_TOLD: &str = "\
    what, when, who, whom, how, where, why, which, whether, if, me, us, it, him, them, anything, something, everything, \
    nothing, das, es, mich";

/// Days and months.
const DATES: &str = "\
    monday, tuesday, wednesday, thursday, friday, saturday, sunday, january, february, march, april, may, june, july, \
    august, september, october, november, december";

/// Stretches of time, after "next" or "last".
const TIMES: &str = "week, weekend, month, year, spring, summer, autumn, fall, winter, night";

/// What makes a sentence a guess or a wish.
const UNSURE: &str = "\
    if, maybe, perhaps, might, could, would, think, guess, hope, wish, wonder, wondering, probably, feel, felt, unless";

/// A sentence of fewer words hardly tells anything.
const SHORTEST: usize = 3;

/// Whether a message asks to have something kept, and says what.
pub(super) fn asks_to_keep(words: &str) -> bool {
    sentences(words).iter().any(|sentence| led(&plain(sentence)).1)
}

/// Whether a question asks to have something kept: "Can you remember that my sister is called Ana?" The same words ask
/// for a memory where they only point at something: "Can you remember that night?"
pub(super) fn asks_politely(question: &str) -> bool {
    let (mut rest, mut polite) = (question.trim(), false);
    while let Some((lead, tail)) = begun(rest, LEADS) {
        polite |= listed(POLITE, lead);
        rest = bare(tail);
    }
    let (untagged, tagged) = without_tag(rest);
    let Some((request, tail)) = begun(untagged, REQUESTS).filter(|_| polite || tagged) else {
        return false;
    };
    let tail = bare(tail);
    let first = tail.split(' ').next().unwrap_or_default();
    let is_subject =
        first.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit()) || listed(SUBJECTS, &first.to_lowercase());
    tail.contains(' ') && ((request.ends_with(" that") && is_subject) || first.eq_ignore_ascii_case("to"))
}

/// A request without what softens it at its end, and whether there was such.
fn without_tag(rest: &str) -> (&str, bool) {
    let lower = rest.to_ascii_lowercase();
    let tag = TAGS.iter().find(|tag| lower.ends_with(**tag));
    let cut = tag.and_then(|tag| rest.get(..rest.len() - tag.len()));
    cut.map_or((rest, false), |cut| (cut, true))
}

/// A sentence without what leads up to it, and whether that asks to have the rest kept.
pub(super) fn led(sentence: &str) -> (&str, bool) {
    let mut rest = sentence.trim();
    while let Some(tail) = begun(rest, LEADS).map(|(_, tail)| tail) {
        rest = bare(tail);
    }
    let Some((request, tail)) = begun(rest, REQUESTS) else {
        return (rest, false);
    };
    // "Remember this: ..." is told after the colon; whatever follows "that" is told.
    let tail = bare(strip(tail, " this:").unwrap_or(without_tag(tail).0));
    let first = tail.split(' ').next().unwrap_or_default().to_lowercase();
    let told = request.ends_with(" that") || !listed(NOT_TOLD, &first);
    (tail, told && tail.contains(' '))
}

fn bare(tail: &str) -> &str {
    tail.trim_start_matches([' ', ',', ':'])
}

/// With which words of a list a text begins, and what follows them.
fn begun<'a>(rest: &'a str, list: &'static str) -> Option<(&'static str, &'a str)> {
    list.split(", ")
        .filter_map(|lead| Some((lead, strip(rest, lead)?)))
        .find(|(_, tail)| tail.starts_with([' ', ',', ':']))
}

/// What she was asked to keep and what is of no known form: from outside, or in the owner's own words.
pub(super) fn kept(rest: &str) -> Option<(String, String)> {
    if cues::is_foreign(&cues::normalise(rest)) {
        return Some(as_said(rest));
    }
    if let Some(task) = strip(rest, "to ") {
        if let Some(name) = strip(task, "call me ").filter(|name| name.starts_with(char::is_uppercase)) {
            return called(name);
        }
        let of_her = task.split(' ').nth(1).is_some_and(|word| matches!(word, "me" | "us"));
        let to = if of_her { "I want you to" } else { "I want to" };
        return Some(("plans".to_owned(), retold(&format!("{to} {task}"))));
    }
    let text = retold(rest);
    if text.split(' ').count() < SHORTEST {
        return Some(as_said(rest));
    }
    Some((topic(rest).unwrap_or_else(|| "to remember".to_owned()), text))
}

/// In the owner's own words.
fn as_said(rest: &str) -> (String, String) {
    ("to remember".to_owned(), format!("The owner said: “{rest}”"))
}

/// `My wedding is on 3 June` is about the wedding.
fn topic(rest: &str) -> Option<String> {
    let tail = strip(rest, "my ").or_else(|| strip(rest, "our "))?;
    if let Some(kin) = kin_of(tail) {
        return Some(kin.to_owned());
    }
    let words: Vec<&str> = tail.split(' ').collect();
    let verb = words.iter().position(|word| {
        matches!(
            *word,
            "is" | "are" | "was" | "were" | "has" | "have" | "will" | "must" | "can"
        )
    });
    let named = words.get(..verb.filter(|at| (1..=3).contains(at)).unwrap_or(1))?;
    let named = named.join(" ").to_lowercase();
    Some(
        named
            .trim_end_matches(|c: char| !c.is_alphanumeric())
            .trim_end_matches("'s")
            .to_owned(),
    )
}

/// Something dated that the owner or one of theirs does: "My daughter starts school in September".
pub(super) fn happening(rest: &str) -> Option<(String, String)> {
    let words: Vec<String> = rest
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .collect();
    let theirs = strip(rest, "my ").or_else(|| strip(rest, "our ")).and_then(kin_of);
    let own = ["i ", "i'm ", "i've ", "i'll ", "we ", "we're ", "we'll "];
    let owners = own.iter().any(|start| strip(rest, start).is_some());
    let dated = words.iter().enumerate().any(|(at, word)| {
        let before = at
            .checked_sub(1)
            .and_then(|at| words.get(at))
            .map_or("", String::as_str);
        match word.as_str() {
            "may" | "march" => matches!(before, "in" | "of" | "on" | "next" | "last" | "since" | "until"),
            word if listed(DATES, word) => true,
            word => matches!(before, "next" | "last") && listed(TIMES, word),
        }
    });
    let plain = (4..=LONGEST).contains(&words.len()) && !words.iter().any(|word| listed(UNSURE, word));
    if !(dated && plain && (owners || theirs.is_some())) {
        return None;
    }
    Some((theirs.unwrap_or("plans").to_owned(), retold(rest)))
}
