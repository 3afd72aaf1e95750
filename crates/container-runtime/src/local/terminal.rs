//! A terminal for a command or a container.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// What a terminal measures until somebody says so: columns and rows.
const SIZE: (u16, u16) = (80, 24);

/// The side of a terminal at which people sit.
pub(super) struct Terminal(OwnedFd);

impl Terminal {
    /// A terminal, and the end of it for its processes.
    pub(super) fn open() -> io::Result<(Self, OwnedFd)> {
        let pty = nix::pty::openpty(None, None)?;
        // Or a command that is started at the same time would have it, too, and keep it open.
        for end in [&pty.master, &pty.slave] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        let (columns, rows) = SIZE;
        rustix::termios::tcsetwinsize(&pty.master, size(columns, rows))?;
        rustix::io::ioctl_fionbio(&pty.master, true)?;
        Ok((Self(pty.master), pty.slave))
    }

    // It is no pipe, but it is waited for like one. A thread that reads it would hold up the node's end.

    /// What its processes print, until no process has it any more.
    pub(super) fn reader(&self) -> io::Result<pipe::Receiver> {
        pipe::Receiver::from_owned_fd_unchecked(self.copy()?)
    }

    /// What its processes read.
    pub(super) fn writer(&self) -> io::Result<pipe::Sender> {
        pipe::Sender::from_owned_fd_unchecked(self.copy()?)
    }

    fn copy(&self) -> io::Result<OwnedFd> {
        self.0.as_fd().try_clone_to_owned()
    }

    /// Takes new sizes: columns, rows.
    pub(super) fn resize(&self) -> io::Result<mpsc::Sender<(u16, u16)>> {
        let copy = self.copy()?;
        let (sender, mut sizes) = mpsc::channel::<(u16, u16)>(4);
        tokio::spawn(async move {
            while let Some((columns, rows)) = sizes.recv().await {
                let _ = rustix::termios::tcsetwinsize(&copy, size(columns, rows));
            }
        });
        Ok(sender)
    }
}

fn size(columns: u16, rows: u16) -> rustix::termios::Winsize {
    rustix::termios::Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
