//! The Responses API.

mod citations;
pub(crate) mod events;
mod hosted;
mod hosted_items;
mod output;
pub(crate) mod request;
