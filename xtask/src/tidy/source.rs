//! Just enough of Rust's lexical structure to look for names: comments and literals are blanked, lines stay where they
//! are. No parsing.

/// The code with the insides of comments, strings and character literals replaced by spaces.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = chars.get(at..).unwrap_or_default();
        let after_word = at
            .checked_sub(1)
            .and_then(|before| chars.get(before))
            .is_some_and(|&before| is_word(before));
        let length = match c {
            '/' if rest.get(1) == Some(&'/') => rest.iter().take_while(|&&c| c != '\n').count(),
            '/' if rest.get(1) == Some(&'*') => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !after_word => prefixed_string(rest),
            '\'' => char_literal(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(c);
            at += 1;
        } else {
            out.extend(rest.iter().take(length).map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at += length;
        }
    }
    out
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match (rest.get(at), rest.get(at + 1)) {
            (Some('/'), Some('*')) => {
                depth += 1;
                at += 2;
            }
            (Some('*'), Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while let Some(c) = rest.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"..."`, `r#"..."#`, `b"..."`, `br#"..."#`, `c"..."`; 0 when it is only a word.
fn prefixed_string(rest: &[char]) -> usize {
    let prefix = rest.iter().take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
    let raw = rest.iter().take(prefix).any(|&c| c == 'r');
    let hashes = rest.iter().skip(prefix).take_while(|&&c| c == '#').count();
    let opening = prefix + hashes;
    if prefix > 2 || rest.get(opening) != Some(&'"') || (hashes > 0 && !raw) {
        return 0;
    }
    if !raw {
        return opening + string(rest.get(opening..).unwrap_or_default());
    }
    let mut at = opening + 1;
    while at < rest.len() {
        let closes = rest.get(at) == Some(&'"')
            && rest.iter().skip(at + 1).take_while(|&&c| c == '#').take(hashes).count() == hashes;
        if closes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    rest.len()
}

/// `'x'`, `'\n'`, `'\u{1F600}'`; 0 for a lifetime.
fn char_literal(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), _) => rest.iter().skip(3).position(|&c| c == '\'').map_or(0, |end| end + 4),
        (Some(_), Some('\'')) => 3,
        _ => 0,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks the items behind `#[cfg(test)]`, in code that went through [`code`].
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, item)) = rest.split_once(MARK) {
        out.push_str(before);
        let length = item_length(item);
        let (gone, after) = item.split_at_checked(length).unwrap_or((item, ""));
        out.extend(gone.chars().filter(|&c| c == '\n'));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Bytes up to the end of the item that starts here: its `;`, or the brace that closes its body.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The lines (from 1) on which `name` stands as a whole word or path.
pub fn lines_with(code: &str, name: &str) -> Vec<usize> {
    let on_line = |line: &str| {
        line.match_indices(name).any(|(at, _)| {
            let before = line.get(..at).and_then(|before| before.chars().next_back());
            let after = line.get(at + name.len()..).and_then(|after| after.chars().next());
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    };
    code.lines()
        .zip(1..)
        .filter(|(line, _)| on_line(line))
        .map(|(_, number)| number)
        .collect()
}

/// The lines on which a group such as `std::{fs, env::var}` imports `name` from `parent`.
pub fn lines_with_grouped(code: &str, parent: &str, name: &str) -> Vec<usize> {
    let opening = format!("{parent}::{{");
    let mut lines = Vec::new();
    for (at, _) in code.match_indices(&opening) {
        let Some(group) = code.get(at + opening.len() - 1..) else {
            continue;
        };
        let group = group.get(..item_length(group)).unwrap_or(group);
        if top_level_items(group).any(|item| item == name) {
            lines.push(code.get(..at).unwrap_or_default().matches('\n').count() + 1);
        }
    }
    lines
}

/// The first word of each item directly inside the braces.
fn top_level_items(group: &str) -> impl Iterator<Item = String> {
    let mut items = vec![String::new()];
    let mut depth = 0_usize;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 1 => items.push(String::new()),
            _ if depth == 1 => items.iter_mut().next_back().into_iter().for_each(|item| item.push(c)),
            _ => {}
        }
    }
    items
        .into_iter()
        .map(|item| item.trim().chars().take_while(|&c| is_word(c)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_lines_stay() {
        for (text, gone, kept) in [
            ("a // sqlx\nb", "sqlx", "b"),
            ("a /* x /* sqlx */ y */ b", "sqlx", "b"),
            ("f(\"sqlx \\\" sqlx\", b)", "sqlx", "b"),
            ("f(r#\"sqlx \" sqlx\"#, b)", "sqlx", "b"),
            ("f(b\"sqlx\", '\\'', '\"', b)", "sqlx", "b"),
            ("fn f<'a>(x: &'a str) { b } // sqlx", "sqlx", "b"),
            ("let number = 1; let r = \"sqlx\"; b", "sqlx", "b"),
        ] {
            let code = code(text);
            assert!(!code.contains(gone), "{text:?} became {code:?}");
            assert!(!lines_with(&code, kept).is_empty(), "{text:?} became {code:?}");
            assert_eq!(code.chars().count(), text.chars().count(), "{text:?}");
            assert_eq!(code.lines().count(), text.lines().count(), "{text:?}");
        }
    }

    #[test]
    fn test_items_are_left_out() {
        let code = "a();\n#[cfg(test)]\nmod tests {\n  fn f() { env(); }\n}\n#[cfg(test)]\nuse env;\nb();\n";
        let left = without_tests(code);
        assert!(lines_with(&left, "env").is_empty(), "{left}");
        assert_eq!(lines_with(&left, "a"), [1]);
        assert_eq!(lines_with(&left, "b"), [8]);
    }

    #[test]
    fn names_are_whole_words() {
        assert_eq!(lines_with("use sqlx::X;\nsqlxy\nmy_sqlx\nsqlx", "sqlx"), [1, 4]);
        assert_eq!(lines_with("std::env::var\nstd::environment", "std::env"), [1]);
    }

    #[test]
    fn groups_are_looked_into_one_level_deep() {
        let grouped = |code: &str| lines_with_grouped(code, "std", "env");
        assert_eq!(grouped("\nuse std::{fs, env};"), [2]);
        assert_eq!(grouped("use std::{\n  env::{self, var},\n  fs,\n};"), [1]);
        assert!(grouped("use std::{fs::env, environment};").is_empty());
        assert!(grouped("use std::{x::{env}};").is_empty());
    }
}
