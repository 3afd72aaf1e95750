//! Rules that hold for every crate of the workspace.

use std::{fs, path::Path};

#[test]
fn every_crate_inherits_the_workspace_lints() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = 0;
    for entry in fs::read_dir(crates).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else {
            continue;
        };
        assert!(
            inherits(&text),
            "{} does not inherit the lints",
            manifest.display()
        );
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} crates found");
}

#[test]
fn only_a_true_in_the_lints_table_counts() {
    assert!(inherits(
        "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"
    ));
    assert!(!inherits("[package]\nname = \"a\"\n"));
    assert!(!inherits("[lints]\n\n[dependencies]\nworkspace = true\n"));
}

fn inherits(manifest: &str) -> bool {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[lints]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .any(|line| line == "workspace = true")
}
