//! Table `proposals`: changes Mira would make in a repository, until somebody decides. What applying means is the
//! caller's business.
//!
//! Invariants: what was applied or discarded stays so; of one reply at most one proposal about a path is open; lists come
//! without texts.

use super::{
    Listed, Page, Store,
    error::StoreError,
    messages::unknown,
    ord_cursor,
    rows::{Columns, blob, int, ms},
    writer::Class,
};
use futures_util::FutureExt;
use jiff::Timestamp;
use mira_core::{
    ids::{AccountId, AttachmentId, MessageId, ProjectId, ProposalId},
    repo::{Proposal, ProposalKind, ProposalState},
};
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::sync::Arc;

ord_cursor! {
    /// A place in the list of a project's proposals.
    ProposalCursor
}

/// A proposal to keep. What its fields may hold is the caller's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProposal {
    /// Its id.
    pub id: ProposalId,
    /// The repository.
    pub repo_id: AttachmentId,
    /// What it does.
    pub kind: ProposalKind,
    /// To which file.
    pub path: String,
    /// Where a rename goes.
    pub new_path: Option<String>,
    /// The blob it changes; `None` for a file to be made.
    pub base_sha: Option<String>,
    /// The text it changes.
    pub old_text: Option<String>,
    /// What that is to become.
    pub new_text: Option<String>,
    /// The message of the commit to be.
    pub message: String,
    /// The reply that makes it.
    pub message_id: Option<MessageId>,
    /// When.
    pub now: Timestamp,
}

/// Which proposals to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProposalFilter {
    /// Those in this state.
    pub state: Option<ProposalState>,
    /// Those of this repository.
    pub repo_id: Option<AttachmentId>,
}

/// A proposal that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// It.
    pub proposal: Proposal,
    /// The one it takes the place of: of the same reply, about the same path.
    pub replaced: Option<Proposal>,
}

/// What was decided about a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is this commit.
    Applied(String),
    /// It is not wanted.
    Discarded,
    /// The file is another by now.
    Stale,
}

/// The columns of a proposal `p` of a repository `r`, but for its texts, as [`read`] takes them.
macro_rules! proposal_columns {
    () => {
        "p.id, p.repo_id, r.project_id, p.kind, p.path, p.new_path, p.base_sha, p.message, p.message_id, p.state,
         p.created_at, p.decided_at, p.commit_sha, p.key"
    };
}

fn read(row: &SqliteRow) -> Result<(Proposal, ProposalCursor), StoreError> {
    let mut c = Columns::new("proposals", row);
    let id = ProposalId(c.uuid("id")?);
    c.named(id);
    let proposal = Proposal {
        id,
        repo_id: AttachmentId(c.uuid("repo_id")?),
        project_id: ProjectId(c.uuid("project_id")?),
        kind: c.parsed("kind", |text| ProposalKind::parse(text).ok_or_else(|| unknown(text)))?,
        path: c.take("path")?,
        new_path: c.take("new_path")?,
        base_sha: c.take("base_sha")?,
        old_text: None,
        new_text: None,
        message: c.take("message")?,
        message_id: c.uuid_or_null("message_id")?.map(MessageId),
        state: c.parsed("state", |text| ProposalState::parse(text).ok_or_else(|| unknown(text)))?,
        created_at: c.time("created_at")?,
        decided_at: c.time_or_null("decided_at")?,
        commit: c.take("commit_sha")?,
    };
    Ok((proposal, ProposalCursor(c.take("key")?)))
}

/// How many columns [`proposal_columns`] names.
const COLUMNS: usize = 14;

const FIND: &str = concat!(
    "SELECT ",
    proposal_columns!(),
    ", p.old_text, p.new_text
      FROM proposals p CROSS JOIN repos r ON r.account_id = p.account_id AND r.id = p.repo_id
     WHERE p.account_id = ?1 AND p.id = ?2"
);

async fn find(conn: &mut SqliteConnection, account: AccountId, id: ProposalId) -> Result<Option<Proposal>, StoreError> {
    let row = sqlx::query(FIND)
        .bind(account.0)
        .bind(blob(&id.0))
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (mut proposal, _) = read(&row)?;
    let mut c = Columns::at("proposals", &row, COLUMNS);
    c.named(id);
    proposal.old_text = c.take("old_text")?;
    proposal.new_text = c.take("new_text")?;
    Ok(Some(proposal))
}

/// The open proposal about a path; with `?4` only of that reply.
const FIND_OPEN: &str = "
    SELECT p.id FROM proposals p
     WHERE p.account_id = ?1 AND p.repo_id = ?2 AND p.path = ?3 AND p.state = 'open'
       AND (?4 IS NULL OR p.message_id = ?4)
     ORDER BY p.key DESC LIMIT 1";

async fn find_open(
    conn: &mut SqliteConnection,
    account: AccountId,
    repo: AttachmentId,
    path: &str,
    message: Option<MessageId>,
) -> Result<Option<Proposal>, StoreError> {
    let row = sqlx::query(FIND_OPEN)
        .bind(account.0)
        .bind(blob(&repo.0))
        .bind(path)
        .bind(message.as_ref().map(|id| blob(&id.0)))
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let id = ProposalId(Columns::new("proposals", &row).uuid("id")?);
    find(conn, account, id).await
}

const INSERT: &str = "
    INSERT INTO proposals (account_id, id, repo_id, kind, path, new_path, base_sha, old_text, new_text, message,
                           message_id, state, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'open', ?12) ON CONFLICT (account_id, id) DO NOTHING";

async fn insert(
    conn: &mut SqliteConnection,
    account: AccountId,
    new: &NewProposal,
) -> Result<Option<Proposed>, StoreError> {
    let there: Option<i64> = sqlx::query_scalar("SELECT 1 FROM repos WHERE account_id = ?1 AND id = ?2")
        .bind(account.0)
        .bind(blob(&new.repo_id.0))
        .fetch_optional(&mut *conn)
        .await?;
    if there.is_none() {
        return Ok(None);
    }
    let before = match new.message_id {
        Some(message) => find_open(&mut *conn, account, new.repo_id, &new.path, Some(message)).await?,
        None => None,
    };
    let replaced = match before {
        Some(old) if old.id != new.id => decide(&mut *conn, account, old.id, &Decision::Discarded, new.now).await?,
        Some(_) | None => None,
    };
    sqlx::query(INSERT)
        .bind(account.0)
        .bind(blob(&new.id.0))
        .bind(blob(&new.repo_id.0))
        .bind(new.kind.as_str())
        .bind(new.path.as_str())
        .bind(new.new_path.as_deref())
        .bind(new.base_sha.as_deref())
        .bind(new.old_text.as_deref())
        .bind(new.new_text.as_deref())
        .bind(new.message.as_str())
        .bind(new.message_id.as_ref().map(|id| blob(&id.0)))
        .bind(ms(new.now))
        .execute(&mut *conn)
        .await?;
    let proposal = find(conn, account, new.id).await?.ok_or(StoreError::Closed)?;
    Ok(Some(Proposed { proposal, replaced }))
}

const DECIDE: &str = "
    UPDATE proposals SET state = ?3, commit_sha = ?4, decided_at = ?5
     WHERE account_id = ?1 AND id = ?2 AND state IN ('open', 'stale')";

async fn decide(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: ProposalId,
    decision: &Decision,
    now: Timestamp,
) -> Result<Option<Proposal>, StoreError> {
    let (state, commit) = match decision {
        Decision::Applied(commit) => (ProposalState::Applied, Some(commit.as_str())),
        Decision::Discarded => (ProposalState::Discarded, None),
        Decision::Stale => (ProposalState::Stale, None),
    };
    sqlx::query(DECIDE)
        .bind(account.0)
        .bind(blob(&id.0))
        .bind(state.as_str())
        .bind(commit)
        .bind(ms(now))
        .execute(&mut *conn)
        .await?;
    find(conn, account, id).await
}

const LIST: &str = concat!(
    "SELECT ",
    proposal_columns!(),
    " FROM repos r CROSS JOIN proposals p ON p.account_id = r.account_id AND p.repo_id = r.id
     WHERE r.account_id = ?1 AND r.project_id = ?2 AND p.key < ?3
       AND (?5 IS NULL OR p.state = ?5) AND (?6 IS NULL OR p.repo_id = ?6)
     ORDER BY p.key DESC LIMIT (?4 + 0)"
);

impl Store {
    /// Keeps a proposal, instead of an open one the same reply made about the same path. `None` if there is no such
    /// repository.
    pub async fn insert_proposal(&self, account: AccountId, new: NewProposal) -> Result<Option<Proposed>, StoreError> {
        let new = Arc::new(new);
        self.write(Class::Acknowledged, move |conn| {
            let new = Arc::clone(&new);
            async move { insert(conn, account, &new).await }.boxed()
        })
        .await
    }

    /// A proposal in this project, with its texts.
    pub async fn find_proposal(
        &self,
        account: AccountId,
        project: ProjectId,
        id: ProposalId,
    ) -> Result<Option<Proposal>, StoreError> {
        let found = find(&mut *self.read().await?, account, id).await?;
        Ok(found.filter(|proposal| proposal.project_id == project))
    }

    /// The newest open proposal about a path, with its texts.
    pub async fn find_open_proposal(
        &self,
        account: AccountId,
        repo: AttachmentId,
        path: &str,
    ) -> Result<Option<Proposal>, StoreError> {
        find_open(&mut *self.read().await?, account, repo, path, None).await
    }

    /// The proposals in a project, the newest first, without texts. An unknown project gives an empty page.
    pub async fn list_proposals(
        &self,
        account: AccountId,
        project: ProjectId,
        filter: ProposalFilter,
        page: Page<ProposalCursor>,
    ) -> Result<Listed<Proposal, ProposalCursor>, StoreError> {
        let limit = page.rows();
        let rows = sqlx::query(LIST)
            .bind(account.0)
            .bind(blob(&project.0))
            .bind(page.cursor.map_or(i64::MAX, |cursor| cursor.0))
            .bind(int(limit as u64 + 1))
            .bind(filter.state.map(ProposalState::as_str))
            .bind(filter.repo_id.as_ref().map(|id| blob(&id.0)))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let rows: Result<Vec<_>, _> = rows.iter().map(read).collect();
        Ok(Listed::cut(rows?, limit))
    }

    /// Decides about a proposal that is open or stale; one that is applied or discarded stays so. Answers it as it is
    /// now, `None` if there is no such.
    pub async fn decide_proposal(
        &self,
        account: AccountId,
        id: ProposalId,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Option<Proposal>, StoreError> {
        let decision = Arc::new(decision);
        self.write(Class::Acknowledged, move |conn| {
            let decision = Arc::clone(&decision);
            async move { decide(conn, account, id, &decision, now).await }.boxed()
        })
        .await
    }
}
