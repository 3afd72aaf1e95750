//! Transcript of an exercise: sentences, commands with the same effect as the steps, and their output.
//!
//! Progress goes to standard error and only to a terminal, so a transcript in a file is clean.

use std::io::{self, IsTerminal as _, Write};

use super::verdict::Verdict;

/// Writer of a transcript.
pub(crate) struct Transcript<'a> {
    out: &'a mut (dyn Write + Send),
    has_progress: bool,
    is_empty: bool,
}

impl<'a> Transcript<'a> {
    /// Creates a transcript on `out`, with progress if standard error is a terminal.
    pub(crate) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self {
            out,
            has_progress: io::stderr().is_terminal(),
            is_empty: true,
        }
    }

    /// Writes a heading, after an empty line unless it is the first.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        if !std::mem::take(&mut self.is_empty) {
            writeln!(self.out)?;
        }
        writeln!(self.out, "== {text}")
    }

    /// Writes a sentence after an empty line.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n# {text}")
    }

    /// Writes a command that has the same effect as the step.
    pub(crate) fn command(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "$ {text}")?;
        self.out.flush()
    }

    /// Writes a line of a command's output.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Writes a line that starts with a verdict.
    pub(crate) fn verdict(&mut self, verdict: Verdict, text: &str) -> io::Result<()> {
        writeln!(self.out, "{verdict}  {text}")
    }

    /// Prints the duration of a wait so far, in place of the previous such line.
    pub(crate) fn progress(&self, condition: &str, seconds: u64) -> io::Result<()> {
        if self.has_progress {
            write!(io::stderr(), "\r\x1b[K… {condition}: {seconds} s")
        } else {
            Ok(())
        }
    }

    /// Clears the progress line.
    pub(crate) fn clear_progress(&self) -> io::Result<()> {
        if self.has_progress {
            write!(io::stderr(), "\r\x1b[K")
        } else {
            Ok(())
        }
    }
}
