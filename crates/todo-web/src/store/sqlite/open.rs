//! Opens the file, also on a read-only file system.

use std::ffi::OsString;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Opens the file for reading and writing in WAL mode. Each commit is synchronized to the disk.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let opened = Connection::open(path).and_then(|connection| {
        // SQLite reports a directory without the permission to write here.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    });
    match opened {
        Err(error) if is_unwritable(path) && !has_pending_log(path) => {
            open_immutable(path).map_err(|_| error)
        }
        opened => opened,
    }
}

/// Opens a file that no process can change. SQLite then needs no shared memory beside it.
fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let invalid = || rusqlite::Error::InvalidPath(path.into());
    let absolute = std::path::absolute(path).map_err(|_| invalid())?;
    let mut uri = url::Url::from_file_path(absolute).map_err(|()| invalid())?;
    uri.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri.as_str(), flags)?;
    // Opening reads nothing; this detects a file that is not a database.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
        row.get::<_, i64>(0)
    })?;
    Ok(connection)
}

/// Returns `true` if the file system is mounted read-only.
fn is_unwritable(path: &Path) -> bool {
    let flags = nix::sys::statvfs::statvfs(path).map(|info| info.flags());
    flags.is_ok_and(|flags| flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY))
}

/// Returns `true` if changes are in the log only, which an immutable connection does not read.
fn has_pending_log(path: &Path) -> bool {
    let mut log = OsString::from(path);
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}
