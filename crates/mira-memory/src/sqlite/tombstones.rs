//! Table `tombstones`: what must not be learnt again. A row is a keyed hash; without the key's file (which lies outside
//! the database) nobody can tell, or try out, what was forgotten.
//!
//! Each text has two digests: one over its words in their order, one over the set of its content words with their
//! common endings dropped, so that the same sentence in another order, tense or case is known again. Case, punctuation
//! and white space make no difference to either.
//!
//! What is forgotten is remembered by its id too (hashed as well, but without a key: an id tells nothing), so that a
//! backup or an export that still holds it does not bring it back: [`Store::forget_again`].

use super::{
    Store,
    error::StoreError,
    messages::json,
    rows::{Columns, ms},
    search::runs,
};
use futures_util::TryStreamExt;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use mira_core::{
    chat::MessageStatus,
    ids::{AccountId, MemoryId},
};
use sha2::{Digest as _, Sha256};
use sqlx::SqliteConnection;
use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

/// What tombstones are made with.
#[derive(Clone)]
pub struct TombstoneKey([u8; 32]);

impl TombstoneKey {
    /// A key of random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for TombstoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TombstoneKey(..)")
    }
}

type Digest = [u8; 32];

/// No digest: the mark that something was forgotten whose bytes are still to be wiped out ([`Store::scrub`]).
const PENDING: Digest = [0; 32];

/// The most sentences of one message that are kept from being learnt.
const MAX_SENTENCES: usize = 64;
/// A sentence with fewer content words says nothing by itself.
const MIN_SENTENCE_WORDS: usize = 2;

/// Words that say nothing about what a sentence claims, the ones for the owner among them: a message says "I", the fact
/// learnt from it "the owner". Negations are content.
const EMPTY_WORDS: &[&str] = &[
    "a", "am", "an", "and", "are", "as", "at", "be", "been", "being", "by", "did", "do", "does", "for", "from", "had",
    "has", "have", "he", "her", "hers", "him", "his", "i", "im", "in", "is", "it", "its", "ive", "me", "mine", "my",
    "of", "on", "or", "our", "owner", "owners", "she", "so", "that", "the", "their", "them", "they", "this", "to",
    "us", "user", "users", "was", "we", "were", "which", "who", "with", "you", "your",
];

/// The words of a text, in lower case. An apostrophe is part of its word.
fn words(text: &str) -> Vec<String> {
    let text: String = text.chars().filter(|c| !matches!(c, '\'' | '\u{2019}')).collect();
    runs(&text).into_iter().map(String::from_iter).collect()
}

/// A text as it is compared: its words in lower case, one space apart.
pub(super) fn normalised(text: &str) -> String {
    words(text).join(" ")
}

/// A word without the endings that tell tense and number, however many.
fn root(word: &str) -> &str {
    let mut word = word;
    loop {
        let kept = |ending: &str| word.strip_suffix(ending).filter(|rest| rest.chars().count() >= 3);
        let rest = kept("ing")
            .or_else(|| kept("ed"))
            .or_else(|| kept("es"))
            .or_else(|| kept("s").filter(|rest| !rest.ends_with('s')))
            .or_else(|| kept("e"));
        match rest {
            Some(rest) => word = rest,
            None => return word,
        }
    }
}

/// The set of a text's content words, all its words if it has none.
fn content_words(text: &str) -> BTreeSet<String> {
    let words = words(text);
    let content: BTreeSet<String> = words
        .iter()
        .filter(|word| !EMPTY_WORDS.contains(&word.as_str()))
        .map(|word| root(word).to_owned())
        .collect();
    if content.is_empty() {
        words.into_iter().collect()
    } else {
        content
    }
}

fn digest(key: &TombstoneKey, account: AccountId, kind: &str, text: &str) -> Option<Digest> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key.0).ok()?;
    for part in [kind.as_bytes(), &account.0.to_be_bytes(), text.as_bytes()] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().into())
}

fn set_digest(key: &TombstoneKey, account: AccountId, words: BTreeSet<String>) -> Option<Digest> {
    let joined = words.into_iter().collect::<Vec<_>>().join(" ");
    digest(key, account, "words", &joined)
}

/// The digests of a sentence; none of a text without words.
pub(super) fn digests(key: &TombstoneKey, account: AccountId, text: &str) -> Vec<Digest> {
    let whole = normalised(text);
    if whole.is_empty() {
        return Vec::new();
    }
    let set = set_digest(key, account, content_words(text));
    digest(key, account, "text", &whole).into_iter().chain(set).collect()
}

/// The digests of a message: of its whole text, and of each of its sentences that claims something.
pub(super) fn message_digests(key: &TombstoneKey, account: AccountId, text: &str) -> Vec<Digest> {
    let mut all = digests(key, account, text);
    let sentences = text
        .split(['.', '!', '?', ';', '\n', '\u{3002}', '\u{2026}'])
        .map(content_words)
        .filter(|words| words.len() >= MIN_SENTENCE_WORDS)
        .take(MAX_SENTENCES);
    all.extend(sentences.filter_map(|words| set_digest(key, account, words)));
    all
}

/// The digest of something forgotten's id.
pub(super) fn id_digest(account: AccountId, id: MemoryId) -> Digest {
    Sha256::new()
        .chain_update(b"id")
        .chain_update(account.0.to_be_bytes())
        .chain_update(id.0.as_bytes())
        .finalize()
        .into()
}

/// Digests as a JSON list of their hex digits.
fn hex(digests: &[Digest]) -> Result<String, StoreError> {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    let hex: Vec<String> = digests
        .iter()
        .map(|digest| {
            digest
                .iter()
                .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
                .collect()
        })
        .collect();
    json(&hex)
}

pub(super) async fn insert(
    conn: &mut SqliteConnection,
    account: AccountId,
    digests: &[Digest],
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR IGNORE INTO tombstones (account_id, digest, created_at)
         SELECT ?1, unhex(value), ?3 FROM json_each(?2)",
    )
    .bind(account.0)
    .bind(hex(digests)?)
    .bind(ms(now))
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes back that a text must stay forgotten: the owner says it again.
pub(super) async fn delete(
    conn: &mut SqliteConnection,
    account: AccountId,
    digests: &[Digest],
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tombstones WHERE account_id = ?1 AND digest IN (SELECT unhex(value) FROM json_each(?2))")
        .bind(account.0)
        .bind(hex(digests)?)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether one of the digests is among the tombstones.
pub(super) async fn find_any(
    conn: &mut SqliteConnection,
    account: AccountId,
    digests: &[Digest],
) -> Result<bool, StoreError> {
    let found: i64 = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM json_each(?2) j CROSS JOIN tombstones t
                         WHERE t.account_id = ?1 AND t.digest = unhex(j.value))",
    )
    .bind(account.0)
    .bind(hex(digests)?)
    .fetch_one(conn)
    .await?;
    Ok(found != 0)
}

/// Notes that bytes of something forgotten are still to be wiped out.
pub(super) async fn mark_pending(
    conn: &mut SqliteConnection,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    insert(conn, account, &[PENDING], now).await
}

/// Whether such bytes are left, of any account.
pub(super) async fn is_pending(conn: &mut SqliteConnection) -> Result<bool, StoreError> {
    let found: i64 = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tombstones WHERE digest = ?1)")
        .bind(PENDING.as_slice())
        .fetch_one(conn)
        .await?;
    Ok(found != 0)
}

pub(super) async fn clear_pending(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tombstones WHERE digest = ?1")
        .bind(PENDING.as_slice())
        .execute(conn)
        .await?;
    Ok(())
}

/// Messages and facts that are there, forgotten messages aside.
const LIST_IDS: &str = "
    SELECT id FROM messages WHERE account_id = ?1 AND status <> ?2
     UNION ALL SELECT id FROM memories WHERE account_id = ?1 AND kind = 'fact'";

/// Those of them that were forgotten once.
async fn list_returned(conn: &mut SqliteConnection, account: AccountId) -> Result<Vec<MemoryId>, StoreError> {
    let digests: HashSet<Vec<u8>> = sqlx::query_scalar("SELECT digest FROM tombstones WHERE account_id = ?1")
        .bind(account.0)
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .collect();
    let mut returned = Vec::new();
    if digests.is_empty() {
        return Ok(returned);
    }
    let mut rows = sqlx::query(LIST_IDS)
        .bind(account.0)
        .bind(MessageStatus::Forgotten.as_str())
        .fetch(conn);
    while let Some(row) = rows.try_next().await? {
        let id = MemoryId(Columns::new("messages", &row).uuid("id")?);
        if digests.contains(id_digest(account, id).as_slice()) {
            returned.push(id);
        }
    }
    Ok(returned)
}

impl Store {
    /// Forgets once more what was forgotten before and has come back by a restored backup or an import; answers what.
    /// Reads all ids. Then call [`Store::scrub`].
    pub async fn forget_again(
        &self,
        account: AccountId,
        key: &TombstoneKey,
        now: Timestamp,
    ) -> Result<Vec<MemoryId>, StoreError> {
        let returned = list_returned(&mut *self.read().await?, account).await?;
        for &id in &returned {
            // A fact may be gone with its evidence by now.
            self.forget(account, id, key, now).await?;
        }
        Ok(returned)
    }

    /// Whether the owner had this text forgotten, in these or nearly these words.
    pub async fn is_tombstoned(&self, account: AccountId, key: &TombstoneKey, text: &str) -> Result<bool, StoreError> {
        find_any(&mut *self.read().await?, account, &digests(key, account, text)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let key = TombstoneKey::new([7; 32]);
        let known = message_digests(&key, AccountId::OWNER, a);
        digests(&key, AccountId::OWNER, b)
            .iter()
            .any(|digest| known.contains(digest))
    }

    #[test]
    fn what_is_the_same() {
        for (a, b, expect) in [
            ("Lives in Graz.", "lives   in GRAZ", true),
            ("Lives in Graz.", "The owner lives in Graz.", true),
            ("I live in Graz", "Lives in Graz.", true),
            ("Lives in Graz.", "In Graz the owner is living.", true),
            ("Lives in Graz.", "Does not live in Graz.", false),
            ("Lives in Graz.", "Works in Graz.", false),
            (
                "So. My dog's name is Rex! He is old.",
                "The owner's dog's name is Rex",
                true,
            ),
            ("Yes. I live in Graz.", "Yes", false),
            ("住んでいます", "住んでいます。", true),
            ("...", "", false),
            ("I", "me", false),
        ] {
            assert_eq!(same(a, b), expect, "{a} / {b}");
        }
    }

    #[test]
    fn another_key_or_account_makes_other_digests() {
        let (key, other) = (TombstoneKey::new([7; 32]), TombstoneKey::new([8; 32]));
        let of = |key, account| digests(key, AccountId(account), "Lives in Graz.");
        assert_ne!(of(&key, 1), of(&other, 1));
        assert_ne!(of(&key, 1), of(&key, 2));
        assert_eq!(format!("{key:?}"), "TombstoneKey(..)");
    }
}
