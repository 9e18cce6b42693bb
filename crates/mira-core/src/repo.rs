//! The nouns of attached repositories and of changes Mira proposes in them. Rows, wire formats, folders and git itself
//! live elsewhere.
//!
//! Invariants: an address kept here carries no credentials; a proposal is decided once, except that one which had become
//! stale may be tried again.

use crate::ids::{AttachmentId, MessageId, ProjectId, ProposalId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

macro_rules! names {
    ($type:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name, in columns and on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// The one of that name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }
    };
}

/// How an attached repository stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RepoStatus {
    /// It is being cloned; nothing can be read yet.
    Cloning,
    /// It can be worked with.
    Ready,
    /// It can be worked with, and is being brought in step with its remote.
    Syncing,
    /// The clone failed; `error` says why.
    Failed,
    /// The owner cancelled the clone.
    Cancelled,
}

names!(RepoStatus {
    Cloning => "cloning",
    Ready => "ready",
    Syncing => "syncing",
    Failed => "failed",
    Cancelled => "cancelled",
});

impl RepoStatus {
    /// Whether there is a clone to work with.
    pub fn is_usable(self) -> bool {
        match self {
            Self::Ready | Self::Syncing => true,
            Self::Cloning | Self::Failed | Self::Cancelled => false,
        }
    }
}

/// What becomes of a change Mira makes in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriteMode {
    /// The owner applies or discards it.
    Propose,
    /// It is committed at once.
    Direct,
}

names!(WriteMode {
    Propose => "propose",
    Direct => "direct",
});

/// How far a clone or a sync is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoProgress {
    /// What is being done: `connecting`, `receiving`, `resolving`, `checking_out`, `sending`.
    pub stage: String,
    /// Objects that have arrived.
    pub received_objects: u64,
    /// Objects there will be; 0 while that is not known.
    pub total_objects: u64,
    /// Bytes that have arrived.
    pub received_bytes: u64,
    /// Of the stage, 0 to 100.
    pub percent: u8,
}

/// An attached repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// Its id; the name of its folder.
    pub id: AttachmentId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// Where it was cloned from, without credentials.
    pub repo_url: String,
    /// What is checked out; before the clone is whole, what was asked for. `None` where no branch is.
    pub branch: Option<String>,
    /// How it stands.
    pub status: RepoStatus,
    /// How far it is, while something is under way.
    pub progress: Option<RepoProgress>,
    /// Why the last clone or sync failed.
    pub error: Option<String>,
    /// What becomes of Mira's changes.
    pub writes: WriteMode,
    /// When it was last in step with its remote.
    pub last_sync_at: Option<Timestamp>,
    /// When it was attached.
    pub created_at: Timestamp,
    /// When this last changed.
    pub updated_at: Timestamp,
}

/// What a proposal would do to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProposalKind {
    /// Give it another content.
    Write,
    /// Make it.
    Create,
    /// Remove it.
    Delete,
    /// Give it another path.
    Rename,
}

names!(ProposalKind {
    Write => "write",
    Create => "create",
    Delete => "delete",
    Rename => "rename",
});

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProposalState {
    /// Nobody has decided.
    Open,
    /// It is a commit.
    Applied,
    /// The owner does not want it, or a later one took its place.
    Discarded,
    /// The file changed before it was applied.
    Stale,
}

names!(ProposalState {
    Open => "open",
    Applied => "applied",
    Discarded => "discarded",
    Stale => "stale",
});

/// A change Mira would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// The repository.
    pub repo_id: AttachmentId,
    /// The project of that repository.
    pub project_id: ProjectId,
    /// What it does.
    pub kind: ProposalKind,
    /// To which file.
    pub path: String,
    /// Where a rename goes.
    pub new_path: Option<String>,
    /// The blob it changes; `None` for a file to be made.
    pub base_sha: Option<String>,
    /// The text it changes, where it is text and was asked for.
    pub old_text: Option<String>,
    /// What the text is to become, where that was asked for.
    pub new_text: Option<String>,
    /// The message of the commit to be.
    pub message: String,
    /// The reply that made it.
    pub message_id: Option<MessageId>,
    /// What became of it.
    pub state: ProposalState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// The commit it became.
    pub commit: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for status in RepoStatus::ALL {
            assert_eq!(RepoStatus::parse(status.as_str()), Some(*status));
        }
        for kind in ProposalKind::ALL {
            assert_eq!(ProposalKind::parse(kind.as_str()), Some(*kind));
        }
        for state in ProposalState::ALL {
            assert_eq!(ProposalState::parse(state.as_str()), Some(*state));
        }
        for mode in WriteMode::ALL {
            assert_eq!(WriteMode::parse(mode.as_str()), Some(*mode));
        }
        assert_eq!(RepoStatus::parse("Ready"), None);
    }
}
