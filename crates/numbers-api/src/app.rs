//! What all requests of one instance share.

use std::{
    future::pending,
    num::NonZeroU64,
    sync::atomic::{AtomicBool, Ordering},
};

use axum::response::Response;
use service::Readiness;
use tokio::{sync::watch, time::sleep};

use crate::{Args, Breaker, Effect, Faults, Target, answer::failure, probes::Ledger};

/// One instance of the API.
#[derive(Debug)]
pub struct App {
    /// Whether it wants traffic; the server opens and closes it.
    pub ready: Readiness,
    pub(crate) breaker: Breaker,
    pub(crate) faults: Faults,
    pub(crate) probes: Ledger,
    pub(crate) use_failure_id: bool,
    pub(crate) fault_api: bool,
    crash: watch::Sender<Option<u8>>,
    is_starting: AtomicBool,
}

impl App {
    /// A fresh instance.
    #[must_use]
    pub fn new(args: &Args) -> Self {
        Self {
            ready: Readiness::default(),
            breaker: Breaker::new(NonZeroU64::new(args.fail_after_call_count)),
            faults: Faults::new(args.fault_seed, &args.fault),
            probes: Ledger::default(),
            use_failure_id: args.use_failure_id,
            fault_api: args.enable_fault_api,
            crash: watch::Sender::new(None),
            is_starting: AtomicBool::new(!args.startup_delay.is_zero()),
        }
    }

    /// Returns `true` until the startup delay is over.
    pub(crate) fn is_starting(&self) -> bool {
        self.is_starting.load(Ordering::Relaxed)
    }

    /// Ends the start: from now on the instance answers requests.
    pub(crate) fn end_start(&self) {
        self.is_starting.store(false, Ordering::Relaxed);
    }

    /// Counts one call of `target` and lets the fault due to it happen.
    ///
    /// # Errors
    /// The answer to give instead of the healthy one.
    pub(crate) async fn fault(&self, target: Target) -> Result<(), Response> {
        let due = self.faults.call(target);
        if let Some(effect) = due {
            tracing::debug!(?target, ?effect, "fault strikes");
        }
        match due {
            None => Ok(()),
            Some(Effect::Fail) => Err(failure(if target == Target::Rng {
                "Unhealthy!"
            } else {
                "Unhealthy"
            })),
            Some(Effect::Slow(time)) => {
                sleep(time).await;
                Ok(())
            }
            Some(Effect::Hang) => pending().await,
            Some(Effect::Crash(code)) => {
                self.crash.send_replace(Some(code));
                pending().await
            }
        }
    }

    /// Resolves with the exit code once a fault has crashed the instance.
    pub async fn crashed(&self) -> u8 {
        let mut crash = self.crash.subscribe();
        let code = crash.wait_for(Option::is_some).await.map(|code| *code);
        code.ok()
            .flatten()
            .expect("the sender lives as long as self and only Some is waited for")
    }
}
