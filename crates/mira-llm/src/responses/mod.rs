//! The Responses API.

pub(crate) mod events;
mod output;
pub(crate) mod request;
