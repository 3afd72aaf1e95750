//! Probes from the node's side of the pod network, and commands in the containers themselves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use probe::exec::timeout_message;
use probe::{
    LocalProber, MAX_OUTPUT, Outcome, ProbeError, ProbeTarget, Reason, ResolvedHandler, Verdict,
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{Shared, command};
use crate::{ContainerId, ExecError, ExecResult};

pub(super) struct Prober {
    shared: Arc<Shared>,
    network: LocalProber,
}

impl Prober {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            network: LocalProber::default(),
        }
    }

    async fn exec(
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
        let (verdict, reason, output) = match command::run(&container, argv, timeout).await {
            Ok(result) if result.code == 0 => (Verdict::Success, None, output(&result)),
            Ok(result) => {
                let reason = Reason::ExitCode(result.code);
                (Verdict::Failure, Some(reason), output(&result))
            }
            Err(ExecError::Timeout { .. }) => {
                // The deadline as the probe's spec has it, however hurried the clock is.
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

fn output(result: &ExecResult) -> String {
    let mut bytes = result.stdout.to_vec();
    bytes.extend_from_slice(&result.stderr);
    bytes.truncate(MAX_OUTPUT);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[async_trait]
impl probe::Prober for Prober {
    async fn probe(
        &self,
        target: &ProbeTarget,
        action: &ResolvedHandler,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError> {
        if let ResolvedHandler::Exec { command } = action {
            return self.exec(target, command, timeout).await;
        }
        let (network, target, action) = (self.network.clone(), target.clone(), action.clone());
        let attempt = async move { network.probe(&target, &action, timeout).await };
        // A socket is of the network in which it is made: that runtime's threads are in it.
        let attempt = AbortOnDropHandle::new(self.shared.network.handle().spawn(attempt));
        attempt
            .await
            .unwrap_or_else(|error| Err(ProbeError::unknown(error.to_string())))
    }
}
