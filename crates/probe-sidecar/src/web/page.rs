//! The page at `/`: each probe as a strip of its latest attempts, kept up to date by a script; whole without it.

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use axum::{Router, routing::get};
use http::StatusCode;

use super::App;
use super::view::Origin;
use crate::engine::history::KEPT;
use crate::engine::state::{State as Memory, Status, Transition};
use crate::engine::{Entry, Set};
use crate::explain;

/// More probes than that are more than a page can show; what is not well comes first.
const SHOWN: usize = 300;
/// So many changes of each probe are shown.
const CHANGES: usize = 5;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/", get(page))
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
    words: String,
}

struct Probe {
    name: String,
    dependency: bool,
    status: &'static str,
    words: &'static str,
    healthy: bool,
    handler: String,
    rule: String,
    said: String,
    strip: Vec<&'static str>,
    label: String,
    changes: Vec<Change>,
}

struct Change {
    at: String,
    words: String,
}

async fn page(State(app): State<App>) -> Response {
    let set = app.engine.set();
    match render(&app, &set) {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn render(app: &App, set: &Set) -> askama::Result<String> {
    let now = app.engine.now();
    let is_healthy = |entry: &Entry| entry.is_healthy(entry.status(now));
    let mut entries: Vec<(&Entry, bool)> = set
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
    if all > SHOWN {
        entries.sort_by_key(|(entry, _)| is_healthy(entry));
        entries.truncate(SHOWN);
    }
    let groups = set.groups.iter().map(|group| {
        let standing = set.standing(group, now);
        let held = if standing.held_open {
            ", held open"
        } else {
            ""
        };
        Group {
            name: format!("groups/{}", group.spec.name),
            healthy: standing.healthy,
            words: format!(
                "{} of {} healthy, required: {}{held}",
                standing.members,
                group.spec.members.len(),
                group.spec.require
            ),
        }
    });
    let origin = Origin::of(app.engine.clock());
    let page = Page {
        groups: groups.collect(),
        probes: entries
            .iter()
            .map(|(entry, dependency)| Probe::new(app, entry, *dependency, origin))
            .collect(),
        healthy,
        all,
        stopped: app.engine.is_stopped(),
    };
    page.render()
}

impl Probe {
    fn new(app: &App, entry: &Entry, dependency: bool, origin: Origin) -> Self {
        let state = entry.state();
        let spec = &entry.spec;
        let status = entry.status_of(&state, app.engine.now());
        let marks: Vec<&'static str> = state
            .history
            .iter()
            .map(|sample| sample.mark.as_str())
            .collect();
        let count = |mark: &str| marks.iter().filter(|found| **found == mark).count();
        let label = format!(
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
            words: words(status),
            healthy: entry.is_healthy(status),
            handler: explain::handler(&spec.handler),
            rule: format!(
                "every {}, within {}; failure threshold {}, success threshold {}",
                explain::time(spec.period),
                explain::time(spec.timeout),
                spec.failure_threshold,
                spec.success_threshold
            ),
            said: said(&state),
            strip: std::iter::repeat_n("none", KEPT - marks.len())
                .chain(marks)
                .collect(),
            label,
            changes: changes(&state, origin),
        }
    }
}

/// A status for people.
fn words(status: Status) -> &'static str {
    match status {
        Status::Healthy => "healthy",
        Status::Unhealthy => "unhealthy",
        Status::NeverRun => "never run",
        Status::Stale => "stale",
        Status::Unknown => "unknown",
    }
}

fn said(state: &Memory) -> String {
    let Some(last) = state.last() else {
        return String::new();
    };
    let reason = last
        .reason
        .map(|why| format!("{why}: "))
        .unwrap_or_default();
    format!("{reason}{}", last.output)
}

fn changes(state: &Memory, origin: Origin) -> Vec<Change> {
    let change = |transition: &Transition| {
        let reason = transition
            .reason
            .map(|why| format!(" ({why})"))
            .unwrap_or_default();
        Change {
            at: origin.at(transition.at),
            words: format!(
                "{} to {}{reason}",
                words(transition.from),
                words(transition.to)
            ),
        }
    };
    state
        .transitions
        .iter()
        .rev()
        .take(CHANGES)
        .map(change)
        .collect()
}
