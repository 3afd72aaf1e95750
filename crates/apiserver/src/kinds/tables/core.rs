//! Tables of the other kinds of the core group, leases and disruption budgets.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::age;
use super::{AGE, NAME, list, number, or_none, str_of, text, wide};
use crate::kinds::Column;

pub(in crate::kinds) const CONFIG_MAPS: &[Column] = &[NAME, number("Data"), AGE];

pub(in crate::kinds) fn config_map(object: &Value, now: Timestamp) -> Vec<Value> {
    let keys = entries(&object["data"]) + entries(&object["binaryData"]);
    vec![
        super::name(object),
        json!(keys),
        age(&object["metadata"]["creationTimestamp"], now),
    ]
}

pub(in crate::kinds) const SECRETS: &[Column] = &[NAME, text("Type"), number("Data"), AGE];

pub(in crate::kinds) fn secret(object: &Value, now: Timestamp) -> Vec<Value> {
    let keys = entries(&object["data"]);
    vec![
        super::name(object),
        object["type"].clone(),
        json!(keys),
        age(&object["metadata"]["creationTimestamp"], now),
    ]
}

fn entries(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

pub(in crate::kinds) const SERVICE_ACCOUNTS: &[Column] = &[NAME, number("Secrets"), AGE];

pub(in crate::kinds) fn service_account(object: &Value, now: Timestamp) -> Vec<Value> {
    let secrets = list(&object["secrets"]).len();
    vec![
        super::name(object),
        json!(secrets),
        age(&object["metadata"]["creationTimestamp"], now),
    ]
}

pub(in crate::kinds) const LEASES: &[Column] = &[NAME, text("Holder"), AGE];

pub(in crate::kinds) fn lease(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        super::name(object),
        json!(str_of(&object["spec"]["holderIdentity"])),
        age(&object["metadata"]["creationTimestamp"], now),
    ]
}

pub(in crate::kinds) const BUDGETS: &[Column] = &[
    NAME,
    text("Min Available"),
    text("Max Unavailable"),
    number("Allowed Disruptions"),
    AGE,
];

pub(in crate::kinds) fn budget(object: &Value, now: Timestamp) -> Vec<Value> {
    let bound = |field: &str| match &object["spec"][field] {
        Value::Null => json!("N/A"),
        Value::String(text) => json!(text),
        other => json!(other.to_string()),
    };
    vec![
        super::name(object),
        bound("minAvailable"),
        bound("maxUnavailable"),
        json!(object["status"]["disruptionsAllowed"].as_i64().unwrap_or(0)),
        age(&object["metadata"]["creationTimestamp"], now),
    ]
}

pub(in crate::kinds) const NAMESPACES: &[Column] = &[NAME, text("Status"), AGE];

pub(in crate::kinds) fn namespace(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        super::name(object),
        object["status"]["phase"].clone(),
        age(&object["metadata"]["creationTimestamp"], now),
    ]
}

pub(in crate::kinds) const NODES: &[Column] = &[
    NAME,
    text("Status"),
    text("Roles"),
    AGE,
    text("Version"),
    wide("Internal-IP"),
    wide("External-IP"),
    wide("OS-Image"),
    wide("Kernel-Version"),
    wide("Container-Runtime"),
];

pub(in crate::kinds) fn node(object: &Value, now: Timestamp) -> Vec<Value> {
    let info = &object["status"]["nodeInfo"];
    let address = |kind: &str| {
        let mut addresses = list(&object["status"]["addresses"]).iter();
        or_none(
            addresses
                .find(|address| address["type"] == kind)
                .map_or("", |address| str_of(&address["address"])),
        )
    };
    let or_unknown = |value: &Value| {
        if str_of(value).is_empty() {
            json!("<unknown>")
        } else {
            value.clone()
        }
    };
    vec![
        super::name(object),
        json!(node_status(object)),
        json!("<none>"),
        age(&object["metadata"]["creationTimestamp"], now),
        info["kubeletVersion"].clone(),
        address("InternalIP"),
        address("ExternalIP"),
        or_unknown(&info["osImage"]),
        or_unknown(&info["kernelVersion"]),
        or_unknown(&info["containerRuntimeVersion"]),
    ]
}

fn node_status(object: &Value) -> String {
    let mut conditions = list(&object["status"]["conditions"]).iter();
    let ready = match conditions.find(|condition| condition["type"] == "Ready") {
        Some(ready) if ready["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    if object["spec"]["unschedulable"] == true {
        format!("{ready},SchedulingDisabled")
    } else {
        ready.to_owned()
    }
}

pub(in crate::kinds) const EVENTS: &[Column] = &[
    text("Last Seen"),
    text("Type"),
    text("Reason"),
    text("Object"),
    wide("Subobject"),
    wide("Source"),
    text("Message"),
    wide("First Seen"),
    wide("Count"),
    wide("Name"),
];

pub(in crate::kinds) fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    let about = &object["involvedObject"];
    let since = |fields: [&str; 2]| {
        age(
            fields
                .iter()
                .map(|field| &object[*field])
                .find(|at| at.is_string())
                .unwrap_or(&Value::Null),
            now,
        )
    };
    let source = [&object["source"]["component"], &object["source"]["host"]].map(str_of);
    let source = source
        .iter()
        .filter(|text| !text.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    vec![
        since(["lastTimestamp", "firstTimestamp"]),
        object["type"].clone(),
        object["reason"].clone(),
        json!(format!(
            "{}/{}",
            str_of(&about["kind"]).to_lowercase(),
            str_of(&about["name"])
        )),
        about["fieldPath"]
            .as_str()
            .map_or(json!(""), |path| json!(path)),
        json!(source),
        json!(str_of(&object["message"]).trim()),
        since(["firstTimestamp", "lastTimestamp"]),
        json!(object["count"].as_i64().unwrap_or(1)),
        super::name(object),
    ]
}
