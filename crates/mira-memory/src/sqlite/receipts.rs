//! Table `receipts`: what each reply was made of. A receipt names memories by id and holds no text of theirs; what is
//! forgotten meanwhile is left out when it is read, and taken out of the row by [`Store::scrub`].

use super::{
    Store,
    error::StoreError,
    messages::json,
    outbox::{hex_list, parse_kind},
    rows::{Columns, blob, ms},
};
use mira_core::{
    ids::{AccountId, MemoryId, MessageId},
    memory::{Fate, LeftOut, Receipt, ReceiptItem, Scores},
};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use std::collections::HashSet;

/// Receipts cleaned in one transaction.
const SLICE: i64 = 500;

/// An item as its column holds it.
#[derive(Serialize, Deserialize)]
struct Item {
    memory_id: MemoryId,
    kind: String,
    fate: String,
    lexical: f32,
    cosine: f32,
    bonus: f32,
    total: f32,
    rank: u32,
    tokens: u32,
    reason: String,
}

impl From<&ReceiptItem> for Item {
    fn from(item: &ReceiptItem) -> Self {
        Self {
            memory_id: item.memory_id,
            kind: item.kind.as_str().to_owned(),
            fate: item.fate.as_str().to_owned(),
            lexical: item.scores.lexical,
            cosine: item.scores.cosine,
            bonus: item.scores.bonus,
            total: item.scores.total,
            rank: item.rank,
            tokens: item.tokens,
            reason: item.reason.clone(),
        }
    }
}

impl Item {
    fn parse(self) -> Result<ReceiptItem, String> {
        let fate = [Fate::Used, Fate::Dropped, Fate::Considered]
            .into_iter()
            .find(|fate| fate.as_str() == self.fate)
            .ok_or_else(|| super::messages::unknown(&self.fate))?;
        Ok(ReceiptItem {
            memory_id: self.memory_id,
            kind: parse_kind(&self.kind)?,
            fate,
            scores: Scores {
                lexical: self.lexical,
                cosine: self.cosine,
                bonus: self.bonus,
                total: self.total,
            },
            rank: self.rank,
            tokens: self.tokens,
            reason: self.reason,
        })
    }
}

fn parse_items(text: &str) -> Result<Vec<ReceiptItem>, String> {
    let items: Vec<Item> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    items.into_iter().map(Item::parse).collect()
}

/// Stores a receipt, without what was forgotten in the turn itself; the message must be there. For the transaction that
/// stores the reply.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    account: AccountId,
    receipt: &Receipt,
) -> Result<(), StoreError> {
    let ids: Vec<MemoryId> = receipt.items.iter().map(|item| item.memory_id).collect();
    let gone = find_gone(conn, account, &ids).await?;
    let there = receipt.items.iter().filter(|item| !gone.contains(&item.memory_id));
    let items: Vec<Item> = there.map(Item::from).collect();
    sqlx::query(
        "INSERT INTO receipts
             (account_id, message_id, prompt_hash, items, parts, left_out_messages, left_out_notes, degraded, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (account_id, message_id) DO NOTHING",
    )
    .bind(account.0)
    .bind(blob(&receipt.message_id.0))
    .bind(receipt.prompt_hash.as_slice())
    .bind(json(&items)?)
    .bind(json(&receipt.parts)?)
    .bind(receipt.left_out.messages)
    .bind(receipt.left_out.notes)
    .bind(receipt.degraded.as_deref())
    .bind(ms(receipt.created_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// The memories of these that are not there any more: mostly none, where those that are would be a hundred rows.
async fn find_gone(
    conn: &mut SqliteConnection,
    account: AccountId,
    ids: &[MemoryId],
) -> Result<HashSet<MemoryId>, StoreError> {
    let rows = sqlx::query(
        "SELECT unhex(j.value) AS id FROM json_each(?2) j
          WHERE NOT EXISTS (SELECT 1 FROM memories k WHERE k.account_id = ?1 AND k.id = unhex(j.value))",
    )
    .bind(account.0)
    .bind(hex_list(ids)?)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Columns::new("memories", row).uuid("id").map(MemoryId))
        .collect()
}

/// `?2` after this message, `?3` up to this one, `?4` the ids that are gone, as text.
const PRUNE: &str = "
    UPDATE receipts SET items =
           (SELECT json_group_array(json(j.value) ORDER BY j.key) FROM json_each(items) j
             WHERE j.value ->> 'memory_id' NOT IN (SELECT value FROM json_each(?4)))
     WHERE account_id = ?1 AND message_id > ?2 AND message_id <= ?3
       AND EXISTS (SELECT 1 FROM json_each(?4) g WHERE instr(items, g.value))";

/// Takes the lines of memories that are gone out of one slice of receipts; answers where it ended, `None` at the end.
pub(super) async fn prune_slice(
    conn: &mut SqliteConnection,
    account: AccountId,
    gone: &[MemoryId],
    after: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let end: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT max(message_id) FROM (SELECT message_id FROM receipts WHERE account_id = ?1 AND message_id > ?2
                                       ORDER BY message_id LIMIT (?3 + 0))",
    )
    .bind(account.0)
    .bind(after)
    .bind(SLICE)
    .fetch_one(&mut *conn)
    .await?;
    let Some(end) = end else { return Ok(None) };
    sqlx::query(PRUNE)
        .bind(account.0)
        .bind(after)
        .bind(end.as_slice())
        .bind(json(&gone)?)
        .execute(conn)
        .await?;
    Ok(Some(end))
}

impl Store {
    /// What a reply was made of; memories that are gone by now are left out.
    pub async fn find_receipt(&self, account: AccountId, message: MessageId) -> Result<Option<Receipt>, StoreError> {
        let mut conn = self.read().await?;
        let row = sqlx::query(
            "SELECT prompt_hash, items, parts, left_out_messages, left_out_notes, degraded, created_at FROM receipts
              WHERE account_id = ?1 AND message_id = ?2",
        )
        .bind(account.0)
        .bind(blob(&message.0))
        .fetch_optional(&mut *conn)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut c = Columns::new("receipts", &row);
        c.named(message);
        let hash: &[u8] = c.take("prompt_hash")?;
        let mut receipt = Receipt {
            message_id: message,
            prompt_hash: hash.try_into().map_err(|error| c.bad("prompt_hash", error))?,
            items: c.parsed("items", parse_items)?,
            parts: c.parsed("parts", |text| serde_json::from_str(text))?,
            left_out: LeftOut {
                messages: c.take("left_out_messages")?,
                notes: c.take("left_out_notes")?,
            },
            degraded: c.take("degraded")?,
            created_at: c.time("created_at")?,
        };
        let ids: Vec<MemoryId> = receipt.items.iter().map(|item| item.memory_id).collect();
        let gone = find_gone(&mut conn, account, &ids).await?;
        receipt.items.retain(|item| !gone.contains(&item.memory_id));
        Ok(Some(receipt))
    }
}
