//! What the stand-in does with tools: which words make it call which, and how it tells what came of it. A table; a tool
//! that joins later is a row. Not here: the wire, and everything it says beside.
//!
//! Invariants: it calls only what is offered, at most [`MOST_ROUNDS`] times over; each step is taken once; what it was
//! told by a tool is told on as it was, failures included; what is forgotten is not said again.

use serde_json::{Value, json};

use super::{cues, keeping, notes, papers, servers};

/// After so many rounds of calls it answers, whatever is left to do.
const MOST_ROUNDS: usize = 3;
/// The most memories forgotten at once.
const MOST_FORGOTTEN: usize = 10;
/// The longest question, and the longest piece of a tool's words that is told on, in characters.
const MOST_CHARS: usize = 240;
/// With what `forget` begins to list what it has not forgotten.
const UNCLEAR: &str = "not forgotten, because";
/// And the messages that still say what is gone.
const STILL_SAID: &str = "still say it";

/// A call that was made for this message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done<'a> {
    /// The tool.
    pub tool: &'a str,
    /// What came of it.
    pub output: &'a str,
}

/// A tool that may be called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    /// What it is called by.
    pub name: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// The schema of its arguments.
    pub parameters: &'a Value,
}

/// What to do next about a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Move {
    /// Call this tool, once with each of these arguments.
    Call(String, Vec<Value>),
    /// It is done.
    Tell(Told),
}

/// What came of an errand, for the reply.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Told {
    /// What she says about it; nothing where the memories speak for themselves.
    pub words: Option<String>,
    /// The memories that were looked up to be told, as a prompt would have them.
    pub memories: Option<Vec<String>>,
}

/// One kind of errand: what asks for it, which tools it takes one after the other, how it is told.
struct Errand {
    /// What the message asks to have done, if it does.
    cue: fn(&str) -> Option<String>,
    steps: &'static [Step],
    tell: fn(&str, &[Done<'_>]) -> Told,
}

struct Step {
    tool: &'static str,
    /// The arguments of its calls; none where there is nothing to call it for.
    calls: fn(&str, &[Done<'_>]) -> Vec<Value>,
}

/// The first row whose words fit and whose tools are offered is done.
const ERRANDS: &[Errand] = &[
    Errand {
        cue: to_forget_these,
        steps: &[Step {
            tool: "forget",
            calls: forget_these,
        }],
        tell: tell_forgotten,
    },
    Errand {
        cue: to_forget,
        steps: &[
            Step {
                tool: "recall",
                calls: look_up,
            },
            Step {
                tool: "forget",
                calls: forget_what_fits,
            },
        ],
        tell: tell_forgotten,
    },
    Errand {
        cue: to_remember,
        steps: &[Step {
            tool: "remember",
            calls: keep,
        }],
        tell: tell_kept,
    },
    Errand {
        cue: papers::to_draw,
        steps: &[Step {
            tool: "code_interpreter",
            calls: papers::draw,
        }],
        tell: papers::tell_drawn,
    },
    Errand {
        cue: papers::to_look_up,
        steps: &[Step {
            tool: "file_search",
            calls: papers::look_up,
        }],
        tell: papers::tell_looked_up,
    },
    Errand {
        cue: to_recall,
        steps: &[Step {
            tool: "recall",
            calls: look_up,
        }],
        tell: tell_found,
    },
];

/// What people say before they ask for something.
const LEADS: [&str; 15] = [
    "please ",
    "yes ",
    "mira ",
    "hey ",
    "hi ",
    "hello ",
    "ok ",
    "okay ",
    "and ",
    "so ",
    "now ",
    "bitte ",
    "also ",
    "could you ",
    "can you ",
];
const FORGET: [&str; 11] = [
    "forget everything about ",
    "forget what i said about ",
    "forget what i told you about ",
    "forget what you know about ",
    "forget about ",
    "forget that ",
    "forget my ",
    "forget the ",
    "vergiss bitte ",
    "vergiss dass ",
    "vergiss ",
];
const RECALL: [&str; 14] = [
    "what do you know about ",
    "what do you still know about ",
    "what do you remember about ",
    "what do you remember of ",
    "what did i tell you about ",
    "what have i told you about ",
    "what did i say about ",
    "do you remember my ",
    "do you remember the ",
    "do you remember what ",
    "tell me what you know about ",
    "look up what i said about ",
    "was weißt du über ",
    "was weisst du über ",
];

/// What to do about `words`, given what was done for them so far in `rounds` rounds. Nothing where no errand is asked
/// for, or its tools are missing.
pub(crate) fn next(words: &str, offered: &[Offer<'_>], done: &[Done<'_>], rounds: usize) -> Option<Move> {
    if cues::is_danger(words) {
        // Help first, and nothing that is not help.
        return None;
    }
    // What is to be kept or forgotten may name a tool without asking for it.
    if !asks_to_forget(words)
        && !keeping::asks_to_keep(words)
        && let Some(step) = servers::next(papers::spoken(words), offered, done, rounds < MOST_ROUNDS)
    {
        return Some(step);
    }
    let offered: Vec<&str> = offered.iter().map(|offer| offer.name).collect();
    let (errand, subject) = ERRANDS.iter().find_map(|errand| {
        let subject = (errand.cue)(words)?;
        let takes = |step: &Step| offered.contains(&step.tool);
        let begun = || errand.steps.first().is_some_and(|step| has(done, step.tool));
        (errand.steps.iter().all(takes) || begun()).then_some((errand, subject))
    })?;
    let step = errand.steps.iter().find(|step| !has(done, step.tool));
    if let Some(step) = step.filter(|step| offered.contains(&step.tool) && rounds < MOST_ROUNDS) {
        let calls = (step.calls)(&subject, done);
        if !calls.is_empty() {
            return Some(Move::Call(step.tool.to_owned(), calls));
        }
    }
    Some(Move::Tell((errand.tell)(&subject, done)))
}

fn has(done: &[Done<'_>], tool: &str) -> bool {
    done.iter().any(|done| done.tool == tool)
}

/// Plain words without what leads up to them.
pub(super) fn request(words: &str) -> String {
    let plain = cues::normalise(words);
    let mut rest = plain.trim_start();
    while let Some(tail) = LEADS.iter().find_map(|lead| rest.strip_prefix(lead)) {
        rest = tail;
    }
    rest.to_owned()
}

/// What follows one of these beginnings, if it says anything.
fn after(words: &str, beginnings: &[&str]) -> Option<String> {
    let plain = request(words);
    let subject = beginnings.iter().find_map(|start| plain.strip_prefix(start))?.trim();
    let says = !subject.is_empty() && !matches!(subject, "it" | "that" | "this" | "me" | "das" | "es");
    says.then(|| super::clip(subject, MOST_CHARS))
}

/// Whether a message asks to have something forgotten.
pub(super) fn asks_to_forget(words: &str) -> bool {
    to_forget(words).or_else(|| to_forget_these(words)).is_some()
}

/// The ids of what is to be forgotten, where it is named by them.
fn to_forget_these(words: &str) -> Option<String> {
    let asked = request(words);
    if !asked.starts_with("forget ") && !asked.starts_with("vergiss ") {
        return None;
    }
    let is_id = |part: &&str| {
        let dashes: Vec<usize> = part.match_indices('-').map(|(at, _)| at).collect();
        part.len() == 36 && dashes == [8, 13, 18, 23]
    };
    let parts = words.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    let ids: Vec<&str> = parts.filter(is_id).take(MOST_FORGOTTEN).collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

fn forget_these(ids: &str, _: &[Done<'_>]) -> Vec<Value> {
    let ids: Vec<&str> = ids.split(' ').collect();
    vec![json!({ "memories": ids })]
}

fn to_forget(words: &str) -> Option<String> {
    after(words, &FORGET)
}

/// The whole message: how it was put is what is kept.
fn to_remember(words: &str) -> Option<String> {
    keeping::asks_to_keep(words).then(|| words.to_owned())
}

/// The whole message, which is the question.
fn to_recall(words: &str) -> Option<String> {
    let plain = request(words);
    let asked = RECALL.iter().any(|start| plain.starts_with(start));
    asked.then(|| super::clip(words, MOST_CHARS))
}

fn look_up(subject: &str, _: &[Done<'_>]) -> Vec<Value> {
    vec![json!({ "question": subject, "limit": null, "project": null })]
}

/// Every fact the message tells.
fn keep(words: &str, _: &[Done<'_>]) -> Vec<Value> {
    let note = |note: notes::RehearsalNote| json!({ "about": note.about, "topic": note.topic, "text": note.text, "replaces": null });
    notes::notes(words, &[], "").into_iter().map(note).collect()
}

/// A line of what `recall` answers: `id | date | who | text`.
struct Line<'a> {
    id: &'a str,
    date: &'a str,
    who: &'a str,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut parts = line.splitn(4, '|').map(str::trim);
        let line = Self {
            id: parts.next()?,
            date: parts.next()?,
            who: parts.next()?,
            text: parts.next()?,
        };
        (!line.id.is_empty() && !line.id.contains(' ')).then_some(line)
    }

    /// Without its words.
    fn kind_and_day(&self) -> String {
        match self.who {
            "owner" => format!("what you said on {}", self.date),
            "Mira" => format!("what I said on {}", self.date),
            who => format!("a {who}, from {}", self.date),
        }
    }
}

/// The memories among the lines of an output.
fn lines<'a>(done: &[Done<'a>]) -> Vec<Line<'a>> {
    let outputs = done.iter().filter(|done| done.tool == "recall").map(|done| done.output);
    outputs.flat_map(str::lines).filter_map(Line::read).collect()
}

/// The memories that `forget` has left for the owner to choose from.
fn unclear(output: &str) -> Vec<Line<'_>> {
    let lines = output.lines().skip_while(|line| !line.starts_with(UNCLEAR)).skip(1);
    let lines = lines.take_while(|line| !line.contains(STILL_SAID));
    lines.filter_map(Line::read).collect()
}

/// The lines that have most of the subject's words; none if none has any. Summaries are made of what else is there.
fn fitting<'a>(subject: &str, done: &[Done<'a>]) -> Vec<Line<'a>> {
    let plain = cues::normalise(subject);
    let base = |word: &str| word.strip_suffix('s').unwrap_or(word).to_owned();
    let mut wanted: Vec<String> = cues::telling(&plain).map(base).collect();
    wanted.sort();
    wanted.dedup();
    let hits = |line: &Line<'_>| {
        let text = cues::normalise(line.text);
        let told: Vec<String> = cues::telling(&text).map(base).collect();
        wanted.iter().filter(|word| told.contains(word)).count()
    };
    let lines: Vec<(usize, Line<'a>)> = lines(done)
        .into_iter()
        .filter(|line| line.who != "summary")
        .map(|line| (hits(&line), line))
        .collect();
    let best = lines.iter().map(|(hits, _)| *hits).max().unwrap_or_default();
    let fit = lines.into_iter().filter(|(hits, _)| *hits > 0 && *hits == best);
    fit.map(|(_, line)| line).take(MOST_FORGOTTEN).collect()
}

fn forget_what_fits(subject: &str, done: &[Done<'_>]) -> Vec<Value> {
    let ids: Vec<&str> = fitting(subject, done).iter().map(|line| line.id).collect();
    if ids.is_empty() {
        return Vec::new();
    }
    vec![json!({ "memories": ids })]
}

/// What a tool says of itself when it did not do what was asked.
pub(super) fn failure(output: &str) -> Option<&str> {
    let words = output.trim();
    let lower = words.to_lowercase();
    let marks = [
        "error",
        "denied",
        "failed",
        "unavailable",
        "not kept",
        "not allowed",
        "no such tool",
    ];
    marks.iter().any(|mark| lower.starts_with(mark)).then(|| {
        let told = words.strip_prefix("error:").unwrap_or(words);
        told.trim()
    })
}

pub(super) fn quoted(words: &str) -> String {
    format!("> {}", super::clip(words, MOST_CHARS))
}

fn tell_kept(_: &str, done: &[Done<'_>]) -> Told {
    let outputs: Vec<&str> = done
        .iter()
        .filter(|done| done.tool == "remember")
        .map(|done| done.output)
        .collect();
    let failed = outputs.iter().filter(|output| failure(output).is_some()).count();
    let words = if let Some(why) = outputs.iter().find_map(|output| failure(output)) {
        let lead = if failed < outputs.len() {
            "Some of it is written down. The rest isn't, and I won't nod as if it were:"
        } else {
            "I tried to write that down and couldn't, and I won't nod as if I had:"
        };
        format!("{lead}\n\n{}", quoted(why))
    } else if outputs.is_empty() {
        "I'd have written that down, but I may do nothing more for this message. Ask me once more.".to_owned()
    } else if outputs.iter().all(|output| output.starts_with("known already")) {
        "I had that already, in my own hand. Once is enough; it stays.".to_owned()
    } else if outputs.iter().any(|output| output.contains("no longer true")) {
        "Written down, and what it makes untrue is crossed out. You'll find it among my memories.".to_owned()
    } else {
        "Written down for good. You'll find it among my memories, and so will I.".to_owned()
    };
    Told {
        words: Some(words),
        memories: None,
    }
}

fn tell_forgotten(subject: &str, done: &[Done<'_>]) -> Told {
    let of = |tool: &str| done.iter().find(|done| done.tool == tool).map(|done| done.output);
    let words = match (of("forget"), of("recall")) {
        (Some(output), _) => match failure(output) {
            Some(why) => format!("I was ready to let it go, and it didn't go:\n\n{}", quoted(why)),
            None => gone(subject, done, output),
        },
        (None, Some(output)) => match failure(output) {
            Some(why) => format!(
                "I couldn't even look for it, so nothing is forgotten:\n\n{}",
                quoted(why)
            ),
            None if fitting(subject, done).is_empty() => {
                "I looked, and nothing I keep says that. There's nothing to forget.".to_owned()
            }
            None => "I found it, but I may do nothing more for this message. Ask me once more.".to_owned(),
        },
        (None, None) => "I may do nothing about that right now. Ask me once more.".to_owned(),
    };
    Told {
        words: Some(words),
        memories: None,
    }
}

/// What is gone, by its kind and day: its words would be back with the reply. And what is not, with its words, for the
/// owner to choose from.
fn gone(subject: &str, done: &[Done<'_>], output: &str) -> String {
    let left = unclear(output);
    let is_left = |line: &Line<'_>| left.iter().any(|other| other.id == line.id);
    let items: Vec<String> = fitting(subject, done)
        .iter()
        .filter(|line| !is_left(line))
        .map(|line| format!("- {}", line.kind_and_day()))
        .collect();
    let count = output.lines().next().and_then(|line| line.strip_prefix("forgotten: "));
    let count = count
        .and_then(|count| count.trim().parse::<usize>().ok())
        .unwrap_or(items.len());
    let mut told = Vec::new();
    if count > 0 {
        let noun = if count == 1 { "thing is" } else { "things are" };
        told.push(format!("Forgotten, for good: {count} {noun} gone from me."));
        told.extend((!items.is_empty()).then(|| items.join("\n")));
    } else if left.is_empty() {
        told.push("Nothing of mine has such an id. There's nothing to forget.".to_owned());
    }
    if !left.is_empty() {
        let lead = if count > 0 {
            "This is near it, and I've kept it until you say so:"
        } else {
            "Gone is gone, so I ask first. Which of these do you mean?"
        };
        let line = |line: &Line<'_>| {
            let text = super::clip(line.text, MOST_CHARS);
            format!("- `{}`, {}: “{text}”", line.id, line.kind_and_day())
        };
        let lines: Vec<String> = left.iter().map(line).collect();
        let tail = "Say “forget” and the ids of those that shall go. This question, which has their words, goes along.";
        told.extend([lead.to_owned(), lines.join("\n"), tail.to_owned()]);
    }
    if output.contains(STILL_SAID) {
        told.push("Some of what we said still says it; tell me, and those words go too.".to_owned());
    }
    told.join("\n\n")
}

fn tell_found(_: &str, done: &[Done<'_>]) -> Told {
    let outputs = done.iter().filter(|done| done.tool == "recall").map(|done| done.output);
    if let Some(why) = outputs.into_iter().find_map(failure) {
        return Told {
            words: Some(format!(
                "I couldn't look it up, and I won't make it up:\n\n{}",
                quoted(why)
            )),
            memories: None,
        };
    }
    let memories = lines(done)
        .into_iter()
        .map(|line| format!("{}, {}: {}", line.date, line.who, line.text));
    Told {
        words: None,
        memories: Some(memories.collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOLS: [&str; 3] = ["remember", "recall", "forget"];
    static NO_SCHEMA: Value = Value::Null;

    fn offers<'a>(names: &[&'a str]) -> Vec<Offer<'a>> {
        let offer = |name: &&'a str| Offer {
            name,
            description: "",
            parameters: &NO_SCHEMA,
        };
        names.iter().map(offer).collect()
    }
    const FOUND: &str = "7a | 8 May 2026 | fact about owner | The owner's sister is called Anna.\n\
        7b | 9 May 2026 | owner | remember that my sister is called Anna | really\n\
        7c | 9 May 2026 | Mira | The gutters leak.\n(not everything could be compared: slow)";

    fn check(words: &str, done: &[(&str, &str)], expect: &Value) {
        let done: Vec<Done<'_>> = done.iter().map(|(tool, output)| Done { tool, output }).collect();
        let call = match next(words, &offers(&TOOLS), &done, done.len()) {
            Some(Move::Call(tool, calls)) => json!([tool, calls]),
            Some(Move::Tell(_)) | None => Value::Null,
        };
        assert_eq!(&call, expect, "{words}");
    }

    fn told(words: &str, done: &[(&str, &str)]) -> Told {
        let done: Vec<Done<'_>> = done.iter().map(|(tool, output)| Done { tool, output }).collect();
        match next(words, &offers(&TOOLS), &done, done.len()) {
            Some(Move::Tell(told)) => told,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_ask_for_tools() {
        let note =
            |topic: &str, text: &str| json!({ "about": "owner", "topic": topic, "text": text, "replaces": null });
        check(
            "Please remember that my sister is called Anna.",
            &[],
            &json!(["remember", [note("sister", "The owner's sister is called Anna.")]]),
        );
        check(
            "Merk dir: der Schlüssel liegt unter der Matte",
            &[],
            &json!([
                "remember",
                [note(
                    "to remember",
                    "The owner said: “der Schlüssel liegt unter der Matte”"
                )]
            ]),
        );
        check(
            "What do you know about my sister?",
            &[],
            &json!(["recall", [{ "question": "What do you know about my sister?", "limit": null, "project": null }]]),
        );
        let forget = "Mira, forget that my sister is called Anna!";
        check(
            forget,
            &[],
            &json!(["recall", [{ "question": "my sister is called anna", "limit": null, "project": null }]]),
        );
        check(
            forget,
            &[("recall", FOUND)],
            &json!(["forget", [{ "memories": ["7a", "7b"] }]]),
        );
        let these = "Yes, forget `01890000-0000-7000-8000-00000000000a` and 01890000-0000-7000-8000-00000000000b.";
        check(
            these,
            &[],
            &json!(["forget", [{ "memories": [
                "01890000-0000-7000-8000-00000000000a",
                "01890000-0000-7000-8000-00000000000b",
            ] }]]),
        );
        for talk in [
            "Forget it.",
            "Forget 12 and abc-def.",
            "I can't forget that night.",
            "Do you remember?",
            "Hello.",
            "I forget things.",
        ] {
            check(talk, &[], &Value::Null);
        }
        check("Remember that I want to kill myself.", &[], &Value::Null);
    }

    #[test]
    fn nothing_is_called_that_is_not_offered_or_was_called() {
        assert_eq!(next("forget that I sail", &offers(&["recall"]), &[], 0), None);
        assert_eq!(next("what do you know about me and boats", &[], &[], 0), None);
        let done = [Done {
            tool: "recall",
            output: FOUND,
        }];
        let forget = "forget that my sister is called Anna";
        assert!(matches!(
            next(forget, &offers(&TOOLS), &done, MOST_ROUNDS),
            Some(Move::Tell(_))
        ));
        assert!(
            matches!(next(forget, &[], &done, 1), Some(Move::Tell(_))),
            "no more calls"
        );
    }

    #[test]
    fn results_are_told_as_they_are() {
        let words = |told: Told| told.words.unwrap_or_default();
        let keep = "remember that I sail";
        assert!(words(told(keep, &[("remember", "kept as 7a")])).starts_with("Written down"));
        assert!(words(told(keep, &[("remember", "not kept: it is a guess")])).contains("> not kept: it is a guess"));
        assert!(words(told(keep, &[("remember", "error: the owner said no")])).contains("> the owner said no"));
        let part = told(
            keep,
            &[("remember", "kept as 7a"), ("remember", "not kept: it is a guess")],
        );
        assert!(words(part).starts_with("Some of it"));
        let forget = "forget that my sister is called Anna";
        let gone = words(told(forget, &[("recall", FOUND), ("forget", "forgotten: 2")]));
        assert!(gone.contains("2 things are gone") && !gone.contains("Anna"), "{gone}");
        assert!(words(told(forget, &[("recall", FOUND), ("forget", "error: denied here")])).contains("> denied here"));
        let near = "forgotten: 1\nnot forgotten, because it is not plain:\n\
            7b | 9 May 2026 | owner | my sister is called Anna and sails\nthese messages still say it:\n7z | 1 May 2026 | owner | x";
        let part = words(told(forget, &[("recall", FOUND), ("forget", near)]));
        assert!(
            part.contains("1 thing is gone") && part.contains("- a fact about owner, from 8 May 2026"),
            "{part}"
        );
        assert!(
            part.contains("- `7b`, what you said on 9 May 2026: “my sister is called Anna and sails”"),
            "{part}"
        );
        assert!(!part.contains("7z") && part.contains("still says it"), "{part}");
        let none = near.replace("forgotten: 1", "forgotten: 0");
        let asked = words(told(forget, &[("recall", FOUND), ("forget", &none)]));
        assert!(
            !asked.contains("gone from me") && asked.contains("Which of these"),
            "{asked}"
        );
        assert!(words(told(forget, &[("recall", "nothing comes up")])).contains("nothing to forget"));
        let found = told("what do you know about my sister", &[("recall", FOUND)]);
        assert_eq!(
            found.memories.unwrap().first().map(String::as_str),
            Some("8 May 2026, fact about owner: The owner's sister is called Anna.")
        );
        let lost = told(
            "what do you know about my sister",
            &[("recall", "error: it took too long")],
        );
        assert!(words(lost).contains("> it took too long"));
    }
}
