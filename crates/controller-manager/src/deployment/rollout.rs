//! One sync of a deployment: the next step by its strategy.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use component_helpers::controller::Context;
use component_helpers::events::Recorder;
use component_helpers::pods;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, PostParams};

use super::scaling::{self, RolloutLimits, available, replicas_of, total};
use super::{annotations, conditions, is_paused, revisions, status};
use crate::Error;
use crate::meta::controller_of;

type SyncResult = Result<Option<Duration>, Error>;

/// State of one sync: a deployment and its replica sets.
pub(super) struct Rollout<'a> {
    pub(super) context: &'a Context,
    pub(super) recorder: &'a Recorder,
    /// Deployment with the changes of this sync, which are written at its end.
    pub(super) deployment: Deployment,
    pub(super) limits: RolloutLimits,
    /// Oldest first.
    pub(super) sets: Vec<Arc<ReplicaSet>>,
    pub(super) new: Option<usize>,
    shown: Option<DeploymentStatus>,
}

impl<'a> Rollout<'a> {
    pub(super) fn new(
        context: &'a Context,
        recorder: &'a Recorder,
        deployment: &Deployment,
        sets: Vec<Arc<ReplicaSet>>,
    ) -> Self {
        let sets = revisions::sort_by_age(sets);
        let new = revisions::find_new(deployment, &sets);
        let limits = RolloutLimits::from_deployment(deployment);
        let shown = deployment.status.clone();
        Self {
            context,
            recorder,
            deployment: deployment.clone(),
            limits,
            sets,
            new,
            shown,
        }
    }

    /// Records in the conditions that the deployment was paused or resumed.
    pub(super) fn sync_paused_condition(&mut self) {
        let now = self.context.clock.now();
        let status = self.deployment.status.get_or_insert_default();
        let reason = conditions::get(status, conditions::PROGRESSING)
            .and_then(|condition| condition.reason.as_deref());
        let was = reason == Some(conditions::PAUSED);
        if reason == Some(conditions::TIMED_OUT) || was == is_paused(&self.deployment) {
            return;
        }
        let (reason, message) = if was {
            ("DeploymentResumed", "Deployment is resumed")
        } else {
            (conditions::PAUSED, "Deployment is paused")
        };
        let condition = conditions::new(
            conditions::PROGRESSING,
            "Unknown",
            reason,
            message.to_owned(),
            now,
        );
        conditions::set(self.deployment.status.get_or_insert_default(), condition);
    }

    /// Returns `true` if `replicas` changed since the sets were last scaled (upstream's `isScalingEvent`).
    pub(super) fn is_scaling_event(&self) -> bool {
        let desired =
            |set: &ReplicaSet| annotations::number::<i32>(set, annotations::DESIRED_REPLICAS);
        let active = self.sets.iter().filter(|set| replicas_of(set) > 0);
        active
            .filter_map(|set| desired(set))
            .any(|desired| desired != self.limits.replicas)
    }

    /// Distributes a changed `replicas` over the sets, and makes no other step.
    pub(super) async fn sync_scale(&mut self) -> SyncResult {
        self.sync_revision().await?;
        let active: Vec<usize> = (0..self.sets.len())
            .filter(|at| replicas_of(&self.sets[*at]) > 0)
            .collect();
        match active.as_slice() {
            [] => {
                if let Some(latest) = self.new.or(self.sets.len().checked_sub(1)) {
                    self.scale(latest, self.limits.replicas).await?;
                }
            }
            [only] => {
                self.scale(*only, self.limits.replicas).await?;
            }
            several => self.scale_proportionally(several).await?,
        }
        if is_paused(&self.deployment) {
            self.clean_up_old_replica_sets().await?;
        }
        self.write_counts().await
    }

    async fn scale_proportionally(&mut self, active: &[usize]) -> Result<(), Error> {
        if self.is_new_set_available() {
            for at in active {
                if Some(*at) != self.new {
                    self.scale(*at, 0).await?;
                }
            }
            return Ok(());
        }
        let mut order = active.to_vec();
        let growing = self.limits.max_total() > total(&self.all());
        // Of sets with equal replicas the newer one grows first and the older one shrinks first.
        order.sort_by_key(|at| {
            (
                Reverse(replicas_of(&self.sets[*at])),
                if growing {
                    Reverse(*at)
                } else {
                    Reverse(usize::MAX - at)
                },
            )
        });
        let sets: Vec<&ReplicaSet> = order.iter().map(|at| &*self.sets[*at]).collect();
        let shown = self
            .deployment
            .status
            .as_ref()
            .and_then(|status| status.replicas)
            .unwrap_or(0);
        let sizes = scaling::proportional(self.limits, shown, &sets);
        for (at, replicas_of) in order.into_iter().zip(sizes) {
            self.scale(at, replicas_of).await?;
        }
        Ok(())
    }

    /// Returns `true` if the new set has all its replicas, and they are available.
    fn is_new_set_available(&self) -> bool {
        self.new.is_some_and(|at| {
            let (set, desired) = (&self.sets[at], self.limits.replicas);
            let annotated = annotations::number(set, annotations::DESIRED_REPLICAS);
            annotated == Some(desired) && replicas_of(set) == desired && available(set) == desired
        })
    }

    /// Scales the new set up, or else the old sets down.
    pub(super) async fn roll(&mut self) -> SyncResult {
        let new = self.get_or_create_new_replica_set().await?;
        let size_now = replicas_of(&self.sets[new]);
        let target = scaling::new_rs_replicas(self.limits, size_now, total(&self.all()));
        if self.scale(new, target).await? {
            return self.write_progress().await;
        }
        let old = self.old();
        let sets: Vec<&ReplicaSet> = old.iter().map(|at| &*self.sets[*at]).collect();
        let targets = scaling::scale_down_old(self.limits, Some(&self.sets[new]), &sets);
        let mut shrunk = false;
        for (at, target) in old.into_iter().zip(targets) {
            if replicas_of(&self.sets[at]) != target {
                shrunk |= self.scale(at, target).await?;
            }
        }
        if !shrunk {
            self.clean_up_if_complete().await?;
        }
        self.write_progress().await
    }

    /// Scales the old sets to 0, waits until no old pod is left, then creates the new ones.
    pub(super) async fn recreate(&mut self) -> SyncResult {
        self.sync_revision().await?;
        let mut shrunk = false;
        for at in self.old() {
            if replicas_of(&self.sets[at]) > 0 {
                shrunk |= self.scale(at, 0).await?;
            }
        }
        if shrunk || self.has_old_pods() {
            return self.write_progress().await;
        }
        let new = self.get_or_create_new_replica_set().await?;
        self.scale(new, self.limits.replicas).await?;
        self.clean_up_if_complete().await?;
        self.write_progress().await
    }

    fn has_old_pods(&self) -> bool {
        let old: Vec<&ReplicaSet> = self.old().into_iter().map(|at| &*self.sets[at]).collect();
        let counted = old.iter().any(|set| {
            set.status
                .as_ref()
                .is_some_and(|status| status.replicas > 0)
        });
        let of_old = |pod: &Pod| {
            let owner = controller_of(&pod.metadata);
            owner.is_some_and(|owner| {
                old.iter()
                    .any(|set| set.metadata.uid.as_ref() == Some(&owner.uid))
            })
        };
        let all = self
            .context
            .informers
            .pods
            .in_namespace(&self.deployment.namespace().unwrap_or_default());
        counted || all.iter().any(|pod| of_old(pod) && !pods::is_terminal(pod))
    }

    async fn clean_up_if_complete(&mut self) -> Result<(), Error> {
        let status = self.deployment.status.clone().unwrap_or_default();
        if conditions::is_complete(&self.deployment, &status) {
            self.clean_up_old_replica_sets().await
        } else {
            Ok(())
        }
    }

    /// Returns the indices of the old sets, oldest first.
    pub(super) fn old(&self) -> Vec<usize> {
        (0..self.sets.len())
            .filter(|at| Some(*at) != self.new)
            .collect()
    }

    fn all(&self) -> Vec<&ReplicaSet> {
        self.sets.iter().map(|set| &**set).collect()
    }

    /// Writes the counts without the progress.
    pub(super) async fn write_counts(&mut self) -> SyncResult {
        let new = self.new.map(|at| &*self.sets[at]);
        let status = status::counts(&self.deployment, new, &self.all(), self.context.clock.now());
        self.write(status).await?;
        Ok(None)
    }

    async fn write_progress(&mut self) -> SyncResult {
        let now = self.context.clock.now();
        let new = self.new.map(|at| &*self.sets[at]);
        let status = status::rollout(&self.deployment, new, &self.all(), now);
        let again = conditions::requeue_after(&self.deployment, &status, now);
        self.write(status).await?;
        Ok(again)
    }

    pub(super) async fn write(&mut self, status: DeploymentStatus) -> Result<(), Error> {
        if self.shown.as_ref() == Some(&status) {
            return Ok(());
        }
        let api: Api<Deployment> = Api::namespaced(
            self.context.client.clone(),
            &self.deployment.namespace().unwrap_or_default(),
        );
        let update = Deployment {
            status: Some(status),
            ..self.deployment.clone()
        };
        let written = api
            .replace_status(&self.deployment.name_any(), &PostParams::default(), &update)
            .await?;
        // Later writes of this sync build on the written object.
        self.deployment.metadata.clone_from(&written.metadata);
        self.shown.clone_from(&written.status);
        self.context
            .informers
            .deployments
            .wait_for_resource_version(&written.metadata)
            .await;
        Ok(())
    }
}
