//! Fake API server with two pods, one service, and the created objects.
//!
//! A watch sends every object at each change of the state.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;

type ApiResponse = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// State of the pods and the service.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClusterState {
    pub(super) endpoints: usize,
    pub(super) ready: [bool; 2],
    /// Restarts of the second pod.
    pub(super) restarts: i32,
}

pub(super) struct FakeApiServer {
    state: watch::Sender<ClusterState>,
    objects: Mutex<BTreeSet<String>>,
    deleted: Mutex<Vec<String>>,
    /// Number of lists with the pods of an earlier deployment, before a deployment is created.
    pub(super) leftover_pod_lists: AtomicU32,
    /// `true` while deleted objects still exist.
    is_deletion_delayed: AtomicBool,
    /// Reason of the waiting containers.
    pub(super) waiting_reason: Option<&'static str>,
    /// Message of the event `SyncLoadBalancerFailed`.
    pub(super) load_balancer_failure: Option<&'static str>,
}

impl FakeApiServer {
    pub(super) fn new(existing_object: Option<&str>) -> Self {
        let state = ClusterState {
            endpoints: 2,
            ready: [true, true],
            restarts: 0,
        };
        let objects = existing_object.map(str::to_owned).into_iter().collect();
        Self {
            state: watch::Sender::new(state),
            objects: Mutex::new(objects),
            deleted: Mutex::default(),
            leftover_pod_lists: AtomicU32::new(0),
            is_deletion_delayed: AtomicBool::new(false),
            waiting_reason: None,
            load_balancer_failure: None,
        }
    }

    /// Keeps deleted objects until `delay` has passed.
    pub(super) fn delay_deletion(self: &Arc<Self>, delay: Duration) {
        self.is_deletion_delayed.store(true, Ordering::Relaxed);
        let server = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            server.is_deletion_delayed.store(false, Ordering::Relaxed);
            server.state.send_modify(|_| {});
        });
    }

    pub(super) fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let response = server.respond(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        Client::new(service, "default")
    }

    pub(super) fn set_state(&self, state: ClusterState) {
        self.state.send_replace(state);
    }

    /// Paths of the deleted objects.
    pub(super) fn deleted(&self) -> Vec<String> {
        self.deleted.lock().unwrap().clone()
    }

    fn respond(self: &Arc<Self>, request: &Request<Body>) -> ApiResponse {
        let (path, query) = (
            request.uri().path(),
            request.uri().query().unwrap_or_default(),
        );
        let as_table = request
            .headers()
            .get(http::header::ACCEPT)
            .is_some_and(|accept| accept.as_bytes().starts_with(b"application/json;as=Table"));
        let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut objects = self.objects.lock().unwrap();
        match *request.method() {
            Method::GET if as_table => json_response(200, &table(*self.state.borrow())),
            Method::GET if kind == "log" => text_response(&log(path, *self.state.borrow())),
            Method::GET if query.contains("watch=true") => self.watch(kind),
            Method::GET
                if ["pods", "endpoints", "services", "deployments", "events"]
                    .contains(&kind.as_str()) =>
            {
                let mut items = self.items(&kind, *self.state.borrow());
                let is_deployed = objects.iter().any(|path| path.contains("/deployments/"));
                if kind == "pods" && !is_deployed && !self.take_leftover_pod_list() {
                    items.clear();
                }
                json_response(
                    200,
                    &json!({"metadata": {"resourceVersion": "1"}, "items": items}),
                )
            }
            Method::GET if objects.contains(path) => json_response(200, &object("1")),
            Method::GET => json_response(404, &not_found()),
            Method::POST => {
                objects.insert(format!("{path}/numbers-api"));
                json_response(201, &object("1"))
            }
            Method::DELETE => {
                self.deleted.lock().unwrap().push(path.to_owned());
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Success"});
                let is_delayed = self.is_deletion_delayed.load(Ordering::Relaxed);
                json_response(200, &if is_delayed { object("3") } else { status })
            }
            _ => json_response(200, &object("2")),
        }
    }

    /// Counts one list down; returns `false` if none was left.
    fn take_leftover_pod_list(&self) -> bool {
        let decrement = |lists: u32| lists.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let updated = self.leftover_pod_lists.fetch_update(set, fetch, decrement);
        updated.is_ok()
    }

    fn watch(self: &Arc<Self>, kind: String) -> ApiResponse {
        let server = Arc::clone(self);
        let states = states(self.state.subscribe());
        let lines = states.flat_map(move |state| {
            let is_delayed = server.is_deletion_delayed.load(Ordering::Relaxed);
            let change = if server.deleted().is_empty() || is_delayed {
                "MODIFIED"
            } else {
                "DELETED"
            };
            futures::stream::iter(server.watch_lines(&kind, state, change))
        });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }
}

/// The current state, and each later one.
fn states(mut receiver: watch::Receiver<ClusterState>) -> impl Stream<Item = ClusterState> + Send {
    receiver.mark_changed();
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.changed().await.ok()?;
        let state = *receiver.borrow_and_update();
        Some((state, receiver))
    })
}

impl FakeApiServer {
    fn watch_lines(
        &self,
        kind: &str,
        state: ClusterState,
        change: &str,
    ) -> Vec<Result<Frame<Bytes>, Infallible>> {
        let line = |object: Value| {
            let event = json!({"type": change, "object": object});
            Ok(Frame::data(Bytes::from(format!("{event}\n"))))
        };
        self.items(kind, state).into_iter().map(line).collect()
    }

    fn items(&self, kind: &str, state: ClusterState) -> Vec<Value> {
        let has_address = self.load_balancer_failure.is_none();
        match kind {
            "pods" => vec![
                pod("a", state.ready[0], 0, self.waiting_reason),
                pod("b", state.ready[1], state.restarts, self.waiting_reason),
            ],
            "endpoints" => {
                let addresses = vec![json!({"ip": "10.244.0.2"}); state.endpoints];
                vec![
                    json!({"metadata": {"name": "numbers-api", "resourceVersion": "1"}, "subsets": [{"addresses": addresses}]}),
                ]
            }
            "events" => self
                .load_balancer_failure
                .map(service_event)
                .into_iter()
                .collect(),
            _ => vec![json!({
                "metadata": {"name": "numbers-api", "uid": "u", "resourceVersion": "1"},
                "spec": {"ports": [{"port": 8013, "nodePort": 30013}]},
                "status": {"loadBalancer": {"ingress": if has_address { json!([{"ip": "127.0.0.1"}]) } else { json!([]) }}},
            })],
        }
    }
}

fn service_event(message: &str) -> Value {
    json!({
        "metadata": {"name": "e", "uid": "e", "resourceVersion": "1"},
        "involvedObject": {"kind": "Service", "name": "numbers-api"},
        "reason": "SyncLoadBalancerFailed",
        "message": message,
    })
}

fn pod(name: &str, ready: bool, restarts: i32, waiting_reason: Option<&str>) -> Value {
    let waiting =
        waiting_reason.map(|reason| json!({"reason": reason, "message": "image \"x\" is unknown"}));
    let ready = ready && waiting_reason.is_none();
    let status = if ready { "True" } else { "False" };
    json!({
        "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
        "status": {
            "podIP": "10.244.0.2",
            "conditions": [{"type": "Ready", "status": status}],
            "containerStatuses": [
                {"name": "api", "restartCount": restarts, "ready": ready, "image": "", "imageID": "", "state": {"waiting": waiting}},
            ],
        },
    })
}

fn table(state: ClusterState) -> Value {
    json!({
        "columnDefinitions": [{"name": "Name", "priority": 0}, {"name": "Restarts", "priority": 0}],
        "rows": [{"cells": ["a", 0]}, {"cells": ["b", state.restarts]}],
    })
}

fn object(version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Any", "metadata": {"name": "numbers-api", "uid": "u", "resourceVersion": version}})
}

fn not_found() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"})
}

/// Log of a pod with the number of its starts.
fn log(path: &str, state: ClusterState) -> String {
    let restarts = if path.ends_with("/b/log") {
        state.restarts
    } else {
        0
    };
    format!("started starts={}\nlistening\n", restarts + 1)
}

fn text_response(text: &str) -> ApiResponse {
    let body = Full::new(Bytes::from(text.to_owned())).boxed_unsync();
    Response::new(body)
}

fn json_response(status: u16, body: &Value) -> ApiResponse {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}
