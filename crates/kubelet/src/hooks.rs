//! Lifecycle hooks: one command, request or wait right after a container's start or before its end.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use component_helpers::events::EventType;
use container_runtime::ContainerId;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, LifecycleHandler, Pod, Probe};
use probe::{ProbeTarget, Reason, ResolvedHandler, Verdict};

use super::Context;
use super::sink::about;

/// A hook has no deadline of its own; whoever waits for it has.
const NO_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// Who asks, where the manifest does not say it.
const USER_AGENT: (&str, &str) = ("User-Agent", "kube-lifecycle/1.36");

/// A container that runs, for its hooks.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) context: Arc<Context>,
    pub(super) pod: Arc<Pod>,
    pub(super) container: Container,
    pub(super) id: ContainerId,
    pub(super) ip: Option<Ipv4Addr>,
}

impl Subject {
    /// Runs a hook to its end; the error says why it did not do what it should.
    pub(super) async fn run(&self, hook: &LifecycleHandler) -> Result<(), String> {
        if let Some(exec) = &hook.exec {
            self.command(exec.command.as_deref().unwrap_or_default())
                .await
        } else if let Some(get) = &hook.http_get {
            self.request(get).await
        } else if let Some(sleep) = &hook.sleep {
            let seconds = u64::try_from(sleep.seconds).unwrap_or(0);
            self.context.clock.sleep(Duration::from_secs(seconds)).await;
            Ok(())
        } else {
            // `tcpSocket` is taken by the API for its past, and has never done anything.
            Err("invalid handler: it has neither exec nor httpGet nor sleep".to_owned())
        }
    }

    /// Nothing is expanded in it, unlike in a probe's.
    async fn command(&self, command: &[String]) -> Result<(), String> {
        let ran = self.context.runtime.exec(&self.id, command, NO_DEADLINE);
        let result = ran.await.map_err(|error| error.to_string())?;
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

    /// Any answer will do: a hook tells, it does not ask.
    async fn request(&self, get: &HTTPGetAction) -> Result<(), String> {
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
        let outcome = prober.probe(&self.target(), &action, NO_DEADLINE).await;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // It had begun to answer.
            Err(error) if error.verdict == Verdict::Failure => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let answered = matches!(outcome.reason, Some(Reason::Status(_)));
        if answered || outcome.verdict != Verdict::Failure {
            Ok(())
        } else {
            Err(outcome.output)
        }
    }

    pub(super) fn event(&self, kind: EventType, reason: &str, message: &str) {
        let about = about(&self.pod, Some(&self.container.name));
        self.context.events.event(&about, kind, reason, message);
    }

    fn target(&self) -> ProbeTarget {
        let meta = &self.pod.metadata;
        ProbeTarget {
            pod_uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            pod: meta.name.clone().unwrap_or_default(),
            container: self.container.name.clone(),
            container_id: self.id.0.clone(),
            ip: self.ip.map(Into::into),
        }
    }
}
