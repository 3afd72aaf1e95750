//! Decoding of protobuf bodies, which kubectl's generators (`create deployment`, `create secret` …) send. Responses are
//! always JSON.
//!
//! `messages.txt` maps fields to JSON: one message per line, each field as `tag:name:type`, and `*` as the name of an
//! embedded message whose fields belong to the enclosing object. The crate `k8s-pb` has the messages as Rust types, but
//! without JSON names and without marking embedded messages.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// Prefix of the envelope (`runtime.Unknown`).
const MAGIC: &[u8] = b"k8s\0";
const TRUNCATED: &str = "the message is truncated";
/// Maximum nesting of messages, as for JSON.
const MAX_DEPTH: usize = 128;

static MESSAGES: LazyLock<HashMap<&str, HashMap<u64, Field>>> = LazyLock::new(|| {
    include_str!("protobuf/messages.txt")
        .lines()
        .filter_map(parse_message)
        .collect()
});

#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    kind: &'static str,
}

/// Parses a line of `messages.txt`.
fn parse_message(line: &'static str) -> Option<(&'static str, HashMap<u64, Field>)> {
    let mut columns = line.split(' ');
    let name = columns.next()?;
    let field = |column: &'static str| {
        let mut parts = column.splitn(3, ':');
        let tag = parts.next()?.parse().ok()?;
        let (name, kind) = (parts.next()?, parts.next()?);
        Some((tag, Field { name, kind }))
    };
    Some((name, columns.filter_map(field).collect()))
}

/// Decodes an object. Its type is that of the envelope.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, String> {
    let unknown = bytes.strip_prefix(MAGIC).ok_or("missing envelope")?;
    let (mut raw, mut kind, mut version) = (&[][..], String::new(), String::new());
    for field in FieldReader(unknown) {
        match field? {
            (1, WireValue::Bytes(type_meta)) => {
                for field in FieldReader(type_meta) {
                    match field? {
                        (1, value) => version = value.text()?,
                        (2, value) => kind = value.text()?,
                        _ => {}
                    }
                }
            }
            (2, WireValue::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    if !MESSAGES.contains_key(kind.as_str()) {
        return Err(format!(
            "unsupported kind {kind:?}: send the object as JSON"
        ));
    }
    let mut object = Map::new();
    decode_message(&kind, raw, &mut object, 0)?;
    object.insert("apiVersion".to_owned(), json!(version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(object))
}

/// Decodes the fields of a message into `object`.
fn decode_message(
    message: &str,
    bytes: &[u8],
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("messages are nested more than {MAX_DEPTH} levels"));
    }
    let fields = MESSAGES
        .get(message)
        .ok_or_else(|| format!("unsupported message {message}"))?;
    for entry in FieldReader(bytes) {
        let (tag, wire) = entry?;
        let Some(field) = fields.get(&tag) else {
            continue;
        };
        if field.name == "*" {
            decode_message(field.kind, wire.bytes()?, object, depth + 1)?;
        } else if let Some(kind) = field.kind.strip_prefix("[]") {
            let element = decode_value(kind, wire, depth)?;
            let list = object.entry(field.name).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(element);
            }
        } else if let Some(kind) = field.kind.strip_prefix("{}") {
            let (key, element) = decode_map_entry(kind, wire.bytes()?, depth)?;
            let map = object.entry(field.name).or_insert_with(|| json!({}));
            map[key] = element;
        } else {
            let value = decode_value(field.kind, wire, depth)?;
            if !is_unset(field.name, &value) {
                object.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// Returns `true` for the zero value that Go writes for an unset field which is not a pointer. In other numeric fields 0 is
/// a valid value or means the default.
fn is_unset(name: &str, value: &Value) -> bool {
    match name {
        "nodePort" | "hostPort" | "healthCheckNodePort" | "generation" | "targetPort" => {
            *value == 0
        }
        _ => *value == "" || value.is_null(),
    }
}

fn decode_map_entry(kind: &str, bytes: &[u8], depth: usize) -> Result<(String, Value), String> {
    let (mut key, mut element) = (String::new(), Value::Null);
    for field in FieldReader(bytes) {
        match field? {
            (1, wire) => key = wire.text()?,
            (2, wire) => element = decode_value(kind, wire, depth)?,
            _ => {}
        }
    }
    if element.is_null() && matches!(kind, "string" | "bytes") {
        element = json!("");
    }
    Ok((key, element))
}

fn decode_value(kind: &str, wire: WireValue<'_>, depth: usize) -> Result<Value, String> {
    Ok(match kind {
        "string" => json!(wire.text()?),
        "bytes" => json!(STANDARD.encode(wire.bytes()?)),
        "bool" => json!(wire.number()? != 0),
        // Protobuf encodes negative numbers of both types as 64 bits.
        "int32" | "int64" => json!(wire.number()?.cast_signed()),
        "Time" => time(wire.bytes()?)?.map_or(Value::Null, |at| json!(at.to_string())),
        // Go's `MicroTime` requires exactly six fractional digits.
        "MicroTime" => time(wire.bytes()?)?.map_or(Value::Null, |at| json!(format!("{at:.6}"))),
        "Quantity" => field(wire.bytes()?, 1)?
            .map_or(Ok(json!("0")), |wire| wire.text().map(|text| json!(text)))?,
        "IntOrString" => int_or_string(wire.bytes()?)?,
        "FieldsV1" | "RawExtension" => match field(wire.bytes()?, 1)? {
            Some(raw) => serde_json::from_slice(raw.bytes()?).map_err(|error| error.to_string())?,
            None => Value::Null,
        },
        message => {
            let mut object = Map::new();
            decode_message(message, wire.bytes()?, &mut object, depth + 1)?;
            Value::Object(object)
        }
    })
}

/// Returns the last field with this tag.
fn field(bytes: &[u8], wanted_tag: u64) -> Result<Option<WireValue<'_>>, String> {
    let mut found = None;
    for entry in FieldReader(bytes) {
        let (tag, wire) = entry?;
        if tag == wanted_tag {
            found = Some(wire);
        }
    }
    Ok(found)
}

fn number(bytes: &[u8], tag: u64) -> Result<i64, String> {
    field(bytes, tag)?.map_or(Ok(0), |wire| Ok(wire.number()?.cast_signed()))
}

/// Decodes a time; an empty message is an unset time.
fn time(bytes: &[u8]) -> Result<Option<Timestamp>, String> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let nanos = i32::try_from(number(bytes, 2)?).map_err(|error| error.to_string())?;
    let at = Timestamp::new(number(bytes, 1)?, nanos).map_err(|error| error.to_string())?;
    Ok(Some(at))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    if number(bytes, 1)? == 0 {
        return Ok(json!(number(bytes, 2)?));
    }
    let text = field(bytes, 3)?.map_or(Ok(String::new()), WireValue::text)?;
    Ok(json!(text))
}

/// Undecoded value of a field.
#[derive(Clone, Copy)]
enum WireValue<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> WireValue<'a> {
    fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err("found a number instead of a message".to_owned()),
        }
    }

    fn number(self) -> Result<u64, String> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) => Err("found a message instead of a number".to_owned()),
        }
    }

    fn text(self) -> Result<String, String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|error| error.to_string())
    }
}

/// Iterates over the tags and values of a message. It ends after the first error.
struct FieldReader<'a>(&'a [u8]);

impl<'a> FieldReader<'a> {
    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or(TRUNCATED)?;
            self.0 = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a varint is longer than 64 bits".to_owned())
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(taken)
    }

    fn read_field(&mut self) -> Result<(u64, WireValue<'a>), String> {
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => WireValue::Number(self.varint()?),
            1 => WireValue::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                WireValue::Bytes(self.take(length)?)
            }
            5 => WireValue::Bytes(self.take(4)?),
            other => return Err(format!("a field has the unknown wire type {other}")),
        };
        Ok((key >> 3, wire))
    }
}

impl<'a> Iterator for FieldReader<'a> {
    type Item = Result<(u64, WireValue<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read_field();
        if field.is_err() {
            // The start of the next field is unknown.
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests;
