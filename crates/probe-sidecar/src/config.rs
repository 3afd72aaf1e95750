//! Configurations: a text becomes a [`Config`], or a list of what is wrong with it, each with its line and field.
//!
//! The text is YAML. If there is something wrong with it, it is read twice over: once for its values, and once for the lines
//! they stand on, because what is wrong with a value is often found long after it was parsed.

use probe::ProbeKind;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::spec::{Config, HealthyWhen, TargetSpec};

mod action;
mod beyond;
mod document;
mod group;
mod lines;
mod problem;
mod target;

use problem::Problems;
pub use problem::{ConfigError, Problem};

/// The longest text that is read. A ConfigMap holds one mebibyte.
pub const MAX_BYTES: usize = 16 << 20;

/// What a configuration does not say itself.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where probes go that name no host: the kubelet's go to the pod's address.
    pub host: String,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
        }
    }
}

/// What holds for every probe that says nothing else.
#[derive(Clone, Copy, Debug, Default)]
struct Defaults {
    healthy_when: HealthyWhen,
    stale_after: Option<i64>,
}

/// Reads a configuration; `file` is what messages call it.
///
/// # Errors
/// With everything that is wrong with it.
pub fn parse(file: &str, text: &[u8], surroundings: &Surroundings) -> Result<Config, ConfigError> {
    let whole = |line, message: String| ConfigError {
        file: file.to_owned(),
        problems: vec![Problem {
            line,
            field: String::new(),
            message,
        }],
    };
    if text.len() > MAX_BYTES {
        let bytes = text.len();
        return Err(whole(
            None,
            format!("{bytes} bytes are more than the {MAX_BYTES} that are read"),
        ));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        whole(Some(line), "this is not UTF-8".to_owned())
    })?;
    let value: Value = serde_saphyr::from_str(text).map_err(|error| {
        let error = error.without_snippet();
        let line = error
            .location()
            .and_then(|at| usize::try_from(at.line()).ok());
        whole(line.filter(|line| *line > 0), error.to_string())
    })?;
    let mut problems = Problems::default();
    let config = read(value, surroundings, &mut problems);
    problems.end(file, text)?;
    Ok(config)
}

fn read(value: Value, surroundings: &Surroundings, problems: &mut Problems) -> Config {
    let Some(document) = typed::<document::Document>(value, "", problems) else {
        return Config::default();
    };
    if document.targets.is_empty() {
        problems.add(
            "targets",
            "Required value: there has to be something to probe",
        );
    }
    let defaults = Defaults {
        healthy_when: beyond::healthy_when(
            document.healthy_when.as_deref(),
            "healthyWhen",
            HealthyWhen::default(),
            problems,
        ),
        stale_after: beyond::at_least(
            document.stale_after_milliseconds,
            1,
            "staleAfterMilliseconds",
            problems,
        ),
    };
    let mut targets: Vec<TargetSpec> = Vec::with_capacity(document.targets.len());
    let mut names = std::collections::HashSet::new();
    for (index, target) in document.targets.into_iter().enumerate() {
        let path = format!("targets[{index}]");
        if !names.insert(target.name.clone()) {
            problems.add(
                format!("{path}.name"),
                format!("Duplicate value: {:?}", target.name),
            );
        }
        targets.push(target::read(
            target,
            &path,
            surroundings,
            defaults,
            problems,
        ));
    }
    let groups = group::read(document.groups, &targets, problems);
    let actions = action::read(document.actions, &targets, problems);
    Config {
        targets,
        groups,
        actions,
    }
}

/// A value as a type; says which fields the type does not have.
fn typed<T: DeserializeOwned>(value: Value, path: &str, problems: &mut Problems) -> Option<T> {
    let mut unknown = Vec::new();
    let mut note = |ignored: serde_ignored::Path<'_>| {
        let mut field = path.to_owned();
        write_path(&ignored, &mut field);
        unknown.push(field);
    };
    let known = serde_ignored::Deserializer::new(value, &mut note);
    let parsed = serde_path_to_error::deserialize(known);
    for field in unknown {
        problems.add(field, "unknown field");
    }
    match parsed {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            let within = error.path().to_string();
            let field = match (path, within.as_str()) {
                (path, ".") => path.to_owned(),
                ("", within) => within.to_owned(),
                (path, within) if within.starts_with('[') => format!("{path}{within}"),
                (path, within) => format!("{path}.{within}"),
            };
            problems.add(field, error.inner().to_string());
            None
        }
    }
}

fn write_path(path: &serde_ignored::Path<'_>, text: &mut String) {
    use serde_ignored::Path;
    match path {
        Path::Root => {}
        Path::Seq { parent, index } => {
            write_path(parent, text);
            text.push_str(&format!("[{index}]"));
        }
        Path::Map { parent, key } => {
            write_path(parent, text);
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(key);
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => write_path(parent, text),
    }
}

/// A name as a container has it: it becomes part of paths and labels.
fn check_name(name: &str, path: &str, problems: &mut Problems) {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !fits {
        problems.add(
            path,
            format!(
                "Invalid value: {name:?}: must be 1 to 63 lower case letters, digits or hyphens, and begin and end without a hyphen"
            ),
        );
    }
}

/// The field of a target that holds such a probe.
fn field(kind: ProbeKind) -> &'static str {
    kind.field()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
