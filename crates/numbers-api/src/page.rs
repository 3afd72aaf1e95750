//! Page at `/`: state, faults and latest probes, updated by server-sent events; buttons that inject faults.

use std::{fmt, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::State,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_SECURITY_POLICY};

use crate::{App, Effect, Target, fault::TARGETS, probes::ProbeRecord};

mod events;

const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Faults that the page has a button for, and the buttons' labels.
const BUTTONS: [(&str, &str); 5] = [
    ("Fail", "always:fail"),
    ("Fail 3 times", "next=3:fail"),
    ("Hang", "always:hang"),
    ("Delay 5 s", "always:slow=5s"),
    ("Crash", "next=1:crash=1"),
];

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page))
        .with_state(app.clone())
        .merge(events::router(app))
        .merge(http_service::assets::router(
            include_str!("../assets/style.css"),
            include_str!("../assets/app.js"),
            include_str!("../assets/icon.svg"),
        ))
}

async fn page(State(app): State<Arc<App>>) -> Response {
    let page = Page {
        is_fault_api_enabled: app.fault_api,
        state: StateView::new(&app),
        probes: ProbesView::new(&app),
        buttons: BUTTONS,
    };
    match page.render() {
        Ok(page) => ([(CONTENT_SECURITY_POLICY, CONTENT_POLICY)], Html(page)).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot render the page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    is_fault_api_enabled: bool,
    state: StateView,
    probes: ProbesView,
    buttons: [(&'static str, &'static str); 5],
}

/// The part of the page that changes with the state.
#[derive(Template)]
#[template(path = "state.html")]
struct StateView {
    summary: Summary,
    calls: u64,
    limit: Option<u64>,
    endpoints: [Endpoint; 5],
    rules: Vec<String>,
}

impl StateView {
    fn new(app: &App) -> Self {
        let endpoints = TARGETS.map(|(target, name)| Endpoint {
            name,
            prediction: Prediction::new(app, target),
        });
        Self {
            summary: Summary::new(app),
            calls: app.fail_after.calls(),
            limit: app.fail_after.limit().map(u64::from),
            endpoints,
            rules: app.faults.rules().iter().map(ToString::to_string).collect(),
        }
    }
}

/// The part of the page that changes with each probe.
#[derive(Template)]
#[template(path = "probes.html")]
struct ProbesView {
    probes: Vec<ProbeRecord>,
}

impl ProbesView {
    fn new(app: &App) -> Self {
        let probes = app.probes.latest();
        Self { probes }
    }
}

struct Endpoint {
    name: &'static str,
    prediction: Prediction,
}

/// Word for the state of the instance, its consequences, and the class that colours both.
struct Summary {
    word: &'static str,
    consequence: &'static str,
    class: &'static str,
}

impl Summary {
    /// Derives the state from the responses that probes would receive now.
    fn new(app: &App) -> Self {
        let is_live = Prediction::new(app, Target::Livez).is_success();
        let is_ready = Prediction::new(app, Target::Readyz).is_success();
        let word = match (is_live, is_ready) {
            _ if app.fail_after.is_broken() => "broken",
            _ if app.is_starting() => "starting",
            (true, true) => "healthy",
            (true, false) => "not ready",
            (false, _) => "not live",
        };
        let consequence = match (is_live, is_ready) {
            (true, true) => "Its service sends it traffic.",
            (true, false) => "Its service sends it no traffic.",
            (false, true) => "Its service sends it traffic; a liveness probe will restart it.",
            (false, false) => "Its service sends it no traffic; a liveness probe will restart it.",
        };
        let class = match (is_live, is_ready) {
            (true, true) => "good",
            (true, false) => "odd",
            (false, _) => "bad",
        };
        Self {
            word,
            consequence,
            class,
        }
    }
}

/// Response to a request that would be made now.
enum Prediction {
    Status(StatusCode),
    Delayed(Duration, StatusCode),
    Hang,
    Crash(u8),
}

impl Prediction {
    fn new(app: &App, target: Target) -> Self {
        let status = app.status(target);
        match app.faults.peek(target) {
            None => Self::Status(status),
            Some(Effect::Fail) => Self::Status(StatusCode::INTERNAL_SERVER_ERROR),
            Some(Effect::Slow(time)) => Self::Delayed(time, status),
            Some(Effect::Hang) => Self::Hang,
            Some(Effect::Crash(code)) => Self::Crash(code),
        }
    }

    /// Returns `true` if a probe with a timeout of one second, the kubelet's default, would succeed.
    fn is_success(&self) -> bool {
        match self {
            Self::Status(status) => status.is_success(),
            Self::Delayed(time, status) => *time < Duration::from_secs(1) && status.is_success(),
            Self::Hang | Self::Crash(_) => false,
        }
    }

    fn class(&self) -> &'static str {
        if self.is_success() { "good" } else { "bad" }
    }
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{}", status.as_u16()),
            Self::Delayed(time, status) => {
                let time = humantime::format_duration(*time);
                write!(f, "{} after {time}", status.as_u16())
            }
            Self::Hang => write!(f, "no response"),
            Self::Crash(code) => write!(f, "exit with code {code}"),
        }
    }
}
