//! Health endpoints for the kubelet, load balancers and other clients.
//!
//! `/livez`, `/readyz`, `/startupz` for the pod, `/livez/TARGET` for one of its targets, `/groups/NAME` for a group, and
//! `/healthz` for the sidecar itself, independent of targets.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use probe::ProbeKind;

use super::AppState;
use super::report::{Check, Report};
use crate::engine::{Group, ProbeHandle};
use crate::spec::{Member, endpoint_name};

pub(super) fn router() -> Router<AppState> {
    let mut router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/groups/{name}", get(group));
    for kind in ProbeKind::ALL {
        let name = endpoint_name(kind);
        router = router
            .route(
                &format!("/{name}"),
                get(
                    move |app: State<AppState>, query: Query<QueryPairs>, headers: HeaderMap| {
                        pod(app, kind, query, headers)
                    },
                ),
            )
            .route(
                &format!("/{name}/{{target}}"),
                get(
                    move |app: State<AppState>,
                          path: Path<String>,
                          query: Query<QueryPairs>,
                          headers: HeaderMap| {
                        target(app, kind, path, query, headers)
                    },
                ),
            );
    }
    router
}

/// Query parameters; names may be repeated.
type QueryPairs = Vec<(String, String)>;

fn is_verbose(query: &QueryPairs) -> bool {
    query.iter().any(|(name, _)| name == "verbose")
}

async fn pod(
    State(app): State<AppState>,
    kind: ProbeKind,
    Query(query): Query<QueryPairs>,
    headers: HeaderMap,
) -> Response {
    let excluded = query.iter().filter(|(name, _)| name == "exclude");
    let excluded: Vec<&str> = excluded.map(|(_, target)| target.as_str()).collect();
    let (snapshot, now) = (app.engine.snapshot(), app.engine.now());
    let included = || {
        let probes = snapshot.pod_probes(kind);
        probes.filter(|entry| !excluded.contains(&&*entry.target))
    };
    record_polls(&app, &headers, included());
    let checks: Vec<Check> = included()
        .map(|entry| Check::for_probe(entry, entry.target.to_string(), now))
        .collect();
    let unknown: Vec<String> = excluded
        .iter()
        .filter(|name| {
            !snapshot
                .pod_probes(kind)
                .any(|entry| *entry.target == ***name)
        })
        .map(|name| format!("{name:?}"))
        .collect();
    let note = (!unknown.is_empty()).then(|| {
        let names = unknown.join(", ");
        format!("warn: some health checks cannot be excluded: no matches for {names}")
    });
    let report = Report::all(endpoint_name(kind), checks).with_note(note);
    count_polls(&app, &report, &headers, &query, included());
    let verbose = is_verbose(&query);
    respond(
        &app,
        kind == ProbeKind::Readiness,
        report,
        &headers,
        verbose,
    )
}

async fn target(
    State(app): State<AppState>,
    kind: ProbeKind,
    Path(name): Path<String>,
    Query(query): Query<QueryPairs>,
    headers: HeaderMap,
) -> Response {
    let snapshot = app.engine.snapshot();
    let Some(target) = snapshot.target(&name) else {
        return not_found(&format!("target {name:?} not found"));
    };
    let Some(entry) = target.probe(kind) else {
        return not_found(&format!("target {name:?} has no {}", kind.field()));
    };
    record_polls(&app, &headers, [entry]);
    let check = Check::for_probe(entry, name, app.engine.now());
    let report = Report::all(entry.name(), vec![check]);
    count_polls(&app, &report, &headers, &query, [entry]);
    let verbose = is_verbose(&query);
    respond(
        &app,
        kind == ProbeKind::Readiness,
        report,
        &headers,
        verbose,
    )
}

async fn group(
    State(app): State<AppState>,
    Path(name): Path<String>,
    Query(query): Query<QueryPairs>,
    headers: HeaderMap,
) -> Response {
    let snapshot = app.engine.snapshot();
    let Some(group) = snapshot.group(&name) else {
        return not_found(&format!("group {name:?} not found"));
    };
    let now = app.engine.now();
    let probes = || {
        let members = group.spec.members.iter();
        members.filter_map(|member| snapshot.member(member))
    };
    record_polls(&app, &headers, probes());
    let status = snapshot.group_status(group, now);
    let members = group.spec.members.iter().map(|member| match member {
        Member::Group(name) => {
            let healthy = snapshot.is_member_healthy(member, now);
            let summary = if healthy { "ok" } else { "failed" };
            Check::for_group(format!("groups/{name}"), healthy, summary.to_owned())
        }
        probe => match snapshot.member(probe) {
            Some(entry) => Check::for_probe(entry, entry.name(), now),
            None => Check::for_group(probe.to_string(), false, "not found".to_owned()),
        },
    });
    let checks = members.collect();
    let note = Some(describe_group(
        group,
        status.members,
        status.fail_open_active,
    ));
    let report = Report::with(format!("groups/{name}"), status.healthy, checks).with_note(note);
    count_polls(&app, &report, &headers, &query, probes());
    let is_readiness = group.spec.members.iter().all(|member| {
        matches!(
            member,
            Member::Probe {
                kind: ProbeKind::Readiness,
                ..
            }
        )
    });
    respond(&app, is_readiness, report, &headers, is_verbose(&query))
}

/// Kubernetes' default failureThreshold, of the kubelet's own probe.
pub(crate) const KUBELET_FAILURE_THRESHOLD: u32 = 3;
/// Prefix of the user agent of the kubelet's probes.
pub(crate) const KUBELET_AGENT: &str = "kube-probe/";

fn is_kubelet(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT);
    agent.is_some_and(|agent| agent.as_bytes().starts_with(KUBELET_AGENT.as_bytes()))
}

/// Records a request of the kubelet, which shows that containers run.
fn record_polls<'a>(
    app: &AppState,
    headers: &HeaderMap,
    entries: impl IntoIterator<Item = &'a Arc<ProbeHandle>>,
) {
    if is_kubelet(headers) {
        for entry in entries {
            app.engine.record_poll(entry);
        }
    }
}

/// Counts unhealthy responses to the kubelet: after `?failureThreshold=` of them it restarts the container.
fn count_polls<'a>(
    app: &AppState,
    report: &Report,
    headers: &HeaderMap,
    query: &QueryPairs,
    entries: impl IntoIterator<Item = &'a Arc<ProbeHandle>>,
) {
    if report.healthy || !is_kubelet(headers) {
        return;
    }
    let threshold = query.iter().find(|(name, _)| name == "failureThreshold");
    let threshold = threshold.and_then(|(_, value)| value.parse().ok());
    for entry in entries {
        let threshold = threshold.unwrap_or(KUBELET_FAILURE_THRESHOLD);
        app.engine.count_poll(entry, threshold);
    }
}

fn describe_group(group: &Group, healthy: usize, fail_open_active: bool) -> String {
    let (require, all) = (group.spec.require, group.spec.members.len());
    let policy = if fail_open_active {
        "; fail-open: healthy because it was healthy before"
    } else {
        ""
    };
    format!("{healthy} of {all} healthy, required: {require}{policy}")
}

/// Creates the response. After the stop of the engine readiness is unhealthy; liveness keeps its last result, because the
/// shutdown of the sidecar must not restart a container.
fn respond(
    app: &AppState,
    is_readiness: bool,
    report: Report,
    headers: &HeaderMap,
    verbose: bool,
) -> Response {
    let is_stopping = app.engine.is_stopped() || !app.ready.is_open();
    if !is_stopping {
        return report.respond(headers, verbose);
    }
    let note = "probe-sidecar is shutting down: probes have stopped, results are the last ones";
    let report = report.with_note(Some(note.to_owned()));
    let report = if is_readiness {
        report.into_unhealthy()
    } else {
        report
    };
    report.respond(headers, true)
}

fn not_found(message: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("{message}\n")).into_response()
}
