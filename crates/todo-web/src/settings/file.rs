//! Settings in JSON: nested objects, or keys with colons, as in .NET.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::{Entries, SettingsError, insert};

/// Adds the settings of a file. A file that does not exist has none.
pub(super) fn read(path: &Path, entries: &mut Entries) -> Result<(), SettingsError> {
    let invalid = |problem: String| SettingsError::File {
        path: path.to_owned(),
        problem,
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(invalid(error.to_string())),
    };
    // Editors on Windows write a byte order mark, which is not JSON.
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let Value::Object(_) = value else {
        return Err(invalid(
            "expected an object, such as {\"Database\": {}}".to_owned(),
        ));
    };
    flatten("", &value, &path.display().to_string(), entries);
    Ok(())
}

fn flatten(key: &str, value: &Value, source: &str, entries: &mut Entries) {
    let inside = |name: &str| {
        if key.is_empty() {
            name.to_owned()
        } else {
            format!("{key}:{name}")
        }
    };
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                flatten(&inside(name), value, source, entries);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                flatten(&inside(&index.to_string()), value, source, entries);
            }
        }
        Value::Null => {}
        Value::String(text) => insert(entries, key.to_owned(), text.clone(), source.to_owned()),
        other => insert(
            entries,
            key.to_owned(),
            other.to_string(),
            source.to_owned(),
        ),
    }
}
