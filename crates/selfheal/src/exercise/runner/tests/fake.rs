//! An API server that is a script: two pods, one service, and whatever is created.
//!
//! A watch repeats every object on each change of the world; watchers have to take that.

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

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What the script says there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) endpoints: usize,
    pub(super) ready: [bool; 2],
    /// Of the second pod.
    pub(super) restarts: i32,
}

pub(super) struct Fake {
    world: watch::Sender<World>,
    objects: Mutex<BTreeSet<String>>,
    deleted: Mutex<Vec<String>>,
    /// How often pods of an earlier deployment are still listed before there is a deployment.
    pub(super) left_over: AtomicU32,
    /// Whether what is deleted is on its way, and not gone.
    lingers: AtomicBool,
    /// Why the containers wait.
    pub(super) pod_waits: Option<&'static str>,
    /// Message of the event that no load balancer could be made.
    pub(super) load_balancer_failure: Option<&'static str>,
}

impl Fake {
    pub(super) fn new(exists: Option<&str>) -> Self {
        let world = World {
            endpoints: 2,
            ready: [true, true],
            restarts: 0,
        };
        let objects = exists.map(str::to_owned).into_iter().collect();
        Self {
            world: watch::Sender::new(world),
            objects: Mutex::new(objects),
            deleted: Mutex::default(),
            left_over: AtomicU32::new(0),
            lingers: AtomicBool::new(false),
            pod_waits: None,
            load_balancer_failure: None,
        }
    }

    /// Keeps what is deleted until the time has passed.
    pub(super) fn linger(self: &Arc<Self>, time: Duration) {
        self.lingers.store(true, Ordering::Relaxed);
        let fake = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            fake.lingers.store(false, Ordering::Relaxed);
            fake.world.send_modify(|_| {});
        });
    }

    pub(super) fn client(self: &Arc<Self>) -> Client {
        let fake = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = fake.answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        });
        Client::new(service, "default")
    }

    pub(super) fn set(&self, world: World) {
        self.world.send_replace(world);
    }

    pub(super) fn deleted(&self) -> Vec<String> {
        self.deleted.lock().unwrap().clone()
    }

    fn answer(self: &Arc<Self>, request: &Request<Body>) -> Answer {
        let (path, query) = (
            request.uri().path(),
            request.uri().query().unwrap_or_default(),
        );
        let as_table = request
            .headers()
            .get(http::header::ACCEPT)
            .is_some_and(|a| a.as_bytes().starts_with(b"application/json;as=Table"));
        let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut objects = self.objects.lock().unwrap();
        match *request.method() {
            Method::GET if as_table => json_answer(200, &table(*self.world.borrow())),
            Method::GET if kind == "log" => text_answer(&log(path, *self.world.borrow())),
            Method::GET if query.contains("watch=true") => self.watch(kind),
            Method::GET
                if ["pods", "endpoints", "services", "deployments", "events"]
                    .contains(&kind.as_str()) =>
            {
                let mut items = self.items(&kind, *self.world.borrow());
                let deployed = objects.iter().any(|path| path.contains("/deployments/"));
                if kind == "pods" && !deployed && !self.one_more_is_left_over() {
                    items.clear();
                }
                json_answer(
                    200,
                    &json!({"metadata": {"resourceVersion": "1"}, "items": items}),
                )
            }
            Method::GET if objects.contains(path) => json_answer(200, &object("1")),
            Method::GET => json_answer(404, &not_found()),
            Method::POST => {
                objects.insert(format!("{path}/numbers-api"));
                json_answer(201, &object("1"))
            }
            Method::DELETE => {
                self.deleted.lock().unwrap().push(path.to_owned());
                let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Success"});
                let lingers = self.lingers.load(Ordering::Relaxed);
                json_answer(200, &if lingers { object("3") } else { gone })
            }
            _ => json_answer(200, &object("2")),
        }
    }

    fn one_more_is_left_over(&self) -> bool {
        let fewer = |left: u32| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.left_over.fetch_update(set, fetch, fewer).is_ok()
    }

    fn watch(self: &Arc<Self>, kind: String) -> Answer {
        let fake = Arc::clone(self);
        let worlds = changes(self.world.subscribe());
        let lines = worlds.flat_map(move |world| {
            let deleted = !fake.deleted().is_empty() && !fake.lingers.load(Ordering::Relaxed);
            futures::stream::iter(fake.lines(&kind, world, deleted))
        });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }
}

fn changes(world: watch::Receiver<World>) -> impl Stream<Item = World> + Send {
    futures::stream::unfold((world, true), |(mut world, first)| async move {
        if !first {
            world.changed().await.ok()?;
        }
        let now = *world.borrow_and_update();
        Some((now, (world, false)))
    })
}

impl Fake {
    fn lines(
        &self,
        kind: &str,
        world: World,
        deleted: bool,
    ) -> Vec<Result<Frame<Bytes>, Infallible>> {
        let change = if deleted { "DELETED" } else { "MODIFIED" };
        let line = |object: Value| {
            let event = json!({"type": change, "object": object});
            Ok(Frame::data(Bytes::from(format!("{event}\n"))))
        };
        self.items(kind, world).into_iter().map(line).collect()
    }

    fn items(&self, kind: &str, world: World) -> Vec<Value> {
        let has_address = self.load_balancer_failure.is_none();
        match kind {
            "pods" => vec![
                pod("a", world.ready[0], 0, self.pod_waits),
                pod("b", world.ready[1], world.restarts, self.pod_waits),
            ],
            "endpoints" => {
                let addresses = vec![json!({"ip": "10.244.0.2"}); world.endpoints];
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

fn pod(name: &str, ready: bool, restarts: i32, waits: Option<&str>) -> Value {
    let waiting =
        waits.map(|reason| json!({"reason": reason, "message": "image \"x\" is unknown"}));
    let ready = ready && waits.is_none();
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

fn table(world: World) -> Value {
    json!({
        "columnDefinitions": [{"name": "Name", "priority": 0}, {"name": "Restarts", "priority": 0}],
        "rows": [{"cells": ["a", 0]}, {"cells": ["b", world.restarts]}],
    })
}

fn object(version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Any", "metadata": {"name": "numbers-api", "uid": "u", "resourceVersion": version}})
}

fn not_found() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"})
}

/// A pod counts its starts.
fn log(path: &str, world: World) -> String {
    let restarts = if path.ends_with("/b/log") {
        world.restarts
    } else {
        0
    };
    format!("started starts={}\nlistening\n", restarts + 1)
}

fn text_answer(text: &str) -> Answer {
    let body = Full::new(Bytes::from(text.to_owned())).boxed_unsync();
    Response::new(body)
}

fn json_answer(status: u16, body: &Value) -> Answer {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}
