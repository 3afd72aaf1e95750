//! History of a container: its current instance, the previous one, and the reason why the next one is waiting.

use container_runtime::{ContainerId, Exit, Image};
use jiff::Timestamp;

/// One run of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// ID assigned by the container runtime.
    pub(crate) id: ContainerId,
    /// Number of the instance, from 0; the container's restart count in the status.
    pub(crate) attempt: u32,
    /// Image that the container was created from.
    pub(crate) image: Image,
    /// Start time on the node's clock.
    pub(crate) started_at: Timestamp,
    /// Exit status, or `None` while the instance runs.
    pub(crate) exit: Option<InstanceExit>,
    /// Termination message.
    pub(crate) message: Option<String>,
}

/// Exit status of an instance, with its time on the node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InstanceExit {
    /// Exit code; 128 + the signal number if a signal terminated the instance.
    pub(crate) code: i32,
    /// Signal that terminated the instance.
    pub(crate) signal: Option<i32>,
    /// Time of the exit.
    pub(crate) at: Timestamp,
}

/// Reason and message of a waiting container (`state.waiting`) or of a failed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusReason {
    /// Reason in CamelCase, for programs.
    pub(crate) reason: String,
    /// Message for people.
    pub(crate) message: Option<String>,
}

impl StatusReason {
    #[must_use]
    pub(crate) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: Some(message.into()),
        }
    }
}

/// Instances of a container of a pod. The default is a container that has never run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ContainerHistory {
    /// Newest instance, running or terminated.
    pub(crate) current: Option<Instance>,
    /// Instance before `current`; it has terminated.
    pub(crate) previous: Option<Instance>,
    /// Reason why the next instance has not started, e.g. `CrashLoopBackOff`.
    pub(crate) waiting: Option<StatusReason>,
}

impl ContainerHistory {
    /// History of a container that has never run.
    pub(crate) const NEVER_RAN: Self = Self {
        current: None,
        previous: None,
        waiting: None,
    };

    /// Returns the current instance if it runs.
    #[must_use]
    pub(crate) fn running(&self) -> Option<&Instance> {
        self.current
            .as_ref()
            .filter(|instance| instance.exit.is_none())
    }

    /// Returns the exit status of the newest instance that has terminated.
    #[must_use]
    pub(crate) fn last_exit(&self) -> Option<InstanceExit> {
        let exit =
            |instance: &Option<Instance>| instance.as_ref().and_then(|instance| instance.exit);
        exit(&self.current).or_else(|| exit(&self.previous))
    }

    /// Records an exit. Returns `false`, and ignores the exit, if it is not the running instance's.
    pub(crate) fn record_exit(&mut self, exit: &Exit) -> bool {
        match &mut self.current {
            Some(instance) if instance.id == exit.container && instance.exit.is_none() => {
                instance.exit = Some(InstanceExit {
                    code: exit.code,
                    signal: exit.signal,
                    at: exit.at,
                });
                instance.message.clone_from(&exit.message);
                true
            }
            _ => false,
        }
    }

    /// Returns the number of the next instance.
    #[must_use]
    pub(crate) fn next_attempt(&self) -> u32 {
        self.current
            .as_ref()
            .map_or(0, |instance| instance.attempt + 1)
    }

    /// Records the start of `instance`. Returns the instance that is no longer part of the history: its container can be removed.
    pub(crate) fn record_start(&mut self, instance: Instance) -> Option<Instance> {
        self.waiting = None;
        let superseded = self.previous.take();
        self.previous = self.current.replace(instance);
        superseded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_fixtures::instance;

    fn exit(id: &str, code: i32) -> Exit {
        Exit {
            container: ContainerId(id.into()),
            code,
            signal: None,
            at: Timestamp::UNIX_EPOCH,
            message: None,
        }
    }

    #[test]
    fn only_the_first_exit_of_the_current_instance_is_recorded() {
        let mut history = ContainerHistory::default();
        assert!(!history.record_exit(&exit("c0", 1)));
        history.record_start(instance(0));
        assert!(!history.record_exit(&exit("c9", 1)));
        assert!(history.running().is_some());
        assert!(history.record_exit(&exit("c0", 1)));
        assert!(!history.record_exit(&exit("c0", 2)));
        assert!(history.running().is_none());
        assert_eq!(history.last_exit().unwrap().code, 1);
    }

    #[test]
    fn start_keeps_one_terminated_instance_and_returns_the_one_before() {
        let mut history = ContainerHistory {
            waiting: Some(StatusReason::new("CrashLoopBackOff", "back-off")),
            ..ContainerHistory::default()
        };
        assert_eq!(history.next_attempt(), 0);
        assert_eq!(history.record_start(instance(0)), None);
        assert_eq!((history.waiting.clone(), history.last_exit()), (None, None));
        history.record_exit(&exit("c0", 7));
        assert_eq!(history.next_attempt(), 1);
        assert_eq!(history.record_start(instance(1)), None);
        assert_eq!(history.last_exit().unwrap().code, 7);
        history.record_exit(&exit("c1", 8));
        assert_eq!(history.last_exit().unwrap().code, 8);
        assert_eq!(
            history.record_start(instance(2)).unwrap().id,
            ContainerId("c0".into())
        );
    }
}
