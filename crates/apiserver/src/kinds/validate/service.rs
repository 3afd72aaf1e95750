//! Validation of services.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use probe::spec::validate_port;
use serde_json::Value;

use super::{list, metadata};
use crate::kinds::FieldError;
use crate::kinds::names;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

pub(in crate::kinds) fn service(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = metadata(new, old, names::dns_1035);
    let spec = &new["spec"];
    let kind = spec["type"].as_str().unwrap_or_default();
    let headless = spec["clusterIP"] == "None";
    let none = spec["ports"].as_array().is_none_or(Vec::is_empty);
    if none && !headless && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    errors.extend(ports(spec));
    if !TYPES.contains(&kind) {
        errors.push(FieldError::unsupported("spec.type", kind, &TYPES));
    }
    let affinity = spec["sessionAffinity"].as_str().unwrap_or_default();
    if !matches!(affinity, "None" | "ClientIP") {
        let field = "spec.sessionAffinity";
        errors.push(FieldError::unsupported(
            field,
            affinity,
            &["ClientIP", "None"],
        ));
    }
    let was = old
        .and_then(|old| old["spec"]["clusterIP"].as_str())
        .filter(|ip| !ip.is_empty());
    let is = spec["clusterIP"].as_str().unwrap_or_default();
    if was.is_some_and(|was| was != is) && kind != "ExternalName" {
        errors.push(FieldError::invalid(
            "spec.clusterIPs[0]",
            format!("{is:?}"),
            "may not change once set",
        ));
    }
    errors
}

fn ports(spec: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let several = spec["ports"]
        .as_array()
        .is_some_and(|ports| ports.len() > 1);
    let (mut taken, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (at, port) in list(spec, "ports") {
        let path = format!("spec.ports[{at}]");
        let name = port["name"].as_str().unwrap_or_default();
        let field = format!("{path}.name");
        if name.is_empty() && several {
            errors.push(FieldError::required(&field, ""));
        } else if !name.is_empty() {
            let broken = names::label(name).into_iter();
            errors.extend(
                broken.map(|detail| FieldError::invalid(&field, format!("{name:?}"), detail)),
            );
            if !taken.insert(name) {
                errors.push(FieldError::duplicate(&field, name));
            }
        }
        for (field, value) in [("port", &port["port"]), ("targetPort", &port["targetPort"])] {
            if let Ok(value) = serde_json::from_value::<IntOrString>(value.clone()) {
                errors.extend(validate_port(&value, &format!("{path}.{field}")));
            }
        }
        let protocol = port["protocol"].as_str().unwrap_or_default();
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            let field = format!("{path}.protocol");
            errors.push(FieldError::unsupported(
                field,
                protocol,
                &["SCTP", "TCP", "UDP"],
            ));
        }
        if !numbers.insert((port["port"].as_i64(), protocol)) {
            errors.push(FieldError::duplicate(
                path,
                &format!("{protocol}/{}", port["port"]),
            ));
        }
    }
    errors
}
