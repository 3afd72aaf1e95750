//! Pod worker: starts and stops the containers of one pod until they match its specification and probe results.
//!
//! The worker is serial like upstream's: while it waits for a container to terminate, it restarts no other container of
//! the pod.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use component_helpers::events::EventType;
use container_runtime::{ContainerId, Exit, Sandbox, Volume};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use probe::backoff::BackoffEntry;
use probe::{ProbeKind, ProbeResult};
use tokio::sync::{Notify, watch};

use super::Context;
use super::actions::{PodActions, PodState, compute_actions};
use super::container_handle::ContainerHandle;
use super::instance::{ContainerHistory, StatusReason};
use super::pods::PodUpdate;
use super::probe_events::container_ref;
use super::status::{Observed, phase};

mod apply;
mod image;
mod sandbox;
mod start;
mod stop;
mod termination;

/// Interval after which a failed step is retried.
const ERROR_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// Maximum interval between two syncs of a pod that waits for something.
const MAX_RESYNC_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Worker {
    context: Arc<Context>,
    updates: watch::Receiver<PodUpdate>,
    wake: Arc<Notify>,
    exits: BoxStream<'static, Exit>,
    observed: watch::Sender<Observed>,
    /// State that is sent to `observed` by [`Worker::publish`].
    state: Observed,
    sandbox: Option<Sandbox>,
    /// Volumes with the content that the runtime has.
    volumes: Vec<Volume>,
    restart_back_offs: BTreeMap<String, BackoffEntry>,
    pull_back_offs: BTreeMap<String, image::PullBackOff>,
    /// Time of the next sync if no event occurs before.
    next_sync: Option<Timestamp>,
}

/// Result of one pass over the containers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SyncOutcome {
    /// A container has started or terminated, so that other actions may be due.
    Changed,
    Unchanged,
}

impl Worker {
    pub(super) fn new(
        context: Arc<Context>,
        updates: watch::Receiver<PodUpdate>,
        observed: watch::Sender<Observed>,
        wake: Arc<Notify>,
        rejection: Option<StatusReason>,
    ) -> Self {
        Self {
            // Subscribed before the first container starts, so that no exit is missed.
            exits: context.runtime.exits(),
            state: Observed {
                start_time: Some(context.clock.now()),
                failed: rejection,
                ..Observed::default()
            },
            context,
            updates,
            wake,
            observed,
            sandbox: None,
            volumes: Vec::new(),
            restart_back_offs: BTreeMap::new(),
            pull_back_offs: BTreeMap::new(),
            next_sync: None,
        }
    }

    /// Runs the pod until it is deleted. After a panic it continues with the observed state, as a restarted kubelet
    /// continues with the state that the container runtime reports: running containers are not restarted.
    pub(super) async fn run(&mut self) {
        loop {
            self.context.components.pod_worker.failpoint();
            let PodUpdate { pod, removed } = self.updates.borrow_and_update().clone();
            if removed || pod.metadata.deletion_timestamp.is_some() {
                return self.terminate_pod(&pod, removed).await;
            }
            self.next_sync = None;
            self.sync(&pod).await;
            self.publish();
            self.wait_for_event(&pod).await;
        }
    }

    async fn wait_for_event(&mut self, pod: &Pod) {
        let next_sync = self.next_sync.unwrap_or(Timestamp::MAX);
        let clock = self.context.clock.clone();
        tokio::select! {
            Some(exit) = self.exits.next() => self.record_exit(&exit),
            () = self.wake.notified() => {}
            () = wait_for_spec_change(&mut self.updates, pod) => {}
            () = clock.sleep_until(next_sync), if self.next_sync.is_some() => {}
        }
    }

    /// Schedules a sync after `delay`, unless an earlier one is scheduled.
    fn requeue_after(&mut self, delay: Duration) {
        let jitter = if self.context.config.jitter {
            rand::random_range(0.0..0.5)
        } else {
            0.0
        };
        let now = self.context.clock.now();
        let time = now
            .saturating_add(delay.mul_f64(1.0 + jitter))
            .unwrap_or(Timestamp::MAX);
        self.requeue_at(time);
    }

    fn requeue_at(&mut self, time: Timestamp) {
        self.next_sync = Some(self.next_sync.map_or(time, |next| next.min(time)));
    }

    async fn sync(&mut self, pod: &Pod) {
        let Some(spec) = &pod.spec else {
            return;
        };
        if matches!(phase(pod, &self.state), "Succeeded" | "Failed")
            || self.enforce_active_deadline(pod).await.is_break()
        {
            return;
        }
        if let Err(error) = self.ensure_sandbox(pod).await {
            let message = error.to_string();
            self.event(pod, None, EventType::Warning, error.reason(), &message);
            self.requeue_after(ERROR_RETRY_INTERVAL);
        }
        // A sandbox whose volumes could not be updated is usable.
        if self.sandbox.is_none() {
            return;
        }
        self.context.probes.add_pod(pod);
        // The start or exit of one container can make an action on another due.
        while self.sync_containers(pod, spec).await == SyncOutcome::Changed {}
    }

    async fn sync_containers(&mut self, pod: &Pod, spec: &PodSpec) -> SyncOutcome {
        // Published first, because the actions can take long.
        self.publish();
        let before = self.instances();
        match self.compute_actions(spec) {
            PodActions::KillPod => {
                self.stop_all_containers(pod, termination::pod_grace_period(pod))
                    .await;
                return SyncOutcome::Unchanged;
            }
            PodActions::Containers(actions) => {
                for (container, action) in actions {
                    self.apply_action(pod, container, action).await;
                }
            }
        }
        if self.instances().iter().all(|now| before.contains(now)) {
            SyncOutcome::Unchanged
        } else {
            SyncOutcome::Changed
        }
    }

    fn compute_actions<'a>(&self, spec: &'a PodSpec) -> PodActions<'a> {
        let state = PodState {
            histories: &self.state.containers,
            probe_result: &|container, kind| self.probe_result(container, kind),
        };
        compute_actions(spec, &state)
    }

    fn probe_result(&self, container: &str, kind: ProbeKind) -> Option<ProbeResult> {
        let running = self.history(container).running()?;
        self.context.probes.result(kind, &running.id.0)
    }

    fn history(&self, container: &str) -> &ContainerHistory {
        static NEVER_RAN: ContainerHistory = ContainerHistory::NEVER_RAN;
        self.state.containers.get(container).unwrap_or(&NEVER_RAN)
    }

    /// Returns the current instance of every container that is not waiting, and `true` if it has terminated.
    fn instances(&self) -> Vec<(ContainerId, bool)> {
        let histories = self.state.containers.values();
        let current = histories
            .filter(|history| history.waiting.is_none())
            .filter_map(|history| history.current.as_ref());
        current
            .map(|instance| (instance.id.clone(), instance.exit.is_some()))
            .collect()
    }

    fn container_handle(
        &self,
        pod: &Pod,
        container: &Container,
        id: ContainerId,
    ) -> ContainerHandle {
        ContainerHandle {
            context: self.context.clone(),
            pod: Arc::new(pod.clone()),
            container: container.clone(),
            id,
            ip: self.state.ip,
        }
    }

    fn set_waiting(&mut self, container: &str, reason: StatusReason) {
        self.state
            .containers
            .entry(container.to_owned())
            .or_default()
            .waiting = Some(reason);
    }

    /// Records an exit in the history of its container. Exits of other pods' containers are ignored.
    fn record_exit(&mut self, exit: &Exit) {
        let mut histories = self.state.containers.values_mut();
        histories.any(|history| history.record_exit(exit));
    }

    fn publish(&self) {
        self.observed.send_if_modified(|observed| {
            let changed = *observed != self.state;
            observed.clone_from(&self.state);
            changed
        });
    }

    fn event(
        &self,
        pod: &Pod,
        container: Option<&str>,
        kind: EventType,
        reason: &str,
        message: &str,
    ) {
        let object = container_ref(pod, container);
        self.context.events.event(&object, kind, reason, message);
    }
}

async fn wait_for_spec_change(updates: &mut watch::Receiver<PodUpdate>, before: &Pod) {
    // The sender is dropped when the kubelet stops, which stops this task as well.
    drop(
        updates
            .wait_for(|update| update.spec_changed_from(before))
            .await,
    );
}
