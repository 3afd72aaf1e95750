//! Updates what is known of an application by the events of a watch.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Endpoints, Event, Pod, Service};
use kube::ResourceExt as _;
use kube::runtime::watcher;

use super::{AppSeen, address, node_port, pod_seen, rolled_out};

pub(super) fn on_pod(seen: &mut AppSeen, event: &watcher::Event<Pod>) {
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

pub(super) fn on_endpoints(seen: &mut AppSeen, event: &watcher::Event<Endpoints>) {
    use watcher::Event;
    match event {
        Event::Apply(endpoints) | Event::InitApply(endpoints) => {
            seen.count_endpoints(Some(endpoints));
        }
        Event::Delete(_) => seen.count_endpoints(None),
        Event::Init | Event::InitDone => {}
    }
}

pub(super) fn on_service(seen: &mut AppSeen, event: &watcher::Event<Service>) {
    use watcher::Event;
    match event {
        Event::Apply(service) | Event::InitApply(service) => {
            seen.address = address(service);
            seen.node_port = node_port(service);
        }
        Event::Delete(_) => (seen.address, seen.node_port) = (None, None),
        Event::Init | Event::InitDone => {}
    }
}

pub(super) fn on_service_event(seen: &mut AppSeen, event: &watcher::Event<Event>) {
    use watcher::Event;
    let (Event::Apply(event) | Event::InitApply(event)) = event else {
        return;
    };
    match event.reason.as_deref() {
        Some("SyncLoadBalancerFailed") => {
            seen.load_balancer_failure = event.message.clone();
        }
        Some("EnsuredLoadBalancer") => seen.load_balancer_failure = None,
        _ => {}
    }
}

pub(super) fn on_deployment(seen: &mut AppSeen, event: &watcher::Event<Deployment>) {
    use watcher::Event;
    match event {
        Event::Apply(deployment) | Event::InitApply(deployment) => {
            seen.rolled_out = Some(rolled_out(deployment));
        }
        Event::Delete(_) => seen.rolled_out = None,
        Event::Init | Event::InitDone => {}
    }
}
