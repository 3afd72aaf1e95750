//! Fields and schema of a kind, from its Rust type.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::Value;

/// Converts quantities that are numbers to strings, the type of a quantity.
pub(crate) fn normalize_quantities(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(normalize_quantities),
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    (
                        "limits" | "requests" | "capacity" | "allocatable",
                        Value::Object(amounts),
                    ) => {
                        amounts.values_mut().for_each(number_to_text);
                    }
                    ("sizeLimit", amount) => number_to_text(amount),
                    (_, field) => normalize_quantities(field),
                }
            }
        }
        _ => {}
    }
}

fn number_to_text(value: &mut Value) {
    if let Value::Number(number) = value {
        *value = Value::String(number.to_string());
    }
}

/// Returns the path of every field that the type does not have, or the parse error.
pub(super) fn unknown_fields<T: DeserializeOwned>(object: &Value) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    let parsed: Result<T, _> = serde_ignored::deserialize(object, |path| {
        let mut text = String::new();
        write_path(&path, &mut text);
        unknown.push(text);
    });
    match parsed {
        Ok(_) => Ok(unknown),
        Err(error) => Err(error.to_string()),
    }
}

/// Writes a path as `spec.containers[0].name`.
fn write_path(path: &Path<'_>, text: &mut String) {
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

/// Adds the type's schema and those that it refers to to the generator; returns a reference to it.
pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_are_named_by_their_paths() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"any": "thing"}},
            "specc": 1,
            "spec": {"containers": [{"name": "a"}, {"name": "b", "livenessprobe": {}, "livenessProbe": {"exce": 1}}]},
        });
        assert_eq!(
            unknown_fields::<Pod>(&pod).unwrap(),
            [
                "spec.containers[1].livenessProbe.exce",
                "spec.containers[1].livenessprobe",
                "specc"
            ]
        );
    }

    #[test]
    fn numeric_quantity_is_accepted() {
        let mut pod = json!({"spec": {"containers": [{"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}], "volumes": [{"emptyDir": {"sizeLimit": 1024}}]}, "replicas": 2});
        normalize_quantities(&mut pod);
        let expected = json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}], "volumes": [{"emptyDir": {"sizeLimit": "1024"}}]}, "replicas": 2});
        assert_eq!(pod, expected);
    }

    #[test]
    fn value_of_another_type_is_a_parse_error() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": "none"}});
        assert!(unknown_fields::<Pod>(&pod).is_err());
    }
}
