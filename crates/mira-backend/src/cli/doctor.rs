//! `doctor`: one line per check, `ok|warn|fail  name  detail`. Reads only, also beside a running server.

use super::{CliError, EXIT_CONFIG, forgotten, say};
use crate::{
    config::{AuthMode, Config, ConfigError, LlmApi, Scheme},
    datadir,
    services::{
        files::{
            check::{Depth, look},
            disk::Disk,
        },
        health::{Condition, PartHealth, disk_health},
        memory::{probe_embeddings, probe_index},
        model,
    },
};
use clap::Args;
use mira_core::{
    clock::{Clock, SystemClock},
    ids::AccountId,
    repo::{Repo, RepoStatus},
};
use mira_memory::{Store, StoreError, sqlite_version};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// The first SQLite without the fault that can damage a file when a log is begun anew beside a checkpoint
/// (<https://www.sqlite.org/wal.html#walresetbug>).
const SOUND_SQLITE: [u32; 3] = [3, 51, 3];
/// Files of the data directory looked at one by one; the rest of a larger one is as likely right or wrong.
const FILES_LOOKED_AT: usize = 1000;
/// The most files named one by one.
const MOST_NAMED: usize = 20;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Instead: look for a text everywhere Mira keeps anything; found is 1, nowhere is 0
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    forgotten: Option<String>,
    /// Also reads the bytes of all files and compares them with their hashes
    #[arg(long, conflicts_with = "forgotten")]
    bytes: bool,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// The report so far.
#[derive(Default)]
struct Report {
    failed: bool,
}

impl Report {
    fn line(&mut self, verdict: Verdict, name: &str, detail: &str) -> io::Result<()> {
        let word = match verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        self.failed |= verdict == Verdict::Fail;
        say(&format!("{word}  {name:<14}  {}", detail.replace('\n', " ")))
    }
}

pub(super) async fn run(config: Result<Config, ConfigError>, args: DoctorArgs) -> Result<ExitCode, CliError> {
    if let Some(text) = args.forgotten {
        return forgotten::run(&config?, &text).await;
    }
    let mut report = Report::default();
    let config = match config {
        Ok(config) => config,
        Err(e) => {
            for problem in &e.0 {
                report.line(
                    Verdict::Fail,
                    "configuration",
                    &format!("{}: {}", problem.name, problem.reason),
                )?;
            }
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    for warning in &config.warnings {
        report.line(Verdict::Warn, "configuration", warning)?;
    }
    report.line(Verdict::Ok, "configuration", "every variable is valid")?;
    check_data_dir(&mut report, &config)?;
    check_server(&mut report, &config)?;
    check_sqlite(&mut report).await?;
    check_database(&mut report, &config).await?;
    check_memory(&mut report, &config).await?;
    let depth = if args.bytes { Depth::Hashes } else { Depth::Lengths };
    check_file_bytes(&mut report, &config, depth).await?;
    check_repos(&mut report, &config).await?;
    check_model(&mut report, &config).await?;
    check_security(&mut report, &config)?;
    Ok(if report.failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn check_data_dir(report: &mut Report, config: &Config) -> io::Result<()> {
    let shown = config.data_dir.display();
    match fs::metadata(&config.data_dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => report.line(
            Verdict::Ok,
            "data directory",
            &format!("{shown} is made at the first start"),
        ),
        Err(e) => report.line(Verdict::Fail, "data directory", &format!("{shown}: {e}")),
        Ok(found) if !found.is_dir() => report.line(Verdict::Fail, "data directory", &format!("{shown} is a file")),
        Ok(found) if found.mode() & 0o077 != 0 => {
            let mode = found.mode() & 0o777;
            report.line(
                Verdict::Warn,
                "data directory",
                &format!("{shown} is open to others (mode {mode:o}); chmod 700"),
            )
        }
        Ok(_) => {
            report.line(Verdict::Ok, "data directory", &format!("{shown}, yours alone"))?;
            let disk = disk_health(config);
            let verdict = match disk.condition {
                Condition::Ok => Verdict::Ok,
                Condition::Degraded | Condition::Unavailable => Verdict::Warn,
            };
            report.line(verdict, "disk", &disk.detail)
        }
    }
}

fn check_server(report: &mut Report, config: &Config) -> io::Result<()> {
    match datadir::holder(config) {
        Some(holder) => report.line(Verdict::Ok, "server", &format!("running: {holder}")),
        None => report.line(Verdict::Ok, "server", "not running"),
    }
}

async fn check_sqlite(report: &mut Report) -> io::Result<()> {
    let found = match sqlite_version().await {
        Ok(found) => found,
        Err(e) => return report.line(Verdict::Fail, "sqlite", &e.to_string()),
    };
    let numbers: Vec<u32> = found.split('.').filter_map(|number| number.parse().ok()).collect();
    let wanted = SOUND_SQLITE.map(|number| number.to_string()).join(".");
    if numbers.as_slice() >= SOUND_SQLITE.as_slice() {
        let detail = format!("{found}, built in; {wanted} or newer is sound");
        report.line(Verdict::Ok, "sqlite", &detail)
    } else {
        let detail = format!("{found} can damage a database in use; {wanted} or newer is needed");
        report.line(Verdict::Fail, "sqlite", &detail)
    }
}

async fn check_database(report: &mut Report, config: &Config) -> io::Result<()> {
    let path = &config.database.path;
    if !path.exists() {
        return report.line(
            Verdict::Ok,
            "database",
            &format!("{} is made at the first start", path.display()),
        );
    }
    match inspect(path).await {
        Ok((None, detail)) => report.line(Verdict::Ok, "database", &detail),
        Ok((Some(problem), _)) => report.line(Verdict::Fail, "database", &format!("not sound: {problem}")),
        Err(e @ StoreError::Schema(_)) => report.line(
            Verdict::Warn,
            "database",
            &format!("{e}; the next start does it, after a backup"),
        ),
        Err(e) => report.line(Verdict::Fail, "database", &e.to_string()),
    }
}

async fn inspect(path: &Path) -> Result<(Option<String>, String), StoreError> {
    let store = Store::open_read_only(path).await?;
    let checked = store.integrity_check().await;
    let stats = store.stats(AccountId::OWNER).await;
    store.close().await;
    let stats = stats?;
    let detail = format!(
        "sound: {} sessions, {} messages, {} KiB and {} KiB of log",
        stats.sessions,
        stats.messages,
        stats.database_bytes / 1024,
        stats.wal_bytes / 1024
    );
    Ok((checked?.problems.into_iter().next(), detail))
}

/// Whether every file has its bytes, and all bytes belong to a file.
async fn check_file_bytes(report: &mut Report, config: &Config, depth: Depth) -> io::Result<()> {
    let name = "file bytes";
    // What is wrong with the database has been said.
    let Ok(store) = Store::open_read_only(&config.database.path).await else {
        return Ok(());
    };
    let looked = look(&store, AccountId::OWNER, Disk::of(config), depth).await;
    store.close().await;
    let looked = match looked {
        Ok(looked) => looked,
        Err(e) => return report.line(Verdict::Fail, name, &e.to_string()),
    };
    for (file, wrong) in looked.wrong.iter().take(MOST_NAMED) {
        let (file, id) = (&file.name, file.id);
        let detail = format!("{file} ({id}): {wrong}; upload it again, restore a backup, or delete it");
        report.line(Verdict::Fail, name, &detail)?;
    }
    if let Some(more) = looked.wrong.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        report.line(Verdict::Fail, name, &format!("and {more} more"))?;
    }
    if let Some(first) = looked.unknown.first() {
        let (count, first) = (looked.unknown.len(), first.display());
        let detail = format!(
            "{count} on disk belong to no file, {first} the first: they may be of the database before a restore, which \
             the backups folder has; delete them when you need that no more"
        );
        report.line(Verdict::Warn, name, &detail)?;
    }
    let how = match depth {
        Depth::Lengths => "their lengths (--bytes also compares their hashes)",
        Depth::Hashes => "their hashes",
    };
    let sound = looked.files - looked.wrong.len() as u64;
    let detail = format!(
        "{sound} of {} files, {} KiB, by {how}",
        looked.files,
        looked.bytes / 1024
    );
    report.line(Verdict::Ok, name, &detail)
}

/// Whether every repository that counts as ready has its folder. What is in the folders is git's to check: `git fsck`.
async fn check_repos(report: &mut Report, config: &Config) -> io::Result<()> {
    // What is wrong with the database has been said.
    let Ok(store) = Store::open_read_only(&config.database.path).await else {
        return Ok(());
    };
    let listed = store.list_all_repos(AccountId::OWNER).await;
    store.close().await;
    let repos = match listed {
        Ok(repos) => repos,
        Err(e) => return report.line(Verdict::Fail, "repositories", &e.to_string()),
    };
    let folder = |repo: &Repo| config.git.repos_dir.join(repo.id.to_string());
    for repo in &repos {
        let shown = format!("{} in {}", repo.repo_url, folder(repo).display());
        if repo.status.is_usable() && !folder(repo).is_dir() {
            let detail = format!("{shown}: its folder is missing");
            report.line(Verdict::Fail, "repositories", &detail)?;
        } else if let (RepoStatus::Failed, Some(error)) = (repo.status, &repo.error) {
            let detail = format!("{shown}: {error}");
            report.line(Verdict::Warn, "repositories", &detail)?;
        }
    }
    let detail = format!("{} attached", repos.len());
    report.line(Verdict::Ok, "repositories", &detail)
}

async fn check_memory(report: &mut Report, config: &Config) -> io::Result<()> {
    // What is wrong with the database has been said.
    let store = Store::open_read_only(&config.database.path).await.ok();
    let index = probe_index(config, store.as_ref()).await;
    if let Some(store) = store {
        store.close().await;
    }
    let part = |PartHealth { condition, detail }| match condition {
        Condition::Ok => (Verdict::Ok, detail),
        Condition::Degraded | Condition::Unavailable => (Verdict::Fail, detail),
    };
    let (verdict, detail) = index.map_or_else(|e| (Verdict::Fail, e.to_string()), part);
    report.line(verdict, "index", &detail)?;
    let (verdict, detail) = part(probe_embeddings(config).await);
    report.line(verdict, "embeddings", &detail)
}

async fn check_model(report: &mut Report, config: &Config) -> Result<(), CliError> {
    if config.llm.api == LlmApi::Rehearsal {
        let detail = "rehearsal: the built-in emulator answers; set OPENAI_API_KEY or OPENAI_BASE_URL for a model";
        return Ok(report.line(Verdict::Ok, "model", detail)?);
    }
    let endpoint = match model::open(&config.llm, &SystemClock, Arc::default()).await {
        Ok(opened) => opened.endpoint,
        Err(e) => return Ok(report.line(Verdict::Fail, "model", &e.to_string())?),
    };
    let answer = mira_llm::list_models(&endpoint).await;
    let (condition, detail) = model::judge_offer(&endpoint, answer);
    let verdict = if condition == Condition::Ok {
        Verdict::Ok
    } else {
        Verdict::Fail
    };
    Ok(report.line(verdict, "model", &detail)?)
}

fn check_security(report: &mut Report, config: &Config) -> io::Result<()> {
    let access = &config.access;
    let address = config.listen;
    let open = !address.ip().is_loopback();
    let secure = access
        .public_url
        .as_ref()
        .is_some_and(|url| url.origin.scheme == Scheme::Https);
    match (open, secure) {
        (false, _) => report.line(Verdict::Ok, "bind", &format!("{address}: this machine only"))?,
        (true, true) => report.line(Verdict::Ok, "bind", &format!("{address}, public over https"))?,
        (true, false) => {
            let detail = format!("{address}: reachable from other machines without TLS; put a proxy in front");
            report.line(Verdict::Warn, "bind", &detail)?;
        }
    }
    match access.mode {
        AuthMode::Required => report.line(Verdict::Ok, "login", "required")?,
        AuthMode::Off => report.line(
            Verdict::Warn,
            "login",
            "off: every program of this machine is the owner",
        )?,
    }
    check_token(report, config)?;
    check_files(report, config)?;
    let list = |names: Vec<String>| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let hosts = list(
        access
            .allowed_hosts
            .iter()
            .map(|place| place.host.to_string())
            .collect(),
    );
    let origins = list(access.allowed_origins.iter().map(ToString::to_string).collect());
    report.line(
        Verdict::Ok,
        "hosts",
        &format!("beside loopback: {hosts}; further origins: {origins}"),
    )?;
    let proxies = match access.trusted_proxies.len() {
        0 => "nobody".to_owned(),
        count => format!("{count} of MIRA_TRUSTED_PROXIES"),
    };
    let public = access
        .public_url
        .as_ref()
        .map_or_else(|| "none".to_owned(), ToString::to_string);
    report.line(
        Verdict::Ok,
        "proxy",
        &format!("public address: {public}; trusted to say who asks: {proxies}"),
    )?;
    match fs::metadata(".env") {
        Ok(found) if found.mode() & 0o077 != 0 => report.line(
            Verdict::Warn,
            ".env",
            "others can read it; chmod 600 .env if it holds a key",
        ),
        Ok(_) => report.line(Verdict::Ok, ".env", "yours alone"),
        Err(_) => Ok(()),
    }
}

/// The files of the data directory and the database: nobody else reads a conversation.
fn check_files(report: &mut Report, config: &Config) -> io::Result<()> {
    let mut found: Vec<PathBuf> = [&config.data_dir, &config.data_dir.join("backups")]
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .take(FILES_LOOKED_AT)
        .collect();
    if !config.database.path.starts_with(&config.data_dir) {
        found.push(config.database.path.clone());
    }
    let open = |path: &PathBuf| {
        // A folder that only its owner enters hides what is in it.
        let looked = fs::symlink_metadata(path).ok()?;
        (looked.is_file() && looked.mode() & 0o077 != 0)
            .then(|| format!("{} ({:o})", path.display(), looked.mode() & 0o777))
    };
    let count = found.len();
    let open: Vec<String> = found.iter().filter_map(open).take(5).collect();
    if count == 0 {
        report.line(Verdict::Ok, "files", "none yet")
    } else if open.is_empty() {
        report.line(Verdict::Ok, "files", &format!("{count}, yours alone"))
    } else {
        let detail = format!("others may read {}; chmod 600", open.join(", "));
        report.line(Verdict::Warn, "files", &detail)
    }
}

fn check_token(report: &mut Report, config: &Config) -> io::Result<()> {
    if let Some(token) = &config.access.token {
        let short = token.expose().len() < 16;
        let (verdict, detail) = if short {
            (
                Verdict::Warn,
                "from MIRA_AUTH_TOKEN, fewer than 16 characters: it can be guessed",
            )
        } else {
            (Verdict::Ok, "from MIRA_AUTH_TOKEN")
        };
        return report.line(verdict, "token", detail);
    }
    match fs::metadata(config.token_file()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => report.line(Verdict::Ok, "token", "made at the first start"),
        Err(e) => report.line(Verdict::Fail, "token", &e.to_string()),
        Ok(found) if found.mode() & 0o077 != 0 => report.line(
            Verdict::Fail,
            "token",
            &format!("others can read the token file (mode {:o})", found.mode() & 0o777),
        ),
        Ok(found) => {
            let age_days = SystemClock.now().as_second().saturating_sub(found.mtime()) / 86_400;
            report.line(
                Verdict::Ok,
                "token",
                &format!("in a file that is yours alone, {age_days} days old"),
            )
        }
    }
}
