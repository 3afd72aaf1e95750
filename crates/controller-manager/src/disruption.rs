//! How many pods may be missing: what a disruption budget allows right now, which evictions are held to.

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

mod numbers;

use numbers::Wanted;

/// How long a pod that was to be evicted is counted as gone though it is still there.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

pub(super) struct Controller {
    context: Context,
}

/// Starts the controller's part in the informers; returns its queue and its work.
pub(super) fn controller(context: &Context) -> (WorkQueue, Controller) {
    let queue = WorkQueue::default();
    let budgets = queue.clone();
    context.informers.budgets.on_change(move |old, new| {
        if let Some(budget) = new.or(old) {
            budgets.add(Key::of(budget));
        }
    });
    let (of_pods, cache) = (queue.clone(), context.informers.budgets.clone());
    context.informers.pods.on_change(move |old, new| {
        for pod in [old, new].into_iter().flatten() {
            let budgets = cache.in_namespace(&pod.namespace().unwrap_or_default());
            let theirs = budgets.iter().filter(|budget| counts(budget, pod));
            theirs.for_each(|budget| of_pods.add(Key::of(&**budget)));
        }
    });
    // How many pods there are to be may change before any of them does.
    let (of_sets, cache) = (queue.clone(), context.informers.budgets.clone());
    context.informers.sets.on_change(move |_, set| {
        let namespace = set.and_then(kube::ResourceExt::namespace);
        for budget in cache.in_namespace(&namespace.unwrap_or_default()) {
            of_sets.add(Key::of(&*budget));
        }
    });
    (
        queue,
        Controller {
            context: context.clone(),
        },
    )
}

/// Whether the pod is one of those that the budget is about.
fn counts(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
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
        let mine = in_namespace.into_iter().filter(|pod| counts(&budget, pod));
        let mine: Vec<Arc<Pod>> = mine.collect();
        let (status, due) = self.status(&budget, &mine);
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
        Ok(due)
    }
}

impl Controller {
    /// What the budget allows, and when a pod that was to be evicted counts again.
    fn status(
        &self,
        budget: &PodDisruptionBudget,
        mine: &[Arc<Pod>],
    ) -> (PodDisruptionBudgetStatus, Option<Duration>) {
        let now = self.context.clock.now();
        let (disrupted, due) = still_disrupted(budget, mine, now);
        let is_healthy = |pod: &&Arc<Pod>| {
            pods::is_ready(pod) && pods::is_active(pod) && !disrupted.contains_key(&pod.name_any())
        };
        let healthy = count(mine.iter().filter(is_healthy).count());
        let there = count(mine.iter().filter(|pod| pods::is_active(pod)).count());
        let spec = budget.spec.as_ref();
        let wanted = numbers::wanted(
            spec.and_then(|spec| spec.min_available.as_ref()),
            spec.and_then(|spec| spec.max_unavailable.as_ref()),
            there,
            || self.asked_for(mine),
        );
        let Wanted {
            expected,
            healthy: desired,
        } = wanted;
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
        (status, due)
    }

    /// How many pods those ask for who keep these; pods that nobody keeps are not counted.
    fn asked_for(&self, mine: &[Arc<Pod>]) -> i32 {
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
                    self.of_deployment(&key, &set.metadata, of_set.unwrap_or(1))
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

    /// A replica set's deployment and what it asks for; without one, the set's own.
    fn of_deployment(&self, set: &Key, meta: &ObjectMeta, replicas: i32) -> (String, i32) {
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

/// Of the pods that were to be evicted those that are neither gone nor on their way, and not for too long.
fn still_disrupted(
    budget: &PodDisruptionBudget,
    mine: &[Arc<Pod>],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<Duration>) {
    let before = budget.status.as_ref();
    let before = before.and_then(|status| status.disrupted_pods.clone());
    let mut due = None;
    let mut disrupted = before.unwrap_or_default();
    disrupted.retain(|name, since| {
        let found = mine.iter().find(|pod| pod.name_any() == *name);
        let gone = found.is_none_or(|pod| pods::is_terminating(pod));
        let so_far = Duration::try_from(now.duration_since(since.0)).unwrap_or_default();
        let left = PATIENCE.saturating_sub(so_far);
        if gone || left.is_zero() {
            return false;
        }
        due = Some(due.map_or(left, |due: Duration| due.min(left)));
        true
    });
    (disrupted, due)
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
