//! Event correlator as in client-go (`events_cache.go`): similar events are aggregated, equal ones counted, and too many dropped.
//!
//! The order is client-go's: aggregate, then count, then drop. A dropped event is counted, so that the next one that is written
//! shows it.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use lru::LruCache;

use super::EventType;
use super::token_bucket::TokenBucket;

/// Maximum number of entries of each cache; the least recently used entry is evicted.
const MAX_LRU_CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Number of different messages of one reason from which on events are aggregated.
const AGGREGATE_MAX_EVENTS: usize = 10;
/// Maximum time between two events that are aggregated.
const AGGREGATE_INTERVAL: Duration = Duration::from_secs(600);
const AGGREGATE_PREFIX: &str = "(combined from similar events): ";
/// Number of events of one type that an object may have at once.
const SPAM_BURST: f64 = 25.0;
/// Number of further events per second: one in five minutes.
const SPAM_QPS: f64 = 1.0 / 300.0;

/// An event as it was recorded.
#[derive(Clone, Debug)]
pub(super) struct RawEvent {
    pub(super) object: ObjectReference,
    pub(super) kind: EventType,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) at: Timestamp,
}

/// An event to create, or to update if it has a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EventToWrite {
    pub(super) key: Key,
    /// Name of the existing event that is updated.
    pub(super) existing_name: Option<String>,
    pub(super) object: ObjectReference,
    pub(super) kind: EventType,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) count: i32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

/// Kind, namespace, name, UID and API version of the involved object.
type InvolvedObject = [Option<String>; 5];

/// Identity of an event: recorded events with equal keys are one event of the API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    object: InvolvedObject,
    /// Separates the containers of a pod; `None` if aggregated.
    field_path: Option<String>,
    kind: EventType,
    reason: String,
    /// `None` if aggregated.
    message: Option<String>,
}

#[derive(Debug)]
struct AggregateRecord {
    messages: BTreeSet<String>,
    last: Duration,
}

#[derive(Debug)]
struct EventLog {
    count: i32,
    first: Timestamp,
    name: Option<String>,
}

/// Caches the events that one recorder has written.
#[derive(Debug)]
pub(super) struct Correlator {
    aggregates: LruCache<Key, AggregateRecord>,
    logs: LruCache<Key, EventLog>,
    spam: LruCache<(InvolvedObject, EventType), TokenBucket>,
}

impl Default for Correlator {
    fn default() -> Self {
        Self {
            aggregates: LruCache::new(MAX_LRU_CACHE_ENTRIES),
            logs: LruCache::new(MAX_LRU_CACHE_ENTRIES),
            spam: LruCache::new(MAX_LRU_CACHE_ENTRIES),
        }
    }
}

impl Correlator {
    /// Returns the event to write, or `None` if its object exceeds its rate.
    pub(super) fn correlate(&mut self, event: RawEvent, now: Duration) -> Option<EventToWrite> {
        let object = involved_object(&event.object);
        let (key, message) = self.aggregate(&object, &event, now);
        let log = self.logs.get_or_insert_mut_ref(&key, || EventLog {
            count: 0,
            first: event.at,
            name: None,
        });
        log.count += 1;
        let to_write = EventToWrite {
            existing_name: log.name.clone(),
            count: log.count,
            first: log.first,
            last: event.at,
            object: event.object,
            kind: event.kind,
            reason: event.reason,
            message,
            key,
        };
        let rate_limit = self.spam.get_or_insert_mut((object, event.kind), || {
            TokenBucket::full(SPAM_BURST, SPAM_QPS, now)
        });
        rate_limit.try_acquire(now).then_some(to_write)
    }

    /// Records the name under which an event was written.
    pub(super) fn record_name(&mut self, key: &Key, name: String) {
        if let Some(log) = self.logs.peek_mut(key) {
            log.name = Some(name);
        }
    }

    fn aggregate(
        &mut self,
        object: &InvolvedObject,
        event: &RawEvent,
        now: Duration,
    ) -> (Key, String) {
        let aggregate_key = Key {
            object: object.clone(),
            field_path: None,
            kind: event.kind,
            reason: event.reason.clone(),
            message: None,
        };
        let aggregate = self
            .aggregates
            .get_or_insert_mut_ref(&aggregate_key, || AggregateRecord {
                messages: BTreeSet::new(),
                last: now,
            });
        if now.saturating_sub(aggregate.last) > AGGREGATE_INTERVAL {
            aggregate.messages.clear();
        }
        aggregate.messages.insert(event.message.clone());
        aggregate.last = now;
        if aggregate.messages.len() < AGGREGATE_MAX_EVENTS {
            let field_path = event.object.field_path.clone();
            let key = Key {
                field_path,
                message: Some(event.message.clone()),
                ..aggregate_key
            };
            return (key, event.message.clone());
        }
        // Remove one message, so that the set stays at its limit.
        aggregate.messages.pop_first();
        (
            aggregate_key,
            format!("{AGGREGATE_PREFIX}{}", event.message),
        )
    }
}

fn involved_object(object: &ObjectReference) -> InvolvedObject {
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
