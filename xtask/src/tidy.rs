//! Structure rules: what the compiler cannot see and a reviewer should not have to. Each rule says why it is there, and
//! has a test that shows it catching something. They are about walls between places, so they look at names and paths
//! only; what a linter knows better is in clippy.toml.

mod documents;
mod manifest;
mod rules;
mod source;

use std::path::Path;

use anyhow::{Result, bail};

use crate::repo::{self, File};
use rules::RULES;

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    line: usize,
    says: String,
}

impl Finding {
    fn new(path: &str, line: usize, says: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            says: says.into(),
        }
    }
}

/// A rule over all files of the repository.
pub struct Rule {
    name: &'static str,
    why: &'static str,
    check: fn(&[File]) -> Vec<Finding>,
}

/// Checks the repository and prints what it finds.
pub fn run() -> Result<()> {
    let (report, found) = check(&repo::root())?;
    print!("{report}");
    if found > 0 {
        bail!("{found} findings against the structure rules");
    }
    Ok(())
}

fn check(root: &Path) -> Result<(String, usize)> {
    let files = repo::files(root)?;
    let mut lines = Vec::new();
    let mut total = 0;
    for rule in RULES {
        let mut findings = (rule.check)(&files);
        findings.sort();
        total += findings.len();
        lines.extend(
            findings
                .iter()
                .map(|found| format!("{}:{}: {}\n", found.path, found.line, found.says)),
        );
        if !findings.is_empty() {
            lines.push(format!("  rule `{}`: {}\n", rule.name, rule.why));
        }
    }
    lines.push(format!(
        "{} files, {} rules, {total} findings\n",
        files.len(),
        RULES.len()
    ));
    Ok((lines.concat(), total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_rules() {
        let (report, found) = check(&repo::root()).unwrap();
        assert_eq!(found, 0, "{report}");
    }
}
