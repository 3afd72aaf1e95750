//! Report of an endpoint on several probes, in the format of the API server's health endpoints, or in JSON.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use probe::ProbeKind;
use serde::Serialize;

use super::accept::wants_json;
use crate::check::one_line;
use crate::engine::ProbeHandle;
use crate::engine::state::Status;
use crate::spec::endpoint_name;

/// Result of a probe or of a nested group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Check {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<&'static str>,
    status: &'static str,
    pub(super) healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    /// Summary in the text format.
    #[serde(skip)]
    summary: String,
}

/// Response of an endpoint.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    endpoint: String,
    pub(super) healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    checks: Vec<Check>,
}

pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl Check {
    /// Creates the check of a probe `now`.
    pub(super) fn for_probe(entry: &ProbeHandle, name: String, now: Duration) -> Self {
        let state = entry.state();
        let status = entry.status_of(&state, now);
        let last = state.last();
        let is_liveness = entry.spec.kind == ProbeKind::Liveness;
        let summary = match (status, last) {
            (Status::NeverRun, _) if entry.waits_for_startup() && is_liveness => {
                "ok: startup probe has not succeeded yet".to_owned()
            }
            (Status::Unhealthy, _) if entry.waits_for_startup() && is_liveness => {
                "failed: startup probe reached its failure threshold".to_owned()
            }
            (Status::NeverRun, _) if entry.waits_for_startup() => {
                "never run: waits for the startup probe".to_owned()
            }
            (Status::Stale, _) => {
                let age = state.age(now).unwrap_or_default();
                format!("stale: no result for {} s", age.as_secs())
            }
            (Status::Healthy, Some(last)) => format!("ok: took {} ms", millis(last.took)),
            (Status::Unhealthy, Some(last)) => format!("failed: {}", describe_failure(last)),
            (Status::Unknown, Some(last)) => format!("unknown: {}", describe_failure(last)),
            (Status::NeverRun, _) | (_, None) => "never run".to_owned(),
        };
        Self {
            name,
            probe: Some(endpoint_name(entry.spec.kind)),
            status: status.as_str(),
            healthy: entry.is_healthy(status),
            reason: last.and_then(|last| last.reason).map(|reason| reason.kind),
            code: last
                .and_then(|last| last.reason)
                .and_then(|reason| reason.code),
            output: last.map(|last| last.output.clone()),
            duration_ms: last.map(|last| millis(last.took)),
            age_ms: state
                .age(now)
                .map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            summary,
        }
    }

    /// Creates the check of a nested group.
    pub(super) fn for_group(name: String, healthy: bool, summary: String) -> Self {
        Self {
            name,
            probe: None,
            status: if healthy { "healthy" } else { "unhealthy" },
            healthy,
            reason: None,
            code: None,
            output: None,
            duration_ms: None,
            age_ms: None,
            summary,
        }
    }
}

/// Formats reason, output and duration on one line, without control characters of the target.
fn describe_failure(last: &crate::engine::state::LastAttempt) -> String {
    let mut text = String::new();
    if let Some(reason) = last.reason {
        let _ = write!(text, "{reason}: ");
    }
    let line = one_line(&last.output);
    let _ = write!(text, "{line} (took {} ms)", millis(last.took));
    text
}

impl Report {
    /// Creates a report that is healthy if all checks are.
    pub(super) fn all(endpoint: impl Into<String>, checks: Vec<Check>) -> Self {
        let healthy = checks.iter().all(|check| check.healthy);
        Self::with(endpoint, healthy, checks)
    }

    pub(super) fn with(endpoint: impl Into<String>, healthy: bool, checks: Vec<Check>) -> Self {
        Self {
            endpoint: endpoint.into(),
            healthy,
            note: None,
            checks,
        }
    }

    /// Adds a note after the checks.
    pub(super) fn with_note(self, note: Option<String>) -> Self {
        Self { note, ..self }
    }

    /// Makes the report unhealthy regardless of its checks.
    pub(super) fn into_unhealthy(self) -> Self {
        Self {
            healthy: false,
            ..self
        }
    }

    /// Formats the report as the API server does: `ok` if it is healthy, all checks if it is not or if `verbose`.
    pub(super) fn text(&self, verbose: bool) -> String {
        if self.healthy && !verbose {
            return "ok".to_owned();
        }
        let mut text = String::new();
        for check in &self.checks {
            let sign = if check.healthy { '+' } else { '-' };
            let _ = writeln!(text, "[{sign}]{} {}", check.name, check.summary);
        }
        if let Some(note) = &self.note {
            let _ = writeln!(text, "{note}");
        }
        let result = if self.healthy { "passed" } else { "failed" };
        let _ = writeln!(text, "{} check {result}", self.endpoint);
        text
    }

    pub(super) fn respond(self, headers: &HeaderMap, verbose: bool) -> Response {
        let status = if self.healthy {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let vary = [(header::VARY, "accept")];
        if wants_json(headers) {
            return (status, vary, Json(self)).into_response();
        }
        (status, vary, self.text(verbose)).into_response()
    }
}
