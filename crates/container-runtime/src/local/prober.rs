//! Probes of pods: network probes from the node's namespace of the pod network, exec probes in the container.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use probe::exec::timeout_message;
use probe::{
    LocalProber, MAX_OUTPUT, Outcome, ProbeError, ProbeTarget, Reason, ResolvedHandler, Verdict,
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{Shared, exec};
use crate::{ContainerId, ExecError, ExecResult};

pub(super) struct PodProber {
    shared: Arc<Shared>,
    network: LocalProber,
}

impl PodProber {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            network: LocalProber::default(),
        }
    }

    async fn probe_exec(
        &self,
        target: &ProbeTarget,
        argv: &[String],
        timeout: Duration,
    ) -> Result<Outcome, ProbeError> {
        let start = Instant::now();
        let unknown = |error: &dyn std::error::Error| ProbeError::unknown(error.to_string());
        let id = ContainerId(target.container_id.clone());
        let container = self
            .shared
            .container(&id)
            .map_err(|error| unknown(&error))?;
        let (verdict, reason, output) = match exec::run(&container, argv, timeout).await {
            Ok(result) if result.code == 0 => (Verdict::Success, None, combined_output(&result)),
            Ok(result) => {
                let reason = Reason::ExitCode(result.code);
                (Verdict::Failure, Some(reason), combined_output(&result))
            }
            Err(ExecError::Timeout { .. }) => {
                // The message has the timeout of the probe's spec, in the clock's time.
                let text = timeout_message(argv, self.shared.clock.from_real(timeout));
                (Verdict::Failure, Some(Reason::ExecTimeout), text)
            }
            Err(ExecError::Runtime(error)) => return Err(unknown(&error)),
        };
        Ok(Outcome {
            verdict,
            reason,
            output,
            took: start.elapsed(),
        })
    }
}

fn combined_output(result: &ExecResult) -> String {
    let mut bytes = result.stdout.to_vec();
    bytes.extend_from_slice(&result.stderr);
    bytes.truncate(MAX_OUTPUT);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[async_trait]
impl probe::Prober for PodProber {
    async fn probe(
        &self,
        target: &ProbeTarget,
        action: &ResolvedHandler,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError> {
        if let ResolvedHandler::Exec { command } = action {
            return self.probe_exec(target, command, timeout).await;
        }
        let (network, target, action) = (self.network.clone(), target.clone(), action.clone());
        let attempt = async move { network.probe(&target, &action, timeout).await };
        // A socket belongs to the network namespace of the thread that opens it.
        let attempt = AbortOnDropHandle::new(self.shared.network.handle().spawn(attempt));
        attempt
            .await
            .unwrap_or_else(|error| Err(ProbeError::unknown(error.to_string())))
    }
}
