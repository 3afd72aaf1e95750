//! Standard streams of a container's main process, and clients that attach to them.

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

use super::attach_output::OutputFanout;
use super::pty::Pty;
use crate::{Input, Output, StreamsConfig};

pub(super) struct Streams {
    config: StreamsConfig,
    /// `None` if the container has no standard input or reads it from the terminal.
    stdin: Option<StdinPipe>,
    stdout: OutputFanout,
    stderr: OutputFanout,
    pty: Option<Pty>,
}

/// Streams of an attached client.
pub(super) struct AttachedStreams {
    pub(super) stdin: Option<Input>,
    pub(super) stdout: Output,
    pub(super) stderr: Option<Output>,
    pub(super) resize: Option<mpsc::Sender<(u16, u16)>>,
    /// Cancelled when the client does not read the output.
    pub(super) stalled: CancellationToken,
}

impl Streams {
    /// Opens the streams of a container with the directory `dir`. With `tty`, also returns the replica of its terminal.
    pub(super) fn open(config: StreamsConfig, dir: &Path) -> io::Result<(Self, Option<OwnedFd>)> {
        let (pty, replica) = match config.tty {
            true => Pty::open().map(|(pty, replica)| (Some(pty), Some(replica)))?,
            false => (None, None),
        };
        let has_pipe = config.stdin && !config.tty;
        let stdin = has_pipe.then(|| StdinPipe::create(dir)).transpose()?;
        let streams = Self {
            config,
            stdin,
            stdout: OutputFanout::new(),
            stderr: OutputFanout::new(),
            pty,
        };
        Ok((streams, replica))
    }

    /// Returns the path of the named pipe that is standard input.
    pub(super) fn stdin(&self) -> Option<PathBuf> {
        self.stdin.as_ref().map(|stdin| stdin.path.clone())
    }

    /// Returns the output streams of the container, each with its subscribers.
    pub(super) fn output_streams(
        &self,
        shim: &mut Child,
    ) -> io::Result<Vec<(Output, OutputFanout)>> {
        if let Some(pty) = &self.pty {
            self.stderr.close();
            return Ok(vec![(Box::new(pty.reader()?), self.stdout.clone())]);
        }
        let stdout = shim.stdout.take().map(|stream| Box::new(stream) as Output);
        let stderr = shim.stderr.take().map(|stream| Box::new(stream) as Output);
        let streams = [(stdout, &self.stdout), (stderr, &self.stderr)].into_iter();
        Ok(streams
            .filter_map(|(stream, fanout)| Some((stream?, fanout.clone())))
            .collect())
    }

    pub(super) fn attach(&self, stdin: bool) -> io::Result<AttachedStreams> {
        let stdin = stdin && self.config.stdin;
        let stalled = CancellationToken::new();
        let stdout = Box::new(self.stdout.subscribe(&stalled));
        if let Some(pty) = &self.pty {
            let stdin = stdin.then(|| pty.writer()).transpose()?;
            return Ok(AttachedStreams {
                stdin: stdin.map(|stdin| Box::new(stdin) as Input),
                stdout,
                stderr: None,
                resize: Some(pty.resize_sender()?),
                stalled,
            });
        }
        let stdin = match self.stdin.as_ref().filter(|_| stdin) {
            Some(pipe) if self.config.stdin_once => pipe.take_only_writer(),
            Some(pipe) => Some(pipe.open_writer()?),
            None => None,
        };
        Ok(AttachedStreams {
            stdin: stdin.map(|stdin| Box::new(stdin) as Input),
            stdout,
            stderr: Some(Box::new(self.stderr.subscribe(&stalled))),
            resize: None,
            stalled,
        })
    }
}

/// Sets standard output and standard error of a shim: the terminal's replica, or pipes.
pub(super) fn configure_stdio(command: &mut Command, replica: Option<OwnedFd>) -> io::Result<()> {
    match replica {
        Some(replica) => command.stdout(replica.try_clone()?).stderr(replica),
        None => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
    };
    Ok(())
}

/// A named pipe, so that clients attach and detach without closing the container's standard input.
struct StdinPipe {
    path: PathBuf,
    /// A writer that keeps standard input open.
    keep_open: Mutex<Option<pipe::Sender>>,
}

impl StdinPipe {
    fn create(dir: &Path) -> io::Result<Self> {
        let path = dir.join("stdin");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // Opened for reading too: a write-only open fails while no process reads the pipe.
        let sender = pipe::OpenOptions::new()
            .read_write(true)
            .open_sender(&path)?;
        Ok(Self {
            path,
            keep_open: Mutex::new(Some(sender)),
        })
    }

    /// Returns the only writer, for `stdinOnce`: standard input closes when it is dropped. Returns `None` if it was taken
    /// before.
    fn take_only_writer(&self) -> Option<pipe::Sender> {
        let mut keep_open = self
            .keep_open
            .lock()
            .expect("no code panics while it holds the writer");
        keep_open.take()
    }

    fn open_writer(&self) -> io::Result<pipe::Sender> {
        pipe::OpenOptions::new().open_sender(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn stdin_config(stdin_once: bool) -> StreamsConfig {
        StreamsConfig {
            stdin: true,
            stdin_once,
            tty: false,
        }
    }

    /// Reads the pipe to its end.
    fn read_to_end(path: PathBuf) -> tokio::task::JoinHandle<String> {
        // Opened before the task starts, so that nothing that is written meanwhile is lost.
        let mut file = std::fs::File::open(path).unwrap();
        tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        })
    }

    /// Attaches, writes `text` and detaches. Returns `false` if the client got no standard input.
    async fn attach_and_write(streams: &Streams, text: &str) -> bool {
        let Some(mut stdin) = streams.attach(true).unwrap().stdin else {
            return false;
        };
        stdin.write_all(text.as_bytes()).await.unwrap();
        true
    }

    #[tokio::test]
    async fn stdin_stays_open_when_a_client_detaches() {
        let dir = tempfile::tempdir().unwrap();
        let (streams, _) = Streams::open(stdin_config(false), dir.path()).unwrap();
        let read = read_to_end(streams.stdin().unwrap());
        assert!(attach_and_write(&streams, "one, ").await);
        assert!(attach_and_write(&streams, "two").await);
        // Drops the writer that keeps it open.
        drop(streams);
        assert_eq!(read.await.unwrap(), "one, two");
    }

    #[tokio::test]
    async fn stdin_with_stdin_once_closes_when_the_first_client_detaches() {
        let dir = tempfile::tempdir().unwrap();
        let (streams, _) = Streams::open(stdin_config(true), dir.path()).unwrap();
        let read = read_to_end(streams.stdin().unwrap());
        drop(streams.attach(false).unwrap());
        assert!(attach_and_write(&streams, "one").await);
        assert_eq!(read.await.unwrap(), "one");
        assert!(!attach_and_write(&streams, "two").await);
    }

    #[tokio::test]
    async fn container_without_stdin_gives_clients_none() {
        let dir = tempfile::tempdir().unwrap();
        for tty in [false, true] {
            let config = StreamsConfig {
                tty,
                ..StreamsConfig::default()
            };
            let (streams, replica) = Streams::open(config, dir.path()).unwrap();
            assert_eq!((replica.is_some(), streams.stdin()), (tty, None));
            let attached = streams.attach(true).unwrap();
            assert!(attached.stdin.is_none());
            assert_eq!(
                (attached.resize.is_some(), attached.stderr.is_none()),
                (tty, tty)
            );
        }
    }
}
