//! Validation of pods and pod templates.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};
use probe::ProbeKind;
use probe::spec;
use serde_json::Value;

use super::{lifecycle, metadata, pod_update, restart_policy};
use crate::kinds::FieldError;
use crate::kinds::names;

/// Maximum of `activeDeadlineSeconds`.
const MAX_ACTIVE_DEADLINE_SECONDS: i64 = 0x7fff_ffff;

pub(in crate::kinds) fn pod(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = metadata(new, old, names::subdomain);
    match old {
        None => errors.extend(pod_spec(&new["spec"], "spec")),
        Some(old) => errors.extend(pod_update::validate(&new["spec"], &old["spec"])),
    }
    errors
}

/// Validates a pod spec at `path`.
pub(super) fn pod_spec(value: &Value, path: &str) -> Vec<FieldError> {
    // A spec that does not parse was rejected by the decoder.
    let Ok(pod) = serde_json::from_value::<PodSpec>(value.clone()) else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    let volumes = pod.volumes.unwrap_or_default();
    errors.extend(validate_volumes(&volumes, &format!("{path}.volumes")));
    let known: BTreeSet<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    if pod.containers.is_empty() {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let grace = pod.termination_grace_period_seconds;
    let inits = pod.init_containers.iter().flatten();
    let inits = inits.enumerate().map(|all| ("initContainers", all));
    let regular = pod.containers.iter().enumerate();
    let mut taken = BTreeSet::new();
    for (list, (at, container)) in inits.chain(regular.map(|all| ("containers", all))) {
        let path = format!("{path}.{list}[{at}]");
        errors.extend(validate_container(container, &known, &path));
        errors.extend(lifecycle::validate(container, grace.unwrap_or(30), &path));
        if list == "initContainers" {
            errors.extend(validate_init(container, &path));
        } else {
            errors.extend(restart_policy::validate(container, &path));
        }
        if !container.name.is_empty() && !taken.insert(&container.name) {
            errors.push(FieldError::duplicate(
                format!("{path}.name"),
                &container.name,
            ));
        }
    }
    let policy = pod.restart_policy.as_deref().unwrap_or_default();
    if !matches!(policy, "Always" | "OnFailure" | "Never") {
        let field = format!("{path}.restartPolicy");
        errors.push(FieldError::unsupported(
            field,
            policy,
            &["Always", "OnFailure", "Never"],
        ));
    }
    let config = pod.dns_config.as_ref();
    let servers = config.and_then(|config| config.nameservers.as_ref());
    if pod.dns_policy.as_deref() == Some("None") && servers.is_none_or(Vec::is_empty) {
        errors.push(FieldError::required(
            format!("{path}.dnsConfig.nameservers"),
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        ));
    }
    let deadline = pod.active_deadline_seconds;
    if let Some(seconds) =
        deadline.filter(|seconds| !(1..=MAX_ACTIVE_DEADLINE_SECONDS).contains(seconds))
    {
        errors.push(FieldError::invalid(
            format!("{path}.activeDeadlineSeconds"),
            seconds.to_string(),
            "must be between 1 and 2147483647, inclusive",
        ));
    }
    errors.extend(spec::field::validate_not_negative(
        format!("{path}.terminationGracePeriodSeconds"),
        grace,
    ));
    errors
}

/// Validates an init container. Only restartable ones may have probes and hooks.
fn validate_init(container: &Container, path: &str) -> Vec<FieldError> {
    let policy = container.restart_policy.as_deref();
    if policy == Some("Always") {
        return Vec::new();
    }
    let mut errors = Vec::new();
    if let Some(policy) = policy {
        let field = format!("{path}.restartPolicy");
        errors.push(FieldError::unsupported(field, policy, &["Always"]));
    }
    for (name, is_set) in [
        ("lifecycle", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
    ] {
        if is_set {
            errors.push(FieldError::forbidden(
                format!("{path}.{name}"),
                "may not be set for init containers without restartPolicy=Always",
            ));
        }
    }
    errors
}

fn validate_volumes(volumes: &[Volume], path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut taken = BTreeSet::new();
    for (at, volume) in volumes.iter().enumerate() {
        let field = format!("{path}[{at}].name");
        errors.extend(name(&volume.name, &field));
        if !taken.insert(&volume.name) {
            errors.push(FieldError::duplicate(field, &volume.name));
        }
    }
    errors
}

/// Validates a required name, which must be a label.
fn name(name: &str, field: &str) -> Vec<FieldError> {
    if name.is_empty() {
        return vec![FieldError::required(field, "")];
    }
    let broken = names::label(name).into_iter();
    broken
        .map(|detail| FieldError::invalid(field, format!("{name:?}"), detail))
        .collect()
}

fn validate_container(
    container: &Container,
    volumes: &BTreeSet<&str>,
    path: &str,
) -> Vec<FieldError> {
    let mut errors = name(&container.name, &format!("{path}.name"));
    if container.image.as_deref().is_none_or(str::is_empty) {
        errors.push(FieldError::required(format!("{path}.image"), ""));
    }
    errors.extend(ports(container, path));
    for (at, variable) in container.env.iter().flatten().enumerate() {
        let field = format!("{path}.env[{at}].name");
        if variable.name.is_empty() {
            errors.push(FieldError::required(field, ""));
            continue;
        }
        let broken = names::environment(&variable.name).into_iter();
        errors.extend(
            broken
                .map(|detail| FieldError::invalid(&field, format!("{:?}", variable.name), detail)),
        );
        if variable.value_from.is_some()
            && variable
                .value
                .as_deref()
                .is_some_and(|value| !value.is_empty())
        {
            let field = format!("{path}.env[{at}].valueFrom");
            errors.push(FieldError::invalid(
                field,
                "\"\"",
                "may not be specified when `value` is not empty",
            ));
        }
    }
    errors.extend(mounts(container, volumes, path));
    let probes = [
        (ProbeKind::Liveness, &container.liveness_probe),
        (ProbeKind::Readiness, &container.readiness_probe),
        (ProbeKind::Startup, &container.startup_probe),
    ];
    for (kind, probe) in probes {
        if let Some(probe) = probe {
            let path = format!("{path}.{}", kind.field());
            errors.extend(spec::validate(probe, kind, &path));
        }
    }
    let policy = container.image_pull_policy.as_deref().unwrap_or_default();
    if !matches!(policy, "Always" | "IfNotPresent" | "Never") {
        let field = format!("{path}.imagePullPolicy");
        errors.push(FieldError::unsupported(
            field,
            policy,
            &["Always", "IfNotPresent", "Never"],
        ));
    }
    errors
}

fn ports(container: &Container, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut taken = BTreeSet::new();
    for (at, port) in container.ports.iter().flatten().enumerate() {
        let path = format!("{path}.ports[{at}]");
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let field = format!("{path}.name");
            let broken = spec::validate_port_name(name).into_iter();
            errors.extend(
                broken.map(|detail| FieldError::invalid(&field, format!("{name:?}"), detail)),
            );
            if !taken.insert(name) {
                errors.push(FieldError::duplicate(field, name));
            }
        }
        let number =
            k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(port.container_port);
        errors.extend(spec::validate_port(
            &number,
            &format!("{path}.containerPort"),
        ));
        let protocol = port.protocol.as_deref().unwrap_or_default();
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            let field = format!("{path}.protocol");
            errors.push(FieldError::unsupported(
                field,
                protocol,
                &["SCTP", "TCP", "UDP"],
            ));
        }
    }
    errors
}

fn mounts(container: &Container, volumes: &BTreeSet<&str>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut taken = BTreeSet::new();
    for (at, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = format!("{path}.volumeMounts[{at}]");
        if mount.name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else if !volumes.contains(mount.name.as_str()) {
            errors.push(FieldError::not_found(format!("{path}.name"), &mount.name));
        }
        let field = format!("{path}.mountPath");
        if mount.mount_path.is_empty() {
            errors.push(FieldError::required(field, ""));
        } else if !taken.insert(&mount.mount_path) {
            errors.push(FieldError::invalid(
                field,
                format!("{:?}", mount.mount_path),
                "must be unique",
            ));
        }
        let sub_path = mount.sub_path.as_deref().unwrap_or_default();
        let field = format!("{path}.subPath");
        if sub_path.starts_with('/') {
            errors.push(FieldError::invalid(
                field,
                format!("{sub_path:?}"),
                "must be a relative path",
            ));
        } else if sub_path.split('/').any(|part| part == "..") {
            errors.push(FieldError::invalid(
                field,
                format!("{sub_path:?}"),
                "must not contain '..'",
            ));
        }
    }
    errors
}
