//! Settings in JSON: objects inside objects, or keys with colons, as .NET reads both.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::{Entries, SettingsError, put};

/// Adds what a file says. A file that is not there says nothing.
pub(super) fn read(path: &Path, entries: &mut Entries) -> Result<(), SettingsError> {
    let wrong = |problem: String| SettingsError::File {
        path: path.to_owned(),
        problem,
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(wrong(error.to_string())),
    };
    // Editors on Windows begin a file with a mark that JSON does not know.
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let Value::Object(_) = value else {
        return Err(wrong(
            "it should hold an object, such as {\"Database\": {}}".to_owned(),
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
        Value::String(text) => put(entries, key.to_owned(), text.clone(), source.to_owned()),
        other => put(
            entries,
            key.to_owned(),
            other.to_string(),
            source.to_owned(),
        ),
    }
}
