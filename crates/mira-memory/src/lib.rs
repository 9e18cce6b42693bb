//! What Mira keeps: sessions, the message tree, turns, moods, logins and full-text search, in one SQLite file.
//!
//! Everything passes through [`Store`]; no caller sees SQL, a connection or a row. Every function takes the account it
//! acts for, and nothing reaches across accounts. "Not found" is `Ok(None)`.

pub mod index;
pub mod recall;
pub mod sqlite;

pub use sqlite::{
    approvals::{Answered, ApprovalCursor, FinishedApproval},
    artifacts::{
        ArtifactCursor, ArtifactPatch, DeleteOutcome, Expected, NewArtifact, NewVersion, Origin, VersionCursor,
        VersionOutcome,
    },
    documents::{DocumentsReport, SpeakerNames},
    error::StoreError,
    facts::{FactOutcome, FactPatch, NewFact, PatchFactOutcome},
    file_bytes::{ArrivingBytes, FileBytes, JudgedFile, NoFiles, Packed, unpack_files},
    file_readings::WaitingFile,
    file_texts::{FileChunk, FilePage, FileScope, FoundChunk, WordCounts, WordHit},
    files::{FileCursor, FileOutcome, FilePlace},
    forget::{Forgotten, ScrubReport},
    handover::{hand_over, settle},
    lexical::{LexicalHit, LexicalHits, LexicalQuery, LexicalTerm},
    logins::{Login, NewLogin},
    maintenance::{BackupReport, IntegrityReport, RenewedBackups, StoreStats, sqlite_version},
    memories::{MemoryCounts, MemoryCursor, MemoryFilter, Neighbours},
    messages::{BranchFrom, BranchPage},
    migrate::{MigrationInfo, migration_info, revert_last},
    moods::MoodCursor,
    outbox::{OutboxStats, SpaceId, Step, VectorJob},
    projects::{DeletedProject, NewProject, ProjectCursor, ProjectFilter, ProjectPatch},
    proposals::{Decision, NewProposal, ProposalCursor, ProposalFilter, Proposed},
    provider_files::{CopyState, ProviderCopy, ProviderScope, SentAs},
    repos::{NewRepo, RepoCursor, RepoPatch},
    search::{HIT_END, HIT_START, SearchCursor, SearchHit},
    sessions::{CursorError, Inserted, NewSession, PatchOutcome, SessionCursor, SessionFilter, SessionPatch},
    spaces::{EMBEDDED, Space, SpaceState},
    state::Nudge,
    summaries::{NewSummary, Summary, SummaryLevel, SummaryRange},
    tombstones::TombstoneKey,
    traces::{Found, FoundFile, NamedRow, search_files},
    transfer::{ExportReport, ImportReport},
    turns::{
        BeginKind, BeginOutcome, BeginTurn, CheckpointPart, FinishOutcome, FinishTurn, MiraChange, NewReply, Recovered,
        ReplyHead, SendParent, TurnState,
    },
    vectors::{VectorRow, vector_of_bytes},
    writer::WriterStats,
    {Durability, Listed, Page, Store, StoreOptions},
};
