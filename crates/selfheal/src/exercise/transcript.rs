//! Transcript of an exercise: sentences, the commands that a reader would type, and their output.
//!
//! Progress goes to standard error and only to a terminal, so a transcript in a file is clean.

use std::io::{self, IsTerminal as _, Write};

use super::verdict::Verdict;

/// Writes the transcript.
pub(crate) struct Transcript<'a> {
    out: &'a mut (dyn Write + Send),
    has_progress: bool,
    is_empty: bool,
}

impl<'a> Transcript<'a> {
    /// A transcript into `out`, with progress when standard error is a terminal.
    pub(crate) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self {
            out,
            has_progress: io::stderr().is_terminal(),
            is_empty: true,
        }
    }

    /// A heading, after an empty line unless it is the first.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        if !std::mem::take(&mut self.is_empty) {
            writeln!(self.out)?;
        }
        writeln!(self.out, "== {text}")
    }

    /// A sentence after an empty line.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n# {text}")
    }

    /// A command as the reader would type it.
    pub(crate) fn command(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "$ {text}")?;
        self.out.flush()
    }

    /// A line that a command prints.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// A line that begins with a verdict.
    pub(crate) fn verdict(&mut self, verdict: Verdict, text: &str) -> io::Result<()> {
        writeln!(self.out, "{verdict}  {text}")
    }

    /// Prints how long a wait has taken, over the previous such line.
    pub(crate) fn progress(&self, what: &str, seconds: u64) -> io::Result<()> {
        if self.has_progress {
            write!(io::stderr(), "\r\x1b[K… {what}: {seconds} s")
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
