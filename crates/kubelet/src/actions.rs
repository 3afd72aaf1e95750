//! What to do about one container, from what is known of it: no clock, no runtime, no API.
//!
//! Whether a start has to wait is the back-off's affair; this only says that one is due.

use super::instance::Record;

/// `spec.restartPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Whatever its exit code.
    Always,
    /// After an exit code other than 0, or a failed probe.
    OnFailure,
    /// Not even after a failed probe.
    Never,
}

impl RestartPolicy {
    /// From the manifest; the API server defaults it to `Always`.
    #[must_use]
    pub fn parse(policy: Option<&str>) -> Self {
        match policy {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }

    /// Whether a container that ended with `code` is started again.
    #[must_use]
    pub fn restarts(self, code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => code != 0,
            Self::Never => false,
        }
    }
}

/// Which probe has failed often enough to end a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The liveness probe.
    Liveness,
    /// The startup probe.
    Startup,
}

impl Failed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Startup => "startup",
        }
    }
}

/// What to do about a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It runs, and should.
    Keep,
    /// It ended, and stays so.
    Finished,
    /// Start an instance.
    Start,
    /// End it for a probe, and start another at once if `restart`.
    Kill {
        /// Which probe.
        failed: Failed,
        /// Whether another instance follows.
        restart: bool,
    },
}

/// What the stored probe results say: whether liveness and startup have failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    /// Liveness has failed as often as its threshold says.
    pub liveness_failed: bool,
    /// Startup has.
    pub startup_failed: bool,
}

/// Decides about one container of a pod that is not being deleted.
#[must_use]
pub fn decide(policy: RestartPolicy, record: &Record, probed: Probed) -> Step {
    let Some(instance) = &record.current else {
        return Step::Start;
    };
    if let Some(exit) = instance.exit {
        return if policy.restarts(exit.code) {
            Step::Start
        } else {
            Step::Finished
        };
    }
    let failed = match probed {
        Probed {
            liveness_failed: true,
            ..
        } => Failed::Liveness,
        Probed {
            startup_failed: true,
            ..
        } => Failed::Startup,
        _ => return Step::Keep,
    };
    Step::Kill {
        failed,
        restart: policy != RestartPolicy::Never,
    }
}

/// The `Killing` event's message. Of sidecars nobody says that they come back: they always do.
#[must_use]
pub fn kill_message(container: &str, failed: Failed, restart: bool, is_init: bool) -> String {
    let (kind, suffix) = match (is_init, restart) {
        (true, _) => ("Init container", ""),
        (false, true) => ("Container", ", will be restarted"),
        (false, false) => ("Container", ""),
    };
    format!(
        "{kind} {container} failed {} probe{suffix}",
        failed.as_str()
    )
}

#[cfg(test)]
mod tests;
