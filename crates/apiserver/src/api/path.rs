//! Which kind, namespace, object and subresource a path names.

use percent_encoding::percent_decode_str;

use super::Failure;
use crate::kinds::{self, Kind, Subresource};
use crate::store::Key;

/// A path to objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) kind: Reference,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<Subresource>,
}

/// A kind, compared by identity.
#[derive(Clone, Copy)]
pub(super) struct Reference(pub(super) &'static Kind);

impl std::ops::Deref for Reference {
    type Target = Kind;

    fn deref(&self) -> &'static Kind {
        self.0
    }
}

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Reference {}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.qualified())
    }
}

impl Path {
    /// `/api/v1/…` or `/apis/GROUP/VERSION/…`, then `[namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE]]`.
    pub(super) fn parse(path: &str) -> Result<Self, Failure> {
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let parts: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(Failure::no_such_path()),
        };
        Self::of_group(group, version, rest).ok_or_else(Failure::no_such_path)
    }

    fn of_group(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        // `namespaces/x/status` and `namespaces/x/finalize` belong to the namespace itself.
        let own = matches!(rest, ["namespaces", _, "status" | "finalize"]);
        let (namespace, rest) = match rest {
            ["namespaces", namespace, inside @ ..] if !inside.is_empty() && !own => {
                (Some(*namespace), inside)
            }
            rest => (None, rest),
        };
        let (plural, name, below) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, below] => (*plural, Some(*name), Some(*below)),
            _ => return None,
        };
        let kind = kinds::find(group, version, plural)?;
        let subresource = match below {
            Some(below) => Some(subresource(below).filter(|found| kind.serves(*found))?),
            None => None,
        };
        let complete = kind.namespaced || namespace.is_none();
        // Objects with a namespace are listed across all of them, and named within one.
        let complete = complete && (name.is_none() || kind.namespaced == namespace.is_some());
        complete.then(|| Self {
            kind: Reference(kind),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            subresource,
        })
    }

    /// The kind's name in the store.
    pub(super) fn resource(&self) -> String {
        resource(&self.kind)
    }

    /// The key of the object of this name where the path leads.
    pub(super) fn key(&self, name: &str) -> Key {
        Key {
            resource: self.resource(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
        }
    }
}

/// A kind's name in the store.
pub(super) fn resource(kind: &Kind) -> String {
    format!("{}/{}", kind.group, kind.plural)
}

fn subresource(name: &str) -> Option<Subresource> {
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
        let parsed = Path::parse(path).ok();
        let seen = parsed.as_ref().map(|path| {
            (
                path.kind.plural,
                path.namespace.as_deref(),
                path.name.as_deref(),
                path.subresource,
            )
        });
        assert_eq!(seen, expected, "{path}");
    }

    #[test]
    fn a_path_names_a_kind_a_namespace_an_object_and_a_subresource() {
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
    fn paths_to_nothing_are_refused() {
        for path in [
            "/",
            "/api/v2/pods",
            "/api/v1/pods/x",
            "/api/v1/pears",
            "/api/v1/namespaces/a/nodes",
            "/api/v1/namespaces/a/nodes/x",
            "/apis/apps/v1/pods",
            "/api/v1/namespaces/a/pods/x/scale",
            "/api/v1/namespaces/a/pods/x/nothing",
            "/api/v1/namespaces/a/pods/x/log/y",
        ] {
            check(path, None);
        }
    }
}
