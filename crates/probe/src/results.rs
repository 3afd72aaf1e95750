//! What the probes of each container have come to, and word of every change.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::mpsc;

/// The three kinds of probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Is it worth keeping?
    Liveness,
    /// Should it get traffic?
    Readiness,
    /// Has it started?
    Startup,
}

impl ProbeKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Liveness, Self::Readiness, Self::Startup];

    /// Its name in events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::Startup => "Startup",
        }
    }

    /// The field of a container that holds such a probe.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Liveness => "livenessProbe",
            Self::Readiness => "readinessProbe",
            Self::Startup => "startupProbe",
        }
    }

    /// What counts before the first probe of a container has an answer.
    #[must_use]
    pub fn initial(self) -> ProbeResult {
        match self {
            Self::Liveness => ProbeResult::Success,
            Self::Readiness => ProbeResult::Failure,
            Self::Startup => ProbeResult::Unknown,
        }
    }
}

/// What a probe has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// Nothing yet.
    Unknown,
    /// Its success threshold is reached.
    Success,
    /// Its failure threshold is.
    Failure,
}

impl ProbeResult {
    /// Its name, as the kubelet writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Failure => "Failure",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The number that stands for it in the kubelet's metrics.
    #[must_use]
    pub fn number(self) -> i8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Unknown => -1,
        }
    }
}

/// A result that is new or has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Which probe.
    pub kind: ProbeKind,
    /// Whose pod.
    pub pod_uid: String,
    /// Whose container, without the scheme of its ID.
    pub container_id: String,
    /// What it came to.
    pub result: ProbeResult,
}

/// The results of all probes.
pub(crate) struct Results {
    // A std mutex: nothing awaits while it is held.
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

    /// Keeps a result; tells of it if it is not what was kept already.
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
            // Nobody listens any more: the host is ending.
            let _ = self.updates.send(update);
        }
    }

    pub(crate) fn forget(&self, kind: ProbeKind, container_id: &str) {
        self.stored().remove(&(kind, container_id.to_owned()));
    }

    fn stored(&self) -> MutexGuard<'_, HashMap<(ProbeKind, String), ProbeResult>> {
        self.stored
            .lock()
            .expect("nothing panics while it holds the results")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_or_changed_result_is_told() {
        let (sender, mut updates) = mpsc::unbounded_channel();
        let results = Results::new(sender);
        let told = |result| {
            results.set(ProbeKind::Liveness, "pod", "c", result);
            updates.try_recv().is_ok()
        };
        let told = [
            ProbeResult::Success,
            ProbeResult::Success,
            ProbeResult::Failure,
        ]
        .map(told);
        assert_eq!(told, [true, false, true]);
        assert_eq!(
            results.get(ProbeKind::Liveness, "c"),
            Some(ProbeResult::Failure)
        );
        assert_eq!(results.get(ProbeKind::Readiness, "c"), None);
        results.forget(ProbeKind::Liveness, "c");
        assert_eq!(results.get(ProbeKind::Liveness, "c"), None);
    }
}
