//! Fields of rows. An unknown value panics, which fails the row.

use k8s_openapi::api::core::v1::ContainerPort;
use regex_lite::{Captures, Regex};
use serde_json::Value;

use super::Case;
use crate::outcome::Verdict;
use crate::results::{ProbeKind, ProbeResult};

impl Case {
    /// Fails a row with fields that no check reads.
    pub(super) fn reject_unknown_fields(&self, given: &[&str], expect: &[&str]) {
        for (object, known) in [(&self.given, given), (&self.expect, expect)] {
            for key in object.as_object().unwrap().keys() {
                assert!(
                    known.contains(&key.as_str()),
                    "{}: unknown field {key:?}",
                    self.id
                );
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.given.get(key).is_some()
    }
}

pub(super) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

pub(super) fn captures<'a>(pattern: &str, text: &'a str) -> Option<Captures<'a>> {
    Regex::new(&format!("^(?:{pattern})$"))
        .unwrap()
        .captures(text)
}

pub(super) fn verdict(value: &Value) -> Verdict {
    match value.as_str() {
        Some("success") => Verdict::Success,
        Some("warning") => Verdict::Warning,
        Some("failure") => Verdict::Failure,
        Some("unknown") => Verdict::Unknown,
        _ => panic!("unknown result: {value}"),
    }
}

/// Parses a stored result; null is `None`.
pub(super) fn stored_result(value: &Value) -> Option<ProbeResult> {
    match value.as_str() {
        None if value.is_null() => None,
        Some("success") => Some(ProbeResult::Success),
        Some("failure") => Some(ProbeResult::Failure),
        Some("unknown") => Some(ProbeResult::Unknown),
        _ => panic!("unknown stored result: {value}"),
    }
}

pub(super) fn probe_kind(value: &Value) -> ProbeKind {
    let name = value.as_str().unwrap().to_lowercase();
    ProbeKind::ALL
        .into_iter()
        .find(|kind| kind.as_str().to_lowercase() == name)
        .unwrap_or_else(|| panic!("unknown probe type: {value}"))
}

pub(super) fn ports(value: &Value) -> Vec<ContainerPort> {
    let ports = value.as_array().unwrap().iter();
    ports
        .map(|port| ContainerPort {
            name: port["name"].as_str().map(str::to_owned),
            container_port: i32::try_from(port["port"].as_i64().unwrap()).unwrap(),
            ..ContainerPort::default()
        })
        .collect()
}
