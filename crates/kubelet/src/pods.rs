//! The node's pods: one worker and one status manager each, which receive the changes of their pod (upstream's `pod_workers.go`).

use std::collections::HashMap;
use std::sync::Arc;

use component_helpers::events::EventType;
use component_helpers::supervisor::Component;
use futures::{FutureExt as _, StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_kind};
use kube::{Api, ResourceExt as _};
use probe::{ProbeKind, ProbeResult, Update};
use tokio::sync::{Notify, mpsc, watch};

use super::Context;
use super::instance::StatusReason;
use super::probe_events::container_ref;
use super::status_manager::StatusManager;
use super::worker::Worker;

/// Channels to a pod's worker and status manager.
struct PodWorkerHandle {
    pod: watch::Sender<PodUpdate>,
    sync: Arc<Notify>,
    publish: Arc<Notify>,
    /// `true` if the pod was not admitted. The pod does not count towards the maximum.
    is_rejected: bool,
}

/// Newest version of a pod in the API.
#[derive(Clone)]
pub(super) struct PodUpdate {
    pub(super) pod: Arc<Pod>,
    /// `true` if the pod no longer exists in the API; its containers may still run.
    pub(super) removed: bool,
}

impl PodUpdate {
    /// Returns `true` if the pod's specification, labels, annotations or deletion differ from `before`. The status, which most
    /// writes change, is not compared.
    pub(super) fn spec_changed_from(&self, before: &Pod) -> bool {
        let compared_fields = |pod: &Pod| {
            let meta = &pod.metadata;
            (
                meta.deletion_timestamp.clone(),
                meta.deletion_grace_period_seconds,
                meta.labels.clone(),
                meta.annotations.clone(),
            )
        };
        self.removed
            || self.pod.spec != before.spec
            || compared_fields(&self.pod) != compared_fields(before)
    }
}

/// The workers of the node's pods. The value is kept when the kubelet's main loop restarts, and the workers continue to run.
pub(super) struct PodWorkers {
    context: Arc<Context>,
    component: Component,
    probe_updates: mpsc::UnboundedReceiver<Update>,
    workers: HashMap<String, PodWorkerHandle>,
    /// UIDs of the pods in the list that is being received.
    listed: Vec<String>,
    finished_sender: mpsc::UnboundedSender<String>,
    finished: mpsc::UnboundedReceiver<String>,
}

impl PodWorkers {
    pub(super) fn new(
        context: Arc<Context>,
        probe_updates: mpsc::UnboundedReceiver<Update>,
        component: Component,
    ) -> Self {
        let (finished_sender, finished) = mpsc::unbounded_channel();
        Self {
            context,
            component,
            probe_updates,
            workers: HashMap::new(),
            listed: Vec::new(),
            finished_sender,
            finished,
        }
    }

    /// Lists and watches the node's pods.
    pub(super) async fn run(&mut self) {
        let on_this_node = format!("spec.nodeName={}", self.context.config.node_name);
        let api: Api<Pod> = Api::all(self.context.client.clone());
        let config = watcher::Config::default().fields(&on_this_node);
        let pods = watch_kind(api, config).default_backoff();
        pin_mut!(pods);
        loop {
            tokio::select! {
                Some(event) = pods.next() => match event {
                    Ok(event) => {
                        self.component.failpoint();
                        self.handle(event);
                    }
                    Err(error) => tracing::debug!(%error, "pod watch failed; listing again"),
                },
                Some(update) = self.probe_updates.recv() => wake(&self.workers, &update),
                Some(uid) = self.finished.recv() => drop(self.workers.remove(&uid)),
                else => return,
            }
        }
    }

    fn handle(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.push(uid(&pod));
                self.apply(pod);
            }
            Event::InitDone => {
                let listed = &self.listed;
                for (_, worker) in self.workers.iter().filter(|(uid, _)| !listed.contains(uid)) {
                    worker.pod.send_modify(|update| update.removed = true);
                }
            }
            Event::Apply(pod) => self.apply(pod),
            Event::Delete(pod) => {
                if let Some(worker) = self.workers.get(&uid(&pod)) {
                    worker.pod.send_replace(PodUpdate {
                        pod: Arc::new(pod),
                        removed: true,
                    });
                }
            }
        }
    }

    fn apply(&mut self, pod: Pod) {
        let uid = uid(&pod);
        let update = PodUpdate {
            pod: Arc::new(pod),
            removed: false,
        };
        if let Some(worker) = self.workers.get(&uid) {
            worker.pod.send_replace(update);
            return;
        }
        let rejection = self.rejection(&update.pod);
        if let Some(rejection) = &rejection {
            let message = rejection.message.as_deref().unwrap_or_default();
            let message = message.strip_prefix(REJECTED_PREFIX).unwrap_or(message);
            let pod = container_ref(&update.pod, None);
            let events = &self.context.events;
            events.event(&pod, EventType::Warning, &rejection.reason, message);
        }
        let worker = self.start_worker(uid.clone(), update, rejection);
        self.workers.insert(uid, worker);
    }

    /// Returns the reason why the node does not admit a new pod, or `None` if it does (upstream's `canAdmitPod`).
    fn rejection(&self, pod: &Pod) -> Option<StatusReason> {
        let is_active = |pod: &Pod| {
            let status = pod.status.as_ref();
            let phase = status.and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Succeeded" | "Failed"))
        };
        if !is_active(pod) {
            return None;
        }
        let admitted = self.workers.values().filter(|worker| !worker.is_rejected);
        let used = admitted
            .filter(|worker| is_active(&worker.pod.borrow().pod))
            .count();
        let capacity = self.context.config.max_pods;
        (used >= capacity).then(|| {
            let message = format!(
                "{REJECTED_PREFIX}Node didn't have enough resource: pods, requested: 1, used: {used}, capacity: {capacity}"
            );
            StatusReason::new("OutOfpods", message)
        })
    }

    fn start_worker(
        &self,
        uid: String,
        update: PodUpdate,
        rejection: Option<StatusReason>,
    ) -> PodWorkerHandle {
        let is_rejected = rejection.is_some();
        let context = self.context.clone();
        let key = namespaced_name(&update.pod);
        let (sender, pod) = watch::channel(update);
        let (sync, publish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (observed_sender, observed) = watch::channel(super::status::Observed::default());
        let status_manager =
            StatusManager::new(context.clone(), pod.clone(), observed, publish.clone());
        let worker = Worker::new(
            context.clone(),
            pod,
            observed_sender,
            sync.clone(),
            rejection,
        );
        let finished = self.finished_sender.clone();
        tokio::spawn(async move {
            let components = &context.components;
            let worker = components
                .pod_worker
                .run(&key, worker, |worker| worker.run().boxed());
            // The status manager finishes when the worker, which has the sender of the observed state, is dropped.
            let status_manager = components
                .status_manager
                .run(&key, status_manager, |manager| manager.run().boxed());
            tokio::join!(worker, status_manager);
            // The receiver is dropped when the kubelet stops.
            let _ = finished.send(uid);
        });
        PodWorkerHandle {
            pod: sender,
            sync,
            publish,
            is_rejected,
        }
    }
}

/// Prefix of the message in the status of a pod that was not admitted.
const REJECTED_PREFIX: &str = "Pod was rejected: ";

/// Returns `namespace/name`, which identifies a pod in logs and metrics.
fn namespaced_name(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

/// Notifies the pod's tasks of a probe result. A liveness success does not cause a sync, as upstream; readiness and startup
/// results are part of the status.
fn wake(workers: &HashMap<String, PodWorkerHandle>, update: &Update) {
    let Some(worker) = workers.get(&update.pod_uid) else {
        return;
    };
    if update.kind != ProbeKind::Liveness || update.result != ProbeResult::Success {
        worker.sync.notify_one();
    }
    if update.kind != ProbeKind::Liveness {
        worker.publish.notify_one();
    }
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}
