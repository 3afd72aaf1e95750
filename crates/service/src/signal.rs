//! Turns the signals of the process into the words of [`Stop`]. For `main` alone.

use std::{
    io,
    sync::Arc,
    sync::atomic::{AtomicI32, Ordering},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::Stop;

/// The last signal received, for the exit code.
#[derive(Clone, Debug, Default)]
pub struct Received(Arc<AtomicI32>);

impl Received {
    /// `128 + signal`, as shells report a process that a signal ended.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::try_from(128 + self.0.load(Ordering::Relaxed)).unwrap_or(u8::MAX)
    }
}

/// From now on the first SIGTERM or SIGINT drains and the second aborts.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn listen(stop: &Stop) -> io::Result<Received> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let received = Received::default();
    let (stop, last) = (stop.clone(), received.clone());
    tokio::spawn(async move {
        last.0.store(
            next(&mut terminate, &mut interrupt).await,
            Ordering::Relaxed,
        );
        tracing::info!("asked to end: draining");
        stop.drain.cancel();
        last.0.store(
            next(&mut terminate, &mut interrupt).await,
            Ordering::Relaxed,
        );
        tracing::warn!("asked again: dropping what is open");
        stop.abort.cancel();
    });
    Ok(received)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> i32 {
    tokio::select! {
        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
        _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
    }
}
