//! Objects of every kind, under one sequence of versions, and what changed since any of them.
//!
//! A watcher reads the bounded history by version, so a slow one loses nothing until the history has moved past it, and
//! is then told so. The store knows nothing of Kubernetes but `metadata.resourceVersion`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::watch;

/// How many changes are remembered for watchers.
const HISTORY: usize = 8_192;

/// Names one object. The order lists a kind's objects together, and a namespace's within it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `apps/deployments`, `/pods` …
    pub resource: String,
    /// Empty for kinds without namespaces.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

/// What happened to an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version that this change made.
    pub version: u64,
    /// Which object.
    pub key: Key,
    /// What it was; none when it was created.
    pub before: Option<Arc<Value>>,
    /// What it is; none when it was removed.
    pub after: Option<Arc<Value>>,
}

/// A write that did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// There is such an object already.
    #[error("the object exists")]
    Exists,
    /// There is no such object.
    #[error("no such object")]
    NotFound,
    /// It has changed since it was read.
    #[error("the object has been modified")]
    Conflict,
}

/// The history no longer reaches back to the version asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct TooOld {
    /// The version asked for.
    pub asked: u64,
    /// The oldest one that can be continued from.
    pub oldest: u64,
}

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    // A std mutex: nothing awaits while it is held.
    state: Mutex<State>,
    latest: watch::Sender<u64>,
    history: usize,
}

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    changes: VecDeque<Change>,
    /// Everything after this version is in `changes`.
    floor: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self::with_history(HISTORY)
    }
}

impl Store {
    /// A store that remembers this many changes.
    #[must_use]
    pub fn with_history(history: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                latest: watch::Sender::new(0),
                history,
            }),
        }
    }

    /// The newest version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state().version
    }

    /// One object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.state().objects.get(key).cloned()
    }

    /// The objects of a kind, of one namespace or of all, in the order of their keys, and the version they show.
    #[must_use]
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> (Vec<Arc<Value>>, u64) {
        let state = self.state();
        let from = Key {
            resource: resource.to_owned(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: String::new(),
        };
        let objects = state
            .objects
            .range(from..)
            .take_while(|(key, _)| {
                key.resource == resource && namespace.is_none_or(|wanted| key.namespace == wanted)
            })
            .map(|(_, object)| object.clone())
            .collect();
        (objects, state.version)
    }

    /// Adds an object.
    pub fn create(&self, key: Key, object: Value) -> Result<Arc<Value>, WriteError> {
        let mut state = self.state();
        if state.objects.contains_key(&key) {
            return Err(WriteError::Exists);
        }
        Ok(self.commit(&mut state, key, None, object))
    }

    /// Puts `object` in the place of what was read as `before`.
    pub fn replace(
        &self,
        key: &Key,
        before: &Value,
        object: Value,
    ) -> Result<Arc<Value>, WriteError> {
        let mut state = self.state();
        let current = unchanged(&state, key, before)?;
        Ok(self.commit(&mut state, key.clone(), Some(current), object))
    }

    /// Removes what was read as `before`; returns it with the version of its removal.
    pub fn remove(&self, key: &Key, before: &Value) -> Result<Arc<Value>, WriteError> {
        let mut state = self.state();
        let current = unchanged(&state, key, before)?;
        let version = state.version + 1;
        let last = Arc::new(stamped((*current).clone(), version));
        state.objects.remove(key);
        let change = Change {
            version,
            key: key.clone(),
            before: Some(last.clone()),
            after: None,
        };
        self.remember(&mut state, change);
        Ok(last)
    }

    /// What changed after `since`, oldest first; empty when nothing did.
    pub fn changes(&self, since: u64) -> Result<Vec<Change>, TooOld> {
        let state = self.state();
        if since < state.floor {
            return Err(TooOld {
                asked: since,
                oldest: state.floor,
            });
        }
        let first = state
            .changes
            .partition_point(|change| change.version <= since);
        Ok(state.changes.range(first..).cloned().collect())
    }

    /// Says when there are versions newer than the last one seen.
    #[must_use]
    pub fn latest(&self) -> watch::Receiver<u64> {
        self.shared.latest.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .expect("nothing panics while it holds the store")
    }

    fn commit(
        &self,
        state: &mut State,
        key: Key,
        before: Option<Arc<Value>>,
        object: Value,
    ) -> Arc<Value> {
        let version = state.version + 1;
        let object = Arc::new(stamped(object, version));
        state.objects.insert(key.clone(), object.clone());
        let change = Change {
            version,
            key,
            before,
            after: Some(object.clone()),
        };
        self.remember(state, change);
        object
    }

    fn remember(&self, state: &mut State, change: Change) {
        state.version = change.version;
        state.changes.push_back(change);
        while state.changes.len() > self.shared.history {
            if let Some(forgotten) = state.changes.pop_front() {
                state.floor = forgotten.version;
            }
        }
        self.shared.latest.send_replace(state.version);
    }
}

fn unchanged(state: &State, key: &Key, before: &Value) -> Result<Arc<Value>, WriteError> {
    let current = state.objects.get(key).ok_or(WriteError::NotFound)?;
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    if version(current) == version(before) {
        Ok(current.clone())
    } else {
        Err(WriteError::Conflict)
    }
}

fn stamped(mut object: Value, version: u64) -> Value {
    object["metadata"]["resourceVersion"] = Value::String(version.to_string());
    object
}

#[cfg(test)]
mod tests;
