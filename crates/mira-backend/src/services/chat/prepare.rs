//! Between the owner's message and the model: memory is asked, the prompt is built, the model's stream is opened. Needs
//! nothing of the turn's task, so that it runs beside the commit of the message.

use super::{attached, budget, close::Closing, project, rounds::Tools, strangers};
use crate::services::{
    context::{View, Window},
    deps::Deps,
    facts::Lesson,
    hub::actor::Refusal,
    memory::{Gathered, RecallAsk},
    personas,
    summarization::{Notes, Overflow, notes_before},
    tools::{MemoryUse, Setting},
};
use futures_util::stream::BoxStream;
use jiff::tz::TimeZone;
use mira_core::{
    chat::{Exposure, MemoryMode, Message, ReplyMeta, Role},
    ids::{AccountId, MemoryId, MessageId, ToolCallId, TurnId},
    memory::{Fate, Memory, Receipt, ReceiptItem, Scores},
    model::{ModelEvent, ModelRequest},
    persona::PersonaName,
    prompt::{self, History, Prompt, PromptInput},
    turn::{Turn, TurnEvent},
};
use mira_llm::LlmError;
use mira_tools::CallContext;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What the turn is built for.
pub(super) struct Plan {
    pub(super) account: AccountId,
    pub(super) turn_id: TurnId,
    pub(super) reply_id: MessageId,
    pub(super) view: View,
    /// The branch's recent end, the owner's message last.
    pub(super) window: Window,
    /// Other versions of what this turn says: the replies before it, or the message before it was edited.
    pub(super) alternatives: Vec<MessageId>,
    pub(super) persona: Option<PersonaName>,
    pub(super) tz: Option<String>,
    /// Whether the owner has just said it: another reply to the same words teaches nothing new.
    pub(super) fresh: bool,
}

/// A turn ready to be spoken.
pub(super) struct Ready {
    pub(super) turn: Turn,
    pub(super) stream: BoxStream<'static, Result<ModelEvent, LlmError>>,
    pub(super) closing: Closing,
    /// How near strangers' words are.
    pub(super) exposure: Exposure,
    pub(super) window: Window,
    pub(super) tools: Tools,
    /// What clients are told of memory, if anything.
    pub(super) recall: Option<TurnEvent>,
}

/// Builds the prompt and opens the model's stream.
pub(super) async fn prepare(deps: Deps, plan: Plan) -> Result<Ready, Refusal> {
    let Plan {
        account,
        turn_id,
        reply_id,
        view,
        window,
        alternatives,
        persona,
        tz,
        fresh,
    } = plan;
    let project = own(&window.messages)
        .and_then(|message| message.project_id)
        .or(view.session.project_id);
    let zone = tz
        .and_then(|name| TimeZone::get(&name).ok())
        .unwrap_or_else(|| deps.settings.tz.clone());
    let (summaries, noted, attached, hosted, has_files) = tokio::join!(
        summaries(&deps, account, &view, &window, 0),
        project::notes(&deps, account, project),
        attached::of(
            &deps.files,
            &deps.pictures,
            deps.model.shows_pictures(),
            &window.messages
        ),
        deps.hosted.tools(account, project),
        deps.store.has_files(account),
    );
    // Without them the turn goes on.
    let has_files = has_files.unwrap_or(false);
    let (project_notes, asks) = noted;
    let set = deps.personas.fresh().await;
    let pin = view.session.pinned_persona.clone();
    let pinned = pin.is_some() && persona.is_none();
    let keeps_persona = persona.is_some();
    let forced = persona.or(pin);
    let wanted = forced.as_ref().unwrap_or(&view.state.persona);
    let overlay = personas::find_or(&set, wanted, &deps.settings.default_persona);
    let overlay = overlay.ok_or_else(|| Refusal::NoSuchPersona(wanted.to_string()))?;
    let now = deps.clock.now();
    let local = now.to_zoned(zone.clone());
    let offers = deps.tools.offers(Setting {
        memory: memory_use(&deps, &view),
        project: project.is_some(),
        files: has_files,
    });
    // Where the provider's own tool is offered, Mira's of the same name is not.
    let is_hosted = |name: &str| hosted.iter().any(|tool| tool.kind().name() == name);
    let of_servers = deps.mcp.offers();
    let offers = offers.into_iter().chain(of_servers.iter().cloned());
    let offers: Arc<[_]> = offers.filter(|offer| !is_hosted(&offer.name)).collect();
    let input = PromptInput {
        persona: overlay,
        personas: &set,
        pinned: forced.is_some(),
        state: &view.state,
        project: project_notes.as_ref(),
        summaries: &[],
        history: &History::new(&window.messages, window.skipped, &attached),
        from: 0,
        memories: &[],
        tools: &offers,
        zone: &zone,
        local_time: &local.strftime("%A %-d %B %Y, %H:%M (%Q)").to_string(),
        budget_tokens: deps.settings.context_tokens,
    };
    let (from, summaries) = fit(&deps, account, &view, &window, &input, summaries).await;
    let shown = window.messages.get(from..).unwrap_or_default();
    let gathered = gather(&deps, account, &view, shown, &alternatives, &zone).await;
    let offered: Vec<Memory> = gathered
        .pinned
        .iter()
        .chain(gathered.items.iter().take(gathered.wanted).map(|item| &item.memory))
        .cloned()
        .collect();
    let built = prompt::build(&PromptInput {
        summaries: &summaries.texts,
        from,
        memories: &offered,
        ..input
    });
    let used: Vec<&Memory> = offered
        .iter()
        .zip(&built.memories)
        .filter(|(_, (_, fits))| *fits)
        .map(|(memory, _)| memory)
        .collect();
    let reads = view.session.memory != MemoryMode::Off;
    let recall = recall_event(&gathered, &used);
    let receipt = reads.then(|| receipt(&gathered, &built, reply_id, now));
    let told = strangers::Told {
        window: shown,
        used: &used,
        project: project_notes.as_ref(),
        summaries: &summaries,
    };
    let (untrusted, exposed) = (told.untrusted(), told.exposed());
    let exposure = told.exposure(&deps.store, account).await;
    let lesson = lesson(&deps, &view, &window, &used, untrusted, exposed).filter(|_| fresh);
    let overflow = overflow(&deps, account, &view, &window, built.soon_out);
    let fallback = ReplyMeta {
        persona: overlay.name.clone(),
        mood: view.state.mood.clone(),
        mood_cause: view.state.mood_cause.clone(),
        intent: None,
        owner_mood: None,
        tags: Vec::new(),
        salience: None,
        remember: Vec::new(),
    };
    let closing = Closing {
        keeps_persona,
        exposure: Some(exposure),
        own: own(&window.messages).map(|message| message.id),
        told_nudge: view.state.nudged.then(|| view.state.mood.clone()),
        receipt,
        lesson,
        overflow,
    };
    let request = ModelRequest {
        system: built.system,
        messages: built.messages,
        tail: built.tail,
        tools: offers,
        hosted,
        rounds: Vec::new(),
        no_more_calls: false,
        personas: set.iter().map(|p| p.name.clone()).collect(),
        fallback: fallback.clone(),
        cache_key: view.session.id.to_string(),
    };
    let stream = deps.model.stream(request.clone());
    let context = CallContext {
        account,
        session: view.session.id.clone(),
        project,
        turn: turn_id,
        message: own(&window.messages).map(|message| message.id),
        reply: reply_id,
        call: ToolCallId(turn_id.0),
        untrusted,
        exposed,
        approved: false,
        zone,
    };
    if let Some(own) = own(&window.messages) {
        deps.tools.hear(turn_id, &own.content);
    }
    let room = budget::room(deps.settings.context_tokens, built.parts.total());
    let mut tools = Tools::new(context, request, room);
    tools.asks = asks;
    let turn = Turn::new(turn_id, reply_id, forced, pinned, fallback);
    Ok(Ready {
        turn,
        stream,
        closing,
        exposure,
        window,
        tools,
        recall,
    })
}

/// What of memory the turn's tools may touch.
fn memory_use(deps: &Deps, view: &View) -> MemoryUse {
    match view.session.memory {
        MemoryMode::Off => MemoryUse::None,
        MemoryMode::On if !deps.memories.is_paused() => MemoryUse::Write,
        MemoryMode::On | MemoryMode::ReadOnly => MemoryUse::Read,
    }
}

/// The owner's message: the last of the branch.
fn own(messages: &[Message]) -> Option<&Message> {
    messages.last().filter(|message| message.role == Role::User)
}

/// Asks memory, `shown` of the window being in the prompt as it is.
async fn gather(
    deps: &Deps,
    account: AccountId,
    view: &View,
    shown: &[Message],
    alternatives: &[MessageId],
    zone: &TimeZone,
) -> Gathered {
    let Some(own) = own(shown).filter(|_| view.session.memory != MemoryMode::Off) else {
        return Gathered::default();
    };
    let ask = RecallAsk {
        text: own.content.clone(),
        message: (view.session.memory == MemoryMode::On).then_some(own.id),
        exclude: shown
            .iter()
            .map(|message| message.id)
            .chain(alternatives.iter().copied())
            .map(MemoryId::from)
            .collect(),
        project: None,
        zone: zone.clone(),
    };
    deps.memories.gather(account, ask).await
}

/// Notes on what lies before a message of the window. Without them the turn goes on.
async fn summaries(deps: &Deps, account: AccountId, view: &View, window: &Window, from: usize) -> Notes {
    let start = window.skipped + from as u64;
    let reads = start > 0 && view.session.memory != MemoryMode::Off;
    // What stands before it is stored, whatever becomes of the last message.
    let first = window.messages.get(from).filter(|_| reads);
    let Some(before) = first.and_then(|first| first.parent_id) else {
        return Notes::default();
    };
    match deps.store.list_summaries(account, &view.session.id, before).await {
        Ok(summaries) => notes_before(&summaries, start),
        Err(error) => {
            tracing::warn!(%error, session.id = %view.session.id, "summaries could not be read");
            Notes::default()
        }
    }
}

/// How many of the oldest of the window a full budget leaves out, and the notes on what lies before the others: they
/// take room, too.
async fn fit(
    deps: &Deps,
    account: AccountId,
    view: &View,
    window: &Window,
    input: &PromptInput<'_>,
    mut notes: Notes,
) -> (usize, Notes) {
    let mut from = 0;
    loop {
        let input = PromptInput {
            summaries: &notes.texts,
            ..*input
        };
        let first = prompt::first_fitting(&input);
        if first <= from {
            return (from, notes);
        }
        from = first;
        notes = summaries(deps, account, view, window, from).await;
    }
}

/// What clients are told: the memories of the prompt, best first, or why there are none.
fn recall_event(gathered: &Gathered, used: &[&Memory]) -> Option<TurnEvent> {
    let is_used = |memory: &Memory| used.iter().any(|used| used.id == memory.id);
    let pinned = gathered.pinned.iter().map(|memory| mira_core::memory::Recalled {
        memory: memory.clone(),
        scores: Scores::default(),
        why: "pinned".to_owned(),
    });
    let memories: Vec<_> = pinned
        .chain(gathered.items.iter().take(gathered.wanted).cloned())
        .filter(|item| is_used(&item.memory))
        .collect();
    (!memories.is_empty() || gathered.degraded.is_some()).then_some(TurnEvent::Recall {
        memories,
        degraded: gathered.degraded,
    })
}

/// Where a memory stood when the prompt was built.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Among those to be used.
    Offered,
    /// Below them.
    Low,
    /// Says the same as one of them.
    Same,
}

/// What the reply was made of.
fn receipt(gathered: &Gathered, built: &Prompt, reply_id: MessageId, now: jiff::Timestamp) -> Receipt {
    let mut items = Vec::with_capacity(gathered.pinned.len() + gathered.items.len());
    let mut costs = built.memories.iter();
    let mut push = |memory: &Memory, scores: Scores, why: &str, place: Place| {
        let cost = match place {
            Place::Offered => costs.next().copied(),
            Place::Low | Place::Same => None,
        };
        let (tokens, fits) = cost.unwrap_or_default();
        let (fate, reason) = match (place, fits) {
            (Place::Offered, true) => (Fate::Used, why.to_owned()),
            (Place::Offered, false) => (
                Fate::Dropped,
                "no room: the memories' share of the budget was full".to_owned(),
            ),
            (Place::Low, _) => (Fate::Considered, format!("others answered better ({why})")),
            (Place::Same, _) => (Fate::Dropped, format!("another says the same ({why})")),
        };
        items.push(ReceiptItem {
            memory_id: memory.id,
            kind: memory.kind,
            fate,
            scores,
            rank: u32::try_from(items.len() + 1).unwrap_or(u32::MAX),
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            reason,
        });
    };
    for memory in &gathered.pinned {
        push(memory, Scores::default(), "pinned", Place::Offered);
    }
    for (rank, item) in gathered.items.iter().enumerate() {
        let place = if rank < gathered.wanted {
            Place::Offered
        } else {
            Place::Low
        };
        push(&item.memory, item.scores, &item.why, place);
    }
    for item in &gathered.merged {
        push(&item.memory, item.scores, &item.why, Place::Same);
    }
    Receipt {
        message_id: reply_id,
        items,
        degraded: gathered.degraded.map(|why| why.as_str().to_owned()),
        prompt_hash: prompt_hash(built),
        parts: built
            .parts
            .named()
            .iter()
            .map(|(name, tokens)| ((*name).to_owned(), u32::try_from(*tokens).unwrap_or(u32::MAX)))
            .collect(),
        left_out: built.left_out,
        created_at: now,
    }
}

/// SHA-256 over system text, messages (role, text) and tail, each ended by a NUL byte.
fn prompt_hash(built: &Prompt) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update(text.as_bytes());
        hash.update([0]);
    };
    part(&built.system);
    for message in &built.messages {
        part(message.role.as_str());
        part(&message.text);
    }
    part(&built.tail);
    hash.finalize().into()
}

/// What the turn may teach; nothing where memory is not written.
fn lesson(
    deps: &Deps,
    view: &View,
    window: &Window,
    used: &[&Memory],
    untrusted: bool,
    exposed: bool,
) -> Option<Lesson> {
    if view.session.memory != MemoryMode::On || deps.memories.is_paused() {
        return None;
    }
    let own = own(&window.messages)?;
    Some(Lesson {
        session: Some(view.session.id.clone()),
        project: view.session.project_id,
        evidence: Some(own.id),
        owner_text: own.content.clone(),
        recalled: used.iter().map(|memory| (memory.id, memory.text.clone())).collect(),
        untrusted,
        exposed,
    })
}

/// What is about to leave the prompt, or has left it: so many of the window a full budget has no room for soon.
fn overflow(deps: &Deps, account: AccountId, view: &View, window: &Window, soon_out: usize) -> Option<Overflow> {
    if view.session.memory != MemoryMode::On || deps.memories.is_paused() {
        return None;
    }
    let length = window.skipped + window.messages.len() as u64;
    // Half a block ahead, so that the notes are there when the window moves, and both change the prompt at once.
    let before_depth = prompt::window_start(length + prompt::HALF_BLOCK, deps.settings.history_messages)
        .max(window.skipped + soon_out as u64);
    let inside = usize::try_from(before_depth.saturating_sub(window.skipped)).ok()?;
    let last = match inside.checked_sub(1) {
        Some(at) => window.messages.get(at)?.id,
        None => window.messages.first()?.parent_id?,
    };
    Some(Overflow {
        account,
        session: view.session.id.clone(),
        head: window.messages.last()?.id,
        before_depth,
        last,
    })
}
