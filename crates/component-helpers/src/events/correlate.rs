//! Which events become one: equal ones count up, many similar ones are combined, and too many are dropped.
//!
//! The steps and their order are client-go's event correlator: combine, then count, then drop. A dropped event still
//! counts, so the next one that is written shows it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;

use super::EventType;
use super::bucket::Bucket;
use super::cache::Cache;

/// How many objects, reasons and messages are remembered.
const REMEMBERED: usize = 4096;
/// From this many different messages under one reason on, events are combined …
const COMBINE_FROM: usize = 10;
/// … as long as each comes within this time of the one before.
const COMBINE_WITHIN: Duration = Duration::from_secs(600);
const COMBINED: &str = "(combined from similar events): ";
/// What one object may write at once, and how often it gains one more.
const SPAM_BURST: f64 = 25.0;
const SPAM_RATE: f64 = 1.0 / 300.0;

/// Something happened.
#[derive(Clone, Debug)]
pub(super) struct Occurrence {
    pub(super) object: ObjectReference,
    pub(super) kind: EventType,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) at: Timestamp,
}

/// What is to be written about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Observed {
    pub(super) key: Key,
    /// The name of the event that already tells of it.
    pub(super) written_as: Option<String>,
    pub(super) object: ObjectReference,
    pub(super) kind: EventType,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) count: i32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

type Subject = [Option<String>; 5];

/// Events with the same key are one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    subject: Subject,
    /// Containers of one pod are apart, unless combined.
    field_path: Option<String>,
    kind: EventType,
    reason: String,
    /// None where similar events are combined.
    message: Option<String>,
}

#[derive(Debug)]
struct Similar {
    messages: BTreeSet<String>,
    last: Duration,
}

#[derive(Debug)]
struct Tally {
    count: i32,
    first: Timestamp,
    name: Option<String>,
}

/// Remembers what one recorder has written.
#[derive(Debug)]
pub(super) struct Correlator {
    similar: Cache<Key, Similar>,
    tallies: Cache<Key, Tally>,
    spam: Cache<(Subject, EventType), Bucket>,
}

impl Default for Correlator {
    fn default() -> Self {
        Self {
            similar: Cache::new(REMEMBERED),
            tallies: Cache::new(REMEMBERED),
            spam: Cache::new(REMEMBERED),
        }
    }
}

impl Correlator {
    /// What to write about `occurrence`; nothing where its object has used up its share.
    pub(super) fn observe(&mut self, occurrence: Occurrence, now: Duration) -> Option<Observed> {
        let subject = subject(&occurrence.object);
        let (key, message) = self.combine(&subject, &occurrence, now);
        let tally = self.tallies.entry(&key, || Tally {
            count: 0,
            first: occurrence.at,
            name: None,
        });
        tally.count += 1;
        let observed = Observed {
            written_as: tally.name.clone(),
            count: tally.count,
            first: tally.first,
            last: occurrence.at,
            object: occurrence.object,
            kind: occurrence.kind,
            reason: occurrence.reason,
            message,
            key,
        };
        let share = self.spam.entry(&(subject, occurrence.kind), || {
            Bucket::full(SPAM_BURST, SPAM_RATE, now)
        });
        share.take(now).then_some(observed)
    }

    /// Notes under which name an event was written.
    pub(super) fn written(&mut self, key: &Key, name: String) {
        if let Some(tally) = self.tallies.get_mut(key) {
            tally.name = Some(name);
        }
    }

    fn combine(
        &mut self,
        subject: &Subject,
        occurrence: &Occurrence,
        now: Duration,
    ) -> (Key, String) {
        let together = Key {
            subject: subject.clone(),
            field_path: None,
            kind: occurrence.kind,
            reason: occurrence.reason.clone(),
            message: None,
        };
        let similar = self.similar.entry(&together, || Similar {
            messages: BTreeSet::new(),
            last: now,
        });
        if now.saturating_sub(similar.last) > COMBINE_WITHIN {
            similar.messages.clear();
        }
        similar.messages.insert(occurrence.message.clone());
        similar.last = now;
        if similar.messages.len() < COMBINE_FROM {
            let field_path = occurrence.object.field_path.clone();
            let alone = Key {
                field_path,
                message: Some(occurrence.message.clone()),
                ..together
            };
            return (alone, occurrence.message.clone());
        }
        // One message makes room for the next, so the set stays at its bound.
        similar.messages.pop_first();
        (together, format!("{COMBINED}{}", occurrence.message))
    }
}

fn subject(object: &ObjectReference) -> Subject {
    [
        &object.kind,
        &object.namespace,
        &object.name,
        &object.uid,
        &object.api_version,
    ]
    .map(Clone::clone)
}

#[cfg(test)]
mod tests;
