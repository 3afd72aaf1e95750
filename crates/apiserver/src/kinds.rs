//! Every kind of object this node serves: one row each, and nothing about a kind anywhere else in the API layer.
//!
//! A new kind is a row of the table and a file under `kinds/` with its functions; handlers, watches, patches, tables
//! and discovery read the row.

use jiff::Timestamp;
use serde_json::Value;

/// One kind of object.
#[derive(Clone)]
pub struct Kind {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// `Pod`, `Deployment` …
    pub kind: &'static str,
    /// As in the path.
    pub plural: &'static str,
    /// For people.
    pub singular: &'static str,
    /// `po`, `deploy` …
    pub short_names: &'static [&'static str],
    /// `all` where `kubectl get all` lists it.
    pub categories: &'static [&'static str],
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// What is served below an object's path.
    pub subresources: &'static [Subresource],
    /// Fills in what the API server fills in on decoding.
    pub default: fn(&mut Value),
    /// Parses into the typed form: the path of every unknown field, or why it does not parse. Duplicates are the decoder's.
    pub unknown_fields: fn(&Value) -> Result<Vec<String>, String>,
    /// What is wrong with a (defaulted) new object, or with a change from `old`; in field order, as the API server words it.
    pub validate: fn(new: &Value, old: Option<&Value>) -> Vec<FieldError>,
    /// Fields that would change behaviour and that this node does not honour; each becomes a 422 or a warning.
    pub unsupported: fn(&Value) -> Vec<Unsupported>,
    /// The columns of its table.
    pub columns: &'static [Column],
    /// One row of its table at `now`: one cell a column.
    pub cells: fn(object: &Value, now: Timestamp) -> Vec<Value>,
    /// Values for field selectors, beside `metadata.name` and `metadata.namespace`.
    pub selectable: fn(&Value) -> Vec<(&'static str, String)>,
    /// Leaves its JSON schema for OpenAPI with the generator, and returns a reference to it.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

mod defaults;
mod names;
mod qos;
mod rows;
mod selectable;
mod tables;
mod typed;
mod unsupported;
mod validate;

pub use probe::spec::field::{ErrorClass, FieldError};
pub(crate) use qos::qos_class;
pub use rows::KINDS;
pub(crate) use typed::quantities;

const DELETE_COLLECTION: &str = "deletecollection";

const VERBS: [&str; 8] = [
    "create",
    "delete",
    DELETE_COLLECTION,
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

impl Kind {
    /// `v1`, `apps/v1` …
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods`, `deployments.apps` …: how messages name it.
    #[must_use]
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Verbs of its objects, in the order of discovery.
    pub(crate) fn verbs(&self) -> Vec<&'static str> {
        let mut verbs = VERBS.to_vec();
        // Upstream's namespace storage has no collection deleter.
        if self.kind == "Namespace" {
            verbs.retain(|verb| *verb != DELETE_COLLECTION);
        }
        verbs
    }

    /// Returns `true` if all its objects can be deleted with one request.
    pub(crate) fn has_delete_collection(&self) -> bool {
        self.verbs().contains(&DELETE_COLLECTION)
    }

    /// Whether `subresource` is served below its objects.
    #[must_use]
    pub fn serves(&self, subresource: Subresource) -> bool {
        self.subresources.contains(&subresource)
    }
}

/// The kind behind a path.
#[must_use]
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
}

/// The labels that a workload's pods have; in a replication controller's selector there is nothing else.
pub(crate) fn selected(workload: &Value) -> &Value {
    let selector = &workload["spec"]["selector"];
    if workload["kind"] == "ReplicationController" {
        selector
    } else {
        &selector["matchLabels"]
    }
}

/// What is served below an object's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// `…/status`: only the status changes.
    Status,
    /// `…/scale`: an autoscaling/v1 Scale.
    Scale,
    /// `pods/log`.
    Log,
    /// `pods/exec`.
    Exec,
    /// `pods/attach`.
    Attach,
    /// `pods/portforward`.
    PortForward,
    /// `pods/binding`.
    Binding,
    /// `pods/eviction`.
    Eviction,
    /// `pods/proxy`, `services/proxy`, and all paths below.
    Proxy,
    /// `namespaces/finalize`.
    Finalize,
}

/// A column of a table.
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// `string`, `integer`, `date`.
    pub kind: &'static str,
    /// `name` for the first column, else empty.
    pub format: &'static str,
    /// 0 is always shown, 1 with `-o wide`.
    pub priority: i32,
}

/// A field that this node does not honour.
pub struct Unsupported {
    /// Its path.
    pub field: String,
    /// What is not done.
    pub message: String,
    /// Whether the object is refused for it; else its maker is warned.
    pub refused: bool,
}
