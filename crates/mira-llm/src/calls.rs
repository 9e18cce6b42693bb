//! The calls of one answer, gathered from the pieces they come in. The call of `format_response`, where the reply was
//! asked for as one, is no call but the answer: its arguments go to [`Speech`]. Not here: which pieces belong to which
//! item of a provider's stream, and what a call does.
//!
//! Invariants: a call has a name, an id that no other of the reply has, and arguments that are not empty; nothing is
//! gathered where no tool was offered.

use crate::{speech::Speech, wire::Trouble};
use mira_core::tool::AskedCall;

/// The most calls of one answer.
pub(crate) const MOST_CALLS: usize = 128;
/// The most bytes of arguments in one answer, all calls together.
pub(crate) const MOST_ARGUMENT_BYTES: usize = 1024 * 1024;

/// One piece of a call, as far as it says.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Piece<'a> {
    /// The call's place in the stream. Some servers send none, or the same for every call.
    pub place: Option<u64>,
    pub id: Option<&'a str>,
    pub name: Option<&'a str>,
    /// Appended to what came before.
    pub arguments: Option<&'a str>,
}

#[derive(Debug, Default)]
struct Slot {
    place: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slots: Vec<Slot>,
    /// The slot that is the answer itself; only the first of them is heard.
    answer: Option<usize>,
    bytes: usize,
}

impl Calls {
    /// Takes a piece.
    pub fn take(&mut self, piece: Piece<'_>, speech: &mut Speech) -> Result<(), Trouble> {
        let at = match self.find(piece) {
            Ok(at) => at,
            Err(trouble) if speech.offered() => return Err(trouble),
            Err(_) => return Ok(()),
        };
        let Some(slot) = self.slots.get_mut(at) else {
            return Ok(());
        };
        if let (true, Some(id)) = (slot.id.is_empty(), piece.id) {
            id.clone_into(&mut slot.id);
        }
        let arguments = piece.arguments.unwrap_or_default();
        if let (true, Some(name)) = (slot.name.is_empty(), piece.name) {
            name.clone_into(&mut slot.name);
            if speech.is_answer(name) {
                self.answer.get_or_insert(at);
                if self.answer == Some(at) && !slot.arguments.is_empty() {
                    // They came before the name.
                    speech.arguments(&std::mem::take(&mut slot.arguments));
                }
            } else {
                speech.other_call();
            }
        }
        if speech.is_answer(&slot.name) {
            if self.answer == Some(at) && !arguments.is_empty() {
                speech.arguments(arguments);
            }
            return Ok(());
        }
        if !speech.offered() {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(arguments.len());
        if self.bytes > MOST_ARGUMENT_BYTES {
            return Err(Trouble::TooLarge(MOST_ARGUMENT_BYTES));
        }
        slot.arguments.push_str(arguments);
        Ok(())
    }

    /// Which call a piece belongs to; a new one if it begins one.
    fn find(&mut self, piece: Piece<'_>) -> Result<usize, Trouble> {
        let known = match (piece.place, piece.id) {
            (Some(place), id) => self.slots.iter().rposition(|slot| {
                // Another id under a known place is another call: some servers count every one of them as the first.
                let other = piece.name.is_some() && id.is_some_and(|id| !slot.id.is_empty() && slot.id != id);
                slot.place == Some(place) && !other
            }),
            (None, Some(id)) => self.slots.iter().rposition(|slot| slot.id == id),
            (None, None) if piece.name.is_some() => None,
            (None, None) => self.slots.len().checked_sub(1),
        };
        if let Some(at) = known {
            return Ok(at);
        }
        if self.slots.len() >= MOST_CALLS {
            return Err(too_many());
        }
        self.slots.push(Slot {
            place: piece.place,
            ..Slot::default()
        });
        Ok(self.slots.len() - 1)
    }

    /// Whether a call of this place began.
    pub fn knows(&self, place: Option<u64>) -> bool {
        place.is_some() && self.slots.iter().any(|slot| slot.place == place)
    }

    /// Whether the call at this place has no arguments yet and is none of the answer's.
    pub fn waits_for_arguments(&self, place: Option<u64>, speech: &Speech) -> bool {
        let waits = |slot: &Slot| slot.place == place && slot.arguments.is_empty() && !speech.is_answer(&slot.name);
        place.is_some() && self.slots.iter().any(waits)
    }

    /// Takes a call of a tool that came in one piece.
    pub fn take_whole(&mut self, id: Option<&str>, name: &str, arguments: &str) -> Result<(), Trouble> {
        if self.slots.len() >= MOST_CALLS {
            return Err(too_many());
        }
        self.bytes = self.bytes.saturating_add(arguments.len());
        if self.bytes > MOST_ARGUMENT_BYTES {
            return Err(Trouble::TooLarge(MOST_ARGUMENT_BYTES));
        }
        self.slots.push(Slot {
            place: None,
            id: id.unwrap_or_default().to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        });
        Ok(())
    }

    /// The calls with their places, in the order in which they began.
    pub fn finish(&mut self, speech: &Speech) -> Vec<(Option<u64>, AskedCall)> {
        let mut asked: Vec<(Option<u64>, AskedCall)> = Vec::new();
        if !speech.offered() {
            return asked;
        }
        for slot in std::mem::take(&mut self.slots) {
            if slot.name.is_empty() || speech.is_answer(&slot.name) {
                continue;
            }
            let taken = |id: &str| id.is_empty() || asked.iter().any(|(_, call)| call.call_id == id);
            let call_id = if taken(&slot.id) {
                // Counted through the whole reply, so that no two rounds share one.
                format!("call_{}", speech.calls_before() + asked.len() + 1)
            } else {
                slot.id
            };
            let arguments = if slot.arguments.trim().is_empty() {
                "{}".to_owned()
            } else {
                slot.arguments
            };
            let call = AskedCall {
                call_id,
                name: legal(&slot.name),
                arguments,
            };
            asked.push((slot.place, call));
        }
        asked
    }
}

/// A name as every API takes it back (`[a-zA-Z0-9_-]{1,64}`), whatever the model made up.
fn legal(name: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
            c
        } else {
            '_'
        }
    };
    name.chars().take(64).map(keep).collect()
}

fn too_many() -> Trouble {
    Trouble::Garbage(format!("more than {MOST_CALLS} calls in one answer"))
}
