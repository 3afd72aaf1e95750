//! Signals of the process as a [`Shutdown`]. For `main` only.

use std::{
    io,
    sync::Arc,
    sync::atomic::{AtomicI32, Ordering},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Shutdown;

/// Last signal that was received.
#[derive(Clone, Debug, Default)]
pub struct Received(Arc<AtomicI32>);

impl Received {
    /// Returns `128 + signal`, the exit code that shells report for a process that a signal terminated.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::try_from(128 + self.0.load(Ordering::Relaxed)).unwrap_or(u8::MAX)
    }
}

/// Installs handlers: the first SIGTERM or SIGINT cancels [`Shutdown::drain`], the second [`Shutdown::abort`].
///
/// # Errors
/// The handlers cannot be installed.
pub fn listen(shutdown: &Shutdown) -> io::Result<Received> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let received = Received::default();
    let (shutdown, last) = (shutdown.clone(), received.clone());
    tokio::spawn(async move {
        let signal = next(&mut terminate, &mut interrupt).await;
        last.0.store(signal, Ordering::Relaxed);
        tracing::info!(signal, "signal received: shutting down gracefully");
        shutdown.drain.cancel();
        let signal = next(&mut terminate, &mut interrupt).await;
        last.0.store(signal, Ordering::Relaxed);
        tracing::warn!(signal, "second signal received: closing open connections");
        shutdown.abort.cancel();
    });
    Ok(received)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    tokio::select! {
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
    }
}
