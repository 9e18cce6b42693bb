//! A client of MCP servers: programs and addresses the owner names in a file, each with tools of its own. Built on the
//! official SDK (`rmcp`) for messages and the handshake; connections are ours ([`stdio`], [`http`]), because theirs have
//! no limits. What a server says of itself is read here and nowhere else; what Mira does with it is not decided here.
//!
//! Invariants:
//! - what a server says is a stranger's word: it is cut, counted and checked, and never becomes a path, a program or an
//!   address;
//! - every wait has a deadline, every message, list and answer a cap; a server that breaks one is let go and tried again
//!   later, and hurts no other; an answer that is too large or too late costs its call alone;
//! - a program gets no more of the environment than it is given, and ends with its whole process group;
//! - an address is reached by the guarded client alone, without redirects to another origin;
//! - the name of a tool is a pure function of the server's name and its own.

mod answer;
mod catalog;
mod config;
mod connection;
mod error;
mod http;
mod lines;
mod link;
mod names;
mod schema;
mod servers;
mod sse;
mod stdio;
mod strict;

pub use answer::{McpAnswer, McpFile, McpPart};
pub use catalog::{LeftOut, McpTool};
pub use config::{Approval, ConfigProblem, Program, Reach, Remote, ServerSpec, parse_config};
pub use error::McpError;
pub use link::{Hooks, Patience};
pub use schema::check_arguments;
pub use servers::{McpServers, ServerState, ServerStatus};
pub use strict::{Shape, shape};
