//! Replica set controller, which also reconciles replication controllers: creates and deletes pods to reach `replicas`.

mod claim;
mod deletion_order;
mod replica_owner;
mod status;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::Context;
use component_helpers::events::{EventType, Recorder};
use component_helpers::pods;
use component_helpers::work_queue::{Key, Reconcile, WorkQueue};
use futures::future::join_all;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};

use super::Error;
use super::meta::{controlled_by, controller_of};
use replica_owner::ReplicaOwner;
use status::Failure;

/// Maximum number of pods that one sync creates or deletes (upstream's `BurstReplicas`).
const BURST_REPLICAS: usize = 500;

pub(super) struct Controller<S> {
    context: Context,
    recorder: Recorder,
    kind: PhantomData<fn() -> S>,
}

/// Registers the handlers for replica sets; returns the controller's queue and reconciler.
pub(super) fn replica_set_controller(context: &Context) -> (WorkQueue, Controller<ReplicaSet>) {
    controller(context)
}

/// Registers the handlers for replication controllers; returns the controller's queue and reconciler.
pub(super) fn replication_controller_controller(
    context: &Context,
) -> (WorkQueue, Controller<ReplicationController>) {
    controller(context)
}

fn controller<S: ReplicaOwner>(context: &Context) -> (WorkQueue, Controller<S>) {
    let queue = WorkQueue::default();
    let sets = queue.clone();
    S::informer(&context.informers).on_change(move |old, new| {
        if let Some(set) = new.or(old) {
            sets.add(Key::from_object(set));
        }
    });
    let (owners, cache) = (queue.clone(), S::informer(&context.informers).clone());
    context.informers.pods.on_change(move |old, new| {
        for pod in [old, new].into_iter().flatten() {
            let namespace = pod.namespace().unwrap_or_default();
            match controller_of(&pod.metadata) {
                Some(owner) if owner.kind == S::kind(&()) => {
                    owners.add(Key::new(&namespace, &owner.name));
                }
                Some(_) => {}
                None => {
                    let sets = cache.in_namespace(&namespace);
                    let matching_sets = sets.iter().filter(|set| set.selects(pod));
                    matching_sets.for_each(|set| owners.add(Key::from_object(&**set)));
                }
            }
        }
    });
    (
        queue,
        Controller {
            context: context.clone(),
            recorder: context.recorder(S::COMPONENT),
            kind: PhantomData,
        },
    )
}

#[async_trait]
impl<S: ReplicaOwner> Reconcile for Controller<S> {
    type Error = Error;

    async fn sync(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(set) = S::informer(&self.context.informers).get(key) else {
            return Ok(None);
        };
        let in_namespace = self.context.informers.pods.in_namespace(&key.namespace);
        let candidates: Vec<Arc<Pod>> = in_namespace
            .into_iter()
            .filter(|pod| pods::is_active(pod))
            .collect();
        let mine = claim::claim(&self.context, &*set, candidates).await?;
        let failure = match set.meta().deletion_timestamp {
            None => self.manage(&set, &mine).await?,
            Some(_) => None,
        };
        let active: Vec<&Pod> = mine.iter().map(|pod| &**pod).collect();
        let (status, requeue_after) =
            status::compute(&*set, &active, failure.as_ref(), self.context.clock.now());
        if set.status().as_ref() != Some(&status) {
            let api: Api<S> = Api::namespaced(self.context.client.clone(), &key.namespace);
            let update = set.with_status(status);
            let written = api
                .replace_status(&key.name, &PostParams::default(), &update)
                .await?;
            let cache = S::informer(&self.context.informers);
            cache.wait_for_resource_version(written.meta()).await;
        }
        match failure {
            Some(failure) => Err(Error::Replicas(failure.message)),
            None => Ok(requeue_after),
        }
    }
}

impl<S: ReplicaOwner> Controller<S> {
    /// Creates or deletes pods to reach the set's replicas; returns the failure that stopped it.
    async fn manage(&self, set: &S, mine: &[Arc<Pod>]) -> Result<Option<Failure>, Error> {
        let desired = usize::try_from(set.replicas()).unwrap_or(0);
        if mine.len() < desired {
            return Ok(self
                .create(set, (desired - mine.len()).min(BURST_REPLICAS))
                .await);
        }
        let active: Vec<&Pod> = mine.iter().map(|pod| &**pod).collect();
        let surplus = (mine.len() - desired).min(BURST_REPLICAS);
        let surplus = deletion_order::pods_to_delete(&active, surplus, self.context.clock.now());
        Ok(self.delete(set, &surplus).await)
    }

    /// Creates pods in batches of 1, 2, 4 …, so that a permanent failure occurs once and not 500 times (upstream's
    /// `slowStartBatch`).
    async fn create(&self, set: &S, missing: usize) -> Option<Failure> {
        let api: Api<Pod> = Api::namespaced(
            self.context.client.clone(),
            &set.namespace().unwrap_or_default(),
        );
        let pod = pod_from_template(set);
        let (mut made, mut batch) = (0, 1);
        let mut failure = None;
        while made < missing && failure.is_none() {
            batch = batch.min(missing - made);
            let parameters = PostParams::default();
            let answers = join_all((0..batch).map(|_| api.create(&parameters, &pod))).await;
            for answer in answers {
                match answer {
                    Ok(pod) => {
                        self.record_event(
                            set,
                            EventType::Normal,
                            "SuccessfulCreate",
                            format!("Created pod: {}", pod.name_any()),
                        );
                        self.context
                            .informers
                            .pods
                            .wait_for_resource_version(&pod.metadata)
                            .await;
                    }
                    Err(error) => {
                        self.record_event(
                            set,
                            EventType::Warning,
                            "FailedCreate",
                            format!("Error creating: {error}"),
                        );
                        failure = Some(Failure {
                            reason: "FailedCreate",
                            message: error.to_string(),
                        });
                    }
                }
            }
            made += batch;
            batch *= 2;
        }
        failure
    }

    async fn delete(&self, set: &S, surplus: &[&Pod]) -> Option<Failure> {
        let api: Api<Pod> = Api::namespaced(
            self.context.client.clone(),
            &set.namespace().unwrap_or_default(),
        );
        let parameters = DeleteParams::default();
        let names: Vec<String> = surplus.iter().map(|pod| pod.name_any()).collect();
        let answers = join_all(names.iter().map(|name| api.delete(name, &parameters))).await;
        let mut failure = None;
        for (name, answer) in names.iter().zip(answers) {
            match answer {
                Ok(deleted) => {
                    self.record_event(
                        set,
                        EventType::Normal,
                        "SuccessfulDelete",
                        format!("Deleted pod: {name}"),
                    );
                    if let Some(pod) = deleted.left() {
                        self.context
                            .informers
                            .pods
                            .wait_for_resource_version(&pod.metadata)
                            .await;
                    }
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    self.record_event(
                        set,
                        EventType::Warning,
                        "FailedDelete",
                        format!("Error deleting: {error}"),
                    );
                    failure = Some(Failure {
                        reason: "FailedDelete",
                        message: error.to_string(),
                    });
                }
            }
        }
        failure
    }

    fn record_event(&self, set: &S, kind: EventType, reason: &str, message: String) {
        self.recorder
            .event(&set.object_ref(&()), kind, reason, message);
    }
}

/// Builds a pod of the set's template. The API server generates its name.
fn pod_from_template<S: ReplicaOwner>(set: &S) -> Pod {
    let template = set.template().cloned().unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", set.name_any())),
            namespace: set.namespace(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![controlled_by(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}
