//! The messages of `grpc.health.v1`. tonic-health has no List.

use std::collections::HashMap;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct CheckRequest {
    #[prost(string, tag = "1")]
    pub(super) service: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct CheckResponse {
    #[prost(enumeration = "Said", tag = "1")]
    pub(super) status: i32,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct ListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListResponse {
    #[prost(map = "string, message", tag = "1")]
    pub(super) statuses: HashMap<String, CheckResponse>,
}

/// `ServingStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Said {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

impl From<Said> for CheckResponse {
    fn from(serving: Said) -> Self {
        Self {
            status: serving.into(),
        }
    }
}
