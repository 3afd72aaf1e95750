//! Tables of deployments, replica sets and replication controllers.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::age;
use super::{AGE, NAME, list, number, or_none, pairs, str_of, text, wide};
use crate::kinds::{Column, selected};

pub(in crate::kinds) const DEPLOYMENTS: &[Column] = &[
    NAME,
    text("Ready"),
    text("Up-to-date"),
    text("Available"),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

pub(in crate::kinds) fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let mut cells = vec![
        super::name(object),
        json!(format!(
            "{}/{}",
            count(&status["readyReplicas"]),
            count(&spec["replicas"])
        )),
        json!(count(&status["updatedReplicas"])),
        json!(count(&status["availableReplicas"])),
        age(&object["metadata"]["creationTimestamp"], now),
    ];
    cells.extend(wide_cells(object));
    cells
}

pub(in crate::kinds) const REPLICA_SETS: &[Column] = &[
    NAME,
    number("Desired"),
    number("Current"),
    number("Ready"),
    AGE,
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

pub(in crate::kinds) fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let status = &object["status"];
    let mut cells = vec![
        super::name(object),
        json!(count(&object["spec"]["replicas"])),
        json!(count(&status["replicas"])),
        json!(count(&status["readyReplicas"])),
        age(&object["metadata"]["creationTimestamp"], now),
    ];
    cells.extend(wide_cells(object));
    cells
}

pub(in crate::kinds) const POD_TEMPLATES: &[Column] =
    &[NAME, text("Containers"), text("Images"), text("Pod Labels")];

pub(in crate::kinds) fn pod_template(object: &Value, _: Timestamp) -> Vec<Value> {
    let template = &object["template"];
    let [names, images] = containers(template);
    let labels = pairs(&template["metadata"]["labels"]);
    vec![super::name(object), names, images, labels]
}

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn wide_cells(object: &Value) -> [Value; 3] {
    let [names, images] = containers(&object["spec"]["template"]);
    [names, images, pairs(selected(object))]
}

/// Returns names and images of a template's containers.
fn containers(template: &Value) -> [Value; 2] {
    let containers = list(&template["spec"]["containers"]);
    ["name", "image"].map(|field| {
        let texts: Vec<_> = containers
            .iter()
            .map(|container| str_of(&container[field]))
            .collect();
        or_none(&texts.join(","))
    })
}
