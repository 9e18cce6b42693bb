//! Finding what should not be there any more: in every table by query, in every file by bytes, and what the scrubbing
//! after a forgetting has to look for. Nothing here is written anywhere.

mod named;

pub use named::NamedRow;

use super::{Store, error::StoreError, search, tombstones::normalised};
use futures_util::TryStreamExt;
use mira_core::ids::{AccountId, MemoryId};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    fs::File,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

/// Bytes of a file read at once.
const BLOCK: usize = 1 << 20;
/// Shorter words are everywhere.
const MIN_WORD_BYTES: usize = 5;
/// The most words looked for after one forgetting; the longest are kept, being the rarest.
const MAX_WORDS: usize = 512;
/// Of each line, how many bytes are looked for as they stand.
const LINE_BYTES: usize = 48;
/// What FTS5's Porter stemmer leaves of a word is at least this many bytes shorter, for the endings English has.
const STEM_CUT: usize = 4;

// ---- bytes --------------------------------------------------------------------------------------------------------

/// Byte strings to look for all at once, whatever the case of ASCII letters.
pub(super) struct Needles {
    all: Vec<Vec<u8>>,
    /// How many bytes the index goes by: up to 4, as many as the shortest has.
    width: usize,
    /// By the first `width` bytes.
    index: HashMap<u32, Vec<usize>>,
    /// Bit set by a hash of the first bytes: nearly every place of a file is passed over by this alone.
    bloom: Vec<u64>,
    longest: usize,
}

impl Needles {
    /// `None` if there is nothing to look for.
    pub(super) fn new<I: IntoIterator<Item = Vec<u8>>>(needles: I) -> Option<Self> {
        let all: Vec<Vec<u8>> = needles
            .into_iter()
            .map(|needle| needle.to_ascii_lowercase())
            .filter(|needle| !needle.is_empty())
            .collect();
        let width = all.iter().map(Vec::len).min()?.min(4);
        let longest = all.iter().map(Vec::len).max()?;
        let mut found = Self {
            width,
            index: HashMap::new(),
            bloom: vec![0; 1024],
            longest,
            all: Vec::new(),
        };
        for (at, needle) in all.iter().enumerate() {
            if let Some(key) = found.key(needle) {
                let (word, bit) = slot(key);
                if let Some(bits) = found.bloom.get_mut(word) {
                    *bits |= bit;
                }
                found.index.entry(key).or_default().push(at);
            }
        }
        found.all = all;
        Some(found)
    }

    /// The first bytes of a place as one number.
    fn key(&self, place: &[u8]) -> Option<u32> {
        let first = place.get(..self.width)?;
        Some(
            first
                .iter()
                .fold(0, |key, byte| key << 8 | u32::from(byte.to_ascii_lowercase())),
        )
    }

    /// Tells of each needle that begins at one of the first `places` bytes: which, and where.
    fn scan(&self, bytes: &[u8], places: usize, found: &mut dyn FnMut(usize, usize)) {
        for at in 0..places {
            let Some(place) = bytes.get(at..) else { return };
            let Some(key) = self.key(place) else { return };
            let (word, bit) = slot(key);
            if self.bloom.get(word).is_none_or(|bits| bits & bit == 0) {
                continue;
            }
            for &which in self.index.get(&key).into_iter().flatten() {
                if let Some(needle) = self.all.get(which)
                    && place
                        .get(..needle.len())
                        .is_some_and(|place| place.eq_ignore_ascii_case(needle))
                {
                    found(which, at);
                }
            }
        }
    }

    pub(super) fn scan_all(&self, bytes: &[u8], found: &mut dyn FnMut(usize, usize)) {
        self.scan(bytes, bytes.len(), found);
    }

    /// The same over a whole file, in blocks that overlap.
    fn scan_file(&self, mut file: impl Read, found: &mut dyn FnMut(usize, u64)) -> io::Result<()> {
        let mut buffer = vec![0; BLOCK + self.longest];
        let (mut filled, mut base) = (0, 0);
        loop {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let read = file.read(room)?;
            filled += read;
            let ended = read == 0;
            let places = if ended {
                filled
            } else {
                (filled + 1).saturating_sub(self.longest)
            };
            let bytes = buffer.get(..filled).unwrap_or_default();
            self.scan(bytes, places, &mut |which, at| found(which, base + at as u64));
            if ended {
                return Ok(());
            }
            buffer.copy_within(places..filled, 0);
            filled -= places;
            base += places as u64;
        }
    }
}

/// Where a key's bit is in the filter of 65536 bits.
fn slot(key: u32) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9E37_79B1) >> 16;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

// ---- what a forgetting leaves to look for -------------------------------------------------------------------------

/// The words of what was forgotten, kept until their bytes are gone, and the memories that are. Never shown.
#[derive(Clone, Default)]
pub(super) struct Traces {
    words: BTreeSet<Vec<u8>>,
    pub(super) ids: Vec<(AccountId, MemoryId)>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces")
            .field("words", &self.words.len())
            .finish_non_exhaustive()
    }
}

impl Traces {
    pub(super) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut traces = Self::default();
        for text in texts {
            traces.add_text(text);
        }
        traces
    }

    pub(super) fn add_text(&mut self, text: &str) {
        let mut add = |bytes: &[u8]| {
            if bytes.len() >= MIN_WORD_BYTES {
                self.words.insert(bytes.to_ascii_lowercase());
            }
        };
        for line in text.lines() {
            let line = line.trim().as_bytes();
            add(line.get(..LINE_BYTES).unwrap_or(line));
        }
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            add(word.as_bytes());
            if !word.is_ascii() {
                add(word.to_lowercase().as_bytes());
            } else if let Some(stem) = word.len().checked_sub(STEM_CUT) {
                add(word.as_bytes().get(..stem).unwrap_or_default());
            }
        }
        self.cut();
    }

    fn cut(&mut self) {
        if self.words.len() > MAX_WORDS {
            let mut words: Vec<Vec<u8>> = std::mem::take(&mut self.words).into_iter().collect();
            words.sort_by_key(|word| std::cmp::Reverse(word.len()));
            words.truncate(MAX_WORDS);
            self.words = words.into_iter().collect();
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.words.extend(other.words);
        self.ids.extend(other.ids);
        self.cut();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.ids.is_empty()
    }
}

/// How many of the words stand in the files though no row holds them: bytes that were left behind.
pub(super) async fn count_left(
    conn: &mut SqliteConnection,
    files: Vec<PathBuf>,
    traces: &Traces,
) -> Result<u32, StoreError> {
    let words: Vec<Vec<u8>> = traces.words.iter().cloned().collect();
    let found = blocking("the database's files".to_owned(), move || find_words(&files, words)).await?;
    let Some(needles) = Needles::new(found) else {
        return Ok(0);
    };
    let mut live = vec![false; needles.all.len()];
    for (table, column, is_text) in list_columns(&mut *conn).await? {
        if !is_text {
            continue;
        }
        let sql = format!("SELECT CAST({column} AS BLOB) FROM {table} WHERE {column} IS NOT NULL");
        let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(&mut *conn);
        while let Some(row) = rows.try_next().await? {
            let bytes: &[u8] = row.try_get(0)?;
            needles.scan_all(bytes, &mut |which, _| {
                if let Some(live) = live.get_mut(which) {
                    *live = true;
                }
            });
        }
        if live.iter().all(|live| *live) {
            return Ok(0);
        }
    }
    Ok(u32::try_from(live.iter().filter(|live| !**live).count()).unwrap_or(u32::MAX))
}

/// The words that stand in the files.
fn find_words(files: &[PathBuf], words: Vec<Vec<u8>>) -> io::Result<Vec<Vec<u8>>> {
    let Some(needles) = Needles::new(words) else {
        return Ok(Vec::new());
    };
    let mut found = BTreeSet::new();
    for path in files {
        match File::open(path) {
            Ok(file) => needles.scan_file(file, &mut |which, _| {
                found.insert(which);
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found
        .into_iter()
        .filter_map(|which| needles.all.get(which).cloned())
        .collect())
}

/// Runs what reads files where blocking is allowed.
async fn blocking<T, F>(what: String, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|source| StoreError::Io { what, source }),
        Err(_) => Err(StoreError::Panicked),
    }
}

// ---- the owner's question -----------------------------------------------------------------------------------------

/// Where a text stands in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The table.
    pub table: String,
    /// The column; `full text` for a search index.
    pub column: String,
    /// In how many rows.
    pub rows: u64,
}

/// A file a text stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// The file.
    pub path: PathBuf,
    /// How often.
    pub times: u64,
    /// Where first, in bytes from its beginning.
    pub first_at: u64,
}

/// A name as SQL reads it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Every column of every ordinary table that can hold a text, quoted, and whether it is no blob.
async fn list_columns(conn: &mut SqliteConnection) -> Result<Vec<(String, String, bool)>, StoreError> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT t.name, c.name, c.type FROM pragma_table_list t JOIN pragma_table_xinfo(t.name) c
          WHERE t.schema = 'main' AND t.type = 'table' AND upper(c.type) NOT IN ('INTEGER', 'REAL', 'BOOLEAN', 'BIGINT')
          ORDER BY t.name, c.cid",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(table, column, kind)| (quoted(&table), quoted(&column), !kind.eq_ignore_ascii_case("blob")))
        .collect())
}

/// A text without white space and control characters around it.
fn visible(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control())
}

/// A text as it may stand in a row.
pub(super) struct Wanted {
    lower: String,
    /// Between spaces, so that it matches whole words; empty if it has none.
    normal: String,
    /// As a JSON string holds it.
    escaped: String,
}

impl Wanted {
    pub(super) fn new(text: &str) -> Self {
        let lower = visible(text).to_lowercase();
        let normal = normalised(text);
        let escaped = serde_json::Value::from(lower.as_str()).to_string();
        Self {
            escaped: escaped.trim_matches('"').to_owned(),
            normal: if normal.is_empty() {
                normal
            } else {
                format!(" {normal} ")
            },
            lower,
        }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.stands_in(&Haystack::new(bytes))
    }

    pub(super) fn stands_in(&self, haystack: &Haystack) -> bool {
        haystack.lower.contains(&self.lower)
            || haystack.lower.contains(&self.escaped)
            || (!self.normal.is_empty() && haystack.normal.contains(&self.normal))
    }
}

/// A row's value, made ready to be searched. Where it is JSON with escapes, its strings follow as they read, also those
/// of JSON within its strings: the arguments of a tool call are such.
pub(super) struct Haystack {
    lower: String,
    normal: String,
}

impl Haystack {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut texts = vec![String::from_utf8_lossy(bytes).into_owned()];
        decode(&mut texts);
        // Two spaces between them, so that no words in a row reach from one into the next.
        let normal: Vec<String> = texts.iter().map(|text| normalised(text)).collect();
        Self {
            lower: texts.join("\n").to_lowercase(),
            normal: format!(" {} ", normal.join("  ")),
        }
    }
}

/// Appends the strings of each text that is a JSON object or list, and so on.
fn decode(texts: &mut Vec<String>) {
    let mut next = 0;
    while let Some(text) = texts.get(next) {
        next += 1;
        if !text.starts_with(['{', '[']) || !text.contains('\\') {
            continue;
        }
        let mut open: Vec<Value> = serde_json::from_str(text).into_iter().collect();
        while let Some(value) = open.pop() {
            match value {
                Value::String(text) => texts.push(text),
                Value::Array(items) => open.extend(items),
                Value::Object(fields) => open.extend(fields.into_iter().map(|(_, value)| value)),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
    }
}

async fn search_column(
    conn: &mut SqliteConnection,
    table: &str,
    column: &str,
    is_text: bool,
    wanted: &Wanted,
) -> Result<u64, StoreError> {
    if is_text {
        let sql = format!("SELECT CAST({column} AS BLOB) FROM {table} WHERE {column} IS NOT NULL");
        let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(conn);
        let mut count = 0;
        while let Some(row) = rows.try_next().await? {
            let bytes: &[u8] = row.try_get(0)?;
            count += u64::from(wanted.is_in(bytes));
        }
        return Ok(count);
    }
    let sql = format!("SELECT count(*) FROM {table} WHERE instr({column}, ?1) > 0");
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(wanted.lower.as_bytes())
        .persistent(false)
        .fetch_one(conn)
        .await?;
    Ok(count.unsigned_abs())
}

/// The full-text tables, quoted, and whether each holds pairs of letters.
async fn list_full_text(conn: &mut SqliteConnection) -> Result<Vec<(String, bool)>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%USING fts5 %'
          ORDER BY name",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(name, sql)| (quoted(&name), sql.contains("grams,")))
        .collect())
}

/// What a full-text index is asked: the words of a text in a row, or its pairs of letters.
fn match_query(text: &str, is_grams: bool) -> Option<String> {
    if is_grams {
        pair_phrase(text)
    } else {
        Some(format!("\"{}\"", text.replace('\0', " ").replace('"', "\"\"")))
    }
}

/// A text's pairs of letters in a row, for the indexes that hold such; `None` where its words suffice.
fn pair_phrase(text: &str) -> Option<String> {
    let grams = search::grams(text)?;
    let mut tokens: Vec<&str> = grams.split_ascii_whitespace().collect();
    if tokens.len() == 1 {
        return Some(format!("{grams}*"));
    }
    // The last letter stands alone only where its word ends there.
    tokens.pop();
    Some(format!("\"{}\"", tokens.join(" ")))
}

impl Store {
    /// Searches every column of every table for a text, whatever its case, punctuation and white space, and every
    /// full-text index for its words in a row. Where it is found: [`Found`]; a text without a visible character is
    /// nowhere, and one of less than 5 bytes is not looked for in blobs. Reads the whole database.
    pub async fn search_forgotten(&self, text: &str) -> Result<Vec<Found>, StoreError> {
        let wanted = Wanted::new(text);
        let mut found = Vec::new();
        if wanted.lower.is_empty() {
            return Ok(found);
        }
        let mut conn = self.read().await?;
        let plain = |quoted: &str| quoted.trim_matches('"').to_owned();
        for (table, column, is_text) in list_columns(&mut conn).await? {
            if plain(&table).starts_with("sqlite_") {
                // The names of tables and columns are nobody's secret.
                continue;
            }
            if !is_text && wanted.lower.len() < MIN_WORD_BYTES {
                // So few bytes stand in some id or hash by chance.
                continue;
            }
            let rows = search_column(&mut conn, &table, &column, is_text, &wanted).await?;
            if rows > 0 {
                found.push(Found {
                    table: plain(&table),
                    column: plain(&column),
                    rows,
                });
            }
        }
        for (table, is_grams) in list_full_text(&mut conn).await? {
            let Some(query) = match_query(text, is_grams) else {
                continue;
            };
            let sql = format!("SELECT count(*) FROM {table} WHERE {table} MATCH ?1");
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(query)
                .persistent(false)
                .fetch_one(&mut *conn)
                .await?;
            if rows > 0 {
                found.push(Found {
                    table: plain(&table),
                    column: "full text".to_owned(),
                    rows: rows.unsigned_abs(),
                });
            }
        }
        Ok(found)
    }
}

/// Searches every file of a folder and the folders in it for the bytes of a text, whatever the case of ASCII letters.
/// Links are not followed. A file that goes away meanwhile is passed over.
pub async fn search_files(dir: &Path, text: &str) -> Result<Vec<FoundFile>, StoreError> {
    let (dir, text) = (dir.to_owned(), visible(text).as_bytes().to_owned());
    blocking(dir.display().to_string(), move || {
        let Some(needle) = Needles::new([text]) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        search_folder(&dir, &needle, &mut found)?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    })
    .await
}

fn search_folder(dir: &Path, needle: &Needles, found: &mut Vec<FoundFile>) -> io::Result<()> {
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let file = match File::open(entry.path()) {
                    Ok(file) => file,
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                let mut times = 0;
                let mut first_at = None;
                needle.scan_file(file, &mut |_, at| {
                    times += 1;
                    first_at.get_or_insert(at);
                })?;
                if let Some(first_at) = first_at {
                    found.push(FoundFile {
                        path: entry.path(),
                        times,
                        first_at,
                    });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(needles: &[&str], bytes: &[u8]) -> Vec<(usize, u64)> {
        let needles = Needles::new(needles.iter().map(|n| n.as_bytes().to_vec())).unwrap();
        let mut found = Vec::new();
        needles
            .scan_file(bytes, &mut |which, at| found.push((which, at)))
            .unwrap();
        found
    }

    #[test]
    fn needles_are_found_at_every_place() {
        assert_eq!(places(&["aab"], b"aaab AAB aab"), [(0, 1), (0, 5), (0, 9)]);
        assert_eq!(places(&["x"], b"axx"), [(0, 1), (0, 2)]);
        assert_eq!(
            places(&["Gr\u{e4}ser", "gras"], "gr\u{e4}ser GRAS".as_bytes()),
            [(0, 0), (1, 8)]
        );
        assert_eq!(places(&["longer than the text"], b"longer"), []);
        assert!(Needles::new([Vec::new()]).is_none());
    }

    #[test]
    fn blocks_overlap() {
        for at in [0, BLOCK - 3, BLOCK - 1, BLOCK, BLOCK + 2, 2 * BLOCK - 1, 3 * BLOCK] {
            let mut bytes = vec![b'.'; at];
            bytes.extend(b"needle");
            assert_eq!(places(&["needle"], &bytes), [(0, at as u64)], "{at}");
            bytes.extend(b"..");
            assert_eq!(
                places(&["needle", "eed"], &bytes),
                [(0, at as u64), (1, at as u64 + 1)],
                "{at}"
            );
        }
    }

    #[test]
    fn texts_are_known_in_other_clothes() {
        let wanted = Wanted::new("He said: \"Lives in Graz\"\n");
        for (text, expect) in [
            ("HE SAID: \"LIVES IN GRAZ\"", true),
            (r#"{"text":"he said: \"Lives in Graz\""}"#, true),
            ("and he said, lives -- in Graz!", true),
            ("he said lives in Grazia", false),
            (
                r#"{"arguments":"{\"text\":\"He said:\\n\\\"Lives in Graz\\\"\"}"}"#,
                true,
            ),
            (r#"["{\"text\":\"l\\u0069ves in Graz, he said\"}"]"#, false),
            (r#"["{\"text\":\"He said: l\\u0069ves in Graz\"}"]"#, true),
        ] {
            assert_eq!(wanted.is_in(text.as_bytes()), expect, "{text}");
        }
    }
}
