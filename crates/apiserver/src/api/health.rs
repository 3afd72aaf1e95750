//! Health checks and metrics: `/livez`, `/readyz`, `/healthz` and `/metrics`.
//!
//! The response format is kube-apiserver's. Each component of the node is a check of `/readyz` and `/healthz`; `/livez`
//! does not depend on them, because a restart of the whole node would not help a component that restarts by itself.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use super::{Api, StatusError};

/// Prometheus rejects the final `# EOF` in `text/plain`.
const OPENMETRICS_MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Name of the check that always succeeds: the server responds.
const PING: &str = "ping";

struct Check {
    name: String,
    is_ok: bool,
}

/// Returns the response to a path of this module; `None` for other paths.
pub(super) fn respond(api: &Api, path: &str, query: &str) -> Option<Result<Response, StatusError>> {
    let mut parts = path.trim_matches('/').split('/');
    let endpoint = parts.next()?;
    let check = parts.collect::<Vec<_>>().join("/");
    let checks = match endpoint {
        "metrics" if check.is_empty() => return Some(Ok(metrics(api))),
        "livez" => vec![ping()],
        "readyz" | "healthz" => {
            let mut checks = vec![ping()];
            checks.extend(component_checks(api));
            checks
        }
        _ => return None,
    };
    if check.is_empty() {
        return Some(Ok(report(endpoint, &checks, query)));
    }
    let found = checks.into_iter().find(|found| found.name == check);
    Some(found.map_or_else(
        || Err(StatusError::unknown_path()),
        |found| Ok(report(&check, &[found], query)),
    ))
}

fn ping() -> Check {
    Check {
        name: PING.to_owned(),
        is_ok: true,
    }
}

fn component_checks(api: &Api) -> impl Iterator<Item = Check> {
    let health = api.supervisor.health().into_iter();
    health.map(|component| Check {
        is_ok: component.failure.is_none(),
        name: component.name,
    })
}

/// Reports the checks, and lists them if one fails or the query has `verbose`. Reasons are withheld, because the endpoint
/// needs no token.
fn report(name: &str, checks: &[Check], query: &str) -> Response {
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let excluded = pairs.iter().filter(|(key, _)| key == "exclude");
    let mut excluded: BTreeSet<&str> = excluded.map(|(_, value)| &**value).collect();
    let mut text = String::new();
    let mut failed = false;
    for check in checks {
        let result = if excluded.remove(check.name.as_str()) {
            writeln!(text, "[+]{} excluded: ok", check.name)
        } else if check.is_ok {
            writeln!(text, "[+]{} ok", check.name)
        } else {
            failed = true;
            writeln!(text, "[-]{} failed: reason withheld", check.name)
        };
        result.expect("writing to a String cannot fail");
    }
    if !excluded.is_empty() {
        let names: Vec<String> = excluded.iter().map(|name| format!("{name:?}")).collect();
        let names = names.join(", ");
        text += &format!("warn: some health checks cannot be excluded: no matches for {names}\n");
    }
    if failed {
        text += &format!("{name} check failed\n");
        return plain(StatusCode::INTERNAL_SERVER_ERROR, text);
    }
    if !pairs.iter().any(|(key, _)| key == "verbose") {
        return plain(StatusCode::OK, "ok".to_owned());
    }
    text += &format!("{name} check passed\n");
    plain(StatusCode::OK, text)
}

fn metrics(api: &Api) -> Response {
    text_response(
        StatusCode::OK,
        OPENMETRICS_MEDIA_TYPE,
        api.supervisor.encode_metrics(),
    )
}

fn plain(status: StatusCode, text: String) -> Response {
    text_response(status, "text/plain; charset=utf-8", text)
}

fn text_response(status: StatusCode, media_type: &str, text: String) -> Response {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, media_type)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(Body::from(text))
        .expect("a status and two headers make a response")
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;
    use crate::api::tests::api;

    async fn get(api: &Api, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = api.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn readyz_lists_components_and_fails_while_one_restarts() {
        let api = api();
        let a = api.supervisor.component("a");
        let _b = api.supervisor.component("b");
        for path in ["/livez", "/readyz", "/healthz", "/readyz/a", "/livez/ping"] {
            assert_eq!(get(&api, path).await, (200, "ok".to_owned()), "{path}");
        }
        let ok = "[+]ping ok\n[+]a ok\n[+]b ok\n[+]kube-apiserver ok\nreadyz check passed\n";
        assert_eq!(get(&api, "/readyz?verbose").await, (200, ok.to_owned()));
        let excluded = "[+]ping ok\n[+]a excluded: ok\n[+]b ok\n[+]kube-apiserver ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed\n";
        let (_, text) = get(&api, "/readyz?verbose&exclude=a&exclude=x").await;
        assert_eq!(text, excluded);
        let _ = a.call_item("x", || panic!("broken"));
        let failed = "[+]ping ok\n[-]a failed: reason withheld\n[+]b ok\n[+]kube-apiserver ok\n";
        for (path, status, text) in [
            ("/livez", 200, "ok".to_owned()),
            ("/readyz", 500, format!("{failed}readyz check failed\n")),
            ("/healthz", 500, format!("{failed}healthz check failed\n")),
            (
                "/readyz/a",
                500,
                "[-]a failed: reason withheld\na check failed\n".to_owned(),
            ),
            ("/readyz/b", 200, "ok".to_owned()),
            ("/readyz?exclude=a", 200, "ok".to_owned()),
        ] {
            assert_eq!(get(&api, path).await, (status, text), "{path}");
        }
        assert_eq!(get(&api, "/readyz/c").await.0, 404);
        let (status, metrics) = get(&api, "/metrics").await;
        assert_eq!(status, 200);
        assert!(metrics.contains("selfheal_component_panics_total{component=\"a\"} 1\n"));
        let _ = a.call_item("x", || ());
        assert_eq!(get(&api, "/readyz").await, (200, "ok".to_owned()));
    }
}
