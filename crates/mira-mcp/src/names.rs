//! The names tools are called by: `mcp__server__tool`, within the 64 signs every model API takes. A pure function of the
//! two names, so that a prompt stays the same whatever else a server lists; where something had to be changed or cut, a
//! digest of the original keeps it apart from its neighbours.

use sha2::{Digest, Sha256};

/// The longest name of a tool.
const MOST: usize = 64;
/// The longest part that stands for the server.
const MOST_OF_SERVER: usize = 24;
/// What every name begins with.
const PREFIX: &str = "mcp__";

/// The part of a tool's name that stands for the server: letters, digits, `-`, and single `_` within. `None` if nothing
/// of the name is left.
pub(crate) fn slug(server: &str) -> Option<String> {
    let mut slug = String::new();
    for sign in server.chars().map(plain) {
        // Two `_` end the server's part.
        if sign != '_' || !(slug.is_empty() || slug.ends_with('_')) {
            slug.push(sign);
        }
    }
    let slug = slug.trim_end_matches('_');
    if !slug.contains(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    if slug.len() <= MOST_OF_SERVER {
        return Some(slug.to_owned());
    }
    let kept: String = slug.chars().take(MOST_OF_SERVER - 9).collect();
    Some(format!("{}-{}", kept.trim_end_matches('_'), digest(server)))
}

/// The name of a tool, in the server's part and its own.
pub(crate) fn full_name(slug: &str, tool: &str) -> String {
    let own: String = tool.chars().map(plain).collect();
    let name = format!("{PREFIX}{slug}__{own}");
    if own == tool && name.len() <= MOST {
        return name;
    }
    let kept: String = name.chars().take(MOST - 9).collect();
    format!("{kept}_{}", digest(tool))
}

fn plain(sign: char) -> char {
    if sign.is_ascii_alphanumeric() || sign == '-' {
        sign
    } else {
        '_'
    }
}

/// Eight hexadecimal digits of a text.
fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let first = hash
        .iter()
        .take(4)
        .fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    format!("{first:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_what_every_model_takes() {
        let check = |server: &str, tool: &str, expect: &str| {
            assert_eq!(full_name(&slug(server).unwrap(), tool), expect, "{server:?} {tool:?}");
        };
        check("github", "create_issue", "mcp__github__create_issue");
        check("my server", "list", "mcp__my_server__list");
        check("__a__b__", "_c", "mcp__a_b___c");
        check("a", "files/read", "mcp__a__files_read_2b733164");
        assert_eq!(slug("Приложение"), None);
        assert_eq!(slug("___"), None);
        let long = slug(&"verylongname".repeat(6)).unwrap();
        assert_eq!(long.len(), MOST_OF_SERVER);
        assert_eq!(full_name(&long, &"tool".repeat(40)).len(), MOST);
    }

    proptest! {
        #[test]
        fn two_tools_never_share_a_name(a in "[a-z_./é]{1,70}", b in "[a-z_./é]{1,70}", s in "[a-z_ ]{1,40}", t in "[a-z_ ]{1,40}") {
            let (Some(s), Some(t)) = (slug(&s), slug(&t)) else { return Ok(()) };
            let (one, other) = (full_name(&s, &a), full_name(&t, &b));
            for name in [&one, &other] {
                prop_assert!(name.len() <= MOST && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            }
            prop_assert_eq!(one == other, s == t && a == b);
        }
    }
}
