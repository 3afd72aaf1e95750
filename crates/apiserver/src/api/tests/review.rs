//! What clients ask about themselves.

use super::*;

async fn ask(path: &str, spec: Value) -> (StatusCode, Value) {
    let body = json!({"spec": spec});
    call(&api(), "POST", path, "application/json", body).await
}

#[tokio::test]
async fn whoever_is_here_may_do_everything_and_nobody_else_is_known() {
    let pods = json!({"verb": "create", "resource": "pods"});
    let of = |user: &str, groups: &[&str]| json!({"user": user, "groups": groups, "resourceAttributes": pods});
    let own = json!({"resourceAttributes": pods});
    let path = json!({"nonResourceAttributes": {"verb": "get", "path": "/metrics"}});
    for (review, spec, allowed) in [
        ("selfsubjectaccessreviews", own, true),
        ("selfsubjectaccessreviews", path, true),
        ("subjectaccessreviews", of("selfheal", &[]), true),
        (
            "subjectaccessreviews",
            of("jane", &["system:masters"]),
            true,
        ),
        ("subjectaccessreviews", of("jane", &["devs"]), false),
        (
            "namespaces/default/localsubjectaccessreviews",
            of("jane", &[]),
            false,
        ),
    ] {
        let (status, answer) = ask(
            &format!("/apis/authorization.k8s.io/v1/{review}"),
            spec.clone(),
        )
        .await;
        assert_eq!(status, StatusCode::CREATED, "{review} {spec}");
        assert_eq!(answer["status"]["allowed"], allowed, "{review} {spec}");
        assert_eq!(answer["spec"], spec);
        assert_eq!(answer["apiVersion"], "authorization.k8s.io/v1");
    }
}

#[tokio::test]
async fn a_question_about_nothing_or_about_two_things_is_refused() {
    let both = json!({"resourceAttributes": {}, "nonResourceAttributes": {}});
    for spec in [json!({}), both] {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let (status, answer) = ask(path, spec).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let why = answer["message"].as_str().unwrap();
        assert!(why.contains("exactly one of"), "{why}");
    }
}

#[tokio::test]
async fn the_caller_has_a_name_and_all_rights() {
    let (_, me) = ask(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        json!({}),
    )
    .await;
    assert_eq!(me["kind"], "SelfSubjectReview");
    assert_eq!(me["status"]["userInfo"]["username"], "selfheal");
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let (_, rules) = ask(path, json!({"namespace": "default"})).await;
    assert_eq!(rules["status"]["resourceRules"][0]["verbs"], json!(["*"]));
}

#[tokio::test]
async fn reviews_are_asked_and_never_read() {
    for path in [
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "/apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews",
    ] {
        let (status, _) = call(&api(), "GET", path, "application/json", Value::Null).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    let misplaced = "/apis/authorization.k8s.io/v1/namespaces/a/subjectaccessreviews";
    let (status, _) = ask(misplaced, json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn discovery_tells_of_them() {
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
    let nowhere = "/apis/authorization.k8s.io/v2";
    let (status, _) = call(&api(), "GET", nowhere, "application/json", Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
