//! What the kubelet knows of a container: its newest instance, the one before it, and why the next one waits.

use container_runtime::{ContainerId, Exit, Image};
use jiff::Timestamp;

/// One run of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The runtime's name for it.
    pub id: ContainerId,
    /// 0 for the first; the pod's restart count for this container.
    pub attempt: u32,
    /// What it was made from.
    pub image: Image,
    /// When it started, on the node's clock.
    pub started_at: Timestamp,
    /// How it ended; none while it runs.
    pub exit: Option<Exited>,
    /// What it said of its end.
    pub message: Option<String>,
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited {
    /// Its exit code; 128 + the signal where a signal ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// When, on the node's clock.
    pub at: Timestamp,
}

/// Why no instance runs: `state.waiting` as the API shows it; or why a pod has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// In one word, for machines.
    pub reason: String,
    /// In a sentence.
    pub message: Option<String>,
}

impl Waiting {
    /// A reason and its sentence.
    #[must_use]
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: Some(message.into()),
        }
    }
}

/// A container of a pod. The default is one that has never run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The newest instance, running or ended.
    pub current: Option<Instance>,
    /// The instance before `current`; it ended.
    pub previous: Option<Instance>,
    /// Why the next instance has not started, where something holds it back.
    pub waiting: Option<Waiting>,
}

impl Record {
    /// What there is to know of a container that has never run.
    pub const NEVER_RAN: Self = Self {
        current: None,
        previous: None,
        waiting: None,
    };

    /// The newest instance, while it runs.
    #[must_use]
    pub fn running(&self) -> Option<&Instance> {
        self.current
            .as_ref()
            .filter(|instance| instance.exit.is_none())
    }

    /// How the newest instance that ended did so.
    #[must_use]
    pub fn newest_exit(&self) -> Option<Exited> {
        let exit =
            |instance: &Option<Instance>| instance.as_ref().and_then(|instance| instance.exit);
        exit(&self.current).or_else(|| exit(&self.previous))
    }

    /// Takes note of an exit; says whether it was the newest instance's.
    pub fn observe(&mut self, exit: &Exit) -> bool {
        match &mut self.current {
            Some(instance) if instance.id == exit.container && instance.exit.is_none() => {
                instance.exit = Some(Exited {
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

    /// The number of the next instance.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        self.current
            .as_ref()
            .map_or(0, |instance| instance.attempt + 1)
    }

    /// A new instance runs. Returns the one that nobody asks about any more.
    pub fn started(&mut self, instance: Instance) -> Option<Instance> {
        self.waiting = None;
        let forgotten = self.previous.take();
        self.previous = self.current.replace(instance);
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(attempt: u32) -> Instance {
        let image = Image {
            reference: "i".into(),
            id: "i".into(),
            entrypoint: vec![],
            cmd: vec![],
            env: vec![],
            stop_signal: None,
        };
        let id = ContainerId(format!("c{attempt}"));
        Instance {
            id,
            attempt,
            image,
            started_at: Timestamp::UNIX_EPOCH,
            exit: None,
            message: None,
        }
    }

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
    fn only_the_first_exit_of_the_newest_instance_counts() {
        let mut record = Record::default();
        assert!(!record.observe(&exit("c0", 1)));
        record.started(instance(0));
        assert!(!record.observe(&exit("c9", 1)));
        assert!(record.running().is_some());
        assert!(record.observe(&exit("c0", 1)));
        assert!(!record.observe(&exit("c0", 2)));
        assert!(record.running().is_none());
        assert_eq!(record.newest_exit().unwrap().code, 1);
    }

    #[test]
    fn a_start_keeps_one_dead_instance_and_gives_up_the_one_before() {
        let mut record = Record {
            waiting: Some(Waiting::new("CrashLoopBackOff", "back-off")),
            ..Record::default()
        };
        assert_eq!(record.next_attempt(), 0);
        assert_eq!(record.started(instance(0)), None);
        assert_eq!((record.waiting.clone(), record.newest_exit()), (None, None));
        record.observe(&exit("c0", 7));
        assert_eq!(record.next_attempt(), 1);
        assert_eq!(record.started(instance(1)), None);
        assert_eq!(record.newest_exit().unwrap().code, 7);
        record.observe(&exit("c1", 8));
        assert_eq!(record.newest_exit().unwrap().code, 8);
        assert_eq!(
            record.started(instance(2)).unwrap().id,
            ContainerId("c0".into())
        );
    }
}
