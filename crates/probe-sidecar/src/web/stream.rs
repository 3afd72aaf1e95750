//! `/probes/stream`: what happens, as it happens, as server-sent events.

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

use super::App;
use super::view::{Origin, SampleView, TransitionView};
use crate::engine::{Entry, Event};

const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn router() -> Router<App> {
    Router::new().route("/probes/stream", get(events))
}

/// The first event says that the stream has begun: whoever looks at `/probes` after it misses nothing.
async fn events(State(app): State<App>) -> impl IntoResponse {
    let results = app.engine.results();
    let begun = if app.engine.is_stopped() {
        Step::Last
    } else {
        Step::First
    };
    let messages = stream::unfold((app, results, begun), next);
    Sse::new(messages).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

#[derive(Clone, Copy)]
enum Step {
    First,
    Next,
    Last,
    Over,
}

type Progress = (App, Receiver<Event>, Step);

async fn next(
    (app, mut results, step): Progress,
) -> Option<(Result<Message, Infallible>, Progress)> {
    let (message, step) = match step {
        Step::First => (message("started", &json!({})), Step::Next),
        Step::Last => (message("stopped", &json!({})), Step::Over),
        Step::Over => return None,
        Step::Next => match results.recv().await {
            Ok(Event::Stopped) | Err(RecvError::Closed) => {
                (message("stopped", &json!({})), Step::Over)
            }
            Ok(event) => (describe(&app, &event), Step::Next),
            Err(RecvError::Lagged(count)) => {
                (message("missed", &json!({ "events": count })), Step::Next)
            }
        },
    };
    Some((Ok(message), (app, results, step)))
}

fn message(name: &str, data: &impl serde::Serialize) -> Message {
    let data = serde_json::to_string(data).unwrap_or_default();
    Message::default().event(name).data(data)
}

fn describe(app: &App, event: &Event) -> Message {
    let origin = Origin::of(app.engine.clock());
    match event {
        Event::Result(entry, sample) => {
            let state = about(app, entry);
            let result = SampleView::new(sample, origin);
            message(
                "result",
                &Told {
                    state,
                    what: result,
                },
            )
        }
        Event::Transition(entry, transition) => {
            let state = about(app, entry);
            let change = TransitionView::new(transition, origin);
            let output = entry.state().last().map(|last| last.output.clone());
            let what = Changed { change, output };
            message("transition", &Told { state, what })
        }
        Event::Reloaded => message("reloaded", &json!({})),
        Event::Stopped => message("stopped", &json!({})),
    }
}

#[derive(serde::Serialize)]
struct Told<T> {
    #[serde(flatten)]
    state: About,
    #[serde(flatten)]
    what: T,
}

#[derive(serde::Serialize)]
struct Changed {
    #[serde(flatten)]
    change: TransitionView,
    output: Option<Box<str>>,
}

#[derive(serde::Serialize)]
struct About {
    name: String,
    status: &'static str,
    healthy: bool,
}

fn about(app: &App, entry: &Entry) -> About {
    let status = entry.status(app.engine.now());
    About {
        name: entry.name(),
        status: status.as_str(),
        healthy: entry.is_healthy(status),
    }
}
