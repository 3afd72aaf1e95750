//! Request counts and durations, and their exposition.
//!
//! The format is OpenMetrics for clients that accept it, such as Prometheus since 2.5, else the text format 0.0.4.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::time::Instant;

use crate::sync::lock;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds in seconds. Health endpoints respond in less than a millisecond or hang for seconds.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Labels of a series. The route is a pattern: raw paths of clients would create series without limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    route: String,
    status: u16,
}

type Durations = Family<Labels, Histogram, fn() -> Histogram>;

/// Metrics of a service. Clones share them.
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
        registry.register(
            "http_requests",
            "Total number of requests",
            requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the headers of a request to the headers of its response",
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
    /// Registers a service's own metrics.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut lock(&self.registry));
    }

    /// Counts every request to `router` and serves the metrics at `/metrics`.
    pub fn layer(&self, router: Router) -> Router {
        router
            .route("/metrics", get(expose).with_state(self.clone()))
            .layer(middleware::from_fn_with_state(self.clone(), observe))
    }

    /// Returns the exposition as OpenMetrics text.
    ///
    /// # Errors
    /// A metric cannot be encoded.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &lock(&self.registry))?;
        Ok(page)
    }
}

async fn expose(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let accepts_openmetrics = accepts_openmetrics(&headers);
    // The metrics of thousands of probes take longer to encode than a probe may be delayed.
    let encoded = tokio::task::spawn_blocking(move || {
        let page = metrics.encode()?;
        Ok::<_, std::fmt::Error>(if accepts_openmetrics {
            page
        } else {
            to_text_format(&page)
        })
    });
    let content_type = if accepts_openmetrics {
        OPENMETRICS
    } else {
        TEXT
    };
    let encoded = encoded.await.map_err(|error| error.to_string());
    match encoded.and_then(|page| page.map_err(|error| error.to_string())) {
        Ok(page) => {
            let headers = [
                (header::CONTENT_TYPE, content_type),
                (header::VARY, "accept"),
            ];
            (headers, page).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "cannot encode metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Returns `true` if the client accepts OpenMetrics, with at least the quality of the text format.
fn accepts_openmetrics(headers: &HeaderMap) -> bool {
    let quality = |media_type: &str| {
        let values = headers.get_all(header::ACCEPT).iter();
        let ranges = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let qualities = ranges.filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_type = parts.next()?.eq_ignore_ascii_case(media_type);
            let quality = parts.find_map(|part| part.strip_prefix("q="));
            let quality = quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
            is_type.then_some(quality)
        });
        qualities.fold(0.0, f32::max)
    };
    let openmetrics = quality("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= quality("text/plain")
}

/// Converts OpenMetrics to the text format 0.0.4: families of counters have the suffix of their samples, and there is no
/// unit and no end marker.
fn to_text_format(openmetrics: &str) -> String {
    let counters: HashSet<&str> = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let comment = line
            .strip_prefix("# HELP ")
            .or(line.strip_prefix("# TYPE "));
        let family = comment.and_then(|rest| rest.split(' ').next());
        match family.filter(|family| counters.contains(family)) {
            Some(family) => {
                let end = "# HELP ".len() + family.len();
                text.push_str(&line[..end]);
                text.push_str("_total");
                text.push_str(&line[end..]);
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
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

/// Returns the label of a method. Clients can send any token as the method, so unknown ones share a label.
fn method_label(method: &http::Method) -> String {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS") => known,
        _ => "other",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_sent_only_if_accepted() {
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            ("text/plain; version=0.0.4", false),
            ("application/openmetrics-text; version=1.0.0", true),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            ("text/plain, application/openmetrics-text;q=0.5", false),
            ("application/openmetrics-text;q=0", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(accepts_openmetrics(&headers), expected, "{accept}");
        }
    }

    #[test]
    fn text_format_names_counters_as_their_samples() {
        let openmetrics = "# HELP a Help of a.
# TYPE a counter
a_total{x=\"# TYPE\"} 1
# HELP b_seconds Help.
# TYPE b_seconds histogram
# UNIT b_seconds seconds
b_seconds_sum 1.0
# EOF
";
        let text = "# HELP a_total Help of a.
# TYPE a_total counter
a_total{x=\"# TYPE\"} 1
# HELP b_seconds Help.
# TYPE b_seconds histogram
b_seconds_sum 1.0
";
        assert_eq!(to_text_format(openmetrics), text);
    }
}
