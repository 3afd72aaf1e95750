//! Every documented command is run by a test or by CI, or is listed as an exception with a reason.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

mod blocks;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use test_support::repository;

const TABLE: &str = include_str!("table.yaml");

/// A documented command and its proof.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    command: String,
    #[serde(default)]
    run: bool,
    test: Option<String>,
    ci: Option<String>,
    exception: Option<String>,
}

impl Row {
    /// # Errors
    /// The row does not have exactly one proof, or the proof's file does not have it.
    fn check(&self) -> Result<(), String> {
        let named = [&self.test, &self.ci, &self.exception];
        let proofs = named.iter().filter(|proof| proof.is_some()).count() + usize::from(self.run);
        if proofs != 1 {
            return Err(format!(
                "{}: expected one of run, test, ci, exception",
                self.command
            ));
        }
        if let Some(test) = &self.test {
            find_in_file(test, |name| format!("fn {name}("))?;
        }
        if let Some(ci) = &self.ci {
            find_in_file(ci, str::to_owned)?;
        }
        Ok(())
    }
}

/// Splits `proof` into a file and a text, and searches the file for the result of `needle` for the text.
///
/// # Errors
/// The file does not exist or does not contain the result.
fn find_in_file(proof: &str, needle: impl Fn(&str) -> String) -> Result<(), String> {
    let (file, text) = proof
        .split_once(' ')
        .ok_or(format!("{proof}: expected FILE TEXT"))?;
    let content = fs::read_to_string(repository().join(file));
    let content = content.map_err(|error| format!("{file}: {error}"))?;
    let needle = needle(text);
    let is_found = content.contains(&needle);
    is_found
        .then_some(())
        .ok_or(format!("{file} does not contain {needle:?}"))
}

fn rows() -> Vec<Row> {
    serde_saphyr::from_str(TABLE).unwrap()
}

/// The repository's README.md files and CONTRIBUTING.md.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![repository().join("CONTRIBUTING.md")];
    find_readmes(&repository(), &mut found);
    found
}

fn find_readmes(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let (path, name) = entry
            .map(|entry| (entry.path(), entry.file_name()))
            .unwrap();
        let name = name.to_string_lossy();
        if name == "README.md" {
            found.push(path);
        } else if path.is_dir() && !name.starts_with('.') && name != "target" && name != "dist" {
            find_readmes(&path, found);
        }
    }
}

fn documented_commands() -> BTreeSet<String> {
    let texts = documents()
        .into_iter()
        .map(|path| fs::read_to_string(path).unwrap());
    texts.flat_map(|text| blocks::commands(&text)).collect()
}

#[test]
fn documented_commands_and_rows_are_the_same() {
    let documented = documented_commands();
    assert!(documented.contains("make test"), "{documented:?}");
    let mut listed = BTreeSet::new();
    for row in rows() {
        assert!(listed.insert(row.command.clone()), "twice: {}", row.command);
    }
    let missing: Vec<_> = documented.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&documented).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "documented_commands/table.yaml\nmissing: {missing:#?}\nnot documented: {stale:#?}"
    );
}

#[test]
fn each_row_names_a_proof_that_exists() {
    let errors: Vec<_> = rows().iter().filter_map(|row| row.check().err()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn rows_to_run_exit_with_0() {
    let program = Path::new(env!("CARGO_BIN_EXE_selfheal"));
    let inherited = std::env::var("PATH").unwrap();
    let path = format!("{}:{inherited}", program.parent().unwrap().display());
    for row in rows().iter().filter(|row| row.run) {
        let output = Command::new("sh")
            .args(["-c", &row.command])
            .current_dir(repository())
            .env("PATH", &path)
            .env_remove("KUBECONFIG")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert_eq!(code, Some(0), "{}\n{printed}{errors}", row.command);
    }
}
