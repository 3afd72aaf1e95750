//! Bodies in protobuf, which kubectl's own commands (`create deployment`, `create secret` …) send: read, never written.
//!
//! What a message's fields are called in JSON is data (`messages.txt`: a message a line, `tag:name:type` a field; `*` for
//! a message whose fields are those of the one around it). `k8s-pb` has the messages as Rust types, and those know neither
//! the JSON names nor which fields are written into the message around them.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// How such a body calls itself.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// What it begins with.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages are read, as with JSON.
const MAX_DEPTH: usize = 128;

static MESSAGES: LazyLock<HashMap<&str, HashMap<u64, Field>>> = LazyLock::new(|| {
    include_str!("protobuf/messages.txt")
        .lines()
        .filter_map(message)
        .collect()
});

#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    kind: &'static str,
}

fn message(line: &'static str) -> Option<(&'static str, HashMap<u64, Field>)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let field = |word: &'static str| {
        let mut parts = word.splitn(3, ':');
        let tag = parts.next()?.parse().ok()?;
        let (name, kind) = (parts.next()?, parts.next()?);
        Some((tag, Field { name, kind }))
    };
    Some((name, words.filter_map(field).collect()))
}

/// An object, with the type that its envelope says it has.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, String> {
    let unknown = bytes.strip_prefix(MAGIC).ok_or("it lacks its envelope")?;
    let (mut raw, mut kind, mut version) = (&[][..], String::new(), String::new());
    for (tag, wire) in Wires(unknown).collect::<Result<Vec<_>, _>>()? {
        match (tag, wire) {
            (1, Wire::Bytes(types)) => {
                for (tag, wire) in Wires(types).collect::<Result<Vec<_>, _>>()? {
                    match tag {
                        1 => version = wire.text()?,
                        2 => kind = wire.text()?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    if !MESSAGES.contains_key(kind.as_str()) {
        return Err(format!("this node knows no message of the kind {kind:?}"));
    }
    let mut object = Map::new();
    read(&kind, raw, &mut object, 0)?;
    object.insert("apiVersion".to_owned(), json!(version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(object))
}

/// Reads a message's fields into an object.
fn read(
    message: &str,
    bytes: &[u8],
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deep".to_owned());
    }
    let fields = MESSAGES
        .get(message)
        .ok_or_else(|| format!("no message {message}"))?;
    for wire in Wires(bytes) {
        let (tag, wire) = wire?;
        let Some(field) = fields.get(&tag) else {
            continue;
        };
        if field.name == "*" {
            read(field.kind, wire.bytes()?, object, depth + 1)?;
        } else if let Some(kind) = field.kind.strip_prefix("[]") {
            let element = value(kind, wire, depth)?;
            let list = object.entry(field.name).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(element);
            }
        } else if let Some(kind) = field.kind.strip_prefix("{}") {
            let (key, element) = entry(kind, wire.bytes()?, depth)?;
            let map = object.entry(field.name).or_insert_with(|| json!({}));
            map[key] = element;
        } else {
            let value = value(field.kind, wire, depth)?;
            if !is_absent(field.name, &value) {
                object.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// What Go writes for a field that is not set and is no pointer. Other numbers of 0 mean something, or mean their default
/// like none at all.
fn is_absent(name: &str, value: &Value) -> bool {
    match name {
        "nodePort" | "hostPort" | "healthCheckNodePort" | "generation" | "targetPort" => {
            *value == 0
        }
        _ => *value == "" || value.is_null(),
    }
}

fn entry(kind: &str, bytes: &[u8], depth: usize) -> Result<(String, Value), String> {
    let (mut key, mut element) = (String::new(), Value::Null);
    for wire in Wires(bytes) {
        match wire? {
            (1, wire) => key = wire.text()?,
            (2, wire) => element = value(kind, wire, depth)?,
            _ => {}
        }
    }
    if element.is_null() && matches!(kind, "string" | "bytes") {
        element = json!("");
    }
    Ok((key, element))
}

fn value(kind: &str, wire: Wire<'_>, depth: usize) -> Result<Value, String> {
    Ok(match kind {
        "string" => json!(wire.text()?),
        "bytes" => json!(STANDARD.encode(wire.bytes()?)),
        "bool" => json!(wire.number()? != 0),
        // Negative numbers are written as 64 bits, whatever their type.
        "int32" | "int64" => json!(wire.number()?.cast_signed()),
        "Time" => time(wire.bytes()?)?.map_or(Value::Null, |at| json!(at.to_string())),
        // Go reads it with so many digits only.
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
            read(message, wire.bytes()?, &mut object, depth + 1)?;
            Value::Object(object)
        }
    })
}

/// The last field of this tag.
fn field(bytes: &[u8], tag: u64) -> Result<Option<Wire<'_>>, String> {
    let mut found = None;
    for wire in Wires(bytes) {
        let (at, wire) = wire?;
        if at == tag {
            found = Some(wire);
        }
    }
    Ok(found)
}

fn number(bytes: &[u8], tag: u64) -> Result<i64, String> {
    field(bytes, tag)?.map_or(Ok(0), |wire| Ok(wire.number()?.cast_signed()))
}

/// An empty one is no time.
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
    let text = field(bytes, 3)?.map_or(Ok(String::new()), Wire::text)?;
    Ok(json!(text))
}

/// A field's value as it is on the wire.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err("a number stands where a message should".to_owned()),
        }
    }

    fn number(self) -> Result<u64, String> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) => Err("a message stands where a number should".to_owned()),
        }
    }

    fn text(self) -> Result<String, String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|error| error.to_string())
    }
}

/// The fields of a message, one after the other.
struct Wires<'a>(&'a [u8]);

impl<'a> Wires<'a> {
    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or("it is cut short")?;
            self.0 = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number is too long".to_owned())
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn one(&mut self) -> Result<(u64, Wire<'a>), String> {
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Bytes(self.take(4)?),
            other => return Err(format!("it has a field of the unknown wire type {other}")),
        };
        Ok((key >> 3, wire))
    }
}

impl<'a> Iterator for Wires<'a> {
    type Item = Result<(u64, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let one = self.one();
        if one.is_err() {
            // There is no way on from here.
            self.0 = &[];
        }
        Some(one)
    }
}

#[cfg(test)]
mod tests;
