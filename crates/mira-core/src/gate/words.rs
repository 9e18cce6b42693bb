//! Words: how a text is cut, which words carry meaning, which of them say the same.
//!
//! Lives here: tables of English words and a light stemmer. Texts in other languages pass through with their words as
//! they are. Not here: what a sentence means ([`super::sense`]).

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// One word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// In lower case, without possessive endings.
    pub lower: String,
    /// What it is compared by: synonyms and inflections of a word have one stem.
    pub stem: String,
    /// Written like a name: a capital inside a sentence.
    pub name: bool,
    /// The word had a possessive ending.
    pub possessive: bool,
    /// Which sentence it stands in.
    pub sentence: usize,
}

/// The words of a text. A run of a script without spaces becomes its overlapping pairs.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    let mut current = String::new();
    let mut sentence = 0;
    let mut first = true;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let inside = matches!(c, '\'' | '’' | '\u{2bc}')
            && !current.is_empty()
            && chars.peek().is_some_and(|next| next.is_alphanumeric());
        if c.is_alphanumeric() {
            current.push(c);
            continue;
        }
        if inside {
            current.push('\'');
            continue;
        }
        if !current.is_empty() {
            push(&mut out, &current, sentence, first);
            first = false;
            current.clear();
        }
        let ends = matches!(c, '.' | '!' | '?' | '\n' | '。' | '！' | '？')
            && chars
                .peek()
                .is_none_or(|next| next.is_whitespace() || c == '\n' || !c.is_ascii());
        if ends && !first {
            sentence += 1;
            first = true;
        }
    }
    if !current.is_empty() {
        push(&mut out, &current, sentence, first);
    }
    out
}

fn push(out: &mut Vec<Word>, raw: &str, sentence: usize, first: bool) {
    if raw.chars().any(is_unspaced) {
        let letters: Vec<char> = raw.chars().collect();
        if letters.len() == 1 {
            out.push(plain(raw, sentence));
        }
        for pair in letters.windows(2) {
            out.push(plain(&pair.iter().collect::<String>(), sentence));
        }
        return;
    }
    let lower = raw.to_lowercase();
    let capital = raw.chars().next().is_some_and(char::is_uppercase);
    let (base, ending) = lower.split_once('\'').unwrap_or((&lower, ""));
    let (base, not) = match ending {
        "t" if lower == "can't" => ("can", true),
        "t" if lower == "won't" => ("will", true),
        "t" => (base.strip_suffix('n').unwrap_or(base), true),
        _ => (base, false),
    };
    if base.is_empty() {
        return;
    }
    out.push(Word {
        lower: base.to_owned(),
        stem: stem(base),
        name: capital && !first && base != "i" && !is_date(base) && !FRAME.contains(base),
        possessive: ending == "s",
        sentence,
    });
    if not {
        out.push(plain("not", sentence));
    } else if matches!(ending, "m" | "re" | "ve" | "ll" | "d") {
        out.push(plain(
            match ending {
                "m" => "am",
                "re" => "are",
                "ve" => "have",
                "ll" => "will",
                _ => "would",
            },
            sentence,
        ));
    }
}

fn plain(lower: &str, sentence: usize) -> Word {
    Word {
        lower: lower.to_owned(),
        stem: lower.to_owned(),
        name: false,
        possessive: false,
        sentence,
    }
}

/// Chinese, Japanese, Thai and their like, and everything east of them.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{9fff}' | '\u{20000}'..)
}

/// Lower-case letters and digits between single spaces, one at each end; apostrophes vanish. For looking up phrases.
pub(super) fn flat(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for c in text.chars() {
        if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        } else if !matches!(c, '\'' | '’' | '\u{2bc}') && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

/// Whether one of the phrases (`one, another phrase`) stands in what [`flat`] gave, as whole words.
pub(super) fn has(flat: &str, phrases: &str) -> bool {
    phrases.split(", ").any(|phrase| has_one(flat, phrase))
}

/// Whether the word is one of `one, another`.
pub(super) fn listed(list: &str, word: &str) -> bool {
    list.split(", ").any(|known| known == word)
}

/// Whether the phrase stands there, as whole words.
pub(super) fn has_one(flat: &str, phrase: &str) -> bool {
    !phrase.is_empty()
        && flat.match_indices(phrase).any(|(at, _)| {
            let before = flat.get(..at).is_none_or(|head| head.ends_with(' '));
            let after = flat
                .get(at + phrase.len()..)
                .is_none_or(|tail| tail.starts_with(' ') || tail.is_empty());
            before && after
        })
}

/// What a word is compared by.
pub(super) fn stem(word: &str) -> String {
    if let Some(same) = SYNONYMS.get(word) {
        return (*same).to_owned();
    }
    let cut = cut(word);
    SYNONYMS.get(cut.as_str()).map_or(cut, |same| (*same).to_owned())
}

/// Takes an English ending off. Deliberately coarse: both sides of a comparison are cut alike.
fn cut(word: &str) -> String {
    if !word.is_ascii() || word.bytes().any(|b| b.is_ascii_digit()) || word.len() < 4 {
        return word.to_owned();
    }
    let mut out = word.to_owned();
    if let Some(base) = word.strip_suffix("ies").filter(|base| base.len() > 1) {
        out = format!("{base}y");
    } else if word.ends_with("sses") || word.ends_with("ches") || word.ends_with("shes") || word.ends_with("xes") {
        out.truncate(word.len() - 2);
    } else if word.ends_with('s') && !["ss", "us", "is"].iter().any(|end| word.ends_with(end)) {
        out.truncate(word.len() - 1);
    }
    for ending in ["ing", "ed"] {
        let base = out.strip_suffix(ending).filter(|base| {
            base.len() > 2
                && base
                    .bytes()
                    .any(|b| matches!(b, b'a' | b'e' | b'i' | b'o' | b'u' | b'y'))
        });
        if let Some(base) = base {
            let twin = base.bytes().rev().take(2).collect::<Vec<_>>();
            let doubled = matches!(twin.as_slice(), [a, b] if a == b && !matches!(a, b'l' | b's' | b'z'));
            out = base.get(..base.len() - usize::from(doubled)).unwrap_or(base).to_owned();
            break;
        }
    }
    if out.len() > 3 {
        if let Some(base) = out.strip_suffix('e') {
            out = base.to_owned();
        } else if let Some(base) = out.strip_suffix('y') {
            out = format!("{base}i");
        }
    }
    out
}

/// Words that carry no content by themselves.
pub(super) fn is_stop(word: &str) -> bool {
    STOP.contains(word)
}

/// Words that only frame a fact ("the owner's sister is called ...").
pub(super) fn is_frame(word: &str) -> bool {
    FRAME.contains(word)
}

/// Verbs so common that sharing one supports nothing.
pub(super) fn is_weak(stem: &str) -> bool {
    WEAK.contains(stem)
}

/// Names of months and days and other words that only place something in time.
pub(super) fn is_date(word: &str) -> bool {
    DATES.contains(word) || is_year(word)
}

/// A year somebody alive may speak of.
pub(super) fn is_year(word: &str) -> bool {
    word.len() == 4 && word.parse::<u16>().is_ok_and(|year| (1880..=2150).contains(&year))
}

/// Relatives, friends, animals: whom a sentence about the owner may really be about.
pub(super) fn is_kin(stem: &str) -> bool {
    KIN.contains(stem)
}

/// Whether most of it seems to be English; `None` for texts too short to tell.
pub(super) fn is_english(words: &[Word]) -> Option<bool> {
    if words.len() < 4 {
        return None;
    }
    let known = words
        .iter()
        .filter(|word| ENGLISH.contains(word.lower.as_str()))
        .count();
    Some(known * 12 >= words.len())
}

/// Whether somebody speaks of themselves.
pub(super) fn is_first_person(word: &str) -> bool {
    matches!(
        word,
        "i" | "me" | "my" | "mine" | "myself" | "we" | "us" | "our" | "ours" | "im" | "ive" | "id"
    )
}

fn set(list: &'static str) -> HashSet<&'static str> {
    list.split_whitespace().collect()
}

static STOP: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    set(
        "a about above after again all also already always am an and any anymore are around cannot as at back be because been \
         being between both but by can could currently did do does doing done down during each either else ever every \
         for from further get gets getting go goes going gone got had has have having he her here hers herself him himself his how \
         however i if in into is it its itself just lately like lot many may maybe me might more most much must my \
         myself never new next no nor not now of off often on once one only or other our out over own per perhaps \
         please quite rather really recently same shall she should since so some someone something soon still such than \
         that the their theirs them then there these they this those through to together too toward towards under until \
         up upon us used usually very via was we well were what when where whether which while who whom whose why will \
         with within without would yes yet you your yours thing things way as of named called",
    )
});

static FRAME: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    set(
        "owner owners user users mira assistant name names named called call calls person people someone say says said \
         tell tells told mention mentions mentioned state states stated share shared reveal revealed explain explained \
         known",
    )
});

static WEAK: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    set(
        "like work live want plan start mak tak com know think feel hop tri need look keep giv find becom bring try us \
         day time year month week good great big littl long old young first last old recent spend",
    )
});

static DATES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    set(
        "january february march april may june july august september october november december jan feb mar apr jun jul \
         aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday today yesterday tomorrow \
         tonight 1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th 11th 12th 13th 14th 15th 16th 17th 18th 19th 20th 21st 22nd \
         23rd 24th 25th 26th 27th 28th 29th 30th 31st",
    )
});

static KIN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    set(
        "sister brother sibl mother father parent son daughter child grandmother grandfather grandparent grandchild \
         aunt uncl cousin niec nephew friend colleagu boss neighbour roommat partner ex cat dog pet hors rabbit parrot \
         hamster therapist doctor teacher landlord stepmother stepfather godchild twin",
    )
});

/// Words that hardly stand in a text of another language.
static ENGLISH: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    set(
        "the and is my i to of that it for you with have are not but this these those we do they she from been just about \
         would could should can there your will has had when how by ok okay thanks hi hello hey yes please owner which who \
         if our their her his him them its into over make some more than then",
    )
});

/// Words that say the same, by the stem that stands for all of them.
static SYNONYMS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    const TABLE: [(&str, &str); 63] = [
        (
            "work",
            "job jobs profession professional occupation career employed employment working works worked worker position",
        ),
        (
            "live",
            "lives lived living resides reside residing residence resident based dwell dwells lively home hometown",
        ),
        (
            "like",
            "likes liked loves love loved enjoys enjoy enjoyed enjoying adores adore fond fan keen passionate into",
        ),
        (
            "hate",
            "hates hated dislikes dislike disliked loathes loathe detests detest despises despise hating disliking",
        ),
        ("mother", "mum mom mothers mama mummy mommy"),
        ("father", "dad fathers papa daddy"),
        (
            "partner",
            "wife husband spouse girlfriend boyfriend fiance fiancee fiancé fiancée partners",
        ),
        ("child", "kid kids children childs"),
        ("grandmother", "grandma granny gran nan nana"),
        ("grandfather", "grandpa granddad grandad"),
        ("sibl", "sibling siblings"),
        ("colleagu", "coworker coworkers workmate colleagues colleague"),
        ("boss", "supervisor manager bosses"),
        ("neighbour", "neighbor neighbors neighbours"),
        ("roommat", "flatmate roommate flatmates housemate roommates"),
        ("friend", "buddy mate bestie pal friends"),
        ("dog", "puppy dogs doggo pup"),
        ("cat", "kitten kitty cats"),
        ("pet", "pets animal"),
        ("bike", "bicycle bikes cycle cycles cycling cyclist biking"),
        ("flat", "apartment apartments flats"),
        ("car", "automobile cars vehicle drives drive driving"),
        ("film", "movie movies films"),
        ("fear", "afraid scared fears phobia terrified frightened"),
        ("allerg", "allergic allergy allergies"),
        ("birth", "born birthday birthdate"),
        ("colour", "color colors colours"),
        ("buy", "bought buys buying purchased purchase purchases acquired"),
        ("start", "began begun begins begin started starts starting beginning"),
        (
            "study",
            "studies studying student studied students enrolled majoring majors",
        ),
        ("marri", "married marry marries wedding marrying wed weds marriage"),
        ("holiday", "vacation vacations holidays"),
        ("mov", "moved moves moving move relocated relocating relocate relocates"),
        ("speak", "speaks spoke speaking spoken language languages fluent"),
        ("run", "runs ran running runner jogging jogs jog"),
        ("swim", "swims swimming swam swimmer"),
        ("play", "plays played playing player"),
        ("read", "reads reading"),
        ("teach", "teaches taught teaching"),
        ("break", "broke broken breaks"),
        ("sell", "sold sells selling"),
        ("leav", "left leaves leaving leave quit quits quitting resigned"),
        ("stop", "stopped stops ceased cease"),
        ("doctor", "physician gp doctors"),
        ("illness", "disease condition disorder illnesses"),
        ("vegetarian", "veggie vegetarians"),
        ("vegan", "vegans"),
        ("exam", "exams examination test tests"),
        ("universit", "university uni college universities"),
        ("company", "firm employer corporation"),
        ("city", "town cities towns"),
        ("die", "died dies dead death passed deceased dying"),
        ("engag", "engaged engagement"),
        ("drink", "drinks beverage beverages"),
        ("favourite", "favorite favourites favorites favourite"),
        ("bak", "baker bakes baking baked"),
        ("paint", "painter painting paints painted paintings"),
        ("climb", "climber climbing climbs climbed bouldering"),
        ("garden", "gardening gardener gardens"),
        ("cook", "cooking cooks cooked"),
        ("writ", "wrote written writer writing writes"),
        ("grow", "grew grown grows growing"),
        ("mak", "made makes making make"),
    ];
    TABLE
        .iter()
        .flat_map(|(stem, same)| same.split_whitespace().map(|word| (word, *stem)))
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        let got: Vec<String> = words(text).into_iter().map(|word| word.stem).collect();
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn texts_are_cut_and_stemmed() {
        check("Anna's cats aren't running.", &["anna", "cat", "are", "not", "run"]);
        check("He can't, I won't", &["he", "can", "not", "i", "will", "not"]);
        check("nurse nursing hobbies hobby", &["nurs", "nurs", "hobbi", "hobbi"]);
        check("planned plans", &["plan", "plan"]);
        check("東京都", &["東京", "京都"]);
        check("", &[]);
    }

    #[test]
    fn names_are_capitals_inside_a_sentence() {
        let named: Vec<String> = words("My sister Anna lives in Graz. Tom came in May.")
            .into_iter()
            .filter(|word| word.name)
            .map(|word| word.lower)
            .collect();
        assert_eq!(named, ["anna", "graz"]);
    }

    #[test]
    fn phrases_are_whole_words() {
        let text = flat("The owner's test-drive: it isn't over.");
        assert_eq!(text, " the owners test drive it isnt over ");
        assert!(has(&text, "tes, test drive") && !has(&text, "tes, owner"));
    }
}
