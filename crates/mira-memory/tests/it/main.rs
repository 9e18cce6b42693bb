//! The store through its own door, on real files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod accounts;
mod documents;
mod facts;
mod files;
mod forget;
mod index;
mod lexical;
mod lists;
mod memories;
mod outbox;
mod recall;
mod receipts;
mod search;
mod summaries;
mod support;
mod transfer;
mod turns;
