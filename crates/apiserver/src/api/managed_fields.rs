//! Ownership of fields (`metadata.managedFields`), and server-side apply, which follows it.
//!
//! Source of the rules: the Kubernetes documentation, "Server-Side Apply", and KEP 555. No maintained crate implements
//! them. The necessary part of structured-merge-diff is small, because a table of list keys replaces schemas.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::meta;
use crate::kinds::Kind;

mod fields;
mod merge;

use fields::{FieldPath, FieldSet};

/// Client that writes an object.
#[derive(Clone)]
pub(super) struct FieldManager<'a> {
    pub(super) kind: &'a Kind,
    pub(super) name: &'a str,
    pub(super) scope: FieldScope,
    pub(super) now: Timestamp,
}

/// Fields that an endpoint writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldScope {
    /// The endpoint of the subresource `status`.
    Status,
    /// The endpoint of the object.
    ExceptStatus,
}

/// Field of another manager that an apply would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldConflict {
    /// Owner, for example `"kubectl" using apps/v1`.
    pub(super) manager: String,
    /// Path, for example `.spec.replicas`.
    pub(super) field: String,
}

/// `ManagedFieldsEntry`: the fields of one manager.
#[derive(Clone, Debug, PartialEq)]
struct ManagedFieldsEntry {
    /// All members of the entry except `fieldsV1` and `time`.
    id: Value,
    fields: FieldSet,
    time: Value,
}

impl ManagedFieldsEntry {
    fn decode(value: &Value) -> Self {
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

    fn encode(&self) -> Value {
        let mut value = self.id.clone();
        value["fieldsV1"] = fields::to_json(&self.fields);
        value["time"] = self.time.clone();
        value
    }

    fn is_apply(&self) -> bool {
        self.id["operation"] == "Apply"
    }

    /// Describes the manager in conflict messages.
    fn description(&self) -> String {
        let text = |field: &str| self.id[field].as_str().unwrap_or_default().to_owned();
        let mut description = format!("{:?}", text("manager"));
        if self.id["subresource"].is_string() {
            description.push_str(&format!(" with subresource {:?}", text("subresource")));
        }
        if !self.is_apply() {
            description.push_str(&format!(" using {}", text("apiVersion")));
        }
        description
    }
}

impl FieldManager<'_> {
    fn entry_id(&self, operation: &str) -> Value {
        let mut id = json!({
            "manager": self.name,
            "operation": operation,
            "apiVersion": self.kind.api_version(),
            "fieldsType": "FieldsV1",
        });
        if self.scope == FieldScope::Status {
            id["subresource"] = json!("status");
        }
        id
    }

    /// Records in `object`, which replaces `old`, the fields that this manager has changed.
    pub(super) fn record_update(&self, object: &mut Value, old: &Value) {
        let mut entries = decode_entries(object);
        if entries.is_empty() {
            entries = decode_entries(old);
        }
        let before = entries.clone();
        let changed = self.transfer_changed_fields(&mut entries, old, object);
        let id = self.entry_id("Update");
        match entries.iter_mut().find(|entry| entry.id == id) {
            Some(own) => own.fields.extend(changed),
            None => entries.push(ManagedFieldsEntry {
                id,
                fields: changed,
                time: Value::Null,
            }),
        }
        self.write_entries(object, entries, &before);
    }

    /// Returns the fields that differ between `old` and `new`, and removes these and deleted fields from `entries`.
    fn transfer_changed_fields(
        &self,
        entries: &mut [ManagedFieldsEntry],
        old: &Value,
        new: &Value,
    ) -> FieldSet {
        let new_fields = fields::fields_of(self.kind, new, self.scope);
        let changed = fields::changed(&new_fields, old, new);
        let old_fields = fields::fields_of(self.kind, old, self.scope);
        let deleted: Vec<FieldPath> = old_fields.difference(&new_fields).cloned().collect();
        for entry in entries {
            entry
                .fields
                .retain(|path| !deleted.contains(path) && !changed.contains(path));
        }
        changed
    }

    /// Returns `live` with `config` applied. Fails if that changes fields of other managers, unless `force` is set.
    pub(super) fn apply(
        &self,
        live: &Value,
        config: &Value,
        force: bool,
    ) -> Result<Value, Vec<FieldConflict>> {
        let applied = fields::fields_of(self.kind, config, self.scope);
        let mut entries = decode_entries(live);
        if entries.is_empty() && live.is_object() {
            entries.push(self.before_first_apply(live));
        }
        let before = entries.clone();
        let id = self.entry_id("Apply");
        let own = entries.iter().position(|entry| entry.id == id);
        let last_applied = own
            .map(|index| entries.remove(index).fields)
            .unwrap_or_default();
        let mut object = live.clone();
        merge::apply(self.kind, &mut object, config, self.scope);
        for path in fields_to_prune(&last_applied, &applied, &entries) {
            fields::remove(&mut object, &path);
        }
        let mut other_entries = entries.clone();
        let changed = self.transfer_changed_fields(&mut other_entries, live, &object);
        let conflicts = conflicts(&entries, &changed);
        if !conflicts.is_empty() && !force {
            return Err(conflicts);
        }
        other_entries.push(ManagedFieldsEntry {
            id,
            fields: applied,
            time: Value::Null,
        });
        self.write_entries(&mut object, other_entries, &before);
        Ok(object)
    }

    /// Returns an entry for all fields of an object that has no managed fields yet: their owner is unknown.
    fn before_first_apply(&self, live: &Value) -> ManagedFieldsEntry {
        let manager = Self {
            name: "before-first-apply",
            ..self.clone()
        };
        ManagedFieldsEntry {
            id: manager.entry_id("Update"),
            fields: fields::fields_of(self.kind, live, self.scope),
            time: Value::Null,
        }
    }

    /// Writes the entries that own a field. An entry that has not changed keeps its time.
    fn write_entries(
        &self,
        object: &mut Value,
        mut entries: Vec<ManagedFieldsEntry>,
        before: &[ManagedFieldsEntry],
    ) {
        entries.retain(|entry| !entry.fields.is_empty());
        for entry in &mut entries {
            let unchanged = before.iter().find(|old| {
                old.id == entry.id && old.fields == entry.fields && !old.time.is_null()
            });
            entry.time =
                unchanged.map_or_else(|| meta::rfc3339_seconds(self.now), |old| old.time.clone());
        }
        // kube-apiserver writes the entries of `Apply` first.
        entries.sort_by_key(|entry| !entry.is_apply());
        let list: Vec<Value> = entries.iter().map(ManagedFieldsEntry::encode).collect();
        meta::metadata(object).insert("managedFields".to_owned(), Value::Array(list));
    }
}

fn decode_entries(object: &Value) -> Vec<ManagedFieldsEntry> {
    let list = object["metadata"]["managedFields"].as_array();
    let entries = list.into_iter().flatten();
    entries
        .filter(|value| value["manager"].is_string())
        .map(ManagedFieldsEntry::decode)
        .collect()
}

/// Returns the fields that a manager applied before, no longer applies, and no other manager owns. A list element comes
/// before its fields, which are removed with it.
fn fields_to_prune(
    last_applied: &FieldSet,
    applied: &FieldSet,
    others: &[ManagedFieldsEntry],
) -> Vec<FieldPath> {
    let is_owned = |path: &[String]| {
        let others = others.iter().flat_map(|entry| &entry.fields);
        let mut owned = applied.iter().chain(others);
        owned.any(|owned| owned.starts_with(path))
    };
    // The key of a list element is kept as long as the element has an owner.
    let is_needed = |path: &FieldPath| match fields::element_of_key(path) {
        Some(element) => is_owned(element),
        None => is_owned(path),
    };
    let mut pruned: Vec<FieldPath> = last_applied
        .iter()
        .filter(|path| !is_needed(path))
        .cloned()
        .collect();
    pruned.sort_by_key(Vec::len);
    pruned
}

fn conflicts(others: &[ManagedFieldsEntry], changed: &FieldSet) -> Vec<FieldConflict> {
    let conflicts_with = |entry: &ManagedFieldsEntry| {
        let manager = entry.description();
        let fields: Vec<_> = entry
            .fields
            .intersection(changed)
            .map(fields::display)
            .collect();
        fields.into_iter().map(move |field| FieldConflict {
            manager: manager.clone(),
            field,
        })
    };
    others.iter().flat_map(conflicts_with).collect()
}

#[cfg(test)]
mod tests;
