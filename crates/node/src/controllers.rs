//! The controllers: each watches what it needs through the API and brings the objects closer to what they ask for.
//!
//! None calls another, and none knows the store. They share the informers, so one watch a kind serves them all.

mod deployment;
mod disruption;
mod endpoints;
mod gc;
mod informer;
mod informers;
mod meta;
mod namespace;
mod pods;
mod queue;
mod replicaset;
mod scheduler;
mod service;

use std::sync::Arc;

use futures::FutureExt as _;
use kube::Client;
use probe::Clock;
use tokio::task::JoinSet;

use crate::events::Recorder;
use crate::runtime::LoadBalancer;
use crate::supervisor::{Component, Supervisor};
use informers::Informers;
use queue::{Queue, Reconcile};

/// Why one piece of a controller's work failed; it is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The API refused, or did not answer.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// Pods could not be made or deleted.
    #[error("{0}")]
    Replicas(String),
    /// The load balancer refused.
    #[error("failed to ensure load balancer: {0}")]
    LoadBalancer(String),
    /// What must go first is still there.
    #[error("{0} still has objects")]
    Remaining(String),
}

/// What every controller is given.
#[derive(Clone)]
struct Context {
    client: Client,
    clock: Clock,
    informers: Arc<Informers>,
    supervisor: Supervisor,
}

impl Context {
    fn recorder(&self, component: &str) -> Recorder {
        Recorder::new(self.client.clone(), &self.supervisor, component, None)
    }
}

/// Runs every controller until the node shuts down. Pods are bound to `node_name`; services of type LoadBalancer are
/// exposed by `load_balancer`.
pub async fn run(
    client: Client,
    supervisor: Supervisor,
    load_balancer: Arc<dyn LoadBalancer>,
    node_name: String,
) {
    let context = Context {
        client,
        clock: supervisor.clock().clone(),
        informers: Arc::default(),
        supervisor: supervisor.clone(),
    };
    let mut tasks = JoinSet::new();
    let mut controllers = Controllers {
        context: &context,
        tasks: &mut tasks,
    };
    controllers.start("deployment-controller", deployment::controller);
    controllers.start("replicaset-controller", replicaset::of_replica_sets);
    controllers.start(
        "replicationcontroller-controller",
        replicaset::of_replication_controllers,
    );
    controllers.start("disruption-controller", disruption::controller);
    controllers.start("endpoints-controller", endpoints::controller);
    controllers.start("endpointslice-controller", endpoints::slices::controller);
    controllers.start("kube-scheduler", |context| {
        scheduler::controller(context, node_name)
    });
    controllers.start("service-lb-controller", |context| {
        service::controller(context, load_balancer)
    });
    controllers.start("namespace-controller", namespace::controller);
    controllers.start("garbage-collector-controller", gc::controller);
    // All handlers are registered by now, so none misses the first list.
    context
        .informers
        .start(&context.client, &supervisor, &mut tasks);
    supervisor.shutdown().cancelled().await;
    tasks.shutdown().await;
}

/// Starts controllers under the names that they have in kube-controller-manager.
struct Controllers<'a> {
    context: &'a Context,
    tasks: &'a mut JoinSet<()>,
}

impl Controllers<'_> {
    fn start<R: Reconcile + 'static>(
        &mut self,
        name: &str,
        controller: impl FnOnce(&Context) -> (Queue, R),
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
    queue: Queue,
    reconciler: R,
    is_restart: bool,
}

impl<R: Reconcile> Worker<R> {
    async fn run(&mut self) {
        if std::mem::replace(&mut self.is_restart, true) {
            // All objects are looked at again, whatever the panic left in the queue.
            self.context.informers.redeliver_all();
        }
        self.context.informers.synced().await;
        let clock = &self.context.clock;
        self.queue
            .work(&self.component, clock, &self.reconciler)
            .await;
    }
}
