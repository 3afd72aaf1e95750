//! Container histories for the tests of the rules.

use std::collections::BTreeMap;

use container_runtime::{ContainerId, Image};
use jiff::Timestamp;
use probe::{ProbeKind, ProbeResult};

use super::actions::PodState;
use super::instance::{ContainerHistory, Instance, InstanceExit};

/// State of a container in a test.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    NeverRan,
    Running,
    /// Running, with a failed probe.
    Failing(ProbeKind),
    /// Running, and the startup probe has succeeded.
    Started,
    /// Running, the startup probe has succeeded, and the liveness probe has failed.
    StartedAndFailing,
    Exited(i32),
    /// Exited, with a probe failure that is left over from the run.
    ExitedAndFailing(i32),
}

impl State {
    pub(crate) fn history(self) -> ContainerHistory {
        let exit = match self {
            Self::NeverRan => return ContainerHistory::default(),
            Self::Exited(code) | Self::ExitedAndFailing(code) => Some(InstanceExit {
                code,
                signal: None,
                at: Timestamp::UNIX_EPOCH,
            }),
            _ => None,
        };
        ContainerHistory {
            current: Some(Instance {
                exit,
                ..instance(0)
            }),
            ..ContainerHistory::default()
        }
    }

    fn probe_result(self, kind: ProbeKind) -> Option<ProbeResult> {
        match (self, kind) {
            (Self::Started | Self::StartedAndFailing, ProbeKind::Startup) => {
                Some(ProbeResult::Success)
            }
            (Self::StartedAndFailing | Self::ExitedAndFailing(_), ProbeKind::Liveness) => {
                Some(ProbeResult::Failure)
            }
            (Self::Failing(failing), kind) if failing == kind => Some(ProbeResult::Failure),
            _ => None,
        }
    }
}

/// Calls `compute` with the state of a pod with these containers.
pub(crate) fn with_state<T>(
    containers: &[(&str, State)],
    compute: impl FnOnce(&PodState<'_>) -> T,
) -> T {
    let histories: BTreeMap<String, ContainerHistory> = containers
        .iter()
        .map(|(name, state)| ((*name).to_owned(), state.history()))
        .collect();
    compute(&PodState {
        histories: &histories,
        probe_result: &|container, kind| {
            let (_, state) = containers.iter().find(|(name, _)| *name == container)?;
            state.probe_result(kind)
        },
    })
}

/// Returns a running instance.
pub(crate) fn instance(attempt: u32) -> Instance {
    Instance {
        id: ContainerId(format!("c{attempt}")),
        attempt,
        image: Image {
            reference: "i".into(),
            id: "sha".into(),
            entrypoint: vec![],
            cmd: vec![],
            env: vec![],
            stop_signal: None,
        },
        started_at: Timestamp::UNIX_EPOCH,
        exit: None,
        message: None,
    }
}
