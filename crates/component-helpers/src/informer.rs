//! Cache of all objects of one kind, updated by a watch, which calls registered handlers on every change.
//!
//! A controller waits after a write until the cache contains it ([`Informer::wait_for_resource_version`]). The API server has one
//! sequence of resource versions, so a comparison is enough. This replaces client-go's expectations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt, pin_mut};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_kind};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::supervisor::Component;
use crate::work_queue::{Key, WorkQueue};

/// Maximum time for which a controller waits for its own write. After that it continues with the cached state; a stale write
/// ends in a conflict.
const CACHE_WAIT_TIMEOUT: Duration = Duration::from_secs(5);

type Handler<K> = Arc<dyn Fn(Option<&K>, Option<&K>) + Send + Sync>;

/// All objects of one kind. Clones share the cache.
pub struct Informer<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    objects: RwLock<BTreeMap<Key, Arc<K>>>,
    handlers: Mutex<Vec<Handler<K>>>,
    /// Objects that are delivered to the handlers again although they have not changed.
    redeliveries: WorkQueue,
    /// Newest resource version in the cache; `None` before the first list is complete.
    observed: watch::Sender<Option<u64>>,
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
            redeliveries: WorkQueue::default(),
            observed: watch::Sender::new(None),
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
    pub fn on_change(&self, handler: impl Fn(Option<&K>, Option<&K>) + Send + Sync + 'static) {
        self.shared
            .handlers
            .lock()
            .expect("no holder of the handlers panics")
            .push(Arc::new(handler));
    }

    /// Returns the object with the key `key`.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.shared
            .objects
            .read()
            .expect("no writer panics")
            .get(key)
            .cloned()
    }

    /// Returns the objects of a namespace, ordered by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let objects = self.shared.objects.read().expect("no writer panics");
        let from = Key::new(namespace, "");
        objects
            .range(from..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Returns all objects, ordered by namespace and name.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.shared
            .objects
            .read()
            .expect("no writer panics")
            .values()
            .cloned()
            .collect()
    }

    /// Receives the newest resource version in the cache; `None` before the first list is complete.
    pub fn versions(&self) -> watch::Receiver<Option<u64>> {
        self.shared.observed.subscribe()
    }

    /// Waits until the cache contains the resource version of `meta`, for at most 5 s.
    pub async fn wait_for_resource_version(&self, meta: &ObjectMeta) {
        let Some(version) = version(meta) else { return };
        let mut observed = self.shared.observed.subscribe();
        let reached = observed.wait_for(|observed| *observed >= Some(version));
        // A timeout is not an error; see the constant.
        let _ = tokio::time::timeout(CACHE_WAIT_TIMEOUT, reached).await;
    }

    /// Notifies the handlers of every object, as if it had just been created.
    pub fn redeliver_all(&self) {
        for object in self.all() {
            self.shared.redeliveries.add(Key::from_object(&*object));
        }
    }

    /// Lists and watches until the node shuts down. After a panic it lists again, and notifies the handlers of every
    /// object.
    pub async fn run(self, api: Api<K>, component: Component) {
        let supervised = component.clone();
        let watch = Watch {
            informer: self,
            api,
            component,
            is_restart: false,
        };
        supervised.run("", watch, |watch| watch.run().boxed()).await;
    }
}

/// The informer's task.
struct Watch<K> {
    informer: Informer<K>,
    api: Api<K>,
    component: Component,
    is_restart: bool,
}

impl<K> Watch<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone,
{
    async fn run(&mut self) {
        let is_restart = std::mem::replace(&mut self.is_restart, true);
        let events = watch_kind(self.api.clone(), watcher::Config::default()).default_backoff();
        let redeliveries = self.informer.shared.redeliveries.clone();
        pin_mut!(events);
        let mut listed = BTreeSet::new();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    None => return,
                    Some(Ok(event)) => {
                        self.component.failpoint();
                        self.handle(event, &mut listed, is_restart);
                    }
                    Some(Err(error)) => tracing::debug!(%error, "watch failed; listing again"),
                },
                key = redeliveries.next() => self.redeliver(&key),
            }
        }
    }

    fn handle(&self, event: Event<K>, listed: &mut BTreeSet<Key>, is_restart: bool) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                listed.insert(Key::from_object(&object));
                self.apply(object, is_restart);
            }
            Event::InitDone => self.end_list(listed),
            Event::Apply(object) => self.apply(object, false),
            Event::Delete(object) => {
                self.delete(&Key::from_object(&object), version(object.meta()));
            }
        }
    }

    /// Inserts an object into the cache. With `is_new` the handlers get it as a new one.
    fn apply(&self, object: K, is_new: bool) {
        let (version, key) = (version(object.meta()), Key::from_object(&object));
        let object = Arc::new(object);
        let old = self
            .informer
            .shared
            .objects
            .write()
            .expect("no reader panics")
            .insert(key.clone(), object.clone());
        let old = old.filter(|_| !is_new);
        self.notify(&key, old.as_deref(), Some(&object));
        self.informer.record_version(version);
    }

    fn delete(&self, key: &Key, version: Option<u64>) {
        let old = self
            .informer
            .shared
            .objects
            .write()
            .expect("no reader panics")
            .remove(key);
        self.notify(key, old.as_deref(), None);
        self.informer.record_version(version);
    }

    fn redeliver(&self, key: &Key) {
        let object = self.informer.get(key);
        self.notify(key, None, object.as_deref());
    }

    fn end_list(&self, listed: &BTreeSet<Key>) {
        let deleted: Vec<Key> = {
            let objects = self.informer.shared.objects.read();
            let objects = objects.expect("no writer panics");
            let keys = objects.keys().filter(|key| !listed.contains(key));
            keys.cloned().collect()
        };
        for key in deleted {
            self.delete(&key, None);
        }
        let observed = &self.informer.shared.observed;
        observed.send_modify(|observed| *observed = Some(observed.unwrap_or(0)));
    }

    /// Calls every handler, also after one has panicked; then the object is delivered again later.
    fn notify(&self, key: &Key, old: Option<&K>, new: Option<&K>) {
        let handlers = self.informer.shared.handlers.lock();
        let handlers = handlers.expect("no holder of the handlers panics").clone();
        let call_all = || {
            let mut first_panic = None;
            for handler in handlers {
                let call = AssertUnwindSafe(|| {
                    self.component.item_failpoint(&key.name);
                    handler(old, new);
                });
                if let Err(panic) = catch_unwind(call) {
                    first_panic.get_or_insert(panic);
                }
            }
            if let Some(panic) = first_panic {
                resume_unwind(panic);
            }
        };
        if let Err(panicked) = self.component.call_item(&key.to_string(), call_all) {
            let redeliveries = &self.informer.shared.redeliveries;
            redeliveries.add_after(key.clone(), panicked.retry_after);
        }
    }
}

impl<K> Informer<K> {
    /// Records a resource version. Does nothing before the first list is complete, because lists are ordered by name.
    fn record_version(&self, version: Option<u64>) {
        self.shared.observed.send_modify(|observed| {
            if let (Some(observed), Some(version)) = (observed.as_mut(), version) {
                *observed = version.max(*observed);
            }
        });
    }
}

fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_deref()?.parse().ok()
}
