//! State that all requests of one instance share.

use std::{
    future::pending,
    num::NonZeroU64,
    sync::atomic::{AtomicBool, Ordering},
};

use axum::response::Response;
use http::StatusCode;
use http_service::Readiness;
use tokio::{sync::watch, time::sleep};

use crate::{Args, Effect, FailAfter, Faults, Target, failure::failure, probes::ProbeLog};

/// One instance of the API.
#[derive(Debug)]
pub struct App {
    /// Readiness for traffic; the server opens and closes it.
    pub ready: Readiness,
    pub(crate) fail_after: FailAfter,
    pub(crate) faults: Faults,
    pub(crate) probes: ProbeLog,
    pub(crate) use_failure_id: bool,
    pub(crate) fault_api: bool,
    crash: watch::Sender<Option<u8>>,
    is_starting: AtomicBool,
}

impl App {
    /// Returns an instance that has served no request.
    #[must_use]
    pub fn new(args: &Args) -> Self {
        Self {
            ready: Readiness::default(),
            fail_after: FailAfter::new(NonZeroU64::new(args.fail_after_call_count)),
            faults: Faults::new(args.fault_seed, &args.fault),
            probes: ProbeLog::default(),
            use_failure_id: args.use_failure_id,
            fault_api: args.enable_fault_api,
            crash: watch::Sender::new(None),
            is_starting: AtomicBool::new(!args.startup_delay.is_zero()),
        }
    }

    /// Returns `true` during the startup delay.
    pub(crate) fn is_starting(&self) -> bool {
        self.is_starting.load(Ordering::Relaxed)
    }

    /// Ends the startup delay: requests are served from now on.
    pub(crate) fn finish_start(&self) {
        self.is_starting.store(false, Ordering::Relaxed);
    }

    /// Returns the status of an endpoint without faults.
    pub(crate) fn status(&self, target: Target) -> StatusCode {
        let is_unavailable = match target {
            Target::Rng | Target::Healthz => self.is_starting(),
            Target::Livez => false,
            Target::Readyz | Target::Startupz => self.is_starting() || !self.ready.is_open(),
        };
        if is_unavailable {
            StatusCode::SERVICE_UNAVAILABLE
        } else if target != Target::Startupz && self.fail_after.is_broken() {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::OK
        }
    }

    /// Counts one call of `target` and executes the effect of its fault.
    ///
    /// # Errors
    /// Response to send instead of the regular one.
    pub(crate) async fn apply_fault(&self, target: Target) -> Result<(), Response> {
        let effect = self.faults.count_call(target);
        if let Some(effect) = effect {
            tracing::debug!(?target, ?effect, "fault injected");
        }
        match effect {
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

    /// Resolves with the exit code when a fault crashes the instance.
    pub async fn crashed(&self) -> u8 {
        let mut crash = self.crash.subscribe();
        let code = crash.wait_for(Option::is_some).await.map(|code| *code);
        code.ok()
            .flatten()
            .expect("self owns the sender, and only Some is waited for")
    }
}
