//! Each rule catches what it is there for, and lets pass what it should.

use super::*;

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: Some(text.to_owned()),
    }
}

/// Runs one rule over the files and compares `path:line` of what it finds.
fn check(rule: &str, files: &[(&str, &str)], expect: &[&str]) {
    let files: Vec<File> = files.iter().map(|(path, text)| file(path, text)).collect();
    let rule = RULES.iter().find(|known| known.name == rule).unwrap();
    let found: Vec<String> = (rule.check)(&files)
        .iter()
        .map(|finding| format!("{}:{}", finding.path, finding.line))
        .collect();
    assert_eq!(found, expect, "rule `{}`", rule.name);
}

#[test]
fn every_rule_says_why_and_has_its_own_name() {
    for rule in RULES {
        assert!(rule.why.len() > 20, "{}", rule.name);
        assert_eq!(
            RULES.iter().filter(|other| other.name == rule.name).count(),
            1,
            "{}",
            rule.name
        );
    }
}

#[test]
fn long_files() {
    let long = "x\n".repeat(MAX_LINES + 1);
    let fits = "x\n".repeat(MAX_LINES);
    check(
        "file-length",
        &[("a.rs", &long), ("b.rs", &fits), ("c.md", &long)],
        &["a.rs:701"],
    );
}

#[test]
fn sqlx_stays_in_the_store() {
    let text = "//! Docs may say sqlx.\nuse sqlx::Row;\n";
    let files = [
        ("crates/mira-memory/src/sqlite/messages.rs", text),
        ("crates/mira-memory/src/recall.rs", text),
        ("crates/mira-memory/tests/store.rs", text),
    ];
    check("doors", &files, &["crates/mira-memory/src/recall.rs:2"]);
}

#[test]
fn axum_stays_in_the_doors() {
    let text = "use axum::Router;\n";
    let files = [
        ("crates/mira-backend/src/api/http/chat.rs", text),
        ("crates/mira-backend/src/state.rs", text),
        ("crates/openai-sim/src/server.rs", text),
        ("crates/mira-backend/src/services/chat.rs", text),
        ("crates/mira-llm/src/lib.rs", text),
    ];
    check(
        "doors",
        &files,
        &[
            "crates/mira-backend/src/services/chat.rs:1",
            "crates/mira-llm/src/lib.rs:1",
        ],
    );
}

#[test]
fn git2_stays_in_mira_git() {
    let text = "fn f(repo: &git2::Repository) {}\n";
    check(
        "doors",
        &[
            ("crates/mira-git/src/lib.rs", text),
            ("crates/mira-tools/src/git.rs", text),
        ],
        &["crates/mira-tools/src/git.rs:1"],
    );
}

#[test]
fn the_environment_is_read_in_one_place() {
    let grouped = "//! x\nuse std::{env, fs};\n";
    let files = [
        ("crates/mira-backend/src/config/read.rs", "std::env::var(x)"),
        ("crates/mira-backend/src/cli/chat.rs", grouped),
        ("crates/mira-llm/src/client.rs", "let x = std::env::temp_dir();"),
        (
            "crates/mira-core/src/a.rs",
            "#[cfg(test)]\nmod tests {\n  fn f() { std::env::temp_dir() }\n}\n",
        ),
        ("xtask/src/run.rs", "std::env::var_os(x)"),
        ("crates/mira-core/src/b.rs", "env!(\"CARGO_PKG_VERSION\")"),
    ];
    check(
        "doors",
        &files,
        &[
            "crates/mira-backend/src/cli/chat.rs:2",
            "crates/mira-llm/src/client.rs:1",
        ],
    );
}

#[test]
fn tasks_are_spawned_by_their_owner() {
    let files = [
        ("crates/mira-backend/src/lifecycle.rs", "tokio::spawn(x)"),
        ("crates/mira-backend/src/services/hub.rs", "tokio::spawn(x)"),
        (
            "crates/mira-llm/src/sse.rs",
            "tokio::task::spawn(x); tokio::task::spawn_blocking(y)",
        ),
        ("crates/mira-memory/src/outbox.rs", "tokio::task::spawn_blocking(y)"),
    ];
    check(
        "doors",
        &files,
        &[
            "crates/mira-backend/src/services/hub.rs:1",
            "crates/mira-llm/src/sse.rs:1",
        ],
    );
}

#[test]
fn crates_know_only_what_is_below_them() {
    let files = [
        (
            "crates/mira-core/Cargo.toml",
            "[dependencies]\nserde = \"1\"\nmira-llm = \"1\"\n",
        ),
        (
            "crates/mira-llm/Cargo.toml",
            "[dependencies]\nmira-core = \"1\"\nmira-memory = \"1\"\n[dev-dependencies]\nopenai-sim = \"1\"\n",
        ),
        ("crates/mira-memory/Cargo.toml", "[dependencies]\nopenai-sim = \"1\"\n"),
        ("crates/openai-sim/Cargo.toml", "[dependencies]\n"),
        (
            "crates/mira-backend/Cargo.toml",
            "[dependencies]\nmira-llm = \"1\"\nopenai-sim = \"1\"\n",
        ),
        ("crates/mira-new/Cargo.toml", "[dependencies]\n"),
    ];
    let expect = [
        "crates/mira-core/Cargo.toml:3",
        "crates/mira-llm/Cargo.toml:3",
        "crates/mira-memory/Cargo.toml:2",
        "crates/mira-new/Cargo.toml:1",
    ];
    check("arrows", &files, &expect);
}

#[test]
fn arrows_have_no_circle() {
    for (name, known) in ARROWS {
        for other in *known {
            let (_, back) = ARROWS.iter().find(|(row, _)| row == other).unwrap();
            assert!(!back.contains(name), "{name} and {other} know each other");
        }
    }
}

#[test]
fn the_core_does_no_io() {
    let manifest = "[dependencies]\nserde = \"1\"\ntokio = \"1\"\n[dev-dependencies]\ntokio = \"1\"\n";
    let files = [
        ("crates/mira-core/Cargo.toml", manifest),
        ("crates/mira-llm/Cargo.toml", manifest),
    ];
    check("core-is-pure", &files, &["crates/mira-core/Cargo.toml:3"]);
}

#[test]
fn services_do_not_know_the_doors() {
    let files = [
        (
            "crates/mira-backend/src/services/chat.rs",
            "use crate::api::error::ApiError;\nuse crate::state::State;\n",
        ),
        ("crates/mira-backend/src/services.rs", "use crate::{api, state};\n"),
        (
            "crates/mira-backend/src/api/ws.rs",
            "use crate::services::chat;\nuse crate::cli;\n",
        ),
        ("crates/mira-backend/src/lib.rs", "use crate::api;\n"),
    ];
    let expect = [
        "crates/mira-backend/src/services/chat.rs:1",
        "crates/mira-backend/src/services.rs:1",
        "crates/mira-backend/src/api/ws.rs:2",
    ];
    check("layers", &files, &expect);
}

#[test]
fn modules_begin_with_their_docs() {
    let files = [
        ("a.rs", "//! What lives here.\n"),
        ("b.rs", "use x;\n//! too late\n"),
        ("c.rs", ""),
        ("d.js", "x"),
    ];
    check("module-docs", &files, &["b.rs:1", "c.rs:1"]);
}

#[test]
fn migrations_come_in_pairs() {
    let good = [("migrations/0001_a.up.sql", ""), ("migrations/0001_a.down.sql", "")];
    check("migration-pairs", &good, &[]);
    check(
        "migration-pairs",
        &[("migrations/0001_a.up.sql", "")],
        &["migrations/0001_a.up.sql:1"],
    );
    check(
        "migration-pairs",
        &[("migrations/0001_a.sql", "")],
        &["migrations/0001_a.sql:1"],
    );
    let short = [("migrations/1_a.up.sql", ""), ("migrations/1_a.down.sql", "")];
    check(
        "migration-pairs",
        &short,
        &["migrations/1_a.up.sql:1", "migrations/1_a.down.sql:1"],
    );
    let twice = [
        good.as_slice(),
        &[("migrations/0001_b.up.sql", ""), ("migrations/0001_b.down.sql", "")],
    ]
    .concat();
    check(
        "migration-pairs",
        &twice,
        &["migrations/0001_b.up.sql:1", "migrations/0001_b.down.sql:1"],
    );
}

#[test]
fn no_test_is_ignored() {
    let files = [
        ("a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n"),
        ("b.rs", "// #[ignore]\n"),
    ];
    check("no-ignored-tests", &files, &["a.rs:2"]);
}

#[test]
fn leftovers_are_found_in_any_text() {
    let mark = concat!("x // TO", "DO later\n");
    let word = concat!("MASTO", "DON\n");
    check(
        "no-leftovers",
        &[("a.rs", mark), ("b.js", mark), ("c.md", word)],
        &["a.rs:1", "b.js:1"],
    );
}

#[test]
fn paths_of_a_machine_are_found() {
    let home = concat!("see \"/ho", "me/ann/mira\"\n");
    let url = concat!("see https://example.org/ho", "me/ann\n");
    check("no-machine-paths", &[("a.md", home), ("b.md", url)], &["a.md:1"]);
}

#[test]
fn links_that_lead_nowhere() {
    let text = "[a](docs/b.md#c) [b](docs) [c](https://example.org/x) [d](#here)\n\
        ```\n[e](in-a-fence.md)\n```\n[f](gone.md) <img src=\"gone.png\">\n";
    let files = [
        ("README.md", text),
        (
            "docs/b.md",
            "[up](../README.md) [beside](./b.md) [out](../../README.md)\n[gone](README.md)",
        ),
    ];
    check(
        "links",
        &files,
        &["README.md:5", "README.md:5", "docs/b.md:1", "docs/b.md:2"],
    );
}

#[test]
fn proofs_that_have_gone() {
    let map = "`lib.rs`, `src/{one,two}.rs`, `sqlite/`, `a_test_that_is` and `Other`\n\
        `src/{one,three}.rs`\n`index/`\n`a_test_that_was`\n`api.rs`\n## Old names\n`gone.rs`\n";
    let files = [
        ("ARCHITECTURE.md", map),
        ("CHANGELOG.md", "`gone.rs`"),
        ("crates/a/src/lib.rs", "fn a_test_that_is() {}"),
        ("crates/a/src/one.rs", ""),
        ("crates/a/src/two.rs", ""),
        ("crates/a/src/rapi.rs", ""),
        ("crates/a/src/sqlite/mod.rs", ""),
    ];
    let expect = [2, 3, 4, 5].map(|line| format!("ARCHITECTURE.md:{line}"));
    check("named-proofs", &files, &expect.each_ref().map(String::as_str));
}
