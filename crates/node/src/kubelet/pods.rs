//! Which pods are this node's: one worker and one publisher each, fed with what changes.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_kind};
use probe::{ProbeKind, ProbeResult, Update};
use tokio::sync::{Notify, mpsc, watch};

use super::Context;
use super::publisher::Publisher;
use super::worker::Worker;

/// How a pod's tasks are reached.
struct Tasks {
    pod: watch::Sender<Desired>,
    act: Arc<Notify>,
    publish: Arc<Notify>,
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

pub(super) async fn run(context: Arc<Context>, mut updates: mpsc::UnboundedReceiver<Update>) {
    let mine = format!("spec.nodeName={}", context.config.node_name);
    let api: Api<Pod> = Api::all(context.client.clone());
    let pods = watch_kind(api, watcher::Config::default().fields(&mine)).default_backoff();
    pin_mut!(pods);
    let (ended, mut finished) = mpsc::unbounded_channel();
    let mut tasks = HashMap::new();
    let mut listed = Vec::new();
    loop {
        tokio::select! {
            Some(event) = pods.next() => match event {
                Ok(event) => handle(&context, &mut tasks, &mut listed, &ended, event),
                Err(error) => tracing::debug!(%error, "watching pods failed; listing again"),
            },
            Some(update) = updates.recv() => wake(&tasks, &update),
            Some(uid) = finished.recv() => drop(tasks.remove(&uid)),
            else => return,
        }
    }
}

fn handle(
    context: &Arc<Context>,
    tasks: &mut HashMap<String, Tasks>,
    listed: &mut Vec<String>,
    ended: &mpsc::UnboundedSender<String>,
    event: Event<Pod>,
) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(pod) => {
            listed.push(uid(&pod));
            apply(context, tasks, ended, pod);
        }
        Event::InitDone => {
            for (_, task) in tasks.iter().filter(|(uid, _)| !listed.contains(uid)) {
                task.pod.send_modify(|desired| desired.gone = true);
            }
        }
        Event::Apply(pod) => apply(context, tasks, ended, pod),
        Event::Delete(pod) => {
            if let Some(task) = tasks.get(&uid(&pod)) {
                task.pod.send_replace(Desired {
                    pod: Arc::new(pod),
                    gone: true,
                });
            }
        }
    }
}

fn apply(
    context: &Arc<Context>,
    tasks: &mut HashMap<String, Tasks>,
    ended: &mpsc::UnboundedSender<String>,
    pod: Pod,
) {
    let uid = uid(&pod);
    let desired = Desired {
        pod: Arc::new(pod),
        gone: false,
    };
    match tasks.get(&uid) {
        Some(task) => drop(task.pod.send_replace(desired)),
        None => drop(tasks.insert(uid.clone(), start(context, uid, desired, ended.clone()))),
    }
}

fn start(
    context: &Arc<Context>,
    uid: String,
    desired: Desired,
    ended: mpsc::UnboundedSender<String>,
) -> Tasks {
    let (sender, pod) = watch::channel(desired);
    let (act, publish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (observed, seen) = watch::channel(super::status::Observed::default());
    let publisher = Publisher::new(context.clone(), pod.clone(), seen, publish.clone());
    let worker = Worker::new(context.clone(), pod, observed, act.clone());
    let shutdown = context.shutdown.clone();
    tokio::spawn(async move {
        // The publisher ends when the worker lets go of what it observes.
        let both = async { tokio::join!(worker.run(), publisher.run()) };
        shutdown.run_until_cancelled(both).await;
        // Nobody listens once the kubelet ends.
        let _ = ended.send(uid);
    });
    Tasks {
        pod: sender,
        act,
        publish,
    }
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
