//! Chat Completions, as OpenAI and the many servers that follow it speak it.

pub(crate) mod events;
pub(crate) mod request;
