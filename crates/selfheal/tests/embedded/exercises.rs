//! The exercises hold.

use std::process::Output;

use test_support::{Requirement, require};

use crate::rig::{image, reserve_ports, selfheal, skips_without_namespaces, text};

/// Runs exercises on the embedded node: every claim has to hold.
#[track_caller]
fn holds(names: &[&str], speed: &str, images: &[String]) {
    let Some(_ports) = reserve_ports() else {
        return;
    };
    let output: Output = selfheal()
        .arg("exercise")
        .args(names)
        .args(["--speed", speed])
        .args(images)
        .output()
        .unwrap();
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    if skips_without_namespaces(&errors) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{printed}{errors}");
    let verdicts = printed.matches("# Result of").count();
    assert_eq!(verdicts, names.len(), "{printed}");
    assert!(
        printed.contains("(embedded node: real processes on this host"),
        "{printed}"
    );
}

#[test]
fn the_exercises_of_the_random_numbers_hold_on_the_embedded_node() {
    // For this version only: the last of them asks for another.
    let version = concat!("localhost/selfheal/numbers-api:", env!("CARGO_PKG_VERSION"));
    let names = ["readiness", "liveness", "wrong-image"];
    holds(&names, "4", &[image(version, "numbers-api")]);
}

/// In one run: both use the chapter's port on this host.
#[test]
fn the_exercises_of_the_to_do_list_hold_on_the_embedded_node() {
    let images = [
        image("localhost/selfheal/todo-web", "todo-web"),
        image("postgres", "todo-db"),
    ];
    if require(Requirement::Postgresql) {
        holds(&["todo", "bad-update"], "6", &images);
    }
}
