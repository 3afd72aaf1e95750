//! Time until a started or restarted container is ready.

use std::time::Duration;

use super::schedule::times;
use super::start::{earliest_attempt, first_attempt, first_success, time_to_last_attempt};
use super::success::{
    further_successes, further_successes_after_failures, further_successes_after_ticks,
    successes_after_simultaneous,
};
use super::{AttemptSchedule, ContainerProbes, FaultMode, TimeRange};
use crate::results::ProbeKind;
use crate::spec::ProbeTiming;

impl ContainerProbes {
    /// Returns the time from the start of the first instance until the container is ready, if its application needs
    /// `start_time` and attempts before that fail in `mode`. `None` if the start is not always survived.
    #[must_use]
    pub fn start_to_ready(&self, start_time: Duration, mode: FaultMode) -> Option<TimeRange> {
        self.is_survived(start_time, mode).then(|| {
            self.startup.as_ref().map_or_else(
                || self.ready_without_startup(start_time, mode),
                |startup| self.ready_after_startup(startup, start_time, mode),
            )
        })
    }

    /// Returns the time from a fault, which a restart ends, until the restarted container is ready and its application has
    /// started. The application needs `start_time`, and attempts during the fault and the start fail in `mode`.
    ///
    /// The first restart has no back-off; [`predict_restarts`](super::predict_restarts) returns later delays.
    /// `None` if the container has no liveness probe, is not restarted, or can be killed again before it is ready.
    #[must_use]
    pub fn fault_to_serving(&self, start_time: Duration, mode: FaultMode) -> Option<TimeRange> {
        if !self.is_restarted
            || !self.is_survived(start_time, mode)
            || self.can_fail_before_startup_probe(start_time, mode)
        {
            return None;
        }
        let ready = self.restart_to_ready(start_time, mode)?;
        let serving = TimeRange::new(ready.earliest.max(start_time), ready.latest.max(start_time));
        Some(self.fault_to_exit(mode)? + serving)
    }

    /// Returns `true` if a restarted container can be killed by its liveness probe before its startup probe runs: the status of
    /// the previous instance counts as started until the startup worker's next tick.
    fn can_fail_before_startup_probe(&self, start_time: Duration, mode: FaultMode) -> bool {
        let (Some(startup), Some(liveness)) = (&self.startup, &self.liveness) else {
            return false;
        };
        let last_attempt = earliest_attempt(liveness) + time_to_last_attempt(liveness, mode);
        last_attempt < startup.period.min(start_time)
    }

    /// Readiness of a container without a startup probe.
    fn ready_without_startup(&self, start_time: Duration, mode: FaultMode) -> TimeRange {
        let Some(readiness) = &self.readiness else {
            return TimeRange::default();
        };
        if readiness.initial_delay.is_zero() && start_time.is_zero() {
            // The published start triggers an attempt. Its new result is published too, which triggers another one.
            let time = successes_after_simultaneous(readiness, 2);
            return TimeRange::new(time, time);
        }
        first_success(readiness, start_time, mode)
            + further_successes_after_start(readiness, start_time, mode)
    }

    /// Readiness of a container whose startup probe gates its readiness probe.
    fn ready_after_startup(
        &self,
        startup: &ProbeTiming,
        start_time: Duration,
        mode: FaultMode,
    ) -> TimeRange {
        let started = first_success(startup, start_time, mode);
        let Some(readiness) = &self.readiness else {
            return started;
        };
        let first = triggered_by_startup(readiness, startup, start_time, started);
        let mut further = further_successes(readiness);
        further.earliest = further_successes_after_startup(readiness, startup, first.earliest);
        first + further
    }

    /// Readiness of a container that was restarted in the pod sync that killed it.
    fn restart_to_ready(&self, start_time: Duration, mode: FaultMode) -> Option<TimeRange> {
        let mut ready = self.ready_without_startup(start_time, mode);
        let is_counter_kept = self.is_success_counter_kept(mode)?;
        if let Some(readiness) = &self.readiness
            && start_time <= first_attempt(readiness, ProbeKind::Readiness).latest
        {
            let first = earliest_attempt(readiness).max(start_time);
            let further = if is_counter_kept {
                Duration::ZERO
            } else {
                further_successes_after_restart(readiness, mode)
            };
            ready.earliest = ready.earliest.min(first + further);
        }
        let Some(startup) = &self.startup else {
            return Some(ready);
        };
        let mut started = first_success(startup, start_time, mode);
        // The worker's first tick after the restart only observes the new container.
        started.latest = started.latest.max(times(startup.period, 2));
        let Some(readiness) = &self.readiness else {
            return Some(TimeRange::new(ready.earliest, started.latest));
        };
        let gated = triggered_by_startup(readiness, startup, start_time, started);
        // An attempt that starts before the gate closes can hang until after the startup success.
        let hanging = AttemptSchedule::kubelet(readiness).failed_attempt(mode);
        let first = gated.latest.max(start_time.saturating_add(hanging));
        let latest = first.saturating_add(further_successes(readiness).latest);
        // Until the startup worker's first tick the container can count as started, so that successes count before the gate.
        let earliest = if ready.earliest >= startup.period || is_counter_kept {
            ready.earliest.min(gated.earliest)
        } else {
            let further = further_successes_after_startup(readiness, startup, gated.earliest);
            ready.earliest.min(gated.earliest + further)
        };
        Some(TimeRange::new(earliest, latest))
    }

    /// Returns `true` if the container can be restarted before its readiness probe fails once. The success counter survives the
    /// restart, so that one success is then enough.
    fn is_success_counter_kept(&self, mode: FaultMode) -> Option<bool> {
        let exit = self.fault_to_exit(mode)?;
        let readiness = self.readiness.as_ref();
        Some(readiness.is_some_and(|readiness| exit.earliest < readiness.period))
    }
}

/// Returns the minimum time from the first success of a restarted container, at its first attempt, to the success threshold.
fn further_successes_after_restart(readiness: &ProbeTiming, mode: FaultMode) -> Duration {
    let is_overrun = mode == FaultMode::Hanging && readiness.timeout > readiness.period;
    if !readiness.initial_delay.is_zero() {
        further_successes(readiness).earliest
    } else if is_overrun {
        // An attempt that the exit interrupts leaves a missed tick, beside the trigger of the published start.
        successes_after_simultaneous(readiness, 3)
    } else {
        successes_after_simultaneous(readiness, 2)
    }
}

fn further_successes_after_start(
    probe: &ProbeTiming,
    start_time: Duration,
    mode: FaultMode,
) -> TimeRange {
    if start_time <= earliest_attempt(probe) {
        further_successes(probe)
    } else if probe.initial_delay.is_zero() {
        // The first result is published during the first attempt, which triggers another one.
        further_successes_after_failures(probe, mode)
    } else {
        further_successes_after_ticks(probe, mode)
    }
}

/// Returns the minimum time from the first success at `first` to the success threshold.
///
/// The first result of the readiness and of the startup worker for a container is published too, and each publication triggers one
/// more attempt at the same time.
fn further_successes_after_startup(
    readiness: &ProbeTiming,
    startup: &ProbeTiming,
    first: Duration,
) -> Duration {
    let periods = [readiness.period, startup.period];
    let first_results = periods.map(|period| u32::from(first < period));
    let simultaneous = 1 + first_results.iter().sum::<u32>();
    successes_after_simultaneous(readiness, simultaneous)
}

/// Returns the time of the first readiness attempt, which the success of the startup probe at `started` triggers.
fn triggered_by_startup(
    readiness: &ProbeTiming,
    startup: &ProbeTiming,
    start_time: Duration,
    started: TimeRange,
) -> TimeRange {
    let earliest = started.earliest.max(earliest_attempt(readiness));
    let is_delay_over = readiness.initial_delay <= startup.initial_delay.max(start_time);
    let latest = if is_delay_over {
        started.latest
    } else {
        let first_tick = readiness.initial_delay.saturating_add(readiness.period);
        started.latest.max(first_tick)
    };
    TimeRange::new(earliest, latest)
}
