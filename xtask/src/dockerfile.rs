//! Reads the Dockerfile and .dockerignore as far as this project uses them, and checks what can be checked without a
//! container engine: stages, what is copied and whether it is there, user, environment, command, health check.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use yaml_rust2::YamlLoader;

/// One instruction, continuation lines joined.
#[derive(Debug, PartialEq, Eq)]
pub struct Instruction {
    name: String,
    rest: String,
}

/// A stage: its base image and what follows.
#[derive(Debug)]
pub struct Stage {
    base: String,
    alias: Option<String>,
    steps: Vec<Instruction>,
}

/// What the shipped Dockerfile says, once it has passed [`Image::read`]'s checks.
#[derive(Debug)]
pub struct Image {
    /// Paths of the repository the builder copies.
    pub sources: Vec<String>,
    /// The builder's commands.
    pub build: Vec<String>,
    /// The built file, relative to the build's folder.
    pub built: String,
    /// Where the image has the binary.
    pub installed: String,
    /// The image's environment.
    pub env: Vec<(String, String)>,
    /// The health check's program and arguments.
    pub health: Vec<String>,
}

impl Image {
    /// Reads and checks; `root` is the build context.
    pub fn read(dockerfile: &str, ignore: &Ignore, root: &Path) -> Result<Self> {
        let stages = stages(dockerfile)?;
        let [builder, last] = stages.as_slice() else {
            bail!("two stages expected, found {}", stages.len())
        };
        ensure!(
            builder.base.starts_with("rust:") && builder.base.ends_with("-bookworm"),
            "the builder is Rust on bookworm"
        );
        ensure!(
            last.base == "debian:bookworm-slim",
            "the image stands on debian:bookworm-slim"
        );
        let alias = builder.alias.as_deref().context("the builder stage has no name")?;

        let sources = sources(builder)?;
        for source in &sources {
            ensure!(root.join(source).exists(), "COPY {source}: not in the repository");
            ensure!(!ignore.ignores(source), "COPY {source}: .dockerignore keeps it out");
        }
        let (built, installed) = binary(last, alias, &one(builder, "WORKDIR")?)?;
        ensure!(
            installed == "/usr/local/bin/mira-backend",
            "the binary belongs at /usr/local/bin/mira-backend"
        );

        ensure!(
            words(&one(last, "CMD")?)? == ["mira-backend"],
            "CMD is [\"mira-backend\"]"
        );
        let user = one(last, "USER")?;
        ensure!(user != "root" && user != "0", "the image runs as a user of its own");
        let made =
            steps(last, "RUN").any(|run| run.contains("useradd") && run.split_whitespace().any(|word| word == user));
        ensure!(made, "USER {user}: no RUN adds it");

        let env = environment(last)?;
        let value = |name: &str| {
            env.iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        ensure!(
            value("MIRA_HOST") == Some("0.0.0.0"),
            "ENV MIRA_HOST=0.0.0.0 is missing"
        );
        let data = value("MIRA_DATA_DIR").context("ENV MIRA_DATA_DIR is missing")?;
        ensure!(one(last, "VOLUME")? == data, "VOLUME is the data folder");
        ensure!(
            Some(one(last, "EXPOSE")?.as_str()) == value("MIRA_PORT"),
            "EXPOSE is MIRA_PORT"
        );

        let health = one(last, "HEALTHCHECK")?;
        let (_, health) = health.split_once("CMD").context("HEALTHCHECK has no CMD")?;
        let build = steps(builder, "RUN").map(str::to_owned).collect();
        Ok(Self {
            sources,
            build,
            built,
            installed,
            health: words(health)?,
            env,
        })
    }
}

/// The repository's paths that a stage copies.
fn sources(stage: &Stage) -> Result<Vec<String>> {
    let mut sources = Vec::new();
    for copy in steps(stage, "COPY") {
        let words: Vec<&str> = copy.split_whitespace().collect();
        let Some((target, from)) = words.split_last() else {
            bail!("COPY without paths")
        };
        for source in from {
            ensure!(
                *target == "./" || target == source,
                "COPY {copy}: the build's folder has the repository's layout"
            );
            sources.push((*source).to_owned());
        }
    }
    Ok(sources)
}

/// The binary in the builder (relative to its folder) and in the image.
fn binary(last: &Stage, alias: &str, workdir: &str) -> Result<(String, String)> {
    let copy = one(last, "COPY")?;
    let [from, built, installed] = copy.split_whitespace().collect::<Vec<_>>()[..] else {
        bail!("COPY {copy}: three words expected")
    };
    ensure!(
        from == format!("--from={alias}"),
        "the image copies from the builder only"
    );
    let built = built.strip_prefix(workdir).and_then(|path| path.strip_prefix('/'));
    let built = built.with_context(|| format!("COPY {copy}: not from the build's folder"))?;
    Ok((built.to_owned(), installed.to_owned()))
}

fn environment(stage: &Stage) -> Result<Vec<(String, String)>> {
    steps(stage, "ENV")
        .flat_map(str::split_whitespace)
        .map(|pair| {
            pair.split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        })
        .map(|pair| pair.context("ENV is NAME=value"))
        .collect()
}

fn steps<'a>(stage: &'a Stage, name: &'a str) -> impl Iterator<Item = &'a str> {
    stage
        .steps
        .iter()
        .filter(move |step| step.name == name)
        .map(|step| step.rest.as_str())
}

fn one(stage: &Stage, name: &str) -> Result<String> {
    let mut found = steps(stage, name);
    match (found.next(), found.next()) {
        (Some(rest), None) => Ok(rest.to_owned()),
        (None, _) => bail!("{name} is missing below FROM {}", stage.base),
        (Some(_), Some(_)) => bail!("{name} twice below FROM {}", stage.base),
    }
}

/// The exec form `["program", "argument"]`. JSON is a subset of YAML.
fn words(json: &str) -> Result<Vec<String>> {
    let documents = YamlLoader::load_from_str(json.trim()).with_context(|| format!("{json}: not in the exec form"))?;
    let list = documents
        .first()
        .and_then(|list| list.as_vec())
        .with_context(|| format!("{json}: not in the exec form"))?;
    list.iter()
        .map(|word| {
            word.as_str()
                .map(str::to_owned)
                .with_context(|| format!("{json}: only strings"))
        })
        .collect()
}

/// Splits a Dockerfile into stages.
pub fn stages(dockerfile: &str) -> Result<Vec<Stage>> {
    let mut stages: Vec<Stage> = Vec::new();
    for Instruction { name, rest } in instructions(dockerfile) {
        if name == "FROM" {
            let (base, alias) = rest
                .split_once(" AS ")
                .map_or((rest.as_str(), None), |(base, alias)| (base, Some(alias)));
            stages.push(Stage {
                base: base.trim().to_owned(),
                alias: alias.map(|name| name.trim().to_owned()),
                steps: Vec::new(),
            });
        } else {
            let stage = stages
                .last_mut()
                .with_context(|| format!("{name} stands before the first FROM"))?;
            stage.steps.push(Instruction { name, rest });
        }
    }
    Ok(stages)
}

fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut open = String::new();
    for line in dockerfile.lines().filter(|line| !line.trim_start().starts_with('#')) {
        if let Some(continued) = line.strip_suffix('\\') {
            open.push_str(continued);
            continue;
        }
        open.push_str(line);
        if let Some((name, rest)) = open.trim().split_once(char::is_whitespace) {
            found.push(Instruction {
                name: name.to_owned(),
                rest: rest.trim().to_owned(),
            });
        }
        open.clear();
    }
    found
}

/// A .dockerignore: the last pattern that matches a path or one of its parents decides.
#[derive(Debug)]
pub struct Ignore {
    patterns: Vec<(bool, Vec<String>)>,
}

impl Ignore {
    /// Reads the patterns: `*` inside a name, `**` for any folders, `!` to let something in again.
    pub fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let patterns = lines
            .map(|line| line.strip_prefix('!').map_or((true, line), |allowed| (false, allowed)))
            .map(|(ignores, pattern)| {
                (
                    ignores,
                    pattern.trim_matches('/').split('/').map(str::to_owned).collect(),
                )
            })
            .collect();
        Self { patterns }
    }

    /// Whether the path (relative, `/`-separated) stays out of the build context.
    pub fn ignores(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let matches = |pattern: &[String]| {
            (1..=parts.len()).any(|depth| parts.get(..depth).is_some_and(|parts| path_matches(pattern, parts)))
        };
        let deciding = self.patterns.iter().rev().find(|(_, pattern)| matches(pattern));
        deciding.is_some_and(|(ignores, _)| *ignores)
    }
}

fn path_matches(pattern: &[String], parts: &[&str]) -> bool {
    match (pattern.split_first(), parts.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            path_matches(rest, parts)
                || parts
                    .split_first()
                    .is_some_and(|(_, parts)| path_matches(pattern, parts))
        }
        (Some((first, rest)), Some((part, parts))) => name_matches(first, part) && path_matches(rest, parts),
        _ => false,
    }
}

fn name_matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(before) else {
        return false;
    };
    rest.char_indices()
        .map(|(at, _)| at)
        .chain([rest.len()])
        .any(|at| rest.get(at..).is_some_and(|rest| name_matches(after, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo;

    const GOOD: &str = "# c\nFROM rust:1.95-bookworm AS builder\nWORKDIR /src\nCOPY Cargo.toml Cargo.lock ./\nCOPY crates crates\n\
        RUN cargo build \\\n  --release\nFROM debian:bookworm-slim\nRUN useradd mira\n\
        COPY --from=builder /src/target/release/mira-backend /usr/local/bin/mira-backend\n\
        ENV MIRA_HOST=0.0.0.0 MIRA_PORT=8080 MIRA_DATA_DIR=/data\nUSER mira\nVOLUME /data\nEXPOSE 8080\n\
        HEALTHCHECK --retries=3 CMD [\"bash\", \"-c\", \"say \\\"hi\\\"\"]\nCMD [\"mira-backend\"]\n";

    fn read(dockerfile: &str) -> Result<Image> {
        Image::read(dockerfile, &Ignore::parse("*\n!Cargo.*\n!crates\n"), &repo::root())
    }

    #[test]
    fn a_good_file_is_understood() {
        let image = read(GOOD).unwrap();
        assert_eq!(image.sources, ["Cargo.toml", "Cargo.lock", "crates"]);
        assert_eq!(image.build, ["cargo build   --release"]);
        assert_eq!(image.built, "target/release/mira-backend");
        assert_eq!(image.health, ["bash", "-c", "say \"hi\""]);
    }

    #[test]
    fn each_mistake_is_named() {
        for (from, to, says) in [
            ("USER mira", "USER root", "the image runs as a user of its own"),
            ("useradd mira", "true", "USER mira: no RUN adds it"),
            (
                "COPY crates crates",
                "COPY nothing nothing",
                "COPY nothing: not in the repository",
            ),
            (
                "COPY crates crates",
                "COPY xtask xtask",
                "COPY xtask: .dockerignore keeps it out",
            ),
            (
                "CMD [\"mira-backend\"]",
                "CMD mira-backend",
                "mira-backend: not in the exec form",
            ),
            ("MIRA_HOST=0.0.0.0 ", "", "ENV MIRA_HOST=0.0.0.0 is missing"),
            ("VOLUME /data", "VOLUME /other", "VOLUME is the data folder"),
            ("EXPOSE 8080", "EXPOSE 80", "EXPOSE is MIRA_PORT"),
            (
                "debian:bookworm-slim",
                "alpine",
                "the image stands on debian:bookworm-slim",
            ),
            ("USER mira\n", "", "USER is missing below FROM debian:bookworm-slim"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert_eq!(read(&GOOD.replacen(from, to, 1)).unwrap_err().to_string().trim(), says);
        }
    }

    #[test]
    fn the_last_matching_pattern_decides() {
        let ignore = Ignore::parse("# c\n*\n!crates\n!Cargo.lock\n**/snapshots\n**/*.snap\n");
        for (path, ignored) in [
            (".env", true),
            ("target/debug/x", true),
            ("crates", false),
            ("crates/a/src/lib.rs", false),
            ("Cargo.lock", false),
            ("crates/a/snapshots/x.txt", true),
            ("crates/a/b.snap", true),
            ("crates/a/snap", false),
        ] {
            assert_eq!(ignore.ignores(path), ignored, "{path}");
        }
    }
}
