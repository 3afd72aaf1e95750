//! Phase of a target: its startup probe decides it, and its other probes wait for that.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::watch;

/// Startup phase of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The startup probe has not succeeded yet. As in the kubelet, liveness is healthy meanwhile.
    Starting,
    /// The startup probe reached its failure threshold. As in the kubelet, the container has to be restarted.
    StartupFailed,
    /// The startup probe succeeded, or the target has none.
    Started,
}

/// Phase of a target, shared by its probes.
#[derive(Debug)]
pub(super) struct StartupGate {
    phase: watch::Sender<Phase>,
    /// Number of unhealthy responses to the kubelet since the target failed.
    unhealthy_polls: AtomicU32,
    /// `true` until the kubelet polls in the current phase: it does so only while the container runs.
    awaits_poll: AtomicBool,
}

impl StartupGate {
    pub(super) fn new(phase: Phase) -> Self {
        Self {
            phase: watch::Sender::new(phase),
            unhealthy_polls: AtomicU32::new(0),
            awaits_poll: AtomicBool::new(true),
        }
    }

    /// Sets the phase; returns `true` if it changed.
    pub(super) fn set(&self, phase: Phase) -> bool {
        self.reset_polls();
        self.phase
            .send_if_modified(|is| std::mem::replace(is, phase) != phase)
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(super) fn has_started(&self) -> bool {
        self.phase() == Phase::Started
    }

    /// Waits until the target has started (`started`) or until it has not (`!started`).
    pub(super) async fn wait_until(&self, started: bool) {
        let mut phases = self.phase.subscribe();
        // The sender lives in `self`, so the channel cannot be closed.
        let _ = phases
            .wait_for(|phase| (*phase == Phase::Started) == started)
            .await;
    }

    pub(super) fn set_awaits_poll(&self, awaits: bool) {
        self.awaits_poll.store(awaits, Ordering::Relaxed);
    }

    /// Records a request of the kubelet; returns `true` if it is the first one of the container.
    pub(super) fn record_poll(&self) -> bool {
        self.awaits_poll.swap(false, Ordering::Relaxed)
    }

    /// Counts an unhealthy response and returns the new count.
    pub(super) fn count_poll(&self) -> u32 {
        self.unhealthy_polls
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    pub(super) fn reset_polls(&self) {
        self.unhealthy_polls.store(0, Ordering::Relaxed);
    }
}
