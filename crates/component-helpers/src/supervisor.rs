//! Runs the node's components, restarts them after a panic, and reports their health.
//!
//! A component is a controller, an informer, the kubelet, the pod workers, the proxy or a server. A panic in one is
//! caught, logged, counted and visible in `/readyz`, in an event and in the node's condition `ComponentsHealthy`; the
//! others continue. Back-off runs on the node's clock.

mod backoff;
mod component;
#[cfg(any(test, feature = "failpoints"))]
mod failpoint;
mod metrics;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use probe::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use component::{Component, Panicked};
pub use report::{HEALTHY_CONDITION, Reporter, healthy_condition};

/// Registers components and tracks their health. Clones share the state.
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    shutdown: CancellationToken,
    components: Mutex<BTreeMap<String, State>>,
    metrics: metrics::Metrics,
    /// Number of changes of any component's state.
    changes: watch::Sender<u64>,
    #[cfg(any(test, feature = "failpoints"))]
    failpoints: failpoint::Failpoints,
}

/// State of one component.
#[derive(Clone, Debug, Default)]
struct State {
    /// Failures by the instance or work item that panicked, until it has run without a panic.
    failures: BTreeMap<String, Failure>,
    panics: u64,
}

#[derive(Clone, Debug)]
struct Failure {
    message: String,
    /// Number of consecutive panics.
    panics: u32,
}

/// Health of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentHealth {
    /// Name of the component.
    pub name: String,
    /// Message of a panic after which the component, or one of its work items, has not run again yet.
    pub failure: Option<String>,
    /// Number of panics since the node started.
    pub panics: u64,
}

impl Supervisor {
    /// Creates a supervisor without components, which run until `shutdown`.
    #[must_use]
    pub fn new(clock: Clock, shutdown: CancellationToken) -> Self {
        let shared = Shared {
            clock,
            shutdown,
            components: Mutex::default(),
            metrics: metrics::Metrics::default(),
            changes: watch::Sender::new(0),
            #[cfg(any(test, feature = "failpoints"))]
            failpoints: failpoint::Failpoints::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Registers the component `name` unless it is registered, and returns its handle.
    #[must_use]
    pub fn component(&self, name: impl Into<String>) -> Component {
        let name = name.into();
        self.shared.metrics.register(&name);
        self.components().entry(name.clone()).or_default();
        Component::new(self.clone(), name)
    }

    /// Returns the health of every component, ordered by name.
    #[must_use]
    pub fn health(&self) -> Vec<ComponentHealth> {
        let components = self.components();
        let health = components.iter().map(|(name, state)| ComponentHealth {
            name: name.clone(),
            failure: state
                .failures
                .values()
                .next()
                .map(|one| one.message.clone()),
            panics: state.panics,
        });
        health.collect()
    }

    /// Returns the metrics in the OpenMetrics text format.
    #[must_use]
    pub fn encode_metrics(&self) -> String {
        self.shared.metrics.encode()
    }

    /// Returns the token that stops all components.
    #[must_use]
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shared.shutdown
    }

    /// Returns the clock of the restarts' back-off.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Subscribes to the number of state changes.
    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Ignores poisoning: no component panics while it holds the lock.
    fn components(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        let locked = self.shared.components.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.components().get_mut(name) {
            change(state);
        }
        self.shared.changes.send_modify(|changes| *changes += 1);
    }
}
