//! Who owns which field of an object (`metadata.managedFields`), and server-side apply, which goes by it.
//!
//! Source of the rules: the Kubernetes documentation, "Server-Side Apply", and KEP 555. There is no maintained crate for
//! it; what is needed of structured merge and diff is small where schemas are a table of list keys.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::meta;
use crate::kinds::Kind;

mod fields;
mod merge;

use fields::{Fields, Path};

/// Who writes, and how.
#[derive(Clone)]
pub(super) struct Writer<'a> {
    pub(super) kind: &'a Kind,
    pub(super) manager: &'a str,
    /// Whether it writes the status, and nothing else.
    pub(super) status: bool,
    pub(super) now: Timestamp,
}

/// A field that somebody else owns and that an apply would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// Who: `"kubectl" using apps/v1`.
    pub(super) manager: String,
    /// What: `.spec.replicas`.
    pub(super) field: String,
}

/// One manager's fields.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// Everything but the fields and the time.
    id: Value,
    fields: Fields,
    time: Value,
}

impl Entry {
    fn read(value: &Value) -> Self {
        let mut id = value.clone();
        let map = id.as_object_mut();
        let (mut fields, mut time) = (Value::Null, Value::Null);
        if let Some(map) = map {
            fields = map.remove("fieldsV1").unwrap_or_default();
            time = map.remove("time").unwrap_or_default();
        }
        Self {
            id,
            fields: fields::from_json(&fields),
            time,
        }
    }

    fn write(&self) -> Value {
        let mut value = self.id.clone();
        value["fieldsV1"] = fields::to_json(&self.fields);
        value["time"] = self.time.clone();
        value
    }

    fn is_apply(&self) -> bool {
        self.id["operation"] == "Apply"
    }

    /// How messages name it.
    fn described(&self) -> String {
        let text = |field: &str| self.id[field].as_str().unwrap_or_default().to_owned();
        let mut described = format!("{:?}", text("manager"));
        if self.id["subresource"].is_string() {
            described.push_str(&format!(" with subresource {:?}", text("subresource")));
        }
        if !self.is_apply() {
            described.push_str(&format!(" using {}", text("apiVersion")));
        }
        described
    }
}

impl Writer<'_> {
    fn id(&self, operation: &str) -> Value {
        let mut id = json!({
            "manager": self.manager,
            "operation": operation,
            "apiVersion": self.kind.api_version(),
            "fieldsType": "FieldsV1",
        });
        if self.status {
            id["subresource"] = json!("status");
        }
        id
    }

    /// Notes in `object`, which takes the place of `old`, what this writer has changed.
    pub(super) fn note_update(&self, object: &mut Value, old: &Value) {
        let mut entries = entries(object);
        if entries.is_empty() {
            entries = self::entries(old);
        }
        let before = entries.clone();
        let all = fields::of(self.kind, object, self.status);
        let changed = fields::changed(&all, old, object);
        let was = fields::of(self.kind, old, self.status);
        let gone: Vec<Path> = was.difference(&all).cloned().collect();
        for entry in &mut entries {
            entry
                .fields
                .retain(|path| !gone.contains(path) && !changed.contains(path));
        }
        let id = self.id("Update");
        match entries.iter_mut().find(|entry| entry.id == id) {
            Some(own) => own.fields.extend(changed),
            None => entries.push(Entry {
                id,
                fields: changed,
                time: Value::Null,
            }),
        }
        self.store(object, entries, &before);
    }

    /// What `live` becomes by applying `config`.
    pub(super) fn apply(
        &self,
        live: &Value,
        config: &Value,
        force: bool,
    ) -> Result<Value, Vec<Conflict>> {
        let wanted = fields::of(self.kind, config, self.status);
        let mut entries = entries(live);
        if entries.is_empty() && live.is_object() {
            entries.push(self.before_first(live));
        }
        let before = entries.clone();
        let id = self.id("Apply");
        let own = entries.iter().position(|entry| entry.id == id);
        let last = own.map(|at| entries.remove(at).fields).unwrap_or_default();
        let mut object = live.clone();
        merge::apply(self.kind, &mut object, config, self.status);
        for path in given_up(&last, &wanted, &entries) {
            fields::remove(&mut object, &path);
        }
        let all = fields::of(self.kind, &object, self.status);
        let changed = fields::changed(&all, live, &object);
        let conflicts = conflicts(&entries, &changed);
        if !conflicts.is_empty() && !force {
            return Err(conflicts);
        }
        let was = fields::of(self.kind, live, self.status);
        let gone: Vec<Path> = was.difference(&all).cloned().collect();
        for entry in &mut entries {
            entry
                .fields
                .retain(|path| !gone.contains(path) && !changed.contains(path));
        }
        entries.push(Entry {
            id,
            fields: wanted,
            time: Value::Null,
        });
        self.store(&mut object, entries, &before);
        Ok(object)
    }

    /// Objects from before managed fields were kept belong to nobody that anyone knows.
    fn before_first(&self, live: &Value) -> Entry {
        let manager = Self {
            manager: "before-first-apply",
            ..self.clone()
        };
        Entry {
            id: manager.id("Update"),
            fields: fields::of(self.kind, live, self.status),
            time: Value::Null,
        }
    }

    /// Writes the entries that own something; those that are as before keep their time.
    fn store(&self, object: &mut Value, mut entries: Vec<Entry>, before: &[Entry]) {
        entries.retain(|entry| !entry.fields.is_empty());
        for entry in &mut entries {
            let same = before.iter().find(|old| {
                old.id == entry.id && old.fields == entry.fields && !old.time.is_null()
            });
            entry.time = same.map_or_else(|| meta::time(self.now), |old| old.time.clone());
        }
        // Appliers first, as the API server has them.
        entries.sort_by_key(|entry| !entry.is_apply());
        let list: Vec<Value> = entries.iter().map(Entry::write).collect();
        meta::metadata(object).insert("managedFields".to_owned(), Value::Array(list));
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    let list = object["metadata"]["managedFields"].as_array();
    let written = list.into_iter().flatten();
    written
        .filter(|value| value["manager"].is_string())
        .map(Entry::read)
        .collect()
}

/// What an applier owned, wants no more, and nobody else owns: elements before what is in them, which goes with them.
fn given_up(last: &Fields, wanted: &Fields, others: &[Entry]) -> Vec<Path> {
    let still = |path: &[String]| {
        let others = others.iter().flat_map(|entry| &entry.fields);
        let mut kept = wanted.iter().chain(others);
        kept.any(|kept| kept.starts_with(path))
    };
    // An element that stays needs its keys, whoever owns them.
    let is_needed = |path: &Path| match fields::element_of_key(path) {
        Some(element) => still(element),
        None => still(path),
    };
    let mut given_up: Vec<Path> = last
        .iter()
        .filter(|path| !is_needed(path))
        .cloned()
        .collect();
    given_up.sort_by_key(Vec::len);
    given_up
}

fn conflicts(others: &[Entry], changed: &Fields) -> Vec<Conflict> {
    let of = |entry: &Entry| {
        let manager = entry.described();
        let fields: Vec<_> = entry
            .fields
            .intersection(changed)
            .map(fields::display)
            .collect();
        fields.into_iter().map(move |field| Conflict {
            manager: manager.clone(),
            field,
        })
    };
    others.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests;
