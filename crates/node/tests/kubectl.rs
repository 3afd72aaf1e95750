//! kubectl against the node's API, with scripted workloads. The tests are skipped without kubectl.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;

use apiserver::serve::{Credentials, serve};
use async_trait::async_trait;
use component_helpers::load_balancer::LoadBalancer;
use component_helpers::supervisor::Supervisor;
use container_runtime::scripted::{ScriptedRuntime, Workloads};
use jiff::Timestamp;
use probe::Clock;
use selfheal_node::{DEFAULT_MAX_PODS, EmbeddedNode, Options};
use test_support::{Requirement, require};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

struct Loopback;

#[async_trait]
impl LoadBalancer for Loopback {
    async fn ensure(&self, _: &str, _: &str, _: &[u16]) -> Result<Ipv4Addr, String> {
        Ok(Ipv4Addr::LOCALHOST)
    }

    async fn release(&self, _: &str, _: &str) {}
}

/// Node with its API on a port, and a directory with a kubeconfig.
struct Cluster {
    dir: tempfile::TempDir,
    shutdown: CancellationToken,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

struct KubectlOutput {
    success: bool,
    out: String,
    err: String,
}

impl Cluster {
    /// Returns `None`, and records the test as skipped, without kubectl.
    async fn start() -> Option<Self> {
        if !require(Requirement::Kubectl) {
            return None;
        }
        let clock = Clock::new(Timestamp::now(), 20.0);
        let shutdown = CancellationToken::new();
        let options = Options {
            supervisor: Supervisor::new(clock.clone(), shutdown.clone()),
            runtime: Arc::new(ScriptedRuntime::new(clock, Workloads::chapter())),
            load_balancer: Arc::new(Loopback),
            name: "node".to_owned(),
            ip: "10.244.0.1".to_owned(),
            jitter: false,
            max_pods: DEFAULT_MAX_PODS,
        };
        let node = EmbeddedNode::start(options).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let credentials = Credentials::generate().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = credentials.kubeconfig(listener.local_addr().unwrap());
        std::fs::write(dir.path().join("kubeconfig"), kubeconfig).unwrap();
        let stop = shutdown.clone();
        tokio::spawn(async move {
            serve(node.api(), listener, &credentials, stop)
                .await
                .unwrap();
        });
        Some(Self { dir, shutdown })
    }

    async fn kubectl(&self, line: &str, stdin: &str) -> KubectlOutput {
        let mut command = tokio::process::Command::new("kubectl")
            .args(line.split_whitespace())
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("HOME", self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = command.stdin.take().unwrap();
        input.write_all(stdin.as_bytes()).await.unwrap();
        drop(input);
        let output = command.wait_with_output().await.unwrap();
        KubectlOutput {
            success: output.status.success(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs kubectl, which must succeed. Returns its standard output.
    async fn run(&self, line: &str) -> String {
        let output = self.kubectl(line, "").await;
        assert!(
            output.success,
            "kubectl {line}: {}{}",
            output.out, output.err
        );
        output.out
    }
}

fn manifest(name: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../k8s/numbers/");
    format!("{root}{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_the_chapter_succeed() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let apply = format!("apply -f {}", manifest(""));
    let created = cluster.run(&apply).await;
    assert!(
        created.contains("deployment.apps/numbers-api created"),
        "{created}"
    );
    let again = cluster.run(&apply).await;
    assert!(
        again.contains("deployment.apps/numbers-api unchanged"),
        "{again}"
    );
    cluster
        .run("wait --for=condition=Ready pod -l app=numbers-api --timeout=60s")
        .await;
    cluster
        .run("rollout status deploy/numbers-api --timeout=60s")
        .await;
    let pods = cluster.run("get pods -l app=numbers-api").await;
    assert!(pods.starts_with("NAME"), "{pods}");
    let wide = cluster.run("get pods -o wide").await;
    assert!(wide.contains("NOMINATED NODE"), "{wide}");
    let name = cluster
        .run("get pods -o jsonpath={.items[0].metadata.name}")
        .await;
    let described = cluster.run(&format!("describe pod {name}")).await;
    assert!(described.contains("Events:"), "{described}");
    cluster.run(&format!("logs {name}")).await;
    let changed = cluster
        .run(&format!(
            "apply -f {}",
            manifest("update/api-with-readiness-and-liveness.yaml")
        ))
        .await;
    assert!(
        changed.contains("deployment.apps/numbers-api configured"),
        "{changed}"
    );
    cluster
        .run("rollout status deploy/numbers-api --timeout=60s")
        .await;
    let history = cluster.run("rollout history deploy/numbers-api").await;
    assert!(history.contains("\n2 "), "{history}");
    cluster.run("rollout undo deploy/numbers-api").await;
    cluster.run("rollout restart deploy/numbers-api").await;
    let scaled = cluster.run("scale deploy/numbers-api --replicas=3").await;
    assert!(scaled.contains("scaled"), "{scaled}");
    cluster
        .run("rollout status deploy/numbers-api --timeout=60s")
        .await;
    for line in [
        "get deployments,replicasets,services,endpoints,endpointslices,configmaps,secrets,events,nodes,namespaces",
        "get all",
        "get svc -o yaml",
        "describe deploy numbers-api",
        "describe node node",
        "explain deployment.spec.strategy",
        "version",
        "get pods -A",
        "get pods --field-selector=status.phase=Running",
    ] {
        cluster.run(line).await;
    }
    let resources = cluster.run("api-resources --no-headers").await;
    assert!(
        resources.contains("deployments") && resources.contains("endpointslices"),
        "{resources}"
    );
    let deleted = cluster
        .run(&format!(
            "delete --wait=true --timeout=60s -f {}",
            manifest("")
        ))
        .await;
    assert!(deleted.contains("deleted"), "{deleted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_field_is_rejected_by_name() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: c, image: localhost/selfheal/numbers-api:0.1.0, livenesProbe: {}}\n";
    let output = cluster.kubectl("apply -f -", pod).await;
    assert!(!output.success);
    assert!(
        output
            .err
            .contains("strict decoding error: unknown field \"spec.containers[0].livenesProbe\""),
        "{}",
        output.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn created_object_with_an_unknown_image_prints_a_warning_with_the_available_images() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    for command in [
        "run x --image redis:7",
        "create deployment x --image redis:7",
    ] {
        let printed = cluster.kubectl(command, "").await;
        assert!(printed.success, "{}", printed.err);
        for part in [
            "Warning: image \"redis:7\": this node pulls no images from registries; available: ",
            "kiamol/ch03-numbers-api",
            "restart the node with --image redis=PROGRAM",
        ] {
            assert!(printed.err.contains(part), "{command}: {}", printed.err);
        }
    }
    let known = cluster.kubectl("run y --image numbers-api", "").await;
    assert!(known.success && known.err.is_empty(), "{}", known.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_the_token_are_rejected() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let output = cluster.kubectl("--token=wrong get pods", "").await;
    assert!(!output.success, "{}", output.out);
    assert!(
        output.err.contains("You must be logged in to the server"),
        "{}",
        output.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_conflicts_with_a_later_change_by_another_manager() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    let apply = format!("apply --server-side -f {}", manifest("api.yaml"));
    let applied = cluster.run(&apply).await;
    assert!(
        applied.contains("numbers-api serverside-applied"),
        "{applied}"
    );
    cluster.run(&apply).await;
    cluster.run("scale deploy/numbers-api --replicas=3").await;
    let rejected = cluster.kubectl(&apply, "").await;
    assert!(!rejected.success, "{}", rejected.out);
    let expected = "conflict with \"kubectl\" using apps/v1: .spec.replicas";
    assert!(rejected.err.contains(expected), "{}", rejected.err);
    cluster.run(&format!("{apply} --force-conflicts")).await;
    let replicas = "get deploy numbers-api -o jsonpath={.spec.replicas}";
    assert_eq!(cluster.run(replicas).await, "2");
    // kubectl migrates the managed fields from client-side to server-side apply.
    let service = format!("apply -f {}", manifest("api-service.yaml"));
    cluster.run(&service).await;
    cluster
        .run(&service.replace("apply", "apply --server-side"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imperative_commands_create_and_change_objects() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    for line in [
        "create deployment web --image=localhost/selfheal/numbers-api:0.1.0 --replicas=2 --port=80",
        "create configmap m --from-literal=a=b",
        "create secret generic s --from-literal=a=b",
        "create namespace other",
        "create serviceaccount robot",
        "create service clusterip no-endpoints --tcp=80:8080",
        "run one --image=localhost/selfheal/numbers-api:0.1.0 --port=80",
        "expose deploy web --port=8099 --target-port=80",
        "wait --for=condition=Ready pod/one --timeout=60s",
        "rollout status deploy/web --timeout=60s",
        "set env deploy/web A=B",
        "set image deploy/web numbers-api=kiamol/ch03-numbers-api",
        "rollout status deploy/web --timeout=60s",
        "rollout pause deploy/web",
        "rollout resume deploy/web",
        "label deploy web x=y",
        "annotate deploy web x=y",
        "auth can-i delete pods",
        "auth whoami",
        "cordon node",
        "uncordon node",
    ] {
        cluster.run(line).await;
    }
    let secret = cluster.run("get secret s -o jsonpath={.data.a}").await;
    assert_eq!(secret, "Yg==");
    let web = cluster.run("get deploy web -o jsonpath={.spec.replicas}:{..containerPort}:{.spec.template.metadata.labels.app}").await;
    assert_eq!(web, "2:80:web");
    let history = cluster.run("rollout history deploy/web").await;
    assert!(history.contains("\n3 "), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_immutable_objects_are_rejected_and_component_health_is_reported() {
    let Some(cluster) = Cluster::start().await else {
        return;
    };
    cluster.run("create deployment d --image=numbers-api").await;
    cluster.run("rollout status deploy/d --timeout=60s").await;
    let pod = cluster.run("get pods -l app=d -o name").await;
    let pod = pod.trim();
    for kind in ["strategic", "merge"] {
        let patch = format!("patch {pod} --type={kind} -p {{\"spec\":{{\"nodeName\":\"x\"}}}}");
        let rejected = cluster.kubectl(&patch, "").await;
        assert!(!rejected.success);
        for expected in [
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
            "NodeName: \"x\"",
        ] {
            assert!(rejected.err.contains(expected), "{}", rejected.err);
        }
    }
    for name in ["default", "kube-system", "kube-public"] {
        let rejected = cluster.kubectl(&format!("delete ns {name}"), "").await;
        let expected =
            format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
        assert!(
            !rejected.success && rejected.err.contains(&expected),
            "{}",
            rejected.err
        );
    }
    let ready = cluster.run("get --raw /readyz?verbose").await;
    assert!(ready.contains("[+]replicaset-controller ok\n"), "{ready}");
    assert!(ready.ends_with("readyz check passed\n"), "{ready}");
    let metrics = cluster.run("get --raw /metrics").await;
    let line = "selfheal_component_panics_total{component=\"replicaset-controller\"} 0\n";
    assert!(metrics.contains(line), "{metrics}");
    let condition =
        "get node node -o jsonpath={.status.conditions[?(@.type==\"ComponentsHealthy\")].status}";
    assert_eq!(cluster.run(condition).await, "True");
}
