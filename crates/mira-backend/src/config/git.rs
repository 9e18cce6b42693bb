//! What of the configuration is about repositories: where clones lie, who signs commits, which private hosts may be
//! reached.

use super::{env::Reader, read_path, types::Invalid};
use mira_git::Author;
use mira_net::HostPort;
use std::path::{Path, PathBuf};

/// Repositories.
#[derive(Debug, Clone)]
pub struct GitConfig {
    /// Where clones lie, absolute.
    pub repos_dir: PathBuf,
    /// Who signs the commits Mira makes.
    pub author: Author,
    /// Hosts that clones and fetches may reach although private.
    pub private_hosts: Vec<HostPort>,
    /// The socket of the owner's ssh agent.
    pub ssh_agent: Option<PathBuf>,
}

pub(super) fn read_git(reader: &mut Reader<'_>, data_dir: &Path) -> GitConfig {
    GitConfig {
        repos_dir: read_path(reader, "GIT_REPOS_DIR", &data_dir.join("repos")),
        author: reader.or(
            "MIRA_GIT_AUTHOR",
            Author {
                name: "Mira".to_owned(),
                email: "mira@localhost".to_owned(),
            },
            parse_author,
        ),
        private_hosts: reader.list("MIRA_ALLOW_PRIVATE_HOSTS", |text| {
            text.parse::<HostPort>()
                .map_err(|error| Invalid::new(error.to_string()))
        }),
        // Not a setting of Mira's: a login on the owner's machine sets it for every program.
        ssh_agent: reader
            .optional("SSH_AUTH_SOCK", |text| Ok(PathBuf::from(text)))
            .filter(|path| path.is_absolute()),
    }
}

/// `Name <mail@host>`, as git writes it: neither part may hold what separates them.
fn parse_author(text: &str) -> Result<Author, Invalid> {
    let bad = || Invalid::new(format!("{text:?} is not \"Name <mail@host>\""));
    let (name, email) = text.strip_suffix('>').and_then(|t| t.split_once('<')).ok_or_else(bad)?;
    let (name, email) = (name.trim(), email.trim());
    let odd = |part: &str| part.is_empty() || part.contains(['<', '>']) || part.contains(char::is_control);
    if odd(name) || odd(email) || !email.contains('@') || email.contains(char::is_whitespace) {
        return Err(bad());
    }
    Ok(Author {
        name: name.to_owned(),
        email: email.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors() {
        let check = |text: &str, expect: Option<(&str, &str)>| {
            let found = parse_author(text).ok();
            let found = found
                .as_ref()
                .map(|author| (author.name.as_str(), author.email.as_str()));
            assert_eq!(found, expect, "{text:?}");
        };
        check("Mira <mira@localhost>", Some(("Mira", "mira@localhost")));
        check(
            " Ada L.  < ada@example.org > ".trim(),
            Some(("Ada L.", "ada@example.org")),
        );
        for bad in [
            "",
            "nobody",
            "<a@b>",
            "A <>",
            "A <ab>",
            "A <a@b",
            "A <a b@c>",
            "A <<a@b>",
            "A\nB <a@b>",
        ] {
            check(bad, None);
        }
    }
}
