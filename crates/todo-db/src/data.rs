//! The data directory: detects a database, and creates a new one atomically.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::{EntryError, log, system};

/// Directory that exists while a database is incomplete. A start that finds it, not locked, discards everything beside it.
const INCOMPLETE: &str = ".todo-db-unfinished";

/// Directory in the root of an ext file system.
const IGNORED: &str = "lost+found";

/// Returns `true` if the directory has a complete database.
pub(crate) fn is_initialized(data: &Path) -> bool {
    data.join("PG_VERSION").is_file() && !data.join(INCOMPLETE).exists()
}

/// Database that is being created. The lock keeps other instances, of the same volume for example, out of the directory.
pub(crate) struct Initialization {
    data: PathBuf,
    dir: PathBuf,
    _lock: File,
}

impl Initialization {
    /// Locks the data directory, which has to be empty, and discards an incomplete database.
    pub(crate) fn begin(data: &Path) -> Result<Self, EntryError> {
        let doing = |what: &str| system(format!("{what} {}", data.display()));
        let dir = data.join(INCOMPLETE);
        let was_interrupted = dir.exists();
        if !was_interrupted && has_other_files(data).map_err(doing("reading"))? {
            return Err(EntryError::DataDirNotEmpty(data.to_owned()));
        }
        fs::create_dir_all(&dir).map_err(doing("writing to"))?;
        let lock = lock(&dir, data)?;
        if was_interrupted {
            log("the last initialization was interrupted: starting again");
            clear(data).map_err(doing("emptying"))?;
        }
        Ok(Self {
            data: data.to_owned(),
            dir,
            _lock: lock,
        })
    }

    /// Directory for temporary files, on the file system of the data directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Moves the files of a new database into the data directory, which stays marked as incomplete.
    pub(crate) fn publish(&self, made: &Path) -> Result<(), EntryError> {
        let moved = || {
            for entry in fs::read_dir(made)? {
                let entry = entry?;
                fs::rename(entry.path(), self.data.join(entry.file_name()))?;
            }
            fs::remove_dir(made)
        };
        moved().map_err(system(format!("moving the files of {}", made.display())))
    }

    /// Marks the database as complete.
    pub(crate) fn finish(self) -> Result<(), EntryError> {
        // The directory is removed in one step; an interruption before it leaves the mark.
        let removed = empty(&self.dir).and_then(|()| fs::remove_dir(&self.dir));
        removed.map_err(system(format!("removing {}", self.dir.display())))
    }
}

fn lock(dir: &Path, data: &Path) -> Result<File, EntryError> {
    let doing = || system(format!("locking {}", dir.display()));
    let lock = File::open(dir).map_err(doing())?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(EntryError::DataDirLocked(data.to_owned())),
        // Some network file systems have no locks; an initialization by two instances is not detected there.
        Err(TryLockError::Error(error)) => log(&format!("{} has no lock: {error}", dir.display())),
    }
    // The instance that held the lock may have completed the database in the meantime.
    let locked = lock.metadata().map_err(doing())?.ino();
    if fs::metadata(dir).map(|found| found.ino()).ok() != Some(locked) {
        return Err(EntryError::DataDirLocked(data.to_owned()));
    }
    Ok(lock)
}

fn has_other_files(data: &Path) -> io::Result<bool> {
    let mut entries = fs::read_dir(data)?.flatten();
    Ok(entries.any(|entry| entry.file_name() != IGNORED && entry.file_name() != INCOMPLETE))
}

/// Empties the data directory except for the mark, so an interruption is detected at the next start.
fn clear(data: &Path) -> io::Result<()> {
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_name() != IGNORED && entry.file_name() != INCOMPLETE {
            remove(&entry.path())?;
        }
    }
    empty(&data.join(INCOMPLETE))
}

fn empty(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        remove(&entry?.path())?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = fs::symlink_metadata(path).and_then(|metadata| match metadata.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    });
    // A server that is stopping removes files, too.
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_with_other_files_is_neither_used_nor_emptied() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join(IGNORED)).unwrap();
        Initialization::begin(data.path())
            .unwrap()
            .finish()
            .unwrap();

        fs::write(data.path().join("letter"), "text").unwrap();
        let begun = Initialization::begin(data.path());
        assert!(matches!(begun, Err(EntryError::DataDirNotEmpty(_))));
        assert!(data.path().join("letter").exists());
        assert!(!data.path().join(INCOMPLETE).exists());
    }

    #[test]
    fn interrupted_initialization_is_discarded_by_the_next() {
        let data = tempfile::tempdir().unwrap();
        let first = Initialization::begin(data.path()).unwrap();
        let made = first.dir().join("data");
        fs::create_dir(&made).unwrap();
        fs::write(made.join("PG_VERSION"), "15").unwrap();
        fs::write(made.join("more"), "").unwrap();
        first.publish(&made).unwrap();
        assert!(!is_initialized(data.path()));
        drop(first);

        let second = Initialization::begin(data.path()).unwrap();
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
        fs::write(second.dir().join("passwd"), "").unwrap();
        fs::write(data.path().join("PG_VERSION"), "15").unwrap();
        second.finish().unwrap();
        assert!(is_initialized(data.path()));
    }

    #[test]
    fn directory_that_another_instance_initializes_is_left_unchanged() {
        let data = tempfile::tempdir().unwrap();
        let _first = Initialization::begin(data.path()).unwrap();
        fs::write(data.path().join("PG_VERSION"), "15").unwrap();
        let second = Initialization::begin(data.path());
        assert!(matches!(second, Err(EntryError::DataDirLocked(_))));
        assert!(data.path().join("PG_VERSION").exists());
    }
}
