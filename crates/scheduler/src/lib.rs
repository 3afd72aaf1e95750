//! The scheduler: puts pods on the one node there is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::{Context, Controllers};
use component_helpers::events::{EventType, Recorder};
use component_helpers::pods;
use component_helpers::quantity::whole;
use component_helpers::queue::{Key, Queue, Reconcile};
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::Value;
use tokio::task::JoinSet;

const UNSCHEDULABLE: &str = "Unschedulable";

struct Controller {
    context: Context,
    recorder: Recorder,
    node_name: String,
}

/// Starts the scheduler, which binds pods to `node_name`. All handlers are registered when this returns.
pub fn start(context: &Context, node_name: String, tasks: &mut JoinSet<()>) {
    Controllers { context, tasks }
        .start("kube-scheduler", |context| controller(context, node_name));
}

/// Starts the controller's part in the informers; returns its queue and its work.
fn controller(context: &Context, node_name: String) -> (Queue, Controller) {
    let queue = Queue::default();
    let pending = queue.clone();
    context.informers.pods.on_change(move |_, new| {
        if let Some(pod) = new.filter(|pod| waits(pod)) {
            pending.add(Key::of(pod));
        }
    });
    let (again, cache) = (queue.clone(), context.informers.pods.clone());
    let requeue_waiting = Arc::new(move || {
        cache
            .all()
            .iter()
            .filter(|pod| waits(pod))
            .for_each(|pod| again.add(Key::of(&**pod)));
    });
    let requeue = requeue_waiting.clone();
    context.informers.nodes.on_change(move |_, _| requeue());
    // A pod that has ended leaves its node to one that waits.
    context.informers.pods.on_change(move |old, new| {
        if old.is_some_and(occupies) && !new.is_some_and(occupies) {
            requeue_waiting();
        }
    });
    (
        queue,
        Controller {
            context: context.clone(),
            recorder: context.recorder("default-scheduler"),
            node_name,
        },
    )
}

/// Whether the pod is the scheduler's to place: one that names its node is nobody's but that node's.
fn waits(pod: &Pod) -> bool {
    let placed = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_name.as_deref())
        .is_some_and(|node| !node.is_empty());
    !placed && pods::active(pod)
}

/// Returns `true` if the pod counts against its node's number of pods: it is assigned to one and has not ended.
fn occupies(pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.is_some_and(|node| !node.is_empty()) && !pods::ended(pod)
}

/// Returns `true` if the node has as many pods as it allows.
fn is_full(node: &Node, pods: &[Arc<Pod>]) -> bool {
    let status = node.status.as_ref();
    let allocatable = status.and_then(|status| status.allocatable.as_ref()?.get("pods"));
    let Some(max_pods) = allocatable.and_then(whole) else {
        return false;
    };
    let is_on_node = |pod: &&Arc<Pod>| {
        let spec = pod.spec.as_ref();
        occupies(pod)
            && spec.and_then(|spec| spec.node_name.as_ref()) == node.metadata.name.as_ref()
    };
    let assigned = pods.iter().filter(is_on_node).count();
    i128::try_from(assigned).is_ok_and(|assigned| assigned >= max_pods)
}

/// Why the pod cannot run on the node, as the scheduler words it.
fn obstacle(pod: &Pod, node: Option<&Node>, pods: &[Arc<Pod>]) -> Option<&'static str> {
    let Some(node) = node else {
        return Some("no nodes available to schedule pods");
    };
    let closed = node
        .spec
        .as_ref()
        .and_then(|spec| spec.unschedulable)
        .unwrap_or(false);
    let labels = node.labels();
    let wanted = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_selector.as_ref());
    let fits = wanted.is_none_or(|wanted| {
        wanted
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    });
    match (closed, fits) {
        (true, _) => Some("0/1 nodes are available: 1 node(s) were unschedulable."),
        (false, false) => {
            Some("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
        }
        (false, true) if is_full(node, pods) => Some("0/1 nodes are available: 1 Too many pods."),
        (false, true) => None,
    }
}

#[async_trait]
impl Reconcile for Controller {
    type Error = kube::Error;

    async fn sync(&self, key: &Key) -> Result<Option<Duration>, kube::Error> {
        let pod = self
            .context
            .informers
            .pods
            .get(key)
            .filter(|pod| waits(pod));
        let Some(pod) = pod else { return Ok(None) };
        let node: Option<Arc<Node>> = self
            .context
            .informers
            .nodes
            .get(&Key::new("", &self.node_name));
        let pods = self.context.informers.pods.all();
        match obstacle(&pod, node.as_deref(), &pods) {
            None => self.bind(key, &pod).await?,
            Some(reason) => self.refuse(key, &pod, reason).await?,
        }
        Ok(None)
    }
}

impl Controller {
    async fn bind(&self, key: &Key, pod: &Pod) -> kube::Result<()> {
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let target = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(self.node_name.clone()),
            ..ObjectReference::default()
        };
        let metadata = ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: pod.uid(),
            ..ObjectMeta::default()
        };
        let binding = Binding { metadata, target };
        let answer: kube::Result<Value> = api
            .create_subresource("binding", &key.name, &PostParams::default(), &binding)
            .await;
        match answer {
            Ok(_) => {
                let message = format!("Successfully assigned {key} to {}", self.node_name);
                self.recorder.event(
                    &pod.object_ref(&()),
                    EventType::Normal,
                    "Scheduled",
                    message,
                );
                // The next pod is judged by how many are assigned.
                if let Some(assigned) = api.get_opt(&key.name).await? {
                    let cache = &self.context.informers.pods;
                    cache.caught_up(&assigned.metadata).await;
                }
                Ok(())
            }
            // Gone, or placed by someone else in between: nothing is left to do here.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Says once why the pod waits; it is tried again when the node changes.
    async fn refuse(&self, key: &Key, pod: &Pod, reason: &str) -> kube::Result<()> {
        let told = pods::condition(pod, "PodScheduled");
        if told.is_some_and(|told| told.message.as_deref() == Some(reason)) {
            return Ok(());
        }
        self.recorder.event(
            &pod.object_ref(&()),
            EventType::Warning,
            "FailedScheduling",
            reason,
        );
        let mut update = pod.clone();
        let conditions = update
            .status
            .get_or_insert_default()
            .conditions
            .get_or_insert_default();
        conditions.retain(|condition| condition.type_ != "PodScheduled");
        conditions.push(PodCondition {
            type_: "PodScheduled".to_owned(),
            status: "False".to_owned(),
            reason: Some(UNSCHEDULABLE.to_owned()),
            message: Some(reason.to_owned()),
            last_transition_time: Some(Time(self.context.clock.now())),
            ..PodCondition::default()
        });
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), &key.namespace);
        api.replace_status(&key.name, &PostParams::default(), &update)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(node: Option<Value>, reason: Option<&str>) {
        let pod = json!({"spec": {"containers": [], "nodeSelector": {"disk": "ssd"}}});
        let pod = serde_json::from_value(pod).expect("a pod");
        let node: Option<Node> = node.map(|node| serde_json::from_value(node).expect("a node"));
        assert_eq!(obstacle(&pod, node.as_ref(), &[]), reason);
    }

    #[test]
    fn a_pod_fits_an_open_node_with_its_labels() {
        check(None, Some("no nodes available to schedule pods"));
        let fits = json!({"metadata": {"labels": {"disk": "ssd"}}});
        check(Some(fits.clone()), None);
        let mut closed = fits;
        closed["spec"] = json!({"unschedulable": true});
        check(
            Some(closed),
            Some("0/1 nodes are available: 1 node(s) were unschedulable."),
        );
        let other = json!({"metadata": {"labels": {"disk": "tape"}}});
        check(
            Some(other),
            Some("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."),
        );
    }

    #[test]
    fn a_node_takes_no_more_pods_than_it_allows() {
        let pod = |node: Option<&str>, phase: &str| {
            let pod =
                json!({"spec": {"containers": [], "nodeName": node}, "status": {"phase": phase}});
            Arc::new(serde_json::from_value::<Pod>(pod).expect("a pod"))
        };
        let node = json!({"metadata": {"name": "n"}, "status": {"allocatable": {"pods": "2"}}});
        let node: Node = serde_json::from_value(node).expect("a node");
        let new = pod(None, "Pending");
        let mut pods = vec![
            pod(Some("n"), "Running"),
            pod(Some("n"), "Succeeded"),
            pod(Some("n"), "Failed"),
            pod(Some("other"), "Running"),
            pod(None, "Pending"),
        ];
        assert_eq!(obstacle(&new, Some(&node), &pods), None);
        pods.push(pod(Some("n"), "Pending"));
        assert_eq!(
            obstacle(&new, Some(&node), &pods),
            Some("0/1 nodes are available: 1 Too many pods.")
        );
    }

    #[test]
    fn only_active_pods_without_a_node_wait() {
        let waits_for = |pod: Value| waits(&serde_json::from_value(pod).expect("a pod"));
        assert!(waits_for(json!({"spec": {"containers": []}})));
        assert!(!waits_for(
            json!({"spec": {"containers": [], "nodeName": "elsewhere"}})
        ));
        assert!(!waits_for(
            json!({"spec": {"containers": []}, "status": {"phase": "Failed"}})
        ));
    }
}
