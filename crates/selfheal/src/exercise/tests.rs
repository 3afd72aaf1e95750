//! Exercise files and the errors of invalid ones.

use super::Check;
use super::catalog::{self, CatalogError};
use super::step::{Step, Wait};

const ALL: [&str; 7] = [
    "readiness",
    "liveness",
    "todo",
    "bad-update",
    "wrong-image",
    "rolling-update",
    "sidecar",
];

const HEAD: &str = "name: x\ntitle: t\napps: [one, two]\n";

#[track_caller]
fn assert_rejected(body: &str, parts: &[&str]) {
    let error = catalog::parse("x.yaml", &format!("{HEAD}{body}"))
        .unwrap_err()
        .to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn every_included_exercise_parses_under_its_name() {
    let names: Vec<String> = catalog::all()
        .unwrap()
        .into_iter()
        .map(|exercise| exercise.name)
        .collect();
    assert_eq!(names, ALL);
}

#[test]
fn error_of_an_invalid_exercise_names_the_file_and_the_field() {
    assert_rejected("steps: []\ncolour: red\n", &["x.yaml", "colour"]);
    assert_rejected("steps:\n- shout: hello\n", &["x.yaml", "shout"]);
    assert_rejected(
        "steps:\n- wait: {redy: 2, timeout-seconds: 1}\n",
        &["x.yaml", "redy"],
    );
    assert_rejected("steps:\n- call: {path: /}\n", &["x.yaml", "status"]);
    assert_rejected(
        "steps:\n- assert: {text: a, check: {colour: 1}}\n",
        &["x.yaml", "colour"],
    );
    assert_rejected("", &["x.yaml", "steps"]);
}

#[test]
fn application_that_is_not_watched_is_rejected() {
    for step in [
        "wait: {app: three, ready: 1, timeout-seconds: 1}",
        "assert: {text: a, app: three, check: same-pods}",
        "rollout-undo: three",
        "rollout-restart: three",
        "set-image: {app: three, container: a, image: b}",
        "load: {app: three, path: /, status: 200}",
        "outage: {app: three, detected-by: a, path: /, timeout-seconds: 1}",
        "outage: {detected-by: a, path: /, timeout-seconds: 1, detected-at: {app: three, path: /}}",
    ] {
        assert_rejected(
            &format!("steps:\n- {step}\n"),
            &["x.yaml", "three", "one, two"],
        );
    }
}

#[test]
fn manifest_that_does_not_exist_is_rejected() {
    assert_rejected(
        "steps:\n- apply: numbers/none.yaml\n",
        &["x.yaml", "numbers/none.yaml"],
    );
}

#[test]
fn checks_are_parsed_with_and_without_a_value() {
    let body = "steps:\n- assert: {text: a, check: same-pods}\n- assert: {text: b, app: two, check: {endpoints: [2, 1]}}\n";
    let exercise = catalog::parse("x.yaml", &format!("{HEAD}{body}")).unwrap();
    let checks: Vec<_> = exercise
        .assertions()
        .map(|assertion| {
            (
                exercise.app(assertion.app.as_deref()),
                assertion.check.clone(),
            )
        })
        .collect();
    let expected = [
        ("one", Check::SamePods),
        ("two", Check::Endpoints(vec![2, 1])),
    ];
    assert_eq!(checks, expected);
}

#[test]
fn manifests_of_a_directory_do_not_include_subdirectories() {
    assert_eq!(catalog::manifests("todo-list/db/").len(), 3);
    assert_eq!(catalog::manifests("todo-list/web/").len(), 4);
    assert_eq!(catalog::manifests("todo-list/web/better/").len(), 1);
    assert_eq!(catalog::manifests("todo-list/db/todo-db.yaml").len(), 1);
    assert!(catalog::manifests("todo-list/db").is_empty());
    assert!(catalog::manifests("todo-list/").is_empty());
}

#[test]
fn exercises_are_simulated_unless_a_step_needs_a_real_process() {
    for exercise in catalog::all().unwrap() {
        let needs_process = |step: &Step| {
            matches!(
                step,
                Step::Exec(_) | Step::SubmitForm(_) | Step::ExpectPage(_)
            )
        };
        let is_real = exercise.steps.iter().any(needs_process);
        assert_eq!(exercise.simulated, !is_real, "{}", exercise.name);
    }
}

#[test]
fn unknown_name_is_rejected_with_the_known_ones() {
    let error = catalog::select(&["livenes".to_owned()]).unwrap_err();
    assert!(matches!(error, CatalogError::Unknown { .. }));
    assert_eq!(
        error.to_string(),
        "no exercise \"livenes\"; exercises: readiness, liveness, todo, bad-update, wrong-image, rolling-update, sidecar"
    );
}

#[test]
fn selected_exercises_are_in_the_given_order_and_all_without_a_name() {
    let select = |names: &[&str]| -> Vec<String> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let selected = catalog::select(&names).unwrap().into_iter();
        selected.map(|exercise| exercise.name).collect()
    };
    let reversed = ["liveness", "readiness"];
    assert_eq!(select(&reversed), reversed);
    assert_eq!(select(&[]), ALL);
}

#[test]
fn wait_is_displayed_as_its_conditions() {
    let wait = Wait {
        ready: Some(2),
        restarts: Some(1),
        ..Wait::default()
    };
    assert_eq!(wait.to_string(), "2 ready pods and 1 restart");
    let wait = Wait {
        app: Some("todo-db".to_owned()),
        waiting: Some("CrashLoopBackOff".to_owned()),
        ..Wait::default()
    };
    assert_eq!(wait.to_string(), "todo-db: CrashLoopBackOff");
}
