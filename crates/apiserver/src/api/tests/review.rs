//! Authentication and authorization reviews.

use super::*;

async fn post(path: &str, spec: Value) -> (StatusCode, Value) {
    let body = json!({"spec": spec});
    call(&api(), "POST", path, "application/json", body).await
}

#[tokio::test]
async fn access_review_allows_the_token_user_and_admin_group_only() {
    let pods = json!({"verb": "create", "resource": "pods"});
    let subject = |user: &str, groups: &[&str]| json!({"user": user, "groups": groups, "resourceAttributes": pods});
    let own = json!({"resourceAttributes": pods});
    let path = json!({"nonResourceAttributes": {"verb": "get", "path": "/metrics"}});
    for (review, spec, allowed) in [
        ("selfsubjectaccessreviews", own, true),
        ("selfsubjectaccessreviews", path, true),
        ("subjectaccessreviews", subject("selfheal", &[]), true),
        (
            "subjectaccessreviews",
            subject("jane", &["system:masters"]),
            true,
        ),
        ("subjectaccessreviews", subject("jane", &["devs"]), false),
        (
            "namespaces/default/localsubjectaccessreviews",
            subject("jane", &[]),
            false,
        ),
    ] {
        let (status, reviewed) = post(
            &format!("/apis/authorization.k8s.io/v1/{review}"),
            spec.clone(),
        )
        .await;
        assert_eq!(status, StatusCode::CREATED, "{review} {spec}");
        assert_eq!(reviewed["status"]["allowed"], allowed, "{review} {spec}");
        assert_eq!(reviewed["spec"], spec);
        assert_eq!(reviewed["apiVersion"], "authorization.k8s.io/v1");
    }
}

#[tokio::test]
async fn access_review_requires_exactly_one_kind_of_attributes() {
    let both = json!({"resourceAttributes": {}, "nonResourceAttributes": {}});
    for spec in [json!({}), both] {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let (status, error) = post(path, spec).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("exactly one of"), "{message}");
    }
}

#[tokio::test]
async fn self_reviews_return_the_user_and_all_permissions() {
    let (_, me) = post(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        json!({}),
    )
    .await;
    assert_eq!(me["kind"], "SelfSubjectReview");
    assert_eq!(me["status"]["userInfo"]["username"], "selfheal");
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let (_, rules) = post(path, json!({"namespace": "default"})).await;
    assert_eq!(rules["status"]["resourceRules"][0]["verbs"], json!(["*"]));
}

#[tokio::test]
async fn review_supports_post_only() {
    for path in [
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "/apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews",
    ] {
        let (status, _) = call(&api(), "GET", path, "application/json", Value::Null).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    let misplaced = "/apis/authorization.k8s.io/v1/namespaces/a/subjectaccessreviews";
    let (status, _) = post(misplaced, json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn discovery_lists_reviews() {
    let path = "/apis/authorization.k8s.io/v1";
    let (_, list) = call(&api(), "GET", path, "application/json", Value::Null).await;
    assert_eq!(list["groupVersion"], "authorization.k8s.io/v1");
    let mut names: Vec<_> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    let expected = [
        "localsubjectaccessreviews",
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
        "subjectaccessreviews",
    ];
    assert_eq!(names, expected);
    let unserved = "/apis/authorization.k8s.io/v2";
    let (status, _) = call(&api(), "GET", unserved, "application/json", Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
