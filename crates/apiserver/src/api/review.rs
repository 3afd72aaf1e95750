//! Authentication and authorization reviews, which are answered and not stored.
//!
//! Every authenticated client has the token and with it all permissions. This node has no other users.

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::StatusError;
use super::body::Body;
use super::table::ResponseFormat;

/// User name of clients with the token, as in the kubeconfig.
const USER: &str = "selfheal";
const ADMIN_GROUP: &str = "system:masters";

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// Kind of review.
pub(super) struct Review {
    pub(super) group: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) namespaced: bool,
    /// Returns the `status` for a `spec`.
    evaluate: fn(&Value) -> Result<Value, StatusError>,
}

/// Supported reviews, sorted by group.
pub(super) const REVIEWS: [Review; 5] = [
    Review {
        group: AUTHENTICATION,
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
        namespaced: false,
        evaluate: |_| {
            let groups = [ADMIN_GROUP, "system:authenticated"];
            Ok(json!({"userInfo": {"username": USER, "groups": groups}}))
        },
    },
    Review {
        group: AUTHORIZATION,
        kind: "LocalSubjectAccessReview",
        plural: "localsubjectaccessreviews",
        singular: "localsubjectaccessreview",
        namespaced: true,
        evaluate: review_subject,
    },
    Review {
        group: AUTHORIZATION,
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        namespaced: false,
        evaluate: |spec| check_attributes(spec).map(|()| allowed()),
    },
    Review {
        group: AUTHORIZATION,
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
        namespaced: false,
        evaluate: |_| {
            let all = ["*"];
            Ok(json!({
                "resourceRules": [{"verbs": all, "apiGroups": all, "resources": all}],
                "nonResourceRules": [{"verbs": all, "nonResourceURLs": all}],
                "incomplete": false,
            }))
        },
    },
    Review {
        group: AUTHORIZATION,
        kind: "SubjectAccessReview",
        plural: "subjectaccessreviews",
        singular: "subjectaccessreview",
        namespaced: false,
        evaluate: review_subject,
    },
];

/// Returns the review at a path; `None` if the path is not one of a review.
pub(super) fn find(path: &str) -> Option<&'static Review> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, plural, namespaced) = match parts.as_slice() {
        ["apis", group, "v1", plural] => (*group, *plural, false),
        ["apis", group, "v1", "namespaces", _, plural] => (*group, *plural, true),
        _ => return None,
    };
    REVIEWS.iter().find(|review| {
        review.group == group && review.plural == plural && review.namespaced == namespaced
    })
}

/// Returns the review with its `status` filled in.
pub(super) fn respond(
    review: &Review,
    method: &Method,
    format: ResponseFormat,
    body: &Body,
) -> Result<Response, StatusError> {
    if method != Method::POST {
        return Err(StatusError::method_not_allowed());
    }
    if format != ResponseFormat::Objects {
        return Err(StatusError::not_acceptable());
    }
    let mut object = body.object()?;
    object["kind"] = json!(review.kind);
    object["apiVersion"] = json!(format!("{}/v1", review.group));
    object["status"] = (review.evaluate)(&object["spec"])?;
    Ok(super::json(StatusCode::CREATED, &object))
}

fn review_subject(spec: &Value) -> Result<Value, StatusError> {
    check_attributes(spec)?;
    let mut groups = spec["groups"].as_array().into_iter().flatten();
    if spec["user"] == USER || groups.any(|group| group == ADMIN_GROUP) {
        return Ok(allowed());
    }
    let reason = format!("unknown user: this node has one user, {USER}");
    Ok(json!({"allowed": false, "reason": reason}))
}

fn allowed() -> Value {
    json!({"allowed": true, "reason": "the node's token grants all permissions"})
}

fn check_attributes(spec: &Value) -> Result<(), StatusError> {
    if spec["resourceAttributes"].is_object() != spec["nonResourceAttributes"].is_object() {
        return Ok(());
    }
    Err(StatusError::bad_request(
        "spec: exactly one of nonResourceAttributes or resourceAttributes must be specified",
    ))
}
