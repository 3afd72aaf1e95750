//! The tables of deployments, replica sets and replication controllers.

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

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn wide_cells(object: &Value) -> [Value; 3] {
    let containers = list(&object["spec"]["template"]["spec"]["containers"]);
    let joined = |field: &str| {
        let texts: Vec<_> = containers
            .iter()
            .map(|container| str_of(&container[field]))
            .collect();
        or_none(&texts.join(","))
    };
    [joined("name"), joined("image"), pairs(selected(object))]
}
