//! Phase of a target: its startup probe decides it, and its other probes wait for that.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::watch;

/// State of a target by its startup probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not succeeded yet. As in the kubelet, liveness is healthy meanwhile.
    Starting,
    /// Failure threshold reached. As in the kubelet, the container has to be restarted.
    StartupFailed,
    /// Succeeded, or the target has no startup probe.
    Started,
}

/// A target's phase, shared by its probes.
#[derive(Debug)]
pub(super) struct Gate {
    phase: watch::Sender<Phase>,
    /// Unhealthy answers that the kubelet got since the target failed.
    polls: AtomicU32,
}

impl Gate {
    pub(super) fn new(phase: Phase) -> Self {
        Self {
            phase: watch::Sender::new(phase),
            polls: AtomicU32::new(0),
        }
    }

    /// Returns `true` if the phase was another one before.
    pub(super) fn set(&self, phase: Phase) -> bool {
        self.reset_polls();
        self.phase
            .send_if_modified(|is| std::mem::replace(is, phase) != phase)
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase() == Phase::Started
    }

    /// Waits until the target has started, or until it has not.
    pub(super) async fn wait_until_open(&self, open: bool) {
        let mut phases = self.phase.subscribe();
        // The sender lives in `self`, so the wait can only end with the phase.
        let _ = phases
            .wait_for(|phase| (*phase == Phase::Started) == open)
            .await;
    }

    /// Counts an unhealthy answer; returns their number.
    pub(super) fn count_poll(&self) -> u32 {
        self.polls.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(super) fn reset_polls(&self) {
        self.polls.store(0, Ordering::Relaxed);
    }
}
