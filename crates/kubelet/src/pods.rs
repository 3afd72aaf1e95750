//! Which pods are this node's: one worker and one publisher each, fed with what changes.

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
use super::instance::Waiting;
use super::publisher::Publisher;
use super::sink::about;
use super::worker::Worker;

/// How a pod's tasks are reached.
struct Tasks {
    pod: watch::Sender<Desired>,
    act: Arc<Notify>,
    publish: Arc<Notify>,
    /// The pod was not admitted and does not count.
    is_rejected: bool,
}

/// A pod as the API has it.
#[derive(Clone)]
pub(super) struct Desired {
    pub(super) pod: Arc<Pod>,
    /// The API has it no more, whatever may still run.
    pub(super) gone: bool,
}

impl Desired {
    /// Whether this asks for anything that `before` did not. A status, which is most of what is written to a pod, does not.
    pub(super) fn asks_for_more_than(&self, before: &Pod) -> bool {
        let asked = |pod: &Pod| {
            let meta = &pod.metadata;
            (
                meta.deletion_timestamp.clone(),
                meta.deletion_grace_period_seconds,
                meta.labels.clone(),
                meta.annotations.clone(),
            )
        };
        self.gone || self.pod.spec != before.spec || asked(&self.pod) != asked(before)
    }
}

/// The node's pods and their tasks. It outlives a restart of the kubelet's main loop, and the pods' tasks go on meanwhile.
pub(super) struct Pods {
    context: Arc<Context>,
    component: Component,
    updates: mpsc::UnboundedReceiver<Update>,
    tasks: HashMap<String, Tasks>,
    /// UIDs of the pods in the list that is being read.
    listed: Vec<String>,
    finished_sender: mpsc::UnboundedSender<String>,
    finished: mpsc::UnboundedReceiver<String>,
}

impl Pods {
    pub(super) fn new(
        context: Arc<Context>,
        updates: mpsc::UnboundedReceiver<Update>,
        component: Component,
    ) -> Self {
        let (finished_sender, finished) = mpsc::unbounded_channel();
        Self {
            context,
            component,
            updates,
            tasks: HashMap::new(),
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
                    Err(error) => tracing::debug!(%error, "watching pods failed; listing again"),
                },
                Some(update) = self.updates.recv() => wake(&self.tasks, &update),
                Some(uid) = self.finished.recv() => drop(self.tasks.remove(&uid)),
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
                for (_, task) in self.tasks.iter().filter(|(uid, _)| !listed.contains(uid)) {
                    task.pod.send_modify(|desired| desired.gone = true);
                }
            }
            Event::Apply(pod) => self.apply(pod),
            Event::Delete(pod) => {
                if let Some(task) = self.tasks.get(&uid(&pod)) {
                    task.pod.send_replace(Desired {
                        pod: Arc::new(pod),
                        gone: true,
                    });
                }
            }
        }
    }

    fn apply(&mut self, pod: Pod) {
        let uid = uid(&pod);
        let desired = Desired {
            pod: Arc::new(pod),
            gone: false,
        };
        if let Some(task) = self.tasks.get(&uid) {
            task.pod.send_replace(desired);
            return;
        }
        let rejection = self.rejection(&desired.pod);
        if let Some(rejection) = &rejection {
            let message = rejection.message.as_deref().unwrap_or_default();
            let message = message.strip_prefix(REJECTED).unwrap_or(message);
            let pod = about(&desired.pod, None);
            let events = &self.context.events;
            events.event(&pod, EventType::Warning, &rejection.reason, message);
        }
        let task = self.start(uid.clone(), desired, rejection);
        self.tasks.insert(uid, task);
    }

    /// Returns the reason why the node does not admit a new pod. Upstream: the kubelet's `canAdmitPod`.
    fn rejection(&self, pod: &Pod) -> Option<Waiting> {
        let is_active = |pod: &Pod| {
            let status = pod.status.as_ref();
            let phase = status.and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Succeeded" | "Failed"))
        };
        if !is_active(pod) {
            return None;
        }
        let admitted = self.tasks.values().filter(|task| !task.is_rejected);
        let used = admitted
            .filter(|task| is_active(&task.pod.borrow().pod))
            .count();
        let capacity = self.context.config.max_pods;
        (used >= capacity).then(|| {
            let message = format!(
                "{REJECTED}Node didn't have enough resource: pods, requested: 1, used: {used}, capacity: {capacity}"
            );
            Waiting::new("OutOfpods", message)
        })
    }

    fn start(&self, uid: String, desired: Desired, rejection: Option<Waiting>) -> Tasks {
        let is_rejected = rejection.is_some();
        let context = self.context.clone();
        let instance = instance(&desired.pod);
        let (sender, pod) = watch::channel(desired);
        let (act, publish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (observed, seen) = watch::channel(super::status::Observed::default());
        let publisher = Publisher::new(context.clone(), pod.clone(), seen, publish.clone());
        let worker = Worker::new(context.clone(), pod, observed, act.clone(), rejection);
        let finished = self.finished_sender.clone();
        tokio::spawn(async move {
            let components = &context.components;
            let worker = components
                .pod_worker
                .run(&instance, worker, |worker| worker.run().boxed());
            // The publisher ends when the worker is dropped, and with it the sender of what it observes.
            let publisher = components
                .status_manager
                .run(&instance, publisher, |publisher| publisher.run().boxed());
            tokio::join!(worker, publisher);
            // The receiver ends with the kubelet.
            let _ = finished.send(uid);
        });
        Tasks {
            pod: sender,
            act,
            publish,
            is_rejected,
        }
    }
}

/// Prefix of the message in the status of a pod that was not admitted.
const REJECTED: &str = "Pod was rejected: ";

/// Names a pod in logs and metrics: `namespace/name`.
fn instance(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

/// All but a liveness probe's success is a reason to look at the pod, as it is for the kubelet; readiness and startup are told of.
fn wake(tasks: &HashMap<String, Tasks>, update: &Update) {
    let Some(task) = tasks.get(&update.pod_uid) else {
        return;
    };
    if update.kind != ProbeKind::Liveness || update.result != ProbeResult::Success {
        task.act.notify_one();
    }
    if update.kind != ProbeKind::Liveness {
        task.publish.notify_one();
    }
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}
