//! Executes the actions on single containers, with the restart back-off.

use std::time::Duration;

use component_helpers::events::EventType;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use probe::backoff::{self, StartDecision};

use super::{MAX_RESYNC_INTERVAL, Worker};
use crate::actions::{ContainerAction, ContainerType, FailedProbe, kill_message};
use crate::instance::{InstanceExit, StatusReason};

impl Worker {
    pub(super) async fn apply_action(
        &mut self,
        pod: &Pod,
        container: &Container,
        action: ContainerAction,
    ) {
        // Read before a kill: upstream computes the back-off from a pod status that is older than the kill.
        let last_exit = self.history(&container.name).last_exit();
        let restart = match action {
            ContainerAction::Start => true,
            ContainerAction::Kill {
                failed_probe,
                restart,
            } => {
                self.kill_for_probe(pod, container, failed_probe, restart)
                    .await;
                restart
            }
        };
        if restart {
            self.start_with_backoff(pod, container, last_exit).await;
        }
    }

    async fn kill_for_probe(
        &mut self,
        pod: &Pod,
        container: &Container,
        failed_probe: FailedProbe,
        restart: bool,
    ) {
        let message = kill_message(
            &container.name,
            container_type(pod, container),
            failed_probe,
            restart,
        );
        let probe = match failed_probe {
            FailedProbe::Liveness => container.liveness_probe.as_ref(),
            FailedProbe::Startup => container.startup_probe.as_ref(),
        };
        let grace_period = probe.and_then(|probe| probe.termination_grace_period_seconds);
        self.kill_container(pod, container, grace_period, &message)
            .await;
    }

    /// Starts a container unless its restart back-off has not expired.
    async fn start_with_backoff(
        &mut self,
        pod: &Pod,
        container: &Container,
        last_exit: Option<InstanceExit>,
    ) {
        let now = self.context.clock.now();
        let name = &container.name;
        let entry = self
            .restart_back_offs
            .get(name)
            .copied()
            .filter(|entry| !backoff::is_expired(*entry, now));
        let exited_at = last_exit.map(|exit| exit.at);
        match backoff::decide_start(self.context.config.back_off, entry, exited_at, now) {
            StartDecision::Wait { until, delay } => {
                self.enter_crash_loop_backoff(pod, container, until, delay);
            }
            StartDecision::Start(entry) => {
                if let Some(entry) = entry {
                    self.restart_back_offs.insert(name.clone(), entry);
                }
                self.start_container(pod, container).await;
            }
        }
    }

    fn enter_crash_loop_backoff(
        &mut self,
        pod: &Pod,
        container: &Container,
        until: Timestamp,
        delay: Duration,
    ) {
        let name = &container.name;
        let pod_name = full_name(pod);
        let delay = format_delay(delay);
        let message = format!("back-off {delay} restarting failed container={name} pod={pod_name}");
        self.set_waiting(name, StatusReason::new("CrashLoopBackOff", message));
        let message = format!("Back-off restarting failed container {name} in pod {pod_name}");
        self.event(pod, Some(name), EventType::Warning, "BackOff", &message);
        let remaining =
            Duration::try_from(until.duration_since(self.context.clock.now())).unwrap_or_default();
        self.requeue_after(remaining.min(MAX_RESYNC_INTERVAL));
    }
}

fn container_type(pod: &Pod, container: &Container) -> ContainerType {
    let spec = pod.spec.iter();
    let mut inits = spec.flat_map(|spec| spec.init_containers.iter().flatten());
    if inits.any(|init| init.name == container.name) {
        ContainerType::Init
    } else {
        ContainerType::Regular
    }
}

/// Formats a delay like Go's `time.Duration`, in whole seconds: `10s`, `2m40s`.
fn format_delay(delay: Duration) -> String {
    let seconds = delay.as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}

/// Returns the pod's name in messages: `name_namespace(uid)` (upstream's `format.Pod`).
fn full_name(pod: &Pod) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let meta = &pod.metadata;
    format!(
        "{}_{}({})",
        text(&meta.name),
        text(&meta.namespace),
        text(&meta.uid)
    )
}
