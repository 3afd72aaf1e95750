//! The tables of the README match the program.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use clap::CommandFactory as _;
use probe_sidecar::{Args, metrics};

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// Returns the cells of the rows of the table under a heading.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let readme = readme();
    let (_, section) = readme.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("|---"));
    rows.skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

#[test]
fn flags_in_the_readme_match_the_program() {
    let mut command = Args::command();
    command.build();
    let mut flags: Vec<[String; 3]> = Vec::new();
    for flag in command.get_arguments() {
        let Some(long) = flag
            .get_long()
            .filter(|long| !matches!(*long, "help" | "version"))
        else {
            continue;
        };
        let code =
            |text: Option<String>| text.map_or("none".to_owned(), |text| format!("`{text}`"));
        let variable = flag.get_env().map(|name| name.to_str().unwrap().to_owned());
        let default = flag.get_default_values().first();
        let default = default.map(|value| value.to_str().unwrap().to_owned());
        let default = if flag.get_action().takes_values() {
            code(default.filter(|value| !value.is_empty()))
        } else {
            "off".to_owned()
        };
        flags.push([format!("`--{long}`"), code(variable), default]);
    }
    let mut found: Vec<[String; 3]> = rows("Flags")
        .into_iter()
        .map(|row| [row[0].clone(), row[1].clone(), row[2].clone()])
        .collect();
    found.sort();
    flags.sort();
    assert_eq!(found, flags);
}

#[test]
fn exit_codes_in_the_readme_match_the_help() {
    let help = Args::command().render_help().to_string();
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let codes: Vec<Vec<String>> = codes
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (code, reason) = line.trim().split_once("  ").unwrap();
            vec![code.to_owned(), reason.trim().to_owned()]
        })
        .collect();
    assert_eq!(rows("Exit codes"), codes);
}

#[test]
fn metrics_in_the_readme_match_the_program() {
    let mut names: Vec<String> = metrics::NAMES.map(|name| format!("`{name}`")).into();
    names.push("`probe_sidecar_actions_total`".to_owned());
    names.extend(metrics::RELOAD_NAMES.map(|name| format!("`{name}`")));
    let found: Vec<String> = rows("Metrics")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    assert_eq!(found, names);
}
