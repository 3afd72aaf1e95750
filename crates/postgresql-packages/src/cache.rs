//! PostgreSQL in the user's cache: built once, checked before each use, shared by concurrent runs.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use todo_db::installation::{self, Installation};

use crate::apt::Apt;
use crate::error::{Error, file};
use crate::{dpkg, files, packages, programs};

/// Prefix of directories that are being filled.
const WORK_PREFIX: &str = ".work-";

/// Returns the host's PostgreSQL, else that of the user's cache, which is filled first if it has none that runs.
///
/// Needs the network only to fill the cache. `progress` receives one line for each step; apt writes to standard error.
///
/// # Errors
/// See [`Error`]; incomplete files are removed.
pub fn provide(progress: &mut dyn Write) -> Result<Installation, Error> {
    let cache = installation::cache_dir();
    match installation::find(None) {
        Some(found)
            if !cache
                .as_deref()
                .is_some_and(|cache| found.bin.starts_with(cache)) =>
        {
            Ok(found)
        }
        _ => provide_in(&cache.ok_or(Error::NoCacheDirectory)?, &[], progress),
    }
}

fn provide_in(
    cache: &Path,
    apt_options: &[String],
    progress: &mut dyn Write,
) -> Result<Installation, Error> {
    if let Some(found) = find_usable(cache) {
        return Ok(found);
    }
    dpkg::require_programs()?;
    fs::create_dir_all(cache).map_err(file("creating", cache))?;
    let _lock = lock(cache, progress)?;
    // Another run may have filled the cache meanwhile.
    if let Some(found) = find_usable(cache) {
        return Ok(found);
    }
    remove_leftovers(cache)?;
    report(
        progress,
        &format!(
            "PostgreSQL is not installed: unpacking its packages into {}",
            cache.display()
        ),
    );
    let work = TempDir::with_prefix_in(WORK_PREFIX, cache)
        .map_err(file("creating a directory in", cache))?;
    let apt = Apt::with_updated_lists(work.path(), apt_options)?;
    let major = apt.default_major()?;
    let tree = work.path().join("tree");
    build(&apt, major, work.path(), &tree)?;
    publish(&tree, &installation::cached_tree(cache, major), work.path())?;
    report(progress, &format!("PostgreSQL {major} is ready"));
    find_usable(cache).ok_or_else(|| Error::Program {
        program: "postgres".to_owned(),
        reason: format!("it does not run from {}", cache.display()),
    })
}

/// Writes a line of progress; errors are ignored.
fn report(progress: &mut dyn Write, text: &str) {
    let _ = writeln!(progress, "selfheal: {text}");
}

/// Returns the newest installation of the cache whose programs run.
fn find_usable(cache: &Path) -> Option<Installation> {
    let mut cached = installation::cached(cache);
    cached.sort_by_key(|it| std::cmp::Reverse(it.major));
    cached
        .into_iter()
        .find(|it| programs::check(&it.bin).is_ok())
}

/// Waits until no other run fills the cache. The kernel releases the lock when the process exits.
fn lock(cache: &Path, progress: &mut dyn Write) -> Result<File, Error> {
    let path = cache.join(".lock");
    let lock = File::create(&path).map_err(file("creating", &path))?;
    match lock.try_lock() {
        Ok(()) => return Ok(lock),
        Err(TryLockError::WouldBlock) => {
            report(progress, "waiting for another run that unpacks PostgreSQL");
        }
        Err(TryLockError::Error(error)) => return Err(file("locking", &path)(error)),
    }
    lock.lock().map_err(file("locking", &path))?;
    Ok(lock)
}

/// Removes the files of interrupted runs, and installations whose programs do not run. The caller holds the lock.
///
/// A broken installation is removed before there is a new one, because other callers find installations by their files.
fn remove_leftovers(cache: &Path) -> Result<(), Error> {
    let is_work = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(WORK_PREFIX)
    };
    let work = files::entries(cache)?.into_iter().filter(is_work);
    let broken = installation::cached(cache).into_iter();
    let broken = broken.filter(|it| programs::check(&it.bin).is_err());
    let mut paths = work.chain(broken.filter_map(|it| it.tree));
    paths.try_for_each(|path| files::remove(&path))
}

fn build(apt: &Apt, major: u32, work: &Path, tree: &Path) -> Result<(), Error> {
    let installed = dpkg::installed()?;
    let mut names = packages::of_server(major).to_vec();
    names.extend(
        apt.libraries(major)?
            .into_iter()
            .filter(|name| !installed.contains(name)),
    );
    fs::create_dir_all(tree).map_err(file("creating", tree))?;
    packages::unpack(apt, &names, work, tree)?;
    let server = programs::server_dir(tree, major);
    programs::remove_compiler(&server)?;
    programs::write_scripts(tree, major)?;
    files::open_to_all(tree)?;
    programs::check(&tree.join("bin"))
}

/// Moves the tree to its final path in one step; a previous tree is removed with `work`.
fn publish(tree: &Path, target: &Path, work: &Path) -> Result<(), Error> {
    match fs::rename(target, work.join("replaced")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(file("replacing", target)(error));
        }
        _ => {}
    }
    fs::rename(tree, target).map_err(file("creating", target))
}

#[cfg(test)]
mod tests;
