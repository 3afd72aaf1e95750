//! Log of the latest health requests: time, client, status.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::header::USER_AGENT;
use http_service::{Peer, sync::lock};
use jiff::Timestamp;
use serde::Serialize;

use crate::App;

/// Maximum number of records.
const MAX_RECORDS: usize = 100;
/// Maximum length of a recorded user agent, in characters.
const MAX_USER_AGENT: usize = 128;

/// One health request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProbeRecord {
    pub(crate) time: Timestamp,
    pub(crate) path: String,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) user_agent: String,
    /// Status of the response; `None` if the client closed the connection first.
    pub(crate) status: Option<u16>,
}

/// The latest health requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct ProbeLog(Mutex<VecDeque<ProbeRecord>>);

impl ProbeLog {
    fn add(&self, record: ProbeRecord) {
        let mut records = lock(&self.0);
        if records.len() == MAX_RECORDS {
            records.pop_front();
        }
        records.push_back(record);
    }

    /// Returns the records, newest first.
    pub(crate) fn latest(&self) -> Vec<ProbeRecord> {
        lock(&self.0).iter().rev().cloned().collect()
    }
}

/// Adds its record when it is dropped, so a request that is cancelled is recorded too.
struct RecordOnDrop<'a> {
    log: &'a ProbeLog,
    record: Option<ProbeRecord>,
}

impl Drop for RecordOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.log.add(record);
        }
    }
}

/// Records each request to the inner handler.
pub(crate) async fn record(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut guard = RecordOnDrop {
        log: &app.probes,
        record: Some(new_record(&request)),
    };
    let response = next.run(request).await;
    if let Some(record) = &mut guard.record {
        record.status = Some(response.status().as_u16());
    }
    response
}

fn new_record(request: &Request) -> ProbeRecord {
    let agent = request
        .headers()
        .get(USER_AGENT)
        .map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    ProbeRecord {
        time: Timestamp::now(),
        path: request.uri().path().to_owned(),
        peer: request.extensions().get::<Peer>().map(|peer| peer.0.ip()),
        user_agent: agent
            .unwrap_or_default()
            .chars()
            .take(MAX_USER_AGENT)
            .collect(),
        status: None,
    }
}

/// `GET /probes`
pub(crate) async fn list(State(app): State<Arc<App>>) -> Json<Vec<ProbeRecord>> {
    Json(app.probes.latest())
}
