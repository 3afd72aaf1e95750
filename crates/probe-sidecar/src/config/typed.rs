//! Deserialization of a value with all its mistakes, in the words of YAML.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::problem::Problems;

/// Maximum number of wrong types that are reported of one value.
const MAX_TYPE_ERRORS: usize = 50;

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
    let mut removed: Vec<String> = Vec::new();
    for round in 0..MAX_TYPE_ERRORS {
        let mut unknown = Vec::new();
        let mut record = |ignored: serde_ignored::Path<'_>| {
            let mut field = path.to_owned();
            write_path(&ignored, &mut field);
            unknown.push(field);
        };
        let tracked = serde_ignored::Deserializer::new(&value, &mut record);
        let error = match serde_path_to_error::deserialize(tracked) {
            Ok(parsed) => {
                report_unknown(unknown, round, problems);
                return Some(parsed);
            }
            Err(error) => error,
        };
        report_unknown(unknown, round, problems);
        let field = join(path, &error.path().to_string());
        let message = error.inner().to_string();
        if let Some(missing) = missing_field(&message) {
            let field = join(&field, missing);
            if !removed.contains(&field) {
                problems.push(field, "Required value");
            }
            return None;
        }
        problems.push_type_error(field.clone(), in_yaml_terms(&message));
        // Without the wrong field the next one is found.
        remove(&mut value, error.path())?;
        removed.push(field);
    }
    None
}

fn report_unknown(fields: Vec<String>, round: usize, problems: &mut Problems) {
    // Later rounds find the same fields again.
    if round == 0 {
        for field in fields {
            problems.push(field, "unknown field");
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

fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
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
