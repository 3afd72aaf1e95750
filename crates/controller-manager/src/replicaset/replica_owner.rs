//! Owner of replicas: a replica set, or a replication controller, its predecessor with the same behaviour.

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

use crate::meta::{has_all_labels, selects};

pub(crate) trait ReplicaOwner:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Component in events.
    const COMPONENT: &str;

    /// Returns the informer of this kind.
    fn informer(informers: &Informers) -> &Informer<Self>;

    /// Returns `true` if the selector matches the pod.
    fn selects(&self, pod: &Pod) -> bool;

    /// Returns the desired number of replicas.
    fn replicas(&self) -> i32;

    /// Returns the pod template.
    fn template(&self) -> Option<&PodTemplateSpec>;

    /// Returns the time for which a pod must be ready to be available (`minReadySeconds`).
    fn min_ready(&self) -> Duration;

    /// Returns the status as that of a replica set.
    fn status(&self) -> Option<ReplicaSetStatus>;

    /// Returns a copy with this status.
    fn with_status(&self, status: ReplicaSetStatus) -> Self;
}

fn seconds(seconds: Option<i32>) -> Duration {
    Duration::from_secs(u64::try_from(seconds.unwrap_or(0)).unwrap_or(0))
}

impl ReplicaOwner for ReplicaSet {
    const COMPONENT: &str = "replicaset-controller";

    fn informer(informers: &Informers) -> &Informer<Self> {
        &informers.sets
    }

    fn selects(&self, pod: &Pod) -> bool {
        let spec = self.spec.as_ref();
        spec.is_some_and(|spec| selects(&spec.selector, pod.metadata.labels.as_ref()))
    }

    fn replicas(&self) -> i32 {
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

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        Self {
            status: Some(status),
            ..self.clone()
        }
    }
}

impl ReplicaOwner for ReplicationController {
    const COMPONENT: &str = "replication-controller";

    fn informer(informers: &Informers) -> &Informer<Self> {
        &informers.replication_controllers
    }

    fn selects(&self, pod: &Pod) -> bool {
        let spec = self.spec.as_ref();
        let selector = spec.and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|selector| has_all_labels(pod.metadata.labels.as_ref(), selector))
    }

    fn replicas(&self) -> i32 {
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

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
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
