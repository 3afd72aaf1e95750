//! Rules for every crate of the workspace.

use std::{fs, path::Path};

#[test]
fn crate_inherits_the_workspace_lints() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut checked = 0;
    for entry in fs::read_dir(crates).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else {
            continue;
        };
        assert!(
            inherits_lints(&text),
            "{} does not inherit the lints",
            manifest.display()
        );
        checked += 1;
    }
    assert!(checked >= 5, "only {checked} crates found");
}

#[test]
fn lints_outside_their_table_do_not_count() {
    assert!(inherits_lints(
        "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"
    ));
    assert!(!inherits_lints("[package]\nname = \"a\"\n"));
    assert!(!inherits_lints(
        "[lints]\n\n[dependencies]\nworkspace = true\n"
    ));
}

fn inherits_lints(manifest: &str) -> bool {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[lints]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .any(|line| line == "workspace = true")
}
