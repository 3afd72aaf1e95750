//! Start of a container: first attempts and survived starts.

use std::time::Duration;

use super::schedule::times;
use super::{AttemptSchedule, ContainerProbes, FaultMode, START_TIME_PRECISION, TimeRange};
use crate::results::ProbeKind;
use crate::spec::ProbeTiming;

/// Event after which a first attempt is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptReference {
    /// Start of the container.
    ContainerStart,
    /// Success of the startup probe, which the other probes wait for.
    StartupSuccess,
}

/// First attempt of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstAttempt {
    /// Event that `delay` starts with.
    pub after: AttemptReference,
    /// Time from that event to the attempt.
    pub delay: TimeRange,
}

/// Duration of an application's start that its startup probe, or else its liveness probe, tolerates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurvivedStart {
    /// Longest start that is always survived.
    pub always: Duration,
    /// Start that is never survived if it takes longer. In between it depends on the phase of the worker's ticker.
    pub at_most: Duration,
}

impl ContainerProbes {
    /// Returns the first attempt of a probe on the first instance of the container, or `None` without such a probe.
    #[must_use]
    pub fn first_attempt(&self, kind: ProbeKind) -> Option<FirstAttempt> {
        let probe = self.probe(kind)?;
        let gate = self.startup.as_ref().filter(|_| kind != ProbeKind::Startup);
        let Some(startup) = gate else {
            let after = AttemptReference::ContainerStart;
            let delay = first_attempt(probe, kind);
            return Some(FirstAttempt { after, delay });
        };
        // The startup probe can succeed when its own initial delay ends, and has to before its last attempt fails.
        let remaining = probe.initial_delay.saturating_sub(startup.initial_delay);
        let last_success = startup.period + time_to_last_attempt(startup, FaultMode::Hanging);
        let mut earliest = remaining.saturating_sub(last_success);
        if startup.initial_delay.is_zero() {
            // Only one of the two delays can end early.
            earliest = earliest.saturating_sub(START_TIME_PRECISION);
        }
        let is_triggered = kind == ProbeKind::Readiness && remaining.is_zero();
        let latest = if is_triggered {
            Duration::ZERO
        } else {
            remaining.saturating_add(probe.period)
        };
        Some(FirstAttempt {
            after: AttemptReference::StartupSuccess,
            delay: TimeRange::new(earliest, latest),
        })
    }

    /// Returns the time from a restart of the kubelet to the next attempt on a running container: the new worker waits a random
    /// part of the period. Without a restart of the kubelet, workers start without a delay.
    #[must_use]
    pub fn first_attempt_after_kubelet_restart(&self, kind: ProbeKind) -> Option<TimeRange> {
        let probe = self.probe(kind)?;
        Some(TimeRange::new(Duration::ZERO, probe.period))
    }

    /// Returns the duration of a start that is survived, or `None` if neither a startup nor a liveness probe limits it.
    /// `mode` is the result of attempts before the application has started.
    #[must_use]
    pub fn survived_start(&self, mode: FaultMode) -> Option<SurvivedStart> {
        let probe = self.startup.as_ref().or(self.liveness.as_ref())?;
        let last_attempt = time_to_last_attempt(probe, mode);
        let first_attempt = first_attempt(probe, ProbeKind::Liveness);
        Some(SurvivedStart {
            always: first_attempt.earliest.saturating_add(last_attempt),
            at_most: first_attempt.latest.saturating_add(last_attempt),
        })
    }

    /// Returns the time from the start of a container that never becomes healthy to the decision to kill it, or `None` without
    /// a startup and a liveness probe.
    #[must_use]
    pub fn failed_start_to_restart(&self, mode: FaultMode) -> Option<TimeRange> {
        let probe = self.startup.as_ref().or(self.liveness.as_ref())?;
        let attempt = AttemptSchedule::kubelet(probe).failed_attempt(mode);
        let rest = time_to_last_attempt(probe, mode).saturating_add(attempt);
        Some(first_attempt(probe, ProbeKind::Liveness) + TimeRange::new(rest, rest))
    }

    /// Returns `true` if a start that takes `start_time` is always survived.
    pub(super) fn is_survived(&self, start_time: Duration, mode: FaultMode) -> bool {
        self.survived_start(mode)
            .is_none_or(|survived| start_time <= survived.always)
    }
}

/// Returns the time from a container's start to the first attempt of a probe without a gate.
pub(super) fn first_attempt(probe: &ProbeTiming, kind: ProbeKind) -> TimeRange {
    let is_triggered = kind == ProbeKind::Readiness && probe.initial_delay.is_zero();
    let latest = if is_triggered {
        Duration::ZERO
    } else {
        probe.initial_delay.saturating_add(probe.period)
    };
    TimeRange::new(earliest_attempt(probe), latest)
}

pub(super) fn earliest_attempt(probe: &ProbeTiming) -> Duration {
    probe.initial_delay.saturating_sub(START_TIME_PRECISION)
}

/// Returns the time from the start of the first attempt to the start of the one that reaches the failure threshold.
pub(super) fn time_to_last_attempt(probe: &ProbeTiming, mode: FaultMode) -> Duration {
    let schedule = AttemptSchedule::kubelet(probe);
    let spacing = schedule.spacing(schedule.failed_attempt(mode));
    times(spacing, probe.failure_threshold.saturating_sub(1))
}

/// Returns the time from a container's start to the first success of a probe without a gate.
pub(super) fn first_success(
    probe: &ProbeTiming,
    start_time: Duration,
    mode: FaultMode,
) -> TimeRange {
    let schedule = AttemptSchedule::kubelet(probe);
    let earliest = earliest_attempt(probe);
    let first = probe.initial_delay.saturating_add(probe.period);
    // An attempt may start just before the application has started.
    let next = start_time.saturating_add(schedule.spacing(schedule.failed_attempt(mode)));
    let latest = if start_time > earliest {
        first.max(next)
    } else {
        first
    };
    TimeRange::new(earliest.max(start_time), latest)
}
