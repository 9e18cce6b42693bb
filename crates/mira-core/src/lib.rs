//! Mira's decisions: ids, the nouns of a conversation, the turn as a machine, the prompt, the structured reply,
//! personas, the token budget. Nothing here does IO, awaits, or knows a wire format of a client or a provider.

pub mod approval;
pub mod budget;
pub mod chat;
pub mod citation;
pub mod clock;
pub mod file;
pub mod fusion;
pub mod gate;
pub mod ids;
pub mod memory;
pub mod model;
pub mod persona;
pub mod project;
pub mod prompt;
pub mod reply;
pub mod repo;
pub mod retry;
pub mod tool;
pub mod turn;
