//! Why a memory came up, in a few words for the owner: what it shares with the message, never how it was computed.

use super::{
    question::{Question, Term},
    rank::{Candidate, Voice},
    words::is_stop,
};
use crate::memory::MemoryKind;
use jiff::tz::TimeZone;

/// From this cosine on two texts mean something similar.
const SIMILAR: f32 = 0.40;
/// The most words that are named.
const MAX_WORDS: usize = 2;

/// The reason; `found` are the question's words that stand in its text.
pub fn why(question: &Question, found: &[&Term], candidate: &Candidate) -> String {
    let mut parts = Vec::new();
    // The scores of one that stands in for another are the other's.
    let similar = !candidate.stands_in && candidate.cosine.is_some_and(|cosine| cosine >= SIMILAR);
    let words = telling_words(found);
    if !words.is_empty() {
        parts.push(format!("says {}", words.join(" and ")));
    } else if candidate.stands_in {
        parts.push("newer than what was found".to_owned());
    } else if candidate.bm25 > 0.0 && !similar {
        parts.push("from the same stretch of talk".to_owned());
    }
    if similar || parts.is_empty() && !question.times.is_all_asked(candidate.at) {
        parts.push("similar meaning".to_owned());
    }
    parts.extend(named(question, candidate));
    parts.extend(of_time(question, candidate));
    if candidate.pinned {
        parts.push("pinned".to_owned());
    }
    parts.join(", ")
}

/// The time it is from, if the question names that.
fn of_time(question: &Question, candidate: &Candidate) -> Option<String> {
    let times = &question.times;
    let said = |format: &str, zone: &TimeZone| candidate.at.to_zoned(zone.clone()).strftime(format).to_string();
    match times.stretch_of(candidate.at) {
        Some(stretch) if stretch.is_short => Some(format!("from {}", said("%-d %B %Y", &times.zone))),
        Some(_) => Some(format!("from {}", said("%B %Y", &times.zone))),
        None if times.has(candidate.at) => Some(format!("from {}", said("%B %Y", &TimeZone::UTC))),
        None => None,
    }
}

/// The words that say most first, quoted.
fn telling_words(found: &[&Term]) -> Vec<String> {
    let mut found: Vec<&Term> = found.iter().copied().filter(|term| !is_stop(&term.word)).collect();
    found.sort_by(|a, b| b.idf.total_cmp(&a.idf));
    found
        .iter()
        .take(MAX_WORDS)
        .map(|term| format!("“{}”", term.word))
        .collect()
}

/// The person in it whom the question names.
fn named(question: &Question, candidate: &Candidate) -> Option<String> {
    let whom = match &candidate.voice {
        Voice::Owner if question.names_owner => "you",
        Voice::Mira if question.names_mira => "Mira",
        Voice::Other(name) if question.names(name) => name.as_str(),
        Voice::Owner | Voice::Mira | Voice::Other(_) => return None,
    };
    Some(match candidate.kind {
        MemoryKind::Message => format!("said by {whom}"),
        MemoryKind::Fact | MemoryKind::Summary => format!("about {whom}"),
    })
}
