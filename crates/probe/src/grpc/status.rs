//! Status of a gRPC call.

use std::fmt;

use http::{HeaderMap, StatusCode};

/// Status codes that the probe distinguishes; others keep their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Ok,
    DeadlineExceeded,
    ResourceExhausted,
    Unimplemented,
    Internal,
    Unavailable,
    Other(u8),
}

/// Names of the status codes, by number.
const CODE_NAMES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

impl From<u8> for Code {
    fn from(number: u8) -> Self {
        let known = [
            Self::Ok,
            Self::DeadlineExceeded,
            Self::ResourceExhausted,
            Self::Unimplemented,
            Self::Internal,
            Self::Unavailable,
        ];
        let mut known = known.into_iter();
        known
            .find(|code| code.number() == number)
            .unwrap_or(Self::Other(number))
    }
}

impl Code {
    fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::DeadlineExceeded => 4,
            Self::ResourceExhausted => 8,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Other(number) => number,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CODE_NAMES.get(usize::from(self.number())) {
            Some(name) => f.write_str(name),
            None => write!(f, "Code({})", self.number()),
        }
    }
}

/// Status code and message of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Status {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Parses the status in headers or trailers; returns `None` if they have none.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?.to_str().ok();
        let code = code.and_then(|code| code.parse::<u8>().ok());
        let message = headers.get("grpc-message").map(http::HeaderValue::as_bytes);
        let message = percent_encoding::percent_decode(message.unwrap_or_default());
        Some(Self::new(
            // gRPC maps an invalid status to Unknown.
            code.unwrap_or(2).into(),
            message.decode_utf8_lossy(),
        ))
    }

    /// Maps the HTTP status of a response that is not gRPC's.
    pub(super) fn from_http(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        };
        let message = format!(
            "unexpected HTTP status code received from server: {} ({})",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        );
        Self::new(code.into(), message)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, message } = self;
        write!(f, "rpc error: code = {code} desc = {message}")
    }
}
