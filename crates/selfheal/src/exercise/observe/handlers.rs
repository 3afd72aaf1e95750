//! Updates the state of an application by the events of a watch.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Endpoints, Event, Pod, Service};
use kube::ResourceExt as _;
use kube::runtime::watcher;

use super::{AppState, is_rolled_out, load_balancer_address, node_port, pod_state};

pub(super) fn on_pod(app: &mut AppState, event: &watcher::Event<Pod>) {
    use watcher::Event;
    let uid = |pod: &Pod| pod.uid().unwrap_or_default();
    match event {
        Event::Init => app.incomplete_list.clear(),
        Event::InitApply(pod) => {
            app.incomplete_list.insert(uid(pod), pod_state(pod));
        }
        Event::InitDone => app.pods = std::mem::take(&mut app.incomplete_list),
        Event::Apply(pod) => {
            app.pods.insert(uid(pod), pod_state(pod));
        }
        Event::Delete(pod) => {
            app.pods.remove(&uid(pod));
        }
    }
}

pub(super) fn on_endpoints(app: &mut AppState, event: &watcher::Event<Endpoints>) {
    use watcher::Event;
    match event {
        Event::Apply(endpoints) | Event::InitApply(endpoints) => {
            app.record_endpoints(Some(endpoints));
        }
        Event::Delete(_) => app.record_endpoints(None),
        Event::Init | Event::InitDone => {}
    }
}

pub(super) fn on_service(app: &mut AppState, event: &watcher::Event<Service>) {
    use watcher::Event;
    match event {
        Event::Apply(service) | Event::InitApply(service) => {
            app.address = load_balancer_address(service);
            app.node_port = node_port(service);
        }
        Event::Delete(_) => (app.address, app.node_port) = (None, None),
        Event::Init | Event::InitDone => {}
    }
}

pub(super) fn on_service_event(app: &mut AppState, event: &watcher::Event<Event>) {
    use watcher::Event;
    let (Event::Apply(event) | Event::InitApply(event)) = event else {
        return;
    };
    match event.reason.as_deref() {
        Some("SyncLoadBalancerFailed") => {
            app.load_balancer_failure = event.message.clone();
        }
        Some("EnsuredLoadBalancer") => app.load_balancer_failure = None,
        _ => {}
    }
}

pub(super) fn on_deployment(app: &mut AppState, event: &watcher::Event<Deployment>) {
    use watcher::Event;
    match event {
        Event::Apply(deployment) | Event::InitApply(deployment) => {
            app.rolled_out = Some(is_rolled_out(deployment));
        }
        Event::Delete(_) => app.rolled_out = None,
        Event::Init | Event::InitDone => {}
    }
}
