//! The standard streams of a container's own process, and whoever attaches to them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use nix::sys::stat::Mode;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::taps::Taps;
use super::terminal::Terminal;
use crate::{Input, Output, StreamsConfig};

pub(super) struct Streams {
    config: StreamsConfig,
    /// Where it reads from, if it does and from no terminal.
    stdin: Option<Stdin>,
    stdout: Taps,
    stderr: Taps,
    terminal: Option<Terminal>,
}

/// What whoever attaches gets.
pub(super) struct Attached {
    pub(super) stdin: Option<Input>,
    pub(super) stdout: Output,
    pub(super) stderr: Option<Output>,
    pub(super) resize: Option<mpsc::Sender<(u16, u16)>>,
    /// Once it did not take what was printed.
    pub(super) late: CancellationToken,
}

impl Streams {
    /// Streams for a container that has this folder, and its end of its terminal, if it has one.
    pub(super) fn open(
        config: StreamsConfig,
        folder: &Path,
    ) -> io::Result<(Self, Option<OwnedFd>)> {
        let (terminal, end) = match config.tty {
            true => Terminal::open().map(|(terminal, end)| (Some(terminal), Some(end)))?,
            false => (None, None),
        };
        let reads = config.stdin && !config.tty;
        let stdin = reads.then(|| Stdin::in_folder(folder)).transpose()?;
        let streams = Self {
            config,
            stdin,
            stdout: Taps::new(),
            stderr: Taps::new(),
            terminal,
        };
        Ok((streams, end))
    }

    /// The file that its process reads from.
    pub(super) fn stdin(&self) -> Option<PathBuf> {
        self.stdin.as_ref().map(|stdin| stdin.path.clone())
    }

    /// All that the container prints, each with those who see it.
    pub(super) fn printed(&self, child: &mut Child) -> io::Result<Vec<(Output, Taps)>> {
        if let Some(terminal) = &self.terminal {
            self.stderr.end();
            return Ok(vec![(Box::new(terminal.reader()?), self.stdout.clone())]);
        }
        let stdout = child.stdout.take().map(|stream| Box::new(stream) as Output);
        let stderr = child.stderr.take().map(|stream| Box::new(stream) as Output);
        let streams = [(stdout, &self.stdout), (stderr, &self.stderr)].into_iter();
        Ok(streams
            .filter_map(|(stream, taps)| Some((stream?, taps.clone())))
            .collect())
    }

    pub(super) fn attach(&self, stdin: bool) -> io::Result<Attached> {
        let stdin = stdin && self.config.stdin;
        let late = CancellationToken::new();
        let stdout = Box::new(self.stdout.add(&late));
        if let Some(terminal) = &self.terminal {
            let stdin = stdin.then(|| terminal.writer()).transpose()?;
            return Ok(Attached {
                stdin: stdin.map(|stdin| Box::new(stdin) as Input),
                stdout,
                stderr: None,
                resize: Some(terminal.resize()?),
                late,
            });
        }
        let once = self.config.stdin_once;
        let stdin = self.stdin.as_ref().filter(|_| stdin);
        let stdin = stdin.map(|stdin| stdin.writer(once)).transpose()?.flatten();
        Ok(Attached {
            stdin: stdin.map(|stdin| Box::new(stdin) as Input),
            stdout,
            stderr: Some(Box::new(self.stderr.add(&late))),
            resize: None,
            late,
        })
    }
}

/// What the container's streams are, before its process has begun.
pub(super) fn give(command: &mut Command, terminal: Option<OwnedFd>) -> io::Result<()> {
    match terminal {
        Some(end) => command.stdout(end.try_clone()?).stderr(end),
        None => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
    };
    Ok(())
}

/// A pipe with a name, so that those who attach come and go without its end.
struct Stdin {
    path: PathBuf,
    /// While somebody has it, the container's input has not ended.
    kept: Mutex<Option<pipe::Sender>>,
}

impl Stdin {
    fn in_folder(folder: &Path) -> io::Result<Self> {
        let path = folder.join("stdin");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // Read, too, or it could not be opened before the container reads it.
        let sender = pipe::OpenOptions::new()
            .read_write(true)
            .open_sender(&path)?;
        Ok(Self {
            path,
            kept: Mutex::new(Some(sender)),
        })
    }

    /// A writer for one who attaches; `once` there is one, and the container's input ends with it.
    fn writer(&self, once: bool) -> io::Result<Option<pipe::Sender>> {
        if once {
            let mut kept = self
                .kept
                .lock()
                .expect("nothing panics while it holds this");
            return Ok(kept.take());
        }
        pipe::OpenOptions::new().open_sender(&self.path).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn reads(once: bool) -> StreamsConfig {
        StreamsConfig {
            stdin: true,
            stdin_once: once,
            tty: false,
        }
    }

    /// All that is read until the end.
    fn read(path: PathBuf) -> tokio::task::JoinHandle<String> {
        // Opened here and now: what is written afterwards is not lost.
        let mut file = std::fs::File::open(path).unwrap();
        tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        })
    }

    async fn say(streams: &Streams, text: &str) -> bool {
        let Some(mut stdin) = streams.attach(true).unwrap().stdin else {
            return false;
        };
        stdin.write_all(text.as_bytes()).await.unwrap();
        true
    }

    #[tokio::test]
    async fn input_goes_on_after_each_who_attached() {
        let folder = tempfile::tempdir().unwrap();
        let (streams, _) = Streams::open(reads(false), folder.path()).unwrap();
        let read = read(streams.stdin().unwrap());
        assert!(say(&streams, "one, ").await);
        assert!(say(&streams, "two").await);
        // The container's own end.
        drop(streams);
        assert_eq!(read.await.unwrap(), "one, two");
    }

    #[tokio::test]
    async fn input_that_is_given_once_ends_with_the_first_who_attached() {
        let folder = tempfile::tempdir().unwrap();
        let (streams, _) = Streams::open(reads(true), folder.path()).unwrap();
        let read = read(streams.stdin().unwrap());
        drop(streams.attach(false).unwrap());
        assert!(say(&streams, "one").await);
        assert_eq!(read.await.unwrap(), "one");
        assert!(!say(&streams, "two").await);
    }

    #[tokio::test]
    async fn a_container_without_input_gives_none_to_write_to() {
        let folder = tempfile::tempdir().unwrap();
        for tty in [false, true] {
            let config = StreamsConfig {
                tty,
                ..StreamsConfig::default()
            };
            let (streams, end) = Streams::open(config, folder.path()).unwrap();
            assert_eq!((end.is_some(), streams.stdin()), (tty, None));
            let attached = streams.attach(true).unwrap();
            assert!(attached.stdin.is_none());
            assert_eq!(
                (attached.resize.is_some(), attached.stderr.is_none()),
                (tty, tty)
            );
        }
    }
}
