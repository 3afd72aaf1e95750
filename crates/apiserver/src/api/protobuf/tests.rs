use super::*;

/// Encodes a length-delimited field.
fn bytes(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag << 3 | 2, u8::try_from(content.len()).unwrap()];
    field.extend_from_slice(content);
    field
}

fn number(tag: u8, value: u8) -> Vec<u8> {
    vec![tag << 3, value]
}

fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let types = [bytes(1, version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), bytes(1, &types), bytes(2, raw)].concat()
}

#[test]
fn maps_and_bytes_are_decoded_and_empty_fields_are_omitted() {
    let label = [bytes(1, b"a"), bytes(2, b"b")].concat();
    let meta = [
        bytes(1, b"s"),
        bytes(2, b""),
        bytes(8, b""),
        bytes(11, &label),
    ]
    .concat();
    let data = [bytes(1, b"k"), bytes(2, b"v")].concat();
    let raw = [bytes(1, &meta), bytes(2, &data), bytes(3, b"Opaque")].concat();
    let expected = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "s", "labels": {"a": "b"}}, "data": {"k": "dg=="},
    });
    assert_eq!(decode(&envelope("v1", "Secret", &raw)), Ok(expected));
}

#[test]
fn numbers_lists_and_embedded_messages_are_decoded() {
    let port = [bytes(1, b""), number(2, 0), number(3, 80), bytes(4, b"TCP")].concat();
    let get = [
        bytes(1, b"/"),
        bytes(2, &[number(1, 1), bytes(3, b"web")].concat()),
    ]
    .concat();
    let probe = [bytes(1, &bytes(2, &get)), number(4, 5)].concat();
    let container = [
        bytes(1, b"c"),
        bytes(3, b"x"),
        bytes(3, b"y"),
        bytes(6, &port),
        bytes(10, &probe),
    ]
    .concat();
    let raw = bytes(2, &bytes(2, &container));
    let pod = decode(&envelope("v1", "Pod", &raw)).unwrap();
    let expected = json!({
        "name": "c", "command": ["x", "y"], "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 5},
    });
    assert_eq!(pod["spec"]["containers"][0], expected);
}

#[test]
fn malformed_message_is_rejected() {
    let complete = envelope("v1", "Pod", &bytes(1, &bytes(1, b"p")));
    for (body, message) in [
        (b"{}".to_vec(), "missing envelope"),
        (
            envelope("v1", "Unknown", b""),
            "unsupported kind \"Unknown\"",
        ),
        (complete[..complete.len() - 1].to_vec(), "truncated"),
        (
            envelope("v1", "Pod", &number(1, 1)),
            "found a number instead of a message",
        ),
        (
            envelope("v1", "Pod", &[0xff; 12]),
            "a varint is longer than 64 bits",
        ),
    ] {
        let error = decode(&body).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn every_field_type_and_every_kind_has_a_message() {
    let scalars = [
        "string",
        "bytes",
        "bool",
        "int32",
        "int64",
        "Time",
        "MicroTime",
        "Quantity",
        "IntOrString",
        "FieldsV1",
        "RawExtension",
    ];
    for (name, fields) in &*MESSAGES {
        for field in fields.values() {
            let kind = field.kind.trim_start_matches("[]").trim_start_matches("{}");
            assert!(
                scalars.contains(&kind) || MESSAGES.contains_key(kind),
                "{name}.{}: {kind}",
                field.name
            );
        }
    }
    for kind in crate::kinds::KINDS {
        assert!(MESSAGES.contains_key(kind.kind), "{}", kind.kind);
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = decode(&[MAGIC, &raw].concat());
        let _ = decode(&envelope("v1", "Pod", &raw[..raw.len().min(100)]));
    }
}

/// Compares the fields of a message with its kind's schema, and adds fields that the schema lacks to `unknown`.
fn compare(
    message: &str,
    schema: &Value,
    all: &Value,
    seen: &mut Vec<String>,
    unknown: &mut Vec<String>,
) {
    let schema = resolved(schema, all);
    let known = format!("{message} {}", schema["title"]);
    let Some(fields) = MESSAGES.get(message).filter(|_| !seen.contains(&known)) else {
        return;
    };
    seen.push(known);
    for field in fields.values() {
        if field.name == "*" {
            compare(field.kind, schema, all, seen, unknown);
            continue;
        }
        let property = &schema["properties"][field.name];
        if property.is_null() {
            unknown.push(format!("{message}.{}", field.name));
            continue;
        }
        let property = resolved(property, all);
        let kind = field.kind.trim_start_matches(['[', ']', '{', '}']);
        let inner = match (&property["items"], &property["additionalProperties"]) {
            (items @ Value::Object(_), _) => items,
            (_, values @ Value::Object(_)) => values,
            _ => property,
        };
        compare(kind, inner, all, seen, unknown);
    }
}

/// Follows references and returns the only alternative that is not `null`.
fn resolved<'a>(schema: &'a Value, all: &'a Value) -> &'a Value {
    let choices = [&schema["anyOf"], &schema["allOf"]].into_iter();
    let mut choices = choices.filter_map(Value::as_array).flatten();
    if let Some(choice) = choices.find(|choice| choice["type"] != "null") {
        return resolved(choice, all);
    }
    match schema["$ref"].as_str().and_then(|to| to.rsplit('/').next()) {
        Some(name) => resolved(&all[name], all),
        None => schema,
    }
}

#[test]
fn every_message_field_has_a_json_name_of_the_schema() {
    let mut unknown = Vec::new();
    for kind in crate::kinds::KINDS {
        let mut generator = schemars::SchemaGenerator::default();
        let schema = json!((kind.schema)(&mut generator));
        let all = json!(generator.take_definitions(false));
        let mut seen = Vec::new();
        compare(kind.kind, &schema, &all, &mut seen, &mut unknown);
        assert!(seen.len() > 1, "{}: {seen:?}", kind.kind);
    }
    unknown.sort();
    unknown.dedup();
    assert_eq!(unknown, [""; 0]);
}
