//! The folder for data: whether there is a database in it, and how a new one is begun so that it is whole or not there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{EntryError, system};

/// Is there while a database is being made. Found at a start, it means that everything beside it is of no use.
const UNFINISHED: &str = ".todo-db-unfinished";

/// What the root of a volume may hold that is nobody's.
const IGNORED: &str = "lost+found";

/// Whether there is a whole database.
pub(crate) fn is_initialised(data: &Path) -> bool {
    data.join("PG_VERSION").is_file() && !data.join(UNFINISHED).exists()
}

/// An empty folder within the folder for data, which has nothing else in it of another making.
pub(crate) fn begin(data: &Path) -> Result<PathBuf, EntryError> {
    let doing = |what: &str| system(format!("{what} {}", data.display()));
    let unfinished = data.join(UNFINISHED);
    if unfinished.exists() {
        crate::say("an initialization was interrupted: it begins anew");
        clear(data).map_err(doing("emptying"))?;
    }
    let mut entries = fs::read_dir(data).map_err(doing("reading"))?.flatten();
    if entries.any(|entry| entry.file_name() != IGNORED && entry.file_name() != UNFINISHED) {
        return Err(EntryError::Foreign(data.to_owned()));
    }
    fs::create_dir_all(&unfinished).map_err(doing("writing to"))?;
    Ok(unfinished)
}

/// Empties the folder, the mark last: interrupted, it is done again.
fn clear(data: &Path) -> io::Result<()> {
    let names = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name());
    for name in fs::read_dir(data)?.map(names) {
        let name = name?;
        if name != IGNORED && name != UNFINISHED {
            remove(&data.join(name))?;
        }
    }
    for entry in fs::read_dir(data.join(UNFINISHED))? {
        remove(&entry?.path())?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// Moves what was made in a folder of its own to where it belongs. The mark stays.
pub(crate) fn move_up(made: &Path, data: &Path) -> Result<(), EntryError> {
    let moved = || {
        for entry in fs::read_dir(made)? {
            let entry = entry?;
            fs::rename(entry.path(), data.join(entry.file_name()))?;
        }
        fs::remove_dir(made)
    };
    moved().map_err(system(format!("moving {} up", made.display())))
}

/// The database is whole.
pub(crate) fn finished(unfinished: &Path) -> Result<(), EntryError> {
    fs::remove_dir(unfinished).map_err(system(format!("removing {}", unfinished.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_put_there_is_neither_used_nor_removed() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join(IGNORED)).unwrap();
        let unfinished = begin(data.path()).unwrap();
        finished(&unfinished).unwrap();

        fs::write(data.path().join("letter"), "dear").unwrap();
        assert!(matches!(begin(data.path()), Err(EntryError::Foreign(_))));
        assert!(data.path().join("letter").exists());
        assert!(!unfinished.exists());
    }

    #[test]
    fn what_was_interrupted_does_not_count_and_is_begun_anew() {
        let data = tempfile::tempdir().unwrap();
        let unfinished = begin(data.path()).unwrap();
        let made = unfinished.join("data");
        fs::create_dir(&made).unwrap();
        fs::write(made.join("PG_VERSION"), "15").unwrap();
        fs::write(made.join("more"), "").unwrap();
        move_up(&made, data.path()).unwrap();
        assert!(!is_initialised(data.path()));

        let again = begin(data.path()).unwrap();
        assert_eq!(again, unfinished);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);

        fs::write(data.path().join("PG_VERSION"), "15").unwrap();
        finished(&again).unwrap();
        assert!(is_initialised(data.path()));
    }
}
