//! What the user has put beside the database: run once, in the order of their names, on a new database.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::programs::succeed;
use crate::server::Temporary;
use crate::{EntryError, say, system};

/// What is done with a file.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Run by the shell, or by itself where it is executable.
    Shell,
    /// Given to psql.
    Sql,
    /// Given to psql after this program.
    Packed(&'static [&'static str]),
    /// Somebody else's.
    Ignored,
}

fn kind(path: &Path) -> Kind {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = |ending: &str| name.ends_with(ending);
    if ends(".sh") {
        Kind::Shell
    } else if ends(".sql") {
        Kind::Sql
    } else if ends(".sql.gz") {
        Kind::Packed(&["gzip", "-dc"])
    } else if ends(".sql.xz") {
        Kind::Packed(&["xz", "-dc"])
    } else if ends(".sql.zst") {
        Kind::Packed(&["zstd", "-dc"])
    } else {
        Kind::Ignored
    }
}

/// Runs every script of the folder.
pub(crate) fn run_all(server: &Temporary<'_>) -> Result<(), EntryError> {
    let folder = &server.settings.scripts;
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        run(server, &file)?;
    }
    Ok(())
}

fn run(server: &Temporary<'_>, file: &Path) -> Result<(), EntryError> {
    let shown = file.display();
    match kind(file) {
        Kind::Shell if is_executable(file) => {
            say(&format!("running {shown}"));
            succeed(&mut server.command(file))
        }
        Kind::Shell => {
            say(&format!("running {shown} with sh"));
            succeed(server.command("sh").arg("-e").arg(file))
        }
        Kind::Sql => {
            say(&format!("running {shown}"));
            succeed(server.psql(&server.settings.database).arg("-f").arg(file))
        }
        Kind::Packed(unpack) => {
            say(&format!("running {shown}"));
            unpacked(server, unpack, file)
        }
        Kind::Ignored => {
            say(&format!("ignoring {shown}"));
            Ok(())
        }
    }
}

fn unpacked(server: &Temporary<'_>, unpack: &[&str], file: &Path) -> Result<(), EntryError> {
    let doing = || system(format!("unpacking {}", file.display()));
    let mut unpacker = server
        .command(unpack[0])
        .args(&unpack[1..])
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(doing())?;
    if let Some(text) = unpacker.stdout.take() {
        succeed(server.psql(&server.settings.database).stdin(text))?;
    }
    let status = unpacker.wait().map_err(doing())?;
    if status.success() {
        return Ok(());
    }
    Err(EntryError::Failed {
        program: unpack[0].to_owned(),
        status: status.to_string(),
    })
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|it| it.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_ending_says_what_is_done_with_it() {
        for (name, expected) in [
            ("1.sh", Kind::Shell),
            ("a.b.sql", Kind::Sql),
            ("x.sql.gz", Kind::Packed(&["gzip", "-dc"])),
            ("x.sql.xz", Kind::Packed(&["xz", "-dc"])),
            ("x.sql.zst", Kind::Packed(&["zstd", "-dc"])),
            ("README.md", Kind::Ignored),
            ("x.gz", Kind::Ignored),
            ("sql", Kind::Ignored),
        ] {
            assert_eq!(kind(Path::new(name)), expected, "{name}");
        }
    }
}
