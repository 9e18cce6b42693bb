//! A file of conversations, as lines of an export and as questions.

use jiff::{Timestamp, Zoned, civil::DateTime, tz::TimeZone};
use mira_core::ids::MemoryId;
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
};
use uuid::Uuid;

#[derive(Deserialize)]
struct RawConversation {
    speakers: [String; 2],
    sessions: Vec<RawSession>,
    questions: Vec<RawQuestion>,
}

#[derive(Deserialize)]
struct RawSession {
    session: u32,
    date: String,
    turns: Vec<RawTurn>,
}

#[derive(Deserialize)]
struct RawTurn {
    dia_id: String,
    speaker: String,
    text: String,
    caption: Option<String>,
}

#[derive(Deserialize)]
struct RawQuestion {
    question: String,
    evidence: Vec<String>,
    category: u8,
}

/// A turn as a message.
pub struct Turn {
    id: MemoryId,
    session: u32,
    parent: Option<MemoryId>,
    role: &'static str,
    content: String,
    at: Timestamp,
}

/// A question and the turns that answer it.
pub struct Question {
    pub text: String,
    pub category: u8,
    pub evidence: BTreeSet<MemoryId>,
}

/// A conversation.
pub struct Conversation {
    pub speakers: [String; 2],
    pub turns: Vec<Turn>,
    pub questions: Vec<Question>,
}

/// The conversations of a file.
pub fn read(path: &str) -> Result<Vec<Conversation>, Box<dyn Error>> {
    let raw: Vec<RawConversation> = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    raw.into_iter().map(conversation).collect()
}

fn conversation(raw: RawConversation) -> Result<Conversation, Box<dyn Error>> {
    let mut turns = Vec::new();
    let mut by_name = HashMap::new();
    for session in &raw.sessions {
        let begun = DateTime::strptime("%I:%M %p on %d %B, %Y", &session.date)?.to_zoned(TimeZone::UTC)?;
        let mut parent = None;
        for (n, turn) in (0_u16..).zip(&session.turns) {
            let at = begun.timestamp() + jiff::SignedDuration::from_secs(i64::from(n));
            let place = (u128::from(session.session) << 16) + u128::from(n);
            let millis = u128::try_from(at.as_millisecond())?;
            let id = MemoryId(Uuid::from_u128((millis << 80) | (0x7 << 76) | (0x8 << 60) | place));
            by_name.extend(names(&turn.dia_id).map(|name| (name, id)));
            let caption = turn.caption.as_ref().map(|text| format!(" [photo: {text}]"));
            turns.push(Turn {
                id,
                session: session.session,
                parent: parent.replace(id),
                role: if turn.speaker == raw.speakers[0] {
                    "user"
                } else {
                    "assistant"
                },
                content: turn.text.clone() + &caption.unwrap_or_default(),
                at,
            });
        }
    }
    let questions = raw.questions.iter().map(|question| Question {
        text: question.question.clone(),
        category: question.category,
        evidence: question
            .evidence
            .iter()
            .flat_map(|text| names(text))
            .filter_map(|name| by_name.get(&name).copied())
            .collect(),
    });
    Ok(Conversation {
        questions: questions.filter(|question| !question.evidence.is_empty()).collect(),
        speakers: raw.speakers,
        turns,
    })
}

/// The turns a text names, such as `D8:6; D9:17`: number of the session, number of the turn.
fn names(text: &str) -> impl Iterator<Item = (u32, u32)> {
    text.split(|c: char| !c.is_alphanumeric() && c != ':')
        .filter_map(|name| {
            let (session, turn) = name.strip_prefix('D')?.split_once(':')?;
            Some((session.parse().ok()?, turn.parse().ok()?))
        })
}

impl Conversation {
    /// When it ended: the questions are asked then.
    pub fn end(&self) -> Zoned {
        let last = self.turns.iter().map(|turn| turn.at).max();
        last.unwrap_or_default().to_zoned(TimeZone::UTC)
    }

    /// The lines of an export of it.
    pub fn lines(&self) -> Vec<String> {
        let first = self.turns.first().map(|turn| turn.at);
        let mut lines = vec![json!({ "type": "header", "format": "mira-export", "version": 1, "exported_at": first })];
        let mut ends: Vec<&Turn> = Vec::new();
        for turn in &self.turns {
            ends.retain(|end| end.session != turn.session);
            ends.push(turn);
        }
        for end in &ends {
            lines.push(json!({
                "type": "session", "id": format!("s{}", end.session), "head_id": end.id, "memory": "on",
                "pinned": false, "archived": false, "created_at": end.at, "updated_at": end.at,
            }));
        }
        for turn in &self.turns {
            lines.push(json!({
                "type": "message", "id": turn.id, "session_id": format!("s{}", turn.session),
                "parent_id": turn.parent, "role": turn.role, "content": turn.content, "status": "complete",
                "created_at": turn.at,
            }));
        }
        let (sessions, messages) = (ends.len(), self.turns.len());
        lines.push(json!({ "type": "end", "sessions": sessions, "messages": messages, "moods": 0, "facts": 0 }));
        lines.iter().map(ToString::to_string).collect()
    }
}
