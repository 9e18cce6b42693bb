//! The swap on plain files: what counts is which file has which name at the end.

use super::*;
use tempfile::TempDir;

const LOG: &str = LOGS[0];

struct Swap {
    _dir: TempDir,
    places: Places,
}

impl Swap {
    /// An old database with a log, and a new one that was decided for.
    fn decided() -> Self {
        let dir = TempDir::new().unwrap();
        let database = dir.path().join("mira.db");
        let places = Places {
            decided: with_suffix(&database, DECIDED),
            backups: dir.path().join("backups"),
            database,
        };
        let swap = Self { _dir: dir, places };
        for (path, text) in [
            (swap.places.database.clone(), "old"),
            (swap.beside(LOG), "old log"),
            (swap.beside(NOTES), "old notes"),
            (swap.places.decided.clone(), "new"),
        ] {
            fs::write(path, text).unwrap();
        }
        swap
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        with_suffix(&self.places.database, suffix)
    }

    fn text(path: &Path) -> Option<String> {
        fs::read_to_string(path).ok()
    }

    /// The new database stands alone, the old one is whole in the backups folder.
    fn check_swapped(&self, kept: &Path) {
        let old = (Self::text(kept), Self::text(&with_suffix(kept, LOG)));
        assert_eq!(old, (Some("old".to_owned()), Some("old log".to_owned())));
        self.check_alone("new");
        assert_eq!(fs::read_dir(&self.places.backups).unwrap().count(), 2);
    }

    fn check_alone(&self, expect: &str) {
        let found = (
            Self::text(&self.places.database),
            Self::text(&self.beside(LOG)),
            Self::text(&self.beside(NOTES)),
        );
        assert_eq!(found, (Some(expect.to_owned()), None, None));
        assert!(!self.places.decided.exists());
    }

    /// Everything has its old name.
    fn check_untouched(&self) {
        let found = (Self::text(&self.places.database), Self::text(&self.beside(LOG)));
        assert_eq!(found, (Some("old".to_owned()), Some("old log".to_owned())));
    }
}

#[test]
fn a_swap_cut_short_anywhere_is_finished() {
    for steps in 0..=3 {
        let swap = Swap::decided();
        // The name a first run chooses, found by letting one run.
        let kept = keep_aside(&swap.places).unwrap();
        put_back(&swap.places, &kept);
        swap.check_untouched();
        if steps > 0 {
            fs::rename(swap.beside(LOG), with_suffix(&kept, LOG)).unwrap();
        }
        if steps > 1 {
            fs::rename(&swap.places.database, &kept).unwrap();
        }
        if steps == 3 {
            // Somebody who only reads makes an empty log where there is none.
            fs::rename(&kept, &swap.places.database).unwrap();
            fs::write(swap.beside(LOG), "").unwrap();
        }
        assert_eq!(super::swap(&swap.places).unwrap(), Some(kept.clone()), "{steps}");
        swap.check_swapped(&kept);
    }
}

#[test]
fn a_first_database_needs_nothing_kept() {
    let swap = Swap::decided();
    remove_database(&swap.places.database).unwrap();
    assert_eq!(super::swap(&swap.places).unwrap(), None);
    swap.check_alone("new");
}

#[test]
fn what_fails_changes_nothing() {
    // The folder for what is kept cannot be made.
    let swap = Swap::decided();
    let arrived = swap.beside(ARRIVING);
    fs::rename(&swap.places.decided, &arrived).unwrap();
    fs::write(&swap.places.backups, "in the way").unwrap();
    decide(&arrived, &swap.places).unwrap_err();
    swap.check_untouched();
    assert!(!swap.places.decided.exists(), "nothing is left to be finished");

    // The database cannot be moved after its log was.
    let swap = Swap::decided();
    let kept = keep_aside(&swap.places).unwrap();
    put_back(&swap.places, &kept);
    fs::write(&kept, "somebody else's").unwrap();
    super::swap(&swap.places).unwrap_err();
    swap.check_untouched();
    assert_eq!(Swap::text(&kept).as_deref(), Some("somebody else's"));
}
