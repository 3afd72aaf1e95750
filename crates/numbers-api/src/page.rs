//! The page at `/`: the state, the faults and the latest probes, without scripts.

use std::{fmt::Write, sync::Arc};

use axum::{
    Router,
    extract::State,
    response::{Html, IntoResponse},
    routing::get,
};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use crate::{App, probes::Seen};

const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/style.css", get(style))
        .with_state(app)
}

async fn style() -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("page/style.css"),
    )
}

async fn page(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(render(&app)))
}

fn render(app: &App) -> String {
    let state = if app.breaker.is_broken() {
        "broken"
    } else {
        "healthy"
    };
    let ready = if app.ready.is_open() {
        "wants traffic"
    } else {
        "wants no traffic"
    };
    let faults: String = app
        .faults
        .rules()
        .iter()
        .map(|rule| format!("<li><code>{rule}</code></li>"))
        .collect();
    let faults = if faults.is_empty() {
        "<p>None.</p>".to_owned()
    } else {
        format!("<ul>{faults}</ul>")
    };
    let probes = rows(&app.probes.latest());
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>numbers-api: {state}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
<h1>numbers-api is {state}</h1>
<p>It {ready}. Calls that succeeded since the start or the last reset: {calls}.</p>
<h2>Faults in force</h2>
{faults}
<h2>Probes</h2>
<table>
<caption>The latest probes, newest first</caption>
<thead><tr><th scope="col">Time</th><th scope="col">Path</th><th scope="col">From</th><th scope="col">User agent</th><th scope="col">Answer</th></tr></thead>
<tbody>{probes}</tbody>
</table>
</main>
</body>
</html>
"#,
        calls = app.breaker.calls(),
    )
}

fn rows(probes: &[Seen]) -> String {
    let mut rows = String::new();
    for seen in probes {
        let peer = seen.peer.map(|peer| peer.to_string()).unwrap_or_default();
        let status = seen
            .status
            .map_or_else(|| "none".to_owned(), |status| status.to_string());
        let (time, path, agent) = (seen.time, escape(&seen.path), escape(&seen.user_agent));
        write!(
            rows,
            "<tr><td>{time:.0}</td><td>{path}</td><td>{peer}</td><td>{agent}</td><td>{status}</td></tr>"
        )
        .expect("a String takes every text");
    }
    rows
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
