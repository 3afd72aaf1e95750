//! Notices of programs of this workspace, from cargo's registry.

use std::path::Path;

use super::*;
use crate::{packages, workspace};

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn notices(program: &str) -> (Vec<Package>, String) {
    let root = workspace();
    let accepted = Accepted::read(&root.join("deny.toml")).unwrap();
    let linked = packages::find_contents(&root, program, TARGET).unwrap();
    let text = render(program, TARGET, &linked, &accepted).unwrap();
    (linked.packages, text)
}

#[test]
fn notices_of_a_program_name_every_linked_package_and_licence() {
    let (linked, text) = notices("pg-ready");
    assert!(
        linked.iter().any(|it| it.name == "rustls-webpki"),
        "{linked:?}"
    );
    assert!(
        linked.iter().all(|it| it.name != "serde_derive"),
        "{linked:?}"
    );
    for package in &linked {
        let listed = text
            .lines()
            .filter(|line| line.contains(&package.title()))
            .count();
        assert!(listed >= 2, "{}: {listed}", package.title());
    }
    let licenses = text
        .lines()
        .find_map(|line| line.strip_prefix("Licences: "))
        .unwrap();
    for license in [
        "Apache-2.0",
        "BSD-3-Clause",
        "ISC",
        "LGPL-2.1-or-later",
        "MIT",
    ] {
        assert!(
            licenses.split(" AND ").any(|it| it == license),
            "{license}: {licenses}"
        );
    }
}

#[test]
fn notices_of_the_same_lock_file_are_the_same_bytes() {
    assert_eq!(notices("pg-ready").1, notices("pg-ready").1);
}

#[test]
fn package_without_a_licence_is_an_error_that_names_it() {
    let root = workspace();
    let accepted = Accepted::read(&root.join("deny.toml")).unwrap();
    let mut linked = packages::find_contents(&root, "pg-ready", TARGET).unwrap();
    linked.packages.truncate(1);
    linked.packages[0].license = None;
    let error = format!(
        "{:#}",
        render("pg-ready", TARGET, &linked, &accepted).unwrap_err()
    );
    assert!(
        error.contains(&linked.packages[0].title()) && error.contains("no licence"),
        "{error}"
    );
}

#[test]
fn apache_text_occurs_once() {
    let (_, text) = notices("pg-ready");
    let count = text
        .matches("TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION")
        .count();
    assert_eq!(count, 1);
}

#[test]
fn texts_that_differ_in_the_copyright_notice_share_one_body() {
    let mut sections = Sections::default();
    for (user, copyright) in [("a 1", "Copyright (c) A"), ("b 2", "Copyright (c) B")] {
        let text = format!(
            "MIT License\n\n{copyright}\n\nPermission is hereby granted, free\nof charge\n"
        );
        sections.add("MIT", &text, user);
    }
    let text = write("p", TARGET, &[], &[], &sections);
    assert_eq!(
        text.matches("Permission is hereby granted").count(),
        1,
        "{text}"
    );
    for line in [
        "a 1:\n  MIT License\n  Copyright (c) A\n",
        "b 2:\n  MIT License\n  Copyright (c) B\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn accepted_licences_of_a_missing_file_are_an_error_that_names_it() {
    let Err(error) = Accepted::read(Path::new("/nonexistent/deny.toml")) else {
        panic!("a file that is absent was read");
    };
    assert!(
        error.to_string().contains("/nonexistent/deny.toml"),
        "{error}"
    );
}

#[test]
fn notices_of_a_program_name_the_data_that_it_includes() {
    let (_, text) = notices("selfheal");
    assert!(
        text.contains("- kiamol, its manifests adapted (CC-BY-SA-4.0)"),
        "{text}"
    );
    assert!(
        text.contains("Creative Commons Attribution-ShareAlike 4.0 International"),
        "{text}"
    );
}
