//! The endpoints that probes and load balancers ask.
//!
//! `/livez`, `/readyz`, `/startupz` for the pod, `/livez/TARGET` for one of its targets, `/groups/NAME` for a group, and
//! `/healthz` for the sidecar itself, which never asks a target.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use probe::ProbeKind;

use super::App;
use super::report::{Check, Report};
use crate::engine::{Entry, Group};
use crate::spec::{Member, endpoint};

pub(super) fn router() -> Router<App> {
    let mut router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/groups/{name}", get(group));
    for kind in ProbeKind::ALL {
        let name = endpoint(kind);
        router = router
            .route(
                &format!("/{name}"),
                get(
                    move |app: State<App>, asked: Query<Asked>, headers: HeaderMap| {
                        pod(app, kind, asked, headers)
                    },
                ),
            )
            .route(
                &format!("/{name}/{{target}}"),
                get(
                    move |app: State<App>,
                          path: Path<String>,
                          asked: Query<Asked>,
                          headers: HeaderMap| {
                        target(app, kind, path, asked, headers)
                    },
                ),
            );
    }
    router
}

/// The query, by pairs: names may be repeated.
type Asked = Vec<(String, String)>;

fn is_verbose(asked: &Asked) -> bool {
    asked.iter().any(|(name, _)| name == "verbose")
}

async fn pod(
    State(app): State<App>,
    kind: ProbeKind,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let excluded = asked.iter().filter(|(name, _)| name == "exclude");
    let excluded: Vec<&str> = excluded.map(|(_, target)| target.as_str()).collect();
    let (set, now) = (app.engine.set(), app.engine.now());
    let checks: Vec<Check> = set
        .of_pod(kind)
        .filter(|entry| !excluded.contains(&&*entry.target))
        .map(|entry| Check::of(entry, entry.target.to_string(), now))
        .collect();
    let unknown: Vec<String> = excluded
        .iter()
        .filter(|name| !set.of_pod(kind).any(|entry| *entry.target == ***name))
        .map(|name| format!("{name:?}"))
        .collect();
    let note = (!unknown.is_empty()).then(|| {
        let names = unknown.join(", ");
        format!("warn: some health checks cannot be excluded: no matches for {names}")
    });
    let report = Report::all(endpoint(kind), checks).noting(note);
    let included = set.of_pod(kind);
    let included = included.filter(|entry| !excluded.contains(&&*entry.target));
    count_polls(&app, &report, &headers, &asked, included);
    let verbose = is_verbose(&asked);
    answer(
        &app,
        kind == ProbeKind::Readiness,
        report,
        &headers,
        verbose,
    )
}

async fn target(
    State(app): State<App>,
    kind: ProbeKind,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let set = app.engine.set();
    let Some(target) = set.target(&name) else {
        return missing(&format!("there is no target {name:?}"));
    };
    let Some(entry) = target.probe(kind) else {
        return missing(&format!("target {name:?} has no {}", kind.field()));
    };
    let check = Check::of(entry, name, app.engine.now());
    let report = Report::all(entry.name(), vec![check]);
    count_polls(&app, &report, &headers, &asked, [entry]);
    let verbose = is_verbose(&asked);
    answer(
        &app,
        kind == ProbeKind::Readiness,
        report,
        &headers,
        verbose,
    )
}

async fn group(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let set = app.engine.set();
    let Some(group) = set.group(&name) else {
        return missing(&format!("there is no group {name:?}"));
    };
    let now = app.engine.now();
    let standing = set.standing(group, now);
    let members = group.spec.members.iter().map(|member| match member {
        Member::Group(name) => {
            let healthy = set.is_member_healthy(member, now);
            let words = if healthy { "ok" } else { "failed" };
            Check::of_group(format!("groups/{name}"), healthy, words.to_owned())
        }
        probe => match set.member(probe) {
            Some(entry) => Check::of(entry, entry.name(), now),
            None => Check::of_group(probe.to_string(), false, "is not there".to_owned()),
        },
    });
    let checks = members.collect();
    let note = Some(explain(group, standing.members, standing.held_open));
    let report = Report::with(format!("groups/{name}"), standing.healthy, checks).noting(note);
    let members = group.spec.members.iter();
    let members = members.filter_map(|member| set.member(member));
    count_polls(&app, &report, &headers, &asked, members);
    let readiness = group.spec.members.iter().all(|member| {
        matches!(
            member,
            Member::Probe {
                kind: ProbeKind::Readiness,
                ..
            }
        )
    });
    answer(&app, readiness, report, &headers, is_verbose(&asked))
}

/// Kubernetes' default failureThreshold, of the kubelet's own probe.
pub(crate) const KUBELET_FAILURE_THRESHOLD: u32 = 3;
/// First part of the user agent of the kubelet's probes.
pub(crate) const KUBELET_AGENT: &str = "kube-probe/";

/// Counts unhealthy answers to the kubelet: after `?failureThreshold=` of them it restarts the container.
fn count_polls<'a>(
    app: &App,
    report: &Report,
    headers: &HeaderMap,
    asked: &Asked,
    entries: impl IntoIterator<Item = &'a Arc<Entry>>,
) {
    let agent = headers.get(header::USER_AGENT);
    let is_kubelet =
        agent.is_some_and(|agent| agent.as_bytes().starts_with(KUBELET_AGENT.as_bytes()));
    if report.healthy || !is_kubelet {
        return;
    }
    let threshold = asked.iter().find(|(name, _)| name == "failureThreshold");
    let threshold = threshold.and_then(|(_, value)| value.parse().ok());
    for entry in entries {
        let threshold = threshold.unwrap_or(KUBELET_FAILURE_THRESHOLD);
        app.engine.count_poll(entry, threshold);
    }
}

fn explain(group: &Group, healthy: usize, held_open: bool) -> String {
    let (require, all) = (group.spec.require, group.spec.members.len());
    let held = if held_open {
        "; held open, because it was healthy before"
    } else {
        ""
    };
    format!("{healthy} of {all} healthy, required: {require}{held}")
}

/// Once probes have stopped, nobody is ready any more. What was alive stays alive: its end is not the sidecar's to ask for.
fn answer(
    app: &App,
    readiness: bool,
    report: Report,
    headers: &HeaderMap,
    verbose: bool,
) -> Response {
    let ending = app.engine.is_stopped() || !app.ready.is_open();
    if !ending {
        return report.respond(headers, verbose);
    }
    let note = "probe-sidecar is ending: probes have stopped, this is what was known last";
    let report = report.noting(Some(note.to_owned()));
    let report = if readiness { report.refusing() } else { report };
    report.respond(headers, true)
}

fn missing(what: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("{what}\n")).into_response()
}
