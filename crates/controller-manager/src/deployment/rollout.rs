//! One sync of a deployment: which step to take now, by its strategy.

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

use super::numbers::{self, Goal, available, size, total};
use super::{annotations, conditions, paused, revisions, status};
use crate::Error;
use crate::meta::controller_of;

type Done = Result<Option<Duration>, Error>;

/// A deployment and its replica sets, while one sync works on them.
pub(super) struct Rollout<'a> {
    pub(super) context: &'a Context,
    pub(super) recorder: &'a Recorder,
    /// With what this sync already knows; written at its end.
    pub(super) deployment: Deployment,
    pub(super) goal: Goal,
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
        let sets = revisions::by_age(sets);
        let new = revisions::find_new(deployment, &sets);
        let goal = Goal::of(deployment);
        let shown = deployment.status.clone();
        Self {
            context,
            recorder,
            deployment: deployment.clone(),
            goal,
            sets,
            new,
            shown,
        }
    }

    /// Says in the conditions that the deployment was paused, or goes on.
    pub(super) fn note_pause(&mut self) {
        let now = self.context.clock.now();
        let status = self.deployment.status.get_or_insert_default();
        let reason = conditions::get(status, conditions::PROGRESSING)
            .and_then(|condition| condition.reason.as_deref());
        let was = reason == Some(conditions::PAUSED);
        if reason == Some(conditions::TIMED_OUT) || was == paused(&self.deployment) {
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

    /// Whether `replicas` has changed since the sets were last sized.
    pub(super) fn rescaled(&self) -> bool {
        let desired =
            |set: &ReplicaSet| annotations::number::<i32>(set, annotations::DESIRED_REPLICAS);
        let active = self.sets.iter().filter(|set| size(set) > 0);
        active
            .filter_map(|set| desired(set))
            .any(|desired| desired != self.goal.replicas)
    }

    /// Gives the sets their part of a changed `replicas`, and nothing else.
    pub(super) async fn rescale(&mut self) -> Done {
        self.revise().await?;
        let active: Vec<usize> = (0..self.sets.len())
            .filter(|at| size(&self.sets[*at]) > 0)
            .collect();
        match active.as_slice() {
            [] => {
                if let Some(latest) = self.new.or(self.sets.len().checked_sub(1)) {
                    self.scale(latest, self.goal.replicas).await?;
                }
            }
            [only] => {
                self.scale(*only, self.goal.replicas).await?;
            }
            several => self.spread(several).await?,
        }
        if paused(&self.deployment) {
            self.expire().await?;
        }
        self.write_counts().await
    }

    async fn spread(&mut self, active: &[usize]) -> Result<(), Error> {
        if self.saturated() {
            for at in active {
                if Some(*at) != self.new {
                    self.scale(*at, 0).await?;
                }
            }
            return Ok(());
        }
        let mut order = active.to_vec();
        let growing = self.goal.max_total() > total(&self.all());
        // Among sets of one size the newer one grows first and the older one shrinks first.
        order.sort_by_key(|at| {
            (
                Reverse(size(&self.sets[*at])),
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
        let sizes = numbers::proportional(self.goal, shown, &sets);
        for (at, size) in order.into_iter().zip(sizes) {
            self.scale(at, size).await?;
        }
        Ok(())
    }

    /// Whether the new set is as large as wanted, and available.
    fn saturated(&self) -> bool {
        self.new.is_some_and(|at| {
            let (set, wanted) = (&self.sets[at], self.goal.replicas);
            let desired = annotations::number(set, annotations::DESIRED_REPLICAS);
            desired == Some(wanted) && size(set) == wanted && available(set) == wanted
        })
    }

    /// Grows the new set, or else shrinks the old ones.
    pub(super) async fn roll(&mut self) -> Done {
        let new = self.ensure_new().await?;
        let size_now = size(&self.sets[new]);
        let target = numbers::new_size(self.goal, size_now, total(&self.all()));
        if self.scale(new, target).await? {
            return self.write_progress().await;
        }
        let old = self.old();
        let sets: Vec<&ReplicaSet> = old.iter().map(|at| &*self.sets[*at]).collect();
        let targets = numbers::old_sizes(self.goal, Some(&self.sets[new]), &sets);
        let mut shrunk = false;
        for (at, target) in old.into_iter().zip(targets) {
            if size(&self.sets[at]) != target {
                shrunk |= self.scale(at, target).await?;
            }
        }
        if !shrunk {
            self.expire_if_complete().await?;
        }
        self.write_progress().await
    }

    /// Ends the old pods, waits until none is left, and only then makes new ones.
    pub(super) async fn recreate(&mut self) -> Done {
        self.revise().await?;
        let mut shrunk = false;
        for at in self.old() {
            if size(&self.sets[at]) > 0 {
                shrunk |= self.scale(at, 0).await?;
            }
        }
        if shrunk || self.old_pods_run() {
            return self.write_progress().await;
        }
        let new = self.ensure_new().await?;
        self.scale(new, self.goal.replicas).await?;
        self.expire_if_complete().await?;
        self.write_progress().await
    }

    fn old_pods_run(&self) -> bool {
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

    async fn expire_if_complete(&mut self) -> Result<(), Error> {
        let status = self.deployment.status.clone().unwrap_or_default();
        if conditions::complete(&self.deployment, &status) {
            self.expire().await
        } else {
            Ok(())
        }
    }

    /// Where the old sets are, oldest first.
    pub(super) fn old(&self) -> Vec<usize> {
        (0..self.sets.len())
            .filter(|at| Some(*at) != self.new)
            .collect()
    }

    fn all(&self) -> Vec<&ReplicaSet> {
        self.sets.iter().map(|set| &**set).collect()
    }

    /// Writes the counts without judging the progress.
    pub(super) async fn write_counts(&mut self) -> Done {
        let new = self.new.map(|at| &*self.sets[at]);
        let status = status::counts(&self.deployment, new, &self.all(), self.context.clock.now());
        self.write(status).await?;
        Ok(None)
    }

    async fn write_progress(&mut self) -> Done {
        let now = self.context.clock.now();
        let new = self.new.map(|at| &*self.sets[at]);
        let status = status::rollout(&self.deployment, new, &self.all(), now);
        let again = conditions::look_again(&self.deployment, &status, now);
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
        // What this sync writes after it is written over it.
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
