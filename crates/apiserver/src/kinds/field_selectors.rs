//! Fields for field selectors besides `metadata.name` and `metadata.namespace`, by kind, as in the API server.

use serde_json::Value;

/// Path of a field, and its value as in a selector.
type Field = (&'static str, String);

pub(super) fn pod(pod: &Value) -> Vec<Field> {
    let mut fields = texts(
        pod,
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    );
    fields.push(flag(pod, "spec.hostNetwork"));
    fields
}

pub(super) fn node(node: &Value) -> Vec<Field> {
    vec![flag(node, "spec.unschedulable")]
}

pub(super) fn namespace(namespace: &Value) -> Vec<Field> {
    texts(namespace, &["status.phase"])
}

pub(super) fn secret(secret: &Value) -> Vec<Field> {
    texts(secret, &["type"])
}

pub(super) fn service(service: &Value) -> Vec<Field> {
    texts(service, &["spec.clusterIP", "spec.type"])
}

pub(super) fn replica_set(set: &Value) -> Vec<Field> {
    let count = &set["status"]["replicas"];
    vec![("status.replicas", count.as_i64().unwrap_or(0).to_string())]
}

pub(super) fn event(event: &Value) -> Vec<Field> {
    let mut fields = texts(
        event,
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ],
    );
    let source = text(&event["source"]["component"]);
    let reporter = text(&event["reportingComponent"]);
    fields.push(("source", if source.is_empty() { reporter } else { source }));
    fields
}

fn lookup<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(object, |object, name| &object[name])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(object: &Value, paths: &[&'static str]) -> Vec<Field> {
    let paths = paths.iter();
    paths
        .map(|path| (*path, text(lookup(object, path))))
        .collect()
}

/// Returns a boolean field, which defaults to false.
fn flag(object: &Value, path: &'static str) -> Field {
    (
        path,
        lookup(object, path).as_bool().unwrap_or(false).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(fields: &[Field], path: &str, expected: &str) {
        let found = fields.iter().find(|(known, _)| *known == path);
        assert_eq!(
            found.map(|(_, value)| value.as_str()),
            Some(expected),
            "{path}"
        );
    }

    #[test]
    fn field_values_are_the_texts_of_selectors() {
        let given = json!({"spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
        let fields = pod(&given);
        check(&fields, "spec.nodeName", "n");
        check(&fields, "status.phase", "Running");
        check(&fields, "status.podIP", "");
        check(&fields, "spec.hostNetwork", "false");
        check(&node(&json!({"spec": {}})), "spec.unschedulable", "false");
        let cordoned = json!({"spec": {"unschedulable": true}});
        check(&node(&cordoned), "spec.unschedulable", "true");
        check(&replica_set(&json!({})), "status.replicas", "0");
        check(
            &replica_set(&json!({"status": {"replicas": 2}})),
            "status.replicas",
            "2",
        );
        check(&secret(&json!({"type": "Opaque"})), "type", "Opaque");
    }

    #[test]
    fn source_of_an_event_is_its_component_or_reporting_component() {
        let given = json!({"source": {"component": "kubelet"}, "reportingComponent": "r", "involvedObject": {"uid": "u"}});
        check(&event(&given), "source", "kubelet");
        check(&event(&given), "reportingComponent", "r");
        check(&event(&given), "involvedObject.uid", "u");
        check(&event(&json!({"reportingComponent": "r"})), "source", "r");
    }
}
