//! Everything that is known, as JSON.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::get};
use futures::stream;
use http::{StatusCode, header};
use serde_json::json;

use super::App;
use super::view::{Origin, ProbeView};
use crate::engine::Set;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/probes", get(all))
        .route("/probes/{target}", get(one))
}

/// One target at a time: there may be ten thousand, and nobody needs them all in memory.
async fn all(State(app): State<App>) -> Response {
    let set = app.engine.set();
    let head = json!({
        "now": format!("{:.3}", app.engine.clock().now()),
        "stopped": app.engine.is_stopped(),
        "groups": groups(&app, &set),
    });
    // The head's last brace gives way to one more field.
    let mut head = head.to_string();
    head.pop();
    head.push_str(",\"probes\":[");
    let body = stream::unfold((app, set, 0, Some(head)), next);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, Body::from_stream(body)).into_response()
}

type Progress = (App, Arc<Set>, usize, Option<String>);

async fn next(
    (app, set, at, head): Progress,
) -> Option<(Result<Bytes, std::convert::Infallible>, Progress)> {
    let mut chunk = match head {
        Some(head) => head,
        None if at > set.targets.len() => return None,
        None => String::new(),
    };
    match set.targets.get(at) {
        None => chunk.push_str("]}\n"),
        Some(target) => {
            let origin = Origin::of(app.engine.clock());
            for (index, entry) in target.probes.iter().enumerate() {
                if at > 0 || index > 0 {
                    chunk.push(',');
                }
                let view = ProbeView::new(target, entry, app.engine.now(), origin, false);
                chunk.push_str(&serde_json::to_string(&view).unwrap_or_default());
            }
        }
    }
    Some((Ok(Bytes::from(chunk)), (app, set, at + 1, None)))
}

fn groups(app: &App, set: &Set) -> Vec<serde_json::Value> {
    let group = |group: &crate::engine::Group| {
        let standing = set.standing(group, app.engine.now());
        json!({
            "name": format!("groups/{}", group.spec.name),
            "healthy": standing.healthy,
            "heldOpen": standing.held_open,
            "healthyMembers": standing.members,
            "members": group.spec.members.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "require": group.spec.require.to_string(),
        })
    };
    set.groups.iter().map(group).collect()
}

/// One target, with the history of its probes.
async fn one(State(app): State<App>, Path(name): Path<String>) -> Response {
    let set = app.engine.set();
    let Some(target) = set.target(&name) else {
        let words = format!("there is no target {name:?}\n");
        return (StatusCode::NOT_FOUND, words).into_response();
    };
    let origin = Origin::of(app.engine.clock());
    let probes: Vec<ProbeView<'_>> = target
        .probes
        .iter()
        .map(|entry| ProbeView::new(target, entry, app.engine.now(), origin, true))
        .collect();
    Json(json!({ "probes": probes })).into_response()
}
