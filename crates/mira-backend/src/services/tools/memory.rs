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
    chat::{MemoryMode, Role},
    gate::is_meant,
    ids::{AccountId, MemoryId, MessageId, SessionId},
    memory::{FactNote, Memory, MemoryKind, Recalled},
};
use mira_tools::{
    CallContext, Doorway, ToolError,
    memory::{Found, Gone, Kept, Lookup, MemoryDoor},
};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// Questions to the owner that are kept in mind; whoever answers an older one is asked again.
const QUESTIONS: usize = 64;

/// Which memories the owner was asked about before they were forgotten.
struct Question {
    account: AccountId,
    session: SessionId,
    /// What the owner had said.
    message: Option<MessageId>,
    /// The reply that asked.
    reply: MessageId,
    ids: BTreeSet<MemoryId>,
}

/// The door to memory.
pub(super) struct Door {
    hub: Arc<OnceLock<HubRef>>,
    questions: Mutex<VecDeque<Question>>,
}

impl Door {
    pub(super) fn new(hub: Arc<OnceLock<HubRef>>) -> Self {
        Self {
            hub,
            questions: Mutex::default(),
        }
    }

    fn questions(&self) -> MutexGuard<'_, VecDeque<Question>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps in mind that this turn's reply asks the owner about these.
    fn ask(&self, context: &CallContext, ids: &[MemoryId]) {
        let mut questions = self.questions();
        let same = questions.iter_mut().find(|question| question.reply == context.reply);
        if let Some(question) = same {
            question.ids.extend(ids);
            return;
        }
        if questions.len() == QUESTIONS {
            questions.pop_front();
        }
        questions.push_back(Question {
            account: context.account,
            session: context.session.clone(),
            message: context.message,
            reply: context.reply,
            ids: ids.iter().copied().collect(),
        });
    }

    /// The replies of this conversation that asked the owner about this memory before they said what they say now.
    async fn asked(&self, hub: &Hub, context: &CallContext, id: MemoryId) -> Result<Vec<MessageId>, ToolError> {
        let asked: Vec<MessageId> = {
            let questions = self.questions();
            let earlier = questions.iter().filter(|question| {
                (question.account, &question.session) == (context.account, &context.session)
                    && context.message.is_some_and(|message| question.message != Some(message))
                    && question.ids.contains(&id)
            });
            earlier.map(|question| question.reply).collect()
        };
        let mut told = Vec::with_capacity(asked.len());
        for reply in asked {
            // A turn that came to nothing asked nobody.
            let reply = hub.deps().store.find_message(context.account, reply).await;
            told.extend(reply.map_err(store_failed)?.map(|reply| reply.id));
        }
        Ok(told)
    }

    /// What the owner said in this turn; nothing where it is gone.
    async fn owner_words(hub: &Hub, context: &CallContext) -> Result<String, ToolError> {
        let Some(id) = context.message else {
            return Ok(String::new());
        };
        let message = hub.deps().store.find_message(context.account, id).await;
        Ok(message
            .map_err(store_failed)?
            .map(|message| message.content)
            .unwrap_or_default())
    }

    /// The live sessions, where memory may be written.
    async fn writing(&self, context: &CallContext) -> Result<Hub, ToolError> {
        let hub = hub_of(&self.hub)?;
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
    fn recall<'a>(&'a self, context: &'a CallContext, lookup: Lookup) -> Doorway<'a, Found> {
        async move {
            let hub = hub_of(&self.hub)?;
            Ok(look_up(hub.deps(), context, lookup).await)
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
            let words = Self::owner_words(&hub, context).await?;
            let mut gone = Gone::default();
            let (mut sources, mut unclear, mut questions) = (Vec::new(), Vec::new(), BTreeSet::new());
            for id in ids {
                let Some(memory) = known.iter().find(|memory| memory.id == id) else {
                    gone.unknown.push(id);
                    continue;
                };
                let about = memory.about.as_deref().unwrap_or_default();
                if !context.approved && !is_meant(&words, about, &memory.text) {
                    let asked = self.asked(&hub, context, id).await?;
                    if asked.is_empty() {
                        unclear.push(id);
                        continue;
                    }
                    questions.extend(asked);
                }
                if memory.kind == MemoryKind::Fact {
                    sources.extend(memory.message_id.map(MemoryId::from));
                }
                forget_now(&hub, context.account, id).await?;
                // Where it was gone by then, it went with one before it: a fact with its message.
                gone.forgotten.push(id);
            }
            for question in questions {
                gone.question |= forget_now(&hub, context.account, question.into()).await?;
            }
            sources.retain(|id| !gone.forgotten.contains(id) && context.message.map(MemoryId::from) != Some(*id));
            let left = store
                .find_memories(context.account, &sources)
                .await
                .map_err(store_failed)?;
            gone.sources = left.into_iter().filter(is_message).collect();
            gone.unclear = store
                .find_memories(context.account, &unclear)
                .await
                .map_err(store_failed)?;
            if !gone.unclear.is_empty() {
                self.ask(context, &unclear);
            }
            Ok(gone)
        }
        .boxed()
    }
}

/// Forgets one memory; whoever drops the call does not leave it half done. False where there is none.
async fn forget_now(hub: &Hub, account: AccountId, id: MemoryId) -> Result<bool, ToolError> {
    let (hub, life) = (hub.clone(), hub.deps().lifecycle.clone());
    let done = life.spawn(async move { forget::forget(&hub, account, id).await });
    match done.await {
        Ok(done) => done.map_err(store_failed),
        Err(_) => Err(ToolError::Failed("Mira is being shut down".to_owned())),
    }
}

fn is_message(memory: &Memory) -> bool {
    memory.kind == MemoryKind::Message
}

/// What answers a question.
pub(in crate::services) async fn look_up(deps: &Deps, context: &CallContext, lookup: Lookup) -> Found {
    let Lookup {
        question,
        limit,
        project,
    } = lookup;
    let ask = RecallAsk {
        text: question,
        project,
        message: None,
        // What is asked about is not the answer: the owner's own message is left out.
        exclude: context.message.map(MemoryId::from).into_iter().collect(),
        zone: context.zone.clone(),
    };
    let gathered = deps.memories.look_up(context.account, ask, limit).await;
    let mut memories = gathered.items;
    memories.truncate(limit);
    for Recalled { memory, .. } in &mut memories {
        if memory.role == Some(Role::Assistant) {
            // What a reply says of how it was made is no answer to anything.
            memory.text = openai_sim::without_notice(&memory.text);
        }
    }
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
