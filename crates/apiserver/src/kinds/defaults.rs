//! Defaults that the API server sets for missing fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{HTTPGetAction, Probe};
use probe::ProbeKind;
use probe::spec;
use serde_json::{Value, json};

/// Sets a field unless it has a value.
fn set_default(object: &mut Value, field: &str, value: Value) {
    if object.is_object() && object[field].is_null() {
        object[field] = value;
    }
}

fn each<'a>(list: &'a mut Value) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    list.as_array_mut().into_iter().flatten()
}

/// Returns the value of an existing field.
fn present<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    object.get_mut(field).filter(|value| !value.is_null())
}

pub(super) fn pod(pod: &mut Value) {
    let Some(spec) = present(pod, "spec") else {
        return;
    };
    set_default(spec, "enableServiceLinks", json!(true));
    set_default(spec, "serviceAccountName", json!("default"));
    set_default(spec, "preemptionPolicy", json!("PreemptLowerPriority"));
    set_default(spec, "priority", json!(0));
    pod_spec(spec);
    for container in each(&mut spec["containers"]) {
        requests_from_limits(container);
    }
}

fn requests_from_limits(container: &mut Value) {
    let limits = container["resources"]["limits"].clone();
    for (name, limit) in limits.as_object().into_iter().flatten() {
        set_default(&mut container["resources"], "requests", json!({}));
        set_default(&mut container["resources"]["requests"], name, limit.clone());
    }
}

fn pod_spec(spec: &mut Value) {
    set_default(spec, "restartPolicy", json!("Always"));
    set_default(spec, "terminationGracePeriodSeconds", json!(30));
    set_default(spec, "dnsPolicy", json!("ClusterFirst"));
    set_default(spec, "schedulerName", json!("default-scheduler"));
    set_default(spec, "securityContext", json!({}));
    for list in ["initContainers", "containers"] {
        if let Some(containers) = present(spec, list) {
            each(containers).for_each(container);
        }
    }
    if let Some(volumes) = present(spec, "volumes") {
        each(volumes).for_each(volume);
    }
}

fn container(container: &mut Value) {
    let policy = pull_policy(container["image"].as_str().unwrap_or_default());
    set_default(container, "imagePullPolicy", json!(policy));
    set_default(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    set_default(container, "terminationMessagePolicy", json!("File"));
    set_default(container, "resources", json!({}));
    if let Some(ports) = present(container, "ports") {
        for port in each(ports) {
            set_default(port, "protocol", json!("TCP"));
        }
    }
    if let Some(env) = present(container, "env") {
        for variable in each(env) {
            if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
                set_default(field, "apiVersion", json!("v1"));
            }
        }
    }
    for kind in ProbeKind::ALL {
        if let Some(probe) = present(container, kind.field()) {
            with_type::<Probe>(probe, spec::set_defaults);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(get) = container.pointer_mut(&format!("/lifecycle/{hook}/httpGet")) {
            with_type::<HTTPGetAction>(get, spec::set_http_get_defaults);
        }
    }
}

/// Applies defaults to the Rust type of a value. A value that does not parse is left to validation.
fn with_type<T: serde::de::DeserializeOwned + serde::Serialize>(
    value: &mut Value,
    default: fn(&mut T),
) {
    if let Ok(mut parsed) = serde_json::from_value::<T>(value.clone()) {
        default(&mut parsed);
        if let Ok(defaulted) = serde_json::to_value(parsed) {
            *value = defaulted;
        }
    }
}

/// Returns the default pull policy: `Always` for the tag `latest`, whose image can change.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or_default();
    let pinned = name.contains('@') || name.split_once(':').is_some_and(|(_, tag)| tag != "latest");
    if pinned { "IfNotPresent" } else { "Always" }
}

fn volume(volume: &mut Value) {
    for (source, mode) in [
        ("configMap", "defaultMode"),
        ("secret", "defaultMode"),
        ("downwardAPI", "defaultMode"),
        ("projected", "defaultMode"),
    ] {
        if let Some(source) = present(volume, source) {
            set_default(source, mode, json!(0o644));
        }
    }
    let no_source = volume
        .as_object()
        .is_some_and(|volume| volume.keys().all(|key| key == "name"));
    if no_source {
        volume["emptyDir"] = json!({});
    }
}

pub(super) fn deployment(deployment: &mut Value) {
    let Some(spec) = present(deployment, "spec") else {
        return;
    };
    set_default(spec, "replicas", json!(1));
    set_default(spec, "revisionHistoryLimit", json!(10));
    set_default(spec, "progressDeadlineSeconds", json!(600));
    set_default(spec, "strategy", json!({}));
    set_default(&mut spec["strategy"], "type", json!("RollingUpdate"));
    if spec["strategy"]["type"] == "RollingUpdate" {
        set_default(&mut spec["strategy"], "rollingUpdate", json!({}));
        let rolling = &mut spec["strategy"]["rollingUpdate"];
        set_default(rolling, "maxUnavailable", json!("25%"));
        set_default(rolling, "maxSurge", json!("25%"));
    }
    template(spec);
}

pub(super) fn replica_set(set_: &mut Value) {
    if let Some(spec) = present(set_, "spec") {
        set_default(spec, "replicas", json!(1));
        template(spec);
    }
}

/// Sets selector and labels from the template's labels.
pub(super) fn replication_controller(controller: &mut Value) {
    let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
    if let Some(spec) = present(controller, "spec") {
        set_default(spec, "replicas", json!(1));
        template(spec);
        if labels.is_object() {
            set_default(spec, "selector", labels.clone());
        }
    }
    if labels.is_object()
        && let Some(metadata) = present(controller, "metadata")
    {
        set_default(metadata, "labels", labels);
    }
}

pub(super) fn pod_template(holder: &mut Value) {
    template(holder);
}

fn template(spec: &mut Value) {
    if let Some(pod) = spec
        .pointer_mut("/template/spec")
        .filter(|spec| spec.is_object())
    {
        pod_spec(pod);
    }
}

/// Moves `stringData` to `data`, encoded in base64.
pub(super) fn secret(secret: &mut Value) {
    set_default(secret, "type", json!("Opaque"));
    let Some(given) = secret
        .as_object_mut()
        .and_then(|secret| secret.remove("stringData"))
    else {
        return;
    };
    set_default(secret, "data", json!({}));
    for (key, text) in given.as_object().into_iter().flatten() {
        let text = text.as_str().unwrap_or_default();
        secret["data"][key] = json!(STANDARD.encode(text));
    }
}

pub(super) fn service(service: &mut Value) {
    let Some(spec) = present(service, "spec") else {
        return;
    };
    set_default(spec, "type", json!("ClusterIP"));
    set_default(spec, "sessionAffinity", json!("None"));
    if spec["sessionAffinity"] == "ClientIP" {
        set_default(spec, "sessionAffinityConfig", json!({}));
        let config = &mut spec["sessionAffinityConfig"];
        set_default(config, "clientIP", json!({}));
        set_default(&mut config["clientIP"], "timeoutSeconds", json!(10_800));
    } else if let Some(spec) = spec.as_object_mut() {
        spec.remove("sessionAffinityConfig");
    }
    if spec["type"] != "ExternalName" {
        set_default(spec, "internalTrafficPolicy", json!("Cluster"));
        set_default(spec, "ipFamilies", json!(["IPv4"]));
        set_default(spec, "ipFamilyPolicy", json!("SingleStack"));
    }
    if matches!(spec["type"].as_str(), Some("LoadBalancer" | "NodePort")) {
        set_default(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if spec["type"] == "LoadBalancer" {
        set_default(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    if let Some(ports) = present(spec, "ports") {
        for port in each(ports) {
            set_default(port, "protocol", json!("TCP"));
            let number = port["port"].clone();
            if matches!(&port["targetPort"], Value::Null)
                || port["targetPort"] == json!(0)
                || port["targetPort"] == json!("")
            {
                port["targetPort"] = number;
            }
        }
    }
}

#[cfg(test)]
mod tests;
