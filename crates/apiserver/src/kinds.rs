//! Registry of the served kinds: one entry each, as kube-apiserver's registry strategies; no other module matches kind names.
//!
//! A new kind is an entry of the table and a file under `kinds/` with its functions. Handlers, watches, patches, tables and
//! discovery read the entry.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

/// One kind of object.
#[derive(Clone)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// `Pod`, `Deployment` …
    pub kind: &'static str,
    /// Plural name, as in request paths.
    pub plural: &'static str,
    /// Singular name.
    pub singular: &'static str,
    /// `po`, `deploy` …
    pub short_names: &'static [&'static str],
    /// Categories; `all` if `kubectl get all` lists the kind.
    pub categories: &'static [&'static str],
    /// `true` if the objects are in a namespace.
    pub namespaced: bool,
    /// Subresources of an object.
    pub subresources: &'static [Subresource],
    /// Sets the API's defaults after decoding.
    pub default: fn(&mut Value),
    /// Parses the schema form. Returns the path of every unknown field, or the parse error. The decoder rejects duplicate fields.
    pub unknown_fields: fn(&Value) -> Result<Vec<String>, String>,
    /// Validates a new object with its defaults, or an update of `old`. The errors are in field order, in the API server's words.
    pub validate: fn(new: &Value, old: Option<&Value>) -> Vec<FieldError>,
    /// Returns the fields that would change behaviour and that this node does not honour; each is a 422 or a warning.
    pub unsupported: fn(&Value) -> Vec<Unsupported>,
    /// Columns of the table.
    pub columns: &'static [Column],
    /// Returns the cells of an object's row at `now`, one for each column.
    pub cells: fn(object: &Value, now: Timestamp) -> Vec<Value>,
    /// Returns the values for field selectors besides `metadata.name` and `metadata.namespace`.
    pub field_selectors: fn(&Value) -> Vec<(&'static str, String)>,
    /// Adds the OpenAPI schema to the generator and returns a reference to it.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
    /// `true` if changes of `spec` increment `metadata.generation`.
    pub tracks_generation: bool,
    /// `true` if all objects can be deleted with one request.
    pub has_delete_collection: bool,
    /// `true` if `spec.finalizers` delays the removal of an object, as `metadata.finalizers` does.
    pub has_spec_finalizers: bool,
    /// Names of objects that cannot be deleted.
    pub protected_names: &'static [&'static str],
    /// Sets the fields of a new object that clients cannot set, such as its initial status.
    pub prepare_for_create: fn(&mut Value),
    /// Changes an object that is marked for deletion.
    pub prepare_for_delete: fn(&mut Value),
    /// Returns the grace period of a deletion in seconds, given the requested one; `None` if objects of this kind are
    /// removed without one.
    pub grace_period_seconds: Option<fn(object: &Value, requested: Option<i64>) -> i64>,
    /// Allocates values that are unique among all objects of this kind.
    pub allocate: Option<Allocate>,
    /// Merge keys of lists, in addition to those that all kinds have.
    pub merge_lists: &'static [MergeList],
    /// Backend of the subresource `proxy`; `None` if the kind does not serve it.
    pub proxy_backend: Option<ProxyBackend>,
    /// Warning that every response to a request for this kind carries.
    pub deprecation: Option<&'static str>,
}

/// Allocates values for `object`, which replaces `old`, given all stored objects of its kind. Returns an error message.
pub type Allocate =
    fn(existing: &[Arc<Value>], object: &mut Value, old: Option<&Value>) -> Result<(), String>;

/// Backend of the subresource `proxy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyBackend {
    /// A port of the pod.
    Pod,
    /// A port of a ready endpoint of the service.
    Service,
}

mod allocation;
mod defaults;
mod field_selectors;
mod merge_lists;
mod names;
mod qos;
mod rows;
mod schema;
mod strategy;
mod tables;
mod unsupported;
mod validate;

pub use merge_lists::MergeList;
pub(crate) use merge_lists::{ListType, PatchStrategy};
pub use probe::spec::field::{ErrorClass, FieldError};
pub(crate) use qos::qos_class;
pub use rows::KINDS;
pub(crate) use schema::normalize_quantities;

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
    /// Returns group and version, such as `v1` or `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Returns the plural name with the group for messages, such as `deployments.apps`.
    #[must_use]
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Returns the verbs of discovery, sorted.
    pub(crate) fn verbs(&self) -> Vec<&'static str> {
        let mut verbs = VERBS.to_vec();
        verbs.retain(|verb| *verb != DELETE_COLLECTION || self.has_delete_collection);
        verbs
    }

    /// Returns `true` if its objects have `subresource`.
    #[must_use]
    pub fn serves(&self, subresource: Subresource) -> bool {
        self.subresources.contains(&subresource)
    }
}

/// Returns the kind of a request path.
#[must_use]
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
}

/// Returns the selector's labels of a workload. A replication controller's selector consists of labels only.
pub(crate) fn selected(workload: &Value) -> &Value {
    let selector = &workload["spec"]["selector"];
    if workload["kind"] == "ReplicationController" {
        selector
    } else {
        &selector["matchLabels"]
    }
}

/// Subresource of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// `…/status`: writes change the status only.
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
    /// Heading.
    pub name: &'static str,
    /// `string`, `integer`, `date`.
    pub kind: &'static str,
    /// `name` for the first column, else empty.
    pub format: &'static str,
    /// 0 is always shown, 1 with `-o wide`.
    pub priority: i32,
}

/// Field that this node does not honour.
pub struct Unsupported {
    /// Path of the field.
    pub field: String,
    /// Message with the consequence.
    pub message: String,
    /// `true` if the object is rejected; otherwise the client gets a warning.
    pub is_rejected: bool,
}
