//! State of the database: a periodic check prepares the store and records whether requests can use it.
//!
//! Requests never wait for a database that is known to be unavailable: they fail immediately, and the check continues.

use std::sync::Arc;
use std::time::Duration;

use http_service::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use rand::RngExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::store::{Access, Store, StoreError};

mod backoff;
#[cfg(test)]
mod tests;

use backoff::Backoff;

/// Interval between checks of an available database.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// State of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The first check has not completed.
    Unknown,
    /// The database is available, with this access.
    Up(Access),
    /// The database is unavailable, for this reason.
    Down(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    operation: &'static str,
    outcome: &'static str,
}

/// A store and the state of its database.
pub struct Database {
    store: Arc<dyn Store>,
    state: watch::Sender<State>,
    /// `true` after the first successful check.
    answered: watch::Sender<bool>,
    /// Notified by a request that failed: starts a check.
    check: Notify,
    /// Maximum time for a call of the store.
    request_timeout: Duration,
    /// Maximum access that the settings allow.
    allowed: Access,
    queries: Family<Labels, Counter>,
    created: Counter,
    open: Gauge,
    idle: Gauge,
    up: Gauge,
}

impl Database {
    /// Returns the database of a store, which has not been called yet.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        metrics: &Metrics,
        access: Access,
        request_timeout: Duration,
    ) -> Self {
        let database = Self {
            store,
            state: watch::Sender::new(State::Unknown),
            answered: watch::Sender::new(false),
            check: Notify::new(),
            request_timeout,
            allowed: access,
            queries: Family::default(),
            created: Counter::default(),
            open: Gauge::default(),
            idle: Gauge::default(),
            up: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "todo_queries",
                "Total number of calls to the database",
                database.queries.clone(),
            );
            registry.register(
                "todo_items_created",
                "Total number of items added",
                database.created.clone(),
            );
            registry.register(
                "todo_database_connections",
                "Number of open connections to the database",
                database.open.clone(),
            );
            registry.register(
                "todo_database_connections_idle",
                "Number of open connections that are not in use",
                database.idle.clone(),
            );
            registry.register(
                "todo_database_up",
                "1 if the database is available",
                database.up.clone(),
            );
        });
        database
    }

    /// Returns the current state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits for a state.
    pub async fn wait_for(&self, wanted: impl FnMut(&State) -> bool) {
        // The channel stays open: `self` owns the sender.
        let _ = self.state.subscribe().wait_for(wanted).await;
    }

    /// Returns `true` if a check has ever succeeded.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        *self.answered.borrow()
    }

    /// Returns the access of requests. An unavailable database is assumed to be writable.
    #[must_use]
    pub fn access(&self) -> Access {
        match *self.state.borrow() {
            _ if self.allowed == Access::ReadOnly => Access::ReadOnly,
            State::Up(access) => access,
            State::Unknown | State::Down(_) => Access::ReadWrite,
        }
    }

    /// Checks the database periodically until the shutdown.
    pub async fn run_health_check(self: Arc<Self>, shutdown: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let next = match self.store.prepare().await {
                Ok(access) => {
                    backoff = Backoff::default();
                    self.set_state(State::Up(access));
                    CHECK_INTERVAL
                }
                // A busy database is available, and other requests may succeed.
                Err(StoreError::Busy(_)) if matches!(self.state(), State::Up(_)) => CHECK_INTERVAL,
                Err(error) => {
                    self.set_state(State::Down(error.to_string()));
                    backoff.next(rand::rng().random())
                }
            };
            tokio::select! {
                () = sleep(next) => {}
                () = self.check.notified() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    pub(crate) fn set_state(&self, state: State) {
        let connections = self.store.connections();
        self.open
            .set(i64::try_from(connections.open).unwrap_or(i64::MAX));
        self.idle
            .set(i64::try_from(connections.idle).unwrap_or(i64::MAX));
        self.up.set(i64::from(matches!(state, State::Up(_))));
        if matches!(state, State::Up(_)) {
            self.answered.send_replace(true);
        }
        let changed = self.state.send_if_modified(|old| {
            let changed = *old != state;
            *old = state.clone();
            changed
        });
        match state {
            State::Up(access) if changed => tracing::info!(?access, "the database is available"),
            State::Down(error) if changed => tracing::warn!(%error, "the database is unavailable"),
            _ => {}
        }
    }

    /// Calls the store to read items.
    ///
    /// # Errors
    /// The store's errors; immediately while the database is unavailable.
    pub async fn read<'a, T, F>(
        &'a self,
        operation: &'static str,
        call: impl FnOnce(&'a dyn Store) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + 'a,
    {
        match self.call(operation, call).await {
            // Nothing was to be changed.
            Err(StoreError::Uncertain(error)) => Err(StoreError::Unavailable(error)),
            result => result,
        }
    }

    async fn call<'a, T, F>(
        &'a self,
        operation: &'static str,
        call: impl FnOnce(&'a dyn Store) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + 'a,
    {
        let deadline = Instant::now() + self.request_timeout;
        // Before the first check the schema may be incomplete.
        let checked = self.wait_for(|state| *state != State::Unknown);
        if timeout_at(deadline, checked).await.is_err() {
            self.count_call(operation, "rejected");
            return Err(StoreError::Unavailable("not checked yet".to_owned()));
        }
        if let State::Down(error) = self.state() {
            self.count_call(operation, "rejected");
            return Err(StoreError::Unavailable(error));
        }
        let result = timeout_at(deadline, call(&*self.store))
            .await
            .unwrap_or_else(|_| Err(StoreError::Uncertain("the request timed out".to_owned())));
        self.count_call(operation, if result.is_ok() { "ok" } else { "failed" });
        if let Err(StoreError::Unavailable(error) | StoreError::Uncertain(error)) = &result {
            // The next requests fail without this wait.
            self.set_state(State::Down(error.clone()));
            self.check.notify_one();
        }
        result
    }

    /// Calls the store to change items.
    ///
    /// # Errors
    /// As [`Self::read`]; [`StoreError::ReadOnly`] while the database is read-only.
    pub async fn write<'a, T, F>(
        &'a self,
        operation: &'static str,
        call: impl FnOnce(&'a dyn Store) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + 'a,
    {
        if self.access() == Access::ReadOnly {
            self.count_call(operation, "rejected");
            return Err(StoreError::ReadOnly);
        }
        let result = self.call(operation, call).await;
        if matches!(result, Err(StoreError::ReadOnly)) {
            self.set_state(State::Up(Access::ReadOnly));
        }
        result
    }

    /// Counts an item that was added.
    pub fn count_created(&self) {
        self.created.inc();
    }

    fn count_call(&self, operation: &'static str, outcome: &'static str) {
        self.queries
            .get_or_create(&Labels { operation, outcome })
            .inc();
    }
}
