//! Request counts and durations, and their exposition.
//!
//! The text is OpenMetrics, which Prometheus has read since 2.5, and the content type says so: a scraper told
//! `text/plain` would reject the closing `# EOF`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::time::Instant;

/// What `encode` writes.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Probes answer in well under a millisecond or hang for seconds; the buckets tell both apart.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// One series a method, route and status: never a raw path, which a client could make up without end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    route: String,
    status: u16,
}

type Durations = Family<Labels, Histogram, fn() -> Histogram>;

/// A service's metrics. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: Family<Labels, Counter>,
    durations: Durations,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::default();
        let durations = Durations::new_with_constructor(|| Histogram::new(BUCKETS));
        let mut registry = Registry::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the request's headers to the answer's",
            Unit::Seconds,
            durations.clone(),
        );
        Self {
            registry: Arc::new(Mutex::new(registry)),
            requests,
            durations,
        }
    }
}

impl Metrics {
    /// Adds a service's own metrics.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts every request to `router` and serves the numbers at `/metrics`.
    pub fn layer(&self, router: Router) -> Router {
        router
            .route("/metrics", get(expose).with_state(self.clone()))
            .layer(middleware::from_fn_with_state(self.clone(), observe))
    }

    /// The exposition as OpenMetrics text.
    ///
    /// # Errors
    /// When a metric cannot be written as text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

async fn expose(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(page) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn observe(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let response = next.run(request).await;
    let labels = Labels {
        method,
        route,
        status: response.status().as_u16(),
    };
    metrics
        .durations
        .get_or_create(&labels)
        .observe(start.elapsed().as_secs_f64());
    metrics.requests.get_or_create(&labels).inc();
    response
}

/// A client may send any word as its method; only the known ones become a label.
fn method_label(method: &http::Method) -> String {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS") => known,
        _ => "other",
    }
    .to_owned()
}
