//! Reviews: what clients ask about themselves before they begin. They are answered and not kept.
//!
//! Whoever comes here has the token, and may do everything; of other users this node knows nothing.

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Failure;
use super::body::Body;
use super::table::Form;

/// As the kubeconfig calls whoever has the token.
const USER: &str = "selfheal";
const MASTERS: &str = "system:masters";

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// A question.
pub(super) struct Review {
    pub(super) group: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) namespaced: bool,
    /// The `status` that answers a `spec`.
    answer: fn(&Value) -> Result<Value, Failure>,
}

/// Every question that is answered, by group.
pub(super) const REVIEWS: [Review; 5] = [
    Review {
        group: AUTHENTICATION,
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
        namespaced: false,
        answer: |_| {
            Ok(json!({"userInfo": {"username": USER, "groups": [MASTERS, "system:authenticated"]}}))
        },
    },
    Review {
        group: AUTHORIZATION,
        kind: "LocalSubjectAccessReview",
        plural: "localsubjectaccessreviews",
        singular: "localsubjectaccessreview",
        namespaced: true,
        answer: of_subject,
    },
    Review {
        group: AUTHORIZATION,
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        namespaced: false,
        answer: |spec| about_one_thing(spec).map(|()| allowed()),
    },
    Review {
        group: AUTHORIZATION,
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
        namespaced: false,
        answer: |_| {
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
        answer: of_subject,
    },
];

/// The question that a path asks; none if it asks none.
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

/// What is asked, with its answer.
pub(super) fn respond(
    review: &Review,
    method: &Method,
    form: Form,
    body: &Body,
) -> Result<Response, Failure> {
    if method != Method::POST {
        return Err(Failure::method_not_allowed());
    }
    if form != Form::Objects {
        return Err(Failure::not_acceptable());
    }
    let mut asked = body.object()?;
    asked["kind"] = json!(review.kind);
    asked["apiVersion"] = json!(format!("{}/v1", review.group));
    asked["status"] = (review.answer)(&asked["spec"])?;
    Ok(super::json(StatusCode::CREATED, &asked))
}

fn of_subject(spec: &Value) -> Result<Value, Failure> {
    about_one_thing(spec)?;
    let mut groups = spec["groups"].as_array().into_iter().flatten();
    if spec["user"] == USER || groups.any(|group| group == MASTERS) {
        return Ok(allowed());
    }
    let reason = format!("this node has one user, {USER}");
    Ok(json!({"allowed": false, "reason": reason}))
}

fn allowed() -> Value {
    json!({"allowed": true, "reason": "whoever has this node's token may do everything"})
}

fn about_one_thing(spec: &Value) -> Result<(), Failure> {
    if spec["resourceAttributes"].is_object() != spec["nonResourceAttributes"].is_object() {
        return Ok(());
    }
    Err(Failure::bad_request(
        "spec: exactly one of nonResourceAttributes or resourceAttributes must be specified",
    ))
}
