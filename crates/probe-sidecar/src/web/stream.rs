//! `/probes/stream`: events of the engine as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::{Router, routing::get};
use futures::stream;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::AppState;
use super::view::{ClockEpoch, SampleView, TransitionView};
use crate::engine::{Event, ProbeHandle};

const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/probes/stream", get(events))
}

/// Streams events. After the first event, `started`, no event is lost: a client reads `/probes` then.
async fn events(State(app): State<AppState>) -> impl IntoResponse {
    let results = app.engine.results();
    let state = if app.engine.is_stopped() {
        StreamState::Stopped
    } else {
        StreamState::Started
    };
    let messages = stream::unfold((app, results, state), next);
    Sse::new(messages).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

#[derive(Clone, Copy)]
enum StreamState {
    Started,
    Open,
    Stopped,
    Closed,
}

type Progress = (AppState, Receiver<Event>, StreamState);

async fn next(
    (app, mut results, step): Progress,
) -> Option<(Result<Message, Infallible>, Progress)> {
    let (message, step) = match step {
        StreamState::Started => (message("started", &json!({})), StreamState::Open),
        StreamState::Stopped => (message("stopped", &json!({})), StreamState::Closed),
        StreamState::Closed => return None,
        StreamState::Open => match results.recv().await {
            Ok(Event::Stopped) | Err(RecvError::Closed) => {
                (message("stopped", &json!({})), StreamState::Closed)
            }
            Ok(event) => (describe(&app, &event), StreamState::Open),
            Err(RecvError::Lagged(count)) => (
                message("lagged", &json!({ "events": count })),
                StreamState::Open,
            ),
        },
    };
    Some((Ok(message), (app, results, step)))
}

fn message(name: &str, data: &impl serde::Serialize) -> Message {
    let data = serde_json::to_string(data).unwrap_or_default();
    Message::default().event(name).data(data)
}

fn describe(app: &AppState, event: &Event) -> Message {
    let epoch = ClockEpoch::new(app.engine.clock());
    match event {
        Event::Result(entry, sample) => {
            let state = probe_status(app, entry);
            let result = SampleView::new(sample, epoch);
            message(
                "result",
                &EventBody {
                    state,
                    details: result,
                },
            )
        }
        Event::Transition(entry, transition) => {
            let state = probe_status(app, entry);
            let change = TransitionView::new(transition, epoch);
            let output = entry.state().last().map(|last| last.output.clone());
            let details = TransitionDetails { change, output };
            message("transition", &EventBody { state, details })
        }
        Event::Reloaded => message("reloaded", &json!({})),
        Event::Stopped => message("stopped", &json!({})),
    }
}

#[derive(serde::Serialize)]
struct EventBody<T> {
    #[serde(flatten)]
    state: ProbeStatus,
    #[serde(flatten)]
    details: T,
}

#[derive(serde::Serialize)]
struct TransitionDetails {
    #[serde(flatten)]
    change: TransitionView,
    output: Option<Box<str>>,
}

#[derive(serde::Serialize)]
struct ProbeStatus {
    name: String,
    status: &'static str,
    healthy: bool,
}

fn probe_status(app: &AppState, entry: &ProbeHandle) -> ProbeStatus {
    let status = entry.status(app.engine.now());
    ProbeStatus {
        name: entry.name(),
        status: status.as_str(),
        healthy: entry.is_healthy(status),
    }
}
