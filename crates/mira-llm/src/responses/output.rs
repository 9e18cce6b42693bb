//! The items of a response's output: which calls they ask for, and what of them goes back with the outputs. Not here:
//! the events they come in.
//!
//! Invariants: what goes back is as it came, but for what the API would refuse: pictures of many megabytes; reasoning that is not
//! encrypted cannot go back where nothing is stored, and without it the ids of what followed mean nothing; the call of
//! `format_response` beside calls of tools has no output and stays behind.

use super::hosted;
use crate::{
    calls::{Calls, Piece},
    speech::Speech,
    wire::{self, Trouble, Words},
};
use mira_core::tool::AskedCall;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use std::sync::Arc;

/// The most bytes of items kept for the way back: encrypted reasoning is long.
pub(super) const MOST_CARRIED_BYTES: usize = 16 * 1024 * 1024;

/// An item that holds a picture and is longer than this goes back without it.
const LARGE_ITEM_BYTES: usize = 4 * 1024 * 1024;

/// What an item weighs on its way back, at most.
pub(super) fn carried_bytes(item: &str) -> usize {
    let pictured = item.len() > LARGE_ITEM_BYTES
        && serde_json::from_str::<ItemHead<'_>>(item)
            .is_ok_and(|head| head.kind.get() == Some("image_generation_call"));
    if pictured { 0 } else { item.len() }
}

/// Calls, and the items that go back with their outputs.
pub(super) type Asked = (Vec<AskedCall>, Vec<Arc<str>>);

/// The fields of an item that say what it is.
#[derive(Deserialize)]
pub(super) struct ItemHead<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Words<'a>,
    #[serde(borrow, default)]
    pub phase: Words<'a>,
    #[serde(borrow, default)]
    pub name: Words<'a>,
    #[serde(borrow, default)]
    call_id: Words<'a>,
    #[serde(borrow, default)]
    id: Words<'a>,
    #[serde(borrow, default)]
    encrypted_content: Words<'a>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl ItemHead<'_> {
    /// Whether its words are not the reply.
    pub fn is_hidden(&self) -> bool {
        self.kind.get() == Some("message") && self.phase.get().is_some_and(|phase| phase != "final_answer")
    }

    /// Its id.
    pub fn id(&self) -> Option<&str> {
        self.id.get()
    }

    /// What the beginning of a call says of it.
    pub fn piece(&self, place: Option<u64>) -> Piece<'_> {
        Piece {
            place,
            id: self.call_id.get().or(self.id.get()),
            name: self.name.get(),
            arguments: None,
        }
    }
}

/// An item on its way back.
enum Back<'i> {
    /// As it is, or as it may go back.
    Item(Arc<str>),
    /// A call: one of those asked for, in their order.
    Call { item: &'i str, faithful: bool },
}

/// What whole items ask for.
pub(super) fn asked<'i>(items: impl Iterator<Item = &'i str>, speech: &Speech) -> Result<Asked, Trouble> {
    if !speech.offered() {
        return Ok(Asked::default());
    }
    let mut calls = Calls::default();
    let mut back = Vec::new();
    let mut bytes = 0_usize;
    let mut unreasoned = false;
    for item in items {
        bytes = bytes.saturating_add(carried_bytes(item));
        if bytes > MOST_CARRIED_BYTES {
            return Err(Trouble::TooLarge(MOST_CARRIED_BYTES));
        }
        let Ok(head) = serde_json::from_str::<ItemHead<'_>>(item) else {
            continue;
        };
        match head.kind.get() {
            Some("function_call") => {
                let Some(name) = head.name.get().filter(|name| !speech.is_answer(name)) else {
                    continue;
                };
                let parts: Arguments<'_> = serde_json::from_str(item)?;
                let arguments = parts.arguments.map(wire::text_or_json).unwrap_or_default();
                calls.take_whole(head.call_id.get(), name, &arguments)?;
                let is_text = parts.arguments.is_some_and(|raw| raw.get().starts_with('"'));
                let faithful = is_text && !arguments.trim().is_empty() && !unreasoned;
                back.push(Back::Call { item, faithful });
            }
            Some("reasoning") if head.encrypted_content.get().is_none() => unreasoned = true,
            // Without the reasoning before them the API would not take them back.
            Some(kind) if unreasoned && hosted::kind_of(kind).is_some() => {}
            Some("image_generation_call") if item.len() > LARGE_ITEM_BYTES => {
                back.push(Back::Item(without_picture(item)));
            }
            Some("message") if unreasoned => back.push(Back::Item(without_id(item))),
            _ => back.push(Back::Item(item.into())),
        }
    }
    let calls: Vec<AskedCall> = calls.finish(speech).into_iter().map(|(_, call)| call).collect();
    if calls.is_empty() {
        return Ok(Asked::default());
    }
    let mut each = calls.iter();
    let carry = back.into_iter().filter_map(|back| match back {
        Back::Item(item) => Some(item),
        Back::Call { item, faithful } => each.next().map(|call| call_item(item, call, faithful)),
    });
    let carry = carry.collect();
    Ok((calls, carry))
}

/// A call as it goes back: as it came, if it came so that the API takes it.
fn call_item(item: &str, call: &AskedCall, faithful: bool) -> Arc<str> {
    let same = serde_json::from_str::<ItemHead<'_>>(item)
        .is_ok_and(|head| head.call_id.get() == Some(&*call.call_id) && head.name.get() == Some(&*call.name));
    if faithful && same { item.into() } else { item_of(call) }
}

/// The same item without its picture, which the API takes as null.
fn without_picture(item: &str) -> Arc<str> {
    match serde_json::from_str::<Map<String, Value>>(item) {
        Ok(mut fields) => {
            fields.insert("result".to_owned(), Value::Null);
            Value::Object(fields).to_string().into()
        }
        Err(_) => item.into(),
    }
}

/// The same item without the id under which the provider would look for its reasoning.
fn without_id(item: &str) -> Arc<str> {
    match serde_json::from_str::<Map<String, Value>>(item) {
        Ok(mut fields) => {
            fields.remove("id");
            Value::Object(fields).to_string().into()
        }
        Err(_) => item.into(),
    }
}

/// The item of a call that came in pieces and was never sent whole.
pub(super) fn item_of(call: &AskedCall) -> Arc<str> {
    let item = serde_json::json!({
        "type": "function_call",
        "call_id": call.call_id,
        "name": call.name,
        "arguments": call.arguments,
    });
    item.to_string().into()
}
