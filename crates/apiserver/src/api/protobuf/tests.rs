use super::*;

/// A field on the wire.
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
fn maps_times_and_bytes_are_read_and_what_is_empty_is_absent() {
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
fn numbers_lists_and_fields_of_inner_messages_are_read() {
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
fn what_is_broken_is_refused_and_never_panics() {
    let whole = envelope("v1", "Pod", &bytes(1, &bytes(1, b"p")));
    for (given, why) in [
        (b"{}".to_vec(), "it lacks its envelope"),
        (
            envelope("v1", "Rabbit", b""),
            "no message of the kind \"Rabbit\"",
        ),
        (whole[..whole.len() - 1].to_vec(), "cut short"),
        (
            envelope("v1", "Pod", &number(1, 1)),
            "a number stands where a message should",
        ),
        (envelope("v1", "Pod", &[0xff; 12]), "too long"),
    ] {
        let error = decode(&given).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn every_message_that_a_field_names_is_there() {
    let plain = [
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
                plain.contains(&kind) || MESSAGES.contains_key(kind),
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
    fn no_bytes_bring_it_down(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = decode(&[MAGIC, &raw].concat());
        let _ = decode(&envelope("v1", "Pod", &raw[..raw.len().min(100)]));
    }
}

/// Follows a message and its kind's schema side by side.
fn compare(
    message: &str,
    schema: &Value,
    all: &Value,
    seen: &mut Vec<String>,
    strange: &mut Vec<String>,
) {
    let schema = resolved(schema, all);
    let known = format!("{message} {}", schema["title"]);
    let Some(fields) = MESSAGES.get(message).filter(|_| !seen.contains(&known)) else {
        return;
    };
    seen.push(known);
    for field in fields.values() {
        if field.name == "*" {
            compare(field.kind, schema, all, seen, strange);
            continue;
        }
        let property = &schema["properties"][field.name];
        if property.is_null() {
            strange.push(format!("{message}.{}", field.name));
            continue;
        }
        let property = resolved(property, all);
        let kind = field.kind.trim_start_matches(['[', ']', '{', '}']);
        let inner = match (&property["items"], &property["additionalProperties"]) {
            (items @ Value::Object(_), _) => items,
            (_, values @ Value::Object(_)) => values,
            _ => property,
        };
        compare(kind, inner, all, seen, strange);
    }
}

/// What a reference, or the one choice that is no null, stands for.
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
fn every_field_of_a_message_is_called_as_in_json() {
    let mut strange = Vec::new();
    for kind in crate::kinds::KINDS {
        let mut generator = schemars::SchemaGenerator::default();
        let schema = json!((kind.schema)(&mut generator));
        let all = json!(generator.take_definitions(false));
        let mut seen = Vec::new();
        compare(kind.kind, &schema, &all, &mut seen, &mut strange);
        assert!(seen.len() > 1, "{}: {seen:?}", kind.kind);
    }
    strange.sort();
    strange.dedup();
    assert_eq!(strange, [""; 0]);
}
