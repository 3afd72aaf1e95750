//! Evictions: deletions that a disruption budget may forbid for now.

use std::sync::Arc;

use axum::response::Response;
use component_helpers::labels;
use http::StatusCode;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};

use super::body::Body;
use super::path::{Path, Reference};
use super::query::Query;
use super::{Api, Failure, read, update};
use crate::kinds::{self, Kind};

/// When a client that is refused may try again.
const AGAIN: u32 = 10;

/// Deletes a pod as its evictor asks, unless too many are missing already.
pub(super) fn respond(
    api: &Api,
    path: &Path,
    query: &Query,
    body: &Body,
) -> Result<Response, Failure> {
    let eviction = body.object()?;
    let options = Body::of(&eviction["deleteOptions"]);
    let whole = Path {
        subresource: None,
        ..path.clone()
    };
    let name = path.name.as_deref().unwrap_or_default();
    let pod = read::object(api, &whole, name)?;
    if !may_always_go(&pod) {
        update::again(path, false, || within_budget(api, &whole, query, &pod))?;
    }
    super::delete::respond(api, &whole, query, &options)?;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(super::json(StatusCode::CREATED, &done))
}

/// Whoever does not serve is not missed.
fn may_always_go(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str();
    matches!(phase, Some("Succeeded" | "Failed" | "Pending"))
        || !pod["metadata"]["deletionTimestamp"].is_null()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn kind() -> &'static Kind {
    kinds::find("policy", "v1", "poddisruptionbudgets").expect("budgets are served")
}

/// Takes the pod from its budget's account, if it has one.
fn within_budget(api: &Api, path: &Path, query: &Query, pod: &Arc<Value>) -> Result<(), Failure> {
    let own = labels_of(pod);
    let resource = super::path::resource(kind());
    let (budgets, _) = api.store.list(&resource, path.namespace.as_deref());
    let about = |budget: &&Arc<Value>| {
        let typed = serde_json::from_value::<PodDisruptionBudget>((***budget).clone());
        let selector = typed.ok().and_then(|budget| budget.spec?.selector);
        selector.is_some_and(|selector| labels::selector_matches(&selector, Some(&own)))
    };
    match budgets.iter().filter(about).collect::<Vec<_>>()[..] {
        [] => Ok(()),
        [budget] => take(api, path, query, budget, pod),
        _ => Err(Failure::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )),
    }
}

fn labels_of(pod: &Value) -> labels::Labels {
    let labels = pod["metadata"]["labels"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    labels
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

fn take(
    api: &Api,
    path: &Path,
    query: &Query,
    budget: &Arc<Value>,
    pod: &Value,
) -> Result<(), Failure> {
    let (spec, status) = (&budget["spec"], &budget["status"]);
    let name = budget["metadata"]["name"].as_str().unwrap_or_default();
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let (healthy, desired) = (number("currentHealthy"), number("desiredHealthy"));
    if !is_ready(pod) {
        let enough = healthy >= desired && desired > 0;
        if enough || spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow" {
            return Ok(());
        }
    }
    if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or(0) {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(Failure::too_many_disruptions(&why, AGAIN));
    }
    if number("disruptionsAllowed") < 1 {
        let why = format!(
            "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        );
        return Err(Failure::too_many_disruptions(&why, AGAIN));
    }
    if query.dry_run() {
        return Ok(());
    }
    let mut taken = (**budget).clone();
    taken["status"]["disruptionsAllowed"] = json!(number("disruptionsAllowed") - 1);
    let evicted = pod["metadata"]["name"].as_str().unwrap_or_default();
    let now = api.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    taken["status"]["disruptedPods"][evicted] = json!(now);
    let of_budget = Path {
        kind: Reference(kind()),
        name: Some(name.to_owned()),
        ..path.clone()
    };
    update::write(api, &of_budget, budget, taken).map(drop)
}

#[cfg(test)]
mod tests;
