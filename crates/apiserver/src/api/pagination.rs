//! Chunked lists: the parameters `limit` and `continue`.
//!
//! A chunk starts after the last object of the previous chunk, among the objects that exist by then, and reports the
//! resource version of the first chunk: a watch from that version delivers every change in between. If the store's
//! history no longer reaches back to that version, the client gets `410 Gone` and must list again, as in Kubernetes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::query::Query;
use super::{Api, StatusError};

/// Contents of the `continue` parameter: the last object of the previous chunk.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ContinueToken {
    /// Resource version of the first chunk.
    version: u64,
    namespace: String,
    name: String,
}

/// Parameters of a list request that select a chunk.
pub(super) struct ListOptions {
    limit: Option<usize>,
    after: Option<ContinueToken>,
}

/// One chunk of a list.
pub(super) struct ListChunk<'a> {
    pub(super) objects: Vec<&'a Value>,
    pub(super) version: u64,
    /// `continue` token of the next chunk; `None` in the last one.
    pub(super) next: Option<String>,
    /// Number of objects after this chunk.
    pub(super) remaining: usize,
}

impl ListOptions {
    /// Parses the parameters. Fails if one is malformed or the token's version has expired.
    pub(super) fn from_query(api: &Api, query: &Query) -> Result<Self, StatusError> {
        let limit = match query.get("limit") {
            None => None,
            Some(text) => {
                let limit: usize = text.parse().map_err(|_| {
                    StatusError::bad_request(format!(
                        "invalid limit {text:?}: must be a non-negative number"
                    ))
                })?;
                Some(limit).filter(|limit| *limit > 0)
            }
        };
        let after = query
            .get("continue")
            .map(ContinueToken::decode)
            .transpose()?;
        if let Some(token) = &after {
            api.store.changes(token.version)?;
        }
        Ok(Self { limit, after })
    }

    /// Returns the requested chunk of `objects`, which are sorted by key and of resource version `current_version`.
    pub(super) fn paginate<'a>(
        &self,
        objects: impl Iterator<Item = &'a Value>,
        current_version: u64,
    ) -> ListChunk<'a> {
        let token = self.after.as_ref();
        let version = token.map_or(current_version, |token| token.version);
        let mut objects: Vec<&Value> = objects
            .filter(|object| token.is_none_or(|token| token.precedes(object)))
            .collect();
        let limit = self.limit.unwrap_or(usize::MAX);
        let remaining = objects.len().saturating_sub(limit);
        objects.truncate(limit);
        let last = objects.last().filter(|_| remaining > 0);
        ListChunk {
            next: last.map(|last| ContinueToken::after(last, version).encode()),
            remaining,
            objects,
            version,
        }
    }
}

fn key(object: &Value) -> (&str, &str) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}

impl ContinueToken {
    fn after(object: &Value, version: u64) -> Self {
        let (namespace, name) = key(object);
        Self {
            version,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Returns `true` if `object` comes after the last object of the previous chunk.
    fn precedes(&self, object: &Value) -> bool {
        (self.namespace.as_str(), self.name.as_str()) < key(object)
    }

    fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("numbers and texts serialise");
        URL_SAFE_NO_PAD.encode(json)
    }

    fn decode(text: &str) -> Result<Self, StatusError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let token = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        token.ok_or_else(|| {
            StatusError::bad_request(
                "continue key is not valid: use metadata.continue of the previous list",
            )
        })
    }
}
