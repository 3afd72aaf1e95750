//! Tests of the whole node with scripted workloads, on paused time and without sockets.

use std::net::Ipv4Addr;
use std::time::Duration;

use async_trait::async_trait;
use container_runtime::scripted::{ScriptedRuntime, Workloads};
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, Namespace, Pod, ReplicationController, Secret, Service,
    ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use probe::Clock;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;

mod disruption;
mod max_pods;
mod node_info;
mod pods;
mod scaling;
mod supervision;

struct LoopbackBalancer;

#[async_trait]
impl LoadBalancer for LoopbackBalancer {
    async fn ensure(&self, _: &str, _: &str, _: &[u16]) -> Result<Ipv4Addr, String> {
        Ok(Ipv4Addr::LOCALHOST)
    }

    async fn release(&self, _: &str, _: &str) {}
}

struct Fixture {
    client: Client,
    runtime: Arc<ScriptedRuntime>,
    clock: Clock,
    supervisor: Supervisor,
    node: EmbeddedNode,
}

async fn start_node() -> Fixture {
    start_node_at(1.0).await
}

async fn start_node_at(pace: f64) -> Fixture {
    start_node_with(pace, Workloads::chapter()).await
}

async fn start_node_with(pace: f64, workloads: Workloads) -> Fixture {
    start_node_with_max_pods(pace, workloads, DEFAULT_MAX_PODS).await
}

async fn start_node_with_max_pods(pace: f64, workloads: Workloads, max_pods: u32) -> Fixture {
    let clock = Clock::new("2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap(), pace);
    let runtime = Arc::new(ScriptedRuntime::new(clock.clone(), workloads));
    let supervisor = Supervisor::new(clock.clone(), CancellationToken::new());
    let options = Options {
        supervisor: supervisor.clone(),
        runtime: runtime.clone(),
        load_balancer: Arc::new(LoopbackBalancer),
        name: "node".to_owned(),
        ip: "10.244.0.1".to_owned(),
        jitter: false,
        max_pods,
    };
    let node = EmbeddedNode::start(options).await.unwrap();
    Fixture {
        client: node.client(),
        runtime,
        clock,
        supervisor,
        node,
    }
}

fn numbers_api() -> Value {
    json!({"metadata": {"name": "numbers-api"}, "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "numbers-api"}},
        "template": {
            "metadata": {"labels": {"app": "numbers-api", "version": "v3"}},
            "spec": {"restartPolicy": "Always", "containers": [{
                "name": "api",
                "image": "kiamol/ch03-numbers-api",
                "ports": [{"containerPort": 80, "name": "api"}],
                "env": [{"name": "FailAfterCallCount", "value": "1"}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 5},
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 10,
                                  "initialDelaySeconds": 10, "failureThreshold": 2},
            }]},
        },
    }})
}

impl Fixture {
    async fn create<K>(&self, object: Value)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        let object: K = serde_json::from_value(object).unwrap();
        Objects::<K>::default_namespaced(self.client.clone())
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    async fn pods(&self) -> Vec<Pod> {
        let pods: Objects<Pod> = Objects::default_namespaced(self.client.clone());
        pods.list(&ListParams::default()).await.unwrap().items
    }

    /// Returns the ready addresses of the service `numbers-api`.
    async fn ready_addresses(&self) -> Vec<String> {
        let endpoints: Objects<Endpoints> = Objects::default_namespaced(self.client.clone());
        let found = endpoints.get_opt("numbers-api").await.unwrap();
        let subsets = found
            .and_then(|endpoints| endpoints.subsets)
            .unwrap_or_default();
        subsets
            .into_iter()
            .flat_map(|subset| subset.addresses.unwrap_or_default())
            .map(|address| address.ip)
            .collect()
    }

    /// Advances time until `count` addresses are ready. Returns the duration in seconds.
    async fn wait_for_ready_addresses(&self, count: usize) -> u64 {
        for second in 0..120 {
            if self.ready_addresses().await.len() == count {
                return second;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!(
            "{count} addresses are not ready at {}: {:#?}",
            self.clock.now(),
            self.pods().await
        );
    }

    /// Returns the messages of the events with this reason.
    async fn events(&self, reason: &str) -> Vec<String> {
        let events: Objects<Event> = Objects::default_namespaced(self.client.clone());
        let all = events.list(&ListParams::default()).await.unwrap().items;
        let matching = all
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some(reason));
        matching
            .map(|event| event.message.unwrap_or_default())
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn deployment_watch_reports_the_new_replica_set_before_its_counts() {
    let node = start_node().await;
    let deployments: Objects<Deployment> = Objects::default_namespaced(node.client.clone());
    let watch = deployments.watch(&WatchParams::default(), "0").await;
    let watch = watch.unwrap();
    node.create::<Deployment>(numbers_api()).await;
    let reasons = watch.filter_map(|event| async move {
        let (WatchEvent::Added(deployment) | WatchEvent::Modified(deployment)) = event.ok()? else {
            return None;
        };
        let conditions = deployment.status?.conditions?.into_iter();
        let reasons: Vec<String> = conditions
            .filter_map(|condition| condition.reason)
            .collect();
        Some(reasons)
    });
    let first = std::pin::pin!(reasons).next().await.unwrap();
    assert_eq!(first, ["NewReplicaSetCreated"]);
}

#[tokio::test(start_paused = true)]
async fn replication_controller_replaces_its_pods_and_adopts_none_of_a_replica_set() {
    let node = start_node().await;
    node.create::<Deployment>(numbers_api()).await;
    let mut controller = numbers_api();
    controller["metadata"]["name"] = json!("old");
    controller["spec"]
        .as_object_mut()
        .unwrap()
        .remove("selector");
    node.create::<ReplicationController>(controller).await;
    let second = Duration::from_secs(1);
    tokio::time::sleep(10 * second).await;
    let names = async || -> Vec<String> {
        let pods = node.pods().await.into_iter();
        let names = pods.map(|pod| pod.metadata.name.unwrap());
        names.filter(|name| name.starts_with("old-")).collect()
    };
    let before = names().await;
    assert_eq!((before.len(), node.pods().await.len()), (2, 4));
    let pods: Objects<Pod> = Objects::default_namespaced(node.client.clone());
    let immediately = DeleteParams::default().grace_period(0);
    pods.delete(&before[0], &immediately).await.unwrap();
    tokio::time::sleep(10 * second).await;
    let after = names().await;
    assert!(after.len() == 2 && !after.contains(&before[0]), "{after:?}");
    let controllers: Objects<ReplicationController> =
        Objects::default_namespaced(node.client.clone());
    let status = controllers.get("old").await.unwrap().status.unwrap();
    assert_eq!((status.replicas, status.ready_replicas), (2, Some(2)));
    controllers
        .delete("old", &DeleteParams::background())
        .await
        .unwrap();
    tokio::time::sleep(60 * second).await;
    assert_eq!((names().await.len(), node.pods().await.len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn dependents_of_a_deleted_deployment_are_deleted() {
    let node = start_node().await;
    for parameters in [DeleteParams::background(), DeleteParams::foreground()] {
        node.create::<Deployment>(numbers_api()).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(node.pods().await.len(), 2);
        let deployments: Objects<Deployment> = Objects::default_namespaced(node.client.clone());
        deployments
            .delete("numbers-api", &parameters)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(node.pods().await.len(), 0);
        let sets: Objects<ReplicaSet> = Objects::default_namespaced(node.client.clone());
        assert_eq!(
            sets.list(&ListParams::default()).await.unwrap().items.len(),
            0
        );
        assert!(deployments.get_opt("numbers-api").await.unwrap().is_none());
    }
}

/// Creates an object without dependents and deletes it in the foreground. Returns `true` if it no longer exists.
async fn is_deleted_in_foreground<K>(api: Objects<K>, object: Value) -> bool
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    let name = object.meta().name.clone().unwrap();
    let parameters = DeleteParams::foreground();
    api.delete(&name, &parameters).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    api.get_opt(&name).await.unwrap().is_none()
}

#[tokio::test(start_paused = true)]
async fn foreground_deletion_without_dependents_completes() {
    let node = start_node().await;
    let client = || node.client.clone();
    let x = || json!({"metadata": {"name": "x"}});
    let slice = json!({"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": []});
    assert!(
        is_deleted_in_foreground::<ConfigMap>(Objects::default_namespaced(client()), x()).await
    );
    assert!(is_deleted_in_foreground::<Secret>(Objects::default_namespaced(client()), x()).await);
    assert!(
        is_deleted_in_foreground::<ServiceAccount>(Objects::default_namespaced(client()), x())
            .await
    );
    assert!(
        is_deleted_in_foreground::<Endpoints>(Objects::default_namespaced(client()), x()).await
    );
    assert!(
        is_deleted_in_foreground::<EndpointSlice>(Objects::default_namespaced(client()), slice)
            .await
    );
    assert!(is_deleted_in_foreground::<Namespace>(Objects::all(client()), x()).await);
}

fn identity(pod: &Pod) -> (Option<String>, Option<String>) {
    (
        pod.metadata.uid.clone(),
        pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
    )
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_deref())
        .unwrap_or_default();
    statuses.iter().map(|status| status.restart_count).sum()
}

#[tokio::test(start_paused = true)]
async fn unhealthy_pod_leaves_the_service_restarts_and_returns() {
    let node = start_node().await;
    let service = json!({"metadata": {"name": "numbers-api"}, "spec": {
        "selector": {"app": "numbers-api"}, "ports": [{"port": 8013, "targetPort": "api"}]}});
    node.create::<Service>(service).await;
    node.create::<Deployment>(numbers_api()).await;
    let ready = node.wait_for_ready_addresses(2).await;
    assert!(ready < 5, "both pods are ready after {ready} s");
    let before = node.pods().await;

    let address: Ipv4Addr = node.ready_addresses().await[0].parse().unwrap();
    assert_eq!(node.runtime.http_get(address, 80, "/rng").unwrap().0, 200);
    assert_eq!(node.runtime.http_get(address, 80, "/rng").unwrap().0, 500);
    node.wait_for_ready_addresses(1).await;
    node.wait_for_ready_addresses(2).await;

    let after = node.pods().await;
    assert_eq!(
        after.iter().map(identity).collect::<Vec<_>>(),
        before.iter().map(identity).collect::<Vec<_>>()
    );
    let mut counts: Vec<_> = after.iter().map(restarts).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 1]);
    assert_eq!(node.runtime.http_get(address, 80, "/rng").unwrap().0, 200);
    assert_eq!(
        node.events("Killing").await,
        ["Container api failed liveness probe, will be restarted"]
    );
}

/// Returns the time, in seconds of the node's clock, until a container that ignores SIGTERM and fails its liveness probe
/// restarts.
async fn seconds_until_restart(pace: f64) -> u64 {
    let node = start_node_at(pace).await;
    node.create::<Pod>(json!({"metadata": {"name": "db"}, "spec": {"containers": [{
        "name": "db",
        "image": "postgres:11.6-alpine",
        "command": ["/bin/sleep", "infinity"],
        "livenessProbe": {"exec": {"command": ["pg_isready", "-h", "localhost"]},
                          "periodSeconds": 10, "initialDelaySeconds": 10},
    }]}}))
    .await;
    let created = node.clock.elapsed();
    let restarts = |pod: &Pod| {
        let status = pod.status.as_ref()?;
        Some(status.container_statuses.as_ref()?.first()?.restart_count)
    };
    while node.pods().await.iter().find_map(restarts) != Some(1) {
        node.clock.sleep(Duration::from_secs(1)).await;
    }
    (node.clock.elapsed() - created).as_secs()
}

#[tokio::test(start_paused = true)]
async fn restart_takes_the_same_time_on_a_faster_clock() {
    let real_time = seconds_until_restart(1.0).await;
    // Three probes, then the grace period: the first restart in the chapter's transcript is at 60 s.
    assert!((60..=62).contains(&real_time), "{real_time}");
    assert_eq!(seconds_until_restart(10.0).await, real_time);
}
