//! What the API server fills in where a manifest is silent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{HTTPGetAction, Probe};
use probe::ProbeKind;
use probe::spec;
use serde_json::{Value, json};

/// Gives a field its value unless it has one.
fn set(object: &mut Value, field: &str, value: Value) {
    if object.is_object() && object[field].is_null() {
        object[field] = value;
    }
}

fn each<'a>(list: &'a mut Value) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    list.as_array_mut().into_iter().flatten()
}

/// The value of a field that is there.
fn present<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    object.get_mut(field).filter(|value| !value.is_null())
}

pub(super) fn pod(pod: &mut Value) {
    let Some(spec) = present(pod, "spec") else {
        return;
    };
    set(spec, "enableServiceLinks", json!(true));
    set(spec, "serviceAccountName", json!("default"));
    set(spec, "preemptionPolicy", json!("PreemptLowerPriority"));
    set(spec, "priority", json!(0));
    pod_spec(spec);
    for container in each(&mut spec["containers"]) {
        requests_from_limits(container);
    }
}

fn requests_from_limits(container: &mut Value) {
    let limits = container["resources"]["limits"].clone();
    for (name, limit) in limits.as_object().into_iter().flatten() {
        set(&mut container["resources"], "requests", json!({}));
        set(&mut container["resources"]["requests"], name, limit.clone());
    }
}

fn pod_spec(spec: &mut Value) {
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "schedulerName", json!("default-scheduler"));
    set(spec, "securityContext", json!({}));
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
    set(container, "imagePullPolicy", json!(policy));
    set(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    set(container, "terminationMessagePolicy", json!("File"));
    set(container, "resources", json!({}));
    if let Some(ports) = present(container, "ports") {
        for port in each(ports) {
            set(port, "protocol", json!("TCP"));
        }
    }
    if let Some(env) = present(container, "env") {
        for variable in each(env) {
            if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
                set(field, "apiVersion", json!("v1"));
            }
        }
    }
    for kind in ProbeKind::ALL {
        if let Some(probe) = present(container, kind.field()) {
            typed::<Probe>(probe, spec::set_defaults);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(get) = container.pointer_mut(&format!("/lifecycle/{hook}/httpGet")) {
            typed::<HTTPGetAction>(get, spec::set_http_get_defaults);
        }
    }
}

/// Defaults something in its Rust type; what does not parse is left for validation.
fn typed<T: serde::de::DeserializeOwned + serde::Serialize>(
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

/// What is called latest changes under its name.
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
            set(source, mode, json!(0o644));
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
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "progressDeadlineSeconds", json!(600));
    set(spec, "strategy", json!({}));
    set(&mut spec["strategy"], "type", json!("RollingUpdate"));
    if spec["strategy"]["type"] == "RollingUpdate" {
        set(&mut spec["strategy"], "rollingUpdate", json!({}));
        let rolling = &mut spec["strategy"]["rollingUpdate"];
        set(rolling, "maxUnavailable", json!("25%"));
        set(rolling, "maxSurge", json!("25%"));
    }
    template(spec);
}

pub(super) fn replica_set(set_: &mut Value) {
    if let Some(spec) = present(set_, "spec") {
        set(spec, "replicas", json!(1));
        template(spec);
    }
}

/// What its template's labels are stands for what it does not say.
pub(super) fn replication_controller(controller: &mut Value) {
    let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
    if let Some(spec) = present(controller, "spec") {
        set(spec, "replicas", json!(1));
        template(spec);
        if labels.is_object() {
            set(spec, "selector", labels.clone());
        }
    }
    if labels.is_object()
        && let Some(metadata) = present(controller, "metadata")
    {
        set(metadata, "labels", labels);
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

/// What is given as text is kept as data.
pub(super) fn secret(secret: &mut Value) {
    set(secret, "type", json!("Opaque"));
    let Some(given) = secret
        .as_object_mut()
        .and_then(|secret| secret.remove("stringData"))
    else {
        return;
    };
    set(secret, "data", json!({}));
    for (key, text) in given.as_object().into_iter().flatten() {
        let text = text.as_str().unwrap_or_default();
        secret["data"][key] = json!(STANDARD.encode(text));
    }
}

pub(super) fn service(service: &mut Value) {
    let Some(spec) = present(service, "spec") else {
        return;
    };
    set(spec, "type", json!("ClusterIP"));
    set(spec, "sessionAffinity", json!("None"));
    if spec["sessionAffinity"] == "ClientIP" {
        set(spec, "sessionAffinityConfig", json!({}));
        let config = &mut spec["sessionAffinityConfig"];
        set(config, "clientIP", json!({}));
        set(&mut config["clientIP"], "timeoutSeconds", json!(10_800));
    } else if let Some(spec) = spec.as_object_mut() {
        spec.remove("sessionAffinityConfig");
    }
    if spec["type"] != "ExternalName" {
        set(spec, "internalTrafficPolicy", json!("Cluster"));
        set(spec, "ipFamilies", json!(["IPv4"]));
        set(spec, "ipFamilyPolicy", json!("SingleStack"));
    }
    if matches!(spec["type"].as_str(), Some("LoadBalancer" | "NodePort")) {
        set(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if spec["type"] == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    if let Some(ports) = present(spec, "ports") {
        for port in each(ports) {
            set(port, "protocol", json!("TCP"));
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
