//! Functions that the API server calls for objects of one kind when it creates or deletes them, as the strategies in
//! kube-apiserver's registry do.

use serde_json::{Value, json};

use super::qos_class;

/// Grace period of a pod without `terminationGracePeriodSeconds`.
const DEFAULT_GRACE_PERIOD_SECONDS: i64 = 30;

/// Namespaces that cannot be deleted (admission plugin `NamespaceLifecycle`).
pub(super) const IMMORTAL_NAMESPACES: &[&str] = &["default", "kube-system", "kube-public"];

/// Ignores the status that a client sends.
pub(super) fn reset_status(object: &mut Value) {
    object["status"] = json!({});
}

pub(super) fn prepare_new_namespace(object: &mut Value) {
    object["spec"] = json!({"finalizers": ["kubernetes"]});
    object["status"] = json!({"phase": "Active"});
}

pub(super) fn prepare_new_pod(object: &mut Value) {
    let class = qos_class(&object["spec"]);
    object["status"] = json!({"phase": "Pending", "qosClass": class});
}

pub(super) fn prepare_new_service(object: &mut Value) {
    object["status"] = json!({"loadBalancer": {}});
}

pub(super) fn set_phase_terminating(namespace: &mut Value) {
    namespace["status"]["phase"] = json!("Terminating");
}

/// Returns the grace period of a pod in seconds. A pod that cannot be running has none (`CheckGracefulDelete`).
pub(super) fn pod_grace_period_seconds(pod: &Value, requested: Option<i64>) -> i64 {
    let is_unscheduled = pod["spec"]["nodeName"]
        .as_str()
        .unwrap_or_default()
        .is_empty();
    let is_finished = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if is_unscheduled || is_finished {
        return 0;
    }
    let seconds = requested
        .or_else(|| pod["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(DEFAULT_GRACE_PERIOD_SECONDS);
    if seconds < 0 { 1 } else { seconds }
}
