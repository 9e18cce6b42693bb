//! Literal search in the tracked text files of the work tree. Memory is bounded by one file and the hits asked for, time by
//! [`crate::GitSettings::search_time`]; what was found until then is the answer.

use crate::{confine::LastFolder, error::GitError, open::Opened, path::SafePath, repos::Repos};
use mira_core::ids::AttachmentId;
use std::{borrow::Cow, time::Instant};

/// Hits at most.
pub const MAX_HITS: usize = 500;
/// Hits in one file at most: the next file may be the one looked for.
const MAX_PER_FILE: usize = 50;
/// Letters of a line that are shown.
const MAX_LINE: usize = 400;
/// A NUL in so many first bytes makes a file binary, as git has it.
const LOOKED_AT: usize = 8_000;
/// Letters of a query.
const MAX_QUERY: usize = 1_000;

/// A line that holds what was searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Where.
    pub path: String,
    /// Its number, from 1.
    pub line: usize,
    /// The line, cut at 400 letters around the first match.
    pub text: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchResult {
    /// By path and line.
    pub hits: Vec<SearchHit>,
    /// Whether there may be more: the limit or the time was reached.
    pub truncated: bool,
    /// Files looked at.
    pub files: usize,
}

impl Repos {
    /// Lines that hold `query`, letter by letter; capitals count only if the query has some.
    pub async fn search(&self, id: AttachmentId, query: String, limit: usize) -> Result<SearchResult, GitError> {
        self.read(id, move |opened| search(opened, &query, limit.clamp(1, MAX_HITS)))
            .await
    }
}

fn search(opened: &Opened<'_>, query: &str, limit: usize) -> Result<SearchResult, GitError> {
    let mut result = SearchResult {
        hits: Vec::new(),
        truncated: false,
        files: 0,
    };
    if query.is_empty() || query.contains('\n') || query.chars().count() > MAX_QUERY {
        return Ok(result);
    }
    let needle = Needle::new(query);
    let until = Instant::now() + opened.settings.search_time;
    let mut index = opened.repo.index()?;
    // A handle that was idle may hold an older one.
    index.read(false)?;
    let (mut last, mut bytes) = (LastFolder::default(), Vec::new());
    for entry in index.iter() {
        // A file with an unfinished merge has several entries.
        let stage = (entry.flags >> 12) & 3;
        let is_file = entry.mode & 0o170_000 == 0o100_000;
        let (Some(path), true, 0 | 2) = (SafePath::from_tree(&entry.path), is_file, stage) else {
            continue;
        };
        if Instant::now() >= until {
            result.truncated = true;
            break;
        }
        if !opened
            .files
            .read_next(&mut last, path, opened.settings.max_file_bytes, &mut bytes)
        {
            continue;
        }
        if bytes
            .get(..bytes.len().min(LOOKED_AT))
            .is_some_and(|start| start.contains(&0))
        {
            continue;
        }
        result.files += 1;
        let text = String::from_utf8_lossy(&bytes);
        if !needle.may_be_in(&text) {
            continue;
        }
        let room = (limit - result.hits.len()).min(MAX_PER_FILE);
        let hits = text.lines().enumerate().filter_map(|(at, line)| {
            let shown = needle.cut_around(line)?;
            Some(SearchHit {
                path: path.shown(),
                line: at + 1,
                text: shown,
            })
        });
        let before = result.hits.len();
        result.hits.extend(hits.take(room));
        result.truncated |= result.hits.len() - before == MAX_PER_FILE;
        if result.hits.len() >= limit {
            result.truncated = true;
            break;
        }
    }
    Ok(result)
}

/// What is searched.
struct Needle {
    text: String,
    any_case: bool,
}

impl Needle {
    fn new(query: &str) -> Self {
        let any_case = !query.chars().any(char::is_uppercase);
        Self {
            text: query.to_owned(),
            any_case,
        }
    }

    fn folded<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match (self.any_case, self.text.is_ascii()) {
            (false, _) => Cow::Borrowed(text),
            // Positions stay the same, and it is much faster.
            (true, true) => Cow::Owned(text.to_ascii_lowercase()),
            (true, false) => Cow::Owned(text.to_lowercase()),
        }
    }

    /// Whether it is worth looking line by line.
    fn may_be_in(&self, text: &str) -> bool {
        self.folded(text).contains(&self.text)
    }

    /// The line, if the needle is in it, with the needle in what is shown.
    fn cut_around(&self, line: &str) -> Option<String> {
        let folded = self.folded(line);
        let at = folded.find(&self.text)?;
        let before = folded.get(..at).map_or(0, |text| text.chars().count());
        let skipped = if before + self.text.chars().count() <= MAX_LINE {
            0
        } else {
            before.saturating_sub(MAX_LINE / 4)
        };
        Some(line.chars().skip(skipped).take(MAX_LINE).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Needle;

    #[test]
    fn a_line_is_found_and_cut() {
        let check = |query: &str, line: &str, expect: Option<&str>| {
            assert_eq!(
                Needle::new(query).cut_around(line).as_deref(),
                expect,
                "{query} in {line}"
            );
        };
        check("abc", "xABCx", Some("xABCx"));
        check("Abc", "xABCx", None);
        check("Abc", "xAbcx", Some("xAbcx"));
        check("ÄÖ", "äö", None);
        check("äö", "xÄÖ", Some("xÄÖ"));
        let far = format!("{}needle{}", "x".repeat(1_000), "y".repeat(1_000));
        let cut = Needle::new("needle").cut_around(&far).unwrap();
        assert_eq!(cut.chars().count(), 400);
        assert!(cut.contains("needle"));
    }
}
