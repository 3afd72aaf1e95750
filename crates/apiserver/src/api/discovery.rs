//! Discovery, derived from the table of kinds: groups, resources, version, OpenAPI.

use axum::response::Response;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::Failure;
use super::review::{REVIEWS, Review};
use crate::kinds::{KINDS, Kind, Subresource};

mod openapi;

/// The newer form of discovery: everything in two answers.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The answer to a path that names no objects; none if it is not one of these.
pub(super) fn respond(path: &str, headers: &HeaderMap) -> Option<Result<Response, Failure>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let value = match parts.as_slice() {
        ["version"] => version(),
        ["api" | "apis"] if wants_aggregated(headers) => {
            return Some(Ok(aggregated(parts[0] == "api")));
        }
        ["api"] => {
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        }
        ["apis"] => json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups().iter().filter(|group| !group.is_empty()).map(|name| group(name)).collect::<Vec<_>>(),
        }),
        ["api", version] => return Some(resources("", version)),
        ["apis", name] if groups().contains(name) => group_alone(name),
        ["apis", name, version] => return Some(resources(name, version)),
        ["openapi", "v2"] => return Some(Ok(openapi::v2::document(headers))),
        ["openapi", "v3"] => openapi::index(),
        ["openapi", "v3", rest @ ..] => return Some(openapi::document(&rest.join("/"))),
        _ => return None,
    };
    Some(Ok(super::json(StatusCode::OK, &value)))
}

/// Of Kubernetes there is none here; clients read it as a number.
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

/// Every group once, the core first.
fn groups() -> Vec<&'static str> {
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

fn group_alone(name: &str) -> Value {
    let mut group = group(name);
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    group
}

fn of_group<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Kind> + 'a {
    KINDS
        .iter()
        .filter(move |kind| kind.group == group && kind.version == version)
}

fn resources(group: &str, version: &str) -> Result<Response, Failure> {
    let mut resources = Vec::new();
    for kind in of_group(group, version) {
        resources.push(json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": kind.verbs(), "shortNames": kind.short_names, "categories": kind.categories,
        }));
        for below in kind
            .subresources
            .iter()
            .map(|below| Below::of(kind, *below))
        {
            resources.push(json!({
                "name": format!("{}/{}", kind.plural, below.name), "singularName": "", "namespaced": kind.namespaced,
                "group": below.group, "version": below.version, "kind": below.kind, "verbs": below.verbs,
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
        return Err(Failure::no_such_path());
    }
    let group_version = format!("{group}/{version}");
    let group_version = group_version.trim_start_matches('/');
    let list = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources});
    Ok(super::json(StatusCode::OK, &list))
}

/// What discovery says of a subresource.
struct Below {
    name: &'static str,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
}

impl Below {
    fn of(kind: &Kind, subresource: Subresource) -> Self {
        let of = |name, (group, version, kind), verbs| Self {
            name,
            group,
            version,
            kind,
            verbs,
        };
        let own = (kind.group, kind.version, kind.kind);
        let change: &[&str] = &["get", "patch", "update"];
        match subresource {
            Subresource::Status => of("status", own, change),
            Subresource::Scale => of("scale", ("autoscaling", "v1", "Scale"), change),
            Subresource::Log => of("log", own, &["get"]),
            Subresource::Exec => of("exec", ("", "v1", "PodExecOptions"), &["create", "get"]),
            Subresource::Attach => of("attach", ("", "v1", "PodAttachOptions"), &["create", "get"]),
            Subresource::PortForward => {
                let options = ("", "v1", "PodPortForwardOptions");
                of("portforward", options, &["create", "get"])
            }
            Subresource::Binding => of("binding", ("", "v1", "Binding"), &["create"]),
            Subresource::Eviction => of("eviction", ("policy", "v1", "Eviction"), &["create"]),
            Subresource::Proxy => {
                let options = if kind.kind == "Pod" {
                    "PodProxyOptions"
                } else {
                    "ServiceProxyOptions"
                };
                let verbs = &["create", "delete", "get", "patch", "update"];
                of("proxy", ("", "v1", options), verbs)
            }
            Subresource::Finalize => of("finalize", own, &["update"]),
        }
    }
}

/// Whether the caller can read the newer form. Which of several it likes best does not matter: it asked for this one.
fn wants_aggregated(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.unwrap_or_default().split(',').any(|range| {
        let parameters: Vec<&str> = range.split(';').map(str::trim).collect();
        ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
            .iter()
            .all(|wanted| parameters.contains(wanted))
    })
}

fn aggregated(core: bool) -> Response {
    let groups = groups()
        .into_iter()
        .filter(|group| group.is_empty() == core);
    let items: Vec<Value> = groups
        .map(|group| {
            let kinds = of_group(group, "v1").map(aggregated_resource);
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
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
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
    let below = kind.subresources.iter().map(|below| {
        let below = Below::of(kind, *below);
        json!({
            "subresource": below.name, "verbs": below.verbs,
            "responseKind": {"group": below.group, "version": below.version, "kind": below.kind},
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
        "subresources": below.collect::<Vec<_>>(),
    })
}
