//! Finds and runs programs: PostgreSQL's, and those that scripts need.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use crate::interrupt::{Interrupt, Mode};
use crate::{EntryError, installation, system};

/// Search path for programs, and the signals that interrupt them.
pub(crate) struct Programs {
    path: OsString,
    pub(crate) interrupt: Interrupt,
}

impl Programs {
    /// Returns `PATH` extended by the directory of the installed PostgreSQL: Debian does not add it to `PATH`.
    pub(crate) fn discover() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::env::split_paths(&path).chain(installation::find(None).map(|it| it.bin));
        Self {
            path: std::env::join_paths(dirs).unwrap_or(path),
            interrupt: Interrupt::default(),
        }
    }

    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("PATH", &self.path);
        command
    }

    /// Path of a program.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        let mut paths = std::env::split_paths(&self.path).map(|dir| dir.join(program));
        paths.find(|path| path.is_file())
    }

    /// Runs a command, which has to succeed.
    pub(crate) fn run(&self, command: &mut Command) -> Result<(), EntryError> {
        let result = self.run_in(command, Mode::UnlessInterrupted);
        // A program that a signal interrupted has no error of its own.
        self.interrupt.check()?;
        result
    }

    /// Runs a command also after a signal.
    pub(crate) fn run_always(&self, command: &mut Command) -> Result<(), EntryError> {
        self.run_in(command, Mode::Always)
    }

    fn run_in(&self, command: &mut Command, mode: Mode) -> Result<(), EntryError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let status = self
            .interrupt
            .run(command, mode)
            .map_err(system(format!("running {program}")))?;
        if status.success() {
            return Ok(());
        }
        let status = status.to_string();
        Err(EntryError::Failed { program, status })
    }
}
