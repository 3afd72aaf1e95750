//! Discovery of groups, resources and the version, derived from the registry of kinds.

use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::review::{REVIEWS, Review};
use super::{StatusError, accept};
use crate::kinds::{KINDS, Kind, ProxyBackend, Subresource};

/// Media type of aggregated discovery, which returns all resources in two responses (KEP-3352).
const AGGREGATED_MEDIA_TYPE: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Returns the response to a path of this module; `None` for other paths.
pub(super) fn respond(path: &str, headers: &HeaderMap) -> Option<Result<Response, StatusError>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let value = match parts.as_slice() {
        ["version"] => version(),
        [root @ ("api" | "apis")] if accepts_aggregated(headers) => {
            return Some(Ok(aggregated(root)));
        }
        ["api"] => {
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        }
        ["apis"] => json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups().iter().filter(|group| !group.is_empty()).map(|name| group(name)).collect::<Vec<_>>(),
        }),
        ["api", version] => return Some(resources("", version)),
        ["apis", name] if groups().contains(name) => api_group(name),
        ["apis", name, version] => return Some(resources(name, version)),
        _ => return None,
    };
    Some(Ok(super::json(StatusCode::OK, &value)))
}

/// Placeholder for the commit of Kubernetes. Clients expect a hexadecimal number.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

fn version() -> Value {
    let version = component_helpers::VERSION;
    let mut numbers = version.trim_start_matches('v').split('.');
    json!({
        "major": numbers.next(),
        "minor": numbers.next(),
        "gitVersion": version,
        "gitCommit": NO_COMMIT,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("linux/{}", std::env::consts::ARCH),
    })
}

/// Returns every group once; the core group is first and empty.
pub(super) fn groups() -> Vec<&'static str> {
    let reviews = REVIEWS.iter().map(|review| review.group);
    let kinds = KINDS.iter().map(|kind| kind.group);
    let mut groups: Vec<&str> = kinds.chain(reviews).collect();
    groups.dedup();
    groups
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn api_group(name: &str) -> Value {
    let mut group = group(name);
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    group
}

/// Returns the kinds of a group and version.
pub(super) fn kinds_of<'a>(
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'static Kind> + 'a {
    KINDS
        .iter()
        .filter(move |kind| kind.group == group && kind.version == version)
}

fn resources(group: &str, version: &str) -> Result<Response, StatusError> {
    let mut resources = Vec::new();
    for kind in kinds_of(group, version) {
        resources.push(json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": kind.verbs(), "shortNames": kind.short_names, "categories": kind.categories,
        }));
        for subresource in subresources(kind) {
            resources.push(json!({
                "name": format!("{}/{}", kind.plural, subresource.name), "singularName": "", "namespaced": kind.namespaced,
                "group": subresource.group, "version": subresource.version, "kind": subresource.kind,
                "verbs": subresource.verbs,
            }));
        }
    }
    for review in reviews(group).filter(|_| version == "v1") {
        resources.push(json!({
            "name": review.plural, "singularName": review.singular, "namespaced": review.namespaced, "kind": review.kind,
            "verbs": ["create"],
        }));
    }
    if resources.is_empty() {
        return Err(StatusError::unknown_path());
    }
    let group_version = format!("{group}/{version}");
    let group_version = group_version.trim_start_matches('/');
    let list = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources});
    Ok(super::json(StatusCode::OK, &list))
}

/// Discovery entry of a subresource.
struct SubresourceInfo {
    name: &'static str,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
}

fn subresources(kind: &Kind) -> impl Iterator<Item = SubresourceInfo> {
    let subresources = kind.subresources.iter();
    subresources.map(|subresource| SubresourceInfo::new(kind, *subresource))
}

impl SubresourceInfo {
    fn new(kind: &Kind, subresource: Subresource) -> Self {
        let info = |name, (group, version, kind), verbs| Self {
            name,
            group,
            version,
            kind,
            verbs,
        };
        let own = (kind.group, kind.version, kind.kind);
        let update: &[&str] = &["get", "patch", "update"];
        let connect: &[&str] = &["create", "get"];
        match subresource {
            Subresource::Status => info("status", own, update),
            Subresource::Scale => info("scale", ("autoscaling", "v1", "Scale"), update),
            Subresource::Log => info("log", own, &["get"]),
            Subresource::Exec => info("exec", ("", "v1", "PodExecOptions"), connect),
            Subresource::Attach => info("attach", ("", "v1", "PodAttachOptions"), connect),
            Subresource::PortForward => {
                info("portforward", ("", "v1", "PodPortForwardOptions"), connect)
            }
            Subresource::Binding => info("binding", ("", "v1", "Binding"), &["create"]),
            Subresource::Eviction => info("eviction", ("policy", "v1", "Eviction"), &["create"]),
            Subresource::Proxy => {
                let options = match kind.proxy_backend {
                    Some(ProxyBackend::Service) => "ServiceProxyOptions",
                    Some(ProxyBackend::Pod) | None => "PodProxyOptions",
                };
                let verbs = &["create", "delete", "get", "patch", "update"];
                info("proxy", ("", "v1", options), verbs)
            }
            Subresource::Finalize => info("finalize", own, &["update"]),
        }
    }
}

/// Returns `true` if the client accepts aggregated discovery. Clients that do prefer it, so the order does not matter.
fn accepts_aggregated(headers: &HeaderMap) -> bool {
    let parameters = [
        ("g", "apidiscovery.k8s.io"),
        ("v", "v2"),
        ("as", "APIGroupDiscoveryList"),
    ];
    accept::media_ranges(headers).any(|range| range.has_parameters(&parameters))
}

/// Returns aggregated discovery of the core group (`api`) or of all others (`apis`).
fn aggregated(root: &str) -> Response {
    let groups = groups()
        .into_iter()
        .filter(|group| group.is_empty() == (root == "api"));
    let items: Vec<Value> = groups
        .map(|group| {
            let kinds = kinds_of(group, "v1").map(aggregated_resource);
            let resources: Vec<Value> =
                kinds.chain(reviews(group).map(aggregated_review)).collect();
            json!({
                "metadata": {"name": group, "creationTimestamp": null},
                "versions": [{"version": "v1", "resources": resources, "freshness": "Current"}],
            })
        })
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    let mut response = super::json(StatusCode::OK, &list);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static(AGGREGATED_MEDIA_TYPE),
    );
    response
}

fn reviews(group: &str) -> impl Iterator<Item = &'static Review> {
    REVIEWS.iter().filter(move |review| review.group == group)
}

fn scope(namespaced: bool) -> &'static str {
    if namespaced { "Namespaced" } else { "Cluster" }
}

fn aggregated_review(review: &Review) -> Value {
    json!({
        "resource": review.plural,
        "responseKind": {"group": review.group, "version": "v1", "kind": review.kind},
        "scope": scope(review.namespaced),
        "singularResource": review.singular,
        "verbs": ["create"],
    })
}

fn aggregated_resource(kind: &Kind) -> Value {
    let subresources = subresources(kind).map(|subresource| {
        json!({
            "subresource": subresource.name, "verbs": subresource.verbs,
            "responseKind": {"group": subresource.group, "version": subresource.version, "kind": subresource.kind},
        })
    });
    json!({
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": scope(kind.namespaced),
        "singularResource": kind.singular,
        "verbs": kind.verbs(),
        "shortNames": kind.short_names,
        "categories": kind.categories,
        "subresources": subresources.collect::<Vec<_>>(),
    })
}
