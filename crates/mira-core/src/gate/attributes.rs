//! What a person has one of at a time: a job, an employer, a home, an age. Only these replace each other by themselves.
//!
//! What one can have several of (likes, pets, friends, siblings, hobbies, allergies, languages) is not here on purpose.

use super::{
    sense::{Claim, Sense, Stems},
    words::{Word, flat, has, has_one, is_frame, is_stop, listed},
};

/// A single-valued attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attribute {
    /// What they work as.
    Job,
    /// Whom they work for.
    Employer,
    /// Where they live.
    Residence,
    /// Where they are from.
    Origin,
    /// Street and number.
    Address,
    /// How old they are.
    Age,
    /// When they were born.
    Birthday,
    /// Whom they are with.
    Partner,
    /// What they are called.
    Name,
    /// How they are spoken of.
    Pronouns,
    /// Telephone number.
    Phone,
    /// Address for mail.
    Email,
    /// What they drive.
    Car,
    /// What they eat on principle.
    Diet,
    /// What they study.
    Studies,
    /// Where they study.
    School,
    /// Religion.
    Religion,
    /// Height, weight, size of shoes, blood type, time zone and their like, by their own words.
    Measure(String),
    /// The one thing they like best of a kind.
    Favourite(String),
}

impl Attribute {
    /// Whether its value is a name where one is given.
    pub(super) fn is_named(&self) -> bool {
        matches!(
            self,
            Self::Employer | Self::Residence | Self::Origin | Self::Partner | Self::Name | Self::School
        )
    }

    /// Whether its value is a date.
    pub(super) fn is_dated(&self) -> bool {
        matches!(self, Self::Birthday)
    }

    /// Whether a stem names the attribute and is therefore no value of it.
    pub(super) fn is_word(&self, stem: &str) -> bool {
        let own = match self {
            Self::Favourite(kind) | Self::Measure(kind) => kind.split(' ').any(|word| word == stem),
            _ => false,
        };
        own || self.words().contains(&stem)
    }

    fn words(&self) -> &'static [&'static str] {
        match self {
            Self::Job => &[
                "work",
                "becom",
                "trad",
                "earn",
                "livelihood",
                "mak",
                "liv",
                "live",
                "money",
                "daili",
            ],
            Self::Employer => &[
                "work", "company", "employe", "workplac", "join", "start", "offic", "staff", "payroll", "contract",
            ],
            Self::Residence => &[
                "live", "mov", "city", "plac", "country", "locat", "new", "settl", "hous", "flat", "resid", "call",
            ],
            Self::Origin => &["birth", "grow", "com", "origin", "nationaliti", "nativ", "from"],
            Self::Address => &["live", "address", "mov", "hous"],
            Self::Age => &["year", "old", "age", "turn"],
            Self::Birthday => &["birth", "day", "celebrat"],
            Self::Partner => &[
                "partner",
                "marri",
                "engag",
                "dat",
                "relationship",
                "togeth",
                "coupl",
                "love",
                "significant",
                "see",
            ],
            Self::Name => &["nam", "nicknam", "goe", "want", "prefer", "real"],
            Self::Pronouns => &["pronoun", "us"],
            Self::Phone => &[
                "phon", "number", "mobil", "telephon", "reach", "contact", "ring", "cell",
            ],
            Self::Email => &["email", "mail", "address"],
            Self::Car => &["car", "own", "buy", "get", "mov", "travel", "transport"],
            Self::Diet => &["diet", "eat", "follow"],
            Self::Studies => &["study", "degre", "subject", "field"],
            Self::School => &["universit", "school", "study", "attend", "goe"],
            Self::Religion => &["religion", "faith", "practis", "practic"],
            Self::Measure(_) => &["is", "about", "tall", "weigh"],
            Self::Favourite(_) => &["favourite", "like", "best", "prefer", "choic", "top", "number"],
        }
    }
}

/// Topics and the attribute they mean. Those that could mean two are decided by the sentence first.
const TOPICS: [(&str, &[&str]); 17] = [
    (
        "job",
        &["job", "occupation", "profession", "career", "job title", "work role"],
    ),
    ("employer", &["employer", "company", "workplace", "firm"]),
    (
        "residence",
        &[
            "home town",
            "hometown",
            "home city",
            "city",
            "town",
            "residence",
            "location",
            "place of residence",
            "where they live",
            "home country",
            "living place",
            "country of residence",
        ],
    ),
    ("origin", &["origin", "birthplace", "place of birth", "nationality"]),
    ("address", &["address", "home address", "street"]),
    ("age", &["age", "years old"]),
    ("birthday", &["birthday", "birth date", "date of birth", "birthdate"]),
    (
        "partner",
        &[
            "partner",
            "husband",
            "wife",
            "spouse",
            "girlfriend",
            "boyfriend",
            "fiance",
            "fiancee",
            "marital status",
            "relationship status",
        ],
    ),
    (
        "name",
        &[
            "name",
            "first name",
            "nickname",
            "full name",
            "preferred name",
            "form of address",
        ],
    ),
    ("pronouns", &["pronouns", "pronoun"]),
    (
        "phone",
        &["phone", "phone number", "mobile", "mobile number", "telephone"],
    ),
    ("email", &["email", "e mail", "email address", "mail address"]),
    ("car", &["car", "vehicle"]),
    ("diet", &["diet"]),
    ("studies", &["studies", "field of study", "major", "degree", "subject"]),
    ("school", &["school", "university", "college"]),
    ("religion", &["religion", "faith"]),
];

/// Attributes told by their own words: `The owner's height is ...`.
const MEASURES: &str = "\
    height, weight, shoe size, blood type, time zone, timezone, star sign, zodiac sign, salary, rent, bedtime, \
    wake up time, eye colour";

/// The attribute of a topic, if it is one of those that a person has once.
pub(super) fn of_topic(topic: &str) -> Option<Attribute> {
    let plain = flat(topic);
    let plain = plain
        .trim()
        .trim_start_matches("current ")
        .trim_start_matches("new ")
        .trim_start_matches("the ");
    if let Some(kind) = plain
        .strip_prefix("favourite ")
        .or_else(|| plain.strip_prefix("favorite "))
    {
        return Some(Attribute::Favourite(super::words::stem(kind)));
    }
    if let Some(measure) = MEASURES.split(", ").find(|name| *name == plain) {
        return Some(Attribute::Measure((*measure).to_owned()));
    }
    let name = TOPICS
        .iter()
        .find(|(_, topics)| topics.contains(&plain))
        .map(|(name, _)| *name)?;
    Some(match name {
        "job" => Attribute::Job,
        "employer" => Attribute::Employer,
        "residence" => Attribute::Residence,
        "origin" => Attribute::Origin,
        "address" => Attribute::Address,
        "age" => Attribute::Age,
        "birthday" => Attribute::Birthday,
        "partner" => Attribute::Partner,
        "name" => Attribute::Name,
        "pronouns" => Attribute::Pronouns,
        "phone" => Attribute::Phone,
        "email" => Attribute::Email,
        "car" => Attribute::Car,
        "diet" => Attribute::Diet,
        "studies" => Attribute::Studies,
        "school" => Attribute::School,
        _ => Attribute::Religion,
    })
}

/// A way to say an attribute: one of the verbs, then (not necessarily at once) one of the links, then the value.
struct Pattern {
    verbs: &'static [&'static str],
    links: &'static [&'static str],
    attribute: fn() -> Attribute,
}

const PATTERNS: [Pattern; 8] = [
    Pattern {
        verbs: &[
            "works", "work", "working", "worked", "employed", "job", "started", "living", "serves", "career",
        ],
        links: &["as"],
        attribute: || Attribute::Job,
    },
    Pattern {
        verbs: &[
            "became",
            "becomes",
            "job is",
            "profession is",
            "occupation is",
            "by profession",
        ],
        links: &["a", "an", "that", "being"],
        attribute: || Attribute::Job,
    },
    Pattern {
        verbs: &[
            "works", "work", "working", "worked", "employed", "job", "position", "staff", "payroll", "contract",
            "hired",
        ],
        links: &["at", "for", "by", "of"],
        attribute: || Attribute::Employer,
    },
    Pattern {
        verbs: &["joined", "joins"],
        links: &["the", "joined", "joins"],
        attribute: || Attribute::Employer,
    },
    Pattern {
        verbs: &[
            "lives",
            "live",
            "living",
            "lived",
            "resides",
            "residing",
            "moved",
            "relocated",
            "settled",
            "based",
            "home",
            "flat",
            "apartment",
            "house",
            "place",
            "resident",
            "dwells",
        ],
        links: &["in", "to", "at", "of"],
        attribute: || Attribute::Residence,
    },
    Pattern {
        verbs: &["born", "grew", "comes", "originally", "native"],
        links: &["in", "from", "of"],
        attribute: || Attribute::Origin,
    },
    Pattern {
        verbs: &["studies", "studying", "attends", "student", "enrolled"],
        links: &["at", "attends"],
        attribute: || Attribute::School,
    },
    Pattern {
        verbs: &["drives", "driving", "car", "gets about", "gets around"],
        links: &["a", "an", "is", "drives"],
        attribute: || Attribute::Car,
    },
];

/// Where a value ends.
const ENDS: &str = "\
    and, but, because, who, which, where, since, while, with, though, although, so, until, after, before, when, \
    for, as, instead, than";

/// Where a value that is no name ends, besides.
const PLACES: &str = "\
    at, in, on, from, near, by";

/// What is not so yet.
const PLANNED: &str = "\
    will, plans, planning, wants, would, might, hopes, considering, thinking, going, dreams, about to";

/// No employer: when and where one works.
const NO_EMPLOYER: &str = "\
    live, night, weekend, day, remot";

/// The attributes a sentence gives by its own words.
pub(super) fn spoken_of(all: &[Word], sense: &Sense) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    if has(&flat_of(all), PLANNED) {
        return claims;
    }
    for pattern in &PATTERNS {
        let Some(value) = value_after(all, pattern) else {
            continue;
        };
        let attribute = (pattern.attribute)();
        let claim = claim(attribute, value);
        let vague = claim.value.is_empty()
            || (claim.attribute == Attribute::Employer
                && claim.value.iter().all(|stem| listed(NO_EMPLOYER, stem.as_str())));
        if !vague && !claims.iter().any(|known| known.attribute == claim.attribute) {
            claims.push(claim);
        }
    }
    claims.extend(told_by_name(all, sense));
    claims.extend(coupled(all, sense));
    let plain: String = flat_of(all);
    if claims.is_empty() && !sense.negative {
        claims.extend(favoured(all, &plain));
    }
    if claims.is_empty() {
        claims.extend(by_trade(all, sense, &plain).or_else(|| had_as(all)));
    }
    if has(&plain, "vegetarian, vegan, pescatarian, omnivore, veggie") && !sense.kin.contains("friend") {
        let value = sense
            .content
            .iter()
            .filter(|stem| stem.starts_with("veg") || stem.starts_with("pesc") || stem.starts_with("omni"));
        claims.push(Claim {
            attribute: Attribute::Diet,
            value: value.cloned().collect(),
            named: false,
        });
    }
    if has(&plain, "phone, mobile, telephone, number, cell") && sense.kin.is_empty() {
        let digits: Stems = sense.numbers.clone();
        if digits.iter().map(String::len).sum::<usize>() > 4 {
            claims.push(Claim {
                attribute: Attribute::Phone,
                value: digits,
                named: false,
            });
        }
    }
    let years = bare_age(all) || has(&plain, "years old, year old, years of age, turned, turns, aged, age is");
    if years && let Some(age) = sense.numbers.iter().find(|number| number.len() < 4) {
        claims.push(Claim {
            attribute: Attribute::Age,
            value: Stems::from([age.clone()]),
            named: false,
        });
    }
    let born = sense.content.contains("birth") && sense.dates.iter().any(|date| date.starts_with(char::is_alphabetic));
    if born {
        claims.push(Claim {
            attribute: Attribute::Birthday,
            value: sense.dates.clone(),
            named: false,
        });
    }
    claims
}

/// Words of two who are together.
const COUPLED: &str = "partner, husband, wife, girlfriend, boyfriend, fiance, fiancee, spouse, married to, engaged to, dating, \
    together with, couple, in a relationship with, an item, in love with, seeing, going out with, lives together with";

/// `The owner and Eva are a couple`, `The owner is married to Eva`.
fn coupled(all: &[Word], sense: &Sense) -> Option<Claim> {
    let alone = sense.kin.iter().all(|stem| stem == "partner");
    (alone && !sense.names.is_empty() && has(&flat_of(all), COUPLED)).then(|| Claim {
        attribute: Attribute::Partner,
        value: sense.names.clone(),
        named: true,
    })
}

/// `The owner has a Fiat as a car`.
fn had_as(all: &[Word]) -> Option<Claim> {
    let link = all.iter().position(|word| word.lower == "as")?;
    let attribute = of_topic(&all.last()?.lower)?;
    let verb = all
        .iter()
        .take(link)
        .position(|word| matches!(word.lower.as_str(), "has" | "have" | "uses" | "got"))?;
    let close = all.len() <= link + 3;
    let claim = claim(attribute, all.get(verb + 1..link)?);
    (close && !claim.value.is_empty()).then_some(claim)
}

/// `The owner is a nurse by trade`, or on the topic of work.
fn by_trade(all: &[Word], sense: &Sense, plain: &str) -> Option<Claim> {
    let of_work = has(plain, "by trade, by profession, by training, by occupation") || sense.topic.contains("work");
    let verb = all.iter().position(|word| word.lower == "is")?;
    let article = all.get(verb + 1)?;
    if !of_work || !sense.kin.is_empty() || !matches!(article.lower.as_str(), "a" | "an") {
        return None;
    }
    let claim = claim(Attribute::Job, until_end(all.get(verb + 2..)?));
    (!claim.value.is_empty()).then_some(claim)
}

/// `The owner is 33.`
fn bare_age(all: &[Word]) -> bool {
    let last = all.last().map(|word| word.lower.as_str()).unwrap_or_default();
    let mut before = all
        .iter()
        .rev()
        .skip(1)
        .map(|word| word.lower.as_str())
        .filter(|word| *word != "now");
    let verb = before.next().unwrap_or_default();
    all.len() < 6 && matches!(verb, "is" | "am") && last.parse::<u8>().is_ok_and(|age| (1..120).contains(&age))
}

/// `Green is the owner's favourite colour`, `The owner likes green best of all colours`.
fn favoured(all: &[Word], plain: &str) -> Option<Claim> {
    let stems: Vec<&str> = all.iter().map(|word| word.stem.as_str()).collect();
    let place = |word: &str| all.iter().position(|one| one.lower == word);
    let (kind, value) = if has(plain, "best of all, most of all, more than any other") {
        let verb = all.iter().position(|word| word.stem == "like")?;
        let best = place("best").or_else(|| place("most")).or_else(|| place("more"))?;
        (*stems.last()?, all.get(verb + 1..best)?)
    } else if let Some(at) = plain.contains(" of choice ").then(|| place("choice")).flatten() {
        (*stems.get(at.checked_sub(2)?)?, all.get(place("is")? + 1..)?)
    } else {
        let verb = place("is")?;
        let at = stems
            .iter()
            .position(|stem| *stem == "favourite")
            .filter(|at| *at > verb)?;
        (*stems.get(at + 1)?, all.get(..verb)?)
    };
    let claim = claim(Attribute::Favourite(kind.to_owned()), value);
    (!claim.value.is_empty()).then_some(claim)
}

/// `The owner's favourite colour is green`, `The owner's shoe size is 42`.
fn told_by_name(all: &[Word], sense: &Sense) -> Vec<Claim> {
    let Some(verb) = all.iter().position(|word| matches!(word.lower.as_str(), "is" | "are")) else {
        return Vec::new();
    };
    let (before, after) = all.split_at(verb);
    let stems: Vec<&str> = before.iter().map(|word| word.stem.as_str()).collect();
    let mut attribute = None;
    if let Some(at) = stems.iter().position(|stem| *stem == "favourite") {
        // "Green is the owner's favourite colour" is left alone: its value stands before the verb.
        let kind: Vec<&str> = stems.iter().skip(at + 1).copied().collect();
        attribute = (!kind.is_empty()).then(|| Attribute::Favourite(kind.join(" ")));
    } else {
        let plain = flat_of(before);
        let named = MEASURES.split(", ").find(|name| has_one(&plain, name));
        if let Some(name) = named {
            attribute = Some(Attribute::Measure((*name).to_owned()));
        } else if let Some((_, name)) = plain.trim().rsplit_once(' ') {
            // A name of an attribute right before the verb, where its kind is plain.
            attribute = of_topic(name).filter(|last| {
                matches!(
                    last,
                    Attribute::Job
                        | Attribute::Employer
                        | Attribute::Address
                        | Attribute::Age
                        | Attribute::Pronouns
                        | Attribute::Religion
                        | Attribute::Diet
                        | Attribute::Car
                )
            });
        }
    }
    let Some(attribute) = attribute else { return Vec::new() };
    let claim = claim(attribute, until_end(after.get(1..).unwrap_or_default()));
    if claim.value.is_empty() || sense.negative {
        return Vec::new();
    }
    vec![claim]
}

fn claim(attribute: Attribute, slice: &[Word]) -> Claim {
    let names: Stems = slice
        .iter()
        .filter(|word| word.name)
        .map(|word| word.stem.clone())
        .collect();
    let named = attribute.is_named() && !names.is_empty();
    let value = if named {
        names
    } else {
        slice
            .iter()
            .enumerate()
            .take_while(|(at, word)| *at == 0 || !listed(PLACES, word.lower.as_str()))
            .map(|(_, word)| word)
            .filter(|word| !is_stop(&word.lower) && !is_frame(&word.lower))
            .map(|word| word.stem.clone())
            .filter(|stem| !attribute.is_word(stem))
            .collect()
    };
    Claim {
        attribute,
        value,
        named,
    }
}

/// The words from a pattern's link to the end of the value.
fn value_after<'a>(all: &'a [Word], pattern: &Pattern) -> Option<&'a [Word]> {
    let verb = all.iter().enumerate().position(|(at, word)| {
        pattern.verbs.iter().any(|verb| match verb.split_once(' ') {
            None => *verb == word.lower,
            Some((one, two)) => one == word.lower && all.get(at + 1).is_some_and(|next| next.lower == two),
        })
    })?;
    let sentence = all.get(verb)?.sentence;
    let own = pattern.verbs.iter().any(|verb| pattern.links.contains(verb));
    let from = if own { verb } else { verb + 1 };
    let link = all
        .iter()
        .enumerate()
        .skip(from)
        .take_while(|(_, word)| word.sentence == sentence)
        .take(8)
        .find(|(_, word)| pattern.links.contains(&word.lower.as_str()))
        .map(|(at, _)| at)?;
    all.get(link + 1..).map(until_end)
}

/// What stands before the next clause or sentence.
fn until_end(rest: &[Word]) -> &[Word] {
    let sentence = rest.first().map(|word| word.sentence);
    let length = rest
        .iter()
        .take_while(|word| Some(word.sentence) == sentence && !listed(ENDS, word.lower.as_str()))
        .count();
    rest.get(..length).unwrap_or_default()
}

fn flat_of(all: &[Word]) -> String {
    let mut text = String::from(" ");
    for word in all {
        text.push_str(&word.lower);
        text.push(' ');
    }
    text
}
