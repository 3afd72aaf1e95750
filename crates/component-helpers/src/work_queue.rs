//! Work queue of keys, as client-go's: a key is queued at most once, can be added after a delay, and backs off after an error.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use probe::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::supervisor::Component;

/// Back-off after the first failure. It doubles with each further one.
const INITIAL_BACKOFF: Duration = Duration::from_millis(5);
/// Maximum back-off.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Namespace and name of an object of a controller's kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace of the object; empty if it is cluster-scoped.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

impl Key {
    /// Creates a key. `namespace` is empty for cluster-scoped objects.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Returns the key of `object`.
    pub fn from_object<K: kube::Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Reconciliation of one object: brings its state closer to its specification.
#[async_trait]
pub trait Reconcile: Send + Sync {
    /// Error of a reconciliation, which is logged before the retry.
    type Error: fmt::Display + Send;

    /// Reconciles the object `key`. Returns the delay after which the key is queued again even without a change.
    ///
    /// # Errors
    /// Any error, after which the key is retried with back-off.
    async fn sync(&self, key: &Key) -> Result<Option<Duration>, Self::Error>;
}

#[derive(Debug, Default)]
struct QueueState {
    ready: VecDeque<Key>,
    /// The keys in `ready`.
    queued: BTreeSet<Key>,
    delayed: BTreeMap<Instant, Vec<Key>>,
    failures: HashMap<Key, u32>,
    /// Key that is being processed. After a panic outside of its reconciliation it is added again.
    active: Option<Key>,
}

/// Keys of the objects to reconcile. Clones share the queue, which has one worker.
#[derive(Clone, Debug, Default)]
pub struct WorkQueue {
    state: Arc<Mutex<QueueState>>,
    changed: Arc<Notify>,
}

impl WorkQueue {
    /// Adds `key` unless it is queued already.
    pub fn add(&self, key: Key) {
        self.lock().push(key);
        self.changed.notify_one();
    }

    /// Adds `key` after `wait` in tokio's time.
    pub fn add_after(&self, key: Key, wait: Duration) {
        self.lock()
            .delayed
            .entry(Instant::now() + wait)
            .or_default()
            .push(key);
        self.changed.notify_one();
    }

    /// Reconciles one key at a time until the future is dropped. A key whose reconciliation panics is retried after a delay; the
    /// others continue.
    pub async fn run_worker(
        &self,
        component: &Component,
        clock: &Clock,
        reconciler: &impl Reconcile,
    ) {
        let interrupted = self.lock().active.take();
        interrupted.into_iter().for_each(|key| self.add(key));
        loop {
            let key = self.next().await;
            self.lock().active = Some(key.clone());
            component.failpoint();
            let item = key.to_string();
            let sync = async {
                component.item_failpoint(&item);
                reconciler.sync(&key).await
            };
            let requeue_after = match component.run_item(&item, sync).await {
                Ok(Ok(requeue_after)) => {
                    self.lock().failures.remove(&key);
                    requeue_after.map(|wait| clock.to_real(wait))
                }
                Ok(Err(error)) => {
                    tracing::debug!(%component, %key, %error, "sync failed; retrying");
                    Some(clock.to_real(self.next_backoff(&key)))
                }
                Err(panicked) => Some(panicked.retry_after),
            };
            self.lock().active = None;
            if let Some(wait) = requeue_after {
                self.add_after(key, wait);
            }
        }
    }

    /// Waits for the next key and removes it from the queue.
    pub async fn next(&self) -> Key {
        loop {
            let next_delayed = {
                let mut state = self.lock();
                state.promote_delayed(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.queued.remove(&key);
                    return key;
                }
                state.delayed.keys().next().copied()
            };
            match next_delayed {
                Some(deadline) => {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(deadline) => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Counts a failure of `key` and returns its back-off.
    fn next_backoff(&self, key: &Key) -> Duration {
        let mut state = self.lock();
        let failures = state.failures.entry(key.clone()).or_default();
        let delay = backoff(*failures);
        *failures += 1;
        delay
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state
            .lock()
            .expect("no holder of the queue's lock panics")
    }
}

impl QueueState {
    fn push(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// Moves the delayed keys whose delay has passed to the end of the queue.
    fn promote_delayed(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry() {
            if *entry.key() > now {
                break;
            }
            for key in entry.remove() {
                self.push(key);
            }
        }
    }
}

/// Returns the delay after `failures` earlier failures.
fn backoff(failures: u32) -> Duration {
    INITIAL_BACKOFF
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    #[test]
    fn backoff_doubles_from_five_milliseconds_to_thirty_seconds() {
        let waits: Vec<_> = [0, 1, 2, 12, 13, 99]
            .into_iter()
            .map(|n| backoff(n).as_millis())
            .collect();
        assert_eq!(waits, [5, 10, 20, 20_480, 30_000, 30_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn key_is_queued_at_most_once() {
        let queue = WorkQueue::default();
        for name in ["a", "b", "a"] {
            queue.add(key(name));
        }
        assert_eq!(queue.next().await, key("a"));
        queue.add(key("a"));
        assert_eq!(queue.next().await, key("b"));
        assert_eq!(
            queue.next().await,
            key("a"),
            "added again while it was processed"
        );
        assert!(queue.lock().ready.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn delayed_keys_are_returned_after_their_delay() {
        let queue = WorkQueue::default();
        let start = Instant::now();
        queue.add_after(key("late"), Duration::from_secs(9));
        queue.add_after(key("soon"), Duration::from_secs(3));
        assert_eq!(queue.next().await, key("soon"));
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!(queue.next().await, key("late"));
        assert_eq!(start.elapsed().as_secs(), 9);
    }
}
