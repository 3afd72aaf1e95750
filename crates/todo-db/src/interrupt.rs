//! SIGTERM and SIGINT during the initialization.
//!
//! The kernel ignores signals without a handler for the first process of a container, so the runtime would have to wait
//! for the end of its grace period.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::EntryError;

/// State that the signal thread shares. Before [`Self::listen`], signals have their default action.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    received: Option<i32>,
    /// The program that runs now.
    child: Option<Pid>,
}

/// Programs that run after a signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    UnlessInterrupted,
    /// For cleaning up.
    Always,
}

impl Interrupt {
    /// Handles the signals in a thread. Handlers and not a signal mask, which programs would inherit.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let interrupt = Self::default();
        let shared = interrupt.clone();
        thread::Builder::new().spawn(move || {
            for signal in signals.forever() {
                shared.receive(signal);
            }
        })?;
        Ok(interrupt)
    }

    fn receive(&self, signal: i32) {
        let mut state = self.lock();
        state.received = Some(signal);
        if let Some(child) = state.child {
            // The child may have exited.
            let _ = kill(child, Signal::SIGTERM);
        }
    }

    /// Fails if a signal was received.
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        match self.lock().received {
            Some(signal) => Err(EntryError::Interrupted(signal)),
            None => Ok(()),
        }
    }

    /// Runs a program until its exit; a signal terminates it. Fails if a signal was received before, except with
    /// [`Mode::Always`].
    pub(crate) fn run(&self, command: &mut Command, mode: Mode) -> io::Result<ExitStatus> {
        let mut state = self.lock();
        if state.received.is_some() && mode == Mode::UnlessInterrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let mut child = command.spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        state.child = Some(pid);
        drop(state);
        // The process id stays valid until `wait`, so no other process can be signalled.
        while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
            == Err(nix::errno::Errno::EINTR)
        {}
        self.lock().child = None;
        child.wait()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
