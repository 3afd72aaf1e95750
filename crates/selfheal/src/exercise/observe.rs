//! What happens in the cluster, seen by watch: claims are judged on this, not on what a command happened to show.

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
use super::outage::Measured;
use super::step::Wait;
use super::{Exercise, selector};

/// A pod as it was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodSeen {
    /// Its name.
    pub(crate) name: String,
    /// Its address.
    pub(crate) ip: Option<String>,
    /// Restarts of its containers together.
    pub(crate) restarts: i32,
    /// Whether it is ready.
    pub(crate) ready: bool,
    /// Why a container of it waits, where one does.
    pub(crate) waiting: Option<String>,
    /// That in a sentence.
    pub(crate) message: Option<String>,
}

/// Everything seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// By application.
    apps: BTreeMap<String, AppSeen>,
    /// Texts that pages have shown.
    pub(crate) shown: BTreeSet<String>,
    /// How the steady visitors fared.
    pub(crate) visits: Visits,
    /// The outages that were measured.
    pub(crate) outages: Vec<Measured>,
}

/// Visitors' requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visits {
    /// How many there were.
    pub(crate) all: usize,
    /// What was wrong with those that were not answered as they should be.
    pub(crate) failures: Vec<String>,
}

/// What was seen of one application.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppSeen {
    /// The pods there are, by UID.
    pub(crate) pods: BTreeMap<String, PodSeen>,
    /// A listing that is not whole yet.
    pub(crate) listing: BTreeMap<String, PodSeen>,
    /// The pods there were at the mark, by UID.
    pub(crate) marked: BTreeMap<String, PodSeen>,
    /// The number of the service's addresses since the mark, each change of it.
    pub(crate) endpoints: Vec<usize>,
    /// The words found in the pods' logs, by the pod's name.
    pub(crate) logged: BTreeMap<String, String>,
    /// Host and port at which the service answers outside the cluster.
    pub(crate) address: Option<String>,
    /// The port at which every node answers for the service.
    pub(crate) node_port: Option<u16>,
    /// Whether the deployment's newest revision is all there is.
    pub(crate) rolled_out: Option<bool>,
    /// Message of the service's latest load balancer event if that is a failure.
    pub(crate) load_balancer_failure: Option<String>,
}

impl Seen {
    /// What was seen of an application.
    pub(crate) fn app(&self, name: &str) -> &AppSeen {
        const NOTHING: &AppSeen = &AppSeen {
            pods: BTreeMap::new(),
            listing: BTreeMap::new(),
            marked: BTreeMap::new(),
            endpoints: Vec::new(),
            logged: BTreeMap::new(),
            address: None,
            node_port: None,
            rolled_out: None,
            load_balancer_failure: None,
        };
        self.apps.get(name).unwrap_or(NOTHING)
    }

    /// Pods of all applications, by UID.
    pub(crate) fn pods(&self) -> impl Iterator<Item = (&String, &PodSeen)> {
        self.apps.values().flat_map(|app| &app.pods)
    }

    /// Returns a service without an address and the reason, if there is one.
    pub(crate) fn load_balancer_failure(&self) -> Option<(String, String)> {
        self.apps.iter().find_map(|(name, app)| {
            let failure = app.load_balancer_failure.clone()?;
            app.address.is_none().then(|| (name.clone(), failure))
        })
    }

    /// Messages of waiting pods, for the error of a wait that timed out.
    pub(crate) fn waiting_messages(&self) -> String {
        let pods = self.apps.values().flat_map(|app| app.pods.values());
        let complaint = |pod: &PodSeen| {
            let message = pod.message.as_ref()?;
            Some(format!("; pod {} waits: {message}", pod.name))
        };
        pods.filter_map(complaint).collect()
    }

    pub(crate) fn app_mut(&mut self, name: &str) -> &mut AppSeen {
        self.apps.entry(name.to_owned()).or_default()
    }

    /// Starts a new period of observation for the assertions.
    pub(crate) fn mark(&mut self) {
        self.apps.values_mut().for_each(AppSeen::mark);
        self.shown.clear();
    }
}

impl AppSeen {
    /// Starts a new period of observation for the assertions.
    pub(crate) fn mark(&mut self) {
        self.marked = self.pods.clone();
        self.endpoints = self.endpoints.last().copied().into_iter().collect();
    }

    /// Whether what is waited for is so now.
    pub(crate) fn meets(&self, wait: &Wait) -> bool {
        let ready = self.pods.values().filter(|pod| pod.ready).count();
        wait.ready
            .is_none_or(|n| ready == n && self.pods.len() == n)
            && wait
                .endpoints
                .is_none_or(|n| self.endpoints.last() == Some(&n))
            && wait.restarts.is_none_or(|n| self.restarts() == n)
            && (!wait.each_restarted || self.each_restarted())
            && wait
                .waiting
                .as_ref()
                .is_none_or(|why| self.waiting().any(|reason| reason == why))
            && (!wait.rolled_out || self.rolled_out == Some(true))
    }

    /// Restarts of all pods together.
    pub(crate) fn restarts(&self) -> i32 {
        self.pods.values().map(|pod| pod.restarts).sum()
    }

    /// Whether no pod is other than ready.
    pub(crate) fn all_ready(&self) -> bool {
        self.pods.values().all(|pod| pod.ready)
    }

    /// Restarts that a pod had at the mark.
    pub(crate) fn restarts_before(&self, uid: &str) -> i32 {
        self.marked.get(uid).map_or(0, |pod| pod.restarts)
    }

    /// Whether every pod was restarted since the mark.
    pub(crate) fn each_restarted(&self) -> bool {
        let restarted = |(uid, pod): (&String, &PodSeen)| pod.restarts > self.restarts_before(uid);
        !self.pods.is_empty() && self.pods.iter().all(restarted)
    }

    /// Why containers wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &String> {
        self.pods.values().filter_map(|pod| pod.waiting.as_ref())
    }

    /// The name of a pod that is ready, or of another where none is.
    pub(crate) fn a_pod(&self) -> Option<&str> {
        let ready = self.pods.values().find(|pod| pod.ready);
        let any = ready.or_else(|| self.pods.values().next());
        any.map(|pod| pod.name.as_str())
    }

    fn count_endpoints(&mut self, endpoints: Option<&Endpoints>) {
        let count = endpoints
            .and_then(|e| e.subsets.as_ref())
            .into_iter()
            .flatten();
        let count = count
            .map(|subset| subset.addresses.as_ref().map_or(0, Vec::len))
            .sum();
        if self.endpoints.last() != Some(&count) {
            self.endpoints.push(count);
        }
    }
}

fn pod_seen(pod: &Pod) -> PodSeen {
    let status = pod.status.as_ref();
    let containers = || {
        let all = status.and_then(|s| s.container_statuses.as_ref());
        all.into_iter().flatten()
    };
    let waiting = containers().find_map(|c| c.state.as_ref()?.waiting.as_ref());
    let ready =
        |c: &k8s_openapi::api::core::v1::PodCondition| c.type_ == "Ready" && c.status == "True";
    PodSeen {
        name: pod.name_any(),
        ip: status.and_then(|s| s.pod_ip.clone()),
        restarts: containers().map(|c| c.restart_count).sum(),
        ready: pod.metadata.deletion_timestamp.is_none()
            && status
                .and_then(|s| s.conditions.as_ref())
                .into_iter()
                .flatten()
                .any(ready),
        waiting: waiting.and_then(|waiting| waiting.reason.clone()),
        message: waiting.and_then(|waiting| waiting.message.clone()),
    }
}

fn address(service: &Service) -> Option<String> {
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

/// As `kubectl rollout status` tells it.
fn rolled_out(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else {
        return false;
    };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let of = |number: Option<i32>| number.unwrap_or(0);
    let wanted = wanted.unwrap_or(1);
    status.observed_generation >= deployment.metadata.generation
        && of(status.updated_replicas) == wanted
        && of(status.replicas) == wanted
        && of(status.available_replicas) == wanted
}

/// Watches until dropped.
pub(crate) struct Observer {
    seen: watch::Sender<Seen>,
    _watches: JoinSet<()>,
}

impl Observer {
    /// Starts to watch the exercise's applications.
    pub(crate) fn start(client: &Client, namespace: &str, exercise: &Exercise) -> Self {
        let (seen, _) = watch::channel(Seen::default());
        let mut watches = JoinSet::new();
        for app in &exercise.apps {
            let labelled = watcher::Config::default().labels(&selector(app));
            let named = watcher::Config::default().fields(&format!("metadata.name={app}"));
            let follow = Follow {
                client: client.clone(),
                namespace: namespace.to_owned(),
                seen: seen.clone(),
                app: app.clone(),
            };
            watches.spawn(follow.clone().changes(labelled, on_pod));
            watches.spawn(follow.clone().changes(named.clone(), on_endpoints));
            let of_service = watcher::Config::default().fields(&format!(
                "involvedObject.kind=Service,involvedObject.name={app}"
            ));
            watches.spawn(follow.clone().changes(of_service, on_service_event));
            watches.spawn(follow.clone().changes(named.clone(), on_service));
            watches.spawn(follow.changes(named, on_deployment));
        }
        Self {
            seen,
            _watches: watches,
        }
    }

    /// What is seen, and each change of it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Notes what the exercise itself has found.
    pub(crate) fn note(&self, found: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(found);
    }
}

/// Where what is seen of an application goes.
#[derive(Clone)]
struct Follow {
    client: Client,
    namespace: String,
    seen: watch::Sender<Seen>,
    app: String,
}

impl Follow {
    async fn changes<K>(self, config: watcher::Config, apply: fn(&mut AppSeen, &watcher::Event<K>))
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + Send
            + serde::de::DeserializeOwned
            + 'static,
    {
        let api = Api::<K>::namespaced(self.client.clone(), &self.namespace);
        self.apply(watcher(api, config), apply).await;
    }

    async fn apply<K: Send>(
        self,
        events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send,
        apply: fn(&mut AppSeen, &watcher::Event<K>),
    ) {
        let mut events = std::pin::pin!(events.default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self
                    .seen
                    .send_modify(|seen| apply(seen.app_mut(&self.app), &event)),
                // The watcher lists again by itself; a cluster that is gone shows as a wait that ends.
                Err(error) => tracing::debug!(%error, "a watch was interrupted"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
