//! Scripts of the user, which run once, in the order of their names, on a new database.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::{AccessFlags, access};

use crate::server::Temporary;
use crate::{EntryError, log, system};

/// Defines the functions that scripts may call, and sources the script `$1`.
const FUNCTIONS: &str = include_str!("functions.sh");

/// Treatment of a file by its name.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Executed if it is executable, otherwise sourced by a shell.
    Shell,
    /// Input of psql.
    Sql,
    /// Input of psql after decompression by this command.
    Compressed(&'static [&'static str]),
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
        Kind::Compressed(&["gzip", "-dc"])
    } else if ends(".sql.xz") {
        Kind::Compressed(&["xz", "-dc"])
    } else if ends(".sql.zst") {
        Kind::Compressed(&["zstd", "-dc"])
    } else {
        Kind::Ignored
    }
}

/// Returns the scripts of a directory, sorted. Hidden files are not scripts, and the directory does not have to exist.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, EntryError> {
    let doing = || {
        system(format!(
            "reading the directory of scripts {}",
            dir.display()
        ))
    };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(doing())?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(doing())?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Runs the scripts. The first failure ends the initialization.
pub(crate) fn run_all(server: &Temporary<'_>, files: &[PathBuf]) -> Result<(), EntryError> {
    files.iter().try_for_each(|file| run(server, file))
}

fn run(server: &Temporary<'_>, file: &Path) -> Result<(), EntryError> {
    let shown = file.display();
    let kind = kind(file);
    match kind {
        Kind::Ignored => log(&format!("ignoring {shown}")),
        _ => log(&format!("running {shown}")),
    }
    match kind {
        Kind::Shell if is_executable(file) => server.programs.run(&mut server.command(file)),
        Kind::Shell => source(server, file),
        Kind::Sql => {
            let mut psql = server.psql(&server.settings.database);
            server.programs.run(psql.arg("-f").arg(file))
        }
        Kind::Compressed(command) => decompress(server, command, file),
        Kind::Ignored => Ok(()),
    }
}

/// Sources a script with bash, as the official image does, or with `sh` if bash is not installed and not required.
fn source(server: &Temporary<'_>, file: &Path) -> Result<(), EntryError> {
    let has_bash = server.programs.find("bash").is_some();
    if !has_bash && names_bash(file) {
        return Err(EntryError::NoBash(file.to_owned()));
    }
    let shell = if has_bash { "bash" } else { "sh" };
    let mut command = server.command(shell);
    command.args(["-c", FUNCTIONS, shell]).arg(file);
    let result = server.programs.run(&mut command);
    if result.is_err() && !has_bash {
        let shown = file.display();
        log(&format!(
            "{shown} was run by sh, because bash is not installed: install bash if the script needs it"
        ));
    }
    result
}

/// Returns `true` if the script's first line names bash as its interpreter.
fn names_bash(file: &Path) -> bool {
    let mut line = String::new();
    let read = fs::File::open(file).and_then(|file| BufReader::new(file).read_line(&mut line));
    read.is_ok() && line.starts_with("#!") && line.contains("bash")
}

fn decompress(server: &Temporary<'_>, command: &[&str], file: &Path) -> Result<(), EntryError> {
    let doing = || system(format!("decompressing {}", file.display()));
    let mut child = server
        .command(command[0])
        .args(&command[1..])
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(doing())?;
    if let Some(text) = child.stdout.take() {
        let mut psql = server.psql(&server.settings.database);
        server.programs.run(psql.stdin(text))?;
    }
    let status = child.wait().map_err(doing())?;
    if status.success() {
        return Ok(());
    }
    Err(EntryError::Failed {
        program: format!("{} {}", command[0], file.display()),
        status: status.to_string(),
    })
}

/// Returns `true` if the user of the server can execute the file: mode, owner and mount options count.
fn is_executable(file: &Path) -> bool {
    access(file, AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_is_determined_by_the_ending() {
        for (name, expected) in [
            ("1.sh", Kind::Shell),
            ("a.b.sql", Kind::Sql),
            ("x.sql.gz", Kind::Compressed(&["gzip", "-dc"])),
            ("x.sql.xz", Kind::Compressed(&["xz", "-dc"])),
            ("x.sql.zst", Kind::Compressed(&["zstd", "-dc"])),
            ("README.md", Kind::Ignored),
            ("x.gz", Kind::Ignored),
            ("sql", Kind::Ignored),
        ] {
            assert_eq!(kind(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn missing_directory_and_hidden_files_have_no_scripts() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["2.sql", "1.sh", "._1.sql", ".hidden.sh"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let files = list(dir.path()).unwrap();
        assert_eq!(files, ["1.sh", "2.sql"].map(|name| dir.path().join(name)));
        assert_eq!(
            list(&dir.path().join("missing")).unwrap(),
            [] as [PathBuf; 0]
        );
    }

    #[test]
    fn script_names_bash_in_its_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("1.sh");
        for (text, expected) in [
            ("#!/bin/bash\n", true),
            ("#!/usr/bin/env bash\n", true),
            ("#!/bin/sh\n# bash\n", false),
            ("echo bash\n", false),
            ("", false),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(names_bash(&file), expected, "{text}");
        }
    }
}
