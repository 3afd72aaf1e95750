//! Scripts of a release: input that they accept or reject, and their output.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::{Command, Output};

use selfheal_packaging::{VERSION, repository};
use test_support::{Requirement, require};

fn run(script: &str, arguments: &[&str]) -> Output {
    Command::new(repository().join("release").join(script))
        .args(arguments)
        .current_dir(repository())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn digest(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

#[test]
fn tag_that_is_not_the_workspace_version_is_rejected() {
    for tag in [format!("v{VERSION}1"), VERSION.to_owned(), "v".to_owned()] {
        let output = run("check-version", &[&tag]);
        assert!(!output.status.success(), "{tag}");
        assert!(
            stderr(&output).contains(&format!("v{VERSION}")),
            "{output:?}"
        );
    }
}

#[test]
fn notes_of_a_version_without_a_section_are_an_error() {
    let output = run("notes", &["v999.0.0"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("999.0.0"), "{output:?}");
}

#[test]
fn digests_of_pushed_images_are_printed_with_names_and_without_tags() {
    if !require(Requirement::Jq) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let pushed = directory.path().join("pushed.json");
    let metadata = serde_json::json!({
        "numbers-api": {"image.name": "ghcr.io/me/numbers-api:1", "containerimage.digest": digest("a")},
        "todo-web": {"image.name": "localhost:5001/todo-web:1", "containerimage.digest": digest("b")},
        "buildx.build.warnings": {},
    });
    std::fs::write(&pushed, metadata.to_string()).unwrap();
    let output = run("digests", &[pushed.to_str().unwrap()]);
    let expected = format!(
        "numbers-api ghcr.io/me/numbers-api@{}\ntodo-web localhost:5001/todo-web@{}\n",
        digest("a"),
        digest("b")
    );
    assert_eq!(stdout(&output), expected, "{output:?}");
}

fn overlay(digests: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("digests.txt");
    std::fs::write(&file, digests).unwrap();
    run("registry-overlay", &[file.to_str().unwrap()])
}

#[test]
fn registry_overlay_names_released_images_by_digest() {
    if !require(Requirement::Kubectl) {
        return;
    }
    let released: Vec<String> = ["numbers-api", "todo-web", "probe-sidecar", "pg-ready"]
        .iter()
        .map(|it| format!("{it} ghcr.io/me/{it}@{}", digest("a")))
        .collect();
    let output = overlay(&released.join("\n"));
    assert!(output.status.success(), "{output:?}");
    let images: Vec<&str> = stdout(&output)
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("image: "))
        .collect();
    assert!(
        images.contains(&format!("ghcr.io/me/numbers-api@{}", digest("a")).as_str()),
        "{images:?}"
    );
    assert!(
        images.contains(&format!("ghcr.io/me/todo-web@{}", digest("a")).as_str()),
        "{images:?}"
    );
    for image in images {
        assert!(
            image.contains("@sha256:") || image.starts_with("postgres:"),
            "{image}"
        );
    }
}

#[test]
fn registry_overlay_with_an_image_that_was_not_released_is_an_error() {
    if !require(Requirement::Kubectl) {
        return;
    }
    let output = overlay(&format!(
        "numbers-api ghcr.io/me/numbers-api@{}\n",
        digest("a")
    ));
    assert!(!output.status.success());
    assert!(stderr(&output).contains("todo-web"), "{output:?}");
}

#[test]
fn packed_programs_keep_their_modes() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("dist/amd64/a/a");
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    std::fs::write(&program, "program").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o555)).unwrap();
    let pack = |arguments: &[&str]| {
        let script = repository().join("release/pack");
        let output = Command::new(script)
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    pack(&["amd64", "built.tar"]);
    std::fs::remove_dir_all(directory.path().join("dist")).unwrap();
    pack(&["--unpack", "built.tar"]);
    assert_eq!(mode(&program), 0o555);
}

fn mode(file: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file).unwrap()) & 0o777
}

#[test]
fn compiler_of_releases_is_that_of_the_builder_image() {
    let read = |file: &str| std::fs::read_to_string(repository().join(file)).unwrap();
    let value_of = |text: &str, key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap()
            .trim()
            .to_owned()
    };
    let release = value_of(&read("release/release.mk"), "RELEASE_RUST = ");
    let builder = value_of(&read("docker/Dockerfile.builder"), "ARG RUST=");
    let builder = builder.split('-').next().unwrap();
    assert!(
        release == builder || release.starts_with(&format!("{builder}.")),
        "{release} {builder}"
    );
}
