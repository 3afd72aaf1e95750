//! Updates of the page as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::get,
};
use futures::stream::{self, Stream};
use http::{StatusCode, header::RETRY_AFTER};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Interval, interval},
};

use super::{ProbesView, StateView};
use crate::App;

/// Maximum number of open streams. Each occupies a connection.
const MAX_STREAMS: usize = 64;
/// Interval between checks for a change.
const REFRESH_INTERVAL: Duration = Duration::from_millis(250);

#[derive(Clone)]
struct Streams {
    app: Arc<App>,
    permits: Arc<Semaphore>,
}

pub(super) fn router(app: Arc<App>) -> Router {
    let permits = Arc::new(Semaphore::new(MAX_STREAMS));
    Router::new()
        .route("/events", get(events))
        .with_state(Streams { app, permits })
}

async fn events(State(streams): State<Streams>) -> Response {
    match streams.permits.try_acquire_owned() {
        Ok(permit) => Sse::new(updates(Updates::new(streams.app, permit))).into_response(),
        Err(_) => {
            let headers = [(RETRY_AFTER, "5")];
            (
                StatusCode::SERVICE_UNAVAILABLE,
                headers,
                "too many streams\n",
            )
                .into_response()
        }
    }
}

/// Parts of the page as they were sent last.
struct Updates {
    app: Arc<App>,
    refresh: Interval,
    state: String,
    probes: String,
    _permit: OwnedSemaphorePermit,
}

impl Updates {
    fn new(app: Arc<App>, permit: OwnedSemaphorePermit) -> Self {
        Self {
            app,
            refresh: interval(REFRESH_INTERVAL),
            state: String::new(),
            probes: String::new(),
            _permit: permit,
        }
    }

    /// Waits for a change of a part of the page; returns the part's name and its HTML.
    async fn next(&mut self) -> Result<(&'static str, String), askama::Error> {
        loop {
            let state = StateView::new(&self.app).render()?;
            if state != self.state {
                self.state.clone_from(&state);
                return Ok(("state", state));
            }
            let probes = ProbesView::new(&self.app).render()?;
            if probes != self.probes {
                self.probes.clone_from(&probes);
                return Ok(("probes", probes));
            }
            self.refresh.tick().await;
        }
    }
}

/// Returns the events, which end with the shutdown: an endless response would delay it.
fn updates(updates: Updates) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(updates, |mut updates| async {
        let app = updates.app.clone();
        let next = tokio::select! {
            next = updates.next() => next,
            () = app.ready.closed() => return None,
        };
        match next {
            Ok((name, html)) => Some((Ok(Event::default().event(name).data(html)), updates)),
            Err(error) => {
                tracing::error!(%error, "cannot render an update of the page");
                None
            }
        }
    })
}
