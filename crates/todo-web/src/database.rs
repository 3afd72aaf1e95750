//! The watch over the store: it waits for the database, prepares it, and knows at any time whether it can be used.
//!
//! Requests never wait for a database that is known to be away: they are told at once, and this goes on asking.

use std::sync::Arc;
use std::time::Duration;

use http_service::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use rand::RngExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::store::{Access, Store, StoreError};

mod backoff;
#[cfg(test)]
mod tests;

use backoff::Backoff;

/// How often a database that answers is asked again.
const PERIOD: Duration = Duration::from_secs(5);

/// What is known about the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not answered yet.
    Unknown,
    /// It can be used.
    Up(Access),
    /// It cannot, and this is why.
    Down(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    operation: &'static str,
    outcome: &'static str,
}

/// A store and what is known about it.
pub struct Database {
    store: Arc<dyn Store>,
    state: watch::Sender<State>,
    /// Whether it has ever answered.
    answered: watch::Sender<bool>,
    /// Somebody has met a failure that the watch should look at.
    look: Notify,
    forced_read_only: bool,
    queries: Family<Labels, Counter>,
    created: Counter,
    open: Gauge,
    idle: Gauge,
    up: Gauge,
}

impl Database {
    /// A store that nobody has asked anything yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: &Metrics, forced_read_only: bool) -> Self {
        let database = Self {
            store,
            state: watch::Sender::new(State::Unknown),
            answered: watch::Sender::new(false),
            look: Notify::new(),
            forced_read_only,
            queries: Family::default(),
            created: Counter::default(),
            open: Gauge::default(),
            idle: Gauge::default(),
            up: Gauge::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "todo_queries",
                "Calls to the database",
                database.queries.clone(),
            );
            registry.register(
                "todo_items_created",
                "Items added",
                database.created.clone(),
            );
            registry.register(
                "todo_database_connections",
                "Open connections to the database",
                database.open.clone(),
            );
            registry.register(
                "todo_database_connections_idle",
                "Connections that nobody uses",
                database.idle.clone(),
            );
            registry.register(
                "todo_database_up",
                "Whether the database answers",
                database.up.clone(),
            );
        });
        database
    }

    /// What is known now.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until something else is known.
    pub async fn until(&self, wanted: impl FnMut(&State) -> bool) {
        // The sender lives in `self`, so the wait can only end with the state.
        let _ = self.state.subscribe().wait_for(wanted).await;
    }

    /// Whether the database has ever answered.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        *self.answered.borrow()
    }

    /// Whether items may be changed, as far as is known.
    #[must_use]
    pub fn access(&self) -> Access {
        match *self.state.borrow() {
            _ if self.forced_read_only => Access::ReadOnly,
            State::Up(access) => access,
            State::Unknown | State::Down(_) => Access::ReadWrite,
        }
    }

    /// Asks the database until `ended`.
    pub async fn watch(self: Arc<Self>, ended: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let next = match self.store.prepare().await {
                Ok(access) => {
                    backoff = Backoff::default();
                    self.now(State::Up(access));
                    PERIOD
                }
                // It is there and serves others.
                Err(StoreError::Busy(_)) if matches!(self.state(), State::Up(_)) => PERIOD,
                Err(error) => {
                    self.now(State::Down(error.to_string()));
                    backoff.next(rand::rng().random())
                }
            };
            tokio::select! {
                () = sleep(next) => {}
                () = self.look.notified() => {}
                () = ended.cancelled() => return,
            }
        }
    }

    fn now(&self, state: State) {
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
            State::Up(access) if changed => tracing::info!(?access, "the database answers"),
            State::Down(error) if changed => tracing::warn!(%error, "the database cannot be used"),
            _ => {}
        }
    }

    /// Calls the store to look at items.
    ///
    /// # Errors
    /// The store's own, or at once while the database is known to be away.
    pub async fn read<'a, T, F>(
        &'a self,
        operation: &'static str,
        call: impl FnOnce(&'a dyn Store) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + 'a,
    {
        if let State::Down(error) = self.state() {
            self.count(operation, "refused");
            return Err(StoreError::Unavailable(error));
        }
        let result = call(&*self.store).await;
        self.count(operation, if result.is_ok() { "ok" } else { "failed" });
        if let Err(StoreError::Unavailable(error)) = &result {
            // The next request is not to wait as long as this one did.
            self.now(State::Down(error.clone()));
            self.look.notify_one();
        }
        if matches!(&result, Err(StoreError::Stale(_))) {
            self.look.notify_one();
        }
        result
    }

    /// Calls the store to change items.
    ///
    /// # Errors
    /// As [`Self::read`], and while nothing may be changed.
    pub async fn write<'a, T, F>(
        &'a self,
        operation: &'static str,
        call: impl FnOnce(&'a dyn Store) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + 'a,
    {
        if self.access() == Access::ReadOnly {
            self.count(operation, "refused");
            return Err(StoreError::ReadOnly);
        }
        let result = self.read(operation, call).await;
        if matches!(result, Err(StoreError::ReadOnly)) {
            self.now(State::Up(Access::ReadOnly));
        }
        result
    }

    /// Counts an item that was added.
    pub fn created(&self) {
        self.created.inc();
    }

    fn count(&self, operation: &'static str, outcome: &'static str) {
        self.queries
            .get_or_create(&Labels { operation, outcome })
            .inc();
    }
}
