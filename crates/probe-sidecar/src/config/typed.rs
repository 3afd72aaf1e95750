//! Deserialization of a value with all its mistakes, in the words of YAML.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::problem::Problems;

/// Maximum number of mistakes that are reported of one value.
const MAX_MISTAKES: usize = 50;

/// Deserializes a value. Reports unknown fields and every field of a wrong type; returns `None` after the latter.
pub(super) fn typed<T: DeserializeOwned>(
    value: Value,
    path: &str,
    problems: &mut Problems,
) -> Option<T> {
    let before = problems.type_errors();
    let parsed = typed_partly(value, path, problems);
    parsed.filter(|_| problems.type_errors() == before)
}

/// Deserializes a value like [`typed`], without its fields of a wrong type.
pub(super) fn typed_partly<T: DeserializeOwned>(
    mut value: Value,
    path: &str,
    problems: &mut Problems,
) -> Option<T> {
    for _ in 0..MAX_MISTAKES {
        match serde_path_to_error::deserialize(&value) {
            Ok(parsed) => return Some(parsed),
            Err(error) => report(&error, &mut value, path, problems)?,
        }
    }
    None
}

/// Reports a mistake and removes its field, so that the next one is found. Returns `None` if that is not possible.
// Not generic, because it would be compiled for every type.
#[inline(never)]
fn report(
    error: &serde_path_to_error::Error<serde_json::Error>,
    value: &mut Value,
    path: &str,
    problems: &mut Problems,
) -> Option<()> {
    let field = join(path, &error.path().to_string());
    let message = error.inner().to_string();
    if let Some(missing) = quoted(&message, "missing field `") {
        let field = join(&field, missing);
        if !problems.has(&field) {
            problems.push(field, "Required value");
        }
        return None;
    }
    if quoted(&message, "unknown field `").is_some() {
        problems.push(field, "unknown field");
    } else {
        problems.push_type_error(field, in_yaml_terms(&message));
    }
    remove(value, error.path())?;
    Some(())
}

/// Known fields of an object, with those of nested objects.
pub(super) type Fields = &'static [(
    &'static str,
    &'static [(&'static str, &'static [&'static str])],
)];

/// Reports the unknown fields of an object and of its nested objects and lists of objects.
pub(super) fn report_unknown_fields(
    value: &Value,
    fields: Fields,
    path: &str,
    problems: &mut Problems,
) {
    for (name, nested) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let Some((_, known)) = fields.iter().find(|(known, _)| known == name) else {
            problems.push(path, "unknown field");
            continue;
        };
        for (name, nested) in nested.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let Some((_, known)) = known.iter().find(|(known, _)| known == name) else {
                problems.push(path, "unknown field");
                continue;
            };
            report_unknown_elements(nested, known, &path, problems);
        }
    }
}

fn report_unknown_elements(value: &Value, known: &[&str], path: &str, problems: &mut Problems) {
    for (index, element) in value.as_array().into_iter().flatten().enumerate() {
        let names = element
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name);
        for name in names.filter(|name| !known.contains(&name.as_str())) {
            problems.push(format!("{path}[{index}].{name}"), "unknown field");
        }
    }
}

/// Removes the field at a path. Elements of lists stay, because the others would change their positions.
fn remove(value: &mut Value, path: &serde_path_to_error::Path) -> Option<Value> {
    let mut segments: Vec<&Segment> = path.iter().collect();
    let Some(Segment::Map { key }) = segments.pop() else {
        return None;
    };
    let mut parent = value;
    for segment in segments {
        parent = match segment {
            Segment::Map { key } => parent.get_mut(key)?,
            Segment::Seq { index } => parent.get_mut(*index)?,
            _ => return None,
        };
    }
    parent.as_object_mut()?.remove(key)
}

fn join(path: &str, within: &str) -> String {
    match (path, within) {
        (path, ".") => path.to_owned(),
        ("", within) => within.to_owned(),
        (path, within) if within.starts_with('[') => format!("{path}{within}"),
        (path, within) => format!("{path}.{within}"),
    }
}

/// Returns the name that follows a prefix, up to the closing quote.
fn quoted<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    Some(message.strip_prefix(prefix)?.split_once('`')?.0)
}

/// Translates a message of serde, which names types of Rust.
fn in_yaml_terms(message: &str) -> String {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, expected)) = rest.and_then(|rest| rest.rsplit_once(", expected ")) else {
        return message.to_owned();
    };
    let found = match found {
        "map" => "a mapping",
        "sequence" => "a list",
        "unit value" => "null",
        // `string "x"`, `integer `5``
        other => other.split_once(' ').map_or(other, |(_, value)| value),
    };
    let expected = match expected {
        "i32" | "i64" => "an integer",
        "u8" => "an integer from 0 to 255",
        "u16" => "an integer from 0 to 65535",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "path string" => "a path",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    };
    format!(
        "Invalid value: {}: must be {expected}",
        found.trim_matches('`')
    )
}
