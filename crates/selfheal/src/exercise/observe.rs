//! What happens in the cluster, seen by watch: claims are judged on this, not on what a command happened to show.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Exercise, Wait};

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
}

/// Everything seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
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
}

impl Seen {
    /// Claims speak of what happens from now on.
    pub(crate) fn mark(&mut self) {
        self.marked = self.pods.clone();
        self.endpoints = self.endpoints.last().copied().into_iter().collect();
    }

    /// Whether what is waited for is so now.
    pub(crate) fn meets(&self, wait: &Wait) -> bool {
        let ready = self.pods.values().filter(|pod| pod.ready).count();
        let restarts: i32 = self.pods.values().map(|pod| pod.restarts).sum();
        wait.ready
            .is_none_or(|n| ready == n && self.pods.len() == n)
            && wait
                .endpoints
                .is_none_or(|n| self.endpoints.last() == Some(&n))
            && wait.restarts.is_none_or(|n| restarts == n)
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
    let containers = status
        .and_then(|s| s.container_statuses.as_ref())
        .into_iter()
        .flatten();
    let ready =
        |c: &k8s_openapi::api::core::v1::PodCondition| c.type_ == "Ready" && c.status == "True";
    PodSeen {
        name: pod.name_any(),
        ip: status.and_then(|s| s.pod_ip.clone()),
        restarts: containers.map(|c| c.restart_count).sum(),
        ready: pod.metadata.deletion_timestamp.is_none()
            && status
                .and_then(|s| s.conditions.as_ref())
                .into_iter()
                .flatten()
                .any(ready),
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

/// Watches until dropped.
pub(crate) struct Observer {
    seen: watch::Sender<Seen>,
    _watches: JoinSet<()>,
}

impl Observer {
    /// Starts to watch the exercise's pods and service.
    pub(crate) fn start(client: &Client, namespace: &str, exercise: &Exercise) -> Self {
        let (seen, _) = watch::channel(Seen::default());
        let mut watches = JoinSet::new();
        let pods = watcher(
            Api::<Pod>::namespaced(client.clone(), namespace),
            watcher::Config::default().labels(&exercise.pods),
        );
        watches.spawn(follow(pods, seen.clone(), on_pod));
        let named =
            watcher::Config::default().fields(&format!("metadata.name={}", exercise.service));
        let endpoints = watcher(
            Api::<Endpoints>::namespaced(client.clone(), namespace),
            named.clone(),
        );
        watches.spawn(follow(endpoints, seen.clone(), on_endpoints));
        let services = watcher(Api::<Service>::namespaced(client.clone(), namespace), named);
        watches.spawn(follow(services, seen.clone(), on_service));
        Self {
            seen,
            _watches: watches,
        }
    }

    /// What is seen, and each change of it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Keeps the words found in the pods' logs.
    pub(crate) fn logged(&self, words: BTreeMap<String, String>) {
        self.seen.send_modify(|seen| seen.logged = words);
    }

    /// Claims speak of what happens from now on.
    pub(crate) fn mark(&self) {
        self.seen.send_modify(Seen::mark);
    }
}

async fn follow<K: Send>(
    events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send,
    seen: watch::Sender<Seen>,
    apply: fn(&mut Seen, &watcher::Event<K>),
) {
    let mut events = std::pin::pin!(events.default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => seen.send_modify(|seen| apply(seen, &event)),
            // The watcher lists again by itself; a cluster that is gone shows as a wait that ends.
            Err(error) => tracing::debug!(%error, "a watch was interrupted"),
        }
    }
}

fn on_pod(seen: &mut Seen, event: &watcher::Event<Pod>) {
    use watcher::Event;
    match event {
        Event::Init => seen.listing.clear(),
        Event::InitApply(pod) => drop(
            seen.listing
                .insert(pod.uid().unwrap_or_default(), pod_seen(pod)),
        ),
        Event::InitDone => seen.pods = std::mem::take(&mut seen.listing),
        Event::Apply(pod) => drop(
            seen.pods
                .insert(pod.uid().unwrap_or_default(), pod_seen(pod)),
        ),
        Event::Delete(pod) => drop(seen.pods.remove(&pod.uid().unwrap_or_default())),
    }
}

fn on_endpoints(seen: &mut Seen, event: &watcher::Event<Endpoints>) {
    use watcher::Event;
    match event {
        Event::Apply(endpoints) | Event::InitApply(endpoints) => {
            seen.count_endpoints(Some(endpoints));
        }
        Event::Delete(_) => seen.count_endpoints(None),
        Event::Init | Event::InitDone => {}
    }
}

fn on_service(seen: &mut Seen, event: &watcher::Event<Service>) {
    use watcher::Event;
    match event {
        Event::Apply(service) | Event::InitApply(service) => seen.address = address(service),
        Event::Delete(_) => seen.address = None,
        Event::Init | Event::InitDone => {}
    }
}

#[cfg(test)]
mod tests;
