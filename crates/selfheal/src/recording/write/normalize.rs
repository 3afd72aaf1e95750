//! Normalizes a log of observations: records each change once, in texts that can be compared between clusters.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Endpoints, Event, Pod};

use super::names::Names;
use super::objects::{self, Facts};
use super::{Observation, ObservedChange, Presence};
use crate::exercise::observe::has_ready_condition;
use crate::recording::{Action, EntryKind, RecordEntry, Recording};

/// Maximum lead of one watch over another.
const MAX_WATCH_SKEW: Duration = Duration::from_secs(1);

/// Returns the actions, probe periods and subjects of a recording; its other fields are empty.
pub(super) fn normalize(log: &[Observation], namespace: &str) -> Recording {
    let names = Names::from_log(log, namespace);
    let mut normalizer = Normalizer {
        earliest_address: earliest_addresses(log, &names),
        names,
        recording: Recording::default(),
        facts: BTreeMap::new(),
        event_counts: BTreeMap::new(),
        tables: 0,
    };
    for observation in log {
        normalizer.add(observation);
    }
    normalizer.recording
}

/// Returns the time from which each application's service can have an address of this exercise. Addresses before the first
/// ready pod belong to an earlier exercise.
fn earliest_addresses(log: &[Observation], names: &Names) -> BTreeMap<String, Duration> {
    let mut earliest = BTreeMap::new();
    for observation in log {
        let ObservedChange::Pod(pod) = &observation.change else {
            continue;
        };
        let name = names.get(pod.metadata.uid.as_ref());
        if let Some(name) = name.filter(|_| has_ready_condition(pod)) {
            earliest
                .entry(name.app.clone())
                .or_insert(observation.at.saturating_sub(MAX_WATCH_SKEW));
        }
    }
    earliest
}

struct Normalizer {
    names: Names,
    recording: Recording,
    /// Latest facts by subject.
    facts: BTreeMap<String, Facts>,
    /// Counts of event objects by their UID, for each subject and text.
    event_counts: BTreeMap<(String, String), BTreeMap<String, i32>>,
    /// Number of tables so far.
    tables: usize,
    /// Time from which each application's service can have an address.
    earliest_address: BTreeMap<String, Duration>,
}

/// Seconds, rounded to milliseconds.
fn seconds(at: Duration) -> f64 {
    (at.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Normalizer {
    fn add(&mut self, observation: &Observation) {
        let at = seconds(observation.at);
        let is_deleted = observation.presence == Presence::Deleted;
        match &observation.change {
            ObservedChange::Action(text) => self.recording.actions.push(Action {
                at,
                text: text.clone(),
            }),
            ObservedChange::Table(command, rows) => self.add_table(at, command, rows),
            ObservedChange::Pod(pod) => self.add_pod(at, observation.presence, pod),
            ObservedChange::Deployment(deployment) => {
                let name = deployment.metadata.name.as_deref().unwrap_or_default();
                let facts = objects::deployment_facts(deployment);
                self.add_changes(at, &format!("deployment {name}"), facts);
            }
            ObservedChange::Endpoints(endpoints) if !is_deleted => {
                self.add_endpoints(observation.at, endpoints);
            }
            ObservedChange::Event(event) if !is_deleted => self.add_event(at, event),
            ObservedChange::ReplicaSet(_)
            | ObservedChange::Endpoints(_)
            | ObservedChange::Event(_) => {}
        }
    }

    fn add_pod(&mut self, at: f64, presence: Presence, pod: &Pod) {
        let Some(name) = self.names.get(pod.metadata.uid.as_ref()).cloned() else {
            return;
        };
        if let Some(period) = objects::longest_probe_period(pod) {
            let longest = self.recording.probe_periods.entry(name.app).or_default();
            *longest = period.max(*longest);
        }
        let subject = format!("pod {}", name.name);
        self.add_changes(at, &subject, objects::pod_facts(pod));
        if presence == Presence::Deleted {
            self.add_change(at, &subject, "deleted");
        }
    }

    fn add_endpoints(&mut self, at: Duration, endpoints: &Endpoints) {
        let name = endpoints.metadata.name.as_deref().unwrap_or_default();
        let earliest = self.earliest_address.get(name);
        if earliest.is_some_and(|earliest| at >= *earliest) {
            let facts = objects::endpoints_facts(endpoints);
            self.add_changes(seconds(at), &format!("endpoints {name}"), facts);
        }
    }

    /// Records the facts that differ from the latest ones.
    fn add_changes(&mut self, at: f64, subject: &str, facts: Facts) {
        let facts: Facts = facts
            .into_iter()
            .map(|(key, text)| (key, self.names.normalize(&text)))
            .collect();
        let before = self.facts.get(subject).cloned();
        let before = before.unwrap_or_else(objects::initial_facts);
        for (key, text) in &facts {
            if before.get(key) != Some(text) {
                self.add_change(at, subject, text);
            }
        }
        self.facts.insert(subject.to_owned(), facts);
    }

    fn add_change(&mut self, at: f64, subject: &str, text: &str) {
        self.push(subject, at, EntryKind::Change, text.to_owned(), None);
    }

    fn push(&mut self, subject: &str, at: f64, kind: EntryKind, text: String, count: Option<i32>) {
        let entries = self
            .recording
            .subjects
            .entry(subject.to_owned())
            .or_default();
        entries.push(RecordEntry {
            at,
            kind,
            text,
            count,
        });
    }

    /// Records the rows of a table, sorted by their normalized text: a cluster sorts them by random names.
    fn add_table(&mut self, at: f64, command: &str, rows: &[Vec<String>]) {
        self.tables += 1;
        let subject = format!("table {}: {command}", self.tables);
        let Some((heading, rows)) = rows.split_first() else {
            return;
        };
        let row_text = |cells: &Vec<String>| {
            let cells = heading.iter().zip(cells).map(|(column, cell)| {
                if column == "AGE" {
                    "AGE".to_owned()
                } else {
                    self.names.normalize(cell)
                }
            });
            cells.collect::<Vec<_>>().join(" | ")
        };
        let mut lines: Vec<String> = rows.iter().map(row_text).collect();
        lines.sort();
        lines.insert(0, heading.join(" | "));
        for line in lines {
            self.push(&subject, at, EntryKind::Row, line, None);
        }
    }

    /// Records an event. Event objects with the same subject and text are one entry with the total count.
    fn add_event(&mut self, at: f64, event: &Event) {
        let involved = &event.involved_object;
        let Some(name) = self.names.get(involved.uid.as_ref()) else {
            return;
        };
        let kind = involved.kind.as_deref().unwrap_or_default().to_lowercase();
        let subject = format!("{kind} {}", name.name);
        let text = self.names.normalize(&objects::event_text(event));
        let uid = event.metadata.uid.clone().unwrap_or_default();
        let series = event.series.as_ref().and_then(|series| series.count);
        let count = series.or(event.count).unwrap_or(1).max(1);
        let counts = self
            .event_counts
            .entry((subject.clone(), text.clone()))
            .or_default();
        let is_first = counts.is_empty();
        counts.insert(uid, count);
        let total: i32 = counts.values().sum();
        if is_first {
            self.push(&subject, at, EntryKind::Event, text, Some(total));
        } else if let Some(entries) = self.recording.subjects.get_mut(&subject) {
            let is_same =
                |entry: &&mut RecordEntry| entry.kind == EntryKind::Event && entry.text == text;
            if let Some(entry) = entries.iter_mut().find(is_same) {
                entry.count = Some(total);
            }
        }
    }
}
