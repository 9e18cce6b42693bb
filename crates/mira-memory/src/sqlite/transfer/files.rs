//! Files as lines of the export, both ways: the bytes of each content first, in pieces, then the files that have them.
//!
//! Texts and vectors are made anew from the bytes. What an imported file is, its bytes say and not its line. Invariant: a
//! file is stored only if its bytes came along and are those of its hash.

use super::{
    AccountId, BATCH, Line, MessageId, ProjectId, SqliteConnection, SqliteRow, Store, StoreError, Timestamp, blob,
    export::{Sink, next_rows},
    works::unfit,
};
use crate::sqlite::{
    file_bytes::{self, ArrivingBytes, FileBytes, JudgedFile, next_piece, open_sound},
    files::{self, COLUMNS, FileOutcome, file_columns},
    rows::Columns,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use mira_core::{
    file::StoredFile,
    ids::FileId,
    project::{Author, hex, unhex},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    io,
};

/// A file. `message_id` is the reply it was made for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FileLine {
    id: FileId,
    project_id: Option<ProjectId>,
    name: String,
    media_type: String,
    size: u64,
    sha256: String,
    author: String,
    message_id: Option<MessageId>,
    /// The messages it was sent with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    messages: Vec<SentWith>,
    created_at: Timestamp,
    /// What its bytes say it is; without them it is not stored.
    #[serde(skip)]
    judged: Option<JudgedFile>,
}

/// A message a file was sent with, and its place among the files of that message.
#[derive(Debug, Serialize, Deserialize)]
struct SentWith {
    message_id: MessageId,
    n: u32,
}

/// The next bytes of a content, in base64.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BytesLine {
    sha256: String,
    bytes: String,
}

/// A hash as an export has it.
fn hash(text: &str) -> Result<[u8; 32], String> {
    unhex(text).ok_or_else(|| format!("{text:?} is no SHA-256"))
}

impl FileLine {
    fn author(&self) -> Result<Author, String> {
        Author::parse(&self.author).ok_or_else(|| format!("{:?} is no author", self.author))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        hash(&self.sha256)?;
        self.author().map(drop)
    }
}

impl BytesLine {
    pub(super) fn check(&self) -> Result<(), String> {
        hash(&self.sha256).map(drop)
    }
}

// ---- out ----------------------------------------------------------------------------------------------------------

pub(in crate::sqlite) const EXPORT_FILES: &str = concat!(
    "SELECT ",
    file_columns!(),
    ", f.key, (SELECT json_group_array(json_object('message_id', hex(a.message_id), 'n', a.n)
                                       ORDER BY a.message_id, a.n)
                 FROM message_files a WHERE a.account_id = f.account_id AND a.file_id = f.id)
       FROM files f WHERE +f.account_id = ?1 AND f.key > ?2 ORDER BY f.key LIMIT (?3 + 0)"
);

fn read_file(row: &SqliteRow) -> Result<(i64, FileLine), StoreError> {
    let (file, _) = files::read(row)?;
    let mut c = Columns::at("files", row, COLUMNS);
    c.named(file.id);
    let key = c.take("key")?;
    let line = FileLine {
        id: file.id,
        project_id: file.project_id,
        name: file.name,
        media_type: file.media_type,
        size: file.size,
        sha256: hex(&file.sha256),
        author: file.author.as_str().to_owned(),
        message_id: file.message_id,
        messages: c.parsed("messages", |text| serde_json::from_str(text))?,
        created_at: file.created_at,
        judged: None,
    };
    Ok((key, line))
}

/// All files, as they are in this moment: a few hundred bytes each. Their own bytes are read when it is over.
pub(super) async fn list_files(conn: &mut SqliteConnection, account: AccountId) -> Result<Vec<FileLine>, StoreError> {
    let (mut lines, mut after) = (Vec::new(), i64::MIN);
    loop {
        let rows = next_rows(&mut *conn, account, EXPORT_FILES, after, BATCH).await?;
        for row in &rows {
            let (key, line) = read_file(row)?;
            lines.push(line);
            after = key;
        }
        if rows.len() < BATCH {
            return Ok(lines);
        }
    }
}

/// Files whose bytes are there, with them; the others were deleted meanwhile, or `doctor` complains about them.
pub(super) async fn export_files(
    lines: Vec<FileLine>,
    bytes: &dyn FileBytes,
    sink: &mut Sink,
) -> Result<(), StoreError> {
    let mut known = HashMap::new();
    for line in lines {
        let travels = if let Some(travels) = known.get(&line.sha256) {
            *travels
        } else {
            let travels = export_bytes(&line.sha256, bytes, sink).await?;
            known.insert(line.sha256.clone(), travels);
            travels
        };
        if travels {
            sink.write(&Line::File(Box::new(line))).await?;
            sink.report.files += 1;
        } else {
            sink.report.files_left_out += 1;
        }
    }
    Ok(())
}

async fn export_bytes(sha256: &str, bytes: &dyn FileBytes, sink: &Sink) -> Result<bool, StoreError> {
    let Some(hash) = unhex(sha256) else { return Ok(false) };
    let Some(mut file) = open_sound(bytes, hash).await else {
        return Ok(false);
    };
    let failed = file_bytes::failed(hash);
    // An empty file has one piece, too.
    let mut piece = next_piece(&mut file).await.map_err(&failed)?.unwrap_or_default();
    loop {
        let line = BytesLine {
            sha256: sha256.to_owned(),
            bytes: STANDARD.encode(&piece),
        };
        sink.write(&Line::FileBytes(line)).await?;
        match next_piece(&mut file).await.map_err(&failed)? {
            Some(next) => piece = next,
            None => return Ok(true),
        }
    }
}

// ---- in -----------------------------------------------------------------------------------------------------------

/// The bytes that come with an import.
pub(super) struct Arrivals<'a> {
    store: &'a Store,
    bytes: &'a dyn FileBytes,
    open: Option<([u8; 32], Box<dyn ArrivingBytes>)>,
    kept: HashSet<[u8; 32]>,
}

/// Why a line of an import does not do.
enum Refusal {
    Line(String),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<String> for Refusal {
    fn from(detail: String) -> Self {
        Self::Line(detail)
    }
}

impl<'a> Arrivals<'a> {
    pub(super) fn new(store: &'a Store, bytes: &'a dyn FileBytes) -> Self {
        Self {
            store,
            bytes,
            open: None,
            kept: HashSet::new(),
        }
    }

    /// Takes what is about bytes out of a line; answers what is left to be stored.
    pub(super) async fn take(&mut self, number: u64, line: Line) -> Result<Option<Line>, StoreError> {
        let taken = match line {
            Line::FileBytes(line) => self.take_bytes(&line).await.map(|()| None),
            Line::File(line) => self.take_file(line).await.map(|line| Some(Line::File(line))),
            other => return Ok(Some(other)),
        };
        taken.map_err(|refusal| match refusal {
            Refusal::Line(detail) => StoreError::Import { line: number, detail },
            Refusal::Store(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::FileTooLarge => {
                let detail = source.to_string();
                StoreError::Import { line: number, detail }
            }
            Refusal::Store(error) => error,
        })
    }

    async fn take_bytes(&mut self, line: &BytesLine) -> Result<(), Refusal> {
        let sha256 = hash(&line.sha256)?;
        let piece = STANDARD.decode(&line.bytes).map_err(|error| error.to_string())?;
        let bytes = self.bytes;
        let open = match self.open.take() {
            Some((of, open)) if of == sha256 => open,
            // What no file has claimed by now is nobody's.
            Some(_) | None => bytes.begin(),
        };
        let (_, open) = self.open.insert((sha256, open));
        Ok(open.write(piece).await.map_err(file_bytes::failed(sha256))?)
    }

    async fn take_file(&mut self, mut line: Box<FileLine>) -> Result<Box<FileLine>, Refusal> {
        let sha256 = hash(&line.sha256)?;
        let failed = file_bytes::failed(sha256);
        if let Some((_, open)) = self.open.take_if(|(of, _)| *of == sha256) {
            self.store.insert_file_leftover(sha256).await?;
            if !open.keep(sha256).await.map_err(&failed)? {
                return Err(Refusal::Line(
                    "the bytes before it are not those of its hash".to_owned(),
                ));
            }
            self.kept.insert(sha256);
        }
        if !self.kept.contains(&sha256) {
            return Err(Refusal::Line("its bytes do not stand before it".to_owned()));
        }
        let judged = self.bytes.judge(sha256, &line.name).await.map_err(&failed)?;
        if judged.size != line.size {
            return Err(Refusal::Line(format!("it has {} bytes", judged.size)));
        }
        line.judged = Some(judged);
        Ok(line)
    }
}

pub(super) async fn import_file(
    conn: &mut SqliteConnection,
    account: AccountId,
    line: &FileLine,
) -> Result<bool, StoreError> {
    let Some(judged) = &line.judged else {
        return Err(unfit("its bytes are not there"));
    };
    if files::find(&mut *conn, account, line.id).await?.is_some() {
        return Ok(false);
    }
    let file = StoredFile {
        id: line.id,
        project_id: line.project_id,
        name: judged.name.clone(),
        media_type: judged.media_type.clone(),
        size: judged.size,
        sha256: hash(&line.sha256).map_err(unfit)?,
        status: judged.status,
        error: None,
        pages: None,
        author: line.author().map_err(unfit)?,
        message_id: find_message(&mut *conn, account, line.message_id).await?,
        created_at: line.created_at,
    };
    let (id, is_new) = match files::insert(&mut *conn, account, &file).await? {
        FileOutcome::Created(file) => (file.id, true),
        // The owner has uploaded it here, too: it is the same file.
        FileOutcome::Known(file) | FileOutcome::Requeued(file) => (file.id, false),
        FileOutcome::NoSuchProject => return Err(unfit("there is no such project")),
    };
    for sent in &line.messages {
        sqlx::query(
            "INSERT INTO message_files (account_id, message_id, n, file_id)
             SELECT m.account_id, m.id, ?3, ?4 FROM messages m
              WHERE m.account_id = ?1 AND m.id = ?2 AND m.status <> 'forgotten' ON CONFLICT DO NOTHING",
        )
        .bind(account.0)
        .bind(blob(&sent.message_id.0))
        .bind(sent.n)
        .bind(blob(&id.0))
        .execute(&mut *conn)
        .await?;
    }
    Ok(is_new)
}

/// The message, if it is there.
async fn find_message(
    conn: &mut SqliteConnection,
    account: AccountId,
    id: Option<MessageId>,
) -> Result<Option<MessageId>, StoreError> {
    let Some(id) = id else { return Ok(None) };
    let there: i64 = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM messages WHERE account_id = ?1 AND id = ?2)")
        .bind(account.0)
        .bind(blob(&id.0))
        .fetch_one(conn)
        .await?;
    Ok((there != 0).then_some(id))
}
