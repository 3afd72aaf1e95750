//! Disruption controller: computes the number of disruptions that a budget allows, which the eviction API enforces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::Context;
use component_helpers::labels;
use component_helpers::pods;
use component_helpers::work_queue::{Key, Reconcile, WorkQueue};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::ResourceExt as _;
use kube::api::{Api, PostParams};

use super::Error;
use super::meta::controller_of;

mod expected_pods;

use expected_pods::ExpectedPods;

/// Time for which an evicted pod counts as disrupted although it still exists (upstream's `DeletionTimeout`).
const DELETION_TIMEOUT: Duration = Duration::from_secs(2 * 60);

pub(super) struct Controller {
    context: Context,
}

/// Registers the controller's handlers; returns its queue and its reconciler.
pub(super) fn controller(context: &Context) -> (WorkQueue, Controller) {
    let queue = WorkQueue::default();
    let budgets = queue.clone();
    context.informers.budgets.on_change(move |old, new| {
        if let Some(budget) = new.or(old) {
            budgets.add(Key::from_object(budget));
        }
    });
    let (of_pods, cache) = (queue.clone(), context.informers.budgets.clone());
    context.informers.pods.on_change(move |old, new| {
        for pod in [old, new].into_iter().flatten() {
            let budgets = cache.in_namespace(&pod.namespace().unwrap_or_default());
            let theirs = budgets.iter().filter(|budget| is_covered(budget, pod));
            theirs.for_each(|budget| of_pods.add(Key::from_object(&**budget)));
        }
    });
    // The expected number of pods can change before any pod does.
    let (of_sets, cache) = (queue.clone(), context.informers.budgets.clone());
    context.informers.sets.on_change(move |_, set| {
        let namespace = set.and_then(kube::ResourceExt::namespace);
        for budget in cache.in_namespace(&namespace.unwrap_or_default()) {
            of_sets.add(Key::from_object(&*budget));
        }
    });
    (
        queue,
        Controller {
            context: context.clone(),
        },
    )
}

/// Returns `true` if the budget's selector matches the pod, and the pod is not terminal.
fn is_covered(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let spec = budget.spec.as_ref();
    let selector = spec.and_then(|spec| spec.selector.as_ref());
    selector
        .is_some_and(|selector| labels::selector_matches(selector, pod.metadata.labels.as_ref()))
}

#[async_trait]
impl Reconcile for Controller {
    type Error = Error;

    async fn sync(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let Some(budget) = self.context.informers.budgets.get(key) else {
            return Ok(None);
        };
        let in_namespace = self.context.informers.pods.in_namespace(&key.namespace);
        let mine = in_namespace
            .into_iter()
            .filter(|pod| is_covered(&budget, pod));
        let mine: Vec<Arc<Pod>> = mine.collect();
        let (status, requeue_after) = self.status(&budget, &mine);
        if budget.status.as_ref() != Some(&status) {
            let update = PodDisruptionBudget {
                status: Some(status),
                ..(*budget).clone()
            };
            let api: Api<PodDisruptionBudget> =
                Api::namespaced(self.context.client.clone(), &key.namespace);
            let written = api
                .replace_status(&key.name, &PostParams::default(), &update)
                .await?;
            let cache = &self.context.informers.budgets;
            cache.wait_for_resource_version(&written.metadata).await;
        }
        Ok(requeue_after)
    }
}

impl Controller {
    /// Returns the budget's status, and the time until an evicted pod that still exists counts again.
    fn status(
        &self,
        budget: &PodDisruptionBudget,
        mine: &[Arc<Pod>],
    ) -> (PodDisruptionBudgetStatus, Option<Duration>) {
        let now = self.context.clock.now();
        let (disrupted, recheck_after) = pods_awaiting_deletion(budget, mine, now);
        let is_healthy = |pod: &&Arc<Pod>| {
            pods::is_ready(pod) && pods::is_active(pod) && !disrupted.contains_key(&pod.name_any())
        };
        let healthy = count(mine.iter().filter(is_healthy).count());
        let pod_count = count(mine.iter().filter(|pod| pods::is_active(pod)).count());
        let spec = budget.spec.as_ref();
        let expected_pods = expected_pods::compute(
            spec.and_then(|spec| spec.min_available.as_ref()),
            spec.and_then(|spec| spec.max_unavailable.as_ref()),
            pod_count,
            || self.expected_scale(mine),
        );
        let ExpectedPods {
            expected,
            healthy: desired,
        } = expected_pods;
        let allowed = if expected > 0 {
            (healthy - desired).max(0)
        } else {
            0
        };
        let before = budget.status.as_ref();
        let conditions = before.and_then(|status| status.conditions.as_deref());
        let status = PodDisruptionBudgetStatus {
            conditions: Some(vec![condition(budget, conditions, allowed, now)]),
            current_healthy: Some(healthy),
            desired_healthy: Some(desired),
            disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
            disruptions_allowed: Some(allowed),
            expected_pods: Some(expected),
            observed_generation: budget.metadata.generation,
        };
        (status, recheck_after)
    }

    /// Sums the desired replicas of the controllers that own these pods; unmanaged pods do not count (`getExpectedScale`).
    fn expected_scale(&self, mine: &[Arc<Pod>]) -> i32 {
        let informers = &self.context.informers;
        let mut keepers = BTreeMap::new();
        for pod in mine {
            let Some(owner) = controller_of(&pod.metadata) else {
                continue;
            };
            let key = Key::new(&pod.namespace().unwrap_or_default(), &owner.name);
            let replicas = match owner.kind.as_str() {
                "ReplicaSet" => informers.sets.get(&key).map(|set| {
                    let of_set = set.spec.as_ref().and_then(|spec| spec.replicas);
                    self.deployment_scale(&key, &set.metadata, of_set.unwrap_or(1))
                }),
                "ReplicationController" => informers.replication_controllers.get(&key).map(|one| {
                    let replicas = one.spec.as_ref().and_then(|spec| spec.replicas);
                    (owner.uid.clone(), replicas.unwrap_or(1))
                }),
                _ => None,
            };
            keepers.extend(replicas);
        }
        keepers.values().sum()
    }

    /// Returns key and replicas of a replica set's deployment, or of the set itself if no deployment owns it.
    fn deployment_scale(&self, set: &Key, meta: &ObjectMeta, replicas: i32) -> (String, i32) {
        let owner = controller_of(meta).filter(|owner| owner.kind == "Deployment");
        let found = owner.and_then(|owner| {
            let key = Key::new(&set.namespace, &owner.name);
            self.context.informers.deployments.get(&key)
        });
        match found {
            Some(deployment) => {
                let asked = deployment.spec.as_ref().and_then(|spec| spec.replicas);
                (deployment.uid().unwrap_or_default(), asked.unwrap_or(1))
            }
            None => (meta.uid.clone().unwrap_or_default(), replicas),
        }
    }
}

/// Returns the evicted pods that exist, are not terminating, and were evicted less than `DELETION_TIMEOUT` ago.
fn pods_awaiting_deletion(
    budget: &PodDisruptionBudget,
    mine: &[Arc<Pod>],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<Duration>) {
    let before = budget.status.as_ref();
    let before = before.and_then(|status| status.disrupted_pods.clone());
    let mut requeue_after = None;
    let mut disrupted = before.unwrap_or_default();
    disrupted.retain(|name, since| {
        let found = mine.iter().find(|pod| pod.name_any() == *name);
        let is_removed = found.is_none_or(|pod| pods::is_terminating(pod));
        let so_far = Duration::try_from(now.duration_since(since.0)).unwrap_or_default();
        let left = DELETION_TIMEOUT.saturating_sub(so_far);
        if is_removed || left.is_zero() {
            return false;
        }
        requeue_after =
            Some(requeue_after.map_or(left, |requeue_after: Duration| requeue_after.min(left)));
        true
    });
    (disrupted, requeue_after)
}

fn condition(
    budget: &PodDisruptionBudget,
    before: Option<&[Condition]>,
    allowed: i32,
    now: Timestamp,
) -> Condition {
    let (status, reason) = if allowed > 0 {
        ("True", "SufficientPods")
    } else {
        ("False", "InsufficientPods")
    };
    let same = before
        .into_iter()
        .flatten()
        .find(|one| one.status == status);
    Condition {
        type_: "DisruptionAllowed".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        observed_generation: budget.metadata.generation,
        last_transition_time: same.map_or(Time(now), |one| one.last_transition_time.clone()),
    }
}

fn count(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}
