//! Full-text search: tables `messages_fts` (by word, kept by triggers) and `messages_grams` (by pairs of letters, for
//! scripts written without spaces and letters FTS5 does not know; filled here).
//!
//! Law: any text is a valid query, and every message is found by each of its words that holds a letter or a digit.
//! A message with at least one letter of such a script is in both tables as a whole, so that either table alone can
//! answer for it; the results are the union. Hits come newest first, not by rank: the pages are stable while messages
//! arrive, and a common word costs no more than a rare one.

use super::{
    Listed, Page, Store,
    error::StoreError,
    messages::{MESSAGE_COLUMNS, message_columns, read},
    ord_cursor,
    rows::{Columns, int},
};
use mira_core::{chat::Message, ids::AccountId};
use sqlx::sqlite::SqliteRow;
use std::{collections::BTreeMap, ops::Range};

ord_cursor! {
    /// A place in the results of a search.
    SearchCursor
}

/// Stands before a match in a snippet (a private-use character, so that no text needs escaping for it).
pub const HIT_START: char = '\u{E000}';
/// Stands after a match in a snippet.
pub const HIT_END: char = '\u{E001}';

/// The most words of a query that count.
const MAX_WORDS: usize = 32;
/// The most characters of a query that count.
const MAX_CHARS: usize = 1024;
/// Characters before and after the first match in a snippet made here.
const SNIPPET_CHARS: usize = 80;
/// How far into a message a snippet looks for its match.
const SNIPPET_REACH: usize = 1 << 16;

/// A found message.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    /// The message.
    pub message: Message,
    /// The title of its session.
    pub session_title: Option<String>,
    /// A stretch of its text; matches stand between [`HIT_START`] and [`HIT_END`].
    pub snippet: String,
}

// ---- letters ------------------------------------------------------------------------------------------------------

/// Letters and digits that `unicode61` knows as parts of words, in scripts that separate words by spaces. A test holds
/// these ranges against FTS5.
const SPACED: &[(u32, u32)] = &[
    (0x0000, 0x024F), // Latin
    (0x0250, 0x02AF), // IPA
    (0x0388, 0x0481), // Greek, Cyrillic
    (0x048A, 0x0527), // Cyrillic
    (0x0531, 0x0556), // Armenian
    (0x0561, 0x0587), // Armenian
    (0x05D0, 0x05EA), // Hebrew
    (0x0620, 0x064A), // Arabic
    (0x0660, 0x0669), // Arabic digits
    (0x0671, 0x06D3), // Arabic
    (0x06F0, 0x06FC), // Arabic
    (0x0904, 0x0939), // Devanagari
    (0x0966, 0x096F), // Devanagari digits
    (0x1E00, 0x1FFF), // Latin, Greek with accents
];

/// Whether a letter or digit makes its message searched by pairs of letters.
pub(super) fn needs_grams(c: char) -> bool {
    let code = u32::from(c);
    !SPACED.iter().any(|&(first, last)| (first..=last).contains(&code)) && c.is_alphanumeric()
}

/// Runs of letters and digits, in lower case.
pub(super) fn runs(text: &str) -> Vec<Vec<char>> {
    let mut runs = Vec::new();
    let mut run = Vec::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            run.push(c);
        } else if !run.is_empty() {
            runs.push(std::mem::take(&mut run));
        }
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

/// A letter as a part of a token: plain ASCII of fixed width, so that no tokenizer and no letter is special.
pub(super) fn write_letter(out: &mut String, c: char) {
    out.push('x');
    for shift in [20, 16, 12, 8, 4, 0] {
        out.push(char::from_digit((u32::from(c) >> shift) & 0xf, 16).unwrap_or('0'));
    }
}

/// The tokens of a message for `messages_grams`: of each run its pairs of neighbours and its last letter alone. `None`
/// if words suffice for it.
pub(super) fn grams(content: &str) -> Option<String> {
    if content.is_ascii() || !content.chars().any(needs_grams) {
        return None;
    }
    let mut out = String::with_capacity(content.len() * 6);
    for run in runs(content) {
        let next = run.iter().skip(1).map(Some).chain([None]);
        for (&c, next) in run.iter().zip(next) {
            write_letter(&mut out, c);
            if let Some(&next) = next {
                write_letter(&mut out, next);
            }
            out.push(' ');
        }
    }
    Some(out)
}

// ---- queries ------------------------------------------------------------------------------------------------------

/// What is asked of the two tables.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// For `messages_fts`.
    pub words: String,
    /// For `messages_grams`.
    pub grams: String,
    /// The runs to mark in a snippet made here.
    pub runs: Vec<Vec<char>>,
}

/// The query a text stands for; `None` if it holds nothing that can be searched. All words must match; the last one
/// also matches as the beginning of a longer word, unless white space follows it.
pub(super) fn parse(text: &str) -> Option<Query> {
    let cut = text
        .char_indices()
        .nth(MAX_CHARS)
        .map_or(text, |(end, _)| text.get(..end).unwrap_or(text));
    let separates = |c: char| c.is_whitespace() || c.is_control();
    let words: Vec<&str> = cut
        .split(separates)
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .take(MAX_WORDS)
        .collect();
    let open = !cut.ends_with(separates);
    let mut query = Query {
        words: String::new(),
        grams: String::new(),
        runs: Vec::new(),
    };
    for (i, word) in words.iter().enumerate() {
        let last = i + 1 == words.len();
        let prefix = if last && open { "*" } else { "" };
        // Quoted, so that no operator of FTS5 is one; a quote is doubled.
        query
            .words
            .extend(["\"", &word.replace('"', "\"\""), "\"", prefix, " "]);
        for run in runs(word) {
            write_gram_phrase(&mut query.grams, &run);
            query.runs.push(run);
        }
    }
    (!query.runs.is_empty()).then_some(query)
}

/// The phrase of pairs a run must be found by; one letter alone is the beginning of a pair.
fn write_gram_phrase(out: &mut String, run: &[char]) {
    out.push('"');
    if let [only] = run {
        write_letter(out, *only);
        out.push_str("\"* ");
        return;
    }
    for pair in run.windows(2) {
        for &c in pair {
            write_letter(out, c);
        }
        out.push(' ');
    }
    out.push_str("\" ");
}

// ---- snippets -----------------------------------------------------------------------------------------------------

/// A stretch of the text around the first match, with all matches in it marked.
fn snippet(content: &str, runs: &[Vec<char>]) -> String {
    let text: Vec<char> = content.chars().take(SNIPPET_REACH).collect();
    // One letter each, so that places stay the same; letters that grow in lower case are not worth more.
    let folded: Vec<char> = text.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
    let mut hits: Vec<Range<usize>> = runs
        .iter()
        .flat_map(|run| {
            folded
                .windows(run.len().max(1))
                .enumerate()
                .filter(move |(_, window)| *window == run.as_slice())
                .map(move |(at, _)| at..at + run.len())
        })
        .collect();
    hits.sort_by_key(|hit| (hit.start, hit.end));
    let first = hits.first().map_or(0, |hit| hit.start);
    let shown = first.saturating_sub(SNIPPET_CHARS)..text.len().min(first + SNIPPET_CHARS);
    let mut out = String::new();
    if shown.start > 0 {
        out.push('…');
    }
    let mut marked = false;
    for (at, &c) in text.iter().enumerate().take(shown.end).skip(shown.start) {
        let inside = hits
            .iter()
            .take_while(|hit| hit.start <= at)
            .any(|hit| hit.contains(&at));
        if inside != marked {
            out.push(if inside { HIT_START } else { HIT_END });
            marked = inside;
        }
        out.push(c);
    }
    if marked {
        out.push(HIT_END);
    }
    if shown.end < text.len() {
        out.push('…');
    }
    out
}

// ---- the store ----------------------------------------------------------------------------------------------------

macro_rules! search_sql {
    ($table:literal, $snippet:literal) => {
        concat!(
            "SELECT ",
            message_columns!(),
            ", s.title, ",
            $snippet,
            " FROM ",
            $table,
            " f CROSS JOIN messages m ON m.ord = f.rowid
              CROSS JOIN sessions s ON s.account_id = m.account_id AND s.id = m.session_id
              WHERE ",
            $table,
            " MATCH ?2 AND f.rowid < ?3 AND m.account_id = ?1 AND m.status <> 'forgotten'
              ORDER BY f.rowid DESC LIMIT (?4 + 0)"
        )
    };
}

const BY_WORD: &str = search_sql!(
    "messages_fts",
    "snippet(messages_fts, 0, char(57344), char(57345), '…', 24)"
);
const BY_GRAM: &str = search_sql!("messages_grams", "NULL");

fn read_hit(row: &SqliteRow, runs: &[Vec<char>]) -> Result<(i64, SearchHit), StoreError> {
    let placed = read(row)?;
    let mut c = Columns::at("messages_fts", row, MESSAGE_COLUMNS);
    c.named(placed.ord);
    let session_title = c.take("title")?;
    let made: Option<String> = c.take("snippet")?;
    let snippet = made.unwrap_or_else(|| snippet(&placed.message.content, runs));
    Ok((
        placed.ord,
        SearchHit {
            message: placed.message,
            session_title,
            snippet,
        },
    ))
}

impl Store {
    /// Messages that hold all words of the text, newest first. The last word also matches as the beginning of a longer
    /// one, unless white space follows it. Of the text the first 1024 characters and 32 words count; a text without a
    /// letter or digit finds nothing.
    pub async fn search(
        &self,
        account: AccountId,
        text: &str,
        page: Page<SearchCursor>,
    ) -> Result<Listed<SearchHit, SearchCursor>, StoreError> {
        let Some(query) = parse(text) else {
            return Ok(Listed {
                items: Vec::new(),
                next: None,
            });
        };
        let limit = page.rows();
        let before = page.cursor.map_or(i64::MAX, |cursor| cursor.0);
        let mut conn = self.read().await?;
        let mut hits = BTreeMap::new();
        // The words' table last: its snippets are the better ones.
        for (sql, asked) in [(BY_GRAM, &query.grams), (BY_WORD, &query.words)] {
            let rows = sqlx::query(sql)
                .bind(account.0)
                .bind(asked.as_str())
                .bind(before)
                .bind(int(limit as u64 + 1))
                .fetch_all(&mut *conn)
                .await?;
            for row in &rows {
                let (ord, hit) = read_hit(row, &query.runs)?;
                hits.insert(ord, hit);
            }
        }
        let newest_first = hits
            .into_iter()
            .rev()
            .map(|(ord, hit)| (hit, SearchCursor(ord)))
            .take(limit + 1);
        Ok(Listed::cut(newest_first.collect(), limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, words: &str) {
        assert_eq!(
            parse(text).map(|query| query.words),
            (!words.is_empty()).then(|| words.to_owned()),
            "{text:?}"
        );
    }

    #[test]
    fn queries_are_quoted() {
        check("", "");
        check("  !? \" ", "");
        check("hello", "\"hello\"* ");
        check("hello ", "\"hello\" ");
        check("a AND b", "\"a\" \"AND\" \"b\"* ");
        check("say \"no\"", "\"say\" \"\"\"no\"\"\"* ");
        check("x\0y", "\"x\" \"y\"* ");
        check("content:foo* ^bar NEAR(", "\"content:foo*\" \"^bar\" \"NEAR(\"* ");
    }

    #[test]
    fn grams_only_where_needed() {
        assert_eq!(grams("plain"), None);
        assert_eq!(grams("déjà vu, straße, Привет"), None);
        assert_eq!(grams("東京 a").unwrap(), "x006771x004eac x004eac x000061 ");
    }

    #[test]
    fn snippets_mark_every_match() {
        let marked = snippet(
            "昨日Rustを勉強した。rust!",
            &[vec!['r', 'u', 's', 't'], vec!['勉', '強']],
        );
        assert_eq!(
            marked,
            "昨日\u{E000}Rust\u{E001}を\u{E000}勉強\u{E001}した。\u{E000}rust\u{E001}!"
        );
        assert_eq!(snippet("abc", &[vec!['z']]), "abc");
        let long = snippet(
            &format!("{}東京{}", "あ".repeat(500), "い".repeat(500)),
            &[vec!['東', '京']],
        );
        assert!(
            long.starts_with('…') && long.ends_with('…') && long.contains("\u{E000}東京\u{E001}"),
            "{long}"
        );
    }
}
