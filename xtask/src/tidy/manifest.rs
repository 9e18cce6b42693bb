//! Reads the dependency names out of a Cargo.toml: the section headers and the keys below them, no more of TOML.

/// A dependency line of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The crate as the manifest names it.
    pub name: String,
    /// Whether only tests, examples and benches see it.
    pub dev: bool,
    /// Line number, from 1.
    pub line: usize,
}

/// All dependencies, those of target sections included.
pub fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = Section::Other;
    for (text, line) in manifest.lines().zip(1..) {
        let text = text.trim();
        if let Some(header) = text.strip_prefix('[') {
            let (next, named) = section_of(header.trim_end_matches(|c| c != ']').trim_end_matches(']'));
            section = next;
            if let (Some(name), Some(dev)) = (named, section.dev()) {
                found.push(Dependency { name, dev, line });
                // What follows are the keys of this one dependency.
                section = Section::Other;
            }
        } else if let (Some(dev), Some((key, _))) = (section.dev(), text.split_once('='))
            && !text.starts_with('#')
        {
            let name = key.trim().split('.').next().unwrap_or_default().trim_matches('"');
            found.push(Dependency {
                name: name.to_owned(),
                dev,
                line,
            });
        }
    }
    found
}

#[derive(Clone, Copy)]
enum Section {
    Normal,
    Dev,
    Other,
}

impl Section {
    fn dev(self) -> Option<bool> {
        match self {
            Self::Normal => Some(false),
            Self::Dev => Some(true),
            Self::Other => None,
        }
    }
}

/// The kind of a section, and the crate when the header itself names one (`[dependencies.tokio]`).
fn section_of(header: &str) -> (Section, Option<String>) {
    for (word, section) in [
        ("dev-dependencies", Section::Dev),
        ("build-dependencies", Section::Normal),
        ("dependencies", Section::Normal),
    ] {
        if header == "workspace.dependencies" {
            break;
        }
        if header == word || header.ends_with(&format!(".{word}")) {
            return (section, None);
        }
        let named = header
            .split_once(&format!("{word}."))
            .filter(|(before, _)| before.is_empty() || before.ends_with('.'));
        if let Some((_, name)) = named {
            return (section, Some(name.trim_matches('"').to_owned()));
        }
    }
    (Section::Other, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_a_dependency_are_seen() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\n# why\na.workspace = true\nb = { version = \"1\" }\n\
                        [dev-dependencies]\nc = \"1\"\n[target.'cfg(unix)'.dependencies]\nd = \"1\"\n\
                        [dependencies.e]\nversion = \"1\"\n[lints]\nworkspace = true\n[workspace.dependencies]\nf = \"1\"\n";
        let names: Vec<(String, bool)> = dependencies(manifest)
            .into_iter()
            .map(|found| (found.name, found.dev))
            .collect();
        let expect = [("a", false), ("b", false), ("c", true), ("d", false), ("e", false)];
        assert_eq!(names, expect.map(|(name, dev)| (name.to_owned(), dev)));
    }
}
