//! Faults of a running container: detection, termination, recovery.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::{AttemptSchedule, FaultMode, TimeRange, success};
use crate::results::ProbeKind;
use crate::spec::ProbeTiming;

/// Default of a pod's `terminationGracePeriodSeconds`.
const DEFAULT_GRACE_PERIOD_SECS: i64 = 30;

/// Minimum time between SIGTERM and SIGKILL, the kubelet's `minimumGracePeriodInSeconds`.
const MINIMUM_GRACE_PERIOD: Duration = Duration::from_secs(2);

/// Probes and termination settings of one container: the input of predictions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerProbes {
    /// Liveness probe.
    pub liveness: Option<ProbeTiming>,
    /// Readiness probe.
    pub readiness: Option<ProbeTiming>,
    /// Startup probe.
    pub startup: Option<ProbeTiming>,
    /// Grace period of the pod.
    pub grace_period: Duration,
    /// `true` if the container has a preStop hook.
    pub has_pre_stop_hook: bool,
    /// `true` if the container is restarted after a failed probe, so unless its restart policy is `Never`.
    pub is_restarted: bool,
}

impl ContainerProbes {
    /// Reads the settings of a container, with the API server's defaults.
    #[must_use]
    pub fn new(pod: &PodSpec, container: &Container) -> Self {
        let policy = container.restart_policy.as_ref();
        let policy = policy.or(pod.restart_policy.as_ref());
        let grace_period = pod.termination_grace_period_seconds;
        let hooks = container.lifecycle.as_ref();
        Self {
            liveness: container.liveness_probe.as_ref().map(ProbeTiming::new),
            readiness: container.readiness_probe.as_ref().map(ProbeTiming::new),
            startup: container.startup_probe.as_ref().map(ProbeTiming::new),
            grace_period: seconds(grace_period.unwrap_or(DEFAULT_GRACE_PERIOD_SECS)),
            has_pre_stop_hook: hooks.is_some_and(|hooks| hooks.pre_stop.is_some()),
            is_restarted: policy.is_none_or(|policy| policy != "Never"),
        }
    }

    /// Returns the probe of this kind.
    #[must_use]
    pub fn probe(&self, kind: ProbeKind) -> Option<&ProbeTiming> {
        match kind {
            ProbeKind::Liveness => self.liveness.as_ref(),
            ProbeKind::Readiness => self.readiness.as_ref(),
            ProbeKind::Startup => self.startup.as_ref(),
        }
    }

    /// Returns the time from a fault to the liveness failure that kills the container, or `None` without a liveness probe.
    #[must_use]
    pub fn fault_to_restart(&self, mode: FaultMode) -> Option<TimeRange> {
        self.liveness.as_ref().map(|probe| detection(probe, mode))
    }

    /// Returns the time from a fault until the container is not ready: after a readiness failure, or at the latest when a
    /// liveness failure has terminated it. Assumes that the fault affects both probes. `None` without these probes.
    #[must_use]
    pub fn fault_to_unready(&self, mode: FaultMode) -> Option<TimeRange> {
        let readiness = self.readiness.as_ref().map(|probe| detection(probe, mode));
        match (readiness, self.fault_to_exit(mode)) {
            (Some(readiness), Some(exit)) => Some(readiness.first(exit)),
            (readiness, exit) => readiness.or(exit),
        }
    }

    /// Returns the time from the end of a fault until the container is ready again, or `None` without a readiness probe. Assumes
    /// that the container has become unready and has not been restarted.
    #[must_use]
    pub fn recovery_to_ready(&self, mode: FaultMode) -> Option<TimeRange> {
        self.readiness
            .as_ref()
            .map(|probe| success::recovery(probe, mode))
    }

    /// Returns the time from the decision to kill the container, because of a failure of this probe, to its exit: immediate if
    /// its process exits on SIGTERM, the whole grace period if it ignores the signal.
    #[must_use]
    pub fn termination(&self, kind: ProbeKind) -> TimeRange {
        let probe = self
            .probe(kind)
            .and_then(|probe| probe.termination_grace_period);
        let grace_period = probe.unwrap_or(self.grace_period);
        // A hook that uses up the grace period leaves the minimum for the signal.
        let latest = if self.has_pre_stop_hook && !grace_period.is_zero() {
            grace_period.saturating_add(MINIMUM_GRACE_PERIOD)
        } else {
            grace_period.max(MINIMUM_GRACE_PERIOD)
        };
        TimeRange::new(Duration::ZERO, latest)
    }

    /// Returns the time from a fault to the exit of the container, killed after a liveness failure.
    pub(super) fn fault_to_exit(&self, mode: FaultMode) -> Option<TimeRange> {
        let decision = self.fault_to_restart(mode)?;
        Some(decision + self.termination(ProbeKind::Liveness))
    }
}

fn detection(probe: &ProbeTiming, mode: FaultMode) -> TimeRange {
    AttemptSchedule::kubelet(probe).detection(probe.failure_threshold, mode)
}

fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or_default())
}
