//! Handle of one component: runs its tasks and work items and catches their panics.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use probe::Clock;

use super::{Failure, Supervisor, backoff};

/// A registered component. Clones are the same component.
#[derive(Clone)]
pub struct Component {
    supervisor: Supervisor,
    name: String,
}

/// Error of work that panicked. The panic was logged and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked; it is retried after {retry_after:?}")]
pub struct Panicked {
    /// Delay after which the caller retries, in tokio's time.
    pub retry_after: Duration,
}

impl Component {
    pub(super) fn new(supervisor: Supervisor, name: String) -> Self {
        Self { supervisor, name }
    }

    /// Returns the node's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.supervisor.clock()
    }

    /// Runs a task of the component until it finishes or the node shuts down. After a panic the task runs again,
    /// with exponential back-off and the same `state`: what a restart must not lose belongs there, and what it has to
    /// build again belongs into `run`. `instance` tells tasks of one component apart; it is empty if there is only one.
    pub async fn run<S: Send>(
        &self,
        instance: &str,
        mut state: S,
        run: impl for<'a> Fn(&'a mut S) -> BoxFuture<'a, ()> + Send,
    ) {
        let shutdown = self.supervisor.shutdown().clone();
        let supervised = self.run_with_restarts(instance, &mut state, run);
        shutdown.run_until_cancelled(supervised).await;
        // A task that ends during its back-off is not restarted any more.
        self.resolve(instance);
    }

    async fn run_with_restarts<S: Send>(
        &self,
        instance: &str,
        state: &mut S,
        run: impl for<'a> Fn(&'a mut S) -> BoxFuture<'a, ()> + Send,
    ) {
        let clock = self.supervisor.clock();
        let mut panics = 0;
        loop {
            let started = clock.elapsed();
            let Err(panic) = AssertUnwindSafe(run(state)).catch_unwind().await else {
                return;
            };
            if clock.elapsed().saturating_sub(started) >= backoff::RESET_AFTER {
                panics = 0;
            }
            let delay = backoff::delay(panics);
            self.record_panic(instance, &*panic, delay);
            clock.sleep(delay).await;
            panics += 1;
            self.resolve(instance);
        }
    }

    /// Runs one work item. After a panic the component counts as failed until the same item runs without one: the
    /// caller retries it after the delay, and goes on with other items meanwhile.
    ///
    /// # Errors
    /// If the work panics.
    pub async fn run_item<T>(
        &self,
        item: &str,
        work: impl Future<Output = T> + Send,
    ) -> Result<T, Panicked> {
        let result = AssertUnwindSafe(work).catch_unwind().await;
        self.item_result(item, result)
    }

    /// Calls a function as one work item; see [`Self::run_item`].
    ///
    /// # Errors
    /// If the work panics.
    pub fn call_item<T>(&self, item: &str, work: impl FnOnce() -> T) -> Result<T, Panicked> {
        let result = std::panic::catch_unwind(AssertUnwindSafe(work));
        self.item_result(item, result)
    }

    fn item_result<T>(
        &self,
        item: &str,
        result: Result<T, Box<dyn Any + Send>>,
    ) -> Result<T, Panicked> {
        match result {
            Ok(value) => {
                self.resolve(item);
                Ok(value)
            }
            Err(panic) => {
                let delay = backoff::delay(self.consecutive_panics(item));
                self.record_panic(item, &*panic, delay);
                let retry_after = self.supervisor.clock().to_real(delay);
                Err(Panicked { retry_after })
            }
        }
    }

    fn consecutive_panics(&self, item: &str) -> u32 {
        let components = self.supervisor.components();
        let state = components.get(&self.name);
        let failure = state.and_then(|state| state.failures.get(item));
        failure.map_or(0, |failure| failure.panics)
    }

    /// Runs a short-lived task that needs no restart, such as a connection. A panic is logged and counted.
    pub async fn run_once(&self, work: impl Future<Output = ()> + Send) {
        if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
            self.count_panic(&*panic);
        }
    }

    /// Calls a function that handles one request; a panic is logged and counted.
    pub fn call_once<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let result = std::panic::catch_unwind(AssertUnwindSafe(work));
        result.inspect_err(|panic| self.count_panic(&**panic)).ok()
    }

    /// Logs and counts a panic that was caught elsewhere and after which nothing has to be restarted.
    pub fn count_panic(&self, panic: &(dyn Any + Send)) {
        let message = panic_message(panic);
        tracing::error!(component = self.name, panic = message, "component panicked");
        self.supervisor.shared.metrics.panics(&self.name).inc();
        self.supervisor
            .change(&self.name, |state| state.panics += 1);
    }

    fn record_panic(&self, instance: &str, panic: &(dyn Any + Send), delay: Duration) {
        let message = panic_message(panic);
        tracing::error!(
            component = self.name,
            instance,
            panic = message,
            ?delay,
            "component panicked; it restarts after the delay"
        );
        self.supervisor.shared.metrics.panics(&self.name).inc();
        let subject = if instance.is_empty() {
            String::new()
        } else {
            format!(" at {instance}")
        };
        let panics = 1 + self.consecutive_panics(instance);
        let message = format!("panicked{subject}: {message}");
        self.supervisor.change(&self.name, |state| {
            state.panics += 1;
            let failure = Failure { message, panics };
            state.failures.insert(instance.to_owned(), failure);
        });
    }

    /// Records that an instance or item runs again or was removed.
    pub fn resolve(&self, instance: &str) {
        let mut components = self.supervisor.components();
        let state = components.get_mut(&self.name);
        if state.is_none_or(|state| state.failures.remove(instance).is_none()) {
            return;
        }
        drop(components);
        self.supervisor.shared.metrics.restarts(&self.name).inc();
        self.supervisor.change(&self.name, |_| {});
    }

    /// Panics if a test has armed this component's failpoint; does nothing outside tests.
    #[cfg(not(any(test, feature = "failpoints")))]
    #[inline]
    pub fn failpoint(&self) {}

    /// Panics if a test has armed this component's failpoint.
    #[cfg(any(test, feature = "failpoints"))]
    pub fn failpoint(&self) {
        self.supervisor.shared.failpoints.hit(&self.name);
    }

    /// Panics if a test has armed the failpoint of this item; does nothing outside tests.
    #[cfg(not(any(test, feature = "failpoints")))]
    #[inline]
    pub fn item_failpoint(&self, _: &str) {}

    /// Panics if a test has armed the failpoint of this item.
    #[cfg(any(test, feature = "failpoints"))]
    pub fn item_failpoint(&self, item: &str) {
        let name = format!("{} {item}", self.name);
        self.supervisor.shared.failpoints.hit(&name);
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message")
}
