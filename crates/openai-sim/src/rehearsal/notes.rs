//! What the stand-in would remember of a message: sentences of a few plain forms, told again in the third person.
//!
//! Only the emulated model reads words like this. Not here: whether a note is kept; Mira's gate judges it like any
//! other model's. Invariants: a note says nothing the message did not say; a question teaches nothing, unless it asks to
//! have something kept; what is fenced or quoted teaches nothing.

use super::{
    MAX_NOTES, cues,
    keeping::{asks_politely, happening, kept, led},
    retold::{agreeing, seen},
};

/// One entry of a reply's `remember`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsalNote {
    /// Whom it is about.
    pub about: String,
    /// The attribute.
    pub topic: String,
    /// One sentence in the third person.
    pub text: String,
    /// The number of the memory that it makes outdated.
    pub replaces: Option<u32>,
}

/// A longer stretch of words is no plain fact, in words.
pub(super) const LONGEST: usize = 24;

/// Where a plain fact ends inside its sentence.
const CLAUSES: &[&str] = &[
    " because ",
    " but ",
    " although ",
    " so that ",
    " which ",
    " and i ",
    " and i'",
    " and my ",
    " and we ",
    "; ",
    " – ",
    " - ",
];

/// Whom people speak of as "my ...".
const KIN: &str = "\
    sister, brother, mother, mum, mom, father, dad, son, daughter, wife, husband, partner, girlfriend, \
    boyfriend, grandmother, grandfather, grandma, grandpa, aunt, uncle, cousin, niece, nephew, friend, \
    best friend, boss, colleague, neighbour, neighbor, roommate, flatmate, cat, dog, horse, rabbit, parrot, \
    hamster, twin, daughter-in-law, son-in-law, child, kid, doctor, therapist";

/// What people tell of themselves as "my ... is ...".
const ATTRIBUTES: &str = "\
    name, nickname, birthday, job, profession, employer, home town, hometown, address, phone number, email, \
    email address, car, hobby, diet, age, pronouns, star sign, shoe size, blood type, mother tongue, \
    native language, dream, goal, religion, height";

/// Verbs that tell something lasting: what is said, its third person, the topic.
const VERBS: &[(&str, &str, &str)] = &[
    ("work as ", "works as ", "job"),
    ("work at ", "works at ", "employer"),
    ("work for ", "works for ", "employer"),
    ("work in ", "works in ", "work"),
    ("work with ", "works with ", "work"),
    ("live in ", "lives in ", "home town"),
    ("live with ", "lives with ", "household"),
    ("come from ", "comes from ", "origin"),
    ("grew up in ", "grew up in ", "origin"),
    ("was born in ", "was born in ", "birth"),
    ("was born on ", "was born on ", "birthday"),
    ("moved to ", "moved to ", "home town"),
    ("moved from ", "moved from ", "home town"),
    ("play ", "plays ", "hobby"),
    ("collect ", "collects ", "hobby"),
    ("sing in ", "sings in ", "hobby"),
    ("speak ", "speaks ", "languages"),
    ("drive ", "drives ", "car"),
    ("study ", "studies ", "studies"),
    ("love ", "loves ", "likes"),
    ("like ", "likes ", "likes"),
    ("enjoy ", "enjoys ", "likes"),
    ("adore ", "adores ", "likes"),
    ("prefer ", "prefers ", "preferences"),
    ("hate ", "hates ", "dislikes"),
    ("don't like ", "does not like ", "dislikes"),
    ("do not like ", "does not like ", "dislikes"),
    ("can't stand ", "cannot stand ", "dislikes"),
    ("don't eat ", "does not eat ", "diet"),
    ("do not eat ", "does not eat ", "diet"),
    ("don't drink ", "does not drink ", "diet"),
    ("bought ", "bought ", "belongings"),
    ("adopted ", "adopted ", "pet"),
    ("married ", "married ", "partner"),
    ("started working at ", "started working at ", "employer"),
    ("started working as ", "started working as ", "job"),
    ("stopped ", "stopped ", "changes"),
    ("quit ", "quit ", "changes"),
    ("sold my ", "sold their ", "belongings"),
    ("broke up with ", "broke up with ", "partner"),
    ("used to ", "used to ", "past"),
];

/// The same after "I am".
const STATES: &[(&str, &str, &str)] = &[
    ("allergic to ", "is allergic to ", "allergy"),
    ("married to ", "is married to ", "partner"),
    ("engaged to ", "is engaged to ", "partner"),
    ("dating ", "is dating ", "partner"),
    ("afraid of ", "is afraid of ", "fears"),
    ("learning ", "is learning ", "learning"),
    ("studying ", "is studying ", "studies"),
    ("training for ", "is training for ", "plans"),
    ("expecting ", "is expecting ", "family"),
    ("from ", "is from ", "origin"),
    ("vegan", "is vegan", "diet"),
    ("vegetarian", "is vegetarian", "diet"),
    ("left-handed", "is left-handed", "traits"),
    ("retired", "is retired", "job"),
];

/// What "I'm a ..." or "I love ..." is followed by when it is only a manner of speaking.
const FIGURES: &str = "\
    bit, little, mess, wreck, idiot, fool, fan, lot, genius, failure, human, person, you, it, this, that, him, \
    her, them, how, your, what, when, being, bad, horrible, terrible, good, new, happy, sad, tired, winner, \
    loser, moment, few";

/// Third-person openings of facts that are true of one value at a time.
const SINGLE: &[(&str, &str)] = &[
    ("works as ", "job"),
    ("started working as ", "job"),
    ("is a ", "job"),
    ("is an ", "job"),
    ("works at ", "employer"),
    ("works for ", "employer"),
    ("started working at ", "employer"),
    ("lives in ", "home town"),
    ("moved to ", "home town"),
    ("moved from ", "home town"),
    ("is married to ", "partner"),
    ("is engaged to ", "partner"),
    ("is dating ", "partner"),
    ("wants to be called ", "name"),
    ("drives ", "car"),
    ("turned ", "age"),
    ("was born on ", "birthday"),
    ("is vegan", "diet"),
    ("is vegetarian", "diet"),
];

/// What a message teaches. `memories` are the lines of the prompt's block, `today` the local time it tells.
pub(super) fn notes(words: &str, memories: &[&str], today: &str) -> Vec<RehearsalNote> {
    let mut notes: Vec<RehearsalNote> = Vec::new();
    for (topic, text) in sentences(words).iter().flat_map(|sentence| taught(sentence, today)) {
        if notes.iter().any(|note| note.text == text) {
            continue;
        }
        notes.push(RehearsalNote {
            about: "owner".to_owned(),
            replaces: outdated(&text, memories),
            topic,
            text,
        });
        if notes.len() == MAX_NOTES {
            break;
        }
    }
    notes
}

/// What one sentence teaches: all of it where it asks to have it kept, else what is of a known form.
fn taught(sentence: &str, today: &str) -> Vec<(String, String)> {
    let plain = plain(sentence);
    let (rest, asked) = led(&plain);
    let parts = clauses(rest);
    if !asked {
        let parts = parts.iter().map(|part| led(part).0);
        return parts
            .filter_map(|part| told(part, today).or_else(|| happening(part)))
            .collect();
    }
    // What would be lost of it is not left out: then it is told word by word.
    let whole = |part: &str, text: &str| {
        let said = cues::normalise(part);
        let last = said.trim_end().rsplit(' ').next().unwrap_or_default().to_owned();
        cues::normalise(text).contains(&format!(" {last} "))
    };
    let known: Option<Vec<_>> = parts.iter().map(|part| told(part, today)).collect();
    let known = known.filter(|known| parts.iter().zip(known).all(|(part, (_, text))| whole(part, text)));
    known.unwrap_or_else(|| kept(rest).into_iter().collect())
}

/// With plain apostrophes.
pub(super) fn plain(sentence: &str) -> String {
    sentence.replace(['’', '\u{2bc}'], "'")
}

/// The sentences somebody says themselves: no questions but those that ask to have something kept, no quotations, no code.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.starts_with(['`', '>', '<', '|', '[']) {
            continue;
        }
        let line = line.trim_start_matches(['-', '*', '•', ' ']);
        let mut rest = line;
        while !rest.is_empty() {
            let end = rest
                .char_indices()
                .find(|(at, c)| {
                    matches!(c, '.' | '!' | '?' | ';')
                        && rest
                            .get(at + c.len_utf8()..)
                            .is_none_or(|tail| tail.is_empty() || tail.starts_with([' ', '!', '?', '.', ')']))
                })
                .map_or(rest.len(), |(at, _)| at);
            let (sentence, tail) = rest.split_at(end);
            let sentence = sentence.trim();
            let told = !tail.starts_with('?') || asks_politely(&plain(sentence));
            if told && found.len() < 200 {
                found.push(sentence.to_owned());
            }
            rest = tail.trim_start_matches(['.', '!', '?', ';', ')', ' ']);
        }
    }
    found
}

/// A sentence cut where another thing about the owner begins.
fn clauses(sentence: &str) -> Vec<String> {
    let mut parts = vec![sentence.trim().to_owned()];
    for mark in [
        " and i ",
        " and i'm ",
        " and i've ",
        " and my ",
        " and we ",
        ", i ",
        ", my ",
        ", i'm ",
        ", we ",
    ] {
        parts = parts
            .iter()
            .flat_map(|part| {
                let mut pieces = Vec::new();
                let mut rest = part.as_str();
                while let Some(at) = find(rest, mark) {
                    let (head, tail) = rest.split_at(at);
                    pieces.push(head.to_owned());
                    rest = tail.trim_start_matches([',', ' ']);
                    rest = strip(rest, "and ").unwrap_or(rest);
                }
                pieces.push(rest.to_owned());
                pieces
            })
            .collect();
    }
    parts
}

/// Finds ASCII text whatever its case; typographic apostrophes were made plain before.
fn find(text: &str, mark: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(mark)
}

/// Whether the word is one of `one, another`.
pub(super) fn listed(list: &str, word: &str) -> bool {
    list.split(", ").any(|known| known == word)
}

pub(super) fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| text.get(prefix.len()..))
        .flatten()
}

/// Topic and sentence of what words without a lead tell, if they are of a known form.
fn told(rest: &str, today: &str) -> Option<(String, String)> {
    if rest.split_whitespace().count() > LONGEST {
        return None;
    }
    if let Some(tail) = strip(rest, "call me ") {
        return called(tail);
    }
    if let Some(tail) = strip(rest, "my ").or_else(|| strip(rest, "our ")) {
        return of_mine(tail);
    }
    let first = [
        ("i'm ", true),
        ("i am ", true),
        ("we're ", true),
        ("i've ", false),
        ("i have just ", false),
        ("i just ", false),
        ("i ", false),
        ("we ", false),
    ];
    for (start, being) in first {
        let Some(tail) = strip(rest, start) else { continue };
        let tail = strip(tail, "just ").or_else(|| strip(tail, "now ")).unwrap_or(tail);
        return if being {
            of_being(tail, today)
        } else {
            of_doing(tail, today)
        };
    }
    None
}

/// `Call me Max`.
pub(super) fn called(name: &str) -> Option<(String, String)> {
    let text = format!("The owner wants to be called {}.", value(name)?);
    Some(("name".to_owned(), text))
}

/// What is named after a verb, from outside.
fn value(text: &str) -> Option<String> {
    named(text).map(seen)
}

/// What is named after a verb, up to the next clause.
fn named(text: &str) -> Option<&str> {
    let end = CLAUSES
        .iter()
        .filter_map(|mark| find(text, mark))
        .chain(text.find([',', '(', '"', '“', ':']))
        .min()
        .unwrap_or(text.len());
    let mut value = text.get(..end)?.trim().trim_end_matches(['.', '!', ';']).trim();
    for tail in [
        " now",
        " too",
        " as well",
        " you know",
        " by the way",
        " these days",
        " please",
        " today",
        " yesterday",
        " actually",
    ] {
        if let Some(at) = find(value, tail).filter(|at| at + tail.len() == value.len()) {
            value = value.get(..at).unwrap_or(value).trim();
        }
    }
    let first = value.split_whitespace().next()?.to_ascii_lowercase();
    (!listed(FIGURES, &first)).then_some(value)
}

/// Whether it is a word for something one does or feels, as one says it oneself.
pub(super) fn is_done(word: &str) -> bool {
    VERBS
        .iter()
        .any(|(said, told, _)| said != told && said.split(' ').next() == Some(word))
}

/// The relative or friend that words after "my" begin with.
pub(super) fn kin_of(tail: &str) -> Option<&'static str> {
    let lower = tail.to_ascii_lowercase();
    let begins = |kin: &&str| {
        lower
            .strip_prefix(*kin)
            .is_some_and(|rest| rest.starts_with([' ', '\'']))
    };
    KIN.split(", ").filter(begins).max_by_key(|kin| kin.len())
}

/// `My sister is called Anna`, `my favourite colour is green`, `my brother works as a cook`.
fn of_mine(tail: &str) -> Option<(String, String)> {
    let lower = tail.to_ascii_lowercase();
    if let Some(kin) = kin_of(tail) {
        let rest = tail.get(kin.len()..)?;
        let name = [" is called ", " is named ", "'s name is ", "'s called ", "'s named "]
            .iter()
            .find_map(|link| strip(rest, link));
        if let Some(name) = name {
            return Some((kin.to_owned(), format!("The owner's {kin} is called {}.", value(name)?)));
        }
        let lasting = [
            " works ",
            " lives ",
            " is a ",
            " is an ",
            " has ",
            " likes ",
            " loves ",
            " hates ",
            " plays ",
            " studies ",
            " moved ",
            " died",
            " married ",
            " speaks ",
            " is allergic ",
            " was born ",
            " is getting married",
            " is pregnant",
        ];
        // A name may stand between: "my sister Anna lives in Rome".
        let verb = lasting.iter().filter_map(|verb| find(rest, verb)).min()?;
        let name = rest.get(..verb)?;
        (name.split_whitespace().count() < 3).then_some(())?;
        return Some((
            kin.to_owned(),
            format!("The owner's {kin}{} {}.", name, value(rest.get(verb..)?)?),
        ));
    }
    let (attribute, link) = [" is ", " are ", "'s "]
        .iter()
        .filter_map(|link| lower.find(link).map(|at| (at, *link)))
        .min()
        .map(|(at, link)| (lower.get(..at).unwrap_or_default().to_owned(), link))?;
    let known = listed(ATTRIBUTES, &attribute)
        || ["favourite ", "favorite "]
            .iter()
            .any(|start| attribute.starts_with(start));
    if !known {
        return None;
    }
    let verb = if link == " are " { "are" } else { "is" };
    let given = value(tail.get(attribute.len() + link.len()..)?)?;
    Some((attribute.clone(), format!("The owner's {attribute} {verb} {given}.")))
}

/// `I am allergic to nuts`, `I'm a nurse`, `I'm 35 years old`.
fn of_being(tail: &str, today: &str) -> Option<(String, String)> {
    if let Some((told, topic, rest)) = find_form(STATES, tail) {
        let given = if rest.is_empty() { String::new() } else { value(rest)? };
        return Some((topic, format!("The owner {told}{given}.")));
    }
    if let Some(rest) = strip(tail, "no longer ") {
        return Some((
            "changes".to_owned(),
            format!("The owner is no longer {}.", value(rest)?),
        ));
    }
    let words: Vec<&str> = tail.split_whitespace().collect();
    if let [age, "years", "old", ..] = words.as_slice()
        && age.parse::<u8>().is_ok()
    {
        return Some(("age".to_owned(), format!("The owner turned {age}{}.", dated(today))));
    }
    let article = ["a ", "an "]
        .iter()
        .find_map(|article| strip(tail, article).map(|rest| (*article, rest)))?;
    let given = value(article.1)?;
    let short = given.split_whitespace().count() <= 4 && !given.contains(['0', '1', '2']);
    short.then(|| ("job".to_owned(), format!("The owner is {}{given}.", article.0)))
}

/// `I work as a nurse`, `I no longer work at Siemens`, `I have a cat named Milo`.
fn of_doing(tail: &str, today: &str) -> Option<(String, String)> {
    if let Some(rest) = strip(tail, "no longer ") {
        return ended(rest);
    }
    let negated = strip(tail, "don't ").or_else(|| strip(tail, "do not "));
    if let Some(rest) = negated
        && let Some(end) = [" any more", " anymore", " any longer"]
            .iter()
            .find_map(|mark| find(rest, mark))
    {
        return ended(rest.get(..end)?);
    }
    if let Some(rest) = strip(tail, "turned ") {
        let age = rest.split_whitespace().next()?.trim_end_matches([',', '.', '!']);
        age.parse::<u8>().ok()?;
        return Some(("age".to_owned(), format!("The owner turned {age}{}.", dated(today))));
    }
    if let Some((told, topic, rest)) = find_form(VERBS, tail) {
        let now = told.split(' ').next().is_some_and(|verb| verb.ends_with('s')) && !told.starts_with("does ");
        let given = named(rest).map(if now { agreeing } else { seen })?;
        let mut text = format!("The owner {told}{given}");
        if told == "moved to " {
            text.push_str(&dated(today));
        }
        text.push('.');
        return Some((topic, text));
    }
    let owned = strip(tail, "have ")
        .or_else(|| strip(tail, "have got "))
        .or_else(|| strip(tail, "got "))?;
    let owned = strip(owned, "got ").unwrap_or(owned);
    let lower = format!(" {} ", owned.to_ascii_lowercase());
    let kin = KIN
        .split(", ")
        .find(|kin| lower.contains(&format!(" {kin} ")) || lower.contains(&format!(" {kin}s ")))?;
    let animal = ["cat", "dog", "horse", "rabbit", "parrot", "hamster"].contains(&kin);
    let topic = if animal { "pet" } else { kin };
    Some((topic.to_owned(), format!("The owner has {}.", value(owned)?)))
}

fn ended(rest: &str) -> Option<(String, String)> {
    let (told, topic, rest) = find_form(VERBS, rest).or_else(|| {
        let rest = strip(rest, "have ")?;
        Some(("has ".to_owned(), "belongings".to_owned(), rest))
    })?;
    Some((topic, format!("The owner no longer {told}{}.", value(rest)?)))
}

/// The first form the text begins with: its third person, its topic, what follows.
fn find_form<'a>(forms: &[(&str, &str, &str)], text: &'a str) -> Option<(String, String, &'a str)> {
    forms.iter().find_map(|(said, told, topic)| {
        let rest = strip(text, said)?;
        let whole = said.ends_with(' ') || rest.is_empty() || rest.starts_with([' ', ',', '.']);
        let rest = if said.ends_with(' ') { rest } else { "" };
        (whole && (!said.ends_with(' ') || !rest.trim().is_empty()))
            .then(|| ((*told).to_owned(), (*topic).to_owned(), rest))
    })
}

/// " in November 2026", out of "Saturday 21 November 2026, 02:10 (Europe/Berlin)".
fn dated(today: &str) -> String {
    let words: Vec<&str> = today.split([' ', ',']).collect();
    match words.as_slice() {
        [_, _, month, year, ..] if year.parse::<u16>().is_ok() => format!(" in {month} {year}"),
        _ => String::new(),
    }
}

/// The number of the recalled fact that `text` makes untrue: the same single-valued thing, or what it ends.
fn outdated(text: &str, memories: &[&str]) -> Option<u32> {
    let kind = single(text);
    let over = ["no longer ", "stopped ", "quit ", "sold ", "broke up with "]
        .iter()
        .any(|mark| text.contains(mark));
    let mine = words_of(text);
    let at = memories.iter().position(|line| {
        let Some(fact) = fact_in(line) else { return false };
        let other = single(fact);
        if over {
            return words_of(fact).iter().filter(|word| mine.contains(word)).count() > 0;
        }
        kind.is_some() && kind == other && fact != text
    })?;
    u32::try_from(at + 1).ok()
}

/// The sentence of a line that holds a fact about the owner.
pub(super) fn fact_in(line: &str) -> Option<&str> {
    let (head, fact) = line.split_once(": ")?;
    head.contains("fact about owner").then(|| fact.trim())
}

/// Which single-valued thing a sentence in the third person tells.
fn single(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("The owner's ") {
        let attribute = rest.split(" is ").next()?.split(" are ").next()?;
        let partner = ["wife", "husband", "partner", "girlfriend", "boyfriend"].contains(&attribute);
        if partner && rest.contains(" is called ") {
            return Some("partner".to_owned());
        }
        let known = listed(ATTRIBUTES, attribute) || attribute.starts_with("favo");
        return known.then(|| attribute.to_owned());
    }
    let rest = text.strip_prefix("The owner ")?;
    let found = SINGLE.iter().find(|(start, _)| rest.starts_with(start))?;
    Some(found.1.to_owned())
}

/// The words of a sentence that carry it.
fn words_of(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() > 3)
        .map(str::to_lowercase)
        .filter(|word| {
            ![
                "owner", "owners", "longer", "called", "works", "lives", "stopped", "broke", "with", "their", "sold",
            ]
            .contains(&word.as_str())
        })
        .collect()
}

/// A fact about the owner, told to the owner.
pub(super) fn to_the_owner(fact: &str) -> String {
    let rest = match (fact.strip_prefix("The owner's "), fact.strip_prefix("The owner ")) {
        (Some(rest), _) => return format!("Your {rest}"),
        (None, Some(rest)) => rest,
        (None, None) => return fact.to_owned(),
    };
    let (verb, tail) = rest.split_once(' ').unwrap_or((rest, ""));
    let verb = match verb {
        "is" => "are",
        "was" => "were",
        "has" => "have",
        "does" => "do",
        "goes" => "go",
        "studies" => "study",
        "no" => {
            return format!(
                "You {}",
                rest.replacen("no longer works", "no longer work", 1)
                    .replacen("no longer lives", "no longer live", 1)
            );
        }
        other => other
            .strip_suffix('s')
            .filter(|base| !base.ends_with('s'))
            .unwrap_or(other),
    };
    format!("You {verb} {}", tail.replace(" their ", " your "))
}
