//! The subresource `eviction`: deletes a pod unless a disruption budget does not allow it now.

use std::sync::Arc;

use axum::response::Response;
use component_helpers::labels;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};

use super::body::Body;
use super::query::Query;
use super::request_info::{RequestInfo, store_resource};
use super::update::{self, OnConflict};
use super::{Api, StatusError, meta, read, status};
use crate::kinds::{self, Kind};

/// Value of `retryAfterSeconds` for an eviction that a budget does not allow.
const RETRY_AFTER_SECONDS: u32 = 10;

pub(super) fn respond(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    body: &Body,
) -> Result<Response, StatusError> {
    let eviction = body.object()?;
    let options = Body::from_json(&eviction["deleteOptions"]);
    let pod_info = RequestInfo {
        subresource: None,
        ..info.clone()
    };
    let name = info.name.as_deref().unwrap_or_default();
    let pod = read::object(api, &pod_info, name)?;
    if !can_ignore_pdb(&pod) {
        update::retry_on_conflict(info, OnConflict::Retry, || {
            charge_budget(api, &pod_info, query, &pod)
        })?;
    }
    super::delete::respond(api, &pod_info, query, &options)?;
    Ok(status::created())
}

/// Returns `true` for pods that are finished, pending or already terminating: they do not count as healthy, so their
/// eviction is no disruption (`canIgnorePDB`).
fn can_ignore_pdb(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str();
    matches!(phase, Some("Succeeded" | "Failed" | "Pending")) || meta::is_being_deleted(pod)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn budget_kind() -> &'static Kind {
    kinds::find("policy", "v1", "poddisruptionbudgets").expect("budgets are served")
}

/// Charges the disruption to the budget that selects the pod, if there is one. Fails if the budget does not allow it.
fn charge_budget(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    pod: &Arc<Value>,
) -> Result<(), StatusError> {
    let pod_labels = pod_labels(pod);
    let resource = store_resource(budget_kind());
    let (budgets, _) = api.store.list(&resource, info.namespace.as_deref());
    let selects_pod = |budget: &&Arc<Value>| {
        let typed = serde_json::from_value::<PodDisruptionBudget>((***budget).clone());
        let selector = typed.ok().and_then(|budget| budget.spec?.selector);
        selector.is_some_and(|selector| labels::selector_matches(&selector, Some(&pod_labels)))
    };
    match budgets.iter().filter(selects_pod).collect::<Vec<_>>()[..] {
        [] => Ok(()),
        [budget] => check_and_decrement(api, info, query, budget, pod),
        _ => Err(StatusError::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )),
    }
}

fn pod_labels(pod: &Value) -> labels::Labels {
    let labels = pod["metadata"]["labels"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    labels
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

/// Decrements `disruptionsAllowed` of a budget and records the pod in `disruptedPods` (`checkAndDecrement`). An unhealthy
/// pod is not charged if `unhealthyPodEvictionPolicy` permits its eviction.
fn check_and_decrement(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    budget: &Arc<Value>,
    pod: &Value,
) -> Result<(), StatusError> {
    let (spec, status) = (&budget["spec"], &budget["status"]);
    let name = budget["metadata"]["name"].as_str().unwrap_or_default();
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let (healthy, desired) = (number("currentHealthy"), number("desiredHealthy"));
    if !is_ready(pod) {
        let has_enough_healthy = healthy >= desired && desired > 0;
        if has_enough_healthy || spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow" {
            return Ok(());
        }
    }
    if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or(0) {
        let reason =
            format!("The disruption budget {name} is still being processed by the server.");
        return Err(StatusError::too_many_disruptions(
            &reason,
            RETRY_AFTER_SECONDS,
        ));
    }
    if number("disruptionsAllowed") < 1 {
        let reason = format!(
            "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        );
        return Err(StatusError::too_many_disruptions(
            &reason,
            RETRY_AFTER_SECONDS,
        ));
    }
    if query.is_dry_run() {
        return Ok(());
    }
    let mut charged = (**budget).clone();
    charged["status"]["disruptionsAllowed"] = json!(number("disruptionsAllowed") - 1);
    let evicted = pod["metadata"]["name"].as_str().unwrap_or_default();
    charged["status"]["disruptedPods"][evicted] = meta::rfc3339_seconds(api.clock.now());
    let budget_info = RequestInfo {
        kind: budget_kind(),
        name: Some(name.to_owned()),
        ..info.clone()
    };
    update::write(api, &budget_info, budget, charged).map(drop)
}

#[cfg(test)]
mod tests;
