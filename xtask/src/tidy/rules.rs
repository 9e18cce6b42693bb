//! The rules themselves. To add one: a row in [`RULES`] with its why, and a case in the tests below that it catches.

use super::documents::{links, names};
use super::manifest::dependencies;
use super::source::{code, lines_with, lines_with_grouped, without_tests};
use super::{Finding, Rule};
use crate::repo::File;

/// More lines than this and a file holds more than one thing.
const MAX_LINES: usize = 700;

/// Libraries that stay behind one door: the word in code, and the places that may say it. A place that ends in `/` is a
/// folder. Tests and benches beside `src` are outside of the product and may use what they like.
const DOORS: &[(&str, &[&str])] = &[
    (
        "sqlx",
        &["crates/mira-memory/src/sqlite/", "crates/mira-memory/src/sqlite.rs"],
    ),
    (
        "axum",
        &[
            "crates/mira-backend/src/api/",
            "crates/mira-backend/src/api.rs",
            "crates/mira-backend/src/state.rs",
            "crates/mira-backend/src/lib.rs",
            "crates/mira-backend/src/net.rs",
            "crates/openai-sim/",
        ],
    ),
    ("git2", &["crates/mira-git/"]),
    (
        "std::env",
        &[
            "crates/mira-backend/src/config.rs",
            "crates/mira-backend/src/config/",
            "crates/openai-sim/src/main.rs",
            "crates/openai-sim/src/bin/",
            "xtask/",
        ],
    ),
    (
        "tokio::spawn",
        &["crates/mira-backend/src/lifecycle.rs", "crates/openai-sim/src/"],
    ),
    (
        "tokio::task::spawn",
        &["crates/mira-backend/src/lifecycle.rs", "crates/openai-sim/src/"],
    ),
];

/// Which crates of the workspace a crate may build on. The crates of the middle do not know each other: what one needs of
/// another it declares as a trait, and the backend wires it.
const ARROWS: &[(&str, &[&str])] = &[
    ("mira-core", &[]),
    ("mira-llm", &["mira-core"]),
    ("mira-memory", &["mira-core"]),
    ("mira-net", &[]),
    ("mira-box", &[]),
    ("mira-docs", &[]),
    ("mira-git", &["mira-core", "mira-net"]),
    ("mira-mcp", &["mira-net"]),
    ("mira-tools", &["mira-core"]),
    ("mira-render", &["mira-core"]),
    ("openai-sim", &["mira-core"]),
    ("qdrant-sim", &[]),
    (
        "mira-backend",
        &[
            "mira-core",
            "mira-llm",
            "mira-memory",
            "mira-git",
            "mira-box",
            "mira-docs",
            "mira-mcp",
            "mira-net",
            "mira-tools",
            "mira-render",
            "openai-sim",
        ],
    ),
    ("xtask", &[]),
];
/// The emulators are what tests talk to, so every crate may have them as dev-dependencies.
const TEST_PEERS: [&str; 2] = ["openai-sim", "qdrant-sim"];
/// Recall is measured and tested with the real embedder, which memory itself does not know.
const MEASURED_WITH: [(&str, &str); 1] = [("mira-memory", "mira-llm")];

/// Doing anything with these is IO, and mira-core does none.
const NOT_IN_CORE: &[&str] = &[
    "tokio",
    "tokio-util",
    "reqwest",
    "hyper",
    "axum",
    "sqlx",
    "git2",
    "rustls",
    "tower",
    "tower-http",
];

/// Layers inside the backend, each with what it must not know.
const LAYERS: &[(&str, &[&str])] = &[
    ("crates/mira-backend/src/services", &["crate::api", "crate::cli"]),
    ("crates/mira-backend/src/api", &["crate::cli"]),
];

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        name: "file-length",
        why: "a long file holds several things; split it by noun, so that each can be read whole",
        check: file_length,
    },
    Rule {
        name: "doors",
        why: "each outside library has one door, so that replacing or securing it is a change in one place",
        check: doors,
    },
    Rule {
        name: "arrows",
        why: "a crate's Cargo.toml states what it may know; a new arrow is a decision for ARCHITECTURE.md, not an accident",
        check: arrows,
    },
    Rule {
        name: "core-is-pure",
        why: "decisions without IO can be tested exhaustively and replayed",
        check: core_is_pure,
    },
    Rule {
        name: "layers",
        why: "main -> cli -> lib -> api -> services: a service that knows a door cannot be used through another",
        check: layers,
    },
    Rule {
        name: "module-docs",
        why: "a reader learns from the first lines what lives here and what does not",
        check: module_docs,
    },
    Rule {
        name: "migration-pairs",
        why: "`sqlx migrate revert` needs the way back, and two migrations with one number have no order",
        check: migration_pairs,
    },
    Rule {
        name: "no-ignored-tests",
        why: "a test that does not run proves nothing; fix it or delete it",
        check: no_ignored_tests,
    },
    Rule {
        name: "no-leftovers",
        why: "what is left to do belongs into an issue, where it is seen",
        check: no_leftovers,
    },
    Rule {
        name: "no-machine-paths",
        why: "a path of one machine breaks on every other, and tells strangers about it",
        check: no_machine_paths,
    },
    Rule {
        name: "links",
        why: "a link that leads nowhere costs its reader a search",
        check: links,
    },
    Rule {
        name: "named-proofs",
        why: "ARCHITECTURE.md and SECURITY.md prove what they say by naming code and tests; a name that has gone proves nothing",
        check: names,
    },
];

fn rust(files: &[File]) -> impl Iterator<Item = (&str, &str)> {
    files
        .iter()
        .filter(|file| has_ending(&file.path, "rs"))
        .filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
}

/// Whether the file's name ends in this, after a dot.
pub fn has_ending(path: &str, ending: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, found)| found == ending)
}

fn in_place(path: &str, place: &str) -> bool {
    if place.ends_with('/') {
        path.starts_with(place)
    } else {
        path == place
    }
}

/// Code outside of `src`, and modules that are only compiled for tests.
fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.contains("/examples/") || path.ends_with("/tests.rs")
}

fn file_length(files: &[File]) -> Vec<Finding> {
    rust(files)
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| Finding::new(path, MAX_LINES + 1, format!("{lines} lines, at most {MAX_LINES}")))
        .collect()
}

fn doors(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in rust(files).filter(|(path, _)| !is_test_file(path)) {
        let code = without_tests(&code(text));
        for (name, places) in DOORS {
            if places.iter().any(|place| in_place(path, place)) {
                continue;
            }
            let mut lines = lines_with(&code, name);
            if let Some((parent, item)) = name.rsplit_once("::") {
                lines.extend(lines_with_grouped(&code, parent, item));
            }
            lines.sort_unstable();
            lines.dedup();
            let says = format!("`{name}` only in {}", places.join(", "));
            findings.extend(lines.into_iter().map(|line| Finding::new(path, line, says.clone())));
        }
    }
    findings
}

/// The manifests of the workspace's crates, with the crate's name (its folder's).
fn manifests(files: &[File]) -> impl Iterator<Item = (&str, &str, &str)> {
    files.iter().filter_map(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml")?;
        let name = folder
            .strip_prefix("crates/")
            .or((folder == "xtask").then_some(folder))?;
        Some((name, file.path.as_str(), file.text.as_deref()?))
    })
}

fn arrows(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours: Vec<&str> = manifests(files).map(|(name, ..)| name).collect();
    for (name, path, text) in manifests(files) {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            findings.push(Finding::new(
                path,
                1,
                format!("`{name}` has no row in xtask's ARROWS: say what it may know"),
            ));
            continue;
        };
        for found in dependencies(text) {
            let peer = TEST_PEERS.contains(&found.name.as_str()) || MEASURED_WITH.contains(&(name, &found.name));
            let known = allowed.contains(&found.name.as_str()) || (found.dev && peer) || found.name == name;
            if ours.contains(&found.name.as_str()) && !known {
                let says = format!("`{name}` may not know `{}`, only: {}", found.name, allowed.join(", "));
                findings.push(Finding::new(path, found.line, says));
            }
        }
    }
    findings
}

fn core_is_pure(files: &[File]) -> Vec<Finding> {
    let core = manifests(files).filter(|(name, ..)| *name == "mira-core");
    core.flat_map(|(_, path, text)| {
        dependencies(text)
            .into_iter()
            .filter(|found| !found.dev && NOT_IN_CORE.contains(&found.name.as_str()))
            .map(|found| {
                Finding::new(
                    path,
                    found.line,
                    format!("mira-core may not depend on `{}`", found.name),
                )
            })
    })
    .collect()
}

fn layers(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in rust(files) {
        let Some((_, strangers)) = LAYERS
            .iter()
            .find(|(layer, _)| path.starts_with(&format!("{layer}/")) || path == format!("{layer}.rs"))
        else {
            continue;
        };
        let code = code(text);
        for stranger in *strangers {
            let mut lines = lines_with(&code, stranger);
            if let Some((parent, item)) = stranger.rsplit_once("::") {
                lines.extend(lines_with_grouped(&code, parent, item));
            }
            findings.extend(
                lines
                    .into_iter()
                    .map(|line| Finding::new(path, line, format!("this layer may not know `{stranger}`"))),
            );
        }
    }
    findings
}

fn module_docs(files: &[File]) -> Vec<Finding> {
    rust(files)
        .filter(|(_, text)| !text.trim_start().starts_with("//!"))
        .map(|(path, _)| Finding::new(path, 1, "starts without `//!`"))
        .collect()
}

fn migration_pairs(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let names: Vec<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("migrations/"))
        .collect();
    let mut numbers: Vec<(&str, &str)> = Vec::new();
    for name in &names {
        let path = format!("migrations/{name}");
        let stem = name.strip_suffix(".up.sql").or_else(|| name.strip_suffix(".down.sql"));
        let Some((number, title)) = stem.and_then(|stem| stem.split_once('_')) else {
            findings.push(Finding::new(
                &path,
                1,
                "not named NNNN_name.up.sql or NNNN_name.down.sql",
            ));
            continue;
        };
        if number.len() != 4 || !number.chars().all(|c| c.is_ascii_digit()) || title.is_empty() {
            findings.push(Finding::new(&path, 1, "the name starts with four digits and `_`"));
        }
        for half in ["up", "down"] {
            let wanted = format!("{number}_{title}.{half}.sql");
            if !names.contains(&wanted.as_str()) {
                findings.push(Finding::new(&path, 1, format!("its other half `{wanted}` is missing")));
            }
        }
        match numbers.iter().find(|(known, _)| *known == number) {
            Some((_, other)) if *other != title => {
                findings.push(Finding::new(
                    &path,
                    1,
                    format!("the number is already taken by `{number}_{other}`"),
                ));
            }
            Some(_) => {}
            None => numbers.push((number, title)),
        }
    }
    findings
}

fn no_ignored_tests(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in rust(files) {
        let lines = code(text)
            .lines()
            .zip(1..)
            .filter(|(line, _)| line.trim_start().starts_with("#[ignore"))
            .map(|(_, line)| line)
            .collect::<Vec<_>>();
        findings.extend(
            lines
                .into_iter()
                .map(|line| Finding::new(path, line, "an ignored test")),
        );
    }
    findings
}

fn no_leftovers(files: &[File]) -> Vec<Finding> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut findings = Vec::new();
    for file in files {
        let Some(text) = &file.text else { continue };
        for mark in marks {
            findings.extend(
                lines_with(text, mark)
                    .into_iter()
                    .map(|line| Finding::new(&file.path, line, format!("`{mark}`"))),
            );
        }
    }
    findings
}

fn no_machine_paths(files: &[File]) -> Vec<Finding> {
    let homes = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/Us", "ers/"),
    ];
    let mut findings = Vec::new();
    for file in files {
        let Some(text) = &file.text else { continue };
        for (line, number) in text.lines().zip(1..) {
            let starts_a_path = |home: &str| {
                line.match_indices(home).any(|(at, _)| {
                    let before = line.get(..at).and_then(|before| before.chars().next_back());
                    before.is_none_or(|before| before.is_whitespace() || "\"'`=(<[:,".contains(before))
                })
            };
            if let Some(home) = homes.into_iter().find(|home| starts_a_path(home)) {
                findings.push(Finding::new(&file.path, number, format!("a path below `{home}`")));
            }
        }
    }
    findings
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
