//! Who probed this instance last, when, and with what answer.
//!
//! Only the latest probes are kept. A probe whose caller gave up before the answer counts as unanswered.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::header::USER_AGENT;
use jiff::Timestamp;
use serde::Serialize;
use service::Peer;

use crate::App;

const KEPT: usize = 100;
const LONGEST_AGENT: usize = 128;

/// One probe seen.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen {
    pub(crate) time: Timestamp,
    pub(crate) path: String,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) user_agent: String,
    /// The answer's status; none if the caller gave up first.
    pub(crate) status: Option<u16>,
}

/// The latest probes, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<VecDeque<Seen>>);

impl Ledger {
    fn add(&self, seen: Seen) {
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ledger.len() == KEPT {
            ledger.pop_front();
        }
        ledger.push_back(seen);
    }

    /// The latest probes, newest first.
    pub(crate) fn latest(&self) -> Vec<Seen> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .rev()
            .cloned()
            .collect()
    }
}

/// Writes the entry when it is dropped, so a request that is cancelled half-way is on record too.
struct Entry<'a> {
    ledger: &'a Ledger,
    seen: Option<Seen>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(seen) = self.seen.take() {
            self.ledger.add(seen);
        }
    }
}

pub(crate) async fn record(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut entry = Entry {
        ledger: &app.probes,
        seen: Some(seen(&request)),
    };
    let response = next.run(request).await;
    if let Some(seen) = &mut entry.seen {
        seen.status = Some(response.status().as_u16());
    }
    response
}

fn seen(request: &Request) -> Seen {
    let agent = request
        .headers()
        .get(USER_AGENT)
        .map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    Seen {
        time: Timestamp::now(),
        path: request.uri().path().to_owned(),
        peer: request.extensions().get::<Peer>().map(|peer| peer.0.ip()),
        user_agent: agent
            .unwrap_or_default()
            .chars()
            .take(LONGEST_AGENT)
            .collect(),
        status: None,
    }
}

/// `GET /probes`
pub(crate) async fn list(State(app): State<Arc<App>>) -> Json<Vec<Seen>> {
    Json(app.probes.latest())
}
