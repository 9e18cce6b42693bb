//! `doctor --forgotten TEXT`: looks for a text everywhere Mira keeps anything, to show that what was forgotten is gone.
//! Reads only, also beside a running server. The text itself is never printed, logged or written.

use super::{CliError, progress, say};
use crate::config::Config;
use mira_core::chat::one_line;
use mira_memory::{Found, NamedRow, Store, StoreError, search_files};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Bytes of a file read at once.
const BLOCK: usize = 1 << 20;
/// The most rows of one place that are named one by one.
const MOST_NAMED: usize = 20;
/// The longest piece of a session's title that is shown, in characters.
const MOST_TITLE: usize = 80;

pub(super) async fn run(config: &Config, text: &str) -> Result<ExitCode, CliError> {
    if text.trim().is_empty() {
        return Err(CliError::Plain("a text of spaces is everywhere and nowhere".to_owned()));
    }
    let mut places = 0_usize;
    let database = &config.database.path;
    if database.exists() {
        progress("searching the database");
        let store = Store::open_read_only(database).await?;
        let found = search(&store, text).await;
        store.close().await;
        for (place, named) in found? {
            let (table, column, rows) = (place.table, place.column, place.rows);
            say(&format!("found  table {table}, {column}: {rows} rows"))?;
            for row in &named {
                say(&format!("       {}", shown(row)))?;
            }
            match rows.saturating_sub(named.len() as u64) {
                more if more > 0 && !named.is_empty() => say(&format!("       and {more} more"))?,
                _ => {}
            }
            places += 1;
        }
    }
    progress("searching the files");
    if config.data_dir.exists() {
        for file in search_files(&config.data_dir, text).await? {
            let (path, times, first) = (file.path.display(), file.times, file.first_at);
            say(&format!("found  file {path}: {times} times, first at byte {first}"))?;
            places += 1;
        }
    }
    if !database.starts_with(&config.data_dir) {
        for path in beside(database) {
            let (looked, needle) = (path.clone(), text.trim().to_ascii_lowercase().into_bytes());
            let first = tokio::task::spawn_blocking(move || first_place(&looked, &needle)).await;
            let first = first.map_err(|e| CliError::Plain(e.to_string()))?;
            let first = first.map_err(|source| CliError::File {
                path: path.clone(),
                source,
            })?;
            if let Some(first) = first {
                say(&format!("found  file {}: first at byte {first}", path.display()))?;
                places += 1;
            }
        }
    }
    if places == 0 {
        say("nowhere")?;
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}

/// Where the text stands in the database, and which rows that are.
async fn search(store: &Store, text: &str) -> Result<Vec<(Found, Vec<NamedRow>)>, StoreError> {
    let mut found = Vec::new();
    for place in store.search_forgotten(text).await? {
        let named = store.name_forgotten(text, &place, MOST_NAMED).await?;
        found.push((place, named));
    }
    Ok(found)
}

/// A row in one line: `message 0198..., session eternal (The garden)`.
fn shown(row: &NamedRow) -> String {
    let ids = row.ids.iter().map(|(what, id)| match (&row.title, what.as_str()) {
        (Some(title), "session") => format!("{what} {id} ({})", one_line(title, MOST_TITLE)),
        _ => format!("{what} {id}"),
    });
    ids.collect::<Vec<_>>().join(", ")
}

/// A database that lies elsewhere, and what SQLite keeps beside it.
fn beside(database: &Path) -> impl Iterator<Item = PathBuf> {
    ["", "-wal", "-shm", "-journal"].into_iter().filter_map(|suffix| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        path.is_file().then_some(path)
    })
}

/// Where the bytes stand first, whatever the case of ASCII letters; blocks overlap by the needle's length.
fn first_place(path: &Path, needle: &[u8]) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let mut window: Vec<u8> = Vec::with_capacity(BLOCK + needle.len());
    let mut before = 0_u64;
    loop {
        let kept = window.len();
        let read = (&mut file).take(BLOCK as u64).read_to_end(&mut window)?;
        if let Some(fresh) = window.get_mut(kept..) {
            fresh.make_ascii_lowercase();
        }
        if let Some(at) = window.windows(needle.len()).position(|part| part == needle) {
            return Ok(Some(before + at as u64));
        }
        if read == 0 {
            return Ok(None);
        }
        let passed = window.len().saturating_sub(needle.len().saturating_sub(1));
        window.drain(..passed);
        before += passed as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line() {
        let id = |what: &str, id: &str| (what.to_owned(), id.to_owned());
        let row = NamedRow {
            ids: vec![id("message", "7a"), id("session", "eternal"), id("turn", "7b")],
            title: Some("The\ngarden".to_owned()),
        };
        assert_eq!(shown(&row), "message 7a, session eternal (The garden), turn 7b");
    }

    #[test]
    fn blocks_overlap() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("file");
        for at in [0, 5, BLOCK - 3, BLOCK, 2 * BLOCK - 1] {
            let mut bytes = vec![b'.'; at];
            bytes.extend(b"NeedLe");
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(first_place(&path, b"needle").unwrap(), Some(at as u64));
            assert_eq!(first_place(&path, b"needles").unwrap(), None);
        }
    }
}
