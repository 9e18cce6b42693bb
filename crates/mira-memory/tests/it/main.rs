//! The store through its own door, on real files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod accounts;
mod approvals;
mod artifacts;
mod documents;
mod exposed;
mod facts;
mod file_rows;
mod file_texts;
mod files;
mod forget;
mod index;
mod lexical;
mod lists;
mod memories;
mod outbox;
mod projects;
mod provider_files;
mod recall;
mod receipts;
mod repos;
mod search;
mod shelf;
mod summaries;
mod support;
mod tool_calls;
mod traces;
mod transfer;
mod turns;
