//! Parser of configurations: a text becomes a [`Config`], or a list of problems, each with its line and field.
//!
//! The text is YAML. A text with problems is read twice: for its values, and for the lines of its fields, because most
//! problems are found after parsing.

use probe::ProbeKind;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::spec::{Config, HealthyWhen, TargetSpec};

mod action;
mod document;
mod extensions;
mod group;
mod lines;
mod problem;
mod target;

use problem::Problems;
pub use problem::{ConfigError, Problem};

/// Maximum length of a configuration in bytes. A ConfigMap has at most one mebibyte.
pub const MAX_BYTES: usize = 16 << 20;

/// Defaults that a configuration does not contain.
#[derive(Clone, Debug)]
pub struct ParseOptions {
    /// Default host of probes. The kubelet uses the address of the pod.
    pub host: String,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
        }
    }
}

/// Defaults of the probes of a configuration.
#[derive(Clone, Copy, Debug, Default)]
struct Defaults {
    healthy_when: HealthyWhen,
    stale_after: Option<i64>,
    unknown_after: Option<i64>,
}

/// Parses a configuration. `file` is its name in messages.
///
/// # Errors
/// Returns all problems of the text.
pub fn parse(file: &str, text: &[u8], options: &ParseOptions) -> Result<Config, ConfigError> {
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
            format!("the file has {bytes} bytes, more than the maximum of {MAX_BYTES}"),
        ));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        whole(Some(line), "the file is not UTF-8".to_owned())
    })?;
    let value: Value = serde_saphyr::from_str(text).map_err(|error| {
        let error = error.without_snippet();
        let line = error
            .location()
            .and_then(|at| usize::try_from(at.line()).ok());
        whole(line.filter(|line| *line > 0), error.to_string())
    })?;
    let mut problems = Problems::default();
    let config = read(value, options, &mut problems);
    problems.into_result(file, text)?;
    Ok(config)
}

fn read(value: Value, options: &ParseOptions, problems: &mut Problems) -> Config {
    let Some(document) = typed::<document::Document>(value, "", problems) else {
        return Config::default();
    };
    if document.targets.is_empty() {
        problems.push("targets", "Required value: must have at least one target");
    }
    let defaults = Defaults {
        healthy_when: extensions::healthy_when(
            document.healthy_when.as_deref(),
            "healthyWhen",
            HealthyWhen::default(),
            problems,
        ),
        stale_after: extensions::in_range(
            document.stale_after_milliseconds,
            1,
            "staleAfterMilliseconds",
            problems,
        ),
        unknown_after: extensions::in_range(
            document.unknown_after_milliseconds,
            0,
            "unknownAfterMilliseconds",
            problems,
        ),
    };
    let mut targets: Vec<TargetSpec> = Vec::with_capacity(document.targets.len());
    let mut names = std::collections::HashSet::new();
    for (index, target) in document.targets.into_iter().enumerate() {
        let path = format!("targets[{index}]");
        if !names.insert(target.name.clone()) {
            problems.push(
                format!("{path}.name"),
                format!("Duplicate value: {:?}", target.name),
            );
        }
        targets.push(target::read(target, &path, options, defaults, problems));
    }
    let groups = group::read(document.groups, &targets, problems);
    let actions = action::read(document.actions, &targets, &groups, problems);
    Config {
        targets,
        groups,
        actions,
    }
}

/// Deserializes a value, and reports the fields that the type does not have.
fn typed<T: DeserializeOwned>(value: Value, path: &str, problems: &mut Problems) -> Option<T> {
    let mut unknown = Vec::new();
    let mut record = |ignored: serde_ignored::Path<'_>| {
        let mut field = path.to_owned();
        write_path(&ignored, &mut field);
        unknown.push(field);
    };
    let tracked = serde_ignored::Deserializer::new(value, &mut record);
    let parsed = serde_path_to_error::deserialize(tracked);
    for field in unknown {
        problems.push(field, "unknown field");
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
            problems.push(field, error.inner().to_string());
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

/// Checks a name by the rules of container names: it becomes part of paths and labels.
fn check_name(name: &str, path: &str, problems: &mut Problems) {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_valid = (1..=63).contains(&name.len())
        && name.bytes().all(is_allowed)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !is_valid {
        problems.push(
            path,
            format!(
                "Invalid value: {name:?}: must consist of 1 to 63 lower case letters, digits or hyphens, and start and end without a hyphen"
            ),
        );
    }
}

/// Returns the field of a target that contains this kind of probe.
fn field(kind: ProbeKind) -> &'static str {
    kind.field()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
