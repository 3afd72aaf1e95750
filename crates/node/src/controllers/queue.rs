//! A keyed work queue: a key waits at most once, may be added for later, and backs off while its work fails.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use probe::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Error;
use crate::supervisor::Component;

/// The first wait after a failure; it doubles with each further one …
const RETRY_FIRST: Duration = Duration::from_millis(5);
/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Names an object of the kind a controller works on; cluster-scoped ones have no namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(super) fn of<K: kube::Resource>(object: &K) -> Self {
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

/// One controller's work: bring what `key` names closer to what its specification says.
#[async_trait]
pub(super) trait Reconcile: Send + Sync {
    /// Does it once. A duration asks to be called again then, though nothing has changed.
    async fn sync(&self, key: &Key) -> Result<Option<Duration>, Error>;
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Key>,
    waiting: BTreeSet<Key>,
    later: BTreeMap<Instant, Vec<Key>>,
    failures: HashMap<Key, u32>,
    /// The key that is worked on. After a panic outside of its work it is added again.
    active: Option<Key>,
}

/// Keys whose objects need work. Clones are the same queue; one worker takes from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Queue {
    pub(super) fn add(&self, key: Key) {
        self.lock().push(key);
        self.changed.notify_one();
    }

    /// Adds `key` after `wait` of tokio's time.
    pub(super) fn add_after(&self, key: Key, wait: Duration) {
        self.lock()
            .later
            .entry(Instant::now() + wait)
            .or_default()
            .push(key);
        self.changed.notify_one();
    }

    /// Works until it is dropped, one key at a time. A key whose work panics waits, and the others go on.
    pub(super) async fn work(
        &self,
        component: &Component,
        clock: &Clock,
        reconciler: &dyn Reconcile,
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
                    Some(clock.to_real(self.failed(&key)))
                }
                Err(panicked) => Some(panicked.retry_after),
            };
            self.lock().active = None;
            if let Some(wait) = requeue_after {
                self.add_after(key, wait);
            }
        }
    }

    pub(super) async fn next(&self) -> Key {
        loop {
            let due = {
                let mut state = self.lock();
                state.promote(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.waiting.remove(&key);
                    return key;
                }
                state.later.keys().next().copied()
            };
            match due {
                Some(due) => {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    fn failed(&self, key: &Key) -> Duration {
        let mut state = self.lock();
        let failures = state.failures.entry(key.clone()).or_default();
        let wait = back_off(*failures);
        *failures += 1;
        wait
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no holder of the queue's lock panics")
    }
}

impl State {
    fn push(&mut self, key: Key) {
        if self.waiting.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn promote(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry() {
            if *entry.key() > now {
                break;
            }
            for key in entry.remove() {
                self.push(key);
            }
        }
    }
}

fn back_off(failures: u32) -> Duration {
    RETRY_FIRST
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    #[test]
    fn waits_double_from_five_milliseconds_to_half_a_minute() {
        let waits: Vec<_> = [0, 1, 2, 12, 13, 99]
            .into_iter()
            .map(|n| back_off(n).as_millis())
            .collect();
        assert_eq!(waits, [5, 10, 20, 20_480, 30_000, 30_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_waits_only_once() {
        let queue = Queue::default();
        for name in ["a", "b", "a"] {
            queue.add(key(name));
        }
        assert_eq!(queue.next().await, key("a"));
        queue.add(key("a"));
        assert_eq!(queue.next().await, key("b"));
        assert_eq!(
            queue.next().await,
            key("a"),
            "added again while it was worked on"
        );
        assert!(queue.lock().ready.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_for_later_comes_when_it_is_due() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.add_after(key("late"), Duration::from_secs(9));
        queue.add_after(key("soon"), Duration::from_secs(3));
        assert_eq!(queue.next().await, key("soon"));
        assert_eq!(start.elapsed().as_secs(), 3);
        assert_eq!(queue.next().await, key("late"));
        assert_eq!(start.elapsed().as_secs(), 9);
    }
}
