//! PostgreSQL's programs by their names, wherever they lie.

use std::ffi::{OsStr, OsString};
use std::process::Command;

use crate::{EntryError, installation, system};

/// Where programs are looked for.
pub(crate) struct Programs {
    path: OsString,
}

impl Programs {
    /// PATH, and the folder of the PostgreSQL that is installed: Debian keeps its programs out of PATH.
    pub(crate) fn here() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(installation::find(None).map(|it| it.bin));
        Self {
            path: std::env::join_paths(folders).unwrap_or(path),
        }
    }

    /// One of them.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("PATH", &self.path);
        command
    }
}

/// Runs a command to its end, which has to be a good one.
pub(crate) fn succeed(command: &mut Command) -> Result<(), EntryError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .map_err(system(format!("running {program}")))?;
    if status.success() {
        return Ok(());
    }
    let status = status.to_string();
    Err(EntryError::Failed { program, status })
}
