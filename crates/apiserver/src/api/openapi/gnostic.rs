//! Protobuf encoding of the OpenAPI v2 document (gnostic's `OpenAPIv2.proto`), limited to the messages that it contains.

use serde_json::Value;

/// Encodes a `Document`.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let info = &document["info"];
    let info = [text(1, &info["title"]), text(2, &info["version"])].concat();
    let paths = document["paths"].as_object().into_iter().flatten();
    let paths: Vec<u8> = paths
        .flat_map(|(name, item)| bytes(2, &path(name, item)))
        .collect();
    [
        text(1, &document["swagger"]),
        bytes(2, &info),
        bytes(8, &paths),
    ]
    .concat()
}

/// Encodes a `NamedPathItem`, which contains a `PathItem` with one operation.
fn path(name: &str, item: &Value) -> Vec<u8> {
    let patch = bytes(8, &operation(&item["patch"]));
    [bytes(1, name.as_bytes()), bytes(2, &patch)].concat()
}

fn operation(operation: &Value) -> Vec<u8> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let parameters = parameters.flat_map(|value| bytes(8, &parameter(value)));
    let fields = operation.as_object().into_iter().flatten();
    let extensions = fields.filter(|(name, _)| name.starts_with("x-"));
    let extensions = extensions.flat_map(|(name, value)| bytes(13, &extension(name, value)));
    parameters.chain(extensions).collect()
}

/// Encodes a `ParametersItem` for a query parameter.
fn parameter(parameter: &Value) -> Vec<u8> {
    let fields = [(2, "in"), (4, "name"), (6, "type")];
    let schema = fields
        .map(|(tag, field)| text(tag, &parameter[field]))
        .concat();
    bytes(1, &bytes(2, &bytes(3, &schema)))
}

/// Encodes a `NamedAny`. Its value is YAML, of which JSON is a subset.
fn extension(name: &str, value: &Value) -> Vec<u8> {
    let value = bytes(2, value.to_string().as_bytes());
    [bytes(1, name.as_bytes()), bytes(2, &value)].concat()
}

fn text(tag: u8, value: &Value) -> Vec<u8> {
    bytes(tag, value.as_str().unwrap_or_default().as_bytes())
}

/// Encodes a length-delimited field; `tag` must be less than 16.
fn bytes(tag: u8, content: &[u8]) -> Vec<u8> {
    const LENGTH_DELIMITED: u8 = 2;
    let mut field = vec![tag << 3 | LENGTH_DELIMITED];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap_or_default());
    field.extend_from_slice(content);
    field
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn document_is_encoded_as_protobuf() {
        let document = json!({
            "swagger": "2.0",
            "info": {"title": "K", "version": "v1"},
            "paths": {"/p": {"patch": {
                "parameters": [{"name": "d", "in": "query", "type": "string"}],
                "x-k": {"a": "b"},
            }}},
        });
        let schema = b"\x12\x05query\x22\x01d\x32\x06string".to_vec();
        let parameter = [b"\x0a\x16\x12\x14\x1a\x12".to_vec(), schema].concat();
        let extension = b"\x0a\x03x-k\x12\x0b\x12\x09{\"a\":\"b\"}".to_vec();
        let operation = [
            b"\x42\x18".to_vec(),
            parameter,
            b"\x6a\x12".to_vec(),
            extension,
        ]
        .concat();
        let item = [vec![0x42, 46], operation].concat();
        let named = [b"\x0a\x02/p\x12\x30".to_vec(), item].concat();
        let paths = [b"\x42\x38\x12\x36".to_vec(), named].concat();
        let head = b"\x0a\x032.0\x12\x07\x0a\x01K\x12\x02v1".to_vec();
        assert_eq!(encode(&document), [head, paths].concat());
    }

    #[test]
    fn length_is_encoded_as_varint() {
        assert_eq!(bytes(1, &[7; 127])[..2], [0x0a, 127]);
        assert_eq!(bytes(1, &[7; 128])[..3], [0x0a, 0x80, 1]);
        assert_eq!(bytes(1, &[7; 300])[..3], [0x0a, 0xac, 2]);
        assert_eq!(bytes(1, &[7; 300]).len(), 303);
    }
}
