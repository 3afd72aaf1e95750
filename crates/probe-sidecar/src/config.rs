//! Parser of configurations: a text becomes a [`Config`], or a list of problems, each with its line and field.
//!
//! The text is YAML. A text with problems is read twice: for its values, and for the lines of its fields, because most
//! problems are found after parsing.

use std::collections::HashSet;

use probe::ProbeKind;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

use crate::spec::{Config, HealthyWhen, Member, TargetSpec};

mod action;
mod document;
mod extensions;
mod group;
mod lines;
mod problem;
mod target;
mod typed;

use problem::Problems;
pub use problem::{ConfigError, Problem};
use typed::{typed, typed_partly};

/// Maximum length of a configuration in bytes. A ConfigMap has at most one mebibyte.
pub const MAX_BYTES: usize = 16 << 20;

/// Defaults that a configuration does not contain.
#[derive(Clone, Debug)]
pub struct ParseOptions {
    /// Default host of probes. The kubelet uses the address of the pod.
    pub host: String,
    /// `true` to read the files that probes and actions name.
    pub check_files: bool,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            check_files: false,
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
    let mut problems = Problems::default();
    let value = match serde_saphyr::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let (line, message, is_duplicate) = describe_yaml_error(&error);
            if !is_duplicate {
                return Err(whole(line, message));
            }
            problems.push_at(line, message);
            // A text with a duplicate key may have other problems.
            let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
            serde_saphyr::from_str_with_options(text, options).map_err(|error| {
                let (line, message, _) = describe_yaml_error(&error);
                whole(line, message)
            })?
        }
    };
    if value == Value::Null {
        return Err(whole(None, "the file is empty".to_owned()));
    }
    let config = read(value, options, &mut problems);
    problems.into_result(file, text)?;
    Ok(config)
}

/// Returns line and message of an error of the YAML parser, and `true` if a key is duplicate.
fn describe_yaml_error(error: &serde_saphyr::Error) -> (Option<usize>, String, bool) {
    let error = error.without_snippet();
    let line = error
        .location()
        .and_then(|at| usize::try_from(at.line()).ok())
        .filter(|line| *line > 0);
    let message = error.to_string();
    let duplicate = message.strip_prefix("duplicate mapping key: ");
    let key = duplicate.and_then(|rest| rest.split_once(", set ").map(|(key, _)| key));
    match key {
        Some(key) => (line, format!("duplicate key {key:?}"), true),
        None => (line, message, false),
    }
}

fn read(value: Value, options: &ParseOptions, problems: &mut Problems) -> Config {
    let Some(document) = typed_partly::<document::Document>(value, "", problems) else {
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
    let declared = Declared::read(&document.targets);
    let mut targets: Vec<TargetSpec> = Vec::with_capacity(document.targets.len());
    let mut names = HashSet::new();
    for (index, target) in document.targets.into_iter().enumerate() {
        let path = format!("targets[{index}]");
        let Some(target) = typed::<document::Target>(target, &path, problems) else {
            continue;
        };
        if !names.insert(target.name.clone()) {
            problems.push(
                format!("{path}.name"),
                format!("Duplicate value: {:?}", target.name),
            );
        }
        targets.push(target::read(target, &path, options, defaults, problems));
    }
    let groups = typed_list(document.groups, "groups", problems);
    let groups = group::read(groups, &declared, problems);
    let actions = typed_list(document.actions, "actions", problems);
    let actions = action::read(actions, &declared, &groups, options, problems);
    Config {
        targets,
        groups,
        actions,
    }
}

/// Deserializes the elements of a list, with their positions. Elements of a wrong type are reported and left out.
fn typed_list<T: DeserializeOwned>(
    values: Vec<Value>,
    field: &str,
    problems: &mut Problems,
) -> Vec<(String, T)> {
    let elements = values.into_iter().enumerate();
    let typed = elements.filter_map(|(index, value)| {
        let path = format!("{field}[{index}]");
        let element = typed(value, &path, problems)?;
        Some((path, element))
    });
    typed.collect()
}

/// Probes of the file, valid or not: a reference to an invalid probe is not a second problem.
struct Declared(HashSet<Member>);

impl Declared {
    fn read(targets: &[Value]) -> Self {
        let probes = targets.iter().flat_map(|target| {
            let name = target.get("name").and_then(Value::as_str);
            let kinds = ProbeKind::ALL.into_iter();
            let kinds = kinds.filter(|kind| target.get(field(*kind)).is_some());
            kinds.filter_map(move |kind| {
                let target = name?.to_owned();
                Some(Member::Probe { target, kind })
            })
        });
        Self(probes.collect())
    }

    fn has(&self, probe: &Member) -> bool {
        self.0.contains(probe)
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
