//! What can go wrong: with a call ([`McpError`]), and with the connection to a server ([`LinkError`]). Both texts are
//! read by the owner; a call's by the model too.

use mira_net::NetError;
use std::{io, time::Duration};

/// A call that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum McpError {
    /// No server has such a tool.
    #[error("there is no MCP tool called {0:?}")]
    UnknownTool(String),
    /// Its server is not connected.
    #[error("the MCP server {server:?} is not there: {reason}")]
    NotReady {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// They do not fit the tool's schema.
    #[error("the arguments are wrong: {0}")]
    Arguments(String),
    /// It took too long; the server was told that nobody waits any more.
    #[error("the MCP server {server:?} did not answer within {} seconds", .after.as_secs())]
    Timeout {
        /// The server.
        server: String,
        /// The limit.
        after: Duration,
    },
    /// The server says no. Its words are a stranger's.
    #[error("the MCP server {server:?} refuses: {message}")]
    Refused {
        /// The server.
        server: String,
        /// Its words, cut.
        message: String,
    },
    /// The answer is none that MCP knows.
    #[error("the MCP server {server:?} answered something that is no answer: {why}")]
    Nonsense {
        /// The server.
        server: String,
        /// In what way.
        why: &'static str,
    },
    /// The answer is larger than what is read. The server stays connected.
    #[error("the MCP server {server:?} answered with more than {limit} bytes, which is too much; ask for less")]
    TooLarge {
        /// The server.
        server: String,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// The connection broke in the middle of the call.
    #[error("the connection to the MCP server {server:?} broke: {why}")]
    Broken {
        /// The server.
        server: String,
        /// How.
        why: String,
    },
}

impl McpError {
    /// Whether the server may have done what it was asked for.
    pub fn is_uncertain(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Nonsense { .. } | Self::TooLarge { .. } | Self::Broken { .. } => true,
            Self::UnknownTool(_) | Self::NotReady { .. } | Self::Arguments(_) | Self::Refused { .. } => false,
        }
    }

    /// Whether a stranger's words are in it.
    pub fn is_untrusted(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// Why there is no connection to a server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the program cannot be started: {0}")]
    Start(#[source] io::Error),
    #[error("the program's pipes cannot be used: {0}")]
    Pipe(#[source] io::Error),
    #[error("the program ended; what it wrote to its standard error is in Mira's log")]
    Ended,
    #[error("it does not read what it is sent")]
    Deaf,
    #[error("it did not answer within {} seconds", .0.as_secs_f32())]
    Silent(Duration),
    #[error("it sent a message larger than {0} bytes")]
    TooLarge(usize),
    #[error("it sent more than {0} messages in a second")]
    Flood(u32),
    #[error("it writes something other than MCP to its standard output")]
    Nonsense,
    #[error("its answer is no MCP message")]
    NoMessage,
    #[error("its answer broke off")]
    BrokeOff,
    #[error("it answered with the status {0}")]
    Status(u16),
    #[error("it wants a login (status {0}): put its header into the configuration")]
    Login(u16),
    #[error("it redirects ({0}): the configuration must name the address it redirects to")]
    Redirects(NetError),
    #[error("it has forgotten this session")]
    SessionOver,
    #[error(transparent)]
    Net(NetError),
    #[error("the greeting failed: {0}")]
    Greeting(String),
    #[error("its list of tools cannot be had: {0}")]
    List(String),
    #[error("the connection is closed")]
    Closed,
}

impl From<NetError> for LinkError {
    fn from(error: NetError) -> Self {
        match error {
            redirects @ (NetError::TooManyRedirects { .. } | NetError::BadRedirect { .. }) => {
                Self::Redirects(redirects)
            }
            NetError::TooLarge { limit, .. } => Self::TooLarge(usize::try_from(limit).unwrap_or(usize::MAX)),
            other => Self::Net(other),
        }
    }
}

/// The longest stretch of a stranger's text in a reason, in characters.
const SHOWN_CHARS: usize = 300;

/// A stranger's text as it may stand in one line of a log or on a screen: without control characters, cut.
pub(crate) fn tame(text: &str) -> String {
    let mut tamed: String = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN_CHARS + 1)
        .collect();
    if tamed.chars().count() > SHOWN_CHARS {
        tamed.pop();
        tamed.push('…');
    }
    tamed
}
