//! Changing a text by exact edits: each names a passage that must stand in the text exactly once, and what takes its
//! place. All of them or none. Telling a whole file from one that leaves parts out is the caller's business.

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The passage as it stands in the text, to the last space.
    pub old: String,
    /// What takes its place.
    pub new: String,
}

/// Why edits were not made. Each names the edit by its number, from 1, in words a model can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is nothing to do.
    #[error("there are no edits")]
    Nothing,
    /// More edits than are taken at once.
    #[error("at most {MAX_EDITS} edits at once")]
    TooMany,
    /// The passage is empty.
    #[error("edit {edit}: `old` is empty; name a passage of the text")]
    Empty {
        /// Which.
        edit: usize,
    },
    /// Both sides are the same.
    #[error("edit {edit}: `old` and `new` are the same")]
    Same {
        /// Which.
        edit: usize,
    },
    /// The passage is not there.
    #[error("edit {edit}: `old` is not in the text; read it again and copy the passage exactly")]
    Missing {
        /// Which.
        edit: usize,
    },
    /// It is there but for its white space.
    #[error(
        "edit {edit}: `old` is in the text with other white space; copy the passage exactly, line ends and indentation too"
    )]
    Spaced {
        /// Which.
        edit: usize,
    },
    /// The passage is there more than once.
    #[error("edit {edit}: `old` stands in the text more than once; name more of what is around it")]
    Ambiguous {
        /// Which.
        edit: usize,
    },
    /// The text would become too large.
    #[error("edit {edit}: the text would have more than {limit} bytes")]
    TooLarge {
        /// Which.
        edit: usize,
        /// The most.
        limit: usize,
    },
}

/// The most edits at once.
pub const MAX_EDITS: usize = 100;

/// Makes the edits, one after the other: a later one sees what the earlier ones made. The text has at most `limit` bytes
/// afterwards.
pub fn apply(text: &str, edits: &[Edit], limit: usize) -> Result<String, EditError> {
    if edits.is_empty() {
        return Err(EditError::Nothing);
    }
    if edits.len() > MAX_EDITS {
        return Err(EditError::TooMany);
    }
    let mut text = text.to_owned();
    for (edit, Edit { old, new }) in (1..).zip(edits) {
        if old.is_empty() {
            return Err(EditError::Empty { edit });
        }
        if old == new {
            return Err(EditError::Same { edit });
        }
        let Some((before, rest)) = text.split_once(old.as_str()) else {
            return Err(if without_space(&text).contains(&without_space(old)) {
                EditError::Spaced { edit }
            } else {
                EditError::Missing { edit }
            });
        };
        if stands_again(&text, before.len(), old) {
            return Err(EditError::Ambiguous { edit });
        }
        if before.len() + new.len() + rest.len() > limit {
            return Err(EditError::TooLarge { edit, limit });
        }
        text = [before, new, rest].concat();
    }
    Ok(text)
}

/// Whether a passage found at `at` stands once more behind its first character, overlapping itself perhaps.
fn stands_again(text: &str, at: usize, passage: &str) -> bool {
    let step = passage.chars().next().map_or(1, char::len_utf8);
    text.get(at + step..).is_some_and(|rest| rest.contains(passage))
}

fn without_space(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    // A passage of white space alone is in no text by its letters.
    if kept.is_empty() { "\0".to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, edits: &[(&str, &str)], expect: Result<&str, EditError>) {
        let edits: Vec<Edit> = edits
            .iter()
            .map(|(old, new)| Edit {
                old: (*old).to_owned(),
                new: (*new).to_owned(),
            })
            .collect();
        let expect = expect.map(str::to_owned);
        assert_eq!(apply(text, &edits, 40), expect, "{text:?} {edits:?}");
    }

    #[test]
    fn edits() {
        check("a b c", &[("b", "B")], Ok("a B c"));
        check("a b c", &[("b", "x"), ("x c", "")], Ok("a "));
        check("ä€", &[("€", "ä"), ("ää", "€")], Ok("€"));
        check("a b c", &[], Err(EditError::Nothing));
        check("a b c", &[("", "x")], Err(EditError::Empty { edit: 1 }));
        check("a b c", &[("a", "z"), ("b", "b")], Err(EditError::Same { edit: 2 }));
        check("a b c", &[("d", "x")], Err(EditError::Missing { edit: 1 }));
        check("a\n  b", &[("a\r\nb", "x")], Err(EditError::Spaced { edit: 1 }));
        check("abc", &[("\n", "x")], Err(EditError::Missing { edit: 1 }));
        check("", &[("a", "x")], Err(EditError::Missing { edit: 1 }));
        check("a b a", &[("a", "x")], Err(EditError::Ambiguous { edit: 1 }));
        check("äää", &[("ää", "x")], Err(EditError::Ambiguous { edit: 1 }));
        check("a", &[("a", &"x".repeat(40))], Ok(&"x".repeat(40)));
        let limit = 40;
        check(
            "a",
            &[("a", &"x".repeat(41))],
            Err(EditError::TooLarge { edit: 1, limit }),
        );
        check("a", &[("a", "b"); MAX_EDITS + 1], Err(EditError::TooMany));
    }
}
