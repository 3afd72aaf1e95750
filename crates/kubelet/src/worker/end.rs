//! Ending containers: one that failed a probe or its first hook, the sidecars of a pod that is done, or all of a pod that
//! is deleted.

use std::time::Duration;

use component_helpers::events::EventType::{Normal, Warning};
use container_runtime::ContainerId;
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use tokio_util::sync::CancellationToken;

use super::{LEAST_GRACE, Worker};
use crate::hooks::Subject;
use crate::instance::Waiting;

/// Why a pod that is past its deadline has failed.
const PAST_DEADLINE: (&str, &str) = (
    "DeadlineExceeded",
    "Pod was active on the node longer than the specified deadline",
);

impl Worker {
    /// Ends a pod that has been here for longer than it may.
    pub(super) async fn is_past_its_deadline(&mut self, pod: &Pod) -> bool {
        let spec = pod.spec.as_ref();
        let seconds = spec.and_then(|spec| spec.active_deadline_seconds);
        let began = self.state.start_time;
        let Some(deadline) = began.zip(seconds).map(|(began, seconds)| {
            let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            began.saturating_add(seconds).unwrap_or(Timestamp::MAX)
        }) else {
            return false;
        };
        let now = self.context.clock.now();
        if now < deadline {
            self.next = Some(self.next.map_or(deadline, |next| next.min(deadline)));
            return false;
        }
        let (reason, message) = PAST_DEADLINE;
        self.event(pod, None, Normal, reason, message);
        self.state.failed = Some(Waiting::new(reason, message));
        self.stop_all(pod, of_pod(pod)).await;
        true
    }

    /// Ends a container and says why; returns once it is known to have ended. `own` are the seconds that the reason allows.
    pub(super) async fn kill(
        &mut self,
        pod: &Pod,
        container: &Container,
        own: Option<i64>,
        message: &str,
    ) {
        let record = self.state.containers.get(&container.name);
        let Some(id) = record
            .and_then(|record| record.running())
            .map(|instance| instance.id.clone())
        else {
            return;
        };
        self.event(pod, Some(&container.name), Normal, "Killing", message);
        let grace = seconds(own.or_else(|| of_pod(pod)));
        let subject = self.subject(pod, container, id);
        self.stop(vec![subject], grace).await;
        self.publish();
    }

    /// Ends whatever still runs in a pod that stays.
    pub(super) async fn stop_all(&mut self, pod: &Pod, asked: Option<i64>) {
        let running = self.running(pod);
        for subject in &running {
            let name = &subject.container.name;
            let message = format!("Stopping container {name}");
            self.event(pod, Some(name), Normal, "Killing", &message);
        }
        self.publish();
        self.stop(running, seconds(asked)).await;
        self.publish();
    }

    /// Ends the pod, and takes it out of the API unless it has gone from there already.
    pub(super) async fn end(&mut self, pod: &Pod, gone: bool) {
        self.context.probes.stop_liveness_and_startup(pod);
        let asked = if gone {
            Some(0)
        } else {
            pod.metadata
                .deletion_grace_period_seconds
                .or_else(|| of_pod(pod))
        };
        self.stop_all(pod, asked).await;
        self.context
            .probes
            .remove_pod(pod.metadata.uid.as_deref().unwrap_or_default());
        if let Some(sandbox) = &self.sandbox
            && let Err(error) = self.context.runtime.remove_sandbox(&sandbox.id).await
        {
            tracing::warn!(%error, "a sandbox was not removed");
        }
        if !gone {
            self.delete(pod).await;
        }
    }

    /// The containers that run, in the order of their start.
    fn running(&self, pod: &Pod) -> Vec<Subject> {
        let spec = pod.spec.iter();
        let all = spec.flat_map(|spec| {
            let inits = spec.init_containers.iter().flatten();
            inits.chain(&spec.containers)
        });
        all.filter_map(|container| {
            let record = self.state.containers.get(&container.name)?;
            let id = record.running()?.id.clone();
            Some(self.subject(pod, container, id))
        })
        .collect()
    }

    /// Stops containers of the pod, and waits for word of their ends.
    async fn stop(&mut self, subjects: Vec<Subject>, grace: Duration) {
        let gone: Vec<CancellationToken> =
            subjects.iter().map(|_| CancellationToken::new()).collect();
        let endings = subjects
            .iter()
            .zip(&gone)
            .enumerate()
            .map(|(at, (subject, own))| {
                let before: Vec<_> = waits_for(&subjects, at)
                    .map(|other| gone[other].clone())
                    .collect();
                async move {
                    let stopped = subject.end(grace, &before).await;
                    own.cancel();
                    stopped.then(|| subject.id.clone())
                }
            });
        let endings: Vec<_> = endings.collect();
        let mut left: Vec<ContainerId> = join_all(endings).await.into_iter().flatten().collect();
        let runs = |worker: &Self, id: &ContainerId| {
            let mut running = worker.state.containers.values().filter_map(|r| r.running());
            running.any(|instance| instance.id == *id)
        };
        loop {
            left.retain(|id| runs(self, id));
            if left.is_empty() {
                return;
            }
            let Some(exit) = futures::StreamExt::next(&mut self.exits).await else {
                return;
            };
            self.observe(&exit);
        }
    }

    async fn delete(&mut self, pod: &Pod) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), namespace);
        let preconditions = Preconditions {
            uid: pod.metadata.uid.clone(),
            ..Preconditions::default()
        };
        let parameters = DeleteParams::default()
            .grace_period(0)
            .preconditions(preconditions);
        if let Err(error) = api
            .delete(
                pod.metadata.name.as_deref().unwrap_or_default(),
                &parameters,
            )
            .await
        {
            tracing::debug!(%error, "a pod was not deleted");
        }
    }
}

/// Which of these have to be gone before one is asked to end: a sidecar outlives the pod's own containers and the
/// sidecars that started after it.
fn waits_for(subjects: &[Subject], at: usize) -> impl Iterator<Item = usize> {
    let is_sidecar = subjects[at].is_sidecar();
    (0..subjects.len()).filter(move |other| {
        is_sidecar && *other != at && (!subjects[*other].is_sidecar() || *other > at)
    })
}

impl Subject {
    fn is_sidecar(&self) -> bool {
        let spec = self.pod.spec.iter();
        let mut inits = spec.flat_map(|spec| spec.init_containers.iter().flatten());
        self.container.restart_policy.as_deref() == Some("Always")
            && inits.any(|init| init.name == self.container.name)
    }

    /// Runs the hook, waits for the container's turn, asks it to end, and kills it: all that within `grace`, but that it
    /// has a moment to end in any case. Says whether it has been stopped.
    async fn end(&self, grace: Duration, before: &[CancellationToken]) -> bool {
        let clock = &self.context.clock;
        let began = clock.elapsed();
        let left = || {
            // Whole seconds, as the kubelet counts.
            let used = clock.elapsed().saturating_sub(began).as_secs();
            grace.saturating_sub(Duration::from_secs(used))
        };
        if !grace.is_zero() {
            tokio::select! {
                () = self.before_its_end() => {}
                () = clock.sleep(grace) => {}
            }
        }
        let turn = join_all(before.iter().map(CancellationToken::cancelled));
        tokio::select! {
            _ = turn => {}
            () = clock.sleep(left()) => {}
        }
        let stopped = self
            .context
            .runtime
            .stop_container(&self.id, left().max(LEAST_GRACE));
        if let Err(error) = stopped.await {
            tracing::debug!(%error, "a container was not stopped");
            return false;
        }
        true
    }

    async fn before_its_end(&self) {
        let lifecycle = self.container.lifecycle.as_ref();
        let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.pre_stop.clone()) else {
            return;
        };
        let subject = self.clone();
        // A task of its own: nobody waits for a hook that takes too long, and nobody ends it.
        let ran = tokio::spawn(async move { subject.run(&hook).await }).await;
        match ran {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::debug!(%error, "a preStop hook failed"),
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    self.context.components.pod_worker.count_panic(&*panic);
                }
            }
        }
        self.event(Warning, "FailedPreStopHook", "PreStopHook failed");
    }
}

pub(super) fn of_pod(pod: &Pod) -> Option<i64> {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.termination_grace_period_seconds)
}

fn seconds(given: Option<i64>) -> Duration {
    Duration::from_secs(u64::try_from(given.unwrap_or(30)).unwrap_or(0))
}
