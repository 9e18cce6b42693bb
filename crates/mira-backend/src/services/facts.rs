//! Facts: what a reply wants remembered is judged, merged or stored with its evidence; what the owner adds or corrects is
//! stored as theirs. A fact that another makes untrue is superseded, never deleted.

use crate::services::memory::Memories;
use mira_core::{
    chat::Salience,
    gate::{GateInput, LiveFact, Rejection, Verdict, judge},
    ids::{AccountId, MemoryId, MessageId, ProjectId, SessionId},
    memory::{FactNote, Memory, MemorySource},
};
use mira_memory::{FactOutcome, NewFact, StoreError};

/// The most live facts about one person a new one is compared with.
const COMPARED: u32 = 400;

/// A turn that had something to remember.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// Where it was told.
    pub session: SessionId,
    /// The project of the session.
    pub project: Option<ProjectId>,
    /// The owner's message: the evidence.
    pub evidence: MessageId,
    /// The owner's words.
    pub owner_text: String,
    /// The numbered memories of the prompt, in their order.
    pub recalled: Vec<(MemoryId, String)>,
    /// Whether the turn read a tool's result or a web page.
    pub untrusted: bool,
}

/// What became of a reply's notes.
#[derive(Debug, Default)]
pub struct Learnt {
    /// New facts.
    pub created: Vec<Memory>,
    /// Facts that are no longer true.
    pub superseded: Vec<Memory>,
    /// Notes that were not kept, and why.
    pub rejected: Vec<Rejection>,
    /// Notes that were forgotten once and stay so.
    pub forgotten: usize,
    /// Notes that said what was known.
    pub merged: usize,
}

/// Judges the notes of a reply and stores what is worth it.
pub async fn learn(
    memories: &Memories,
    account: AccountId,
    lesson: &Lesson,
    notes: &[FactNote],
    reply: &str,
    salience: Option<Salience>,
) -> Result<Learnt, StoreError> {
    let mut learnt = Learnt::default();
    let recalled: Vec<&str> = lesson.recalled.iter().map(|(_, text)| text.as_str()).collect();
    for note in notes {
        let known = memories.store().live_facts(account, &note.about, COMPARED).await?;
        let live: Vec<LiveFact> = known.into_iter().map(live_fact).collect();
        let replaces = note
            .replaces
            .and_then(|line| lesson.recalled.get(usize::try_from(line).ok()?.checked_sub(1)?))
            .map(|(id, _)| *id)
            .filter(|id| live.iter().any(|fact| fact.id == *id));
        let verdict = judge(
            note,
            &GateInput {
                owner_text: &lesson.owner_text,
                recalled: &recalled,
                reply,
                live: &live,
                replaces,
                untrusted: lesson.untrusted,
            },
        );
        let (supersedes, source) = match verdict {
            Verdict::Keep { supersedes, source } => (supersedes, source),
            Verdict::Merge(_) => {
                learnt.merged += 1;
                continue;
            }
            Verdict::Reject(why) => {
                learnt.rejected.push(why);
                continue;
            }
        };
        let now = memories.clock().now();
        let fact = NewFact {
            id: MemoryId(memories.clock().new_uuid()),
            about: note.about.clone(),
            topic: Some(note.topic.clone()).filter(|topic| !topic.is_empty()),
            text: note.text.clone(),
            source,
            session_id: Some(lesson.session.clone()),
            project_id: lesson.project,
            message_id: Some(lesson.evidence),
            valid_from: now,
            salience,
            pinned: false,
            supersedes: supersedes.clone(),
        };
        let stored = memories
            .store()
            .insert_facts(account, vec![fact], memories.tombstone_key(), now)
            .await?;
        for outcome in stored {
            match outcome {
                FactOutcome::Stored(memory) => {
                    learnt.created.push(memory);
                    let gone = memories.store().find_memories(account, &supersedes).await?;
                    learnt.superseded.extend(gone);
                }
                FactOutcome::Merged(_) => learnt.merged += 1,
                FactOutcome::Forgotten => learnt.forgotten += 1,
            }
        }
    }
    if !learnt.created.is_empty() {
        memories.wake();
    }
    if !learnt.rejected.is_empty() {
        tracing::debug!(session.id = %lesson.session, rejected = ?learnt.rejected, "not every note became a fact");
    }
    Ok(learnt)
}

fn live_fact(fact: Memory) -> LiveFact {
    LiveFact {
        id: fact.id,
        about: fact.about.unwrap_or_default(),
        topic: fact.topic.unwrap_or_default(),
        text: fact.text,
        pinned: fact.pinned,
    }
}

/// A fact the owner adds by hand.
#[derive(Debug, Clone)]
pub struct OwnFact {
    /// Whom it is about.
    pub about: String,
    /// What it is about.
    pub topic: Option<String>,
    /// One sentence.
    pub text: String,
    /// In every prompt.
    pub pinned: bool,
    /// The project it belongs to.
    pub project: Option<ProjectId>,
}

/// Stores a fact of the owner's: no gate stands before them, but what was forgotten may be said again by them alone.
pub async fn add(memories: &Memories, account: AccountId, own: OwnFact) -> Result<FactOutcome, StoreError> {
    let now = memories.clock().now();
    let fact = NewFact {
        id: MemoryId(memories.clock().new_uuid()),
        about: own.about,
        topic: own.topic,
        text: own.text,
        source: MemorySource::Owner,
        session_id: None,
        project_id: own.project,
        message_id: None,
        valid_from: now,
        salience: None,
        pinned: own.pinned,
        supersedes: Vec::new(),
    };
    let mut stored = memories
        .store()
        .insert_facts(account, vec![fact], memories.tombstone_key(), now)
        .await?;
    memories.wake();
    stored.pop().ok_or(StoreError::Closed)
}
