//! Lists in pieces: `limit` and `continue`.
//!
//! A piece goes on behind the last object of the one before, among the objects that are there by then, under the version
//! of the first piece: a watch from that version tells whatever changed since. Once the history does not reach back to it,
//! the list has to begin anew, as in Kubernetes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::query::Query;
use super::{Api, Failure};

/// Where a list goes on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Token {
    /// The version of the first piece.
    version: u64,
    namespace: String,
    name: String,
}

/// Which piece is asked for.
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<Token>,
}

/// A piece, under its version, and what follows it.
pub(super) struct Piece<'a> {
    pub(super) objects: Vec<&'a Value>,
    pub(super) version: u64,
    pub(super) next: Option<String>,
    /// How many follow; unknown where a selector leaves some out.
    pub(super) remaining: Option<usize>,
}

impl Page {
    pub(super) fn of(api: &Api, query: &Query) -> Result<Self, Failure> {
        let limit = match query.get("limit") {
            None => None,
            Some(text) => {
                let limit: usize = text.parse().map_err(|_| {
                    Failure::bad_request(format!(
                        "invalid limit {text:?}: it is a number, not negative"
                    ))
                })?;
                Some(limit).filter(|limit| *limit > 0)
            }
        };
        let after = query.get("continue").map(Token::read).transpose()?;
        if let Some(token) = &after {
            api.store.changes(token.version)?;
        }
        Ok(Self { limit, after })
    }

    /// The piece of `objects`, which are in the order of their keys, and of version `now`.
    pub(super) fn cut<'a>(
        &self,
        objects: impl Iterator<Item = &'a Value>,
        now: u64,
        selected: bool,
    ) -> Piece<'a> {
        let version = self.after.as_ref().map_or(now, |token| token.version);
        let mut objects: Vec<&Value> = objects
            .filter(|object| {
                self.after
                    .as_ref()
                    .is_none_or(|token| token.is_before(object))
            })
            .collect();
        let limit = self.limit.unwrap_or(usize::MAX);
        let remaining = objects.len().saturating_sub(limit);
        objects.truncate(limit);
        let last = objects.last().filter(|_| remaining > 0);
        Piece {
            next: last.map(|last| Token::behind(last, version).written()),
            remaining: (remaining > 0 && !selected).then_some(remaining),
            objects,
            version,
        }
    }
}

fn key(object: &Value) -> (&str, &str) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}

impl Token {
    fn behind(object: &Value, version: u64) -> Self {
        let (namespace, name) = key(object);
        Self {
            version,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn is_before(&self, object: &Value) -> bool {
        (self.namespace.as_str(), self.name.as_str()) < key(object)
    }

    fn written(&self) -> String {
        let json = serde_json::to_vec(self).expect("numbers and texts serialise");
        URL_SAFE_NO_PAD.encode(json)
    }

    fn read(text: &str) -> Result<Self, Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let token = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        token.ok_or_else(|| {
            Failure::bad_request("continue key is not valid: it comes from the list before")
        })
    }
}
