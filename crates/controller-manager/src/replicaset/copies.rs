//! What keeps copies of a pod: a replica set, or a replication controller, which is the same by an older name.

use std::fmt::Debug;
use std::time::Duration;

use component_helpers::informer::Informer;
use component_helpers::informers::Informers;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{
    Pod, PodTemplateSpec, ReplicationController, ReplicationControllerCondition,
    ReplicationControllerStatus,
};
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::meta::{has_all, selects};

pub(crate) trait Copies:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Who says so in events.
    const COMPONENT: &str;

    /// The cache of its kind.
    fn informer(informers: &Informers) -> &Informer<Self>;

    /// Whether its selector chooses the pod.
    fn chooses(&self, pod: &Pod) -> bool;

    /// How many it asks for.
    fn wanted(&self) -> i32;

    /// What they are copies of.
    fn template(&self) -> Option<&PodTemplateSpec>;

    /// How long one has to be ready until it is available.
    fn min_ready(&self) -> Duration;

    /// What it says of them, as a replica set would.
    fn status(&self) -> Option<ReplicaSetStatus>;

    /// The same saying that.
    fn saying(&self, status: ReplicaSetStatus) -> Self;
}

fn seconds(seconds: Option<i32>) -> Duration {
    Duration::from_secs(u64::try_from(seconds.unwrap_or(0)).unwrap_or(0))
}

impl Copies for ReplicaSet {
    const COMPONENT: &str = "replicaset-controller";

    fn informer(informers: &Informers) -> &Informer<Self> {
        &informers.sets
    }

    fn chooses(&self, pod: &Pod) -> bool {
        let spec = self.spec.as_ref();
        spec.is_some_and(|spec| selects(&spec.selector, pod.metadata.labels.as_ref()))
    }

    fn wanted(&self) -> i32 {
        let spec = self.spec.as_ref();
        spec.and_then(|spec| spec.replicas).unwrap_or(1)
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn min_ready(&self) -> Duration {
        seconds(self.spec.as_ref().and_then(|spec| spec.min_ready_seconds))
    }

    fn status(&self) -> Option<ReplicaSetStatus> {
        self.status.clone()
    }

    fn saying(&self, status: ReplicaSetStatus) -> Self {
        Self {
            status: Some(status),
            ..self.clone()
        }
    }
}

impl Copies for ReplicationController {
    const COMPONENT: &str = "replication-controller";

    fn informer(informers: &Informers) -> &Informer<Self> {
        &informers.replication_controllers
    }

    fn chooses(&self, pod: &Pod) -> bool {
        let spec = self.spec.as_ref();
        let selector = spec.and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|selector| has_all(pod.metadata.labels.as_ref(), selector))
    }

    fn wanted(&self) -> i32 {
        let spec = self.spec.as_ref();
        spec.and_then(|spec| spec.replicas).unwrap_or(1)
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn min_ready(&self) -> Duration {
        seconds(self.spec.as_ref().and_then(|spec| spec.min_ready_seconds))
    }

    fn status(&self) -> Option<ReplicaSetStatus> {
        let status = self.status.clone()?;
        let condition = |one: ReplicationControllerCondition| ReplicaSetCondition {
            type_: one.type_,
            status: one.status,
            reason: one.reason,
            message: one.message,
            last_transition_time: one.last_transition_time,
        };
        Some(ReplicaSetStatus {
            replicas: status.replicas,
            fully_labeled_replicas: status.fully_labeled_replicas,
            ready_replicas: status.ready_replicas,
            available_replicas: status.available_replicas,
            observed_generation: status.observed_generation,
            conditions: status
                .conditions
                .map(|all| all.into_iter().map(condition).collect()),
            ..ReplicaSetStatus::default()
        })
    }

    fn saying(&self, status: ReplicaSetStatus) -> Self {
        let condition = |one: ReplicaSetCondition| ReplicationControllerCondition {
            type_: one.type_,
            status: one.status,
            reason: one.reason,
            message: one.message,
            last_transition_time: one.last_transition_time,
        };
        let status = ReplicationControllerStatus {
            replicas: status.replicas,
            fully_labeled_replicas: status.fully_labeled_replicas,
            ready_replicas: status.ready_replicas,
            available_replicas: status.available_replicas,
            observed_generation: status.observed_generation,
            conditions: status
                .conditions
                .map(|all| all.into_iter().map(condition).collect()),
        };
        Self {
            status: Some(status),
            ..self.clone()
        }
    }
}
