//! Memory as her own tools reach it: the same recall, the same gate, the same forgetting as everywhere else.

use super::{hub_of, store_failed};
use crate::services::{
    deps::Deps,
    facts::{self, Lesson, NoteFate},
    forget,
    hub::{Hub, HubRef},
    memory::RecallAsk,
};
use futures_util::FutureExt;
use mira_core::{
    chat::MemoryMode,
    ids::{AccountId, MemoryId},
    memory::{FactNote, Memory, MemoryKind},
};
use mira_tools::{
    CallContext, Doorway, ToolError,
    memory::{Found, Gone, Kept, MemoryDoor},
};
use std::sync::{Arc, OnceLock};

/// The door to memory.
pub(super) struct Door(pub(super) Arc<OnceLock<HubRef>>);

impl Door {
    /// The live sessions, where memory may be written.
    async fn writing(&self, context: &CallContext) -> Result<Hub, ToolError> {
        let hub = hub_of(&self.0)?;
        let deps = hub.deps();
        let denied = |why: &str| Err(ToolError::Denied(why.to_owned()));
        if deps.memories.is_paused() {
            return denied("the owner has paused memory");
        }
        let session = deps.store.find_session(context.account, &context.session).await;
        match session.map_err(store_failed)? {
            Some(session) if session.memory == MemoryMode::On => Ok(hub),
            Some(_) => denied("this conversation is not remembered: the owner has turned that off"),
            None => denied("this conversation is gone"),
        }
    }
}

impl MemoryDoor for Door {
    fn recall<'a>(&'a self, context: &'a CallContext, question: String, limit: usize) -> Doorway<'a, Found> {
        async move {
            let hub = hub_of(&self.0)?;
            Ok(look_up(hub.deps(), context, question, limit).await)
        }
        .boxed()
    }

    fn remember<'a>(
        &'a self,
        context: &'a CallContext,
        note: FactNote,
        replaces: Option<MemoryId>,
    ) -> Doorway<'a, Kept> {
        async move {
            let hub = self.writing(context).await?;
            let deps = hub.deps();
            let message = match context.message {
                Some(id) => deps
                    .store
                    .find_message(context.account, id)
                    .await
                    .map_err(store_failed)?,
                None => None,
            };
            let message = message.ok_or_else(|| ToolError::Denied("the owner's message is gone".to_owned()))?;
            let lesson = Lesson {
                session: Some(context.session.clone()),
                project: context.project,
                evidence: Some(message.id),
                owner_text: message.content,
                recalled: Vec::new(),
                untrusted: context.untrusted,
                exposed: context.exposed,
            };
            keep(deps, context.account, &lesson, &note, replaces).await
        }
        .boxed()
    }

    fn forget<'a>(&'a self, context: &'a CallContext, ids: Vec<MemoryId>) -> Doorway<'a, Gone> {
        async move {
            let hub = self.writing(context).await?;
            let store = &hub.deps().store;
            let known = store.find_memories(context.account, &ids).await.map_err(store_failed)?;
            let mut gone = Gone::default();
            let mut sources = Vec::new();
            for id in ids {
                let Some(memory) = known.iter().find(|memory| memory.id == id) else {
                    gone.unknown.push(id);
                    continue;
                };
                if memory.kind == MemoryKind::Fact {
                    sources.extend(memory.message_id.map(MemoryId::from));
                }
                // Whoever drops the call does not leave it half done.
                let (hub, account) = (hub.clone(), context.account);
                let life = hub.deps().lifecycle.clone();
                let done = life.spawn(async move { forget::forget(&hub, account, id).await });
                match done.await {
                    // Where it is gone by now, it went with one before it: a fact with its message.
                    Ok(Ok(true | false)) => gone.forgotten.push(id),
                    Ok(Err(error)) => return Err(store_failed(error)),
                    Err(_) => return Err(ToolError::Failed("Mira is being shut down".to_owned())),
                }
            }
            sources.retain(|id| !gone.forgotten.contains(id) && context.message.map(MemoryId::from) != Some(*id));
            let left = store
                .find_memories(context.account, &sources)
                .await
                .map_err(store_failed)?;
            gone.sources = left.into_iter().filter(is_message).collect();
            Ok(gone)
        }
        .boxed()
    }
}

fn is_message(memory: &Memory) -> bool {
    memory.kind == MemoryKind::Message
}

/// What answers a question.
pub(in crate::services) async fn look_up(deps: &Deps, context: &CallContext, question: String, limit: usize) -> Found {
    let ask = RecallAsk {
        text: question,
        message: None,
        // What is asked about is not the answer: the owner's own message is left out.
        exclude: context.message.map(MemoryId::from).into_iter().collect(),
        zone: context.zone.clone(),
    };
    let gathered = deps.memories.look_up(context.account, ask, limit).await;
    let mut memories = gathered.items;
    memories.truncate(limit);
    Found {
        memories,
        degraded: gathered.degraded,
    }
}

/// Keeps one note of a lesson if it passes the gate; clients are told.
pub(in crate::services) async fn keep(
    deps: &Deps,
    account: AccountId,
    lesson: &Lesson,
    note: &FactNote,
    replaces: Option<MemoryId>,
) -> Result<Kept, ToolError> {
    let fate = facts::learn_one(&deps.memories, account, lesson, note, replaces, "", None);
    Ok(match fate.await.map_err(store_failed)? {
        NoteFate::Stored { fact, superseded } => {
            facts::announce(deps, std::slice::from_ref(&*fact), &superseded);
            deps.memories.wake();
            Kept::Stored {
                fact,
                superseded: superseded.iter().map(|memory| memory.id).collect(),
            }
        }
        NoteFate::Known(id) => Kept::Known(id),
        NoteFate::Rejected(why) => Kept::Rejected(why.as_str().to_owned()),
    })
}
