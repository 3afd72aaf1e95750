//! Runs controllers on shared informers, each with a work queue of its own.

use std::sync::Arc;

use futures::FutureExt as _;
use kube::Client;
use probe::Clock;
use tokio::task::JoinSet;

use crate::events::Recorder;
use crate::informers::Informers;
use crate::supervisor::{Component, Supervisor};
use crate::work_queue::{Reconcile, WorkQueue};

/// Shared state of all controllers.
#[derive(Clone)]
pub struct Context {
    /// Client of the API.
    pub client: Client,
    /// Clock of the node.
    pub clock: Clock,
    /// Caches of the objects. One watch for each kind serves all controllers.
    pub informers: Arc<Informers>,
    supervisor: Supervisor,
}

impl Context {
    /// Creates the context of controllers that `supervisor` runs.
    #[must_use]
    pub fn new(client: Client, supervisor: &Supervisor) -> Self {
        Self {
            client,
            clock: supervisor.clock().clone(),
            informers: Arc::default(),
            supervisor: supervisor.clone(),
        }
    }

    /// Creates a recorder of the component's events.
    #[must_use]
    pub fn recorder(&self, component: &str) -> Recorder {
        Recorder::new(self.client.clone(), &self.supervisor, component, None)
    }

    /// Starts the informers. Handlers that are registered later miss the first list.
    pub fn start_informers(&self, tasks: &mut JoinSet<()>) {
        self.informers.start(&self.client, &self.supervisor, tasks);
    }
}

/// Starts controllers under the names that they have in kube-controller-manager.
pub struct Controllers<'a> {
    /// Passed to each controller.
    pub context: &'a Context,
    /// Set to which the controllers' tasks are added.
    pub tasks: &'a mut JoinSet<()>,
}

impl Controllers<'_> {
    /// Registers a controller's handlers and starts its worker, which waits for the informers' first lists.
    pub fn start<R: Reconcile + 'static>(
        &mut self,
        name: &str,
        controller: impl FnOnce(&Context) -> (WorkQueue, R),
    ) {
        let (queue, reconciler) = controller(self.context);
        let component = self.context.supervisor.component(name);
        let worker = Worker {
            component: component.clone(),
            context: self.context.clone(),
            queue,
            reconciler,
            is_restart: false,
        };
        self.tasks.spawn(async move {
            component
                .run("", worker, |worker| worker.run().boxed())
                .await;
        });
    }
}

/// One controller's task.
struct Worker<R> {
    component: Component,
    context: Context,
    queue: WorkQueue,
    reconciler: R,
    is_restart: bool,
}

impl<R: Reconcile> Worker<R> {
    async fn run(&mut self) {
        if std::mem::replace(&mut self.is_restart, true) {
            // A panic may have lost keys of the queue, so all objects are reconciled again.
            self.context.informers.redeliver_all();
        }
        self.context.informers.wait_for_sync().await;
        let clock = &self.context.clock;
        self.queue
            .run_worker(&self.component, clock, &self.reconciler)
            .await;
    }
}
