//! Permissions of the current user on a cluster.

use anyhow::Context as _;
use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

/// A verb on a resource of an API group; the subresource follows a slash.
type Permission = (&'static str, &'static str, &'static str);

/// Requests that the exercises send in their namespace.
const IN_NAMESPACE: [Permission; 24] = [
    ("create", "", "services"),
    ("get", "", "services"),
    ("watch", "", "services"),
    ("delete", "", "services"),
    ("create", "", "configmaps"),
    ("get", "", "configmaps"),
    ("delete", "", "configmaps"),
    ("create", "", "secrets"),
    ("get", "", "secrets"),
    ("delete", "", "secrets"),
    ("create", "apps", "deployments"),
    ("get", "apps", "deployments"),
    ("watch", "apps", "deployments"),
    ("patch", "apps", "deployments"),
    ("patch", "apps", "deployments/scale"),
    ("delete", "apps", "deployments"),
    ("list", "apps", "replicasets"),
    ("list", "", "pods"),
    ("watch", "", "pods"),
    ("get", "", "pods/log"),
    ("get", "", "pods/exec"),
    ("get", "", "endpoints"),
    ("watch", "", "endpoints"),
    ("watch", "", "events"),
];

/// Requests for a namespace that does not exist yet.
const OWN_NAMESPACE: [Permission; 3] = [
    ("create", "", "namespaces"),
    ("watch", "", "namespaces"),
    ("delete", "", "namespaces"),
];

/// Returns the permissions that the current user does not have, as in "create deployments.apps".
///
/// # Errors
/// When the API server does not answer.
pub(crate) async fn find_missing(
    client: &Client,
    namespace: &str,
    creates_namespace: bool,
) -> anyhow::Result<Vec<String>> {
    let in_namespace = IN_NAMESPACE.iter();
    let in_namespace = in_namespace.map(|permission| (permission, Some(namespace)));
    let own = OWN_NAMESPACE.iter().filter(|_| creates_namespace);
    let all = in_namespace.chain(own.map(|permission| (permission, None)));
    let reviews = all.map(|(permission, namespace)| review(client, *permission, namespace));
    let results = try_join_all(reviews).await?;
    Ok(results.into_iter().flatten().collect())
}

/// Returns the text of the permission if the user does not have it.
async fn review(
    client: &Client,
    (verb, group, resource): Permission,
    namespace: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let (name, subresource) = match resource.split_once('/') {
        Some((name, subresource)) => (name, Some(subresource)),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(name.to_owned()),
        subresource: subresource.map(str::to_owned),
        namespace: namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
    let response = reviews.create(&PostParams::default(), &review).await;
    let response = response.context("requesting the permissions of this user")?;
    let is_allowed = response.status.is_some_and(|status| status.allowed);
    let group = if group.is_empty() {
        String::new()
    } else {
        format!(".{group}")
    };
    Ok((!is_allowed).then(|| format!("{verb} {resource}{group}")))
}
