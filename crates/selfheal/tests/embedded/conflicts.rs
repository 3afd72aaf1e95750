//! Concurrent nodes and exercises on one host: conflicts are reported.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::PostParams;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::harness::{TestNode, reserve_ports, selfheal, skip_without_namespaces, text};

#[test]
fn exercise_whose_port_is_in_use_reports_its_owner_before_the_first_step() {
    let Some(_ports) = reserve_ports() else {
        return;
    };
    let _owner = TcpListener::bind(("127.0.0.1", 8013)).unwrap();
    let output = selfheal().args(["exercise", "liveness"]).output().unwrap();
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    let owner = format!("(pid {})", std::process::id());
    assert!(
        printed.contains("ERROR  liveness  service numbers-api needs a port"),
        "{printed}"
    );
    assert!(
        printed.contains("port 8013 is in use by") && printed.contains(&owner),
        "{printed}"
    );
    assert!(!printed.contains("kubectl apply"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn service_whose_port_is_in_use_has_no_address_and_up_prints_a_warning() {
    let owner = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = owner.local_addr().unwrap().port();
    let Some(mut node) = TestNode::start() else {
        return;
    };
    let services = Api::<Service>::namespaced(node.client().await, "default");
    let service = json!({
        "metadata": {"name": "todo-web"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "todo-web"}, "ports": [{"port": port}]},
    });
    let service = serde_json::from_value(service).unwrap();
    services
        .create(&PostParams::default(), &service)
        .await
        .unwrap();
    let mut warning = String::new();
    let errors = node.process.stderr.take().unwrap();
    BufReader::new(errors).read_line(&mut warning).unwrap();
    let expected =
        format!("warning: service default/todo-web has no address: port {port} is in use");
    assert!(warning.starts_with(&expected), "{warning}");
    let service = services.get("todo-web").await.unwrap();
    let balancer = service.status.and_then(|status| status.load_balancer);
    let ingress = balancer
        .and_then(|balancer| balancer.ingress)
        .unwrap_or_default();
    assert!(ingress.is_empty(), "{ingress:?}");
}

/// A node whose kubeconfig is in the default directory.
struct DefaultTestNode {
    process: Child,
    out: BufReader<ChildStdout>,
    kubeconfig: PathBuf,
}

impl DefaultTestNode {
    fn start(runtime_dir: &std::path::Path) -> Option<Self> {
        let mut process = selfheal()
            .arg("up")
            .env("XDG_RUNTIME_DIR", runtime_dir)
            .env_remove("SUDO_UID")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.contains("Ctrl-C") {
            if out.read_line(&mut printed).unwrap() == 0 {
                let output = process.wait_with_output().unwrap();
                let errors = text(&output.stderr);
                assert!(skip_without_namespaces(&errors), "{errors}");
                return None;
            }
        }
        let export = printed
            .lines()
            .find_map(|line| line.trim().strip_prefix("export KUBECONFIG="));
        Some(Self {
            process,
            out,
            kubeconfig: export.unwrap().into(),
        })
    }

    fn stop(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.out, &mut rest).unwrap();
        assert!(rest.ends_with("The node has stopped.\n"), "{rest}");
        assert!(!self.kubeconfig.exists());
    }
}

#[test]
fn two_nodes_write_kubeconfigs_of_their_own_outside_the_working_directory() {
    let dir = tempfile::tempdir().unwrap();
    let Some(first) = DefaultTestNode::start(dir.path()) else {
        return;
    };
    let second = DefaultTestNode::start(dir.path()).unwrap();
    assert_ne!(first.kubeconfig, second.kubeconfig);
    for node in [first, second] {
        assert!(
            node.kubeconfig.starts_with(dir.path().join("selfheal")),
            "{:?}",
            node.kubeconfig
        );
        assert!(node.kubeconfig.is_file());
        node.stop();
    }
}
