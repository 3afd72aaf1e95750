//! The chapter's stories on paused time, over scripted workloads: the whole node, and no socket.

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
use kube::api::{DeleteParams, ListParams, WatchEvent, WatchParams};
use probe::Clock;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;

mod disruption;
mod max_pods;
mod pods;
mod scaling;
mod supervision;

struct NoBalancer;

#[async_trait]
impl LoadBalancer for NoBalancer {
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
    node: Node,
}

async fn node() -> Fixture {
    node_at(1.0).await
}

async fn node_at(pace: f64) -> Fixture {
    node_with(pace, Workloads::chapter()).await
}

async fn node_with(pace: f64, workloads: Workloads) -> Fixture {
    node_for(pace, workloads, DEFAULT_MAX_PODS).await
}

async fn node_for(pace: f64, workloads: Workloads, max_pods: u32) -> Fixture {
    let clock = Clock::new("2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap(), pace);
    let runtime = Arc::new(ScriptedRuntime::new(clock.clone(), workloads));
    let supervisor = Supervisor::new(clock.clone(), CancellationToken::new());
    let options = Options {
        supervisor: supervisor.clone(),
        runtime: runtime.clone(),
        load_balancer: Arc::new(NoBalancer),
        name: "node".to_owned(),
        ip: "10.244.0.1".to_owned(),
        jitter: false,
        max_pods,
    };
    let node = Node::start(options).await.unwrap();
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

    async fn addresses(&self) -> Vec<String> {
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

    /// Passes time until this many addresses are ready; says how many seconds that took.
    async fn until_addresses(&self, count: usize) -> u64 {
        for second in 0..120 {
            if self.addresses().await.len() == count {
                return second;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!(
            "never {count} addresses at {}: {:#?}",
            self.clock.now(),
            self.pods().await
        );
    }

    async fn events(&self, reason: &str) -> Vec<String> {
        let events: Objects<Event> = Objects::default_namespaced(self.client.clone());
        let all = events.list(&ListParams::default()).await.unwrap().items;
        let told = all
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some(reason));
        told.map(|event| event.message.unwrap_or_default())
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_that_a_replica_set_was_made_before_it_sees_the_counts() {
    let node = node().await;
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
async fn a_replication_controller_keeps_its_pods_and_adopts_none_of_a_replica_sets() {
    let node = node().await;
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
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete(&before[0], &at_once).await.unwrap();
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
async fn what_belongs_to_a_deleted_deployment_goes_with_it() {
    let node = node().await;
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

/// Makes one and deletes it with its dependents, of which it has none; whether it goes.
async fn goes<K>(api: Objects<K>, object: Value) -> bool
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
async fn a_deletion_in_the_foreground_holds_nothing_for_ever() {
    let node = node().await;
    let client = || node.client.clone();
    let x = || json!({"metadata": {"name": "x"}});
    let slice = json!({"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": []});
    assert!(goes::<ConfigMap>(Objects::default_namespaced(client()), x()).await);
    assert!(goes::<Secret>(Objects::default_namespaced(client()), x()).await);
    assert!(goes::<ServiceAccount>(Objects::default_namespaced(client()), x()).await);
    assert!(goes::<Endpoints>(Objects::default_namespaced(client()), x()).await);
    assert!(goes::<EndpointSlice>(Objects::default_namespaced(client()), slice).await);
    assert!(goes::<Namespace>(Objects::all(client()), x()).await);
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
async fn a_broken_pod_leaves_the_service_is_restarted_and_returns() {
    let node = node().await;
    let service = json!({"metadata": {"name": "numbers-api"}, "spec": {
        "selector": {"app": "numbers-api"}, "ports": [{"port": 8013, "targetPort": "api"}]}});
    node.create::<Service>(service).await;
    node.create::<Deployment>(numbers_api()).await;
    let ready = node.until_addresses(2).await;
    assert!(ready < 5, "both pods are ready after {ready} s");
    let before = node.pods().await;

    let address: Ipv4Addr = node.addresses().await[0].parse().unwrap();
    assert_eq!(node.runtime.http_get(address, 80, "/rng").unwrap().0, 200);
    assert_eq!(node.runtime.http_get(address, 80, "/rng").unwrap().0, 500);
    node.until_addresses(1).await;
    node.until_addresses(2).await;

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

/// When a container that ignores TERM and fails its liveness probe is started anew, in the cluster's seconds.
async fn restart_of_a_sleeping_database(pace: f64) -> u64 {
    let node = node_at(pace).await;
    node.create::<Pod>(json!({"metadata": {"name": "db"}, "spec": {"containers": [{
        "name": "db",
        "image": "postgres:11.6-alpine",
        "command": ["/bin/sleep", "infinity"],
        "livenessProbe": {"exec": {"command": ["pg_isready", "-h", "localhost"]},
                          "periodSeconds": 10, "initialDelaySeconds": 10},
    }]}}))
    .await;
    let began = node.clock.elapsed();
    let restarts = |pod: &Pod| {
        let status = pod.status.as_ref()?;
        Some(status.container_statuses.as_ref()?.first()?.restart_count)
    };
    while node.pods().await.iter().find_map(restarts) != Some(1) {
        node.clock.sleep(Duration::from_secs(1)).await;
    }
    (node.clock.elapsed() - began).as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_hurried_clock_makes_no_second_of_a_restart_shorter() {
    let usual = restart_of_a_sleeping_database(1.0).await;
    // Three probes, then the whole grace: the chapter's transcript has its first restart at 60 s.
    assert!((60..=62).contains(&usual), "{usual}");
    assert_eq!(restart_of_a_sleeping_database(10.0).await, usual);
}
