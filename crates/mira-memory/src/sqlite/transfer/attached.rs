//! Attached repositories, and what Mira proposes in them and nobody has decided, as lines of the export, both ways.
//!
//! A clone is a folder and credentials are files: neither travels. So an imported repository stands as one whose clone is
//! not there, until its folder is back or the owner attaches it again; its proposals wait with it.

use super::{AccountId, MessageId, ProjectId, SqliteConnection, SqliteRow, StoreError, Timestamp, blob, ms};
use crate::sqlite::{messages::unknown, rows::Columns};
use mira_core::{
    ids::{AttachmentId, ProposalId},
    repo::{ProposalKind, ProposalState, RepoStatus, WriteMode},
};
use serde::{Deserialize, Serialize};

/// What the row of an imported repository says.
const NOT_HERE: &str = "its clone did not come along: attach it again";
/// Proposals read at once: each may hold two texts of megabytes.
pub(super) const PROPOSALS_AT_ONCE: usize = 4;
/// The longest address; no git server has one near this.
const MAX_URL_BYTES: usize = 8 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RepoLine {
    id: AttachmentId,
    project_id: ProjectId,
    repo_url: String,
    branch: Option<String>,
    writes: String,
    last_sync_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A proposal that is open or stale.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProposalLine {
    id: ProposalId,
    attachment_id: AttachmentId,
    kind: String,
    path: String,
    new_path: Option<String>,
    base_sha: Option<String>,
    old_text: Option<String>,
    new_text: Option<String>,
    message: String,
    message_id: Option<MessageId>,
    state: String,
    created_at: Timestamp,
    decided_at: Option<Timestamp>,
}

impl RepoLine {
    /// What else an address may hold is judged anew whenever it is used.
    pub(super) fn check(&self) -> Result<(), String> {
        let url = &self.repo_url;
        if url.is_empty() || url.len() > MAX_URL_BYTES || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("an address is one word".to_owned());
        }
        WriteMode::parse(&self.writes).map_or_else(|| Err(unknown(&self.writes)), |_| Ok(()))
    }
}

impl ProposalLine {
    pub(super) fn check(&self) -> Result<(), String> {
        let kind = ProposalKind::parse(&self.kind).ok_or_else(|| unknown(&self.kind))?;
        match ProposalState::parse(&self.state) {
            Some(ProposalState::Open | ProposalState::Stale) => {}
            Some(ProposalState::Applied | ProposalState::Discarded) | None => return Err(unknown(&self.state)),
        }
        let (text, path, base) = match kind {
            ProposalKind::Write => (true, false, true),
            ProposalKind::Create => (true, false, false),
            ProposalKind::Delete => (false, false, true),
            ProposalKind::Rename => (false, true, true),
        };
        let has = (
            self.new_text.is_some(),
            self.new_path.is_some(),
            self.base_sha.is_some(),
        );
        if has != (text, path, base) || self.path.is_empty() {
            return Err(format!("a {} has other parts", self.kind));
        }
        Ok(())
    }
}

// ---- out ----------------------------------------------------------------------------------------------------------

pub(in crate::sqlite) const EXPORT_REPOS: &str = "
    SELECT key, id, project_id, repo_url, branch, writes, last_sync_at, created_at, updated_at
      FROM repos WHERE +account_id = ?1 AND key > ?2 ORDER BY key LIMIT (?3 + 0)";

pub(super) fn read_repo(row: &SqliteRow) -> Result<(i64, RepoLine), StoreError> {
    let mut c = Columns::new("repos", row);
    let key = c.take("key")?;
    let id = AttachmentId(c.uuid("id")?);
    c.named(id);
    let line = RepoLine {
        id,
        project_id: ProjectId(c.uuid("project_id")?),
        repo_url: c.take("repo_url")?,
        branch: c.take("branch")?,
        writes: c.take("writes")?,
        last_sync_at: c.time_or_null("last_sync_at")?,
        created_at: c.time("created_at")?,
        updated_at: c.time("updated_at")?,
    };
    Ok((key, line))
}

/// All that nobody has decided, in the order they were made.
pub(in crate::sqlite) const EXPORT_PROPOSALS: &str = "
    SELECT key, id, repo_id, kind, path, new_path, base_sha, old_text, new_text, message, message_id, state, created_at,
           decided_at
      FROM proposals WHERE +account_id = ?1 AND key > ?2 AND state IN ('open', 'stale') ORDER BY key LIMIT (?3 + 0)";

pub(super) fn read_proposal(row: &SqliteRow) -> Result<(i64, ProposalLine), StoreError> {
    let mut c = Columns::new("proposals", row);
    let key = c.take("key")?;
    let id = ProposalId(c.uuid("id")?);
    c.named(id);
    let line = ProposalLine {
        id,
        attachment_id: AttachmentId(c.uuid("repo_id")?),
        kind: c.take("kind")?,
        path: c.take("path")?,
        new_path: c.take("new_path")?,
        base_sha: c.take("base_sha")?,
        old_text: c.take("old_text")?,
        new_text: c.take("new_text")?,
        message: c.take("message")?,
        message_id: c.uuid_or_null("message_id")?.map(MessageId),
        state: c.take("state")?,
        created_at: c.time("created_at")?,
        decided_at: c.time_or_null("decided_at")?,
    };
    Ok((key, line))
}

// ---- in -----------------------------------------------------------------------------------------------------------

pub(super) async fn import_repo(
    conn: &mut SqliteConnection,
    account: AccountId,
    line: &RepoLine,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO repos (account_id, id, project_id, repo_url, branch, status, error, writes, last_sync_at,
                            created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (account_id, id) DO NOTHING",
    )
    .bind(account.0)
    .bind(blob(&line.id.0))
    .bind(blob(&line.project_id.0))
    .bind(line.repo_url.as_str())
    .bind(line.branch.as_deref())
    .bind(RepoStatus::Failed.as_str())
    .bind(NOT_HERE)
    .bind(line.writes.as_str())
    .bind(line.last_sync_at.map(ms))
    .bind(ms(line.created_at))
    .bind(ms(line.updated_at))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn import_proposal(
    conn: &mut SqliteConnection,
    account: AccountId,
    line: &ProposalLine,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO proposals (account_id, id, repo_id, kind, path, new_path, base_sha, old_text, new_text, message,
                                message_id, state, created_at, decided_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                 (SELECT m.id FROM messages m WHERE m.account_id = ?1 AND m.id = ?11), ?12, ?13, ?14)
             ON CONFLICT (account_id, id) DO NOTHING",
    )
    .bind(account.0)
    .bind(blob(&line.id.0))
    .bind(blob(&line.attachment_id.0))
    .bind(line.kind.as_str())
    .bind(line.path.as_str())
    .bind(line.new_path.as_deref())
    .bind(line.base_sha.as_deref())
    .bind(line.old_text.as_deref())
    .bind(line.new_text.as_deref())
    .bind(line.message.as_str())
    .bind(line.message_id.as_ref().map(|id| blob(&id.0)))
    .bind(line.state.as_str())
    .bind(ms(line.created_at))
    .bind(line.decided_at.map(ms))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
