//! A cache of all objects of one kind, kept by a watch, that tells whoever asked of every change.
//!
//! A controller that has just written waits until the cache has seen the write ([`Informer::caught_up`]): resource
//! versions are one sequence, so that is a comparison. It takes the place of client-go's expectations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_kind};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::queue::Key;

/// How long a controller waits to see its own write; after that it works from what it knows, and a conflict tells it.
const CATCH_UP: Duration = Duration::from_secs(5);

type Handler<K> = Box<dyn Fn(Option<&K>, Option<&K>) + Send + Sync>;

/// All objects of one kind. Clones share the cache.
pub(super) struct Informer<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    objects: RwLock<BTreeMap<Key, Arc<K>>>,
    handlers: Mutex<Vec<Handler<K>>>,
    /// The newest resource version seen; none before the first list is complete.
    seen: watch::Sender<Option<u64>>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<K> Default for Informer<K> {
    fn default() -> Self {
        let shared = Shared {
            objects: RwLock::new(BTreeMap::new()),
            handlers: Mutex::new(Vec::new()),
            seen: watch::Sender::new(None),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl<K> Informer<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone,
{
    /// Calls `handler` with the old and the new object on every change from now on.
    pub(super) fn on_change(
        &self,
        handler: impl Fn(Option<&K>, Option<&K>) + Send + Sync + 'static,
    ) {
        self.shared
            .handlers
            .lock()
            .expect("handlers do not panic")
            .push(Box::new(handler));
    }

    /// The object under `key`.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.shared
            .objects
            .read()
            .expect("no writer panics")
            .get(key)
            .cloned()
    }

    /// The objects of a namespace, by name.
    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let objects = self.shared.objects.read().expect("no writer panics");
        let from = Key::new(namespace, "");
        objects
            .range(from..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// All objects.
    pub(super) fn all(&self) -> Vec<Arc<K>> {
        self.shared
            .objects
            .read()
            .expect("no writer panics")
            .values()
            .cloned()
            .collect()
    }

    /// Returns when the first list is complete.
    pub(super) async fn synced(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.shared.seen.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns when the cache shows what was just written as `meta`.
    pub(super) async fn caught_up(&self, meta: &ObjectMeta) {
        let Some(version) = version(meta) else { return };
        let mut seen = self.shared.seen.subscribe();
        // Too late is no error: see the constant.
        let _ = tokio::time::timeout(CATCH_UP, seen.wait_for(|seen| *seen >= Some(version))).await;
    }

    /// Lists and watches for ever, listing anew where the watch cannot go on.
    pub(super) async fn run(self, api: Api<K>) {
        let events = watch_kind(api, watcher::Config::default()).default_backoff();
        pin_mut!(events);
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(object)) => {
                    listed.insert(Key::of(&object));
                    self.apply(object);
                }
                Ok(Event::InitDone) => self.listed(&listed),
                Ok(Event::Apply(object)) => self.apply(object),
                Ok(Event::Delete(object)) => self.delete(&Key::of(&object), version(object.meta())),
                Err(error) => tracing::debug!(%error, "watch failed; listing again"),
            }
        }
    }

    fn apply(&self, object: K) {
        let version = version(object.meta());
        let object = Arc::new(object);
        let old = self
            .shared
            .objects
            .write()
            .expect("no reader panics")
            .insert(Key::of(&*object), object.clone());
        self.tell(old.as_deref(), Some(&object));
        self.saw(version);
    }

    fn delete(&self, key: &Key, version: Option<u64>) {
        let old = self
            .shared
            .objects
            .write()
            .expect("no reader panics")
            .remove(key);
        self.tell(old.as_deref(), None);
        self.saw(version);
    }

    fn listed(&self, listed: &BTreeSet<Key>) {
        let gone: Vec<Key> = {
            let objects = self.shared.objects.read().expect("no writer panics");
            objects
                .keys()
                .filter(|key| !listed.contains(key))
                .cloned()
                .collect()
        };
        for key in gone {
            self.delete(&key, None);
        }
        self.shared
            .seen
            .send_modify(|seen| *seen = Some(seen.unwrap_or(0)));
    }

    /// Before the first list is complete nothing counts as seen: lists come in the order of names.
    fn saw(&self, version: Option<u64>) {
        self.shared.seen.send_modify(|seen| {
            if let (Some(seen), Some(version)) = (seen.as_mut(), version) {
                *seen = version.max(*seen);
            }
        });
    }

    fn tell(&self, old: Option<&K>, new: Option<&K>) {
        for handler in &*self.shared.handlers.lock().expect("handlers do not panic") {
            handler(old, new);
        }
    }
}

fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_deref()?.parse().ok()
}
