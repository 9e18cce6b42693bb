//! The beginning of a turn: where the owner's message goes in the tree, and its one transaction.

use super::{BeginKind, BeginOutcome, BeginTurn, SendParent, stored};
use crate::sqlite::{
    error::StoreError,
    files,
    messages::{self, json, parse_role},
    outbox::queue_new_message,
    rows::{Columns, Query, SPARE, bind_spare, blob, int, ms},
    search::grams,
    sessions::touch,
};
use mira_core::{
    chat::{Exposure, Message, MessageMetadata, MessageStatus, Role},
    ids::{AccountId, ClientId, MessageId, ProjectId, SessionId, TurnId},
};
use sqlx::SqliteConnection;

/// A new message of the owner on its way into the tree.
struct NewMessage<'a> {
    id: MessageId,
    content: &'a str,
    client_id: Option<&'a ClientId>,
    project_id: Option<ProjectId>,
    metadata: Option<&'a MessageMetadata>,
    parent_id: Option<MessageId>,
    depth: u64,
    siblings: Vec<MessageId>,
    /// The message it replaces, where it keeps its files.
    files_of: Option<MessageId>,
}

/// Either what the turn works on, or why it does not begin.
type Looked<T> = Result<Result<T, BeginOutcome>, StoreError>;

/// `?1` account, `?2` session, `?3` the client's id, `?4` 0 head, 1 message `?5`, 2 root, `?6` the project named; the
/// session's where none is.
const LOOK_SEND: &str = "
    SELECT p.id, p.depth,
           (SELECT group_concat(hex(x.id), '' ORDER BY x.ord) FROM messages x
             WHERE x.account_id = ?1 AND x.session_id = ?2 AND x.parent_id IS p.id),
           (SELECT d.id FROM messages d WHERE d.account_id = ?1 AND d.session_id = ?2 AND d.client_id = ?3),
           (SELECT j.id FROM projects j WHERE j.account_id = ?1 AND j.id = coalesce(?6, s.project_id))
      FROM sessions s LEFT JOIN messages p
        ON p.account_id = s.account_id AND p.session_id = s.id
       AND p.id = CASE ?4 WHEN 0 THEN s.head_id WHEN 1 THEN ?5 END
     WHERE s.account_id = ?1 AND s.id = ?2";

/// `?1` account, `?2` session, `?3` the client's id, `?4` a message.
const LOOK_MESSAGE: &str = "
    SELECT o.role, o.parent_id, o.depth,
           (SELECT group_concat(hex(x.id), '' ORDER BY x.ord) FROM messages x
             WHERE x.account_id = ?1 AND x.session_id = ?2 AND x.parent_id IS o.parent_id AND o.id IS NOT NULL),
           (SELECT d.id FROM messages d WHERE d.account_id = ?1 AND d.session_id = ?2 AND d.client_id = ?3),
           coalesce(o.project_id, s.project_id)
      FROM sessions s LEFT JOIN messages o ON o.account_id = s.account_id AND o.session_id = s.id AND o.id = ?4
     WHERE s.account_id = ?1 AND s.id = ?2";

/// Where a sent message goes: parent, depth, siblings, project.
type Place = (Option<MessageId>, u64, Vec<MessageId>, Option<ProjectId>);

async fn look_send(
    conn: &mut SqliteConnection,
    account: AccountId,
    session: &SessionId,
    client_id: Option<&ClientId>,
    content: &str,
    parent: SendParent,
    project: Option<ProjectId>,
) -> Looked<Place> {
    let (mode, wanted) = match parent {
        SendParent::Head => (0, None),
        SendParent::Message(id) => (1, Some(id)),
        SendParent::Root => (2, None),
    };
    let row = sqlx::query(LOOK_SEND)
        .bind(account.0)
        .bind(session.as_str())
        .bind(client_id.map(ClientId::as_str))
        .bind(mode)
        .bind(wanted.as_ref().map(|id| blob(&id.0)))
        .bind(project.as_ref().map(|id| blob(&id.0)))
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else {
        return Ok(Err(BeginOutcome::NoSuchSession));
    };
    let mut c = Columns::new("messages", &row);
    c.named(session);
    let parent_id = c.uuid_or_null("id")?.map(MessageId);
    let depth: Option<i64> = c.take("depth")?;
    let siblings = c.uuids("id")?.into_iter().map(MessageId).collect();
    if let Some(known) = c.uuid_or_null("id")? {
        return duplicate(conn, account, MessageId(known), content).await.map(Err);
    }
    if wanted.is_some() && parent_id.is_none() {
        return Ok(Err(BeginOutcome::NoSuchMessage));
    }
    let found = c.uuid_or_null("project_id")?.map(ProjectId);
    if project.is_some() && found.is_none() {
        return Ok(Err(BeginOutcome::NoSuchProject));
    }
    Ok(Ok((
        parent_id,
        depth.map_or(0, |depth| depth.unsigned_abs() + 1),
        siblings,
        found,
    )))
}

/// Role, parent, depth, siblings and project of a message of the session.
async fn look_message(
    conn: &mut SqliteConnection,
    account: AccountId,
    session: &SessionId,
    client_id: Option<&ClientId>,
    content: &str,
    of: MessageId,
) -> Looked<(Role, Place)> {
    let row = sqlx::query(LOOK_MESSAGE)
        .bind(account.0)
        .bind(session.as_str())
        .bind(client_id.map(ClientId::as_str))
        .bind(blob(&of.0))
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else {
        return Ok(Err(BeginOutcome::NoSuchSession));
    };
    let mut c = Columns::new("messages", &row);
    c.named(of);
    let role = c.parsed_or_null("role", parse_role)?;
    let parent_id = c.uuid_or_null("parent_id")?.map(MessageId);
    let depth: Option<i64> = c.take("depth")?;
    let siblings = c.uuids("id")?.into_iter().map(MessageId).collect();
    if let Some(known) = c.uuid_or_null("id")? {
        return duplicate(conn, account, MessageId(known), content).await.map(Err);
    }
    let project = c.uuid_or_null("project_id")?.map(ProjectId);
    let depth = depth.unwrap_or_default().unsigned_abs();
    Ok(match role {
        Some(role) => Ok((role, (parent_id, depth, siblings, project))),
        None => Err(BeginOutcome::NoSuchMessage),
    })
}

/// The message a client sent under this name, and what to answer.
pub(super) async fn find_duplicate(
    conn: &mut SqliteConnection,
    account: AccountId,
    session: &SessionId,
    client_id: &ClientId,
    content: &str,
) -> Result<Option<BeginOutcome>, StoreError> {
    let row = sqlx::query("SELECT id FROM messages WHERE account_id = ?1 AND session_id = ?2 AND client_id = ?3")
        .bind(account.0)
        .bind(session.as_str())
        .bind(client_id.as_str())
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let known = MessageId(Columns::new("messages", &row).uuid("id")?);
    duplicate(conn, account, known, content).await.map(Some)
}

/// What to answer to a client that repeats itself.
async fn duplicate(
    conn: &mut SqliteConnection,
    account: AccountId,
    known: MessageId,
    content: &str,
) -> Result<BeginOutcome, StoreError> {
    let user_message = messages::find(&mut *conn, account, known)
        .await?
        .ok_or(StoreError::Closed)?;
    if user_message.content != content {
        return Ok(BeginOutcome::ClientIdConflict);
    }
    let reply = messages::find_reply_to(&mut *conn, account, known).await?;
    let row = sqlx::query(
        "SELECT id FROM turns WHERE account_id = ?1 AND user_message_id = ?2 AND state = 'running' LIMIT 1",
    )
    .bind(account.0)
    .bind(blob(&known.0))
    .fetch_optional(conn)
    .await?;
    let running_turn = row
        .map(|row| Columns::new("turns", &row).uuid("id").map(TurnId))
        .transpose()?;
    Ok(BeginOutcome::Duplicate {
        user_message,
        reply,
        running_turn,
    })
}

macro_rules! begin_rest {
    () => {
        "INSERT INTO turns (id, account_id, session_id, kind, user_message_id, reply_id, state, started_at, after_turn)
         VALUES (?4, ?1, ?2, ?6, ?3, ?7, 'running', ?5, ?11);
         UPDATE sessions SET head_id = ?3, title = coalesce(title, ?8),
                seq_reserved = max(seq_reserved, coalesce(?9, 0)), message_count = message_count + ?10,
                updated_at = ?5,"
    };
}

const BEGIN_AGAIN: &str = concat!(begin_rest!(), touch!(), "WHERE account_id = ?1 AND id = ?2");

macro_rules! begin_new {
    () => {
        concat!(
            "INSERT INTO messages (account_id, session_id, id, turn_id, created_at, role, status,
                                   parent_id, depth, content, client_id, project_id, metadata)
             VALUES (?1, ?2, ?3, ?4, ?5, 'user', 'complete', ?12, ?13, ?14, ?15, ?16, ?17);",
            begin_rest!(),
            touch!(),
            "WHERE account_id = ?1 AND id = ?2;",
            queue_new_message!("?2", "?3", "?5", "?14")
        )
    };
}

const BEGIN_NEW: &str = begin_new!();
const BEGIN_NEW_GRAMS: &str = concat!(
    begin_new!(),
    "; INSERT INTO messages_grams (rowid, grams) SELECT ord, ?18 FROM messages WHERE account_id = ?1 AND id = ?3"
);

pub(super) async fn begin(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: &BeginTurn,
) -> Result<BeginOutcome, StoreError> {
    if files::find_all(&mut *conn, account, &turn.files).await?.is_none() {
        return Ok(BeginOutcome::NoSuchFile);
    }
    match &turn.kind {
        BeginKind::Send {
            message_id,
            content,
            client_id,
            parent,
            project_id,
            metadata,
        } => {
            let client_id = client_id.as_ref();
            match look_send(
                &mut *conn,
                account,
                &turn.session,
                client_id,
                content,
                *parent,
                *project_id,
            )
            .await?
            {
                Err(outcome) => Ok(outcome),
                Ok((parent_id, depth, siblings, project_id)) => {
                    let (id, metadata) = (*message_id, metadata.as_ref());
                    let new = NewMessage {
                        id,
                        content,
                        client_id,
                        project_id,
                        metadata,
                        parent_id,
                        depth,
                        siblings,
                        files_of: None,
                    };
                    begin_new(conn, account, turn, new).await
                }
            }
        }
        BeginKind::Edit {
            of,
            keeps_files,
            message_id,
            content,
            client_id,
            project_id,
            metadata,
        } => {
            let client_id = client_id.as_ref();
            match look_message(&mut *conn, account, &turn.session, client_id, content, *of).await? {
                Err(outcome) => Ok(outcome),
                Ok((Role::Assistant, _)) => Ok(BeginOutcome::WrongRole),
                Ok((Role::User, (parent_id, depth, siblings, project))) => {
                    // It stays where the message was that it replaces.
                    let (id, project_id, metadata) = (*message_id, project_id.or(project), metadata.as_ref());
                    let new = NewMessage {
                        id,
                        content,
                        client_id,
                        project_id,
                        metadata,
                        parent_id,
                        depth,
                        siblings,
                        files_of: keeps_files.then_some(*of),
                    };
                    begin_new(conn, account, turn, new).await
                }
            }
        }
        BeginKind::Regenerate { message_id } => begin_again(conn, account, turn, *message_id).await,
    }
}

/// The arguments every beginning has, `?1` to `?11`.
fn bind_begin<'q>(
    sql: &'static str,
    account: AccountId,
    turn: &BeginTurn,
    user_message: MessageId,
    new_messages: i64,
) -> Query<'q> {
    sqlx::query(sql)
        .bind(account.0)
        .bind(turn.session.as_str())
        .bind(blob(&user_message.0))
        .bind(blob(&turn.turn_id.0))
        .bind(ms(turn.now))
        .bind(turn.kind.name())
        .bind(blob(&turn.reply_id.0))
        .bind(turn.title_if_none.as_deref())
        .bind(turn.reserve_seq_to.map(int))
        .bind(new_messages)
        .bind(
            turn.after
                .filter(|_| turn.follows_head())
                .map(|turn| blob(&turn.0).to_vec()),
        )
}

async fn begin_new(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: &BeginTurn,
    new: NewMessage<'_>,
) -> Result<BeginOutcome, StoreError> {
    let grams = grams(new.content);
    let sql = if grams.is_some() { BEGIN_NEW_GRAMS } else { BEGIN_NEW };
    let query = bind_begin(sql, account, turn, new.id, 1)
        .bind(new.parent_id.as_ref().map(|id| blob(&id.0)))
        .bind(int(new.depth))
        .bind(new.content)
        .bind(new.client_id.map(ClientId::as_str))
        .bind(new.project_id.as_ref().map(|id| blob(&id.0)))
        .bind(new.metadata.map(json).transpose()?)
        .bind(grams);
    bind_spare(query, SPARE).execute(&mut *conn).await?;
    match new.files_of {
        Some(replaced) => files::attach_again(&mut *conn, account, replaced, new.id).await?,
        None => files::attach(&mut *conn, account, new.id, &turn.files).await?,
    }
    let attached = if new.files_of.is_some() || !turn.files.is_empty() {
        files::of_message(conn, account, new.id).await?
    } else {
        Vec::new()
    };
    let mut sibling_ids = new.siblings;
    sibling_ids.push(new.id);
    Ok(BeginOutcome::Begun {
        user_message: Message {
            id: new.id,
            session_id: turn.session.clone(),
            parent_id: new.parent_id,
            sibling_ids,
            role: Role::User,
            content: new.content.to_owned(),
            meta: None,
            status: MessageStatus::Complete,
            project_id: new.project_id,
            metadata: new.metadata.cloned(),
            model: None,
            usage: None,
            tool_calls: Vec::new(),
            citations: Vec::new(),
            files: attached,
            exposure: Exposure::Clear,
            created_at: stored(turn.now),
        },
    })
}

async fn begin_again(
    conn: &mut SqliteConnection,
    account: AccountId,
    turn: &BeginTurn,
    of: MessageId,
) -> Result<BeginOutcome, StoreError> {
    let user_id = match look_message(&mut *conn, account, &turn.session, None, "", of).await? {
        Err(outcome) => return Ok(outcome),
        Ok((Role::User, _)) => of,
        Ok((Role::Assistant, (Some(parent), ..))) => parent,
        Ok((Role::Assistant, (None, ..))) => return Ok(BeginOutcome::WrongRole),
    };
    let user_message = messages::find(&mut *conn, account, user_id).await?;
    let Some(user_message) = user_message.filter(|message| message.role == Role::User) else {
        return Ok(BeginOutcome::WrongRole);
    };
    let query = bind_begin(BEGIN_AGAIN, account, turn, user_id, 0);
    bind_spare(query, SPARE).execute(conn).await?;
    Ok(BeginOutcome::Begun { user_message })
}
