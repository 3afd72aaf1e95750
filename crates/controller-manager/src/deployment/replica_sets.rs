//! Operations on a deployment's replica sets: adopt, create, number, scale and delete.

use std::sync::Arc;

use component_helpers::controller::Context;
use component_helpers::events::EventType;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::revisions::{self, HASH_LABEL};
use super::rollout::Rollout;
use super::scaling::{self, replicas_of, total};
use super::{annotations, conditions};
use crate::Error;
use crate::meta::{controlled_by, controller_of, ignore_not_found, selects};

/// Returns the deployment's sets, after it adopted those that it selects and no controller owns.
pub(super) async fn claim(
    context: &Context,
    deployment: &Deployment,
) -> Result<Vec<Arc<ReplicaSet>>, Error> {
    let namespace = deployment.namespace().unwrap_or_default();
    let mut mine = Vec::new();
    for set in context.informers.sets.in_namespace(&namespace) {
        let chosen = deployment
            .spec
            .as_ref()
            .is_some_and(|spec| selects(&spec.selector, set.metadata.labels.as_ref()));
        match controller_of(&set.metadata) {
            Some(owner) if Some(&owner.uid) == deployment.metadata.uid.as_ref() => mine.push(set),
            None if chosen
                && deployment.metadata.deletion_timestamp.is_none()
                && set.metadata.deletion_timestamp.is_none() =>
            {
                let mut owners = set.owner_references().to_vec();
                owners.push(controlled_by(deployment));
                let version = &set.metadata.resource_version;
                let change =
                    json!({"metadata": {"resourceVersion": version, "ownerReferences": owners}});
                let api: Api<ReplicaSet> = Api::namespaced(context.client.clone(), &namespace);
                let adopted = api
                    .patch(
                        &set.name_any(),
                        &PatchParams::default(),
                        &Patch::Merge(change),
                    )
                    .await?;
                mine.push(Arc::new(adopted));
            }
            _ => {}
        }
    }
    Ok(mine)
}

impl Rollout<'_> {
    fn api(&self) -> Api<ReplicaSet> {
        Api::namespaced(
            self.context.client.clone(),
            &self.deployment.namespace().unwrap_or_default(),
        )
    }

    fn newest_revision(&self) -> i64 {
        let old = self
            .old()
            .into_iter()
            .map(|at| annotations::revision(&self.sets[at]));
        old.max().unwrap_or(0) + 1
    }

    async fn update(&mut self, at: usize, set: &ReplicaSet) -> Result<(), Error> {
        let written = self
            .api()
            .replace(&set.name_any(), &PostParams::default(), set)
            .await?;
        self.context
            .informers
            .sets
            .wait_for_resource_version(&written.metadata)
            .await;
        self.sets[at] = Arc::new(written);
        Ok(())
    }

    /// Makes the new set, if it exists, the newest revision.
    pub(super) async fn sync_revision(&mut self) -> Result<(), Error> {
        let Some(at) = self.new else { return Ok(()) };
        let mut set = (*self.sets[at]).clone();
        let mut changed = annotations::set_revision_annotation(
            &mut set,
            &self.deployment,
            self.newest_revision(),
        );
        let min_ready = self
            .deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.min_ready_seconds);
        if let Some(spec) = set
            .spec
            .as_mut()
            .filter(|spec| spec.min_ready_seconds.unwrap_or(0) != min_ready.unwrap_or(0))
        {
            spec.min_ready_seconds = min_ready;
            changed = true;
        }
        if changed {
            self.update(at, &set).await?;
        }
        let known = self
            .deployment
            .status
            .as_ref()
            .is_some_and(|status| conditions::get(status, conditions::PROGRESSING).is_some());
        if !known {
            self.set_progressing(
                "True",
                "FoundNewReplicaSet",
                format!("Found new replica set {:?}", set.name_any()),
            );
        }
        self.update_revision_annotation(annotations::revision(&self.sets[at]))
            .await
    }

    fn set_progressing(&mut self, status: &str, reason: &str, message: String) {
        if conditions::deadline(&self.deployment).is_some() {
            let condition = conditions::new(
                conditions::PROGRESSING,
                status,
                reason,
                message,
                self.context.clock.now(),
            );
            conditions::set(self.deployment.status.get_or_insert_default(), condition);
        }
    }

    /// Writes the revision to the deployment's annotation.
    async fn update_revision_annotation(&mut self, revision: i64) -> Result<(), Error> {
        let revision = revision.to_string();
        if self.deployment.annotations().get(annotations::REVISION) == Some(&revision) {
            return Ok(());
        }
        let api: Api<Deployment> = Api::namespaced(
            self.context.client.clone(),
            &self.deployment.namespace().unwrap_or_default(),
        );
        let change = json!({"metadata": {"annotations": {annotations::REVISION: revision}}});
        let written = api
            .patch(
                &self.deployment.name_any(),
                &PatchParams::default(),
                &Patch::Merge(change),
            )
            .await?;
        self.deployment.metadata = written.metadata;
        Ok(())
    }

    /// Returns the index of the new set, which is created if it does not exist (upstream's `getNewReplicaSet`).
    pub(super) async fn get_or_create_new_replica_set(&mut self) -> Result<usize, Error> {
        if let Some(at) = self.new {
            self.sync_revision().await?;
            return Ok(at);
        }
        let set = self.build_new_set();
        let (set, made) = match self.api().create(&PostParams::default(), &set).await {
            Ok(made) => (made, true),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                (self.resolve_name_collision(&set).await?, false)
            }
            Err(error) => return Err(self.on_create_error(&set, error).await),
        };
        self.context
            .informers
            .sets
            .wait_for_resource_version(&set.metadata)
            .await;
        let (name, replicas) = (set.name_any(), replicas_of(&set));
        self.sets.push(Arc::new(set));
        self.new = Some(self.sets.len() - 1);
        if made {
            if replicas > 0 {
                self.record_event(
                    EventType::Normal,
                    "ScalingReplicaSet",
                    format!("Scaled up replica set {name} from 0 to {replicas}"),
                );
            }
            self.set_progressing(
                "True",
                "NewReplicaSetCreated",
                format!("Created new replica set {name:?}"),
            );
            // Watchers get this condition before the counts, as on a cluster.
            self.write(self.deployment.status.clone().unwrap_or_default())
                .await?;
        }
        self.update_revision_annotation(annotations::revision(&self.sets[self.sets.len() - 1]))
            .await?;
        Ok(self.sets.len() - 1)
    }

    /// Builds a set with the deployment's template and as many replicas as it may have initially.
    fn build_new_set(&self) -> ReplicaSet {
        let mut template = revisions::template(&self.deployment);
        let collisions = self
            .deployment
            .status
            .as_ref()
            .and_then(|status| status.collision_count);
        let hash = revisions::hash(&template, collisions);
        let labels = template
            .metadata
            .get_or_insert_default()
            .labels
            .get_or_insert_default();
        labels.insert(HASH_LABEL.to_owned(), hash.clone());
        let labels = labels.clone();
        let spec = self.deployment.spec.as_ref();
        let mut selector = spec.map(|spec| spec.selector.clone()).unwrap_or_default();
        selector
            .match_labels
            .get_or_insert_default()
            .insert(HASH_LABEL.to_owned(), hash.clone());
        let sets: Vec<&ReplicaSet> = self.sets.iter().map(|set| &**set).collect();
        let mut set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{}-{hash}", self.deployment.name_any())),
                namespace: self.deployment.namespace(),
                labels: Some(labels),
                owner_references: Some(vec![controlled_by(&self.deployment)]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(scaling::new_rs_replicas(self.limits, 0, total(&sets))),
                min_ready_seconds: spec.and_then(|spec| spec.min_ready_seconds),
                selector,
                template: Some(template),
            }),
            status: None,
        };
        annotations::set_revision_annotation(&mut set, &self.deployment, self.newest_revision());
        annotations::set_replicas_annotations(&mut set, self.limits);
        set
    }

    /// Returns the existing set with this name if the deployment owns it. Otherwise counts a collision, so that the next attempt has
    /// another name.
    async fn resolve_name_collision(&mut self, new: &ReplicaSet) -> Result<ReplicaSet, Error> {
        let existing = self.api().get(&new.name_any()).await?;
        let ours = controller_of(&existing.metadata)
            .is_some_and(|owner| Some(&owner.uid) == self.deployment.metadata.uid.as_ref());
        if ours && revisions::matches(&self.deployment, &existing) {
            return Ok(existing);
        }
        let mut status = self.deployment.status.clone().unwrap_or_default();
        status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
        self.write(status).await?;
        Err(Error::Replicas(format!(
            "replica set name {} is taken",
            new.name_any()
        )))
    }

    async fn on_create_error(&mut self, set: &ReplicaSet, error: kube::Error) -> Error {
        let message = format!(
            "Failed to create new replica set {:?}: {error}",
            set.name_any()
        );
        self.record_event(EventType::Warning, "ReplicaSetCreateError", message.clone());
        self.set_progressing("False", "ReplicaSetCreateError", message);
        let status = self.deployment.status.clone().unwrap_or_default();
        match self.write(status).await {
            Ok(()) => error.into(),
            Err(unwritten) => unwritten,
        }
    }

    /// Scales a set; returns `true` if its replicas changed.
    pub(super) async fn scale(&mut self, at: usize, to: i32) -> Result<bool, Error> {
        let mut set = (*self.sets[at]).clone();
        let from = replicas_of(&set);
        let noted = annotations::set_replicas_annotations(&mut set, self.limits);
        if from == to && !noted {
            return Ok(false);
        }
        set.spec.get_or_insert_default().replicas = Some(to);
        self.update(at, &set).await?;
        if from != to {
            let direction = if from < to { "up" } else { "down" };
            let message = format!(
                "Scaled {direction} replica set {} from {from} to {to}",
                set.name_any()
            );
            self.record_event(EventType::Normal, "ScalingReplicaSet", message);
        }
        Ok(from != to)
    }

    /// Deletes the sets beyond the history limit (upstream's `cleanupDeployment`).
    pub(super) async fn clean_up_old_replica_sets(&mut self) -> Result<(), Error> {
        let old: Vec<&ReplicaSet> = self.old().into_iter().map(|at| &*self.sets[at]).collect();
        for set in revisions::sets_to_delete(&self.deployment, &old) {
            ignore_not_found(
                self.api()
                    .delete(&set.name_any(), &DeleteParams::background())
                    .await,
            )?;
        }
        Ok(())
    }

    fn record_event(&self, kind: EventType, reason: &str, message: String) {
        self.recorder
            .event(&self.deployment.object_ref(&()), kind, reason, message);
    }
}
