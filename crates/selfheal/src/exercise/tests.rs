//! What an exercise file may say, and how its mistakes are named.

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
    assert_eq!(names, ALL);
}

#[test]
fn a_mistake_names_the_file_and_the_field() {
    refused("steps: []\ncolour: red\n", &["x.yaml", "colour"]);
    refused("steps:\n- shout: hello\n", &["x.yaml", "shout"]);
    refused(
        "steps:\n- wait: {redy: 2, within: 1}\n",
        &["x.yaml", "redy"],
    );
    refused("steps:\n- call: {path: /}\n", &["x.yaml", "status"]);
    refused(
        "steps:\n- assert: {text: a, check: {colour: 1}}\n",
        &["x.yaml", "colour"],
    );
    refused("", &["x.yaml", "steps"]);
}

#[test]
fn an_application_that_is_not_watched_is_named() {
    for step in [
        "wait: {app: three, ready: 1, within: 1}",
        "assert: {text: a, app: three, check: same-pods}",
        "undo: three",
        "restart: three",
        "image: {app: three, container: a, image: b}",
        "visit: {app: three, path: /, status: 200}",
        "outage: {app: three, found-by: a, path: /, within: 1}",
        "outage: {found-by: a, path: /, within: 1, seen-at: {app: three, path: /}}",
    ] {
        refused(
            &format!("steps:\n- {step}\n"),
            &["x.yaml", "three", "one, two"],
        );
    }
}

#[test]
fn a_manifest_that_is_not_there_is_named() {
    refused(
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
fn a_folder_is_its_own_manifests_and_not_those_of_folders_in_it() {
    assert_eq!(catalog::manifests("todo-list/db/").len(), 3);
    assert_eq!(catalog::manifests("todo-list/web/").len(), 4);
    assert_eq!(catalog::manifests("todo-list/web/better/").len(), 1);
    assert_eq!(catalog::manifests("todo-list/db/todo-db.yaml").len(), 1);
    assert!(catalog::manifests("todo-list/db").is_empty());
    assert!(catalog::manifests("todo-list/").is_empty());
}

#[test]
fn what_needs_real_processes_has_a_step_that_scripts_cannot_play() {
    for exercise in catalog::all().unwrap() {
        let real = exercise
            .steps
            .iter()
            .any(|step| matches!(step, Step::Exec(_) | Step::Form(_) | Step::Look(_)));
        assert_eq!(exercise.simulated, !real, "{}", exercise.name);
    }
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = catalog::select(&["livenes".to_owned()]).unwrap_err();
    assert!(matches!(error, CatalogError::Unknown { .. }));
    assert_eq!(
        error.to_string(),
        "no exercise \"livenes\"; there are: readiness, liveness, todo, bad-update, wrong-image, rolling-update, sidecar"
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
    assert_eq!(names(&[]), ALL);
}

#[test]
fn a_wait_says_what_it_waits_for() {
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
