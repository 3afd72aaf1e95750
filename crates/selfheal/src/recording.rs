//! Recording of an exercise on one engine: all observed changes with their times, without names that are specific to a cluster.

pub(crate) mod diff;
mod read;
pub(crate) mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use self::read::read;
pub(crate) use self::write::prepare_dir;

/// One exercise on one engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Recording {
    /// Name of the exercise.
    pub(crate) exercise: String,
    /// Engine that it ran on.
    pub(crate) engine: String,
    /// Version of the API server, as in `v1.36.2`.
    pub(crate) server_version: String,
    /// Reason why the exercise stopped early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop_reason: Option<String>,
    /// Speed of the engine's clock; 1 for real time.
    pub(crate) speed: f64,
    /// Steps that changed the cluster, in order: the causes of the observed changes.
    pub(crate) actions: Vec<Action>,
    /// Longest period of an application's probes, in seconds.
    pub(crate) probe_periods: BTreeMap<String, i32>,
    /// Observations by subject: an object or a table.
    pub(crate) subjects: BTreeMap<String, Vec<RecordEntry>>,
}

/// A step that changed the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Action {
    /// Seconds on the cluster's clock since the start of the exercise.
    pub(crate) at: f64,
    /// Description of the change.
    pub(crate) text: String,
}

/// An observation of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordEntry {
    /// Seconds on the cluster's clock since the start of the exercise.
    pub(crate) at: f64,
    pub(crate) kind: EntryKind,
    /// Description of the observation.
    pub(crate) text: String,
    /// Number of occurrences of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<i32>,
}

/// Kind of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EntryKind {
    /// A new state of an object; the order of these entries is compared.
    Change,
    /// An event about an object.
    Event,
    /// A row of a table.
    Row,
}

#[cfg(test)]
mod tests;
