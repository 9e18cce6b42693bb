//! Prompt caching as the API reports it: the prefix shared with the previous request of the same
//! `prompt_cache_key`, in whole blocks of 128 tokens and never less than 1024.
//!
//! Only a hash per block is kept, so a long prompt costs a few kilobytes.

use std::collections::HashMap;
use std::io;

use serde_json::Value;

use crate::tokens;

/// Tokens per block of the cache.
const BLOCK_TOKENS: u64 = 128;
/// Bytes per block, with four bytes a token as everywhere in the emulator.
const BLOCK_BYTES: usize = 512;
/// The shortest prefix the API caches, in tokens.
const SHORTEST_TOKENS: u64 = 1024;
/// Keys remembered; past it the one unused for longest is forgotten.
const MOST_KEYS: usize = 256;

/// Length and block hashes of a prompt in the order the model sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prompt {
    hashes: Vec<u64>,
    block: Vec<u8>,
    bytes: usize,
}

impl Prompt {
    /// Adds one part of the prompt.
    pub(crate) fn add(&mut self, part: &Value) {
        if part.is_null() {
            return;
        }
        // Writing into a `Prompt` cannot fail, and a `Value` always serialises.
        if serde_json::to_writer(&mut *self, part).is_err() {
            self.block.clear();
        }
    }

    /// Estimated tokens of the prompt.
    pub(crate) fn tokens(&self) -> u64 {
        tokens::estimate(self.bytes)
    }
}

impl io::Write for Prompt {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        let mut rest = bytes;
        while !rest.is_empty() {
            let wanted = (BLOCK_BYTES - self.block.len()).min(rest.len());
            let Some((now, later)) = rest.split_at_checked(wanted) else {
                break;
            };
            self.block.extend_from_slice(now);
            rest = later;
            if self.block.len() == BLOCK_BYTES {
                let before = self.hashes.last().copied().unwrap_or_default();
                self.hashes.push(tokens::mix(before ^ tokens::hash(&self.block)));
                self.block.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Entry {
    used: u64,
    hashes: Vec<u64>,
}

/// What was asked last, per key.
#[derive(Debug, Default)]
pub(crate) struct PromptCache {
    entries: HashMap<String, Entry>,
    uses: u64,
}

/// The cached part of a prompt, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CacheUse {
    pub read: u64,
    pub written: u64,
}

impl PromptCache {
    /// Compares with the previous prompt of `key` and remembers this one.
    pub(crate) fn visit(&mut self, key: &str, prompt: Prompt) -> CacheUse {
        self.uses += 1;
        let before = self.entries.get(key).map_or(&[][..], |entry| entry.hashes.as_slice());
        let shared = before
            .iter()
            .zip(&prompt.hashes)
            .take_while(|(old, new)| old == new)
            .count();
        let read = at_least_shortest(shared);
        let written = at_least_shortest(prompt.hashes.len()).saturating_sub(read);
        if self.entries.len() >= MOST_KEYS && !self.entries.contains_key(key) {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(
            key.to_owned(),
            Entry {
                used: self.uses,
                hashes: prompt.hashes,
            },
        );
        CacheUse { read, written }
    }
}

fn at_least_shortest(blocks: usize) -> u64 {
    let tokens = u64::try_from(blocks).unwrap_or_default() * BLOCK_TOKENS;
    if tokens >= SHORTEST_TOKENS { tokens } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(parts: &[&str]) -> Prompt {
        let mut prompt = Prompt::default();
        for part in parts {
            prompt.add(&Value::from(*part));
        }
        prompt
    }

    #[test]
    fn shared_prefix_counts_in_blocks_from_1024_tokens() {
        let long = "x".repeat(5000);
        let short = "y".repeat(2000);
        let mut cache = PromptCache::default();
        assert_eq!(
            cache.visit("a", prompt(&[&long, "one"])),
            CacheUse { read: 0, written: 1152 }
        );
        assert_eq!(
            cache.visit("a", prompt(&[&long, "two"])),
            CacheUse { read: 1152, written: 0 }
        );
        assert_eq!(
            cache.visit("b", prompt(&[&long, "two"])).read,
            0,
            "another key shares nothing"
        );
        assert_eq!(cache.visit("c", prompt(&[&short])).read, 0);
        assert_eq!(
            cache.visit("c", prompt(&[&short])).read,
            0,
            "under 1024 tokens nothing is cached"
        );
        let longer = prompt(&[&long, &long]);
        assert_eq!(longer.tokens(), 2501);
        assert_eq!(
            cache.visit("a", longer),
            CacheUse {
                read: 1152,
                written: 1280
            }
        );
    }

    #[test]
    fn the_key_unused_for_longest_is_forgotten() {
        let long = "x".repeat(5000);
        let mut cache = PromptCache::default();
        for key in 0..=MOST_KEYS {
            cache.visit(&key.to_string(), prompt(&[&long]));
        }
        assert_eq!(cache.entries.len(), MOST_KEYS);
        assert_eq!(cache.visit("0", prompt(&[&long])).read, 0);
        assert_eq!(cache.visit("5", prompt(&[&long])).read, 1152);
    }
}
