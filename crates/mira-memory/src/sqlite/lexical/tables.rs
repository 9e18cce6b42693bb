//! The two tables of documents: their statements, and what they answer read into values.

use super::{
    super::{error::StoreError, messages::json, rows::int},
    terms::{Counts, Everywhere, Known, Term, Terms, within_budget},
};
use mira_core::ids::MemoryId;
use sqlx::SqliteConnection;
use std::collections::HashSet;
use uuid::Uuid;

/// Places read of a term that is not known to be common, before it is counted.
const FIRST_LOOK: u64 = 1500;
/// Tables of fewer documents are counted each time.
pub(super) const FEW: u64 = 5000;
/// Documents the mean length is taken of; of fewer it is exact.
const SAMPLE: i64 = 2000;

/// The statements for one of the two tables. Each answers one row, because each row of its own would wake the waiting
/// task, and costs more than what stands in it.
pub(super) struct Table {
    pub name: &'static str,
    /// How many documents there are, and the newest. A walk over all of them.
    pub documents: &'static str,
    /// Lengths of about [`SAMPLE`] documents.
    pub sample: &'static str,
    /// `?1` and `?3` JSON lists of `[low, high]`, `?2` the most places of each of the first. The newest document, and for
    /// both lists the places of each term: keys with commas between, `;` between terms.
    pub places: &'static str,
    /// `?1` JSON list of `[low, high]`: `df:instances` of each with commas between.
    pub count: &'static str,
    /// `?1` the query, `?2` the most: the newest documents that hold it.
    pub newest: &'static str,
    /// `?1` JSON list of keys: `place:length` in hex with commas between.
    pub lengths: &'static str,
    /// `?1` account, `?2` JSON list of keys, `?3` project, `?4` JSON list of kinds: `place:id:length` in hex with commas
    /// between.
    pub wanted: &'static str,
}

/// A query for the places of each of the terms between `?`'s bounds. The bounds are read out of their JSON once
/// (`MATERIALIZED`): as an expression of the inner query they would be read again at every place.
macro_rules! places {
    ($bounds:literal, $instances:literal, $is:literal, $limit:literal) => {
        concat!(
            "(WITH b AS MATERIALIZED (SELECT key AS n, value ->> 0 AS low, value ->> 1 AS high FROM json_each(",
            $bounds,
            "))
              SELECT group_concat(places, ';' ORDER BY n) FROM (
                     SELECT b.n, coalesce((SELECT group_concat(doc) FROM (
                            SELECT i.doc FROM ",
            $instances,
            " i WHERE ",
            $is,
            " ",
            $limit,
            ")), '') AS places FROM b))"
        )
    };
}

macro_rules! table {
    ($fts:literal, $vocab:literal, $instances:literal, $is:literal) => {
        Table {
            name: $fts,
            documents: concat!(
                "SELECT (SELECT count(*) FROM ",
                $fts,
                "_docsize), coalesce((SELECT max(id) FROM ",
                $fts,
                "_docsize), 0)"
            ),
            sample: concat!(
                "WITH RECURSIVE ids (id, step) AS (
                     SELECT min(id), max(1, (max(id) - min(id)) / ?1) FROM ",
                $fts,
                "_docsize
                      UNION ALL
                     SELECT (SELECT d.id FROM ",
                $fts,
                "_docsize d WHERE d.id >= i.id + i.step ORDER BY d.id LIMIT 1), step FROM ids i WHERE i.id IS NOT NULL)
                 SELECT group_concat(hex(d.sz)) FROM ids i CROSS JOIN ",
                $fts,
                "_docsize d ON d.id = i.id"
            ),
            places: concat!(
                "SELECT coalesce((SELECT max(id) FROM ",
                $fts,
                "_docsize), 0), ",
                places!("?1", $instances, $is, "LIMIT (?2 + 0)"),
                ", ",
                places!("?3", $instances, $is, "")
            ),
            count: concat!(
                "SELECT group_concat(counts ORDER BY n) FROM (
                        SELECT b.key AS n, (SELECT coalesce(sum(v.doc), 0) || ':' || coalesce(sum(v.cnt), 0) FROM ",
                $vocab,
                " v WHERE v.term >= b.value ->> 0 AND v.term <= b.value ->> 1) AS counts FROM json_each(?1) b)"
            ),
            newest: concat!(
                "SELECT group_concat(key) FROM (
                        SELECT rowid AS key FROM ",
                $fts,
                " WHERE ",
                $fts,
                " MATCH ?1 ORDER BY rowid DESC LIMIT (?2 + 0))"
            ),
            lengths: concat!(
                "SELECT group_concat(j.key || ':' || hex(d.sz)) FROM json_each(?1) j CROSS JOIN ",
                $fts,
                "_docsize d ON d.id = j.value"
            ),
            wanted: concat!(
                "SELECT group_concat(j.key || ':' || hex(k.id) || ':' || hex(d.sz))
                   FROM json_each(?2) j CROSS JOIN memories k ON k.key = j.value CROSS JOIN ",
                $fts,
                "_docsize d ON d.id = j.value
                  WHERE k.account_id = ?1 AND (?3 IS NULL OR k.project_id = ?3)
                    AND (?4 = '[]' OR k.kind IN (SELECT value FROM json_each(?4)))"
            ),
        }
    };
}

pub(super) const WORDS: Table = table!("recall_fts", "recall_vocab", "recall_terms", "i.term = b.low");
/// One letter alone is every pair that begins with it.
pub(super) const PAIRS: Table = table!(
    "recall_grams",
    "recall_pair_vocab",
    "recall_pairs",
    "i.term >= b.low AND i.term <= b.high"
);

/// `?1` account, `?2` JSON list of keys: `place:id` in hex with commas between.
pub(super) const OWNED: &str = "
    SELECT group_concat(j.key || ':' || hex(k.id)) FROM json_each(?2) j CROSS JOIN memories k ON k.key = j.value
     WHERE k.account_id = ?1";

/// FTS5's variable-length integer: seven bits a byte, the highest first, the ninth byte whole. Answers what is left.
pub(super) fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let mut value = 0;
    for (at, &byte) in bytes.iter().enumerate().take(9) {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        if at == 8 {
            return (value << 8 | u64::from(byte), rest);
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return (value, rest);
        }
    }
    (value, &[])
}

/// How many documents there are, and their mean length.
#[derive(Clone, Copy)]
pub(super) struct Totals {
    pub documents: u64,
    pub length: f64,
}

pub(super) async fn count_documents(
    conn: &mut SqliteConnection,
    table: &Table,
    known: &Terms,
) -> Result<u64, StoreError> {
    let (documents, newest): (i64, i64) = sqlx::query_as(table.documents).fetch_one(conn).await?;
    let documents = documents.unsigned_abs();
    known.counted().documents.insert(table.name, (documents, newest));
    Ok(documents)
}

/// The totals of a table whose newest document is `newest`.
async fn find_totals(
    conn: &mut SqliteConnection,
    table: &Table,
    known: &Terms,
    newest: i64,
) -> Result<Totals, StoreError> {
    let documents = match known.documents(table, newest) {
        Some(documents) => documents,
        None => count_documents(&mut *conn, table, known).await?,
    };
    let length = known
        .counted()
        .length
        .get(table.name)
        .and_then(|known| known.now(documents));
    if let Some(length) = length {
        return Ok(Totals { documents, length });
    }
    let lengths: Option<String> = sqlx::query_scalar(table.sample).bind(SAMPLE).fetch_one(conn).await?;
    let (mut sum, mut count) = (0, 0);
    for length in split(lengths.as_deref(), ',') {
        sum += read_varint(length).ok_or_else(|| bad(table, length))?;
        count += 1;
    }
    let length = sum.max(1) as f64 / f64::from(count.max(1));
    known.counted().length.insert(
        table.name,
        Known {
            value: length,
            documents,
        },
    );
    Ok(Totals { documents, length })
}

fn bounds(terms: &[&mut Term]) -> Result<String, StoreError> {
    let bounds: Vec<_> = terms.iter().map(|term| (&term.low, &term.high)).collect();
    json(&bounds)
}

/// The parts of what `group_concat` made.
pub(super) fn split(list: Option<&str>, between: char) -> impl Iterator<Item = &str> {
    let list = list.filter(|list| !list.is_empty());
    list.into_iter().flat_map(move |list| list.split(between))
}

pub(super) fn bad(table: &Table, text: &str) -> StoreError {
    StoreError::Row {
        table: table.name,
        column: "key",
        row: text.chars().take(40).collect(),
        detail: "not what was asked".to_owned(),
    }
}

/// Keys with commas between. A question brings thousands of them, so each is read digit by digit and no text is cut out
/// for it.
pub(super) fn keys(table: &Table, list: &str) -> Result<Vec<i64>, StoreError> {
    let mut keys = Vec::with_capacity(list.len() / 4);
    let mut key: Option<i64> = None;
    for byte in list.bytes() {
        let digit = match byte {
            b'0'..=b'9' => i64::from(byte - b'0'),
            b',' => {
                keys.extend(key.take());
                continue;
            }
            _ => return Err(bad(table, list)),
        };
        let more = key.unwrap_or(0).checked_mul(10).and_then(|key| key.checked_add(digit));
        key = Some(more.ok_or_else(|| bad(table, list))?);
    }
    keys.extend(key);
    Ok(keys)
}

/// Reads where terms stand: the first `FIRST_LOOK` places of those nothing is known of, every place of the others. Answers
/// the newest document. What was read to its end is counted by that.
async fn list_places(
    conn: &mut SqliteConnection,
    table: &Table,
    mut unknown: Vec<&mut Term>,
    mut wanted: Vec<&mut Term>,
) -> Result<i64, StoreError> {
    let (newest, first, whole): (i64, Option<String>, Option<String>) = sqlx::query_as(table.places)
        .bind(bounds(&unknown)?)
        .bind(int(FIRST_LOOK + 1))
        .bind(bounds(&wanted)?)
        .fetch_one(conn)
        .await?;
    for (terms, lists, limit) in [(&mut unknown, first, FIRST_LOOK), (&mut wanted, whole, u64::MAX)] {
        // A list of one term that stands nowhere is empty, as is that of no term.
        let mut lists = lists.as_deref().unwrap_or_default().split(';');
        for term in terms {
            let mut places = keys(table, lists.next().unwrap_or_default())?;
            let instances = places.len() as u64;
            if instances > limit {
                continue;
            }
            // In order already, but for ranges of several terms.
            places.sort_unstable();
            let df = places.chunk_by(|a, b| a == b).count() as u64;
            term.counts = Some(Counts { df, instances });
            term.places = Some(places);
        }
    }
    Ok(newest)
}

async fn count(conn: &mut SqliteConnection, table: &Table, mut terms: Vec<&mut Term>) -> Result<(), StoreError> {
    if terms.is_empty() {
        return Ok(());
    }
    let list: Option<String> = sqlx::query_scalar(table.count)
        .bind(bounds(&terms)?)
        .fetch_one(conn)
        .await?;
    for (term, counts) in terms.iter_mut().zip(split(list.as_deref(), ',')) {
        let read = || {
            let (df, instances) = counts.split_once(':')?;
            Some(Counts {
                df: df.parse().ok()?,
                instances: instances.parse().ok()?,
            })
        };
        term.counts = Some(read().ok_or_else(|| bad(table, counts))?);
    }
    Ok(())
}

/// Counts the terms and reads where those stand that are within the budget.
pub(super) async fn read_terms(
    conn: &mut SqliteConnection,
    table: &Table,
    terms: &mut [Term],
    known: &Terms,
) -> Result<Totals, StoreError> {
    let documents = known.recollect(terms, table);
    let fits = within_budget(terms, documents, Everywhere::Not);
    let (mut unknown, mut wanted) = (Vec::new(), Vec::new());
    for (at, term) in terms.iter_mut().enumerate() {
        match term.counts {
            None => unknown.push(term),
            Some(_) if fits.contains(&at) => wanted.push(term),
            Some(_) => {}
        }
    }
    let newest = list_places(&mut *conn, table, unknown, wanted).await?;
    let totals = find_totals(&mut *conn, table, known, newest).await?;
    count(
        &mut *conn,
        table,
        terms.iter_mut().filter(|term| term.counts.is_none()).collect(),
    )
    .await?;
    known.remember(terms, totals.documents);
    // Those that were just found to be common, and are wanted all the same.
    let fits = within_budget(terms, totals.documents, Everywhere::Not);
    read_rest(conn, table, terms, &fits).await?;
    Ok(totals)
}

/// Where those terms stand that were not read yet.
pub(super) async fn read_rest(
    conn: &mut SqliteConnection,
    table: &Table,
    terms: &mut [Term],
    fits: &HashSet<usize>,
) -> Result<(), StoreError> {
    let all = terms.iter_mut().enumerate();
    let wanted: Vec<&mut Term> = all
        .filter(|(at, term)| term.places.is_none() && fits.contains(at))
        .map(|(_, term)| term)
        .collect();
    if !wanted.is_empty() {
        list_places(conn, table, Vec::new(), wanted).await?;
    }
    Ok(())
}

/// `place:id:length`.
pub(super) fn read_length(text: &str) -> Option<(usize, MemoryId, u64)> {
    let mut parts = text.split(':');
    let (at, id, length) = (parts.next()?, parts.next()?, parts.next()?);
    Some((
        at.parse().ok()?,
        MemoryId(Uuid::try_parse(id).ok()?),
        read_varint(length)?,
    ))
}

/// A variable-length integer in hex.
pub(super) fn read_varint(hex: &str) -> Option<u64> {
    let mut bytes = [0; 9];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(varint(&bytes).0)
}
