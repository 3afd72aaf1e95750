//! Scheduler of a cluster with one node: binds pods to the node or records why they do not fit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::{Context, Controllers};
use component_helpers::events::{EventType, Recorder};
use component_helpers::pods;
use component_helpers::quantity;
use component_helpers::work_queue::{Key, Reconcile, WorkQueue};
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::Value;
use tokio::task::JoinSet;

const UNSCHEDULABLE: &str = "Unschedulable";

struct Scheduler {
    context: Context,
    recorder: Recorder,
    node_name: String,
}

/// Starts the scheduler, which binds pods to `node_name`. All handlers are registered when this returns.
pub fn start(context: &Context, node_name: String, tasks: &mut JoinSet<()>) {
    Controllers { context, tasks }.start("kube-scheduler", |context| scheduler(context, node_name));
}

/// Registers the scheduler's handlers; returns its queue and its reconciler.
fn scheduler(context: &Context, node_name: String) -> (WorkQueue, Scheduler) {
    let queue = WorkQueue::default();
    let pending = queue.clone();
    context.informers.pods.on_change(move |_, new| {
        if let Some(pod) = new.filter(|pod| is_unscheduled(pod)) {
            pending.add(Key::from_object(pod));
        }
    });
    let (retries, cache) = (queue.clone(), context.informers.pods.clone());
    let requeue_unscheduled = Arc::new(move || {
        cache
            .all()
            .iter()
            .filter(|pod| is_unscheduled(pod))
            .for_each(|pod| retries.add(Key::from_object(&**pod)));
    });
    let requeue = requeue_unscheduled.clone();
    context.informers.nodes.on_change(move |_, _| requeue());
    // A pod that terminates frees its node's capacity.
    context.informers.pods.on_change(move |old, new| {
        if old.is_some_and(occupies_node) && !new.is_some_and(occupies_node) {
            requeue_unscheduled();
        }
    });
    (
        queue,
        Scheduler {
            context: context.clone(),
            recorder: context.recorder("default-scheduler"),
            node_name,
        },
    )
}

/// Returns `true` if the pod is active and has no node.
fn is_unscheduled(pod: &Pod) -> bool {
    let has_node = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_name.as_deref())
        .is_some_and(|node| !node.is_empty());
    !has_node && pods::is_active(pod)
}

/// Returns `true` if the pod counts against its node's maximum number of pods: it has a node and is not terminal.
fn occupies_node(pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.is_some_and(|node| !node.is_empty()) && !pods::is_terminal(pod)
}

/// Returns `true` if the node has its maximum number of pods.
fn is_full(node: &Node, pods: &[Arc<Pod>]) -> bool {
    let status = node.status.as_ref();
    let allocatable = status.and_then(|status| status.allocatable.as_ref()?.get("pods"));
    let Some(max_pods) = allocatable.and_then(quantity::value) else {
        return false;
    };
    let is_on_node = |pod: &&Arc<Pod>| {
        let spec = pod.spec.as_ref();
        occupies_node(pod)
            && spec.and_then(|spec| spec.node_name.as_ref()) == node.metadata.name.as_ref()
    };
    let assigned = pods.iter().filter(is_on_node).count();
    i128::try_from(assigned).is_ok_and(|assigned| assigned >= max_pods)
}

/// Returns the reason why the pod does not fit the node, in the words of kube-scheduler; `None` if it fits.
fn unschedulable_reason(pod: &Pod, node: Option<&Node>, pods: &[Arc<Pod>]) -> Option<&'static str> {
    let Some(node) = node else {
        return Some("no nodes available to schedule pods");
    };
    let is_cordoned = node
        .spec
        .as_ref()
        .and_then(|spec| spec.unschedulable)
        .unwrap_or(false);
    let labels = node.labels();
    let selector = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_selector.as_ref());
    let fits = selector.is_none_or(|selector| {
        selector
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    });
    match (is_cordoned, fits) {
        (true, _) => Some("0/1 nodes are available: 1 node(s) were unschedulable."),
        (false, false) => {
            Some("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
        }
        (false, true) if is_full(node, pods) => Some("0/1 nodes are available: 1 Too many pods."),
        (false, true) => None,
    }
}

#[async_trait]
impl Reconcile for Scheduler {
    type Error = kube::Error;

    async fn sync(&self, key: &Key) -> Result<Option<Duration>, kube::Error> {
        let pod = self
            .context
            .informers
            .pods
            .get(key)
            .filter(|pod| is_unscheduled(pod));
        let Some(pod) = pod else { return Ok(None) };
        let node: Option<Arc<Node>> = self
            .context
            .informers
            .nodes
            .get(&Key::new("", &self.node_name));
        let pods = self.context.informers.pods.all();
        match unschedulable_reason(&pod, node.as_deref(), &pods) {
            None => self.bind(key, &pod).await?,
            Some(reason) => self.mark_unschedulable(key, &pod, reason).await?,
        }
        Ok(None)
    }
}

impl Scheduler {
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
        let result: kube::Result<Value> = api
            .create_subresource("binding", &key.name, &PostParams::default(), &binding)
            .await;
        match result {
            Ok(_) => {
                let message = format!("Successfully assigned {key} to {}", self.node_name);
                self.recorder.event(
                    &pod.object_ref(&()),
                    EventType::Normal,
                    "Scheduled",
                    message,
                );
                // The next decision counts the node's pods.
                if let Some(assigned) = api.get_opt(&key.name).await? {
                    let cache = &self.context.informers.pods;
                    cache.wait_for_resource_version(&assigned.metadata).await;
                }
                Ok(())
            }
            // The pod was deleted or has a node meanwhile.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Records the reason in an event and the condition `PodScheduled`, once. The pod is retried when the node changes.
    async fn mark_unschedulable(&self, key: &Key, pod: &Pod, reason: &str) -> kube::Result<()> {
        let condition = pods::condition(pod, "PodScheduled");
        if condition.is_some_and(|condition| condition.message.as_deref() == Some(reason)) {
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
        assert_eq!(unschedulable_reason(&pod, node.as_ref(), &[]), reason);
    }

    #[test]
    fn pod_fits_a_schedulable_node_that_its_selector_matches() {
        check(None, Some("no nodes available to schedule pods"));
        let fits = json!({"metadata": {"labels": {"disk": "ssd"}}});
        check(Some(fits.clone()), None);
        let mut cordoned = fits;
        cordoned["spec"] = json!({"unschedulable": true});
        check(
            Some(cordoned),
            Some("0/1 nodes are available: 1 node(s) were unschedulable."),
        );
        let other = json!({"metadata": {"labels": {"disk": "tape"}}});
        check(
            Some(other),
            Some("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."),
        );
    }

    #[test]
    fn pods_above_the_nodes_maximum_are_unschedulable() {
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
        assert_eq!(unschedulable_reason(&new, Some(&node), &pods), None);
        pods.push(pod(Some("n"), "Pending"));
        assert_eq!(
            unschedulable_reason(&new, Some(&node), &pods),
            Some("0/1 nodes are available: 1 Too many pods.")
        );
    }

    #[test]
    fn only_active_pods_without_a_node_are_scheduled() {
        let is_scheduled =
            |pod: Value| is_unscheduled(&serde_json::from_value(pod).expect("a pod"));
        assert!(is_scheduled(json!({"spec": {"containers": []}})));
        assert!(!is_scheduled(
            json!({"spec": {"containers": [], "nodeName": "elsewhere"}})
        ));
        assert!(!is_scheduled(
            json!({"spec": {"containers": []}, "status": {"phase": "Failed"}})
        ));
    }
}
