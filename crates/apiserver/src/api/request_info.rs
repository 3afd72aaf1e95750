//! Kind, namespace, name and subresource of a request, parsed from its path.

use percent_encoding::percent_decode_str;

use super::StatusError;
use crate::kinds::{self, Kind, Subresource};
use crate::store::Key;

/// Parsed path of a request for objects (`RequestInfo` of k8s.io/apiserver).
#[derive(Clone)]
pub(super) struct RequestInfo {
    pub(super) kind: &'static Kind,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<Subresource>,
}

impl RequestInfo {
    /// `/api/v1/…` or `/apis/GROUP/VERSION/…`, then `[namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE]]`.
    pub(super) fn parse(path: &str) -> Result<Self, StatusError> {
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let parts: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(StatusError::unknown_path()),
        };
        Self::parse_resource(group, version, rest).ok_or_else(StatusError::unknown_path)
    }

    fn parse_resource(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        // `namespaces/x/status` and `namespaces/x/finalize` belong to the namespace itself.
        let is_namespace = matches!(rest, ["namespaces", _, "status" | "finalize"]);
        let (namespace, rest) = match rest {
            ["namespaces", namespace, inside @ ..] if !inside.is_empty() && !is_namespace => {
                (Some(*namespace), inside)
            }
            rest => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        let kind = kinds::find(group, version, plural)?;
        let subresource = match subresource {
            Some(name) => Some(parse_subresource(name).filter(|found| kind.serves(*found))?),
            None => None,
        };
        // Namespaced objects can be listed across all namespaces, but are addressed by name within one only.
        let is_valid = if name.is_some() {
            kind.namespaced == namespace.is_some()
        } else {
            kind.namespaced || namespace.is_none()
        };
        is_valid.then(|| Self {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            subresource,
        })
    }

    /// Returns the kind's prefix in the store.
    pub(super) fn resource(&self) -> String {
        store_resource(self.kind)
    }

    /// Returns the store key of the object of this name in the request's namespace.
    pub(super) fn key(&self, name: &str) -> Key {
        Key {
            resource: self.resource(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
        }
    }
}

/// Returns a kind's prefix in the store: `GROUP/PLURAL`, where the core group is empty.
pub(super) fn store_resource(kind: &Kind) -> String {
    format!("{}/{}", kind.group, kind.plural)
}

fn parse_subresource(name: &str) -> Option<Subresource> {
    Some(match name {
        "status" => Subresource::Status,
        "scale" => Subresource::Scale,
        "log" => Subresource::Log,
        "exec" => Subresource::Exec,
        "attach" => Subresource::Attach,
        "portforward" => Subresource::PortForward,
        "binding" => Subresource::Binding,
        "eviction" => Subresource::Eviction,
        "proxy" => Subresource::Proxy,
        "finalize" => Subresource::Finalize,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (
        &'a str,
        Option<&'a str>,
        Option<&'a str>,
        Option<Subresource>,
    );

    #[track_caller]
    fn check(path: &str, expected: Option<Parts<'_>>) {
        let parsed = RequestInfo::parse(path).ok();
        let seen = parsed.as_ref().map(|info| {
            (
                info.kind.plural,
                info.namespace.as_deref(),
                info.name.as_deref(),
                info.subresource,
            )
        });
        assert_eq!(seen, expected, "{path}");
    }

    #[test]
    fn path_is_parsed_into_kind_namespace_name_and_subresource() {
        check("/api/v1/pods", Some(("pods", None, None, None)));
        check(
            "/api/v1/namespaces/a/pods",
            Some(("pods", Some("a"), None, None)),
        );
        check(
            "/api/v1/namespaces/a/pods/x",
            Some(("pods", Some("a"), Some("x"), None)),
        );
        let status = Some(Subresource::Status);
        check(
            "/api/v1/namespaces/a/pods/x/status",
            Some(("pods", Some("a"), Some("x"), status)),
        );
        check("/api/v1/namespaces", Some(("namespaces", None, None, None)));
        check(
            "/api/v1/namespaces/a",
            Some(("namespaces", None, Some("a"), None)),
        );
        check(
            "/api/v1/namespaces/a/status",
            Some(("namespaces", None, Some("a"), status)),
        );
        let scale = Some(Subresource::Scale);
        check(
            "/apis/apps/v1/namespaces/a/deployments/x/scale",
            Some(("deployments", Some("a"), Some("x"), scale)),
        );
    }

    #[test]
    fn path_of_unserved_resource_is_rejected() {
        for path in [
            "/",
            "/api/v2/pods",
            "/api/v1/pods/x",
            "/api/v1/unknowns",
            "/api/v1/namespaces/a/nodes",
            "/api/v1/namespaces/a/nodes/x",
            "/apis/apps/v1/pods",
            "/api/v1/namespaces/a/pods/x/scale",
            "/api/v1/namespaces/a/pods/x/unknown",
            "/api/v1/namespaces/a/pods/x/log/y",
        ] {
            check(path, None);
        }
    }
}
