//! Object store of all kinds, with one sequence of resource versions and a bounded history of changes for watches.
//!
//! A watcher reads the history by resource version. A slow watcher loses nothing until its version is compacted, and then gets an
//! error (410 Gone in the API). Of Kubernetes the store depends on `metadata.resourceVersion` only.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::watch;

/// Number of events in the history.
const WATCH_CACHE_SIZE: usize = 8_192;

/// Key of an object. The order groups objects by kind, then by namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Group and plural name, such as `apps/deployments` or `/pods`.
    pub resource: String,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

/// StoreEvent of an object.
#[derive(Clone, Debug)]
pub struct StoreEvent {
    /// Resource version of the change.
    pub version: u64,
    /// Key of the object.
    pub key: Key,
    /// Object before the change; `None` if it was created.
    pub before: Option<Arc<Value>>,
    /// Object after the change; `None` if it was removed.
    pub after: Option<Arc<Value>>,
}

/// Error of a write, which changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The object exists already.
    #[error("the object exists")]
    Exists,
    /// The object does not exist.
    #[error("no such object")]
    NotFound,
    /// The object changed since it was read.
    #[error("the object has been modified")]
    Conflict,
}

/// The requested resource version was compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Compacted {
    /// Requested version.
    pub asked: u64,
    /// Oldest version from which a watch can continue.
    pub oldest: u64,
}

/// Object store. Clones share the objects.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    // A std mutex, because it is never held across an await.
    state: Mutex<State>,
    latest: watch::Sender<u64>,
    history: usize,
}

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    changes: VecDeque<StoreEvent>,
    /// `changes` contains every event after this version.
    compact_revision: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self::with_history(WATCH_CACHE_SIZE)
    }
}

impl Store {
    /// Creates a store whose history has at most this many events.
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

    /// Returns the newest resource version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state().version
    }

    /// Returns the object with this key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.state().objects.get(key).cloned()
    }

    /// Returns the objects of a kind in one or all namespaces, ordered by key, and the resource version of the list.
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
    ///
    /// # Errors
    /// [`WriteError::Exists`] if the key is used.
    pub fn create(&self, key: Key, object: Value) -> Result<Arc<Value>, WriteError> {
        let mut state = self.state();
        if state.objects.contains_key(&key) {
            return Err(WriteError::Exists);
        }
        Ok(self.commit(&mut state, key, None, object))
    }

    /// Replaces the object that was read as `before`.
    pub fn replace(
        &self,
        key: &Key,
        before: &Value,
        object: Value,
    ) -> Result<Arc<Value>, WriteError> {
        let mut state = self.state();
        let current = find_unchanged(&state, key, before)?;
        Ok(self.commit(&mut state, key.clone(), Some(current), object))
    }

    /// Removes the object that was read as `before`; returns it with the resource version of the removal.
    pub fn remove(&self, key: &Key, before: &Value) -> Result<Arc<Value>, WriteError> {
        let mut state = self.state();
        let current = find_unchanged(&state, key, before)?;
        let version = state.version + 1;
        let last = Arc::new(with_resource_version((*current).clone(), version));
        state.objects.remove(key);
        let change = StoreEvent {
            version,
            key: key.clone(),
            before: Some(last.clone()),
            after: None,
        };
        self.append_event(&mut state, change);
        Ok(last)
    }

    /// Returns the events after the version `since`, oldest first.
    pub fn changes(&self, since: u64) -> Result<Vec<StoreEvent>, Compacted> {
        let state = self.state();
        if since < state.compact_revision {
            return Err(Compacted {
                asked: since,
                oldest: state.compact_revision,
            });
        }
        let first = state
            .changes
            .partition_point(|change| change.version <= since);
        Ok(state.changes.range(first..).cloned().collect())
    }

    /// Subscribes to the newest resource version.
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
        let object = Arc::new(with_resource_version(object, version));
        state.objects.insert(key.clone(), object.clone());
        let change = StoreEvent {
            version,
            key,
            before,
            after: Some(object.clone()),
        };
        self.append_event(state, change);
        object
    }

    fn append_event(&self, state: &mut State, change: StoreEvent) {
        state.version = change.version;
        state.changes.push_back(change);
        while state.changes.len() > self.shared.history {
            if let Some(forgotten) = state.changes.pop_front() {
                state.compact_revision = forgotten.version;
            }
        }
        self.shared.latest.send_replace(state.version);
    }
}

fn find_unchanged(state: &State, key: &Key, before: &Value) -> Result<Arc<Value>, WriteError> {
    let current = state.objects.get(key).ok_or(WriteError::NotFound)?;
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    if version(current) == version(before) {
        Ok(current.clone())
    } else {
        Err(WriteError::Conflict)
    }
}

fn with_resource_version(mut object: Value, version: u64) -> Value {
    object["metadata"]["resourceVersion"] = Value::String(version.to_string());
    object
}

#[cfg(test)]
mod tests;
