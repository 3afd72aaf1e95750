//! Fields that would change behaviour and that this node does not honour: rejected, or reported in a warning.

use serde_json::Value;

use super::Unsupported;

/// Volume sources that this node supports.
const VOLUMES: [&str; 6] = [
    "name",
    "emptyDir",
    "configMap",
    "secret",
    "downwardAPI",
    "projected",
];
/// Supported sources of projected volumes.
const PROJECTED: [&str; 3] = ["configMap", "secret", "downwardAPI"];
const NO_VOLUME: &str =
    "this node has volumes of the kinds emptyDir, configMap, secret, downwardAPI and projected";
const NO_PROJECTION: &str = "this node projects configMap, secret and downwardAPI";

fn field(path: String, message: &str, is_rejected: bool) -> Unsupported {
    Unsupported {
        field: path,
        message: message.to_owned(),
        is_rejected,
    }
}

pub(super) fn pod(pod: &Value) -> Vec<Unsupported> {
    pod_spec(&pod["spec"], "spec")
}

pub(super) fn workload(object: &Value) -> Vec<Unsupported> {
    pod_spec(&object["spec"]["template"]["spec"], "spec.template.spec")
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn pod_spec(spec: &Value, path: &str) -> Vec<Unsupported> {
    let mut found = Vec::new();
    for (name, message, is_rejected) in [
        (
            "ephemeralContainers",
            "this node does not run ephemeral containers",
            true,
        ),
        (
            "hostNetwork",
            "pods of this node have a network of their own",
            true,
        ),
        (
            "hostPID",
            "pods of this node have process numbers of their own",
            true,
        ),
        (
            "hostIPC",
            "pods of this node have shared memory of their own",
            true,
        ),
        (
            "nodeSelector",
            "there is one node, and every pod runs on it",
            false,
        ),
        (
            "affinity",
            "there is one node, and every pod runs on it",
            false,
        ),
        (
            "topologySpreadConstraints",
            "there is one node, and every pod runs on it",
            false,
        ),
        (
            "runtimeClassName",
            "this node has one way to run pods",
            false,
        ),
    ] {
        if is_set(&spec[name]) {
            found.push(field(format!("{path}.{name}"), message, is_rejected));
        }
    }
    for list in ["initContainers", "containers"] {
        let containers = spec[list].as_array().into_iter().flatten();
        for (at, container) in containers.enumerate() {
            let path = format!("{path}.{list}[{at}]");
            found.extend(unsupported_container_fields(container, &path));
            if list == "initContainers" && is_set(&container["restartPolicyRules"]) {
                let message = "this node supports restart rules of regular containers only";
                found.push(field(format!("{path}.restartPolicyRules"), message, true));
            }
        }
    }
    for (at, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.volumes[{at}]");
        found.extend(fields_other_than(&VOLUMES, volume, &path, NO_VOLUME));
        let sources = volume["projected"]["sources"].as_array();
        for (at, source) in sources.into_iter().flatten().enumerate() {
            let path = format!("{path}.projected.sources[{at}]");
            found.extend(fields_other_than(&PROJECTED, source, &path, NO_PROJECTION));
        }
    }
    found
}

/// Returns the fields of an object that are not in `known`.
fn fields_other_than<'a>(
    known: &'a [&str],
    object: &'a Value,
    path: &'a str,
    message: &'a str,
) -> impl Iterator<Item = Unsupported> {
    let fields = object.as_object().into_iter().flatten();
    let others = fields.filter(|(name, _)| !known.contains(&name.as_str()));
    others.map(move |(name, _)| field(format!("{path}.{name}"), message, true))
}

fn unsupported_container_fields(container: &Value, path: &str) -> Vec<Unsupported> {
    let mut found = Vec::new();
    for (name, message, is_rejected) in [(
        "volumeDevices",
        "this node has no block devices for pods",
        true,
    )] {
        if is_set(&container[name]) {
            found.push(field(format!("{path}.{name}"), message, is_rejected));
        }
    }
    if is_set(&container["resources"]["limits"]) {
        let message = "this node does not limit what containers use";
        found.push(field(format!("{path}.resources.limits"), message, false));
    }
    let security = &container["securityContext"];
    for name in [
        "privileged",
        "capabilities",
        "seccompProfile",
        "seLinuxOptions",
    ] {
        if is_set(&security[name]) {
            let message = "this node runs every container with the rights of its own user";
            found.push(field(
                format!("{path}.securityContext.{name}"),
                message,
                false,
            ));
        }
    }
    found
}

pub(super) fn service(service: &Value) -> Vec<Unsupported> {
    let mut found = Vec::new();
    let spec = &service["spec"];
    for (at, port) in spec["ports"].as_array().into_iter().flatten().enumerate() {
        if matches!(port["protocol"].as_str(), Some("UDP" | "SCTP")) {
            let message = "this node forwards TCP only";
            found.push(field(format!("spec.ports[{at}].protocol"), message, false));
        }
    }
    found
}

pub(super) fn network_policy(_: &Value) -> Vec<Unsupported> {
    let message = "this node lets every pod reach every other";
    vec![field("spec".to_owned(), message, false)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_are_not_honoured_are_named_unless_empty() {
        let given = json!({"spec": {
            "initContainers": [{"name": "i", "restartPolicy": "Always", "restartPolicyRules": [{}], "resources": {"limits": {"cpu": "1"}}}],
            "hostNetwork": true, "hostPID": false, "nodeSelector": {},
            "containers": [{"restartPolicy": "Never", "restartPolicyRules": [{}], "resources": {"limits": {"cpu": "1"}}}],
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/"}},
                {"name": "p", "projected": {"sources": [{"secret": {}}, {"serviceAccountToken": {"path": "t"}}]}}],
        }});
        let found: Vec<(String, bool)> = pod(&given)
            .into_iter()
            .map(|found| (found.field, found.is_rejected))
            .collect();
        let expected = [
            ("spec.hostNetwork", true),
            ("spec.initContainers[0].resources.limits", false),
            ("spec.initContainers[0].restartPolicyRules", true),
            ("spec.containers[0].resources.limits", false),
            ("spec.volumes[1].hostPath", true),
            (
                "spec.volumes[2].projected.sources[1].serviceAccountToken",
                true,
            ),
        ];
        assert_eq!(
            found,
            expected.map(|(field, is_rejected)| (field.to_owned(), is_rejected))
        );
    }
}
