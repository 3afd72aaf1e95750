//! One instance of a scripted workload, with its call count.

use super::workload::{HttpReply, RouteBehavior, Workload};
use crate::{ContainerConfig, Mount, SandboxId};

pub(super) struct Instance {
    pub(super) sandbox: SandboxId,
    pub(super) workload: Workload,
    pub(super) mounts: Vec<Mount>,
    /// Number of counted calls that succeed; `None` is unlimited.
    limit: Option<u32>,
    calls: u32,
    has_exited: bool,
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
            .call_limit_variable
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
            has_exited: false,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        !self.has_exited
    }

    pub(super) fn is_listening(&self, port: u16) -> bool {
        self.is_running() && self.workload.ports.contains(&port)
    }

    /// Marks the instance as exited. Returns `true` if it was running.
    pub(super) fn exit(&mut self) -> bool {
        !std::mem::replace(&mut self.has_exited, true)
    }

    /// Returns status and body of a GET request, and counts the call.
    pub(super) fn respond(&mut self, path: &str) -> (u16, String) {
        let path = path.split('?').next().unwrap_or(path);
        let is_exhausted = self.limit.is_some_and(|limit| self.calls >= limit);
        let Some(route) = self.workload.routes.iter().find(|route| route.path == path) else {
            return (404, String::new());
        };
        let HttpReply(status, body) = match &route.behavior {
            RouteBehavior::Counted { unhealthy, .. } | RouteBehavior::Health { unhealthy, .. }
                if is_exhausted =>
            {
                unhealthy
            }
            RouteBehavior::Counted { healthy, .. } => {
                self.calls = self.calls.saturating_add(1);
                healthy
            }
            RouteBehavior::Health { healthy, .. } => healthy,
            RouteBehavior::Reset(reply) => {
                self.calls = 0;
                reply
            }
        };
        (*status, body.clone())
    }
}
