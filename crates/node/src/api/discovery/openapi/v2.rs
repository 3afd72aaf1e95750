//! OpenAPI v2, which kubectl before 1.27 asks for whatever it is to make, and gives up without. There is nothing in it: what it
//! has no schema of such a kubectl leaves to the server to check. The schemas here are OpenAPI v3.

use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::json;

/// As kubectl asks for it, and as it is answered: Go takes no media type with an @ in it.
const ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

const TITLE: &str = "Kubernetes";

pub(in crate::api) fn document(headers: &HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains(ASKED) || accept.contains(PROTOBUF)) {
        return ([(CONTENT_TYPE, PROTOBUF)], protobuf()).into_response();
    }
    let document = json!({
        "swagger": "2.0",
        "info": {"title": TITLE, "version": crate::node::VERSION},
        "paths": {},
    });
    crate::api::json(StatusCode::OK, &document)
}

/// The same as a `Document` of gnostic's: swagger is its field 1 and info its field 2, which has title and version as its own
/// fields 1 and 2.
fn protobuf() -> Vec<u8> {
    let (title, version) = (TITLE.as_bytes(), crate::node::VERSION.as_bytes());
    let info = [field(1, title), field(2, version)].concat();
    [field(1, b"2.0"), field(2, &info)].concat()
}

/// A field of bytes, which are few.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    const LENGTH_DELIMITED: u8 = 2;
    let length = u8::try_from(bytes.len()).expect("titles and versions are short");
    let mut field = vec![number << 3 | LENGTH_DELIMITED, length];
    field.extend_from_slice(bytes);
    field
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_kubectl_that_wants_protobuf_gets_it_and_others_json() {
        let mut headers = HeaderMap::new();
        let media_type = |headers: &HeaderMap| document(headers).headers()[CONTENT_TYPE].clone();
        assert_eq!(media_type(&headers), "application/json");
        for accept in [ASKED, PROTOBUF] {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(media_type(&headers), PROTOBUF);
        }
    }

    #[test]
    fn the_protobuf_says_what_the_json_says() {
        let version = crate::node::VERSION;
        let length = u8::try_from(version.len()).unwrap();
        let mut expected = b"\x0a\x032.0\x12".to_vec();
        expected.extend_from_slice(&[2 + 10 + 2 + length, 0x0a, 10]);
        expected.extend_from_slice(b"Kubernetes");
        expected.extend_from_slice(&[0x12, length]);
        expected.extend_from_slice(version.as_bytes());
        assert_eq!(protobuf(), expected);
    }
}
