//! Facts: what a reply wants remembered is judged, merged or stored with its evidence; what the owner adds or corrects is
//! stored as theirs. A fact that another makes untrue is superseded, never deleted.

use crate::services::{
    deps::{Deps, MemoryChange},
    memory::Memories,
};
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
    /// Where it was told; none where a program says it.
    pub session: Option<SessionId>,
    /// The project of the session.
    pub project: Option<ProjectId>,
    /// The owner's message: the evidence.
    pub evidence: Option<MessageId>,
    /// The owner's words.
    pub owner_text: String,
    /// The numbered memories of the prompt, in their order.
    pub recalled: Vec<(MemoryId, String)>,
    /// Whether the turn read a tool's result or a web page.
    pub untrusted: bool,
    /// Whether words of strangers stand anywhere in its prompt, or came by in the turn.
    pub exposed: bool,
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

/// What became of one note.
#[derive(Debug)]
pub enum NoteFate {
    /// It is a fact now.
    Stored {
        /// The fact.
        fact: Box<Memory>,
        /// What it made untrue.
        superseded: Vec<Memory>,
    },
    /// This fact said it already.
    Known(MemoryId),
    /// It is no fact to keep.
    Rejected(Rejection),
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
    for note in notes {
        let replaces = note
            .replaces
            .and_then(|line| lesson.recalled.get(usize::try_from(line).ok()?.checked_sub(1)?))
            .map(|(id, _)| *id);
        match learn_one(memories, account, lesson, note, replaces, reply, salience).await? {
            NoteFate::Stored { fact, superseded } => {
                learnt.created.push(*fact);
                learnt.superseded.extend(superseded);
            }
            NoteFate::Known(_) => learnt.merged += 1,
            NoteFate::Rejected(Rejection::Forgotten) => learnt.forgotten += 1,
            NoteFate::Rejected(why) => learnt.rejected.push(why),
        }
    }
    if !learnt.created.is_empty() {
        memories.wake();
    }
    if !learnt.rejected.is_empty() {
        tracing::debug!(session.id = ?lesson.session, rejected = ?learnt.rejected, "not every note became a fact");
    }
    Ok(learnt)
}

/// Judges one note and stores it if it is a fact; `replaces` is the memory it is said to make untrue.
pub async fn learn_one(
    memories: &Memories,
    account: AccountId,
    lesson: &Lesson,
    note: &FactNote,
    replaces: Option<MemoryId>,
    reply: &str,
    salience: Option<Salience>,
) -> Result<NoteFate, StoreError> {
    let recalled: Vec<&str> = lesson.recalled.iter().map(|(_, text)| text.as_str()).collect();
    let known = memories.store().live_facts(account, &note.about, COMPARED).await?;
    let live: Vec<LiveFact> = known.into_iter().map(live_fact).collect();
    let verdict = judge(
        note,
        &GateInput {
            owner_text: &lesson.owner_text,
            recalled: &recalled,
            reply,
            live: &live,
            replaces: replaces.filter(|id| live.iter().any(|fact| fact.id == *id)),
            untrusted: lesson.untrusted,
            exposed: lesson.untrusted || lesson.exposed,
        },
    );
    let (supersedes, source) = match verdict {
        Verdict::Keep { supersedes, source } => (supersedes, source),
        Verdict::Merge(known) => return Ok(NoteFate::Known(known)),
        Verdict::Reject(why) => return Ok(NoteFate::Rejected(why)),
    };
    let now = memories.clock().now();
    let fact = NewFact {
        id: MemoryId(memories.clock().new_uuid()),
        about: note.about.clone(),
        topic: Some(note.topic.clone()).filter(|topic| !topic.is_empty()),
        text: note.text.clone(),
        source,
        session_id: lesson.session.clone(),
        project_id: lesson.project,
        message_id: lesson.evidence,
        valid_from: now,
        salience,
        pinned: false,
        supersedes: supersedes.clone(),
    };
    let stored = memories
        .store()
        .insert_facts(account, vec![fact], memories.tombstone_key(), now)
        .await?;
    match stored.into_iter().next() {
        Some(FactOutcome::Stored(memory)) => Ok(NoteFate::Stored {
            fact: Box::new(memory),
            superseded: memories.store().find_memories(account, &supersedes).await?,
        }),
        Some(FactOutcome::Merged(known)) => Ok(NoteFate::Known(known)),
        Some(FactOutcome::Forgotten) => Ok(NoteFate::Rejected(Rejection::Forgotten)),
        None => Err(StoreError::Closed),
    }
}

/// Tells every socket of the account what was learnt.
pub fn announce(deps: &Deps, created: &[Memory], superseded: &[Memory]) {
    for memory in created {
        deps.tell_account((deps.encoder.memory)(MemoryChange::Created(memory)));
    }
    for memory in superseded {
        deps.tell_account((deps.encoder.memory)(MemoryChange::Updated(memory)));
    }
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
    /// The session it belongs to.
    pub session: Option<SessionId>,
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
        session_id: own.session,
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
