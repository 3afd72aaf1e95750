//! Requirements of RFC 9112 that hyper does not check.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version, header};

/// Returns the response to a request without exactly one `Host` (section 3.2), or with a transfer coding other than `chunked` (section 6.1):
/// a proxy in front may interpret such a request differently. The connection is closed after the rejection.
pub(super) fn rejection<B>(request: &Request<B>) -> Option<Response> {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some(reject(
            StatusCode::BAD_REQUEST,
            "a request needs one Host header\n",
        ));
    }
    match transfer_codings(headers).as_deref() {
        None | Some([]) => None,
        Some([coding]) if coding == "chunked" => None,
        Some(codings) if codings.iter().all(|coding| coding == "chunked") => Some(reject(
            StatusCode::BAD_REQUEST,
            "chunked is applied more than once\n",
        )),
        Some(_) => Some(reject(
            StatusCode::NOT_IMPLEMENTED,
            "the only supported transfer coding is chunked\n",
        )),
    }
}

/// Returns the transfer codings in lower case; `None` if there are none.
fn transfer_codings(headers: &HeaderMap) -> Option<Vec<String>> {
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    let values = headers.get_all(header::TRANSFER_ENCODING).iter();
    let text: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
        .collect();
    let codings = text.iter().flat_map(|value| value.split(','));
    let codings = codings.map(|coding| coding.trim().to_owned());
    Some(codings.filter(|coding| !coding.is_empty()).collect())
}

fn reject(status: StatusCode, text: &'static str) -> Response {
    let mut response = (status, text).into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_needs_one_host_and_at_most_the_coding_chunked() {
        for (version, headers, expected) in [
            (Version::HTTP_11, &[("host", "a")][..], 200),
            (Version::HTTP_10, &[], 200),
            (Version::HTTP_11, &[], 400),
            (Version::HTTP_11, &[("host", "a"), ("host", "a")], 400),
            (Version::HTTP_10, &[("host", "a"), ("host", "b")], 400),
            (
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", "Chunked")],
                200,
            ),
            (
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", "gzip, chunked")],
                501,
            ),
            (
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", "chunked, chunked")],
                400,
            ),
            (
                Version::HTTP_11,
                &[
                    ("host", "a"),
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                400,
            ),
        ] {
            let mut request = Request::builder().version(version);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let rejection = rejection(&request.body(()).unwrap());
            let status = rejection.map_or(200, |response| response.status().as_u16());
            assert_eq!(status, expected, "{version:?} {headers:?}");
        }
    }
}
