//! One run of a scripted workload: what it counts, and what it answers.

use super::workload::{Answer, Reply, Workload};
use crate::{ContainerConfig, Mount, SandboxId};

pub(super) struct Instance {
    pub(super) sandbox: SandboxId,
    pub(super) workload: Workload,
    pub(super) mounts: Vec<Mount>,
    /// How many counted calls succeed; none is without limit.
    limit: Option<u32>,
    calls: u32,
    ended: bool,
}

impl Instance {
    pub(super) fn new(sandbox: SandboxId, workload: Workload, config: &ContainerConfig) -> Self {
        let value = |name: &String| {
            config
                .env
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
        };
        let limit = workload
            .limit_from
            .as_ref()
            .and_then(value)
            .and_then(|text| text.parse().ok())
            .filter(|n| *n > 0);
        Self {
            sandbox,
            workload,
            mounts: config.mounts.clone(),
            limit,
            calls: 0,
            ended: false,
        }
    }

    pub(super) fn runs(&self) -> bool {
        !self.ended
    }

    pub(super) fn listens(&self, port: u16) -> bool {
        self.runs() && self.workload.ports.contains(&port)
    }

    /// Marks it ended; says whether it ran until now.
    pub(super) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.ended, true)
    }

    pub(super) fn answer(&mut self, path: &str) -> (u16, String) {
        let path = path.split('?').next().unwrap_or(path);
        let spent = self.limit.is_some_and(|limit| self.calls >= limit);
        let Some(route) = self.workload.routes.iter().find(|route| route.path == path) else {
            return (404, String::new());
        };
        let Reply(status, body) = match &route.answer {
            Answer::Counted { broken, .. } | Answer::Health { broken, .. } if spent => broken,
            Answer::Counted { well, .. } => {
                self.calls = self.calls.saturating_add(1);
                well
            }
            Answer::Health { well, .. } => well,
            Answer::Reset(reply) => {
                self.calls = 0;
                reply
            }
        };
        (*status, body.clone())
    }
}
