//! What the reader sees: sentences, the commands they would type, and what those print.
//!
//! Progress goes to standard error and only to a terminal, so a transcript in a file is clean.

use std::io::{self, IsTerminal as _, Write};

/// Writes the transcript.
pub(crate) struct Transcript<'a> {
    out: &'a mut (dyn Write + Send),
    progress: bool,
}

impl<'a> Transcript<'a> {
    /// A transcript into `out`, with progress when standard error is a terminal.
    pub(crate) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self {
            out,
            progress: io::stderr().is_terminal(),
        }
    }

    /// A heading.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "== {text}")
    }

    /// A sentence, set apart from what was before it.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
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

    /// Says how long something has been waited for, in place of the last such line.
    pub(crate) fn waiting(&self, what: &str, seconds: u64) -> io::Result<()> {
        if self.progress {
            write!(io::stderr(), "\r\x1b[K… {what}: {seconds} s")
        } else {
            Ok(())
        }
    }

    /// Takes the progress line away.
    pub(crate) fn waited(&self) -> io::Result<()> {
        if self.progress {
            write!(io::stderr(), "\r\x1b[K")
        } else {
            Ok(())
        }
    }
}
