//! The variables an operator can set, and whether `.env.example` and the documents show exactly them. The list is data on
//! its own, so that neither the code that reads them nor who tells of them can drop one unnoticed.

use std::collections::BTreeSet;

/// Every variable with its default; an empty default means "none", or one that follows from another setting.
pub const SETTINGS: &[(&str, &str)] = &[
    ("MIRA_HOST", "127.0.0.1"),
    ("MIRA_PORT", "8080"),
    ("MIRA_DATA_DIR", "./mira-data"),
    ("MIRA_AUTH", "required"),
    ("MIRA_AUTH_TOKEN", ""),
    ("MIRA_PUBLIC_URL", ""),
    ("MIRA_ALLOWED_HOSTS", ""),
    ("MIRA_ALLOWED_ORIGINS", ""),
    ("MIRA_TRUSTED_PROXIES", ""),
    ("MIRA_ALLOW_PRIVATE_HOSTS", ""),
    ("DATABASE_URL", ""),
    ("SQLITE_MAX_CONNECTIONS", "10"),
    ("MIRA_DURABILITY", "full"),
    ("OPENAI_API_KEY", ""),
    ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    ("MIRA_LLM_API", "auto"),
    ("MIRA_REPLY_FORMAT", "auto"),
    ("MIRA_MODEL", "gpt-5"),
    ("MIRA_VERBOSITY", "high"),
    ("MIRA_REASONING_EFFORT", "high"),
    ("MIRA_MAX_OUTPUT_TOKENS", "128000"),
    ("MIRA_INTENT_MODEL", ""),
    ("MIRA_EMBEDDINGS", "auto"),
    ("MIRA_EMBEDDINGS_URL", ""),
    ("MIRA_EMBEDDINGS_KEY", ""),
    ("MIRA_EMBEDDING_MODEL", "text-embedding-3-large"),
    ("QDRANT_EMBEDDING_DIM", "3072"),
    ("QDRANT_URL", ""),
    ("QDRANT_API_KEY", ""),
    ("QDRANT_COLLECTION", "mira-memory"),
    ("MIRA_SESSION_ID", "eternal"),
    ("MIRA_DEFAULT_PERSONA", "default"),
    ("MIRA_PERSONA_DIR", ""),
    ("MIRA_HISTORY_MESSAGES", "15"),
    ("MIRA_CONTEXT_TOKENS", "65536"),
    ("MIRA_RECALL_RESULTS", "12"),
    ("MIRA_TZ", ""),
    ("MIRA_DAILY_TOKEN_BUDGET", ""),
    ("MIRA_APPROVAL_SECONDS", "600"),
    ("ENABLE_WEB_SEARCH", "true"),
    ("ENABLE_CODE_INTERPRETER", "true"),
    ("ENABLE_FILE_SEARCH", "true"),
    ("ENABLE_IMAGE_GENERATION", "true"),
    ("MIRA_SEARXNG_URL", ""),
    ("BRAVE_API_KEY", ""),
    ("TAVILY_API_KEY", ""),
    ("MIRA_IMAGE_MODEL", ""),
    ("MIRA_MCP_CONFIG", ""),
    ("GIT_REPOS_DIR", ""),
    ("MIRA_GIT_AUTHOR", "Mira <mira@localhost>"),
    ("RUST_LOG", "info"),
    ("MIRA_LOG_FORMAT", "text"),
    ("MIRA_SHUTDOWN_GRACE_SECONDS", "10"),
];

/// Variables that change what Mira is as soon as they are set, even to their default: never live in the example.
const NEVER_LIVE: &[&str] = &["OPENAI_BASE_URL", "MIRA_MODEL"];

/// What is wrong with the example; empty when nothing is.
pub fn problems(example: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (line, number) in example.lines().zip(1..) {
        let (live, text) = line.strip_prefix('#').map_or((true, line), |text| (false, text));
        if text.trim().is_empty() || (!live && text.starts_with(' ')) {
            continue;
        }
        let Some((name, value)) = text.split_once('=') else {
            problems.push(format!("line {number} is neither a comment nor NAME=value"));
            continue;
        };
        let Some((_, default)) = SETTINGS.iter().find(|(known, _)| *known == name) else {
            problems.push(format!("line {number}: there is no variable `{name}`"));
            continue;
        };
        if !seen.insert(name) {
            problems.push(format!("line {number}: `{name}` a second time"));
        }
        // Uncommented, a line has to work as it stands: a default with spaces is quoted.
        let shown = if default.contains(' ') {
            format!("'{default}'")
        } else {
            (*default).to_owned()
        };
        if value != shown {
            problems.push(format!(
                "line {number}: the default of `{name}` is `{shown}`, not `{value}`"
            ));
        }
        if live && (value.is_empty() || NEVER_LIVE.contains(&name)) {
            problems.push(format!("line {number}: `{name}` has to be commented out"));
        }
    }
    let missing = SETTINGS.iter().filter(|(name, _)| !seen.contains(name));
    problems.extend(missing.map(|(name, _)| format!("`{name}` is missing")));
    problems
}

/// Documents with a table of all variables.
pub const DOCUMENTS: &[&str] = &["README.md", "docs/OPERATIONS.md"];

/// What is wrong with the variables named in the first column of a document's table; empty when nothing is.
pub fn table_problems(document: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let rows = document
        .lines()
        .skip_while(|line| !line.starts_with("| variable | default |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    for row in rows {
        let cell = row.split('|').nth(1).unwrap_or_default();
        for name in cell.split('`').skip(1).step_by(2) {
            if !SETTINGS.iter().any(|(known, _)| *known == name) {
                problems.push(format!("there is no variable `{name}`"));
            }
            if !seen.insert(name) {
                problems.push(format!("`{name}` a second time"));
            }
        }
    }
    let missing = SETTINGS.iter().filter(|(name, _)| !seen.contains(name));
    problems.extend(missing.map(|(name, _)| format!("`{name}` is missing")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> String {
        let lines: Vec<String> = SETTINGS
            .iter()
            .map(|(name, default)| {
                let quote = if default.contains(' ') { "'" } else { "" };
                format!("# What it means.\n#{name}={quote}{default}{quote}\n")
            })
            .collect();
        lines.concat()
    }

    fn check(example: &str, expect: &[&str]) {
        assert_eq!(problems(example), expect);
    }

    #[test]
    fn the_shipped_example_is_right() {
        check(
            &std::fs::read_to_string(crate::repo::root().join(".env.example")).unwrap(),
            &[],
        );
    }

    #[test]
    fn each_mistake_is_named() {
        let good = example();
        check(&good, &[]);
        check(&good.replace("#MIRA_TZ=\n", ""), &["`MIRA_TZ` is missing"]);
        check(&good.replace("#MIRA_PORT=8080", "MIRA_PORT=8080"), &[]);
        check(
            &good.replace("#MIRA_PORT=8080", "MIRA_PORT=80"),
            &["line 4: the default of `MIRA_PORT` is `8080`, not `80`"],
        );
        let git_author = good.lines().position(|line| line.contains("MIRA_GIT_AUTHOR")).unwrap() + 1;
        check(
            &good.replace("'Mira <mira@localhost>'", "Mira <mira@localhost>"),
            &[&format!(
                "line {git_author}: the default of `MIRA_GIT_AUTHOR` is `'Mira <mira@localhost>'`, not `Mira <mira@localhost>`"
            )],
        );
        check(
            &good.replace("#MIRA_AUTH_TOKEN=", "MIRA_AUTH_TOKEN="),
            &["line 10: `MIRA_AUTH_TOKEN` has to be commented out"],
        );
        check(
            &good.replace("#MIRA_MODEL=", "MIRA_MODEL="),
            &["line 36: `MIRA_MODEL` has to be commented out"],
        );
        let last = 2 * SETTINGS.len();
        check(
            &format!("{good}#MIRA_PROT=1\n"),
            &[&format!("line {}: there is no variable `MIRA_PROT`", last + 1)],
        );
        check(
            &format!("{good}#MIRA_TZ=\n"),
            &[&format!("line {}: `MIRA_TZ` a second time", last + 1)],
        );
        check(
            &format!("{good}nonsense\n"),
            &[&format!("line {} is neither a comment nor NAME=value", last + 1)],
        );
    }

    #[test]
    fn the_shipped_tables_are_right() {
        for name in DOCUMENTS {
            let text = std::fs::read_to_string(crate::repo::root().join(name)).unwrap();
            assert_eq!(table_problems(&text), [""; 0], "{name}");
        }
    }

    #[test]
    fn each_mistake_in_a_table_is_named() {
        let rows: Vec<String> = SETTINGS
            .iter()
            .map(|(name, _)| format!("| `{name}` * | none | `it` |\n"))
            .collect();
        let table = format!(
            "`MIRA_HOT`\n\n| variable | default | meaning |\n|---|---|---|\n{}\n| `more` |\n",
            rows.concat()
        );
        assert_eq!(table_problems(&table), [""; 0]);
        for (from, to, says) in [
            ("| `MIRA_TZ` *", "| `MIRA_ZT` *", "there is no variable `MIRA_ZT`"),
            (
                "| `MIRA_TZ` *",
                "| `MIRA_HOST`, `MIRA_TZ` *",
                "`MIRA_HOST` a second time",
            ),
            ("| `MIRA_TZ` *", "| *", "`MIRA_TZ` is missing"),
        ] {
            assert!(
                table_problems(&table.replace(from, to)).contains(&says.to_owned()),
                "{says}"
            );
        }
    }
}
