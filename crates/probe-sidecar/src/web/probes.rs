//! State of all probes as JSON.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::get};
use futures::stream;
use http::{StatusCode, header};
use serde_json::json;

use super::AppState;
use super::view::{ClockEpoch, ProbeView};
use crate::engine::Snapshot;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/probes", get(list_probes))
        .route("/probes/{target}", get(get_target))
}

/// Streams one target at a time: ten thousand targets need not be in memory together.
async fn list_probes(State(app): State<AppState>) -> Response {
    let snapshot = app.engine.snapshot();
    let head = json!({
        "now": format!("{:.3}", app.engine.clock().now()),
        "stopped": app.engine.is_stopped(),
        "groups": groups(&app, &snapshot),
    });
    // Replaces the closing brace by one more field.
    let mut head = head.to_string();
    head.pop();
    head.push_str(",\"probes\":[");
    let body = stream::unfold((app, snapshot, 0, Some(head)), next);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, Body::from_stream(body)).into_response()
}

type Progress = (AppState, Arc<Snapshot>, usize, Option<String>);

async fn next(
    (app, snapshot, at, head): Progress,
) -> Option<(Result<Bytes, std::convert::Infallible>, Progress)> {
    let mut chunk = match head {
        Some(head) => head,
        None if at > snapshot.targets.len() => return None,
        None => String::new(),
    };
    match snapshot.targets.get(at) {
        None => chunk.push_str("]}\n"),
        Some(target) => {
            let epoch = ClockEpoch::new(app.engine.clock());
            for (index, entry) in target.probes.iter().enumerate() {
                if at > 0 || index > 0 {
                    chunk.push(',');
                }
                let view = ProbeView::new(target, entry, app.engine.now(), epoch, false);
                chunk.push_str(&serde_json::to_string(&view).unwrap_or_default());
            }
        }
    }
    Some((Ok(Bytes::from(chunk)), (app, snapshot, at + 1, None)))
}

fn groups(app: &AppState, snapshot: &Snapshot) -> Vec<serde_json::Value> {
    let group = |group: &crate::engine::Group| {
        let status = snapshot.group_status(group, app.engine.now());
        json!({
            "name": format!("groups/{}", group.spec.name),
            "healthy": status.healthy,
            "failOpenActive": status.fail_open_active,
            "healthyMembers": status.members,
            "members": group.spec.members.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "require": group.spec.require.to_string(),
        })
    };
    snapshot.groups.iter().map(group).collect()
}

/// Returns a target with the history of its probes.
async fn get_target(State(app): State<AppState>, Path(name): Path<String>) -> Response {
    let snapshot = app.engine.snapshot();
    let Some(target) = snapshot.target(&name) else {
        let message = format!("target {name:?} not found\n");
        return (StatusCode::NOT_FOUND, message).into_response();
    };
    let epoch = ClockEpoch::new(app.engine.clock());
    let probes: Vec<ProbeView<'_>> = target
        .probes
        .iter()
        .map(|entry| ProbeView::new(target, entry, app.engine.now(), epoch, true))
        .collect();
    Json(json!({ "probes": probes })).into_response()
}
