//! State of the watched applications, from watches. Assertions are judged by it, not by the output of commands.

mod handlers;

use std::collections::{BTreeMap, BTreeSet};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::handlers::{on_deployment, on_endpoints, on_pod, on_service, on_service_event};
use super::outage::MeasuredOutage;
use super::step::Wait;
use super::{Exercise, selector};

/// Latest observed state of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodState {
    pub(crate) name: String,
    pub(crate) ip: Option<String>,
    /// Total restarts of its containers.
    pub(crate) restarts: i32,
    /// `true` if the pod is ready and not terminating.
    pub(crate) ready: bool,
    /// Reason of its first waiting container.
    pub(crate) waiting_reason: Option<String>,
    /// Message of its first waiting container.
    pub(crate) waiting_message: Option<String>,
}

/// All observations of an exercise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observations {
    /// State by the name of the application.
    apps: BTreeMap<String, AppState>,
    /// Texts that pages contained since the checkpoint.
    pub(crate) page_texts: BTreeSet<String>,
    /// Results of the `load` steps.
    pub(crate) load: LoadResults,
    /// Measured outages, oldest first.
    pub(crate) outages: Vec<MeasuredOutage>,
}

/// Results of the requests of all `load` steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadResults {
    /// Number of requests.
    pub(crate) requests: usize,
    /// Descriptions of the failed requests.
    pub(crate) failures: Vec<String>,
}

/// Observed state of one application.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppState {
    /// Current pods by UID.
    pub(crate) pods: BTreeMap<String, PodState>,
    /// Pods of a list that is not complete yet, by UID.
    pub(crate) incomplete_list: BTreeMap<String, PodState>,
    /// Pods at the checkpoint by UID.
    pub(crate) checkpoint_pods: BTreeMap<String, PodState>,
    /// Number of the service's addresses at the checkpoint, and after each change since.
    pub(crate) endpoints: Vec<usize>,
    /// Words found by `logs` steps, by the name of the pod.
    pub(crate) logged: BTreeMap<String, String>,
    /// Host and port of the service's load balancer.
    pub(crate) address: Option<String>,
    /// Node port of the service.
    pub(crate) node_port: Option<u16>,
    /// `Some(true)` if the rollout is complete; `None` without a deployment.
    pub(crate) rolled_out: Option<bool>,
    /// Message of the service's latest load balancer event if that is a failure.
    pub(crate) load_balancer_failure: Option<String>,
}

impl Observations {
    /// State of an application; an empty state if nothing was observed.
    pub(crate) fn app(&self, name: &str) -> &AppState {
        const EMPTY: &AppState = &AppState {
            pods: BTreeMap::new(),
            incomplete_list: BTreeMap::new(),
            checkpoint_pods: BTreeMap::new(),
            endpoints: Vec::new(),
            logged: BTreeMap::new(),
            address: None,
            node_port: None,
            rolled_out: None,
            load_balancer_failure: None,
        };
        self.apps.get(name).unwrap_or(EMPTY)
    }

    /// Pods of all applications, by UID.
    pub(crate) fn pods(&self) -> impl Iterator<Item = (&String, &PodState)> {
        self.apps.values().flat_map(|app| &app.pods)
    }

    /// Returns an application whose service has no address, and the reason.
    pub(crate) fn load_balancer_failure(&self) -> Option<(String, String)> {
        self.apps.iter().find_map(|(name, app)| {
            let failure = app.load_balancer_failure.clone()?;
            app.address.is_none().then(|| (name.clone(), failure))
        })
    }

    /// Returns the messages of waiting pods, for the error of a wait that timed out.
    pub(crate) fn waiting_messages(&self) -> String {
        let messages = self.pods().filter_map(|(_, pod)| {
            let message = pod.waiting_message.as_ref()?;
            Some(format!("; pod {} waits: {message}", pod.name))
        });
        messages.collect()
    }

    pub(crate) fn app_mut(&mut self, name: &str) -> &mut AppState {
        self.apps.entry(name.to_owned()).or_default()
    }

    /// Starts a new period of observation for the assertions.
    pub(crate) fn set_checkpoint(&mut self) {
        self.apps.values_mut().for_each(AppState::set_checkpoint);
        self.page_texts.clear();
    }
}

impl AppState {
    /// Starts a new period of observation for the assertions.
    pub(crate) fn set_checkpoint(&mut self) {
        self.checkpoint_pods = self.pods.clone();
        self.endpoints = self.endpoints.last().copied().into_iter().collect();
    }

    /// Returns `true` if all conditions of `wait` hold now.
    pub(crate) fn satisfies(&self, wait: &Wait) -> bool {
        let ready = self.pods.values().filter(|pod| pod.ready).count();
        wait.ready
            .is_none_or(|n| ready == n && self.pods.len() == n)
            && wait
                .endpoints
                .is_none_or(|n| self.endpoints.last() == Some(&n))
            && wait.restarts.is_none_or(|n| self.restarts() == n)
            && (!wait.each_restarted || self.is_each_restarted())
            && wait
                .waiting
                .as_ref()
                .is_none_or(|expected| self.waiting_reasons().any(|reason| reason == expected))
            && (!wait.rolled_out || self.rolled_out == Some(true))
    }

    /// Total restarts of all pods.
    pub(crate) fn restarts(&self) -> i32 {
        self.pods.values().map(|pod| pod.restarts).sum()
    }

    /// Returns `true` if every pod is ready.
    pub(crate) fn is_each_ready(&self) -> bool {
        self.pods.values().all(|pod| pod.ready)
    }

    /// Restarts of a pod at the checkpoint; 0 for a newer pod.
    pub(crate) fn restarts_at_checkpoint(&self, uid: &str) -> i32 {
        self.checkpoint_pods.get(uid).map_or(0, |pod| pod.restarts)
    }

    /// Returns `true` if every pod was restarted since the checkpoint; `false` without a pod.
    pub(crate) fn is_each_restarted(&self) -> bool {
        let is_restarted =
            |(uid, pod): (&String, &PodState)| pod.restarts > self.restarts_at_checkpoint(uid);
        !self.pods.is_empty() && self.pods.iter().all(is_restarted)
    }

    /// Reasons of waiting containers, one for each pod with such a container.
    pub(crate) fn waiting_reasons(&self) -> impl Iterator<Item = &String> {
        self.pods
            .values()
            .filter_map(|pod| pod.waiting_reason.as_ref())
    }

    /// Name of a ready pod, or of another one if none is ready.
    pub(crate) fn preferably_ready_pod(&self) -> Option<&str> {
        let ready = self.pods.values().find(|pod| pod.ready);
        let pod = ready.or_else(|| self.pods.values().next());
        pod.map(|pod| pod.name.as_str())
    }

    fn record_endpoints(&mut self, endpoints: Option<&Endpoints>) {
        let subsets = endpoints
            .and_then(|endpoints| endpoints.subsets.as_ref())
            .into_iter()
            .flatten();
        let count = subsets
            .map(|subset| subset.addresses.as_ref().map_or(0, Vec::len))
            .sum();
        if self.endpoints.last() != Some(&count) {
            self.endpoints.push(count);
        }
    }
}

fn pod_state(pod: &Pod) -> PodState {
    let status = pod.status.as_ref();
    let containers = || {
        let all = status.and_then(|status| status.container_statuses.as_ref());
        all.into_iter().flatten()
    };
    let waiting = containers().find_map(|container| container.state.as_ref()?.waiting.as_ref());
    PodState {
        name: pod.name_any(),
        ip: status.and_then(|status| status.pod_ip.clone()),
        restarts: containers().map(|container| container.restart_count).sum(),
        ready: pod.metadata.deletion_timestamp.is_none() && has_ready_condition(pod),
        waiting_reason: waiting.and_then(|waiting| waiting.reason.clone()),
        waiting_message: waiting.and_then(|waiting| waiting.message.clone()),
    }
}

/// Returns `true` if the pod's condition `Ready` is true.
pub(crate) fn has_ready_condition(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn load_balancer_address(service: &Service) -> Option<String> {
    let ingress = service
        .status
        .as_ref()?
        .load_balancer
        .as_ref()?
        .ingress
        .as_ref()?
        .first()?;
    let host = ingress.ip.as_deref().or(ingress.hostname.as_deref())?;
    let port = service.spec.as_ref()?.ports.as_ref()?.first()?.port;
    Some(format!("{host}:{port}"))
}

fn node_port(service: &Service) -> Option<u16> {
    let port = service.spec.as_ref()?.ports.as_ref()?.first()?.node_port?;
    u16::try_from(port).ok()
}

/// Returns `true` if the rollout is complete, as `kubectl rollout status` decides it.
fn is_rolled_out(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else {
        return false;
    };
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let replicas = replicas.unwrap_or(1);
    let counts = [
        status.updated_replicas,
        status.replicas,
        status.available_replicas,
    ];
    status.observed_generation >= deployment.metadata.generation
        && counts.map(Option::unwrap_or_default) == [replicas; 3]
}

/// Watches an exercise's applications until it is dropped.
pub(crate) struct Observer {
    observations: watch::Sender<Observations>,
    _watches: JoinSet<()>,
}

impl Observer {
    /// Starts the watches.
    pub(crate) fn start(client: &Client, namespace: &str, exercise: &Exercise) -> Self {
        let (observations, _) = watch::channel(Observations::default());
        let mut watches = JoinSet::new();
        for app in &exercise.apps {
            let by_label = watcher::Config::default().labels(&selector(app));
            let by_name = watcher::Config::default().fields(&format!("metadata.name={app}"));
            let by_service = watcher::Config::default().fields(&format!(
                "involvedObject.kind=Service,involvedObject.name={app}"
            ));
            let task = WatchTask {
                client: client.clone(),
                namespace: namespace.to_owned(),
                observations: observations.clone(),
                app: app.clone(),
            };
            watches.spawn(task.clone().run(by_label, on_pod));
            watches.spawn(task.clone().run(by_name.clone(), on_endpoints));
            watches.spawn(task.clone().run(by_service, on_service_event));
            watches.spawn(task.clone().run(by_name.clone(), on_service));
            watches.spawn(task.run(by_name, on_deployment));
        }
        Self {
            observations,
            _watches: watches,
        }
    }

    /// Returns a receiver of the observations and their changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Observations> {
        self.observations.subscribe()
    }

    /// Adds an observation that does not come from a watch.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Observations)) {
        self.observations.send_modify(change);
    }
}

/// A watch of one application.
#[derive(Clone)]
struct WatchTask {
    client: Client,
    namespace: String,
    observations: watch::Sender<Observations>,
    app: String,
}

impl WatchTask {
    async fn run<K>(self, config: watcher::Config, handle: fn(&mut AppState, &watcher::Event<K>))
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + Send
            + serde::de::DeserializeOwned
            + 'static,
    {
        let api = Api::<K>::namespaced(self.client.clone(), &self.namespace);
        self.handle_events(watcher(api, config), handle).await;
    }

    async fn handle_events<K: Send>(
        self,
        events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send,
        handle: fn(&mut AppState, &watcher::Event<K>),
    ) {
        let mut events = std::pin::pin!(events.default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self
                    .observations
                    .send_modify(|observations| handle(observations.app_mut(&self.app), &event)),
                // The watcher lists again. If the cluster is unreachable, the current wait times out.
                Err(error) => tracing::debug!(%error, app = self.app, "watch interrupted"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
