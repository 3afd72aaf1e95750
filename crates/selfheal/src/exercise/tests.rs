//! What an exercise file may say, and how its mistakes are named.

use super::catalog::{self, CatalogError};
use super::{Check, Wait};

const HEAD: &str = "name: x\ntitle: t\nservice: s\npods: app=x\n";

#[track_caller]
fn refused(body: &str, parts: &[&str]) {
    let error = catalog::parse("x.yaml", &format!("{HEAD}{body}"))
        .unwrap_err()
        .to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn every_exercise_of_the_program_parses_under_its_name() {
    let names: Vec<String> = catalog::all()
        .unwrap()
        .into_iter()
        .map(|exercise| exercise.name)
        .collect();
    assert_eq!(names, ["readiness", "liveness"]);
}

#[test]
fn a_mistake_names_the_file_and_the_field() {
    refused(
        "steps: []\nclaims: []\ncolour: red\n",
        &["x.yaml", "colour"],
    );
    refused("steps:\n- shout: hello\nclaims: []\n", &["x.yaml", "shout"]);
    refused(
        "steps:\n- wait: {redy: 2, within: 1}\nclaims: []\n",
        &["x.yaml", "redy"],
    );
    refused(
        "steps:\n- call: {path: /}\nclaims: []\n",
        &["x.yaml", "status"],
    );
    refused(
        "steps: []\nclaims:\n- says: a\n  holds: {colour: 1}\n",
        &["x.yaml", "colour"],
    );
    refused("steps: []\n", &["x.yaml", "claims"]);
}

#[test]
fn a_manifest_that_is_not_there_is_named() {
    refused(
        "steps:\n- apply: numbers/none.yaml\nclaims: []\n",
        &["x.yaml", "numbers/none.yaml"],
    );
}

#[test]
fn claims_are_read_with_and_without_a_value() {
    let body = "steps: []\nclaims:\n- {says: a, holds: same-pods}\n- {says: b, holds: {endpoints: [2, 1]}}\n";
    let exercise = catalog::parse("x.yaml", &format!("{HEAD}{body}")).unwrap();
    let checks: Vec<Check> = exercise
        .claims
        .into_iter()
        .map(|claim| claim.holds)
        .collect();
    assert_eq!(checks, [Check::SamePods, Check::Endpoints(vec![2, 1])]);
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = catalog::select(&["livenes".to_owned()]).unwrap_err();
    assert!(matches!(error, CatalogError::Unknown { .. }));
    assert_eq!(
        error.to_string(),
        "no exercise \"livenes\"; there are: readiness, liveness"
    );
}

#[test]
fn exercises_come_in_the_order_asked_for_and_all_when_none_is_named() {
    let names = |asked: &[&str]| -> Vec<String> {
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        catalog::select(&asked)
            .unwrap()
            .into_iter()
            .map(|exercise| exercise.name)
            .collect()
    };
    assert_eq!(names(&["liveness", "readiness"]), ["liveness", "readiness"]);
    assert_eq!(names(&[]), ["readiness", "liveness"]);
}

#[test]
fn a_wait_says_what_it_waits_for() {
    let wait = Wait {
        ready: Some(2),
        endpoints: None,
        restarts: Some(1),
        within: 5,
    };
    assert_eq!(wait.to_string(), "2 ready pods and 1 restart");
}
