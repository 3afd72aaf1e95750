//! HTML page at `/`: a strip of the latest attempts of each probe, updated by a script; complete without it.

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use axum::{Router, routing::get};
use http::StatusCode;

use super::AppState;
use super::view::ClockEpoch;
use crate::engine::history::HISTORY_LEN;
use crate::engine::state::{State as ProbeState, Status, Transition};
use crate::engine::{ProbeHandle, Snapshot};
use crate::explain;

/// Maximum number of probes on the page; unhealthy ones come first.
const MAX_PROBES: usize = 300;
/// Maximum number of transitions of each probe on the page.
const MAX_TRANSITIONS: usize = 5;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/", get(get_page))
        .merge(http_service::assets::router(
            include_str!("../../assets/style.css"),
            include_str!("../../assets/app.js"),
            include_str!("../../assets/icon.svg"),
        ))
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    probes: Vec<Probe>,
    groups: Vec<Group>,
    healthy: usize,
    all: usize,
    stopped: bool,
}

struct Group {
    name: String,
    healthy: bool,
    text: String,
}

struct Probe {
    name: String,
    dependency: bool,
    status: &'static str,
    status_label: &'static str,
    healthy: bool,
    handler: String,
    rule: String,
    output: String,
    strip: Vec<&'static str>,
    strip_label: String,
    changes: Vec<Change>,
}

struct Change {
    at: String,
    text: String,
}

async fn get_page(State(app): State<AppState>) -> Response {
    let snapshot = app.engine.snapshot();
    match render(&app, &snapshot) {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot render the page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn render(app: &AppState, snapshot: &Snapshot) -> askama::Result<String> {
    let now = app.engine.now();
    let is_healthy = |entry: &ProbeHandle| entry.is_healthy(entry.status(now));
    let mut entries: Vec<(&ProbeHandle, bool)> = snapshot
        .targets
        .iter()
        .flat_map(|target| {
            target
                .probes
                .iter()
                .map(|entry| (&**entry, target.dependency))
        })
        .collect();
    let all = entries.len();
    let healthy = entries
        .iter()
        .filter(|(entry, _)| is_healthy(entry))
        .count();
    if all > MAX_PROBES {
        entries.sort_by_key(|(entry, _)| is_healthy(entry));
        entries.truncate(MAX_PROBES);
    }
    let groups = snapshot.groups.iter().map(|group| {
        let status = snapshot.group_status(group, now);
        let note = if status.fail_open_active {
            ", fail-open active"
        } else {
            ""
        };
        Group {
            name: format!("groups/{}", group.spec.name),
            healthy: status.healthy,
            text: format!(
                "{} of {} healthy, required: {}{note}",
                status.members,
                group.spec.members.len(),
                group.spec.require
            ),
        }
    });
    let epoch = ClockEpoch::new(app.engine.clock());
    let page = Page {
        groups: groups.collect(),
        probes: entries
            .iter()
            .map(|(entry, dependency)| Probe::new(app, entry, *dependency, epoch))
            .collect(),
        healthy,
        all,
        stopped: app.engine.is_stopped(),
    };
    page.render()
}

impl Probe {
    fn new(app: &AppState, entry: &ProbeHandle, dependency: bool, epoch: ClockEpoch) -> Self {
        let state = entry.state();
        let spec = &entry.spec;
        let status = entry.status_of(&state, app.engine.now());
        let marks: Vec<&'static str> = state
            .history
            .iter()
            .map(|sample| sample.result.as_str())
            .collect();
        let count = |mark: &str| marks.iter().filter(|found| **found == mark).count();
        let strip_label = format!(
            "Latest {} attempts: {} succeeded, {} failed, {} could not be made",
            marks.len(),
            count("success"),
            count("failure"),
            count("error")
        );
        Self {
            name: entry.name(),
            dependency,
            status: status.as_str(),
            status_label: label(status),
            healthy: entry.is_healthy(status),
            handler: explain::handler(&spec.handler),
            rule: format!(
                "every {}, within {}; failure threshold {}, success threshold {}",
                explain::time(spec.period),
                explain::time(spec.timeout),
                spec.failure_threshold,
                spec.success_threshold
            ),
            output: output(&state),
            strip: std::iter::repeat_n("none", HISTORY_LEN - marks.len())
                .chain(marks)
                .collect(),
            strip_label,
            changes: changes(&state, epoch),
        }
    }
}

/// Returns the label of a status.
fn label(status: Status) -> &'static str {
    match status {
        Status::Healthy => "healthy",
        Status::Unhealthy => "unhealthy",
        Status::NeverRun => "never run",
        Status::Stale => "stale",
        Status::Unknown => "unknown",
    }
}

fn output(state: &ProbeState) -> String {
    let Some(last) = state.last() else {
        return String::new();
    };
    let reason = last
        .reason
        .map(|reason| format!("{reason}: "))
        .unwrap_or_default();
    format!("{reason}{}", last.output)
}

fn changes(state: &ProbeState, epoch: ClockEpoch) -> Vec<Change> {
    let change = |transition: &Transition| {
        let reason = transition
            .reason
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        Change {
            at: epoch.timestamp(transition.at),
            text: format!(
                "{} to {}{reason}",
                label(transition.from),
                label(transition.to)
            ),
        }
    };
    state
        .transitions
        .iter()
        .rev()
        .take(MAX_TRANSITIONS)
        .map(change)
        .collect()
}
