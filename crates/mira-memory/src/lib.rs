//! What Mira keeps: sessions, the message tree, turns, moods, logins and full-text search, in one SQLite file.
//!
//! Everything passes through [`Store`]; no caller sees SQL, a connection or a row. Every function takes the account it
//! acts for, and nothing reaches across accounts. "Not found" is `Ok(None)`.

pub mod sqlite;

pub use sqlite::{
    error::StoreError,
    logins::{Login, NewLogin},
    maintenance::{BackupReport, IntegrityReport, StoreStats},
    messages::{BranchFrom, BranchPage},
    migrate::{MigrationInfo, migration_info, revert_last},
    moods::MoodCursor,
    search::{HIT_END, HIT_START, SearchCursor, SearchHit},
    sessions::{CursorError, Inserted, NewSession, PatchOutcome, SessionCursor, SessionFilter, SessionPatch},
    state::Nudge,
    transfer::{ExportReport, ImportReport},
    turns::{
        BeginKind, BeginOutcome, BeginTurn, CheckpointPart, FinishOutcome, FinishTurn, MiraChange, NewReply, Recovered,
        ReplyHead, SendParent, TurnState,
    },
    writer::WriterStats,
    {Durability, Listed, Page, Store, StoreOptions},
};
