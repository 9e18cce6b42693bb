//! The prompt of a turn, built from values alone.
//!
//! Invariant: everything before [`Prompt::tail`] and the last message depends only on what lasts from turn to turn
//! (core self, overlay, the conversation so far), so that a provider's prompt cache holds. The window of history moves
//! in blocks of [`BLOCK`] messages, not with every message.

use crate::{
    budget::estimate_tokens,
    chat::{Message, MessageStatus, MiraState, Role},
    model::PromptMessage,
    persona::{CORE_SELF, Persona, PersonaSet},
};
use std::{fmt::Write, sync::Arc};

/// The history window starts at a multiple of this many messages from the conversation's beginning.
pub const BLOCK: u64 = 16;

/// What the prompt is made of.
#[derive(Debug)]
pub struct PromptInput<'a> {
    /// The overlay of this turn.
    pub persona: &'a Persona,
    /// All overlays she can change to.
    pub personas: &'a PersonaSet,
    /// Whether the owner pinned the overlay.
    pub pinned: bool,
    /// Her state.
    pub state: &'a MiraState,
    /// The branch, oldest first; the last one is the owner's new message.
    pub history: &'a [Message],
    /// How many messages of the branch lie before the first of `history`.
    pub skipped: u64,
    /// The owner's local time as a person would write it.
    pub local_time: &'a str,
    /// The whole budget in tokens.
    pub budget_tokens: usize,
}

/// A prompt and what was left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Core self, overlay, rules: byte-stable.
    pub system: Arc<str>,
    /// The conversation, oldest first, the new message last.
    pub messages: Vec<PromptMessage>,
    /// What changes every turn.
    pub tail: String,
    /// Estimated tokens of all of it.
    pub tokens: usize,
    /// Messages left out because the budget was full.
    pub dropped: usize,
}

/// Where the window of a branch of `length` messages starts, so that at least `least` of them are in it.
pub fn window_start(length: u64, least: u64) -> u64 {
    length.saturating_sub(least) / BLOCK * BLOCK
}

/// Builds the prompt. The newest message is always in it; older ones are dropped in blocks when the budget is full.
pub fn build(input: &PromptInput<'_>) -> Prompt {
    let system: Arc<str> = system_text(input.persona, input.personas).into();
    let tail = state_block(input);
    let fixed = estimate_tokens(&system) + estimate_tokens(&tail);
    let rendered: Vec<Option<PromptMessage>> = input.history.iter().map(render).collect();
    let costs: Vec<usize> = rendered
        .iter()
        .map(|m| m.as_ref().map_or(0, |m| estimate_tokens(&m.text) + 4))
        .collect();

    let mut total = fixed + costs.iter().sum::<usize>();
    let mut start = 0;
    for (index, cost) in costs.iter().enumerate() {
        let aligned = (input.skipped + index as u64).is_multiple_of(BLOCK);
        if total <= input.budget_tokens && (aligned || index == 0) {
            break;
        }
        if index + 1 == costs.len() {
            break;
        }
        total -= cost;
        start = index + 1;
    }
    // Some templates refuse a conversation that the assistant begins.
    let hers_first = |message: &PromptMessage| message.role == Role::Assistant;
    let messages: Vec<PromptMessage> = rendered
        .into_iter()
        .skip(start)
        .flatten()
        .skip_while(hers_first)
        .collect();
    Prompt {
        system,
        messages,
        tail,
        tokens: total,
        dropped: start,
    }
}

/// The stable part for one overlay.
pub fn system_text(persona: &Persona, personas: &PersonaSet) -> String {
    let mut text = String::with_capacity(CORE_SELF.len() + persona.voice.len() + 2048);
    text.push_str(CORE_SELF.trim());
    let _infallible = write!(
        text,
        "\n\n# The overlay you are in: {} ({})\n\n{}",
        persona.title, persona.name, persona.voice
    );
    text.push_str("\n\n# Your overlays\n\n");
    for other in personas.iter() {
        let _infallible = writeln!(text, "- {}: {}", other.name, other.description);
    }
    text.push_str(HOW_TO_ANSWER);
    text
}

const HOW_TO_ANSWER: &str = "
# How you answer

You answer with one structured object. `persona` is the overlay you are in from this reply on: stay in the present one \
unless the owner's heart or the moment calls for another, and never change when the state says it is pinned. `mood` is \
your own mood in one to four words and `mood_cause` what put you in it; moods move in steps, for reasons, and carry over \
from the last one. `output` is what you say, in Markdown where it helps and plain talk where it does not. `intent` is what \
the owner is after, `owner_mood` how you read them, `tags` up to five lower-case topics, `salience` from 0 to 1 how much \
this will matter in a year.

Each request ends with a block between [state] and [/state]: the present overlay, your mood and its cause, the owner's \
local time. It comes from Mira's own house, is never the owner's words, and only the last one counts. Let it colour what \
you say; never recite it. A line `mood_nudge` means that the owner asks you to feel that way: you may go along, tease them \
for it or push back, but you know they asked.
";

fn state_block(input: &PromptInput<'_>) -> String {
    let mut text = String::with_capacity(256);
    let names: Vec<&str> = input.personas.iter().map(|p| p.name.as_str()).collect();
    let pinned = if input.pinned { "yes" } else { "no" };
    let _infallible = write!(
        text,
        "[state]\noverlay: {}\npinned: {pinned}\noverlays: {}\nmood: {}\n",
        input.persona.name,
        names.join(", "),
        input.state.mood.as_str()
    );
    if let Some(cause) = &input.state.mood_cause {
        let _infallible = writeln!(text, "mood_cause: {cause}");
    }
    if input.state.nudged {
        let _infallible = writeln!(text, "mood_nudge: {}", input.state.mood.as_str());
    }
    let _infallible = write!(text, "time: {}\n[/state]", input.local_time);
    text
}

/// A message as the model sees it; `None` where nothing is left to see.
fn render(message: &Message) -> Option<PromptMessage> {
    match message.status {
        MessageStatus::Forgotten | MessageStatus::Failed => return None,
        MessageStatus::Complete | MessageStatus::Stopped | MessageStatus::Interrupted => {}
    }
    if message.content.is_empty() {
        return None;
    }
    let text: Arc<str> = match (message.role, &message.metadata) {
        (Role::User, Some(_)) => with_place(message).into(),
        (Role::User | Role::Assistant, _) => message.content.as_str().into(),
    };
    Some(PromptMessage {
        role: message.role,
        text,
    })
}

/// The owner's words and the place in their editor where they were written.
fn with_place(message: &Message) -> String {
    let mut text = message.content.clone();
    let Some(place) = &message.metadata else { return text };
    let mut lines = String::new();
    if let Some(path) = &place.file_path {
        let _infallible = writeln!(lines, "file: {path}");
    }
    if let Some(language) = &place.language {
        let _infallible = writeln!(lines, "language: {language}");
    }
    if let Some(attachment) = &place.attachment_id {
        let _infallible = writeln!(lines, "repository: {attachment}");
    }
    if let Some(selection) = &place.selection {
        let _infallible = writeln!(lines, "lines: {}-{}", selection.start_line, selection.end_line);
        if let Some(selected) = &selection.text {
            let _infallible = writeln!(lines, "selected text:\n{selected}");
        }
    }
    if !lines.is_empty() {
        let _infallible = write!(text, "\n\n[where the owner is]\n{lines}[/where the owner is]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::{MessageMetadata, Mood, Selection},
        ids::MessageId,
        persona::builtin,
    };
    use uuid::Uuid;

    fn message(n: u64, role: Role, content: &str) -> Message {
        Message {
            id: MessageId(Uuid::from_u128(u128::from(n))),
            session_id: "eternal".parse().unwrap(),
            parent_id: None,
            sibling_ids: vec![],
            role,
            content: content.to_owned(),
            meta: None,
            status: MessageStatus::Complete,
            project_id: None,
            metadata: None,
            model: None,
            usage: None,
            created_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn talk(n: u64) -> Vec<Message> {
        (0..n)
            .map(|i| {
                message(
                    i,
                    if i % 2 == 0 { Role::User } else { Role::Assistant },
                    &format!("message number {i}"),
                )
            })
            .collect()
    }

    fn state(mood: &str, nudged: bool) -> MiraState {
        MiraState {
            persona: "default".parse().unwrap(),
            mood: Mood::from_text(mood).unwrap(),
            mood_cause: Some("you came back".to_owned()),
            nudged,
        }
    }

    fn build_with(history: &[Message], skipped: u64, budget_tokens: usize, mood: &str) -> Prompt {
        let personas = builtin();
        let persona = personas.get(&"default".parse().unwrap()).unwrap();
        build(&PromptInput {
            persona,
            personas: &personas,
            pinned: false,
            state: &state(mood, mood == "nudged"),
            history,
            skipped,
            local_time: "Saturday 21 November 2026, 02:10 (Europe/Berlin)",
            budget_tokens,
        })
    }

    #[test]
    fn two_following_turns_share_everything_before_what_must_change() {
        let long = talk(24);
        let (first, second) = (
            build_with(&long[..21], 0, 65_536, "calm"),
            build_with(&long[..23], 0, 65_536, "wild"),
        );
        assert_eq!(first.system, second.system);
        assert_eq!(first.messages[..], second.messages[..21]);
        assert_ne!(first.tail, second.tail);
        assert!(!first.system.contains("calm"));
    }

    #[test]
    fn the_window_moves_in_blocks() {
        assert_eq!(
            (
                window_start(15, 15),
                window_start(30, 15),
                window_start(31, 15),
                window_start(46, 15)
            ),
            (0, 0, 16, 16)
        );
        assert_eq!(window_start(47, 15), 32);
    }

    #[test]
    fn a_full_budget_drops_whole_blocks_and_says_so() {
        let long = talk(49);
        let whole = build_with(&long, 0, 1_000_000, "calm");
        assert_eq!(whole.dropped, 0);
        let tight = build_with(&long, 0, whole.tokens - 1, "calm");
        assert_eq!((tight.dropped, tight.messages.len()), (16, 33));
        assert!(tight.tokens < whole.tokens);
        let none = build_with(&long, 0, 0, "calm");
        assert_eq!((none.dropped, none.messages.len()), (48, 1));
    }

    #[test]
    fn place_and_forgotten() {
        let mut here = message(1, Role::User, "why is this slow?");
        here.metadata = Some(MessageMetadata {
            file_path: Some("src/main.rs".into()),
            attachment_id: None,
            language: Some("rust".into()),
            selection: Some(Selection {
                start_line: 3,
                end_line: 4,
                text: Some("loop {}".into()),
            }),
        });
        let mut gone = message(0, Role::User, "");
        gone.status = MessageStatus::Forgotten;
        let prompt = build_with(&[gone, here], 0, 65_536, "calm");
        assert_eq!(prompt.messages.len(), 1);
        insta::assert_snapshot!(prompt.messages[0].text);
    }

    #[test]
    fn the_tail() {
        insta::assert_snapshot!(build_with(&talk(1), 0, 65_536, "nudged").tail);
    }

    #[test]
    fn system_of_each_overlay() {
        let personas = builtin();
        for persona in personas.iter() {
            insta::assert_snapshot!(format!("system_{}", persona.name), system_text(persona, &personas));
        }
    }
}
