//! The results of all probes, and notifications of their changes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::mpsc;

/// Kind of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProbeKind {
    /// A failure restarts the container.
    Liveness,
    /// A failure removes the pod from the endpoints of its services.
    Readiness,
    /// The other probes do not run before this one has succeeded; a failure restarts the container.
    Startup,
}

impl ProbeKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Liveness, Self::Readiness, Self::Startup];

    /// Returns the name in events and metrics: `Liveness`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::Startup => "Startup",
        }
    }

    /// Returns the name of the container's field: `livenessProbe`.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Liveness => "livenessProbe",
            Self::Readiness => "readinessProbe",
            Self::Startup => "startupProbe",
        }
    }

    /// Returns the result that is stored before the first attempt on a container.
    #[must_use]
    pub fn initial_result(self) -> ProbeResult {
        match self {
            Self::Liveness => ProbeResult::Success,
            Self::Readiness => ProbeResult::Failure,
            Self::Startup => ProbeResult::Unknown,
        }
    }
}

/// Result of a probe after thresholds, the kubelet's `results.Result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// No threshold has been reached.
    Unknown,
    /// The success threshold has been reached.
    Success,
    /// The failure threshold has been reached.
    Failure,
}

impl ProbeResult {
    /// Returns the kubelet's name of the result.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Failure => "Failure",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Returns the number of the result in the kubelet's metrics.
    #[must_use]
    pub fn number(self) -> i8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Unknown => -1,
        }
    }
}

/// A new or changed result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Kind of the probe.
    pub kind: ProbeKind,
    /// UID of the pod.
    pub pod_uid: String,
    /// ID of the container instance, without the runtime's scheme.
    pub container_id: String,
    /// New result.
    pub result: ProbeResult,
}

/// Results by kind and container ID.
pub(crate) struct Results {
    // A std mutex: it is not held across an await.
    stored: Mutex<HashMap<(ProbeKind, String), ProbeResult>>,
    updates: mpsc::UnboundedSender<Update>,
}

impl Results {
    pub(crate) fn new(updates: mpsc::UnboundedSender<Update>) -> Self {
        Self {
            stored: Mutex::default(),
            updates,
        }
    }

    pub(crate) fn get(&self, kind: ProbeKind, container_id: &str) -> Option<ProbeResult> {
        self.stored().get(&(kind, container_id.to_owned())).copied()
    }

    /// Stores a result, and sends an [`Update`] if it is new or has changed.
    pub(crate) fn set(
        &self,
        kind: ProbeKind,
        pod_uid: &str,
        container_id: &str,
        result: ProbeResult,
    ) {
        let before = self
            .stored()
            .insert((kind, container_id.to_owned()), result);
        if before != Some(result) {
            let update = Update {
                kind,
                pod_uid: pod_uid.to_owned(),
                container_id: container_id.to_owned(),
                result,
            };
            // The receiver is dropped while the host shuts down.
            let _ = self.updates.send(update);
        }
    }

    pub(crate) fn remove(&self, kind: ProbeKind, container_id: &str) {
        self.stored().remove(&(kind, container_id.to_owned()));
    }

    fn stored(&self) -> MutexGuard<'_, HashMap<(ProbeKind, String), ProbeResult>> {
        self.stored.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_and_changed_results_are_sent() {
        let (sender, mut updates) = mpsc::unbounded_channel();
        let results = Results::new(sender);
        let set = |result| {
            results.set(ProbeKind::Liveness, "pod", "c", result);
            updates.try_recv().is_ok()
        };
        let sent = [
            ProbeResult::Success,
            ProbeResult::Success,
            ProbeResult::Failure,
        ]
        .map(set);
        assert_eq!(sent, [true, false, true]);
        assert_eq!(
            results.get(ProbeKind::Liveness, "c"),
            Some(ProbeResult::Failure)
        );
        assert_eq!(results.get(ProbeKind::Readiness, "c"), None);
        results.remove(ProbeKind::Liveness, "c");
        assert_eq!(results.get(ProbeKind::Liveness, "c"), None);
    }
}
