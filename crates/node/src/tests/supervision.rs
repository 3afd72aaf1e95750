//! Panics in the node's components: each is reported, the component restarts, and a new deployment still gets its pods.

use axum::body::{Body, to_bytes};
use component_helpers::supervisor::HEALTHY_CONDITION;
use http::Request;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, PodTemplate};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use tower::ServiceExt as _;

use super::*;

/// Components that restart after a panic, with a failpoint that is hit when objects of all kinds are created.
const COMPONENTS: [&str; 32] = [
    "component-reporter",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "event-recorder",
    "garbage-collector-controller",
    "informer-configmaps",
    "informer-deployments",
    "informer-endpoints",
    "informer-endpointslices",
    "informer-leases",
    "informer-namespaces",
    "informer-networkpolicies",
    "informer-nodes",
    "informer-poddisruptionbudgets",
    "informer-pods",
    "informer-podtemplates",
    "informer-replicasets",
    "informer-replicationcontrollers",
    "informer-secrets",
    "informer-serviceaccounts",
    "informer-services",
    "kube-scheduler",
    "kubelet",
    "namespace-controller",
    "pod-worker",
    "replicaset-controller",
    "replicationcontroller-controller",
    "service-lb-controller",
    "status-manager",
    "kube-proxy",
];

/// Components that handle requests: a panic is counted, and there is nothing to restart.
const REQUEST_COMPONENTS: [&str; 2] = ["kube-apiserver", "prober"];

/// Components that a node without a pod network does not have; `proxy::tests` and `serve::tests` restart them.
const NETWORK_COMPONENTS: [&str; 2] = ["dns", "service-listener"];

/// Address that this host does not have, so that the proxy cannot bind a listener.
#[cfg(target_os = "linux")]
const NODE_WITHOUT_NETWORK: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

impl Fixture {
    async fn request(&self, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.node.api().router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn components_condition(&self) -> (String, String) {
        let nodes: Objects<Node> = Objects::all(self.client.clone());
        let status = nodes.get("node").await.unwrap().status.unwrap();
        let conditions = status.conditions.unwrap();
        let ready = conditions
            .iter()
            .find(|condition| condition.type_ == "Ready")
            .unwrap();
        assert_eq!(ready.status, "True");
        let found = conditions
            .iter()
            .find(|condition| condition.type_ == HEALTHY_CONDITION);
        let found = found.unwrap().clone();
        (found.status, found.message.unwrap())
    }

    /// Creates an object of every kind that an informer watches, and changes the node.
    async fn create_all_kinds(&self) {
        let name = || json!({"metadata": {"name": "x"}});
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "numbers-api"}]}});
        let spec = |spec: Value| json!({"metadata": {"name": "x"}, "spec": spec});
        self.create::<ConfigMap>(name()).await;
        self.create::<Secret>(name()).await;
        self.create::<ServiceAccount>(name()).await;
        self.create::<Lease>(name()).await;
        self.create::<NetworkPolicy>(spec(json!({"podSelector": {}})))
            .await;
        self.create::<PodDisruptionBudget>(spec(json!({"minAvailable": 0})))
            .await;
        self.create::<PodTemplate>(json!({"metadata": {"name": "x"}, "template": template}))
            .await;
        let service = json!({"selector": {"app": "numbers-api"}, "type": "LoadBalancer", "ports": [{"port": 80}]});
        self.create::<Service>(spec(service)).await;
        let controller = json!({"replicas": 0, "selector": {"a": "b"}, "template": template});
        self.create::<ReplicationController>(spec(controller)).await;
        let namespace: Namespace = serde_json::from_value(name()).unwrap();
        let namespaces: Objects<Namespace> = Objects::all(self.client.clone());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
        let nodes: Objects<Node> = Objects::all(self.client.clone());
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        let parameters = kube::api::PatchParams::default();
        let patch = kube::api::Patch::Merge(label);
        nodes.patch("node", &parameters, &patch).await.unwrap();
        self.create::<Deployment>(numbers_api()).await;
    }

    /// Requests `/readyz` until it fails. Returns the text of the failure.
    async fn wait_until_unready(&self) -> String {
        for _ in 0..600 {
            let (status, text) = self.request("/readyz").await;
            if status == 500 {
                return text;
            }
            assert_eq!(status, 200, "{text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("readyz has not failed");
    }

    async fn are_pods_ready(&self) -> bool {
        let deployments: Objects<Deployment> = Objects::default_namespaced(self.client.clone());
        let deployment = deployments.get("numbers-api").await.unwrap();
        deployment.status.unwrap_or_default().ready_replicas == Some(2)
    }

    async fn panics(&self, component: &str) -> Option<u64> {
        let health = self.supervisor.health();
        let found = health.iter().find(|health| health.name == component)?;
        let (_, metrics) = self.request("/metrics").await;
        let line = format!(
            "selfheal_component_panics_total{{component=\"{component}\"}} {}",
            found.panics
        );
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
        Some(found.panics)
    }
}

async fn panic_and_recover(component: &str) {
    let node = start_node().await;
    #[cfg(target_os = "linux")]
    if component == "kube-proxy" {
        let proxy = kube_proxy::Proxy::new(
            tokio::runtime::Handle::current(),
            NODE_WITHOUT_NETWORK,
            &node.supervisor,
        );
        tokio::spawn(proxy.run(node.client.clone()));
    }
    node.supervisor.arm(component, 1);
    if component == "component-reporter" {
        // The recorder runs when another component reports an event.
        let other = node.supervisor.component("other");
        let _ = other.call_once(|| panic!("other"));
    }
    let create = node.create_all_kinds();
    let (failure, ()) = tokio::join!(node.wait_until_unready(), create);
    let line = format!("[-]{component} failed: reason withheld");
    assert!(failure.lines().any(|found| found == line), "{failure}");
    assert!(failure.ends_with("readyz check failed\n"), "{failure}");
    assert_eq!(node.request("/livez").await, (200, "ok".to_owned()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(node.are_pods_ready().await, "{component}");
    let (status, text) = node.request("/readyz?verbose").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains(&format!("[+]{component} ok\n")), "{text}");
    assert_eq!(node.panics(component).await, Some(1));
    let events = node.events("ComponentPanicked").await;
    let expected = format!("component {component} panicked");
    let is_expected = |event: &String| event.starts_with(&expected);
    assert!(events.iter().any(is_expected), "{events:?}");
    let (status, message) = node.components_condition().await;
    assert_eq!(
        (status.as_str(), message.as_str()),
        ("True", "all components are running")
    );
}

#[tokio::test(start_paused = true)]
async fn deployment_gets_its_pods_after_a_panic_of_any_component() {
    for component in COMPONENTS {
        if component == "kube-proxy" && cfg!(not(target_os = "linux")) {
            continue;
        }
        panic_and_recover(component).await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_components_are_in_a_table_of_these_tests() {
    let node = start_node().await;
    let tested: Vec<&str> = COMPONENTS
        .into_iter()
        .chain(REQUEST_COMPONENTS)
        .chain(NETWORK_COMPONENTS)
        .collect();
    for component in node.supervisor.health() {
        assert!(
            tested.contains(&component.name.as_str()),
            "{}",
            component.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn condition_is_false_while_a_component_restarts() {
    let node = start_node().await;
    node.supervisor.arm("deployment-controller", 1);
    let (failure, ()) = tokio::join!(node.wait_until_unready(), node.create_all_kinds());
    assert!(
        failure.contains("[-]deployment-controller failed"),
        "{failure}"
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    let expected = (
        "False".to_owned(),
        "deployment-controller panicked: failpoint".to_owned(),
    );
    assert_eq!(node.components_condition().await, expected);
}

#[tokio::test(start_paused = true)]
async fn panic_in_an_objects_sync_does_not_stop_its_controller() {
    let node = start_node().await;
    node.supervisor
        .arm("deployment-controller default/broken", u32::MAX);
    let mut broken = numbers_api();
    broken["metadata"]["name"] = json!("broken");
    node.create::<Deployment>(broken).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    node.create::<Deployment>(numbers_api()).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(node.are_pods_ready().await);
    assert_eq!(node.request("/readyz").await.0, 500);
    let (status, message) = node.components_condition().await;
    let expected = "deployment-controller panicked at default/broken: failpoint";
    assert_eq!((status.as_str(), message.as_str()), ("False", expected));
    node.supervisor
        .arm("deployment-controller default/broken", 0);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(node.request("/readyz").await.0, 200);
    assert_eq!(node.pods().await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn object_is_delivered_again_after_a_panic_of_its_informer_handler() {
    let node = start_node().await;
    node.supervisor.arm("informer-deployments numbers-api", 1);
    node.create::<Deployment>(numbers_api()).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(node.are_pods_ready().await);
    assert_eq!(node.panics("informer-deployments").await, Some(1));
    assert_eq!(node.request("/readyz").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn panic_in_a_request_returns_500_and_is_counted() {
    let node = start_node().await;
    let path = "/api/v1/namespaces/default/pods/x";
    node.supervisor.arm(&format!("kube-apiserver {path}"), 1);
    let (status, text) = node.request(path).await;
    let failure: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &failure["reason"]), (500, &json!("InternalError")));
    assert_eq!(node.panics("kube-apiserver").await, Some(1));
    assert_eq!(node.request(path).await.0, 404);
    assert_eq!(node.request("/readyz").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn panic_in_a_probe_is_counted_and_the_next_probe_runs() {
    let node = start_node().await;
    node.supervisor.arm("prober", 1);
    node.create::<Deployment>(numbers_api()).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(node.panics("prober").await, Some(1));
    assert!(node.are_pods_ready().await);
}

#[tokio::test(start_paused = true)]
async fn panic_in_a_pod_worker_does_not_restart_running_containers() {
    let node = start_node().await;
    node.create::<Deployment>(numbers_api()).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let containers = |pods: Vec<Pod>| {
        let statuses = pods
            .into_iter()
            .filter_map(|pod| pod.status?.container_statuses);
        let ids = statuses
            .flatten()
            .map(|status| (status.container_id, status.restart_count));
        ids.collect::<Vec<_>>()
    };
    let before = containers(node.pods().await);
    assert_eq!(before.len(), 2);
    node.supervisor.arm("pod-worker", 2);
    let pods: Objects<Pod> = Objects::default_namespaced(node.client.clone());
    let parameters = kube::api::PatchParams::default();
    for pod in node.pods().await {
        let name = kube::ResourceExt::name_any(&pod);
        let label = kube::api::Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}));
        pods.patch(&name, &parameters, &label).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(node.panics("pod-worker").await, Some(2));
    assert_eq!(containers(node.pods().await), before);
    assert!(node.are_pods_ready().await);
}
