//! The overlays in force: the shipped ones and those of the owner's folder, reread when the folder changes.

use mira_core::{
    clock::Clock,
    persona::{Persona, PersonaName, PersonaSet, builtin},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

/// The folder is looked at no more often than this.
const LOOK_EVERY_MS: i64 = 1000;
/// Files beyond this many in the folder are not read.
const MAX_FILES: usize = 256;
/// Files beyond this size are not read; the parser's own limit is below it.
const MAX_BYTES: u64 = 256 * 1024;

/// What was seen of one file: its name, length and time of change.
type Seen = Vec<(String, u64, Option<SystemTime>)>;

/// A broken file and why it was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedFile {
    /// Its name.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// A cheap handle to the overlays.
#[derive(Clone)]
pub struct Personas(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    current: RwLock<(Arc<PersonaSet>, Arc<Vec<SkippedFile>>)>,
    looked: Mutex<Looked>,
}

#[derive(Default)]
struct Looked {
    at_ms: i64,
    seen: Seen,
}

impl Personas {
    /// The shipped overlays and those in `folder`, which need not exist. Reads files: call it where blocking is allowed.
    pub fn load(folder: PathBuf, clock: Arc<dyn Clock>) -> Self {
        let set = (Arc::new(builtin()), Arc::new(Vec::new()));
        let personas = Self(Arc::new(Inner {
            folder,
            clock,
            current: RwLock::new(set),
            looked: Mutex::default(),
        }));
        personas.look();
        personas
    }

    /// The overlays, after a look at the folder if the last one is a second old.
    pub async fn fresh(&self) -> Arc<PersonaSet> {
        let now = self.0.clock.now().as_millisecond();
        let due = {
            let mut looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
            // A clock that jumped back also counts as due.
            let due = now < looked.at_ms || now - looked.at_ms >= LOOK_EVERY_MS;
            if due {
                looked.at_ms = now;
            }
            due
        };
        if due {
            let this = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || this.look()).await {
                tracing::error!(%error, "looking at the persona folder failed");
            }
        }
        self.current()
    }

    /// The overlays as last read.
    pub fn current(&self) -> Arc<PersonaSet> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The files that were skipped when the folder was last read.
    pub fn skipped(&self) -> Arc<Vec<SkippedFile>> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn look(&self) {
        let seen = match list(&self.0.folder) {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!(%error, folder = %self.0.folder.display(), "the persona folder cannot be read");
                return;
            }
        };
        {
            let mut looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.seen == seen {
                return;
            }
            looked.seen.clone_from(&seen);
        }
        let (mut files, mut skipped) = (Vec::new(), Vec::new());
        for (name, size, _) in seen {
            if size > MAX_BYTES {
                skipped.push(SkippedFile {
                    file: name,
                    reason: format!("larger than {MAX_BYTES} bytes"),
                });
                continue;
            }
            match std::fs::read(self.0.folder.join(&name)).map(String::from_utf8) {
                Ok(Ok(text)) => files.push((name, text)),
                Ok(Err(_)) => skipped.push(SkippedFile {
                    file: name,
                    reason: "not UTF-8".to_owned(),
                }),
                Err(error) => skipped.push(SkippedFile {
                    file: name,
                    reason: error.to_string(),
                }),
            }
        }
        let (set, broken) = builtin().with_custom(files.into_iter());
        skipped.extend(broken.into_iter().map(|(file, error)| SkippedFile {
            file,
            reason: error.to_string(),
        }));
        for SkippedFile { file, reason } in &skipped {
            tracing::warn!(persona.file = %file, %reason, "a persona file is skipped");
        }
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(set), Arc::new(skipped));
    }
}

/// The overlay of a name, else the fallback's, else whichever comes first: a prompt is never without one.
pub fn find_or<'a>(set: &'a PersonaSet, name: &PersonaName, fallback: &PersonaName) -> Option<&'a Persona> {
    set.get(name)
        .or_else(|| set.get(fallback))
        .or_else(|| set.iter().next())
}

fn list(folder: &Path) -> std::io::Result<Seen> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut seen = Vec::new();
    for entry in entries.flatten().take(MAX_FILES * 4) {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_persona = Path::new(&name)
            .extension()
            .is_some_and(|ext| ext.eq_ignore_ascii_case("md"));
        if name.starts_with('.') || !is_persona {
            continue;
        }
        if let Ok(meta) = entry.metadata()
            && meta.is_file()
            && seen.len() < MAX_FILES
        {
            seen.push((name, meta.len(), meta.modified().ok()));
        }
    }
    seen.sort();
    Ok(seen)
}
