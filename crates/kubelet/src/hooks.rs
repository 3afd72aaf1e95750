//! Lifecycle hooks `postStart` and `preStop`: a command, an HTTP request or a sleep (upstream's `lifecycle/handlers.go`).

use std::time::Duration;

use k8s_openapi::api::core::v1::{HTTPGetAction, LifecycleHandler, Probe};
use probe::{Reason, ResolvedHandler, Verdict};

use super::container_handle::ContainerHandle;

/// Timeout of a command or request. A hook has no timeout in the API; its caller limits it to the grace period.
const HOOK_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Header of hook requests, unless the manifest sets it.
const USER_AGENT: (&str, &str) = ("User-Agent", "kube-lifecycle/1.36");

impl ContainerHandle {
    /// Runs a hook until it finishes.
    ///
    /// # Errors
    /// If the command exits with a code other than 0, the request gets no response, or the handler has no action.
    pub(super) async fn run_hook(&self, hook: &LifecycleHandler) -> Result<(), String> {
        if let Some(exec) = &hook.exec {
            self.run_command(exec.command.as_deref().unwrap_or_default())
                .await
        } else if let Some(get) = &hook.http_get {
            self.send_request(get).await
        } else if let Some(sleep) = &hook.sleep {
            let seconds = u64::try_from(sleep.seconds).unwrap_or(0);
            self.context.clock.sleep(Duration::from_secs(seconds)).await;
            Ok(())
        } else {
            // The API accepts `tcpSocket` for compatibility; upstream has never implemented it.
            Err("invalid handler: it has neither exec nor httpGet nor sleep".to_owned())
        }
    }

    /// Runs a command in the container. Unlike in probes, variables in it are not expanded.
    async fn run_command(&self, command: &[String]) -> Result<(), String> {
        let exec = self.context.runtime.exec(&self.id, command, HOOK_TIMEOUT);
        let result = exec.await.map_err(|error| error.to_string())?;
        if result.code == 0 {
            return Ok(());
        }
        let output = [&result.stdout[..], &result.stderr[..]].concat();
        Err(format!(
            "command {:?} exited with {}: {}",
            command.join(" "),
            result.code,
            String::from_utf8_lossy(&output)
        ))
    }

    /// Sends an HTTP request. Any response is a success: the hook notifies the container, and its status is not used.
    async fn send_request(&self, get: &HTTPGetAction) -> Result<(), String> {
        let ip = self.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let as_probe = Probe {
            http_get: Some(get.clone()),
            ..Probe::default()
        };
        let resolved = probe::handler::resolve(&as_probe, &self.container, &ip);
        let mut action = resolved.map_err(|error| error.to_string())?;
        if let ResolvedHandler::Http(get) = &mut action
            && !get.headers.iter().any(|(name, _)| name == USER_AGENT.0)
        {
            let (name, value) = USER_AGENT;
            get.headers.push((name.to_owned(), value.to_owned()));
        }
        let prober = self.context.runtime.prober();
        let target = self.probe_target();
        let outcome = match prober.probe(&target, &action, HOOK_TIMEOUT).await {
            Ok(outcome) => outcome,
            // The response has started and is invalid.
            Err(error) if error.verdict == Verdict::Failure => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let has_status = matches!(outcome.reason, Some(Reason::Status(_)));
        if has_status || outcome.verdict != Verdict::Failure {
            Ok(())
        } else {
            Err(outcome.output)
        }
    }
}
