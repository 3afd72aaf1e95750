//! A pseudo-terminal for a command or a container.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// Size of a terminal until the client sets it, as columns and rows.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// The primary side of a pseudo-terminal.
pub(super) struct Pty(OwnedFd);

impl Pty {
    /// Opens a pseudo-terminal and returns it with its replica, the side of the container's processes.
    pub(super) fn open() -> io::Result<(Self, OwnedFd)> {
        let pty = nix::pty::openpty(None, None)?;
        // A command that is started at the same time would inherit the descriptors and keep the terminal open.
        for side in [&pty.master, &pty.slave] {
            rustix::io::fcntl_setfd(side, rustix::io::FdFlags::CLOEXEC)?;
        }
        let (columns, rows) = DEFAULT_SIZE;
        rustix::termios::tcsetwinsize(&pty.master, window_size(columns, rows))?;
        rustix::io::ioctl_fionbio(&pty.master, true)?;
        Ok((Self(pty.master), pty.slave))
    }

    // Tokio's pipe types poll any descriptor. A thread that blocks in `read` would delay the node's shutdown.

    /// Returns a reader of the output, which ends when no process has the replica open.
    pub(super) fn reader(&self) -> io::Result<pipe::Receiver> {
        pipe::Receiver::from_owned_fd_unchecked(self.duplicate()?)
    }

    pub(super) fn writer(&self) -> io::Result<pipe::Sender> {
        pipe::Sender::from_owned_fd_unchecked(self.duplicate()?)
    }

    fn duplicate(&self) -> io::Result<OwnedFd> {
        self.0.as_fd().try_clone_to_owned()
    }

    /// Returns a sender of new sizes, as columns and rows.
    pub(super) fn resize_sender(&self) -> io::Result<mpsc::Sender<(u16, u16)>> {
        let pty = self.duplicate()?;
        let (sender, mut sizes) = mpsc::channel::<(u16, u16)>(4);
        tokio::spawn(async move {
            while let Some((columns, rows)) = sizes.recv().await {
                let _ = rustix::termios::tcsetwinsize(&pty, window_size(columns, rows));
            }
        });
        Ok(sender)
    }
}

fn window_size(columns: u16, rows: u16) -> rustix::termios::Winsize {
    rustix::termios::Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
