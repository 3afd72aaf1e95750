//! Keeps as many pods of a template as a replica set or a replication controller asks for.

mod claim;
mod copies;
mod deletion_order;
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
use copies::Copies;
use status::Failure;

/// The most pods one sync makes or deletes.
const BURST: usize = 500;

pub(super) struct Controller<S> {
    context: Context,
    recorder: Recorder,
    kind: PhantomData<fn() -> S>,
}

/// Starts the replica sets' controller's part in the informers; returns its queue and its work.
pub(super) fn of_replica_sets(context: &Context) -> (WorkQueue, Controller<ReplicaSet>) {
    controller(context)
}

/// The same of replication controllers.
pub(super) fn of_replication_controllers(
    context: &Context,
) -> (WorkQueue, Controller<ReplicationController>) {
    controller(context)
}

fn controller<S: Copies>(context: &Context) -> (WorkQueue, Controller<S>) {
    let queue = WorkQueue::default();
    let sets = queue.clone();
    S::informer(&context.informers).on_change(move |old, new| {
        if let Some(set) = new.or(old) {
            sets.add(Key::of(set));
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
                    let suitors = sets.iter().filter(|set| set.chooses(pod));
                    suitors.for_each(|set| owners.add(Key::of(&**set)));
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
impl<S: Copies> Reconcile for Controller<S> {
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
        let (status, due) =
            status::compute(&*set, &active, failure.as_ref(), self.context.clock.now());
        if set.status().as_ref() != Some(&status) {
            let api: Api<S> = Api::namespaced(self.context.client.clone(), &key.namespace);
            let update = set.saying(status);
            let written = api
                .replace_status(&key.name, &PostParams::default(), &update)
                .await?;
            let cache = S::informer(&self.context.informers);
            cache.wait_for_resource_version(written.meta()).await;
        }
        match failure {
            Some(failure) => Err(Error::Replicas(failure.message)),
            None => Ok(due),
        }
    }
}

impl<S: Copies> Controller<S> {
    /// Makes or deletes pods until there are as many as asked for; returns what stopped it.
    async fn manage(&self, set: &S, mine: &[Arc<Pod>]) -> Result<Option<Failure>, Error> {
        let wanted = usize::try_from(set.wanted()).unwrap_or(0);
        if mine.len() < wanted {
            return Ok(self.create(set, (wanted - mine.len()).min(BURST)).await);
        }
        let active: Vec<&Pod> = mine.iter().map(|pod| &**pod).collect();
        let surplus = (mine.len() - wanted).min(BURST);
        let surplus = deletion_order::pods_to_delete(&active, surplus, self.context.clock.now());
        Ok(self.delete(set, &surplus).await)
    }

    /// In batches of 1, 2, 4 …, so that what must fail fails once and not five hundred times.
    async fn create(&self, set: &S, missing: usize) -> Option<Failure> {
        let api: Api<Pod> = Api::namespaced(
            self.context.client.clone(),
            &set.namespace().unwrap_or_default(),
        );
        let pod = pod_of(set);
        let (mut made, mut batch) = (0, 1);
        let mut failure = None;
        while made < missing && failure.is_none() {
            batch = batch.min(missing - made);
            let parameters = PostParams::default();
            let answers = join_all((0..batch).map(|_| api.create(&parameters, &pod))).await;
            for answer in answers {
                match answer {
                    Ok(pod) => {
                        self.tell(
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
                        self.tell(
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
                    self.tell(
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
                    self.tell(
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

    fn tell(&self, set: &S, kind: EventType, reason: &str, message: String) {
        self.recorder
            .event(&set.object_ref(&()), kind, reason, message);
    }
}

/// A pod of the set's template. Its name is the API's to make.
fn pod_of<S: Copies>(set: &S) -> Pod {
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
